-- stress.lua, on real output of stress-ng. The sensors' lines are the script's own.
local testing = require "muster.testing"

local OUTPUT = testing.file "../../tests/data/stress-ng.txt"
local FAILED = testing.file "../../tests/data/stress-ng-failed.txt"

-- What the server's sensors say before and after.
local function with_heat(output, before, after, throttled)
  return ("heat before temperature %d coretemp\nheat before temperature 90000 nvme\nheat before throttled 2 a\n" ..
    "heat before throttled 3 b\n%sheat after temperature %d coretemp\nheat after temperature 20000 x86_pkg_temp\n" ..
    "heat after throttled 2 a\nheat after throttled %d b\n"):format(before, output, after, 3 + throttled)
end

describe("stress.lua", function()
  local script = testing.load "../stress.lua"

  it("passes what is right and cool", function()
    local result = script:run(testing.server { ["*"] = with_heat(OUTPUT, 41000, 78500, 0) })
    assert.equals("passed", result.status, result.reason)
    assert.same({ cpu = 139.71, memory = 111.83, failures = 0 }, result.steps.stress.metrics)
    assert.same({ temperature = 78.5, idle = 41 }, result.steps.temperature.metrics)
    assert.same({ throttled = 0 }, result.steps.throttling.metrics)
  end)

  it("skips what there is no sensor for", function()
    local result = script:run(testing.server { ["*"] = OUTPUT })
    assert.same({ "passed", "passed", "skipped", "skipped" }, { result.status, result.steps.stress.status,
      result.steps.temperature.status, result.steps.throttling.status })
  end)

  it("fails what computes wrong, is hot, or slows down", function()
    local result = script:run(testing.server { ["*"] = FAILED:gsub(" qsort  ", " vm     ") }, { min_memory = 0 })
    assert.equals("stress.failures 1 > 0", result.reason)
    result = script:run(testing.server { ["*"] = with_heat(OUTPUT, 41000, 96000, 0) })
    assert.equals("temperature.temperature 96 > 95 °C", result.steps.temperature.reason)
    result = script:run(testing.server { ["*"] = with_heat(OUTPUT, 41000, 80000, 1) })
    assert.equals("throttling.throttled 1 > 0", result.steps.throttling.reason)
  end)

  it("is an error where stress-ng is missing, cannot run, or had no time", function()
    for answer, cause in pairs {
      [{ exit_status = 127 }] = "stress-ng is missing (apt-get install stress-ng)",
      [{ exit_status = 3, stdout = "stress-ng: error: [1] no memory\n" }] = "stress-ng could not run",
      [{ stdout = "odd\n" }] = "stress-ng printed no metrics",
      [{ stdout = OUTPUT:gsub("( vm +)256", "%10") }] = "too little time: not once through the memory",
    } do
      local result = script:run(testing.server { ["*"] = answer })
      assert.same({ "error", cause }, { result.status, result.steps.stress.failures[1].cause })
    end
  end)
end)
