-- house_support: an in-house provisioner API for a spec (tests/support/house says what it is and how it misbehaves).
local cjson = require "cjson"
local S = require "ssh_support"
local T = require "muster_test"

local M = {}

local House = {}
House.__index = House

--- Start one with these machines: name → fields. token: it asks for this. Fields: dir, url.
function M.start(machines, token)
  local self = setmetatable({ dir = T.tmpdir() }, House)
  T.write(self.dir .. "/machines.json", cjson.encode(machines))
  if token then T.write(self.dir .. "/token", token) end
  return self:open()
end

function House:open()
  os.remove(self.dir .. "/ready")
  -- The other end of this pipe ends it, also when this process is killed.
  self.pipe = assert(io.popen(T.quote(T.source .. "/tests/support/house", self.dir), "w"))
  S.wait_for("the house API", function() return S.exists(self.dir .. "/ready") end)
  self.url = "http://127.0.0.1:" .. T.read(self.dir .. "/port")
  return self
end

function House:stop()
  if self.pipe then self.pipe:close() end
  self.pipe = nil
end

--- All requests are answered 503 from now on; or no longer.
function House:set_down(down)
  if down then T.write(self.dir .. "/down", "") else os.remove(self.dir .. "/down") end
end

--- The machines as they are: name → { status, owner, fault, message }.
function House:machines() return cjson.decode(T.read(self.dir .. "/machines.now.json")) end

--- The requests so far that match a pattern, such as "^POST", as "METHOD PATH STATUS OWNER".
function House:requests(pattern)
  local found = {}
  for _, line in ipairs(S.exists(self.dir .. "/log") and T.lines(T.read(self.dir .. "/log")) or {}) do
    if line:find(pattern or "") then found[#found + 1] = line end
  end
  return found
end

return M
