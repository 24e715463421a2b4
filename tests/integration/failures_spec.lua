-- Everything that goes wrong between muster and a server, all in one run beside healthy servers: each has its own
-- cause in the summary and in the reports, each server only its own, and the others pass.
local S = require "ssh_support"
local T = require "muster_test"

local SCRIPT = [[
local muster = require "muster"
local commands = {
  lost = "kill -9 $PPID; sleep 60", -- the session's own sshd
  notfound = "no-such-benchmark --all",
  status = "echo 'no GPU found' >&2; exit 3",
  signal = "kill -SEGV $$",
  limit = "head -c 1000000 /dev/zero",
}
return muster.script {
  steps = {
    { name = "check",
      run = function(server)
        local kind = server.vars.kind
        if kind == "broken" then error(muster.errors.CheckFailed("2 fans of 6 stand still")) end
        if kind == "script" then error("attempt to divide by a fan") end
        local out = server:exec(commands[kind] or "echo 51", { limit = 10000 })
        return tonumber(out.stdout)
      end,
      thresholds = { score = { min = 50 } } },
    { name = "freeze", timeout = "1s",
      when = function(server) return server.vars.kind == "frozen" end,
      run = function(server) server:exec("kill -STOP $PPID; sleep 60") end }, -- the session's own sshd
    { name = "after", run = function(server) server:exec("true") end },
  },
}
]]

-- What each kind of trouble is called: status, type, cause in the report, and the summary's text.
local EXPECTED = {
  refused = { "unreachable", "ConnectError", "connect: connection refused" },
  noname = { "unreachable", "ConnectError", "name resolution: " },
  changed = { "unreachable", "HostKeyError", "host key changed" },
  unknown = { "unreachable", "HostKeyError", "host key unknown" },
  denied = { "unreachable", "AuthError", "authentication: denied" },
  stalled = { "unreachable", "ConnectError", "key exchange: timed out" },
  garbage = { "unreachable", "ConnectError", "key exchange: no SSH greeting" },
  lost = { "error", "ConnectError", "connection lost" },
  frozen = { "timeout", "TimeoutError", "timeout after 1 s" },
  notfound = { "error", "CommandError", "exit status 127: no-such-benchmark" },
  status = { "error", "CommandError", "exit status 3: echo" },
  signal = { "error", "CommandError", "killed by signal SEGV: kill" },
  limit = { "error", "CommandError", "output limit: head" },
  nochannel = { "error", "ConnectError", "the server refused a channel" },
  broken = { "failed", "CheckFailed", "2 fans of 6 stand still" },
  script = { "error", "ScriptError", "attempt to divide by a fan" },
}
local ORDER = { "refused", "noname", "changed", "unknown", "denied", "stalled", "garbage", "lost", "frozen", "notfound",
  "status", "signal", "limit", "nochannel", "broken", "script" }

describe("failures", function()
  local fleet, dir, entries, known_hosts

  setup(function()
    fleet = T.fleet_start(14)
    dir = T.tmpdir()
    local nochannel = fleet:add("srv90", "MaxSessions 0\n")
    local next_server = 0
    local function real(kind)
      next_server = next_server + 1
      return S.entry(fleet.servers[fleet.ids[next_server]], kind, { kind = kind })
    end
    entries = {}
    for _, kind in ipairs(ORDER) do
      local entry
      if kind == "refused" then
        local port = T.exec { T.fleet_program, "port" }.stdout
        entry = { id = kind, address = "127.0.0.1", port = tonumber(port) }
      elseif kind == "noname" then
        entry = { id = kind, address = "no-such-server.invalid" }
      elseif kind == "stalled" then
        entry = { id = kind, address = "127.0.0.1", port = S.odd_server "silent" }
      elseif kind == "garbage" then
        entry = { id = kind, address = "127.0.0.1", port = S.odd_server "garbage" }
      elseif kind == "nochannel" then
        entry = S.entry(nochannel, kind)
      else
        entry = real(kind)
        if kind == "denied" then entry.key = S.keygen(dir .. "/stranger") end
      end
      entry.vars = { kind = kind }
      entries[#entries + 1] = entry
    end
    for i = 1, 3 do entries[#entries + 1] = real("healthy" .. i) end
    -- One server's key is another than recorded, one's is not recorded.
    local other = T.read(S.keygen(dir .. "/other") .. ".pub"):match "^%S+ %S+"
    local lines, ports = {}, {}
    for _, entry in ipairs(entries) do ports[entry.id] = entry.port end
    for _, line in ipairs(T.lines(T.read(fleet.known_hosts))) do
      local port = tonumber(line:match "]:(%d+) ")
      if port == ports.changed then line = line:match "^%S+ " .. other end
      if port ~= ports.unknown then lines[#lines + 1] = line end
    end
    known_hosts = T.write(dir .. "/known_hosts", table.concat(lines, "\n") .. "\n")
  end)


  local function run(options)
    local arguments = { "-i", S.inventory(dir, options.entries or entries), "--known-hosts", known_hosts,
      "--connect-timeout", "5s" }
    for _, word in ipairs(options) do arguments[#arguments + 1] = word end
    return T.run_script(SCRIPT, { args = arguments })
  end

  describe("in one run", function()
    local result, junit

    setup(function()
      junit = dir .. "/junit.xml"
      result = run { "--junit", junit }
      assert(result.results, result.stderr)
    end)

    it("have a cause of their own each, and every server only its own", function()
      local servers = S.by_id(result.results)
      for kind, expected in pairs(EXPECTED) do
        local server = servers[kind]
        local failures = S.failures(server)
        -- Without a channel nothing can be run on a connection, so each step finds that out.
        assert.equal(kind == "nochannel" and 2 or 1, #failures, kind)
        for _, failure in ipairs(failures) do
          local cause = failure.cause
          -- What the resolver says differs by machine; a script's error begins with its place.
          if kind == "noname" then cause = cause:match "^name resolution: " end
          if kind == "script" then cause = cause:match ":%d+: (.*)$" end
          assert.same(expected, { failure.status, failure.type, cause }, kind)
        end
        assert.equal(expected[1], server.status, kind)
        if server.port then assert.is_truthy(failures[1].message:find("port " .. server.port, 1, true)) end
      end
    end)

    it("stand in the summary, each cause with its server", function()
      for kind, expected in pairs(EXPECTED) do
        local found
        for _, line in ipairs(T.lines(result.stdout)) do
          local status, text, server = line:match "^(%u+) +(.-)  +(%S+) +1$"
          if server == kind then
            found = found or status == expected[1]:upper() and text:find(expected[3], 1, true)
          end
        end
        assert.is_truthy(found, kind .. " in:\n" .. result.stdout)
      end
      local unmeasured = {}
      for _, kind in ipairs(ORDER) do
        if kind ~= "broken" then unmeasured[#unmeasured + 1] = kind end
      end
      local lines = T.lines(result.stdout)
      assert.equal("Not measured: 15 servers. unmeasured_servers=[" .. table.concat(unmeasured, ", ") .. "]",
        lines[#lines - 1])
      assert.equal("Out of 19, 1 server failed. failed_servers=[broken]", lines[#lines])
    end)

    it("leave the healthy servers alone", function()
      local servers = S.by_id(result.results)
      for i = 1, 3 do assert.equal("passed", servers["healthy" .. i].status) end
      assert.same({ "broken" }, result.results.failed_servers)
    end)

    it("are logged once, as errors of their server and step", function()
      for kind, expected in pairs(EXPECTED) do
        local errors = {}
        for _, line in ipairs(result.log) do
          if line.level == "error" and line.server_id == kind then errors[#errors + 1] = line end
        end
        assert.equal(kind == "nochannel" and 2 or 1, #errors, kind)
        assert.is_truthy(errors[1].event:find(": " .. expected[2] .. ": ", 1, true), errors[1].event)
        assert.is_string(errors[1].step, kind)
      end
    end)

    it("skip what needs the connection, and go on where it still works", function()
      local servers = S.by_id(result.results)
      local function after(kind)
        for _, step in ipairs(servers[kind].steps) do
          if step.name == "after" then return step.status end
        end
      end
      for _, kind in ipairs { "refused", "noname", "changed", "unknown", "denied", "stalled", "garbage", "lost" } do
        assert.equal("skipped", after(kind), kind)
      end
      -- The frozen connection is given up, and another one is made.
      for _, kind in ipairs { "notfound", "status", "signal", "limit", "broken", "script", "frozen" } do
        assert.equal("passed", after(kind), kind)
      end
    end)

    it("name the command that could not be ended", function()
      assert.is_truthy(result.stdout:find('Still running: 1 command on frozen could not be confirmed ended: ' ..
        '"kill -STOP $PPID; sleep 60"', 1, true), result.stdout)
      assert.same({ "kill -STOP $PPID; sleep 60" }, S.by_id(result.results).frozen.unended)
    end)

    it("give a valid JUnit report", function()
      local lint = T.exec { "xmllint", "--noout", "--schema", T.source .. "/tests/support/junit.xsd", junit }
      assert.equal(0, lint.code, lint.stderr)
    end)

    it("end with 1", function() assert.equal(1, result.code) end)
  end)

  it("end with 0, 1 or 3", function()
    assert.equal(0, run { "healthy*" }.code)
    assert.equal(1, run { "healthy*", "broken" }.code)
    assert.equal(1, run { "refused", "broken", "status" }.code)
    assert.equal(3, run { "healthy*", "refused" }.code)
    assert.equal(3, run { "status" }.code)
    assert.equal(3, run { "denied", "unknown" }.code)
  end)

  describe("host keys", function()
    local plain = { "healthy1", "healthy2", "healthy3" }
    local function with(file, ...)
      return T.run_script(SCRIPT, { args = { "-i", S.inventory(dir, entries), "--known-hosts", file, "-j", "2",
        table.unpack { ... } } })
    end

    it("of unknown servers are learnt with accept-new, and known after it", function()
      local file = dir .. "/learnt"
      local first = with(file, "--host-key-policy", "accept-new", table.unpack(plain))
      assert.equal(0, first.code, first.stdout .. first.stderr)
      local learnt = T.lines(T.read(file))
      assert.equal(3, #learnt)
      for _, id in ipairs(plain) do
        local port
        for _, entry in ipairs(entries) do
          if entry.id == id then port = entry.port end
        end
        local line = T.read(file):match("(%[127%.0%.0%.1%]:" .. port .. " [^\n]+)")
        assert.is_truthy(T.read(fleet.known_hosts):find(line, 1, true), id)
      end
      local second = with(file, "--host-key-policy", "strict", table.unpack(plain))
      assert.equal(0, second.code, second.stdout)
      assert.equal(3, #T.lines(T.read(file)))
    end)

    it("that changed are refused with accept-new, too", function()
      local result = T.run_script(SCRIPT, { args = { "-i", S.inventory(dir, entries), "--known-hosts", known_hosts,
        "--host-key-policy", "accept-new", "changed" } })
      assert.equal(3, result.code)
      assert.equal("host key changed", S.failures(result.results.servers[1])[1].cause)
    end)

    it("are not looked at with off, which is warned of", function()
      local file = T.write(dir .. "/nothing", "")
      local result = with(file, "--host-key-policy", "off", "healthy1", "unknown")
      assert.equal(0, result.code, result.stdout .. result.stderr)
      assert.equal("", T.read(file))
      local warned
      for _, line in ipairs(result.log) do
        warned = warned or line.level == "warning" and line.event:lower():find("host key", 1, true)
      end
      assert.is_truthy(warned, result.stderr)
    end)
  end)

  describe("logins", function()
    local keyless

    local function login(servers, options)
      local arguments = { "-i", S.inventory(dir, servers), "--known-hosts", fleet.known_hosts }
      for _, word in ipairs(options) do arguments[#arguments + 1] = word end
      return T.run_script(SCRIPT, { args = arguments, env = options.env })
    end

    local function warnings(result, text)
      local found = {}
      for _, line in ipairs(result.log) do
        if line.level == "warning" and line.event:find(text, 1, true) then found[#found + 1] = line end
      end
      return found
    end

    setup(function()
      keyless = {}
      for i = 1, 10 do
        keyless[i] = S.entry(fleet.servers[fleet.ids[i]], fleet.ids[i])
        keyless[i].key = nil
      end
    end)

    it("with a password from a file, and from the environment", function()
      local server = fleet:add("srv95", "PasswordAuthentication yes\nPubkeyAuthentication no\n")
      local servers = { S.entry(server, "password") }
      servers[1].key = nil
      local file = fleet.dir .. "/password"
      local secret = T.read(file):match "%S+"
      for _, options in ipairs { { "--password-file", file },
        { "--password-env", "SPEC_PASSWORD", env = { SPEC_PASSWORD = secret } } } do
        options[#options + 1] = "-vv"
        local result = login(servers, options)
        assert.equal(0, result.code, result.stdout)
        assert.is_nil((result.stdout .. result.stderr):find(secret, 1, true), "the password was printed")
      end
      local wrong = login(servers, { "--password-env", "SPEC_PASSWORD", env = { SPEC_PASSWORD = "wrong" } })
      assert.equal(3, wrong.code)
      assert.equal("authentication: denied", S.failures(wrong.results.servers[1])[1].cause)
      assert.is_truthy(S.failures(wrong.results.servers[1])[1].message:find("tried password", 1, true))
    end)

    it("with an encrypted key", function()
      local key = dir .. "/locked"
      T.write(key, T.read(fleet.key))
      assert(os.execute("chmod 600 " .. key))
      assert.equal(0, T.exec { "ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", key }.code)
      local result = login(keyless, { "--key", key, "--passphrase-env", "SPEC_PHRASE", "-vv",
        env = { SPEC_PHRASE = "open sesame" } })
      assert.equal(0, result.code, result.stdout)
      assert.is_nil((result.stdout .. result.stderr):find("open sesame", 1, true), "the passphrase was printed")
      local wrong = login(keyless, { "--key", key, "--passphrase-env", "SPEC_PHRASE",
        env = { SPEC_PHRASE = "barley" } })
      assert.equal(2, wrong.code)
      assert.is_truthy(wrong.stderr:find(key .. ": the passphrase given is not this key's", 1, true), wrong.stderr)
      assert.is_nil(wrong.results)
    end)

    it("with a real agent", function()
      local socket = S.agent()
      assert.equal(0, T.exec { "ssh-add", "-q", fleet.key, env = { SSH_AUTH_SOCK = socket } }.code)
      local result = login(keyless, { env = { SSH_AUTH_SOCK = socket } })
      assert.equal(0, result.code, result.stdout .. result.stderr)
      assert.same({}, warnings(result, "agent"))
      local without = login(keyless, { "--no-agent", env = { SSH_AUTH_SOCK = socket } })
      assert.equal(3, without.code)
      assert.equal(10, without.results.counts.unreachable)
    end)

    it("with key files beside an agent that never answers, which is named once", function()
      local socket = S.silent_agent()
      local result = login(keyless, { "--key", fleet.key, "--agent-timeout", "500ms",
        env = { SSH_AUTH_SOCK = socket } })
      assert.equal(0, result.code, result.stdout .. result.stderr)
      assert.equal(1, #warnings(result, "agent"), result.stderr)
      assert.is_truthy(warnings(result, "agent")[1].event:find(socket, 1, true), result.stderr)
    end)

    it("fail without keys where the agent never answers, after one wait", function()
      local socket = S.silent_agent()
      local result = login(keyless, { "--agent-timeout", "500ms", env = { SSH_AUTH_SOCK = socket } })
      assert.equal(3, result.code)
      assert.equal(10, result.results.counts.unreachable)
      assert.equal(1, #warnings(result, "agent"), result.stderr)
    end)
  end)
end)
