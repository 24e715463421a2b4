-- GPU memory bandwidth with clpeak, over OpenCL. For burnin.lua.
local muster = require "muster"
local tool = require "benchmarks.tool"
local M = {}

-- The best width of each device; the worst device counts: one bad GPU of eight is to be found.
function M.parse(xml)
  local worst
  for device in xml:gmatch "<device[ >].-</device>" do
    local block = device:match "<global_memory_bandwidth[^>]*>(.-)</global_memory_bandwidth>"
    local best
    for value in (block or ""):gmatch ">%s*([%d.]+)%s*<" do best = math.max(best or 0, tonumber(value)) end
    if best then worst = math.min(worst or best, best) end
  end
  if worst then return { bandwidth = worst } end
  error(muster.errors.ScriptError("clpeak found no OpenCL device that it could measure",
    { cause = "clpeak: no OpenCL device" }))
end

local MEASURE = [[
command -v clpeak >/dev/null || exit 127
d=$(mktemp -d) || exit 1
trap 'rm -rf "$d"' EXIT
trap 'exit 130' HUP INT TERM
POCL_CACHE_DIR="$d" clpeak --global-bandwidth --xml-file "$d/xml" >"$d/out" 2>&1 || { tail -n 3 "$d/out" >&2; exit 1; }
cat "$d/xml"
]]

function M.run(server) return M.parse(tool.run(server, "clpeak", "clpeak", { "sh", "-c", MEASURE }).stdout) end

return M
