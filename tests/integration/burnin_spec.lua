-- The whole job: scripts/burnin.lua has servers installed by a real OpenStack Ironic, benchmarks them over real SSH with the
-- real programs, has them destroyed, and marks the broken ones in Ironic. What became of them is asked of Ironic.
local B = require "burnin_support"
local I = require "ironic_support"
local S = require "ssh_support"
local T = require "muster_test"

local ALL = { "srv01", "srv02", "srv03", "srv04", "srv05", "srv06", "srv07", "srv08" }

describe("burn-in", function()
  local fleet, ironic

  setup(function()
    fleet = T.fleet_start(8)
    B.make_slow(fleet, "srv02")
    ironic = I.start()
  end)

  -- srv02 is slow, srv03 cannot be installed, srv04 not destroyed, srv05 is out of reach; srv06 is someone else's; srv07 is
  -- in someone else's maintenance.
  before_each(function()
    ironic:clear()
    ironic:enroll("srv01", "srv02", "srv03=deploy", "srv04=undeploy", "srv05", "srv06", "srv07", "srv08")
    fleet:kill "srv05"
    assert.equal(202, (ironic:call("PUT", "nodes/srv06/states/provision", { target = "active" })))
    assert.equal(202, (ironic:call("PUT", "nodes/srv07/maintenance", { reason = "fan replaced, anna" })))
    I.wait_for("srv06 to be active", function() return ironic:nodes().srv06.provision_state == "active" end)
  end)

  after_each(function() fleet:restart "srv05" end)

  it("marks the slow, and those that could not be installed or destroyed, and no others", function()
    local before = ironic:nodes()
    local result = B.run(fleet, ironic, "-j", "4", "--max-broken", "3", "--junit", fleet.dir .. "/junit.xml")
    local states, broken = B.seen_by(ironic)
    assert.same({ available = { "srv01", "srv02", "srv05", "srv07", "srv08" }, error = { "srv03" },
      ["clean failed"] = { "srv04" }, active = { "srv06" } }, states, result.stdout .. result.stderr)
    assert.same({ "srv02", "srv03", "srv04", "srv07" }, B.ids(broken))
    assert.equal("fan replaced, anna", broken.srv07)
    local tail = "; run " .. result.results.run.id .. ", owner "
    for id, reason in pairs {
      srv02 = "^%[muster%] muster: cpu%.events_per_second [%d.]+ < 20 events/s %(measured twice%)",
      srv03 = "^%[muster%] muster: setup: ServerOperationError: install failed: deploy failed %(.*Unable to connect",
      srv04 = "^%[muster%] muster: teardown: ServerOperationError: destroy failed: clean failed %(.*for cleaning failed",
    } do
      assert.matches(reason, broken[id])
      assert.matches(tail, broken[id], 1, true)
    end
    -- What was someone else's is as it was.
    local after = ironic:nodes()
    for _, id in ipairs { "srv06", "srv07" } do assert.same(before[id], after[id]) end

    -- The summary, the report and the exit code say the same.
    assert.equal(4, result.code) -- two are left behind
    local results = result.results
    assert.same({ "srv02", "srv03", "srv04" }, results.failed_servers)
    assert.same({ "srv02", "srv03", "srv04" }, results.marked_servers)
    assert.same({ "srv05", "srv06", "srv07" }, results.unmeasured_servers)
    local status = {}
    for id, server in pairs(S.by_id(results)) do status[id] = server.status end
    assert.same({ srv01 = "passed", srv02 = "failed", srv03 = "failed", srv04 = "failed", srv05 = "unreachable",
      srv06 = "error", srv07 = "error", srv08 = "passed" }, status)
    for _, line in ipairs {
      "\nUNREACHABLE  connect: connection refused ",
      "\nERROR        setup: ServerStateError: ironic: it is not in its clean state ",
      "\nERROR        setup: ServerStateError: ironic: it is marked as broken ",
      "\nLEFT BEHIND  srv[03-04] still installed: `muster cleanup` destroys them\n",
      "\nMarked as broken: 3 servers. marked_servers=[srv02, srv03, srv04]\n",
      "\nOut of 8, 3 servers failed. failed_servers=[srv02, srv03, srv04]\n",
    } do
      assert.matches(line, "\n" .. result.stdout, 1, true)
    end
    local lint = T.exec { "xmllint", "--noout", "--schema", T.source .. "/tests/support/junit.xsd", fleet.dir .. "/junit.xml" }
    assert.equal(0, lint.code, lint.stderr)
    -- Measured for real, in all steps that were not switched off.
    local metrics = S.by_id(results).srv01.steps
    assert.is_true(metrics[1].metrics.events_per_second.value > 20 and metrics[2].metrics.copy.value > 50)
    assert.same({ "skipped", "skipped" }, { metrics[3].status, metrics[4].status })
    -- Nothing of it names the run in Ironic any more, but for the two that could not be destroyed.
    for id, node in pairs(after) do
      if id ~= "srv06" then assert.is_nil(node.instance_uuid, id) end
    end
  end)

  it("marks nobody when more are broken than the cap allows", function()
    local result = B.run(fleet, ironic, "-j", "8", "--max-broken", "2")
    local _, broken = B.seen_by(ironic)
    assert.same({ srv07 = "fan replaced, anna" }, broken, result.stdout)
    assert.equal(4, result.code)
    assert.same({ "srv02", "srv03", "srv04" }, result.results.unmarked_servers)
    assert.same({}, result.results.marked_servers)
    assert.matches("unmarked_servers=[srv02, srv03, srv04]", result.stdout, 1, true)
    assert.is_table(T.find_log(result.log, "Nobody is marked as broken: 3 of 8 servers were to be"))
  end)

  it("in a dry run says what it would ask for, and asks for nothing", function()
    local before = ironic:nodes()
    local result = B.run(fleet, ironic, "--dry-run", "--log-level", "debug")
    assert.same(before, ironic:nodes())
    assert.equal(3, result.code, result.stdout) -- srv06 and srv07 are not free
    local would = {}
    for _, line in ipairs(result.log) do
      if line.dry_run and line.server_id == "srv01" then would[#would + 1] = line.event:match "^Would %a+ (.*)" or line.event end
    end
    would = table.concat(would, "\n")
    for _, call in ipairs { "PATCH", "/v1/nodes/srv01/states/provision", "active", "deleted", "/v1/nodes/srv01/maintenance" } do
      assert.matches(call, would, 1, true)
    end
  end)

  it("can be run on all again, once somebody has mended what was marked", function()
    B.run(fleet, ironic, "--max-broken", "3")
    for _, id in ipairs { "srv02", "srv03", "srv04" } do
      assert.equal(202, (ironic:call("DELETE", "nodes/" .. id .. "/maintenance")))
    end
    -- The others are clean again, and take part as before.
    local result = B.run(fleet, ironic, "srv01,srv08")
    assert.equal(0, result.code, result.stdout)
    assert.same({ "srv01", "srv08" }, B.ids(S.by_id(result.results)))
    assert.equal(#ALL, #B.ids(ironic:nodes()))
  end)
end)
