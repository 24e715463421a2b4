-- TCP throughput of each server with another one. Needs iperf3 on the servers, and that they reach each other on ports
-- 20000 to 29999: at the inventory's address, or at what a server's variable network_address says.
--   muster run scripts/network.lua -i inventory.txt -j 8 -p min_throughput=23
local muster = require "muster"
local network, tool = require "benchmarks.network", require "benchmarks.tool"

return muster.script {
  description = "Network throughput between servers, in pairs, both ways",
  params = {
    install_tools = false, -- true: install what is missing there, as root or by sudo without a password
    seconds = 5, -- each way
    -- A link of 1 Gbit/s carries 0.94 of TCP: who is below it runs at 100 Mbit/s, or loses what it sends. For your
    -- fleet: its links' speed, less 10 %. Pairs that run at a time share what is between them: -j 1 where it is narrow.
    min_throughput = 0.9,
    -- Sending as fast as it goes, a clean path has up to some hundred a second, where a queue overflows; a bad cable or
    -- plug has thousands at any speed. For 5 s each way.
    max_retransmits = 20000,
  },

  steps = {
    { name = "network", pair = true, timeout = "10m",
      run = tool.step(function(server, params, peer) return network.run(server, peer, params.seconds) end),
      thresholds = {
        throughput = { min = "params.min_throughput", unit = "Gbit/s" },
        retransmits = { max = "params.max_retransmits" },
      } },
  },
}
