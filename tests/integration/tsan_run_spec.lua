-- One run that uses every part that threads share: four workers, fifty servers, host keys learnt, an agent, a log at
-- debug to two sinks, a timeout, a refused connection. The build for the thread sanitizer runs it to find races; any
-- other build must pass it, too.
local cjson = require "cjson"
local S = require "ssh_support"
local T = require "muster_test"

local SERVERS = 50

describe("a run with all that threads share", function()
  local result, dir, socket

  setup(function()
    local fleet = T.fleet_start(SERVERS - 1)
    dir = T.tmpdir()
    socket = S.agent()
    assert(T.exec { "ssh-add", "-q", fleet.key, env = { SSH_AUTH_SOCK = socket } }.code == 0)
    local entries = {}
    for i, id in ipairs(fleet.ids) do
      entries[i] = S.entry(fleet.servers[id], id)
      -- Half of the logins are the agent's.
      if i % 2 == 0 then entries[i].key = nil end
    end
    entries[SERVERS] = { id = "refused", address = "127.0.0.1",
      port = tonumber(T.exec { T.fleet_program, "port" }.stdout) }
    T.write(dir .. "/script.lua", [[
      local muster = require "muster"
      return muster.script { steps = {
        { name = "count", thresholds = { lines = { min = 100 } }, run = function(server)
            local lines = 0
            server:exec("seq 100", { on_line = function() lines = lines + 1 end })
            return { lines = lines }
          end },
        { name = "wait", run = function(server)
            if server.id == "srv07" then server:exec("sleep 1000", { timeout = 1 }) end
            return tonumber(server:exec("cat", { stdin = "42" }).stdout)
          end },
      } } ]])
    result = T.run { "run", dir .. "/script.lua", "-i", S.inventory(dir, entries), "--known-hosts", dir .. "/known_hosts",
      "--host-key-policy", "accept-new", "--workers", "4", "-j", "40", "--connect-timeout", "60s", "--log-level", "debug",
      "--log-file", dir .. "/log", "--json", dir .. "/results.json", "--junit", dir .. "/junit.xml", timeout = 300,
      env = { SSH_AUTH_SOCK = socket, TSAN_OPTIONS = "halt_on_error=1:exitcode=66" } }
    result.results = cjson.decode(T.read(dir .. "/results.json"))
  end)

  it("ends as expected", function()
    assert.equal(3, result.code, result.stdout .. result.stderr:sub(1, 20000))
    assert.same({ passed = 48, timeout = 1, unreachable = 1, failed = 0, error = 0, cancelled = 0, skipped = 0 },
      result.results.counts)
    assert.same({ "srv07", "refused" }, result.results.unmeasured_servers)
    assert.is_nil(result.stderr:find("ThreadSanitizer", 1, true))
  end)

  it("learns every host key once", function()
    local seen, n = {}, 0
    for _, line in ipairs(T.lines(T.read(dir .. "/known_hosts"))) do
      local host = line:match "^%S+"
      assert.is_nil(seen[host], line)
      seen[host], n = true, n + 1
    end
    assert.equal(SERVERS - 1, n)
  end)

  it("logs the same lines to both sinks, each whole", function()
    assert.equal(T.read(dir .. "/log"), result.stderr)
    for _, line in ipairs(T.lines(result.stderr)) do
      assert.is_truthy(line:find "^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d %[%l+ *%] ", line)
    end
  end)
end)
