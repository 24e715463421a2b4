-- The library of provisioners, against an HTTP service that misbehaves as it is told: what is touched, what is not, what
-- is said of it, and what is marked. (What a driver may be: provisioner_drivers_spec.lua.)
local S = require "ssh_support"
local T = require "muster_test"
local P = require "provisioner_support"
local start, stop, script, run, failure_of, cleanup = P.start, P.stop, P.script, P.run, P.failure_of, P.cleanup
local CLAIMS = P.CLAIMS

describe("a provisioner", function()
  after_each(stop)

  it("installs, destroys, and leaves a clean server that is nobody's", function()
    for _, config in ipairs { "", CLAIMS } do
      local result = run({ a = {}, b = { trouble = { polls = 5 } } }, { config = config,
        step = [[local s = p:state(server)
          assert(s.state == "installed" and s.detail == "ready" and s.tag == muster.run.id and not s.broken)
          return 51]] })
      assert.equals(0, result.code, result.stderr)
      for name, machine in pairs(P.house:machines()) do
        assert.same({ "free", "", "" }, { machine.status, machine.owner, machine.fault }, name)
        assert.equals(1, #P.house:requests("^POST /servers/" .. name .. "/install 200 %d+T%d+Z%-%x+/" .. name .. "$"))
        assert.equals(1, #P.house:requests("^DELETE /servers/" .. name .. "/install 200"))
      end
      stop()
    end
  end)

  it("touches nothing that is not clean, is someone's, is marked, or is unknown", function()
    local machines = { free = {}, busy = { status = "wiping", trouble = { polls = 1000 } },
      used = { status = "ready", owner = "anna" }, nobodys = { status = "ready" }, odd = { status = "on fire" },
      claimed = { owner = "ben" }, broken = { fault = "disk replaced by anna" },
      ours = { owner = "20250101T000000Z-abcdef/ours" } }
    start(machines)
    machines.unknown = {}
    local result = run(machines, { args = {}, more = [[mark_broken_on = { "failed", "error", "timeout" },]] })
    local expected = { busy = "not in its clean state: wiping (busy)", used = "claimed by someone else: anna",
      nobodys = "not in its clean state: ready (installed)", odd = "not in its clean state: on fire (other)",
      claimed = "claimed by someone else: ben", broken = "marked as broken: disk replaced by anna",
      ours = "claimed by someone else: 20250101T000000Z-abcdef/ours", unknown = "the provisioner does not know it" }
    for name, words in pairs(expected) do
      local kind, message = failure_of(result, name)
      assert.equals("ServerStateError", kind, name)
      assert.is_truthy(message:find(words, 1, true), message)
      assert.equals("error", result.servers[name].status)
      assert.is_false(result.servers[name].left_behind or false)
    end
    assert.equals("passed", result.servers.free.status)
    -- Nothing but questions: also no mark on what is someone's. A clean one that is nobody's may be marked.
    for _, request in ipairs(P.house:requests "^[PD]") do assert.matches(" /servers/free/", request) end
    assert.equals("disk replaced by anna", P.house:machines().broken.fault)
  end)

  it("loses a race without harm", function()
    for _, config in ipairs { "", CLAIMS } do
      local result = run({ a = { trouble = { race = true } } }, { config = config })
      local kind, message = failure_of(result, "a")
      assert.equals("ServerStateError", kind)
      assert.is_truthy(message:find("claimed by", 1, true) and message:find("anna", 1, true), message)
      local machine = P.house:machines().a
      assert.same({ "free", "anna" }, { machine.status, machine.owner })
      assert.equals(0, #P.house:requests "^DELETE")
      assert.equals(3, result.code) -- nothing left behind, nobody marked
      stop()
    end
  end)

  it("gives one server to one of two runs", function()
    start { a = { trouble = { polls = 10 } } }
    local jobs = {}
    for i = 1, 2 do
      jobs[i] = S.start(script { config = CLAIMS, more = "setup_timeout = '60s'," },
        { args = { "--local", "--state-dir", T.tmpdir(), "a" } })
    end
    local codes = {}
    for i = 1, 2 do codes[i] = jobs[i]:wait().code end
    table.sort(codes)
    assert.same({ 0, 3 }, codes)
    assert.equals(1, #P.house:requests "^POST")
    assert.equals("free", P.house:machines().a.status)
  end)

  it("tells a failed install, and destroys it", function()
    local result = run { a = { trouble = { install = "fail" } }, b = { trouble = { install = "back" } } }
    local kind, message = failure_of(result, "a")
    assert.equals("ServerOperationError", kind)
    assert.equals("house: a: install failed: stuck: no link on port 1", message)
    kind, message = failure_of(result, "b")
    assert.equals("ServerOperationError", kind)
    assert.equals("house: b: install failed: it went back to free (clean)", message)
    assert.equals(1, #P.house:requests "^DELETE /servers/a/install 200")
    for name, machine in pairs(P.house:machines()) do
      assert.equals("free", machine.status)
      assert.matches("^%[muster%] muster: setup: ServerOperationError: install failed", machine.fault, name)
    end
  end)

  it("tells a failed destroy, leaves the claim in the journal, and tries again in cleanup", function()
    local state = T.tmpdir()
    local result = run({ a = { trouble = { destroy = "fail" } }, b = { trouble = { destroy = "refuse" } } },
      { state = state })
    local kind, message = failure_of(result, "a")
    assert.equals("ServerOperationError", kind)
    assert.equals("house: a: destroy failed: stuck: disk 2 cannot be wiped", message)
    kind, message = failure_of(result, "b")
    assert.equals("ServerOperationError", kind)
    assert.equals("house: b: destroy failed: ready: HTTP 422: the BMC does not answer", message)
    assert.equals(4, result.code)
    assert.is_true(result.servers.a.left_behind)
    assert.matches("^%[muster%] ", P.house:machines().a.fault)
    -- Someone mends them. The same service on the same port, with what it knew.
    local now = P.house:machines()
    P.house:stop()
    T.write(P.house.dir .. "/machines.json", require "cjson".encode(now))
    P.house:open()
    local cleaned = cleanup(state)
    assert.equals(0, cleaned.code, cleaned.stdout .. cleaned.stderr)
    for _, machine in pairs(P.house:machines()) do
      assert.same({ "free", "" }, { machine.status, machine.owner })
      assert.matches("^%[muster%] ", machine.fault) -- the mark stays
    end
  end)

  it("is not misled by answers that get lost, by locks and by hiccups", function()
    local machines = { cut = { trouble = { install = "cut", destroy = "cut" } },
      locked = { trouble = { locked = 3 } }, hiccups = { trouble = { hiccups = 2 } },
      late = { trouble = { install = "late" } } }
    local result = run(machines, { more = "timeout = '100s'," })
    assert.equals(0, result.code, result.stderr)
    for name, machine in pairs(P.house:machines()) do assert.same({ "free", "" }, { machine.status, machine.owner }, name) end
    assert.equals(1, #P.house:requests "^POST /servers/cut/install")
    assert.equals(1, #P.house:requests "^DELETE /servers/cut/install")
  end)

  it("gives back a claim that was taken only after whoever asked for it had been cancelled", function()
    local result = run({ a = { trouble = { claim = "slow" } } }, { config = CLAIMS, more = "setup_timeout = '300ms'," })
    assert.same({ 3, "timeout" }, { result.code, result.servers.a.status })
    assert.is_false(result.servers.a.left_behind)
    assert.equals(1, #P.house:requests "^DELETE /servers/a/owner 200")
    assert.same({ "free", "" }, { P.house:machines().a.status, P.house:machines().a.owner })
  end)

  it("rides out an API that is down for a while", function()
    start { a = { trouble = { polls = 3 } } }
    local job = S.start(script { more = "timeout = '100s'," }, { args = { "--local", "--state-dir", T.tmpdir(),
      "--log-level", "debug", "a" } })
    job:wait_log "Installing."
    P.house:set_down(true)
    job:wait_log "trying again"
    P.house:stop() -- refused connections, too
    job:wait_log("trying again", 3)
    T.write(P.house.dir .. "/machines.json", require "cjson".encode(P.house:machines()))
    P.house:open():set_down(false)
    local result = job:wait()
    assert.equals(0, result.code, result.stderr)
    assert.equals("free", P.house:machines().a.status)
  end)

  it("says of an API that refuses or cannot be asked that it is the API", function()
    local machines = {
      denied = { trouble = { answer = { GET = 401 } } }, broken = { trouble = { answer = { GET = 500 } } },
      refused = { trouble = { install = "refuse" } }, forbidden = { trouble = { answer = { POST = 403 } } } }
    local result = run(machines)
    assert.equals(3, result.code)
    local expected = { denied = "HTTP 401: so it was arranged", broken = "HTTP 500: so it was arranged",
      refused = "install of refused: HTTP 400: no such operating system: debian-12",
      forbidden = "install of forbidden: HTTP 403: so it was arranged" }
    for name, words in pairs(expected) do
      local kind, message = failure_of(result, name)
      assert.equals("ProvisionerError", kind, name)
      assert.is_truthy(message:find(words, 1, true), message)
      assert.equals("", P.house:machines()[name].fault)
    end
    -- A hiccup is tried again; what the API says each time is not, for ever.
    assert.equals(3, #P.house:requests "^GET /servers/broken 500")
    assert.equals(1, #P.house:requests "^GET /servers/denied 401")
  end)

  it("gives up on what does not end, and then says timeout", function()
    local state = T.tmpdir()
    local result = run({ a = { trouble = { polls = 100000 } } }, { state = state,
      config = "config.install_timeout, config.destroy_timeout = 1, 1" })
    local kind, message = failure_of(result, "a")
    assert.equals("TimeoutError", kind)
    -- A machine that is slow may take the second for the first question alone.
    assert.matches("^house: a: install was not finished within 1 s: ", message)
    assert.equals("timeout", result.servers.a.status)
    assert.equals(4, result.code) -- left behind
    assert.equals("", P.house:machines().a.fault)
    assert.equals(0, #P.house:requests "^DELETE")
  end)

  it("leaves alone what someone else has taken over", function()
    local result = run { a = { trouble = { install = "take" } } }
    local kind, message = failure_of(result, "a")
    assert.equals("ServerStateError", kind)
    assert.equals("house: a: it is no longer ours: it is claimed by anna", message)
    assert.same({ "ready", "anna", "" },
      { P.house:machines().a.status, P.house:machines().a.owner, P.house:machines().a.fault })
    assert.equals(0, #P.house:requests "^DELETE")
    assert.is_false(result.servers.a.left_behind or false)
  end)

  it("looks at the tag just before it destroys", function()
    start { a = {} }
    local job = S.start(script { step = [[while not io.open(server.vars.flag) do muster.sleep(0.05) end return 51]] },
      { args = { "--local", "--state-dir", T.tmpdir(), "-i", S.inventory(T.tmpdir(),
        { { id = "a", vars = { flag = P.house.dir .. "/flag" } } }) } })
    job:wait_log "Installed."
    -- Anna takes it over while it is benchmarked.
    local curl = T.exec { "python3", "-c", [[
import sys, urllib.request as r
for method, body in (("DELETE", None), ("PUT", b'{"owner": "anna"}')):
    r.urlopen(r.Request(sys.argv[1], body, method=method))]], P.house.url .. "/servers/a/owner" }
    assert.equals(0, curl.code, curl.stderr)
    T.write(P.house.dir .. "/flag", "")
    local result = job:wait()
    assert.same({ "ready", "anna" }, { P.house:machines().a.status, P.house:machines().a.owner })
    assert.equals(0, #P.house:requests "^DELETE /servers/a/install")
    assert.equals("ServerStateError", S.failures(result.results.servers[1])[1].type)
  end)

  -- The script's modules see a muster.run of a later attempt.
  local function attempt(n, text)
    return (text:gsub('local provisioner = require "provisioner"', ([[
      package.loaded.muster = setmetatable({ run = setmetatable({ attempt = %d }, { __index = muster.run }) },
        { __index = muster })
      %%0]]):format(n)))
  end

  it("has a tag of its own in each attempt", function()
    start { a = {} }
    local result = run({ a = {} }, { text = attempt(2, script { config = CLAIMS, step = [[
      local s = p:state(server)
      assert(s.state == "installed" and s.tag == muster.run.id and server:claimed().attempt == 2) return 51]] }) })
    assert.equals(0, result.code, result.stderr)
    assert.equals(1, #P.house:requests "^POST /servers/a/install 200 %d+T%d+Z%-%x+/a/2$")
    assert.same({ "free", "" }, { P.house:machines().a.status, P.house:machines().a.owner })
  end)

  it("leaves alone in an earlier attempt what a later one has installed", function()
    start { a = {} }
    local result = run({ a = {} }, { text = script { step = [[
      local path = "/servers/" .. server.id .. "/owner"
      local house = muster.http.client { base_url = config.url }
      house:delete(path)
      house:put(path, { json = { owner = muster.run.id .. "/a/2" } })
      return 51]] } })
    assert.equals(3, result.code)
    local kind, message = failure_of(result, "a")
    assert.equals("ServerStateError", kind)
    assert.matches("^house: a: it is no longer ours, and was left alone: it is claimed by %S+/a/2$", message)
    assert.equals(0, #P.house:requests "^DELETE /servers/a/install")
    assert.matches("^%d+T%d+Z%-%x+/a/2$", P.house:machines().a.owner)
    assert.is_false(result.servers.a.left_behind or false)
  end)

  it("destroys after SIGKILL what a later attempt had installed", function()
    local state = T.tmpdir()
    start { a = {} }
    local job = S.start(attempt(3, script { config = CLAIMS, step = "muster.sleep(60)" }),
      { args = { "--local", "--state-dir", state, "a" } })
    job:wait_log "Installed."
    job:signal "KILL"
    job:wait()
    assert.matches("/a/3$", P.house:machines().a.owner)
    local cleaned = cleanup(state)
    assert.equals(0, cleaned.code, cleaned.stdout .. cleaned.stderr)
    assert.same({ "free", "" }, { P.house:machines().a.status, P.house:machines().a.owner })
  end)

  it("takes a tag off that a wipe leaves on, or says that the driver cannot", function()
    local result = run({ a = { trouble = { destroy = "keep" } } }, { config = CLAIMS })
    assert.equals(0, result.code, result.stderr)
    assert.equals("", P.house:machines().a.owner)
    stop()
    result = run { a = { trouble = { destroy = "keep" } } }
    local kind, message = failure_of(result, "a")
    assert.equals("ProvisionerError", kind)
    assert.equals("house: a still has our claim on it: the driver's destroy does not take it off", message)
  end)

  it("bounds what is in flight at the provisioner", function()
    local machines = {}
    for i = 1, 12 do machines[("m%02d"):format(i)] = { trouble = { polls = 4 } } end
    local result = run(machines, { config = "config.max_in_flight = 3", args = { "-j", "12", "--workers", "3" } })
    assert.equals(0, result.code, result.stderr)
    -- From the service's own log: installing and wiping at once.
    local now, most, busy = 0, 0, {}
    for _, request in ipairs(P.house:requests()) do
      local method, name, status = request:match "^(%u+) /servers/(%w+)%S* (%d+)"
      if (method == "POST" or method == "DELETE") and status == "200" then
        assert.is_nil(busy[name])
        busy[name], now = 4, now + 1
        most = math.max(most, now)
      elseif busy[name] then
        busy[name] = busy[name] - 1
        if busy[name] == 0 then busy[name], now = nil, now - 1 end
      end
    end
    assert.is_true(most == 3 or most == 2, "at once: " .. most)
  end)

  it("changes nothing in a dry run, and says what it would do", function()
    local result = run({ a = {}, used = { status = "ready", owner = "anna" } }, { config = CLAIMS, args = { "--dry-run" } })
    assert.equals(0, #P.house:requests "^[PD]")
    for _, text in ipairs { "Would send PUT " .. P.house.url .. "/servers/a/owner",
      "Would send POST " .. P.house.url .. "/servers/a/install", "Would send DELETE " .. P.house.url .. "/servers/a/install",
      "Would send PUT " .. P.house.url .. "/servers/a/fault" } do
      assert.is_truthy(T.find_log(result.log, text), text)
    end
    assert.equals("ServerStateError", (failure_of(result, "used")))
    assert.equals("free", P.house:machines().a.status)
  end)

  it("destroys after SIGKILL what the journal names, and nothing else", function()
    local state = T.tmpdir()
    start { a = {}, b = { status = "ready", owner = "anna" } }
    local job = S.start(script { config = CLAIMS, step = "muster.sleep(60)" },
      { args = { "--local", "--state-dir", state, "a", "b" } })
    job:wait_log "Installed."
    job:signal "KILL"
    job:wait()
    assert.equals("ready", P.house:machines().a.status)
    local cleaned = cleanup(state)
    assert.equals(0, cleaned.code, cleaned.stdout .. cleaned.stderr)
    assert.same({ "free", "" }, { P.house:machines().a.status, P.house:machines().a.owner })
    assert.same({ "ready", "anna" }, { P.house:machines().b.status, P.house:machines().b.owner })
  end)

  it("takes a claim off in cleanup whose install was never asked for", function()
    local state = T.tmpdir()
    start { a = { trouble = { locked = 0 } } }
    -- Cut short between claim and call: the driver's install never returns.
    local text = script { config = CLAIMS }:gsub("local p = provisioner.new%b()", [[
      local driver = require "provisioner.rest"(config)
      if not muster.run.cleanup then
        driver.install = function() muster.log.info "about to install" muster.sleep(60) end
      end
      local p = provisioner.new(driver, config)]])
    local job = S.start(text, { args = { "--local", "--state-dir", state, "a" } })
    job:wait_log "about to install"
    job:signal "KILL"
    job:wait()
    assert.matches("/a$", P.house:machines().a.owner)
    local cleaned = cleanup(state)
    assert.equals(0, cleaned.code, cleaned.stdout .. cleaned.stderr)
    assert.same({ "free", "" }, { P.house:machines().a.status, P.house:machines().a.owner })
    assert.equals(0, #P.house:requests "^[PD]%u+ /servers/a/install")
  end)
end)

describe("a provisioner's marks", function()
  after_each(stop)

  it("say who, which run and why, and never change those of others", function()
    local result = run({ slow = {}, taken = {} }, {
      step = [[if server.id == "taken" then
          local api = muster.http.client { base_url = config.url }
          api:put("/servers/taken/fault", { json = { text = "anna: fan is loud" } })
        end
        return 7]] })
    local fault = P.house:machines().slow.fault
    assert.matches("^%[muster%] muster: s%.score 7 < 50; run %d+T%d+Z%-%x+, owner %S+@%S+, ", fault)
    assert.equals("anna: fan is loud", P.house:machines().taken.fault)
    assert.same({ "slow" }, result.results.marked_servers)
    assert.same({ "taken" }, result.results.kept_servers)
    assert.is_truthy(T.find_log(result.log, "kept: already marked as broken: anna: fan is loud"))
  end)

  it("are made once though the answer is lost, and taken off only when they are ours", function()
    start { a = { fault = "anna" }, b = { fault = "[muster] muster: too slow" }, c = {} }
    local told = run({ a = {}, b = {}, c = {} }, { text = script():gsub("setup = function.-end,", ""):gsub(
        "run = function%(server%) return 51 end", [[run = function(server)
          muster.log.info(server.id .. " > " .. tostring(p:unmark(server)))
          muster.log.info(server.id .. " >> " .. tostring(p:mark_as_broken(server, "why\nso " .. muster.run.id)))
          muster.log.info(server.id .. " >>> " .. tostring(p:mark_as_broken(server, "other words")))
          return 51
        end]]) })
    for _, line in ipairs { "a > kept: not marked by muster: anna", "b > nil", "c > nil",
      "a >> kept: already marked as broken: anna", "b >> nil", "c >> nil", "c >>> nil" } do
      assert.is_truthy(T.find_log(told.log, line), line)
    end
    assert.equals("anna", P.house:machines().a.fault)
    assert.matches("^%[muster%] why so %d+T", P.house:machines().c.fault)
    assert.equals(1, #P.house:requests "^PUT /servers/c/fault")
  end)

  it("are not put on what someone else has in use, unless the script says so", function()
    for _, in_use in ipairs { false, true } do
      start { a = { status = "ready", owner = "anna" }, b = { status = "ready" }, c = {} }
      run({ a = {}, b = {}, c = {} }, {
        text = script { config = "config.mark_in_use = " .. tostring(in_use) }:gsub("setup = function.-end,", "")
          :gsub("return 51", "return 7") })
      local machines = P.house:machines()
      assert.equals(in_use, machines.a.fault ~= "")
      assert.equals(in_use, machines.b.fault ~= "")
      assert.matches("^%[muster%] ", machines.c.fault)
      stop()
    end
  end)
end)
