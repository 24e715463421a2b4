-- How a provisioner is asked: what is tried again and for how long, and what its answers are called.
local muster = require "muster"
local cjson = require "cjson.safe"
local errors = muster.errors

local M = {}

-- Try again for as long as the operation may take: it is busy, locked, restarting, or out of reach for now.
local PASSING = { [408] = true, [409] = true, [423] = true, [425] = true, [429] = true, [502] = true, [503] = true,
  [504] = true }
-- Failures to get an answer that no second attempt mends. All others may be a restart; also a connection that was cut
-- after the request: whether that was taken, state tells.
local LASTING = { tls = true, too_large = true, redirects = true }
-- Any other 5xx may be a hiccup or a request that it will never bear: a few tries.
local TRIES_WHEN_BROKEN = 3

local UNITS = { ms = 0.001, s = 1, m = 60, h = 3600 }

--- A duration as seconds: a number, or "90s", "5m", "1h30m", "500ms".
function M.seconds(value, what)
  if type(value) == "number" and value >= 0 then return value end
  local sum, rest = 0, type(value) == "string" and value or "?"
  while rest ~= "" do
    local number, unit, after = rest:match "^(%d+%.?%d*)(%a+)(.*)$"
    if not UNITS[unit] then
      error(("%s: %s is not a duration: give seconds, or \"90s\", \"5m\", \"1h30m\""):format(what, tostring(value)), 0)
    end
    sum, rest = sum + tonumber(number) * UNITS[unit], after
  end
  return sum
end

--- One line of at most so many bytes (500 when not given), from whatever a provisioner said; nil for nothing.
function M.line(text, most)
  if type(text) ~= "string" then return nil end
  text = text:gsub("[%c%s]+", " "):gsub("^ ", ""):gsub(" $", "")
  most = most or 500
  if #text > most then
    local stop = most - 2
    while stop > 1 and text:byte(stop) & 0xC0 == 0x80 do stop = stop - 1 end -- not within a character
    text = text:sub(1, stop - 1) .. "…"
  end
  return text ~= "" and text or nil
end

local SENTENCES = { "faultstring", "error_message", "message", "error", "detail", "description", "title", "reason" }

-- The sentence in an error's body: JSON, at times as a string inside JSON, with the usual names; or plain text.
local function sentence(value, depth)
  if type(value) == "string" then
    return depth < 4 and value:match "^%s*[{%[]" and sentence(cjson.decode(value), depth + 1) or value
  elseif type(value) == "table" and depth < 4 then
    for _, name in ipairs(SENTENCES) do
      local found = sentence(value[name], depth + 1)
      if found then return found end
    end
  end
end

--- What a provisioner said in an error, in one line.
function M.words(err)
  if errors.is(err, "HttpError") then
    if err.kind ~= "status" then return M.line(err.message) end
    local said = M.line(sentence(err.body or "", 0))
    return ("HTTP %s%s"):format(err.status, said and ": " .. said or "")
  end
  return M.line(err.words or err.message)
end

--- What an error means: "passing" (try again), "broken" (try a few times), "denied" (401, 403), "unknown" (404),
--- "refused" (this request will not do); nil for what is no answer of a provisioner: a mistake in a script, a
--- cancellation.
function M.kind(err)
  if errors.is(err, "HttpError") then
    if err.kind == "json" then return "broken" end
    if err.kind ~= "status" then return LASTING[err.kind] and "refused" or "passing" end
    local status = err.status
    if PASSING[status] then return "passing" end
    if status == 401 or status == 403 or status == 407 then return "denied" end
    if status == 404 or status == 410 then return "unknown" end
    return status >= 500 and "broken" or "refused"
  elseif errors.is(err, "ProvisionerError") then
    return err.retryable and "passing" or "refused"
  elseif errors.is(err, "CommandError") then
    return "refused"
  elseif errors.is(err, "TimeoutError") then
    return "passing"
  end
end

--- Waits that grow: w = M.pauses(first, longest); w() waits.
function M.pauses(first, longest)
  local pause = first
  return function()
    -- Jitter: what was started together does not ask together for ever.
    muster.sleep(pause * (0.75 + math.random() / 2))
    pause = math.min(pause * 1.6, longest)
  end
end

--- An operation's patience: patience(err) waits and returns true while it makes sense to ask again after this error;
--- false when not, and then what to make of the error is the caller's decision.
function M.patience(deadline)
  local wait, broken = M.pauses(1, 15), 0
  return function(err)
    local kind = M.kind(err)
    if kind == "broken" then broken = broken + 1 end
    if kind ~= "passing" and not (kind == "broken" and broken < TRIES_WHEN_BROKEN) or os.time() >= deadline then
      return false
    end
    muster.log.debug("The provisioner cannot be asked now; trying again.", { cause = M.words(err) })
    wait()
    return true
  end
end

--- A typed error to raise. The line in here that raises it is of no use to anybody.
function M.typed(type, message, fields)
  fields = fields or {}
  fields.where = false
  return errors[type](message, fields)
end

--- An error of the provisioner as ProvisionerError; anything else as it is.
function M.as_provisioner_error(err, name, doing)
  if not M.kind(err) then return err end
  -- The cause folds over servers in the summary: no names of nodes in it.
  local cause = errors.is(err, "HttpError") and (err.kind == "status" and "HTTP " .. err.status or err.cause)
    or err.cause or "refused"
  return M.typed("ProvisionerError", ("%s: %s: %s"):format(name, doing, M.words(err)),
    { cause = ("%s: %s"):format(name, cause), words = M.words(err), retryable = M.kind(err) == "passing" })
end

return M
