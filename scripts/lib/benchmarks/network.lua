-- TCP throughput between two servers: iperf3 serves on the peer while it measures on the server, once each way.
-- For network.lua.
local muster = require "muster"
local tool = require "benchmarks.tool"
local errors = muster.errors
local M = {}

local PORT_FIRST, PORT_LAST = 20000, 29999 -- below those that Linux gives to outgoing connections
local TRIES = 5
local SERVE = "iperf3 --server --one-off --forceflush --port %d"
local CLIENT = "iperf3 --client %q --port %d --time %d --connect-timeout 10000 --json"

local function address_of(server) return server.vars.network_address or server.address end

--- One measurement; client: its command. What serves is ended with the function that its line calls, and with the
--- step, whatever becomes of the client.
local function measure(server, peer, seconds, client)
  local report, complaint
  for _ = 1, TRIES do
    local port = math.random(PORT_FIRST, PORT_LAST)
    tool.run(peer, "iperf3", "iperf3", SERVE, port, {
      check = false,
      timeout = seconds + 60,
      on_line = function(line)
        complaint = line:match "error %- (.+)" or complaint
        if report or not line:find "^Server listening on " then return end
        local out = tool.run(server, "iperf3", "iperf3", client, address_of(peer), port, seconds,
          { check = false, timeout = seconds + 30 })
        report = muster.parse.iperf3(out.stdout)
      end,
    })
    if report then return report end
    if not (complaint or ""):find "in use" then break end -- by whoever has that port
  end
  complaint = complaint or "it said nothing"
  error(errors.CommandError(("iperf3 could not serve on %s: %s"):format(peer.id, complaint),
    { cause = "iperf3 could not serve: " .. complaint }))
end

--- Gbit/s of the slower way, and what was sent again on both. A step of a pair has to see both ways: a server that is
--- bad at receiving alone would look good as soon as it is the one that sends.
function M.run(server, peer, seconds)
  local there = measure(server, peer, seconds, CLIENT)
  local back = measure(server, peer, seconds, CLIENT .. " --reverse")
  local to, from = there.bits_per_second / 1e9, back.bits_per_second / 1e9
  muster.log.info(("To %s %.2f Gbit/s, back %.2f."):format(peer.id, to, from))
  return { throughput = math.min(to, from),
    retransmits = (there.retransmits or 0) + (back.retransmits or 0) }
end

return M
