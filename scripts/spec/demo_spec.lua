-- demo.lua, on real output of sysbench.
local testing = require "muster.testing"

local CPU = testing.file "../../tests/data/sysbench-cpu.txt"
local MEMORY = testing.file "../../tests/data/sysbench-memory.txt"

describe("demo.lua", function()
  local script = testing.load "../demo.lua"

  it("measures CPU and memory with one thread", function()
    local server = testing.server { ["sysbench cpu *"] = CPU, ["sysbench memory *"] = MEMORY }
    local result = script:run(server, { seconds = 3 })
    assert.equals("passed", result.status, result.reason)
    assert.equals(1659.04, result.steps.cpu.metrics.events_per_second)
    assert.equals(9178.27, result.steps.memory.metrics.throughput)
    assert.equals("sysbench cpu --threads=1 --time=3 run", result.asked[1])
  end)

  it("fails a server that is hundreds of times slower, and measures on", function()
    local slow = CPU:gsub("(events per second:%s+)[%d.]+", "%11.52")
    local result = script:run(testing.server { ["sysbench cpu *"] = slow, ["sysbench memory *"] = MEMORY })
    assert.same({ "failed", "cpu.events_per_second 1.52 < 20 events/s" }, { result.status, result.reason })
    assert.equals("passed", result.steps.memory.status)
  end)

  it("is an error, not failed, where sysbench is missing", function()
    local missing = { exit_status = 127, stderr = "sysbench: not found\n" }
    local result = script:run(testing.server { ["sysbench *"] = missing })
    assert.same({ "error", "error" }, { result.status, result.steps.memory.status })
  end)
end)
