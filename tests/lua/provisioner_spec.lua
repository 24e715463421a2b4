-- The library of provisioners, against an HTTP service that misbehaves as it is told: what is touched, what is not, and
-- what is said of it.
local S = require "ssh_support"
local T = require "muster_test"
local H = require "house_support"

local house
local function start(machines, token) house = H.start(machines, token) return house end
local function stop() if house then house:stop() end house = nil end

-- A script on the house API. options: driver (Lua text, else rest.lua), config, step, more (text in each place).
local function script(options)
  options = options or {}
  return ([[
    local muster = require "muster"
    local provisioner = require "provisioner"
    local config = { name = "house", url = %q, poll = "20ms", poll_longest = "100ms",
      state = { get = "/servers/{name}", state = "status", tag = "owner", broken = "fault", error = "message",
        clean = "free", installed = "ready", busy = { "installing", "wiping" }, failed = "stuck" },
      install = { post = "/servers/{name}/install", json = { os = "{os}", owner = "{tag}" } },
      destroy = { delete = "/servers/{name}/install" },
      mark = { put = "/servers/{name}/fault", json = { text = "{reason}" } },
      unmark = { delete = "/servers/{name}/fault" } }
    %s
    local p = provisioner.new("rest", config)
    return muster.script {
      setup = function(server) p:install(server, "debian-12") end,
      teardown = function(server) p:destroy(server) end,
      mark = function(server, verdict) return p:mark_as_broken(server, verdict.reason) end,
      max_broken = 100, confirm = 0,
      %s
      steps = { { name = "s", run = function(server) %s end, thresholds = { score = { min = 50 } } } },
    }]]):format(house.url, options.config or "", options.more or "", options.step or "return 51")
end

local CLAIMS = [[
  config.claim = { put = "/servers/{name}/owner", json = { owner = "{tag}" } }
  config.unclaim = { delete = "/servers/{name}/owner" }
]]

local function names(machines)
  local list = {}
  for name in pairs(machines) do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- Run it on these machines, started before; options: as script, args, state (muster's folder).
local function run(machines, options)
  options = options or {}
  if not house then start(machines) end
  local args = { "--state-dir", options.state or T.tmpdir() }
  for _, word in ipairs(options.args or {}) do args[#args + 1] = word end
  for _, name in ipairs(names(machines)) do args[#args + 1] = name end
  local result = T.run_local(options.text or script(options), { args = args, env = options.env, dir = options.dir })
  assert(result.results, result.stderr)
  result.servers = S.by_id(result.results)
  return result
end

local function failure_of(result, name)
  for _, failure in ipairs(S.failures(result.servers[name])) do
    if type(failure.type) == "string" then return failure.type, failure.message end -- not why a step was skipped
  end
end

local function cleanup(state)
  return T.run { "cleanup", "--state-dir", state }
end

describe("a provisioner", function()
  after_each(stop)

  it("installs, destroys, and leaves a clean server that is nobody's", function()
    for _, config in ipairs { "", CLAIMS } do
      local result = run({ a = {}, b = { trouble = { polls = 5 } } }, { config = config,
        step = [[local s = p:state(server)
          assert(s.state == "installed" and s.detail == "ready" and s.tag == muster.run.id and not s.broken)
          return 51]] })
      assert.equals(0, result.code, result.stderr)
      for name, machine in pairs(house:machines()) do
        assert.same({ "free", "", "" }, { machine.status, machine.owner, machine.fault }, name)
        assert.equals(1, #house:requests("^POST /servers/" .. name .. "/install 200 %d+T%d+Z%-%x+/" .. name .. "$"))
        assert.equals(1, #house:requests("^DELETE /servers/" .. name .. "/install 200"))
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
    for _, request in ipairs(house:requests "^[PD]") do assert.matches(" /servers/free/", request) end
    assert.equals("disk replaced by anna", house:machines().broken.fault)
  end)

  it("loses a race without harm", function()
    for _, config in ipairs { "", CLAIMS } do
      local result = run({ a = { trouble = { race = true } } }, { config = config })
      local kind, message = failure_of(result, "a")
      assert.equals("ServerStateError", kind)
      assert.is_truthy(message:find("claimed by", 1, true) and message:find("anna", 1, true), message)
      local machine = house:machines().a
      assert.same({ "free", "anna" }, { machine.status, machine.owner })
      assert.equals(0, #house:requests "^DELETE")
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
    assert.equals(1, #house:requests "^POST")
    assert.equals("free", house:machines().a.status)
  end)

  it("tells a failed install, and destroys it", function()
    local result = run { a = { trouble = { install = "fail" } }, b = { trouble = { install = "back" } } }
    local kind, message = failure_of(result, "a")
    assert.equals("ServerOperationError", kind)
    assert.equals("house: a: install failed: stuck: no link on port 1", message)
    kind, message = failure_of(result, "b")
    assert.equals("ServerOperationError", kind)
    assert.equals("house: b: install failed: it went back to free (clean)", message)
    assert.equals(1, #house:requests "^DELETE /servers/a/install 200")
    for name, machine in pairs(house:machines()) do
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
    assert.matches("^%[muster%] ", house:machines().a.fault)
    -- Someone mends them. The same service on the same port, with what it knew.
    local now = house:machines()
    house:stop()
    T.write(house.dir .. "/machines.json", require "cjson".encode(now))
    house:open()
    local cleaned = cleanup(state)
    assert.equals(0, cleaned.code, cleaned.stdout .. cleaned.stderr)
    for _, machine in pairs(house:machines()) do
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
    for name, machine in pairs(house:machines()) do assert.same({ "free", "" }, { machine.status, machine.owner }, name) end
    assert.equals(1, #house:requests "^POST /servers/cut/install")
    assert.equals(1, #house:requests "^DELETE /servers/cut/install")
  end)

  it("gives back a claim that was taken only after whoever asked for it had been cancelled", function()
    local result = run({ a = { trouble = { claim = "slow" } } }, { config = CLAIMS, more = "setup_timeout = '300ms'," })
    assert.same({ 3, "timeout" }, { result.code, result.servers.a.status })
    assert.is_false(result.servers.a.left_behind)
    assert.equals(1, #house:requests "^DELETE /servers/a/owner 200")
    assert.same({ "free", "" }, { house:machines().a.status, house:machines().a.owner })
  end)

  it("rides out an API that is down for a while", function()
    start { a = { trouble = { polls = 3 } } }
    local job = S.start(script { more = "timeout = '100s'," }, { args = { "--local", "--state-dir", T.tmpdir(),
      "--log-level", "debug", "a" } })
    job:wait_log "Installing."
    house:set_down(true)
    job:wait_log "trying again"
    house:stop() -- refused connections, too
    job:wait_log("trying again", 3)
    T.write(house.dir .. "/machines.json", require "cjson".encode(house:machines()))
    house:open():set_down(false)
    local result = job:wait()
    assert.equals(0, result.code, result.stderr)
    assert.equals("free", house:machines().a.status)
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
      assert.equals("", house:machines()[name].fault)
    end
    -- A hiccup is tried again; what the API says each time is not, for ever.
    assert.equals(3, #house:requests "^GET /servers/broken 500")
    assert.equals(1, #house:requests "^GET /servers/denied 401")
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
    assert.equals("", house:machines().a.fault)
    assert.equals(0, #house:requests "^DELETE")
  end)

  it("leaves alone what someone else has taken over", function()
    local result = run { a = { trouble = { install = "take" } } }
    local kind, message = failure_of(result, "a")
    assert.equals("ServerStateError", kind)
    assert.equals("house: a: it is no longer ours: it is claimed by anna", message)
    assert.same({ "ready", "anna", "" },
      { house:machines().a.status, house:machines().a.owner, house:machines().a.fault })
    assert.equals(0, #house:requests "^DELETE")
    assert.is_false(result.servers.a.left_behind or false)
  end)

  it("looks at the tag just before it destroys", function()
    start { a = {} }
    local job = S.start(script { step = [[while not io.open(server.vars.flag) do muster.sleep(0.05) end return 51]] },
      { args = { "--local", "--state-dir", T.tmpdir(), "-i", S.inventory(T.tmpdir(),
        { { id = "a", vars = { flag = house.dir .. "/flag" } } }) } })
    job:wait_log "Installed."
    -- Anna takes it over while it is benchmarked.
    local curl = T.exec { "python3", "-c", [[
import sys, urllib.request as r
for method, body in (("DELETE", None), ("PUT", b'{"owner": "anna"}')):
    r.urlopen(r.Request(sys.argv[1], body, method=method))]], house.url .. "/servers/a/owner" }
    assert.equals(0, curl.code, curl.stderr)
    T.write(house.dir .. "/flag", "")
    local result = job:wait()
    assert.same({ "ready", "anna" }, { house:machines().a.status, house:machines().a.owner })
    assert.equals(0, #house:requests "^DELETE /servers/a/install")
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
    assert.equals(1, #house:requests "^POST /servers/a/install 200 %d+T%d+Z%-%x+/a/2$")
    assert.same({ "free", "" }, { house:machines().a.status, house:machines().a.owner })
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
    assert.equals(0, #house:requests "^DELETE /servers/a/install")
    assert.matches("^%d+T%d+Z%-%x+/a/2$", house:machines().a.owner)
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
    assert.matches("/a/3$", house:machines().a.owner)
    local cleaned = cleanup(state)
    assert.equals(0, cleaned.code, cleaned.stdout .. cleaned.stderr)
    assert.same({ "free", "" }, { house:machines().a.status, house:machines().a.owner })
  end)

  it("takes a tag off that a wipe leaves on, or says that the driver cannot", function()
    local result = run({ a = { trouble = { destroy = "keep" } } }, { config = CLAIMS })
    assert.equals(0, result.code, result.stderr)
    assert.equals("", house:machines().a.owner)
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
    for _, request in ipairs(house:requests()) do
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
    assert.equals(0, #house:requests "^[PD]")
    for _, text in ipairs { "Would send PUT " .. house.url .. "/servers/a/owner",
      "Would send POST " .. house.url .. "/servers/a/install", "Would send DELETE " .. house.url .. "/servers/a/install",
      "Would send PUT " .. house.url .. "/servers/a/fault" } do
      assert.is_truthy(T.find_log(result.log, text), text)
    end
    assert.equals("ServerStateError", (failure_of(result, "used")))
    assert.equals("free", house:machines().a.status)
  end)

  it("destroys after SIGKILL what the journal names, and nothing else", function()
    local state = T.tmpdir()
    start { a = {}, b = { status = "ready", owner = "anna" } }
    local job = S.start(script { config = CLAIMS, step = "muster.sleep(60)" },
      { args = { "--local", "--state-dir", state, "a", "b" } })
    job:wait_log "Installed."
    job:signal "KILL"
    job:wait()
    assert.equals("ready", house:machines().a.status)
    local cleaned = cleanup(state)
    assert.equals(0, cleaned.code, cleaned.stdout .. cleaned.stderr)
    assert.same({ "free", "" }, { house:machines().a.status, house:machines().a.owner })
    assert.same({ "ready", "anna" }, { house:machines().b.status, house:machines().b.owner })
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
    assert.matches("/a$", house:machines().a.owner)
    local cleaned = cleanup(state)
    assert.equals(0, cleaned.code, cleaned.stdout .. cleaned.stderr)
    assert.same({ "free", "" }, { house:machines().a.status, house:machines().a.owner })
    assert.equals(0, #house:requests "^[PD]%u+ /servers/a/install")
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
    local fault = house:machines().slow.fault
    assert.matches("^%[muster%] muster: s%.score 7 < 50; run %d+T%d+Z%-%x+, owner %S+@%S+, ", fault)
    assert.equals("anna: fan is loud", house:machines().taken.fault)
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
    assert.equals("anna", house:machines().a.fault)
    assert.matches("^%[muster%] why so %d+T", house:machines().c.fault)
    assert.equals(1, #house:requests "^PUT /servers/c/fault")
  end)

  it("are not put on what someone else has in use, unless the script says so", function()
    for _, in_use in ipairs { false, true } do
      start { a = { status = "ready", owner = "anna" }, b = { status = "ready" }, c = {} }
      run({ a = {}, b = {}, c = {} }, {
        text = script { config = "config.mark_in_use = " .. tostring(in_use) }:gsub("setup = function.-end,", "")
          :gsub("return 51", "return 7") })
      local machines = house:machines()
      assert.equals(in_use, machines.a.fault ~= "")
      assert.equals(in_use, machines.b.fault ~= "")
      assert.matches("^%[muster%] ", machines.c.fault)
      stop()
    end
  end)
end)

describe("a driver", function()
  after_each(stop)

  local function error_of(text)
    start { a = {} }
    local result = run({ a = {} }, { text = text })
    local _, message = failure_of(result, "a")
    return message
  end

  local BAD = {
    { "provisioner.new('no-such', {})", "module 'no-such' not found" },
    { "provisioner.new(7)", "a provisioner's driver is a table of functions" },
    { "provisioner.new({ name = 'x', state = print })", "the driver x has no function install(node, …)" },
    { "provisioner.new('rest', { state = {} })", "the provisioner rest needs " },
    { "provisioner.new('ironic', { url = 'http://x', ulr = 1 })", "the provisioner ironic has no option 'ulr'" },
    { "provisioner.new('ironic', { url = 'http://x', max_in_flight = 0 })", "max_in_flight must be a whole number" },
    { "provisioner.new('ironic', { url = 'http://x', poll = '5 apples' })", "poll: 5 apples is not a duration" },
    { "provisioner.new('ironic', { url = 'http://a:b@x' })", "redentials" },
    { [[provisioner.new('rest', { url = 'http://x', state = { get = '/{name}', state = 's', tag = 't', broken = 'b', clean = 'c',
        installed = 'i' }, install = { post = '/{nmae}' }, destroy = { delete = '/' }, mark = { put = '/' }, unmark = { put = '/' } })]],
      "there is no {nmae}; there are {name}, {id}" },
    { [[provisioner.new('rest', { url = 'http://x', state = { get = '/{name}', state = 's', broken = 'b', clean = 'c',
        installed = 'i' }, install = { post = '/' }, destroy = { delete = '/' }, mark = { put = '/' }, unmark = { put = '/' } })]],
      "the provisioner rest: its state needs tag" },
    { [[provisioner.new('rest', { url = 'http://x', state = { state = 's', tag = 't', broken = 'b', clean = 'c',
        installed = 'i' }, install = { post = '/' }, destroy = { delete = '/' }, mark = { put = '/' }, unmark = { put = '/' } })]],
      "the provisioner's state needs a method and a path" },
  }
  it("that is wrong is told before anything is asked", function()
    for _, case in ipairs(BAD) do
      local message = error_of([[local provisioner = require "provisioner" return { steps = { { name = "s",
        run = function() ]] .. case[1] .. [[ end } } }]])
      assert.is_truthy(message and message:find(case[2], 1, true), case[1] .. ": " .. tostring(message))
      assert.equals(0, #house:requests())
      stop()
    end
  end)

  it("can be a table of functions, of which each may be asked again", function()
    local result = run({ a = {} }, { text = [[
      local muster, provisioner = require "muster", require "provisioner"
      local there, asked = { state = "clean" }, { install = 0, destroy = 0 }
      local driver = { name = "table" }
      function driver.state() local s = {} for k, v in pairs(there) do s[k] = v end return s end
      function driver.claim(_, claim) assert(not there.tag) there.tag = claim.tag end
      function driver.unclaim() there.tag = nil end
      -- Twice the provisioner's own restart ends it; then it works.
      function driver.install()
        asked.install = asked.install + 1
        there.state, there.words, there.interrupted = "failed", "restart " .. asked.install, true
        if asked.install == 3 then there = { state = "installed", tag = there.tag } end
      end
      function driver.destroy()
        asked.destroy = asked.destroy + 1
        if asked.destroy == 1 then error(muster.errors.ProvisionerError("busy", { retryable = true })) end
        there = { state = "clean" }
      end
      function driver.mark() end
      function driver.unmark() end
      function driver.benchmark() return { score = 51 } end
      local p = provisioner.new(driver, { poll = 0.01 })
      return muster.script {
        setup = function(server) p:install(server, "x") end,
        steps = { { name = "s", run = function(server) return p:benchmark(server) end } },
        teardown = function(server)
          p:destroy(server)
          assert(asked.install == 3 and asked.destroy == 2 and there.state == "clean")
          p:destroy(server) -- and again: nothing
          assert(asked.destroy == 2)
        end }]] })
    assert.equals(0, result.code, result.stderr)
    assert.equals(51, result.servers.a.steps[1].metrics.score.value)
  end)

  it("of commands runs them, and takes their exit status for an answer", function()
    start { a = {}, ["b c"] = {} }
    local tool = T.write(T.tmpdir() .. "/site-tool", [[
import json, os, sys, urllib.error, urllib.parse, urllib.request as r
word, name, *more = sys.argv[1:]
url = os.environ["HOUSE"] + "/servers/" + urllib.parse.quote(name)
def ask(method, rest="", body=None):
    try:
        return r.urlopen(r.Request(url + rest, body and json.dumps(body).encode(), method=method)).read().decode()
    except urllib.error.HTTPError as error:
        print(json.loads(error.read())["error"], file=sys.stderr)
        sys.exit(75 if error.code == 503 else 1)
if word == "show": print(ask("GET"))
if word == "install": ask("POST", "/install", {"os": more[0], "owner": more[1]})
if word == "wipe": ask("DELETE", "/install")
if word == "fault": ask("PUT", "/fault", {"text": more[0]})
]])
    local text = ([[
      local muster, provisioner = require "muster", require "provisioner"
      local tool = %q
      local p = provisioner.new("command", { name = "site", poll = "20ms",
        state = { "python3", tool, "show", "{name}", fields = { state = "status", tag = "owner", broken = "fault",
          error = "message", clean = "free", installed = "ready", busy = { "installing", "wiping" }, failed = "stuck" } },
        install = { "python3", tool, "install", "{name}", "{os}", "{tag}" },
        destroy = { "python3", tool, "wipe", "{name}" },
        mark = { "python3", tool, "fault", "{name}", "{reason}" },
        unmark = { "python3", tool, "fault", "{name}", "" } })
      return muster.script {
        setup = function(server) p:install(server, "debian; rm -rf '12") end,
        steps = { { name = "s", run = function(server) assert(p:state(server).state == "installed") return 7 end,
          thresholds = { score = { min = 50 } } } },
        teardown = function(server) p:destroy(server) end,
        mark = function(server, verdict) return p:mark_as_broken(server, verdict.reason) end }]]):format(tool)
    local inventory = S.inventory(T.tmpdir(), { { id = "a" }, { id = "odd", vars = { provisioner_id = "none" } } })
    local result = T.run_local(text, { args = { "-i", inventory, "--state-dir", T.tmpdir() }, env = { HOUSE = house.url } })
    local servers = S.by_id(result.results)
    assert.equals("failed", servers.a.status, result.stderr)
    assert.matches("^%[muster%] muster: s.score 7 < 50", house:machines().a.fault)
    assert.same({ "free", "debian; rm -rf '12" }, { house:machines().a.status, house:machines().a.os })
    assert.equals("ProvisionerError", S.failures(servers.odd)[1].type)
    assert.matches("no such server", S.failures(servers.odd)[1].message)
  end)
end)
