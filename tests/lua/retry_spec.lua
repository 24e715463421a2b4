-- muster.retry: again after a pause, never after a cancellation.
local T = require "muster_test"

local cases = {
  succeeds_later = [[
    local seen = {}
    print("GOT", muster.retry({ times = 5, backoff = "1ms" }, function(try)
      seen[#seen + 1] = try
      if try < 3 then error("not yet", 0) end
      return "done", nil, try
    end))
    print("TRIES", table.concat(seen, ","))]],
  at_once = [[print("GOT", select("#", muster.retry({ backoff = 1000 }, function() return end)))]],
  curried = [[
    local thrice = muster.retry { times = 3, backoff = 0 }
    for _ = 1, 2 do
      local n = 0
      print("GOT", thrice(function() n = n + 1 if n < 3 then error "no" end return n end))
    end]],
  gives_up = [[
    local n, last = 0, nil
    local ok, e = pcall(muster.retry, { times = 4, backoff = 0 }, function() n = n + 1 last = { n = n } error(last) end)
    print("GAVE UP", ok, n, e == last, e.n)]],
  three_by_default = [[
    local n = 0
    pcall(muster.retry, { backoff = 0 }, function() n = n + 1 error "x" end)
    print("N", n)]],
  only_these_types = [[
    local n = 0
    local function fails(e) return function() n = n + 1 error(e) end end
    local on = { on = { "ConnectError", "CommandError" }, backoff = 0 }
    pcall(muster.retry, on, fails(muster.errors.ConnectError "x")) print("CONNECT", n) n = 0
    pcall(muster.retry, on, function() n = n + 1 server:exec "false" end) print("COMMAND", n) n = 0
    local ok, e = pcall(muster.retry, on, fails(muster.errors.CheckFailed "slow"))
    print("CHECK", n, e.type) n = 0
    pcall(muster.retry, on, fails "text") print("TEXT", n) n = 0
    pcall(muster.retry, on, fails({})) print("TABLE", n) n = 0]],
  a_function_decides = [[
    local n, asked = 0, {}
    local ok, e = pcall(muster.retry, { times = 10, backoff = 0, on = function(err)
      asked[#asked + 1] = err
      muster.sleep(0)
      return server:exec("echo %s", err).stdout ~= "e3\n"
    end }, function() n = n + 1 error("e" .. n, 0) end)
    print("DECIDED", ok, e, table.concat(asked, ","))]],
  the_deciding_function_raises = [[print("RAISED", pcall(muster.retry, { on = function() error("of the judge", 0) end,
    backoff = 0 }, function() error "x" end))]],
  waits_inside = [[
    print("GOT", muster.retry({ backoff = 0 }, function(try)
      muster.sleep(0.001)
      if try == 1 then server:exec "exit 3" end
      return server:exec("echo fine").stdout
    end))]],
  nested = [[
    local n = 0
    pcall(muster.retry, { times = 2, backoff = 0 }, function()
      muster.retry({ times = 3, backoff = 0 }, function() n = n + 1 error "x" end)
    end)
    print("N", n)]],
  no_longer_than_max = [[
    -- The pauses are in the log.
    pcall(muster.retry, { times = 4, backoff = "2s", max = "1ms" }, function() error("quick", 0) end)
    print "ENDED"]],
  in_coroutine = [[
    local co = coroutine.wrap(function()
      return muster.retry({ backoff = 0 }, function(try) if try < 2 then error "x" end return coroutine.yield(try) end)
    end)
    print("CO", co(), co "end")]],
  spawned = [[
    local list = {}
    local again = muster.retry { times = 3, backoff = "1ms" }
    for i = 1, 20 do list[i] = server:spawn(again, function(try) if try < 3 then error "x" end return i end) end
    print("SPAWNED", select("#", muster.gather(list)), select(20, muster.gather(list)))]],
  bad_arguments = [[
    local function message(...) local ok, e = pcall(...) return ok and "NO ERROR" or tostring(e) end
    for _, o in ipairs { { tiems = 3 }, { times = 0 }, { times = 1.5 }, { times = "x" }, { backoff = "soon" }, { max = {} },
      { on = "ConnectError" }, { on = { "ConectError" } }, { on = {} }, { on = { 5 } }, { [1] = 5 } } do
      print("BAD", message(muster.retry, o, print))
    end
    print("BAD", message(muster.retry, 5, print))
    print("BAD", message(muster.retry, print))
    print("BAD", message(muster.retry, {}, "text"))
    print("BAD", message(muster.retry {}, nil))]],
}

local function run(bodies, timeout)
  local parts, args = { "local muster = require 'muster' local bodies = {}" }, { "-j", "50" }
  for name, body in pairs(bodies) do
    parts[#parts + 1] = ("bodies[%q] = function(server) %s end"):format(name, body)
    args[#args + 1] = name
  end
  parts[#parts + 1] = ([[return { steps = {
    { name = "s", timeout = %q, run = function(server) bodies[server.id](server) end } } }]]):format(timeout)
  local result = T.run_local(table.concat(parts, "\n"), { args = args })
  assert(result.results, result.stderr)
  result.step = {}
  for _, server in ipairs(result.results.servers) do result.step[server.id] = server.steps[1] end
  return result
end

describe("muster.retry", function()
  local result
  setup(function() result = run(cases, "1m") end)

  local says = {
    succeeds_later = { "GOT\tdone\tnil\t3", "TRIES\t1,2,3" }, at_once = { "GOT\t0" }, curried = { "GOT\t3\nGOT\t3" },
    gives_up = { "GAVE UP\tfalse\t4\ttrue\t4" }, three_by_default = { "N\t3" },
    only_these_types = { "CONNECT\t3", "COMMAND\t3", "CHECK\t1\tCheckFailed", "TEXT\t1", "TABLE\t1" },
    a_function_decides = { "DECIDED\tfalse\te3\te1,e2,e3" }, the_deciding_function_raises = { "RAISED\tfalse\tof the judge" },
    waits_inside = { "GOT\tfine" }, nested = { "N\t6" }, no_longer_than_max = { "ENDED" }, in_coroutine = { "CO\t2\tend" },
    spawned = { "SPAWNED\t20\t20" },
    bad_arguments = { "retry has no option 'tiems'; it has times, backoff, max, on", "times is how often in all, 1 to",
      "retry: backoff 'soon' is not a duration", "retry: max must be seconds", "retry: on is a list of types of",
      "on[1]: 'ConectError' is no type of muster.errors", "on[1]: '5' is no type", "retry has no option '1'",
      "retry takes a table of options, then the function", "(function expected, got string)",
      "(function expected, got nil)" },
  }
  for name in pairs(cases) do
    it("works: " .. name:gsub("_", " "), function()
      local s = result.step[name]
      assert.equals("passed", s.status, s.log .. (s.failures[1] and s.failures[1].message or ""))
      for _, text in ipairs(says[name]) do assert.is_truthy(s.log:find(text, 1, true), name .. ": " .. text .. "\n" .. s.log) end
      assert.is_nil(s.log:find "NO ERROR")
    end)
  end

  it("says in the log what it does", function()
    assert.is_truthy(T.find_log(result.log, "not yet; trying again in 0.0 s (2 of 5)."))
    for try = 2, 4 do -- of at most 1 ms, though the backoff says 2 s
      assert.is_truthy(T.find_log(result.log, ("quick; trying again in 0.0 s (%d of 4)."):format(try)))
    end
  end)

  it("passes a cancellation on", function()
    local cut = run({
      in_the_function = [[muster.retry({ times = 1000, backoff = 0 }, function() muster.sleep(1000) end) print "SWALLOWED"]],
      in_a_loop = [[muster.retry({ times = 1000, backoff = 0 }, function() while true do end end) print "SWALLOWED"]],
      in_the_pause = [[pcall(muster.retry, { backoff = 1000, max = 1000 }, function() error "x" end) print "SWALLOWED"]],
      in_the_judge = [[pcall(muster.retry, { on = function() muster.sleep(1000) end }, function() error "x" end)
        print "SWALLOWED"]],
      for_ever = [[while true do pcall(muster.retry, { backoff = 0 }, function() error "x" end) end]],
      swallowing = [[muster.retry({ times = 1000, backoff = 0 }, function() pcall(muster.sleep, 1000) end)
        print "SWALLOWED"]],
    }, "400ms")
    for name, s in pairs(cut.step) do
      assert.equals("timeout", s.status, name)
      assert.matches("^step s took longer than its timeout", s.failures[1].message, name)
      assert.is_nil(s.log:find "SWALLOWED", name)
    end
  end)
end)
