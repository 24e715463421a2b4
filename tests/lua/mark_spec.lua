-- Who is marked as broken, when, and what is told of it. The marks are lines of a file that the hook writes.
local T = require "muster_test"

-- A script whose servers do what their id says: failN, errorN, timeoutN, unreachableN, opfailN (the installation),
-- skipN, okN. hook is the body of the mark hook.
local function script(hook, fields, run)
  local parts = { HOOK = hook or "", FIELDS = fields or "max_broken = '100%',", RUN = run or "" }
  return ([[
    local muster = require "muster"
    local E = muster.errors
    local tries = 0
    local function note(server, what)
      local f = assert(io.open("@DIR@/note-" .. server.id, "a"))
      f:write(what, "\n")
      f:close()
    end
    return muster.script {
      confirm = 0,
      setup = function(server)
        if server.id:find "^opfail" then error(E.ServerOperationError("deploy failed")) end
      end,
      teardown = function(server) note(server, "teardown") end,
      mark = function(server, verdict)
        tries = tries + 1
        note(server, "mark " .. verdict.status)
        @HOOK@
      end,
      @FIELDS@
      steps = { { name = "s", thresholds = { score = ">= 50" },
        when = function(server) return not server.id:find "^skip" end,
        run = function(server)
          @RUN@
          if server.id:find "^error" then error("oops") end
          if server.id:find "^timeout" then error(E.TimeoutError("late")) end
          if server.id:find "^unreachable" then error(E.ConnectError("no route")) end
          return server.id:find "^fail" and 10 or 60
        end } } } ]]):gsub("@(%u+)@", parts)
end

local function run(text, ids, ...)
  local dir = T.tmpdir()
  local args = { ... }
  for id in ids:gmatch "%S+" do args[#args + 1] = id end
  local r = T.run_local((text:gsub("@DIR@", dir)), { dir = dir, args = args })
  assert(r.results, r.stderr)
  r.by_id = {}
  for _, server in ipairs(r.results.servers) do r.by_id[server.id] = server end
  function r.notes(id)
    local file = io.open(dir .. "/note-" .. id, "rb")
    if not file then return "" end
    local text_of = file:read "a"
    file:close()
    return (text_of:gsub("\n", ";"))
  end
  return r
end

local function nobody(r, ids)
  for id in ids:gmatch "%S+" do assert.is_nil(r.notes(id):find("mark", 1, true), id .. " was marked") end
  assert.same({}, r.results.marked_servers)
end

describe("a mark", function()
  it("is made once a server, after its teardown, for what failed alone", function()
    local ids = "fail1 ok1 error1 timeout1 unreachable1 opfail1 skip1"
    local r = run(script(), ids)
    assert.equal(1, r.code)
    assert.equal("teardown;mark failed;", r.notes "fail1")
    assert.equal("teardown;mark failed;", r.notes "opfail1")
    for id in ("ok1 error1 timeout1 unreachable1 skip1"):gmatch "%S+" do
      assert.equal("teardown;", r.notes(id))
      assert.equal(require "cjson".null, r.by_id[id].mark)
    end
    assert.same({ "fail1", "opfail1" }, r.results.marked_servers)
    assert.same({ "made", 1 }, { r.by_id.fail1.mark.state, r.by_id.fail1.mark.tries })
    assert.matches("\nMarked as broken: 2 servers. marked_servers=[fail1, opfail1]\nOut of 7, 2 servers failed.",
      r.stdout, 1, true)
    assert.matches("^muster: setup: ServerOperationError: deploy failed; run ", r.by_id.opfail1.mark.reason)
  end)

  it("is made for the statuses that the script names", function()
    local r = run(script(nil, "max_broken = '100%', mark_broken_on = { 'error', 'unreachable', 'timeout' },"),
      "fail1 ok1 error1 timeout1 unreachable1")
    assert.same({ "error1", "timeout1", "unreachable1" }, r.results.marked_servers)
    assert.equal("teardown;mark timeout;", r.notes "timeout1")
    assert.equal("teardown;", r.notes "fail1")
  end)

  it("is told what it needs to know", function()
    local r = run(script([[muster.log.info("> " .. verdict.reason, { run = verdict.run, owner = verdict.owner,
      failures = #verdict.failures, metric = verdict.failures[1].metric, step = verdict.failures[1].step })]]), "fail1")
    local line = T.find_log(r.log, "> muster: s.score 10 < 50; run ")
    local id = r.results.run.id
    assert.same({ id, 1, "score", "s", "fail1" },
      { line.run, tonumber(line.failures), line.metric, line.step, line.server_id })
    assert.matches("^> muster: s%.score 10 < 50; run " .. id:gsub("%p", "%%%0") .. ", owner " ..
      line.owner:gsub("%p", "%%%0") .. ", %d+%-%d+%-%d+T%d+:%d+:%d+Z$", line.event)
    assert.equal(line.event:sub(3), r.by_id.fail1.mark.reason)
  end)

  it("is tried again when its hook raised", function()
    local r = run(script "if tries < 2 then error('once') end", "fail1")
    assert.equal(1, r.code)
    assert.same({ "made", 2 }, { r.by_id.fail1.mark.state, r.by_id.fail1.mark.tries })
    assert.equal("teardown;mark failed;mark failed;", r.notes "fail1")
    assert.is_table(T.find_log(r.log, "Try 1 of 3 to mark it as broken: ScriptError: "))
  end)

  it("that cannot be made is named, and the exit code says so", function()
    local r = run(script "error(E.CommandError('connection refused'))", "fail1 ok1 fail2")
    assert.equal(4, r.code)
    assert.same({ "fail1", "fail2" }, r.results.mark_failed_servers)
    assert.same({ "failed", 3, "CommandError: connection refused" },
      { r.by_id.fail1.mark.state, r.by_id.fail1.mark.tries, r.by_id.fail1.mark.note })
    assert.equal("teardown;mark failed;mark failed;mark failed;", r.notes "fail2")
    assert.matches("\nNOT MARKED: mark could not be made for 2 servers: CommandError: connection refused. "
      .. "mark_failed_servers=[fail1, fail2]\n", r.stdout, 1, true)
    assert.equal("failed", r.by_id.fail1.status)
    assert.same({}, r.by_id.fail1.failures)
  end)

  it("that its hook leaves as it was is kept, with the hook's words", function()
    local r = run(script "return 'already in maintenance: disk replaced by anna'", "fail1")
    assert.equal(1, r.code)
    assert.same({ "kept", "already in maintenance: disk replaced by anna" },
      { r.by_id.fail1.mark.state, r.by_id.fail1.mark.note })
    assert.matches("\nMark kept: 1 server was marked by someone else. kept_servers=[fail1]\n", r.stdout, 1, true)
  end)

  it("whose hook returns what says nothing was not made", function()
    local r = run(script "do return ({ fail1 = false, fail2 = 5, fail3 = {}, fail4 = true })[server.id] end",
      "fail1 fail2 fail3 fail4")
    assert.equal(4, r.code)
    for id, said in pairs { fail1 = "false", fail2 = "number", fail3 = "table" } do
      assert.matches("mark returned " .. said .. ": it returns nothing or true", r.by_id[id].mark.note, 1, true)
    end
    assert.same({ "fail4" }, r.results.marked_servers)
  end)

  it("is made where the server's own deadline and memory are over", function()
    local r = run(script("muster.sleep(0.4)", nil, "local t = {}; if server.id == 'error1' then while true do t[#t + 1] = {} end end"),
      "fail1 error1", "--timeout", "300ms", "--task-memory", "1M")
    assert.same({ "fail1" }, r.results.marked_servers, r.stdout)
  end)
end)

describe("the cap", function()
  it("may be reached", function()
    local r = run(script(nil, "max_broken = 2,"), "fail1 ok1 fail2 ok2")
    assert.same({ 1, 2 }, { r.code, #r.results.marked_servers })
    assert.same({ cap = 2, said = "2", candidates = 2, over = false }, r.results.marks)
  end)

  it("is crossed: nobody is marked, it says so, and the exit code too", function()
    local ids = "fail1 ok1 fail2 fail3"
    local r = run(script(nil, "max_broken = '60%,2',"), ids)
    assert.equal(4, r.code)
    nobody(r, ids)
    assert.same({ "fail1", "fail2", "fail3" }, r.results.unmarked_servers)
    assert.same({ cap = 2, said = "60%,2", candidates = 3, over = true }, r.results.marks)
    assert.matches("\nNOT MARKED: 3 of 4 servers failed, more than the cap of 2 (60%,2) allows: nobody was marked. The "
      .. "script or the firmware is the likelier culprit. unmarked_servers=[fail1, fail2, fail3]\nOut of 4,", r.stdout, 1, true)
    local line = T.find_log(r.log, "Nobody is marked as broken: 3 of 4 servers were to be, more than the cap of 2 allows.")
    assert.equal("error", line.level)
  end)

  it("is five percent by default, rounded down, and at least one", function()
    local ids = {}
    for i = 1, 39 do ids[i] = "ok" .. i end
    ids = table.concat(ids, " ")
    local default = script(nil, " ")
    assert.same({ cap = 1, said = "5%", candidates = 0, over = false }, run(default, ids).results.marks)
    assert.equal(2, run(default, ids .. " ok40").results.marks.cap)
    assert.same({ "fail1" }, run(default, "fail1").results.marked_servers)
  end)

  it("on the command line wins, and a wrong one runs nothing", function()
    nobody(run(script(), "fail1 ok1", "--max-broken", "0"), "fail1")
    assert.same({ "fail1" }, run(script(nil, "max_broken = 0,"), "fail1 ok1", "--max-broken", "50%").results.marked_servers)
    local r = T.run_local(script(), { args = { "--max-broken", "many", "fail1" } })
    assert.equal(2, r.code)
    assert.equal("muster run: max_broken: 'many' is no number of servers and no percentage of them: write \"5%\", \"20\" "
      .. "or \"5%,20\"\n", r.stderr)
  end)

  it("that cannot be crossed any more is not waited for", function()
    -- The last server ends only when the first has been marked.
    local r = run(script(nil, "max_broken = 2,", [[
      while server.id == "ok1" do
        local f = io.open "@DIR@/note-fail1"
        local text = f and f:read "a" or ""
        if f then f:close() end
        if text:find "mark failed" then break end
        muster.sleep(0.02)
      end]]), "fail1 ok1")
    assert.same({ "fail1" }, r.results.marked_servers)
  end)
end)
