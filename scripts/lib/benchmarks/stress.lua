-- Stress with stress-ng, which checks what it computes, and what the server's own sensors say of it. For stress.lua.
local muster = require "muster"
local tool = require "benchmarks.tool"
local M = {}

-- For sh: $1 seconds, $2 percent of the memory that is available, $3 where the kernel's files are (/sys). Its lines
-- "heat WHEN KIND VALUE NAME" are temperatures in thousandths of a degree and counters of throttling.
local MEASURE = [[
command -v stress-ng >/dev/null || exit 127
look() { # $1 before or after, $2 where the kernel's files are
  for f in "$2"/class/hwmon/hwmon*/temp*_input; do
    [ -r "$f" ] && v=$(cat "$f" 2>/dev/null) && echo "heat $1 temperature $v $(cat "${f%/*}/name" 2>/dev/null)"
  done
  for f in "$2"/class/thermal/thermal_zone*/temp; do
    [ -r "$f" ] && v=$(cat "$f" 2>/dev/null) && echo "heat $1 temperature $v $(cat "${f%/*}/type" 2>/dev/null)"
  done
  for f in "$2"/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count; do
    [ -r "$f" ] && v=$(cat "$f" 2>/dev/null) && echo "heat $1 throttled $v $f"
  done
}
# stress-ng's own percentages are of all memory, whatever is in use. Its workers share what is given here.
memory=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo) * $2 / 100)) || exit 1
look before "$3"
# rand-set, since with much memory the first of all methods does nothing for longer than this may take.
stress-ng --cpu 0 --cpu-method matrixprod --vm 0 --vm-method rand-set --vm-bytes "${memory}k" --vm-keep --verify \
  --timeout "$1" --metrics-brief --temp-path /tmp 2>&1
status=$?
look after "$3"
exit $status
]]

-- Sensors of processors: of hwmon by driver, of thermal zones by type. Others are of disks, networks, the room.
local PROCESSORS = { coretemp = true, k10temp = true, zenpower = true, x86_pkg_temp = true, cpu_thermal = true,
  ["cpu-thermal"] = true }

--- What the lines "heat …" come to: idle_temperature and temperature (°C, the hottest processor before and after) and
--- throttled (how often a core slowed down for its heat meanwhile); each nil where there is no sensor for it.
function M.heat(text)
  local hottest, throttled = {}, {}
  for when, kind, value, name in text:gmatch "%f[^\n%z]heat (%a+) (%a+) (-?%d+) ([^\n]*)" do
    if kind == "throttled" then
      throttled[when] = (throttled[when] or 0) + tonumber(value)
    elseif PROCESSORS[name] then
      hottest[when] = math.max(hottest[when] or -math.huge, tonumber(value) / 1000)
    end
  end
  return { idle_temperature = hottest.before, temperature = hottest.after,
    throttled = throttled.before and throttled.after and throttled.after - throttled.before }
end

--- What stress-ng says, as metrics. A check that failed is what a broken processor or memory does.
function M.parse(text)
  local report = muster.parse.stress_ng(text)
  for _, failure in ipairs(report.failures) do muster.log.error("stress-ng: " .. failure) end
  local cpu, memory = report.stressors.cpu or {}, report.stressors.vm or {}
  if report.failed == 0 and memory.bogo_ops == 0 then
    local cause = "too little time: not once through the memory"
    error(muster.errors.ScriptError(cause .. "; give it more seconds, or less memory_percent", { cause = cause }))
  end
  return { cpu = cpu.bogo_ops_per_second, memory = memory.bogo_ops_per_second, failures = report.failed }
end

--- seconds: for how long; percent: of the memory that is available; sysfs: "/sys". Returns metrics, and the heat.
function M.run(server, seconds, percent, sysfs)
  local out = tool.run(server, "stress-ng", "stress-ng", { "sh", "-c", MEASURE, "sh", seconds, percent, sysfs,
    check = false })
  -- 2: a stressor failed, which its report tells. Others are its own troubles.
  if not out.ok and out.exit_status ~= 2 then
    local why = out.stdout:gsub("heat [^\n]*\n", ""):sub(-500):match "([^\n]+)%s*$" or "it said nothing"
    error(muster.errors.CommandError("stress-ng could not run: " .. why, { cause = "stress-ng could not run",
      exit_status = out.exit_status, signal = out.signal, stderr = out.stdout:sub(-500) }))
  end
  return M.parse(out.stdout), M.heat(out.stdout)
end

return M
