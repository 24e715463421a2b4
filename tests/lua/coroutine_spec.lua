-- A step is plain Lua: each snippet below says the same in a task of muster as under the lua5.4 program.
local T = require "muster_test"

-- name → code. What a snippet says with say(...) is compared; so is the error when it raises one.
local snippets = {
  -- ---- coroutines ----
  values_through_resume_and_yield = [[
    local co = coroutine.create(function(a, b)
      say("got", a, b)
      local c, d = coroutine.yield(a + b)
      say("got", c, d)
      say("nothing", coroutine.yield())
      return "end", nil, 3
    end)
    say(coroutine.status(co))
    say(coroutine.resume(co, 1, 2))
    say(coroutine.status(co))
    say(coroutine.resume(co, "x", nil))
    say(coroutine.resume(co))
    say(coroutine.status(co))
    say(coroutine.resume(co))
    say(coroutine.resume(co, 1))]],
  many_values = [[
    local t = {}
    for i = 1, 200 do t[i] = i end
    local co = coroutine.wrap(function(...)
      while true do say(select("#", coroutine.yield(select("#", ...), ...))) end
    end)
    say(select("#", co(table.unpack(t))))
    say(select("#", co(nil, nil, nil)))]],
  generators = [[
    local function walk(t) if type(t) == "table" then for _,
      v in ipairs(t) do walk(v) end else coroutine.yield(t) end end
    local sum = 0
    for v in coroutine.wrap(function() walk { 1, { 2, { 3, 4 }, 5 } } end) do sum = sum + v say(v) end
    say(sum)]],
  producer_and_consumer = [[
    local function produce(n) return coroutine.create(function() for i = 1,
      n do coroutine.yield(i) end return nil end) end
    local function filter(p) return coroutine.create(function()
      while true do local _, v = coroutine.resume(p) if not v then return nil end coroutine.yield(v * v) end end) end
    local f = filter(produce(5))
    while true do local ok, v = coroutine.resume(f) say(ok, v) if not v then break end end]],
  errors_of_resume = [[
    local co = coroutine.create(function() error("bad", 0) end)
    say(coroutine.resume(co)) say(coroutine.status(co)) say(coroutine.resume(co))
    say(coroutine.resume(coroutine.create(function() error({ 1 }) end)))
    say(coroutine.resume(coroutine.create(function() error() end)))
    say(coroutine.resume(coroutine.create(function() local x = nil; x.y = 1 end)))
    say(coroutine.resume(coroutine.running()))
    say(pcall(coroutine.resume, 1)) say(pcall(coroutine.create, 1)) say(pcall(coroutine.wrap, nil))
    say(pcall(coroutine.status)) say(pcall(coroutine.close, "x"))]],
  errors_of_wrap_have_a_position = [[
    say(pcall(coroutine.wrap(function() error "plain" end)))
    say(pcall(coroutine.wrap(function() error("level 0", 0) end)))
    say(pcall(coroutine.wrap(function() error("level 2", 2) end)))
    say(pcall(coroutine.wrap(function() error { 1 } end)))
    say(pcall(coroutine.wrap(function() error() end)))
    local w = coroutine.wrap(function() return 1 end)
    w()
    say(pcall(w))
    local function inside() w() end
    say(pcall(inside))
    local v
    v = coroutine.wrap(function() v() end)
    say(pcall(v))]],
  wrap_closes_after_an_error = [[
    local w = coroutine.wrap(function()
      local x <close> = setmetatable({}, { __close = function(_, e) say("closed", e) end })
      error("in wrap", 0)
    end)
    say(pcall(w)) say(pcall(w))]],
  a_coroutine_that_resumes_its_resumer = [[
    local main
    main = coroutine.create(function()
      local co = coroutine.create(function() say(coroutine.status(main)) say(coroutine.resume(main)) end)
      say(coroutine.resume(co)) say(coroutine.status(co))
    end)
    say(coroutine.resume(main))]],
  running_and_yieldable = [[
    local co, main = coroutine.running()
    say(type(co), main) say(coroutine.isyieldable()) say(coroutine.status(co))
    coroutine.wrap(function()
      local c, m = coroutine.running()
      say(type(c), m, c == co) say(coroutine.isyieldable()) say(coroutine.status(co)) say(coroutine.status(c))
    end)()
    say(pcall(coroutine.yield)) say(pcall(coroutine.yield, 1))
    say(coroutine.isyieldable())]],
  close = [[
    local function closing(name) return setmetatable({}, { __close = function(_, e) say("close", name, e) end }) end
    local co = coroutine.create(function()
      local a <close> = closing "a"
      local b <close> = closing "b"
      coroutine.yield(1)
    end)
    say(coroutine.resume(co)) say(coroutine.close(co)) say(coroutine.status(co)) say(coroutine.close(co))
    co = coroutine.create(function() error("e", 0) end)
    say(coroutine.resume(co)) say(coroutine.close(co)) say(coroutine.close(co))
    co = coroutine.create(function()
      local a <close> = setmetatable({}, { __close = function() error("in close", 0) end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    say(coroutine.close(co)) say(coroutine.status(co))
    say(coroutine.close(coroutine.create(print)))
    say(pcall(coroutine.close, (coroutine.running())))
    co = coroutine.create(function() say(pcall(coroutine.close, (coroutine.running()))) end)
    coroutine.resume(co)]],
  close_handlers = [[
    local function closing(name, f)
      return setmetatable({}, { __close = function(_, e) say("close", name, e) if f then f() end end })
    end
    do local a <close> = closing "1" local b <close> = closing "2" end
    say(pcall(function() local a <close> = closing "3" error("e", 0) end))
    say(pcall(function()
      local a <close> = closing "4"
      local b <close> = closing("5", function() error("second", 0) end)
      error("first", 0)
    end))
    local function f() local a <close> = closing "6" return "result", 2 end
    say(f())
    for i = 1, 3 do local a <close> = closing(i) if i == 2 then break end end
    say(pcall(function() local a <close> = 1 end))
    say(pcall(function() local a <close> = nil local b <close> = false return 7 end))
    for k in next, { 1 }, nil, closing "for" do say(k) end]],
  yield_in_close = [[
    local co = coroutine.wrap(function()
      local a <close> = setmetatable({}, { __close = function(_, e) say("in", e)
        say(coroutine.yield "from close") end })
      say(coroutine.yield "body")
      return "end"
    end)
    say(co()) say(co "one") say(co "two")
    co = coroutine.wrap(function()
      say(pcall(function()
        local a <close> = setmetatable({}, { __close = function(_, e) coroutine.yield(e) end })
        error("raised", 0)
      end))
      return "end"
    end)
    say(co()) say(co())]],
  yield_through_pcall_and_metamethods = [[
    local y = coroutine.yield
    local mt = { __add = function(a, b) return y "add" end, __index = function(t, k) return y(k) end,
      __lt = function() return y "lt" end, __concat = function() return y "concat" end,
        __eq = function() return y "eq" end,
      __len = function() return y "len" end, __call = function(_, x) return y(x) end, __newindex = function(_,
        k) y(k) end }
    local co = coroutine.wrap(function()
      local t, u = setmetatable({}, mt), setmetatable({}, mt)
      say(t + 1) say(t.field) say(t < u) say(t .. "x") say(t == u) say(#t) say(t "called") t.new = 1
      say(pcall(function() return y "pcall" end))
      say(pcall(function() y "then" error("e", 0) end))
      say(xpcall(function() y "xpcall" error("e", 0) end, function(e) return "handled " .. e end))
      for k in function(_, c) return y(c) end, nil, "iterate" do say(k) break end
      return "end"
    end)
    local v = co()
    while v ~= "end" do say("yielded", v) v = co("sent for " .. tostring(v)) end]],
  yield_across_a_c_call = [[
    say(coroutine.resume(coroutine.create(function() table.sort({ 3, 2, 1 }, function(a,
      b) coroutine.yield() end) end)))
    say(coroutine.resume(coroutine.create(function() ("x"):gsub("x", coroutine.yield) end)))
    say(coroutine.resume(coroutine.create(function() ("x"):gsub("x", function()
      say(coroutine.isyieldable()) end) end)))]],
  coroutines_in_a_sort_comparator = [[
    local t = { 3, 1, 2 }
    table.sort(t, function(a, b) return coroutine.wrap(function() return coroutine.yield(a < b) end)() end)
    say(table.unpack(t))]],
  deep_coroutines = [[
    local function nest(n) if n == 0 then return "bottom" end return coroutine.wrap(nest)(n - 1) end
    say(nest(50))
    local function depth(n) local ok, v = coroutine.resume(coroutine.create(depth), n + 1) return ok and v or n end
    say(depth(0) > 30)]],
  a_thousand_coroutines = [[
    local all, sum = {}, 0
    for i = 1, 1000 do all[i] = coroutine.wrap(function() for j = 1, 3 do coroutine.yield(i * j) end end) end
    for _ = 1, 3 do for i = 1, 1000 do sum = sum + all[i]() end end
    say(sum)]],

  -- ---- protected calls ----
  pcall_values = [[
    say(pcall(function() end)) say(select("#", pcall(function() return nil, nil end)))
    say(pcall(function(...) return select("#", ...), ... end, nil, nil))
    say(pcall(error)) say(select("#", pcall(error))) say(pcall(error, nil)) say(pcall(error, false))
    say(pcall(error, 12)) say(pcall(error, 1.5)) say(pcall(error, print))
    local t = {} say(select(2, pcall(error, t)) == t)
    say(pcall(error, "level one", 1)) say(pcall(error, "level two", 2))
    say(pcall(function() error("here") end)) say(pcall(function() error("there", 2) end))
    say(pcall(nil)) say(pcall({})) say(pcall(pcall)) say(pcall(pcall, error, "x")) say(pcall(pcall))
    say(pcall(select, 0)) say(pcall(string.rep)) say(pcall(("x").rep, "x", {}))
    say(pcall(function() local a = nil; return a.b end)) say(pcall(function() return 1 + {} end))
    say(pcall(function() return #5 end)) say(pcall(function() return {} < {} end))
      say(pcall(function() return 1 < "2" end))
    say(pcall(function() undefined_function() end)) say(pcall(function() return ("x"):nosuch() end))
    say(pcall(function() return 1 // 0 end)) say(pcall(function() return 1 % 0 end))
      say(pcall(function() return 2^53 | 0.5 end))]],
  xpcall_values = [[
    say(xpcall(function(...) return ... end, print, 1, nil, 3))
    say(select("#", xpcall(function() end, print)))
    say(xpcall(error, function(e) return "handled " .. tostring(e), 2 end, "msg", 0))
    say(xpcall(function() local x = nil; x() end, function(e) return e:gsub("^.-:%d+: ", "") end))
    say(xpcall(error, function(e) return e end)) say(pcall(xpcall)) say(pcall(xpcall, print)) say(pcall(xpcall, print,
      1))
    say(xpcall(function() return xpcall(error, function(e) error("again", 0) end, "x", 0) end,
      function(e) return "outer" end))
    say(type(select(2, xpcall(error, debug.traceback, "m", 0))))
    say(xpcall(nil, function(e) return "called: " .. e end))]],
  nested_protection = [[
    say(pcall(pcall, pcall, error, "deep"))
    say(pcall(function()
      local ok, e = pcall(error, "inner", 0)
      error(e .. " again", 0)
    end))
    local ok, e = pcall(function() local ok, e = xpcall(error, function(m) return { m } end, "in", 0) error(e) end)
    say(ok, type(e), e[1])]],
  stack_overflow = [[
    local function f() return 1 + f() end
    local ok, e = pcall(f)
    say(ok, e:match "stack overflow")
    local ok2, e2 = pcall(string.rep, "x", -1) say(ok2, e2)
    local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end })
    local ok3, e3 = pcall(function() return t[1] end) say(ok3, e3:match "overflow")
    say(select("#", table.unpack({}, 1, 100))) say(pcall(table.unpack, {}, 1, 1e8))]],
  assert_and_error = [[
    say(assert(1, 2, 3)) say(pcall(assert, false)) say(pcall(assert, nil, "msg")) say(pcall(assert, false, { 1 }))
    say(pcall(assert)) say(pcall(assert, nil, nil)) say(select("#", assert(true, nil)))]],
  traceback = [[
    say(debug.traceback("m", 1):match "^m\nstack traceback:\n" ~= nil) say((debug.traceback(12):gsub("\n.*", "")))
    local t = {} say(debug.traceback(t) == t)
    local co = coroutine.create(function() local here = 1 coroutine.yield(here) end)
    coroutine.resume(co)
    say(debug.traceback(co):match "snippet") say(debug.getinfo(1, "l").currentline) say(debug.getinfo(print).what)
    say(debug.getinfo(1, "S").short_src) say(debug.getinfo(co, 1, "l") ~= nil) say(debug.getinfo(1000))]],

  -- ---- load ----
  load_text = [[
    say(load "return 1 + 1"()) say(load "x =") say(load("return 1", "@name"))  say(load("x x", "=name"))
      say(load("x x", "@na.lua"))
    say(load "") say(load("return ...", "n")(1, 2)) say(load "return _ENV == _G"()) say(load("error 'e'",
      "=chunk") ~= nil)
    say(pcall(load("error 'e'", "=chunk"))) say(pcall(load "error 'e'"))
    say(load("for")) say(load("'open")) say(load("goto nowhere")) say(load("break")) say(load("x = 1 1"))
    say(load("\n\n  y z", "=three")) say(load("return 08.5e2, 0x10, 3 // 2, 1e308 * 10, 'é\\u{48}'")())]],
  load_environment = [[
    local env = { y = 5 }
    say(load("x = y; return x", "n", "t", env)()) say(env.x, rawget(_G, "x"))
    say(pcall(load("return print", "n", "t", {}))) say(load("return print", "n", "t", {})())
    say(pcall(load("return z", "=n", "t", nil))) say(select(2, load("local a <const> = 1; a = 2", "=n")))
    loaded_global = 1 say(load "return loaded_global"()) loaded_global = nil
    load "made_by_load = 2"() say(made_by_load) made_by_load = nil
    local f = load("local function g() return v end return g", "n", "bt", { v = "deep" })() say(f())]],
  load_mode = [[
    say(load("return 1", "=n", "t")()) say(load("return 1", "=n", "bt")()) say(load("return 1", "=n", "b"))
    say(pcall(load)) say(pcall(load, nil)) say(pcall(load, {})) say(load(12)) say(pcall(load, "return 1", {}))]],
  load_reader = [[
    local function reader(...) local t, i = { ... }, 0 return function() i = i + 1 return t[i] end end
    say(load(reader("return ", "1", " + 2"))()) say(load(reader("return 1", "", "+ nonsense"))())
    say(load(reader())) say(load(reader("x x"))) say(load(reader("x x"), "=named")) say(load(reader("return q"), "=n",
      "t", { q = 9 })())
    say(load(function() error("from the reader", 0) end)) say(load(function() return {} end))
    say(load(function() error { 1 } end)) say(load(reader("return 1"), "=n", "b"))]],
  loadfile_and_dofile = [[
    local name = dir .. "/chunk.lua"
    local function write(text) local f = assert(io.open(name, "w")) f:write(text) f:close() end
    write "#!/bin/lua\nreturn ..., select('#', ...)"
    say(loadfile(name)(7, nil)) say(dofile(name))
    write "return 'written again'"
    say(dofile(name)) say(loadfile(name)())
    write "set_by_file = 3 return _ENV == _G" say(dofile(name), set_by_file) set_by_file = nil
    local env = {} write "v = 4" loadfile(name, "t", env)() say(env.v, rawget(_G, "v"))
    write "return 1" say((loadfile(name, "b")))
    write "\n\nx x" local f, e = loadfile(name) say(f, e:match ":3:.*$" ~= nil) say(pcall(dofile, name) == false)
    write "error('in the file', 0)" say(pcall(dofile, name))
    write "return coroutine.yield(1)" say(coroutine.wrap(function() return dofile(name) end)())
    os.remove(name) local g, e2 = loadfile(name) say(g, type(e2)) say((pcall(dofile, name)))]],
  require_semantics = [[
    say(require "mod" == require "mod") say(package.loaded.mod == require "mod")
    say((require "mod").name, (require "mod").file:match "[^/]*$") say(select("#", require "mod"))
    say(select(2, require "mod_false")) say(require "mod_false")
    say(require "nothing") say(package.loaded.nothing) say(select(2, require "itself").x) say((require "pkg.sub").name)
    say((require "withinit").from:match "[^/]*/init.lua$")
    package.preload.pre = function(...) say(...) return { pre = true } end
    say((require "pre").pre) say(select("#", require "pre"))
    package.loaded.mod = nil say(require "mod" ~= nil) package.loaded.mine = "own" say(require "mine")
    say((pcall(require, "no.such.module"))) say(select(2, pcall(require,
      "no.such.module")):match "^module '[^']*' not found:")
    say((select(2, pcall(require, "raises")):gsub("^.*/", ""))) say(pcall(require)) say(require "string" == string,
      require "_G" == _G)
    say((pcall(require, "circle_a")))
    say(#(require "counted").counts) package.loaded.counted = nil say(#(require "counted").counts)
    say(package.config) say(type(package.path), type(package.cpath), type(package.searchpath))
    say(package.searchpath("mod", package.path):match "[^/]*$") say((package.searchpath("zzz", "./?.none")))]],
  require_failing_twice = [[
    local ok, first = pcall(require, "raises") local ok2, second = pcall(require, "raises")
    say(ok, ok2, first == second) say(package.loaded.raises)]],

  -- ---- the language ----
  varargs = [[
    local function f(...) local a, b = ... return select("#", ...), a, b, ... end
    say(f()) say(f(nil)) say(f(nil, nil)) say((f(1, 2))) say(select(-1, 1, 2, 3)) say(select(2, "a", "b", "c"))
    say(pcall(select, -5, 1)) say(table.pack(nil, 2, nil).n) say(table.unpack({ 1, 2, nil, 4 }, 1, 4))
    local t = { f(1) } say(#t) t = { f(1), f(2) } say(#t)
    say(load("local a, b = ... return b, a, select('#', ...)")(1, 2, 3))]],
  goto_and_loops = [[
    for i = 1, 3 do for j = 1, 3 do if j == 2 then goto continue end say(i, j) ::continue:: end end
    local n = 0 ::top:: n = n + 1 if n < 5 then goto top end say(n)
    for i = 3, 1, -1 do say(i) end for i = 1, 0 do say "never" end for x = 0, 1, 0.25 do say(x) end
    say(pcall(function() for i = 1, 10, 0 do end end)) say(pcall(function() for i = "a", 2 do end end))
    for i = math.maxinteger - 1, math.maxinteger do say(i) end repeat local done = true until done
    local fs = {} for i = 1, 3 do fs[i] = function() i = i + 1 return i end end say(fs[1](), fs[1](), fs[2]())
    local c <const> = 5 say(c)]],
  numbers = [[
    say(1, 1.0, -0.0, 1e15, 1e16, 1e100, 2^53, 2^63, 0x7fffffffffffffff, 0xffffffffffffffff, 3 // 2, 3.0 // 2, -3 // 2,
      3 % -2)
    say(1 / 0, -1 / 0, 0 / 0 ~= 0 / 0, math.type(1), math.type(1.0), math.type "1", 10 / 2, 7 // 0.0, 2^31 | 0, ~0,
      1 << 63, 1 << 64)
    say(math.maxinteger + 1 == math.mininteger, math.tointeger(3.0), math.tointeger(3.5), math.tointeger "8", 5 // 0.3,
      5.3 % 2)
    say("10" + 5, "0x10" * 1, "3" .. 4, 10 .. 20, tonumber "  12  ", tonumber "1e1", tonumber("ff", 16), tonumber("z",
      36), tonumber "1x",
      tonumber "", tonumber("8", 8), tonumber(nil == 1))
    say(0.1, 1 / 3, 123456789012, 1e-7, 100000000000000, 3.14159265358979, tostring(1e15), 1e14, 2^24)
    say(math.floor(-3.5), math.ceil(-3.5), math.fmod(-7, 3), math.abs(math.mininteger), math.max(1, 2.5), math.ult(1,
      -1), math.sqrt(16))
    say(math.pi, math.huge, -math.huge, math.floor(1e300), pcall(math.floor, "x"), 1 == 1.0, "1" == 1, 0x.8p1, 1e0)]],
  formats = [[
    say(string.format("%d %5d|%-5d|%05d %x %X %o %c", 1, 2, 3, 4, 255, 255, 8, 65))
    say(string.format("%f %.2f %g %e %a %10.3f|", 1.5, 2.345, 1e20, 12345.678, 1, 3.14159))
    say(string.format("%s %q %10s|%-10s|%.2s %%", "a", 'quo"te\n\0', "r", "l", "cut")) say(string.format("%q", 1 / 3),
      string.format("%q", 10))
    say(string.format("%i", 3.0)) say(pcall(string.format, "%d", 3.5)) say(pcall(string.format, "%d", "x"))
      say(string.format("%d", "10"))
    say(pcall(string.format, "%y", 1)) say(pcall(string.format, "%s")) say(string.format("%s %s", nil, true))
    say(string.format("%s", setmetatable({}, { __tostring = function() return "shown" end })))
    say(string.format("%.14g", 0.1), string.format("%5.1f|", -0.04), string.format("%+d % d", 5, 5))
    say(pcall(string.format, "%s", setmetatable({}, { __tostring = function() return 1 end })))]],
  strings = [[
    local s = "Hello, World" say(s:upper(), s:lower(), s:len(), #s, s:rep(2, "-"), s:reverse(), s:sub(-5), s:sub(2, 3),
      s:byte(1, 3), s:find "o", s:find("o", 6))
    say(s:find("l+"), s:find(".", 1, true), s:match "(%a+), (%a+)", s:match "()ll()", s:gsub("o", "0"), s:gsub("%w+",
      "<%0>"), s:gsub("l", { l = "L" }, 2))
    for k, v in ("a=1, b=2"):gmatch "(%w+)=(%w+)" do say(k, v) end for w in ("one two"):gmatch "%a+" do say(w) end
    say(("x"):rep(0), ("abc"):gsub("", "-"), ("abc"):gsub("b", "%%"), pcall(string.gsub, "abc", "b", "%2"),
      ("%d"):gsub("%%d", "number"))
    say(("  trim  "):match "^%s*(.-)%s*$", ("key = value"):match "^(%w+)%s*=%s*(%w+)$", ("f(a(b)c)d"):match "%b()",
      ("THE (quick) fox"):find "%((%a+)%)", ("x y"):gsub("%f[%w]%w", string.upper))
    say(pcall(string.find, "x", "[")) say(pcall(string.find, "x", "%")) say(pcall(string.rep, "xx", 1 << 62))
      say(("a\0b"):len(), ("a\0b"):byte(2))
    say(string.pack("<i4", 100):byte(1, -1)) say(string.unpack("<i4", "\100\0\0\0")) say(string.packsize "i4i8")
      say(("x"):format(), ("%d"):format(3)) say(string.char(72, 105), "\x41\65\u{20AC}\z
      end") say("a" < "b", "Z" < "a", "" < "a", "a" .. 1 .. 2.0)]],
  utf8_library = [[
    say(utf8.char(72, 228, 8364, 128512), utf8.len "häß€", utf8.len "\xff", utf8.codepoint("€", 1), utf8.offset("a€b",
      3), utf8.charpattern)
    for p, c in utf8.codes "a€" do say(p, c) end say(pcall(utf8.codepoint, "\xff")) say(utf8.len("abc", 4),
      pcall(utf8.len, "abc", 5))]],
  tables = [[
    local t = { 5, 2, 8, 1 } table.sort(t) say(table.concat(t, ",")) table.sort(t, function(a, b) return a > b end)
      say(table.concat(t, ","))
    table.insert(t, 9) table.insert(t, 1, 0) say(table.concat(t, ","), table.remove(t), table.remove(t, 1),
      table.remove({}), #t)
    say(table.concat({ 1, 2, 3 }, "-", 2, 3), pcall(table.concat, { {} }), table.concat({}),
      table.unpack(table.move({ 1, 2, 3 }, 1, 3, 2)))
    say(pcall(table.sort, { 3, "x" })) say(pcall(table.insert, {}, 5, 1)) say(pcall(table.insert, {})) say(next {},
      next { 1 }, rawlen { 1, 2 }, rawlen "abc", rawequal(t, t), rawget(t, 1))
    local p = setmetatable({}, { __pairs = function(t) return function(_, k) if not k then return 1, "p" end end, t,
      nil end }) for k, v in pairs(p) do say(k, v) end
    local m = setmetatable({}, { __index = function(_, k) return k .. "!" end, __metatable = "locked",
      __name = "Mine" }) say(m.x, getmetatable(m), pcall(setmetatable, m, {})) say(pcall(setmetatable, {}, 1))
      say(pcall(rawset, 1, 2, 3))
    say(pcall(function() local t = {} t[nil] = 1 end)) say(pcall(function() local t = {} t[0 / 0] = 1 end))
      say(pcall(next, {}, "no")) say(#"abc", #{ 1, 2, 3, nil })
    for i, v in ipairs { 1, 2, nil, 4 } do say(i, v) end local r = rawset({}, "k", 1) say(r.k) t = setmetatable({},
      { __newindex = function(t, k, v) rawset(t, k, v * 2) end }) t.a = 4 say(t.a)
    local w = setmetatable({}, { __mode = "k" }) w[{}] = 1 say(type(w)) say(tostring(setmetatable({},
      { __name = "My" })):match "^My: ")]],
  os_and_io = [[
    say(type(os.time()), type(os.clock()), os.time { year = 2020, month = 1, day = 1, hour = 12 },
      os.date("!%Y-%m-%d %H:%M:%S", 0), os.date("!*t", 86400).day, os.difftime(5, 3))
    say(pcall(os.date, "%Ez", 0)) say(pcall(os.time, { year = 2020 })) say(os.getenv "NO_SUCH_VARIABLE",
      type(os.getenv "PATH")) say(type(os.tmpname))
    local name = dir .. "/io"
    local f = assert(io.open(name, "w")) say(io.type(f), io.type(1)) say(f:write("one\n", 2, "\n", 3.5, "\nlast") == f)
      say(f:seek "cur") say(f:close()) say(io.type(f), tostring(f)) say(pcall(f.read, f)) say(pcall(f.write, f, "x"))
    for line in io.lines(name) do say(line) end f = io.open(name) say(f:read("l", "n", "l", "L", "a", "a", "l"))
      say(f:seek "set") say(f:read "a") say(f:read "a", f:read "l", f:read(0)) f:close()
    f = io.open(name) for a, b in f:lines(1, 2) do say(a, b) break end f:close() f = io.open(name,
      "a+") f:write "more" f:seek "set" say(f:read "a") say(f:setvbuf "no", f:flush() == f) f:close()
    local g, message, code = io.open(name .. "/none") say(g, (message or ""):match "Not a directory", code)
      say(pcall(io.open, name, "zz")) say(pcall(io.lines, name .. ".none"))
    do local h <close> = io.open(name) end local h = io.tmpfile() h:write "tmp" h:seek "set" say(h:read "a")
      say(h:close())
    say(os.rename(name, name .. ".moved")) say(os.remove(name .. ".moved")) say((os.remove(name)), select(3,
      os.remove(name)))
    say(os.execute "exit 3") say(os.execute "true") say(os.execute()) say(os.execute "kill -9 $$")
    local p = io.popen "printf 'a\\nb'" say(p:read "a") p:close() p = io.popen("cat", "r")
      say(p:read "a") for line in io.popen "seq 3":lines() do say(line) end]],
  closures_and_upvalues = [[
    local function counter() local n = 0 return function() n = n + 1 return n end, function() return n end end
    local inc, get = counter() inc() inc() say(get()) local inc2, get2 = counter() say(get2())
    say(type(_G), _G._G == _G, _VERSION, _ENV == _G) global_here = 1 say(_G.global_here,
      _ENV.global_here) global_here = nil
    local _ENV <const> = { say = say } x = 1 say(x) say(_ENV.x)]],
  integer_division_of_labour = [[
    local t = {} for i = 1, 300000 do t[#t + 1] = i % 7 end local s = 0 for i = 1, #t do s = s + t[i] end say(s)
    local co = coroutine.wrap(function() local n = 0 for i = 1,
      1000000 do n = n + i % 3 end coroutine.yield(n) return "done" end) say(co()) say(co())]],
}

local names = {}
for name in pairs(snippets) do names[#names + 1] = name end
table.sort(names)

-- Runs them all; the same text in a step and in the lua5.4 program.
local driver = [==[
local snippets, names, dir = ...
local results = {}
local function show(v)
  if math.type(v) == "float" then return string.format("%.17g (float)", v) end
  if type(v) == "string" or type(v) == "number" or type(v) == "boolean" or v == nil then return tostring(v) end
  return type(v)
end
for _, name in ipairs(names) do
  local lines = {}
  local function say(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = show(words[i]) end
    lines[#lines + 1] = words.n .. "| " .. table.concat(words, ", ")
  end
  local chunk = assert(load("local say, dir = ... " .. snippets[name], "=snippet"))
  local ended = table.pack(pcall(chunk, say, dir))
  if not ended[1] then say("raised", ended[2]) end
  if ended.n ~= 1 and ended[1] then say("returned", ended.n) end
  results[name] = table.concat(lines, "\n")
end
return results
]==]

local modules = {
  ["mod.lua"] = "local name, file = ... return { name = name, file = file }",
  ["mod_false.lua"] = "return false",
  ["nothing.lua"] = "local x = 1",
  ["itself.lua"] = "package.loaded.itself = { x = 'itself' } package.loaded['itself'].y = ... ",
  ["raises.lua"] = "error('raised by ' .. ...)",
  ["circle_a.lua"] = "return require 'circle_b'",
  ["circle_b.lua"] = "return require 'circle_a'",
  ["counted.lua"] = "counts = counts or {} counts[#counts + 1] = 1 return { counts = counts }",
}

describe("plain Lua in a step", function()
  local plain, task, result

  setup(function()
    local dir = T.tmpdir()
    os.execute("mkdir " .. T.quote(dir .. "/pkg", dir .. "/withinit"))
    for name, text in pairs(modules) do T.write(dir .. "/" .. name, text) end
    T.write(dir .. "/pkg/sub.lua", "return { name = ... }")
    T.write(dir .. "/withinit/init.lua", "return { from = select(2, ...) }")
    T.write(dir .. "/driver.lua", driver)
    local parts = {}
    for _, name in ipairs(names) do parts[#parts + 1] = ("[%q] = %q,"):format(name, snippets[name]) end
    T.write(dir .. "/snippets.lua", "return {" .. table.concat(parts, "\n") .. "}")
    parts = {}
    for _, name in ipairs(names) do parts[#parts + 1] = ("%q,"):format(name) end
    T.write(dir .. "/names.lua", "return {" .. table.concat(parts, "\n") .. "}")
    local body = [[
      local dir = %q
      local results = assert(loadfile(dir .. "/driver.lua"))(require "snippets", require "names", dir)
      local f = assert(io.open(dir .. "/%s.out", "w"))
      f:write "return {\n"
      for name, text in pairs(results) do f:write(string.format("[%%q] = %%q,\n", name, text)) end
      f:write "}\n"
      f:close()
    ]]
    T.write(dir .. "/plain.lua", body:format(dir, "plain"))
    local lua = T.exec { "lua5.4", dir .. "/plain.lua", env = { LUA_PATH = dir .. "/?.lua;" .. dir .. "/?/init.lua",
      LUA_INIT = false } }
    assert.equals("", lua.stderr)
    plain = dofile(dir .. "/plain.out")
    result = T.run_local("return { steps = { { name = 'all', run = function()\n" .. body:format(dir,
      "task") .. "\nend } } }",
      { dir = dir, args = { "--task-memory", "512M" } })
    assert.equals(0, result.code, result.stderr)
    task = dofile(dir .. "/task.out")
  end)

  for _, name in ipairs(names) do
    it(name:gsub("_", " "), function()
      assert.is_string(plain[name])
      -- Something was said, and it did not stop half way.
      assert.is_truthy(#plain[name] > 0)
      assert.equals(plain[name], task[name])
    end)
  end
end)
