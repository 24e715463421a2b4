-- Verdicts and marks over SSH: the same whatever runs at once, none by an interrupted run, and dry runs that touch nothing.
local S = require "ssh_support"
local T = require "muster_test"

-- Marks are lines of a file beside the script; servers are bad by their number.
local HEAD = [[
  local muster = require "muster"
  local function note(name, text)
    local f = assert(io.open("@DIR@/" .. name, "a"))
    f:write(text, "\n")
    f:close()
  end
  local function noted(name)
    local f = io.open("@DIR@/" .. name)
    if f then f:close() end
    return f ~= nil
  end
  local function wait_for(name) while not noted(name) do muster.sleep(0.05) end end
]]

local function fill(text, dir) return ((HEAD .. text):gsub("@DIR@", dir)) end

local function notes(dir, name) return S.exists(dir .. "/" .. name) and T.read(dir .. "/" .. name) or "" end

describe("verdicts", function()
  local fleet

  setup(function() fleet = T.fleet_start(8) end)

  -- srv01, 05: failed both times; 02, 06: failed once; 03: failed, then an error; 04: an operation failed; 07, 08 pass.
  local FLEET = [[
    return muster.script {
      max_broken = @CAP@,
      setup = function(server)
        server:exec("true")
        if server.id == "srv04" then error(muster.errors.ServerOperationError("deploy failed")) end
      end,
      mark = function(server, verdict)
        note("marks", server.id .. " " .. verdict.reason:match "^muster: (.-); run ")
        if server.id == "srv05" then return "disk replaced by anna" end
      end,
      steps = { { name = "cpu", thresholds = { score = { min = 50 } }, run = function(server)
        local n = tonumber(server.id:match "%d+")
        local again = noted("seen-" .. server.id)
        note("seen-" .. server.id, "")
        server:exec("echo %d", n)
        if n == 3 and again then server:exec("exit 3") end
        return (n == 1 or n == 5 or n <= 6 and not again) and n or 100
      end } } } ]]

  -- What a report says apart from times and ids.
  local function essence(result)
    local out = { "exit " .. result.code }
    for _, server in ipairs(result.results.servers) do
      local mark = server.mark ~= require "cjson".null and server.mark or { state = "-", note = "-" }
      local step = server.steps[1]
      out[#out + 1] = table.concat({ server.id, server.status, step.status, step.measured, tostring(step.earlier),
        tostring((step.failures[1] or {}).cause), mark.state, tostring(mark.note),
        tostring(mark.reason):match "muster: (.-); run " or "-" }, " | ")
    end
    out[#out + 1] = result.stdout
    return table.concat(out, "\n")
  end

  local function run(cap, ...)
    local dir = T.tmpdir()
    local result = fleet:run((fill(FLEET, dir):gsub("@CAP@", cap)), { dir = dir, args = { ... } })
    local marks = T.lines(notes(dir, "marks"))
    table.sort(marks)
    return result, marks
  end

  local shapes = { { "-j", "1", "--workers", "1" }, { "-j", "3", "--workers", "2" }, { "-j", "8", "--workers", "4" } }

  it("and marks are the same whatever runs at once", function()
    local first
    for _, shape in ipairs(shapes) do
      local result, marks = run("3", table.unpack(shape))
      assert.same({ "srv01 cpu.score 1 < 50 (measured twice)", "srv04 setup: ServerOperationError: deploy failed",
        "srv05 cpu.score 5 < 50 (measured twice)" }, marks)
      assert.same({ 1, { "srv01", "srv04" }, { "srv05" } },
        { result.code, result.results.marked_servers, result.results.kept_servers })
      first = first or essence(result)
      assert.equal(first, essence(result))
    end
  end)

  it("over the cap mark nobody, whatever runs at once", function()
    local first
    for _, shape in ipairs(shapes) do
      local result, marks = run("2", table.unpack(shape))
      assert.same({}, marks)
      assert.same({ 4, { "srv01", "srv04", "srv05" } }, { result.code, result.results.unmarked_servers })
      first = first or essence(result)
      assert.equal(first, essence(result))
    end
  end)

  it("do not say failed of a server that was lost before it could be measured again", function()
    local dir = T.tmpdir()
    local job = S.start_on(fleet, fill([[
      return muster.script {
        max_broken = 8,
        mark = function(server) note("marks", server.id) end,
        steps = { { name = "cpu", thresholds = { score = { min = 50 } }, run = function(server)
          server:exec("true")
          if noted "first" then
            muster.log.info "second time"
            wait_for "killed"
            server:exec("true")
          end
          note("first", "")
          return 10
        end } } } ]], dir), { dir = dir, args = { "srv08" } })
    job:wait_log "second time"
    fleet:kill "srv08"
    T.write(dir .. "/killed", "")
    local result = job:wait()
    fleet:restart "srv08"
    local step = result.results.servers[1].steps[1]
    assert.same({ 3, "error", "error", 2 }, { result.code, result.results.servers[1].status, step.status, step.measured })
    assert.matches("^failed first: cpu.score 10 < 50; then could not be measured again: ", step.failures[1].message)
    assert.equal("", notes(dir, "marks"))
  end)

  -- ---- interrupts ----

  it("of an interrupted run mark nobody", function()
    local dir = T.tmpdir()
    local job = S.start_on(fleet, fill([[
      return muster.script {
        max_broken = 1,
        mark = function(server) note("marks", server.id) end,
        steps = { { name = "cpu", thresholds = { score = { min = 50 } }, run = function(server)
          if server.id == "srv02" then wait_for "never" end
          return 10
        end } } } ]], dir), { dir = dir, args = { "srv[01-02]" } })
    job:wait_log "Server finished: failed"
    job:signal "TERM"
    local result = job:wait()
    assert.equal(143, result.code)
    assert.equal("", notes(dir, "marks"))
    local servers = S.by_id(result.results)
    assert.same({ "withheld", "interrupted", 0 },
      { servers.srv01.mark.state, servers.srv01.mark.note, servers.srv01.mark.tries })
    assert.equal("cancelled", servers.srv02.status)
    assert.equal(require "cjson".null, servers.srv02.mark)
    assert.matches("\nNot marked: 1 server, since the run was interrupted. unmarked_servers=[srv01]\n", result.stdout, 1, true)
  end)

  local INTERRUPTED = [[
    return muster.script {
      confirm = 0, max_broken = 8,
      mark = function(server)
        muster.log.info "marking"
        @MARK@
        note("marks", server.id)
      end,
      steps = { { name = "cpu", thresholds = { score = ">= 50" }, run = function() return 10 end } } } ]]

  it("end a mark that is being made in good order", function()
    local dir = T.tmpdir()
    local text = fill(INTERRUPTED, dir):gsub("@MARK@", [[wait_for "go"]])
    local job = S.start_on(fleet, text, { dir = dir, args = { "srv01", "srv02", "-j", "1" } })
    job:wait_log "marking"
    job:signal "TERM"
    job:wait_log "Interrupted: "
    T.write(dir .. "/go", "")
    local result = job:wait()
    local servers = S.by_id(result.results)
    assert.same({ 143, "srv01\n", "made" }, { result.code, notes(dir, "marks"), servers.srv01.mark.state })
    assert.is_false(servers.srv02.dealt)
  end)

  it("do not wait for a mark past the grace period, and do not say that it was made", function()
    for _, signals in ipairs { 1, 2 } do
      local dir = T.tmpdir()
      local text = fill(INTERRUPTED, dir):gsub("@MARK@", [[wait_for "never"]])
      local job = S.start_on(fleet, text,
        { dir = dir, args = { "srv01", "--grace", signals == 1 and "300ms" or "60s" } })
      job:wait_log "marking"
      for _ = 1, signals do job:signal "TERM" end
      local result = job:wait()
      assert.same({ 143, "failed" }, { result.code, result.results.servers[1].mark.state })
      assert.same({ "srv01" }, result.results.mark_failed_servers)
      assert.matches("\nNOT MARKED: mark could not be made for 1 server: ", result.stdout, 1, true)
    end
  end)

  -- ---- dry runs ----

  it("are none in a dry run, which touches nothing", function()
    local dir = T.tmpdir()
    local result = fleet:run(fill([[
      return muster.script {
        setup = function(server)
          local r = server:exec("touch %s/touched", "@DIR@")
          server:connect { wait = "10m" }
          local here = muster.exec("touch @DIR@/touched")
          os.execute("touch @DIR@/touched")
          local text = io.popen("touch @DIR@/touched; echo x"):read "a"
          local read = muster.exec("echo read", { read_only = true })
          assert(r.ok and r.dry_run and r.stdout == "" and here.dry_run and text == "" and read.stdout == "read\n"
            and not read.dry_run)
        end,
        on_failure = function() error "there is none" end,
        teardown = function(server) server:exec("touch @DIR@/touched") end,
        mark = function(server, verdict) muster.log.info("> " .. verdict.status .. " " .. verdict.reason) end,
        steps = { { name = "cpu", run = function(server) server:exec("touch @DIR@/touched") end } } } ]], dir),
      { dir = dir, args = { "--dry-run", "--known-hosts", "/dev/null", "srv[01-03]" } })
    assert.same({ 0, true }, { result.code, result.results.run.dry_run }, result.stdout .. result.stderr)
    assert.is_false(S.exists(dir .. "/touched"))
    for _, server in ipairs(result.results.servers) do
      assert.same({ "skipped", "skipped", "dry run" },
        { server.status, server.steps[1].status, server.steps[1].failures[1].message })
      assert.equal(require "cjson".null, server.mark)
    end
    local said = {}
    for _, line in ipairs(result.log) do
      if line.server_id == "srv02" and (line.dry_run or line.event:find "^> ") then
        said[#said + 1] = line.event:gsub("; run .*", "")
      end
    end
    local touch = "touch " .. dir .. "/touched"
    assert.same({ "Would run: " .. touch, "Would connect to 127.0.0.1", "Would run on this machine: " .. touch,
      "Would run on this machine: " .. touch, "Would run on this machine: " .. touch .. "; echo x",
      "Would run: " .. touch, "> failed muster: dry run" }, said)
    for id in pairs(fleet.servers) do assert.is_nil(fleet:log(id):find("touched", 1, true)) end
    assert.matches("\nDry run: nothing was changed, and nothing measured.\nOut of 3, 0 servers failed. failed_servers=[]\n",
      result.stdout, 1, true)
  end)

  it("of a dry run say what a hook refused", function()
    local dir = T.tmpdir()
    local result = fleet:run(fill([[
      return muster.script {
        setup = function(server) error(muster.errors.ServerStateError("node is active")) end,
        teardown = function(server) muster.log.info "> down" end,
        mark = function(server) muster.log.info "> mark" error "no such node" end,
        steps = { { name = "cpu", run = function() end } } } ]], dir), { dir = dir, args = { "--dry-run", "srv01" } })
    local server = result.results.servers[1]
    assert.same({ 3, "error", "setup", "mark" },
      { result.code, server.status, server.failures[1].where, server.failures[2].where })
    assert.is_table(T.find_log(result.log, "> down"))
    assert.is_table(T.find_log(result.log, "> mark"))
  end)
end)
