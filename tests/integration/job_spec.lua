-- The job that muster is made for, whole: ten servers, five at once, a CPU and a GPU step judged by thresholds, six
-- servers that fail; and a log that tells every server's story to whoever greps for its id.
local cjson = require "cjson"
local S = require "ssh_support"
local T = require "muster_test"

-- In the order of the inventory, which is not that of the numbers. gpu and cpu below 50 fail.
local SERVERS = {
  { "5614", cpu = 90, gpu = 82 }, { "5304", cpu = 81, gpu = 20 }, { "25182", cpu = 77, gpu = 14 },
  { "11673", cpu = 7, gpu = 66 }, { "104", cpu = 50, gpu = 50 }, { "9931", cpu = 12, gpu = 13 },
  { "20002", cpu = 55, gpu = 54.5 }, { "3310", cpu = 49.999, gpu = 71 }, { "777", cpu = 51, gpu = 99 },
  { "12", cpu = 64, gpu = 49 },
}
local FAILED = { "5304", "25182", "11673", "9931", "3310", "12" }

local SCRIPT = [[
local muster = require "muster"
local bench = require "bench"

return muster.script {
  description = "CPU and GPU",
  params = { meeting = "" },
  setup = function(server, params)
    -- Go on when five servers are here: so that there are five at once.
    server:exec("touch %q/$MUSTER_SERVER; until [ $(ls %q | wc -l) -ge 5 ]; do sleep 0.05; done",
      params.meeting, params.meeting)
  end,
  steps = {
    { name = "cpu", run = bench.cpu, thresholds = { score = { min = 50 } } },
    { name = "gpu", run = bench.gpu, thresholds = { score = { min = 50 } } },
  },
}
]]

-- What the operators had: functions that know nothing of server ids, of steps, of logging.
local BENCH = [[
local report = require "report"
local bench = {}

function bench.cpu(server)
  local score = tonumber(server:exec("cat score.cpu").stdout)
  print("cpu benchmark done")
  return score
end

function bench.gpu(server)
  report.score(tonumber(server:exec("cat score.gpu").stdout))
  server:exec("cat score.gpu.missing; exit 3", { check = false })
  local ok = pcall(server.exec, server, "cat score.gpu.missing")
  assert(not ok)
  return tonumber(server:exec{ "cat", "score.gpu" }.stdout)
end

return bench
]]

local REPORT = [[
local muster = require "muster"
return { score = function(score) muster.log.info("GPU benchmark score is " .. score .. ".", { gpu = 0 }) end }
]]

local function is_number(id) return id:match "^%d+$" ~= nil end

describe("the job", function()
  local fleet, dir, args, run

  local function id_of(line) return line:match " server_id=(%S+)" end

  setup(function()
    fleet = T.fleet_start(#SERVERS)
    dir = T.tmpdir()
    local meeting = dir .. "/meeting"
    assert(os.execute("chmod 755 " .. T.quote(dir) .. " && mkdir -m 777 " .. T.quote(meeting)))
    T.write(dir .. "/bench.lua", BENCH)
    T.write(dir .. "/report.lua", REPORT)
    T.write(dir .. "/script.lua", SCRIPT)
    local entries = {}
    for i, server in ipairs(SERVERS) do
      local real = fleet.servers[fleet.ids[i]]
      entries[i] = S.entry(real, server[1])
      for _, name in ipairs { "cpu", "gpu" } do
        T.write(("%s/%s/home/score.%s"):format(fleet.dir, real.id, name), server[name] .. "\n")
      end
    end
    args = { "run", dir .. "/script.lua", "-i", S.inventory(dir, entries), "--known-hosts", fleet.known_hosts, "-j",
      "5", "-p", "meeting=" .. meeting, "--log-level", "debug", "-q", "--log-file", dir .. "/log",
      "--json", dir .. "/results.json", "--junit", dir .. "/junit.xml" }
    run = T.run(args)
    run.results = cjson.decode(T.read(dir .. "/results.json"))
    run.log = T.lines(T.read(dir .. "/log"))
  end)

  it("ends with exit code 1 and names the failed servers in the last line", function()
    assert.equal(1, run.code, run.stderr)
    local lines = T.lines(run.stdout)
    assert.equal("Out of 10, 6 servers failed. failed_servers=[" .. table.concat(FAILED, ", ") .. "]", lines[#lines])
    assert.equal("\n", run.stdout:sub(-1))
    assert.equal("", run.stderr)
  end)

  it("folds the failures by cause, with the range of what was measured", function()
    local function row(pattern) return run.stdout:find(pattern) ~= nil end
    assert.is_true(row "FAILED +gpu%.score 13–49 < 50 +%S+ +4\n", run.stdout)
    assert.is_true(row "FAILED +cpu%.score 7–49%.999 < 50 +%S+ +3\n", run.stdout)
  end)

  it("never has more than five servers in flight, and has five", function()
    local flying, most, started, finished = 0, 0, 0, 0
    for _, line in ipairs(run.log) do
      if line:find("] Started. ", 1, true) then
        flying, started = flying + 1, started + 1
      elseif line:find("] Server finished: ", 1, true) then
        flying, finished = flying - 1, finished + 1
      end
      most = math.max(most, flying)
    end
    assert.same({ 10, 10, 5 }, { started, finished, most })
  end)

  it("tells a server's whole story in order to who greps for its id", function()
    for _, server in ipairs(SERVERS) do
      local id, story, at = server[1], {}, 1
      for _, line in ipairs(run.log) do
        if id_of(line) == id and not line:find("[debug ", 1, true) then
          story[#story + 1] = line:gsub(" %(%d+%.%d s%)%.", ".", 1) -- how long it took
        end
      end
      local function next_line(level, message, step)
        for n = at, #story do
          local start, last = story[n]:find(("[%-9s] %s"):format(level, message), 1, true)
          if start and story[n]:find("^ *server_id=", last + 1) then
            at = n + 1
            assert.equal(step, story[n]:match " step=(%S+)", story[n])
            return
          end
        end
        error(("server %s: no %q after line %d of:\n%s"):format(id, message, at, table.concat(story, "\n")))
      end
      local function judged(step, score)
        next_line("info", ("%s.score is %s."):format(step, score), step)
        if score < 50 then
          next_line("error", ("Benchmark failed: PerformanceBelowExpected: %s.score %s < 50"):format(step, score), step)
        end
      end
      next_line("info", "Started.")
      next_line("info", "Connected to 127.0.0.1.")
      next_line("info", "cpu benchmark done", "cpu")
      judged("cpu", server.cpu)
      next_line("info", "Step finished: " .. (server.cpu < 50 and "failed" or "passed") .. ".", "cpu")
      next_line("info", "GPU benchmark score is " .. server.gpu .. ".", "gpu")
      judged("gpu", server.gpu)
      next_line("info", "Step finished: " .. (server.gpu < 50 and "failed" or "passed") .. ".", "gpu")
      local passed = server.cpu >= 50 and server.gpu >= 50
      next_line(passed and "info" or "warning", "Server finished: " .. (passed and "passed." or "failed."))
      assert.equal(#story, at - 1, "lines after the last: " .. table.concat(story, "\n", at))
      for _, line in ipairs(story) do assert.is_truthy(line:find "^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d %[", line) end
    end
  end)

  it("logs what a step's function says, and what libssh says inside, with server and step", function()
    local libssh, connecting = 0, {}
    for _, line in ipairs(run.log) do
      if line:find(" logger=libssh", 1, true) then
        libssh = libssh + 1
        assert.is_string(id_of(line), line)
      end
      if line:find("cpu benchmark done", 1, true) or line:find(" gpu=0", 1, true) then
        assert.is_string(line:match " step=[cg]pu", line)
        assert.is_string(id_of(line), line)
      end
      if line:find("libssh 0", 1, true) or line:find("SSH server banner", 1, true) then
        assert.is_truthy(line:find(" logger=libssh", 1, true), line)
        connecting[id_of(line)] = true
      end
    end
    assert.is_true(libssh > 100, "libssh said too little: " .. libssh)
    for _, server in ipairs(SERVERS) do assert.is_true(connecting[server[1]], server[1]) end
  end)

  it("puts no server on the lines of the main thread, and one on all others", function()
    local without = 0
    for _, line in ipairs(run.log) do
      local id = id_of(line)
      if id then
        assert.is_true(is_number(id), line)
      else
        without = without + 1
        assert.is_nil(line:find(" step=", 1, true), line)
        assert.is_nil(line:find(" logger=", 1, true), line)
      end
    end
    -- What runs, and how many: once.
    assert.is_truthy(run.log[1]:find("10 servers, 5 at once", 1, true), run.log[1])
    assert.is_true(without < 10, "lines without a server: " .. without)
  end)

  it("says the same in the JSON report", function()
    local results, bad = run.results, {}
    assert.same({ failed = 6, passed = 4, error = 0, timeout = 0, unreachable = 0, cancelled = 0, skipped = 0 },
      results.counts)
    assert.same(FAILED, results.failed_servers)
    assert.same({}, results.unmeasured_servers)
    assert.equal(1, results.run.exit_code)
    for i, server in ipairs(results.servers) do
      local expected = SERVERS[i]
      assert.equal(expected[1], server.id)
      assert.same({ "cpu", "gpu" }, { server.steps[1].name, server.steps[2].name })
      for _, step in ipairs(server.steps) do
        local score = expected[step.name]
        assert.equal(score, step.metrics.score.value)
        assert.equal(score < 50 and "failed" or "passed", step.status)
        assert.equal(score < 50 and 1 or 0, #step.failures)
        if score < 50 then bad[#bad + 1] = ("%s %s %s"):format(server.id, step.name, step.failures[1].message) end
      end
    end
    assert.same({ "5304 gpu gpu.score 20 < 50", "25182 gpu gpu.score 14 < 50", "11673 cpu cpu.score 7 < 50",
      "9931 cpu cpu.score 12 < 50", "9931 gpu gpu.score 13 < 50", "3310 cpu cpu.score 49.999 < 50",
      "12 gpu gpu.score 49 < 50" }, bad)
  end)

  it("says the same in the JUnit report, which is valid", function()
    local schema = T.source .. "/tests/support/junit.xsd"
    local lint = T.exec { "xmllint", "--noout", "--schema", schema, dir .. "/junit.xml" }
    assert.equal(0, lint.code, lint.stderr)
    local xml, failed = T.read(dir .. "/junit.xml"), {}
    assert.is_truthy(xml:find('tests="20" failures="7" errors="0" skipped="0"', 1, true), xml)
    for name, case in (xml:gsub("<testcase ", "\0")):gmatch "%z([^>]*)(%Z*)" do
      if case:find("<failure", 1, true) then failed[name:match 'name="(%d+)"'] = true end
    end
    for _, id in ipairs(FAILED) do
      assert.is_true(failed[id], id)
      failed[id] = nil
    end
    assert.is_nil(next(failed))
  end)

  it("runs the failed ones again when the list is given back", function()
    local list = run.stdout:match "failed_servers=(%[.-%])\n$"
    local again = T.run { "run", dir .. "/script.lua", "-i", dir .. "/inventory.json",
      "--known-hosts", fleet.known_hosts, "-p", "meeting=" .. dir .. "/meeting", "--limit", list }
    assert.equal(1, again.code, again.stderr)
    assert.is_truthy(again.stdout:find("Out of 6, 6 servers failed. failed_servers=" .. list, 1, true), again.stdout)
  end)
end)
