-- Deadlines and the memory limit: no script can swallow, outlast or escape them, and what it must clean up is cleaned up.
-- Also steps that go wrong by themselves. (Interrupts: interrupt_spec.lua.)
local T = require "muster_test"
local has_line = T.has_line

-- Times in here are limits for what must not happen, or what must pass before something ends; how short they may be is
-- measured, for a machine with much else to do.
local slow = os.time()
for _ = 1, 3 do
  assert(T.run_local("return { steps = { { name = 's', run = function(server) server:exec 'true' end } } }").code == 0)
end
slow = math.max(0, os.time() - slow - 1)
local function seconds(least) return ("%.0fms"):format((least + slow) * 1000) end

-- One server a case, all in one run: each does its own body in the step "s", which has a short timeout.
local function run_cases(cases, options)
  local parts, args = { [[
    local muster = require "muster"
    local function closing(f) return setmetatable({}, { __close = f }) end
    local bodies = {}]] }, { "-j", "100", "--workers", options.workers or "1" }
  for _, arg in ipairs(options.args or {}) do args[#args + 1] = arg end
  for name, body in pairs(cases) do
    parts[#parts + 1] = ("bodies[%q] = function(server) %s end"):format(name, body)
    args[#args + 1] = name
  end
  parts[#parts + 1] = ([[
    return {
      steps = {
        { name = "s", timeout = %q, run = function(server) bodies[server.id](server) end },
        { name = "next", run = function(server) print("next of " .. server.id) return 1 end },
      },
      teardown = function(server)
        print("teardown of " .. server.id)
        print("teardown of " .. server.id, server:exec("echo works").stdout)
      end,
    }]]):format(options.timeout)
  local result = T.run_local(table.concat(parts, "\n"), { args = args })
  assert(result.results, result.stderr)
  result.server = {}
  for _, server in ipairs(result.results.servers) do result.server[server.id] = server end
  return result
end

-- Of a server whose first step was cut off and whose second ran.
local function assert_cut(result, name, status, message)
  local server = result.server[name]
  local step = server.steps[1]
  assert.equals(status, step.status, name)
  assert.equals(1, #step.failures, name)
  assert.matches(message, step.failures[1].message, name)
  assert.is_nil(step.log:find "SWALLOWED", name)
  assert.is_nil(step.log:find "HANDLER", name)
  -- The memory limit is the task's, a timeout the step's alone.
  assert.equals(status == "error" and "skipped" or "passed", server.steps[2].status, name)
  assert.equals(status, server.status, name)
  assert.is_true(server.finished, name)
  assert.is_truthy(has_line(result, name, "^teardown of .*\tworks"), name)
end

describe("a step's timeout", function()
  local cases = {
    sleeps = [[muster.sleep(1000)]],
    computes = [[while true do end]],
    executes = [[server:exec "sleep 1000"]],
    goes_round = [[::top:: goto top]],
    pcall_of_sleep = [[pcall(muster.sleep, 1000) print "SWALLOWED"]],
    pcall_of_exec = [[pcall(server.exec, server, "sleep 1000") print "SWALLOWED"]],
    pcall_of_loop = [[pcall(function() while true do end end) print "SWALLOWED"]],
    pcall_for_ever = [[while true do pcall(function() while true do end end) end]],
    pcall_of_sleep_for_ever = [[while true do pcall(muster.sleep, 1000) end]],
    pcall_of_exec_for_ever = [[while true do pcall(server.exec, server, "sleep 1000") end]],
    pcall_short_for_ever = [[while true do pcall(error, "x") end]],
    pcall_deep = [[local function f(n) if n == 0 then muster.sleep(1000) end pcall(f,
      n - 1) print "SWALLOWED" end f(50)]],
    xpcall_of_sleep = [[xpcall(muster.sleep, function() print "HANDLER" end, 1000) print "SWALLOWED"]],
    xpcall_of_loop = [[xpcall(function() while true do end end, function() print "HANDLER" end) print "SWALLOWED"]],
    xpcall_for_ever = [[while true do xpcall(function() while true do end end, function() print "HANDLER" end) end]],
    loop_in_handler = [[xpcall(error, function() while true do end end) print "SWALLOWED"]],
    error_in_handler = [[while true do xpcall(error, function() error "again" end) end]],
    wrap_of_sleep = [[coroutine.wrap(function() pcall(muster.sleep, 1000) print "SWALLOWED" end)() print "SWALLOWED"]],
    wrap_of_loop = [[pcall(coroutine.wrap(function() while true do end end)) print "SWALLOWED"]],
    resume_of_sleep = [[coroutine.resume(coroutine.create(muster.sleep), 1000) print "SWALLOWED"]],
    resume_of_loop = [[coroutine.resume(coroutine.create(function() while true do end end)) print "SWALLOWED"]],
    resume_for_ever = [[while true do coroutine.resume(coroutine.create(function() while true do end end)) end]],
    resume_yield_for_ever = [[
      local co = coroutine.create(function() while true do coroutine.yield() end end)
      while true do coroutine.resume(co) end]],
    coroutines_deep = [[
      local function f(n)
        if n == 0 then muster.sleep(1000) end
        pcall(coroutine.wrap(function() coroutine.resume(coroutine.create(f), n - 1) print "SWALLOWED" end))
        print "SWALLOWED"
      end
      f(8)]],
    loop_in_on_line = [[server:exec("echo x; sleep 1000", { on_line = function() while true do end end })]],
    sleep_in_on_line = [[server:exec("echo x; sleep 1000", { on_line = function() pcall(muster.sleep,
      1000) print "SWALLOWED" end })]],
    lines_for_ever = [[local n = 0 server:exec("while :; do echo x; sleep 0.01; done",
      { on_line = function() n = n + 1 end })]],
    loop_in_comparator = [[pcall(table.sort, { 3, 2, 1 }, function() while true do end end) print "SWALLOWED"]],
    loop_in_gsub = [[pcall(string.gsub, "x", "x", function() while true do end end) print "SWALLOWED"]],
    loop_in_reader = [[load(function() while true do end end) print "SWALLOWED"]],
    loop_in_index = [[return pcall(function() return setmetatable({},
      { __index = function() while true do end end }).x end), print "SWALLOWED"]],
    loop_in_tostring = [[pcall(tostring, setmetatable({},
      { __tostring = function() while true do end end })) print "SWALLOWED"]],
    loop_in_module = [[package.preload.m = function() while true do end end pcall(require, "m") print "SWALLOWED"]],
    sleep_in_module = [[package.preload.m = function() muster.sleep(1000) end pcall(require, "m") print "SWALLOWED"]],
    in_os_execute = [[os.execute "sleep 1000" print "SWALLOWED"]],
    in_popen = [[pcall(io.popen, "sleep 1000") print "SWALLOWED"]],
  }
  local result

  setup(function() result = run_cases(cases, { timeout = seconds(0.6), workers = "2" }) end)

  for name in pairs(cases) do
    it("ends a step that " .. name:gsub("_", " "), function()
      assert_cut(result, name, "timeout", "^step s took longer than its timeout of [%d.]+ s$")
      assert.is_truthy(has_line(result, name, "^Timed out: TimeoutError: step s took longer"))
    end)
  end

  it("is told in exit code and summary", function()
    assert.equals(3, result.code)
    assert.matches("TIMEOUT +s: timeout after [%d.]+ s ", result.stdout)
    assert.matches("failed_servers=%[%]\n$", result.stdout)
  end)
end)

describe("close handlers of a step that was cut off", function()
  local cases = {
    close_waits = [[
      local a <close> = closing(function(_, e) print("outer", e) end)
      local b <close> = closing(function() muster.sleep(0.01) print("inner", server:exec("echo in close").stdout) end)
      muster.sleep(1000)]],
    close_waits_in_coroutine = [[
      pcall(coroutine.wrap(function()
        local a <close> = closing(function() muster.sleep(0.01) print("inner", server:exec("echo in close").stdout) end)
        muster.sleep(1000)
      end))
      print "SWALLOWED"]],
    close_of_outer_coroutine = [[
      coroutine.wrap(function()
        local a <close> = closing(function() print("inner", server:exec("echo in close").stdout) end)
        coroutine.wrap(function() coroutine.wrap(function() muster.sleep(1000) end)() end)()
      end)()]],
    close_raises = [[
      local a <close> = closing(function() print "outer ran" end)
      local b <close> = closing(function() error "in the handler" end)
      pcall(muster.sleep, 1000) print "SWALLOWED"]],
    close_protects = [[
      local a <close> = closing(function()
        print("protected", pcall(error, "caught", 0))
        print(xpcall(error, function(e) return "handled " .. e end, "this", 0))
        print(coroutine.resume(coroutine.create(function() error("co", 0) end)))
      end)
      muster.sleep(1000)]],
    close_in_for = [[for _ in next, { 1 }, nil, closing(function() print("inner",
      server:exec("echo in close").stdout) end) do muster.sleep(1000) end]],
    close_runs_once = [[
      local n = 0
      local a <close> = closing(function() print("times", n) end)
      for _ = 1, 3 do
        local b <close> = closing(function() n = n + 1 end)
        pcall(muster.sleep, 1000)
      end]],
  }
  local result

  setup(function() result = run_cases(cases, { timeout = seconds(0.6) }) end)

  for name in pairs(cases) do
    it("run: " .. name:gsub("_", " "), function()
      assert_cut(result, name, "timeout", "^step s took longer than its timeout of [%d.]+ s$")
    end)
  end

  it("may wait and run commands, and are handed the reason", function()
    for _, name in ipairs { "close_waits", "close_waits_in_coroutine", "close_of_outer_coroutine", "close_in_for" } do
      assert.matches("inner\tin close", result.server[name].steps[1].log, name)
    end
    assert.matches("inner\tin close\n+outer\t.*cancelled: step s took longer", result.server.close_waits.steps[1].log)
    assert.matches("outer ran", result.server.close_raises.steps[1].log)
    local log = result.server.close_protects.steps[1].log
    assert.matches("protected\tfalse\tcaught\n", log)
    assert.matches("false\thandled this\n", log)
    assert.matches("false\tco\n", log)
    assert.equals("times\t1\n", result.server.close_runs_once.steps[1].log)
  end)
end)

describe("handlers that do not end", function()
  local cases = {
    close_loops = [[local a <close> = closing(function() while true do end end) muster.sleep(1000)]],
    close_sleeps = [[local a <close> = closing(function() muster.sleep(1000) end) muster.sleep(1000)]],
    close_executes = [[local a <close> = closing(function() server:exec "sleep 1000" end) muster.sleep(1000)]],
    close_loops_protected = [[local a <close> = closing(function() while true do pcall(function() while true do end
      end) end end) muster.sleep(1000)]],
    close_loops_in_coroutine = [[coroutine.wrap(function() local a <close> = closing(function() while true do end
      end) muster.sleep(1000) end)()]],
    close_loops_in_comparator = [[
      local a <close> = closing(function() while true do pcall(table.sort, { 3, 2, 1 },
        function() while true do end end) end end)
      muster.sleep(1000)]],
    close_adds_handlers = [[
      local function more() local a <close> = closing(more) muster.sleep(0.01) end
      local a <close> = closing(more)
      muster.sleep(1000)]],
  }
  local result

  setup(function() result = run_cases(cases, { timeout = seconds(0.1), args = { "--teardown-timeout",
    seconds(0.4) } }) end)

  for name in pairs(cases) do
    it("are abandoned after --teardown-timeout, and that is said: " .. name:gsub("_", " "), function()
      local step = result.server[name].steps[1]
      assert.equals("timeout", step.status)
      assert.equals("passed", result.server[name].steps[2].status)
      assert.is_truthy(has_line(result, name, "^teardown of "))
      local line = has_line(result, name,
        "^Abandoned: what ran after the cancellation %(<close> handlers%) did not end in its time")
      assert.is_truthy(line)
      assert.equals("warning", line.level)
      assert.equals("s", line.step)
    end)
  end
end)

describe("the memory limit", function()
  local cases = {
    one_string = [[local s = ("x"):rep(100 << 20) print "SWALLOWED"]],
    one_string_caught = [[pcall(string.rep, "x", 100 << 20) print "SWALLOWED"]],
    one_string_in_xpcall = [[xpcall(string.rep, function() print "HANDLER" end, "x", 100 << 20) print "SWALLOWED"]],
    one_string_in_coroutine = [[coroutine.resume(coroutine.create(function() local s = ("x"):rep(100 << 20)
      end)) print "SWALLOWED"]],
    growth_by_table = [[local t = {} for i = 1, 1 << 30 do t[i] = i end print "SWALLOWED"]],
    growth_by_strings = [[local t = {} pcall(function() for i = 1,
      1 << 30 do t[i] = ("x"):rep(1000) .. i end end) print "SWALLOWED"]],
    growth_by_concat = [[local s = "x" while true do pcall(function() s = s .. s end) end]],
    output = [[pcall(server.exec, server, "head -c 60000000 /dev/zero", { limit = 100 << 20 }) print "SWALLOWED"]],
    close_handlers_run = [[
      local a <close> = closing(function() print("closed", server:exec("echo in close").stdout) end)
      local t = {} for i = 1, 1 << 30 do t[i] = { i } end]],
  }
  local result

  setup(function() result = run_cases(cases, { timeout = "5m", args = { "--task-memory", "24M" } }) end)

  for name in pairs(cases) do
    it("ends a step that needs more, whatever it catches: " .. name:gsub("_", " "), function()
      assert_cut(result, name, "error", "^memory limit: the task needs more than its 24 MiB %(%-%-task%-memory%)$")
    end)
  end

  it("leaves close handlers room to work", function()
    assert.matches("closed\tin close", result.server.close_handlers_run.steps[1].log)
  end)

  it("counts what is used, not what was thrown away", function()
    local ok = run_cases({ garbage = [[for i = 1, 200000 do local s = ("x"):rep(1000) .. i end]] },
      { timeout = "5m", args = { "--task-memory", "8M" } })
    assert.equals(0, ok.code, ok.stderr)
  end)
end)

describe("a step that goes wrong by itself", function()
  local result

  setup(function()
    result = run_cases({
      recursion = [[local function f() return 1 + f() end f()]],
      recursion_caught = [[local function f() return f() + 1 end local ok, e = pcall(f) print("caught", ok, e)]],
      c_recursion = [[local t = setmetatable({}, { __index = function(t, k) return t[k .. "x"] end }) return t.x]],
      sort_waits = [[table.sort({ 3, 2, 1 }, function(a, b) muster.sleep(0) return a < b end)]],
      sort_executes = [[table.sort({ 3, 2, 1 }, function(a, b) server:exec "true" return a < b end)]],
      gsub_waits = [[("abc"):gsub("b", function() muster.sleep(0) end)]],
      gsub_in_coroutine = [[coroutine.wrap(function() ("abc"):gsub("b", function() server:exec "true" end) end)()]],
      coroutine_in_gsub = [[("abc"):gsub("b", function() coroutine.wrap(function() muster.sleep(0) end)() end)]],
      tostring_waits = [[tostring(setmetatable({}, { __tostring = function() muster.sleep(0) return "" end }))]],
      caught_and_fine = [[print("caught", pcall(table.sort, { 2, 1 },
        function() muster.sleep(0) end)) muster.sleep(0) server:exec "true"]],
      yields = [[coroutine.yield(1, nil, {})]],
      yields_caught = [[print("caught", pcall(coroutine.yield, 1)) muster.sleep(0)]],
      garbage_in_coroutine = [[
        local co = coroutine.wrap(function() coroutine.yield({}, nil, print,
          muster) coroutine.yield(server) return 5 end)
        assert(select("#", co()) == 4 and co() == server and co() == 5)]],
      close_pending = [[
        local co = coroutine.create(function() local a <close> = closing(function() print "pending ran"
          end) coroutine.yield() end)
        coroutine.resume(co)
        print("closed", coroutine.close(co))]],
      close_pending_waits = [[
        local co = coroutine.create(function() local a <close> = closing(function() muster.sleep(0)
          end) coroutine.yield() end)
        coroutine.resume(co)
        print("closed", coroutine.close(co))]],
      failing_coroutine_closes = [[
        print(coroutine.resume(coroutine.create(function()
          local a <close> = closing(function(_, e) print("inner", e, server:exec("echo in close").stdout) end)
          error("failed", 0)
        end)))]],
    }, { timeout = "5m", args = { "--task-memory", "256M" } })
  end)

  local function message(name)
    local step = result.server[name].steps[1]
    assert.equals("error", step.status, name)
    assert.equals("passed", result.server[name].steps[2].status, name)
    return step.failures[1].message
  end

  it("recurses without end", function()
    for _, name in ipairs { "recursion", "c_recursion" } do assert.matches("overflow", message(name), name) end
    assert.equals("passed", result.server.recursion_caught.steps[1].status)
    assert.matches("caught\tfalse\t.*stack overflow", result.server.recursion_caught.steps[1].log)
  end)

  it("waits where it cannot", function()
    for _, name in ipairs { "sort_waits", "sort_executes", "gsub_waits", "gsub_in_coroutine", "coroutine_in_gsub",
      "tostring_waits" } do
      assert.matches("this call waits, which is not possible here %(inside a sort comparator, a gsub callback",
        message(name), name)
    end
    assert.equals("passed", result.server.caught_and_fine.steps[1].status)
    assert.matches("caught\tfalse\t.*this call waits", result.server.caught_and_fine.steps[1].log)
  end)

  it("yields out of the step, or garbage within it", function()
    assert.matches("attempt to yield from outside a coroutine", message "yields")
    assert.equals("passed", result.server.yields_caught.steps[1].status)
    assert.matches("attempt to yield from outside a coroutine", result.server.yields_caught.steps[1].log)
    assert.equals("passed", result.server.garbage_in_coroutine.steps[1].status)
  end)

  it("closes a coroutine with handlers pending", function()
    assert.equals("pending ran\nclosed\ttrue\n", result.server.close_pending.steps[1].log)
    assert.matches("closed\tfalse\t.*this call waits, which is not possible here",
      result.server.close_pending_waits.steps[1].log)
  end)

  it("fails in a coroutine whose handlers run commands", function()
    assert.matches("inner\tfailed\tin close\n+false\tfailed\n", result.server.failing_coroutine_closes.steps[1].log)
  end)
end)
