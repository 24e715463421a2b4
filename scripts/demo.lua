-- demo.lua: a first script, and what tools/demo runs. Try it against one server of yours that has sysbench:
--
--     muster run scripts/demo.lua ops@server.example.com
--     muster run scripts/demo.lua --local -p seconds=5
--
-- A script returns one description. Its steps run on every server, in this order, over one SSH session a server.
local muster = require "muster"

return muster.script {
  description = "CPU and memory throughput in a few seconds, for a first look",

  -- Each can be set on the command line: -p seconds=5. What is given there takes the type of the default here.
  params = { seconds = 1 },

  -- One server's time for everything. A server that takes longer is reported as "timeout", not as slow.
  timeout = "2m",

  steps = {
    {
      name = "cpu",
      -- Reads as if it waited, and does: meanwhile muster serves the other servers. A command that fails raises an
      -- error, and the step is then "error", could not be measured; never "failed", too slow.
      run = function(server, params)
        local out = server:exec("sysbench cpu --threads=1 --time=%d run", params.seconds)
        return { events_per_second = muster.parse.sysbench(out.stdout).events_per_second }
      end,
      -- The rule that decides. So low that any healthy machine passes, even one that many share: for a real fleet,
      -- see what its good servers score and ask for a little less.
      thresholds = { events_per_second = { min = 20, unit = "events/s" } },
    },
    {
      name = "memory",
      run = function(server, params)
        local out = server:exec(
          "sysbench memory --threads=1 --time=%d --memory-block-size=1M --memory-total-size=1T run", params.seconds)
        return { throughput = muster.parse.sysbench(out.stdout).throughput }
      end,
      thresholds = { throughput = { min = 50, unit = "MiB/s" } },
    },
  },
}
