-- Runs are kept: what is in the database after them, whatever ended them; muster resume; --rerun; databases that are of no use.
local cjson = require "cjson"
local T = require "muster_test"

local SCRIPT = [[
return {
  params = { fail = "", token = "", wait = "" },
  steps = {
    { name = "one", run = function(server, params) return { score = server.id == params.fail and 1 or 9, list = { 1, 2, 4 } } end,
      thresholds = { score = ">= 5" } },
    { name = "two", run = function(server, params)
        if params.wait ~= "" and server.id >= "c" then
          server:exec("echo x >>%q/at; while [ ! -e %q/go ]; do sleep 0.02; done", params.wait, params.wait)
        end
        return #params.token
      end },
  },
}]]

local dir = T.tmpdir()
local script = T.write(dir .. "/kept.lua", SCRIPT)

local function new_db() return T.tmpdir() .. "/results.db" end

-- Rows as Python's own SQLite reads them.
local function sql(db, query)
  local result = T.exec { "python3", "-c", [[
import json, sqlite3, sys
print(json.dumps([list(r) for r in sqlite3.connect(sys.argv[1]).execute(sys.argv[2])]))]], db, query }
  assert.equals(0, result.code, result.stderr)
  return cjson.decode(result.stdout)
end

local function run(...) return T.run { "run", script, "--log-format", "json", ... } end
local function file(name) return dir .. "/" .. name end

-- Until cond() holds; a process that has ended before is an error.
local function wait_for(job, cond)
  repeat
    local alive = os.execute("grep -qs '^State:[[:space:]]*[^Z[:space:]]' /proc/" .. job.pid .. "/status") -- no zombie
    if cond() then return end
    if not alive then error("it has ended: " .. T.read(job.at .. "/err"), 2) end
    os.execute "sleep 0.02"
  until false
end

local function exists(path)
  local found = io.open(path)
  if found then found:close() end
  return found ~= nil
end

-- A run that waits in its second step for servers c and d; its process's number.
local function start(db, ...)
  local at = T.tmpdir()
  local pipe = assert(io.popen(("echo $$; exec env HOME=%s %s </dev/null >%s/out 2>%s/err"):format(T.home(), T.quote(T.muster, "run",
    script, "--local", "-j", "4", "--db", db, "-p", "wait=" .. at, "--log-format", "json", "-p", "fail=a", ...), at, at)))
  local job = { pid = pipe:read "l", at = at, pipe = pipe }
  T.register("pid", job.pid)
  wait_for(job, function() return exists(at .. "/at") and #T.read(at .. "/at") >= 4 end)
  return job
end

local function stop(job, signal)
  os.execute("kill -" .. signal .. " " .. job.pid)
  job.pipe:close()
  return T.read(job.at .. "/err")
end

describe("a run", function()
  it("is kept where --state-dir says, with what it takes to know it again", function()
    local state = T.tmpdir()
    local result = run("--local", "--state-dir", state, "-p", "fail=b", "-p", "token=hunter2", "-t", "two.score=>= 2", "a", "b")
    assert.equals(1, result.code, result.stderr)
    assert.truthy(result.stderr:find(state .. "/results.db", 1, true), result.stderr)
    local db = state .. "/results.db"
    assert.same({ { "finished", 1, 2, script, '{"fail":"b","token":null,"wait":""}', '{"two.score":">= 2"}', 1 } },
      sql(db, "SELECT state, exit_code, n_servers, script_path, params, thresholds, source IS NOT NULL FROM runs"))
    assert.same({ { "a", "passed", 1 }, { "b", "failed", 1 } }, sql(db, "SELECT server_id, status, finished FROM servers"))
    assert.same({ { "one", "score", 9, "passed" }, { "one", "list", 2, "unjudged" }, { "two", "score", 7, "passed" } },
      sql(db, "SELECT t.name, m.name, m.value, m.judgement FROM steps t JOIN metrics m ON m.step = t.id JOIN servers s ON"
        .. " s.id = t.server WHERE s.server_id = 'a' ORDER BY t.idx, m.name DESC"))
    assert.same({ { SCRIPT } }, sql(db, "SELECT CAST(text AS TEXT) FROM sources"))
    local found = T.exec { "grep", "-rl", "hunter2", state }
    assert.equals("", found.stdout)
  end)

  it("is not kept with --no-db, as a dry run, or as a replay", function()
    local state = T.tmpdir()
    for _, more in ipairs { { "--no-db" }, { "--dry-run" }, { "--record", state .. "/tape", "--no-db" } } do
      assert.equals(0, run("--local", "--state-dir", state, table.unpack(more)).code)
    end
    assert.equals(0, T.run { "run", script, "--replay", state .. "/tape", "--state-dir", state }.code)
    assert.is_nil(io.open(state .. "/results.db"))
  end)

  it("is kept with the facts that its script asked for", function()
    local db = new_db()
    local asking = T.write(T.tmpdir() .. "/facts.lua", [[
return { steps = { { name = "s", run = function(server) return server:facts().cpu.threads end } } }]])
    assert.equals(0, T.run { "run", asking, "--local", "--db", db, "-q" }.code)
    local facts = sql(db, "SELECT s.facts, m.value FROM servers s JOIN steps t ON t.server = s.id JOIN metrics m ON m.step = t.id")[1]
    assert.equals(facts[2], cjson.decode(facts[1]).cpu.threads)
  end)

  it("shares its database with others at the same time", function()
    local db = new_db()
    local names = {}
    for i = 1, 150 do names[i] = ("s%03d"):format(i) end
    local one = T.quote(T.muster, "run", script, "--local", "-q", "-j", "20", "--db", db, table.unpack(names))
    local result = T.exec { "sh", "-c", ("HOME=%s; export HOME; %s & p=$!; %s & q=$!; %s; r=$?; wait $p && wait $q && exit $r"):format(
      T.home(), one, one, one) }
    assert.equals(0, result.code, result.stderr)
    assert.same({ { 3, 900, 1350 } }, sql(db, "SELECT (SELECT count(*) FROM runs WHERE state = 'finished'),"
      .. " (SELECT count(*) FROM steps), (SELECT count(*) FROM metrics)"))
    assert.same({ { "ok" } }, sql(db, "PRAGMA integrity_check"))
  end)
end)

describe("muster resume", function()
  it("finishes a run that was killed, and only what is missing is run", function()
    local db = new_db()
    local job = start(db, "a", "b", "c", "d", "-p", "token=1")
    local result = T.run { "resume", "--db", db }
    assert.equals(2, result.code)
    assert.truthy(result.stderr:find("no run that was cut off", 1, true), result.stderr)
    local id = sql(db, "SELECT run_id FROM runs")[1][1]
    result = T.run { "resume", "--db", db, id }
    assert.truthy(result.stderr:find("still at work", 1, true), result.stderr)
    stop(job, "KILL")
    os.execute("chmod go+w " .. db)
    result = T.run { "resume", "--db", db }
    assert.truthy(result.code == 2 and result.stderr:find("others may write it", 1, true), result.stderr)
    os.execute("chmod go-w " .. db)
    assert.same({ { "a", 1, 2 }, { "b", 1, 2 }, { "c", 0, 1 }, { "d", 0, 1 } }, sql(db, "SELECT server_id, finished,"
      .. " (SELECT count(*) FROM steps t WHERE t.server = s.id) FROM servers s"))
    T.write(job.at .. "/go", "")
    result = T.run { "resume", "--db", db }
    assert.equals(2, result.code)
    assert.truthy(result.stderr:find("token is a secret", 1, true), result.stderr)
    result = T.run { "resume", "--db", db, "--json", file "r.json", "--junit", file "r.xml", "-p", "token=xyz" }
    assert.equals(1, result.code, result.stderr)
    local report = cjson.decode(T.read(file "r.json"))
    assert.equals(id, report.run.id)
    assert.same({ "a" }, report.failed_servers)
    assert.same({ 1, 1, 3, 3 }, { report.servers[1].steps[2].metrics.score.value, report.servers[2].steps[2].metrics.score.value,
      report.servers[3].steps[2].metrics.score.value, report.servers[4].steps[2].metrics.score.value })
    local log = T.decode_log(result.stderr)
    for _, line in ipairs(log) do assert.truthy(not line.server_id or line.server_id >= "c", line.event) end
    assert.truthy(T.find_log(log, "2 of 4 servers have their result already"))
    assert.truthy(result.stdout:find("Out of 4, 1 server failed. failed_servers=[a]", 1, true), result.stdout)
    assert.same({ { "finished", 1, 1, 8 } }, sql(db, "SELECT state, exit_code, resumed, (SELECT count(*) FROM steps) FROM runs"))
  end)

  it("finishes one that was interrupted, with the inventory of then, but not with another script", function()
    local db, inventory = new_db(), T.write(file "fleet.json",
      '{"servers": ["a", "b", {"id": "c", "vars": {"rack": "r1", "bmc_password": "hunter2"}}, "d"]}')
    local job = start(db, "-i", inventory)
    local said = stop(job, "TERM")
    assert.truthy(said:find("Interrupted", 1, true), said)
    assert.same({ { "interrupted", 143 } }, sql(db, "SELECT state, exit_code FROM runs"))
    assert.is_nil(sql(db, "SELECT inventory FROM servers WHERE server_id = 'c'")[1][1]:find("hunter2", 1, true))
    T.write(job.at .. "/go", "")
    T.write(script, SCRIPT .. "\n-- edited\n")
    local result = T.run { "resume", "--db", db }
    T.write(script, SCRIPT)
    assert.equals(2, result.code)
    assert.truthy(result.stderr:find("has changed since the run", 1, true) and result.stderr:find("--changed-script", 1, true),
      result.stderr)
    os.rename(inventory, inventory .. ".moved")
    result = T.run { "resume", "--db", db }
    assert.equals(2, result.code)
    assert.truthy(result.stderr:find("bmc_password is a secret", 1, true), result.stderr)
    result = T.run { "resume", "--db", db, "-i", inventory .. ".moved" }
    assert.equals(1, result.code, result.stderr)
    assert.truthy(result.stdout:find("Out of 4, 1 server failed. failed_servers=[a]", 1, true), result.stdout)
  end)

  it("does not begin before what was claimed is given back", function()
    local state, at = T.tmpdir(), T.tmpdir()
    local claiming = T.write(at .. "/claims.lua", ([[
return {
  setup = function(server)
    server:claim { node = server.id }
    if not io.open "%s/second" then server:exec "echo x >%s/at; sleep 60" end
  end,
  steps = { { name = "s", run = function() return 1 end } },
  teardown = function(server) server:release() end,
}]]):format(at, at))
    local pipe = assert(io.popen(("echo $$; exec env HOME=%s %s </dev/null >/dev/null 2>%s/err"):format(T.home(), T.quote(T.muster,
      "run", claiming, "--local", "--state-dir", state, "a"), at)))
    local job = { pid = pipe:read "l", at = at, pipe = pipe }
    T.register("pid", job.pid)
    wait_for(job, function() return exists(at .. "/at") end)
    stop(job, "KILL")
    T.write(at .. "/second", "")
    local result = T.run { "resume", "--state-dir", state }
    assert.equals(2, result.code, result.stderr)
    assert.truthy(result.stderr:find("muster cleanup --journal", 1, true), result.stderr)
    assert.equals(0, T.run { "cleanup", "--state-dir", state }.code)
    result = T.run { "resume", "--state-dir", state }
    assert.equals(0, result.code, result.stderr)
  end)

  it("judges by peers with what was measured before", function()
    local at, db = T.tmpdir(), new_db()
    local peers = T.write(at .. "/peers.lua", ([[
return { steps = { { name = "s", confirm = 0, thresholds = { score = { peers = { drop = "10%%" } } },
  run = function(server)
    if server.id == "f" then server:exec("echo x >>%s/at; while [ ! -e %s/go ]; do sleep 0.02; done") end
    return server.id == "a" and 50 or 100
  end } } }]]):format(at, at))
    local pipe = assert(io.popen(("echo $$; exec env HOME=%s %s </dev/null >/dev/null 2>%s/err"):format(T.home(), T.quote(T.muster,
      "run", peers, "--local", "-j", "1", "--db", db, "a", "b", "c", "d", "e", "f"), at)))
    local job = { pid = pipe:read "l", at = at, pipe = pipe }
    T.register("pid", job.pid)
    wait_for(job, function() return exists(at .. "/at") end)
    stop(job, "KILL")
    T.write(at .. "/go", "")
    local result = T.run { "resume", "--db", db, "--json", at .. "/r.json" }
    assert.equals(1, result.code, T.read(at .. "/err") .. result.stderr)
    assert.same({ "a" }, cjson.decode(T.read(at .. "/r.json")).failed_servers)
    assert.truthy(result.stderr:find("5 of 6 servers have their result", 1, true), result.stderr)
  end)
end)

describe("--rerun", function()
  it("takes the servers that had a status, from the last run of the script or from one that is named", function()
    local db = new_db()
    local function listed(...)
      local result = T.run { "run", script, "--db", db, "--list-hosts", ... }
      return result.stdout:gsub("%s+%S+\n", " "), result.stderr
    end
    assert.equals(1, run("--local", "--db", db, "-p", "fail=b", "a", "b", "c").code)
    local first = sql(db, "SELECT run_id FROM runs")[1][1]
    assert.equals("b ", (listed("--rerun", "failed")))
    assert.equals("a b c ", (listed("--rerun", "failed,passed")))
    assert.equals("a ", (listed("--rerun", "passed", "a", "b")))
    assert.equals(1, run("--local", "--db", db, "-p", "fail=b", "--rerun", "failed").code)
    assert.equals("a c ", (listed("--rerun", "passed", "--of", first)))
    for _, case in ipairs { { "no server was error", "--rerun", "error" }, { "no status", "--rerun", "broken" },
      { "there is no run 2001", "--rerun", "failed", "--of", "2001" }, { "there is no --rerun", "--of", "x" },
      { "exclude each other", "--no-db" } } do
      local _, err = listed(table.unpack(case, 2))
      assert.truthy(err:find(case[1], 1, true), err)
    end
  end)
end)

describe("a database that is of no use", function()
  local function broken(how)
    local db = new_db()
    if how == "text" then T.write(db, ("no database\n"):rep(500)) end
    if how == "newer" then
      assert.equals(0, run("--local", "--db", db).code)
      T.exec { "python3", "-c", "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version = 99')", db }
    end
    if how == "folder" then os.execute("mkdir " .. db) end
    return db
  end

  it("is an error before anything runs where it was asked for, and a warning elsewhere", function()
    for how, why in pairs { text = "no database", newer = "newer muster", folder = "cannot be made" } do
      local db = broken(how)
      local result = run("--local", "--db", db)
      assert.equals(2, result.code)
      assert.truthy(result.stderr:find(why, 1, true) and result.stderr:find(db, 1, true), result.stderr)
      result = T.run { "run", script, "--local", "--log-format", "json", "--json", file "r.json", "--state-dir", db:match "^(.*)/" }
      assert.equals(0, result.code, result.stderr)
      assert.truthy(result.stderr:find(why, 1, true) and result.stderr:find("This run is not kept", 1, true), result.stderr)
      assert.equals(1, cjson.decode(T.read(file "r.json")).counts.passed)
    end
  end)

  it("is told apart from a folder that cannot be written; results are at stdout and in reports all the same", function()
    local at = T.tmpdir()
    local db, out = at .. "/state/results.db", at .. "/out"
    assert.equals(0, run("--local", "--state-dir", at .. "/state").code)
    os.execute(("chmod 755 %s; chmod -R go+rX %s; mkdir -m 777 %s; rm -f %s-*; chmod a-w %s %s/state"):format(at, at, out, db, db, at))
    -- Root may write anywhere, so that it is somebody else who tries.
    local as = T.exec({ "id", "-u" }).stdout == "0\n" and { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups" } or {}
    local own = T.write(at .. "/s.lua", 'return { steps = { { name = "s", run = function() return 1 end } } }')
    os.execute("chmod 644 " .. own)
    local function try(...)
      local words = { table.unpack(as) }
      for _, word in ipairs { "env", "HOME=" .. out, T.muster, "run", own, "--local", ... } do words[#words + 1] = word end
      return T.exec(words)
    end
    for _, where in ipairs { { "--db", at .. "/state/new.db" }, { "--db", db } } do
      local result = try(table.unpack(where))
      assert.equals(2, result.code, result.stderr)
      assert.truthy(result.stderr:find("results " .. where[2], 1, true) and result.stderr:find("cannot be", 1, true), result.stderr)
      assert.equals(1, select(2, result.stderr:gsub("\n", "")), result.stderr)
    end
    local result = try("--state-dir", at .. "/state", "--json", out .. "/r.json", "--junit", out .. "/r.xml")
    assert.equals(0, result.code, result.stderr)
    assert.truthy(result.stderr:find("This run is not kept; --no-db says so without this line", 1, true), result.stderr)
    assert.truthy(result.stdout:find("Out of 1, 0 servers failed", 1, true), result.stdout)
    assert.equals(1, cjson.decode(T.read(out .. "/r.json")).counts.passed)
    assert.truthy(T.read(out .. "/r.xml"):find('tests="1"', 1, true))
  end)

  it("is not there at all: each command says so in one line", function()
    local db = new_db()
    for _, words in ipairs { { "resume", "--db", db }, { "artefacts", "--db", db }, { "run", script, "--db", db, "--rerun", "failed" } } do
      local result = T.run(words)
      assert.equals(2, result.code)
      assert.truthy(result.stderr:find(db .. ": no run was kept there yet", 1, true), result.stderr)
      assert.equals(1, select(2, result.stderr:gsub("\n", "")), result.stderr)
    end
    assert.is_false(exists(db))
  end)

  it("costs the record of a run, never the run: its disk is full", function()
    local names = {}
    for i = 1, 60 do names[i] = ("s%02d"):format(i) end
    local db, log = new_db(), file "full"
    -- The size a file may have is a disk that is full; log and reports go through pipes.
    local line = ("trap '' XFSZ; ulimit -f 160; HOME=%s; export HOME; %s 2>&1 >%s.out | cat >%s; exit ${PIPESTATUS[0]}"):format(T.home(), T.quote(
      T.muster, "run", script, "--local", "-j", "5", "-p", "fail=s07", "--db", db, "--log-format", "json", table.unpack(names)),
      log, log)
    local result = T.exec { "bash", "-c", line }
    local said = T.read(log)
    assert.equals(1, result.code, said)
    assert.truthy(said:find("This run is not kept any further", 1, true), said)
    assert.equals(1, select(2, said:gsub("not kept any further", "")))
    assert.truthy(T.read(log .. ".out"):find("Out of 60, 1 server failed. failed_servers=[s07]", 1, true))
    assert.same({ { "ok" } }, sql(db, "PRAGMA quick_check"))
  end)
end)

describe("a run that is killed", function()
  it("has kept every step whose verdict was said, at 200 moments", function()
    local moments, seed = os.getenv "MUSTER_KILL_MOMENTS" or "200", os.getenv "MUSTER_KILL_SEED" or tostring(os.time() % 100000)
    local result = T.exec { T.source .. "/tests/integration/tools/kill-runs", T.muster, T.tmpdir(), moments, seed, timeout = 600 }
    assert.equals(0, result.code, "seed " .. seed .. ": " .. result.stdout .. result.stderr)
    io.stderr:write(result.stdout)
  end)
end)
