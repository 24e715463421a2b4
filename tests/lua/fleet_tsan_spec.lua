-- What before_all shares, read by the tasks of four workers at once, and after_all. The build for the thread sanitizer runs
-- it to find races; any other build must pass it, too.
local T = require "muster_test"

describe("before_all, its data and after_all on four workers", function()
  it("serve 200 tasks", function()
    local args = { "--workers", "4", "-j", "100" }
    for i = 1, 200 do args[#args + 1] = ("s%03d"):format(i) end
    local r = T.run_local([[
      local muster = require "muster"
      return {
        before_all = function(fleet)
          local data = {}
          for i, server in ipairs(fleet) do data[server.id] = { n = i, text = ("x"):rep(i) } end
          muster.exec("true")
          return data
        end,
        steps = { { name = "s", run = function(server)
          local mine = muster.run.shared[server.id]
          muster.sleep(0.01)
          assert(#mine.text == mine.n)
          return mine.n
        end } },
        after_all = function(results)
          local sum = 0
          for _, server in ipairs(results.servers) do sum = sum + server.steps[1].metrics.score.value end
          muster.log.info("sum " .. sum)
        end,
      }]], { args = args, timeout = 300 })
    assert.equal(0, r.code, r.stderr:sub(-3000))
    assert.is_table(T.find_log(r.log, "sum 20100.0"))
    assert.is_nil(r.stderr:find("ThreadSanitizer", 1, true))
  end)
end)
