-- What ends spawned functions from without, whatever they catch: a step's timeout, the memory limit and an interrupt.
local T = require "muster_test"
local S = require "ssh_support"
local spawn = require "spawn_support"
local run_cases, step = spawn.run_cases, spawn.step

describe("a step's timeout with spawned functions", function()
  local cases = {
    in_gather = [[muster.gather { server:spawn(muster.sleep, 1000), server:spawn(server.exec, server, "sleep 1000") }]],
    pcall_of_gather = [[while true do pcall(muster.gather, { server:spawn(muster.sleep, 1000) }) end]],
    in_wait = [[local h = server:spawn(function() while true do end end) pcall(h.wait, h) print "SWALLOWED"]],
    spawned_swallows = [[
      local h = server:spawn(function() while true do pcall(muster.sleep, 1000) end end)
      while true do pcall(h.wait, h) end]],
    spawned_for_ever = [[while true do pcall(function() server:spawn(function() muster.sleep(0) end):wait() end) end]],
    both_compute = [[server:spawn(function() while true do end end) while true do muster.sleep(0) end]],
    both_wait = [[
      local a, b
      a = server:spawn(function() b:wait() end)
      b = server:spawn(function() a:wait() end)
      pcall(muster.gather, { a, b })
      print "SWALLOWED"]],
    deep = [[
      local function f(n) if n == 0 then muster.sleep(1000) end server:spawn(f, n - 1):wait() print "SWALLOWED" end
      f(20)]],
    spawn_in_close = [[
      local a <close> = closing(function() print("REFUSED", pcall(server.spawn, server, muster.sleep, 0)) end)
      muster.sleep(1000)]],
    handlers = [[
      server:spawn(function()
        local a <close> = closing(function() muster.sleep(0.01) print("HANDLED", server:exec("echo in close").stdout) end)
        server:exec "sleep 1000"
      end)
      muster.sleep(1000)]],
    error_before = [[server:spawn(function() error("it had failed", 0) end) muster.sleep(1000)]],
  }
  local result
  setup(function() result = run_cases(cases, { timeout = "700ms" }) end)
  for name in pairs(cases) do
    it("cuts off: " .. name:gsub("_", " "), function()
      local s = step(result, name)
      assert.equals("timeout", s.status, s.log)
      assert.equals(1, #s.failures)
      assert.matches("^step s took longer than its timeout", s.failures[1].message)
      assert.is_nil(s.log:find "SWALLOWED", s.log)
      assert.equals("NEXT\n", result.server[name].steps[2].log)
    end)
  end
  it("runs the handlers", function()
    assert.is_truthy(step(result, "handlers").log:find("HANDLED\tin close", 1, true))
    assert.is_truthy(step(result, "spawn_in_close").log:find("REFUSED\tfalse\t.*nothing new is begun"))
  end)
  it("tells the error that nobody took", function()
    assert.is_truthy(T.find_log(result.log, "A spawned function failed, too: it had failed"))
  end)
end)

describe("the memory limit with spawned functions", function()
  it("is the task's, whoever takes it", function()
    local result = run_cases({
      spawned = [[local h = server:spawn(function() local t = {} for i = 1, 1 << 30 do t[i] = i end end)
        pcall(h.wait, h) print "SWALLOWED"]],
      many = [[local list = {} for i = 1, 1 << 30 do list[i] = server:spawn(function() muster.sleep(1000) end) end]],
    }, { args = { "--task-memory", "8M" }, timeout = "5m" })
    for _, name in ipairs { "spawned", "many" } do
      local s = step(result, name)
      assert.equals("error", s.status, s.log)
      assert.matches("^memory limit: the task needs more than its 8 MiB", s.failures[1].message)
      assert.is_nil(s.log:find "SWALLOWED", s.log)
      assert.equals("skipped", result.server[name].steps[2].status)
    end
  end)
end)

describe("an interrupt with spawned functions", function()
  local script = [[
    local muster = require "muster"
    return { steps = { { name = "s", run = function(server)
        local list = {}
        for i = 1, 10 do
          list[i] = server:spawn(function()
            local a <close> = setmetatable({}, { __close = function() %s end })
            if i == 10 then print "begun" end
            pcall(server.exec, server, "exec sleep %s")
          end)
        end
        while true do pcall(muster.gather, list) end
      end } },
      teardown = function(server) print("torn down", server:exec("echo works").stdout) end }]]

  it("ends them all, and teardown runs", function()
    local mark = S.mark()
    local job = S.start(script:format("print 'handler'", mark), { args = { "--local", "a" } })
    job:wait_log "begun"
    job:signal "INT"
    local result = job:wait()
    assert.equals(130, result.code)
    assert.equals("cancelled", result.results.servers[1].steps[1].status)
    assert.is_truthy(T.find_log(result.log, "torn down\tworks"))
    local _, handlers = result.stderr:gsub("handler", "")
    assert.equals(10, handlers)
    assert.same({}, S.marked(mark))
  end)

  it("a second time abandons them", function()
    local job = S.start(script:format("print 'unwinding' muster.sleep(1000)", S.mark()), { args = { "--local", "a",
      "--grace", "1000s" } })
    job:wait_log "begun"
    job:signal "INT"
    job:wait_log "unwinding"
    job:signal "INT"
    local result = job:wait()
    assert.equals(130, result.code)
    assert.equals("cancelled", result.results.servers[1].status)
  end)
end)
