-- before_all and after_all: once a run each, for no server; what the first returns is in every task, what the second is told.
local T = require "muster_test"

local function run(text, args, options)
  options = options or {}
  options.args = args
  local r = T.run_local("local muster = require 'muster'\n" .. text, options)
  r.said, r.lines = {}, {}
  for _, line in ipairs(r.log) do
    if line.event:find "^> " then
      r.said[#r.said + 1] = line.event:sub(3)
      r.lines[#r.lines + 1] = line
    end
  end
  return r
end

local STEPS = "steps = { { name = 's', run = function(server) muster.log.info('> run ' .. server.id) return 1 end } }"

local function words(r) -- muster's own complaint
  return ((r.stderr:match "muster run: ([^\n]*)\n$" or r.stderr):gsub("[^%s(]*/script%.lua", "script.lua"))
end

describe("before_all", function()
  it("runs once, before the first server, and its lines carry no server", function()
    local r = run("return { before_all = function() muster.sleep(0.05) muster.log.info('> before') end, " .. STEPS .. " }",
      { "a", "b", "c", "-j", "2", "--workers", "2" })
    assert.equal(0, r.code, r.stderr)
    assert.equal("before", r.said[1])
    assert.equal(4, #r.said)
    assert.is_nil(r.lines[1].server_id)
    assert.equal("before_all", r.lines[1].phase)
    assert.is_string(r.lines[2].server_id)
    for _, line in ipairs(r.log) do
      if line.event == "> before" then break end
      assert.is_nil(line.server_id, line.event)
    end
  end)

  it("is given the servers to look at, and the parameters", function()
    local r = run([[ return { params = { n = 1 }, before_all = function(fleet, params)
        local ids = {}
        for i, server in ipairs(fleet) do ids[i] = server.id .. "/" .. server.address .. "/" .. server.port end
        for i, server in pairs(fleet) do assert(fleet[i].id == server.id) end
        assert(fleet[0] == nil and fleet[4] == nil and fleet.x == nil and fleet["1"] == nil)
        muster.log.info("> " .. #fleet .. " " .. params.n .. " " .. table.concat(ids, " "))
        muster.log.info("> " .. fleet[2].vars.rack .. " " .. #fleet[2].vars.list .. " " .. tostring(fleet[1].vars.rack)
          .. tostring(fleet[2].exec) .. " " .. #fleet[1].groups .. " " .. table.concat(fleet[2].groups, "+"))
        for _, change in ipairs { function() fleet[1] = 5 end, function() fleet[1].id = "x" end,
            function() fleet[2].vars.rack = 5 end, function() fleet[2].vars.list[1] = 5 end, function() rawset(fleet[1], "id", 5) end,
            function() setmetatable(fleet[1], {}) end } do
          local ok, e = pcall(change)
          assert(not ok)
          muster.log.info("> " .. e)
        end
      end, ]] .. STEPS .. " }", { "-p", "n=7", "-i", "-" }, { stdin =
      [[{"servers": ["a", {"id": "b", "address": "10.0.0.2", "port": 2222, "vars": {"rack": "r1", "list": [1, 2], "groups": ["web", "db"]}}, "c"]}]] })
    assert.equal(0, r.code, r.stderr)
    assert.same({ "3 7 a/a/22 b/10.0.0.2/2222 c/c/22", "r1 2 nilnil 0 web+db" }, { r.said[1], r.said[2] })
    for i = 3, 6 do assert.matches("script.lua:%d+: the fleet is read%-only: copy what you want to change$", r.said[i]) end
    assert.matches("the fleet is shared by all servers and read-only", r.said[7], 1, true)
    assert.matches("cannot change a protected metatable", r.said[8], 1, true)
  end)

  it("shares what it returns with every task, each its own read-only copy", function()
    local r = run([[ return {
      before_all = function()
        return { 1, 2.5, "three", [10] = true, nested = { deep = { "x", "y" } }, text = "a\0b", no = false, big = math.maxinteger }
      end,
      setup = function() assert(#muster.run.shared == 3) end,
      steps = { { name = "s", when = function() return muster.run.shared.nested.deep[2] == "y" end, run = function(server)
        local d = muster.run.shared
        assert(d == muster.run.shared and d[1] == 1 and math.type(d[1]) == "integer" and d[2] == 2.5 and d[3] == "three")
        assert(d[10] and d.text == "a\0b" and d.no == false and d.big == math.maxinteger and d.none == nil)
        local n = 0
        for k, v in pairs(d) do n = n + 1 assert(d[k] == v) end
        assert(n == 8 and #d.nested.deep == 2 and table.concat(d.nested.deep, ",") == "x,y" and type(d) == "table")
        local ok, e = pcall(function() d.nested.deep[1] = server.id end)
        assert(not ok and e:find("muster.run.shared is read-only: copy what you want to change", 1, true))
        assert(not pcall(rawset, d, "x", 1) and d.x == nil and not pcall(function() muster.run.shared = 5 end))
        return n
      end } },
      teardown = function() muster.log.info("> " .. muster.run.shared.nested.deep[1]) end } ]],
      { "a", "b", "c", "d", "-j", "4", "--workers", "2" })
    assert.equal(0, r.code, r.stderr .. r.stdout)
    assert.same({ "x", "x", "x", "x" }, r.said)
  end)

  it("may return a single value, or none; without it there is nothing", function()
    for value, said in pairs { ["5"] = "5", ["'x'"] = "x", ["false"] = "false", ["nil"] = "nil", [""] = "nil", ["{}"] = "table" } do
      local r = run("return { before_all = function() return " .. value .. " end, steps = { { name = 's', run = function() "
        .. "local x = muster.run.shared muster.log.info('> ' .. (type(x) == 'table' and 'table' or tostring(x))) end } } }")
      assert.same({ 0, said }, { r.code, r.said[1] })
    end
    local r = run "return { steps = { { name = 's', run = function() assert(muster.run.shared == nil and muster.run.id) end } } }"
    assert.equal(0, r.code)
  end)

  it("returns plain data alone: anything else is told by its place, and nothing runs", function()
    for value, said in pairs {
      ["print"] = "a function: it must be plain data (strings, numbers, booleans, tables of these)",
      ["{ a = { {}, { fn = print } } }"] = "a function at .a[2].fn: it must be plain data",
      ["{ x = coroutine.create(print) }"] = "a thread at .x: it must",
      ["{ [{}] = 1 }"] = "a table with a key that is a table: it must",
      ["{ x = setmetatable({}, {}) }"] = "a table with a metatable at .x: it must",
      ["{ x = require 'cjson'.null }"] = "a userdata at .x: it must",
      ["{ muster }"] = "a table with a metatable at [1]: it must",
      ["(function() local t = {} t.t = t return t end)()"] = "a table that is nested more than 100 deep: does it hold itself?",
    } do
      local r = run("return { before_all = function() return " .. value .. " end, " .. STEPS .. " }")
      assert.same({ 2, "", 0 }, { r.code, r.stdout, #r.said })
      assert.matches("before_all did not work, so that nothing ran: ScriptError: script.lua: before_all returned " .. said, words(r), 1, true)
    end
  end)

  it("that raises means that nothing runs: exit code 2, with its words", function()
    for raise, said in pairs {
      ["error 'boom'"] = "ScriptError: script.lua:2: boom",
      ["error(muster.errors.CheckFailed('no quota'))"] = "CheckFailed: no quota (script.lua:2)",
      ["muster.exec('exit 3')"] = "CommandError: command ended with exit status 3: exit 3 (script.lua:2)",
      ["error()"] = "ScriptError: script.lua:2: error(nil) was raised",
    } do
      local r = run("return { teardown = function() muster.log.info('> teardown') end, before_all = function() " .. raise
        .. " end, after_all = function() muster.log.info('> after') end, " .. STEPS .. " }", { "a", "b" })
      assert.same({ 2, "", 0 }, { r.code, r.stdout, #r.said })
      assert.is_nil(r.results)
      assert.equal("before_all did not work, so that nothing ran: " .. said, words(r))
    end
  end)

  it("is ended by setup_timeout, --task-memory and whatever ends a task", function()
    local r = run("return { setup_timeout = 0.2, before_all = function() muster.sleep(60) end, " .. STEPS .. " }")
    assert.equal(2, r.code)
    assert.matches("nothing ran: TimeoutError: before_all took longer than its timeout of 0.2 s", words(r), 1, true)
    r = run("return { setup_timeout = 0.2, before_all = function() while true do pcall(error) end end, " .. STEPS .. " }")
    assert.matches("nothing ran: TimeoutError: before_all took", words(r), 1, true)
    r = run("return { before_all = function() local t = {} while true do t[#t + 1] = {} end end, " .. STEPS .. " }", { "--task-memory", "2M" })
    assert.matches("nothing ran: ScriptError: memory limit: the task needs more than its 2 MiB", words(r), 1, true)
    assert.equal(2, r.code)
  end)

  it("is charged to the tasks that look at it, and to no other", function()
    local r = run([[ return { before_all = function()
        local t = {}
        for i = 1, 4000 do t[i] = { i } end
        return t
      end, steps = { { name = "s", run = function(server)
        return server.id == "a" and #muster.run.shared or 0 end } } } ]], { "a", "b", "--task-memory", "1M", "--workers", "1" })
    assert.same({ "error", "passed" }, { r.results.servers[1].status, r.results.servers[2].status })
    assert.matches("memory limit", r.stdout, 1, true)
  end)

  it("talks to the world as a task does: commands here, HTTP, waiting in line", function()
    local r = run([[ return { before_all = function()
        local permit <close> = muster.semaphore("one", 1):acquire()
        return muster.exec("echo hello").stdout
      end, steps = { { name = "s", run = function() muster.log.info("> " .. muster.run.shared) end } } } ]])
    assert.same({ 0, "hello\n" }, { r.code, r.said[1] })
  end)

  it("changes nothing in a dry run", function()
    local r = run([[ return { before_all = function()
        local x = muster.exec("touch /nonexistent/x")
        return { dry = x.dry_run, run = muster.run.dry_run }
      end, setup = function() muster.log.info("> " .. tostring(muster.run.shared.dry) .. tostring(muster.run.shared.run)) end,
      after_all = function(results) muster.log.info("> after " .. results.servers[1].status) end, ]] .. STEPS .. " }", { "--dry-run" })
    assert.same({ 0, "truetrue", "after skipped" }, { r.code, r.said[1], r.said[2] })
  end)

  it("is recorded in a file of its own, and replayed from it", function()
    local dir = T.tmpdir()
    local script = [[ return { before_all = function() return muster.exec("echo before; echo x >> $DIR/ran").stdout end,
      steps = { { name = "s", run = function() muster.log.info("> " .. muster.run.shared:sub(1, 6) .. muster.exec("echo step").stdout) end } },
      after_all = function() muster.log.info("> " .. muster.exec("echo after").stdout) end } ]]
    local r = run(script, { "a", "b", "-j", "1", "--record", dir .. "/tape" }, { env = { DIR = dir } })
    local said = { "beforestep\n", "beforestep\n", "after\n" }
    assert.same({ 0, said }, { r.code, r.said })
    assert.equal("600", (T.exec { "stat", "-c", "%a", dir .. "/tape/script%fleet.jsonl" }.stdout:gsub("\n", "")))
    assert.equal(3, #T.lines(T.read(dir .. "/tape/script%fleet.jsonl")))
    assert.equal(2, #T.lines(T.read(dir .. "/tape/script.a.jsonl")))
    r = T.run_script("local muster = require 'muster'\n" .. script, { args = { "b", "--replay", dir .. "/tape" }, env = { DIR = dir } })
    assert.equal(0, r.code, r.stderr)
    assert.is_table(T.find_log(r.log, "> beforestep"))
    assert.is_table(T.find_log(r.log, "> after"))
    assert.equal("x\n", T.read(dir .. "/ran"))
    os.remove(dir .. "/tape/script%fleet.jsonl")
    r = T.run_script("local muster = require 'muster'\n" .. script, { args = { "a", "b", "--replay", dir .. "/tape" }, env = { DIR = dir } })
    assert.equal(2, r.code)
    assert.matches("nothing ran: .*cannot read the transcript [^\n]*/tape/script%%fleet.jsonl", r.stderr)
  end)

  it("works under muster test, where one stand-in answers also for the fleet, and where nothing can be destroyed", function()
    local dir = T.tmpdir()
    T.write(dir .. "/in.lua", "return { params = { n = 1 }, steps = { { name = 's', destructive = true, "
      .. "run = function(server, p) return p.n end } } }")
    T.write(dir .. "/script.lua", [[ local muster = require "muster"
      return { before_all = function(fleet) return { n = #fleet, out = muster.exec("echo hi").stdout } end,
        steps = { muster.use("in", { prefix = "x.", params = { n = 3 } }),
          { name = "t", run = function() return { n = muster.run.shared.n, hi = muster.run.shared.out == "hi\n" and 1 or 0 } end } },
        after_all = function(r) assert(r.servers[1].id == "x") end } ]])
    T.write(dir .. "/a_spec.lua", [[ local testing = require "muster.testing"
      it("works", function()
        local r = testing.load("script.lua"):run(testing.server({ ["echo*"] = "hi\n" }, { id = "x" }))
        assert.same({ "passed", 3, 1, 1 }, { r.status, r.steps["x.s"].metrics.score, r.steps.t.metrics.n, r.steps.t.metrics.hi })
      end) ]])
    local r = T.run { "test", dir .. "/a_spec.lua" }
    assert.equal(0, r.code, r.stdout .. r.stderr)
  end)

  it("is interrupted, and then nothing runs", function()
    local r = run("return { before_all = function() muster.exec('kill -INT $PPID') muster.sleep(60) end, "
      .. "after_all = function() muster.log.info('> after') end, " .. STEPS .. " }", { "a", "b" })
    assert.same({ 130, 0 }, { r.code, #r.said })
    assert.matches("Not finished: 2 servers (2 never started)", r.stdout, 1, true)
  end)

  it("has globals of its own, as every task", function()
    local r = run("x = 0 return { before_all = function() x = x + 1 end, steps = { { name = 's', run = function() return x end } } }")
    assert.equal(0, r.results.servers[1].steps[1].metrics.score.value)
  end)
end)

describe("after_all", function()
  local RESULTS = [[ return {
      steps = { { name = "s", confirm = 0, thresholds = { score = ">= 2", list = "> 0 ms" }, run = function(server)
          if server.id == "c" then error(muster.errors.ConnectError "gone") end
          return { score = server.id == "a" and 1 or 3, list = { 1, 2, 6 } } end },
        { name = "t", run = function() end } },
      mark = function() muster.log.info("> mark") end, max_broken = "100%%",
      before_all = function() return 5 end,
      after_all = function(results, params) %s end } ]]

  it("is told the results, after the marks, and its lines carry no server", function()
    local r = run(RESULTS:format [[
      local a, b, c = table.unpack(results.servers)
      muster.log.info("> " .. table.concat({ a.id, a.status, a.mark, b.id, b.status, b.mark, c.id, c.status }, " "))
      local s = a.steps[1]
      muster.log.info("> " .. table.concat({ s.name, s.status, s.measured, s.metrics.score.value, s.metrics.score.judgement,
        s.metrics.score.min, s.metrics.list.value, s.metrics.list.unit, s.metrics.list.samples[3], s.failures[1].message }, " "))
      muster.log.info("> " .. #a.steps .. #c.steps .. c.steps[2].status .. c.steps[1].failures[1].type .. #b.failures)
      muster.log.info("> " .. results.exit_code .. results.counts.failed .. results.counts.unreachable .. muster.run.shared)
      assert(results.run == muster.run.id and a.duration >= 0 and not a.left_behind)
      a.status, results.servers = "passed", nil ]], { "a", "b", "c" })
    assert.equal(1, r.code, r.stderr)
    assert.same({ "mark", "a failed made b passed none c unreachable", "s failed 1 1.0 missed 2.0 2.0 ms 6.0 s.score 1 < 2",
      "22passedConnectError0", "1115" }, r.said)
    assert.is_nil(r.lines[2].server_id)
    assert.equal("after_all", r.lines[2].phase)
    assert.same({ "failed", require "cjson".null }, { r.results.servers[1].status, r.results.run.after_all })
  end)

  it("that raises is logged and told, and 3 is the exit code that would have been 0", function()
    local r = run("return { after_all = function() error 'no ticket' end, " .. STEPS .. " }")
    assert.equal(3, r.code)
    local line = T.find_log(r.log, "after_all did not work: ScriptError: ")
    assert.same({ "error", "after_all" }, { line.level, line.phase })
    assert.is_nil(line.server_id)
    assert.matches("after_all did not work: ScriptError: [^\n]*no ticket\nOut of 1, 0 servers failed", r.stdout)
    assert.matches("no ticket", r.results.run.after_all, 1, true)
    assert.same({ "passed", 3 }, { r.results.servers[1].status, r.results.run.exit_code })
    assert.equal(1, run(RESULTS:format "error 'x'", { "a", "b", "c" }).code)
  end)

  it("is ended by teardown_timeout", function()
    local r = run("return { teardown_timeout = 0.2, after_all = function() muster.sleep(60) end, " .. STEPS .. " }")
    assert.equal(3, r.code)
    assert.matches("after_all did not work: TimeoutError: after_all took longer than its timeout of 0.2 s", r.stdout, 1, true)
  end)

  it("is not run when the run was interrupted before", function()
    local r = run("return { after_all = function() muster.log.info('> after') end, steps = { { name = 's', run = function() "
      .. "muster.exec('kill -TERM $PPID') muster.sleep(60) end } } }")
    assert.same({ 143, 0 }, { r.code, #r.said })
    assert.is_nil(r.stdout:find("after_all", 1, true))
  end)

  it("goes on when the run is interrupted meanwhile, within the grace period", function()
    local r = run("return { after_all = function() muster.exec('kill -INT $PPID') muster.sleep(0.3) muster.log.info('> after') end, "
      .. STEPS .. " }")
    assert.same({ 130, "after" }, { r.code, r.said[2] })
    assert.same({ "passed", true }, { r.results.servers[1].status, r.results.run.interrupted })
    r = run("return { after_all = function() muster.exec('kill -INT $PPID') muster.sleep(60) end, " .. STEPS .. " }", { "--grace", "300ms" })
    assert.equal(130, r.code)
    assert.matches("after_all did not work: ", r.stdout, 1, true)
  end)

  it("is ended at once by a second interrupt", function()
    local r = run("return { after_all = function() muster.exec('kill -INT $PPID; sleep 0.2; kill -INT $PPID') muster.sleep(60) end, "
      .. STEPS .. " }", { "--grace", "100s" })
    assert.equal(130, r.code)
    assert.equal("passed", r.results.servers[1].status)
  end)

  it("is told of many servers, whatever the bound on the memory of a task is", function()
    local args = { "-j", "50", "--workers", "2", "--task-memory", "1M" }
    for i = 1, 2000 do args[#args + 1] = "s" .. i end
    local r = run("return { after_all = function(results) local n = 0 for i, s in ipairs(results.servers) do "
      .. "n = n + s.steps[1].metrics.score.value assert(s.id == 's' .. i) end muster.log.info('> after ' .. n) end, "
      .. "before_all = function(fleet) return { n = #fleet } end, "
      .. "steps = { { name = 's', run = function() return muster.run.shared.n end } } }", args)
    assert.same({ 0, "after 4000000.0" }, { r.code, r.said[1] })
  end)
end)

describe("the fleet's hooks", function()
  it("must be functions", function()
    local r = run("return { before_all = 5, " .. STEPS .. " }")
    assert.equal(2, r.code)
    assert.matches("before_all must be a function, not a number", r.stderr, 1, true)
    assert.matches("after_all must be a function, not a table", run("return { after_all = {}, " .. STEPS .. " }").stderr, 1, true)
  end)

  it("are not taken from a used script, which is said", function()
    local r = run("return { steps = { muster.use 'in' } }", {}, { files = { ["in.lua"] = "return { before_all = print, steps = { { name = 's', "
      .. "run = function() end } } }" } })
    assert.equal(2, r.code)
    assert.matches("in.lua has a before_all hook, which is not taken with its steps", r.stderr, 1, true)
  end)
end)
