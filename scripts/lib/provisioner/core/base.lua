-- What every operation of a provisioner shares: asking for a state or a change, places in flight, the errors' words.
local muster = require "muster"
local asking = require "provisioner.core.asking"

local STATES = { clean = true, installed = true, busy = true, failed = true, other = true }
-- What state says may be from before the call that it follows, for so long.
local STALE_SECONDS = 5

local P = {}
P.__index = P
P.STALE_SECONDS = STALE_SECONDS
-- What the provisioner's own restart cut short is asked for again; more often than this is no accident.
P.TRIES_WHEN_INTERRUPTED = 3

--- What a driver is told of a server.
function P:node(server)
  local vars = server.vars
  return { name = tostring(vars.provisioner_id or server.id), id = server.id, address = server.address, vars = vars }
end

--- Holds one of the places in flight until it is closed. Whoever gives a server back goes first: else destroying would
--- wait behind every install that is still to come.
function P:permit(first) return muster.semaphore(self.key, self.max_in_flight):acquire { first = first } end

-- ---- words and errors ----

function P:describe(s)
  return asking.line(s.detail and s.detail ~= s.state and ("%s (%s)"):format(s.detail, s.state) or s.state)
end

function P:why_not_clean(s)
  if s.broken then return "it is marked as broken: " .. (asking.line(s.broken) or "without a reason") end
  if s.tag then return "it is claimed by " .. asking.line(s.tag) end
  return "it is not in its clean state: " .. self:describe(s)
end

--- Not ours to touch. kind folds over servers in the summary, details do not.
function P:server_state(node, kind, details)
  local message = ("%s: %s: %s%s"):format(self.name, node.name, kind, details and ": " .. details or "")
  return asking.typed("ServerStateError", message, { cause = self.name .. ": " .. kind })
end

function P:not_clean(node, s)
  local kind = s.broken and "it is marked as broken" or s.tag and "it is claimed by someone else" or
    "it is not in its clean state"
  return self:server_state(node, kind, s.broken and asking.line(s.broken) or s.tag and asking.line(s.tag) or
    self:describe(s))
end

--- The provisioner says that it failed, for this server.
function P:operation_failed(operation, node, s, why)
  local words = asking.line(s.words)
  local what = ("%s failed: %s"):format(operation, why or asking.line(s.detail) or s.state)
  local message = ("%s: %s: %s%s"):format(self.name, node.name, what, words and ": " .. words or "")
  if s.interrupted then -- by the provisioner itself, again and again: that says nothing of the server
    return asking.typed("ProvisionerError", message, { cause = what, words = words, retryable = true })
  end
  return asking.typed("ServerOperationError", message, { cause = what, operation = operation, server = node.id,
    provisioner = self.name, words = words or why or s.detail, retryable = false })
end

function P:too_late(doing, node, s, seconds)
  local message = ("%s: %s: %s was not finished within %d s: %s"):format(self.name, node.name, doing, seconds,
    self:describe(s))
  return asking.typed("TimeoutError", message,
    { cause = ("%s was not finished: %s"):format(doing, s.detail or s.state) })
end

function P:cannot(doing, node, err) return asking.as_provisioner_error(err, self.name, doing .. " " .. node.name) end

-- ---- asking ----

--- What is there now; asked again while that cannot be told, until deadline.
function P:look(node, deadline)
  local patience = asking.patience(deadline)
  while true do
    local ok, s = pcall(self.driver.state, node)
    if ok then
      if type(s) ~= "table" or not STATES[s.state] then
        error(("the driver %s: state(node) returned no table whose state is clean, installed, busy, failed or other")
          :format(self.name), 0)
      end
      return s
    elseif asking.kind(s) == "unknown" then
      error(self:server_state(node, "the provisioner does not know it"))
    elseif not patience(s) then
      error(self:cannot("state of", node, s))
    end
  end
end

--- Ask for a change. Returns true: accepted. Else false and the error: whether it was accepted all the same (an answer
--- may get lost) only state can tell.
function P:change(what, ...)
  local ok, err = pcall(self.driver[what], ...)
  if ok then return true end
  if not asking.kind(err) then error(err) end
  muster.log.debug("The provisioner did not take it.", { operation = what, cause = asking.words(err) })
  return false, err
end

--- Remembers a state before a call: old(s) says whether s may still be from before.
function P:staleness(before)
  local asked_at = os.time()
  return function(s)
    return s.state == before.state and s.detail == before.detail and s.words == before.words and
      os.time() - asked_at < STALE_SECONDS
  end
end

function P.never() return false end

return P
