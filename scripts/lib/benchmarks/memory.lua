-- Memory throughput: sysbench writes with all cores at once, mbw copies with one. For memory.lua and burnin.lua.
local tool = require "benchmarks.tool"
local M = {}

function M.parse_sysbench(text)
  return tool.number(text, "transferred %(([%d.]+) MiB/sec%)", "sysbench")
end

--- The best of mbw's copies: the others had company, or first met the pages.
function M.parse_mbw(text)
  local best
  for copy in text:gmatch "%f[^\n%z]%d+\tMethod: MEMCPY\t[^\n]*Copy: ([%d.]+) MiB/s" do
    best = math.max(best or 0, tonumber(copy))
  end
  return best or tool.number(text, "AVG\tMethod: MEMCPY\t[^\n]*Copy: ([%d.]+) MiB/s", "mbw")
end

--- seconds: of sysbench; megabytes: what mbw copies (it takes twice this), which should be well beyond the last cache.
function M.run(server, seconds, megabytes)
  local written = tool.run(server, "sysbench", "sysbench", "sysbench memory --time=%d --threads=$(nproc) " ..
    "--memory-oper=write --memory-block-size=1M --memory-total-size=1000T run", seconds)
  -- -t0: memcpy alone.
  local copied = tool.run(server, "mbw", "mbw", "mbw -q -n 5 -t0 %d", megabytes)
  return { throughput = M.parse_sysbench(written.stdout), copy = M.parse_mbw(copied.stdout) }
end

return M
