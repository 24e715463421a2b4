-- A measurement that failed is made again at once, in the same task, before anything else hears of it.
local T = require "muster_test"

-- The step "s" gives what the list says, one a measurement: a number is the score, of which 50 pass; a string is code.
local function script(values, fields, step)
  local list = {}
  for i, value in ipairs(values) do
    list[i] = type(value) == "string" and ("function(server) %s end"):format(value) or ("function() return %s end"):format(value)
  end
  return ([[
    local muster = require "muster"
    local E, n = muster.errors, 0
    local values = { %s }
    return muster.script {
      on_failure = function(server, failures)
        for _, f in ipairs(failures) do muster.log.info("> " .. f.step .. " " .. f.status .. " " .. f.message) end
      end,
      teardown = function() muster.log.info("> measured " .. n) end,
      %s
      steps = { { name = "s", thresholds = { score = ">= 50" }, %s
        run = function(server) n = n + 1; print("time " .. n) return values[n](server) end },
        { name = "then", needs = { "s" }, run = function() end } } } ]]):format(table.concat(list, ", "), fields or "", step or "")
end

local MARK = "max_broken = '100%', mark = function(server, verdict) muster.log.info('> mark ' .. verdict.reason) end,"

local function run(...)
  local result = T.run_local(script(...))
  assert(result.results, result.stderr)
  result.server = result.results.servers[1]
  result.step = result.server.steps[1]
  result.said = {}
  for _, line in ipairs(result.log) do
    if line.event:find "^> " then result.said[#result.said + 1] = line.event:sub(3) end
  end
  return result
end

describe("a step that failed", function()
  it("is not measured again without confirm or a mark hook", function()
    local r = run({ 10, 60 })
    assert.same({ 1, "failed", "skipped", 1 }, { r.code, r.step.status, r.server.steps[2].status, r.step.measured })
    assert.same({ "s failed s.score 10 < 50", "measured 1" }, r.said)
  end)

  it("is passed when it passes the second time, and nothing else hears of the first", function()
    local r = run({ 10, 60 }, MARK)
    assert.same({ 0, "passed", "passed", "passed" },
      { r.code, r.server.status, r.step.status, r.server.steps[2].status })
    assert.same({ "measured 2" }, r.said)
    assert.same({ 2, "s.score 10 < 50", 60 }, { r.step.measured, r.step.earlier, r.step.metrics.score.value })
    assert.same({}, r.step.failures)
    assert.equal("time 1\ntime 2\n", r.step.log)
    local line = T.find_log(r.log, "Passed when measured again; before that: s.score 10 < 50.")
    assert.same({ "localhost", "s" }, { line.server_id, line.step })
    assert.matches("Out of 1, 0 servers failed.", r.stdout, 1, true)
  end)

  it("is failed when it fails again, with one failure", function()
    local r = run({ 10, 20, 60 }, MARK)
    assert.same({ 1, "failed", "skipped", 2 }, { r.code, r.step.status, r.server.steps[2].status, r.step.measured })
    assert.equal(1, #r.step.failures)
    assert.same({ "s.score 20 < 50", "s.score 10 < 50" }, { r.step.failures[1].message, r.step.earlier })
    assert.same({ "s failed s.score 20 < 50", "measured 2" }, { r.said[1], r.said[2] })
    assert.matches("^mark muster: s.score 20 < 50 %(measured twice%); run %S+, owner %S+@%S+, %S+Z$", r.said[3])
  end)

  it("is an error when it cannot be measured again, and that marks nobody", function()
    for _, again in ipairs {
      { "server:exec('exit 3')", "CommandError", "could not be measured again: exit status 3: exit",
        "command ended with exit status 3: exit 3 (" },
      { "muster.sleep(60)", "TimeoutError", "could not be measured again: timeout after 0.2 s",
        "step s took longer than its timeout of 0.2 s", "timeout = 0.2," },
      { "error(E.ConnectError('no route'))", "ConnectError", "could not be measured again: no route", "no route (" },
      { "return { other = 1 }", "ScriptError",
        "could not be measured again: metric score has a threshold and is missing: the step returned no such metric",
        "metric score has a threshold and is missing: the step returned no such metric" },
    } do
      local r = run({ 10, again[1] }, MARK, again[5])
      assert.same({ 3, "error", "error", 2 }, { r.code, r.server.status, r.step.status, r.step.measured })
      assert.equal(1, #r.step.failures)
      local f = r.step.failures[1]
      local message = "failed first: s.score 10 < 50; then could not be measured again: " .. again[4]
      assert.same({ "error", again[2], again[3], message },
        { f.status, f.type, f.cause, f.message:sub(1, #message) })
      assert.equal("s error " .. f.message, r.said[1])
      assert.equal("measured 2", r.said[2])
      assert.is_nil(r.said[3])
      assert.matches("unmeasured_servers=[localhost]", r.stdout, 1, true)
    end
  end)

  it("is measured again as often as confirm says, for each step by itself", function()
    assert.equal(0, run({ 1, 2, 3, 60 }, "confirm = 3,").code)
    local r = run({ 1, 2, 3, 60 }, MARK, "confirm = 2,")
    assert.same({ 1, 3, "s.score 1 < 50; s.score 2 < 50" }, { r.code, r.step.measured, r.step.earlier })
    assert.matches("measured 3 times", r.said[3], 1, true)
    r = run({ 10, 60 }, MARK .. "confirm = 0,")
    assert.same({ 1, 1 }, { r.code, r.step.measured })
    assert.is_nil(r.said[3]:find("measured", 1, true))
    assert.equal(0, run({ 10, 60 }, MARK .. "confirm = 0,", "confirm = 1,").code)
    assert.equal(1, run({ 10, 60 }, "confirm = 1,", "confirm = 0,").code)
  end)

  it("is measured again when it raised that it failed, but no operation on a server is made again", function()
    local r = run({ "error(E.CheckFailed('no GPU'))", 60 }, MARK)
    assert.same({ 0, 2, "s: CheckFailed: no GPU" }, { r.code, r.step.measured, r.step.earlier })
    r = run({ "error(E.ServerOperationError('deploy failed'))", 60 }, MARK)
    assert.same({ 1, "failed", 1 }, { r.code, r.step.status, r.step.measured })
    r = run({ 10, "error(E.ServerOperationError('deploy failed'))", 60 }, MARK, "confirm = 5,")
    assert.same({ 1, "failed", 2 }, { r.code, r.step.status, r.step.measured })
  end)

  it("is not measured again for anything but failed", function()
    for status, code in pairs { error = "error('x')", timeout = "error(E.TimeoutError('x'))",
      unreachable = "error(E.ConnectError('x'))" } do
      local r = run({ code, 60 }, MARK)
      assert.same({ 3, status, 1 }, { r.code, r.step.status, r.step.measured })
    end
  end)

  it("does not stop a server's other steps when it passes then, with --fail-fast", function()
    local r = T.run_local(script({ 10, 60 }, "confirm = 1,"), { args = { "--fail-fast" } })
    assert.equal("passed", r.results.servers[1].steps[2].status)
  end)

  it("is an error when the server's deadline passes in the second measurement", function()
    local r = T.run_local(script({ 10, "muster.sleep(60)" }, MARK), { args = { "--timeout", "500ms" } })
    local server = r.results.servers[1]
    assert.same({ 3, "error", "could not be measured again: deadline passed" },
      { r.code, server.steps[1].status, server.steps[1].failures[1].cause })
  end)
end)
