-- stress.lua, on real output of stress-ng. The sensors' lines are the script's own.
local testing = require "muster.testing"

local OUTPUT = testing.file "../../tests/data/stress-ng.txt"
local FAILED = testing.file "../../tests/data/stress-ng-failed.txt"

-- A server with these sensors, in thousandths of a degree; hot: under load, one time after the other.
local function server_of(output, idle, hot, throttled)
  local function look(when, celsius, more)
    local lines = {}
    for _, value in ipairs(celsius or {}) do
      lines[#lines + 1] = ("heat %s temperature %d coretemp\n"):format(when, value)
      lines[#lines + 1] = ("heat %s temperature 96000 nvme\n"):format(when)
    end
    if throttled and more then
      lines[#lines + 1] = ("heat %s throttled 2 a\nheat %s throttled %d b\n"):format(when, when, more)
    end
    return table.concat(lines)
  end
  return testing.server { ["*stress-ng --cpu*"] = output, ["*' 'before' *"] = look("before", idle and { idle }, 3),
    ["*' 'during' *"] = look("during", hot),
    ["*' 'after' *"] = look("after", idle and { idle + 500 }, 3 + (throttled or 0)) }
end

describe("stress.lua", function()
  local script = testing.load "../stress.lua"

  it("passes what is right and cool, and tells how hot it was under load", function()
    local result = script:run(server_of(OUTPUT, 41000, { 60000, 78500, 77000 }, 0))
    assert.equals("passed", result.status, result.reason)
    assert.same({ cpu = 139.71, memory = 111.83, failures = 0 }, result.steps.stress.metrics)
    assert.same({ temperature = 78.5, idle = 41 }, result.steps.temperature.metrics)
    assert.same({ throttled = 0 }, result.steps.throttling.metrics)
  end)

  it("looks at the sensors while the load runs, before its end", function()
    for seconds, times in pairs { [1] = { 1, 0.5 }, [60] = { 11, 5.0 }, [3600] = { 719, 5 } } do
      local result = script:run(server_of(OUTPUT, 41000, { 50000 }), { seconds = seconds })
      local found
      for _, command in ipairs(result.asked) do found = found or command:match "'during' '/sys' (%S+ %S+)$" end
      local n, pause = found:match "'?(%d+)'? '?([%d.]+)'?"
      assert.same(times, { tonumber(n), tonumber(pause) })
      assert.is_true(n * pause < seconds)
    end
  end)

  it("skips what there is no sensor for", function()
    local result = script:run(server_of(OUTPUT))
    assert.same({ "passed", "passed", "skipped", "skipped" }, { result.status, result.steps.stress.status,
      result.steps.temperature.status, result.steps.throttling.status })
  end)

  it("fails what computes wrong, is hot, or slows down", function()
    local result = script:run(server_of(FAILED:gsub(" qsort  ", " vm     "), nil), { min_memory = 0 })
    assert.equals("stress.failures 1 > 0", result.reason)
    result = script:run(server_of(OUTPUT, 41000, { 70000, 96000, 80000 }, 0))
    assert.equals("temperature.temperature 96 > 95 °C", result.steps.temperature.reason)
    result = script:run(server_of(OUTPUT, 41000, { 80000 }, 1))
    assert.equals("throttling.throttled 1 > 0", result.steps.throttling.reason)
  end)

  it("is an error where stress-ng is missing, cannot run, or had no time", function()
    for answer, cause in pairs {
      [{ exit_status = 127 }] = "stress-ng is missing (apt-get install stress-ng)",
      [{ exit_status = 3, stdout = "stress-ng: error: [1] no memory\n" }] = "stress-ng could not run",
      [{ stdout = "odd\n" }] = "stress-ng printed no metrics",
      [{ stdout = OUTPUT:gsub("( vm +)256", "%10") }] = "too little time: not once through the memory",
    } do
      local result = script:run(server_of(answer))
      assert.same({ "error", cause }, { result.status, result.steps.stress.failures[1].cause })
    end
  end)
end)
