-- The modules that a script can use: its own files, the installed library, the host's, and what muster itself offers.
local T = require "muster_test"
local cjson = require "cjson"

local function run(text, options)
  local result = T.run_local(text, options)
  assert(result.results, result.stderr)
  result.steps = {}
  for _, step in ipairs(result.results.servers[1].steps) do result.steps[step.name] = step end
  return result
end

-- A script of one step that prints tell { … } as JSON; returns what was told.
local function told(body, options)
  local result = run("local cjson, muster = require 'cjson', require 'muster'\n" ..
    "local function tell(t) print('TOLD ' .. cjson.encode(t)) end\n" ..
    "return { steps = { { name = 's', run = function(server)\n" .. body .. "\nend } } }", options)
  assert.equals(0, result.code, result.stderr)
  local out = {}
  for line in result.steps.s.log:gmatch "TOLD ([^\n]*)" do
    for name, value in pairs(cjson.decode(line)) do out[name] = value end
  end
  return out, result
end

local function folders(dir, ...)
  for _, name in ipairs { ... } do assert(os.execute("mkdir -p " .. T.quote(dir .. "/" .. name))) end
end

describe("require", function()
  it("finds modules beside the script, whatever the working directory", function()
    local dir = T.tmpdir()
    folders(dir, "lib/deep", "whole")
    T.write(dir .. "/lib/deep/mod.lua", "return { name = ..., file = select(2, ...) }")
    T.write(dir .. "/whole/init.lua", "return { sub = require 'whole.sub' }")
    T.write(dir .. "/whole/sub.lua", "return 'from ' .. ...")
    local t = told([[local m = require "lib.deep.mod" tell { name = m.name, file = m.file,
      again = require "lib.deep.mod" == m,
      sub = require("whole").sub, helper = require "helper" }]],
      { dir = dir, cwd = "/", files = { ["helper.lua"] = "return 'helped'" } })
    assert.equals("lib.deep.mod", t.name)
    assert.equals(dir .. "/lib/deep/mod.lua", t.file)
    assert.is_true(t.again)
    assert.equals("from whole.sub", t.sub)
    assert.equals("helped", t.helper)
  end)

  it("works at the script's top level too, and there checks as it loads", function()
    local result = run([[local helper = require "helper" return { steps = { { name = "s",
      run = function() return helper.value end } } }]],
      { files = { ["helper.lua"] = "return { value = 7 }" } })
    assert.equals(7, result.steps.s.metrics.score.value)
  end)

  it("finds what is installed with the program; what stands beside the script comes first", function()
    -- An installation of its own: the library is found from where the program is.
    local prefix, dir = T.tmpdir(), T.tmpdir()
    folders(prefix, "bin", "share/muster/scripts/lib/group")
    assert(os.execute("cp " .. T.quote(T.muster, prefix .. "/bin/muster")))
    T.write(prefix .. "/share/muster/scripts/lib/installed_only.lua", "return 'installed'")
    T.write(prefix .. "/share/muster/scripts/lib/both.lua", "return 'installed'")
    T.write(prefix .. "/share/muster/scripts/lib/group/init.lua", "return 'group of the library'")
    T.write(dir .. "/both.lua", "return 'beside'")
    T.write(dir .. "/script.lua", [[return { steps = { { name = "s", run = function()
      print("> " .. require "installed_only" .. " " .. require "both" .. " " .. require "group")
    end } } }]])
    local result = T.exec { prefix .. "/bin/muster", "run", "--local", "--log-format", "json", dir .. "/script.lua" }
    assert.equals(0, result.code, result.stderr)
    assert.is_truthy(T.find_log(T.decode_log(result.stderr), "> installed beside group of the library"))
  end)

  it("tells where a module's syntax is wrong", function()
    local result = run([[return { steps = { { name = "s", run = function() require "broken" end } } }]],
      { files = { ["broken.lua"] = "local x = 1\nreturn {\n  a = = 2 }\n" } })
    assert.equals(3, result.code)
    local failure = result.steps.s.failures[1]
    assert.equals("ScriptError", failure.type)
    assert.equals(result.dir .. "/broken.lua:3:7: unexpected symbol near '='", failure.message)
    -- Needed at the top level, it is a load error.
    result = T.run_local([[require "broken"]], { files = { ["broken.lua"] = "#!/bin/lua\nx = }" } })
    assert.equals(2, result.code)
    assert.matches("/broken.lua:2:5: unexpected symbol near '}'\n$", result.stderr)
  end)

  it("tells what was looked for, and the line of what a module raises", function()
    local result = run([[return { steps = {
      { name = "none", run = function() require "no.such" end },
      { name = "raises", run = function() require "raises" end } } }]],
        { files = { ["raises.lua"] = "\n\nerror 'from the module'" } })
    local message = result.steps.none.failures[1].message
    assert.matches("module 'no.such' not found:", message)
    assert.is_truthy(message:find(result.dir .. "/no/such.lua", 1, true), message)
    assert.equals(result.dir .. "/raises.lua:3: from the module", result.steps.raises.failures[1].message)
  end)

  it("ends a circle", function()
    local result = run([[return { steps = { { name = "s", run = function() require "a" end } } }]],
      { files = { ["a.lua"] = "return require 'b'", ["b.lua"] = "return require 'a'" } })
    assert.matches("b.lua:1: modules require each other in a circle: 'a' is still being loaded$",
      result.steps.s.failures[1].message)
  end)

  it("lets a module wait while it loads", function()
    local t = told([[tell { v = require "waits" }]],
      { files = { ["waits.lua"] = "require('muster').sleep(0.01) return io.popen('echo waited'):read 'l'" } })
    assert.equals("waited", t.v)
  end)
end)

describe("cjson", function()
  it("is there, plain and safe", function()
    local t = told [[
      local safe = require "cjson.safe"
      tell { round = cjson.decode(cjson.encode { a = { 1, 2, { b = "ü\n" } }, n = cjson.null }).a[3].b,
        null = cjson.decode "null" == cjson.null,
        raises = select(2, pcall(cjson.decode, "{bad")), safe = { safe.decode "{bad" == nil, (select(2,
          safe.decode "{bad")) },
        fine = safe.decode("[1,2]")[2], not_encodable = select(2, pcall(cjson.encode, print)),
          same = require "cjson" == cjson }]]
    assert.equals("ü\n", t.round)
    assert.is_true(t.null)
    assert.matches("Expected object key string but found invalid token", t.raises)
    assert.is_true(t.safe[1])
    assert.matches("Expected object key string", t.safe[2])
    assert.equals(2, t.fine)
    assert.matches("Cannot serialise function", t.not_encodable)
    assert.is_true(t.same)
  end)
end)

describe("commands on this machine", function()
  it("run by os.execute and io.popen while other servers go on", function()
    local t, result = told [[
      local p = io.popen "printf 'one\ntwo\n'; echo not taken >&2"
      local lines = {}
      for line in p:lines() do lines[#lines + 1] = line end
      tell { lines = lines, kind = io.type(p), closed = p:close(), execute = { os.execute "exit 3" },
        shell = os.execute(),
        write = select(2, pcall(io.popen, "cat", "w")), stdin = io.popen("cat"):read "a",
          big = #io.popen("head -c 1000000 /dev/zero"):read "a" }]]
    assert.same({ "one", "two" }, t.lines)
    assert.equals("file", t.kind)
    assert.is_true(t.closed)
    assert.same({ cjson.null, "exit", 3 }, t.execute)
    assert.is_true(t.shell)
    assert.matches('io.popen reads only %("r"%)', t.write)
    assert.equals("", t.stdin)
    assert.equals(1000000, t.big)
    assert.equals(0, result.code)
  end)

  it("of one server do not hold up another on the same worker", function()
    -- Each waits for a file that the other's command makes.
    local dir = T.tmpdir()
    local result = run(([[
      return { steps = { { name = "s", timeout = "60s", run = function(server)
        local other = server.id == "a" and "b" or "a"
        local command = ("touch %%s/%%s; until [ -e %%s/%%s ]; do sleep 0.02; done"):format(%q, server.id, %q, other)
        if server.id == "a" then assert(os.execute(command)) else assert(io.popen(command)) end
      end } } }]]):format(dir, dir), { args = { "-j", "2", "--workers", "1", "a", "b" } })
    assert.equals(0, result.code, result.stderr)
  end)
end)

describe("print, io.write and warn", function()
  it("go to the log and the report, with server and step", function()
    local result = run [[return { steps = { { name = "s", run = function()
      print("tab", "bed", nil, 1.5, true) print() print "line\n"
      io.write("a", 1, "\n") io.stdout:write "to stdout\n" io.stderr:write "to stderr\n" warn("careful", "!")
      print(setmetatable({}, { __tostring = function() return "shown" end }))
      print("two\nlines")
      assert(io.write "x" == io.stdout and io.stdout:write "y":flush() == io.stdout)
      io.flush()
    end } } }]]
    assert.equals(0, result.code, result.stderr)
    local events = {}
    for _, line in ipairs(result.log) do
      if line.step == "s" then
        events[#events + 1] = line.event
        assert.equals("localhost", line.server_id)
        assert.equals(line.event == "careful!" and "warning" or "info", line.level)
      end
    end
    table.remove(events) -- "Step finished"
    assert.equals("tab\tbed\tnil\t1.5\ttrue", events[1])
    for _, event in ipairs { "line", "a1", "to stdout", "to stderr", "careful!", "shown", "two\nlines" } do
      assert.is_truthy(T.find_log(result.log, event), event)
    end
    assert.matches("tab\tbed\tnil\t1.5\ttrue\n", result.steps.s.log)
    assert.matches("to stdout\nto stderr\ncareful!\nshown\ntwo\nlines\n", result.steps.s.log)
    assert.equals("Out of 1, 0 servers failed. failed_servers=[]\n", result.stdout)
  end)
end)

describe("muster.log", function()
  it("has levels and fields", function()
    local text = [[
      local muster = require "muster"
      return { steps = { { name = "s", run = function(server)
        local log = muster.log
        log.trace "t" log.debug "d" log.info "i" log.warning "w" log.warn "w2" log.error "e"
        log.info("fields", { gpu = 0, load = 1.5, name = "x y", ok = true, obj = setmetatable({},
          { __tostring = function() return "obj!" end }) })
        log.info(42) log.info(nil) log.info(setmetatable({}, { __tostring = function() return "an object" end }))
        log.info("evil\nline\27[31m", { k = "v\n\27" })
      end } } }]]
    local result = run(text)
    assert.equals(0, result.code, result.stderr)
    local levels = {}
    for _, line in ipairs(result.log) do levels[line.event] = line.level end
    assert.same({ "info", "warning", "warning", "error" }, { levels.i, levels.w, levels.w2, levels.e })
    assert.is_nil(levels.t)
    assert.is_nil(levels.d)
    local line = T.find_log(result.log, "fields")
    assert.equals(0, line.gpu)
    assert.equals(1.5, line.load)
    assert.equals("x y", line.name)
    assert.is_true(line.ok)
    assert.equals("obj!", line.obj)
    assert.equals("localhost", line.server_id)
    assert.equals("s", line.step)
    for _, event in ipairs { "42", "nil", "an object" } do assert.equals("info", levels[event], event) end
    local verbose = {}
    for _, l in ipairs(run(text, { args = { "-vv" } }).log) do verbose[l.event] = l.level end
    assert.equals("trace", verbose.t)
    assert.equals("debug", verbose.d)
    local quiet = {}
    for _, l in ipairs(run(text, { args = { "-q" } }).log) do quiet[l.event] = l.level end
    assert.is_nil(quiet.i)
    assert.equals("warning", quiet.w)
  end)

  it("refuses what is no field", function()
    local t = told [[
      local function message(...) return select(2, pcall(...)) end
      local many = {} for i = 1, 40 do many["k" .. i] = i end
      tell { list = message(muster.log.info, "x", { 1 }), text = message(muster.log.info, "x", "y"),
        none = message(muster.log.info),
        many = message(muster.log.info, "x", many), bind = message(muster.log.bind),
          bind_list = message(muster.log.bind, { 1 }) }]]
    assert.matches("log fields are name = value", t.list)
    assert.matches("table expected", t.text)
    assert.matches("more than 32 log fields", t.many)
    assert.matches("table expected", t.bind)
    assert.matches("log fields are name = value", t.bind_list)
  end)

  it("binds fields to what follows in the step, the host's lines too", function()
    local result = run [[
      local muster = require "muster"
      return {
        setup = function() muster.log.bind { in_setup = true } muster.log.info "in setup" end,
        steps = {
          { name = "a", run = function(server)
            muster.log.bind { gpu = 1 } muster.log.bind { slot = "b" } muster.log.bind { gpu = 2 }
            muster.log.info("own", { extra = 5 })
            coroutine.wrap(function() muster.sleep(0) muster.log.info "in a coroutine" end)()
            server:exec "true"
            print "printed"
            return 1
          end },
          { name = "b", run = function() muster.log.info "next step" end } } }]]
    assert.equals(0, result.code, result.stderr)
    for _, event in ipairs { "own", "in a coroutine", "printed", "a.score is 1." } do
      local line = T.find_log(result.log, event)
      assert.equals(2, line.gpu, event)
      assert.equals("b", line.slot, event)
      assert.is_nil(line.in_setup, event)
    end
    assert.equals(5, T.find_log(result.log, "own").extra)
    assert.is_true(T.find_log(result.log, "in setup").in_setup)
    assert.is_nil(T.find_log(result.log, "next step").gpu)
  end)
end)

describe("muster.errors", function()
  local types = { PerformanceBelowExpected = "failed", CheckFailed = "failed", ServerOperationError = "failed",
    ConnectError = "unreachable",
    HostKeyError = "unreachable", AuthError = "unreachable", CommandError = "error", TimeoutError = "timeout",
    ScriptError = "error", ProvisionerError = "error", ServerStateError = "error" }

  it("make a step what their type says", function()
    local steps = {}
    for name in pairs(types) do
      steps[#steps + 1] = ([[
        { name = %q, run = function()
          error(muster.errors[%q]("it went wrong", { gpu = 3 }))
        end },]]):format(name, name)
    end
    local result = run("local muster = require 'muster' return { steps = {" .. table.concat(steps) .. "} }")
    for name, status in pairs(types) do
      local step = result.steps[name]
      assert.equals(status, step.status, name)
      assert.equals(name, step.failures[1].type)
      assert.matches("^it went wrong %(.*/script.lua:%d+%)$", step.failures[1].message)
      assert.equals("it went wrong", step.failures[1].cause)
      assert.is_truthy(T.find_log(result.log, name .. ": it went wrong"))
    end
    assert.equals("failed", result.results.servers[1].status)
    assert.equals(1, result.code)
  end)

  it("are tables with a type, a message, a place and fields", function()
    local t, result = told [[
      local errors = muster.errors
      local e = errors.CheckFailed("no GPU", { gpu = 3 })
      local ok, same = pcall(error, e)
      tell { type = e.type, message = e.message, gpu = e.gpu, where = e.where, text = tostring(e), same = same == e,
        is = errors.is(e), is_type = errors.is(e, "CheckFailed"), is_other = errors.is(e, "CommandError"),
          is_table = errors.is { type = "CheckFailed" },
        is_text = errors.is "CheckFailed", is_nil = errors.is(nil), metatable = getmetatable(e), own = e.own == nil,
        no_message = select(2, pcall(errors.CheckFailed)), bad_fields = select(2, pcall(errors.CheckFailed, "x", 5)),
        concat = "caught: " .. tostring(select(2, pcall(error, errors.TimeoutError "late"))) }
      e.own = 5
      tell { set = e.own }]]
    assert.equals("CheckFailed", t.type)
    assert.equals("no GPU", t.message)
    assert.equals(3, t.gpu)
    assert.equals(result.script .. ":5", t.where)
    assert.equals("CheckFailed: no GPU", t.text)
    assert.is_true(t.same and t.is and t.is_type and t.own)
    assert.is_false(t.is_other or t.is_table or t.is_text or t.is_nil or t.metatable)
    assert.matches("string expected", t.no_message)
    assert.matches("table expected", t.bad_fields)
    assert.equals("caught: TimeoutError: late", t.concat)
    assert.equals(5, t.set)
  end)

  it("of no type are script errors with a place", function()
    local result = run [[return { steps = {
      { name = "text", run = function() error "plain" end },
      { name = "level0", run = function() error("no place", 0) end },
      { name = "table", run = function() error { code = 5 } end }, { name = "null", run = function() error() end },
      { name = "number", run = function() error(42) end }, { name = "bug", run = function() local x; return x.y end },
      { name = "lookalike", run = function() error { type = "CheckFailed", message = "made by hand" } end } } }]]
    local function message(name)
      assert.equals("ScriptError", result.steps[name].failures[1].type, name)
      assert.equals("error", result.steps[name].status, name)
      return (result.steps[name].failures[1].message:gsub("^.*/script", "script"))
    end
    assert.equals("script.lua:2: plain", message "text")
    assert.equals("no place", message "level0")
    assert.equals("script.lua:4: an error value that is a table was raised", message "table")
    assert.equals("script.lua:4: error(nil) was raised", message "null")
    assert.matches("an error value that is a number was raised", message "number")
    assert.equals("script.lua:5: attempt to index a nil value (local 'x')", message "bug")
    assert.equals("failed", result.steps.lookalike.status)
    assert.equals("made by hand", result.steps.lookalike.failures[1].message)
  end)

  it("log where they were raised at debug level", function()
    local result = run([[return { steps = { { name = "s", run = function()
      local function inner() error "deep" end
      inner()
    end } } }]], { args = { "-v" } })
    local line = T.find_log(result.log, "Where it was raised.")
    assert.equals("debug", line.level)
    assert.matches("script.lua:2: in .*\n.*script.lua:3: in", line.traceback)
  end)
end)

describe("muster.sleep and muster.version", function()
  it("take durations", function()
    local t = told [[
      local function took(d) local from = os.time() muster.sleep(d) return os.time() - from end
      local function message(...) return select(2, pcall(muster.sleep, ...)) end
      tell { zero = took(0) < 60, none = select("#", muster.sleep(0.001)), ms = took "20ms" < 60,
        word = message "soon", negative = message(-1), nan = message(0 / 0),
        huge = message(1e300), kind = message {}, bool = message(true), version = muster.version,
          script = muster.script { 1 }[1] }
      local clock = tonumber(io.popen("date +%s%N"):read "a")
      muster.sleep(0.15) muster.sleep "150ms"
      tell { slept = (tonumber(io.popen("date +%s%N"):read "a") - clock) / 1e9 }]]
    assert.is_true(t.zero and t.ms)
    assert.equals(0, t.none)
    assert.matches("sleep 'soon' is not a duration: give seconds, or", t.word)
    assert.matches("sleep must be 0 or more seconds", t.negative)
    assert.matches("sleep must be 0 or more seconds", t.nan)
    assert.matches("sleep must be 0 or more seconds", t.huge)
    assert.matches("sleep must be seconds or a string", t.kind)
    assert.matches("sleep must be seconds or a string", t.bool)
    assert.matches("^%d+%.%d+%.%d+$", t.version)
    assert.equals(1, t.script)
    assert.is_true(t.slept >= 0.3, t.slept)
  end)
end)
