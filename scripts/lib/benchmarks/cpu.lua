-- CPU throughput over all cores, with sysbench: primes, so caches and memory do not matter. For cpu.lua and burnin.lua.
local tool = require "benchmarks.tool"
local M = {}

function M.parse(text)
  return { events_per_second = tool.number(text, "events per second:%s+([%d.]+)", "sysbench") }
end

--- seconds: how long to measure; threads: 0 is one for each core.
function M.run(server, seconds, threads)
  return M.parse(tool.run(server, "sysbench", "sysbench", "sysbench cpu --time=%d --threads=%s run", seconds,
    threads and threads > 0 and threads or "$(nproc)").stdout)
end

return M
