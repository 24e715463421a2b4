-- Spawned functions of many tasks on four workers, small enough for the thread sanitizer.
local T = require "muster_test"

describe("server:spawn on four workers", function()
  it("keeps to its worker", function()
    local args = { "--workers", "4", "-j", "12" }
    for i = 1, 12 do args[#args + 1] = "s" .. i end
    local r = T.run_local([[
      local muster = require "muster"
      return { steps = { { name = "s", run = function(server)
        local list = {}
        for i = 1, 4 do list[i] = server:spawn(function() muster.sleep(0.001) return #server:exec("echo x").stdout end) end
        server:spawn(muster.sleep, 1000)
        local a, b, c, d = muster.gather(list)
        return a + b + c + d
      end } } }]], { args = args })
    assert.equals(0, r.code, r.stderr)
    for _, server in ipairs(r.results.servers) do assert.equals(8, server.steps[1].metrics.score.value) end
    assert.is_nil(r.stderr:find("ThreadSanitizer", 1, true))
  end)
end)
