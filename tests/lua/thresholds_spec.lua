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

local function fleet(text) return { "-i", T.write(T.tmpdir() .. "/fleet", text) } end

-- "id=judgement:min", in inventory order, of the metric m of the first step.
local function judged(r)
  local out = {}
  for i, server in ipairs(r.results.servers) do
    local m = server.steps[1].metrics.m
    local min = m.threshold ~= require "cjson".null and (":%g"):format(m.threshold.min) or ""
    out[i] = server.id .. "=" .. m.judgement .. min
  end
  return table.concat(out, " ")
end

describe("a list of rules", function()
  local rules = [[m = {
    { where = { model = "R650" }, min = 900 },
    { where = { group = "gpu", rack = { 1, "r2", 2.5, true } }, min = 700 },
    { where = { group = { "hpc", "db" } }, min = 600 },
    ">= 500 MB/s" }]]

  it("has the first one hold whose where does", function()
    local r = run(script("{ m = 650 }", rules), { args = fleet [[
a model=R650 groups=gpu rack=1
b model=R740 groups=gpu rack=1
c groups="web, gpu ,db" rack=r2
d groups=gpu rack=r3
e groups=hpc
f groups="gpux,xgpu" rack=1
g
h groups="" model=r650
i groups=gpu rack=true
j groups=gpu rack=2.5
]] })
    assert.equal("a=missed:900 b=missed:700 c=missed:700 d=passed:500 e=passed:600 f=passed:500 g=passed:500 h=passed:500 "
      .. "i=missed:700 j=missed:700", judged(r))
  end)

  it("knows the types of JSON", function()
    local path = T.write(T.tmpdir() .. "/fleet.json", [[{"servers": [
      {"id": "a", "vars": {"groups": ["web", "gpu"], "rack": 1}}, {"id": "b", "vars": {"groups": ["web", 5], "rack": 1}},
      {"id": "c", "vars": {"groups": ["gpu"], "rack": 2.5}}, {"id": "d", "vars": {"groups": ["gpu"], "rack": true}},
      {"id": "e", "vars": {"groups": {"gpu": 1}, "rack": 1}}, {"id": "f", "vars": {"groups": "gpu", "rack": [1]}}]}]])
    assert.equal("a=missed:700 b=passed:500 c=missed:700 d=missed:700 e=passed:500 f=passed:500",
      judged(run(script("{ m = 650 }", rules), { args = { "-i", path } })))
  end)

  it("judges nobody whom none holds for, and asks no metric of them", function()
    local text = script("server.vars.m and { m = tonumber(server.vars.m) } or {}", "m = { { where = { model = 'x' }, min = 5 } }")
    local r = run(text, { args = fleet "a m=1\nb m=1 model=x\nc\nd model=x\n" })
    local status = {}
    for i, server in ipairs(r.results.servers) do status[i] = server.status end
    assert.same({ "passed", "failed", "passed", "error" }, status)
    assert.equal("unjudged", r.results.servers[1].steps[1].metrics.m.judgement)
  end)

  it("takes a single rule with a where as well, and bounds from parameters", function()
    local text = script("{ m = 5 }", [[m = { { where = { model = "x" }, min = 3 }, { where = { model = "y" }, min = "params.least" },
      { max = "params.least" } }, n = { where = { model = "z" }, min = 1 }]])
    local r = run(text, { args = fleet "a model=x\nb model=y\nc\n" })
    assert.same({ "passed", "failed", "passed" },
      { r.results.servers[1].status, r.results.servers[2].status, r.results.servers[3].status })
    local args = fleet "a model=x\nb model=y\nc\n"
    args[3], args[4] = "-p", "least=4"
    r = run(text, { args = args })
    assert.same({ "passed", "passed", "failed" },
      { r.results.servers[1].status, r.results.servers[2].status, r.results.servers[3].status })
  end)
end)

describe("a threshold for one server or for all", function()
  local text = script("{ m = 650, n = 1 }", 'm = { min = 500, unit = "MB/s" }, n = "> 0"')

  it("is what the inventory says of the server", function()
    local path = T.write(T.tmpdir() .. "/fleet.json", [[{"servers": ["a",
      {"id": "b", "vars": {"thresholds": {"s.m": {"min": 700}}}},
      {"id": "c", "vars": {"thresholds": {"s.m": ">= 800 KB/s", "s.n": {"reference": 2, "tolerance": {"lower": "10%"}}}}},
      {"id": "d", "vars": {"threshold.s.m": ">= 900"}}],
      "vars": {"thresholds": {"s.m": {"min": 100}}}}]])
    local r = run(text, { args = { "-i", path } })
    assert.equal("a=passed:100 b=missed:700 c=missed:800 d=missed:900", judged(r))
    local c = r.results.servers[3].steps[1]
    assert.equal("s.m 650 < 800 KB/s", c.failures[1].message)
    assert.equal("s.n 1 < 1.8 (reference 2 - 10 %)", c.failures[2].message)
    assert.equal("s.m 650 < 700 MB/s", r.results.servers[2].steps[1].failures[1].message)
    r = run(text, { args = fleet [[
a threshold.s.m=">= 700"
b thresholds='{"s.m": {"min": 800}}'
c
]] })
    assert.equal("a=missed:700 b=missed:800 c=passed:500", judged(r))
  end)

  it("is what the command line says, before all else, and the last one there", function()
    local args = fleet 'a threshold.s.m=">= 700"\nb\n'
    for _, word in ipairs { "-t", "s.m=>= 100", "--threshold", "s.m=>= 660", "-t", "s.n=> 0, < 5 ms" } do args[#args + 1] = word end
    local r = run(text, { args = args })
    assert.equal("a=missed:660 b=missed:660", judged(r))
    assert.equal("s.m 650 < 660 MB/s", r.said)
    assert.equal("ms", r.step.metrics.n.unit)
  end)

  it("may be given to a step that has none, for any metric", function()
    local r = run(script("{ m = 650 }", ""), { args = { "-t", "s.m=>= 700", "-t", "s.other=> 1" } })
    assert.equal("s.m 650 < 700", r.said)
    assert.equal("metric other has a threshold and is missing: the step returned no such metric", r.step.failures[2].message)
  end)

  it("finds steps with dots in their names", function()
    local two = [[local function run() return { m = 5, ["b.m"] = 5 } end
      return { steps = { { name = "a", run = run, thresholds = { ["b.m"] = "> 1" } }, { name = "a.b", run = run } } }]]
    local r = run(two, { args = { "-t", "a.b.m=> 9" } })
    assert.same({ "failed", "passed" }, { r.step.status, r.server.steps[2].status })
    r = run(two:gsub("thresholds = %b{}", "thresholds = { m = '> 1' }"), { args = { "-t", "a.b.m=> 9" } })
    assert.same({ "passed", "failed" }, { r.step.status, r.server.steps[2].status })
  end)

  describe("is refused before anything runs", function()
    local none = "script.lua has no threshold 's.x'; step s has: s.m, s.n"
    local step = "is no STEP.METRIC of script.lua; its steps are: s"
    for word, said in pairs {
      ["s.x=> 1"] = none,
      ["t.m=> 1"] = "threshold 't.m' " .. step,
      ["m=> 1"] = "threshold 'm' " .. step,
      ["s.=> 1"] = "threshold 's.' " .. step,
      ["s.m=40"] = 's.m: threshold "40": expected >=, >, <= or <; write it like ">= 50", "< 5.5 ms" or ">= 10, <= 20 MiB/s"',
      ["s.m=> 5, < 4"] = 's.m: threshold "> 5, < 4": no value can pass: the lower bound is not below the upper one; write it '
        .. 'like ">= 50", "< 5.5 ms" or ">= 10, <= 20 MiB/s"',
    } do
      it("on the command line: " .. word, function()
        assert.equal(said, refused(text, { args = { "-t", word } }))
      end)
    end

    for _, word in ipairs { "s.m", "=> 5", "s.m>= 40" } do
      it("on the command line: " .. word, function()
        local r = T.run_local(text, { args = { "-t", word } })
        assert.equal(2, r.code)
        assert.truthy(r.stderr:find("--threshold: '" .. word .. "' is not STEP.METRIC=RULE, such as 'cpu.score=>= 40'", 1, true))
      end)
    end

    for vars, said in pairs {
      ['"thresholds": {"s.x": "> 1"}'] = "variable thresholds: " .. none,
      ['"thresholds": {"t.m": {"min": 1}}'] = "variable thresholds: threshold 't.m' " .. step,
      ['"thresholds": {"s.m": {"mni": 1}}'] =
        "variable thresholds: threshold s.m has no field 'mni'; known fields: min max reference tolerance peers history unit",
      ['"thresholds": {"s.m": {"min": "x"}}'] = "variable thresholds: threshold s.m: min must be a number, not a string",
      ['"thresholds": {"s.m": {"min": null}}'] = "variable thresholds: threshold s.m: min must be a number, not null",
      ['"thresholds": {"s.m": {}}'] = "variable thresholds: threshold s.m: there is none of min, max, reference, peers and history",
      ['"thresholds": {"s.m": "fast"}'] = "variable thresholds: threshold \"fast\": expected >=, >, <= or <; write it like "
        .. "\">= 50\", \"< 5.5 ms\" or \">= 10, <= 20 MiB/s\"",
      ['"thresholds": {"s.m": 5}'] = "variable thresholds: s.m is neither an object nor a string: write it like "
        .. "{\"cpu.score\": {\"min\": 40}} or {\"cpu.score\": \">= 40\"}",
      ['"thresholds": [1]'] = "variable thresholds: it is no JSON object: write it like "
        .. "{\"cpu.score\": {\"min\": 40}} or {\"cpu.score\": \">= 40\"}",
      ['"thresholds": "{"'] = "variable thresholds: it is no JSON object: write it like "
        .. "{\"cpu.score\": {\"min\": 40}} or {\"cpu.score\": \">= 40\"}",
      ['"threshold.s.x": "> 1"'] = "variable threshold.s.x: " .. none,
      ['"threshold.s.m": 5'] = "variable threshold.s.m: it must be text such as \">= 40\"",
      ['"threshold.s.m": "> 1", "thresholds": {"s.m": "x"}'] = "variable thresholds: threshold \"x\": expected >=, >, <= or <; "
        .. "write it like \">= 50\", \"< 5.5 ms\" or \">= 10, <= 20 MiB/s\"",
    } do
      it("in the inventory: " .. vars, function()
        local path = T.write(T.tmpdir() .. "/fleet.json", ('{"servers": ["a", {"id": "b", "vars": {%s}}]}'):format(vars))
        assert.equal("server b: " .. said, refused(text, { args = { "-i", path } }))
      end)
    end
  end)
end)

describe("samples", function()
  it("are judged by their median, and told with their spread", function()
    local r = run(script("{ m = { 81, 79, 85, 80 }, n = { 3 }, o = 7 }", 'm = { min = 90, unit = "MB/s" }, n = "> 1"'))
    assert.equal("s.m 80.5 < 90 MB/s (median of 4 samples, 79–85)", r.said)
    assert.same({ 80.5, { 81, 79, 85, 80 }, 1 }, { r.metric.value, r.metric.samples, r.metric.mad })
    assert.same({ 3, { 3 }, 0, "passed" }, { r.step.metrics.n.value, r.step.metrics.n.samples, r.step.metrics.n.mad,
      r.step.metrics.n.judgement })
    assert.is_nil(r.step.metrics.o.samples)
    assert.is_truthy(T.find_log(r.log, "s.m is 80.5 MB/s (median of 4 samples, 79–85)."))
    assert.is_truthy(T.find_log(r.log, "s.n is 3 (median of 1 sample, 3)."))
    assert.is_truthy(T.find_log(r.log, "s.o is 7."))
    assert.truthy(r.stdout:find("FAILED       s.m 80.5 < 90 MB/s ", 1, true), r.stdout)
    assert.equal(0, run(script("{ m = { 1, 95, 96 } }", "m = '>= 90'")).code)
  end)

  it("are in the JUnit report of a server that passed, too", function()
    local dir = T.tmpdir()
    run(script("{ m = { 95, 96.5, 94 } }", "m = '>= 90'"), { args = { "--junit", dir .. "/j.xml" } })
    assert.truthy(T.read(dir .. "/j.xml"):find("m 95 (median of 3 samples, 94–96.5): 95 96.5 94\n", 1, true))
    run(script("{ m = (function() local t = {} for i = 1, 10000 do t[i] = i end return t end)() }", "m = '> 1e9'"),
      { args = { "--junit", dir .. "/j.xml" } })
    assert.truthy(T.read(dir .. "/j.xml"):find("1–10000): 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 …\n", 1, true))
  end)

  it("are an error when one is no number, whether there is a threshold or not", function()
    for value, said in pairs {
      ["{ 1, 0/0 }"] = "has sample 2 that is NaN", ["{ 1/0 }"] = "has sample 1 that is infinite",
      ["{ 1, 'x' }"] = "has sample 2 that is a string", ["{ '5' }"] = "has sample 1 that is a string",
      ["{ 1, {} }"] = "has sample 2 that is a table", ["{}"] = "is an empty list", ["{ 1, n = 2 }"] = "is a table that is no list",
      ["{ n = 2 }"] = "is a table that is no list",
      ["(function() local t = {} for i = 1, 10001 do t[i] = i end return t end)()"] = "has 10001 samples, more than 10000",
    } do
      for _, rule in ipairs { "m = '> 0'", "" } do
        local r = run(script("{ m = " .. value .. ", n = 1 }", rule))
        assert.same({ 3, "error", 1, "ScriptError", "m" }, { r.code, r.step.status, #r.step.failures,
          r.step.failures[1].type, r.step.failures[1].metric })
        assert.equal("metric m " .. said .. ": samples are a list of numbers", r.step.failures[1].cause)
        assert.is_nil(r.metric)
        assert.equal(1, r.step.metrics.n.value)
      end
    end
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
    { "m = { peers = 5 }",
      "6: threshold m: peers must be a table such as { group_by = \"model\", drop = \"10%\" }, not a number" },
    { "m = { peers = {} }", "6: threshold m: peers has neither drop nor rise" },
    { "m = { peers = { drop = 1,\n groupby = 'x' } }",
      "7: threshold m: peers has no field 'groupby'; known fields: group_by drop rise min_cohort" },
    { "m = { peers = { drop = 1, group_by = 5 } }", "6: threshold m: peers.group_by must be the name of a variable" },
    { "m = { peers = { drop = 1, group_by = '' } }", "6: threshold m: peers.group_by must be the name of a variable" },
    { "m = { peers = { drop = '5' .. '%%' } }",
      "6: threshold m: peers.drop: '5%%' is no amount: write \"10%\" or a number, not below 0" },
    { "m = { peers = { rise = -1 } }", "6: threshold m: peers.rise must not be below 0" },
    { "m = { peers = { drop = 1, min_cohort = 2 } }",
      "6: threshold m: peers.min_cohort must be a whole number from 3 to 1000000" },
    { "m = { peers = { drop = 1, min_cohort = 5.5 } }",
      "6: threshold m: peers.min_cohort must be a whole number from 3 to 1000000" },
    { "m = { {\n where = 5, min = 1 } }", "7: threshold m[1]: where must be a table of variables and values, not a number" },
    { "m = { {\n where = {}, min = 1 } }", "7: threshold m[1]: where is empty: leave it out for all servers" },
    { "m = { {\n where = { 'gpu' }, min = 1 } }",
      "7: threshold m[1]: where has an entry without a name: write { variable = value }" },
    { "m = { { where = {\n model = {} }, min = 1 } }",
      "7: threshold m[1]: where: model must be a string, a number, a boolean, or a list of these" },
    { "m = { { where = {\n model = { 'a', {} } }, min = 1 } }",
      "7: threshold m[1]: where: model must be a string, a number, a boolean, or a list of these" },
    { "m = { { min = 1 }, { min = 2 } }",
      "6: threshold m[1] holds for all servers, so that those behind it never do: give it a where, or make it the last" },
    { "m = { { min = 1 }, unit = 'x' }",
      "6: threshold m is a list of rules and has fields beside them: each belongs into a rule" },
    { "m = { { where = { model = 'a' }, min = 1 }, { mxa = 2 } }",
      "6: threshold m[2] has no field 'mxa'; known fields: min max reference tolerance peers history unit where" },
    { "m = { { where = { model = 'a' }, min = 1 }, 5 }",
      "6: threshold m[2] must be a table such as { min = 50 } or a string such as \">= 50\", not a number" },
    { "m = { { where = { model = 'a' }, min = 2, max = 1 } }", "6: threshold m[1]: min 2 is above max 1, nothing could pass" },
  } do
    it(("when it says this (%d): %s"):format(i, case[2]), function()
      assert.equal("script.lua:" .. case[2], refused(script("{}", case[1])))
    end)
  end

  it("by muster check too", function()
    local path = T.write(T.tmpdir() .. "/x.lua", script("{}", "m = { reference = 5 }"))
    local r = T.run { "check", path }
    assert.equal(2, r.code)
    assert.truthy(r.stderr:find("x.lua:6: error: threshold m: reference needs a tolerance", 1, true), r.stderr)
  end)
end)
