-- memory.lua, on real output of sysbench and mbw.
local testing = require "muster.testing"

local SYSBENCH = testing.file "../../tests/data/sysbench-memory.txt"
local MBW = testing.file "../../tests/data/mbw.txt"

describe("memory.lua", function()
  local script = testing.load "../memory.lua"

  it("takes sysbench's throughput and mbw's best copy", function()
    local result = script:run(testing.server { ["sysbench memory *"] = SYSBENCH, ["mbw *"] = MBW }, { megabytes = 64 })
    assert.equals("passed", result.status, result.reason)
    assert.same({ throughput = 9178.27, copy = 19115.89 }, result.steps.memory.metrics)
    assert.equals("mbw -q -n 5 -t0 64", result.asked[2])
  end)

  it("fails on either, and says which", function()
    local server = testing.server { ["sysbench memory *"] = SYSBENCH, ["mbw *"] = MBW }
    local result = script:run(server, { min_copy = 20000 })
    assert.same({ "failed", "copy", 1 }, { result.status, result.steps.memory.failures[1].metric,
      #result.steps.memory.failures })
    result = script:run(server, { min_copy = 20000, min_throughput = 10000 })
    assert.equals(2, #result.steps.memory.failures)
  end)

  it("is an error when one of the two cannot measure", function()
    local result = script:run(testing.server { ["sysbench memory *"] = SYSBENCH, ["mbw *"] = { exit_status = 127 } })
    assert.same({ "error", "mbw is missing (apt-get install mbw)" }, { result.status,
      result.steps.memory.failures[1].cause })
    result = script:run(testing.server { ["sysbench memory *"] = "odd\n", ["mbw *"] = MBW })
    assert.equals("sysbench printed no score", result.steps.memory.failures[1].cause)
  end)
end)
