-- The driver of OpenStack Ironic and the library of provisioners against a real Ironic: what is installed, destroyed,
-- marked and left alone, as Ironic itself says.
local cjson = require "cjson"
local I = require "ironic_support"
local S = require "ssh_support"
local T = require "muster_test"

local UUID = "^%x+%-%x+%-4%x+%-%x+%-%x+$"
local MARK = "^%[muster%] muster: "

local function cleanup(dir) return T.run { "cleanup", "--state-dir", dir .. "/state" } end

local function journals(dir) return T.lines(T.exec { "ls", "-A", dir .. "/state/claims" }.stdout) end

local function has(text, words) assert.is_truthy(text:find(words, 1, true), words .. "\nis not in\n" .. text) end

-- The node is as if nobody had ever used it.
local function assert_clean(node)
  assert.same({ "available", {}, nil }, { node.provision_state, node.instance_info, node.instance_uuid }, node.name)
end

describe("the driver of Ironic", function()
  local ironic

  -- A node that is locked is said to be so at once: by itself Ironic tries for three seconds.
  setup(function() ironic = I.start "conductor.node_locked_retry_attempts=1" end)

  it("claims, installs and destroys", function()
    ironic:enroll("life01", "life02")
    -- A server may be known to Ironic by another name than here, or by its UUID.
    local inventory = S.inventory(T.tmpdir(), { { id = "life01" },
      { id = "two", vars = { provisioner_id = ironic:nodes().life02.uuid } } })
    local job = ironic:start_run({ "-i", inventory }, {
      driver = [[local install = driver.install
        function driver.install(...) pause "claimed" install(...) end
        local claim = driver.claim -- of the other one this is the second attempt
        function driver.claim(node, with)
          if node.id == "two" then with.attempt, with.tag = 2, with.tag .. "/2" end
          claim(node, with)
        end]],
      step = [[local s = p:state(server)
        assert(s.state == "installed" and s.detail == "active" and s.tag == muster.run.id and not s.broken)
        pause "installed"]] })
    local claims = {}
    for _, moment in ipairs { { "claimed", "available" }, { "installed", "active" } } do
      job:wait_log("at " .. moment[1], 2)
      for name, id in pairs { life01 = "life01", life02 = "two" } do
        local node = ironic:nodes()[name]
        assert.equals(moment[2], node.provision_state)
        assert.matches(UUID, node.instance_uuid)
        assert.matches("^%d+T%d+Z%-%x+$", node.instance_info.muster_run)
        assert.same({ muster_run = node.instance_info.muster_run, muster_server = id, os = "debian-12",
          muster_attempt = id == "two" and "2" or nil }, node.instance_info)
        -- The journal names the same claim, since before Ironic was told.
        has(T.read(job.dir .. "/state/claims/" .. journals(job.dir)[1]), node.instance_uuid)
        claims[name] = claims[name] or node.instance_uuid
        assert.equals(claims[name], node.instance_uuid)
      end
      T.write(job.dir .. "/" .. moment[1], "")
    end
    local result = I.ended(job)
    assert.equals(0, result.code, result.stderr)
    for name, known_as in pairs { life01 = "life01", life02 = ironic:nodes().life02.uuid } do
      local node = ironic:nodes()[name]
      assert_clean(node)
      assert.is_false(node.maintenance)
      local path = "/v1/nodes/" .. known_as
      assert.same({ "PATCH " .. path .. " 200", "PUT " .. path .. "/states/provision 202",
        "PUT " .. path .. "/states/provision 202" },
        ironic:requests("^P%u+ " .. path:gsub("%-", "%%-") .. "[ /]"))
    end
    assert.same({}, journals(result.dir))
  end)

  it("tells what failed in Ironic's words, leaves behind what cannot be destroyed, and destroys it when it is mended",
    function()
      -- The deploy of agent01 fails and its undeploy works: the agent does not know where Ironic is. Of bmc01 both fail.
      ironic:enroll("agent01", "bmc01=deploy", "unclean01=undeploy", "unclean02=clean", "fine01")
      ironic:patch("agent01", "/deploy_interface", "custom-agent")
      local result = ironic:run { "agent01", "bmc01", "unclean01", "unclean02", "fine01" }
      assert.equals(4, result.code)
      local FAILED = {
        agent01 = { "install", "deploy failed", "Failed to prepare to deploy: Couldn't get the URL of the Ironic API" },
        bmc01 = { "install", "deploy failed", "Unable to connect to http://127.0.0.1:9/redfish/v1/" },
        unclean01 = { "destroy", "clean failed", "cleaning network is not set" },
        unclean02 = { "destroy", "clean failed", "missing 1 required positional argument: 'settings'" } }
      for name, words in pairs(FAILED) do
        local kind, message = I.failure_of(result, name)
        assert.equals("ServerOperationError", kind)
        has(message, ("ironic: %s: %s failed: %s: "):format(name, words[1], words[2]))
        has(message, words[3])
        assert.equals("failed", result.servers[name].status)
        assert.equals(name ~= "agent01", result.servers[name].left_behind, name)
      end
      has(select(2, I.failure_of(result, "bmc01", "teardown")), "ironic: bmc01: destroy failed: error: Failed to tear down: ")
      assert.equals("passed", result.servers.fine01.status)
      has(result.stdout, "LEFT BEHIND  bmc01,unclean[01-02] still installed")
      has(result.stdout, "Out of 5, 4 servers failed. failed_servers=[agent01, bmc01, unclean01, unclean02]")
      -- The marks. Ironic itself has put unclean02 into maintenance, and its reason stays.
      assert.same({ "agent01", "bmc01", "unclean01" }, result.results.marked_servers)
      assert.same({ "unclean02" }, result.results.kept_servers)
      local nodes = ironic:nodes()
      assert_clean(nodes.agent01)
      assert_clean(nodes.fine01)
      assert.is_false(nodes.fine01.maintenance)
      for name, operation in pairs { agent01 = "setup: ServerOperationError: install failed: deploy failed (Failed to",
        bmc01 = "teardown: ServerOperationError: destroy failed: error (Failed to tear down",
        unclean01 = "teardown: ServerOperationError: destroy failed: clean failed (Validation of node" } do
        assert.is_true(nodes[name].maintenance)
        assert.matches(MARK, nodes[name].maintenance_reason)
        has(nodes[name].maintenance_reason, operation)
        has(nodes[name].maintenance_reason, "; run " .. result.results.run.id .. ", owner ")
      end
      assert.equals("clean failure", nodes.unclean02.fault)
      assert.equals(nodes.unclean02.last_error, nodes.unclean02.maintenance_reason)

      -- Nothing is mended yet. From `clean failed` only an operator leads back, by `manage` and `provide`.
      local tried = cleanup(result.dir)
      assert.equals(4, tried.code)
      has(tried.stdout, "LEFT BEHIND  bmc01: failed: ironic: bmc01: destroy failed: error: Failed to tear down: ")
      has(tried.stdout, 'destroy failed: clean failed: HTTP 400: The requested action "deleted" can not be performed')
      ironic:patch("bmc01", "/power_interface", "fake")
      for _, name in ipairs { "unclean01", "unclean02" } do
        ironic:patch(name, "/automated_clean", false)
        ironic:ask(202, "DELETE", "nodes/" .. name .. "/maintenance")
        ironic:provision(name, "manage", "manageable")
        ironic:provision(name, "provide", "available")
      end
      local done = cleanup(result.dir)
      assert.equals(0, done.code, done.stdout .. done.stderr)
      nodes = ironic:nodes()
      for name in pairs(FAILED) do assert_clean(nodes[name]) end
      assert.matches(MARK, nodes.bmc01.maintenance_reason) -- who mends it takes the mark off
    end)

  it("touches nothing that is someone else's, not clean, in maintenance, or unknown", function()
    ironic:enroll("free", "active", "used", "reserved", "tagged", "managed", "broken", "nameless")
    assert.equals(201, (ironic:call("POST", "nodes", { name = "enrolled", driver = "fake-hardware" })))
    ironic:patch("used", "/instance_uuid", "6c0de1b8-0000-4000-8000-000000000001")
    ironic:patch("reserved", "/instance_uuid", "6c0de1b8-0000-4000-8000-000000000002")
    ironic:patch("tagged", "/instance_info/muster_run", "20250101T000000Z-abcdef")
    ironic:provision("active", "active", "active")
    ironic:provision("used", "active", "active")
    ironic:provision("managed", "manage", "manageable")
    ironic:maintain("broken", "anna: fan 2 is loud")
    ironic:maintain("nameless")
    local WHY = { active = "it is not in its clean state: active (installed)",
      used = "it is claimed by someone else: instance 6c0de1b8-0000-4000-8000-000000000001",
      reserved = "it is claimed by someone else: instance 6c0de1b8-0000-4000-8000-000000000002",
      tagged = "it is claimed by someone else: 20250101T000000Z-abcdef/",
      managed = "it is not in its clean state: manageable (other)", enrolled = "it is not in its clean state: enroll (other)",
      broken = "it is marked as broken: anna: fan 2 is loud", nameless = "it is marked as broken",
      unknown = "the provisioner does not know it" }
    local before, names = ironic:nodes(), { "free" }
    for name in pairs(WHY) do names[#names + 1] = name end
    for _, on in ipairs { "", [[mark_broken_on = { "failed", "error" },]] } do
      local result = ironic:run(names, { more = on })
      for name, words in pairs(WHY) do
        local kind, message = I.failure_of(result, name)
        assert.equals("ServerStateError", kind, name)
        has(message, ("ironic: %s: %s"):format(name, words))
        assert.same({ "error", false }, { result.servers[name].status, result.servers[name].left_behind })
      end
      assert.equals("passed", result.servers.free.status)
      assert.same({}, result.results.marked_servers)
      assert.same(before, ironic:nodes())
      -- Alone the one that nobody knows could not even be looked at for its mark.
      assert.same({ on == "" and 3 or 4, on == "" and {} or { "unknown" } },
        { result.code, result.results.mark_failed_servers })
    end
    assert.is_truthy(ironic:requests("GET /v1/nodes/unknown 404")[1])
  end)

  it("gives one node to one of two runs", function()
    ironic:enroll("race01", "race02", "race03")
    local names = { "race01", "race02", "race03" }
    local dir = T.tmpdir()
    local jobs = {}
    for i = 1, 2 do
      local own = dir .. "/" .. i
      assert(os.execute("mkdir " .. own))
      jobs[i] = ironic:start_run(names, { dir = own, text = ironic:script(dir, {
        driver = [[local claim = driver.claim
          function driver.claim(...) pause "claim" claim(...) end]],
        step = [[pause "done"]] }) })
    end
    for i = 1, 2 do jobs[i]:wait_log("at claim", 3) end -- both have seen that all are free
    T.write(dir .. "/claim", "")
    S.wait_for("all are decided", function()
      local _, installed = (jobs[1]:stderr() .. jobs[2]:stderr()):gsub('"at done"', "")
      local _, lost = (jobs[1]:stderr() .. jobs[2]:stderr()):gsub('"Benchmark error: ServerStateError', "")
      return installed == 3 and lost == 3
    end)
    local owners = {}
    for _, name in ipairs(names) do owners[name] = ironic:nodes()[name].instance_info.muster_run end
    T.write(dir .. "/done", "")
    local results = { I.ended(jobs[1]), I.ended(jobs[2]) }
    for _, name in ipairs(names) do
      for _, result in ipairs(results) do
        local won = owners[name] == result.results.run.id
        assert.equals(won and "passed" or "error", result.servers[name].status)
        if not won then has(select(2, I.failure_of(result, name)), "it is claimed by someone else: " .. owners[name]) end
      end
      assert_clean(ironic:nodes()[name])
      local patches = "^PATCH /v1/nodes/" .. name .. " "
      assert.equals(1, #ironic:requests(patches .. "200"))
      assert.is_true(#ironic:requests(patches .. "409") >= 1) -- more, when it was also locked by the other's
    end
  end)

  it("waits while a node is locked", function()
    ironic:enroll "locked01"
    -- As another conductor locks it that is at work on the node, until this spec says otherwise.
    local function lock(holder)
      assert(T.exec { "/usr/bin/python3", "-c", [[
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60)
with db: db.execute("UPDATE nodes SET reservation = ? WHERE name = 'locked01'", (sys.argv[2] or None,))
]], ironic.dir .. "/state/ironic.sqlite", holder }.code == 0)
    end
    local job = ironic:start_run({ "locked01" }, {
      driver = [[local install = driver.install
        function driver.install(...) pause "install" install(...) end]],
      setup = [[pause "claim"]],
      step = [[pause "destroy" do return 7 end]],
      more = [[mark = function(server, verdict) pause "mark" return p:mark_as_broken(server, verdict.reason) end,]] })
    local locked = "is locked by host elsewhere"
    for _, moment in ipairs { "claim", "install", "destroy", "mark" } do
      job:wait_log("at " .. moment)
      lock "elsewhere"
      local _, times = job:stderr():gsub(locked, "")
      T.write(job.dir .. "/" .. moment, "")
      job:wait_log(locked, times + 1)
      lock ""
    end
    local result = I.ended(job)
    assert.same({ 1, { "locked01" } }, { result.code, result.results.marked_servers }, result.stderr)
    local node = ironic:nodes().locked01
    assert_clean(node)
    assert.matches(MARK .. "s%.score 7 < 50; run ", node.maintenance_reason)
    for _, call in ipairs { "PATCH /v1/nodes/locked01", "PUT /v1/nodes/locked01/states/provision",
      "PUT /v1/nodes/locked01/maintenance" } do
      assert.is_truthy(#ironic:requests("^" .. call .. " 409$") >= 1, call)
    end
  end)

  it("says of a request that Ironic refuses what Ironic says, and marks nobody", function()
    ironic:enroll("late01", "moved01", "image01", "version01")
    local result = ironic:run({ "late01", "moved01", "image01" }, {
      config = [[config.images = { broken = { image_source = "no-scheme", root_gb = 20 } }]],
      -- Others get in between, at the last moment.
      driver = [[local install = driver.install
        function driver.install(node, ...)
          local api = muster.http.client { base_url = config.url, headers = { ["X-OpenStack-Ironic-API-Version"] = "1.80" } }
          if node.id == "late01" then api:put("/v1/nodes/late01/maintenance", { json = { reason = "anna" } }) end
          if node.id == "moved01" then
            api:put("/v1/nodes/moved01/states/provision", { json = { target = "manage" } })
            while api:get("/v1/nodes/moved01"):json().provision_state ~= "manageable" do muster.sleep(0.05) end
          end
          install(node, ...)
        end]],
      more = [[setup = function(server) p:install(server, server.id == "image01" and "broken" or "debian-12") end,]] })
    local nodes = ironic:nodes()
    local kind, message = I.failure_of(result, "late01") -- 400
    assert.equals("ServerStateError", kind)
    has(message, "ironic: late01: the install was refused: it is marked as broken: anna: HTTP 400: The provisioning operation " ..
      "can't be performed on node " .. nodes.late01.uuid .. " because it's in maintenance mode")
    assert_clean(nodes.late01)
    assert.equals("anna", nodes.late01.maintenance_reason)

    kind, message = I.failure_of(result, "moved01") -- 400; what someone else is at is not destroyed by force
    assert.equals("ServerStateError", kind)
    has(message, "the install was refused: it is not in its clean state: manageable (other): HTTP 400: The requested action ")
    has(select(2, I.failure_of(result, "moved01", "teardown")), "ironic: moved01: it cannot be destroyed as it is: manageable (other): " ..
      'HTTP 400: The requested action "deleted" can not be performed on node')
    assert.same({ "manageable", false }, { nodes.moved01.provision_state, nodes.moved01.maintenance })
    assert.is_true(result.servers.moved01.left_behind)

    kind, message = I.failure_of(result, "image01") -- 500
    assert.equals("ProvisionerError", kind)
    assert.equals("ironic: install of image01: HTTP 500: Validation of image href no-scheme failed, reason: Scheme-less " ..
      "image href is not a UUID.", message)
    assert.equals(3, #ironic:requests "^PUT /v1/nodes/image01/states/provision 500")
    assert_clean(nodes.image01)
    assert.is_false(nodes.image01.maintenance)

    assert.same({ 4, {}, { "late01", "moved01", "image01" } },
      { result.code, result.results.marked_servers, result.results.unmeasured_servers })
    ironic:provision("moved01", "provide", "available")
    local done = cleanup(result.dir)
    assert.equals(0, done.code, done.stdout .. done.stderr)
    assert_clean(ironic:nodes().moved01)

    for _, version in ipairs { "1.999", "9.1" } do -- 406
      result = ironic:run({ "version01" }, { config = ("config.microversion = %q"):format(version) })
      kind, message = I.failure_of(result, "version01")
      assert.equals("ProvisionerError", kind)
      has(message, "ironic: state of version01: HTTP 406: ")
      has(message, "ersion " .. version .. " ")
      assert.matches("The supported version range is: %[1%.1, 1%.%d+%]%. Set microversion in the provisioner's configuration%.$", message)
      assert.same({ 3, "error" }, { result.code, result.servers.version01.status })
    end
    assert.same({ "GET /v1/nodes/version01 406", "GET /v1/nodes/version01 406" }, ironic:requests " /v1/nodes/version01 ")
  end)

  it("marks what is too slow, keeps marks of others, and takes only its own off", function()
    ironic:enroll("slow", "taken", "spare")
    local result = ironic:run({ "slow", "taken", "spare" }, {
      -- Anna marks one while it is measured.
      step = [[if server.id == "taken" then
          muster.http.request { method = "PUT", url = config.url .. "/v1/nodes/taken/maintenance",
            headers = { ["X-OpenStack-Ironic-API-Version"] = "1.80" }, json = { reason = "anna: fan 2 is loud" } }
        end
        if server.id ~= "spare" then return 7 end]] })
    assert.same({ 1, { "slow" }, { "taken" } },
      { result.code, result.results.marked_servers, result.results.kept_servers }, result.stderr)
    has(result.servers.taken.mark.note, "kept: already in maintenance: anna: fan 2 is loud")
    has(result.stdout, "Mark kept: 1 server was marked by someone else. kept_servers=[taken]")
    local nodes = ironic:nodes()
    for _, name in ipairs { "slow", "taken", "spare" } do assert_clean(nodes[name]) end -- also the one in maintenance
    assert.matches(MARK .. "s%.score 7 < 50; run " .. result.results.run.id:gsub("%-", "%%-") .. ", owner %S+@%S+, ",
      nodes.slow.maintenance_reason)
    assert.equals("anna: fan 2 is loud", nodes.taken.maintenance_reason)
    assert.is_false(nodes.spare.maintenance)

    -- A mark says no to the next install.
    local again = ironic:run { "slow" }
    has(select(2, I.failure_of(again, "slow")), "it is marked as broken: [muster] muster: s.score 7 < 50")
    assert.same(nodes.slow, ironic:nodes().slow)

    -- Without an install. The same run marks once, whatever it is asked.
    local calls = "^%u+ /v1/nodes/(%l+)/maintenance 202"
    local made = #ironic:requests(calls)
    result = ironic:run({ "slow", "taken", "spare" }, { more = "setup = function() end,", step = [[
      muster.log.info("> " .. tostring(p:unmark(server)))
      muster.log.info(">> " .. tostring(p:mark_as_broken(server, "why\nso; run " .. muster.run.id)))
      muster.log.info(">>> " .. tostring(p:mark_as_broken(server, "other words")))]] })
    local kept = "kept: already in maintenance: anna: fan 2 is loud"
    local SAID = { slow = { "> nil", ">> nil", ">>> nil" }, spare = { "> nil", ">> nil", ">>> nil" },
      taken = { "> kept: not marked by muster: anna: fan 2 is loud", ">> " .. kept, ">>> " .. kept } }
    local said = {}
    for _, line in ipairs(result.log) do
      if line.event:find "^>+ " then
        said[line.server_id] = said[line.server_id] or {}
        table.insert(said[line.server_id], line.event)
      end
    end
    assert.same(SAID, said)
    nodes = ironic:nodes()
    assert.equals("anna: fan 2 is loud", nodes.taken.maintenance_reason)
    for _, name in ipairs { "slow", "spare" } do
      assert.equals("[muster] why so; run " .. result.results.run.id, nodes[name].maintenance_reason)
    end
    assert.equals(3, #ironic:requests(calls) - made) -- slow off and on, spare on
  end)

  it("changes nothing in a dry run, and says each call that it would make", function()
    ironic:enroll("dry01", "dry02")
    ironic:maintain("dry02", "anna")
    local before, changes = ironic:nodes(), "^[^G]%u+ /"
    local made = #ironic:requests(changes)
    local result = ironic:run({ "dry01", "dry02", "--dry-run" }, { config = [[config.instance_info = { flavor = "m1" }]] })
    assert.equals(3, result.code, result.stderr) -- dry02 could not be installed
    assert.same(before, ironic:nodes())
    assert.equals(made, #ironic:requests(changes))
    local would = {}
    for _, line in ipairs(result.log) do
      local method, url, body = line.event:match "^Would send (%u+) (%S+) (.*)$"
      if method then would[#would + 1] = { line.server_id, method, url, cjson.decode(body) } end
    end
    local node = ironic.url .. "/v1/nodes/dry01"
    local patched = {}
    for _, change in ipairs(would[1][4]) do patched[change.path] = change.op .. " " .. change.value end
    assert.matches("^add %x+%-%x+%-4", patched["/instance_uuid"])
    local run = result.results.run.id
    assert.same({ ["/instance_uuid"] = patched["/instance_uuid"], ["/instance_info/os"] = "add debian-12",
      ["/instance_info/muster_run"] = "add " .. run, ["/instance_info/muster_server"] = "add dry01",
      ["/instance_info/flavor"] = "add m1" }, patched)
    assert.same({ "dry01", "PATCH", node }, { table.unpack(would[1], 1, 3) })
    assert.same({ "dry01", "PUT", node .. "/states/provision", { target = "active" } }, would[2])
    assert.same({ "dry01", "PUT", node .. "/states/provision", { target = "deleted" } }, would[3])
    assert.same({ "dry01", "PUT", node .. "/maintenance" }, { table.unpack(would[4], 1, 3) })
    assert.matches(MARK, would[4][4].reason)
    assert.equals(4, #would)
    has(select(2, I.failure_of(result, "dry02")), "it is marked as broken: anna")
  end)
end)
