-- ironic_support: a real OpenStack Ironic for a spec, and what it says of its nodes. tests/support/ironic does the work and
-- says how nodes are made to fail.
local cjson = require "cjson"
local T = require "muster_test"

local M = {}
M.program = T.source .. "/tests/support/ironic"

local Ironic = {}
Ironic.__index = Ironic

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

--- One request to /v1/path, with a table as its body or none. Returns the status and the body, decoded when it is JSON.
function Ironic:call(method, path, body)
  local out = self:command("call", method, path, body and cjson.encode(body))
  local status, text = out:match "^(%d+)\n(.*)\n$"
  local ok, decoded = pcall(cjson.decode, text)
  return tonumber(status), ok and decoded or text
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

return M
