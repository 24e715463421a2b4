-- CPU throughput over all cores, with sysbench: primes, so caches and memory do not matter. For cpu.lua and burnin.lua.
local muster = require "muster"
local tool = require "benchmarks.tool"
local M = {}

--- seconds: how long to measure; threads: 0 is one for each core.
function M.run(server, seconds, threads)
  local out = tool.run(server, "sysbench", "sysbench", "sysbench cpu --time=%d --threads=%s run", seconds,
    threads and threads > 0 and threads or "$(nproc)")
  return { events_per_second = muster.parse.sysbench(out.stdout).events_per_second }
end

return M
