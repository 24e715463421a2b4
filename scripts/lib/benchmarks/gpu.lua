-- GPUs: memory bandwidth with clpeak, over OpenCL, and what nvidia-smi says of their health. For gpu.lua, burnin.lua.
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

-- ---- nvidia-smi ----

local QUERY = "index,name,temperature.gpu,ecc.errors.corrected.volatile.total,ecc.errors.uncorrected.volatile.total," ..
  "clocks_throttle_reasons.hw_slowdown,clocks_throttle_reasons.hw_thermal_slowdown," ..
  "clocks_throttle_reasons.sw_thermal_slowdown"

--- Its lines for QUERY: a table a GPU with index, name, temperature, corrected, uncorrected (nil where it has no ECC)
--- and slowed, why it is slowed down, or nil. What is no such line is an error: then the driver has lost one.
function M.parse_nvidia(text)
  local gpus = {}
  for line in text:gmatch "[^\n]+" do
    local cells = {}
    for cell in (line .. ","):gmatch "%s*(.-)%s*," do cells[#cells + 1] = cell end
    local index, temperature = tonumber(cells[1]), tonumber(cells[3])
    if #cells ~= 8 or not index then
      error(muster.errors.ScriptError("nvidia-smi printed no line of a GPU: " .. line,
        { cause = "nvidia-smi: " .. line:sub(1, 60) }))
    end
    gpus[#gpus + 1] = { index = index, name = cells[2], temperature = temperature, corrected = tonumber(cells[4]),
      uncorrected = tonumber(cells[5]), slowed = cells[6] == "Active" and "hardware" or
        (cells[7] == "Active" or cells[8] == "Active") and "heat" or nil }
  end
  return gpus
end

--- What they come to: gpus, temperature (the hottest), slowed (how many); corrected and uncorrected ECC errors since
--- the driver was loaded, nil where no GPU has ECC.
function M.health(gpus)
  local metrics = { gpus = #gpus, slowed = 0 }
  for _, gpu in ipairs(gpus) do
    metrics.temperature = gpu.temperature and math.max(metrics.temperature or 0, gpu.temperature) or metrics.temperature
    for _, kind in ipairs { "corrected", "uncorrected" } do
      if gpu[kind] then metrics[kind] = (metrics[kind] or 0) + gpu[kind] end
    end
    if gpu.slowed then
      metrics.slowed = metrics.slowed + 1
      muster.log.warning(("GPU %d (%s) is slowed down: %s."):format(gpu.index, gpu.name, gpu.slowed))
    end
    if (gpu.uncorrected or 0) > 0 then
      muster.log.error(("GPU %d (%s) has %d uncorrected memory errors."):format(gpu.index, gpu.name, gpu.uncorrected))
    end
  end
  return metrics
end

--- nil where there is no nvidia-smi: it comes with the driver.
function M.nvidia(server)
  local out = server:exec { "nvidia-smi", "--query-gpu=" .. QUERY, "--format=csv,noheader,nounits", check = false }
  if out.exit_status == 127 then return nil end
  if not out.ok then
    -- It says on stdout what is wrong: "No devices were found", "… couldn't communicate with the NVIDIA driver".
    local why = (out.stdout .. out.stderr):match "([^\n]+)%s*$" or "it failed and did not say why"
    error(muster.errors.CommandError("nvidia-smi: " .. why, { cause = "nvidia-smi: " .. why:sub(1, 60),
      exit_status = out.exit_status, signal = out.signal }))
  end
  return M.health(M.parse_nvidia(out.stdout))
end

return M
