-- ssh_support: what the specs of tests/integration share beyond muster_test: inventories of odd servers, muster in the
-- background, agents, and questions to the processes of this machine.
local cjson = require "cjson"
local T = require "muster_test"

local M = {}

-- ---- waiting for what another process does ----

--- A short rest between two looks.
function M.pause(seconds)
  os.execute("sleep " .. (seconds or 0.05))
end

--- Look until a condition holds and return what it gave; an error when it never does. what: its words, or a function that
--- gives them then. pause: seconds between two looks, for looks that cost much.
function M.wait_for(what, condition, pause)
  local until_time = os.time() + T.time_limit
  repeat
    local value = condition()
    if value then return value end
    M.pause(pause)
  until os.time() > until_time
  error("never came: " .. (type(what) == "function" and what() or what), 2)
end

function M.exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

-- ---- inventories ----

--- An inventory file of these servers (what JSON inventories hold), in this order. Returns its path.
function M.inventory(dir, servers)
  local lines = {}
  for i, server in ipairs(servers) do lines[i] = cjson.encode(server) end
  return T.write(dir .. "/inventory.json", "[\n" .. table.concat(lines, ",\n") .. "\n]\n")
end

--- An entry of an inventory for one of a fleet's servers, under another id and with variables.
function M.entry(server, id, vars)
  return { id = id, address = server.address, port = server.port, user = server.user, key = server.key, vars = vars }
end

--- A new key pair; options are more words for ssh-keygen, such as -N and a passphrase. Returns the private key's path.
function M.keygen(path, ...)
  local words = { ... }
  if #words == 0 then words = { "-N", "" } end
  assert(T.exec { "ssh-keygen", "-q", "-t", "ed25519", "-C", "spec", "-f", path, table.unpack(words) }.code == 0)
  return path
end

-- ---- helpers that run until the spec ends ----

local held = {} -- the pipes whose end ends them
--- Run a program that ends when its standard input does, which this spec's end sees to.
function M.hold(...)
  local pipe = assert(io.popen(T.quote(...), "w"))
  held[#held + 1] = pipe
  return pipe
end

--- Something that listens on a loopback port and is no SSH server. Returns the port.
function M.odd_server(what)
  local file = T.tmpdir() .. "/port"
  M.hold(T.source .. "/tests/support/odd-server", what, "port", file)
  return tonumber(M.wait_for("the odd server's port", function() return M.exists(file) and T.read(file) end))
end

--- A real ssh-agent; returns its socket.
function M.agent()
  local socket = T.tmpdir() .. "/agent"
  M.hold(T.source .. "/tests/support/until-eof", "sh", "-c",
    "exec ssh-agent -D -a " .. T.quote(socket) .. " >/dev/null 2>&1")
  M.wait_for("the agent", function()
    return T.exec { "ssh-add", "-l", env = { SSH_AUTH_SOCK = socket } }.code ~= 2
  end)
  return socket
end

--- An agent that accepts and never answers; returns its socket.
function M.silent_agent()
  local socket = T.tmpdir() .. "/agent"
  M.hold(T.source .. "/tests/support/odd-server", "silent", socket)
  M.wait_for("the agent", function() return T.exec { "test", "-S", socket }.code == 0 end)
  return socket
end

-- ---- muster in the background ----

local Job = {}
Job.__index = Job

--- Start muster with these words, in the background: a job with pid, dir, which has stdout and stderr. What hangs is ended
--- after `seconds`, and whatever it is when this process ends. options: dir, env, program (a list of words
--- instead of muster).
function M.spawn(arguments, options, seconds)
  local dir = options.dir or T.tmpdir()
  local words = { "env", "-u", "SSH_AUTH_SOCK", "-u", "XDG_STATE_HOME", "HOME=" .. T.home() }
  for name, value in pairs(options.env or {}) do words[#words + 1] = name .. "=" .. value end
  -- An alarm survives exec: what hangs is ended by it, and that is not an exit code. A test that runs in the
  -- background of a shell has SIGINT ignored, and muster would respect that.
  for _, word in ipairs { "setpriv", "--pdeathsig", "KILL", "perl", "-e",
    "$SIG{$_} = q(DEFAULT) for qw(INT TERM HUP); alarm shift; exec @ARGV", tostring(seconds or T.time_limit) } do
    words[#words + 1] = word
  end
  for _, word in ipairs(options.program or { T.muster }) do words[#words + 1] = word end
  for _, word in ipairs(arguments) do words[#words + 1] = word end
  local self = setmetatable({ dir = dir }, Job)
  self.pipe = assert(io.popen(("echo $$; exec %s </dev/null >%s 2>%s"):format(T.quote(table.unpack(words)),
    T.quote(dir .. "/stdout"), T.quote(dir .. "/stderr"))))
  self.pid = tonumber(self.pipe:read "l")
  return self
end

--- Start a run: as T.run_script, but returns at once what M.spawn returns. options: args, env, dir.
function M.start(script, options)
  local dir = options.dir or T.tmpdir()
  local words = { "run", T.write(dir .. "/script.lua", script), "--json", dir .. "/results.json", "--log-format", "json" }
  for _, word in ipairs(options.args or {}) do words[#words + 1] = word end
  return M.spawn(words, { dir = dir, env = options.env })
end

--- The same on a fleet.
function M.start_on(fleet, script, options)
  local args = { "-i", fleet.inventory, "--known-hosts", fleet.known_hosts }
  for _, word in ipairs(options.args or {}) do args[#args + 1] = word end
  return M.start(script, { dir = options.dir, env = options.env, args = args })
end

function Job:stderr()
  local path = self.dir .. "/stderr"
  return M.exists(path) and T.read(path) or "" -- the shell may not have made it yet
end

--- Wait until the log holds this text count times (once when not given).
function Job:wait_log(text, count)
  local function wanted()
    return ("in the log, %d times: %s\nthe log ends:\n%s"):format(count or 1, text, self:stderr():sub(-4000))
  end
  M.wait_for(wanted, function()
    local seen, at = 0, 1
    local log = self:stderr()
    while true do
      local first, last = log:find(text, at, true)
      if not first then break end
      seen, at = seen + 1, last + 1
    end
    return seen >= (count or 1)
  end)
end

function Job:signal(name) assert(os.execute(("kill -%s %d"):format(name, self.pid))) end

--- Wait for its end; returns what T.run_script returns.
function Job:wait()
  local _, how, code = self.pipe:close()
  local result = { stdout = T.read(self.dir .. "/stdout"), stderr = self:stderr(), dir = self.dir }
  if how == "exit" then result.code = code else result.signal = code end
  result.log = T.decode_log(result.stderr)
  if M.exists(self.dir .. "/results.json") then result.results = cjson.decode(T.read(self.dir .. "/results.json")) end
  return result
end

-- ---- results ----

--- The servers of a decoded report, by id.
function M.by_id(results)
  local servers = {}
  for _, server in ipairs(results.servers) do servers[server.id] = server end
  return servers
end

--- Every failure of a server of the report: of its steps and its own, in this order.
function M.failures(server)
  local all = {}
  for _, step in ipairs(server.steps) do
    for _, failure in ipairs(step.failures) do all[#all + 1] = failure end
  end
  for _, failure in ipairs(server.failures) do all[#all + 1] = failure end
  return all
end

-- ---- processes of this machine, where the fleet's servers run ----

--- A number that no other process has in its arguments: `sleep 98765.123`.
local marks = 0
function M.mark()
  marks = marks + 1
  local random = assert(io.open("/dev/urandom", "rb"))
  local a, b, c = random:read(3):byte(1, 3)
  random:close()
  return ("98765.%03d%03d%03d%d"):format(a, b, c, marks)
end

--- Pids of the live processes whose arguments hold the mark, this function's own apart.
function M.marked(mark)
  local pids = {}
  local pipe = assert(io.popen "ps -eo pid=,stat=,args= ww")
  for line in pipe:lines() do
    local pid, state, arguments = line:match "^%s*(%d+)%s+(%S+)%s+(.*)$"
    if pid and not state:find "Z" and arguments:find(mark, 1, true) then pids[#pids + 1] = tonumber(pid) end
  end
  pipe:close()
  return pids
end

return M
