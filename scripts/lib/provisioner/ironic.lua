-- OpenStack Ironic: standalone without authentication, with HTTP basic, or with a token.
--
--   provisioner.new("ironic", {
--     url = "https://ironic.example.com:6385",
--     auth = { user = "muster", password = muster.secret{ env = "IRONIC_PASSWORD" } },   -- or token = muster.secret{…}
--     ca_file = "/etc/ssl/site-ca.pem",
--     images = { ["debian-12"] = { image_source = "https://images.example.com/debian-12.qcow2", root_gb = 20 } },
--     configdrive = { user_data = "#cloud-config\n…" },       -- whatever Ironic takes: a table, a URL, or base64
--     microversion = "1.50",                                  -- of Ironic's API; this one when not given
--   })
--
-- A server is the node named by provisioner_id in the inventory, else by its id: a node's name or UUID.
--
-- The claim is an instance_uuid of our own, which Ironic refuses (409) where there is one, and in the same PATCH the
-- tag and the operating system's name and image, in instance_info. Undeploying clears them all. Nodes that others
-- deploy have an instance_uuid as well, or are not `available`. The mark is Ironic's maintenance, with its reason.
local muster = require "muster"
local asking = require "provisioner.core.asking"
local check = require "provisioner.core.config"

-- What Ironic 13 (Stein) has: the oldest with all that is used here.
local MICROVERSION = "1.50"
local FIELDS = "provision_state,maintenance,maintenance_reason,last_error,instance_uuid,instance_info"

local STATES = {
  available = "clean",
  active = "installed",
  deploying = "busy", ["wait call-back"] = "busy", ["deploy hold"] = "busy", deleting = "busy", cleaning = "busy",
  ["clean wait"] = "busy", ["clean hold"] = "busy",
  ["deploy failed"] = "failed", error = "failed", ["clean failed"] = "failed",
} -- all others, such as manageable or rescue, are brought about by people alone: "other"

local function text(value) return type(value) == "string" and value or nil end -- null is no text

return function(config)
  check(config, "ironic", { url = "string" },
    "auth token ca_file timeout microversion images instance_info configdrive access")
  local client = muster.http.client {
    base_url = config.url, auth = config.auth, ca_file = config.ca_file, timeout = config.timeout,
    headers = { ["X-OpenStack-Ironic-API-Version"] = config.microversion or MICROVERSION,
      ["X-Auth-Token"] = config.token },
    retries = 0, -- the provisioner's own loops try again, and look at the state in between
  }
  local driver = { name = "ironic", marked_as = "in maintenance" }

  local function path_of(node, rest) return "/v1/nodes/" .. muster.http.escape(node.name) .. (rest or "") end
  local function ask(request)
    local ok, answer = pcall(client.request, client, request)
    if ok then return answer end
    if not (muster.errors.is(answer, "HttpError") and answer.status == 406) then error(answer) end
    error(asking.typed("ProvisionerError", "unknown API version", { cause = "HTTP 406", retryable = false,
      words = asking.words(answer) .. " Set microversion in the provisioner's configuration." }))
  end
  local function get(node, fields) return ask { path = path_of(node), query = { fields = fields } }:json() end
  -- Sent once: whether it is to be sent again is decided by what state shows.
  local function change(method, path, body)
    ask { method = method, path = path, json = body, idempotent = false }
  end
  local function provision(node, body) change("PUT", path_of(node, "/states/provision"), body) end

  function driver.state(node)
    local n = get(node, FIELDS)
    local info = type(n.instance_info) == "table" and n.instance_info or {}
    local detail, words = text(n.provision_state) or "available", text(n.last_error)
    local run, server, instance = text(info.muster_run), text(info.muster_server), text(n.instance_uuid)
    if run then run = run .. "/" .. (server or "") end
    if run and text(info.muster_attempt) then run = run .. "/" .. info.muster_attempt end
    return {
      state = STATES[detail] or "other", detail = detail, words = words,
      tag = run or instance and "instance " .. instance,
      broken = n.maintenance == true and (text(n.maintenance_reason) or "") or nil,
      abortable = detail == "wait call-back",
      interrupted = words and words:find("can't be resumed by conductor", 1, true) and true or nil,
    }
  end

  local function info_of(claim)
    local info = { muster_run = claim.run, muster_server = claim.server, os = claim.os,
      muster_attempt = claim.attempt and tostring(claim.attempt) } -- which is part of the tag: see core/install.lua
    for _, more in ipairs { config.instance_info or {}, (config.images or {})[claim.os] or {} } do
      for name, value in pairs(more) do info[name] = value end
    end
    return info
  end

  function driver.claim(node, claim)
    local patch = { { op = "add", path = "/instance_uuid", value = claim.uuid } }
    for name, value in pairs(info_of(claim)) do
      patch[#patch + 1] = { op = "add", path = "/instance_info/" .. name, value = value }
    end
    change("PATCH", path_of(node), patch)
  end

  function driver.unclaim(node, claim)
    local there = get(node, "instance_uuid,instance_info")
    local patch = {}
    if text(there.instance_uuid) then patch[1] = { op = "remove", path = "/instance_uuid" } end
    for name in pairs(info_of(claim)) do
      -- Removing what is not there is an error to Ironic.
      if there.instance_info[name] ~= nil then
        patch[#patch + 1] = { op = "remove", path = "/instance_info/" .. name }
      end
    end
    change("PATCH", path_of(node), patch)
  end

  function driver.install(node) provision(node, { target = "active", configdrive = config.configdrive }) end
  function driver.destroy(node) provision(node, { target = "deleted" }) end

  function driver.mark(node, reason) change("PUT", path_of(node, "/maintenance"), { reason = reason }) end
  function driver.unmark(node) change("DELETE", path_of(node, "/maintenance")) end

  -- Ironic does not know a server's address; a site that does gives a function.
  driver.access = config.access

  return driver
end
