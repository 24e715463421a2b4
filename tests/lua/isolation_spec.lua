-- What one server's task does cannot be seen by another's, whatever -j and --workers are.
local T = require "muster_test"

local shared = "is shared by all servers and read%-only: keep your own functions in a table of your own"

-- Each server's step tries every attack. `see` is asked before, after a wait in which the other servers run, and after
-- all others: on a server that is alone in the world it says `before`, and then `after` (the same when not given).
-- `says`: the pattern of the error that the attack raises; nil when it is the task's own business, and works.
local attacks = {
  -- ---- globals and the environment ----
  { "a global", [[leak = ID]], see = [[leak]], before = "nil", after = "ID" },
  { "a global by _G", [[_G.leak2 = ID]], see = [[leak2]], before = "nil", after = "ID" },
  { "a global by rawset", [[rawset(_G, "leak3", ID)]], see = [[_G.leak3]], before = "nil", after = "ID" },
  { "a global by _ENV", [[local _ENV = _G; leak4 = ID]], see = [[leak4]], before = "nil", after = "ID" },
  { "a global by load", [[load("leak5 = ...")(ID)]], see = [[load "return leak5"()]], before = "nil", after = "ID" },
  { "a global by loadfile", [[loadfile(DIR .. "/chunk.lua")(ID)]], see = [[from_chunk]], before = "nil", after = "ID" },
  { "a global by dofile", [[dofile(DIR .. "/chunk2.lua")]], see = [[from_chunk2]], before = "nil", after = "1" },
  { "a global by a coroutine", [[coroutine.wrap(function() leak6 = ID end)()]], see = [[leak6]], before = "nil",
    after = "ID" },
  { "a global of a module", [[require("global_module")(ID)]], see = [[from_module]], before = "nil", after = "ID" },
  { "a metatable of the globals", [[setmetatable(_G, { __index = function(_,
    k) return k == "ghost" and ID or nil end })]],
    see = [[rawget(_G, "ghost") or _G.ghost]], before = "nil", after = "ID" },
  { "an upvalue of the script", [[count()]], see = [[count_now()]], before = "0", after = "1" },
  { "the script's description", [[description.steps[1].mark = ID]], see = [[description.steps[1].mark]],
    before = "nil", after = "ID" },

  -- ---- modules ----
  { "a field of a module", [[require("state").value = ID]], see = [[require("state").value]], before = "nil",
    after = "ID" },
  { "an upvalue of a module", [[require("state").set(ID)]], see = [[require("state").get()]], before = "nil",
    after = "ID" },
  { "a metatable of a module's class", [[getmetatable(require("state").object).__index.mark = ID]],
    see = [[require("state").object.mark]], before = "nil", after = "ID" },
  { "package.loaded", [[package.loaded.invented = ID]], see = [[package.loaded.invented]], before = "nil",
    after = "ID" },
  { "package.preload", [[package.preload.made = function() return ID .. "" end]], see = [[select(2, pcall(require,
    "made")) == ID]],
    before = "false", after = "true" },

  -- ---- shared libraries ----
  { "string.upper", [[string.upper = function() return ID end]], says = "^string " .. shared, see = [[("x"):upper()]],
    before = "X" },
  { "a new string method", [[string.shout = function() return ID end]], says = "^string " .. shared,
    see = [[("x").shout]], before = "nil" },
  { "string by rawset", [[rawset(string, "shout", ID)]], says = "^string " .. shared, see = [[string.shout]],
    before = "nil" },
  { "table by rawset", [[rawset(table, "mine", ID)]], says = "^table " .. shared, see = [[table.mine]],
    before = "nil" },
  { "table.insert into a library", [[table.insert(math, ID)]], says = "^math " .. shared, see = [[math[1] ]],
    before = "nil" },
  { "table.move into a library", [[table.move({ ID }, 1, 1, 1, utf8)]], says = "^utf8 " .. shared, see = [[utf8[1] ]],
    before = "nil" },
  { "table.sort of a library", [[table.sort(setmetatable({}, { __len = function() return 2 end, __index = { 2, 1 },
    __newindex = string }))]],
    says = "^string " .. shared, see = [[string[1] ]], before = "nil" },
  { "math.pi", [[math.pi = 3]], says = "^math " .. shared, see = [[math.pi > 3.1]], before = "true" },
  { "os.time", [[os.time = ID]], says = "^os " .. shared, see = [[type(os.time)]], before = "function" },
  { "io.open", [[io.open = ID]], says = "^io " .. shared, see = [[type(io.open)]], before = "function" },
  { "coroutine.wrap", [[coroutine.wrap = ID]], says = "^coroutine " .. shared, see = [[type(coroutine.wrap)]],
    before = "function" },
  { "debug.traceback", [[debug.traceback = ID]], says = "^debug " .. shared, see = [[type(debug.traceback)]],
    before = "function" },
  { "io.stdout", [[io.stdout.write = ID]], says = "^io.stdout " .. shared, see = [[type(io.stdout.write)]],
    before = "function" },
  { "a library's metatable", [[setmetatable(string, { __index = { upper = ID } })]], says = "protected metatable",
    see = [[("x"):upper()]], before = "X" },
  { "a library's metatable's index", [[getmetatable(string).__index.upper = ID]], says = "index a boolean",
    see = [[("x"):upper()]], before = "X" },
  { "pairs over a library", [[for _, f in pairs(string) do if type(f) == "table" then f.mark = ID end end]],
    see = [[string.mark]], before = "nil" },
  { "a pairs iterator's upvalue", [[local f, s = pairs(string) s.mark = ID]], says = "^string " .. shared,
    see = [[string.mark]], before = "nil" },
  { "the string metatable", [[getmetatable("").__index = function() return ID end]], says = "index a boolean",
    see = [[("x").anything]], before = "nil" },
  { "the string metatable's arithmetic", [[getmetatable("").__add = function() return ID end]],
    says = "index a boolean", see = [["1" + 1]], before = "2" },
  { "a field of a string", [[("x").mark = ID]], says = "index a string value", see = [[("x").mark]], before = "nil" },
  { "the metatable of files", [[getmetatable(io.tmpfile()).__index = { read = ID }]], says = "index a boolean",
    see = [[type(io.tmpfile().read)]], before = "function" },
  { "a field of a file", [[io.tmpfile().mark = ID]], says = "attempt to index", see = [[io.tmpfile().mark]],
    before = "nil" },
  { "the muster module", [[require("muster").mark = ID]], says = "^muster " .. shared,
    see = [[require("muster").mark]], before = "nil" },
  { "muster.sleep by rawset", [[rawset(require "muster", "sleep", ID)]], says = "^muster " .. shared,
    see = [[type(require("muster").sleep)]], before = "function" },
  { "muster.log", [[require("muster").log.info = ID]], says = "^muster.log " .. shared,
    see = [[type(require("muster").log.info)]], before = "function" },
  { "muster.errors", [[require("muster").errors.Mine = ID]], says = "^muster.errors " .. shared,
    see = [[require("muster").errors.Mine]], before = "nil" },
  { "the class of errors", [[getmetatable(require("muster").errors.CheckFailed "x").__tostring = ID]],
    says = "index a boolean",
    see = [[tostring(require("muster").errors.CheckFailed "x")]], before = "CheckFailed: x" },
  { "an error's metatable", [[setmetatable(require("muster").errors.CheckFailed "x", {})]],
    says = "protected metatable",
    see = [[tostring(require("muster").errors.CheckFailed "x")]], before = "CheckFailed: x" },
  { "the server's class", [[getmetatable(server).__index = ID]], says = "index a boolean", see = [[type(server.exec)]],
    before = "function" },
  { "a field of the server", [[server.mark = ID]], says = "read%-only",
    see = [[pcall(function() return server.mark end)]], before = "false" },
  { "a method of the server", [[server.exec = ID]], says = "read%-only", see = [[server:exec("echo yes").stdout:sub(1,
    3)]], before = "yes" },
  { "the server's variables", [[server.vars.mark = ID]], see = [[server.vars.mark]], before = "nil", after = "ID" },
  { "the parameters", [[params.mark = ID params.depth = 99]], see = [[tostring(params.mark) .. params.depth]],
    before = "nil1", after = "ID99" },

  -- ---- state inside C ----
  { "cjson's settings", [[cjson.encode_sparse_array(true) cjson.encode_number_precision(3) cjson.decode_max_depth(2)]],
    see = [[cjson.encode(1 / 3) .. tostring(pcall(cjson.encode, { [1] = 1,
      [100] = 2 })) .. tostring(pcall(cjson.decode, ("["):rep(3) .. ("]"):rep(3)))]],
    before = "0.33333333333333falsetrue", after = "0.333truefalse" },
  { "cjson.safe's settings", [[safe.encode_number_precision(2)]], see = [[safe.encode(1 / 3)]],
    before = "0.33333333333333", after = "0.33" },
  { "a field of cjson", [[cjson.mark = ID]], see = [[cjson.mark]], before = "nil", after = "ID" },
  { "math.randomseed", [[math.randomseed(42)]], see = [[math.random(1, 1000000000) == 1 and "?" or "a number"]],
    before = "a number" },
  { "os.setlocale", [[os.setlocale "C"]], says = "os.setlocale is refused", see = [[tostring(1.5)]], before = "1.5" },
  { "os.exit", [[os.exit(7)]], says = "os.exit is refused", see = [[type(os.exit)]], before = "function" },
  { "package.loadlib", [[package.loadlib("libc.so.6", "*")]], says = "package.loadlib is refused",
    see = [[type(package.loadlib)]], before = "function" },
  { "collectgarbage stop", [[collectgarbage "stop"]], says = "invalid option 'stop'",
    see = [[collectgarbage "isrunning"]], before = "true" },
  { "collectgarbage generational", [[collectgarbage "generational"]], says = "invalid option",
    see = [[collectgarbage "isrunning"]], before = "true" },
  { "collectgarbage setpause", [[collectgarbage("setpause", 1000)]], says = "invalid option",
    see = [[collectgarbage "isrunning"]], before = "true" },
  { "io.read", [[io.read()]], says = "no standard input in a task", see = [[io.stdin]], before = "nil" },
  { "io.input", [[io.input(DIR .. "/chunk.lua")]], says = "no standard input in a task", see = [[io.stdin]],
    before = "nil" },
  { "io.lines of standard input", [[io.lines()]], says = "bad argument", see = [[io.stdin]], before = "nil" },
  { "io.output", [[io.output(DIR .. "/out")]], says = "standard output is the run's", see = [[type(io.stdout)]],
    before = "table" },
  { "io.stdout:close", [[io.stdout:close()]], says = "method 'close'", see = [[type(io.stdout)]], before = "table" },
  { "io.close", [[io.close()]], says = "bad argument", see = [[type(io.stdout)]], before = "table" },
  { "os.execute cd", [[os.execute("cd / && export MARK=1")]], see = [[os.getenv "MARK"]], before = "nil" },

  -- ---- what debug and coroutines reach ----
  { "debug.sethook", [[debug.sethook(function() end, "c")]], says = "field 'sethook'", see = [[debug.gethook]],
    before = "nil" },
  { "debug.getregistry", [[debug.getregistry().mark = ID]], says = "field 'getregistry'", see = [[debug.getregistry]],
    before = "nil" },
  { "debug.setmetatable", [[debug.setmetatable("", {})]], says = "field 'setmetatable'", see = [[("x"):upper()]],
    before = "X" },
  { "debug.setupvalue", [[debug.setupvalue(print, 1, ID)]], says = "field 'setupvalue'", see = [[debug.upvaluejoin]],
    before = "nil" },
  { "debug.getlocal", [[debug.getlocal(1, 1)]], says = "field 'getlocal'", see = [[debug.getuservalue]],
    before = "nil" },
  { "functions up the stack", [[
      for level = 0, 50 do
        local info = debug.getinfo(level, "fSu")
        if not info then break end
        for _, v in pairs(info) do if type(v) == "table" then v.mark = ID end end
      end]], see = [[debug.getinfo(1, "f").mark]], before = "nil" },
  { "the main coroutine", [[local co = coroutine.running() coroutine.close(co)]], says = "cannot close a running",
    see = [[coroutine.isyieldable()]], before = "false" },
  { "yielding garbage from the step", [[coroutine.yield(ID)]], says = "outside a coroutine",
    see = [[coroutine.isyieldable()]], before = "false" },
  { "__gc", [[setmetatable({}, { __gc = function() leak_gc = ID end })]],
    says = "__gc would run in the middle of another server's step",
    see = [[leak_gc]], before = "nil" },
  { "compiled code", [[assert(load(string.dump(function() return 1 end)))]], says = "compiled Lua is not loaded",
    see = [[1]], before = "1" },
  { "compiled code by loadfile", [[
      local name = DIR .. "/" .. server.id .. ".luac"
      local f = io.open(name, "w") f:write(string.dump(function() return 1 end)) f:close()
      assert(loadfile(name))]], says = "binary chunk", see = [[1]], before = "1" },

  -- ---- what breaks the ones after it, for this server ----
  { "a function replaced", [[tostring = function() return ID end]], see = [[tostring(1)]], before = "1", after = "ID" },
  { "print replaced", [[print = ID]], see = [[type(print)]], before = "function", after = "string" },
  { "package.loaded.string", [[package.loaded.string = { mark = ID }]], see = [[package.loaded.string.mark]],
    before = "nil", after = "ID" },
  { "package.path", [[package.path = ID]], see = [[#package.path == #ID]], before = "false", after = "true" },
  { "package itself", [[package = ID]], see = [[type(package)]], before = "table", after = "string" },
  { "require replaced", [[require = function() return { value = ID } end]],
    see = [[require("nothing_there_before").value]],
    before = "error", after = "ID" },
}

-- The script: everything is said as lines "name: what".
local function script_text(dir)
  local parts = { ([==[
local muster = require "muster"
local cjson, safe = require "cjson", require "cjson.safe"
local DIR = %q
local keep = { pcall = pcall, tostring = tostring, concat = table.concat, open = io.open, sleep = muster.sleep }
local counter = 0
function count() counter = counter + 1 return counter end
function count_now() return counter end
local attacks = {}
local description
]==]):format(dir) }
  for _, attack in ipairs(attacks) do
    parts[#parts + 1] = ([[
attacks[#attacks + 1] = { %q, function(ID, server, params) %s end,
  function(ID, server, params) return %s end }]]):format(attack[1], attack[2], attack.see)
  end
  parts[#parts + 1] = [==[
description = {
  params = { depth = 1 },
  steps = { { name = "all", run = function(server, params)
    local lines = {}
    local function say(name, what) lines[#lines + 1] = name .. ": " .. what end
    local function see(attack)
      local ok, value = keep.pcall(attack[3], server.id, server, params)
      return ok and keep.tostring(value) or "error"
    end
    -- All that can be seen before anything is done, with the other servers' attacks in between.
    for _, attack in ipairs(attacks) do
      say(attack[1] .. " before", see(attack))
      keep.sleep(0)
    end
    for _, attack in ipairs(attacks) do
      local ok, message = keep.pcall(attack[2], server.id, server, params)
      say(attack[1], ok and "works" or "raises " .. (keep.tostring(message):gsub("^[^ ]*script.lua:%d+: ", "")))
      keep.sleep(0)
      say(attack[1] .. " after", see(attack))
    end
    for _, attack in ipairs(attacks) do say(attack[1] .. " at the end", see(attack)) end
    local file = keep.open(DIR .. "/" .. server.id .. ".out", "w")
    file:write(keep.concat(lines, "\n"), "\n")
    file:close()
  end } },
}
return description
]==]
  return table.concat(parts, "\n")
end

local files = {
  ["chunk.lua"] = "from_chunk = ...",
  ["chunk2.lua"] = "from_chunk2 = (from_chunk2 or 0) + 1",
  ["global_module.lua"] = "return function(id) from_module = id end",
  ["state.lua"] = [[
    local mine
    local Class = {} Class.__index = Class
    return { set = function(v) mine = v end, get = function() return mine end, object = setmetatable({}, Class) }]],
}

local function outputs(args, servers)
  local dir = T.tmpdir()
  for _, server in ipairs(servers) do args[#args + 1] = server end
  local result = T.run_local(script_text(dir), { dir = dir, files = files, args = args })
  assert.equals(0, result.code, result.stderr .. result.stdout)
  local out = {}
  for _, server in ipairs(servers) do
    out[server] = T.read(dir .. "/" .. server .. ".out"):gsub(server, "ID")
  end
  return out
end

local function parsed(text)
  local said = {}
  for name, what in text:gmatch "([^\n]-): ([^\n]*)" do said[name] = what end
  return said
end

describe("isolation of servers on one worker", function()
  local said

  setup(function()
    -- Names that no word of the output is a part of.
    said = parsed(outputs({ "-j", "1", "--workers", "1" }, { "zq1" }).zq1)
  end)

  for _, attack in ipairs(attacks) do
    it("against " .. attack[1], function()
      assert.equals(attack.before, said[attack[1] .. " before"])
      if attack.says then
        assert.matches("^raises ", said[attack[1]])
        assert.matches(attack.says, (said[attack[1]]:gsub("^raises ", "")))
      else
        assert.equals("works", said[attack[1]])
      end
      assert.equals(attack.after or attack.before, said[attack[1] .. " after"])
    end)
  end

  for _, sizes in ipairs { { 1, 1 }, { 2, 1 }, { 4, 1 }, { 4, 2 }, { 4, 4 } } do
    it(("is the same with -j %d --workers %d"):format(sizes[1], sizes[2]), function()
      local servers = { "zq1", "zq2", "zq3", "zq4" }
      local out = outputs({ "-j", tostring(sizes[1]), "--workers", tostring(sizes[2]) }, servers)
      for name, what in pairs(parsed(out.zq1)) do assert.equals(said[name], what, name) end
      for _, server in ipairs(servers) do assert.equals(out.zq1, out[server], server) end
    end)
  end

  it("holds for a server that comes after one whose step broke everything it could", function()
    local result = T.run_local([[
      local muster = require "muster"
      return { steps = { { name = "s", run = function(server)
        if server.id == "first" then
          local all = _G
          for k in pairs(all) do all[k] = nil end
          return
        end
        assert(print and pairs and string and package.loaded.string and require "muster" == muster)
        return 7
      end } } }]], { args = { "-j", "1", "--workers", "1", "first", "second" } })
    assert.equals(0, result.code, result.stderr)
    assert.equals(7, result.results.servers[2].steps[1].metrics.score.value)
  end)

  it("gives each server random numbers of its own seed", function()
    local text = [[
      local muster = require "muster"
      return { params = { seed = true }, steps = { { name = "s", run = function(server, params)
        if params.seed then math.randomseed(7) end
        local t = {}
        for i = 1, 20 do t[i] = math.random(1000000) muster.sleep(0) end
        print(table.concat(t, " "))
      end } } }]]
    local function logs(...)
      local result = T.run_local(text, { args = { "-j", "3", "--workers", "1", "a", "b", "c", ... } })
      assert.equals(0, result.code, result.stderr)
      local out = {}
      for i, server in ipairs(result.results.servers) do out[i] = server.steps[1].log end
      return out
    end
    local seeded = logs()
    assert.equals(seeded[1], seeded[2])
    assert.equals(seeded[1], seeded[3])
    local free = logs("-p", "seed=false")
    assert.are_not.equal(free[1], free[2])
    assert.are_not.equal(free[2], free[3])
  end)

  it("counts each server's memory apart", function()
    local result = T.run_local([[
      local muster = require "muster"
      return { steps = { { name = "s", run = function(server)
        local t = {}
        if server.id == "big" then t[1] = ("x"):rep(20 << 20) end
        for _ = 1, 5 do muster.sleep(0) end
        return { kib = collectgarbage "count" }
      end } } }]], { args = { "-j", "2", "--workers", "1", "big", "small" } })
    assert.equals(0, result.code, result.stderr)
    local big, small = result.results.servers[1].steps[1].metrics.kib.value,
      result.results.servers[2].steps[1].metrics.kib.value
    assert.is_true(big > 20 * 1024, big)
    assert.is_true(small < 1024, small)
  end)

  it("keeps a log line's server and bound fields apart", function()
    local result = T.run_local([[
      local muster = require "muster"
      return { steps = { { name = "s", run = function(server)
        muster.log.bind { mark = "of " .. server.id }
        for i = 1, 20 do
          muster.sleep(0)
          muster.log.info("line " .. server.id, { i = i })
        end
      end }, { name = "t", run = function(server) muster.log.info("next " .. server.id) end } } }]],
      { args = { "-j", "3", "--workers", "1", "a", "b", "c" } })
    assert.equals(0, result.code)
    local n = 0
    for _, line in ipairs(result.log) do
      local id = line.event:match "^line (%w)$"
      if id then
        n = n + 1
        assert.equals(id, line.server_id)
        assert.equals("of " .. id, line.mark)
        assert.equals("s", line.step)
      end
      id = line.event:match "^next (%w)$"
      if id then
        n = n + 1
        assert.equals(id, line.server_id)
        assert.is_nil(line.mark)
      end
    end
    assert.equals(63, n)
  end)
end)
