-- ironic_support: a real OpenStack Ironic for a spec, and what it says of its nodes. tests/support/ironic does the work and
-- says how nodes are made to fail.
local cjson = require "cjson"
local S = require "ssh_support"
local T = require "muster_test"

local M = {}
M.program = T.source .. "/tests/support/ironic"

local Ironic = {}
Ironic.__index = Ironic

-- As S.wait_for, for what Ironic is asked: a question costs it and us about as much as a step of an installation.
function M.wait_for(what, condition) return S.wait_for(what, condition, 0.2) end

function Ironic:command(what, ...)
  local result = T.exec { M.program, what, self.dir, ... }
  if result.code ~= 0 then error(("ironic %s: %s"):format(what, result.stderr), 3) end
  return result.stdout
end

--- Start an Ironic with these options of `ironic start`, without nodes. Fields: dir, url.
function M.start(...)
  local self = setmetatable({ dir = T.tmpdir() }, Ironic)
  T.register("ironic", self.dir)
  return self:start(...)
end

--- Start it again, after stop or kill: the same nodes, the same port; options as of start, the former are forgotten.
function Ironic:start(...)
  self.url = self:command("start", ...):match "%S+"
  return self
end

--- End it in good order; end it as a crash would.
function Ironic:stop() self:command "stop" end
function Ironic:kill() self:command "kill" end

--- Add nodes: "srv01", "srv02=deploy" and so on; or "--count", n.
function Ironic:enroll(...) self:command("enroll", ...) end

--- Remove all nodes. What is under way on one is waited for.
function Ironic:clear() self:command "clear" end

--- One request to /v1/path, with a table as its body or none. Returns the status and the body, decoded when it is JSON.
function Ironic:call(method, path, body)
  local out = self:command("call", method, path, body and cjson.encode(body))
  local status, text = out:match "^(%d+)\n(.*)\n$"
  local ok, decoded = pcall(cjson.decode, text)
  return tonumber(status), ok and decoded or text
end

--- A request that is to be answered with this status; while the node is locked at the moment it is made again.
function Ironic:ask(expected, method, path, body)
  local status, answer
  M.wait_for(function() return ("%s %s: %s, got %s: %s"):format(method, path, expected, status, cjson.encode(answer)) end,
    function()
      status, answer = self:call(method, path, body)
      return status == expected or status ~= 409 and error(("%s %s: %s: %s"):format(method, path, status, answer), 0)
    end)
end

--- Set one field of a node, such as "/instance_uuid".
function Ironic:patch(name, path, value)
  self:ask(200, "PATCH", "nodes/" .. name, { { op = "add", path = path, value = value } })
end

--- Put a node into maintenance.
function Ironic:maintain(name, reason) self:ask(202, "PUT", ("nodes/%s/maintenance"):format(name), { reason = reason }) end

--- As an operator moves a node: "manage", "provide" and so on, until it is in this state.
function Ironic:provision(name, target, state)
  self:ask(202, "PUT", ("nodes/%s/states/provision"):format(name), { target = target })
  M.wait_for(name .. " " .. state, function() return self:nodes()[name].provision_state == state end)
end

--- What Ironic itself says: its nodes by name; fields that are null there are absent.
function Ironic:nodes()
  local nodes = {}
  for _, node in ipairs(cjson.decode(self:command "nodes")) do
    for key, value in pairs(node) do
      if value == cjson.null then node[key] = nil end
    end
    nodes[node.name] = node
  end
  return nodes
end

--- How many nodes are in each provision state: { available = 7, active = 3 }.
function Ironic:states()
  local states = {}
  for _, node in pairs(self:nodes()) do
    states[node.provision_state] = (states[node.provision_state] or 0) + 1
  end
  return states
end

--- What it was asked since its last start, from its own log: "METHOD PATH STATUS", without queries; those that match a
--- pattern.
function Ironic:requests(pattern)
  self:call("GET", "nodes?limit=1") -- it logs a request just after its answer, and before the next one
  local found = {}
  for method, path, status in T.read(self.dir .. "/log"):gmatch '"(%u+) (%S+) HTTP/1.1" status: (%d+)' do
    local request = ("%s %s %s"):format(method, path:gsub("%?.*", ""), status)
    if request:find(pattern or "") then found[#found + 1] = request end
  end
  return found
end

-- ---- scripts ----

--- A script that installs its server through this Ironic, measures a score of 51 (good), destroys, and marks as broken.
--- options, Lua text for its place: config (sets fields of `config`), driver (wraps functions of `driver`), setup (before
--- the install), step (which may return another score), more (further fields of the script). In it, pause(name) logs
--- "at NAME" and waits until the spec writes the file NAME into dir.
function Ironic:script(dir, options)
  return ([[
    local muster = require "muster"
    local provisioner = require "provisioner"
    local config = { url = %q, poll = "50ms", poll_longest = "250ms" }
    local function pause(name)
      muster.log.info("at " .. name)
      while true do
        local file = io.open(%q .. "/" .. name)
        if file then return file:close() end
        muster.sleep(0.05)
      end
    end
    %s
    local driver = require "provisioner.ironic"(config)
    %s
    local p = provisioner.new(driver, config)
    return muster.script {
      setup = function(server) %s p:install(server, "debian-12") end,
      teardown = function(server) p:destroy(server) end,
      mark = function(server, verdict) return p:mark_as_broken(server, verdict.reason) end,
      max_broken = 100, confirm = 0, timeout = "110s", setup_timeout = "100s", teardown_timeout = "100s",
      steps = { { name = "s", run = function(server) %s return 51 end, thresholds = { score = { min = 50 } } } },
      %s
    }]]):format(self.url, dir, options.config or "", options.driver or "",
      options.setup or "", options.step or "", options.more or "")
end

--- Start it on these servers (ids, or more arguments of muster); returns a job, as S.start does. options: as above, and
--- dir, env, text (another script). The journal is in dir/state.
function Ironic:start_run(servers, options)
  options = options or {}
  local dir = options.dir or T.tmpdir()
  local args = { "--local", "--state-dir", dir .. "/state", "--log-level", "debug" }
  for _, word in ipairs(servers) do args[#args + 1] = word end
  return S.start(options.text or self:script(dir, options), { dir = dir, args = args, env = options.env })
end

--- The same to its end: returns what T.run_script returns, and servers, those of the report by id.
function Ironic:run(servers, options)
  return M.ended(self:start_run(servers, options))
end

--- A job's end, in the same form.
function M.ended(job)
  local result = job:wait()
  assert(result.results, result.stderr)
  result.servers = S.by_id(result.results)
  return result
end

--- Type and message of a server's first failure that has a type (a skipped step has none); where: "setup" and so on, or
--- anywhere.
function M.failure_of(result, id, where)
  for _, failure in ipairs(S.failures(result.servers[id])) do
    if type(failure.type) == "string" and (not where or failure.where == where) then return failure.type, failure.message end
  end
end

return M
