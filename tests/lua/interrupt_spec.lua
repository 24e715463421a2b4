-- Interrupts by a signal: what runs is cancelled and torn down, and what was not finished is told. Also one call into C,
-- which nothing can interrupt: it is named, and its worker's other servers are not charged for the time.
local T = require "muster_test"
local has_line = T.has_line

-- Run the script on servers a to d, two at a time; `shell` sees $pid, and dir/NAME.begun once a server's step began.
local function started(script, shell, args)
  local dir = T.tmpdir()
  T.write(dir .. "/script.lua", script)
  local result = T.exec { "bash", "-c", ([[
    dir=%s
    begun() { until [ -e "$dir/$1.begun" ]; do kill -0 $pid || exit 99; sleep 0.02; done; }
    said() { until grep -q "$1" "$dir/log"; do kill -0 $pid || exit 99; sleep 0.02; done; }
    env --default-signal=INT,TERM "$MUSTER" run "$dir/script.lua" --local a b c d -j 2 --workers 1 -p dir="$dir" \
      --json "$dir/results.json" --log-format json %s >"$dir/out" 2>"$dir/log" &
    pid=$!
    %s
    wait $pid]]):format(T.quote(dir), table.concat(args or {}, " "), shell), env = { MUSTER = T.muster } }
  result.stdout, result.log = T.read(dir .. "/out"), T.decode_log(T.read(dir .. "/log"))
  result.logged = T.read(dir .. "/log")
  local file = io.open(dir .. "/results.json")
  if file then
    result.results = require("cjson").decode(file:read "a")
    file:close()
  end
  result.server = {}
  for _, server in ipairs(result.results and result.results.servers or {}) do result.server[server.id] = server end
  return result
end

-- ---- one call into C that nothing can interrupt ----

describe("a worker stuck in one call", function()
  -- A pattern that backtracks would do; opening a FIFO is over when this test says so, and not before.
  it("is named with server and step; the others on it are not charged for the time", function()
    local result = started([[
      local muster = require "muster"
      local function exists(name) local file = io.open(name) return file and file:close() end
      local function mark(name) assert(io.open(name, "w")):close() end
      return { params = { dir = "" }, steps = {
        { name = "before", run = function() end },
        { name = "call", timeout = "4s", run = function(server, params)
          if server.id == "a" then
            until_there = params.dir .. "/b.begun"
            while not exists(until_there) do muster.sleep(0.01) end
            muster.sleep(0.05)
            mark(params.dir .. "/a.begun")
            io.open(params.dir .. "/fifo"):close()
            muster.sleep(0)
          elseif server.id == "b" then
            -- Both times would be over when the other comes back, were that time not given back.
            mark(params.dir .. "/b.begun")
            local words = { "sh", "-c", "until [ -e $0 ]; do sleep 0.05; done; echo fine", params.dir .. "/released",
              timeout = "4s" }
            assert(server:exec(words).stdout == "fine\n")
          end
        end } } }]],
      "mkfifo $dir/fifo; begun a; said 'is stuck in one call'; touch $dir/released; : >$dir/fifo")
    local line = T.find_log(result.log, "is stuck in one call")
    assert.equals("warning", line.level)
    assert.matches("^Worker 1 is stuck in one call for %d+ s: server a, step call%. ", line.event)
    assert.is_nil(line.server_id)
    assert.equals("passed", result.server.b.status, result.logged)
    assert.equals("passed", result.server.c.status, result.logged)
    -- Its own time it is charged.
    assert.equals("timeout", result.server.a.steps[2].status, result.logged)
    assert.equals("a", result.results.unmeasured_servers[1])
    assert.equals(3, result.code)
  end)
end)

-- ---- interrupts ----

describe("an interrupt", function()
  local script = [[
    local muster = require "muster"
    return { params = { dir = "" },
      steps = {
        { name = "quick", run = function() return 1 end },
        { name = "slow", run = function(server, params)
          local a <close> = setmetatable({}, { __close = function() print "handler ran" end })
          io.open(params.dir .. "/" .. server.id .. ".begun", "w"):close()
          while true do pcall(muster.sleep, 1000) end
        end },
        { name = "never", run = function() return 1 end },
      },
      on_failure = function() print "diagnostics" end,
      teardown = function(server) print("teardown of " .. server.id, server:exec("echo works").stdout) end }]]

  for signal, number in pairs { INT = 2, TERM = 15 } do
    local code = 128 + number
    it("by SIG" .. signal .. " cancels what runs, tears it down, and tells what was not finished", function()
      local result = started(script, "begun a; begun b; kill -" .. signal .. " $pid")
      assert.equals(code, result.code, result.stderr)
      assert.is_true(result.results.run.interrupted)
      assert.equals(number, result.results.run.signal)
      assert.equals(code, result.results.run.exit_code)
      for _, id in ipairs { "a", "b" } do
        local server = result.server[id]
        assert.equals("cancelled", server.status)
        assert.is_true(server.dealt)
        assert.equals("passed", server.steps[1].status)
        assert.equals("cancelled", server.steps[2].status)
        assert.equals("handler ran\n", server.steps[2].log)
        assert.equals("skipped", server.steps[3].status)
        assert.is_truthy(has_line(result, id, "^teardown of " .. id .. "\tworks"))
        assert.is_false(has_line(result, id, "^diagnostics"))
        assert.is_truthy(has_line(result, id, "^Cancelled: interrupted"))
      end
      for _, id in ipairs { "c", "d" } do
        assert.is_false(result.server[id].dealt)
        assert.same({}, result.server[id].steps)
        assert.is_false(has_line(result, id, "."))
      end
      assert.same({ "a", "b", "c", "d" }, result.results.unfinished_servers)
      assert.matches("Not finished: 4 servers.*unfinished_servers=%[a, b, c, d%]", result.stdout)
      assert.matches("2 never started", result.stdout)
      assert.matches("failed_servers=%[%]\n$", result.stdout)
    end)
  end

  it("gives a teardown no more than --grace", function()
    local result = started([[
      local muster = require "muster"
      return { params = { dir = "" }, steps = { { name = "s", run = function(server, params)
          io.open(params.dir .. "/" .. server.id .. ".begun", "w"):close()
          muster.sleep(1000)
        end } },
        teardown = function() muster.sleep(1000) print "SWALLOWED" end }]],
      "begun a; begun b; kill -INT $pid", { "--grace", "300ms" })
    assert.equals(130, result.code)
    assert.is_nil(T.find_log(result.log, "SWALLOWED"))
    assert.equals("cancelled", result.server.a.steps[1].status)
  end)

  it("a second time ends at once", function()
    local result = started([[
      local muster = require "muster"
      return { params = { dir = "" }, steps = { { name = "s", run = function(server, params)
          io.open(params.dir .. "/" .. server.id .. ".begun", "w"):close()
          muster.sleep(1000)
        end } },
        teardown = function(server) print "teardown began" muster.sleep(1000) end }]],
      "begun a; begun b; kill -INT $pid; said 'teardown began'; kill -INT $pid", { "--grace", "1000s" })
    assert.equals(130, result.code)
    assert.is_truthy(T.find_log(result.log, "Interrupted again: ending at once."))
    assert.equals("cancelled", result.server.a.status)
  end)

  it("a second time ends at once even with a worker that is stuck", function()
    local result = started([[
      return { params = { dir = "" }, steps = {
        { name = "quick", run = function() return 1 end },
        { name = "s", run = function(server, params)
          io.open(params.dir .. "/" .. server.id .. ".begun", "w"):close()
          ;("a"):rep(20000):find ".-.-.-b" -- longer than anybody waits
        end } } }]],
      "begun a; kill -INT $pid; said Interrupted:; kill -INT $pid", { "--grace", "1000s" })
    assert.equals(130, result.code)
    assert.is_truthy(T.find_log(result.log, "Interrupted again: ending at once."))
    assert.equals("cancelled", result.server.a.status)
    assert.is_false(result.server.a.finished)
    assert.equals("passed", result.server.a.steps[1].status)
    assert.matches("unfinished_servers=%[a, b, c, d%]", result.stdout)
  end)
end)

describe("a step that nothing can interrupt", function()
  it("is a timeout when it comes back late", function()
    local result = T.run_local [[
      return { steps = { { name = "s", timeout = "50ms", thresholds = { score = ">= 1" }, run = function()
        local n, began = 50
        repeat -- one call into C longer than the timeout, with no tick of the hook behind it
          began = os.clock()
          ;("a"):rep(n):find ".-.-.-b"
          n = n * 2
        until os.clock() - began > 0.2
        return 1
      end } } }]]
    assert.equals(3, result.code)
    local step = result.results.servers[1].steps[1]
    assert.equals("timeout", step.status)
    assert.matches("took longer than its timeout", step.failures[1].message)
  end)
end)
