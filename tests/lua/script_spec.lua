-- What a script's description may hold, how mistakes in it are told, and the files and parameters that it asks for. (How its
-- parts work together in a run: script_run_spec.lua.)
local T = require "muster_test"
local run = T.run_steps

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
