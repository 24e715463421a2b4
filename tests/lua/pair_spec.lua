-- Steps of two servers together: who is paired with whom, which of two a bad result is about, and how such a run ends.
local S = require "ssh_support"
local T = require "muster_test"
local cjson = require "cjson"

-- A pair is as fast as its slower server, whose variable speed says it; `run`, Lua, says more of a server's behaviour.
-- Each server has a folder while it is in a pair: mkdir fails for one that is in two.
local function script(options)
  options = options or {}
  return ([[
local muster = require "muster"
local dir = %q
local function hold(server)
  server:exec { "mkdir", dir .. "/" .. server.id }
  return setmetatable({}, { __close = function() server:exec { "rmdir", dir .. "/" .. server.id } end })
end
local function behave(server, peer)
  if server.vars.run then
    return assert(load(server.vars.run, "vars", "t", { server = server, peer = peer, muster = muster, error = error, setmetatable = setmetatable }))()
  end
end
%s
return muster.script {
  %s
  steps = {
    { name = "own", run = function(server)
        if server.vars.own == "fail" then error(muster.errors.CheckFailed "no") end
        if server.vars.own == "gone" then error(muster.errors.ConnectError "gone") end
      end },
    { name = "wire", pair = true, timeout = %s, %s
      run = function(server, params, peer)
        local one <close> = hold(server)
        local other <close> = hold(peer)
        local note <close> = assert(io.open(dir .. "/pairs", "a"))
        note:write(server.id, "-", peer.id, "\n")
        note:flush()
        %s
        muster.sleep(0.01)
        behave(server, peer)
        behave(peer, server)
        return { speed = math.min(server.vars.speed or 10, peer.vars.speed or 10) }
      end,
      thresholds = { speed = { min = 5, unit = "Gbit/s" } } },
    %s
  },
}]]):format(options.dir, options.head or "", options.script or "", options.timeout or '"1m"', options.step or "", options.note or "",
  options.steps or "")
end

-- A list of { id, name = value, … }.
local function fleet(servers)
  local list = {}
  for i, server in ipairs(servers) do
    local vars = {}
    for name, value in pairs(server) do if name ~= 1 then vars[name] = value end end
    list[i] = { id = server[1], vars = next(vars) and vars or nil }
  end
  return T.write(T.tmpdir() .. "/fleet.json", cjson.encode { servers = list })
end

local function describe_result(r, dir)
  assert(r.results, r.stderr)
  r.by_id, r.wire, r.pairs = {}, {}, {}
  for _, server in ipairs(r.results.servers) do
    r.by_id[server.id] = server
    for _, step in ipairs(server.steps) do
      if step.name == "wire" then r.wire[server.id] = step end
    end
  end
  local file = io.open(dir .. "/pairs")
  for line in file and file:lines() or function() end do r.pairs[#r.pairs + 1] = line end
  if file then file:close() end
  return r
end

local function run(servers, options)
  options = options or {}
  options.dir = T.tmpdir()
  local args = { "-i", options.inventory or fleet(servers) }
  for _, word in ipairs(options.args or {}) do args[#args + 1] = word end
  local result = describe_result((options.inventory and T.run_script or T.run_local)(script(options), { args = args }), options.dir)
  result.dir_of_run = options.dir
  return result
end

local function healthy(n, more)
  local list = {}
  for i = 1, n do list[i] = { ("ok%02d"):format(i) } end
  for place, server in pairs(more or {}) do list[place] = server end
  return list
end

local function sorted(list)
  local out = { table.unpack(list) }
  table.sort(out)
  return out
end

describe("a pair step", function()
  it("measures two servers together, and is a result of both", function()
    local r = run(healthy(4))
    assert.same({ 0, { "ok01-ok02", "ok03-ok04" } }, { r.code, sorted(r.pairs) }, r.stderr)
    for id, wire in pairs(r.wire) do
      assert.same({ "passed", 1, 10 }, { wire.status, wire.measured, wire.metrics.speed.value }, id)
      assert.equal("passed", r.by_id[id].status)
    end
    local line = T.find_log(r.log, "Step finished: passed")
    line = line and T.find_log(r.log, "Paired with ok02.")
    assert.same({ "ok01", "ok02" }, { line.server_id, line.peer_id })
  end)

  it("pairs the odd one with one that was measured", function()
    local r = run(healthy(5))
    assert.same({ 0, { "ok01-ok02", "ok03-ok04", "ok05-ok01" } }, { r.code, sorted(r.pairs) }, r.stderr)
    assert.same({ 1, 1 }, { r.wire.ok05.measured, r.wire.ok01.measured })
  end)

  it("pairs the doubted anew, and blames the bad one alone, however many run at a time", function()
    local servers = healthy(9, { [4] = { "slow", speed = 1 }, [9] = { "tired", speed = 2 } })
    for _, args in ipairs { { "-j", "1" }, { "-j", "3", "--workers", "3" }, { "-j", "50", "--workers", "2" }, { "-j", "50", "--workers", "1" } } do
      local r = run(servers, { args = args })
      assert.equal(1, r.code, r.stderr)
      assert.same({ "slow", "tired" }, r.results.failed_servers)
      assert.same({ "ok01-ok02", "ok03-ok01", "ok03-slow", "ok05-ok06", "ok07-ok08", "slow-ok02", "tired-ok01", "tired-ok05" },
        sorted(r.pairs))
    end
  end)

  it("tells of the first partner, and of the last", function()
    local r = run(healthy(4, { [2] = { "slow", speed = 1 } }))
    assert.same({ "slow" }, r.results.failed_servers)
    assert.same({ "failed", 2, 1 }, { r.wire.slow.status, r.wire.slow.measured, #r.wire.slow.failures })
    assert.matches("^wire%.speed 1 < 5 Gbit/s.*, with ok04$", r.wire.slow.failures[1].message)
    assert.matches("^wire%.speed 1 < 5 Gbit/s.*, with ok01$", r.wire.slow.earlier)
    assert.same({ "passed", 2, {} }, { r.wire.ok01.status, r.wire.ok01.measured, r.wire.ok01.failures })
    assert.matches("^wire%.speed 1 < 5 Gbit/s.*, with slow$", r.wire.ok01.earlier)
    assert.truthy(T.find_log(r.log, "Passed when paired anew; before that: wire.speed 1"))
    assert.truthy(T.find_log(r.log, "Paired with ok03, anew: wire.speed 1"))
    assert.same({ "passed", 1 }, { r.wire.ok03.status, r.wire.ok03.measured })
  end)

  it("finds who is good by the odd one when no pair was", function()
    local r = run { { "a" }, { "slow", speed = 1 }, { "c" } }
    assert.same({ "slow" }, r.results.failed_servers, r.stderr)
    r = run { { "slow", speed = 1 }, { "b" }, { "c" } }
    assert.same({ "slow" }, r.results.failed_servers, r.stderr)
    r = run { { "a" }, { "b" }, { "slow", speed = 1 } }
    assert.same({ "slow" }, r.results.failed_servers, r.stderr)
    assert.same({ "a-b", "slow-a", "slow-b" }, sorted(r.pairs))
  end)

  it("blames neither of two when there is nobody else: which one it is, is not known", function()
    local r = run({ { "a" }, { "slow", speed = 1 } },
      { script = 'mark = function() muster.log.info "Marks." end, max_broken = "100%",' })
    assert.same({ 3, {}, { "a", "slow" }, { "a-slow" } },
      { r.code, r.results.failed_servers, sorted(r.results.unmeasured_servers), r.pairs }, r.stderr)
    for id, partner in pairs { a = "slow", slow = "a" } do
      local failure = r.wire[id].failures[1]
      assert.same({ "error", 1, "PerformanceBelowExpected" }, { r.wire[id].status, r.wire[id].measured, failure.type })
      assert.equal("speed 1 < 5, of a pair; which of the two it is, is not known", failure.cause)
      assert.equal(("wire.speed 1 < 5 Gbit/s, with %s: one of %s, %s, which of them is not known, since there was no good server"
        .. " to pair them with"):format(partner, id, partner), failure.message)
    end
    assert.matches("ERROR +wire: PerformanceBelowExpected: speed 1 < 5, of a pair; which of the two it is, is not known +a,slow +2",
      r.stdout)
    assert.is_nil(T.find_log(r.log, "Marks."))
    r = run({ { "a" }, { "gone", run = 'error(muster.errors.ConnectError "no route")' } })
    assert.same({ 3, "error", "error" }, { r.code, r.wire.a.status, r.wire.gone.status })
    assert.matches("no route.*, with gone: one of a, gone, which of them is not known", r.wire.a.failures[1].message)
  end)

  it("mixes the pairs when none was good, and finds who is", function()
    local r = run(healthy(4, { [2] = { "slow", speed = 1 }, [3] = { "tired", speed = 2 } }))
    assert.same({ 1, { "slow", "tired" } }, { r.code, sorted(r.results.failed_servers) }, r.stderr)
    assert.matches("^wire%.speed 1 < 5.*, with ok%d+$", r.wire.slow.failures[1].message)
    assert.matches("wire%.speed 1 < 5.*, with ok01; wire%.speed 1 < 5.*, with tired$", r.wire.slow.earlier)
    assert.same({ 2, 3 }, { r.wire.ok01.measured, r.wire.slow.measured })
    -- Like with like: nobody is known to be good, so nobody to be bad.
    r = run(healthy(4, { [1] = { "slow", speed = 1 }, [3] = { "tired", speed = 2 } }))
    assert.same({ 3, {}, 4 }, { r.code, r.results.failed_servers, #r.results.unmeasured_servers }, r.stderr)
  end)

  it("asks when who takes part", function()
    local steps = [[{ name = "also", pair = true, when = takes_part, run = function() end },]]
    local options = { step = "when = takes_part,", steps = steps, head = [[
      function takes_part(server, params)
        assert(params, "no params")
        if server.vars.part == "broken" then error "cannot say" end
        return server.vars.part ~= "no"
      end]] }
    local r = run(healthy(5, { [2] = { "aside", part = "no" }, [5] = { "broken", part = "broken" } }), options)
    assert.same({ 3, { "ok01-ok03", "ok04-ok01" } }, { r.code, sorted(r.pairs) }, r.stderr)
    assert.same({ "passed", "skipped", 0, "error" },
      { r.by_id.aside.status, r.wire.aside.status, #r.wire.aside.failures, r.wire.broken.status })
    assert.matches("cannot say", r.wire.broken.failures[1].message)
    for _, id in ipairs { "aside", "broken" } do
      local names = {}
      for _, step in ipairs(r.by_id[id].steps) do names[#names + 1] = step.name .. " " .. step.status end
      assert.same({ "own passed", id == "aside" and "wire skipped" or "wire error", "also skipped" }, names)
    end
    r = run({ { "a" }, { "aside", part = "no" } }, options)
    assert.same({ 0, "no other server to pair with" }, { r.code, r.wire.a.failures[1].message }, r.stderr)
    r = run(healthy(2, { [1] = { "lame", own = "fail", part = "broken" } }), { head = options.head, step = options.step .. " needs = { 'own' }," })
    assert.equal("not paired: a step that is needed did not pass", r.wire.lame.failures[1].message, "when is not asked then")
  end)

  local HOOKS = [[
    setup = function(server, params, more) assert(params and not more) tell("setup " .. server.id)
      if server.vars.setup then error(server.vars.setup) end end,
    teardown = function(server, params, more) assert(params and not more) tell("teardown " .. server.id)
      if server.vars.teardown then error(server.vars.teardown) end end,
    on_failure = function(server, failures, more) assert(#failures > 0 and not more) tell("on_failure " .. server.id) end,]]
  local NOTE = [[function tell(text) local f <close> = assert(io.open(dir .. "/notes", "a")) f:write(text, "\n") end]]

  local function notes(r)
    local lines = T.lines(T.read(r.dir_of_run .. "/notes"))
    return lines
  end

  it("has setup, on_failure and teardown of both around it", function()
    local r = run({ { "a" }, { "b" } }, { script = HOOKS, head = NOTE, note = 'tell("measures")' })
    assert.equal(0, r.code, r.stderr)
    local lines = notes(r)
    assert.same({ "setup a", "setup b", "measures", "teardown a", "teardown b" }, { table.unpack(lines, 5) })
    assert.same({ "setup a", "setup b", "teardown a", "teardown b" }, sorted { table.unpack(lines, 1, 4) })
    -- With nothing of its own to measure, nothing is done to a server alone.
    r = run({ { "a" }, { "b" } }, { script = HOOKS, head = NOTE, args = { "-s", "wire" } })
    assert.same({ "setup a", "setup b", "teardown a", "teardown b" }, notes(r))
    local said = 0
    for _, line in ipairs(r.log) do said = said + (line.event:find "^Server finished" and 1 or 0) end
    assert.equal(2, said, r.stderr)
    assert.truthy(T.find_log(r.log, "Paired with b."))
    local before = true
    for _, line in ipairs(r.log) do
      if line.event:find "^Server finished" then before = false end
      if line.event:find "^Paired" then assert.is_true(before, "finished before it was paired") end
    end
  end)

  it("blames who cannot be set up, or taken down, alone", function()
    for hook, status in pairs { setup = "error", teardown = "error" } do
      local r = run(healthy(4, { [2] = { "bad", [hook] = "no " .. hook } }),
        { script = HOOKS, head = NOTE, args = { "-s", "wire" } })
      assert.same({ 3, status, "passed", "passed", "passed" },
        { r.code, r.wire.bad.status, r.wire.ok01.status, r.wire.ok03.status, r.wire.ok04.status }, r.stderr)
      assert.matches("no " .. hook .. ", with ok%d+$", r.wire.bad.failures[1].message)
      local lines, count = notes(r), {}
      for _, line in ipairs(lines) do count[line] = (count[line] or 0) + 1 end
      for id in pairs(r.wire) do assert.equal(count["setup " .. id], count["teardown " .. id], id .. r.stderr) end
      local line = T.find_log(r.log, "no " .. hook)
      assert.equal("bad", line.server_id)
    end
  end)

  it("is skipped with one server alone, and in a dry run", function()
    local r = run { { "alone" } }
    assert.same({ 0, "skipped", "no other server to pair with" },
      { r.code, r.wire.alone.status, r.wire.alone.failures[1].message }, r.stderr)
    assert.equal("passed", r.by_id.alone.status)
    r = run(healthy(2), { args = { "--dry-run" } })
    assert.same({ 0, "skipped", "dry run", {} }, { r.code, r.wire.ok01.status, r.wire.ok01.failures[1].message, r.pairs })
  end)

  it("blames an unreachable, a hanging and a broken server alone", function()
    local ways = {
      unreachable = { "unreachable", 'error(muster.errors.ConnectError "gone")', 3 },
      hanging = { "timeout", "muster.sleep(60)", 3 },
      broken = { "error", 'error("broken")', 3 },
      failing = { "failed", 'error(muster.errors.CheckFailed "bad cable")', 1 },
    }
    for name, way in pairs(ways) do
      -- On a busy machine the others take their time, too.
      local r = run(healthy(5, { [3] = { "bad", run = way[2] } }), { timeout = name == "hanging" and "3" or nil })
      assert.same({ way[3], way[1], 2 }, { r.code, r.wire.bad.status, r.wire.bad.measured }, name .. r.stderr)
      assert.matches(", with ok%d+", r.wire.bad.failures[1].message)
      for id, wire in pairs(r.wire) do assert.equal(id == "bad" and way[1] or "passed", wire.status, name .. id) end
    end
  end)

  describe("with servers that cannot be connected to", function()
    -- Those named gone… are where nobody listens; the others are this machine.
    local function run_with(ids, vars, code)
      local list = {}
      for i, id in ipairs(ids) do
        list[i] = id:find "^gone" and { id = id, address = "127.0.0.1", port = 1 } or
          { id = id, transport = "local", vars = vars and vars[id] }
      end
      local inventory = T.write(T.tmpdir() .. "/fleet.json", cjson.encode { servers = list })
      local r = run(nil, { inventory = inventory, args = { "--connect-retries", "0", "--workers", "2" } })
      assert.equal(code or 3, r.code, r.stderr)
      for id, wire in pairs(r.wire) do
        if id:find "^gone" then
          assert.same({ "unreachable", 1, "ConnectError" }, { wire.status, wire.measured, wire.failures[1].type }, r.stderr)
          assert.matches("connection refused", wire.failures[1].message)
        end
      end
      return r
    end

    it("says so of them, and of nobody else", function()
      for _, ids in ipairs { { "a", "gone" }, { "gone", "a" } } do
        local r = run_with(ids)
        assert.same({ "skipped", "passed", "no other server to pair with: its partner was unreachable" },
          { r.wire.a.status, r.by_id.a.status, r.wire.a.failures[1].message }, r.stderr)
        assert.same({ { "gone" }, {} }, { r.results.unmeasured_servers, r.results.failed_servers })
        local line = T.find_log(r.log, "Its pair tells nothing of it, since gone was unreachable.")
        assert.equal("a", line.server_id)
      end
    end)

    it("pairs the others with each other", function()
      for want, ids in pairs { ["a-b"] = { "a", "gone1", "gone2", "b" },
        ["b-c"] = { "gone", "b", "c" }, ["d-e f-d"] = { "gone1", "d", "e", "gone2", "gone3", "f" },
        ["g-h i-g"] = { "g", "h", "i", "gone" } } do
        local r = run_with(ids)
        local n = 0
        for id, wire in pairs(r.wire) do
          if not id:find "^gone" then assert.same({ "passed", 1 }, { wire.status, wire.measured }, id .. r.stderr) end
          n = n + 1
        end
        assert.same({ #ids, want }, { n, table.concat(sorted(r.pairs), " ") }, r.stderr)
      end
    end)

    it("does not know which of two is bad where nobody else is left", function()
      local r = run_with({ "a", "gone", "slow" }, { slow = { speed = 1 } })
      assert.same({ "error", "error", {} }, { r.wire.a.status, r.wire.slow.status, r.results.failed_servers }, r.stderr)
      r = run_with({ "a", "gone", "slow", "b" }, { slow = { speed = 1 } }, 1)
      assert.same({ "passed", "passed", { "slow" } }, { r.wire.a.status, r.wire.b.status, r.results.failed_servers }, r.stderr)
    end)
  end)

  it("leaves out who was unreachable, or lacks what is needed", function()
    local r = run(healthy(5, { [1] = { "gone", own = "gone" }, [3] = { "lame", own = "fail" } }), { step = "needs = { 'own' }," })
    assert.same({ { "ok02-ok04", "ok05-ok02" }, 1 }, { sorted(r.pairs), r.code }, r.stderr)
    assert.same({ "skipped", "not paired: it was unreachable" }, { r.wire.gone.status, r.wire.gone.failures[1].message })
    assert.same({ "skipped", "not paired: a step that is needed did not pass" },
      { r.wire.lame.status, r.wire.lame.failures[1].message })
    r = run(healthy(2, { [1] = { "lame", own = "fail" } }))
    assert.same({ "lame-ok02" }, r.pairs)
    r = run(healthy(2, { [1] = { "lame", own = "fail" } }), { args = { "--fail-fast" } })
    assert.same({ {}, "no other server to pair with" }, { r.pairs, r.wire.ok02.failures[1].message })
  end)

  it("is picked by -s, or not", function()
    local r = run(healthy(2), { args = { "-s", "wire" } })
    assert.same({ 0, 1, "wire" }, { r.code, #r.by_id.ok01.steps, r.by_id.ok01.steps[1].name })
    r = run(healthy(2), { args = { "-s", "own" } })
    assert.same({ 0, 1, {} }, { r.code, #r.by_id.ok01.steps, r.pairs })
  end)

  it("may be one of several, and only the bad is repeated", function()
    local r = run(healthy(4, { [2] = { "slow", speed = 1 } }), { steps = [[
      { name = "second", pair = true, run = function(server, _, peer) return { n = { 3, 1, 2, server.id ~= peer.id and 2 or 0 } } end },
      { name = "wipe", pair = true, destructive = true, run = print },
      { name = "late", needs = { "own" }, run = print },]] })
    local names = {}
    for _, step in ipairs(r.by_id.ok01.steps) do names[#names + 1] = step.name .. " " .. step.status .. (step.measured > 1 and " again" or "") end
    assert.same({ "own passed", "late passed", "wire passed again", "second passed", "wipe skipped" }, names, r.stderr)
    for _, server in ipairs(r.results.servers) do
      local step = server.steps[1]
      for _, each in ipairs(server.steps) do step = each.name == "second" and each or step end
      assert.same({ 2, { 3, 1, 2, 2 } }, { step.metrics.n.value, step.metrics.n.samples }, server.id)
    end
  end)

  it("goes with peers of other steps, and with marking", function()
    local servers = healthy(6, { [3] = { "slow", speed = 1 }, [5] = { "odd", cpu = 50 } })
    local options = { args = { "--max-broken", "3" },
      script = 'mark = function(server, verdict) muster.log.info("Marks: " .. verdict.status) end, confirm = 1,',
      steps = [[{ name = "cpu", run = function(server) return server.vars.cpu or 100 end,
        thresholds = { score = { peers = { drop = "10%" } } } },]] }
    local r = run(servers, options)
    assert.same({ 1, { "odd", "slow" } }, { r.code, sorted(r.results.failed_servers) }, r.stderr)
    local marked = {}
    for _, line in ipairs(r.log) do
      if line.event:find "^Marks: " then marked[#marked + 1] = line.server_id end
    end
    assert.same({ "odd", "slow" }, sorted(marked), r.stderr)
    assert.same({ 2, 1 }, { r.wire.slow.measured, r.wire.odd.measured })
    assert.equal(5, #r.pairs)
  end)

  it("is recorded for both, and answered from there", function()
    local steps = [[{ name = "ask", pair = true, run = function(server, _, peer)
      return { n = tonumber(server:exec("echo %d # own", math.random(2^40)).stdout), m = tonumber(peer:exec("date +%s # other").stdout) }
    end },]]
    local dir, tapes = T.tmpdir(), T.tmpdir() .. "/tapes"
    local path = T.write(dir .. "/ask.lua", "return { steps = { " .. steps .. " } }")
    local function ask(...)
      local r = T.run { "run", path, "--json", dir .. "/r.json", "-i", fleet { { "one" }, { "other" } }, ... }
      assert.equal(0, r.code, r.stderr)
      local metrics = cjson.decode(T.read(dir .. "/r.json")).servers[2].steps[1].metrics
      return { metrics.n.value, metrics.m.value }
    end
    assert.same(ask("--local", "--record", tapes), ask("--replay", tapes))
  end)

  it("is ended at once by a second interrupt", function()
    local dir = T.tmpdir()
    local job = S.start(script { dir = dir }, { args = { "--local", "-i", fleet(healthy(2, {
      [1] = { "hang", run = 'local h <close> = setmetatable({}, { __close = function() muster.log.info "Stays." muster.sleep(600) end })'
        .. ' muster.log.info "Hangs." muster.sleep(600)' } })) } })
    job:wait_log "Hangs."
    job:signal "TERM"
    job:wait_log "Stays."
    job:signal "TERM"
    local r = describe_result(job:wait(), dir)
    assert.equal(143, r.code, r.stderr)
    for _, id in ipairs { "hang", "ok02" } do
      assert.same({ "cancelled", 2 }, { r.wire[id].status, #r.by_id[id].steps }, r.stderr)
    end
  end)

  it("gives the peer what a server has, but no claim", function()
    local r = run({ { "a" }, { "b", run = [[
      if server.vars.run == nil then error("whose vars?") end
      if peer.vars.run ~= nil then error("whose vars?") end
      if server.id ~= "b" or peer.id ~= "a" then error("who?") end
      if server:facts().kernel ~= peer:facts().kernel then error("facts") end
      if #server:read_file "/etc/passwd" == 0 then error("read_file") end
      local h = server:spawn(function() return server:exec("echo hi").stdout end)
      if h:wait() ~= "hi\n" then error("spawn") end
      server:claim { x = 1 }
    ]] } })
    assert.same({ 3, "error" }, { r.code, r.wire.a.status }, r.stderr)
    for _, id in ipairs { "a", "b" } do
      assert.matches("server:claim: not in a pair step: ", r.wire[id].failures[1].message, 1, true)
    end
  end)

  it("is left in good order by an interrupt", function()
    local dir = T.tmpdir()
    local job = S.start(script { dir = dir }, { args = { "--local", "-j", "1", "-i", fleet(healthy(6, {
      [1] = { "slow", speed = 1 }, [4] = { "hang", run = 'muster.log.info "Hangs." muster.sleep(600)' } })) } })
    job:wait_log "Hangs."
    job:signal "TERM"
    local r = describe_result(job:wait(), dir)
    assert.equal(143, r.code, r.stderr)
    assert.same({ "hang", "ok02", "ok03", "ok05", "ok06", "slow" }, sorted(r.results.unfinished_servers or {}), r.stderr)
    assert.same({ "slow-ok02", "ok03-hang" }, r.pairs)
    assert.same({ "cancelled", "cancelled", "cancelled", "cancelled" },
      { r.wire.slow.status, r.wire.ok02.status, r.wire.ok03.status, r.wire.hang.status })
    assert.matches("^wire%.speed 1 .*, with ok02$", r.wire.slow.earlier)
    assert.same({ "cancelled", "interrupted before it was paired" }, { r.wire.ok05.status, r.wire.ok05.failures[1].message })
    assert.same({}, r.results.failed_servers)
  end)
end)

describe("a script with pair steps", function()
  it("is refused where they cannot be what it says", function()
    local wrong = {
      { { step = "confirm = 1," }, "step wire is a pair step, and these have no confirm: " },
      { { step = "when = function() return true end,", steps = "{ name = 'p', pair = true, run = print }" },
        "the pair steps wire and p differ in their when" },
      { { steps = "{ name = 'after', needs = { 'wire' }, run = print }" }, "step after needs wire, a pair step" },
      { { steps = "{ name = 'p', pair = true, run = print, thresholds = { x = { peers = { drop = '1%' } } } }" },
        "step p is a pair step: its metrics are of two servers" },
      { { steps = "{ name = 'p', pair = 1, run = print }" }, "pair must be true or false, not a number" },
    }
    for _, case in ipairs(wrong) do
      case[1].dir = "/nowhere"
      local r = T.run_local(script(case[1]))
      assert.equal(2, r.code, r.stderr)
      assert.matches(case[2], r.stderr, 1, true)
      assert.matches("script.lua:%d+: ", r.stderr)
    end
  end)

  it("is used by another, and listed", function()
    local dir = T.tmpdir()
    T.write(dir .. "/inner.lua", script { dir = dir })
    local path = T.write(dir .. "/outer.lua", [[
      local muster = require "muster"
      return muster.script { steps = { muster.use "inner" } }]])
    local r = T.run { "list", path }
    assert.matches("step wire %(pair%): speed", r.stdout, nil, r.stderr)
    assert.matches("wire %(pair%)", T.run { "check", path }.stdout)
    r = T.run { "run", path, "--local", "a", "b", "--log-format", "json" }
    assert.equal(0, r.code, r.stderr)
    assert.equal("a-b\n", T.read(dir .. "/pairs"))
  end)
end)
