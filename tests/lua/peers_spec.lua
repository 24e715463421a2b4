-- Metrics compared with what other servers measured: cohorts, the second measurement, what is judged when.
local T = require "muster_test"
local cjson = require "cjson"

-- What a server measures the first, second, … time is in its variables m1, m2, … (samples with blanks between; Lua code
-- after "!"); without them m1, or else 100. Every hook and step notes itself in a file of the server.
local function script(options)
  return ([[
local muster = require "muster"
local function note(server, what)
  local file = assert(io.open(%q .. "/" .. server.id, "a"))
  file:write(what, "\n")
  file:close()
end
local function times(server, what)
  local n = 0
  for line in io.lines(%q .. "/" .. server.id) do if line == what then n = n + 1 end end
  return n
end
local function measure(server)
  note(server, "cpu")
  local said = server.vars["m" .. times(server, "cpu")] or server.vars.m1 or "100"
  if said:sub(1, 1) == "!" then return load(said:sub(2), "said", "t", { server = server, error = error, muster = muster })() end
  local samples = {}
  for number in said:gmatch "%%S+" do samples[#samples + 1] = tonumber(number) end
  return { score = #samples > 1 and samples or samples[1] }
end
return muster.script {
  setup = function(server)
    note(server, "setup")
    if server.vars.bad_setup and times(server, "setup") > 1 then muster.sleep(0) error(muster.errors[server.vars.bad_setup]("no setup")) end
  end,
  teardown = function(server)
    note(server, "teardown")
    if server.vars.bad_teardown and times(server, "teardown") > 1 then error(muster.errors.ServerOperationError("still there")) end
  end,
  %s
  steps = {
    { name = "prep", run = function(server) note(server, "prep") end },
    { name = "first", run = function(server) note(server, "first") return 1 end },
    { name = "cpu", needs = { "prep" }, run = measure, %s thresholds = { score = %s } },
    { name = "last", needs = { "cpu" }, run = function(server) note(server, "last") return 2 end },
  },
}]]):format(options.notes, options.notes, options.script or "", options.step or "", options.rule or '{ peers = { drop = "10%" } }')
end

-- servers: a list of { id, name = value, ... }, or a number of them that measure 100.
local function fleet(servers)
  local list = {}
  for _, server in ipairs(servers) do
    local vars = setmetatable({}, { __index = {} })
    for name, value in pairs(server) do if name ~= 1 then vars[name] = value end end
    list[#list + 1] = { id = server[1], vars = next(vars) and vars or nil }
  end
  return T.write(T.tmpdir() .. "/fleet.json", cjson.encode { servers = list })
end

local function healthy(n, more)
  local list = {}
  for i = 1, n do list[i] = { ("ok%02d"):format(i) } end
  for _, server in ipairs(more or {}) do list[#list + 1] = server end
  return list
end

local function run(servers, options)
  options = options or {}
  options.notes = T.tmpdir()
  local args = { "-i", fleet(servers), "-j", options.forks or "8" }
  for _, word in ipairs(options.args or {}) do args[#args + 1] = word end
  local r = T.run_local(script(options), { args = args })
  assert(r.results, r.stderr)
  r.by_id, r.did = {}, {}
  for _, server in ipairs(r.results.servers) do
    r.by_id[server.id] = server
    for _, step in ipairs(server.steps) do server[step.name] = step end
    local file = io.open(options.notes .. "/" .. server.id)
    r.did[server.id] = file and file:read("a"):gsub("\n", " "):gsub(" $", "") or ""
    if file then file:close() end
  end
  return r
end

local ONCE = "setup prep first cpu last teardown"
local TWICE = ONCE .. " setup prep cpu teardown"

describe("a metric that is compared with its peers", function()
  it("names the slow of sixty servers, after a second measurement, and nobody else", function()
    local servers = {}
    for i = 1, 60 do
      local speed = i % 2 == 0 and 100 or 50
      local function samples(by)
        local out = {}
        for k = 1, 5 do out[k] = ("%.2f"):format(speed * by * (1 + ((i * 7 + k * 13) % 11 - 5) / 200)) end
        return table.concat(out, " ")
      end
      servers[i] = { ("srv%02d"):format(i), model = i % 2 == 0 and "R740" or "R650", m1 = samples(1) }
      if i == 10 or i == 13 then servers[i].m1 = samples(0.85) end
      if i == 20 then servers[i].m1, servers[i].m2 = samples(0.8), samples(1) end
    end
    for i = 61, 63 do servers[i] = { "srv" .. i, model = "X9", m1 = i == 61 and "5" or "100" } end
    servers[64] = { "srv64", m1 = "1" }
    local r = run(servers, { rule = '{ unit = "Mops", peers = { group_by = "model", drop = "10%" } }', args = { "--workers", "3" } })
    assert.equal(1, r.code)
    assert.same({ "srv10", "srv13" }, r.results.failed_servers)
    for id, did in pairs(r.did) do
      assert.equal((id == "srv10" or id == "srv13" or id == "srv20") and TWICE or ONCE, did, id)
    end
    local slow, lucky = r.by_id.srv10.cpu, r.by_id.srv20
    assert.same({ "failed", 2, 1 }, { slow.status, slow.measured, #slow.failures })
    assert.matches("^cpu%.score 8%d%.?%d* < 90 Mops %(peers: median 100 %- 10 %%, 30 with model R740%) %(median of 5 samples, ",
      slow.failures[1].message)
    assert.matches("^cpu%.score 8%d%.?%d* < 90 Mops %(peers: median 100 %- 10 %%, 30 with model R740%)$", slow.earlier)
    assert.same({ "missed", 100, 30, "model", "R740", "10%" }, { slow.metrics.score.peers.state, slow.metrics.score.peers.median,
      slow.metrics.score.peers.cohort, slow.metrics.score.peers.group_by, slow.metrics.score.peers.group,
      slow.metrics.score.peers.drop })
    assert.same({ "passed", "passed", 2, "passed" }, { lucky.status, lucky.cpu.status, lucky.cpu.measured, lucky.last.status })
    assert.matches("^cpu%.score 80.* < 90 Mops %(peers: ", lucky.cpu.earlier)
    assert.same({}, lucky.cpu.failures)
    assert.equal("passed", r.by_id.srv02.cpu.metrics.score.judgement)
    assert.equal("unjudged", r.by_id.srv61.cpu.metrics.score.judgement)
    for _, line in ipairs {
      "Not judged: cpu.score of 3 servers by peers: 3 with model X9 measured it, 5 are needed. unjudged_servers=[srv61, srv62, srv63]\n",
      "Not judged: cpu.score of 1 server by peers: it has no model. unjudged_servers=[srv64]\n",
      "Out of 64, 2 servers failed. failed_servers=[srv10, srv13]\n",
    } do assert.truthy(r.stdout:find(line, 1, true), r.stdout) end
    assert.matches("FAILED       cpu.score 8%d%.?%d* < 90 Mops %(peers: median 100 %- 10 %%, 30 with model R740%) +srv10 +1\n", r.stdout)
    local line = T.find_log(r.log, "Benchmark failed: PerformanceBelowExpected: cpu.score 8")
    assert.same({ "error", "cpu" }, { line.level, line.step })
    line = T.find_log(r.log, "Passed when measured again; before that: cpu.score 80")
    assert.same({ "srv20", "cpu" }, { line.server_id, line.step })
    assert.truthy(T.find_log(r.log, "3 servers are measured again, since they are behind their peers."))
    assert.truthy(T.find_log(r.log, "Started again: measured once more, since it is behind its peers: cpu.score 8"))
  end)

  it("may be one where more is worse", function()
    local r = run(healthy(6, { { "hot", m1 = "120" }, { "cold", m1 = "50" } }), { rule = "{ peers = { rise = 10 } }" })
    assert.same({ "hot" }, r.results.failed_servers)
    assert.equal("cpu.score 120 > 110 (peers: median 100 + 10, 8 servers)", r.by_id.hot.cpu.failures[1].message)
  end)

  it("has its own bounds beside, which are judged at once and are reason enough", function()
    local r = run(healthy(6, { { "bad", m1 = "20" }, { "slow", m1 = "80" } }), { rule = '{ min = 50, peers = { drop = "10%" } }' })
    assert.same({ "bad", "slow" }, r.results.failed_servers)
    assert.same({ ("setup prep first cpu teardown"), TWICE }, { r.did.bad, r.did.slow })
    assert.equal("cpu.score 20 < 50", r.by_id.bad.cpu.failures[1].message)
    assert.equal(1, #r.by_id.bad.cpu.failures)
  end)

  it("differs by server as any threshold does", function()
    local r = run(healthy(6, { { "a", m1 = "80", kind = "lax" }, { "b", m1 = "80" },
      { "c", m1 = "80", thresholds = { ["cpu.score"] = { peers = { drop = "30%" } } } },
      { "d", m1 = "95", thresholds = { ["cpu.score"] = { peers = { drop = 2 } } } } }),
      { rule = '{ { where = { kind = "lax" }, min = 10 }, { peers = { drop = "10%" } } }' })
    assert.same({ "b", "d" }, r.results.failed_servers)
    assert.equal("cpu.score 95 < 98 (peers: median 100 - 2, 10 servers)", r.by_id.d.cpu.failures[1].message)
  end)
end)

describe("the second measurement", function()
  local function slow(more)
    local server = { "slow", m1 = "80" }
    for name, value in pairs(more or {}) do server[name] = value end
    return healthy(6, { server })
  end
  local BEHIND = "cpu.score 80 < 90 (peers: median 100 - 10 %, 7 servers)"

  it("is not made with confirm = 0, for the step or the script", function()
    for _, options in ipairs { { step = "confirm = 0," }, { script = "confirm = 0," } } do
      local r = run(slow { m2 = "100" }, options)
      assert.same({ 1, "failed", 1, ONCE }, { r.code, r.by_id.slow.status, r.by_id.slow.cpu.measured, r.did.slow })
      assert.equal(BEHIND, r.by_id.slow.cpu.failures[1].message)
    end
  end)

  it("is made as often as confirm says, until it passes", function()
    local r = run(slow { m2 = "81", m3 = "100" }, { step = "confirm = 3," })
    assert.same({ 0, 3, TWICE .. " setup prep cpu teardown" }, { r.code, r.by_id.slow.cpu.measured, r.did.slow })
    assert.equal(BEHIND .. "; " .. BEHIND:gsub("80", "81"), r.by_id.slow.cpu.earlier)
    r = run(slow { m2 = "81", m3 = "82", m4 = "100" }, { step = "confirm = 2," })
    assert.same({ 1, 3 }, { r.code, r.by_id.slow.cpu.measured })
    assert.equal(BEHIND:gsub("80", "82"), r.by_id.slow.cpu.failures[1].message)
  end)

  it("is judged against the cohort as it was, and by the step's own rules", function()
    local r = run(slow { m2 = "20" }, { rule = '{ min = 50, peers = { drop = "10%" } }' })
    assert.same({ "failed", "cpu.score 20 < 50", BEHIND, 1 }, { r.by_id.slow.status, r.by_id.slow.cpu.failures[1].message,
      r.by_id.slow.cpu.earlier, #r.by_id.slow.cpu.failures })
    r = run(slow { m2 = "90" })
    assert.same({ 0, 7, 100 }, { r.code, r.by_id.slow.cpu.metrics.score.peers.cohort, r.by_id.slow.cpu.metrics.score.peers.median })
  end)

  it("is an error when it cannot be made, and not failed", function()
    for code, said in pairs {
      ["!error('broken')"] = ":1: broken",
      ["!return {}"] = "metric score has a threshold and is missing: the step returned no such metric",
      ["!error(muster.errors.ConnectError('no route'))"] = "no route",
    } do
      local r = run(slow { m2 = code })
      local f = r.by_id.slow.cpu.failures[1]
      assert.same({ 3, "error", "error", 1 }, { r.code, r.by_id.slow.status, f.status, #r.by_id.slow.cpu.failures })
      assert.truthy(f.message:find("failed first: " .. BEHIND .. "; then could not be measured again: ", 1, true), f.message)
      assert.truthy(f.message:find(said, 1, true), f.message)
      assert.truthy(r.stdout:find("Not judged: cpu.score of 1 server by peers: it could not be measured again. unjudged_servers=[slow]",
        1, true), r.stdout)
    end
  end)

  it("is an error when setup cannot be repeated; an operation on the server that fails then is a failure", function()
    local r = run(slow { bad_setup = "CommandError" })
    assert.same({ 3, "error", {} }, { r.code, r.by_id.slow.status, r.by_id.slow.failures })
    assert.truthy(r.by_id.slow.cpu.failures[1].message:find("could not be measured again: no setup", 1, true))
    assert.equal(ONCE .. " setup teardown", r.did.slow)
    r = run(slow { bad_setup = "ServerOperationError" })
    assert.same({ 1, "failed", "setup" }, { r.code, r.by_id.slow.status, r.by_id.slow.failures[1].where })
    r = run(slow { m2 = "100", bad_teardown = "yes" })
    assert.same({ 1, "failed", "teardown", "passed" },
      { r.code, r.by_id.slow.status, r.by_id.slow.failures[1].where, r.by_id.slow.cpu.status })
  end)

  it("claims and releases as the first did", function()
    local notes = T.tmpdir()
    local text = script { notes = notes }:gsub('note%(server, "setup"%)', '%0 server:claim{ node = server.id }')
      :gsub('note%(server, "teardown"%)', '%0 server:release()')
    local r = T.run_local(text, { args = { "-i", fleet(slow {}), "--state-dir", T.tmpdir() } })
    assert.equal(1, r.code, r.stderr)
    assert.same({}, r.results.left_behind_servers)
    assert.equal(TWICE, (T.read(notes .. "/slow"):gsub("\n", " "):gsub(" $", "")))
  end)

  it("is not made while something is left behind", function()
    local notes = T.tmpdir()
    local text = script { notes = notes }:gsub('note%(server, "setup"%)', 'note(server, "setup") if server.id == "slow" then server:claim{} end')
    local r = T.run_local(text, { args = { "-i", fleet(slow {}), "--state-dir", T.tmpdir() } })
    assert.equal(4, r.code, r.stderr)
    assert.equal(ONCE, (T.read(notes .. "/slow"):gsub("\n", " "):gsub(" $", "")))
    assert.truthy(r.stdout:find("by peers: what it installed is still there, so it was not measured again. unjudged_servers=[slow]",
      1, true), r.stdout)
  end)
end)

describe("marks", function()
  local MARK = 'max_broken = "100%", mark = function(server, verdict) note(server, "mark " .. verdict.reason) end,'

  it("wait for the verdict by peers, and say how often it was measured", function()
    local r = run(healthy(6, { { "slow", m1 = "80" }, { "lucky", m1 = "80", m2 = "99" } }), { script = MARK })
    assert.same({ "slow" }, r.results.marked_servers)
    assert.matches("^" .. TWICE .. " mark muster: cpu.score 80 < 90 %(peers: median 100 %- 10 %%, 8 servers%) %(measured twice%); run ",
      r.did.slow)
    assert.equal(TWICE, r.did.lucky)
  end)

  it("of a server that has failed by itself wait for its peers too", function()
    local r = run({ { "bad", m1 = "20", m2 = "20" }, table.unpack(healthy(6)) },
      { script = MARK, forks = "1", rule = '{ min = 50, peers = { drop = "10%" } }' })
    local marked, finished
    for i, line in ipairs(r.log) do
      if line.event:find("Marked as broken", 1, true) then marked = i end
      if line.event:find("Server finished", 1, true) then finished = i end
    end
    assert.truthy(marked > finished)
    assert.same({ "bad" }, r.results.marked_servers)
  end)

  it("count servers that still wait as ones that may fail", function()
    local r = run(healthy(6, { { "a", m1 = "80" }, { "b", m1 = "80" } }),
      { script = MARK:gsub("100%%%%", "1"):gsub('"100%%"', "1") })
    assert.same({ {}, { "a", "b" }, true }, { r.results.marked_servers, r.results.unmarked_servers, r.results.marks.over })
  end)
end)

describe("an interrupted run", function()
  -- The shell's parent is muster itself.
  local STOP = "!server:exec('kill -INT $PPID; sleep 60') return 1"

  it("judges nobody by peers when it was interrupted before all had measured", function()
    local servers = healthy(6, { { "slow", m1 = "10" }, { "bad", m1 = "1" }, { "last", m1 = STOP }, { "never" } })
    local r = run(servers, { forks = "1", rule = '{ min = 5, peers = { drop = "10%" } }' })
    assert.equal(130, r.code, r.stderr)
    assert.same({ "passed", "failed", "cancelled" }, { r.by_id.slow.status, r.by_id.bad.status, r.by_id.last.status })
    assert.same({ "bad" }, r.results.failed_servers)
    assert.truthy(r.stdout:find("Not judged: cpu.score of 7 servers by peers: the run was interrupted. unjudged_servers=[ok01, ok02, "
      .. "ok03, ok04, ok05, ok06, slow]", 1, true), r.stdout)
  end)

  it("does not fail who was being measured again, or was still to be", function()
    local servers = healthy(6, { { "a", m1 = "80", m2 = STOP }, { "b", m1 = "80" }, { "c", m1 = "99" } })
    local r = run(servers, { forks = "1" })
    assert.equal(130, r.code, r.stderr)
    assert.same({}, r.results.failed_servers)
    assert.same({ "passed", "passed", 80 }, { r.by_id.a.status, r.by_id.b.status, r.by_id.a.cpu.metrics.score.value })
    assert.same({ "not judged", "not judged", "passed" }, { r.by_id.a.cpu.metrics.score.peers.state,
      r.by_id.b.cpu.metrics.score.peers.state, r.by_id.c.cpu.metrics.score.peers.state })
    assert.truthy(r.stdout:find("Not judged: cpu.score of 2 servers by peers: interrupted before it was measured again. "
      .. "unjudged_servers=[a, b]", 1, true), r.stdout)
  end)
end)
