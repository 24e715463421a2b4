-- The reports of a whole run, all kinds at once: the same whatever the order of the servers' ends was, and read by others.
local T = require "muster_test"

local SCRIPT = [[
local muster = require "muster"
return muster.script { params = { t = 0 }, mark = function() end, max_broken = "100%",
  teardown = function(server) if server.id == "srv06" then error "no teardown" end end,
  steps = {
    { name = "gpu", thresholds = { score = { min = 50, unit = "fps" } }, run = function(server)
        local n = tonumber(server.id:match "%d+")
        server:exec("sleep %s", tostring((n * 7 % 5) / 20))  -- their ends are in another order than their beginnings
        if n == 2 then server:exec "echo no device >&2; exit 3" end
        if n == 3 then server:exec("sleep 60", { timeout = 0.1 }) end
        return { score = n == 4 and 20 or { 80, 79, 82 }, heat = n == 5 and 0/0 or 61.5 }
      end },
    { name = "disk", needs = { "gpu" }, run = function(server)
        if server.id == "srv07" then error(muster.errors.CheckFailed "a \"quoted\" \\ word") end
        return 1
      end },
    { name = "wipe", destructive = true, run = function() end },
    { name = "peer", thresholds = { score = { peers = { drop = "10%" } } }, run = function(server)
        return server.id == "srv08" and 50 or 100 end },
  } }
]]

local function run(...)
  local dir = T.tmpdir()
  local ids = {}
  for i = 1, 9 do ids[i] = ("srv%02d\n"):format(i) end
  local args = { "-i", T.write(dir .. "/fleet.txt", table.concat(ids)) }
  for _, name in ipairs { "junit", "openmetrics", "otel-jsonl" } do
    args[#args + 1] = "--" .. name
    args[#args + 1] = dir .. "/" .. name
  end
  for _, word in ipairs { ... } do args[#args + 1] = word end
  return T.run_local(SCRIPT, { dir = dir, args = args })
end

local function judge(...)
  local words = { ... }
  words[1] = T.source .. "/tests/support/" .. words[1]
  local said = T.exec(words)
  assert.equals(0, said.code, said.stdout .. said.stderr)
end

--- What differs from run to run, taken out.
local function normal(text)
  return (text:gsub("%d%d%d%d%d%d%d%dT%d%d%d%d%d%dZ%-%x%x%x%x%x%x", "RUN"):gsub("%d%d%d%d%-%d%d%-%d%dT[%d:.]+Z?", "TIME")
    :gsub('time="[%d.]+"', "time"):gsub('"duration_s":[%d.]+', "duration"):gsub("/tmp/muster%-test%.%w+", "DIR")
    :gsub("UnixNano\":\"%d+", "NANO"):gsub("_seconds{([^}]*)} [%d.e+]+", "_seconds{%1} S")
    :gsub('(%.duration","unit":"s",.-"asDouble":)[%d.]+', "%1S")
    :gsub('("asDouble":)[%d.]+', "%1S"))
end

describe("the reports of a run", function()
  local one, other
  setup(function() one, other = run("-j", "9", "--workers", "2"), run("-j", "4", "--workers", "1") end)

  it("do not depend on who was ready first", function()
    assert.equals(1, one.code, one.stderr)
    assert.equals(normal(one.stdout), normal(other.stdout))
    for _, name in ipairs { "junit", "results.json", "openmetrics", "otel-jsonl" } do
      assert.equals(normal(T.read(one.dir .. "/" .. name)), normal(T.read(other.dir .. "/" .. name)), name)
    end
  end)

  it("are what others read", function()
    local valid = T.exec { "xmllint", "--noout", "--schema", T.source .. "/tests/support/junit.xsd", one.dir .. "/junit" }
    assert.equals(0, valid.code, valid.stderr)
    judge("judge-agreement", one.dir .. "/junit", one.dir .. "/results.json")
    judge("judge-otlp", one.dir .. "/otel-jsonl")
    judge("judge-openmetrics", one.dir .. "/openmetrics", 'muster_run_exit_code{script="script"} 1',
      'muster_run_servers{script="script",status="failed"} 3', 'muster_run_servers{script="script",status="timeout"} 1',
      'muster_server_status{script="script",server="srv02",status="error"} 1',
      'muster_server_mark{script="script",server="srv04",mark="made"} 1',
      'muster_step_status{script="script",server="srv01",step="wipe",status="skipped"} 1',
      'muster_metric_value{script="script",server="srv01",step="gpu",metric="score",unit="fps"} 80',
      'muster_metric_passed{script="script",server="srv04",step="gpu",metric="score",unit="fps"} 0',
      'muster_metric_threshold_min{script="script",server="srv01",step="gpu",metric="score",unit="fps"} 50')
  end)

  it("cannot share a file, or replace what is no file", function()
    local dir = T.tmpdir()
    local script = T.write(dir .. "/x.lua", SCRIPT)
    local result = T.run { "run", script, "--local", "--openmetrics", dir .. "/m", "--otel-jsonl", dir .. "/m" }
    assert.equals(2, result.code)
    assert.equals(("muster run: --otel-jsonl and --openmetrics would both write to %s/m; see 'muster run --help'\n"):format(dir),
      result.stderr)
    result = T.run { "run", script, "--local", "--openmetrics", "/dev/null" }
    assert.equals("muster run: --openmetrics: cannot write /dev/null: it is not a regular file\n", result.stderr)
    assert.equals(2, result.code)
  end)
end)
