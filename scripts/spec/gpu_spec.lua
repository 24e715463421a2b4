-- gpu.lua, on a real report of clpeak. nvidia-smi's lines are made up in its form: no GPU was at hand.
local testing = require "muster.testing"

local CLPEAK = testing.file "../../tests/data/clpeak.xml"
local GOOD = "0, NVIDIA A30, 41, 3, 0, Not Active, Not Active, Not Active\n"

describe("gpu.lua", function()
  local script = testing.load "../gpu.lua"

  local function run(smi, params, options)
    params = params or {}
    params.min_bandwidth = params.min_bandwidth or 50
    return script:run(testing.server({ ["*clpeak *"] = CLPEAK, ["*nvidia-smi*"] = smi }, options), params)
  end

  it("measures what is there", function()
    local result = run(GOOD, {}, { vars = { expected_gpus = 1 } })
    assert.equals("passed", result.status, result.reason)
    assert.equals(50.2131, result.steps.bandwidth.metrics.bandwidth)
    assert.same({ gpus = 1, missing = 0, temperature = 41, slowed = 0 }, result.steps.health.metrics)
    assert.same({ corrected = 3, uncorrected = 0 }, result.steps.ecc.metrics)
    result = run((GOOD:gsub("3, 0,", "[N/A], [N/A],")))
    local steps = result.steps
    assert.same({ "passed", "passed", "skipped" }, { result.status, steps.health.status, steps.ecc.status })
    result = run { exit_status = 127 }
    steps = result.steps
    assert.same({ "passed", "skipped", "skipped" }, { result.status, steps.health.status, steps.ecc.status })
  end)

  it("fails slow, hot, slowed down, missing and broken ones", function()
    assert.equals("bandwidth.bandwidth 50.2131 < 60 GB/s", run(GOOD, { min_bandwidth = 60 }).reason)
    assert.equals("health.temperature 90 > 83 °C", run((GOOD:gsub("41", "90"))).reason)
    assert.equals("health.slowed 1 > 0 GPUs", run((GOOD:gsub("Not Active\n", "Active\n"))).reason)
    assert.equals("health.missing 1 > 0 GPUs", run(GOOD, {}, { vars = { expected_gpus = "2" } }).reason)
    assert.equals("ecc.uncorrected 7 > 0", run((GOOD:gsub("3, 0,", "3, 7,"))).reason)
  end)

  it("is an error where something cannot be asked", function()
    local missing = "nvidia-smi is missing (Debian: nvidia-smi, of non-free)"
    for _, case in ipairs {
      { run({ exit_status = 9, stdout = "No devices were found\n" }), "nvidia-smi: No devices were found" },
      { run "odd\n", "nvidia-smi: odd" },
      { run({ exit_status = 127 }, { nvidia = true }), missing },
      { run({ exit_status = 127 }, {}, { vars = { expected_gpus = 1 } }), missing },
    } do
      assert.same({ "error", case[2] }, { case[1].status, case[1].steps.health.failures[1].cause })
    end
  end)
end)
