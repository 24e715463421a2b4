-- A run over real sshd, recorded, and replayed when none of the servers is there any more.
local T = require "muster_test"

local SCRIPT = [[
local muster = require "muster"
return muster.script {
  setup = function(server) server:connect { wait = server.id == "srv03" and 0.3 or nil } end,
  steps = {
    { name = "speed", thresholds = { score = { min = 50, unit = "MB/s" } }, confirm = 1,
      run = function(server)
        local n = tonumber(server:exec("cat; echo", { stdin = server.id == "srv02" and "7" or "70" }).stdout)
        return n + tonumber(server:exec "date +0.%N".stdout) end },
    { name = "tool", run = function(server) server:exec(server.id == "srv02" and "no-such-tool" or "true") end },
  },
  on_failure = function(server) server:exec "uptime" end,
  teardown = function(server) server:reconnect() server:exec "echo bye" end,
} ]]

-- What a run found out, without times.
local function essence(results)
  local all = {}
  for i, server in ipairs(results.servers) do
    local steps = {}
    for j, s in ipairs(server.steps) do
      steps[j] = { s.name, s.status, s.metrics, s.failures, s.measured, s.earlier }
    end
    all[i] = { server.id, server.status, server.failures, steps }
  end
  return all
end

describe("a fleet", function()
  it("is replayed as it was", function()
    local fleet = T.fleet_start(3)
    local tape = T.tmpdir() .. "/tape"
    fleet:kill "srv03"
    local first = fleet:run(SCRIPT, { args = { "--record", tape } })
    assert.equals(1, first.code, first.stderr)
    fleet:stop()
    assert.equals("script.srv01.jsonl\nscript.srv02.jsonl\nscript.srv03.jsonl\n", T.exec { "ls", tape }.stdout)

    for _, args in ipairs { {}, { "-j", "1", "--workers", "1" }, { "-i", fleet.inventory } } do
      local again = T.run_script(SCRIPT, { args = { "--replay", tape, table.unpack(args) }, dir = first.dir })
      assert.equals(first.code, again.code, again.stderr)
      assert.same(essence(first.results), essence(again.results))
      local function last(result) return result.stdout:match "Not measured.*" end
      assert.equals(last(first), last(again))
    end
    assert.equals("unreachable", first.results.servers[3].status)
    assert.equals(2, first.results.servers[2].steps[1].measured)
  end)
end)
