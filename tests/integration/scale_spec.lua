-- Many servers at once, few descriptors, and servers that send far too much.
local T = require "muster_test"

local SERVERS = 200

T.time_limit = 600 -- two hundred servers take their time where the machine has other work, too

-- What a step says of muster's own memory: the most that was resident so far, in MiB.
local PEAK = [[
local function peak()
  for line in io.lines "/proc/self/status" do
    local kib = line:match "^VmHWM:%s+(%d+) kB"
    if kib then return kib // 1024 end
  end
end
]]

describe("at scale", function()
  local fleet, sanitized

  setup(function()
    fleet = T.fleet_start(SERVERS)
    local program = T.read(T.muster)
    sanitized = program:find("__asan_init", 1, true) or program:find("__tsan_init", 1, true)
  end)

  -- Most servers in flight by the log, which has its lines in the order in which they were said.
  local function most_in_flight(log)
    local flying, most = 0, 0
    for _, line in ipairs(log) do
      if line.event == "Started." then flying = flying + 1 end
      if line.event:find("Server finished:", 1, true) then flying = flying - 1 end
      most = math.max(most, flying)
    end
    assert.equal(0, flying)
    return most
  end

  it("200 servers pass, 50 at a time", function()
    local result = fleet:run([[
      return require("muster").script { steps = { { name = "one", run = function(server)
        return tonumber(server:exec("echo 51").stdout)
      end, thresholds = { score = { min = 50 } } } } } ]], { args = { "-j", "50", "--connect-timeout", "120s" } })
    assert.equal(0, result.code, result.stdout)
    assert.equal(SERVERS, result.results.counts.passed)
    assert.equal(50, most_in_flight(result.log))
    local lines = T.lines(result.stdout)
    assert.equal("Out of 200, 0 servers failed. failed_servers=[]", lines[#lines])
  end)

  it("200 failed servers are named as one node set", function()
    local result = fleet:run([[
      return require("muster").script { steps = { { name = "one", thresholds = { score = { min = 50 } },
        run = function(server) return tonumber(server.id:match "%d+") / 5 end } } } ]])
    assert.equal(1, result.code)
    local lines = T.lines(result.stdout)
    assert.equal("Out of 200, 200 servers failed. failed_servers=[srv[001-200]]", lines[#lines])
  end)

  it("few descriptors mean fewer servers in flight, which is said", function()
    local dir = T.tmpdir()
    T.write(dir .. "/script.lua", [[
      return require("muster").script {
        steps = { { name = "one", run = function(server) server:exec("true") end } } }]])
    local result = T.exec { "sh", "-c", 'ulimit -n 128; exec "$@"', "sh", "env", "-u", "SSH_AUTH_SOCK",
      "HOME=" .. T.home(), T.muster, "run", dir .. "/script.lua", "-i", fleet.inventory, "--known-hosts",
      fleet.known_hosts, "-j", "200", "--connect-timeout", "120s", "--log-format", "json", "srv[001-060]" }
    assert.equal(0, result.code, result.stderr)
    local log = T.decode_log(result.stderr)
    local most = most_in_flight(log)
    assert.is_true(most < 60 and most > 10, most)
    local warning
    for _, line in ipairs(log) do
      if line.level == "warning" then
        assert.is_nil(warning, "one word about it is enough")
        warning = line
      end
    end
    assert.is_truthy(warning.event:find("ulimit -n", 1, true), warning.event)
    assert.is_nil(warning.server_id)
    assert.is_truthy(result.stdout:find("Out of 60, 0 servers failed.", 1, true), result.stdout)
  end)

  it("a server that sends without end meets the output limit, in bounded memory", function()
    local result = fleet:run(PEAK .. [[
      local muster = require "muster"
      return muster.script { steps = {
        { name = "flood", run = function(server) server:exec("head -c 1G /dev/zero") end },
        { name = "errors", run = function(server) server:exec("head -c 1G /dev/zero >&2") end },
        { name = "peak", run = function(server) return { peak = peak() } end },
      } } ]], { args = { "srv001" } })
    assert.equal(3, result.code)
    local steps = result.results.servers[1].steps
    for i = 1, 2 do
      assert.same({ "error", "output limit: head" }, { steps[i].status, steps[i].failures[1].cause })
    end
    local peak = steps[3].metrics.peak.value
    assert.is_true(peak < (sanitized and 1000 or 200), "peak " .. peak .. " MiB")
  end)

  it("lines are taken as they come, all of them, in bounded memory", function()
    -- 256 MiB: as much as a callback a line can take in a few seconds.
    local mib = sanitized and 96 or 256
    local result = fleet:run(PEAK .. [[
      local muster = require "muster"
      return muster.script { steps = { { name = "lines", run = function(server)
        local lines, bytes = 0, 0
        local text = ("0123456789abcde "):rep(8):sub(1, 127)
        server:exec("yes " .. text .. " | head -c ]] .. mib .. [[M", { on_line = function(line)
          lines, bytes = lines + 1, bytes + #line + 1
        end })
        return { lines = lines, bytes = bytes, peak = peak() }
      end } } } ]], { args = { "srv001" } })
    assert.equal(0, result.code, result.stdout)
    local metrics = result.results.servers[1].steps[1].metrics
    assert.equal(mib * 1048576, metrics.bytes.value)
    assert.equal(mib * 8192, metrics.lines.value)
    assert.is_true(metrics.peak.value < (sanitized and 1000 or 200), "peak " .. metrics.peak.value .. " MiB")
  end)

  it("a server waits for a callback that is slower than it", function()
    -- More than may wait to be taken, were it all read at once.
    local result = fleet:run(PEAK .. [[
      local muster = require "muster"
      return muster.script { steps = { { name = "lines", run = function(server)
        local lines, text = 0, ("0123456789abcde "):rep(64):sub(1, 1023)
        server:exec("yes " .. text .. " | head -c 96M", { on_line = function()
          lines = lines + 1
          if lines % 100 == 0 then for _ = 1, 100000 do end end
          if lines % 20000 == 0 then muster.sleep("200ms") end
          if lines % 30000 == 0 then assert(server:exec("echo meanwhile").stdout == "meanwhile\n") end
        end })
        return { lines = lines, peak = peak() }
      end } } } ]], { args = { "srv001" } })
    assert.equal(0, result.code, result.stdout)
    local metrics = result.results.servers[1].steps[1].metrics
    assert.equal(96 * 1024, metrics.lines.value)
    assert.is_true(metrics.peak.value < (sanitized and 1000 or 200), "peak " .. metrics.peak.value .. " MiB")
  end)

  it("8 MiB of standard input come back as they were", function()
    local result = fleet:run([[
      return require("muster").script { steps = { { name = "cat", run = function(server)
        local all = {}
        for i = 0, 255 do all[i + 1] = string.char(i) end
        local text = table.concat(all):rep(32768)
        assert(server:exec("cat", { stdin = text }).stdout == text, "it came back changed")
        return #text
      end } } } ]], { args = { "srv001" } })
    assert.equal(0, result.code, result.stdout)
    assert.equal(8 * 1048576, result.results.servers[1].steps[1].metrics.score.value)
  end)
end)
