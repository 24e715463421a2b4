-- A provisioner that is spoken to with commands on this machine: maas, openstack, a tool of the site.
--
--   provisioner.new("command", {
--     name = "site",
--     state   = { "site-tool", "show", "{name}", "--json", fields = {
--                 state = "status", tag = "comment", broken = "fault", error = "message",
--                 clean = "free", installed = "ready", busy = { "installing", "wiping" }, failed = "stuck" } },
--     claim   = { "site-tool", "claim", "{name}", "--comment", "{tag}" },       -- must fail when there is a comment
--     unclaim = { "site-tool", "claim", "{name}", "--comment", "" },
--     install = { "site-tool", "install", "{name}", "--os", "{os}" },
--     destroy = { "site-tool", "wipe", "{name}" },
--     mark    = { "site-tool", "fault", "{name}", "{reason}" },
--     unmark  = { "site-tool", "fault", "{name}", "" },
--   })
--
-- Words are quoted each, whatever a server is named; core/templates.lua lists the placeholders. state prints JSON, read
-- as in rest.lua, or has `read = function(stdout) … end` in place of fields, which returns what a driver's state()
-- returns. Commands may return at once or when all is done. Optional, as in init.lua: claim, unclaim, access (fields of
-- state's JSON), benchmark (prints JSON; with metrics = { name = field }). retry_exit: exit statuses that mean "try
-- again later", { 75 } when not given (EX_TEMPFAIL). timeout: of one command, "10m" when not given.
-- Credentials are the tool's own affair: it has the environment that muster was started with.
local muster = require "muster"
local cjson = require "cjson.safe"
local asking = require "provisioner.core.asking"
local check = require "provisioner.core.config"
local templates = require "provisioner.core.templates"
local errors = muster.errors

local CALLS = { state = true, install = true, destroy = true, mark = true, unmark = true, claim = true, unclaim = true,
  benchmark = true }

local function decoded(out, name)
  local answer, why = cjson.decode(out.stdout)
  if answer ~= nil then return answer end
  error(asking.typed("ProvisionerError", ("%s: what its state command prints is not JSON: %s"):format(name, why),
    { cause = name .. ": not JSON", retryable = true }))
end

return function(config)
  check(config, "command", { state = "table", install = "table", destroy = "table", mark = "table", unmark = "table" },
    "claim unclaim access benchmark retry_exit timeout")
  for what in pairs(CALLS) do templates.check(config[what], what) end
  local name = config.name or "command"
  local driver = { name = name }
  local read = config.state.read and function(out) return config.state.read(out.stdout) end
  if not read then
    local of = templates.state_reader(config.state.fields or {}, name)
    read = function(out) return of(decoded(out, name)) end
  end
  local retry = {}
  for _, status in ipairs(config.retry_exit or { 75 }) do retry[status] = true end

  local function run(what, values, read_only)
    local words = { timeout = config.timeout or "10m", read_only = read_only }
    for i, word in ipairs(config[what]) do words[i] = templates.fill(tostring(word), values) end
    local ok, out = pcall(muster.exec, words)
    if ok then return out end
    if not errors.is(out, "CommandError") then error(out) end
    local said = out.stderr and out.stderr:match "([^\n]*)$" or ""
    error(asking.typed("ProvisionerError", ("%s: %s: %s"):format(name, what, out.message),
      { cause = ("%s: %s: exit status %s"):format(name, what, out.exit_status or out.signal),
        words = said ~= "" and said or out.message, retryable = retry[out.exit_status] or false }))
  end

  function driver.state(node) return read(run("state", templates.values(node), true)) end
  function driver.install(node, os, claim) run("install", templates.values(node, claim, { os = os })) end
  function driver.mark(node, reason) run("mark", templates.values(node, nil, { reason = reason })) end
  function driver.unmark(node) run("unmark", templates.values(node)) end
  for _, what in ipairs { "claim", "unclaim", "destroy" } do
    driver[what] = config[what] and function(node, claim) run(what, templates.values(node, claim)) end
  end
  local access = templates.access_reader(config.access)
  driver.access = access and function(node) return access(decoded(run("state", templates.values(node), true), name)) end
  driver.benchmark = config.benchmark and function(node)
    local out = run("benchmark", templates.values(node))
    return templates.metrics_reader(config.benchmark.metrics or "score")(decoded(out, name))
  end
  return driver
end
