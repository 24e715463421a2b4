-- Disk: random reads and writes with fio. For disk.lua and burnin.lua. M.run only ever reads from a device; without one
-- it reads a file of its own, in a folder of its own, which is removed afterwards. M.write destroys what is on a
-- device.
local muster = require "muster"
local tool = require "benchmarks.tool"
local errors = muster.errors
local M = {}

-- 16 in flight: enough for an SSD to show what it can do, while a hard disk still answers each within a fair time.
local COMMON = " --bs=4k --iodepth=16 --ioengine=libaio --direct=1 --time_based --output-format=json"
local FIO = "fio --name=read --readonly --rw=randread" .. COMMON
local WRITE = "fio --name=write --rw=randwrite --allow_mounted_write=0" .. COMMON

-- For sh, whatever the login shell is: $1 folder, $2 megabytes, $3 seconds. The file is written before it is read:
-- reading what was never written tells nothing of a disk.
local OWN_FILE = [[
command -v fio >/dev/null || exit 127
free=$(stat -f -c '%a * %S' "$1") || exit 1
[ $(($free / 1048576)) -gt "$2" ] || { echo "$1 has no room for $2 MiB" >&2; exit 1; }
d=$(mktemp -d "$1/muster-fio.XXXXXXXX") || exit 1
trap 'rm -rf "$d"' EXIT
trap 'exit 130' HUP INT TERM
fio --name=lay --filename="$d/data" --size="$2M" --rw=write --bs=1M --ioengine=psync --end_fsync=1 >"$d/out" ||
  { cat "$d/out" >&2; exit 1; }
]] .. FIO .. [[ --runtime="$3" --filename="$d/data" --size="$2M"
]]

local function report_of(server, words)
  local out = tool.run(server, "fio", "fio", words)
  -- fio ends with 1 when the disk has an error, and its report says which.
  if not out.ok and not out.stdout:find("{", 1, true) then
    local why = out.stderr:gsub("%s+$", ""):match "[^\n]*$"
    error(errors.CommandError("fio could not run: " .. why, { cause = "fio could not run", stderr = out.stderr,
      exit_status = out.exit_status, signal = out.signal }))
  end
  return muster.parse.fio(out.stdout)[1]
end

local function on_device(fio, device, seconds)
  return { "sh", "-c", fio .. " --runtime=\"$2\" --filename=\"$1\"", "sh", device, seconds, check = false }
end

--- device: read from this, "/dev/nvme0n1"; "" for a file of so many megabytes in folder. seconds: how long to read.
function M.run(server, device, folder, megabytes, seconds)
  local read = report_of(server, device ~= "" and on_device(FIO, device, seconds) or
    { "sh", "-c", OWN_FILE, "sh", folder, megabytes, seconds, check = false }).read
  return { read_iops = read.iops, read_p99 = read.p99 }
end

--- Write all over the device for so many seconds: what is on it is lost. One that is mounted is refused by fio.
function M.write(server, device, seconds)
  local write = report_of(server, on_device(WRITE, device, seconds)).write
  return { write_iops = write.iops, write_p99 = write.p99 }
end

return M
