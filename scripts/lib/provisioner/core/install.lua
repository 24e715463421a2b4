-- Installing: claim, ask, see it through. What state shows decides, not the answers alone: these may get lost.
local muster = require "muster"
local asking = require "provisioner.core.asking"
local P = require "provisioner.core.base"

--- Put our tag on a clean node. Returns true, or false and what is there instead.
function P:take(node, claim, deadline)
  if not self.driver.claim then return true end
  local patience = asking.patience(deadline)
  while true do
    local accepted, err = self:change("claim", node, claim)
    if muster.run.dry_run then return true end
    -- Read back: the answer may have been lost, or someone else's claim have come in between.
    local s = self:look(node, deadline)
    if s.tag == claim.tag then return true end
    if s.tag or s.state ~= "clean" or s.broken then return false, s end
    if accepted then error(self:server_state(node, "it took our claim, and does not show it")) end
    if not patience(err) then error(self:cannot("claim of", node, err)) end
  end
end

--- The call was not taken, and is not to be made again: true when the install goes on all the same.
function P:was_accepted(node, claim, deadline, err)
  local s = self:look(node, deadline)
  local ours = s.tag == claim.tag
  if ours and s.state ~= "clean" and s.state ~= "other" and not s.broken then return true end
  if s.state ~= "clean" or s.broken or s.tag and not ours then
    if ours then s.tag = nil end -- that is not why
    error(self:server_state(node, "the install was refused", self:why_not_clean(s) .. ": " .. asking.words(err)))
  end
  error(self:cannot("install of", node, err))
end

function P:see_installed(node, os_name, claim, deadline)
  local patience, wait = asking.patience(deadline), asking.pauses(self.poll, self.poll_longest)
  local accepted, begun, tries, is_old = false, false, 0, P.never
  while true do
    local s = self:look(node, deadline)
    local ours = s.tag == claim.tag
    -- A driver without claim puts the tag on with its install; until that has begun there may be none.
    if not ours and (s.tag or begun or self.driver.claim) then
      error(self:server_state(node, "it is no longer ours", s.tag and self:why_not_clean(s) or
        "our claim was taken off"))
    end
    local again = s.state == "failed" and s.interrupted and tries < P.TRIES_WHEN_INTERRUPTED
    if s.state == "installed" and ours then
      return
    elseif s.state == "clean" and begun then
      error(self:operation_failed("install", node, s, "it went back to " .. self:describe(s)))
    elseif s.state == "clean" and not accepted or again and not is_old(s) then
      if s.broken then error(self:not_clean(node, s)) end
      local err
      accepted, err = self:change("install", node, os_name, claim)
      tries, is_old = tries + 1, self:staleness(s)
      if not accepted and not patience(err) then accepted = self:was_accepted(node, claim, deadline, err) end
    elseif s.state == "failed" and not is_old(s) then
      error(self:operation_failed("install", node, s))
    elseif s.state == "busy" and ours then
      begun = true
    end
    if os.time() >= deadline then error(self:too_late("install", node, s, self.install_timeout)) end
    wait()
  end
end

local function uuid()
  local file <close> = assert(io.open "/proc/sys/kernel/random/uuid")
  return file:read "l"
end

--- Install an operating system. The server has to be in its clean state, claimed by nobody and not marked as broken:
--- else ServerStateError, and it was not touched. Returns a table that server:connect takes. ServerOperationError: the
--- provisioner says that it failed. ProvisionerError: it could not be asked, or refused the request.
function P:install(server, os_name)
  local _ <close> = self:permit(false)
  local deadline, node = os.time() + self.install_timeout, self:node(server)
  local s = self:look(node, deadline)
  if s.state ~= "clean" or s.tag or s.broken then error(self:not_clean(node, s)) end
  local tag, attempt = muster.run.id .. "/" .. server.id, nil
  if muster.run.attempt > 1 then -- so that what an earlier one still does late takes ours for somebody else's
    attempt = muster.run.attempt
    tag = tag .. "/" .. attempt
  end
  local claim = { provisioner = self.name, node = node.name, os = os_name, phase = "claiming", uuid = uuid(), tag = tag,
    run = muster.run.id, server = server.id, attempt = attempt, owner = muster.run.owner }
  -- First the journal, then the claim there, then the call: whatever ends this process in between, what is there is
  -- known. (In a dry run the journal is not written, and what would be sent is logged.)
  server:claim(claim)
  local taken, other = self:take(node, claim, deadline)
  if not taken then
    server:release()
    error(self:not_clean(node, other))
  end
  claim.phase = "installing"
  server:update_claim(claim)
  if muster.run.dry_run then
    self:change("install", node, os_name, claim)
    return {}
  end
  muster.log.info("Installing.", { os = os_name, provisioner = self.name })
  self:see_installed(node, os_name, claim, deadline)
  muster.log.info("Installed.", { os = os_name, provisioner = self.name })
  return self.driver.access and self.driver.access(node) or {}
end

return P
