-- How the parts of a script work together in a run: the order of its steps and hooks, deadlines, what run returns, and
-- thresholds.
local T = require "muster_test"
local run = T.run_steps

local function statuses(result, index)
  local out = {}
  for _, step in ipairs(result.results.servers[index or 1].steps) do out[#out + 1] = step.name .. "=" .. step.status end
  return table.concat(out, " ")
end

-- The lines that the script itself printed, in order.
local function printed(result)
  local out = {}
  for _, line in ipairs(result.log) do
    if line.event:find "^> " then out[#out + 1] = line.event:sub(3) end
  end
  return out
end

describe("the order of steps and hooks", function()
  it("is setup, when and steps, on_failure, teardown, each with server and params", function()
    local result = run([[
      local function say(what) return function(server,
        params) print("> " .. what .. " " .. server.id .. " " .. tostring(params.p)) end end
      return { params = { p = 7 }, setup = say "setup", teardown = say "teardown",
        on_failure = function(server, failures) print("> on_failure " .. server.id .. " " .. #failures) end,
        steps = {
          { name = "one", run = say "one", when = function(server,
            params) print("> when " .. server.id .. " " .. params.p) return true end },
          { name = "two", run = function(server) print "> two" error "x" end },
          { name = "three", run = say "three" } } }]])
    assert.same({ "setup localhost 7", "when localhost 7", "one localhost 7", "two", "three localhost 7",
      "on_failure localhost 1",
      "teardown localhost 7" }, printed(result))
    assert.equals("one=passed two=error three=passed", statuses(result))
  end)

  it("leaves on_failure out when nothing failed", function()
    local result = run [[return { on_failure = function() print "> on_failure" end,
      teardown = function() print "> teardown" end,
      steps = { { name = "s", run = function() end } } }]]
    assert.same({ "teardown" }, printed(result))
    assert.equals(0, result.code)
  end)

  it("skips the steps when setup raises; teardown runs all the same", function()
    local result = run [[return { setup = function() error("no disk", 0) end,
      teardown = function() print "> teardown" end,
      on_failure = function(_, f) print("> on_failure " .. f[1].step .. " " .. f[1].message) end,
      steps = { { name = "a", run = function() print "> a" end }, { name = "b", run = function() print "> b" end } } }]]
    assert.same({ "on_failure setup no disk", "teardown" }, printed(result))
    assert.equals("a=skipped b=skipped", statuses(result))
    local server = result.results.servers[1]
    assert.equals("error", server.status)
    assert.equals("setup", server.failures[1].where)
    assert.equals("no disk", server.failures[1].message)
    assert.equals(3, result.code)
    assert.matches("ERROR +setup: ScriptError: no disk", result.stdout)
    assert.equals("setup", T.find_log(result.log, "no disk").phase)
  end)

  it("counts errors of teardown and on_failure", function()
    local result = run [[return { teardown = function() error("not torn down", 0) end, steps = { { name = "a",
      run = function() return 1 end } } }]]
    assert.equals("a=passed", statuses(result))
    assert.equals("error", result.results.servers[1].status)
    assert.equals("teardown", result.results.servers[1].failures[1].where)
    assert.equals(3, result.code)
    result = run [[return { on_failure = function() error("no diagnostics", 0) end,
      teardown = function() print "> teardown" end,
      steps = { { name = "a", run = function() error(require("muster").errors.CheckFailed "bad") end } } }]]
    assert.same({ "teardown" }, printed(result))
    assert.equals("failed", result.results.servers[1].status)
    assert.equals(1, result.code)
    assert.equals("on_failure", result.results.servers[1].failures[1].where)
  end)

  it("runs a step only where its needs passed and its when says yes", function()
    local result = run [[
      local function ok() return 1 end
      local function bad() error "x" end
      return { steps = {
        { name = "a", run = ok }, { name = "b", run = bad }, { name = "c", run = ok, needs = { "a" } }, { name = "d",
          run = ok, needs = { "a", "b" } },
        { name = "e", run = ok, needs = { "d" } }, { name = "f", run = ok, when = function() return false end },
        { name = "g", run = ok, needs = { "f" } }, { name = "h", run = ok, when = function() end }, { name = "i",
          run = ok, when = function() return 1 end },
        { name = "j", run = ok, when = function() error "in when" end }, { name = "k", run = ok,
          when = function(s) return s:exec("true").ok end } } }]]
    assert.equals("a=passed b=error c=passed d=skipped e=skipped f=skipped g=skipped h=skipped i=passed j=error "
      .. "k=passed", statuses(result))
    assert.matches("in when$", result.steps.j.failures[1].message)
  end)

  it("stops after the first failure with --fail-fast", function()
    local text = [[return { steps = { { name = "a", run = function() end }, { name = "b",
      run = function() return 1 end, thresholds = { score = ">= 2" } },
      { name = "c", run = function() end } }, teardown = function() print "> teardown" end }]]
    assert.equals("a=passed b=failed c=passed", statuses(run(text)))
    local result = run(text, { args = { "--fail-fast" } })
    assert.equals("a=passed b=failed c=skipped", statuses(result))
    assert.same({ "teardown" }, printed(result))
  end)

  it("gives on_failure what failed", function()
    local result = run [[
      local muster = require "muster"
      return { on_failure = function(server, failures)
          for _, f in ipairs(failures) do
            print(("> %s|%s|%s|%s|%s"):format(f.status, f.type, f.step, f.metric, f.message))
          end
          print("> " .. server:exec("echo diagnosed").stdout:sub(1, -2))
        end,
        steps = {
          { name = "slow", run = function() return { speed = 3 } end,
            thresholds = { speed = { min = 5, unit = "MB/s" } } },
          { name = "check", run = function() error(muster.errors.CheckFailed("no GPU")) end },
          { name = "cmd", run = function(server) server:exec "exit 4" end },
          { name = "late", timeout = 0.1, run = function() muster.sleep(100) end },
        } }]]
    local lines = printed(result)
    assert.equals("failed|PerformanceBelowExpected|slow|speed|slow.speed 3 < 5 MB/s", lines[1])
    assert.matches("^failed|CheckFailed|check|nil|no GPU %(.*script.lua:11%)$", lines[2])
    assert.matches("^error|CommandError|cmd|nil|command ended with exit status 4: exit 4", lines[3])
    assert.equals("timeout|TimeoutError|late|nil|step late took longer than its timeout of 0.1 s", lines[4])
    assert.equals("diagnosed", lines[5])
    assert.equals("failed", result.results.servers[1].status)
  end)
end)

describe("deadlines", function()
  it("of the server cut its step, skip the rest and leave teardown its own time", function()
    for _, how in ipairs { { "timeout = 0.5,", {} }, { "", { "--timeout", "500ms" } }, { "timeout = '1h',",
      { "--timeout", "500ms" } } } do
      local result = run(([[local muster = require "muster" return { %s
        steps = { { name = "a", run = function() return 1 end }, { name = "b",
          run = function() while true do pcall(muster.sleep, 1000) end end },
          { name = "c", run = function() return 1 end } },
        on_failure = function() print "> on_failure" end,
        teardown = function(server) muster.sleep(0.05) print("> teardown " .. server:exec("echo works").stdout:sub(1,
          -2)) end }]]):format(how[1]),
        { args = how[2] })
      assert.equals("a=passed b=timeout c=skipped", statuses(result))
      local lines = printed(result)
      assert.equals("teardown works", lines[#lines])
      assert.equals("the server's deadline passed in step b", result.steps.b.failures[1].message)
      assert.equals("deadline passed", result.steps.b.failures[1].cause)
      assert.equals("timeout", result.results.servers[1].status)
      assert.equals(3, result.code)
      assert.matches("TIMEOUT +b: deadline passed +localhost +1\n", result.stdout)
      assert.matches("unmeasured_servers=%[localhost%]", result.stdout)
    end
  end)

  it("cut setup, and teardown by --teardown-timeout", function()
    local result = run([[local muster = require "muster" return { timeout = 0.2,
      setup = function() muster.sleep(1000) end,
      steps = { { name = "a", run = function() end } },
        teardown = function() print "> teardown" muster.sleep(1000) print "> SWALLOWED" end }]],
      { args = { "--teardown-timeout", "500ms" } })
    assert.same({ "teardown" }, printed(result))
    assert.equals("a=skipped", statuses(result))
    local failures = result.results.servers[1].failures
    assert.equals("setup", failures[1].where)
    assert.equals("teardown", failures[2].where)
    assert.equals("teardown took longer than its timeout of 0.5 s", failures[2].message)
  end)

  it("of one step are those it names, in seconds or in words", function()
    local result = run [[local muster = require "muster" return { steps = {
      { name = "a", timeout = "150ms", run = function() muster.sleep("1h") end },
      { name = "b", timeout = 0.15, run = function() muster.sleep "1h" end },
      { name = "c", timeout = "1h", run = function() muster.sleep(0.2) return 1 end },
      { name = "d", timeout = 0.15, when = function() muster.sleep(1000) end, run = function() end } } }]]
    assert.equals("a=timeout b=timeout c=passed d=timeout", statuses(result))
  end)
end)

describe("what run returns", function()
  it("is metrics, or a clear error", function()
    local result = run [[return { steps = {
      { name = "number", run = function() return 5 end }, { name = "float", run = function() return 0.5 end },
      { name = "table", run = function() return { a = 1, b = 2.5, ["c.d"] = -3 } end }, { name = "empty",
        run = function() return {} end },
      { name = "nothing", run = function() end }, { name = "null", run = function() return nil end },
      { name = "text", run = function() return "5" end }, { name = "boolean", run = function() return true end },
      { name = "func", run = function() return print end }, { name = "list", run = function() return { 1, 2 } end },
      { name = "bad_value", run = function() return { a = "x" } end }, { name = "inf",
        run = function() return 1 / 0 end },
      { name = "nan", run = function() return 0 / 0 end }, { name = "two", run = function() return 1, 2 end },
      { name = "nested", run = function() return { a = {} } end } } }]]
    local s = result.steps
    assert.equals(5, s.number.metrics.score.value)
    assert.equals("unjudged", s.number.metrics.score.judgement)
    assert.equals(0.5, s.float.metrics.score.value)
    assert.equals(2.5, s.table.metrics.b.value)
    assert.equals(-3, s.table.metrics["c.d"].value)
    assert.equals(1, s.two.metrics.score.value)
    for _, name in ipairs { "number", "float", "table", "empty", "nothing", "null", "inf", "nan", "two" } do
      assert.equals("passed", s[name].status, name)
    end
    for name, message in pairs { text = "step text returned a string: run returns a number, or a table of metrics",
      boolean = "step boolean returned a boolean: run returns a number",
        func = "step func returned a function: run returns a number",
      list = "step list returned a table with a key that is not a name: metrics are name = number",
      bad_value = "step bad_value returned a as a string: metrics are numbers",
        nested = "step nested: metric a is an empty list: samples are a list of numbers" } do
      assert.equals("error", s[name].status, name)
      assert.equals("ScriptError", s[name].failures[1].type)
      assert.matches(message, s[name].failures[1].message)
      assert.matches("script.lua", s[name].failures[1].message)
    end
    assert.equals(3, result.code)
    assert.is_truthy(T.find_log(result.log, "table.b is 2.5."))
  end)
end)

describe("thresholds", function()
  local result

  setup(function()
    local function step(name, value, threshold)
      return ("{ name = %q, run = function() return { m = %s } end, thresholds = { m = %s } },"):format(name, value,
        threshold)
    end
    result = run("return { steps = {" .. table.concat {
      step("min_at", "5", "{ min = 5 }"), step("min_below", "4.999", "{ min = 5 }"), step("min_above", "5.001",
        "{ min = 5 }"),
      step("max_at", "5", "{ max = 5 }"), step("max_above", "5.001", "{ max = 5 }"), step("max_below", "-1",
        "{ max = 5 }"),
      step("both_in", "5", "{ min = 4, max = 6 }"), step("both_under", "3", "{ min = 4, max = 6 }"), step("both_over",
        "7", "{ min = 4, max = 6 }"),
      step("same", "4", "{ min = 4, max = 4 }"), step("zero", "0", "{ min = 0 }"), step("negative", "-2",
        "{ min = -1 }"),
      step("text_ge_at", "5", "'>= 5'"), step("text_ge", "4", "'>= 5'"), step("text_gt_at", "5", "'> 5'"),
        step("text_gt", "5.1", "'> 5'"),
      step("text_le_at", "5", "'<= 5'"), step("text_lt_at", "5", "'< 5'"), step("text_lt", "4", "'< 5'"),
      step("text_both", "9", "'>= 1, <= 9'"), step("text_both_over", "10", "'>= 1, <= 9'"), step("text_unit", "4",
        "'>= 5 MB/s'"),
      step("inf_min", "1/0", "{ min = 5 }"), step("inf_max", "1/0", "{ max = 5 }"), step("nan", "0/0", "{ min = 5 }"),
      step("missing", "nil", "{ min = 5 }"), step("text_value", "'7'", "{ min = 5 }"), step("boolean_value", "true",
        "{ min = 5 }"),
      step("unit", "3", "{ min = 5, unit = 'events/s' }"),
      "{ name = 'score', run = function() return 3 end, thresholds = { score = { min = 4 } } },",
      "{ name = 'nothing', run = function() end, thresholds = { score = { min = 4 } } },",
      "{ name = 'three', run = function() return { c = 1, a = 1, b = 9 } end,",
      "thresholds = { a = '>= 5', b = '>= 5', c = '>= 5', d = '>= 5' } },",
      "{ name = 'raises', run = function() error 'x' end, thresholds = { score = { min = 4 } } },",
    } .. "} }")
  end)

  it("judge at the bound and on both sides", function()
    local want = { min_at = "passed", min_below = "failed", min_above = "passed", max_at = "passed",
      max_above = "failed", max_below = "passed",
      both_in = "passed", both_under = "failed", both_over = "failed", same = "passed", zero = "passed",
        negative = "failed",
      text_ge_at = "passed", text_ge = "failed", text_gt_at = "failed", text_gt = "passed", text_le_at = "passed",
        text_lt_at = "failed",
      text_lt = "passed", text_both = "passed", text_both_over = "failed", text_unit = "failed", inf_min = "passed",
        inf_max = "failed",
      nan = "error", missing = "error", text_value = "error", boolean_value = "error", unit = "failed",
        score = "failed", nothing = "error",
      three = "failed", raises = "error" }
    for name, status in pairs(want) do assert.equals(status, result.steps[name].status, name) end
    assert.equals(1, result.code)
    assert.same({ "localhost" }, result.results.failed_servers)
  end)

  it("say what was missed", function()
    local s = result.steps
    local function message(name) return s[name].failures[1].message end
    assert.equals("min_below.m 4.999 < 5", message "min_below")
    assert.equals("max_above.m 5.001 > 5", message "max_above")
    assert.equals("unit.m 3 < 5 events/s", message "unit")
    assert.equals("text_unit.m 4 < 5 MB/s", message "text_unit")
    assert.equals("score.score 3 < 4", message "score")
    assert.equals("PerformanceBelowExpected", s.unit.failures[1].type)
    assert.equals("m", s.unit.failures[1].metric)
    assert.equals("events/s", s.unit.metrics.m.unit)
    assert.equals("missed", s.unit.metrics.m.judgement)
    assert.equals("passed", s.min_at.metrics.m.judgement)
    assert.same({ min = 4, max = 6, min_open = false, max_open = false }, s.both_in.metrics.m.threshold)
    assert.is_true(s.text_gt.metrics.m.threshold.min_open)
    assert.equals("metric m has a threshold and is NaN", message "nan")
    assert.equals("metric m has a threshold and is missing: the step returned no such metric", message "missing")
    assert.equals("metric m has a threshold and is a string, not a number", message "text_value")
    assert.equals("metric m has a threshold and is a boolean, not a number", message "boolean_value")
    assert.equals("metric score has a threshold and is missing: the step returned no such metric", message "nothing")
    assert.equals("ScriptError", s.nothing.failures[1].type)
    assert.equals(1, #s.raises.failures)
    local three = {}
    for _, f in ipairs(s.three.failures) do three[#three + 1] = f.metric .. "=" .. f.status end
    assert.equals("a=failed c=failed d=error", table.concat(three, " "))
    assert.matches("FAILED +unit.m 3 < 5 events/s +localhost +1\n", result.stdout)
    local line = T.find_log(result.log, "unit.m 3 < 5 events/s")
    assert.equals("Benchmark failed: PerformanceBelowExpected: unit.m 3 < 5 events/s", line.event)
    assert.equals("unit", line.step)
    assert.equals("error", line.level)
  end)
end)
