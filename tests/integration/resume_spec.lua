-- Runs that are gone on with: whom they are judged by then, and what is written of one that had come to its end.
local T = require "muster_test"
local cjson = require "cjson"

local function new_db() return T.tmpdir() .. "/results.db" end

local function sql(db, query)
  local result = T.exec { "python3", "-c", [[
import json, sqlite3, sys
c = sqlite3.connect(sys.argv[1])
print(json.dumps([list(r) for r in c.execute(sys.argv[2])]))
c.commit()]], db, query }
  assert.equals(0, result.code, result.stderr)
  return cjson.decode(result.stdout)
end

local function exists(path)
  local found = io.open(path)
  if found then found:close() end
  return found ~= nil
end

-- Started, and in the middle of a command that made the file AT/at; it goes on when there is AT/go.
local function start(script, at, ...)
  local pipe = assert(io.popen(("echo $$; exec env HOME=%s %s </dev/null >/dev/null 2>%s/err"):format(T.home(), T.quote(T.muster,
    "run", script, "--local", "-j", "1", ...), at)))
  local job = { pid = pipe:read "l", pipe = pipe }
  T.register("pid", job.pid)
  repeat
    local alive = os.execute("grep -qs '^State:[[:space:]]*[^Z[:space:]]' /proc/" .. job.pid .. "/status")
    if not alive and not exists(at .. "/at") then error("it has ended: " .. T.read(at .. "/err"), 2) end
    os.execute "sleep 0.02"
  until exists(at .. "/at")
  return job
end

local function stop(job, signal)
  os.execute("kill -" .. signal .. " " .. job.pid)
  job.pipe:close()
end

-- `values`: what servers measure, first and again. WAIT says for which of them the run waits.
local function peers_script(at, values, wait)
  return T.write(at .. "/peers.lua", ([[
local values = { %s }
return { steps = { { name = "s", confirm = 1, thresholds = { score = { peers = { drop = "10%%" } } },
  run = function(server)
    local seen = io.open("%s/" .. server.id)
    if seen then seen:close() else io.open("%s/" .. server.id, "w"):close() end
    local again = seen and "again" or "first"
    if server.id .. again == "%s" then
      server:exec("echo x >>%s/at; while [ ! -e %s/go ]; do sleep 0.02; done")
    end
    return values[server.id][again]
  end } } }]]):format(values, at, at, wait, at, at))
end

describe("a resumed run with peers", function()
  it("compares all servers of the whole run when it was interrupted before that", function()
    local at, db = T.tmpdir(), new_db()
    local values = "a = { first = 50, again = 50 }"
    for id in ("bcdef"):gmatch "." do values = values .. (", %s = { first = 100, again = 100 }"):format(id) end
    local job = start(peers_script(at, values, "ffirst"), at, "--db", db, "a", "b", "c", "d", "e", "f")
    stop(job, "TERM")
    assert.same({ { "interrupted" } }, sql(db, "SELECT state FROM runs"))
    assert.same({ { 5, "not judged", "the run was interrupted" } }, sql(db, "SELECT count(*), state, note FROM peers GROUP BY 2, 3"))
    os.remove(at .. "/f")
    T.write(at .. "/go", "")
    local result = T.run { "resume", "--db", db, "--json", at .. "/r.json" }
    assert.equals(1, result.code, T.read(at .. "/err") .. result.stderr)
    assert.same({ "a" }, cjson.decode(T.read(at .. "/r.json")).failed_servers)
    assert.same({ { 5, "passed" }, { 1, "missed" } }, sql(db, "SELECT count(*), state FROM peers GROUP BY 2 ORDER BY 1 DESC"))
  end)

  it("keeps to the cohort by which servers were judged already", function()
    for _, signal in ipairs { "KILL", "TERM" } do
      local at, db = T.tmpdir(), new_db()
      -- The median is 101; with what a measured the second time it would be 103.
      local values = [[a = { first = 50, again = 104 }, b = { first = 50, again = 50 }, c = { first = 100 }, d = { first = 102 },
  e = { first = 104 }, f = { first = 106 }]]
      local job = start(peers_script(at, values, "bagain"), at, "--db", db, "a", "b", "c", "d", "e", "f")
      local rows -- it is kept some milliseconds after its end
      repeat
        rows = sql(db, "SELECT s.final, m.value FROM servers s JOIN steps t ON t.server = s.id JOIN metrics m ON m.step = t.id"
          .. " WHERE s.server_id = 'a' AND t.pass = 'run'")
      until rows[1][1] == 1
      assert.same({ { 1, 104 } }, rows)
      stop(job, signal)
      T.write(at .. "/go", "")
      local result = T.run { "resume", "--db", db, "--json", at .. "/r.json" }
      assert.equals(1, result.code, signal .. T.read(at .. "/err") .. result.stderr)
      assert.same({ "b" }, cjson.decode(T.read(at .. "/r.json")).failed_servers)
      assert.same({ { 101, 6 } }, sql(db, "SELECT DISTINCT p.median, p.cohort FROM peers p"), signal)
      assert.truthy(result.stderr:find("measured again", 1, true), result.stderr)
    end
  end)
end)

describe("muster resume of a run that came to its end", function()
  it("writes what it would have written had it not been killed then, and runs nothing", function()
    local at, db = T.tmpdir(), new_db()
    local script = T.write(at .. "/s.lua", ([[
return {
  params = { token = "none" },
  steps = { { name = "s", thresholds = { score = ">= 2" }, run = function(server)
    io.open("%s/ran", "a"):write("x"):close()
    return server.id == "a" and 1 or 3
  end } },
  after_all = function() io.open("%s/ran", "a"):write("y"):close() end,
}]]):format(at, at))
    local function run(command, ...)
      return T.run { command, "--db", db, "--json", at .. "/" .. command .. ".json", "--junit", at .. "/" .. command .. ".xml", ... }
    end
    local first = run("run", "--local", "-p", "token=hunter2", script, "a", "b")
    assert.equals(1, first.code, first.stderr)
    local id = sql(db, "SELECT run_id FROM runs")[1][1]
    -- What the script is now does not matter.
    T.write(script, 'return { params = { token = "none" }, steps = { { name = "s", run = function() return 1 end } } }')
    local again = run("resume", id:sub(1, -2))
    assert.equals(1, again.code, again.stderr)
    assert.equals(first.stdout, again.stdout)
    assert.equals(T.read(at .. "/run.json"), T.read(at .. "/resume.json"))
    assert.equals(T.read(at .. "/run.xml"), T.read(at .. "/resume.xml"))
    assert.equals("xxy", T.read(at .. "/ran"))
    assert.truthy(again.stderr:find("came to its end before", 1, true), again.stderr)
    assert.same({ { "finished", 0 } }, sql(db, "SELECT state, resumed FROM runs"))
    -- The reports that were asked for then.
    os.remove(at .. "/run.json")
    assert.equals(1, T.run({ "resume", "--db", db, id }).code)
    assert.equals(T.read(at .. "/resume.json"), T.read(at .. "/run.json"))
  end)

  it("speaks of itself when an option is wrong", function()
    for _, case in ipairs { { "no-such", "--forks", "no-such" }, { "NAME=VALUE", "-p", "x" }, { "unknown option", "--no-such" },
      { "exclude each other", "--record", "x", "--replay", "y" } } do
      local result = T.run { "resume", table.unpack(case, 2) }
      assert.equals(2, result.code)
      assert.truthy(result.stderr:find("^muster resume: ") and result.stderr:find(case[1], 1, true), result.stderr)
    end
  end)
end)
