-- muster check: what it finds in a script, where, and what that means for the exit code.
local cjson = require "cjson"
local T = require "muster_test"

local dir = T.tmpdir()

-- The findings in a script of this text: "LINE:COLUMN SEVERITY RULE" each, and the exit code.
local function check(text, ...)
  local path = T.write(dir .. "/script.lua", text)
  local result = T.run { "check", "--json", path, ... }
  assert.equals("", result.stderr)
  local all = {}
  for _, f in ipairs(cjson.decode(result.stdout).scripts[1].findings) do
    assert.equals(path, f.file)
    all[#all + 1] = ("%s:%s %s %s"):format(math.tointeger(f.line) or "-", math.tointeger(f.column) or "-", f.severity,
      f.rule)
    all[f.rule] = f.message
  end
  return all, result.code
end

-- A script of one step with this run and these thresholds.
local function step(run, thresholds)
  return ("return { steps = { { name = 's', thresholds = { %s },\nrun = %s } } }"):format(thresholds or "", run)
end

describe("muster check", function()
  it("finds names that nothing defines, in nested functions as well, once a place", function()
    local found, code = check [[
local muster = require "muster"
local function twice(x) return x * factr end
return muster.script { steps = { { name = "s", run = function(server)
  local text = server.id:tonumber()
  return { n = tonumbr(text), m = (function() return twice(countr) + countr end)() }
end } } }
]]
    assert.same({ 2, "2:36 error unknown-global", "5:16 error unknown-global", "5:60 error unknown-global",
      "5:60 error unknown-global" }, { code, table.unpack(found) })
    assert.is_truthy(found["unknown-global"]:find("countr is not defined", 1, true))
  end)

  it("knows the globals of a task, those that a script sets, and a script's own _ENV", function()
    local found, code = check [[
answer = 42
local function isolated()
  local _ENV = { inner = 1 }
  return inner, anything
end
return { steps = { { name = "s", run = function()
  isolated()
  return answer + #tostring(math.pi) + (utf8.len(_VERSION) or 0) + select("#", _G, package, coroutine)
end } } }
]]
    assert.same({ 0, "1:1 hint sets-global" }, { code, table.unpack(found) })
  end)

  it("looks into the modules beside the script, and not into the standard ones", function()
    T.write(dir .. "/helper.lua", "local M = {}\nfunction M.f() return undefind end\nreturn M\n")
    local path = T.write(dir .. "/uses.lua", [[
local helper, cpu = require "helper", require "benchmarks.cpu"
return { steps = { { name = "s", run = function(server) cpu.run(server, 1) return helper.f() end } } }
]])
    local result = T.run { "check", path }
    assert.equals(2, result.code)
    assert.equals(dir .. "/helper.lua:2:23: error: undefind is not defined: no local, parameter or global of that name " ..
      "is in sight\n", result.stderr)
  end)

  it("finds thresholds on what a step never returns", function()
    for _, case in ipairs {
      { "function() return { a = 1, b = 2 } end", "c = '> 1'", "returns a, b" },
      { "function(server)\nif server.id then return { a = 1 } end\nreturn { b = 1 } end", "c = '> 1'", "returns a, b" },
      { "function() local t = { a = 1 } t.b = 2 return t end", "score = '> 1'", "returns a, b" },
      { "function() end", "score = '> 1'", "returns nothing" },
      { "function() return {} end", "c = '> 1'", "returns no metric" },
    } do
      local found, code = check(step(case[1], case[2]))
      assert.equals(2, code, case[1])
      assert.equals(1, #found, case[1])
      assert.is_truthy(found["threshold-without-metric"]:find(case[3], 1, true), found["threshold-without-metric"])
    end
  end)

  it("is silent where it cannot see what a step returns", function()
    for _, run in ipairs {
      "function() return { a = 1, c = 2 } end",
      "function() return tonumber('1') end",
      "function() return 1 end",
      "function(s) local t = {} t[s.id] = 1 return t end",
      "function(s) local t = { a = 1 } rawset(t, s.id, 1) return t end",
      "function(s) local t = { a = 1 } local u = t u.c = 1 return t end",
      "function(s) local t = { a = 1 } if s.id then t = { c = 1 } end return t end",
      "function(s) local t = { c = 1 } if s.id then t = { a = 1 } end return t end",
      "function(s) local t = { c = 1 } for _ = 1, 2 do t = { a = 1 } end return t end",
      "function(s) local t = { a = 1 } local function add() t.c = 1 end add() return t end",
      "function(s) local t = { a = 1, f = function() end } s.own = t return t end",
      "function(s) local t = { a = 1 } return s and t or { c = 1 } end",
      "function(s) return ({ { c = 1 } })[1] end",
      "function(s) return s.id and { a = 1 } or { c = 1 } end",
      "(function() local t = { a = 1 } return function() t = { a = 2 } return t end end)()",
      "function(s) local t = setmetatable({ a = 1 }, {}) return t end",
    } do
      local found, code = check(step(run, "c = '> 1'"))
      assert.same({ 0 }, { code, found["threshold-without-metric"] }, run)
    end
  end)

  it("gives luacheck's opinion as hints, which --strict takes for errors", function()
    local text = "local unused = 1\n" .. step "function(server) local server = 1 return server end"
    local found, code = check(text)
    assert.same({ 0, "1:7 hint luacheck", "3:30 hint luacheck" }, { code, table.unpack(found) })
    found, code = check(text, "--strict")
    assert.same({ 2, "1:7 error luacheck" }, { code, found[1] })
    local path = T.write(dir .. "/script.lua", text)
    local result = T.run { "check", path }
    assert.equals(0, result.code)
    assert.equals(path .. ": ok (1 step: s)\n", result.stdout)
    assert.is_truthy(result.stderr:find(path .. ":1:7: hint: unused variable 'unused'\n", 1, true), result.stderr)
    result = T.run { "check", "-q", path }
    assert.same({ 0, "", "" }, { result.code, result.stdout, result.stderr })
  end)

  it("tells what keeps a script from loading by file, line and column", function()
    for text, want in pairs {
      ["return {\n  steps = = 1 }"] = "2:11 error load",
      ["error 'no'"] = "1:- error load",
      ["return {\n stepz = {} }"] = "2:- error load",
      ["return { steps = { { run = print } } }"] = "1:- error load",
      ["return nil"] = "-:- error load",
    } do
      local found, code = check(text)
      assert.same({ 2, want }, { code, table.unpack(found) }, text)
    end
    local missing = T.run { "check", "--json", dir .. "/no:12: such.lua" }
    assert.equals(2, missing.code)
    assert.is_false(cjson.decode(missing.stdout).scripts[1].ok)
  end)

  it("copes with functions of many constants, and lines far apart", function()
    local parts = { "local t = {} assert(t)" }
    for i = 1, 600 do parts[#parts + 1] = ("t.k%d = 'v%d'%s"):format(i, i, ("\n"):rep(i % 200)) end
    parts[#parts + 1] = step "function() return nowhere end"
    local text = table.concat(parts, "\n")
    local _, line = text:match("^(.*)()return nowhere")
    line = select(2, text:sub(1, line):gsub("\n", "")) + 1
    local found, code = check(text)
    assert.same({ 2, line .. ":25 error unknown-global" }, { code, table.unpack(found) })
  end)
end)
