-- GPU memory bandwidth with clpeak, over OpenCL. For burnin.lua.
local muster = require "muster"
local tool = require "benchmarks.tool"
local M = {}

-- The best width of each device; the worst device counts: one bad GPU of eight is to be found.
function M.worst(devices)
  local worst
  for _, device in ipairs(devices) do
    local best
    for _, value in pairs(device.global_memory_bandwidth or {}) do best = math.max(best or 0, value) end
    if best then worst = math.min(worst or best, best) end
  end
  return worst
end

local MEASURE = [[
command -v clpeak >/dev/null || exit 127
d=$(mktemp -d) || exit 1
trap 'rm -rf "$d"' EXIT
trap 'exit 130' HUP INT TERM
POCL_CACHE_DIR="$d" clpeak --global-bandwidth --xml-file "$d/xml" >"$d/out" 2>&1 || { tail -n 3 "$d/out" >&2; exit 1; }
cat "$d/xml"
]]

function M.run(server)
  local out = tool.run(server, "clpeak", "clpeak", { "sh", "-c", MEASURE })
  return { bandwidth = M.worst(muster.parse.clpeak(out.stdout)) }
end

return M
