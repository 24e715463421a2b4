-- Stress: all cores and most of the memory at work, each result checked, and what the server's sensors say of the heat.
-- Needs stress-ng on the servers.
--   muster run scripts/stress.lua -i inventory.txt -p seconds=3600
local muster = require "muster"
local stress, tool = require "benchmarks.stress", require "benchmarks.tool"

-- Of this server, from the step stress for those after it: it cannot be hot again without being stressed again.
local heat

-- A step for what some sensor measured; where there is none, that is said, and the step is skipped.
local function sensor_step(name, thresholds)
  return {
    name = name, confirm = 0, thresholds = thresholds,
    when = function()
      if not heat then return false end -- stress did not run
      for metric in pairs(thresholds) do
        if not heat[metric] then
          muster.log.info(("Not measured: %s, since the server has no sensor for it."):format(name))
          return false
        end
      end
      return true
    end,
    run = function()
      local metrics = {}
      for metric in pairs(thresholds) do metrics[metric] = heat[metric] end
      if name == "temperature" then metrics.idle = heat.idle_temperature end
      return metrics
    end,
  }
end

return muster.script {
  description = "Stress: all cores and memory, verified; temperatures and throttling",
  params = {
    install_tools = false, -- true: install what is missing there, as root or by sudo without a password
    seconds = 60, -- bad memory shows after hours, bad cooling after ten minutes; this finds what is plainly broken
    memory_percent = 70, -- of what is available: the rest is for the system, which else kills what is stressed
    -- Operations of stress-ng's own kind a second: matrixprod, and vm with rand-set, a worker a core each. They depend
    -- on its version, so that they are compared within a fleet; these find a server that gets next to nothing done.
    min_cpu = 10.0,
    min_memory = 10.0,
    -- A result that is not what it must be: no number of those is right.
    max_failures = 0,
    -- In °C. Server processors slow themselves down from 95 to 105.
    max_temperature = 95.0,
    -- How often cores slowed down for their heat. Cooled as it should be, no server ever does.
    max_throttled = 0,
    sysfs = "/sys",
  },
  timeout = "26h",

  steps = {
    { name = "stress", timeout = "25h",
      run = tool.step(function(server, params)
        local metrics
        heat = nil
        metrics, heat = stress.run(server, params.seconds, params.memory_percent, params.sysfs)
        return metrics
      end),
      thresholds = {
        cpu = { min = "params.min_cpu", unit = "bogo-ops/s" },
        memory = { min = "params.min_memory", unit = "bogo-ops/s" },
        failures = { max = "params.max_failures" },
      } },
    sensor_step("temperature", { temperature = { max = "params.max_temperature", unit = "°C" } }),
    sensor_step("throttling", { throttled = { max = "params.max_throttled" } }),
  },
}
