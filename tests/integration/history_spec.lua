-- Looking back: muster runs, history and compare over runs that were kept; what they print for people and for programs.
local cjson = require "cjson"
local T = require "muster_test"

-- What a server measures is in its variable m: samples with blanks between, the first alone is a number.
local SCRIPT = [[
return {
  description = "made-up scores",
  steps = {
    { name = "cpu",
      run = function(server)
        local list = {}
        for number in server.vars.m:gmatch "%S+" do list[#list + 1] = tonumber(number) end
        return { score = #list > 1 and list or list[1], [server.vars.called or "free memory"] = 7 }
      end,
      thresholds = { score = { min = 50, unit = "events/s" } } },
  },
}]]

local HOSTILE = "e\27[31mvil,\"x\"" -- a metric, from what a server printed

local dir = T.tmpdir()
local script = T.write(dir .. "/cpu.lua", SCRIPT)
local db = dir .. "/results.db"

-- A run of servers { id = "samples" }; its id.
local function measure(servers, path)
  local list = {}
  for id, m in pairs(servers) do list[#list + 1] = { id = id, vars = { m = m, called = id == "evil" and HOSTILE or nil } } end
  table.sort(list, function(a, b) return a.id < b.id end)
  local r = T.run { "run", path or script, "-i", T.write(dir .. "/fleet.json", cjson.encode { servers = list }), "--local", "--db",
    db, "--json", dir .. "/report.json", "-q" }
  assert.is_true(r.code == 0 or r.code == 1, r.stderr)
  return cjson.decode(T.read(dir .. "/report.json")).run.id
end

local function muster(words)
  words.env = words.env or {}
  words[#words + 1] = "--db"
  words[#words + 1] = db
  return T.run(words)
end

local function json(words)
  words[#words + 1] = "--json"
  local r = muster(words)
  assert.equals(0, r.code, r.stderr)
  return cjson.decode(r.stdout)
end

-- As Python's own CSV reader has it.
local function csv(words)
  local r = muster(words)
  assert.equals(0, r.code, r.stderr)
  local read = T.exec { "python3", "-c", "import csv, json, sys\nprint(json.dumps(list(csv.reader(sys.stdin))))", stdin = r.stdout }
  assert.equals(0, read.code, read.stderr)
  return cjson.decode(read.stdout)
end

local ids = {}

setup(function()
  for i, m in ipairs { "100", "101", "99", "100", "102", "98", "100 101 99" } do
    ids[i] = measure { srv01 = m, srv02 = "80 81 79 80 80", srv03 = "60" }
  end
  -- The eighth: slower, far slower, and within its noise; one is gone, one is new and fails.
  ids[8] = measure { srv01 = "90", srv02 = "40 41 42 40 39", evil = "10" }
end)

describe("muster runs", function()
  it("lists them, the newest first", function()
    local r = muster { "runs" }
    assert.equals(0, r.code, r.stderr)
    local lines = T.lines(r.stdout)
    assert.equals(9, #lines)
    assert.truthy(lines[1]:find("^RUN +STARTED +SCRIPT +DURATION"), lines[1])
    assert.truthy(lines[2]:find(ids[8], 1, true))
    assert.truthy(lines[2]:find "%s3 +1 +2 +0 +0  finished +1$", lines[2])
    assert.truthy(lines[9]:find(ids[1], 1, true))
    assert.truthy(lines[9]:find "%s3 +3 +0 +0 +0  finished +0$", lines[9])
  end)

  it("tells programs the same", function()
    local runs = json({ "runs", "--last", "2" }).runs
    assert.equals(2, #runs)
    assert.equals(ids[8], runs[1].run)
    assert.same({ total = 3, passed = 1, failed = 2, error = 0, timeout = 0, unreachable = 0, cancelled = 0, skipped = 0 },
      runs[1].servers)
    assert.equals(1, runs[1].exit_code)
    assert.equals("made-up scores", runs[1].description)
    assert.truthy(runs[1].started:find "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$")
    local rows = csv { "runs", "--csv", "--last", "0" }
    assert.equals(9, #rows)
    assert.equals("run", rows[1][1])
    assert.equals(ids[8], rows[2][1])
    assert.equals(#rows[1], #rows[2])
    rows = csv { "runs", "--csv-for", "plot" }
    assert.equals(2, #rows)
    assert.same({ "servers", "3" }, { rows[1][2], rows[2][2] })
    rows = csv { "runs", "--csv-for", "otava" }
    assert.equals(9, #rows)
    assert.same({ "time", "run" }, { rows[1][1], rows[1][2] })
    assert.equals(ids[1], rows[2][2])
  end)

  it("chooses by script", function()
    local other = T.write(dir .. "/other-cpu.lua", SCRIPT)
    local id = measure({ else1 = "60" }, other)
    for _, word in ipairs { "other-cpu.lua", other } do
      local runs = json({ "runs", "--script", word }).runs
      assert.equals(1, #runs)
      assert.equals(id, runs[1].run)
    end
    assert.equals(8, #json({ "runs", "--script", "cpu.lua" }).runs)
    -- Gone again, so that the last run is the eighth for those that follow.
    local r = T.exec { "python3", "-c", [=[
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.execute("PRAGMA foreign_keys = ON")
c.execute("DELETE FROM runs WHERE run_id = ?", sys.argv[2:])
c.commit()]=], db, id }
    assert.equals(0, r.code, r.stderr)
  end)
end)

describe("muster history", function()
  it("shows the runs of a server and the course of its metrics", function()
    local r = muster { "history", "srv01", env = { LC_ALL = "C" } }
    assert.equals(0, r.code, r.stderr)
    local lines = T.lines(r.stdout)
    assert.equals("Server srv01", lines[1])
    assert.truthy(lines[3]:find(ids[1], 1, true))
    assert.truthy(lines[10]:find(ids[8], 1, true))
    assert.truthy(r.stdout:find "\ncpu.score +cpu.lua +8 +90 +100 +1 +90 +102  events/s  %*%*=%*#=%*_\n", r.stdout)
    assert.truthy(r.stdout:find "\ncpu.free memory +cpu.lua +8 +7 ")
    local utf8 = muster { "history", "srv01", "cpu.score", env = { LC_ALL = "C.UTF-8" } }
    assert.truthy(utf8.stdout:find("▇▇▆▇█▆▇▁", 1, true), utf8.stdout)
    assert.truthy(utf8.stdout:find(ids[8]:gsub("%-", "%%-") .. "  [%d%- :]+ +90  events/s +%-10.0 %% +1 +%-  passed  passed\n"), utf8.stdout)
    assert.is_nil(utf8.stdout:find("free memory", 1, true))
  end)

  it("tells programs the same", function()
    local past = json { "history", "srv01", "score" }
    assert.equals(8, #past.runs)
    assert.equals(ids[1], past.runs[1].run.run)
    assert.equals(1, #past.metrics)
    local series = past.metrics[1]
    assert.same({ "cpu", "score", "events/s", 8, 100, 1 },
      { series.step, series.metric, series.unit, series.values, series.median, series.mad })
    assert.same({ 100, 3, 1, "passed" },
      { series.points[7].value, series.points[7].samples, series.points[7].mad, series.points[7].judgement })
    local rows = csv { "history", "srv01", "--csv" }
    assert.equals(17, #rows)
    assert.same({ "srv01", "passed", "cpu", "free memory", "7" }, { table.unpack(rows[2], 4, 8) })
  end)

  it("writes what Jenkins' Plot plugin and Otava read", function()
    assert.same({ { "cpu.free memory", "cpu.score" }, { "7", "90" } }, csv({ "history", "srv01", "--csv-for", "plot" }))
    local rows = csv { "history", "srv01", "--csv-for", "otava", "--last", "3" }
    assert.same({ "time", "run", "cpu.free memory", "cpu.score" }, rows[1])
    assert.equals(4, #rows)
    assert.same({ ids[6], "7", "98" }, { table.unpack(rows[2], 2) })
  end)

  it("escapes what comes from servers", function()
    for _, words in ipairs { { "history", "evil" }, { "history", "evil", HOSTILE } } do
      local r = muster(words)
      assert.equals(0, r.code, r.stderr)
      assert.is_nil(r.stdout:find("\27", 1, true))
      assert.truthy(r.stdout:find("e\\x1b[31mvil", 1, true), r.stdout)
    end
    assert.equals("e [31mvil,\"x\"", csv({ "history", "evil", "--csv" })[2][7])
  end)

  it("says what is not there, in one line", function()
    for _, case in ipairs {
      { { "history", "srv9" }, "results " .. db .. ": no run was about a server srv9" },
      { { "history", "srv01", "cpu.scor" }, "results " .. db .. ": no run that was looked at measured cpu.scor on srv01" },
      { { "compare", "last~99" }, "results " .. db .. ": there are no 99 runs before the last" },
      { { "compare", "2" }, "results " .. db .. ": several runs begin with 2" },
      { { "compare", "zz" }, "results " .. db .. ": there is no run zz" },
      { { "compare", "last", "last" }, "both are the run " .. ids[8] .. ": name two" },
      { { "compare", "last~1", "--least", "x" }, "'x' is no amount: write \"10%\" or a number, not below 0" },
    } do
      local r = muster(case[1])
      assert.equals(2, r.code)
      assert.equals("muster " .. case[1][1] .. ": " .. case[2] .. "\n", r.stderr)
    end
    local r = T.run { "runs", "--db", dir .. "/none.db" }
    assert.equals(2, r.code)
    assert.equals("muster runs: results " .. dir .. "/none.db: no run was kept there yet: there is no such file\n", r.stderr)
    for _, words in ipairs { { "history" }, { "compare" }, { "runs", "x" }, { "history", "a", "b", "c" }, { "runs", "--json", "--csv" } } do
      assert.equals(2, muster(words).code)
    end
  end)
end)

describe("muster compare", function()
  it("tells what changed, and what is noise", function()
    local c = json { "compare", "last~1", "last" }
    assert.equals(ids[7], c.first.run)
    assert.equals(ids[8], c.second.run)
    assert.same({ both = 2, first_only = 1, second_only = 1 }, c.servers)
    local kinds = {}
    for _, change in ipairs(c.changes) do
      kinds[#kinds + 1] = ("%s %s %s"):format(change.kind, change.server, change.metric or "-")
    end
    assert.same({ "newly failed srv02 -", "worse srv02 score", "worse srv01 score", "only in the first srv03 -",
      "only in the second evil -" }, kinds)
    assert.equals("cpu.score 40 < 50 events/s", c.changes[1].reason)
    -- Five samples on both sides, MAD 0 and 1: 3 * 1.4826 * sqrt(0 + 1/5).
    assert.equals("samples", c.changes[2].noise_from)
    assert.near(3 * 1.4826 * math.sqrt(1 / 5), c.changes[2].noise, 1e-9)
    -- The seven before have 100 in the middle, and a MAD of 1: 3 * 1.4826 * sqrt(2).
    assert.equals("history", c.changes[3].noise_from)
    assert.near(3 * 1.4826 * math.sqrt(2), c.changes[3].noise, 1e-9)
    assert.near(-0.1, c.changes[3].change, 1e-9)
    assert.same({ 2, 2, 0 }, { c.metrics[2].servers, c.metrics[2].worse, c.metrics[2].better })
  end)

  it("takes runs by id, the beginning of one, and last", function()
    local c = json { "compare", ids[5], ids[1]:sub(1, -2) }
    assert.equals(ids[5], c.first.run)
    assert.equals(ids[1], c.second.run)
    assert.same({}, c.changes)
    local r = muster { "compare", "last~3", "last~4" }
    assert.equals(0, r.code)
    assert.truthy(r.stdout:find("\nNothing changed by more than 5% and the noise.\n", 1, true), r.stdout)
    -- 102 to 100 is beyond 1 %, but not beyond the noise, which four values do not tell.
    assert.equals("unknown", json({ "compare", ids[5], ids[4], "--least", "1%" }).changes[1].noise_from)
    assert.same({}, json({ "compare", ids[5], ids[7], "--least", "1%" }).changes)
  end)

  it("prints it for people, and as CSV", function()
    local r = muster { "compare", "last~1" }
    assert.equals(0, r.code, r.stderr)
    assert.truthy(r.stdout:find "\nNewly failed: 1\nSERVER +BEFORE +AFTER +WHY\nsrv02 +passed +failed +cpu.score 40 < 50 events/s\n")
    assert.truthy(r.stdout:find "\nsrv01 +cpu.score +100 +90  events/s +%-10.0 %% +6.29  history\n", r.stdout)
    assert.truthy(r.stdout:find "\nServers of the first run only: 1\n")
    local rows = csv { "compare", "last~1", "--csv" }
    assert.equals(6, #rows)
    assert.same({ "worse", "srv02", "passed", "failed", "cpu", "score", "events/s", "80", "40", "-0.5" }, { table.unpack(rows[3], 1, 10) })
    -- The other way round it is fixed, and faster.
    r = muster { "compare", "last", "last~1" }
    assert.truthy(r.stdout:find "\nFixed: 1\n")
    assert.truthy(r.stdout:find "\nFaster or better: 2\n")
  end)
end)
