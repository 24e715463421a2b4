-- Runs that agents do: the same as when this muster does them, whatever a script uses.
local A = require "agents_support"
local S = require "ssh_support"
local T = require "muster_test"
local cjson = require "cjson"

-- Of 300 servers: some are too slow, some break, one cannot be reached, one is behind its peers and is measured twice.
local SCRIPT = [[
local muster = require "muster"
local function number(server) return tonumber(server.id:match "%d+") end
return muster.script {
  params = { dir = "", least = 5 },
  max_broken = "50%",
  before_all = function(fleet) return { fleet = #fleet, words = { "a", "b" } } end,
  setup = function(server) muster.log.info("> setup", { shared = muster.run.shared.fleet }) end,
  steps = {
    { name = "score", confirm = 1,
      run = function(server, params)
        local n = number(server)
        if n == 60 then error "no such thing" end
        for i = 1, 3 do muster.log.info("> line " .. i, { i = i }) end
        server:keep("note.txt", "of " .. server.id)
        local out = server:exec("echo %d; exit %d", n == 30 and 1 or 50, n == 90 and 3 or 0)
        return { score = tonumber(out.stdout), length = #muster.run.shared.words }
      end,
      thresholds = { score = { min = 5, unit = "points" } } },
    { name = "speed", needs = { "score" },
      run = function(server) return { speed = number(server) == 150 and 50 or 100 } end,
      thresholds = { speed = { peers = { drop = "10%" } } } },
  },
  on_failure = function(server) muster.log.info("> diagnostics of " .. server.id) end,
  teardown = function(server) muster.log.info "> teardown" end,
  mark = function(server, verdict, params)
    local file <close> = assert(io.open(params.dir .. "/" .. server.id, "a"))
    file:write(verdict.status, "\n")
  end,
  after_all = function(results) muster.log.info("> after all") end,
}]]

local still = A.still

-- By server, what was said of it, in order.
local function said(log)
  local by = {}
  for _, line in ipairs(log) do
    if line.server_id then
      local list = by[line.server_id] or {}
      by[line.server_id] = list
      list[#list + 1] = still(line.level .. " " .. line.event .. " " .. tostring(line.step) .. " " .. tostring(line.i))
    end
  end
  return by
end

local function files(dir)
  return T.exec { "sh", "-c", "cd \"$1\" && for f in *; do [ ! -e \"$f\" ] || echo \"$f $(cat \"$f\")\"; done", "files", dir }.stdout
end

describe("agents", function()
  local fleet, nats
  setup(function()
    fleet = T.fleet_start(10)
    nats = A.nats()
  end)
  after_each(A.end_all)

  it("do 300 servers as this muster would: report, summary, log, marks, artefacts", function()
    local closed = tonumber(T.exec { T.fleet_program, "port" }.stdout)
    local servers, ids = A.servers(fleet, 300, function(server, i) if i == 120 then server.port = closed end end)
    local one, two = { marks = T.tmpdir(), state = T.tmpdir() }, { marks = T.tmpdir(), state = T.tmpdir() }
    local patience = { "--connect-retries", "0", "--connect-timeout", "2m" }
    A.three(nats, { fleet = fleet, forks = 5, args = patience })
    local function run(of, ...)
      local dir = T.tmpdir()
      local result = T.run_script(SCRIPT, { args = { "-i", servers, "--state-dir", of.state, "-p", "dir=" .. of.marks,
        "--junit", dir .. "/junit.xml", ... } })
      result.junit = result.results and T.read(dir .. "/junit.xml")
      of.result = result
      return result
    end
    local ours = run(one, "--key", fleet.key, "--known-hosts", fleet.known_hosts, "--no-agent", "-j", "15",
      table.unpack(patience))
    local theirs = run(two, "--nats", nats.url)
    assert.equals(1, ours.code, ours.stdout .. ours.stderr:sub(-2000))
    assert.equals(1, theirs.code, theirs.stdout .. theirs.stderr:sub(-2000))

    local mine, others = A.normal(ours.results), A.normal(theirs.results)
    for i, id in ipairs(ids) do assert.same(mine.servers[i], others.servers[i], id) end
    assert.same(mine, others)
    assert.same({ "s030", "s150" }, theirs.results.failed_servers)
    assert.same({ "s060", "s090", "s120" }, theirs.results.unmeasured_servers)
    assert.equals(still(ours.stdout), still(theirs.stdout))
    assert.equals(still(ours.junit), still(theirs.junit))
    assert.equals(files(one.marks), files(two.marks))
    assert.equals("s030 failed\ns150 failed\n", files(two.marks))
    for _, of in ipairs { one, two } do
      of.artefacts = T.run { "artefacts", "--db", of.state .. "/results.db" }.stdout
    end
    assert.equals(one.artefacts, two.artefacts)

    -- Each server's lines are all there, in order; and which agent said them.
    local a, b = said(ours.log), said(theirs.log)
    for _, id in ipairs(ids) do assert.same(a[id], b[id], id) end
    for _, line in ipairs(theirs.log) do
      if line.event:find "^> line" then assert.truthy(line.agent, cjson.encode(line)) end
    end
    local finished = A.count_by_server(theirs.log, "Server finished: ")
    for _, id in ipairs(ids) do assert.equals(id == "s150" and 2 or 1, finished[id], id) end
    local workers = A.workers(theirs.log)
    for _, name in ipairs { "a", "b", "c" } do assert.is_true((workers[name] or 0) > 30, cjson.encode(workers)) end
    -- Nothing of it is left in the queues.
    A.wait_empty(nats)
  end)

  it("serve the servers of their groups, and only those; a server that nobody serves is told before anything runs", function()
    A.agent(nats, { name = "one", groups = "dc1", fleet = fleet })
    A.agent(nats, { name = "two", groups = "dc2,dc3", fleet = fleet })
    local any = A.agent(nats, { name = "any", fleet = fleet })
    local where = { "dc1", "dc2", "dc3", nil, "elsewhere" }
    local servers = A.servers(fleet, 20, function(server, i) server.vars = { groups = { "all-of-it", where[i % 5 + 1] } } end)
    local script = "return { steps = { { name = 's', run = function(server) return #server:exec('echo').stdout end } } }"
    local result = A.run(nats, servers, script)
    assert.equals(0, result.code, result.stderr)
    for _, line in ipairs(result.log) do
      if line.event:find("Server finished: ", 1, true) then
        local place = where[tonumber(line.server_id:match "%d+") % 5 + 1]
        assert.equals(({ dc1 = "one", dc2 = "two", dc3 = "two" })[place or ""] or "any", line.agent, line.server_id)
      end
    end
    A.stop(any)
    result = A.run(nats, servers, script)
    assert.equals(2, result.code, result.stderr)
    assert.is_truthy(result.stderr:find("muster run: no agent serves 8 of the 20 servers, s[003-004,008-009,013-014,018-019]: start", 1, true),
      result.stderr)
    assert.equals(0, nats:count "TASKS")
  end)

  it("do several runs at a time, each with a script of its own", function()
    A.three(nats, { fleet = fleet, forks = 3 })
    local servers = A.servers(fleet, 12)
    local text = "local m = require 'part'\nreturn { steps = { { name = 's', run = function(server) " ..
      "return m.number + #server:exec('sleep 0.1').stdout end } } }"
    local jobs = {}
    for i = 1, 2 do
      local dir = T.tmpdir()
      T.write(dir .. "/part.lua", "return { number = " .. i .. " }")
      jobs[i] = A.start(nats, servers, text, { dir = dir })
    end
    for i = 1, 2 do
      local result = jobs[i]:wait()
      assert.equals(0, result.code, result.stderr)
      assert.equals(12, #result.results.servers)
      for _, server in ipairs(result.results.servers) do assert.equals(i, server.steps[1].metrics.score.value) end
      assert.equals(12, result.results.counts.passed)
    end
  end)
end)

-- What a script uses, at agents on this machine without SSH.
describe("a script at agents", function()
  local nats
  local function names(n)
    local list = {}
    for i = 1, n do list[i] = ("s%02d"):format(i) end
    return table.concat(list, ",")
  end
  local function run(text, options)
    options = options or {}
    local args = { "--local", "--nats", nats.url, "--state-dir", options.state or T.tmpdir() }
    for _, word in ipairs(options.args or {}) do args[#args + 1] = word end
    args[#args + 1] = options.servers or names(6)
    local with = {}
    for name, value in pairs(options) do with[name] = value end
    with.args = args
    return T.run_script("local muster = require 'muster'\n" .. text, with)
  end
  setup(function()
    nats = A.nats()
    A.three(nats, { forks = 6 })
  end)
  teardown(A.end_all)

  it("never has more in a semaphore than it says, over all agents", function()
    local dir = T.tmpdir()
    local result = run(([[
      local dir = %q
      return { steps = { { name = "go", run = function(server)
        local permit <close> = muster.semaphore("api", 3):acquire()
        muster.exec("mkdir %%s/%%s && ls %%s | wc -l >%%s.seen-%%s", dir, server.id, dir, dir, server.id)
        muster.sleep(0.02)
        muster.exec("rmdir %%s/%%s", dir, server.id)
      end } } }]]):format(dir), { servers = names(30) })
    assert.equals(0, result.code, result.stderr)
    local most = 0
    for i = 1, 30 do most = math.max(most, tonumber(T.read(("%s.seen-s%02d"):format(dir, i)))) end
    assert.equals(3, most)
    assert.is_true(#T.exec { "sh", "-c", "rm -f " .. dir .. ".seen-*; ls " .. dir }.stdout == 0)
    local some = 0
    for _ in pairs(A.workers(result.log)) do some = some + 1 end
    assert.equals(3, some)
  end)

  it("judges a server by its past", function()
    local state, dir = T.tmpdir(), T.tmpdir()
    local text = ([[return { steps = { { name = 's', run = function() return tonumber(io.open(%q):read "a") end,
      thresholds = { score = { history = { drop = '5%%' } } } } } }]]):format(dir .. "/value")
    T.write(dir .. "/value", "70")
    for _ = 1, 5 do assert.equals(0, run(text, { state = state, dir = dir, servers = names(2) }).code) end
    T.write(dir .. "/value", "50")
    local result = run(text, { state = state, dir = dir, servers = names(2) })
    assert.equals(1, result.code, result.stdout .. result.stderr)
    assert.same({ "s01", "s02" }, result.results.failed_servers)
    assert.equals("s.score 50 is 29 % under its median of 5 runs (70)", S.failures(result.results.servers[1])[1].message)
  end)

  it("measures pairs, each server in one at a time", function()
    local dir = T.tmpdir()
    local result = run(([[
      local dir = %q
      local function hold(server)
        muster.exec { "mkdir", dir .. "/" .. server.id }
        return setmetatable({}, { __close = function() muster.exec { "rmdir", dir .. "/" .. server.id } end })
      end
      return { steps = { { name = "own", run = function() return 1 end },
        { name = "wire", pair = true, run = function(server, params, peer)
          local one <close> = hold(server)
          local other <close> = hold(peer)
          muster.log.info("> pair", { pair = server.id .. "-" .. peer.id, same = server.id == peer.id })
          return { speed = (server.id == "s03" or peer.id == "s03") and 1 or 10 }
        end, thresholds = { speed = { min = 5 } } } } }]]):format(dir))
    assert.equals(1, result.code, result.stdout .. result.stderr)
    assert.same({ "s03" }, result.results.failed_servers)
    local pairs_seen = 0
    for _, line in ipairs(result.log) do
      if line.event == "> pair" then
        pairs_seen = pairs_seen + 1
        assert.is_false(line.same)
      end
    end
    assert.is_true(pairs_seen >= 3)
  end)

  it("takes steps, parameters, thresholds and --fail-fast of the command line", function()
    local text = [[return { params = { n = 1, word = "" }, steps = {
      { name = "one", run = function(server, params) return params.n end },
      { name = "two", run = function(server, params) assert(params.word == "a b") return 2 end },
      { name = "three", run = function() return 3 end } } }]]
    local function steps(result)
      local list = {}
      for _, step in ipairs(result.results.servers[1].steps) do list[#list + 1] = step.name .. " " .. step.status end
      return list
    end
    local result = run(text, { servers = "a", args = { "-p", "n=7", "-s", "one,three", "-t", "one.score=>= 8" } })
    assert.same({ "one failed", "three passed" }, steps(result), result.stderr)
    assert.equals(7, result.results.servers[1].steps[1].metrics.score.value)
    result = run(text, { servers = "a", args = { "-p", "word=a b", "-t", "one.score=>= 8", "--fail-fast" } })
    assert.same({ "one failed", "two skipped", "three skipped" }, steps(result), result.stderr)
    result = run(text, { servers = "a", args = { "--timeout", "1s", "-p", "word=x" } })
    assert.same({ "one passed", "two error", "three passed" }, steps(result), result.stderr)
  end)

  it("has its modules with it, and takes them anew when they have changed", function()
    local dir = T.tmpdir()
    local text = "local own = require 'own.numbers'\nreturn { steps = { { name = 's', run = function() " ..
      "return own.number() end } } }"
    assert(os.execute("mkdir " .. dir .. "/own"))
    for _, number in ipairs { 5, 6 } do
      T.write(dir .. "/own/numbers.lua", "return { number = function() return require('other').n end }")
      T.write(dir .. "/other.lua", "return { n = " .. number .. " }")
      local result = run(text, { dir = dir })
      assert.equals(0, result.code, result.stderr)
      for _, server in ipairs(result.results.servers) do assert.equals(number, server.steps[1].metrics.score.value) end
    end
  end)

  it("has the files with it that it names, and nothing else of its folder", function()
    local dir = T.tmpdir()
    assert(os.execute("mkdir " .. dir .. "/payload"))
    local result = run([[return { files = { "payload/*.sh" }, steps = { { name = "s", run = function()
      assert(not io.open(muster.run.dir .. "/other.txt"))
      return tonumber(muster.exec("sh %s/payload/score.sh", muster.run.dir).stdout)
    end } } }]], { dir = dir, files = { ["payload/score.sh"] = "echo 42\n", ["other.txt"] = "secret" } })
    assert.equals(0, result.code, result.stderr)
    assert.equals(42, result.results.servers[1].steps[1].metrics.score.value)
  end)

  it("tells its dry run, its timeouts and its memory limit as ever", function()
    local text = [[return { timeout = "20s", steps = {
      { name = "late", timeout = 0.1, run = function() muster.sleep(10) end },
      { name = "large", run = function(server) local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1000) .. i end end } },
      teardown = function() muster.log.info "> teardown" end }]]
    local result = run(text, { servers = "a", args = { "--task-memory", "4M" } })
    local server = result.results.servers[1]
    assert.same({ "timeout", "error" }, { server.steps[1].status, server.steps[2].status }, result.stderr)
    assert.truthy(T.find_log(result.log, "> teardown"))
    result = run(text, { servers = "a", args = { "--dry-run" } })
    assert.equals(0, result.code, result.stderr)
    assert.is_true(result.results.run.dry_run)
  end)

  it("is listed by `muster agents`", function()
    local result = T.run { "agents", "--nats", nats.url }
    assert.equals(0, result.code, result.stderr)
    for _, name in ipairs { "a", "b", "c" } do assert.matches("\n?" .. name .. "%s", result.stdout) end
  end)
end)
