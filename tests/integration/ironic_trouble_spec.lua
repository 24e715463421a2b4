-- A real Ironic in trouble: not there yet, killed in the middle of its work, slow, interrupted, or asking for a password.
local I = require "ironic_support"
local T = require "muster_test"

local function has(text, words) assert.is_truthy(text:find(words, 1, true), words .. "\nis not in\n" .. text) end

local function assert_clean(node)
  assert.same({ "available", {}, nil, false }, { node.provision_state, node.instance_info, node.instance_uuid,
    node.maintenance }, node.name)
end

-- Names of the nodes that are in this provision state now.
local function nodes_in(ironic, state)
  local names = {}
  for name, node in pairs(ironic:nodes()) do
    if node.provision_state == state then names[#names + 1] = name end
  end
  table.sort(names)
  return #names > 0 and names
end

describe("an Ironic that asks for a password", function()
  local PASSWORD = "not-to-be-seen-4711"
  local AUTH = [[config.auth = { user = "muster", password = muster.secret { env = "IRONIC_PASSWORD" } }]]
  local ironic

  setup(function()
    ironic = I.start("--user", "muster:" .. PASSWORD)
    ironic:enroll("auth01", "auth02")
  end)
  teardown(function() ironic:kill() end)

  -- Nothing that was written down holds it, in whatever form it is sent.
  local function assert_secret(result)
    local encoded = T.exec { "base64", stdin = "muster:" .. PASSWORD }.stdout:gsub("%s", "")
    for _, word in ipairs { PASSWORD, encoded, encoded:sub(1, -4) } do
      local found = T.exec { "grep", "-rlF", "-e", word, result.dir, T.home() }
      assert.same({ 1, "" }, { found.code, found.stdout })
    end
  end

  it("and does not run yet is waited for; the password is in no log", function()
    ironic:stop()
    local job = ironic:start_run({ "auth01" }, { config = AUTH, env = { IRONIC_PASSWORD = PASSWORD } })
    job:wait_log "trying again"
    ironic:start("--user", "muster:" .. PASSWORD)
    local result = I.ended(job)
    assert.equals(0, result.code, result.stderr)
    has(result.stderr, "onnection refused")
    has(result.stderr, "/v1/nodes/auth01") -- each request is in the log
    assert_clean(ironic:nodes().auth01)
    assert.equals(3, #ironic:requests "^P%u+ /v1/nodes/auth01.* 20[02]$")
    assert_secret(result)
    result = ironic:run({ "auth01", "auth02", "--dry-run" }, { config = AUTH, env = { IRONIC_PASSWORD = PASSWORD } })
    assert.equals(0, result.code, result.stderr)
    assert_secret(result)
  end)

  it("and gets a wrong one, or none, is to blame itself", function()
    for _, case in ipairs { { AUTH, PASSWORD .. "x" }, { "", "" } } do
      local asked = #ironic:requests "^GET /v1/nodes/auth0%d 401$"
      local result = ironic:run({ "auth01", "auth02" }, { config = case[1], env = { IRONIC_PASSWORD = case[2] } })
      for _, name in ipairs { "auth01", "auth02" } do
        local kind, message = I.failure_of(result, name)
        assert.equals("ProvisionerError", kind)
        assert.matches("^ironic: state of " .. name .. ": HTTP 401: ", message)
        assert.same({ "error", false }, { result.servers[name].status, result.servers[name].left_behind })
      end
      assert.equals(3, result.code)
      assert.equals(2, #ironic:requests "^GET /v1/nodes/auth0%d 401$" - asked) -- once each: that will not change
      has(result.stdout, "ironic: HTTP 401")
      assert_secret(result)
    end
    for _, node in pairs(ironic:nodes()) do assert_clean(node) end
  end)
end)

describe("an Ironic", function()
  local ironic
  -- Deploys and undeploys take some seconds; cleaning, of nodes that are cleaned, too.
  local SLOW = { "fake.deploy_delay=1", "conductor.clean_step_priority_override=bios.factory_reset:10",
    "fake.bios_delay=2" }
  -- They take from nothing to some seconds. Whoever is deployed by the agent waits for its call, which never comes.
  local UNEVEN = { "fake.deploy_delay=0,1", "service_catalog.endpoint_override=http://127.0.0.1:9" }

  setup(function() ironic = I.start(table.unpack(SLOW)) end)

  it("that is killed in the middle of its work is asked again; that is no server's fault", function()
    local names = { "kill01", "kill02", "kill03", "cleaned01" }
    ironic:enroll(table.unpack(names))
    ironic:patch("cleaned01", "/automated_clean", true)
    local job = ironic:start_run(names, { step = [[pause "installed"]] })
    -- Kill it while nodes are in this state; returns their names.
    local function kill_while(state, name)
      local found = I.wait_for("a node that is " .. state, function()
        local found = nodes_in(ironic, state)
        return found and (not name or table.concat(found, " "):find(name, 1, true)) and found
      end)
      ironic:kill()
      ironic:start(table.unpack(SLOW))
      return found
    end
    local deploying = kill_while "deploying"
    job:wait_log("at installed", 4)
    for _, name in ipairs(deploying) do
      assert.equals(1, #ironic:requests("^PUT /v1/nodes/" .. name .. "/states/provision 202")) -- again
    end
    T.write(job.dir .. "/installed", "")
    local deleting = kill_while "deleting"
    kill_while("cleaning", "cleaned01")
    local result = I.ended(job)
    assert.is_true(#deleting > 0)
    for _, name in ipairs { "kill01", "kill02", "kill03" } do
      assert.equals("passed", result.servers[name].status)
      assert_clean(ironic:nodes()[name])
    end
    -- What is `clean failed` is only let go by an operator.
    local kind, message = I.failure_of(result, "cleaned01")
    assert.equals("ProvisionerError", kind)
    assert.matches("^ironic: cleaned01: destroy failed: clean failed: The cleaning state can't be resumed by conductor " ..
      "localhost%. Moving to fail state%. HTTP 400: ", message)
    assert.same({ 4, "error", true, {} }, { result.code, result.servers.cleaned01.status,
      result.servers.cleaned01.left_behind, result.results.marked_servers })
    assert.is_false(ironic:nodes().cleaned01.maintenance)
    ironic:patch("cleaned01", "/automated_clean", false)
    ironic:provision("cleaned01", "manage", "manageable")
    ironic:provision("cleaned01", "provide", "available")
    local cleaned = T.run { "cleanup", "--state-dir", job.dir .. "/state" }
    assert.equals(0, cleaned.code, cleaned.stdout .. cleaned.stderr)
    assert_clean(ironic:nodes().cleaned01)
  end)

  it("never has more in flight than max_in_flight", function()
    ironic:stop()
    ironic:start(table.unpack(UNEVEN))
    ironic:enroll("--count", "12", "many")
    local servers = { "-j", "12" }
    for i = 1, 12 do servers[#servers + 1] = ("many%02d"):format(i) end
    local job = ironic:start_run(servers, { config = "config.max_in_flight = 3" })
    local most = 0
    I.wait_for(function() return "the end of the run:\n" .. job:stderr() end, function()
      local states = ironic:states()
      most = math.max(most, (states.deploying or 0) + (states.deleting or 0))
      local _, ended = job:stderr():gsub('"Server finished: ', "")
      return ended == 12
    end)
    local result = I.ended(job)
    assert.equals(0, result.code, result.stderr)
    assert.equals(3, most)
    for name, node in pairs(ironic:nodes()) do
      if name:find "^many" then assert_clean(node) end
    end
  end)

  it("is given back what it installs, whatever ends the install", function()
    local names = { "call01", "call02", "busy01" }
    ironic:enroll(table.unpack(names))
    for _, name in ipairs { "call01", "call02" } do ironic:patch(name, "/deploy_interface", "custom-agent") end
    -- An install that does not end.
    local result = ironic:run({ "call01", "call02" }, { config = "config.install_timeout = 1" })
    for _, name in ipairs { "call01", "call02" } do
      local kind, message = I.failure_of(result, name)
      assert.equals("TimeoutError", kind)
      has(message, ("ironic: %s: install was not finished within 1 s: "):format(name))
      assert.same({ "timeout", false }, { result.servers[name].status, result.servers[name].left_behind })
      assert_clean(ironic:nodes()[name])
    end
    assert.equals(3, result.code)
    -- An interrupt.
    local job = ironic:start_run({ "call01", "call02", "busy01", "--grace", "60s" }, { step = [[pause "installed"]] })
    I.wait_for("the agent's call is waited for", function() return ironic:states()["wait call-back"] == 2 end)
    job:wait_log "at installed"
    job:signal "TERM"
    result = I.ended(job)
    assert.equals(143, result.code)
    -- SIGKILL, and cleanup.
    job = ironic:start_run(names, { step = [[pause "installed"]] })
    I.wait_for("the agent's call is waited for", function() return ironic:states()["wait call-back"] == 2 end)
    for _, name in ipairs { "call01", "call02" } do assert.is_truthy(ironic:nodes()[name].instance_uuid) end
    job:signal "KILL"
    assert.equals(9, job:wait().signal)
    local cleaned = T.run { "cleanup", "--state-dir", job.dir .. "/state" }
    assert.equals(0, cleaned.code, cleaned.stdout .. cleaned.stderr)
    for _, name in ipairs(names) do assert_clean(ironic:nodes()[name]) end
  end)
end)
