-- Marks: a server that is broken says so there, and why. Marks of others are never changed.
local muster = require "muster"
local asking = require "provisioner.core.asking"
local P = require "provisioner.core.base"

local MARK = "[muster] " -- in front of every mark: how ours are known

local function is_ours(text) return type(text) == "string" and text:sub(1, #MARK) == MARK end

--- For the mark hook. Returns nil: it is marked; or a string: it was left as it was, and why.
function P:mark_as_broken(server, reason)
  local _ <close> = self:permit(true)
  local deadline, node = os.time() + self.mark_timeout, self:node(server)
  local patience, accepted = asking.patience(deadline), false
  local text = MARK .. (asking.line(reason, 1000) or "no reason given")
  while true do
    local s = self:look(node, deadline)
    if s.broken then
      -- Ours of this run: from the call just made, or one whose answer was lost.
      if is_ours(s.broken) and s.broken:find(muster.run.id, 1, true) or s.broken == text then return nil end
      return ("kept: already %s: %s"):format(self.driver.marked_as or "marked as broken",
        asking.line(s.broken) or "without a reason")
    end
    local mine = s.tag and s.tag:sub(1, #muster.run.id + 1) == muster.run.id .. "/"
    -- A wipe that failed may have taken our tag off.
    local nobodys = not s.tag and (s.state == "clean" or s.state == "failed")
    if not (mine or nobodys or self.mark_in_use) then
      return "kept: it is not ours now: " .. (s.tag and self:why_not_clean(s) or self:describe(s))
    end
    if accepted then
      error(asking.typed("ProvisionerError", ("%s: %s took the mark, and does not show it")
        :format(self.name, node.name)))
    end
    local err
    accepted, err = self:change("mark", node, text)
    if muster.run.dry_run then return nil end
    if not accepted and not patience(err) then error(self:cannot("mark of", node, err)) end
  end
end

--- Take a mark of muster's off. Returns nil: there is none; or a string: it was left as it was, and why.
function P:unmark(server)
  local _ <close> = self:permit(true)
  local deadline, node = os.time() + self.mark_timeout, self:node(server)
  local patience, accepted = asking.patience(deadline), false
  while true do
    local s = self:look(node, deadline)
    if not s.broken then return nil end
    if not is_ours(s.broken) then
      return "kept: not marked by muster: " .. (asking.line(s.broken) or "without a reason")
    end
    if accepted then
      error(asking.typed("ProvisionerError", ("%s: the mark of %s was taken off, and is still there")
        :format(self.name, node.name)))
    end
    local err
    accepted, err = self:change("unmark", node)
    if muster.run.dry_run then return nil end
    if not accepted and not patience(err) then error(self:cannot("unmark of", node, err)) end
  end
end

return P
