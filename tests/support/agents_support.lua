-- agents_support: runs that agents do: a real nats-server, agents as processes of their own, networks that can be cut.
--
-- Agents have the test fleet's key and known hosts; a coordinator has neither (M.servers writes an inventory without keys),
-- so that nothing gets to a server but through an agent.
local cjson = require "cjson"
local S = require "ssh_support"
local T = require "muster_test"

local M = {}

-- Seconds; what agents are started with: short, since tests wait for it, and yet no pause of a busy machine.
M.ACK_WAIT = 4

-- ---- nats-server ----

local Nats = {}
Nats.__index = Nats

--- Start one. config: text of its configuration (tests/support/nats says what it may hold), or nil; files: name → text of
--- more files beside it; prepare(dir): what else is to be there. Fields: dir, url, port.
function M.nats(config, files, prepare)
  local self = setmetatable({ dir = T.tmpdir() }, Nats)
  if config then self.config = T.write(self.dir .. "/nats.conf", config) end
  for name, text in pairs(files or {}) do T.write(self.dir .. "/" .. name, text) end
  if prepare then prepare(self.dir) end
  return self:open()
end

--- Start it (again), on the same port and with what it had stored.
function Nats:open()
  local words = { T.source .. "/tests/support/until-eof", T.source .. "/tests/support/nats", "run", self.dir, self.config }
  self.pipe = S.hold(table.unpack(words))
  S.wait_for("nats-server", function() return S.exists(self.dir .. "/ready") end)
  self.url = T.read(self.dir .. "/ready"):match "%S+"
  self.port = tonumber(self.url:match ":(%d+)$")
  return self
end

function Nats:pid() return tonumber(T.read(self.dir .. "/pid")) end

--- End it as a crash would.
function Nats:kill()
  assert(os.execute("kill -KILL " .. self:pid()))
  self:stop()
end

--- End it in order. May be called for one that has ended.
function Nats:stop()
  if self.pipe then self.pipe:close() end
  self.pipe = nil
  os.remove(self.dir .. "/ready")
end

--- Ask it, or change what it holds, by means that know nothing of muster (tests/support/nats_tool.c): what exec returns.
--- The last argument may be a table: stdin, login ("user,password").
function Nats:tool(...)
  local words, options = { ... }, {}
  if type(words[#words]) == "table" then options = table.remove(words) end
  return T.exec { os.getenv "MUSTER_BUILD" .. "/tests/nats_tool", self.url .. (options.login and "," .. options.login or ""),
    stdin = options.stdin, table.unpack(words) }
end

--- Lines of what the tool says, each a table of its words. It must not fail.
function Nats:ask(...)
  local result = self:tool(...)
  if result.code ~= 0 then error(result.stderr, 2) end
  local lines = {}
  for i, line in ipairs(T.lines(result.stdout)) do
    lines[i] = {}
    for word in line:gmatch "%S+" do lines[i][#lines[i] + 1] = word end
  end
  return lines
end

--- How many messages are in a stream: "TASKS", "EVENTS", "RUNS".
function Nats:count(stream) return tonumber(self:ask("stream", "MUSTER_" .. stream)[1][1]) end

--- Wait until nothing is left in its queues.
function M.wait_empty(nats)
  local function left()
    local subjects = {}
    for _, stream in ipairs { "TASKS", "EVENTS" } do
      for _, line in ipairs(nats:ask("list", "MUSTER_" .. stream, ">")) do subjects[#subjects + 1] = table.concat(line, " ") end
    end
    return "an empty queue; there is\n" .. table.concat(subjects, "\n")
  end
  S.wait_for(left, function() return nats:count "TASKS" == 0 and nats:count "EVENTS" == 0 end)
end

-- ---- a network ----

local Network = {}
Network.__index = Network

--- A way to a nats-server that can be cut. Fields: url. address: where it listens, 127.0.0.1 when not given.
function M.network(nats, address)
  local self = setmetatable({ file = T.tmpdir() .. "/network" }, Network)
  self.pipe = S.hold(T.source .. "/tests/support/cut-proxy", self.file, nats.port, address)
  local port = S.wait_for("the network", function() return S.exists(self.file) and T.read(self.file) end)
  self.url = ("nats://%s:%s"):format(address or "127.0.0.1", port)
  return self
end

function Network:tell(word)
  assert(self.pipe:write(word, "\n"))
  self.pipe:flush()
  S.wait_for("the network: " .. word, function() return T.read(self.file) == word end)
end

--- Nothing gets through, in silence; heal: what was sent meanwhile does after all. reset: connections are cut off.
function Network:cut() self:tell "cut" end
function Network:heal() self:tell "heal" end
function Network:reset() self:tell "reset" end

-- ---- the kernel's own network ----

local Namespace = {}
Namespace.__index = Namespace

local function ip(...) return T.exec { "ip", ... } end

--- A network namespace with one way to this machine, whose cable can be pulled; nil where none can be made: it takes root,
--- iproute2, and a kernel that has them. Fields: program (the words that run muster in it), address (of this machine there).
function M.namespace()
  if T.exec { "id", "-u" }.stdout ~= "0\n" or not T.exec { "sh", "-c", "command -v ip" }.stdout:find "ip" then return nil end
  local tag = T.exec { "sh", "-c", "od -An -N3 -tx1 /dev/urandom | tr -d ' \\n'" }.stdout
  local self = setmetatable({ name = "muster-test-" .. tag, link = "mt" .. tag }, Namespace)
  if ip("netns", "add", self.name).code ~= 0 then return nil end
  T.register("netns", self.name)
  local net = ("10.%d.%d."):format(200 + tonumber(tag:sub(1, 1), 16), tonumber(tag:sub(2, 3), 16))
  self.address = net .. "1"
  for _, words in ipairs { { "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name },
    { "addr", "add", net .. "1/30", "dev", self.link }, { "link", "set", self.link, "up" },
    { "-n", self.name, "addr", "add", net .. "2/30", "dev", "eth0" }, { "-n", self.name, "link", "set", "eth0", "up" },
    { "-n", self.name, "link", "set", "lo", "up" } } do
    local r = ip(table.unpack(words))
    if r.code ~= 0 then return nil end
  end
  self.program = { "ip", "netns", "exec", self.name, T.muster }
  return self
end

function Namespace:cut() assert(ip("link", "set", self.link, "down").code == 0) end
function Namespace:heal() assert(ip("link", "set", self.link, "up").code == 0) end

-- ---- agents ----

local agents, runs = {}, {}

local function add(words, ...)
  for _, word in ipairs { ... } do words[#words + 1] = word end
end

--- Start an agent, and wait until it takes work. at: a nats-server or a network. options: name, forks (4), groups, fleet
--- (whose key and known hosts it has), args, env, unready (do not wait), ack_wait (seconds), program (a list of words instead of muster). Returns what S.spawn
--- returns, with name.
function M.agent(at, options)
  local dir = T.tmpdir()
  local words = { "agent", "--nats", at.url, "-j", tostring(options.forks or 4), "--ack-wait",
    (options.ack_wait or M.ACK_WAIT) .. "s", "--log-format", "json", "--cache-dir", options.cache or dir .. "/cache" }
  local name = options.name or "agent" .. #agents + 1
  add(words, "--name", name)
  if options.groups then add(words, "--groups", options.groups) end
  if options.fleet then add(words, "--key", options.fleet.key, "--known-hosts", options.fleet.known_hosts, "--no-agent") end
  add(words, table.unpack(options.args or {}))
  local agent = S.spawn(words, { dir = dir, env = options.env, program = options.program }, 600)
  agent.name = name
  agents[#agents + 1] = agent
  if not options.unready then M.wait_ready(agent) end
  return agent
end

--- What an agent says when it takes work.
M.READY = '"Agent '
function M.wait_ready(agent) agent:wait_log(M.READY) end

--- Three of them, a, b and c; options as for M.agent.
function M.three(at, options)
  local three = {}
  for _, name in ipairs { "a", "b", "c" } do
    local with = { name = name, unready = true }
    for key, value in pairs(options) do with[key] = value end
    three[name] = M.agent(at, with)
  end
  for _, agent in pairs(three) do M.wait_ready(agent) end
  return three
end

--- End an agent in order; what Job:wait returns.
function M.stop(agent)
  agent:signal "TERM"
  agent.ended = true
  return agent:wait()
end

--- End it as a crash would, with all that it has started here.
function M.kill(agent)
  os.execute("kill -KILL " .. agent.pid .. " 2>/dev/null")
  agent.ended = true
  agent.pipe:close()
end

local function has_ended(pid)
  return os.execute("grep -qs '^State:[[:space:]]*[^Z[:space:]]' /proc/" .. pid .. "/status") == nil
end

--- End every agent that is still there, and runs: for after_each. Agents in order, so that no roster takes it for alive, but at once.
function M.end_all()
  for _ = 1, 2 do
    for _, agent in ipairs(agents) do
      if not agent.ended then os.execute("kill -TERM " .. agent.pid .. " 2>/dev/null") end
    end
    S.pause(0.05)
  end
  for _, agent in ipairs(agents) do
    for _ = 1, 200 do
      if agent.ended or has_ended(agent.pid) then break end
      S.pause()
    end
    if not agent.ended then M.kill(agent) end
  end
  for _, job in ipairs(runs) do -- of a test that failed
    if io.type(job.pipe) == "file" then M.kill(job) end
  end
  agents, runs = {}, {}
end

-- ---- runs ----

--- An inventory of n servers, s001 and so on, spread over the fleet's sshds; without keys. change(server, i): more fields,
--- or false to leave it out. Returns its path, and the ids.
function M.servers(fleet, n, change)
  local list, ids = {}, {}
  for i = 1, n do
    local real = fleet.servers[fleet.ids[(i - 1) % #fleet.ids + 1]]
    local server = { id = ("s%03d"):format(i), address = real.address, port = real.port, user = real.user }
    if not change or change(server, i) ~= false then
      list[#list + 1] = server
      ids[#ids + 1] = server.id
    end
  end
  return T.write(T.tmpdir() .. "/servers.json", cjson.encode { servers = list }), ids
end

local function arguments(at, servers, options)
  local words = { "-i", servers, "--nats", at.url }
  if not options.state then options.state = T.tmpdir() end
  add(words, "--state-dir", options.state)
  add(words, table.unpack(options.args or {}))
  return words
end

local function with_args(options, args)
  local with = {}
  for name, value in pairs(options) do with[name] = value end
  with.args = args
  return with
end

--- Run a script, given as text, by agents; what T.run_script returns. servers: an inventory's file. options: as
--- T.run_script has them, and state, a state folder.
function M.run(at, servers, script, options)
  options = options or {}
  return T.run_script(script, with_args(options, arguments(at, servers, options)))
end

--- The same in the background; what S.start returns, with state.
function M.start(at, servers, script, options)
  options = options or {}
  local job = S.start(script, with_args(options, arguments(at, servers, options)))
  job.state = options.state
  runs[#runs + 1] = job
  return job
end

--- Resume the run of a job that was ended, in the background.
function M.resume(at, job, ...)
  local dir = T.tmpdir()
  local resumed = S.spawn({ "resume", "--state-dir", job.state, "--nats", at.url, "--json", dir .. "/results.json",
    "--log-format", "json", ... }, { dir = dir })
  runs[#runs + 1] = resumed
  return resumed
end

-- ---- what came of it ----

--- A text without what differs from one run to the next, whoever does it: times, ids of runs, folders.
function M.still(text)
  return (text:gsub("%d+T%d+Z%-%x+", "RUN"):gsub("%d%d%d%d%-%d%d%-%d%dT[%d:.]+Z?", "TIME"):gsub("time=\"[%d.]+\"", "time")
    :gsub("%([%d.]+ s%)", "(TIME)"):gsub("/tmp/muster%-test%.%w+", "DIR"):gsub("hostname=\"[^\"]*\"", "hostname"))
end

-- Fields that differ likewise.
local CHANGING = { id = true, started = true, duration_s = true, script = true }

--- A report without what differs from one run of the same to the next.
function M.normal(results)
  local function strip(value, is_server)
    if type(value) == "string" then return M.still(value) end
    if type(value) ~= "table" then return value end
    local clean = {}
    for key, part in pairs(value) do
      if not CHANGING[key] or key == "id" and is_server then clean[key] = strip(part) end
    end
    return clean
  end
  local clean = strip(results)
  clean.servers = {}
  for i, server in ipairs(results.servers) do clean.servers[i] = strip(server, true) end
  return clean
end

--- By id, how often a text is in the log's lines of a server.
function M.count_by_server(log, text)
  local counts = {}
  for _, line in ipairs(log) do
    local id = line.server_id
    if id and line.event:find(text, 1, true) then counts[id] = (counts[id] or 0) + 1 end
  end
  return counts
end

--- Which agents did something, by the log: name → number of servers that it finished.
function M.workers(log)
  local counts = {}
  for _, line in ipairs(log) do
    if line.agent and line.event:find("Server finished: ", 1, true) then
      counts[line.agent] = (counts[line.agent] or 0) + 1
    end
  end
  return counts
end

--- A field of /proc/PID/status in KiB, such as VmHWM.
function M.kib(pid, field)
  return tonumber(T.read(("/proc/%d/status"):format(pid)):match(field .. ":%s+(%d+) kB"))
end

return M
