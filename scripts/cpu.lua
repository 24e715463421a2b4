-- CPU throughput over all cores. Needs sysbench on the servers.
--   muster run scripts/cpu.lua -i inventory.txt -p seconds=30
local muster = require "muster"

return muster.script {
  description = "CPU throughput, all cores",
  params = { seconds = 10 },
  timeout = "5m",

  steps = {
    { name = "cpu",
      run = function(server, params)
        local out = server:exec("sysbench cpu --time=%d --threads=$(nproc) run", params.seconds)
        return { events_per_second = tonumber(out.stdout:match("events per second:%s+([%d.]+)")) }
      end,
      thresholds = { events_per_second = { min = 500, unit = "events/s" } } },
  },
}
