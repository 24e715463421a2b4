-- disk.lua, on real reports of fio.
local testing = require "muster.testing"

local REPORT = testing.file "../../tests/data/fio.json"
local WRITE_REPORT = testing.file "../../tests/data/fio-write.json"
local NO_DEVICE = testing.file "../../tests/data/fio-noent.json"

describe("disk.lua", function()
  local script = testing.load "../disk.lua"

  it("reads a file of its own, or a device", function()
    local result = script:run(testing.server { ["*"] = REPORT })
    assert.equals("passed", result.status, result.reason)
    assert.equals(27381.237525, result.steps.disk.metrics.read_iops)
    assert.is_truthy(result.asked[1]:find("mktemp -d", 1, true))
    assert.is_truthy(result.asked[1]:find("'/var/tmp' '256' '5'", 1, true) or result.asked[1]:find "/var/tmp 256 5",
      result.asked[1])
    assert.equals("skipped", result.steps.write.status) -- there is nothing to write on
    local both = testing.server { ["*randread*"] = REPORT, ["*randwrite*"] = WRITE_REPORT }
    result = script:run(both, { device = "/dev/nvme0n1" })
    assert.equals("passed", result.status, result.reason)
    assert.is_nil(result.asked[1]:find("mktemp", 1, true))
    assert.is_truthy(result.asked[1]:find("/dev/nvme0n1", 1, true))
    assert.is_truthy(result.asked[1]:find("--readonly", 1, true) and result.asked[2]:find("/dev/nvme0n1", 1, true))
    assert.is_true(result.steps.write.metrics.write_iops > 1000)
  end)

  it("fails when it is slow, and when it has a read error", function()
    local result = script:run(testing.server { ["*"] = REPORT }, { min_read_iops = 50000, max_read_p99 = 0.001 })
    assert.same({ "failed", 2 }, { result.status, #result.steps.disk.failures })
    local eio = NO_DEVICE:gsub('"error" : 2,', '"error" : 5,')
    result = script:run(testing.server { ["*"] = { stdout = eio, exit_status = 1 } })
    assert.same({ "failed", "CheckFailed" }, { result.status, result.steps.disk.failures[1].type })
  end)

  it("is an error when fio is missing, cannot run, or has no such device", function()
    for answer, cause in pairs {
      [{ exit_status = 127 }] = "fio is missing (apt-get install fio)",
      [{ exit_status = 1, stderr = "/var/tmp has no room for 256 MiB\n" }] = "fio could not run",
      [{ exit_status = 1, stdout = NO_DEVICE }] = "fio: No such file or directory",
      [{ stdout = "" }] = "fio printed no report",
    } do
      local result = script:run(testing.server { ["*"] = answer })
      assert.same({ "error", cause }, { result.status, result.steps.disk.failures[1].cause })
    end
  end)
end)
