-- muster report and --html: which run, where to, and what is refused. What is on the page: tests/report.
local cjson = require "cjson"
local T = require "muster_test"

local SCRIPT = [[return { params = { n = 9 }, steps = { { name = "one",
  run = function(server, params) print("said by " .. server.id) return params.n end, thresholds = { score = ">= 5" } } } }]]

local dir = T.tmpdir()
local script, db = T.write(dir .. "/cpu.lua", SCRIPT), dir .. "/results.db"
local function file(name) return dir .. "/" .. name end

local function run(code, ...)
  local result = T.run { "run", script, "--local", "--db", db, ... }
  assert.equals(code, result.code, result.stderr)
  return result
end

-- The JSON of one part of a page.
local function part(path, name)
  return cjson.decode((T.read(path):match('id="' .. name:gsub("%-", "%%-") .. '">(.-)</script>')))
end

describe("a report of a stored run", function()
  run(0, "-p", "n=7", "--html", file "first.html")
  run(1, "-p", "n=3", "--html", file "second.html")

  it("is of the last run, or of one by its id or the beginning of it", function()
    local first, second = part(file "first.html", "run-data").run, part(file "second.html", "run-data").run
    for _, case in ipairs { { second.id }, { second.id, "last" }, { first.id, first.id }, { second.id, second.id } } do
      local result = T.run { "report", "--db", db, "--html", file "out.html", case[2] }
      assert.same({ 0, "", "" }, { result.code, result.stdout, result.stderr })
      assert.equals(case[1], part(file "out.html", "run-data").run.id)
    end
    assert.same({ {}, { { first.id, first.started } } },
      { part(file "first.html", "past-data").runs, part(file "second.html", "past-data").runs })
    assert.same({ { 0, 0, cjson.null, { 7 } } }, part(file "second.html", "past-data").values)
    assert.equals(1, second.exit_code)
    assert.equals("finished", second.state)
  end)

  it("is in every form what the run itself wrote", function()
    run(1, "-p", "n=2", "--json", file "run.json", "--junit", file "run.xml", "--html", file "run.html", "--openmetrics", file "run.prom")
    local result = T.run { "report", "--db", db, "--json", file "again.json", "--junit", file "again.xml", "--html", file "again.html",
      "--openmetrics", file "again.prom" }
    assert.equals(0, result.code, result.stderr)
    for _, kind in ipairs { "json", "xml", "prom" } do
      assert.equals(T.read(file("run." .. kind)), T.read(file("again." .. kind)))
    end
    assert.same(part(file "run.html", "run-data"), part(file "again.html", "run-data"))
    assert.same({ { 0, { { "one", "said by localhost\n", 18 } } } }, part(file "again.html", "log-data"))
  end)

  it("goes to standard output", function()
    local result = T.run { "report", "--db", db, "--html", "-" }
    assert.equals(0, result.code)
    assert.truthy(result.stdout:find("^<!DOCTYPE html>"))
    local while_running = run(0, "--html", "-", "-q")
    assert.truthy(while_running.stdout:find("</html>\n$"))
    assert.truthy(while_running.stderr:find("Out of 1, 0 servers failed", 1, true))
  end)

  it("is without former runs and workers where the run is not kept", function()
    local result = T.run { "run", script, "--local", "--no-db", "--html", file "alone.html" }
    assert.equals(0, result.code, result.stderr)
    assert.same({}, part(file "alone.html", "past-data").runs)
    assert.equals(cjson.null, part(file "alone.html", "run-data").servers.worker)
  end)
end)

describe("a misuse is one line", function()
  for _, case in ipairs {
    { { "report", "--db", db }, "muster report: no report is asked for: --html FILE; see 'muster report --help'" },
    { { "report", "--db", db, "--html", "x", "a", "b" }, "muster report: one run at a time; see 'muster report --help'" },
    { { "report", "--db", db, "--html", "x", "--json", "x" },
      "muster report: --html and --json would both write to x; see 'muster report --help'" },
    { { "report", "--db", db, "--html", dir .. "/no/x" }, "muster report: cannot write " .. dir .. "/no/x: No such file or directory" },
    { { "report", "--db", db, "--html", "x", "20991231" }, "muster report: results " .. db .. ": there is no run 20991231" },
    { { "report", "--db", dir .. "/none.db", "--html", "x" },
      "muster report: results " .. dir .. "/none.db: no run was kept there yet: there is no such file" },
    { { "run", script, "--local", "--html", dir .. "/no/x" },
      "muster run: --html: cannot write " .. dir .. "/no/x: No such file or directory" },
  } do
    it(case[2], function()
      local result = T.run(case[1])
      assert.equals(2, result.code)
      assert.equals(case[2] .. "\n", result.stderr)
    end)
  end
end)
