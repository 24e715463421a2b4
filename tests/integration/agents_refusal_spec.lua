-- What agents and their coordinators refuse, in clear words: scripts that were tampered with, other versions, wrong
-- credentials, what permissions forbid, plain text to another machine; and that TLS and the documented permissions do.
local A = require "agents_support"
local H = require "http_support"
local S = require "ssh_support"
local T = require "muster_test"

local QUICK = "return { steps = { { name = 's', run = function() return 50 end } } }"

-- Muster's own complaint: one line, without what is before it.
local function complaint(result, command)
  local lines = {}
  for _, line in ipairs(T.lines(result.stderr)) do
    local text = line:match("^muster " .. (command or "run") .. ": (.*)$")
    if text then lines[#lines + 1] = text end
  end
  assert.equals(1, #lines, result.stderr)
  return lines[1]
end

describe("a nats-server without users", function()
  local nats
  setup(function() nats = A.nats() end)
  after_each(A.end_all)

  local function run(text, ...)
    return T.run_script(text, { args = { "--local", "--nats", nats.url, "--state-dir", T.tmpdir(), ... } })
  end

  it("may hold a script that was tampered with: no agent runs it", function()
    local dir = T.tmpdir()
    local text = ("return { steps = { { name = 's', run = function() io.open(%q, 'w'):close() return 50 end } } }")
      :format(dir .. "/good")
    A.agent(nats, { name = "a" })
    assert.equals(0, run(text, "one").code)
    A.end_all()
    local pieces = nats:ask("list", "MUSTER_RUNS", "muster.bundle.>")
    assert.is_true(#pieces >= 2)
    -- The same length, another folder: what would run.
    local tampered = 0
    for _, piece in ipairs(pieces) do
      local bytes = nats:tool("get", "MUSTER_RUNS", piece[1]).stdout
      local changed, n = bytes:gsub(dir:gsub("%p", "%%%0") .. "/good", dir .. "/evil")
      if n > 0 then
        tampered = tampered + n
        assert.equals(0, nats:tool("put", piece[1], { stdin = changed }).code)
      end
    end
    assert.equals(1, tampered)
    local agent = A.agent(nats, { name = "a" }) -- with an empty cache
    os.remove(dir .. "/good")
    local result = run(text, "one", "two")
    assert.is_true(result.code == 2 or result.code == 3, result.code .. result.stderr)
    assert.is_false(S.exists(dir .. "/evil"))
    assert.is_false(S.exists(dir .. "/good"))
    assert.truthy(result.stderr:find("bundle", 1, true) or agent:stderr():find("bundle", 1, true), result.stderr)
    -- Of a changed script it is another bundle: nothing else is harmed.
    assert.equals(0, run(text .. " -- changed", "one").code)
  end)

  it("is of no use to agents of another version, which is told", function()
    -- The same program, but for its version: a text of the same length.
    local dir = T.tmpdir()
    local other, n = T.read(T.muster):gsub("0%.1%.0", "0.1.9")
    assert.is_true(n >= 1)
    T.write(dir .. "/muster", other)
    assert(os.execute("chmod +x " .. dir .. "/muster"))
    assert.matches("0%.1%.9", T.exec { dir .. "/muster", "--version" }.stdout)
    local agent = A.agent(nats, { name = "old", program = { dir .. "/muster" } })
    local result = run(QUICK, "one")
    assert.equals(2, result.code, result.stderr)
    assert.matches("0%.1%.9", result.stderr)
    A.agent(nats, { name = "new" })
    result = run(QUICK, "one", "two")
    assert.equals(0, result.code, result.stderr)
    assert.truthy(T.find_log(result.log, "0.1.9"), result.stderr)
    assert.same({ new = 2 }, A.workers(result.log))
    assert.is_nil(agent:stderr():find("Server", 1, true))
    assert.matches("old%s.*0%.1%.9", T.run { "agents", "--nats", nats.url }.stdout)
  end)

  it("is not spoken to in plain text on another machine", function()
    for command, words in pairs { run = { "run", T.write(T.tmpdir() .. "/s.lua", QUICK), "--local" }, agent = { "agent" },
      agents = { "agents" } } do
      words[#words + 1] = "--nats=nats://192.0.2.1:4222"
      local result = T.run(words)
      assert.equals(2, result.code, result.stderr)
      local text = complaint(result, command)
      assert.truthy(text:find("192.0.2.1:4222", 1, true) and text:find("--insecure-nats", 1, true), text)
    end
  end)

  it("that is not there is told, with where", function()
    local port = tonumber(T.exec { T.fleet_program, "port" }.stdout)
    local result = T.run { "agents", "--nats", "nats://127.0.0.1:" .. port }
    assert.equals(2, result.code)
    assert.truthy(complaint(result, "agents"):find("127.0.0.1:" .. port, 1, true))
  end)

  it("takes no secrets with it: neither parameters nor variables by such a name", function()
    A.agent(nats, { name = "a" })
    local result = run("return { params = { api_token = '' }, steps = { { name = 's', run = function() return 1 end } } }", "one",
      "-p", "api_token=hidden-7391")
    assert.equals(2, result.code, result.stderr)
    assert.is_nil(result.stderr:find("7391", 1, true))
    local servers = T.write(T.tmpdir() .. "/servers.json",
      [[{"servers": [{"id": "one", "vars": {"bmc_password": "hidden-7392", "rack": "r1"}}]}]])
    result = run([[return { steps = { { name = 's', run = function(server)
      assert(server.vars.rack == "r1") assert(not server.vars.bmc_password) return 1 end } } }]], "-i", servers)
    assert.equals(0, result.code, result.stderr)
    for _, file in ipairs(T.lines(T.exec { "grep", "-rl", "hidden-739", nats.dir }.stdout)) do assert.is_nil(file) end
  end)
end)

describe("a nats-server with the documented permissions", function()
  local nats, files
  local WHO = { coordinator = "change-1", agent = "change-2", ["agent-dc1"] = "change-3", look = "change-4" }
  setup(function()
    local dir = T.tmpdir()
    nats = A.nats('authorization { include "permissions.conf" }\n', {
      ["permissions.conf"] = T.read(T.source .. "/tests/data/nats/permissions.conf") })
    files = {}
    for user, password in pairs(WHO) do
      files[user] = T.write(dir .. "/" .. user, password .. "\n")
      assert(os.execute("chmod 600 " .. files[user]))
    end
    files.wrong = T.write(dir .. "/wrong", "change-9731\n")
    assert(os.execute("chmod 600 " .. files.wrong))
  end)
  after_each(A.end_all)

  local function as(user, file) return "--nats-user", user, "--nats-password-file", files[file or user] end

  local function run(servers, user, text)
    return T.run_script(text or QUICK, { args = { "--local", "--nats", nats.url, "--state-dir", T.tmpdir(), "-i", servers,
      as(user) } })
  end
  local function servers(...)
    local list = {}
    for i, group in ipairs { ... } do
      list[i] = ('{"id": "s%d", "vars": {"groups": ["%s"]}}'):format(i, group)
    end
    return T.write(T.tmpdir() .. "/servers.json", '{"servers": [' .. table.concat(list, ",") .. "]}")
  end

  it("does all that a run takes: groups, claims, questions, a second run, and the list", function()
    A.agent(nats, { name = "any", args = { as "agent" } })
    A.agent(nats, { name = "one", groups = "dc1", args = { as "agent-dc1" } })
    local text = [[local muster = require "muster"
      return { before_all = function() return { 1 } end, steps = { { name = "s", run = function(server)
        server:claim { what = "nothing" }
        local permit <close> = muster.semaphore("one", 1):acquire()
        server:release()
        return 50 end } } }]]
    for _ = 1, 2 do
      local result = run(servers("dc1", "dc2", "dc1"), "coordinator", text)
      assert.equals(0, result.code, result.stderr)
      assert.same({ any = 1, one = 2 }, A.workers(result.log))
    end
    local listed = T.run { "agents", "--nats", nats.url, as "look" }
    assert.equals(0, listed.code, listed.stderr)
    assert.matches("one%s", listed.stdout)
  end)

  it("refuses a wrong password, which is told without it", function()
    for command, words in pairs { run = { "run", T.write(T.tmpdir() .. "/s.lua", QUICK), "--local" }, agent = { "agent" },
      agents = { "agents" } } do
      for _, word in ipairs { "--nats", nats.url, as("coordinator", "wrong") } do words[#words + 1] = word end
      local result = T.run(words)
      assert.equals(2, result.code, result.stderr)
      complaint(result, command)
      assert.is_nil(result.stderr:find("9731", 1, true))
    end
  end)

  it("forbids agents to begin runs, and to take what is not their groups'", function()
    A.agent(nats, { name = "any", args = { as "agent" } })
    local result = run(servers "x", "agent")
    assert.equals(2, result.code, result.stderr)
    assert.matches("ermission", complaint(result))
    local agent = A.agent(nats, { name = "sly", groups = "dc2", unready = true, args = { as "agent-dc1" } })
    agent.ended = true
    local _, _, code = agent.pipe:close()
    assert.equals(2, code, agent:stderr())
    assert.matches("ermission", complaint({ stderr = agent:stderr() }, "agent"))
    -- By other means, too: what an agent may not put, and may.
    for subject, may in pairs { ["muster.task.0-1-0.any.x.1"] = false, ["muster.run.x"] = false, ["muster.bundle.x.0"] = false,
      ["muster.word.x"] = false, ["muster.hail"] = false, ["muster.event.x.y"] = true } do
      local said = nats:tool("say", subject, { login = "agent,change-2", stdin = "x" })
      assert.equals(not may, said.stderr:find("ermission", 1, true) ~= nil, subject .. ": " .. said.stderr)
    end
  end)
end)

describe("a nats-server with TLS", function()
  local nats, authority
  setup(function()
    authority = H.authority()
    nats = A.nats('tls { cert_file: "$DIR/cert.pem", key_file: "$DIR/key.pem" }\n', nil, function(dir)
      H.certify(authority, dir)
    end)
  end)
  after_each(A.end_all)

  it("is believed when its certificate is good, and only then", function()
    A.agent(nats, { name = "a", args = { "--nats-ca", authority.file } })
    local function run(...)
      return T.run_script(QUICK, { args = { "--local", "--state-dir", T.tmpdir(), "one", ... } })
    end
    local result = run("--nats", nats.url, "--nats-ca", authority.file)
    assert.equals(0, result.code, result.stderr)
    result = run("--nats", nats.url)
    assert.equals(2, result.code, result.stderr)
    assert.matches("certificate", complaint(result))
    result = run("--nats", nats.url, "--nats-ca", H.authority().file)
    assert.equals(2, result.code, result.stderr)
    assert.matches("certificate", complaint(result))
    -- The certificate is for localhost and 127.0.0.1 alone.
    result = run("--nats", "tls://127.0.0.2:" .. nats.port, "--nats-ca", authority.file)
    assert.equals(2, result.code, result.stderr)
    complaint(result)
  end)
end)
