-- Texts with {placeholders}, and states read from fields: what rest.lua and command.lua are described with.
--
--   {name} {id} {address} {vars.X}   of the server; {name} is what the provisioner calls it
--   {os} {tag} {uuid} {run} {owner}  of the claim, in claim, unclaim, install, destroy
--   {reason}                         of the mark, in mark
local asking = require "provisioner.core.asking"

local M = {}

--- What stands for the placeholders in one call.
function M.values(node, claim, more)
  claim = claim or {}
  local values = { name = node.name, id = node.id, address = node.address, tag = claim.tag, uuid = claim.uuid,
    run = claim.run, owner = claim.owner, os = claim.os }
  for name, value in pairs(more or {}) do values[name] = value end
  return setmetatable(values, { __index = function(_, name)
    local var = name:match "^vars%.(.+)$"
    return var and node.vars[var]
  end })
end

local KNOWN = {}
for name in ("name id address os tag uuid run owner reason"):gmatch "%a+" do KNOWN[name] = true end

--- Every placeholder in these texts must be one that there is: told before anything is asked.
function M.check(value, what)
  if type(value) == "string" then
    for name in value:gmatch "{([%w_.%-]+)}" do
      if not KNOWN[name] and not name:match "^vars%." then
        error(("the provisioner's %s: there is no {%s}; there are {name}, {id}, {address}, {vars.X}, {os}, {tag}, " ..
          "{uuid}, {run}, {owner}, {reason}"):format(what, name), 0)
      end
    end
  elseif type(value) == "table" then
    for _, inner in pairs(value) do M.check(inner, what) end
  end
end

--- The text with its placeholders filled in, each passed through escape when there is one.
function M.fill(text, values, escape)
  return (text:gsub("{([%w_.%-]+)}", function(name)
    local value = values[name]
    if value == nil then error(("'%s' names {%s}, which has no value here"):format(text, name), 0) end
    return escape and escape(value) or tostring(value)
  end))
end

--- The same for every text in a table, however deep.
function M.fill_all(value, values)
  if type(value) == "string" then return M.fill(value, values) end
  if type(value) ~= "table" then return value end
  local filled = {}
  for key, inner in pairs(value) do filled[key] = M.fill_all(inner, values) end
  return filled
end

--- The field "a.b.c" of a decoded answer; nil when it is not there, or null, or "".
function M.field(answer, path)
  for name in path:gmatch "[^.]+" do
    if type(answer) ~= "table" then return nil end
    answer = answer[name] == nil and math.tointeger(name) and answer[math.tointeger(name)] or answer[name]
  end
  if answer == "" or type(answer) == "userdata" then return nil end -- null is a light userdata
  return answer
end

local function as_text(value)
  if value == nil or value == false then return nil end
  return type(value) == "table" and "yes" or tostring(value)
end

local GROUPS = { "clean", "installed", "busy", "failed" }

--- From a description { state = field, tag = field, broken = field, error = field, clean = word or words, installed =,
--- busy =, failed =, abortable = } a function that makes of a decoded answer what a driver's state() returns.
function M.state_reader(description, driver)
  local states, abortable = {}, {}
  for _, name in ipairs { "state", "tag", "broken", "clean", "installed" } do
    if description[name] == nil then
      error(("the provisioner %s: its state needs %s"):format(driver, name), 0)
    end
  end
  for _, group in ipairs(GROUPS) do
    local words = description[group] or {}
    for _, word in ipairs(type(words) == "table" and words or { words }) do states[tostring(word)] = group end
  end
  for _, word in ipairs(description.abortable or {}) do abortable[tostring(word)] = true end
  return function(answer)
    local detail = as_text(M.field(answer, description.state))
    if not detail then
      error(asking.typed("ProvisionerError", ("%s: its answer has no field %s"):format(driver,
        description.state), { cause = driver .. ": no field " .. description.state, retryable = false }))
    end
    return { state = states[detail] or "other", detail = detail, tag = as_text(M.field(answer, description.tag)),
      broken = as_text(M.field(answer, description.broken)), abortable = abortable[detail],
      words = description.error and asking.line(as_text(M.field(answer, description.error))) }
  end
end

--- From { address = field, port = field, user = field, host_keys = field } a function that makes of a decoded answer
--- what server:connect takes.
function M.access_reader(description)
  return description and function(answer)
    local access = {}
    for name, path in pairs(description) do access[name] = M.field(answer, path) end
    access.port = access.port and math.tointeger(tonumber(access.port))
    if type(access.host_keys) == "string" then access.host_keys = { access.host_keys } end
    return access
  end
end

--- From { metric = field } or a field's name a function that makes of a decoded answer a table of metrics.
function M.metrics_reader(description)
  if type(description) == "string" then description = { score = description } end
  return function(answer)
    local metrics = {}
    for name, path in pairs(description) do metrics[name] = tonumber(M.field(answer, path)) end
    return metrics
  end
end

return M
