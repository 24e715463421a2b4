-- What a script's description may hold, how mistakes in it are told, and how its steps, hooks, parameters, thresholds
-- and deadlines work together.
local T = require "muster_test"

-- A script that is refused: nothing ran. Returns muster's own words without its name and the folder.
local function refused(text, options)
  local result = T.run_local(text, options)
  assert.equals(2, result.code, result.stderr)
  assert.equals("", result.stdout)
  assert.is_nil(result.results)
  local message = result.stderr:gsub("^muster run: ", ""):gsub("\n$", "")
  assert.is_nil(message:find("\n", 1, true), message)
  local plain = result.dir:gsub("%p", "%%%0")
  return (message:gsub(plain .. "/", ""))
end

local function run(text, options)
  local result = T.run_local(text, options)
  assert(result.results, result.stderr)
  result.steps = {}
  for _, step in ipairs(result.results.servers[1].steps) do result.steps[step.name] = step end
  return result
end

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

describe("a description", function()
  local good = "run = function() end"
  local steps = "steps = { { name = 's', " .. good .. " } }"
  local mark = "mark = function() end"
  local known = "description params timeout setup_timeout teardown_timeout steps setup teardown on_failure mark "
    .. "mark_broken_on max_broken confirm before_all after_all files"
  -- text, then what is said of it, after "script.lua:".
  local wrong = {
    { "return nil", " returns nothing; a script ends with `return muster.script { steps = … }`" },
    { "local x = 1", " returns nothing; a script ends with `return muster.script { steps = … }`" },
    { "return 5", " returns number; a script ends with `return muster.script { steps = … }`" },
    { "return {}", " there is no list of steps: steps = { { name = …, run = function(server, params) … end } }" },
    { "return {\n  steps = 5 }",
      "2: there is no list of steps: steps = { { name = …, run = function(server, params) … end } }" },
    { "return {\n  steps = {} }", "2: steps is empty: nothing would be measured" },
    { "return {\n\n  setps = {} }",
      "3: the script has no field 'setps'; known fields: " .. known },
    { "return { 5 }", " the script has an entry without a name; known fields: " .. known },
    { "return { steps = { { name = 's', " .. good .. " } },\n description = 5 }", "2: description must be a string" },
    { "return { steps = { { name = 's', " .. good .. " } },\n timeout = {} }",
      "2: timeout must be seconds or a string such as \"5m\", not a table" },
    { "return { steps = { { name = 's', " .. good .. " } },\n timeout = 0 }",
      "2: timeout must be more than 0 seconds" },
    { "return { steps = { { name = 's', " .. good .. " } },\n timeout = -5 }",
      "2: timeout must be more than 0 seconds" },
    { "return { steps = { { name = 's', " .. good .. " } },\n timeout = 'soon' }",
      "2: timeout 'soon' is not a duration: write seconds, or \"90s\", \"5m\", \"1h30m\"" },
    { "return { steps = { { name = 's', " .. good .. " } },\n setup = 'x' }",
      "2: setup must be a function, not a string" },
    { "return { steps = { { name = 's', " .. good .. " } },\n teardown = {} }",
      "2: teardown must be a function, not a table" },
    { "return { steps = { { name = 's', " .. good .. " } },\n on_failure = 1 }",
      "2: on_failure must be a function, not a number" },
    { "return { steps = { { name = 's', " .. good .. " } },\n params = 1 }",
      "2: params must be a table of names and defaults" },
    { "return { steps = { { name = 's', " .. good .. " } },\n params = { 1 } }",
      "2: params has a name that is not letters, digits, '_', '-' or '.'" },
    { "return { steps = { { name = 's', " .. good .. " } }, params = {\n a = {} } }",
      "2: parameter a: its default is a table; parameters are strings, numbers or booleans" },
    { "return {\n steps = { 5 } }", "2: steps[1] is a number; a step is a table with name and run" },
    { "return {\n steps = { { " .. good .. " } } }", "2: steps[1] has no name of letters, digits, '_', '-' or '.'" },
    { "return {\n steps = { { name = 'a b', " .. good .. " } } }",
      "2: steps[1] has no name of letters, digits, '_', '-' or '.'" },
    { "return { steps = { { name = 's' } } }", " step s has no run function" },
    { "return { steps = { { name = 's',\n run = 5 } } }", "2: run must be a function, not a number" },
    { "return { steps = { { name = 's', " .. good .. " }, { name = 's', " .. good .. " } } }",
      " two steps are named 's'" },
    { "return { steps = { { name = 's', " .. good .. ",\n treshold = 5 } } }",
      "2: step s has no field 'treshold'; known fields: name run thresholds timeout needs when confirm destructive pair" },
    { "return { steps = { { name = 's', " .. good .. ",\n when = true } } }",
      "2: when must be a function, not a boolean" },
    { "return { steps = { { name = 's', " .. good .. ",\n timeout = 'x' } } }",
      "2: timeout 'x' is not a duration: write seconds, or \"90s\", \"5m\", \"1h30m\"" },
    { "return { steps = { { name = 's', " .. good .. ",\n needs = 'x' } } }",
      "2: needs of step s must be a list of step names" },
    { "return { steps = { { name = 's', " .. good .. ",\n needs = { 'x' } } } }",
      "2: step s needs 'x', which is no step before it" },
    { "return { steps = { { name = 's', " .. good .. ",\n needs = { 's' } } } }",
      "2: step s needs 's', which is no step before it" },
    { "return { steps = { { name = 's', " .. good .. ",\n thresholds = 5 } } }",
      "2: thresholds of step s must be a table" },
    { "return { steps = { { name = 's', " .. good .. ",\n thresholds = { 5 } } } }",
      "2: thresholds of step s: each needs its metric's name, as in { score = \">= 50\" }" },
    { "return { steps = { { name = 's', " .. good .. ", thresholds = {\n m = 5 } } } }",
      "2: threshold m must be a table such as { min = 50 } or a string such as \">= 50\", not a number" },
    { "return { steps = { { name = 's', " .. good .. ", thresholds = {\n m = {} } } } }",
      "2: threshold m: there is none of min, max, reference, peers and history" },
    { "return { steps = { { name = 's', " .. good .. ", thresholds = {\n m = { mni = 5 } } } } }",
      "2: threshold m has no field 'mni'; known fields: min max reference tolerance peers history unit where" },
    { "return { steps = { { name = 's', " .. good .. ", thresholds = {\n m = { min = '5' } } } } }",
      "2: threshold m: min must be a number, not a string" },
    { "return { params = { word = 'x' }, steps = { { name = 's', " .. good ..
      ", thresholds = {\n m = { min = 'params.word' } } } } }",
      "2: threshold m: min is 'params.word', and there is no parameter word that is a number" },
    { "return { steps = { { name = 's', " .. good .. ", thresholds = {\n m = { max = 0/0 } } } } }",
      "2: threshold m: max is NaN" },
    { "return { steps = { { name = 's', " .. good .. ", thresholds = {\n m = { min = 5, max = 4 } } } } }",
      "2: threshold m: min 5 is above max 4, nothing could pass" },
    { "return { steps = { { name = 's', " .. good .. ", thresholds = {\n m = { min = 5, unit = 7 } } } } }",
      "2: threshold m: unit must be a string" },
    { "return { " .. steps .. ",\n mark = 'x' }", "2: mark must be a function, not a string" },
    { "return { " .. steps .. ",\n mark_broken_on = { 'failed' } }",
      "2: mark_broken_on without a mark hook: mark = function(server, verdict) … end" },
    { "return { " .. steps .. ",\n files = 'x' }",
      "2: files must be a list of paths such as \"payload/*.sh\", not a string" },
    { "return { " .. steps .. ",\n files = { a = 'x' } }",
      "2: files must be a list of paths such as \"payload/*.sh\", without names" },
    { "return { " .. steps .. ",\n files = { 5 } }",
      "2: files must be a list of paths such as \"payload/*.sh\"; there is a number in it" },
    { "return { " .. steps .. ",\n files = { '/etc/passwd' } }",
      "2: files: '/etc/passwd': it must not begin with '/': it is looked for in the script's folder" },
    { "return { " .. steps .. ",\n files = { 'a/../../b' } }",
      "2: files: 'a/../../b': it must not have '.' or '..' as a part: only files in the script's folder, and below it, can "
      .. "travel with it" },
    { "return { " .. steps .. ",\n files = { 'a//b' } }",
      "2: files: 'a//b': it has an empty part: write it as \"payload/*.sh\"" },
    { "return { " .. steps .. ",\n files = { '' } }", "2: files: '': it is empty" },
    { "return { " .. steps .. ",\n max_broken = 5 }",
      "2: max_broken without a mark hook: mark = function(server, verdict) … end" },
    { "return { " .. steps .. ", " .. mark .. ",\n mark_broken_on = 'failed' }",
      "2: mark_broken_on must be a list of statuses (failed, error, timeout, unreachable), not a string" },
    { "return { " .. steps .. ", " .. mark .. ",\n mark_broken_on = {} }",
      "2: mark_broken_on is empty: name statuses (failed, error, timeout, unreachable) or leave mark out" },
    { "return { " .. steps .. ", " .. mark .. ",\n mark_broken_on = { 'failed', 'passed' } }",
      "2: mark_broken_on: 'passed' is no status that can mark a server: failed, error, timeout, unreachable" },
    { "return { " .. steps .. ", " .. mark .. ",\n mark_broken_on = { 5 } }",
      "2: mark_broken_on: a number is no status that can mark a server: failed, error, timeout, unreachable" },
    { "return { " .. steps .. ", " .. mark .. ",\n max_broken = 0.05 }",
      "2: max_broken must be a number of servers, or \"5%\", \"20\" or \"5%,20\"" },
    { "return { " .. steps .. ", " .. mark .. ",\n max_broken = '5x' }",
      "2: max_broken: '5x' has something behind its end: write \"5%\", \"20\" or \"5%,20\"" },
    { "return { " .. steps .. ", " .. mark .. ",\n max_broken = -1 }",
      "2: max_broken: '-1' is no number of servers and no percentage of them: write \"5%\", \"20\" or \"5%,20\"" },
    { "return { " .. steps .. ",\n confirm = -1 }", "2: confirm must be a whole number from 0 to 10" },
    { "return { " .. steps .. ",\n confirm = 1.5 }", "2: confirm must be a whole number from 0 to 10" },
    { "return { " .. steps .. ",\n confirm = true }", "2: confirm must be a whole number from 0 to 10" },
    { "return { steps = { { name = 's', " .. good .. ",\n confirm = 11 } } }",
      "2: confirm must be a whole number from 0 to 10" },
    { "return { " .. steps .. ",\n setup_timeout = 0 }", "2: setup_timeout must be more than 0 seconds" },
    { "return { " .. steps .. ",\n teardown_timeout = 'soon' }",
      "2: teardown_timeout 'soon' is not a duration: write seconds, or \"90s\", \"5m\", \"1h30m\"" },
  }

  for i, case in ipairs(wrong) do
    it(("is refused with the place (%d): %s"):format(i, case[2]), function()
      local message = refused(case[1])
      if case[2]:find "no field 'mni'" then -- the line of the field, or of the metric
        assert.matches("^script.lua:2: ", message)
      end
      assert.equals("script.lua:" .. case[2], message)
    end)
  end

  it("is refused for a threshold that cannot be read", function()
    assert.matches("^script.lua:2: threshold m: .", refused(
      "return { steps = { { name = 's', run = function() end, thresholds = {\n m = 'at least 5' } } } }"))
    assert.matches("^script.lua:2: threshold m: .", refused(
      "return { steps = { { name = 's', run = function() end, thresholds = {\n m = '' } } } }"))
  end)
end)

describe("a script that does not load", function()
  -- text → what is said after "script.lua:"
  local wrong = {
    { "return {\n  steps = {{\n}\n", "4:1: '}' expected (to close '{' at line 2) near <eof>" },
    { "x = = 1", "1:5: unexpected symbol near '='" },
    { "#!/usr/bin/env muster\nx = = 1", "2:5: unexpected symbol near '='" },
    { "#!/usr/bin/env muster\n\n\nreturn }", "4:8: unexpected symbol near '}'" },
    { "local s = 'open\nreturn 1", "1:11: unfinished string near ''open'" },
    { "local t = [[open\n\n", "3:1: unfinished long string (starting at line 1) near <eof>" },
    { "goto nowhere", "1:nil: no visible label 'nowhere' for <goto> at line 1" },
    { "for i = 1 do end", "1:11: ',' expected near 'do'" },
    { "if true then\n  x = 1\nreturn x", "3:9: 'end' expected (to close 'if' at line 1) near <eof>" },
    { "local a <const> = 1\na = 2", "2:nil: attempt to assign to const variable 'a'" },
    { "break", "1:nil: break outside loop at line 1" },
    { "x = 1\n\tend", "2:2: <eof> expected near 'end'" },
    { "x = 5 $ 3", "1:7: unexpected symbol near '$'" },
    { "local 5", "1:7: <name> expected near '5'" },
    { "x = '\\q'", "1:5: invalid escape sequence near ''\\q'" },
    { "x = 0x", "1:5: malformed number near '0x'" },
  }
  for i, case in ipairs(wrong) do
    it(("is told by line and column (%d): %s"):format(i, case[2]), function()
      local message = refused(case[1])
      -- Where no token is named, the column is where reading stopped: some number.
      local want = "script.lua:" .. case[2]
      if want:find(":nil:", 1, true) then message = message:gsub("^(script.lua:%d+:)%d+:", "%1nil:") end
      assert.equals(want, message)
    end)
  end

  it("raises at its top level", function()
    assert.equals("script.lua:2: broken", refused "local x\nerror 'broken'")
    assert.equals("script.lua:1: attempt to index a nil value (global 'nothing')", refused "return nothing.here")
    assert.equals("script.lua: no place", refused "error('no place', 0)")
    assert.equals("script.lua: the script's top level raised a table, not a message", refused "error {}")
    assert.equals("script.lua:2: CheckFailed: no licence",
      refused "local errors = require('muster').errors\nerror(errors.CheckFailed('no licence'))")
    assert.matches("^script.lua: .*module 'no.such' not found:", refused "require 'no.such'" :gsub("^script.lua:1:",
      "script.lua:"))
  end)

  it("does I/O at its top level", function()
    for _, text in ipairs { "os.execute 'true'", "io.popen 'true'", "require('muster').sleep(0)",
      "coroutine.wrap(function() os.execute 'true' end)()" } do
      assert.equals("script.lua:1: not at load time: move it into setup or a step", refused(text))
    end
    -- Caught, it is the script's own business.
    assert.equals(0, T.run_local([[
      pcall(os.execute, "true")
      return { steps = { { name = "s", run = function() end } } }]]).code)
  end)

  it("never ends", function()
    assert.equals("script.lua: the script's top level ran for more than 10 s: move work into setup or a step",
      refused "while true do pcall(function() while true do end end) end")
  end)

  it("takes too much memory", function()
    assert.equals("script.lua: memory limit: the task needs more than its 64 MiB (--task-memory)",
      refused "local s = ('x'):rep(1 << 28)")
  end)

  it("is not there, or is no script", function()
    local dir = T.tmpdir()
    local result = T.run { "run", "--local", dir .. "/none.lua" }
    assert.equals(2, result.code)
    assert.matches("none.lua: No such file or directory\n$", result.stderr)
    result = T.run { "run", "--local", dir }
    assert.equals(2, result.code)
    assert.matches("Is a directory\n$", result.stderr)
    assert.equals("script.lua: is not a Lua script (it has a NUL byte)", refused "return {\0}")
    assert.equals("script.lua: is compiled Lua; muster runs source text only", refused(string.dump(function() end)))
    assert.matches("returns nothing", refused "")
    assert.matches("returns nothing", refused "#!only this")
  end)
end)

describe("files beside the script", function()
  local body = ", steps = { { name = 's', run = function(server)\n"
    .. "server:exec('cat %q', muster.run.dir .. '/payload/limits.txt') return 1 end } } }"

  local function folder(files)
    local dir = T.tmpdir()
    os.execute(("mkdir -p '%s/payload/deep'"):format(dir))
    T.write(dir .. "/payload/limits.txt", "42\n")
    T.write(dir .. "/payload/deep/x.sh", "true\n")
    T.write(dir .. "/here.lua", "local muster = require 'muster'\nreturn {\nfiles = " .. files .. body)
    return dir
  end

  it("are found from anywhere by the script's folder", function()
    local dir = folder "{ 'payload/*.txt', 'payload/limits.txt', 'payload/*/?.sh' }"
    local result = T.run { "run", "--local", dir .. "/here.lua" }
    assert.equals(0, result.code, result.stderr)
  end)

  it("must be there, and within", function()
    local dir = folder "{ 'payload/*.txt', 'payload/*.sh' }"
    local function said()
      local r = T.run { "run", "--local", dir .. "/here.lua" }
      assert.equals(2, r.code)
      return r.stderr
    end
    assert.matches("here.lua:3: files: 'payload/%*.sh': there is no such file in " .. dir:gsub("%p", "%%%0") .. "\n", said())
    os.execute(("ln -s /etc/passwd '%s/payload/p.sh'"):format(dir))
    assert.matches("here.lua:3: files: 'payload/%*.sh': .*/payload/p.sh is a link to /etc/passwd, outside the script's folder: "
      .. "put the file itself there\n", said())
    os.execute(("ln -sf deep/x.sh '%s/payload/p.sh'"):format(dir))
    assert.equals(0, T.run({ "run", "--local", dir .. "/here.lua" }).code)
  end)
end)

describe("parameters", function()
  local text = [[
    return { params = { i = 10, n = 1.5, s = "text", b = false, ["dotted.name-x"] = "d" }, steps = { { name = "s",
      run = function(_, p)
      print(("%s %s %s %s %s %s"):format(p.i, math.type(p.i), p.n, p.s, p.b, p["dotted.name-x"]))
    end } } }]]
  local function with(...)
    local args = {}
    for i, p in ipairs { ... } do
      args[2 * i - 1], args[2 * i] = "-p", p
    end
    local result = run(text, { args = args })
    assert.equals(0, result.code, result.stderr)
    return (result.steps.s.log:gsub("\n", ""))
  end

  it("take the type of their default", function()
    assert.equals("10 integer 1.5 text false d", with())
    assert.equals("30 integer 1.5 text false d", with "i=30")
    assert.equals("-3 integer 2e+20 text false d", with("i=-3", "n=2e20"))
    assert.equals("10 integer 2.0 text false d", with "n=2")
    assert.equals("10 integer 1.5 5 false d", with "s=5")
    assert.equals("10 integer 1.5 a=b c false d", with "s=a=b c")
    assert.equals("10 integer 1.5  false d", with "s=")
    assert.equals("7 integer 1.5 text false d", with("i=5", "i=7"))
    assert.equals("10 integer 1.5 text false other", with "dotted.name-x=other")
    for _, yes in ipairs { "true", "yes", "on", "1" } do assert.equals("10 integer 1.5 text true d",
      with("b=" .. yes)) end
    for _, no in ipairs { "false", "no", "off", "0" } do assert.equals("10 integer 1.5 text false d",
      with("b=" .. no)) end
  end)

  it("are refused when they do not fit", function()
    local function message(p) return refused(text, { args = { "-p", p } }) end
    assert.equals("parameter i of script.lua wants an integer, not '1.5'", message "i=1.5")
    assert.equals("parameter i of script.lua wants an integer, not 'ten'", message "i=ten")
    assert.equals("parameter i of script.lua wants an integer, not ''", message "i=")
    assert.equals("parameter i of script.lua wants an integer, not '99999999999999999999'",
      message "i=99999999999999999999")
    assert.equals("parameter n of script.lua wants a number, not '5s'", message "n=5s")
    assert.equals("parameter n of script.lua wants a number, not 'nan'", message "n=nan")
    assert.equals("parameter b of script.lua wants true or false, not 'maybe'", message "b=maybe")
    assert.equals("script.lua has no parameter 'x'; it has: b, dotted.name-x, i, n, s", message "x=1")
    assert.matches("^%-p", (message "no_equals":gsub("^%-%-param", "-p")))
    assert.equals("script.lua has no parameters, so there is no 'x' to set",
      refused("return { steps = { { name = 's', run = function() end } } }", { args = { "-p", "x=1" } }))
  end)
end)

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
