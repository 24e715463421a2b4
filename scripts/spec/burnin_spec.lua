-- burnin.lua, with a provisioner on paper: its steps, and what becomes of the installation.
local testing = require "muster.testing"

local ANSWERS = {
  ["sysbench cpu *"] = testing.file "../../tests/data/sysbench-cpu.txt",
  ["sysbench memory *"] = testing.file "../../tests/data/sysbench-memory.txt",
  ["mbw *"] = testing.file "../../tests/data/mbw.txt",
  ["*fio *"] = testing.file "../../tests/data/fio.json",
  ["*clpeak *"] = testing.file "../../tests/data/clpeak.xml",
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

  local function statuses(result)
    local all = {}
    for i, step in ipairs(result.steps) do all[i] = step.status end
    return all
  end

  it("measures all, and leaves nothing behind", function()
    local result = run { gpu = true, min_gpu_bandwidth = 50 }
    assert.equals("passed", result.status, result.reason)
    assert.same({ "passed", "passed", "passed", "passed" }, statuses(result))
    assert.equals(50.2131, result.steps.gpu.metrics.bandwidth)
    assert.is_nil(result.claim)
    assert.same({ "passed", "passed", "passed", "skipped" }, statuses(run {}))
    assert.same({ "passed", "passed", "skipped", "skipped" }, statuses(run { disk = false }))
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
    assert.same({ "skipped", "skipped", "skipped", "skipped" }, statuses(result))
    assert.equals("ServerOperationError", result.failures[1].type)
    result = run({}, {}, { connect = "refused" })
    assert.equals("unreachable", result.status)
    assert.same({ "skipped", "skipped", "skipped", "skipped" }, statuses(result))
    assert.is_nil(result.claim)
  end)
end)
