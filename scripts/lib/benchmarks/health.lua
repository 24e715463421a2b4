-- What a server says of its own health. For health.lua. Each function returns metrics; or nil and why it could not be
-- measured, where the server has no such thing or does not let us read it.
local muster = require "muster"
local cjson = require "cjson.safe"
local tool = require "benchmarks.tool"
local M = {}

-- For sh: as_root runs a program with root's rights where there are any, else as it is.
local AS_ROOT = [[
as_root() {
  if [ "$(id -u)" != 0 ] && sudo -n true 2>/dev/null; then sudo -n "$@"; else "$@"; fi
}
PATH=$PATH:/usr/sbin:/sbin
]]

local function sh(server, text, ...)
  return server:exec { "sh", "-c", AS_ROOT .. text, "sh", ..., check = false }
end

-- ---- disks: SMART ----

local SMART = [[
command -v smartctl >/dev/null || exit 127
# --scan-open, since --scan takes SATA disks for SCSI ones, whose attributes are then not read.
as_root smartctl --scan-open | while read -r device option type rest; do
  if [ "$device" = "#" ]; then echo; echo "muster-refused $option ${rest##*failed: }"; continue; fi
  [ "$option" = -d ] || continue
  echo
  echo "muster-device $device"
  as_root smartctl -j -i -H -A -d "$type" "$device" </dev/null
done
:
]]

-- Attributes of ATA disks, by number: their raw values are counts.
local REALLOCATED, PENDING, UNCORRECTABLE = 5, 197, 198

local function field(value, ...)
  for _, key in ipairs { ... } do
    if type(value) ~= "table" then return nil end
    value = value[key]
  end
  if value == cjson.null then return nil end
  return value
end

--- What smartctl -j says of one disk: failing, reallocated, pending, media_errors, wear (%), temperature (°C), each nil
--- where it does not say; nil when it says nothing of its health.
function M.smart_disk(text)
  local report = cjson.decode(text) or {}
  local passed = field(report, "smart_status", "passed")
  if passed == nil then return nil end
  local nvme = field(report, "nvme_smart_health_information_log")
  local disk = { failing = not passed or (field(nvme, "critical_warning") or 0) ~= 0,
    temperature = field(report, "temperature", "current"), media_errors = field(nvme, "media_errors"),
    wear = field(nvme, "percentage_used") }
  for _, attribute in ipairs(field(report, "ata_smart_attributes", "table") or {}) do
    local raw = field(attribute, "raw", "value") or 0
    if attribute.id == REALLOCATED then disk.reallocated = raw end
    if attribute.id == PENDING or attribute.id == UNCORRECTABLE then disk.pending = math.max(disk.pending or 0, raw) end
  end
  disk.reallocated = disk.reallocated or field(report, "scsi_grown_defect_list")
  disk.media_errors = disk.media_errors or field(report, "scsi_error_counter_log", "read", "total_uncorrected_errors")
  return disk
end

--- Over all disks: how many say of themselves that they are failing; reallocated and pending sectors and media errors,
--- of those that count them; the most worn and the hottest (0 where none tells).
function M.smart(server)
  local ok, out = pcall(tool.run, server, "smartctl", "smartmontools", { "sh", "-c", AS_ROOT .. SMART })
  if not ok then
    if tool.is_missing(out) then return nil, out.cause end
    error(out)
  end
  local metrics = { disks = 0, failing = 0, reallocated = 0, pending = 0, media_errors = 0, wear = 0, temperature = 0 }
  local device_refused, why_refused = out.stdout:match "%f[^\n%z]muster%-refused (%S+) ([^\n]*)"
  local refused = device_refused and ("%s: %s"):format(device_refused, why_refused)
  for device, report in (out.stdout .. "\nmuster-device "):gmatch "muster%-device (%S+)\n(.-)\n%f[m]" do
    local disk = M.smart_disk(report)
    if disk then
      metrics.disks = metrics.disks + 1
      if disk.failing then
        metrics.failing = metrics.failing + 1
        muster.log.error(("SMART: %s says that it is failing."):format(device))
      end
      for _, sum in ipairs { "reallocated", "pending", "media_errors" } do
        metrics[sum] = metrics[sum] + (disk[sum] or 0)
        if (disk[sum] or 0) > 0 then
          muster.log.warning(("SMART: %s has %s = %d."):format(device, sum, disk[sum]))
        end
      end
      for _, most in ipairs { "wear", "temperature" } do metrics[most] = math.max(metrics[most], disk[most] or 0) end
    else
      local why = field(cjson.decode(report) or {}, "smartctl", "messages", 1, "string") or "it tells nothing"
      refused = refused or ("%s: %s"):format(device, why)
      muster.log.info(("SMART: nothing of %s: %s."):format(device, why))
    end
  end
  if metrics.disks > 0 then return metrics end
  return nil, refused or "smartctl finds no disk"
end

-- ---- memory: ECC ----

--- Errors since boot that ECC corrected, and that it could not.
function M.ecc(server, sysfs)
  local out = sh(server, [[cat "$1"/devices/system/edac/mc/mc*/ce_count 2>/dev/null | sed 's/^/corrected /'
cat "$1"/devices/system/edac/mc/mc*/ue_count 2>/dev/null | sed 's/^/uncorrected /']], sysfs)
  local metrics = {}
  for kind, count in out.stdout:gmatch "(%a+) (%d+)\n" do metrics[kind] = (metrics[kind] or 0) + tonumber(count) end
  if metrics.corrected and metrics.uncorrected then return metrics end
  return nil, "the kernel has no EDAC counters here"
end

-- ---- the kernel's log ----

-- What only hardware brings about, as the kernel words it.
local HARDWARE = { "[Hh]ardware [Ee]rror", "Machine [Cc]heck", "mce: .*[Ee]rror", "EDAC .*%f[%w][CU]E%f[%W]",
  "I/O error", "critical medium error", "failed command: ", "nvme .*I/O .*timeout", "nvme .*controller is down",
  "AER: .*[Ff]atal", "AER: .*[Uu]ncorrect", "PCIe Bus Error: severity=Uncorrect", "NVRM: Xid",
  "temperature above threshold", "soft lockup", "hard LOCKUP", "NMI: IOCK" }

--- Lines about broken hardware in the kernel's log since boot, and all lines of level error or worse.
function M.kernel(server)
  local out = sh(server, "as_root dmesg --level=emerg,alert,crit,err,warn --decode")
  if not out.ok then return nil, out.stderr:match "([^\n]+)%s*$" or "dmesg cannot be read" end
  local metrics, last = { errors = 0, hardware = 0 }, nil
  for line in out.stdout:gmatch "[^\n]+" do
    local level = line:match "^%w+%s*:(%w+)%s*:" -- a message's further lines have none
    if level and level ~= "warn" then metrics.errors = metrics.errors + 1 end
    for _, pattern in ipairs(HARDWARE) do
      -- An empty floppy or CD drive is no trouble.
      if line:find(pattern) and not line:find "dev fd%d" and not line:find "dev sr%d" then
        metrics.hardware, last = metrics.hardware + 1, line
        break
      end
    end
  end
  if last then muster.log.warning("The kernel's last word on broken hardware: " .. last) end
  return metrics
end

-- ---- the clock ----

local DATE = "date +%s.%N"

--- How far the server's clock is off that of this machine, in seconds: `offset` at least (what the round trip could
--- hide is taken off), `uncertainty` what that is. The best of three round trips.
function M.clock(server)
  local best
  local before = tonumber((muster.exec(DATE, { read_only = true }).stdout:gsub("%s", "")))
  for _ = 1, 3 do
    local there = tonumber((server:exec(DATE).stdout:gsub("%s", "")))
    local after = tonumber((muster.exec(DATE, { read_only = true }).stdout:gsub("%s", "")))
    if not (before and there and after) then return nil, "date knows no nanoseconds there or here" end
    local uncertainty = math.max(0, (after - before) / 2)
    if not best or uncertainty < best.uncertainty then
      local offset = math.abs(there - (before + after) / 2)
      best = { offset = math.max(0, offset - uncertainty), uncertainty = uncertainty }
    end
    before = after
  end
  return best
end

-- ---- what the inventory says that there is ----

--- How many disks there are: whole ones, that have a size.
function M.disks(server, sysfs)
  local out = sh(server, [[
n=0
for d in "$1"/block/*; do
  case ${d##*/} in loop* | ram* | zram* | dm-* | md* | sr* | fd* | nbd* | rbd*) continue ;; esac
  [ -r "$d/size" ] && [ "$(cat "$d/size")" -gt 0 ] && n=$((n + 1))
done
echo "disks $n"]], sysfs)
  return muster.parse.kv(out.stdout, { sep = " ", want = { "disks" } }).disks
end

return M
