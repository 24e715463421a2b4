-- spawn_support: many bodies of a step with spawned functions, each on a server of its own, all in one run.
local S = require "ssh_support"
local T = require "muster_test"

local M = {}

--- Each case, name → body, is one server whose step "s" has this body; a second step shows that the task goes on. options:
--- args, timeout (of the step). Returns what run_local returns, with server: the servers by their name.
function M.run_cases(cases, options)
  options = options or {}
  local parts, args = { [[
    local muster = require "muster"
    local function closing(f) return setmetatable({}, { __close = f }) end
    local bodies = {}]] }, { "-j", "100", "--workers", "2" }
  for _, arg in ipairs(options.args or {}) do args[#args + 1] = arg end
  for name, body in pairs(cases) do
    parts[#parts + 1] = ("bodies[%q] = function(server) %s end"):format(name, body)
    args[#args + 1] = name
  end
  parts[#parts + 1] = ([[
    return { steps = {
      { name = "s", timeout = %q, run = function(server) return bodies[server.id](server) end },
      { name = "next", run = function() muster.sleep(0) print "NEXT" end } },
      teardown = function(server) print(server:exec("echo torn down").stdout) end }]]):format(options.timeout or "1m")
  local result = T.run_local(table.concat(parts, "\n"), { args = args })
  assert(result.results, result.stderr)
  result.server = S.by_id(result.results)
  return result
end

--- The step "s" of this server, which came to its end.
function M.step(result, name)
  local server = assert(result.server[name], name)
  assert(server.finished == true, name)
  return server.steps[1]
end

return M
