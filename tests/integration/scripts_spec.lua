-- stress.lua, health.lua, gpu.lua and install_tools over SSH, on real sshd servers. These are this machine as a user
-- without rights, so that what it has not (sensors, SMART disks, GPUs, rights to install) is played by programs in the
-- servers' home/bin and by folders in place of /sys; each says so.
local S = require "ssh_support"
local T = require "muster_test"

local function data(name) return T.read(T.source .. "/tests/data/" .. name) end

describe("the shipped scripts over SSH", function()
  local fleet
  setup(function() fleet = T.fleet_start(4) end)

  local function home(id) return ("%s/%s/home"):format(fleet.dir, id) end

  local function place(id, name, text)
    local path = home(id) .. "/bin/" .. name
    T.write(path, "#!/bin/sh\n" .. text)
    assert(os.execute("chmod 755 " .. T.quote(path)))
  end

  -- What stands there instead of the kernel's files: name → number. The server's user may write it.
  local function sys(id, files)
    local root = home(id) .. "/sys"
    for name, value in pairs(files) do
      local path = root .. "/" .. name
      assert(os.execute("mkdir -p " .. T.quote((path:match "^(.*)/"))))
      T.write(path, value .. "\n")
    end
    assert(os.execute("mkdir -p " .. T.quote(root) .. " && chmod -R a+rwX " .. T.quote(root)))
    return root
  end

  local function run(script, ids, params, vars, options)
    local dir, entries = T.tmpdir(), {}
    for i, id in ipairs(ids) do entries[i] = S.entry(fleet.servers[id], id, vars and vars[id]) end
    local words = { "run", T.source .. "/scripts/" .. script .. ".lua", "-i", S.inventory(dir, entries), "--known-hosts",
      fleet.known_hosts, "--json", dir .. "/r.json", "--log-format", "json", "--state-dir", dir }
    for _, param in ipairs(params) do
      words[#words + 1] = "-p"
      words[#words + 1] = param
    end
    for _, word in ipairs(options or {}) do words[#words + 1] = word end
    local result = T.run(words)
    assert.is_true(S.exists(dir .. "/r.json"), result.stderr)
    result.results = require "cjson".decode(T.read(dir .. "/r.json"))
    result.log = T.decode_log(result.stderr)
    result.servers = S.by_id(result.results)
    for _, server in pairs(result.servers) do
      server.step = {}
      for _, step in ipairs(server.steps) do server.step[step.name] = step end
    end
    return result
  end

  local function statuses(server)
    local all = {}
    for _, step in ipairs(server.steps) do all[step.name] = step.status end
    return all
  end

  it("stress: measure with the real stress-ng, and find errors, heat and throttling", function()
    local throttle = "devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    sys("srv02", { [throttle] = 3, ["class/hwmon/hwmon0/name"] = "coretemp", ["class/hwmon/hwmon0/temp1_input"] = 41000,
      ["class/hwmon/hwmon1/name"] = "nvme", ["class/hwmon/hwmon1/temp1_input"] = 99000 })
    -- Works as the real one, and the processor gets hot until it has ended, is throttled twice, and once computes something
    -- wrong.
    -- With little memory, since on a busy machine a second may not be enough for once through a hundredth of it.
    place("srv02", "stress-ng", [[
echo 97500 >"$HOME/sys/class/hwmon/hwmon0/temp1_input"
/usr/bin/stress-ng "$@" --vm-bytes 4m
echo 'stress-ng: fail:  [77] vm: detected 1 bit errors'
echo 5 >"$HOME/sys/]] .. throttle .. [["
/bin/sleep 1
echo 50000 >"$HOME/sys/class/hwmon/hwmon0/temp1_input"
]])
    -- Nobody looks during the load before it has begun.
    place("srv02", "sleep", [[
until [ "$1" = 0 ] || grep -q 97500 "$HOME/sys/class/hwmon/hwmon0/temp1_input"; do /bin/sleep 0.05; done
exec /bin/sleep "$@"
]])
    place("srv01", "stress-ng", 'exec /usr/bin/stress-ng "$@" --vm-bytes 4m\n')
    -- One that cannot run.
    place("srv03", "stress-ng", "echo 'stress-ng: error: [9] aborted: no memory'; exit 3\n")
    local result = run("stress", { "srv01", "srv02", "srv03" }, { "seconds=1", "memory_percent=1", "min_cpu=0.1",
      "sysfs=" .. home("srv02") .. "/sys" })
    -- srv01 looks at srv02's sensors, hot or not: it is asked for its stress alone.
    local good = result.servers.srv01.step.stress
    assert.equals("passed", good.status, result.stderr)
    assert.is_true(good.metrics.cpu.value > 0)
    assert.equals(0, good.metrics.failures.value)
    assert.same({ stress = "failed", temperature = "failed", throttling = "failed" }, statuses(result.servers.srv02))
    local bad = result.servers.srv02.step
    assert.same({ 1, 97.5, 41, 2 }, { bad.stress.metrics.failures.value, bad.temperature.metrics.temperature.value,
      bad.temperature.metrics.idle.value, bad.throttling.metrics.throttled.value })
    assert.is_truthy(T.find_log(result.log, "vm: detected 1 bit errors"))
    assert.equals("error", result.servers.srv03.step.stress.status)
    assert.is_truthy(result.stdout:find("stress-ng could not run", 1, true), result.stdout)
    -- Time for less than all of the memory is no sign of bad memory: in the words of one that had no time.
    place("srv04", "stress-ng", "/usr/bin/stress-ng \"$@\" --vm-bytes 4m 2>&1 | sed 's/ vm  *[0-9][0-9]* / vm 0 /'\n")
    result = run("stress", { "srv04" }, { "seconds=1", "memory_percent=1", "min_cpu=0.1", "sysfs=/nowhere" })
    assert.same({ 3, "error" }, { result.code, result.servers.srv04.status }, result.stderr)
    assert.is_truthy(result.stdout:find("too little time: not once through the memory", 1, true), result.stdout)
    -- Without sensors that is said, and nothing fails.
    result = run("stress", { "srv01" }, { "seconds=1", "memory_percent=1", "min_cpu=0.1", "sysfs=/nowhere" })
    assert.same({ 0, "passed" }, { result.code, result.servers.srv01.status }, result.stderr)
    assert.same({ stress = "passed", temperature = "skipped", throttling = "skipped" }, statuses(result.servers.srv01))
    assert.is_truthy(T.find_log(result.log, "Not measured: temperature, since the server has no sensor for it."))
  end)

  it("health: tell what is broken, what is missing and what could not be read", function()
    local cores = tonumber(T.exec { "sh", "-c", "lscpu -p=CORE,SOCKET | grep -v '^#' | sort -u | wc -l" }.stdout)
    local memory = tonumber(T.read "/proc/meminfo":match "MemTotal:%s*(%d+)") / 1024 / 1024
    -- srv01 is as it should be: two disks with no complaint, ECC with one corrected error.
    local smartctl = [[
[ "$1" = --scan-open ] && { echo '/dev/sda -d sat # /dev/sda [SAT], ATA device'; echo '/dev/nvme0 -d nvme # /dev/nvme0, NVMe device'; exit 0; }
[ "$*" = "-j -i -H -A -d sat /dev/sda" ] && cat <<'J'
{ "smartctl": { "exit_status": 0 }, "smart_status": { "passed": true }, "temperature": { "current": 31 },
  "ata_smart_attributes": { "table": [ { "id": 5, "name": "Reallocated_Sector_Ct", "raw": { "value": REALLOCATED, "string": "0" } },
    { "id": 197, "name": "Current_Pending_Sector", "raw": { "value": PENDING, "string": "0" } } ] } }
J
[ "$*" = "-j -i -H -A -d nvme /dev/nvme0" ] && cat <<'J'
{ "smart_status": { "passed": PASSED, "nvme": { "value": 0 } }, "temperature": { "current": 44 },
  "nvme_smart_health_information_log": { "critical_warning": 0, "media_errors": MEDIA, "percentage_used": 12 } }
J
exit 0
]]
    place("srv01", "smartctl", (smartctl:gsub("REALLOCATED", "0"):gsub("PENDING", "0"):gsub("PASSED", "true"):gsub("MEDIA", "0")))
    place("srv02", "smartctl", (smartctl:gsub("REALLOCATED", "11"):gsub("PENDING", "2"):gsub("PASSED", "false"):gsub("MEDIA", "3")))
    -- A disk that only root may ask: in the words of the real one where there is no disk.
    place("srv03", "smartctl", "[ \"$1\" = --scan-open ] && { echo '/dev/nvme0 -d nvme # /dev/nvme0, NVMe device'; exit 0; }\ncat <<'J'\n" ..
      data "smartctl-refused.json" .. "J\nexit 2\n")
    place("srv04", "smartctl", "echo '# /dev/sda -d scsi # /dev/sda, SCSI device open failed: Permission denied'\n")
    place("srv01", "dmesg", "echo 'kern  :warn  : [    0.4] amd_pstate: the _CPC object is not present'\n" ..
      "echo 'kern  :err   : [    1.0] blk_update_request: I/O error, dev fd0, sector 0'\n")
    place("srv02", "dmesg", "echo 'kern  :emerg : [ 99.1] mce: [Hardware Error]: CPU 3: Machine Check: 0 Bank 7: cc00'\n" ..
      "echo 'kern  :warn  : [ 99.2] EDAC MC0: 1 CE memory read error on CPU_SrcID#0_Channel#1_DIMM#0'\n" ..
      "echo 'kern  :err   : [ 99.3] I/O error, dev sda, sector 1234 op 0x0:(READ)'\n")
    place("srv03", "dmesg", "echo 'dmesg: read kernel buffer failed: Operation not permitted' >&2; exit 1\n")
    place("srv04", "dmesg", ":\n")
    -- srv03's clock is ten seconds ahead.
    place("srv03", "date", "exec /usr/bin/date -d '+10 seconds' \"$@\"\n")
    local root = sys("srv01", { ["devices/system/edac/mc/mc0/ce_count"] = 1, ["devices/system/edac/mc/mc0/ue_count"] = 0,
      ["devices/system/edac/mc/mc1/ce_count"] = 2, ["devices/system/edac/mc/mc1/ue_count"] = 0, ["block/sda/size"] = 100,
      ["block/nvme0n1/size"] = 100, ["block/sdb/size"] = 0, ["block/loop0/size"] = 100, ["block/md0/size"] = 200 })
    local gib = math.floor(memory * 1000) / 1000
    local result = run("health", { "srv01", "srv02", "srv03", "srv04" }, { "sysfs=" .. root }, {
      srv01 = { expected_memory_gb = gib, expected_cores = cores, expected_disks = 2 },
      srv02 = { expected_memory_gb = gib * 2, expected_cores = cores + 2, expected_disks = 4 },
      srv04 = { expected_cores = "many" } })
    local good, bad, poor = result.servers.srv01, result.servers.srv02, result.servers.srv03
    assert.same({ smart = "passed", ecc = "passed", kernel = "passed", clock = "passed", memory = "passed", cores = "passed",
      disks = "passed" }, statuses(good), result.stderr)
    local function values(step)
      local all = {}
      for name, metric in pairs(step.metrics) do all[name] = metric.value end
      return all
    end
    assert.same({ disks = 2, failing = 0, reallocated = 0, pending = 0, media_errors = 0, wear = 12, temperature = 44 },
      values(good.step.smart))
    assert.same({ corrected = 3, uncorrected = 0 }, values(good.step.ecc))
    assert.same({ errors = 1, hardware = 0 }, values(good.step.kernel)) -- the floppy is none
    assert.same({ found = 2, missing = 0 }, values(good.step.disks))
    assert.equals(0, good.step.clock.metrics.offset.value) -- the same clock: the round trip hides whatever was seen

    assert.same({ smart = "failed", ecc = "passed", kernel = "failed", clock = "passed", memory = "failed", cores = "failed",
      disks = "failed" }, statuses(bad), result.stderr)
    assert.same({ disks = 2, failing = 1, reallocated = 11, pending = 2, media_errors = 3, wear = 12, temperature = 44 },
      values(bad.step.smart))
    assert.same({ errors = 2, hardware = 3 }, values(bad.step.kernel))
    assert.same({ 2, 2 }, { bad.step.cores.metrics.missing.value, bad.step.disks.metrics.missing.value })
    assert.near(50, bad.step.memory.metrics.missing.value, 0.5)
    assert.is_truthy(T.find_log(result.log, "SMART: /dev/nvme0 says that it is failing."))

    assert.same({ smart = "skipped", ecc = "passed", kernel = "skipped", clock = "failed", memory = "skipped", cores = "skipped",
      disks = "skipped" }, statuses(poor), result.stderr)
    local clock = poor.step.clock.metrics
    assert.is_true(clock.offset.value <= 10 and clock.offset.value + 2 * clock.uncertainty.value >= 9.999,
      clock.offset.value .. " " .. clock.uncertainty.value)
    assert.is_truthy(T.find_log(result.log, "Not measured: smart: /dev/nvme0: Smartctl open device: /dev/nvme0 failed: No such device."))
    assert.is_truthy(T.find_log(result.log, "Not measured: kernel: dmesg: read kernel buffer failed: Operation not permitted."))
    assert.is_truthy(T.find_log(result.log, "Not measured: smart: /dev/sda: Permission denied."))
    assert.equals("error", result.servers.srv04.step.cores.status)
    assert.is_truthy(result.stdout:find("the inventory's expected_cores is no number: many", 1, true), result.stdout)

    -- Required, it is an error that it could not be measured; still not a failure.
    result = run("health", { "srv03" }, { "sysfs=/nowhere", "required=smart, ecc,cores", "max_clock_offset=60" })
    assert.same({ 3, "error" }, { result.code, result.servers.srv03.status }, result.stdout)
    assert.same({ smart = "error", ecc = "error", kernel = "skipped", clock = "passed", memory = "skipped", cores = "error",
      disks = "skipped" }, statuses(result.servers.srv03))
    assert.is_truthy(result.stdout:find("could not be measured: the kernel has no EDAC counters here", 1, true), result.stdout)
    result = run("health", { "srv03" }, { "required=smrt" })
    assert.equals(3, result.code)
    assert.is_truthy(T.find_log(result.log, 'there is no step "smrt" to measure'))
  end)

  it("health: as the servers really are, nothing fails that cannot be read", function()
    for _, id in ipairs { "srv01", "srv02", "srv03", "srv04" } do
      for _, name in ipairs { "smartctl", "dmesg", "date" } do os.remove(home(id) .. "/bin/" .. name) end
    end
    local result = run("health", { "srv01" }, {})
    assert.same({ 0, "passed" }, { result.code, result.servers.srv01.status }, result.stdout .. result.stderr)
    assert.equals("passed", result.servers.srv01.step.clock.status)
    -- The real smartctl, where there is one, asked by a user without rights. (Its package comes with a service.)
    assert.equals("skipped", result.servers.srv01.step.smart.status)
    assert.is_table(T.find_log(result.log, "Not measured: smart: "))
  end)

  it("gpu: health and bandwidth, in nvidia-smi's form and of a recorded clpeak", function()
    local clpeak = "while [ \"$1\" != --xml-file ]; do shift; done\ncat >\"$2\" <<'X'\n" .. data "clpeak.xml" .. "\nX\n"
    for _, id in ipairs { "srv01", "srv02", "srv03" } do place(id, "clpeak", clpeak) end
    place("srv04", "clpeak", "echo 'no platforms found' >&2; exit 1\n")
    place("srv01", "nvidia-smi", "echo '0, NVIDIA A30, 41, 0, 0, Not Active, Not Active, Not Active'\n" ..
      "echo '1, NVIDIA A30, 47, 2, 0, Not Active, Not Active, Not Active'\n")
    place("srv02", "nvidia-smi", "echo '0, NVIDIA A30, 88, 0, 0, Not Active, Not Active, Active'\n" ..
      "echo '1, NVIDIA A30, 47, 2, 5, Active, Not Active, Not Active'\n")
    -- srv03: a GPU without ECC. srv04: a driver that has lost its GPU.
    place("srv03", "nvidia-smi", "echo '0, NVIDIA GeForce RTX 3060, 35, [N/A], [N/A], Not Active, Not Active, Not Active'\n")
    place("srv04", "nvidia-smi", "echo 'Unable to determine the device handle for GPU 0000:3B:00.0: Unknown Error'; exit 15\n")
    local result = run("gpu", { "srv01", "srv02", "srv03", "srv04" }, { "min_bandwidth=50" },
      { srv01 = { expected_gpus = 2 }, srv02 = { expected_gpus = "4" } })
    assert.same({ bandwidth = "passed", health = "passed", ecc = "passed" }, statuses(result.servers.srv01), result.stderr)
    assert.same({ 50.2131, 47, 2 }, { result.servers.srv01.step.bandwidth.metrics.bandwidth.value,
      result.servers.srv01.step.health.metrics.temperature.value, result.servers.srv01.step.ecc.metrics.corrected.value })
    assert.same({ bandwidth = "passed", health = "failed", ecc = "failed" }, statuses(result.servers.srv02), result.stderr)
    local health = result.servers.srv02.step.health.metrics
    assert.same({ 2, 2, 88, 2 }, { health.gpus.value, health.missing.value, health.temperature.value, health.slowed.value })
    assert.same({ bandwidth = "passed", health = "passed", ecc = "skipped" }, statuses(result.servers.srv03), result.stderr)
    assert.equals("error", result.servers.srv04.status)
    assert.is_truthy(result.stdout:find("nvidia-smi: Unable to determine the device handle", 1, true), result.stdout)
    -- Without nvidia-smi only the bandwidth is measured, unless GPUs are expected.
    for id in pairs { srv01 = 1, srv02 = 1 } do
      place(id, "nvidia-smi", "echo 'sh: nvidia-smi: not found' >&2; exit 127\n")
    end
    result = run("gpu", { "srv01", "srv02" }, { "min_bandwidth=60" }, { srv02 = { expected_gpus = 1 } })
    assert.same({ bandwidth = "failed", health = "skipped", ecc = "skipped" }, statuses(result.servers.srv01), result.stderr)
    assert.same({ bandwidth = "failed", health = "error", ecc = "skipped" }, statuses(result.servers.srv02), result.stderr)
    assert.is_truthy(result.stdout:find("nvidia-smi is missing", 1, true), result.stdout)
  end)

  it("gpu: the real clpeak, whose OpenCL is PoCL's on the CPU", function()
    place("srv03", "clpeak", 'exec /usr/bin/clpeak "$@"\n')
    place("srv03", "nvidia-smi", "echo 'sh: nvidia-smi: not found' >&2; exit 127\n")
    local result = run("gpu", { "srv03" }, { "min_bandwidth=0.01" })
    assert.same({ bandwidth = "passed", health = "skipped", ecc = "skipped" }, statuses(result.servers.srv03), result.stderr)
    assert.is_true(result.servers.srv03.step.bandwidth.metrics.bandwidth.value > 0.01)
  end)

  it("disk: write on a device only when that is allowed", function()
    local device = home "srv01" .. "/device" -- a file in the place of one
    local zeros = ("\0"):rep(4 << 20)
    T.write(device, zeros)
    assert(os.execute("chmod 666 " .. T.quote(device)))
    local params = { "seconds=1", "device=" .. device, "min_read_iops=1", "max_read_p99=10000", "min_write_iops=1",
      "max_write_p99=10000" }
    local result = run("disk", { "srv01" }, params)
    assert.same({ disk = "passed", write = "skipped" }, statuses(result.servers.srv01))
    assert.equal(zeros, T.read(device))
    result = run("disk", { "srv01" }, params, nil, { "--allow-destructive" })
    assert.same({ disk = "passed", write = "passed" }, statuses(result.servers.srv01))
    assert.is_true(result.servers.srv01.step.write.metrics.write_iops.value > 1)
    assert.not_equal(zeros, T.read(device))
  end)

  it("install_tools: install what is missing, only when asked, and say why it could not", function()
    -- The servers' user may not install: apt-get and sudo are played. This apt-get has empty lists until `update`; then
    -- it puts the real sysbench where one stood that is "not found".
    local absent = "echo \"sh: 1: $0: not found\" >&2; exit 127\n"
    for _, id in ipairs { "srv01", "srv02", "srv03" } do place(id, "sysbench", absent) end
    for _, id in ipairs { "srv01", "srv02" } do
      place(id, "sudo", "[ \"$1\" = -n ] || exit 1\nshift\nexec \"$@\"\n")
      T.write(home(id) .. "/apt.log", "")
      assert(os.execute("chmod 666 " .. T.quote(home(id) .. "/apt.log") .. " && chmod a+rwx " .. T.quote(home(id) .. "/bin", home(id))))
    end
    place("srv01", "apt-get", [[
echo "$DEBIAN_FRONTEND: $*" >>"$HOME/apt.log"
for word; do last=$word; done
[ "$last" = update ] && { : >"$HOME/lists"; exit 0; }
[ "$last" = sysbench ] && [ -e "$HOME/lists" ] || { echo "E: Unable to locate package $last" >&2; exit 100; }
ln -sf /usr/bin/sysbench "$HOME/bin/sysbench"
]])
    place("srv02", "apt-get", "echo \"$*\" >>\"$HOME/apt.log\"\necho \"E: Could not get lock /var/lib/dpkg/lock-frontend\" >&2; exit 100\n")
    local ids = { "srv01", "srv02", "srv03" }
    local result = run("cpu", ids, { "seconds=1", "min_events_per_second=1" })
    assert.equals(3, result.code, result.stderr)
    assert.is_truthy(result.stdout:find("sysbench is missing (apt-get install sysbench)", 1, true), result.stdout)
    assert.is_truthy(T.find_log(result.log, "or --install-tools)"))
    assert.equals("", T.read(home "srv01" .. "/apt.log"))

    result = run("cpu", ids, { "seconds=1", "min_events_per_second=1" }, nil, { "--install-tools" })
    assert.same({ "passed", "error", "error" }, { result.servers.srv01.status, result.servers.srv02.status,
      result.servers.srv03.status }, result.stderr)
    local options = "noninteractive: -q -y -o DPkg::Lock::Timeout=120 --no-install-recommends "
    assert.equals(options .. "install sysbench\n" .. options .. "update\n" .. options .. "install sysbench\n",
      T.read(home "srv01" .. "/apt.log"))
    assert.is_true(result.servers.srv01.step.cpu.metrics.events_per_second.value > 0)
    assert.is_truthy(T.find_log(result.log, "could not be installed: E: Could not get lock"))
    assert.is_truthy(T.find_log(result.log, "could not be installed: takes root, or sudo without a password"))
    assert.is_truthy(result.stdout:find("sysbench could not be installed", 1, true), result.stdout)
  end)
end)
