-- server:spawn and muster.gather: two things at one server at a time, none of which outlives what spawned it. (What ends them
-- all from without: spawn_limits_spec.lua.)
local T = require "muster_test"
local S = require "ssh_support"
local spawn = require "spawn_support"
local run_cases, step = spawn.run_cases, spawn.step

describe("server:spawn", function()
  local cases = {
    two_at_a_time = [[
      -- Each waits for the other: one after the other they would never end.
      local dir = server:exec("mktemp -d").stdout:gsub("\n", "")
      local function one(mine, theirs)
        return server:exec("touch %s/%s; until [ -e %s/%s ]; do sleep 0.01; done; echo %s", dir, mine, dir, theirs,
          mine).stdout
      end
      local a, b = muster.gather { server:spawn(one, "a", "b"), server:spawn(one, "b", "a") }
      server:exec("rm -r %s", dir)
      print("GOT", a, b)]],
    sampled = [[
      local file = os.tmpname()
      local samples, work = 0, server:spawn(server.exec, server, "until [ -s %s ]; do sleep 0.01; done; echo done", file)
      local sampler = server:spawn(function()
        while true do
          samples = samples + 1
          if samples == 5 then io.open(file, "w"):write("x"):close() end
          muster.sleep(0.01)
        end
      end)
      assert(work:wait().stdout == "done\n")
      os.remove(file)
      sampler:cancel()
      local n = samples
      muster.sleep(0.05)
      print("SAMPLES", n >= 5, samples == n)]],
    values = [[
      local h = server:spawn(function(...) return select("#", ...), ... end, 1, nil, "x", nil)
      local function all(...) return select("#", ...), table.concat({ tostring((...)), tostring(select(3, ...)),
        tostring(select(4, ...)) }, ",") end
      print("WAIT", all(h:wait()))
      print("AGAIN", all(h:wait()))
      print("NONE", select("#", server:spawn(function() end):wait()))
      print("GATHER", muster.gather { h, server:spawn(function() end), server:spawn(function() return nil, 1 end) })
      print("EMPTY", select("#", muster.gather {}))
      print("SAME", muster.gather { h, h })
      print("STATE", tostring(h))]],
    begins_when_the_caller_waits = [[
      local seen = ""
      local h = server:spawn(function() seen = seen .. "b" end)
      seen = seen .. "a"
      h:wait()
      print("ORDER", seen .. "c")]],
    inherits_the_log_context = [[
      muster.log.bind { where = "outer" }
      local h = server:spawn(function()
        muster.log.info "in the spawned"
        muster.log.bind { where = "inner" }
        muster.log.info "bound in the spawned"
      end)
      h:wait()
      muster.log.info "after it"]],
    error_waited = [[
      local h = server:spawn(function() error { code = 7 } end)
      local ok, e = pcall(h.wait, h)
      print("CAUGHT", ok, e.code, select(2, pcall(h.wait, h)) == e, tostring(h))]],
    error_passes = [[server:spawn(function() server:exec "exit 3" end):wait()]],
    error_is_typed = [[server:spawn(function() error(muster.errors.CheckFailed "bad disk") end):wait()]],
    error_unwaited = [[server:spawn(function() error("nobody asked", 0) end) muster.sleep(0.01) return 5]],
    error_unwaited_dropped = [[
      server:spawn(function() error("nobody holds it", 0) end)
      muster.sleep(0) collectgarbage() collectgarbage() muster.sleep(0.01)
      return 5]],
    errors_unwaited = [[
      for i = 1, 3 do server:spawn(function() error("number " .. i, 0) end) end
      muster.sleep(0.01) return 5]],
    error_unwaited_beside_own = [[
      server:spawn(function() error("of the spawned", 0) end)
      muster.sleep(0.01) error("of the step", 0)]],
    error_unwaited_inside = [[
      server:spawn(function()
        server:spawn(function() error("deep down", 0) end)
        muster.sleep(0.01)
      end):wait()]],
    error_below_what_still_runs = [[
      local raised
      server:spawn(function()
        server:spawn(function() raised = true error("further down", 0) end)
        muster.sleep(1000)
      end)
      while not raised do muster.sleep(0) end]],
    gather_first_error = [[
      local began = {}
      local function slow(name) began[name] = true server:exec "sleep 1000" end
      local ok, e = pcall(muster.gather, {
        server:spawn(slow, "a"),
        server:spawn(function() muster.sleep(0.05) error("second", 0) end),
        server:spawn(function() muster.sleep(0.02) error("first", 0) end),
        server:spawn(function() local c <close> = closing(function() print "CLOSED" end) slow "b" end) })
      print("GATHERED", ok, e, began.a, began.b)
      return 1]],
    gather_of_the_dead = [[
      local late = server:spawn(function() muster.sleep(0.02) error("late", 0) end)
      local early = server:spawn(function() error("early", 0) end)
      muster.sleep(0.05)
      print("GATHERED", pcall(muster.gather, { late, early, server:spawn(muster.sleep, 1000) }))]],
    gather_cancelled = [[
      local h = server:spawn(muster.sleep, 1000)
      server:spawn(function() h:cancel() end)
      local ok, e = pcall(muster.gather, { h, server:spawn(muster.sleep, 1000) })
      print("GATHERED", ok, e.type, e.cancelled, e.message)]],
    cancel = [[
      local log = ""
      local h = server:spawn(function()
        local c <close> = closing(function() muster.sleep(0.01) log = log .. server:exec("echo closed").stdout end)
        pcall(muster.sleep, 1000)
        log = log .. "SWALLOWED"
      end)
      muster.sleep(0)
      h:cancel() h:cancel()
      local ok, e = pcall(h.wait, h)
      print("CANCELLED", log, ok, muster.errors.is(e, "ScriptError"), e.cancelled, tostring(h))]],
    cancel_ends_the_command = [[
      local pid
      local h = server:spawn(function()
        server:exec("echo $$; exec sleep 1000", { on_line = function(line) pid = line end })
      end)
      while not pid do muster.sleep(0.01) end
      h:cancel()
      print("GONE", not server:exec({ "kill", "-0", pid, check = false }).ok)]],
    cancel_before_it_began = [[
      local h = server:spawn(function() print "SWALLOWED" end)
      h:cancel()
      print(tostring(h))]],
    cancel_of_itself = [[
      local h h = server:spawn(function() h:cancel() print "SWALLOWED" end)
      print("ENDED", pcall(h.wait, h))]],
    cancel_after = [[
      local h = server:spawn(function() return 9 end)
      h:wait() h:cancel()
      print("STILL", h:wait())]],
    close = [[
      local n = 0
      do
        local h <close> = server:spawn(function() while true do n = n + 1 muster.sleep(0.001) end end)
        muster.sleep(0.02)
      end
      local m = n
      muster.sleep(0.02)
      print("CLOSED", m == n, n > 0)]],
    still_running = [[
      server:spawn(function()
        local c <close> = closing(function() muster.sleep(0.02) print("CLOSED", server:exec("echo in time").stdout) end)
        pcall(server.exec, server, "sleep 1000")
        print "SWALLOWED"
      end)
      muster.sleep(0.01)
      return 3]],
    still_running_after_an_error = [[
      server:spawn(function() muster.sleep(1000) end)
      muster.sleep(0.01)
      error("the step's own", 0)]],
    spawn_in_spawn = [[
      local h = server:spawn(function()
        local inner = server:spawn(function()
          return muster.gather { server:spawn(function() return 3 end), server:spawn(function() return 4 end) }
        end)
        local a, b = inner:wait()
        return a * b
      end)
      print("PRODUCT", h:wait())]],
    inner_ends_with_outer = [[
      local n = 0
      server:spawn(function()
        server:spawn(function() while true do n = n + 1 muster.sleep(0.001) end end)
        muster.sleep(0.02)
      end):wait()
      local m = n
      muster.sleep(0.02)
      print("ENDED", m == n, n > 0)]],
    too_deep = [[
      local function deeper(n) return server:spawn(function() return deeper(n + 1) end):wait() end
      deeper(1)]],
    hundred = [[
      local list, at_once, most = {}, 0, 0
      for i = 1, 100 do
        list[i] = server:spawn(function(n)
          at_once = at_once + 1 most = math.max(most, at_once)
          local out = server:exec("echo %d", n).stdout
          at_once = at_once - 1
          return tonumber(out)
        end, i)
      end
      local sum = 0
      for i, v in ipairs { muster.gather(list) } do assert(v == i) sum = sum + v end
      print("SUM", sum, most)]],
    many = [[
      local list = {}
      for i = 1, 5000 do list[i] = server:spawn(function() muster.sleep(0) return i end) end
      local last = select(5000, muster.gather(list))
      for _ = 1, 3000 do server:spawn(function() muster.sleep(0) end):wait() end
      print("MANY", last)]],
    computes = [[
      local a = server:spawn(function() local x = 0 for i = 1, 3e7 do x = x + i end return x end)
      local ticks = 0
      local b = server:spawn(function() while true do ticks = ticks + 1 muster.sleep(0) end end)
      a:wait()
      print("TICKS", ticks > 2)]],
    coroutines = [[
      local h = server:spawn(function()
        local co = coroutine.wrap(function(a) local b = coroutine.yield(a + muster.gather { server:spawn(function()
          return 1 end) }) return b end)
        return co(1), co "end", coroutine.isyieldable(), select(2, coroutine.running())
      end)
      print("CO", h:wait())]],
    on_line = [[
      local h = server:spawn(function()
        local n = 0
        server:exec("seq 100", { on_line = function(line) server:spawn(function() n = n + tonumber(line) end):wait() end })
        return n
      end)
      print("LINES", h:wait())]],
    bad_arguments = [[
      local function message(...) local ok, e = pcall(...) return ok and "NO ERROR" or tostring(e) end
      print("A", message(server.spawn, server))
      print("B", message(server.spawn, server, "text"))
      print("C", message(muster.gather, 5))
      print("D", message(muster.gather, { 5 }))
      print("E", message(muster.gather, { server }))
      local h h = server:spawn(function() return message(h.wait, h) end)
      print("F", h:wait())
      local outer outer = server:spawn(function()
        return server:spawn(function() return message(muster.gather, { outer }) end):wait()
      end)
      print("G", outer:wait())
      print("H", message(function() h.x = 1 end))
      print("I", message(table.sort, { 2, 1 }, function() h:wait() server:spawn(muster.sleep, 1):wait() end))]],
  }
  local result

  setup(function() result = run_cases(cases) end)

  local says = {
    two_at_a_time = { "GOT\ta\n\tb\n" }, sampled = { "SAMPLES\ttrue\ttrue" },
    values = { "WAIT\t5\t4,nil,x", "AGAIN\t5\t4,nil,x", "NONE\t0", "GATHER\t4\tnil\tnil", "EMPTY\t0", "SAME\t4\t4",
      "STATE\tspawned function (returned)" },
    begins_when_the_caller_waits = { "ORDER\tabc" },
    error_waited = { "CAUGHT\tfalse\t7\ttrue\tspawned function (raised)" },
    gather_first_error = { "CLOSED", "GATHERED\tfalse\tfirst\ttrue\ttrue" }, gather_of_the_dead = { "GATHERED\tfalse\tearly" },
    gather_cancelled = { "GATHERED\tfalse\tScriptError\ttrue\tthe spawned function was cancelled" },
    cancel = { "CANCELLED\tclosed\n\tfalse\ttrue\ttrue\tspawned function (cancelled)" },
    cancel_ends_the_command = { "GONE\ttrue" }, cancel_before_it_began = { "spawned function (cancelled)" },
    cancel_of_itself = { "ENDED\tfalse\tScriptError: the spawned function was cancelled" }, cancel_after = { "STILL\t9" },
    close = { "CLOSED\ttrue\ttrue" }, still_running = { "CLOSED\tin time" }, spawn_in_spawn = { "PRODUCT\t12" },
    inner_ends_with_outer = { "ENDED\ttrue\ttrue" }, hundred = { "SUM\t5050\t100" }, many = { "MANY\t5000" },
    computes = { "TICKS\ttrue" }, coroutines = { "CO\t2\tend\tfalse\ttrue" }, on_line = { "LINES\t5050" },
    bad_arguments = { "A\tbad argument #2 to", "B\tbad argument #2 to", "C\tbad argument #1 to 'muster.gather'",
      "D\tgather: [1] is a number, not what server:spawn gives", "E\tgather: [1] is a userdata, not what",
      "F\ta spawned function cannot wait for itself", "G\ta spawned function cannot wait for itself",
      "H\t", "I\t", "this call waits, which is not possible here" },
  }
  for name, texts in pairs(says) do
    it("works: " .. name:gsub("_", " "), function()
      local s = step(result, name)
      assert.equals("passed", s.status, name .. ": " .. s.log .. (s.failures[1] and s.failures[1].message or ""))
      for _, text in ipairs(texts) do
        assert.is_truthy(s.log:find(text, 1, true), name .. ": no " .. text .. " in\n" .. s.log)
      end
      assert.is_nil(s.log:find "SWALLOWED")
      assert.equals("NEXT\n", result.server[name].steps[2].log)
    end)
  end

  local fails = {
    error_passes = { "error", "command ended with exit status 3" }, error_is_typed = { "failed", "bad disk" },
    error_unwaited = { "error", "nobody asked" }, error_unwaited_dropped = { "error", "nobody holds it" },
    errors_unwaited = { "error", "number 1" }, error_unwaited_beside_own = { "error", "of the step" },
    error_unwaited_inside = { "error", "deep down" }, error_below_what_still_runs = { "error", "further down" }, still_running_after_an_error = { "error", "the step's own" },
    too_deep = { "error", "more than 50 functions spawned inside each other" },
  }
  for name, want in pairs(fails) do
    it("fails the step: " .. name:gsub("_", " "), function()
      local s = step(result, name)
      assert.equals(want[1], s.status, s.log)
      assert.equals(1, #s.failures)
      assert.is_truthy(s.failures[1].message:find(want[2], 1, true), s.failures[1].message)
      assert.equals("NEXT\n", result.server[name].steps[2].log)
    end)
  end

  it("loses no error", function()
    local function logged(server, text)
      for _, line in ipairs(result.log) do
        if line.server_id == server and line.event:find(text, 1, true) then return line end
      end
    end
    assert.is_truthy(logged("errors_unwaited", "A spawned function failed, too: number 2"))
    assert.is_truthy(logged("errors_unwaited", "A spawned function failed, too: number 3"))
    assert.is_truthy(logged("error_unwaited_beside_own", "A spawned function failed, too: of the spawned"))
  end)

  it("gives it the log context of its maker, and keeps what it binds to itself", function()
    local seen = {}
    for _, line in ipairs(result.log) do
      if line.server_id == "inherits_the_log_context" then seen[line.event] = line end
    end
    assert.equals("s", seen["in the spawned"].step)
    assert.equals("outer", seen["in the spawned"].where)
    assert.equals("inner", seen["bound in the spawned"].where)
    assert.equals("outer", seen["after it"].where)
  end)

  it("says at debug that something still ran", function()
    local quiet = T.run_local([[return { steps = { { name = "s", run = function(server)
      server:spawn(require("muster").sleep, 1000) end } } }]], { args = { "-v" } })
    assert.equals(0, quiet.code)
    assert.is_truthy(T.find_log(quiet.log, "Cancelled 1 spawned function that still ran"), quiet.stderr)
  end)

  it("is refused at load", function()
    local result_load = T.run_local [[
      local muster = require "muster"
      print(pcall(muster.gather, {}))
      return { steps = { { name = "s", run = function() end } } }]]
    assert.equals(0, result_load.code, result_load.stderr)
  end)
end)

describe("server:spawn over SSH", function()
  local fleet
  setup(function()
    fleet = T.fleet_start(2)
    fleet:add("few", "MaxSessions 3")
  end)

  it("shares the connection, also by more than the server allows at once", function()
    local result = fleet:run([[
      local muster = require "muster"
      return { steps = { { name = "s", run = function(server)
        local list = {}
        for i = 1, 100 do list[i] = server:spawn(function() return tonumber(server:exec("echo %d", i).stdout) end) end
        for i, v in ipairs { muster.gather(list) } do assert(v == i) end
        print "ALL"
      end } } }]])
    for _, server in ipairs(result.results.servers) do
      assert.equals("passed", server.status, result.stderr)
      assert.equals("ALL\n", server.steps[1].log)
    end
    for _, id in ipairs(fleet.ids) do
      local _, logins = fleet:log(id):gsub("Accepted publickey", "")
      assert.equals(1, logins, id)
    end
  end)

  it("runs at the same time, and cancels on the server", function()
    local mark = S.mark()
    local result = fleet:run(([[
      local muster = require "muster"
      return { steps = { { name = "s", run = function(server)
        local dir = server:exec("mktemp -d").stdout:gsub("\n", "")
        local function one(mine, theirs)
          server:exec("touch %%s/%%s; until [ -e %%s/%%s ]; do sleep 0.01; done", dir, mine, dir, theirs)
        end
        local long = server:spawn(function() server:exec "exec sleep %s" end)
        muster.gather { server:spawn(one, "a", "b"), server:spawn(one, "b", "a") }
        long:cancel()
        print("STILL", server:exec("echo there").stdout)
        server:spawn(function() server:exec "exec sleep %s" end)
        muster.sleep(0.2)
      end } } }]]):format(mark, mark), { args = { "srv*" } })
    for _, server in ipairs(result.results.servers) do
      assert.equals("passed", server.status, result.stderr)
      assert.equals("STILL\tthere\n\n", server.steps[1].log .. "\n")
    end
    assert.same({}, S.marked(mark))
  end)

  it("leaves the others their attempt to connect when one of them is cancelled", function()
    local result = fleet:run([[
      local muster = require "muster"
      return { steps = { { name = "s", run = function(server)
        local first = server:spawn(function() server:exec "echo first" end)
        local second = server:spawn(function() return server:exec("echo second").stdout end)
        muster.sleep(0)
        first:cancel()
        assert(second:wait() == "second\n")
      end } } }]], { args = { "srv*" } })
    for _, server in ipairs(result.results.servers) do assert.equals("passed", server.status, result.stderr) end
  end)

  it("cuts off what runs, and what waits in line, when one of them disconnects", function()
    local result = fleet:run([[
      local muster = require "muster"
      return { steps = { { name = "s", run = function(server)
        local list, kinds = {}, {}
        for i = 1, 12 do
          list[i] = server:spawn(function()
            local ok, e = pcall(server.exec, server, "echo; sleep 1000")
            kinds[#kinds + 1] = not ok and tostring(e.type) .. tostring(e.lost)
          end)
        end
        muster.sleep(0.3)
        server:disconnect()
        muster.gather(list)
        assert(#kinds == 12)
        for _, kind in ipairs(kinds) do assert(kind == "ConnectErrortrue", kind) end
        print(server:exec("echo again").stdout)
      end } } }]], { args = { "srv01" } })
    assert.equals("passed", result.results.servers[1].status, result.stderr)
  end)

  it("fails all when the server dies", function()
    local job = S.start_on(fleet, [[
      local muster = require "muster"
      return { steps = { { name = "s", run = function(server)
        local list = {}
        for i = 1, 12 do
          list[i] = server:spawn(function()
            -- Some learn that the command was killed before the connection is gone.
            return not pcall(server.exec, server, "echo begun; sleep 1000", { on_line = print })
          end)
        end
        local n = 0
        for _, failed in ipairs { muster.gather(list) } do n = n + (failed and 1 or 0) end
        print("LOST", n)
      end } } }]], { args = { "srv02" } })
    job:wait_log("begun", 8)
    fleet:kill "srv02"
    local result = job:wait()
    assert.is_truthy(T.find_log(result.log, "LOST\t12"), result.stderr)
  end)
end)
