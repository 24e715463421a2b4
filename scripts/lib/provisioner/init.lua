-- provisioner: install an operating system on a server, destroy the installation, mark the server as broken, and never
-- touch what is not this run's own. docs/provisioner.md tells how to write a driver for an API of your own.
--
--   local provisioner = require "provisioner"
--   local p = provisioner.new("ironic", { url = "https://ironic.example.com", max_in_flight = 20 })
--   local access = p:install(server, "debian-12")    -- in setup; claims the server first
--   p:destroy(server)                                -- in teardown; nothing where this run has no claim
--   return p:mark_as_broken(server, verdict.reason)  -- in the mark hook
--   p:unmark(server)  p:state(server)  p:benchmark(server)
--
-- What an ops engineer implements is a driver: how one provisioner is spoken to, and nothing else. It is a table of
-- plain functions on muster.http or muster.exec. `node` is { name = what the provisioner calls the server (in the
-- inventory provisioner_id, else the server's id), id =, address =, vars = }. `claim` is { tag = text, unique for this
-- run and server, uuid =, run =, server =, os =, owner = }.
--
--   state(node)           what is there now: { state = "clean" | "installed" | "busy" | "failed" | "other",
--                           detail = the provisioner's own word for it,
--                           tag = whose claim is on it; nil: nobody's. Others' must show, too, whatever their form,
--                           broken = the reason for which it is marked as broken; nil: it is not marked,
--                           words = its last error,
--                           abortable = true: busy, but can be destroyed as it is,
--                           interrupted = true: failed, but only for a restart of the provisioner itself }
--   claim(node, claim)    take it: set claim.tag where state finds it. Must fail when there is a tag already. May be
--                         left out when install takes the tag along, in its one call.
--   unclaim(node, claim)  take the tag off a clean node. May be left out when destroy does that.
--   install(node, os, claim), destroy(node, claim)    ask for it; what comes of it is then asked of state
--   mark(node, reason), unmark(node)                  set and take off what state gives as broken
--   access(node)          after an install, what server:connect takes: { address =, port =, user =, host_keys = };
--                         may be left out: then the inventory says how the server is reached
--   benchmark(node)       where the provisioner itself measures: a table of metrics; may be left out
--   name                  for logs and messages
--   marked_as             what a mark is called there: "in maintenance"
--
-- A driver lets what muster.http and muster.exec raise go up, or raises ProvisionerError with retryable = true or
-- false. It does not wait, try again, or ask whose a node is: that is done here, once for all (core/).
--
-- Errors: ServerOperationError (failed: the provisioner says that it could not install or destroy this server),
-- ServerStateError (error: not clean, or not ours; not touched), ProvisionerError (error: it could not be asked, or
-- refused the request), TimeoutError (timeout: an operation that did not end).
local asking = require "provisioner.core.asking"
local P = require "provisioner.core.base"
require "provisioner.core.install"
require "provisioner.core.destroy"
require "provisioner.core.marks"

local FUNCTIONS = { "state", "install", "destroy", "mark", "unmark" }
local TIMES = { install_timeout = "30m", destroy_timeout = "15m", mark_timeout = "2m", poll = "500ms",
  poll_longest = "10s" }
local M = {}

local function load_driver(driver, config)
  if type(driver) == "string" then
    -- A module of the site's own, beside its script, is named just as the ones here are.
    driver = require(package.searchpath("provisioner." .. driver, package.path) and "provisioner." .. driver or driver)
  end
  if type(driver) == "function" then driver = driver(config) end
  if type(driver) ~= "table" then
    error("a provisioner's driver is a table of functions, or a function that returns one", 0)
  end
  for _, name in ipairs(FUNCTIONS) do
    if type(driver[name]) ~= "function" then
      error(("the driver %s has no function %s(node, …)"):format(driver.name or "of this provisioner", name), 0)
    end
  end
  return driver
end

--- A provisioner. driver: "ironic", "rest", "command", the name of a module of yours, or a driver itself. config goes
--- to the driver; of it, this reads
---   name, url         name it, in messages and for what is bounded by max_in_flight
---   max_in_flight     how many operations at once in the whole run, whatever -j is; 20 when not given
---   install_timeout "30m", destroy_timeout "15m", mark_timeout "2m"
---   poll "500ms", poll_longest "10s"   how often state is asked while an operation goes on: first, and at last
---   mark_in_use       true: also nodes that someone else has in use may be marked; for scripts that install nothing
function M.new(driver, config)
  config = config or {}
  driver = load_driver(driver, config)
  local self = setmetatable({ driver = driver, name = config.name or driver.name or "provisioner" }, P)
  self.key = "provisioner " .. self.name .. (type(config.url) == "string" and " " .. config.url or "")
  self.max_in_flight = config.max_in_flight or 20
  if math.type(self.max_in_flight) ~= "integer" or self.max_in_flight < 1 then
    error("max_in_flight must be a whole number, 1 or more", 0)
  end
  for name, default in pairs(TIMES) do self[name] = asking.seconds(config[name] or default, name) end
  self.mark_in_use = config.mark_in_use
  return self
end

--- What is there: { state =, detail =, tag = run id or nil, broken = reason or nil, words = last error or nil }.
function P:state(server)
  local s = self:look(self:node(server), os.time() + self.mark_timeout)
  local run = s.tag and s.tag:match "^(%d+T%d+Z%-%x+)/"
  return { state = s.state, detail = s.detail, tag = run or s.tag, broken = s.broken, words = s.words }
end

--- Metrics that the provisioner itself measures, of what this run installed.
function P:benchmark(server)
  if not self.driver.benchmark then error(("the driver %s has no benchmark"):format(self.name), 0) end
  local _ <close> = self:permit(false)
  local claim, node = server:claimed(), self:node(server)
  local s = self:look(node, os.time() + self.mark_timeout)
  if not (claim and s.tag == claim.tag) then
    error(self:server_state(node, "it is not ours to benchmark", self:why_not_clean(s)))
  end
  local ok, metrics = pcall(self.driver.benchmark, node)
  if not ok then error(self:cannot("benchmark of", node, metrics)) end
  return metrics
end

return M
