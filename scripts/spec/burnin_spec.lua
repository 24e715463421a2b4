-- burnin.lua, with a provisioner on paper: its steps, and what becomes of the installation.
local testing = require "muster.testing"

local ANSWERS = {
  ["sysbench cpu *"] = testing.file "../../tests/data/sysbench-cpu.txt",
  ["sysbench memory *"] = testing.file "../../tests/data/sysbench-memory.txt",
  ["mbw *"] = testing.file "../../tests/data/mbw.txt",
  ["*fio *"] = testing.file "../../tests/data/fio.json",
  ["*clpeak *"] = testing.file "../../tests/data/clpeak.xml",
  ["*nvidia-smi*"] = { exit_status = 127 },
  ["*stress-ng --cpu*"] = testing.file "../../tests/data/stress-ng.txt",
  ["*heat*'before'*"] = "heat before temperature 40000 coretemp\n",
  ["*heat*'during'*"] = "heat during temperature 70000 coretemp\n",
  ["*heat*'after'*"] = "",
  -- A server that tells nothing of its health.
  ["*smartctl*"] = { exit_status = 127 }, ["*edac*"] = "", ["*dmesg*"] = { exit_status = 1, stderr = "no\n" },
  ["date *"] = "1700000000.5\n", ["*/block/*"] = "disks 2\n", ["exec sh"] = "cpu.threads=8\nend=1\n",
}

describe("burnin.lua", function()
  local script = testing.load("../burnin.lua", { modules = "modules" })

  local function run(params, answers, options)
    params.provisioner = "paper"
    local all = {}
    for command, answer in pairs(ANSWERS) do all[command] = answer end
    for command, answer in pairs(answers or {}) do all[command] = answer end
    return script:run(testing.server(all, options), params)
  end

  -- The steps that were not skipped.
  local function measured(result)
    local all = {}
    for _, step in ipairs(result.steps) do
      if step.status ~= "skipped" then all[#all + 1] = step.name .. " " .. step.status end
    end
    return all
  end

  it("measures all, and leaves nothing behind", function()
    local result = run { gpu = true, min_gpu_bandwidth = 50 }
    assert.equals("passed", result.status, result.reason)
    assert.same({ "cpu passed", "memory passed", "disk passed", "stress passed", "temperature passed",
      "gpu-bandwidth passed", "health-clock passed" }, measured(result))
    assert.equals(50.2131, result.steps["gpu-bandwidth"].metrics.bandwidth)
    assert.same({ temperature = 70, idle = 40 }, result.steps.temperature.metrics)
    assert.is_nil(result.claim)
    assert.same({ "cpu passed", "memory passed" }, measured(run { disk = false, stress = false, health = false }))
  end)

  it("stresses for a minute, and for as long as all else when that is said", function()
    for params, seconds in pairs { [{}] = 60, [{ seconds = 600 }] = 600 } do
      local asked = table.concat(run(params).asked, "\n")
      assert.is_truthy(asked:find(("\n' 'sh' '%d' '70'\n"):format(seconds), 1, true), asked)
    end
  end)

  it("measures again what was too slow, and marks what stays so", function()
    local slow = ANSWERS["sysbench cpu *"]:gsub("1659.04", "7.04")
    local result = run({}, { ["sysbench cpu *"] = { slow, ANSWERS["sysbench cpu *"] } })
    assert.same({ "passed", 2, nil }, { result.status, result.steps.cpu.measured, result.mark })
    result = run({}, { ["sysbench cpu *"] = slow })
    assert.same({ "failed", 2 }, { result.status, result.steps.cpu.measured })
    assert.is_truthy(result.mark.reason:find("cpu.events_per_second 7.04 < 500 events/s (measured twice)", 1, true),
      result.mark.reason)
    assert.is_nil(result.claim)
  end)

  it("measures nothing where the installation fails, or SSH does not answer", function()
    local result = run { url = "paper:broken" }
    assert.equals("failed", result.status)
    assert.same({}, measured(result))
    assert.equals("ServerOperationError", result.failures[1].type)
    result = run({}, {}, { connect = "refused" })
    assert.equals("unreachable", result.status)
    assert.same({}, measured(result))
    assert.is_nil(result.claim)
  end)
end)
