-- Destroying: only what this run installed, as the tag says just before the call; done when the server is clean again.
local muster = require "muster"
local asking = require "provisioner.core.asking"
local P = require "provisioner.core.base"

-- A claim or an install whose call was cut short may be taken so long after.
local LATE_SECONDS = 5

--- A clean node with our tag: nothing was installed, or the tag outlived it. Take the tag off.
function P:give_back(node, claim, deadline)
  local patience = asking.patience(deadline)
  while true do
    local accepted, err = true, nil
    if self.driver.unclaim then accepted, err = self:change("unclaim", node, claim) end
    local s = self:look(node, deadline)
    if s.tag ~= claim.tag or s.state ~= "clean" then return end
    if accepted then
      error(asking.typed("ProvisionerError", ("%s: %s still has our claim on it: the driver's %s does not take it off")
        :format(self.name, node.name, self.driver.unclaim and "unclaim" or "destroy"),
        { cause = self.name .. ": a claim cannot be taken off" }))
    end
    if not patience(err) then error(self:cannot("release of", node, err)) end
  end
end

--- What to do about what is there: "gone", "lost" (no longer ours), "give back", "ask", "wait", "failed".
---   claim.phase: "claiming": install was never asked for; "installing": it was; "destroying": destroy was, too, and a
---   provisioner may take our tag off before that ends; then nobody's is as good as ours, since someone else's install
---   begins at clean, with a tag.
local function decide(s, claim, asked, is_old)
  local ours = s.tag == claim.tag
  if s.tag and not ours then return claim.phase == "installing" and "lost" or "gone" end
  if s.state == "clean" then return ours and "give back" or "gone" end
  if not ours and claim.phase == "claiming" then return "gone" end
  if not ours and claim.phase == "installing" then return "lost" end
  if s.state == "busy" and not (ours and s.abortable) then return "wait" end
  if not ours and s.state ~= "failed" then return asked and "wait" or "lost" end
  if not asked then return "ask" end
  if s.state ~= "failed" or is_old(s) then return "wait" end
  return s.interrupted and "ask" or "failed"
end

--- The call was not taken, and is not to be made again: true when the server is being destroyed all the same.
function P:is_being_destroyed(node, claim, deadline, err)
  local s = self:look(node, deadline)
  if s.state == "busy" then return true end
  if s.state == "clean" then return false end -- the caller sees what that means
  if asking.kind(err) ~= "refused" then error(self:cannot("destroy of", node, err)) end
  if s.tag and s.tag ~= claim.tag then return false end
  if s.state == "other" then -- brought about by people: that says nothing of the server
    error(self:server_state(node, "it cannot be destroyed as it is", self:describe(s) .. ": " .. asking.words(err)))
  end
  -- What it refuses to mend after its own restart is not the server's fault, either.
  s.words = (s.interrupted and s.words .. " " or "") .. asking.words(err)
  error(self:operation_failed("destroy", node, s))
end

function P:see_destroyed(server, node, claim, deadline)
  local patience, wait = asking.patience(deadline), asking.pauses(self.poll, self.poll_longest)
  local asked, tries, is_old, clean_since = false, 0, P.never, nil
  local function waited_for_late()
    clean_since = clean_since or os.time()
    return os.time() - clean_since >= LATE_SECONDS
  end
  while true do
    local s = self:look(node, deadline)
    local now = decide(s, claim, asked, is_old)
    if now == "ask" and claim.phase ~= "destroying" then
      claim.phase = "destroying"
      server:update_claim(claim)
      s = self:look(node, deadline) -- just before the call: is it still ours?
      now = s.tag == claim.tag and decide(s, claim, asked, is_old) or "look again"
      if now == "look again" then claim.phase = "installing" end
    end
    local unheard = not asked and claim.phase ~= "destroying" and s.state == "clean" and not s.tag
    if now == "gone" and unheard and not waited_for_late() then now = "wait" end
    if now == "gone" then
      return
    elseif now == "lost" then
      server:release() -- nothing of ours is there any more
      error(self:server_state(node, "it is no longer ours, and was left alone",
        s.tag and self:why_not_clean(s) or "our claim was taken off, it is " .. self:describe(s)))
    elseif now == "failed" or now == "ask" and tries >= P.TRIES_WHEN_INTERRUPTED then
      error(self:operation_failed("destroy", node, s))
    elseif now == "ask" then
      local err
      asked, err = self:change("destroy", node, claim)
      is_old = self:staleness(s)
      if not asked and not patience(err) then asked = self:is_being_destroyed(node, claim, deadline, err) end
      tries = tries + (asked and 1 or 0)
    elseif now == "give back" then
      if asked or claim.phase ~= "installing" or waited_for_late() then self:give_back(node, claim, deadline) end
    end
    if os.time() >= deadline then error(self:too_late("destroy", node, s, self.destroy_timeout)) end
    wait()
  end
end

--- Destroy what this run installed, and end when the server is clean again. Nothing to do where it has no claim.
--- ServerStateError: it is no longer ours, and was left alone. ServerOperationError: the provisioner says that it
--- failed.
function P:destroy(server)
  local node = self:node(server)
  local claim = server:claimed()
  if not claim then return end
  if claim.provisioner ~= self.name then
    error(asking.typed("ProvisionerError", ("%s: %s was claimed through %s")
      :format(self.name, node.name, claim.provisioner)))
  end
  node.name = claim.node -- as it was then, whatever the inventory says now
  if muster.run.dry_run then
    self:change("destroy", node, claim)
    server:release()
    return
  end
  local _ <close> = self:permit(true)
  muster.log.info("Destroying the installation.", { provisioner = self.name })
  self:see_destroyed(server, node, claim, os.time() + self.destroy_timeout)
  server:release()
  muster.log.info("Destroyed.", { provisioner = self.name })
end

return P
