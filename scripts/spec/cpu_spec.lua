-- cpu.lua, on real output of sysbench.
local testing = require "muster.testing"

local OUTPUT = testing.file "../../tests/data/sysbench-cpu.txt"

describe("cpu.lua", function()
  local script = testing.load "../cpu.lua"

  it("measures with all cores, or as many threads as asked for", function()
    local result = script:run(testing.server { ["sysbench cpu *"] = OUTPUT })
    assert.equals("passed", result.status, result.reason)
    assert.equals(1659.04, result.steps.cpu.metrics.events_per_second)
    assert.equals("events/s", result.steps.cpu.units.events_per_second)
    assert.same({ "sysbench cpu --time=10 --threads=$(nproc) run" }, result.asked)
    result = script:run(testing.server { ["sysbench cpu *"] = OUTPUT }, { threads = 3, seconds = 2 })
    assert.same({ "sysbench cpu --time=2 --threads=3 run" }, result.asked)
  end)

  it("fails below the parameter", function()
    local result = script:run(testing.server { ["sysbench cpu *"] = OUTPUT }, { min_events_per_second = 2000 })
    assert.equals("failed", result.status)
    assert.equals("cpu.events_per_second 1659.04 < 2000 events/s", result.reason)
  end)

  it("is an error, not failed, where sysbench is missing, breaks, or prints no score", function()
    for answer, cause in pairs {
      [{ exit_status = 127, stderr = "sysbench: not found\n" }] = "sysbench is missing (apt-get install sysbench)",
      [{ exit_status = 1, stderr = "FATAL: no memory\n" }] = "exit status 1: sysbench",
      [{ signal = "KILL" }] = "killed by signal KILL: sysbench",
      [{ stdout = "FATAL: odd\n" }] = "sysbench printed no score",
      [{ error = "lost" }] = "connection lost",
    } do
      local result = script:run(testing.server { ["sysbench *"] = answer })
      assert.same({ "error", cause }, { result.status, result.steps.cpu.failures[1].cause })
    end
    local never = testing.server { ["sysbench *"] = { error = "timeout" } }
    assert.equals("timeout", script:run(never).status)
    assert.equals("unreachable", script:run(testing.server({}, { connect = "refused" })).status)
  end)
end)
