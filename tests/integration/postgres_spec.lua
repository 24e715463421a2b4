-- Runs in a PostgreSQL that is shared: muster db push, whatever comes between, and looking at them there as in a file.
local cjson = require "cjson"
local S = require "ssh_support"
local T = require "muster_test"

-- Not all that a step prints is UTF-8.
local SCRIPT = [[
return {
  params = { password = "x" },
  steps = {
    { name = "cpu",
      run = function(server)
        print("printed: \xff \xe2\x98\x83")
        server:keep("note.txt", "of " .. server.id .. " \xff")
        server:facts()
        return { score = tonumber(server.vars.m), list = { 1, 2.5, 1e-300 }, big = 1e300 }
      end,
      thresholds = { score = { min = 50, unit = "events/s", peers = { drop = "10%" }, history = { drop = "5%" } } } },
    { name = "odd", run = function(server) if server.id == "srv2" then error("odd \xff") end return 0 / 0 end },
  },
}]]

local dir = T.tmpdir()
local script = T.write(dir .. "/cpu.lua", SCRIPT)
local db = dir .. "/results.db"
local host, url

local function measure(file, n)
  local list = {}
  for i = 1, n or 3 do list[i] = { id = "srv" .. i, vars = { m = i == 3 and 10 or 100 } } end
  local r = T.run { "run", script, "-i", T.write(dir .. "/fleet.json", cjson.encode { servers = list }), "--local", "--db", file, "-q" }
  assert.equals(1, r.code, r.stderr)
end

local function psql_words(...)
  local root = os.getenv "MUSTER_POSTGRES_CACHE" or T.source .. "/build/postgres"
  return "env", "LD_LIBRARY_PATH=" .. root .. "/root/lib", root .. "/root/usr/lib/postgresql/15/bin/psql", "-qXAt", "-h", host,
    "-U", "muster", "-d", "muster", "-v", "ON_ERROR_STOP=1", ...
end

local function sql(text)
  local r = T.exec { psql_words("-c", text) }
  assert.equals(0, r.code, r.stderr)
  return (r.stdout:gsub("\n$", ""))
end

local function push(file, ...) return T.run { "db", "push", url, "--db", file, ... } end

local function output(...)
  local r = T.run { ... }
  assert.equals(0, r.code, r.stderr)
  return r.stdout
end

setup(function()
  local at = T.tmpdir()
  S.hold(T.source .. "/tests/support/until-eof", T.source .. "/tests/support/postgres", "run", at)
  host = S.wait_for("PostgreSQL", function() return S.exists(at .. "/ready") and T.read(at .. "/ready"):match "[^\n]+" end)
  url = "postgresql:///muster?host=" .. host .. "&user=muster"
  for _ = 1, 3 do measure(db) end
end)

describe("muster db push", function()
  it("says when there is nothing yet", function()
    local r = T.run { "runs", "--db", url }
    assert.equals(2, r.code)
    assert.equals("muster runs: results " .. url .. ": no runs were pushed there yet: muster db push does\n", r.stderr)
  end)

  it("copies runs, once", function()
    local r = push(db)
    assert.equals(0, r.code, r.stderr)
    assert.truthy(r.stdout:find "\n3 runs pushed, 0 there already.\n$", r.stdout)
    r = push(db)
    assert.equals("0 runs pushed, 3 there already.\n", r.stdout)
    assert.equals("", push(db, "-q").stdout)
    assert.equals("3|9|18", sql "SELECT (SELECT count(*) FROM muster.runs), (SELECT count(*) FROM muster.servers), (SELECT count(*) FROM muster.steps)")
    -- The secret parameter was never there; what is no UTF-8 is told so.
    assert.equals('{"password":null}', sql "SELECT DISTINCT params FROM muster.runs")
    assert.equals("9", sql "SELECT count(*) FROM muster.steps WHERE position('\\xff20e29883'::bytea IN log) > 0")
    assert.equals("3", sql "SELECT count(*) FROM muster.failures WHERE message LIKE '%odd \u{fffd}%'")
  end)

  it("gives what the file gives", function()
    for _, words in ipairs {
      { "runs" }, { "runs", "--json" }, { "runs", "--csv", "--script", script }, { "history", "srv1" }, { "history", "srv3", "--json" },
      { "history", "srv2", "cpu.score" }, { "history", "srv1", "--csv" }, { "history", "srv1", "--csv-for", "otava" },
      { "compare", "last~2", "last" }, { "compare", "last~2", "last", "--json" }, { "compare", "last~1", "--csv" },
    } do
      words[#words + 1] = "--db"
      words[#words + 1] = db
      -- The error's text alone cannot be the same.
      local file = output(table.unpack(words)):gsub("\xff", "\u{fffd}"):gsub("odd \\xff", "odd \u{fffd}")
      words[#words] = url
      assert.equals(file, output(table.unpack(words)))
    end
  end)

  it("gives the reports and artefacts that the file gives", function()
    local told = {}
    for i, where in ipairs { db, url } do
      local html, json, to = T.tmpdir() .. "/r.html", T.tmpdir() .. "/r.json", T.tmpdir()
      output("report", "last~1", "--db", where, "--html", html, "--json", json)
      local page = T.read(html):gsub('nonce[-=]"?%x+', "nonce"):gsub("odd \\\\xff", "odd \u{fffd}")
      told[i] = { page, T.read(json), output("artefacts", "last~1", "--db", where) }
      output("artefacts", "last~1", "srv2", "--to", to, "--db", where)
      told[i][4] = T.exec { "sh", "-c", "cat $(find " .. T.quote(to) .. " -type f)" }.stdout
    end
    assert.equals(told[1][2], told[2][2])
    for i, line in ipairs(T.lines(told[1][1])) do assert.equals(line, T.lines(told[2][1])[i]) end
    assert.matches("note%.txt", told[1][3])
    assert.equals(told[1][3], told[2][3])
    assert.equals("of srv2 \xff", told[1][4])
    assert.equals(told[1][4], told[2][4])
  end)

  it("takes runs of several files, also of several pushers at once", function()
    local files, pushers = {}, {}
    for i = 1, 2 do
      files[i] = T.tmpdir() .. "/results.db"
      for _ = 1, 4 do measure(files[i]) end
    end
    -- Both files hold both's runs in the end: each pusher may find the other's there.
    for i = 1, 4 do pushers[i] = assert(io.popen(T.quote(T.muster, "db", "push", url, "--db", files[(i + 1) // 2]) .. " 2>&1")) end
    local pushed = 0
    for i = 1, 4 do
      local said = pushers[i]:read "a"
      assert.is_true(pushers[i]:close(), said)
      pushed = pushed + tonumber(said:match "(%d+) runs? pushed, %d+ there already%.\n$")
    end
    assert.equals(8, pushed)
    assert.equals("11|11|33|66", sql [[SELECT (SELECT count(*) FROM muster.runs), (SELECT count(DISTINCT run_id) FROM muster.runs),
      (SELECT count(*) FROM muster.servers), (SELECT count(*) FROM muster.steps)]])
  end)

  -- A pusher that waits in the middle of a run, for a lock on what comes late in it; then it is cut off.
  local function cut_off(how)
    local file = T.tmpdir() .. "/results.db"
    measure(file)
    local before = sql "SELECT count(*) FROM muster.runs"
    local at = T.tmpdir()
    T.write(at .. "/held", "")
    local holder = assert(io.popen(T.quote(psql_words("-f", "-")) .. " >" .. at .. "/held", "w"))
    local pusher
    local ok, why = pcall(function()
      holder:write "BEGIN; LOCK TABLE muster.metrics; SELECT 'held';\n"
      holder:flush()
      S.wait_for("the lock", function() return T.read(at .. "/held"):find "held" end)
      pusher = assert(io.popen(("echo $$; exec %s >%s/out 2>&1"):format(T.quote(T.muster, "db", "push", url, "--db", file), at)))
      local pid = pusher:read "l"
      S.wait_for("the pusher at the lock", function()
        return sql("SELECT count(*) FROM pg_locks WHERE relation = 'muster.metrics'::regclass AND NOT granted") ~= "0"
      end)
      how(pid)
    end)
    holder:close() -- which ends its transaction
    if not ok then error(why, 0) end
    local _, _, code = pusher:close()
    S.wait_for("its end", function() return sql "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'muster'" == "0" end)
    assert.equals(before, sql "SELECT count(*) FROM muster.runs")
    assert.equals("0", sql "SELECT count(*) FROM muster.servers s WHERE NOT EXISTS (SELECT 1 FROM muster.runs r WHERE r.id = s.run)")
    local said = T.read(at .. "/out")
    local r = push(file)
    assert.truthy(r.stdout:find "\n1 run pushed, 0 there already.\n$", r.stdout .. r.stderr)
    assert.equals("0 runs pushed, 1 there already.\n", push(file).stdout)
    return code, said
  end

  it("leaves no half run when it is killed", function()
    cut_off(function(pid) os.execute("kill -KILL " .. pid) end)
  end)

  it("leaves no half run when the database ends it", function()
    local code, said = cut_off(function()
      sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'muster'"
    end)
    assert.equals(2, code)
    assert.truthy(said:find("^muster db: results " .. url:gsub("%p", "%%%0") .. ": [^\n]+\n$"), said)
  end)

  it("copies what came to its end alone", function()
    local file = T.tmpdir() .. "/results.db"
    measure(file)
    measure(file)
    local r = T.exec { "python3", "-c", [=[
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.execute("UPDATE runs SET state = 'interrupted' WHERE id = 1")
c.commit()]=], file }
    assert.equals(0, r.code, r.stderr)
    assert.truthy(push(file).stdout:find("1 run pushed, 0 there already; 1 at work, cut off or interrupted: not pushed", 1, true))
  end)
end)

describe("the way to a PostgreSQL", function()
  it("has no password in it", function()
    local plain = "postgresql:///muster?host=" .. host .. "&user=secret"
    local r = T.run { "runs", "--db", plain }
    assert.equals(2, r.code)
    assert.truthy(r.stderr:find("give it in PGPASSWORD or ~/.pgpass", 1, true), r.stderr)
    r = T.run { "runs", "--db", plain, env = { PGPASSWORD = "open sesame" } }
    assert.equals(0, r.code, r.stderr)
    for _, bad in ipairs { "postgresql://secret:open%20sesame@/muster?host=" .. host, plain .. "&password=open%20sesame",
      "postgresql://a:open%20sesame@[", "postgresql://h/d?sslpassword=open%20sesame" } do
      for _, words in ipairs { { "runs", "--db", bad }, { "db", "push", bad, "--db", db }, { "run", script, "--local", "--db", bad },
        { "resume", "--db", bad } } do
        r = T.run(words)
        assert.equals(2, r.code)
        assert.is_nil((r.stdout .. r.stderr):find("sesame", 1, true))
        assert.equals(1, #T.lines(r.stderr))
      end
    end
  end)

  it("says what is wrong with it, in one line", function()
    for words, why in pairs {
      [{ "runs", "--db", "postgresql:///nothere?user=muster&host=" .. host }] = 'database "nothere" does not exist',
      [{ "runs", "--db", "postgresql:///x?user=muster&host=" .. dir }] = "No such file or directory",
      [{ "db", "push", "results.db", "--db", db }] = "runs are pushed to a PostgreSQL: write postgresql://USER@HOST/DATABASE",
      [{ "db", "push", url, "--db", dir .. "/none.db" }] = "none.db: no run was kept there yet",
      [{ "db", "pull", url }] = "there is one thing to do with it: muster db push URL",
      [{ "run", script, "--local", "--db", url }] = "a run is kept in a file, each step at once; `muster db push` copies it there afterwards",
      [{ "resume", "--db", url }] = "runs go on, and are run again, from a file",
    } do
      local r = T.run(words)
      assert.equals(2, r.code)
      assert.truthy(r.stderr:find(why, 1, true), r.stderr)
      assert.equals(1, #T.lines(r.stderr))
    end
  end)

  it("is not taken by a muster that is older than what is there", function()
    local form = sql("SELECT version FROM muster.form"):match "%d+"
    sql "UPDATE muster.form SET version = 1000"
    local r = T.run { "runs", "--db", url }
    sql("UPDATE muster.form SET version = " .. form)
    assert.equals(2, r.code)
    assert.truthy(r.stderr:find("written by a newer muster (form 1000, this one knows " .. form .. ")", 1, true), r.stderr)
  end)
end)
