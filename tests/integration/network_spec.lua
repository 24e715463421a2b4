-- network.lua over SSH, with the real iperf3 between real sshd servers, all of them this machine. One that is slow is played
-- by a program in its home/bin.
local S = require "ssh_support"
local T = require "muster_test"
local cjson = require "cjson"

describe("network.lua", function()
  local fleet
  setup(function() fleet = T.fleet_start(5) end)

  local function place(id, text)
    local path = ("%s/%s/home/bin/iperf3"):format(fleet.dir, id)
    T.write(path, "#!/bin/sh\n" .. text)
    assert(os.execute("chmod 755 " .. T.quote(path)))
  end

  local function remove(id) os.remove(("%s/%s/home/bin/iperf3"):format(fleet.dir, id)) end

  local function run(ids, args)
    local dir, entries = T.tmpdir(), {}
    for i, id in ipairs(ids) do entries[i] = S.entry(fleet.servers[id], id, { network_address = "127.0.0.1" }) end
    local words = { "run", T.source .. "/scripts/network.lua", "-i", S.inventory(dir, entries), "--known-hosts", fleet.known_hosts,
      "--json", dir .. "/r.json", "--log-format", "json", "-p", "seconds=1", "-p", "max_retransmits=1000000" }
    for _, word in ipairs(args or {}) do words[#words + 1] = word end
    local result = T.run(words)
    assert.is_true(S.exists(dir .. "/r.json"), result.stderr)
    result.results = cjson.decode(T.read(dir .. "/r.json"))
    result.step = {}
    for _, server in ipairs(result.results.servers) do
      for _, step in ipairs(server.steps) do result.step[server.id] = step end
    end
    return result
  end

  it("blames the slow one of five alone", function()
    -- What it sends and is sent where it is the client is no more than 10 Mbit/s.
    place("srv03", [[
for word; do [ "$word" = --client ] && exec /usr/bin/iperf3 --bitrate 10M "$@"; done
exec /usr/bin/iperf3 "$@"
]])
    local r = run({ "srv01", "srv02", "srv03", "srv04", "srv05" }, { "-j", "2" })
    assert.same({ 1, { "srv03" } }, { r.code, r.results.failed_servers }, r.stderr)
    assert.matches("^network%.throughput 0%.0%d+ < 0%.9 Gbit/s.*, with srv0[1-5]$", r.step.srv03.failures[1].message)
    assert.same({ "passed", 2 }, { r.step.srv04.status, r.step.srv04.measured })
    for _, id in ipairs { "srv01", "srv02", "srv05" } do
      assert.same({ "passed", 1 }, { r.step[id].status, r.step[id].measured }, id)
      assert.is_true(r.step[id].metrics.throughput.value > 0.9)
    end
    remove "srv03"
  end)

  it("blames one that is gone alone", function()
    local closed = T.fleet_start(1)
    local gone = closed.servers.srv01
    closed:kill "srv01"
    fleet.servers.srv09 = { address = gone.address, port = gone.port, user = gone.user, key = gone.key }
    local r = run { "srv01", "srv09", "srv03", "srv04" }
    assert.equal(3, r.code, r.stderr)
    assert.same({ "passed", "unreachable", "passed", "passed" }, { r.step.srv01.status, r.step.srv09.status,
      r.step.srv03.status, r.step.srv04.status }, r.stderr)
    for _, server in ipairs(r.results.servers) do assert.same({}, server.unended or {}, server.id) end
  end)

  it("is recorded, and replayed without the servers", function()
    local tapes = T.tmpdir()
    local recorded = run({ "srv01", "srv02", "srv04" }, { "--record", tapes })
    local replayed = run({ "srv01", "srv02", "srv04" }, { "--replay", tapes })
    for _, id in ipairs { "srv01", "srv02", "srv04" } do
      assert.equal("passed", recorded.step[id].status, recorded.stderr)
      assert.same(recorded.step[id].metrics, replayed.step[id].metrics, replayed.stderr)
    end
  end)

  it("says what is missing, and where", function()
    place("srv02", "echo \"sh: 1: iperf3: not found\" >&2; exit 127\n")
    local r = run { "srv01", "srv02", "srv03", "srv04" }
    assert.equal(3, r.code, r.stderr)
    assert.same({ "passed", "error", "passed", "passed" }, { r.step.srv01.status, r.step.srv02.status, r.step.srv03.status,
      r.step.srv04.status }, r.stderr)
    assert.matches("iperf3 is not on the server: install the Debian package iperf3 there", r.step.srv02.failures[1].message, 1, true)
    remove "srv02"
  end)
end)
