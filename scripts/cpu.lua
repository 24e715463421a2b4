-- CPU throughput over all cores. Needs sysbench on the servers.
--   muster run scripts/cpu.lua -i inventory.txt -p seconds=30 -p min_events_per_second=2500
local muster = require "muster"
local cpu, tool = require "benchmarks.cpu", require "benchmarks.tool"

return muster.script {
  description = "CPU throughput, all cores",
  params = {
    install_tools = false, -- true: install what is missing there, as root or by sudo without a password
    seconds = 10,
    threads = 0, -- 0: one for each core
    -- One core of any server of the last ten years makes more than this alone. For your fleet: see what its good
    -- servers score, and ask for 10 % less; a throttled socket or a missing CPU is then found.
    min_events_per_second = 500.0,
  },
  timeout = "15m", -- with --install-tools on a server that has to fetch lists first

  steps = {
    { name = "cpu", timeout = "2h",
      run = tool.step(function(server, params) return cpu.run(server, params.seconds, params.threads) end),
      thresholds = { events_per_second = { min = "params.min_events_per_second", unit = "events/s" } } },
  },
}
