-- network.lua, on real output of iperf3.
local testing = require "muster.testing"

local REPORT = testing.file "../../tests/data/iperf3.json" -- 10.8 Gbit/s sent, 10.7 received, 2 sent again
local REFUSED = testing.file "../../tests/data/iperf3-refused.json"
local LISTENS = "-----------------------------------------------------------\nServer listening on 20000 (test #1)\n"

describe("network.lua", function()
  local script = testing.load "../network.lua"

  local function run(there, back, params, serves)
    local server = testing.server({ ["iperf3 --client *"] = there, ["iperf3 --client * --reverse"] = back },
      { id = "one" })
    local peer = testing.server({ ["iperf3 --server *"] = serves or LISTENS },
      { id = "other", address = "10.0.0.2", vars = { network_address = "192.168.0.2" } })
    local result = script:run(server, params or {}, peer)
    return result, result.steps.network
  end

  local function listens_not(why)
    return { stdout = "iperf3: error - unable to start listener for connections: " .. why .. "\n", exit_status = 1 }
  end

  -- The same, ten thousand times slower.
  local SLOW = REPORT:gsub('("bits_per_second":%s*%d+)%d%d%d%d%.', "%1.")

  it("measures both ways, and judges by the slower one", function()
    local result, step = run(REPORT, REPORT)
    assert.equals("passed", result.status, step.reason)
    assert.near(10.69, step.metrics.throughput, 0.12)
    assert.equals(4, step.metrics.retransmits)
    for _, case in ipairs { { SLOW, REPORT }, { REPORT, SLOW } } do
      result, step = run(case[1], case[2])
      assert.equals("failed", result.status)
      assert.matches("^network%.throughput 0%.001%d+ < 0%.9 Gbit/s, with other$", step.reason)
    end
    assert.equals("failed", run(REPORT, REPORT, { max_retransmits = 3 }).status)
  end)

  it("asks the peer to serve, and the server to measure at its address on that network", function()
    local result = run(REPORT, REPORT, { seconds = 7 })
    local port = result.asked[1]:match "^iperf3 %-%-server %-%-one%-off %-%-forceflush %-%-port (2%d%d%d%d)$"
    assert.equals(("iperf3 --client '192.168.0.2' --port %s --time 7 --connect-timeout 10000 --json"):format(port),
      result.asked[2])
    assert.matches(" %-%-json %-%-reverse$", result.asked[4])
  end)

  it("is an error where iperf3 is missing, cannot serve, or does not get through", function()
    local missing = { exit_status = 127, stderr = "sh: 1: iperf3: not found\n" }
    local result, step = run(missing, REPORT)
    assert.same({ "error", "iperf3 is missing (apt-get install iperf3)" }, { result.status, step.failures[1].cause })
    result, step = run(REPORT, REPORT, {}, missing)
    assert.same({ "error", "iperf3 is missing (apt-get install iperf3)" }, { result.status, step.failures[1].cause })
    result, step = run(REPORT, REPORT, {}, listens_not "Permission denied")
    assert.equals("error", result.status)
    assert.matches("iperf3 could not serve on other: unable to start listener", step.reason)
    result, step = run({ stdout = REFUSED, exit_status = 1 }, REPORT)
    assert.equals("error", result.status)
    assert.matches("unable to connect", step.reason)
  end)

  it("tries another port where one is in use", function()
    local busy = listens_not "Address already in use"
    local result = run(REPORT, REPORT, {}, { busy, busy, LISTENS })
    assert.equals("passed", result.status, result.steps.network.reason)
    assert.equals(6, #result.asked)
    assert.not_equals(result.asked[1], result.asked[2])
    result = run(REPORT, REPORT, {}, busy)
    assert.same({ "error", 5 }, { result.status, #result.asked })
  end)
end)
