-- Nothing that muster started stays behind: commands that ran out of time or were interrupted are gone on the server,
-- whatever they do against it; where that cannot be, the summary says so. And a run that is interrupted ends in good
-- order.
local cjson = require "cjson"
local S = require "ssh_support"
local T = require "muster_test"

-- A tree of processes that do not care for TERM, one of them in a process group of its own.
local STUBBORN = "trap '' TERM; sh -c 'sleep %s & wait' & timeout 99999 sleep %s & sleep %s; wait"

local function stubborn(mark) return STUBBORN:format(mark, mark, mark) end

local function gone(mark) assert.same({}, S.marked(mark)) end

describe("a command that is to end", function()
  local fleet

  setup(function() fleet = T.fleet_start(4) end)

  local function run(script, ...)
    return fleet:run("local muster = require 'muster'\n" .. script, { args = { ... } })
  end

  -- The command says that it runs, so that there is something to end.
  local AWAIT = [[
    local function start(server, command, options)
      options = options or {}
      options.on_line = function(line) muster.log.info(line .. " on " .. server.id) end
      return server:exec("echo running; " .. command, options)
    end
  ]]

  local function expect(result, status, kind, cause, ids)
    local servers = S.by_id(result.results)
    for _, id in ipairs(ids) do
      local failures = S.failures(servers[id])
      assert.equal(1, #failures, result.stdout)
      assert.same({ status, kind, cause }, { failures[1].status, failures[1].type, failures[1].cause })
      assert.same({}, servers[id].unended)
      assert.is_table(T.find_log(result.log, "running on " .. id), "it never ran on " .. id)
    end
    assert.is_nil(result.stdout:find("Still running", 1, true), result.stdout)
  end

  it("is gone when its own timeout was over, and the step may go on", function()
    local mark = S.mark()
    local result = run(AWAIT .. ([[
      return muster.script { steps = {
        { name = "one", run = function(server)
            local ok, err = pcall(start, server, %q, { timeout = 1 })
            assert(not ok and muster.errors.is(err, "TimeoutError"))
            -- Asked on the server: it is gone before the error comes.
            return tonumber(server:exec("ps -eo args= | grep -v grep | grep -c -- %s || true").stdout)
          end, thresholds = { score = { max = 0 } } },
      } } ]]):format(stubborn(mark), mark:gsub("^98765", "[9]8765")), "srv01", "srv02")
    assert.equal(0, result.code, result.stdout .. result.stderr)
    gone(mark)
  end)

  it("is gone when the error that its timeout raises ends the step", function()
    local mark = S.mark()
    local result = run(AWAIT .. ([[
      return muster.script { steps = { { name = "one", run = function(server)
        start(server, "sleep %s", { timeout = 1 })
      end } } } ]]):format(mark), "srv01", "srv02")
    assert.equal(3, result.code)
    expect(result, "timeout", "TimeoutError", "command timed out: echo", { "srv01", "srv02" })
    gone(mark)
  end)

  it("is gone when the step's timeout was over", function()
    local mark = S.mark()
    local result = run(AWAIT .. ([[
      return muster.script {
        setup = function(server) server:connect() end,
        steps = { { name = "one", timeout = 1, run = function(server) start(server, %q) end } } } ]]
      ):format(stubborn(mark)), "srv01", "srv02")
    assert.equal(3, result.code)
    expect(result, "timeout", "TimeoutError", "timeout after 1 s", { "srv01", "srv02" })
    gone(mark)
  end)

  it("is gone when the server's deadline was over", function()
    local mark = S.mark()
    local result = run(AWAIT .. ([[
      return muster.script { steps = { { name = "one", run = function(server) start(server, %q) end } } } ]]
      ):format(stubborn(mark)), "--timeout", "4s", "srv01", "srv02")
    assert.equal(3, result.code)
    expect(result, "timeout", "TimeoutError", "deadline passed", { "srv01", "srv02" })
    gone(mark)
  end)

  it("is gone when it said too much", function()
    local mark = S.mark()
    local result = run(AWAIT .. ([[
      return muster.script { steps = { { name = "one", run = function(server)
        server:exec("exec 3>&1; sh -c 'sleep %s' & yes", { limit = 100000 })
      end } } } ]]):format(mark), "srv01", "srv02")
    assert.equal(3, result.code)
    for _, server in ipairs(result.results.servers) do
      assert.equal("output limit: exec", S.failures(server)[1].cause)
    end
    assert.is_nil(result.stdout:find("Still running", 1, true), result.stdout)
    gone(mark)
  end)

  it("is ended over a new connection where the server gives no second channel", function()
    local mark = S.mark()
    fleet:add("single", "MaxSessions 1\n")
    local result = run(AWAIT .. ([[
      return muster.script {
        setup = function(server) server:connect() end,
        steps = { { name = "one", timeout = 1, run = function(server) start(server, %q) end },
                  { name = "two", run = function(server) server:exec("true") end } } } ]]
      ):format(stubborn(mark)), "single")
    assert.equal(3, result.code)
    expect(result, "timeout", "TimeoutError", "timeout after 1 s", { "single" })
    gone(mark)
    local steps = result.results.servers[1].steps
    assert.same({ "timeout", "passed" }, { steps[1].status, steps[2].status })
    local _, connections = fleet:log("single"):gsub("Accepted publickey", "")
    assert.equal(2, connections)
  end)

  it("leaves a server that allows one session at a time free for the next", function()
    fleet:add("narrow", "MaxSessions 1\n")
    local result = run([[
      return muster.script { steps = { { name = "one", run = function(server)
        for i = 1, 100 do assert(tonumber(server:exec("echo " .. i).stdout) == i) end
      end } } } ]], "narrow")
    assert.equal(0, result.code, result.stdout)
    local _, connections = fleet:log("narrow"):gsub("Accepted publickey", "")
    assert.equal(1, connections)
  end)

  it("is named where the connection was lost meanwhile", function()
    local mark = S.mark()
    -- It answers TERM by killing the session's sshd, and goes on.
    local command = "trap 'kill -9 $PPID' TERM; while :; do sleep " .. mark .. " & wait $!; done"
    local result = run(([[
      return muster.script { steps = { { name = "one", run = function(server)
        server:exec(%q, { timeout = server.id == "srv03" and 1 or nil })
      end, when = function(server) return server.id == "srv03" end } } } ]]):format(command), "srv03", "srv04")
    assert.equal(3, result.code)
    assert.is_truthy(result.stdout:find('Still running: 1 command on srv03 could not be confirmed ended: "' .. command,
      1, true), result.stdout)
    assert.same({ command }, S.by_id(result.results).srv03.unended)
    assert.is_true(#S.marked(mark) > 0, "it was to be one that stays")
  end)
end)

describe("an interrupt", function()
  local fleet

  setup(function() fleet = T.fleet_start(6) end)

  -- srv01 has ended when the signal comes, srv02 to srv04 are at work, srv05 and srv06 were never started.
  local function script(mark, teardown)
    return ([[
      local muster = require "muster"
      return muster.script {
        setup = function(server) server:exec("rm -f torn") end,
        steps = { { name = "work", run = function(server)
          if server.id ~= "srv01" then
            server:exec("echo at work; " .. %q, { on_line = function(line) print(line) end })
          end
          return 1
        end } },
        teardown = function(server) %s end,
      } ]]):format(stubborn(mark), teardown or [[server:exec("touch torn")]])
  end

  local function torn()
    local ids = {}
    for _, id in ipairs(fleet.ids) do
      if S.exists(("%s/%s/home/torn"):format(fleet.dir, id)) then
        ids[#ids + 1] = id
        os.remove(("%s/%s/home/torn"):format(fleet.dir, id))
      end
    end
    return ids
  end

  local function check_results(result, signal, junit)
    assert.is_true(result.results.run.interrupted)
    assert.equal(signal, result.results.run.exit_code)
    assert.same({ "srv02", "srv03", "srv04", "srv05", "srv06" }, result.results.unfinished_servers)
    local servers = S.by_id(result.results)
    assert.equal("passed", servers.srv01.status)
    for i, dealt in ipairs { true, true, true, true, false, false } do
      local server = servers["srv0" .. i]
      assert.equal(dealt, server.dealt, server.id)
      if i > 1 then assert.equal("cancelled", server.status, server.id) end
    end
    local schema = T.source .. "/tests/support/junit.xsd"
    local lint = T.exec { "xmllint", "--noout", "--schema", schema, junit }
    assert.equal(0, lint.code, lint.stderr)
  end

  for name, code in pairs { INT = 130, TERM = 143 } do
    it("by SIG" .. name .. " ends the run in good order", function()
      local mark, junit = S.mark(), T.tmpdir() .. "/junit.xml"
      local job = S.start_on(fleet, script(mark), { args = { "-j", "3", "--junit", junit, "--grace", "60s" } })
      job:wait_log("at work", 3)
      job:signal(name)
      local result = job:wait()
      assert.equal(code, result.code, result.stderr)
      gone(mark)
      assert.same({ "srv01", "srv02", "srv03", "srv04" }, torn())
      assert.is_truthy(result.stdout:find("Not finished: 5 servers (2 never started). " ..
        "unfinished_servers=[srv02, srv03, srv04, srv05, srv06]\n", 1, true), result.stdout)
      local lines = T.lines(result.stdout)
      assert.equal("Out of 6, 0 servers failed. failed_servers=[]", lines[#lines])
      assert.is_nil(result.stdout:find("Still running", 1, true), result.stdout)
      check_results(result, code, junit)
      assert.is_nil(T.find_log(result.log, "srv05"))
      assert.is_table(T.find_log(result.log, "Interrupted: no more servers are started"))
    end)
  end

  it("gives teardowns the grace and no more", function()
    local mark, teardown = S.mark(), S.mark()
    -- Without an end to the grace this would never end.
    local job = S.start_on(fleet, script(mark, ('server:exec("sleep %s")'):format(teardown)),
      { args = { "-j", "3", "--grace", "6s", "--teardown-timeout", "10m", "!srv01" } })
    job:wait_log("at work", 3)
    job:signal "INT"
    local result = job:wait()
    assert.equal(130, result.code, result.stderr)
    -- Whoever was begun or was to begin is named, and so is what may be left of them.
    local named, left = {}, 0
    for _, list in ipairs { result.results.unfinished_servers, result.results.unmeasured_servers } do
      for _, id in ipairs(list) do named[#named + 1] = id end
    end
    table.sort(named)
    assert.same({ "srv02", "srv03", "srv04", "srv05", "srv06" }, named)
    for _, server in ipairs(result.results.servers) do left = left + #server.unended end
    if #S.marked(teardown) + #S.marked(mark) > 0 then assert.is_true(left > 0, result.stdout) end
  end)

  it("that comes again ends the run at once", function()
    local mark, teardown, junit = S.mark(), S.mark(), T.tmpdir() .. "/junit.xml"
    local job = S.start_on(fleet, script(mark, ([[
        if server.id == "srv01" then return end
        server:exec("echo tearing down; sleep %s", { on_line = function(line) print(line) end })]]):format(teardown)),
      { args = { "-j", "3", "--junit", junit, "--grace", "10m", "--teardown-timeout", "10m" } })
    job:wait_log("at work", 3)
    job:signal "INT"
    job:wait_log("tearing down", 3)
    job:signal "INT"
    local result = job:wait()
    assert.equal(130, result.code, result.stderr)
    assert.is_table(T.find_log(result.log, "Interrupted again"))
    check_results(result, 130, junit)
    -- There was no time to end these, and it is said.
    assert.is_truthy(result.stdout:find("Still running: 3 commands on srv[02-04] could not be confirmed ended", 1, true),
      result.stdout)
  end)

  it("by SIGHUP is one by SIGTERM: nobody is there to read", function()
    local job = S.start_on(fleet, script(S.mark()), { args = { "-j", "1", "--grace", "60s", "srv02", "srv03" } })
    job:wait_log "at work"
    job:signal "HUP"
    local result = job:wait()
    assert.equal(143, result.code)
    assert.same({ "srv02", "srv03" }, result.results.unfinished_servers)
    assert.is_not.equal(cjson.null, result.results.run.signal)
    assert.same({ "srv02" }, torn())
  end)
end)
