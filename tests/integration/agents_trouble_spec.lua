-- Agents, nats-server, the coordinator and the network between them fail in the middle of runs: each server has one verdict,
-- nothing stays installed, and nothing is done twice that need not be.
local A = require "agents_support"
local S = require "ssh_support"
local T = require "muster_test"

local SERVERS = 15

-- An installation is a folder on the server, of this attempt alone; servers wait in their step until there is GATE/go, or
-- GATE/go. and the agent's name. Each time a server is measured is a line of its ran.ID.
local WORK = [[
  steps = { { name = "work", run = function(server, params)
    server:exec("echo %s >>ran.%s", os.getenv "AGENT" or "?", server.id)
    muster.log.info "> at work"
    if server.id > "s003" then
      server:exec("until [ -e %s/go ] || [ -e %s/go.%s ]; do sleep 0.1; done", params.gate, params.gate, os.getenv "AGENT" or "?")
    end
    muster.log.info "> done"
    return 50
  end } },]]
local INSTALL = [[
local muster = require "muster"
return muster.script { params = { gate = "" }, timeout = "5m",
  setup = function(server)
    local folder = ("installed.%s.%d"):format(server.id, muster.run.attempt)
    server:claim { folder = folder }
    server:exec("[ -z \"$(echo installed.%s.* | grep -v '[*]')\" ] || { echo found >>found.%s; exit 9; }; mkdir %s", server.id,
      server.id, folder)
  end,
]] .. WORK .. [[

  teardown = function(server)
    local claim = server:claimed()
    if not claim then return end
    server:exec("rmdir %s 2>/dev/null || true", claim.folder)
    server:release()
  end }]]

-- The same without anything that is installed.
local MEASURE = 'local muster = require "muster"\nreturn { params = { gate = "" },\n' .. WORK .. "}"

-- The same through a provisioner of commands, on this machine: see TOOL.
local PROVISION = [[
local muster, provisioner = require "muster", require "provisioner"
local function site(params)
  local tool = params.tool
  return provisioner.new("command", { name = "site", poll = "20ms",
    state = { tool, "show", "{name}", fields = { state = "status", tag = "owner", broken = "fault", error = "message",
      clean = "free", installed = "ready", busy = { "installing", "wiping" }, failed = "stuck" } },
    install = { tool, "install", "{name}", "{tag}" }, destroy = { tool, "wipe", "{name}", "{tag}" },
    mark = { tool, "fault", "{name}", "{reason}" }, unmark = { tool, "fault", "{name}", "" } })
end
return muster.script { params = { gate = "", tool = "" }, timeout = "5m", teardown_timeout = "1m",
  setup = function(server, params)
    site(params):install(server, "debian-12")
  end,
  steps = { { name = "work", run = function(server, params)
    muster.log.info "> at work"
    while not (io.open(params.gate .. "/go") or io.open(params.gate .. "/go." .. (os.getenv "AGENT" or "?"))) do muster.sleep(0.1) end
    return 50
  end } },
  teardown = function(server, params)
    site(params):destroy(server)
  end }]]

-- A machine is a file with its owner; it is installed when there is one. What is installed or wiped against the rules is a
-- line of clash.
local TOOL = [[#!/bin/sh
cd %s || exit 1
case $1 in
show)
  if [ -s "$2" ]; then echo "{\"status\": \"ready\", \"owner\": \"$(cat "$2")\", \"fault\": \"\", \"message\": \"\"}"
  else echo '{"status": "free", "owner": "", "fault": "", "message": ""}'; fi ;;
install)
  if [ -s "$2" ]; then echo "$2 installed over $(cat "$2")" >>../clash; exit 1; fi
  echo "$3" >"$2.new" && mv "$2.new" "$2"; echo "install $2" >>../calls ;;
wipe)
  if [ "$(cat "$2")" != "$3" ]; then echo "$2 wiped, which was not its own" >>../clash; exit 1; fi
  rm "$2"; echo "wipe $2" >>../calls ;;
esac
]]

describe("trouble with agents", function()
  local fleet, nats, gate, homes
  local program = T.read(T.muster)
  local sanitized = program:find("__asan_init", 1, true) or program:find("__tsan_init", 1, true)
  setup(function()
    fleet = T.fleet_start(5)
    gate, homes = fleet.dir .. "/gate", fleet.dir .. "/*/home"
    nats = A.nats()
  end)
  before_each(function()
    nats:tool("delete", "MUSTER_EVENTS", "muster.event.>")
    assert(os.execute(("rm -rf %s/ran.* %s/installed.* %s/found.* %s && mkdir %s"):format(homes, homes, homes, gate, gate)))
  end)
  after_each(A.end_all)

  local function open_gate(name) T.write(gate .. "/go" .. (name and "." .. name or ""), "") end

  local function at_servers(glob)
    local names = {}
    for name in T.exec { "sh", "-c", ("ls -d %s/%s 2>/dev/null"):format(homes, glob) }.stdout:gmatch "[^/]+\n" do
      names[#names + 1] = name:sub(1, -2)
    end
    return names
  end

  --- By server, on which agents it was measured.
  local function measured()
    local by = {}
    for _, line in ipairs(T.lines(T.exec { "sh", "-c", ("grep -H . %s/ran.*"):format(homes) }.stdout)) do
      local id, agent = line:match "ran%.([^:]+):(.*)"
      by[id] = (by[id] and by[id] .. " " or "") .. agent
    end
    return by
  end

  --- Agents a, b and c, with four slots each; at: others than nats for some, by name.
  local function three(options, at)
    local agents = {}
    for _, name in ipairs { "a", "b", "c" } do
      local with = { name = name, fleet = fleet, unready = true, env = { AGENT = name } }
      for key, value in pairs(options or {}) do with[key] = value end
      agents[name] = A.agent(at and at[name] or nats, with)
    end
    for _, agent in pairs(agents) do A.wait_ready(agent) end
    return agents
  end

  local function start(script, n, options)
    options = options or {}
    options.args = options.args or {}
    for _, word in ipairs { "-p", "gate=" .. gate, "--grace", "20s" } do table.insert(options.args, word) end
    return A.start(nats, A.servers(fleet, n), script, options)
  end

  --- Machines for PROVISION: starts it. Returns the job and their folder.
  local function provision(n)
    local dir = T.tmpdir()
    assert(os.execute("mkdir " .. dir .. "/machines"))
    local tool = T.write(dir .. "/tool", TOOL:format(dir .. "/machines"))
    assert(os.execute("chmod +x " .. tool))
    return start(PROVISION, n, { args = { "--local", "-p", "tool=" .. tool } }), dir
  end

  local function assert_all_destroyed(machines)
    assert.equals("", T.exec { "ls", machines .. "/machines" }.stdout)
    assert.is_false(S.exists(machines .. "/clash"), S.exists(machines .. "/clash") and T.read(machines .. "/clash"))
  end

  --- Each server has passed, once, and nothing is left.
  local function assert_whole(result, n, resumed)
    assert.equals(0, result.code, result.stdout .. result.stderr:sub(-6000))
    assert.equals(n, result.results.counts.passed)
    local seen = {}
    for _, server in ipairs(result.results.servers) do
      assert.is_nil(seen[server.id])
      seen[server.id] = true
      assert.equals("passed", server.status)
      assert.equals(1, #server.steps)
      assert.is_false(server.left_behind)
    end
    -- Of attempts that were cut off the log tells, too, also when they are heard of late.
    local passed = A.count_by_server(result.log, "Server finished: passed")
    for _, server in ipairs(result.results.servers) do assert.is_true(resumed or (passed[server.id] or 0) >= 1, server.id) end
    assert.same({}, at_servers "installed.*")
    assert.same({}, at_servers "found.*")
  end

  --- Nothing is left in the queues. late: but for what an agent that was cut off still said, which goes with time.
  local function assert_empty_queues(late)
    if late then return S.wait_for("no tasks", function() return nats:count "TASKS" == 0 end) end
    A.wait_empty(nats)
  end

  it("an agent that is killed: others do its servers, and destroy what it had installed before", function()
    local agents = three()
    local job = start(INSTALL, SERVERS)
    job:wait_log("> at work", 12)
    local provisioning, machines = provision(6)
    A.kill(agents.a)
    open_gate()
    local result = job:wait()
    assert_whole(result, SERVERS)
    assert_whole(provisioning:wait(), 6)
    assert_all_destroyed(machines)
    local again = 0
    for id, by in pairs(measured()) do
      -- Only what a had begun, and not finished, is done again.
      if by:find " " then
        again = again + 1
        assert.matches("^a [bc]$", by, id)
        assert.truthy(T.find_log(result.log, "Server " .. id .. " is run again by agent"), id)
      end
    end
    assert.is_true(again >= 1 and again <= 4, tostring(again))
    assert.truthy(T.find_log(result.log, "Destroying what an earlier attempt left behind."))
    assert_empty_queues()
  end)

  it("an agent that is killed while a provisioner has installed: the next one destroys that first", function()
    local agents = three { forks = 2 }
    local job, machines = provision(6)
    job:wait_log("> at work", 6)
    A.kill(agents.b)
    open_gate()
    assert_whole(job:wait(), 6)
    assert_all_destroyed(machines)
    local calls = T.read(machines .. "/calls")
    assert.equals(8, select(2, calls:gsub("install ", "")))
    assert.equals(8, select(2, calls:gsub("wipe ", "")))
  end)

  it("a nats-server that is killed, and comes back: everybody goes on", function()
    three { ack_wait = 30 }
    local job = start(INSTALL, SERVERS)
    job:wait_log("> at work", 12)
    nats:kill()
    open_gate()
    S.wait_for("what is at work ends", function() return #at_servers "ran.*" >= 12 and #at_servers "installed.*" <= 12 end)
    nats:open()
    assert_whole(job:wait(), SERVERS)
    for id, by in pairs(measured()) do assert.is_nil(by:find " ", id .. ": " .. by) end
    assert_empty_queues()
  end)

  it("a coordinator that is killed: agents go on, and a resumed run takes what they have done", function()
    three { ack_wait = 30 }
    local job = start(INSTALL, SERVERS)
    job:wait_log("> at work", 12)
    job:wait_log("Server finished", 3)
    job:signal "KILL"
    job:wait()
    open_gate()
    S.wait_for("the agents do the rest", function() return #at_servers "ran.*" == SERVERS and #at_servers "installed.*" == 0 end)
    assert_whole(A.resume(nats, job):wait(), SERVERS, true)
    for id, by in pairs(measured()) do assert.is_nil(by:find " ", id .. ": " .. by) end
    assert_empty_queues()
  end)

  it("a coordinator that is killed, and resumed while its tasks are at work: none of them is done twice", function()
    three { ack_wait = 30 }
    local job, machines = provision(SERVERS)
    job:wait_log("> at work", 12)
    job:signal "KILL"
    job:wait()
    local resumed = A.resume(nats, job)
    resumed:wait_log "resume"
    open_gate()
    assert_whole(resumed:wait(), SERVERS, true)
    assert_all_destroyed(machines)
    assert.equals(SERVERS, select(2, T.read(machines .. "/calls"):gsub("install ", "")))
  end)

  it("a network that is cut for longer than the ack wait: its servers are done elsewhere, and counted once", function()
    local network = A.network(nats)
    local agents = three(nil, { a = network })
    local job = start(INSTALL, SERVERS)
    job:wait_log("> at work", 12)
    network:cut()
    open_gate "b"
    open_gate "c"
    job:wait_log("Server finished: passed", SERVERS)
    network:heal()
    local result = job:wait()
    assert_whole(result, SERVERS)
    for id, by in pairs(measured()) do
      if by:find " " then assert.matches("^a [bc]$", by, id) end
    end
    assert_empty_queues(true)
    -- It is of use again.
    agents.b.ended = nil
    A.kill(agents.b)
    A.kill(agents.c)
    open_gate()
    result = start(INSTALL, 3):wait()
    assert_whole(result, 3)
    assert.is_true(A.workers(result.log).a == 3)
  end)

  it("a result that was on its way when the network was cut, and comes when another has the server, is left out", function()
    local network = A.network(nats)
    A.agent(network, { name = "a", fleet = fleet, ack_wait = 4, env = { AGENT = "a" } })
    -- Without a claim: its release would be refused, and that would be the result.
    local job = start(MEASURE, 7)
    job:wait_log("> at work", 7)
    A.agent(nats, { name = "b", fleet = fleet, ack_wait = 4, env = { AGENT = "b" } })
    network:cut()
    open_gate "a"
    job:wait_log("is run again by agent", 4)
    network:heal()
    S.wait_for("the other attempts", function()
      local n = 0
      for _, by in pairs(measured()) do if by == "a b" then n = n + 1 end end
      return n == 4
    end)
    open_gate()
    local result = job:wait()
    assert_whole(result, 7)
    assert.is_truthy(T.find_log(result.log, "What agent a found is left out"), result.stderr)
    assert_empty_queues(true)
  end)

  -- The same by a cable that is pulled, where this machine lets us have one.
  local namespace = A.namespace()
  if namespace then
    it("an agent in a network of its own, whose cable is pulled: its servers are done elsewhere, and counted once", function()
      local network = A.network(nats, namespace.address)
      local away = A.agent(network, { name = "away", unready = true, program = namespace.program, env = { AGENT = "away" },
        args = { "--insecure-nats" } })
      A.wait_ready(away)
      local job, machines = provision(4)
      job:wait_log("> at work", 4)
      A.agent(nats, { name = "near", env = { AGENT = "near" } })
      namespace:cut()
      job:wait_log("is run again by agent near", 4)
      open_gate "near"
      S.wait_for("the other one does it", function() return job:stderr():find("Server finished", 1, true) end)
      namespace:heal()
      local result = job:wait()
      assert_whole(result, 4)
      assert_all_destroyed(machines)
      assert.same({ near = 4 }, A.workers(result.log))
    end)
  end

  it("an agent that stands still for longer than the ack wait, and goes on: its servers are done, each counted once", function()
    local agents = three()
    local job = start(INSTALL, SERVERS)
    job:wait_log("> at work", 12)
    agents.c:signal "STOP"
    open_gate "a"
    open_gate "b"
    job:wait_log "is run again by"
    agents.c:signal "CONT"
    open_gate()
    assert_whole(job:wait(), SERVERS)
    for id, by in pairs(measured()) do assert.is_nil(by:find "[ab] [ab]", id .. ": " .. by) end
    assert_empty_queues(true)
  end)

  it("a connection that is reset costs nothing", function()
    local network = A.network(nats)
    three({ ack_wait = 30 }, { a = network, b = network })
    local job = start(INSTALL, SERVERS)
    job:wait_log("> at work", 12)
    network:reset()
    open_gate()
    network:reset()
    assert_whole(job:wait(), SERVERS)
    for id, by in pairs(measured()) do assert.is_nil(by:find " ", id .. ": " .. by) end
  end)

  it("SIGTERM of an agent: it finishes what it is at, takes no more, and leaves", function()
    local agents = three { ack_wait = 60 }
    local job = start(INSTALL, SERVERS)
    job:wait_log("> at work", 12)
    agents.a:signal "TERM"
    agents.a:wait_log "rain"
    open_gate()
    agents.a.ended = true
    assert.equals(0, agents.a:wait().code)
    assert_whole(job:wait(), SERVERS)
    for id, by in pairs(measured()) do assert.is_nil(by:find " ", id .. ": " .. by) end
  end)

  it("SIGTERM of an agent: what is not over at the drain timeout is done by others at once", function()
    local agents = three { ack_wait = 600, args = { "--drain-timeout", "500ms" } }
    local job = start(INSTALL, SERVERS)
    job:wait_log("> at work", 12)
    local result = A.stop(agents.a)
    assert.equals(0, result.code, result.stderr)
    open_gate()
    assert_whole(job:wait(), SERVERS)
    local again = 0
    for id, by in pairs(measured()) do
      if by:find " " then
        again = again + 1
        assert.matches("^a [bc]$", by, id)
      end
    end
    assert.is_true(again >= 1 and again <= 4, tostring(again))
    assert_empty_queues()
  end)

  it("SIGTERM of the coordinator: the run is cancelled everywhere, and everything destroyed", function()
    three { ack_wait = 60 }
    local job = start(INSTALL, SERVERS)
    job:wait_log("> at work", 12)
    local provisioning, machines = provision(3)
    provisioning:wait_log "Run "
    provisioning:signal "TERM"
    job:signal "TERM"
    local result = job:wait()
    assert.equals(143, result.code, result.stderr:sub(-3000))
    assert.equals(143, provisioning:wait().code)
    assert_all_destroyed(machines)
    assert.same({}, at_servers "installed.*")
    for _, server in ipairs(result.results.servers) do
      assert.is_true(server.status == "cancelled" or server.status == "passed", server.id .. " " .. server.status)
      assert.is_false(server.left_behind)
    end
    assert_empty_queues()
    open_gate()
    assert_whole(start(INSTALL, 4):wait(), 4) -- agents are ready for more
  end)

  it("a server that every agent dies of is an error, with its history; the others pass", function()
    for i = 1, 6 do A.agent(nats, { name = "n" .. i, forks = 1, ack_wait = 1, unready = true }) end
    local result = A.run(nats, A.servers(fleet, 6), [[
      return { steps = { { name = "s", run = function(server)
        if server.id == "s003" then os.execute "kill -KILL $PPID" end
        return 1
      end } } }]], { args = { "--local" } })
    assert.equals(3, result.code, result.stdout .. result.stderr:sub(-3000))
    assert.equals(5, result.results.counts.passed)
    local server = S.by_id(result.results).s003
    assert.equals("error", server.status)
    local message = S.failures(server)[1].message
    assert.matches("n%d", message)
    assert_empty_queues()
  end)

  -- What logs 100,000 lines of debugging.
  local CHATTY = [[
    local muster = require "muster"
    return { params = { gate = "", stay = false }, steps = { { name = "s", run = function(server, params)
      muster.log.info "> begins"
      while not io.open(params.gate .. "/go") do muster.sleep(0.05) end
      for i = 1, 100000 do muster.log.debug("chatter of a server that is looked at closely", { i = i }) end
      muster.log.info "> ends"
      io.open(params.gate .. "/ended", "w"):close()
      while params.stay and not io.open(params.gate .. "/go.away") do muster.sleep(0.05) end
      return 1
    end } } }]]
  local LINES = 100000
  -- KiB more than before, of either side: 8 MiB of lines that wait, letters under way, and what the allocator keeps.
  local MEMORY = sanitized and 400 * 1024 or 40 * 1024

  --- Lines that arrived, in order; those that were dropped, as it was told.
  local function lines_of(result)
    local lines, dropped, last = 0, 0, 0
    for _, line in ipairs(result.log) do
      if line.i then
        lines = lines + 1
        assert.is_true(line.i > last, line.i .. " after " .. last)
        last = line.i
      end
      dropped = dropped + tonumber(line.event:match "^(%d+) lines? of the log w.- dropped" or 0)
    end
    assert.equals(LINES, last) -- the newest are there
    return lines, dropped
  end

  local function task_ends() S.wait_for("the task ends", function() return S.exists(gate .. "/ended") end) end

  it("a coordinator that does not read: neither its agent nor it needs more memory, and no line is lost in silence", function()
    local agent = A.agent(nats, { name = "a", ack_wait = 60 })
    local job = start(CHATTY, 1, { args = { "--local", "--log-level", "debug", "-p", "stay=true" } })
    job:wait_log "> begins"
    local before, mine = A.kib(agent.pid, "VmHWM"), A.kib(job.pid, "VmHWM")
    job:signal "STOP"
    open_gate()
    task_ends()
    local after = A.kib(agent.pid, "VmHWM")
    job:signal "CONT"
    job:wait_log "> ends"
    local mine_after = A.kib(job.pid, "VmHWM")
    open_gate "away"
    local result = job:wait()
    assert.equals(0, result.code, result.stderr:sub(-2000))
    assert.is_true(after - before < MEMORY, ("%d KiB more at the agent"):format(after - before))
    assert.is_true(mine_after - mine < MEMORY, ("%d KiB more at the coordinator"):format(mine_after - mine))
    local lines, dropped = lines_of(result)
    assert.equals(LINES, lines + dropped)
  end)

  it("a nats-server that stands still: the oldest lines of debugging are dropped, counted, and that is told", function()
    local agent = A.agent(nats, { name = "a", ack_wait = 120 })
    local job = start(CHATTY, 1, { args = { "--local", "--log-level", "debug" } })
    job:wait_log "> begins"
    local before = A.kib(agent.pid, "VmHWM")
    assert(os.execute("kill -STOP " .. nats:pid()))
    open_gate()
    task_ends()
    local after = A.kib(agent.pid, "VmHWM")
    assert(os.execute("kill -CONT " .. nats:pid()))
    local result = job:wait()
    assert.equals(0, result.code, result.stderr:sub(-2000))
    assert.is_true(after - before < MEMORY, ("%d KiB more"):format(after - before))
    assert.truthy(T.find_log(result.log, "> begins"))
    assert.truthy(T.find_log(result.log, "> ends"))
    local lines, dropped = lines_of(result)
    assert.is_true(dropped > 0)
    assert.equals(LINES, lines + dropped)
  end)
end)
