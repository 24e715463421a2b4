-- Memory throughput. Needs sysbench and mbw on the servers.
--   muster run scripts/memory.lua -i inventory.txt -p min_throughput=20000
local muster = require "muster"
local memory, tool = require "benchmarks.memory", require "benchmarks.tool"

return muster.script {
  description = "Memory throughput: all cores write, one core copies",
  params = {
    install_tools = false, -- true: install what is missing there, as root or by sudo without a password
    seconds = 5,
    megabytes = 256, -- that mbw copies; it takes twice this, and should be well beyond the last cache
    -- One channel of the slowest DDR4 carries 12,800 MB/s. A server that stays under a sixth of that has lost its
    -- channels, or runs its memory at an emergency clock. For your fleet: what its good servers score, less 10 %: a
    -- missing DIMM takes more.
    min_throughput = 2000.0,
    min_copy = 1000.0, -- a copy reads and writes: half
  },
  timeout = "15m", -- with --install-tools on a server that has to fetch lists first

  steps = {
    { name = "memory", timeout = "2h",
      run = tool.step(function(server, params) return memory.run(server, params.seconds, params.megabytes) end),
      thresholds = {
        throughput = { min = "params.min_throughput", unit = "MiB/s" },
        copy = { min = "params.min_copy", unit = "MiB/s" },
      } },
  },
}
