-- A plain in-house API, described by a table instead of a program:
--
--   provisioner.new("rest", {
--     name = "house", url = "https://house.example.com/api/v2", token = muster.secret{ env = "HOUSE_TOKEN" },
--     state   = { get = "/servers/{name}", state = "status", tag = "owner", broken = "fault", error = "message",
--                 clean = "free", installed = "ready", busy = { "installing", "wiping" }, failed = "stuck" },
--     install = { post = "/servers/{name}/install", json = { os = "{os}", owner = "{tag}" } },
--     destroy = { delete = "/servers/{name}/install" },
--     mark    = { put = "/servers/{name}/fault", json = { text = "{reason}" } },
--     unmark  = { delete = "/servers/{name}/fault" },
--     access  = { address = "ip", host_keys = "ssh_host_keys" },
--   })
--
-- Each call has its method and path, and may have json, body, query, headers; core/templates.lua lists the
-- placeholders. state names fields of the answer ("data.status" for one within another) and the words that stand for
-- each state; words that it does not list are "other". A server is clean only while tag and broken are empty. Optional:
-- claim and unclaim (as in init.lua), access (fields of state's answer), benchmark (metrics = { name = field }).
--
-- The tag must end up in the field that state names, be it by claim or by install: it is how muster tells what is its
-- own. An API that has no such field (owner, comment, label, …) cannot be used safely, and not with this.
local muster = require "muster"
local check = require "provisioner.core.config"
local templates = require "provisioner.core.templates"

local METHODS = { "get", "post", "put", "patch", "delete" }
local CALLS = { state = true, install = true, destroy = true, mark = true, unmark = true, claim = false,
  unclaim = false, benchmark = false } -- whether it must be there

local function method_of(call, name)
  local found
  for _, method in ipairs(METHODS) do
    if type(call[method]) == "string" then found = method end
  end
  return found or error(("the provisioner's %s needs a method and a path, such as get = \"/servers/{name}\"")
    :format(name), 0)
end

return function(config)
  check(config, "rest", { url = "string", state = "table", install = "table", destroy = "table", mark = "table",
    unmark = "table" }, "auth token ca_file timeout headers claim unclaim access benchmark")
  local client = muster.http.client { base_url = config.url, auth = config.auth, token = config.token,
    ca_file = config.ca_file, timeout = config.timeout, headers = config.headers, retries = 0 }
  local name = config.name or "rest"
  local driver = { name = name }
  local read = templates.state_reader(config.state, name)
  local access = templates.access_reader(config.access)

  local function call(what, values)
    local description = config[what]
    local method = method_of(description, what)
    local path = templates.fill(description[method], values, muster.http.escape)
    -- Sent once: whether it is to be sent again is decided by what state shows.
    return client:request { method = method:upper(), path = path, idempotent = method == "get",
      json = templates.fill_all(description.json, values),
      body = templates.fill_all(description.body, values), query = templates.fill_all(description.query, values),
      headers = description.headers }
  end

  for what, needed in pairs(CALLS) do
    if needed or config[what] then method_of(config[what], what) end
    templates.check(config[what], what)
  end
  function driver.state(node) return read(call("state", templates.values(node)):json()) end
  function driver.install(node, os, claim) call("install", templates.values(node, claim, { os = os })) end
  function driver.mark(node, reason) call("mark", templates.values(node, nil, { reason = reason })) end
  function driver.unmark(node) call("unmark", templates.values(node)) end
  for _, what in ipairs { "claim", "unclaim", "destroy" } do
    driver[what] = config[what] and function(node, claim) call(what, templates.values(node, claim)) end
  end
  driver.access = access and function(node) return access(call("state", templates.values(node)):json()) end
  driver.benchmark = config.benchmark and function(node)
    local metrics = templates.metrics_reader(config.benchmark.metrics or "score")
    return metrics(call("benchmark", templates.values(node)):json())
  end
  return driver
end
