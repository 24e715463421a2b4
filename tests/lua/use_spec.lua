-- muster.use: steps that a script takes from another one, with parameters, thresholds and names of their own.
local T = require "muster_test"
local cjson = require "cjson"

-- Two steps, of which the second needs the first; each gives its parameters as metrics.
local CPU = [[
  local muster = require "muster"
  calls = 0
  local mine = 0
  return muster.script {
    params = { seconds = 10, min = 5 },
    steps = {
      { name = "cpu", run = function(server, params)
          calls, mine = calls + 1, mine + 1
          return { seconds = params.seconds, calls = calls, mine = mine, score = 20 } end,
        thresholds = { score = { min = "params.min" } } },
      { name = "long", needs = { "cpu" }, when = function(server, params) return params.seconds ~= 77 end,
        run = function(server, params) return { seconds = params.seconds, min = params.min } end } } } ]]

local function run(text, options)
  options = options or {}
  options.files = options.files or { ["cpu.lua"] = CPU }
  local r = T.run_local("local muster = require 'muster'\n" .. text, options)
  assert(r.results, r.stderr)
  r.names, r.steps = {}, {}
  for i, step in ipairs(r.results.servers[1].steps) do
    local metrics = {}
    for name, metric in pairs(step.metrics) do metrics[name] = metric.value end
    r.names[i], r.steps[step.name] = step.name .. "=" .. step.status, metrics
  end
  return r
end

local function refused(text, options)
  options = options or {}
  options.files = options.files or { ["cpu.lua"] = CPU }
  local r = T.run_local("local muster = require 'muster'\n" .. text, options)
  assert.same({ 2, "" }, { r.code, r.stdout }, r.stderr)
  assert.is_nil(r.results)
  return (r.stderr:gsub("\n$", ""):gsub("^muster run: ", ""):gsub((r.dir:gsub("%p", "%%%0")) .. "/", ""))
end

local MINE = "{ name = 'mine', run = function(server, params) return { seconds = params.seconds } end }"

describe("muster.use", function()
  it("puts the steps of another script in its place", function()
    local r = run("return { steps = { muster.use 'cpu', " .. MINE .. " } }")
    assert.same({ "cpu=passed", "long=passed", "mine=passed" }, r.names)
    assert.same({ seconds = 10, min = 5 }, r.steps.long)
    assert.equal(10, r.steps.mine.seconds)
    assert.equal(5, r.results.servers[1].steps[1].metrics.score.threshold.min)
  end)

  it("asks its own when first, then the step's", function()
    local text = [[return { params = { cpu = true }, steps = { muster.use("cpu", { when = function(server, params)
      server:exec "true" -- it may wait
      print("asked", server.id, params.seconds)
      return params.cpu end }) } }]]
    assert.same({ "cpu=passed", "long=passed" }, run(text).names)
    assert.same({ "cpu=skipped", "long=skipped" }, run(text, { args = { "-p", "cpu=false" } }).names)
    local r = run(text, { args = { "-p", "seconds=77" } })
    assert.same({ "cpu=passed", "long=skipped" }, r.names)
    assert.truthy(T.find_log(r.log, "asked\tlocalhost\t77"))
    assert.matches("script.lua:3: muster.use: when must be a function, not a boolean",
      refused "return { steps = {\n muster.use('cpu', { when = true }) } }", 1, true)
    local bad = run [[return { steps = { muster.use("cpu", { when = function() error "cannot say" end }) } }]]
    assert.same({ "cpu=error", "long=skipped" }, bad.names)
  end)

  it("takes some of them, and renames them with what they need", function()
    local r = run("return { steps = { " .. MINE .. ", muster.use('cpu', { prefix = 'x.' }), muster.use('cpu', { steps = { 'cpu' } }) } }")
    assert.same({ "mine=passed", "x.cpu=passed", "x.long=passed", "cpu=passed" }, r.names)
    r = run("return { steps = { muster.use('cpu', { prefix = 'x.', thresholds = { score = '>= 30' } }) } }")
    assert.same({ "x.cpu=failed", "x.long=skipped" }, r.names)
  end)

  it("gives each use an instance and globals of its own", function()
    local r = run("calls = 40 return { steps = { muster.use 'cpu', muster.use('cpu', { prefix = 'x.' }), "
      .. "{ name = 'g', run = function() return { calls = calls } end } } }")
    assert.same({ 1, 1, 1, 1, 40 }, { r.steps.cpu.calls, r.steps.cpu.mine, r.steps["x.cpu"].calls, r.steps["x.cpu"].mine,
      r.steps.g.calls })
  end)

  it("declares its parameters, so that -p sets them", function()
    local r = run("return { steps = { muster.use 'cpu', " .. MINE .. " } }", { args = { "-p", "seconds=3", "-p", "min=30" } })
    assert.same({ "cpu=failed", "long=skipped", "mine=passed" }, r.names)
    assert.same({ 3, 3 }, { r.steps.cpu.seconds, r.steps.mine.seconds })
    assert.matches("cpu.score 20 < 30", r.stdout, 1, true)
    assert.matches("no parameter 'secs'; it has: min, seconds",
      refused("return { steps = { muster.use 'cpu' } }", { args = { "-p", "secs=3" } }), 1, true)
  end)

  it("leaves a parameter to the using script that declares it too", function()
    local r = run("return { params = { seconds = 99, min = 25 }, steps = { muster.use 'cpu', " .. MINE .. " } }")
    assert.same({ 99, 99 }, { r.steps.cpu.seconds, r.steps.mine.seconds })
    assert.equal("cpu=failed", r.names[1])
  end)

  it("gives the steps parameters of their own, which -p sets all the same", function()
    local text = "return { params = { seconds = 99 }, steps = { muster.use('cpu', { params = { seconds = 30, min = 1 } }), "
      .. "muster.use('cpu', { params = { seconds = 2.5, min = 21 }, prefix = 'x.' }), "
      .. "muster.use('cpu', { params = { seconds = 77 }, prefix = 'y.' }), " .. MINE .. " } }"
    local r = run(text)
    assert.same({ 30, 2.5, 77, 99, 1 },
      { r.steps.cpu.seconds, r.steps["x.cpu"].seconds, r.steps["y.cpu"].seconds, r.steps.mine.seconds, r.steps.long.min })
    assert.same({ "cpu=passed", "long=passed", "x.cpu=failed", "x.long=skipped", "y.cpu=passed", "y.long=skipped", "mine=passed" },
      r.names)
    assert.equal(5, r.results.servers[1].steps[5].metrics.score.threshold.min)
    r = run(text, { args = { "-p", "seconds=4", "-p", "min=2" } })
    assert.same({ 4, 4, 4, 4 }, { r.steps.cpu.seconds, r.steps["x.cpu"].seconds, r.steps["y.cpu"].seconds, r.steps.mine.seconds })
    assert.same({ 2, "x.cpu=passed" }, { r.steps["x.long"].min, r.names[3] })
  end)

  it("sets thresholds by metric, or by step and metric", function()
    local r = run([[return { steps = { muster.use("cpu", { thresholds = {
      score = { max = 10, unit = "MB/s" }, ["long.seconds"] = "< 5" } }) } }]])
    assert.same({ "cpu=failed", "long=skipped" }, r.names)
    assert.matches("cpu.score 20 > 10 MB/s", r.stdout, 1, true)
    r = run("return { steps = { muster.use('cpu', { thresholds = { ['long.seconds'] = '< 5' } }) } }")
    assert.same({ "cpu=passed", "long=failed" }, r.names)
    r = run("return { steps = { muster.use('cpu', { steps = { 'cpu' }, thresholds = { seconds = '< 5' } }) } }")
    assert.same({ "cpu=failed" }, r.names)
    r = run("return { steps = { muster.use('cpu', { thresholds = { score = '> 100' } }) } }", { args = { "-t", "cpu.score=> 1" } })
    assert.equal("cpu=passed", r.names[1])
  end)

  it("uses scripts that use others, each beside its own", function()
    local dir = T.tmpdir()
    assert(os.execute("mkdir " .. T.quote(dir .. "/sub")))
    T.write(dir .. "/sub/inner.lua", CPU)
    T.write(dir .. "/sub/outer.lua", "local muster = require 'muster' return { params = { seconds = 20 }, "
      .. "steps = { muster.use('inner', { prefix = 'i.', params = { min = 7 } }), { name = 'o', run = function(s, p) "
      .. "return { seconds = p.seconds, min = p.min } end } } }")
    local r = run("return { steps = { muster.use('sub/outer', { prefix = 'o.' }) } }", { dir = dir })
    assert.same({ "o.i.cpu=passed", "o.i.long=passed", "o.o=passed" }, r.names)
    assert.same({ seconds = 20, min = 7 }, r.steps["o.i.long"])
    assert.same({ seconds = 20, min = 7 }, r.steps["o.o"])
    r = run("return { params = { min = 8, seconds = 1 }, steps = { muster.use 'sub/outer' } }", { dir = dir })
    assert.same({ { seconds = 1, min = 7 }, { seconds = 1, min = 8 } }, { r.steps["i.long"], r.steps.o })
    r = run("return { steps = { muster.use('sub/outer', { params = { min = 9 } }) } }", { dir = dir })
    assert.same({ 9, 9 }, { r.steps["i.long"].min, r.steps.o.min })
  end)

  it("finds the installed scripts, after those beside the script", function()
    local r = T.run { "check", T.write(T.tmpdir() .. "/all.lua", [[local muster = require "muster"
      return { steps = { muster.use "cpu", muster.use "memory", muster.use("disk", { prefix = "data." }) } } ]]) }
    assert.equal(0, r.code, r.stderr)
    assert.matches("ok %(%d steps: cpu, memory, data%.disk", r.stdout)
  end)

  it("takes what a step says of itself, and confirm of its script", function()
    local r = run("return { steps = { muster.use 'd' } }", { files = { ["d.lua"] = [[ local n = 0
      return { confirm = 2, steps = { { name = "a", destructive = true, run = print },
      { name = "b", thresholds = { score = ">= 3" }, run = function() n = n + 1 return n end } } }]] } })
    assert.same({ "a=skipped", "b=passed" }, r.names)
    assert.equal(3, r.results.servers[1].steps[2].measured)
  end)

  it("works for many servers on several workers", function()
    local args = { "-j", "8", "--workers", "2" }
    for i = 1, 40 do args[#args + 1] = "s" .. i end
    local r = run("return { steps = { muster.use 'cpu', muster.use('cpu', { prefix = 'x.' }) } }", { args = args })
    assert.same({ 0, 40 }, { r.code, r.results.counts.passed })
    for _, server in ipairs(r.results.servers) do assert.equal(1, server.steps[3].metrics.calls.value) end
  end)

  it("keeps JSON results with the names of the using script", function()
    local r = run("return { steps = { muster.use('cpu', { prefix = 'x.' }) } }", { args = { "-s", "x.cpu" } })
    assert.same({ "x.cpu=passed" }, r.names)
    assert.is_string(cjson.encode(r.results))
  end)
end)

describe("muster.use is refused", function()
  local function use(arguments) return "return { steps = {\n muster.use(" .. arguments .. ") } }" end
  local wrong = {
    { use "'cpuu'", "script.lua:3: muster.use: there is no script 'cpuu': no cpuu.lua, no " },
    { use "'../cpu.lua'", "script.lua:3: muster.use: '../cpu.lua' is no script's name: it is the file's name without .lua" },
    { use "'/etc/cpu'", "script.lua:3: muster.use: '/etc/cpu' is no script's name: it is the file's name without .lua" },
    { use "", "script.lua:3: bad argument #1 to 'use' (string expected, got no value)" },
    { use "'cpu', 5", "script.lua:3: muster.use: its options are a table, not a number" },
    { use "'cpu', { step = 5 }", "script.lua:3: muster.use has no option 'step'; it has steps, params, thresholds, prefix, when, hooks" },
    { use "'cpu', { steps = 'cpu' }", "script.lua:3: muster.use: steps must be a table, not a string" },
    { use "'cpu', { prefix = 5 }", "script.lua:3: muster.use: prefix must be a string, not a number" },
    { use "'cpu', { hooks = true }", "script.lua:3: muster.use: hooks can be \"ignore\" alone" },
    { use "'cpu', { steps = {} }", "script.lua:3: muster.use: steps is empty: leave it out for all steps of cpu.lua" },
    { use "'cpu', { steps = { 'cpux' } }", "script.lua:3: muster.use: cpu.lua has no step 'cpux'; its steps are: cpu, long" },
    { use "'cpu', { steps = { 'long' } }",
      "script.lua:3: muster.use: step long of cpu.lua needs step cpu, which is not taken: name it in steps as well" },
    { use "'cpu', { params = { secnds = 5 } }",
      "script.lua:3: muster.use: cpu.lua has no parameter 'secnds'; it has: min, seconds" },
    { use "'cpu', { params = { seconds = 'x' } }",
      "script.lua:3: muster.use: parameter seconds of cpu.lua is a number, not a string" },
    { use "'cpu', { thresholds = { nothing = '> 5' } }",
      "script.lua:3: muster.use: no step taken from cpu.lua has a threshold 'nothing': for one that it has not write STEP.METRIC" },
    { use "'cpu', { thresholds = { 5 } }",
      "script.lua:3: muster.use: thresholds: each needs its metric's name, as in { score = \">= 50\" }" },
    { use "'cpu', { thresholds = { score = 5 } }",
      "script.lua:3: threshold score must be a table such as { min = 50 } or a string such as \">= 50\", not a number" },
    { use "'cpu', { prefix = 'a b' }", "script.lua:2: steps[1] has no name of letters, digits, '_', '-' or '.'" },
    { "return { steps = { muster.use 'cpu', muster.use 'cpu' } }", "script.lua: two steps are named 'cpu'" },
    { "return {\n steps = muster.use 'cpu' }", "script.lua: steps is a list: write steps = { muster.use … }" },
    { "return { params = { seconds = 'long' }, steps = { muster.use('cpu', { params = { seconds = 5 } }) } }",
      "script.lua:2: parameter seconds is a string here, and a number for step cpu, which is used from another script" },
  }
  for i, case in ipairs(wrong) do
    it(("with the place (%d): %s"):format(i, case[2]), function()
      local said = refused(case[1])
      assert.equal(case[2], said:sub(1, #case[2]))
    end)
  end

  it("for a script that is wrong itself, with the place in there", function()
    local function inner(text) return refused("return { steps = { muster.use 'in' } }", { files = { ["in.lua"] = text } }) end
    assert.equal("script.lua:2: muster.use: in.lua:2: step s has no field 'tresholds'; known fields: name run thresholds timeout "
      .. "needs when confirm destructive pair", inner "return { steps = { { name = 's', run = print,\n tresholds = 5 } } }")
    assert.equal("script.lua: in.lua:3:1: <eof> expected near '}'", inner "return {\n steps = {} }\n}")
    assert.equal("script.lua: in.lua:2: broken", inner "\nerror 'broken'")
    assert.equal("script.lua:2: muster.use: in.lua returns nothing; a script ends with `return muster.script { steps = … }`",
      inner "return nil")
    assert.equal("script.lua:2: muster.use: in.lua: there is no list of steps: steps = { { name = …, run = function(server, params) … end } }",
      inner "return {}")
  end)

  it("for a script with hooks that its steps may count on, unless that is said", function()
    for hook, said in pairs { setup = "setup", teardown = "teardown" } do
      local files = { ["in.lua"] = "return { " .. hook .. " = function() error('no') end, mark = print, on_failure = print, "
        .. "steps = { { name = 's', run = function() end } } }" }
      assert.equal(("script.lua:2: muster.use: in.lua has a %s hook, which is not taken with its steps: give this script a %s of "
        .. "its own that does what they need, and say hooks = \"ignore\""):format(said, said),
        refused("return { steps = { muster.use 'in' } }", { files = files }))
      local r = run("return { steps = { muster.use('in', { hooks = 'ignore' }) } }", { files = files })
      assert.same({ "s=passed" }, r.names)
    end
  end)

  it("in a circle", function()
    local function user(of) return "local muster = require 'muster' return { steps = { muster.use '" .. of .. "' } }" end
    assert.equal("script.lua: a.lua:1: muster.use: scripts use each other in a circle: script.lua, a.lua, script.lua",
      refused("return { steps = { muster.use 'a' } }", { files = { ["a.lua"] = user "script" } }):gsub("^script.lua:%d: ", "script.lua: "))
    local said = refused("return { steps = { muster.use 'a' } }", { files = { ["a.lua"] = user "b", ["b.lua"] = user "a" } })
    assert.matches("b.lua:1: muster.use: scripts use each other in a circle: script.lua, a.lua, b.lua, a.lua", said, 1, true)
    assert.matches("in a circle: script.lua, script.lua", refused "return { steps = { muster.use 'script' } }", 1, true)
  end)

  it("when it was caught, so that the next one is looked up where it should be", function()
    local r = run("assert(not pcall(muster.use, 'bad')) return { steps = { muster.use 'cpu' } }",
      { files = { ["cpu.lua"] = CPU, ["bad.lua"] = "error 'x'" } })
    assert.equal("cpu=passed", r.names[1])
  end)

  it("inside a step", function()
    local r = run("return { steps = { { name = 's', run = function() muster.use 'cpu' end } } }")
    assert.equal("s=error", r.names[1])
    assert.matches("muster.use works at a script's top level only: steps = { muster.use \"cpu\", … }",
      r.results.servers[1].steps[1].failures[1].message, 1, true)
  end)

  it("for a script whose top level does not end", function()
    local r = refused("return { steps = { muster.use 'in' } }", { files = { ["in.lua"] = "local n = 0 while true do n = n + 1 end" } })
    assert.matches("top level ran for more than 10 s", r, 1, true)
  end)
end)
