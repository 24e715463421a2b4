-- muster.testing, as specs use it under `muster test`: stand-ins, runs, results, and what is said of mistakes.
local T = require "muster_test"

local SCRIPT = [[
local muster = require "muster"
return muster.script {
  params = { floor = 50, name = "x", deep = false },
  setup = function(server) if server.vars.claims then server:claim { a = 1 } end end,
  steps = {
    { name = "speed", confirm = 1, thresholds = { score = { min = "params.floor", unit = "MB/s" } },
      run = function(server) return tonumber(server:exec "speed --now".stdout) end },
    { name = "rest", needs = { "speed" },
      run = function(server, params)
        muster.log.info("Resting.", { deep = params.deep })
        print("rack " .. tostring(server.vars.rack))
        return { a = #server:exec("rest %q", params.name).stdout, b = 1 / 0, port = server.port }
      end },
  },
  mark = function(_, verdict) muster.exec("mark " .. verdict.status) end,
} ]]

-- Run specs in a folder with script.lua: what muster test prints, and its code.
local function test(body, files)
  local dir = T.tmpdir()
  T.write(dir .. "/script.lua", SCRIPT)
  T.write(dir .. "/a_spec.lua", [[
local testing = require "muster.testing"
local script = testing.load "script.lua"
local ANSWERS = { ["speed *"] = "70\n", ["rest *"] = "zzz", ["mark *"] = "" }
it("works", function()
]] .. body .. "\nend)\n")
  for name, text in pairs(files or {}) do T.write(dir .. "/" .. name, text) end
  local tmp = T.tmpdir()
  local result = T.run { "test", dir .. "/a_spec.lua", env = { TMPDIR = tmp } }
  return result
end

local function works(body, files)
  local result = test(body, files)
  assert.equals(0, result.code, result.stdout .. result.stderr)
end

-- It fails, and says so.
local function says(want, body)
  local result = test(body)
  assert.equals(1, result.code, result.stdout)
  assert.is_truthy(result.stdout:find(want, 1, true), result.stdout)
end

local PAIR = [[
  return require("muster").script { steps = {
    { name = "own", run = function(server) server:exec("own " .. server.id) end },
    { name = "both", pair = true, needs = { "own" }, thresholds = { score = { min = 5 } },
      run = function(server, _, peer) return tonumber(server:exec("ask " .. peer.id).stdout) + peer:exec("tell").stdout end },
  } }]]

describe("muster.testing", function()
  it("has files by what is done with them", function()
    works([[
      local result = testing.load "files.lua":run(testing.server { ["read_file /etc/id"] = "abc\n", ["write_file /tmp/*"] = "",
        ["read_file /none"] = { error = "lost" } })
      assert.same({ "error", 4 }, { result.status, result.steps.id.metrics.score })
      assert.same({ "read_file /etc/id", "write_file /tmp/x", "read_file /none" }, result.asked)]], { ["files.lua"] = [[
      return { steps = {
        { name = "id", run = function(server) return #server:read_file "/etc/id" end },
        { name = "put", run = function(server) server:write_file("/tmp/x", "text") end },
        { name = "none", run = function(server) return #server:read_file "/none" end } } }]] })
  end)

  it("pairs the server with a good peer, whose own steps are not run", function()
    works([[
      local pair = testing.load "pair.lua"
      local peer = testing.server({ tell = "2" }, { id = "peer" })
      local result = pair:run(testing.server { ["own server"] = "", ["ask peer"] = "4" }, {}, peer)
      assert.same({ "passed", 6 }, { result.status, result.steps.both.metrics.score })
      assert.same({ "own server", "ask peer", "tell" }, result.asked)
      result = pair:run(testing.server { ["own server"] = "", ["ask peer"] = "1" }, {}, peer)
      assert.same({ "failed", 1, "both.score 3 < 5, with peer" },
        { result.status, result.steps.both.measured, result.steps.both.reason })
      result = pair:run(testing.server { ["own server"] = { exit_status = 1 } }, {}, peer)
      assert.equals("not paired: a step that is needed did not pass", result.steps.both.reason)
      result = pair:run(testing.server { ["own server"] = "" })
      assert.equals("no other server to pair with", result.steps.both.reason)
      local ok, e = pcall(script.run, script, testing.server(ANSWERS), {}, peer)
      assert.is_truthy(not ok and tostring(e):find("script.lua has no pair steps", 1, true), e)
      ok, e = pcall(pair.run, pair, peer, {}, peer)
      assert.is_truthy(not ok and tostring(e):find("both named 'peer'", 1, true), e)]], { ["pair.lua"] = PAIR })
  end)

  -- In a step: what `ask` returns, with http and a table of answers.
  local function asks(body, answers, options, checks)
    works(([[
      local http = testing.http { %s }
      local result = testing.load "ask.lua":run(testing.server({}, { id = "srv/1", http = http }))
      assert.equals("%s", result.status, result.reason)
      %s]]):format(answers, options, checks), { ["ask.lua"] = [[ local muster = require "muster" return { steps = {
        { name = "ask", run = function(server) ]] .. body .. " end } } }" })
  end

  it("answers requests, by the pattern that says most", function()
    asks([[ local http = muster.http.client { base_url = "https://api.example/v1", token = "t" }
      local bought = http:get("/servers/" .. server.id:gsub("/", "%%2F")):json()
      local r = http:post("/jobs?dry=1", { json = { a = 1 } })
      local plain = muster.http.request { url = "http://other.example/x?y=2" }
      assert(r.status == 201 and r.headers["x-id"] == "7" and r.url == "https://api.example/v1/jobs?dry=1", r.status)
      assert(plain.body == "\0\255" and plain.attempts == 1)
      return { n = bought.n, other = http:get "/servers/7?deep=1".body:byte(), seven = #http:get "/servers/7".body } ]],
      [[ ["GET https://api.example/v1/servers/*"] = { json = { n = 3 } }, ["GET https://api.example/v1/servers/7"] = "77",
         ["GET https://api.example/v1/servers/7?deep=*"] = "9", ["* http://other.example/*"] = "\0\255",
         ["POST https://api.example/v1/jobs"] = { status = 201, headers = { ["X-Id"] = 7 } } ]], "passed", [[
      assert.same({ n = 3, other = 57, seven = 2 }, result.steps.ask.metrics)
      assert.same({ "GET https://api.example/v1/servers/srv%2F1", "POST https://api.example/v1/jobs", "GET http://other.example/x",
        "GET https://api.example/v1/servers/7", "GET https://api.example/v1/servers/7" }, result.asked)]])
  end)

  it("answers requests with statuses and errors, and retries, as the request says", function()
    asks([[ local function get(path, options)
        options = options or {}
        options.url = "http://x" .. path
        local ok, e = pcall(muster.http.request, options)
        if ok then return "status " .. e.status .. " at " .. e.attempts end
        return ("%s %s at %d: %s; %s"):format(e.kind, e.retryable, e.attempts, e.message, e.cause)
      end
      for _, said in ipairs { get "/busy", get("/busy2", { check = false }), get "/gone", get("/gone", { check = false }), get "/silent",
        get("/silent", { method = "POST", body = "x" }), get("/off", { method = "POST", body = "x", retries = 1 }),
        get("/late", { retries = 0 }), get("/odd", { retries = 0 }) } do print(said) end ]],
      [[ ["GET http://x/busy"] = { { status = 503, body = "soon" }, { status = 200 } }, ["GET http://x/busy2"] = { { status = 503 }, "" },
         ["GET http://x/gone"] = { status = 404, body = "no\n such\n" }, ["* http://x/silent"] = { error = "timeout" },
         ["POST http://x/off"] = { { error = "connect" }, { error = "connect" }, "never" }, ["GET http://x/late"] = { error = "tls" },
         ["GET http://x/odd"] = { error = "resolve" } ]], "passed", [[
      assert.equals(table.concat({ "status 200 at 2", "status 200 at 2",
        "status false at 1: GET http://x/gone: status 404: no such; HTTP: status 404", "status 404 at 1",
        "timeout true at 4: GET http://x/silent: no answer in time (4 tries); HTTP: no answer in time",
        "timeout true at 1: POST http://x/silent: no answer in time; HTTP: no answer in time",
        "connect true at 2: POST http://x/off: connection refused (2 tries); HTTP: connection refused",
        "tls true at 1: GET http://x/late: certificate not accepted; HTTP: certificate not accepted",
        "resolve true at 1: GET http://x/odd: unknown host; HTTP: unknown host" }, "\n") .. "\n", result.steps.ask.log)]])
  end)

  it("is an error where a request has no answer", function()
    asks([[ muster.http.request { url = "http://x/what?key=secret" } ]], [[ ["GET http://x/*/y"] = "" ]], "error", [[
      assert.is_truthy(result.reason:find("nothing is known of GET http://x/what; there are answers to: GET http://x/*/y", 1, true),
        result.reason)]])
  end)

  it("answers what is asked for no server, with a peer as well", function()
    works([[
      local http = testing.http { ["GET http://x/fleet"] = "4" }
      local server, peer = testing.server({}, { http = http }), testing.server({}, { id = "peer" })
      local fleet = testing.load "fleet.lua"
      assert.equals(4, fleet:run(server).steps.own.metrics.score)
      local result = fleet:run(server, {}, peer)
      assert.equals(4, result.steps.both.metrics.score, result.reason)]], { ["fleet.lua"] = [[
      local muster = require "muster"
      return { before_all = function() return muster.http.request { url = "http://x/fleet" }.body end,
        steps = { { name = "own", run = function() return tonumber(muster.run.shared) end },
          { name = "both", pair = true, run = function() return tonumber(muster.run.shared) end } } }]] })
  end)

  it("tells what a run found out", function()
    works [[
      local result = script:run(testing.server(ANSWERS, { id = "srv/1", port = 2222, vars = { rack = "r1", n = 3 } }),
        { deep = true, name = "it's" })
      assert.same({ "passed", "" }, { result.status, result.reason })
      assert.same({ score = 70 }, result.steps.speed.metrics)
      assert.same({ score = "MB/s" }, result.steps.speed.units)
      assert.equals(result.steps[2], result.steps.rest)
      assert.same({ a = 3, b = math.huge, port = 2222 }, result.steps.rest.metrics)
      assert.equals("rack r1\n", result.steps.rest.log)
      assert.same({ "speed --now", "rest 'it'\\''s'" }, result.asked)
      local rested
      for _, line in ipairs(result.log) do rested = line.message == "Resting." and line or rested end
      assert.same({ "info", true, "rest", "srv/1" }, { rested.level, rested.deep, rested.step, rested.server_id })
    ]]
  end)

  it("judges, confirms, skips, claims and marks as a run does", function()
    works [[
      ANSWERS["speed *"] = { "7", "8" }
      local result = script:run(testing.server(ANSWERS, { vars = { claims = true } }))
      assert.same({ "failed", "speed.score 8 < 50 MB/s" }, { result.status, result.reason })
      assert.same({ 2, "failed", "skipped" }, { result.steps.speed.measured, result.steps[1].status, result.steps[2].status })
      assert.is_truthy(result.claim)
      assert.equals("made", result.mark.state)
      assert.same({ "speed --now", "speed --now", "mark failed" }, result.asked)
      assert.equals("passed", script:run(testing.server(ANSWERS), { floor = 8 }).status)
    ]]
  end)

  it("answers by the pattern that says most, lists in turn, and any bytes", function()
    works [[
      ANSWERS = { ["*"] = "1", ["s*"] = "2", ["speed --n*w"] = { "60", { stdout = "90" } }, ["speed*now*"] = "4",
        ["rest *"] = "\0\255\254" }
      local server = testing.server(ANSWERS)
      assert.equals(60, script:run(server).steps.speed.metrics.score)
      assert.equals(3, script:run(server).steps.rest.metrics.a)
      ANSWERS["speed --n*w"] = nil
      assert.equals(4, script:run(testing.server(ANSWERS), { floor = 1 }).steps.speed.metrics.score)
      ANSWERS["rest *"] = ("x"):rep(99999)
      assert.equals(99999, script:run(testing.server(ANSWERS), { floor = 1 }).steps.rest.metrics.a)
    ]]
  end)

  it("plays failing commands and connections", function()
    works [[
      local function run(speed, options) return script:run(testing.server({ ["speed *"] = speed }, options)) end
      local result = run { stdout = "1", stderr = "no\nroom\n", exit_status = 2 }
      assert.same({ "error", "exit status 2: speed" }, { result.status, result.steps.speed.failures[1].cause })
      assert.is_truthy(result.reason:find "speed %-%-now: room")
      assert.equals("killed by signal KILL: speed", run { signal = "KILL" }.steps.speed.failures[1].cause)
      assert.equals("timeout", run { error = "timeout" }.status)
      assert.equals("error", run { error = "lost" }.status)
      for how, kind in pairs { refused = "ConnectError", unreachable = "ConnectError", timeout = "ConnectError",
        auth = "AuthError", host_key = "HostKeyError" } do
        result = run("70", { connect = how })
        assert.same({ "unreachable", kind }, { result.status, result.steps.speed.failures[1].type })
      end
      result = script:run(testing.server(ANSWERS, { connect = { "ok", "refused" } }))
      assert.equals("passed", result.status)
    ]]
  end)

  it("is an error in the script's result where a command has no answer", function()
    works [[
      local result = script:run(testing.server { ["rest *"] = "" })
      assert.same({ "error", "a command that is not in the transcript" }, { result.status, result.steps[1].failures[1].cause })
      assert.is_truthy(result.reason:find("nothing is known of `speed --now`; there are answers to: `rest *`", 1, true))
    ]]
  end)

  it("runs an endless script no longer than it may", function()
    works([[
      local result = testing.load("endless.lua", { timeout = 0.2 }):run(testing.server { ["*"] = "no" })
      assert.equals("timeout", result.status)
    ]], { ["endless.lua"] = [[ local muster = require "muster" return { steps = { { name = "s", run = function(server)
      while server:exec "ready".stdout ~= "yes" do muster.sleep "1m" end end } } } ]] })
  end)

  it("says what is wrong in a spec", function()
    says("nothing.lua: no such file in ", [[testing.load "nothing.lua"]])
    says("has no parameter 'celing'; it has: deep, floor, name", [[script:run(testing.server(ANSWERS), { celing = 1 })]])
    says("parameter floor of ", [[script:run(testing.server(ANSWERS), { floor = "x" })]])
    says("the answer to 'a': exitstatus is not one of error, exit_status, signal, stderr, stdout",
      [[testing.server { a = { exitstatus = 1 } }]])
    says("the answer to 'a' is a number", [[testing.server { a = 1 }]])
    says("error: there is no 'gone'; there are lost, timeout", [[testing.server { a = { error = "gone" } }]])
    says("connect: there is no 'gone'", [[testing.server({}, { connect = "gone" })]])
    says("a_spec.lua:5: 'get x' is no request: it is METHOD URL, like GET ", [[testing.http { ["get x"] = "" }]])
    says("a_spec.lua:5: the answer to 'GET x': state is not one of body, error, headers, json, status",
      [[testing.http { ["GET x"] = { { state = 1 } } }]])
    says("a_spec.lua:5: the answer to 'GET x' is a number: ", [[testing.http { ["GET x"] = 1 }]])
    says("a_spec.lua:5: the answer to 'GET x': 20.5 is no status", [[testing.http { ["GET x"] = { status = 20.5 } }]])
    says("a_spec.lua:5: the answer to 'GET x' has a body and json: one of them", [[testing.http { ["GET x"] = { body = "", json = {} } }]])
    says("a_spec.lua:5: the answer to 'GET x': headers are names with texts", [[testing.http { ["GET x"] = { headers = { 1 } } }]])
    says("a_spec.lua:5: error: there is no 'gone'; there are connect, resolve, timeout, tls",
      [[testing.http { ["GET x"] = { error = "gone" } }]])
    says("a_spec.lua:5: options of a server: http is what testing.http { … } makes", [[testing.server({}, { http = {} })]])
    says("a_spec.lua:5: what a server answers is a table, not a nil", [[testing.server()]])
    says("a_spec.lua:5: what testing.http is given is a table, not a string", [[testing.http "GET x"]])
    says("a_spec.lua:5: a path is text, not a nil", [[testing.load()]])
    says("a_spec.lua:5: the server is what testing.server { … } makes", [[script:run {}]])
    says("a_spec.lua:5: the peer is what testing.server { … } makes", [[script:run(testing.server {}, {}, {})]])
    says("a_spec.lua:5: script:run wants a colon, and the script before it", [[script.run(testing.server {})]])
    says("a_spec.lua:5: what parameters are set to is a table, not a number", [[script:run(testing.server {}, 5)]])
    says("options of a server: there is no 'var'", [[testing.server({}, { var = {} })]])
    says("a_spec.lua:5", [[testing.server { a = 1 }]])
  end)

  it("leaves no file", function()
    -- Others on this machine make such files, too: only its own are looked at.
    works [[
      local tmpname, names = os.tmpname, {}
      os.tmpname = function() names[#names + 1] = tmpname() return names[#names] end
      script:run(testing.server(ANSWERS))
      pcall(script.run, script, testing.server(ANSWERS), { none = 1 })
      os.tmpname = tmpname
      assert(#names > 0, "no names")
      for _, name in ipairs(names) do
        local ls = io.popen("ls -d " .. name .. "* 2>&1"):read "a"
        assert(ls:find "No such file", ls)
      end]]
  end)

  it("is for specs alone", function()
    local result = T.run_local [[return { steps = { { name = "s", run = function() require "muster.testing" end } } }]]
    assert.is_truthy(result.results.servers[1].steps[1].failures[1].message:find("run them with `muster test`", 1, true))
  end)

  it("tests what muster new writes", function()
    local dir = T.tmpdir()
    assert.equals(0, T.run { "new", "nvme", cwd = dir }.code)
    local result = T.run { "test", cwd = dir }
    assert.equals(0, result.code, result.stdout)
    assert.is_truthy(result.stdout:find("4 successes", 1, true))
  end)
end)
