-- muster_test: what the specs of tests/integration and tests/lua share.
--
-- It runs the muster program that $MUSTER names against this machine (run_local) or against a fleet of real OpenSSH
-- servers (fleet_start). Folders and fleets are taken down when the spec's process ends, by whatever cause.
local cjson = require "cjson"

local M = {}

local function env(name)
  local value = os.getenv(name)
  return value or error("the environment variable " .. name .. " is not set: run the specs with ctest", 0)
end

M.source = env "MUSTER_SOURCE" -- the source tree
M.muster = env "MUSTER"        -- the program under test
M.fleet_program = M.source .. "/tests/support/fleet"
-- Seconds after which a program is taken for hung. A limit for what should never happen, not a measure of speed.
M.time_limit = tonumber(os.getenv "MUSTER_TEST_TIME_LIMIT" or 120)

-- ---- small things ----

--- The words as one shell command's words.
function M.quote(...)
  local words = {}
  for i, word in ipairs { ... } do
    words[i] = "'" .. tostring(word):gsub("'", "'\\''") .. "'"
  end
  return table.concat(words, " ")
end

function M.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

--- Write a file and return its path.
function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
  return path
end

function M.lines(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

-- The guard outlives this process however it ends: its end of the pipe says so. setsid, so that whoever kills this
-- process with all its children does not take the guard; cat, so that closing the pipe waits for its work.
local guard
--- Have something taken down when the spec ends: what is a word that fleet-guard knows.
function M.register(what, path)
  if not guard then
    guard = assert(io.popen("setsid --fork " .. M.quote(M.source .. "/tests/support/fleet-guard") .. " | cat", "w"))
  end
  assert(guard:write(what, " ", path, "\n"))
  guard:flush()
end

--- A new empty folder, gone when the spec ends.
function M.tmpdir()
  local pipe = assert(io.popen "mktemp -d \"${TMPDIR:-/tmp}/muster-test.XXXXXXXX\"")
  local dir = pipe:read "l"
  assert(pipe:close() and dir, "mktemp failed")
  M.register("dir", dir)
  return dir
end

-- ---- programs ----

--- Run a program with its arguments: { "prog", "arg", ..., stdin = text, env = { NAME = value or false }, cwd = dir,
--- timeout = seconds }. Returns { code =, signal =, stdout =, stderr = }; one that hangs is ended, and an error.
function M.exec(command)
  local dir = M.tmpdir()
  local words = { "timeout", "-k", "5", tostring(command.timeout or M.time_limit), "env" }
  for name, value in pairs(command.env or {}) do
    if not value then
      words[#words + 1] = "-u"
      words[#words + 1] = name
    end
  end
  for name, value in pairs(command.env or {}) do
    if value then words[#words + 1] = name .. "=" .. value end
  end
  local line = M.quote(table.unpack(words)) .. " " .. M.quote(table.unpack(command))
  local stdin = "/dev/null"
  if command.stdin then stdin = M.write(dir .. "/stdin", command.stdin) end
  local _, how, code = os.execute(("%sexec %s <%s >%s 2>%s"):format(
    command.cwd and "cd " .. M.quote(command.cwd) .. " && " or "", line, M.quote(stdin), M.quote(dir .. "/stdout"),
    M.quote(dir .. "/stderr")))
  local result = { stdout = M.read(dir .. "/stdout"), stderr = M.read(dir .. "/stderr") }
  if how == "exit" then result.code = code else result.signal = code end
  if code == 124 or code == 137 then
    error(("%s did not end within %s s; stdout:\n%s\nstderr:\n%s"):format(M.quote(table.unpack(command)),
      command.timeout or M.time_limit, result.stdout, result.stderr), 2)
  end
  return result
end

--- Run muster: { "run", "x.lua", ... }, with the fields that exec takes. The caller's own keys, agent and known hosts
--- are kept out: HOME is an empty folder unless env says otherwise.
function M.run(arguments)
  local command = { M.muster }
  for i, argument in ipairs(arguments) do command[i + 1] = argument end
  command.stdin, command.cwd, command.timeout = arguments.stdin, arguments.cwd, arguments.timeout
  command.env = { HOME = M.home(), SSH_AUTH_SOCK = false, NO_COLOR = false, XDG_STATE_HOME = false }
  for name, value in pairs(arguments.env or {}) do command.env[name] = value end
  return M.exec(command)
end

local home
function M.home()
  home = home or M.tmpdir()
  return home
end

-- ---- runs of a script ----

--- The log lines of --log-format json in a text; lines that are not JSON are an error.
function M.decode_log(text)
  local log = {}
  for _, line in ipairs(M.lines(text)) do
    local ok, decoded = pcall(cjson.decode, line)
    if not ok then error("not a JSON log line: " .. line, 2) end
    log[#log + 1] = decoded
  end
  return log
end

--- Run a script, given as text, with JSON results and a JSON log. options: args (more arguments), files (name → text:
--- more files beside the script), dir (instead of a new folder), and the fields that exec takes.
--- Returns what run returns, with results (the decoded report; nil when there is none), log (decoded lines), dir and
--- script.
function M.run_script(text, options)
  options = options or {}
  local dir = options.dir or M.tmpdir()
  local script = M.write(dir .. "/script.lua", text)
  for name, content in pairs(options.files or {}) do M.write(dir .. "/" .. name, content) end
  local arguments = { "run", script, "--json", dir .. "/results.json", "--log-format", "json" }
  for _, argument in ipairs(options.args or {}) do arguments[#arguments + 1] = argument end
  for _, name in ipairs { "stdin", "cwd", "timeout", "env" } do arguments[name] = options[name] end
  os.remove(dir .. "/results.json")
  local result = M.run(arguments)
  result.dir, result.script = dir, script
  local file = io.open(dir .. "/results.json", "rb")
  if file then
    result.results = cjson.decode(file:read "a")
    file:close()
    result.log = M.decode_log(result.stderr)
  else
    -- It did not run: standard error has muster's own complaint.
    result.log = {}
  end
  return result
end

--- The same on this machine, without SSH; with no server in args: on one server named localhost.
function M.run_local(text, options)
  options = options or {}
  local arguments = { "--local" }
  for _, argument in ipairs(options.args or {}) do arguments[#arguments + 1] = argument end
  local with = {}
  for name, value in pairs(options) do with[name] = value end
  with.args = arguments
  return M.run_script(text, with)
end

--- The same, of a script that must have run. Also returned: steps, those of the first server, by their names.
function M.run_steps(text, options)
  local result = M.run_local(text, options)
  if not result.results then error(result.stderr, 2) end
  result.steps = {}
  for _, step in ipairs(result.results.servers[1].steps) do result.steps[step.name] = step end
  return result
end

--- The log line whose message holds this plain text, or nil.
function M.find_log(log, text)
  for _, line in ipairs(log) do
    for _, value in pairs(line) do
      if type(value) == "string" and value:find(text, 1, true) then return line end
    end
  end
end

--- The first log line of a server in what run_script returned whose message matches this pattern, or false.
function M.has_line(result, server, pattern)
  for _, line in ipairs(result.log) do
    if line.server_id == server and line.event:find(pattern) then return line end
  end
  return false
end

-- ---- fleets ----

local Fleet = {}
Fleet.__index = Fleet

function Fleet:command(...)
  local result = M.exec { M.fleet_program, ... }
  if result.code ~= 0 then error(M.quote(...) .. ": " .. result.stderr, 3) end
  return result.stdout
end

function Fleet:reload()
  self.servers, self.ids = {}, {}
  for _, line in ipairs(M.lines(M.read(self.dir .. "/servers"))) do
    local id, address, port, user, key = line:match "^(%S+) (%S+) (%d+) (%S+) (%S+)$"
    self.servers[id] = { id = id, address = address, port = tonumber(port), user = user, key = key }
    self.ids[#self.ids + 1] = id
  end
end

--- Start count real OpenSSH servers, srv01 and so on. Fields: dir, ids, servers[id] = { id, address, port, user, key },
--- inventory (a file for -i), known_hosts, key.
function M.fleet_start(count)
  local self = setmetatable({ dir = M.tmpdir() }, Fleet)
  M.register("fleet", self.dir)
  self:command("start", self.dir, count)
  self.inventory = self.dir .. "/inventory.json"
  self.known_hosts = self.dir .. "/known_hosts"
  self.key = self.dir .. "/id_ed25519"
  self:reload()
  return self
end

--- One more server; extra_config is sshd_config text that comes before the usual, or nil.
function Fleet:add(name, extra_config)
  if extra_config then
    self:command("sshd", self.dir, name, M.write(self.dir .. "/extra-" .. name, extra_config))
  else
    self:command("sshd", self.dir, name)
  end
  self:reload()
  return self.servers[name]
end

--- End one server and its sessions at once.
function Fleet:kill(name) self:command("kill", self.dir, name) end

--- Start it again on the same port.
function Fleet:restart(name) self:command("restart", self.dir, name) end

--- A command on one server with the ssh program: what exec returns.
function Fleet:ssh(name, command)
  local server = self.servers[name]
  return M.exec { "ssh", "-n", "-F", "none", "-i", self.key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
    "-o", "UserKnownHostsFile=" .. self.known_hosts, "-o", "StrictHostKeyChecking=yes", "-p", server.port,
    server.user .. "@" .. server.address, command }
end

--- The server's own log so far.
function Fleet:log(name) return M.read(self.dir .. "/" .. name .. "/log") end

--- Run a script, given as text, on the fleet; as run_script.
function Fleet:run(text, options)
  options = options or {}
  local arguments = { "-i", self.inventory, "--known-hosts", self.known_hosts }
  for _, argument in ipairs(options.args or {}) do arguments[#arguments + 1] = argument end
  local with = {}
  for name, value in pairs(options) do with[name] = value end
  with.args = arguments
  return M.run_script(text, with)
end

function Fleet:stop() self:command("stop", self.dir) end

return M
