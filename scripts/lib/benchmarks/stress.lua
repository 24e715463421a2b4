-- Stress with stress-ng, which checks what it computes, and what the server's own sensors say of it. For stress.lua.
local muster = require "muster"
local tool = require "benchmarks.tool"
local M = {}

-- For sh: $1 when it is looked, $2 where the kernel's files are (/sys), $3 how often, $4 seconds before each time. It
-- prints "heat WHEN KIND VALUE NAME", a sensor a line: the hottest of its temperatures in thousandths of a
-- degree, and counters of throttling. Without programs of its own, since it looks while everything is busy.
local LOOK = [[
heat() { # of the files $3..., named as $2 says
  when=$1 max=
  IFS= read -r name 2>/dev/null <"$2" || return 0
  shift 2
  for f; do
    IFS= read -r v 2>/dev/null <"$f" || continue
    if [ -z "$max" ] || [ "$v" -gt "$max" ]; then max=$v; fi
  done
  [ -z "$max" ] || echo "heat $when temperature $max $name"
}
i=0
while [ "$i" -lt "$3" ]; do
  sleep "$4"
  for d in "$2"/class/hwmon/hwmon*; do heat "$1" "$d/name" "$d"/temp*_input; done
  for d in "$2"/class/thermal/thermal_zone*; do heat "$1" "$d/type" "$d/temp"; done
  i=$((i + 1))
done
[ "$1" = during ] || for f in "$2"/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count; do
  IFS= read -r v 2>/dev/null <"$f" && echo "heat $1 throttled $v $f"
done
:
]]

-- For sh: $1 seconds, $2 percent of the memory that is available.
local LOAD = [[
command -v stress-ng >/dev/null || exit 127
# stress-ng's own percentages are of all memory, whatever is in use. Its workers share what is given here.
memory=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo) * $2 / 100)) || exit 1
# rand-set, since with much memory the first of all methods does nothing for longer than this may take.
exec stress-ng --cpu 0 --cpu-method matrixprod --vm 0 --vm-method rand-set --vm-bytes "${memory}k" --vm-keep --verify \
  --timeout "$1" --metrics-brief --temp-path /tmp 2>&1
]]

-- Sensors of processors: of hwmon by driver, of thermal zones by type. Others are of disks, networks, the room.
local PROCESSORS = { coretemp = true, k10temp = true, zenpower = true, x86_pkg_temp = true, cpu_thermal = true,
  ["cpu-thermal"] = true }

--- What the lines "heat …" come to: idle_temperature and temperature (°C, the hottest processor before the load, and
--- at its hottest under it) and throttled (how often a core slowed down for its heat meanwhile); each nil where there
--- is no sensor for it.
function M.heat(text)
  local hottest, throttled = {}, {}
  for when, kind, value, name in text:gmatch "%f[^\n%z]heat (%a+) (%a+) (-?%d+) ([^\n]*)" do
    if kind == "throttled" then
      throttled[when] = (throttled[when] or 0) + tonumber(value)
    elseif PROCESSORS[name] then
      hottest[when] = math.max(hottest[when] or -math.huge, tonumber(value) / 1000)
    end
  end
  return { idle_temperature = hottest.before, temperature = hottest.during,
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

-- While the load runs, so that the last time is before its end.
local function times_of(seconds)
  local pause = math.max(0.5, math.min(5, seconds / 10))
  return math.max(1, math.floor(seconds / pause) - 1), pause
end

local function look(server, when, sysfs, times, pause)
  return server:exec({ "sh", "-c", LOOK, "sh", when, sysfs, times or 1, pause or 0 }).stdout
end

--- seconds: for how long; percent: of the memory that is available; sysfs: "/sys". Returns metrics, and the heat.
function M.run(server, seconds, percent, sysfs)
  local before = look(server, "before", sysfs)
  local load = server:spawn(tool.run, server, "stress-ng", "stress-ng", { "sh", "-c", LOAD, "sh", seconds, percent,
    check = false })
  local out, during = muster.gather { load, server:spawn(look, server, "during", sysfs, times_of(seconds)) }
  local after = look(server, "after", sysfs)
  -- 2: a stressor failed, which its report tells. Others are its own troubles.
  if not out.ok and out.exit_status ~= 2 then
    local why = out.stdout:sub(-500):match "([^\n]+)%s*$" or "it said nothing"
    error(muster.errors.CommandError("stress-ng could not run: " .. why, { cause = "stress-ng could not run",
      exit_status = out.exit_status, signal = out.signal, stderr = out.stdout:sub(-500) }))
  end
  return M.parse(out.stdout), M.heat(before .. "\n" .. during .. "\n" .. after)
end

return M
