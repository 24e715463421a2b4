-- Tests of __NAME__.lua: it runs as `muster run` would run it, and a stand-in answers in the server's place.
--   muster test __NAME___spec.lua
local testing = require "muster.testing"

describe("__NAME__", function()
  local script = testing.load "__NAME__.lua"

  -- What the server answers to each command; in a command, * stands for any text. Paste real output here.
  local function server(load)
    return testing.server { ["nproc"] = "4\n", ["cat /proc/loadavg"] = load .. " 0.40 0.30 1/234 5678\n" }
  end

  it("passes on a healthy server", function()
    local result = script:run(server "2.00")
    assert.equals("passed", result.status, result.reason)
    assert.equals(4, result.steps.cores.metrics.cores)
    assert.equals(0.5, result.steps.load.metrics.load_per_core)
  end)

  it("fails when the server is too busy", function()
    local result = script:run(server "8.00", { max_load_per_core = 1 })
    assert.equals("failed", result.status)
    assert.equals("load.load_per_core 2 > 1", result.reason)
  end)

  it("fails when processors are missing, and then does not look at the load", function()
    local result = script:run(server "0.00", { min_cores = 8 })
    assert.equals("failed", result.steps.cores.status)
    assert.equals("skipped", result.steps.load.status)
  end)

  it("is an error, and not failed, when the server cannot say", function()
    local result = script:run(testing.server { ["nproc"] = { stderr = "nproc: not found\n", exit_status = 127 } })
    assert.equals("error", result.status)
  end)
end)
