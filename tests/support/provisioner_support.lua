-- provisioner_support: runs of a script with a provisioner against the in-house API of house_support, one API at a time.
local S = require "ssh_support"
local T = require "muster_test"
local H = require "house_support"

-- house: the API that runs, or nil.
local M = {}

--- Start it with these machines, as house_support does.
function M.start(machines, token)
  M.house = H.start(machines, token)
  return M.house
end

--- End it, if there is one.
function M.stop()
  if M.house then M.house:stop() end
  M.house = nil
end

--- A script on the house API, which was started. options: config, step, more (Lua text in each place).
function M.script(options)
  options = options or {}
  return ([[
    local muster = require "muster"
    local provisioner = require "provisioner"
    local config = { name = "house", url = %q, poll = "20ms", poll_longest = "100ms",
      state = { get = "/servers/{name}", state = "status", tag = "owner", broken = "fault", error = "message",
        clean = "free", installed = "ready", busy = { "installing", "wiping" }, failed = "stuck" },
      install = { post = "/servers/{name}/install", json = { os = "{os}", owner = "{tag}" } },
      destroy = { delete = "/servers/{name}/install" },
      mark = { put = "/servers/{name}/fault", json = { text = "{reason}" } },
      unmark = { delete = "/servers/{name}/fault" } }
    %s
    local p = provisioner.new("rest", config)
    return muster.script {
      setup = function(server) p:install(server, "debian-12") end,
      teardown = function(server) p:destroy(server) end,
      mark = function(server, verdict) return p:mark_as_broken(server, verdict.reason) end,
      max_broken = 100, confirm = 0,
      %s
      steps = { { name = "s", run = function(server) %s end, thresholds = { score = { min = 50 } } } },
    }]]):format(M.house.url, options.config or "", options.more or "", options.step or "return 51")
end

--- For options.config: the API takes claims of their own.
M.CLAIMS = [[
  config.claim = { put = "/servers/{name}/owner", json = { owner = "{tag}" } }
  config.unclaim = { delete = "/servers/{name}/owner" }
]]

local function names(machines)
  local list = {}
  for name in pairs(machines) do list[#list + 1] = name end
  table.sort(list)
  return list
end

--- Run it on these machines, started before or now; options: as script, or text (a script of its
--- own), and args, env, dir, state (muster's folder). Returns what run_local returns, with servers by their id.
function M.run(machines, options)
  options = options or {}
  if not M.house then M.start(machines) end
  local args = { "--state-dir", options.state or T.tmpdir() }
  for _, word in ipairs(options.args or {}) do args[#args + 1] = word end
  for _, name in ipairs(names(machines)) do args[#args + 1] = name end
  local result = T.run_local(options.text or M.script(options), { args = args, env = options.env, dir = options.dir })
  assert(result.results, result.stderr)
  result.servers = S.by_id(result.results)
  return result
end

--- Type and message of the first failure of this server that has a type.
function M.failure_of(result, name)
  for _, failure in ipairs(S.failures(result.servers[name])) do
    if type(failure.type) == "string" then return failure.type, failure.message end -- not why a step was skipped
  end
end

--- What `muster cleanup` does with this state folder.
function M.cleanup(state)
  return T.run { "cleanup", "--state-dir", state }
end

return M
