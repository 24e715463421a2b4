-- Thresholds: what a rule may say, how mistakes in one are told, and how it judges.
local T = require "muster_test"

-- A script of one step s that returns what `returns` says, judged by the rules that `thresholds` says.
local function script(returns, thresholds, more)
  return ([[
local muster = require "muster"
return muster.script {
  params = { least = 10, word = "x" },
  %s
  steps = { { name = "s", run = function(server, params) return %s end,
    thresholds = { %s } } } }]]):format(more or "", returns, thresholds)
end

local function run(text, options)
  local r = T.run_local(text, options)
  assert(r.results, r.stderr)
  r.server = r.results.servers[1]
  r.step = r.server.steps[1]
  r.metric = r.step.metrics.m
  r.said = r.step.failures[1] and r.step.failures[1].message
  return r
end

local function refused(text, options)
  local r = T.run_local(text, options)
  assert.equals(2, r.code, r.stderr)
  assert.equals("", r.stdout)
  assert.is_nil(r.results)
  local message = r.stderr:gsub("^muster run: ", ""):gsub("\n$", "")
  assert.is_nil(message:find("\n", 1, true), message)
  local plain = r.dir:gsub("%p", "%%%0")
  return (message:gsub(plain .. "/", ""))
end

describe("a reference", function()
  it("bounds both sides with one tolerance", function()
    local rule = 'm = { reference = 100, tolerance = "10%", unit = "MiB/s" }'
    for value, said in pairs {
      ["90"] = false, ["110"] = false,
      ["80"] = "s.m 80 < 90 MiB/s (reference 100 - 10 %)",
      ["111"] = "s.m 111 > 110 MiB/s (reference 100 + 10 %)",
    } do
      local r = run(script("{ m = " .. value .. " }", rule))
      assert.equal(said or nil, r.said)
      assert.equal(said and 1 or 0, r.code)
      assert.equal(said and "missed" or "passed", r.metric.judgement)
      assert.same({ 90, 110, 100, "10%", "10%" }, { r.metric.threshold.min, r.metric.threshold.max,
        r.metric.threshold.reference, r.metric.threshold.lower, r.metric.threshold.upper })
      if said then
        assert.truthy(r.stdout:find("FAILED       " .. said, 1, true), r.stdout)
        assert.equal("< 90 (reference 100 - 10 %)", value == "80" and r.step.failures[1].cause or "< 90 (reference 100 - 10 %)")
      end
    end
  end)

  it("bounds each side by itself, in percent or in the metric's unit", function()
    local rule = 'm = { reference = 100, tolerance = { lower = "5%", upper = 10 } }'
    assert.equal("s.m 94 < 95 (reference 100 - 5 %)", run(script("{ m = 94 }", rule)).said)
    assert.equal("s.m 111 > 110 (reference 100 + 10)", run(script("{ m = 111 }", rule)).said)
    assert.equal(0, run(script("{ m = 110 }", rule)).code)
    rule = 'm = { reference = 100, tolerance = { lower = 2.5 } }'
    assert.equal(0, run(script("{ m = 1e9 }", rule)).code)
    assert.equal("s.m 97 < 97.5 (reference 100 - 2.5)", run(script("{ m = 97 }", rule)).said)
    assert.equal(0, run(script("{ m = -1e9 }", 'm = { reference = 100, tolerance = { upper = "5 %" } }')).code)
  end)

  it("may come from a parameter", function()
    local text = script("{ m = 50 }", 'm = { reference = "params.least", tolerance = { lower = "10%" } }')
    assert.equal(0, run(text).code)
    assert.equal("s.m 50 < 90 (reference 100 - 10 %)", run(text, { args = { "-p", "least=100" } }).said)
  end)

  it("is one row of the summary for all servers that miss it", function()
    local r = run(script("{ m = tonumber(server.vars.m) }", 'm = { reference = 100, tolerance = "10%" }'),
      { args = { "-i", T.write(T.tmpdir() .. "/fleet", "a m=80\nb m=85\nc m=95\n") } })
    assert.truthy(r.stdout:find("FAILED       s.m 80–85 < 90 (reference 100 - 10 %)", 1, true), r.stdout)
  end)
end)

describe("a threshold is refused, with the line,", function()
  for i, case in ipairs {
    { "m = { min = 5,\n tolerance = 1 }", "6: threshold m: tolerance without a reference" },
    { "m = { reference = 5 }", "6: threshold m: reference needs a tolerance: \"10%\", or { lower = \"5%\", upper = \"10%\" }" },
    { "m = { reference = 5, tolerance = {} }", "6: threshold m: tolerance has neither lower nor upper" },
    { "m = { reference = 5, tolerance = {\n low = 5 } }",
      "7: threshold m: tolerance has no field 'low'; known fields: lower upper" },
    { "m = { reference = 5, tolerance = { 5 } }",
      "6: threshold m: tolerance has an entry without a name; known fields: lower upper" },
    { "m = { reference = 5, tolerance = '5x' }",
      "6: threshold m: tolerance: '5x' is no amount: write \"10%\" or a number, not below 0" },
    { "m = { reference = 5, tolerance = { upper = -1 } }", "6: threshold m: tolerance.upper must not be below 0" },
    { "m = { reference = 5, tolerance = true }",
      "6: threshold m: tolerance must be an amount, \"10%\" or a number, not a boolean" },
    { "m = { reference = 5, tolerance = 0/0 }", "6: threshold m: tolerance must not be below 0" },
    { "m = { reference = 'x', tolerance = 1 }", "6: threshold m: reference must be a number, not a string" },
    { "m = { reference = 1/0, tolerance = 1 }", "6: threshold m: reference must be a finite number" },
    { "m = { reference = 'params.word', tolerance = 1 }",
      "6: threshold m: reference is 'params.word', and there is no parameter word that is a number" },
    { "m = { reference = 5, tolerance = 1, min = 1 }",
      "6: threshold m: reference and its tolerance are the bounds already: take min out, or reference" },
  } do
    it(("when it says this (%d): %s"):format(i, case[2]), function()
      assert.equal("script.lua:" .. case[2], refused(script("{}", case[1])))
    end)
  end

  it("by muster check too", function()
    local path = T.write(T.tmpdir() .. "/x.lua", script("{}", "m = { reference = 5 }"))
    local r = T.run { "check", path }
    assert.equal(2, r.code)
    assert.truthy(r.stderr:find("x.lua:6: threshold m: reference needs a tolerance", 1, true), r.stderr)
  end)
end)
