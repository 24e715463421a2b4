-- The whole job when it is cut short: signals, SIGKILL and `muster cleanup`, an Ironic that crashes, two runs at once. However
-- it ends, nothing stays installed that is not named, and nobody is marked for it. Real Ironic, real sshd.
local B = require "burnin_support"
local I = require "ironic_support"
local S = require "ssh_support"
local T = require "muster_test"

local SERVERS = 8
-- Each operation takes up to a second, several times over: something is always under way.
local SLOWLY = "fake.deploy_delay=0,1"

describe("burn-in", function()
  local fleet, ironic, state

  setup(function()
    fleet = T.fleet_start(SERVERS)
    B.answer_at_once(fleet, fleet.ids, {})
    ironic = I.start(SLOWLY)
  end)

  -- The last node is someone else's.
  before_each(function()
    state = T.tmpdir() .. "/state"
    ironic:clear()
    ironic:enroll("--count", SERVERS)
    assert.equal(202, (ironic:call("PUT", "nodes/srv08/states/provision", { target = "active" })))
    I.wait_for("srv08 to be active", function() return ironic:nodes().srv08.provision_state == "active" end)
  end)

  local function start(...)
    return B.start(fleet, ironic, { args = { "--state-dir", state, ... } })
  end

  local function cleanup(...)
    return T.run { "cleanup", "--state-dir", state, "--log-format", "json", ... }
  end

  -- Everything of ours is gone, the other's is there, and nobody is marked.
  local function assert_clean(...)
    local free = {}
    for i = 1, SERVERS - 1 do free[i] = ("srv%02d"):format(i) end
    local states, broken = B.seen_by(ironic)
    assert.same({ available = free, active = { "srv08" } }, states, ...)
    assert.same({}, broken, ...)
    for name, node in pairs(ironic:nodes()) do
      assert.is_nil(node.instance_uuid, name)
      assert.is_nil((node.instance_info or {}).muster_run, name)
    end
  end

  -- A step that lasts: what is installed stays so until the run is cut short.
  local function make_lasting(ids)
    for _, id in ipairs(ids) do
      local path = ("%s/%s/home/bin/mbw"):format(fleet.dir, id)
      T.write(path, "#!/bin/sh\nexec sleep 600\n")
    end
  end
  local function make_quick(ids) B.answer_at_once(fleet, ids, {}) end

  it("that is ended by SIGTERM destroys what it installed", function()
    make_lasting { "srv01", "srv02", "srv03" }
    local job = start("-j", "6", "--grace", "100s", "--teardown-timeout", "90s")
    -- Three measure, others install, are installed, or are destroyed at this moment; some were never begun.
    job:wait_log("memory.throughput is", 0)
    job:wait_log('"Installed."', 5)
    job:signal "TERM"
    local result = job:wait()
    make_quick { "srv01", "srv02", "srv03" }
    assert.equal(143, result.code, result.stderr)
    assert_clean(result.stdout)
    assert.same({}, result.results.left_behind_servers)
    assert.equal(0, cleanup("--list").code)
  end)

  it("that is ended at once names what it left behind, and cleanup destroys it", function()
    make_lasting(fleet.ids)
    local job = start("-j", "6")
    job:wait_log('"Installed."', 6)
    job:signal "TERM"
    job:wait_log "Interrupted: "
    job:signal "TERM"
    local result = job:wait()
    make_quick(fleet.ids)
    assert.equal(143, result.code, result.stderr)
    local named = {}
    for _, id in ipairs(result.results.left_behind_servers) do named[id] = true end
    for name, node in pairs(ironic:nodes()) do
      if name ~= "srv08" and node.provision_state ~= "available" then
        assert.is_true(named[name], name .. " is " .. node.provision_state .. " and not named:\n" .. result.stdout)
      end
    end
    assert.matches("\nLEFT BEHIND ", result.stdout, 1, true)
    local done = cleanup()
    assert.equal(0, done.code, done.stdout .. done.stderr)
    assert_clean(done.stdout)
  end)

  it("that is killed leaves nothing that cleanup does not find and destroy", function()
    for round, moment in ipairs { { '"PATCH ', 3 }, { '"Installing."', 6 }, { '"Installed."', 4 }, { '"Destroyed."', 3 } } do
      local job = start("-j", "6", "--log-level", "debug")
      job:wait_log(table.unpack(moment))
      job:signal "KILL"
      assert.equal(9, job:wait().signal)
      -- What Ironic still does at this moment it may end by itself.
      local listed = cleanup("--list")
      for name, node in pairs(ironic:nodes()) do
        if name ~= "srv08" and (node.instance_info or {}).muster_run then
          assert.matches("\n  " .. name .. " ", listed.stdout, 1, true, "round " .. round)
        end
      end
      local done = cleanup()
      assert.equal(0, done.code, done.stdout .. done.stderr)
      assert_clean("round " .. round .. "\n" .. done.stdout)
    end
    assert.equal(0, cleanup("--list").code)
  end)

  local function lead(id, target, to)
    assert.equal(202, (ironic:call("PUT", "nodes/" .. id .. "/states/provision", { target = target })))
    I.wait_for(id .. " to be " .. to, function() return ironic:nodes()[id].provision_state == to end)
  end

  it("waits for an Ironic that crashed and came back, and blames nobody", function()
    for _, moment in ipairs { { '"Installing."', 4 }, { '"Destroying the installation."', 3 } } do
      local job = start("-j", "6", "--max-broken", "8", "!srv08")
      job:wait_log(table.unpack(moment))
      ironic:kill()
      ironic:start(SLOWLY)
      local result = job:wait()
      assert.same({}, result.results.failed_servers, result.stdout)
      -- Of a crash while it cleaned a node Ironic itself makes `clean failed`, which only an operator leads out of: this is
      -- named, and blamed on nobody.
      local states, broken = B.seen_by(ironic)
      local stuck = states["clean failed"] or {}
      assert.same({}, broken)
      assert.same(stuck, result.results.left_behind_servers, result.stdout)
      assert.equal(SERVERS - 1 - #stuck, result.results.counts.passed, result.stdout)
      assert.equal(#stuck > 0 and 4 or 0, result.code)
      for _, id in ipairs(stuck) do
        lead(id, "manage", "manageable")
        lead(id, "provide", "available")
      end
      local done = cleanup()
      assert.equal(0, done.code, done.stdout .. done.stderr)
      assert_clean(result.stdout)
    end
  end)

  it("by two at once never shares a server, and both say so", function()
    -- Whoever runs the benchmark while another does leaves a note.
    for _, id in ipairs(fleet.ids) do
      T.write(("%s/%s/home/bin/mbw"):format(fleet.dir, id), ("#!/bin/sh\nmkdir busy || echo %s >>%s/shared\n" ..
        "sleep 0.3\nrmdir busy\nexec cat %s/answer-mbw\n"):format(id, fleet.dir, fleet.dir))
    end
    T.write(fleet.dir .. "/shared", "")
    assert(os.execute("chmod 666 " .. fleet.dir .. "/shared"))
    local first, second = start("-j", "8", "--max-broken", "8"), start("-j", "8", "--max-broken", "8")
    first, second = first:wait(), second:wait()
    make_quick(fleet.ids)
    assert.equal("", T.read(fleet.dir .. "/shared"))
    assert_clean(first.stdout .. second.stdout)
    first.servers, second.servers = S.by_id(first.results), S.by_id(second.results)
    for _, id in ipairs(fleet.ids) do
      local statuses = { first.servers[id].status, second.servers[id].status }
      if id == "srv08" then
        assert.same({ "error", "error" }, statuses)
      else
        assert.is_true(statuses[1] == "passed" or statuses[2] == "passed", id .. ": " .. table.concat(statuses, ", "))
        for i, status in ipairs(statuses) do
          if status ~= "passed" then
            assert.equal("error", status, id)
            assert.equal("ServerStateError", S.failures((i == 1 and first or second).servers[id])[1].type)
          end
        end
      end
    end
  end)
end)
