-- Memory throughput: sysbench writes with all cores at once, mbw copies with one. For memory.lua and burnin.lua.
local muster = require "muster"
local tool = require "benchmarks.tool"
local M = {}

--- seconds: of sysbench; megabytes: what mbw copies (it takes twice this), which should be well beyond the last cache.
function M.run(server, seconds, megabytes)
  local written = tool.run(server, "sysbench", "sysbench", "sysbench memory --time=%d --threads=$(nproc) " ..
    "--memory-oper=write --memory-block-size=1M --memory-total-size=1000T run", seconds)
  -- -t0: memcpy alone.
  local copied = tool.run(server, "mbw", "mbw", "mbw -q -n 5 -t0 %d", megabytes)
  -- The best of the copies: the others had company, or first met the pages.
  return { throughput = muster.parse.sysbench(written.stdout).throughput,
    copy = (muster.parse.mbw(copied.stdout).memcpy or {}).best }
end

return M
