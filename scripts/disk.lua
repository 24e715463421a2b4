-- Disk: random reads and, only when allowed, random writes. Needs fio on the servers. The step disk only reads from
-- a device; without one, it reads a file of its own, which it removes. The step write DESTROYS what is on the device.
--   muster run scripts/disk.lua -i inventory.txt -p folder=/data
--   muster run scripts/disk.lua -i inventory.txt -p device=/dev/nvme0n1 -p min_read_iops=100000
--   muster run scripts/disk.lua -i inventory.txt -p device=/dev/nvme1n1 --allow-destructive
local muster = require "muster"
local disk, tool = require "benchmarks.disk", require "benchmarks.tool"

return muster.script {
  description = "Disk: random reads of 4 KiB, 16 in flight; writes likewise, where allowed",
  params = {
    install_tools = false, -- true: install what is missing there, as root or by sudo without a password
    device = "", -- read from this, which takes root there
    folder = "/var/tmp", -- else: where the file is made
    megabytes = 256, -- of the file; direct reads pass by the server's own cache, not by a controller's
    seconds = 5,
    -- A hard disk reaches some 200, any SSD ten thousand and more: below this, it is no SSD, or one about to die.
    min_read_iops = 1000.0,
    -- In ms. 16 in flight at 1000 a second wait 16 ms each. An SSD that now and then takes longer than this has begun
    -- to read its cells again and again.
    max_read_p99 = 50.0,
    -- Of the step write, for the same reasons. A disk that is new, or was discarded as a whole, is quicker than it
    -- will be.
    min_write_iops = 1000.0,
    max_write_p99 = 50.0,
  },
  timeout = "15m",

  steps = {
    { name = "disk", timeout = "2h",
      run = tool.step(function(server, params)
        return disk.run(server, params.device, params.folder, params.megabytes, params.seconds)
      end),
      thresholds = {
        read_iops = { min = "params.min_read_iops", unit = "IOPS" },
        read_p99 = { max = "params.max_read_p99", unit = "ms" },
      } },
    { name = "write", destructive = true,
      when = function(_, params)
        if params.device == "" then muster.log.info "Not measured: write: no device is given (-p device=/dev/…)." end
        return params.device ~= ""
      end,
      run = tool.step(function(server, params) return disk.write(server, params.device, params.seconds) end),
      thresholds = {
        write_iops = { min = "params.min_write_iops", unit = "IOPS" },
        write_p99 = { max = "params.max_write_p99", unit = "ms" },
      } },
  },
}
