-- Thresholds about a server's own past: where the rule may stand, what counts as past, what is said.
local T = require "muster_test"

local function script(rule, params)
  return ([[
return { params = { n = 1 %s },
  steps = { { name = "cpu", run = function(server)
      local list = {}
      for number in server.vars.m:gmatch "%%S+" do list[#list + 1] = tonumber(number) end
      return { score = #list > 1 and list or list[1] }
    end, thresholds = { score = %s } } } }]]):format(params or "", rule or '{ history = { drop = "5%" } }')
end

local dir = T.tmpdir()

local path, list, db = dir .. "/cpu.lua", dir .. "/list", dir .. "/results.db"

local function run(value, vars, ...)
  T.write(list, ("srv01 m=%q %s\n"):format(value, vars or ""))
  return T.run { "run", path, "-i", list, "--local", "-q", "--db", db, ... }
end

-- Eight real runs, whose values are then made what a test wants: it would be slow to make them anew each time.
local kept
local function make_past(values)
  if not kept then
    T.write(path, script '">= 0"')
    for _ = 1, 8 do assert.equals(0, run("1").code) end
    kept = T.read(db)
  end
  T.write(db, kept)
  local r = T.exec { "python3", "-c", [=[
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.execute("PRAGMA foreign_keys = ON")
runs = [r[0] for r in c.execute("SELECT id FROM runs ORDER BY id")]
for run, value in zip(runs, sys.argv[2:]):
    c.execute("UPDATE metrics SET value = ? WHERE step IN (SELECT t.id FROM steps t JOIN servers s ON t.server = s.id WHERE s.run = ?)",
              [float(value), run])
c.execute("DELETE FROM runs WHERE id > ?", [runs[len(sys.argv) - 3]])
c.commit()]=], db, table.unpack(values) }
  assert.equals(0, r.code, r.stderr)
end

-- A run of a server with a past: the last of values is what it measures now, a word or { word, vars =, words = }.
local function history(text, values, ...)
  local now = table.remove(values)
  if type(now) ~= "table" then now = { now } end
  make_past(values)
  T.write(path, text)
  local words = { ... }
  for _, word in ipairs(now.words or {}) do words[#words + 1] = word end
  return run(now[1], now.vars, table.unpack(words))
end

local PAST = { "71", "70", "72", "71", "73" }
local function past_and(...)
  local all = { table.unpack(PAST) }
  for _, value in ipairs { ... } do all[#all + 1] = value end
  return all
end

local MISSED = "FAILED       cpu.score 61 is 14 %% under its median of %d runs (71)  srv01              1\n" ..
  "Out of 1, 1 server failed. failed_servers=[srv01]\n"
local GOOD = "Out of 1, 0 servers failed. failed_servers=[]\n"

local function not_judged(why)
  return "Not judged: cpu.score of 1 server by its history: " .. why .. ". unjudged_servers=[srv01]\n" .. GOOD
end

describe("a server's own past", function()
  it("fails who has become slower", function()
    local r = history(script(), past_and "61")
    assert.equals(MISSED:format(5), r.stdout)
    assert.equals(1, r.code)
    assert.truthy(r.stderr:find("PerformanceBelowExpected: cpu.score 61 is 14 % under its median of 5 runs (71)", 1, true))
    assert.equals(GOOD, history(script(), past_and "68").stdout)
  end)

  it("is not moved by a spike", function()
    for _, spike in ipairs { "0", "100000", "35" } do
      assert.equals(MISSED:format(7), history(script(), { "71", "70", spike, "72", "71", "73", "71", "61" }).stdout)
    end
    assert.equals(GOOD, history(script '{ history = { drop = "5%", rise = "5%" } }',
      { "71", "70", "72", "71", "73", "71", "9", "70" }).stdout)
  end)

  it("is not judged by too little of it", function()
    assert.equals(not_judged "it has 4 earlier values, 5 are needed", history(script(), { "71", "70", "72", "71", "1" }).stdout)
    assert.equals(MISSED:format(3), history(script '{ history = { drop = "5%", min_runs = 3 } }', { "71", "70", "72", "61" }).stdout)
    -- Without a database, and of a replay, there is none; that fails nobody.
    local r = T.run { "run", T.write(path, script()), "-i", T.write(list, "srv01 m=1\n"), "--local", "--no-db" }
    assert.equals(0, r.code)
    assert.equals(not_judged "there is no database of earlier runs", r.stdout)
    assert.truthy(r.stderr:find("cpu.score is not judged by earlier runs: there is no database of earlier runs.", 1, true))
  end)

  it("forgets who failed, and other parameters", function()
    assert.equals(MISSED:format(5), history(script(), past_and "61").stdout)
    for _ = 1, 6 do assert.equals(MISSED:format(5), run("61").stdout) end -- they do not become the measure
    assert.equals(not_judged "it has 0 earlier values, 5 are needed", run("61", "", "-p", "n=2").stdout)
  end)

  it("takes the last values alone", function()
    local function old() return { "100", "100", "100", "95.5", "95.5", "91" } end
    assert.equals(GOOD, history(script '{ history = { last = 3, drop = "5%" } }', old()).stdout)
    assert.equals("FAILED       cpu.score 91 is 9 % under its median of 5 runs (100)",
      history(script '{ history = { last = 5, drop = "5%" } }', old()).stdout:match "^.-%)")
  end)

  it("is confirmed as everything is", function()
    local r = history(script():gsub("return { params", "return { confirm = 1, params"), past_and "61")
    assert.truthy(r.stderr:find("Measuring again, since it failed: cpu.score 61 is 14 % under its median of 5 runs (71).", 1, true))
    assert.equals(MISSED:format(5), r.stdout)
  end)

  it("stands beside bounds, and where other rules stand", function()
    assert.equals("FAILED       cpu.score 61 < 65", history(script '{ min = 65, history = { drop = "5%" } }', past_and "61").stdout:sub(1, 30))
    local plain = script '">= 1"'
    local rule = [['thresholds={"cpu.score": {"history": {"drop": "5%"}}}']]
    assert.equals(MISSED:format(5), history(plain, past_and { "61", vars = rule:gsub("^'(%w+)=", "%1='") }).stdout)
    assert.equals(MISSED:format(5), history(plain, past_and { "61", vars = [[threshold.cpu.score='{"history": {"drop": "5%"}}']] }).stdout)
    assert.equals(MISSED:format(5), history(plain, past_and "61", "-t", 'cpu.score={"history": {"drop": "5%", "last": 5}}').stdout)
  end)

  it("says what is wrong with a rule", function()
    for rule, why in pairs {
      ['{ history = "5%" }'] = 'history must be a table such as { last = 10, drop = "5%" }, not a string',
      ["{ history = {} }"] = "history has neither drop nor rise",
      ['{ history = { drop = "x" } }'] = "history.drop: 'x' is no amount",
      ['{ history = { drop = "5%", last = 2 } }'] = "history.last must be a whole number from 3 to 1000",
      ['{ history = { drop = "5%", min_runs = 5.5 } }'] = "history.min_runs must be a whole number from 3 to 1000",
      ['{ history = { drop = "5%", last = 5, min_runs = 6 } }'] = "history.min_runs 6 is more than history.last 5: it would never judge",
      ['{ history = { drop = "5%", lst = 5 } }'] = "history has no field 'lst'; known fields: last drop rise min_runs",
    } do
      local r = T.run { "check", T.write(dir .. "/bad.lua", script(rule)) }
      assert.equals(2, r.code)
      assert.truthy(r.stderr:find(why, 1, true) or r.stdout:find(why, 1, true), r.stdout .. r.stderr)
      assert.truthy((r.stdout .. r.stderr):find("bad.lua:", 1, true), r.stdout .. r.stderr)
    end
    local r = T.run { "run", T.write(dir .. "/cpu.lua", script()), "-i", T.write(dir .. "/list", "srv01 m=1\n"), "--local", "--no-db", "-t",
      'cpu.score={"history": ' }
    assert.equals(2, r.code)
    assert.truthy(r.stderr:find("it begins as JSON and is none", 1, true), r.stderr)
  end)
end)
