-- health.lua. smartctl's refusal was recorded; what it says of disks is made up in the form of its JSON, since none was
-- at hand.
local testing = require "muster.testing"

local REFUSED = testing.file "../../tests/data/smartctl-refused.json"
local SCSI = [[{ "smart_status": { "passed": true }, "temperature": { "current": 29 }, "scsi_grown_defect_list": 4,
  "scsi_error_counter_log": { "read": { "total_uncorrected_errors": 0 } } }]]
local NVME = [[{ "smart_status": { "passed": true }, "temperature": { "current": 51 },
  "nvme_smart_health_information_log": { "critical_warning": 4, "media_errors": 0, "percentage_used": 91 } }]]
local FACTS = "cpu.threads=8\ncpu.cores=4\nmemory=16000000\nend=1\n"

describe("health.lua", function()
  local script = testing.load "../health.lua"

  local function run(answers, params, vars)
    local all = { ["*smartctl*"] = { exit_status = 127 }, ["*edac*"] = "",
      ["*dmesg*"] = { exit_status = 1, stderr = "no\n" },
      ["date *"] = "1700000000.5\n", ["*/block/*"] = "disks 2\n", ["exec sh"] = FACTS }
    for command, answer in pairs(answers) do all[command] = answer end
    return script:run(testing.server(all, { vars = vars }), params)
  end

  it("skips what cannot be read, or makes it an error where it is required", function()
    local result = run {}
    assert.equals("passed", result.status, result.reason)
    for name, status in pairs { smart = "skipped", ecc = "skipped", kernel = "skipped", clock = "passed",
      memory = "skipped", cores = "skipped", disks = "skipped" } do
      assert.equals(status, result.steps[name].status, name)
    end
    result = run({}, { required = "smart" })
    assert.same({ "error", "could not be measured: smartctl is missing (apt-get install smartmontools)" },
      { result.status, result.steps.smart.failures[1].cause })
    result = run({ ["*smartctl*"] = "\nmuster-device /dev/nvme0\n" .. REFUSED }, { required = "smart" })
    assert.equals("could not be measured: /dev/nvme0: Smartctl open device: /dev/nvme0 failed: No such device",
      result.steps.smart.failures[1].cause)
  end)

  it("judges the worst of the disks", function()
    local result = run { ["*smartctl*"] = "\nmuster-device /dev/sda\n" .. SCSI ..
      "\n\nmuster-device /dev/nvme0\n" .. NVME .. "\n" }
    assert.same({ disks = 2, failing = 1, reallocated = 4, pending = 0, media_errors = 0, wear = 91, temperature = 51 },
      result.steps.smart.metrics)
    assert.same({ "failed", 2 }, { result.steps.smart.status, #result.steps.smart.failures }) -- failing, wear
  end)

  it("judges counters, the kernel's log and the clock", function()
    local result = run({ ["*edac*"] = "corrected 1\ncorrected 200\nuncorrected 0\nuncorrected 0\n",
      ["*dmesg*"] = "kern  :err   : [    1.0] ACPI Error: AE_NOT_FOUND\n" ..
        "kern  :crit  : [   99.0] mce: CPU1: Core temperature above threshold, cpu clock throttled\n" ..
        "kern  :warn  : [ 100.0] nvme nvme0: I/O 23 QID 4 timeout, aborting\n" ..
        "kern  :err   : [ 101.0] blk_update_request: I/O error, dev sr0, sector 0\n",
      -- Here, there, here, there, here, there, here: ten seconds ahead, within a round trip of 0.5 s at best.
      ["date *"] = { "100.0\n", "110.5\n", "101.0\n", "111.25\n", "101.5\n", "111.75\n", "103.5\n" } })
    assert.equals("ecc.corrected 201 > 100", result.steps.ecc.reason)
    assert.same({ errors = 3, hardware = 2 }, result.steps.kernel.metrics)
    assert.equals("kernel.hardware 2 > 0 lines", result.steps.kernel.reason)
    assert.same({ offset = 9.75, uncertainty = 0.25 }, result.steps.clock.metrics)
    assert.equals("clock.offset 9.75 > 1 s", result.steps.clock.reason)
    result = run({ ["date *"] = "Tue Nov 14\n" }, { required = "clock" })
    assert.equals("could not be measured: date knows no nanoseconds there or here",
      result.steps.clock.failures[1].cause)
  end)

  it("compares with what the inventory expects", function()
    local result = run({}, {}, { expected_memory_gb = 16, expected_cores = "4", expected_disks = 2 })
    assert.equals("passed", result.status, result.reason)
    assert.near(4.63, result.steps.memory.metrics.missing, 0.01)
    result = run({}, {}, { expected_memory_gb = 24, expected_cores = 8, expected_disks = 3 })
    assert.is_truthy(result.steps.memory.reason:find "^memory%.missing 36%.4%d* > 5 %%$", result.steps.memory.reason)
    assert.equals("cores.missing 4 > 0 cores", result.steps.cores.reason)
    assert.equals("disks.missing 1 > 0 disks", result.steps.disks.reason)
    result = run({ ["exec sh"] = "end=1\n" }, {}, { expected_cores = 8 })
    assert.equals("skipped", result.steps.cores.status)
    result = run({}, {}, { expected_disks = "two" })
    assert.equals("error", result.steps.disks.status)
  end)
end)
