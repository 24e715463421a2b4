-- The whole job on 200 servers, 50 in flight: real Ironic, real sshd. Only the benchmarks answer at once, with what real ones
-- once printed.
local B = require "burnin_support"
local I = require "ironic_support"
local T = require "muster_test"

local SERVERS, IN_FLIGHT, AT_IRONIC = 200, 50, 20

T.time_limit = 600 -- installing two hundred takes its time where the machine has other work, too

describe("burn-in of 200 servers", function()
  local fleet, ironic

  setup(function()
    fleet = T.fleet_start(SERVERS)
    B.answer_at_once(fleet, fleet.ids, { srv050 = true, srv100 = true, srv150 = true })
    ironic = I.start()
    ironic:enroll("--count", SERVERS)
    ironic:command("fail", "srv025", "deploy")
  end)

  -- The most that were at work at once, by the log, which has its lines in the order of time.
  local function most_at_work(log)
    local now, most = 0, 0
    for _, line in ipairs(log) do
      if line.event == "Started." then now = now + 1 end
      if line.event:find "^Server finished: " then now = now - 1 end
      most = math.max(most, now)
    end
    assert.equal(0, now)
    return most
  end

  it("installs, measures and destroys all of them, and marks the few that are broken", function()
    local result = B.run(fleet, ironic, "-j", IN_FLIGHT, "--connect-timeout", "120s", "-p", "boot=3m", "-p",
      "max_in_flight=" .. AT_IRONIC)
    assert.equal(4, result.code, result.stdout) -- srv025's BMC does not answer: it cannot be destroyed either
    assert.equal(SERVERS - 4, result.results.counts.passed, result.stdout)
    assert.same({ "srv025", "srv050", "srv100", "srv150" }, result.results.failed_servers)
    assert.equal(IN_FLIGHT, most_at_work(result.log))

    local states, broken = B.seen_by(ironic)
    assert.equal(SERVERS - 1, #states.available)
    assert.same({ "srv025" }, states.error)
    assert.same({ "srv025", "srv050", "srv100", "srv150" }, B.ids(broken))
    assert.matches("cpu%.events_per_second 1%.25 < 20 events/s %(measured twice%)", broken.srv100)

    local lines = T.lines(result.stdout)
    assert.equal("Out of 200, 4 servers failed. failed_servers=[srv025, srv050, srv100, srv150]", lines[#lines])
  end)
end)
