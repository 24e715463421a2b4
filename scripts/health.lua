-- Health: what a server says of its own disks, memory, kernel and clock, and whether everything is there that the
-- inventory says. It measures nothing that takes long. Needs smartmontools on the servers for the disks.
--   muster run scripts/health.lua -i inventory.txt
--   muster run scripts/health.lua -i inventory.txt -p required=smart,ecc     # where these must be readable
-- The inventory may say, by these variables (cores, not threads):
--   srv01  expected_memory_gb=256  expected_cores=64  expected_disks=4
--
-- What a server has not, or lets only root read (sudo without a password is tried), is said in the log and its step
-- skipped, never failed; `required` names steps for which that is an error. So a threshold never lacks its metric.
local muster = require "muster"
local health, tool = require "benchmarks.health", require "benchmarks.tool"

local NAMES = {} -- of the steps

local function is_required(name, params)
  local required = false
  for word in params.required:gmatch "[^,%s]+" do
    if not NAMES[word] then error(("required: there is no step %q to measure"):format(word)) end
    required = required or word == name
  end
  return required
end

-- measure(server, params) gives metrics, or nil and why there are none (nil: nobody asked for them).
local function step(name, measure, thresholds)
  NAMES[name] = true
  local ready -- measured by `when`, to be taken by `run`; measured again (confirm), it is made anew
  local function measured(server, params)
    local required, metrics, why = is_required(name, params), measure(server, params)
    if metrics then return metrics end
    if required then
      local cause = ("could not be measured: %s"):format(why or "the inventory does not say what is expected")
      error(muster.errors.ScriptError(name .. " " .. cause, { cause = cause }))
    end
    if why then muster.log.info(("Not measured: %s: %s."):format(name, why)) end
  end
  return {
    name = name, thresholds = thresholds,
    when = tool.step(function(server, params)
      ready = measured(server, params)
      return ready ~= nil
    end),
    run = tool.step(function(server, params)
      local metrics = ready or measured(server, params)
      ready = nil
      return metrics
    end),
  }
end

-- A step that compares what there is, count(server, params), with a variable of the inventory; metric(expected, there)
-- is judged.
local function expected_step(name, variable, count, metric, thresholds)
  return step(name, function(server, params)
    local said = server.vars[variable]
    if said == nil then return nil end
    local expected = tonumber(said)
    if not expected then
      error(muster.errors.ScriptError(("the inventory's %s is no number: %s"):format(variable, tostring(said))))
    end
    local there = count(server, params)
    if not there then return nil, "the server does not say" end
    return { found = there, missing = metric(expected, there) }
  end, thresholds)
end

return muster.script {
  description = "Health: SMART, ECC, the kernel's log, the clock, and what the inventory expects",
  params = {
    install_tools = false, -- true: install what is missing there, as root or by sudo without a password
    required = "", -- steps that must be measured, "smart,ecc"
    -- Grown defects: a disk with a few may live long, one with many goes on. Sectors that wait to be replaced cannot be
    -- read now.
    max_reallocated = 10,
    max_pending = 0,
    max_media_errors = 0,
    max_wear = 90, -- % of what an SSD is made to have written
    max_disk_temperature = 65, -- °C; disks are made for up to 60 (hard) or 70 (SSD)
    -- Since boot. Now and then a bit flips in any server; one that flips daily is a DIMM that will fail.
    max_ecc_corrected = 100,
    max_hardware_errors = 0, -- lines on broken hardware in the kernel's log
    max_clock_offset = 1.0, -- s, beyond what the round trip can hide; logs and certificates want it right
    max_memory_missing = 5, -- %: firmware and kernel keep 2 to 4; with more than 16 DIMMs ask for 3
    sysfs = "/sys",
  },
  timeout = "15m",

  steps = {
    step("smart", health.smart, {
      failing = { max = 0, unit = "disks" },
      reallocated = { max = "params.max_reallocated", unit = "sectors" },
      pending = { max = "params.max_pending", unit = "sectors" },
      media_errors = { max = "params.max_media_errors" },
      wear = { max = "params.max_wear", unit = "%" },
      temperature = { max = "params.max_disk_temperature", unit = "°C" },
    }),
    step("ecc", function(server, params) return health.ecc(server, params.sysfs) end, {
      corrected = { max = "params.max_ecc_corrected" },
      uncorrected = { max = 0 },
    }),
    step("kernel", health.kernel, { hardware = { max = "params.max_hardware_errors", unit = "lines" } }),
    step("clock", health.clock, { offset = { max = "params.max_clock_offset", unit = "s" } }),
    expected_step("memory", "expected_memory_gb",
      function(server)
        local bytes = server:facts().memory
        return bytes and bytes / 2^30
      end,
      function(expected, there) return math.max(0, (1 - there / expected) * 100) end,
      { missing = { max = "params.max_memory_missing", unit = "%" } }),
    expected_step("cores", "expected_cores",
      function(server) return server:facts().cpu.cores or server:facts().cpu.threads end,
      function(expected, there) return math.max(0, expected - there) end,
      { missing = { max = 0, unit = "cores" } }),
    expected_step("disks", "expected_disks",
      function(server, params) return health.disks(server, params.sysfs) end,
      function(expected, there) return math.max(0, expected - there) end,
      { missing = { max = 0, unit = "disks" } }),
  },
}
