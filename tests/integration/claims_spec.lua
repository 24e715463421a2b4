-- Claims: on the disk before the next call, found and destroyed by `muster cleanup` whatever ended the run.
local T = require "muster_test"
local S = require "ssh_support"
local cjson = require "cjson"

-- An "installation" is a file of a folder; `stop` names the moment after which the step waits for ever.
local SCRIPT = [[
  local muster = require "muster"
  local function wait_here() muster.log.info "HERE" muster.sleep "10m" end
  return muster.script { params = { nodes = "", stop = "", fail = "" }, timeout = "20m",
    steps = { { name = "go", run = function(server, params)
      local file = params.nodes .. "/" .. server.id
      if params.stop == "before" then wait_here() end
      server:claim { file = file, run = muster.run.id }
      if params.stop == "claim" then wait_here() end
      assert(io.open(file, "w")):close()
      if params.stop == "install" then wait_here() end
      server:update_claim { file = file, run = muster.run.id, port = 22 }
      if params.stop == "update" then wait_here() end
      os.remove(file)
      if params.stop == "destroy" then wait_here() end
      server:release()
      if params.stop == "release" then wait_here() end
    end } },
    teardown = function(server, params)
      local claim = server:claimed()
      if not claim then return end
      if params.fail == server.id then error "the provisioner is down" end
      assert(claim.run == muster.run.id, "run " .. muster.run.id)
      assert(claim.port == nil or math.type(claim.port) == "integer")
      muster.log.info("destroying", { file = claim.file, cleanup = muster.run.cleanup, rack = server.vars.rack })
      os.remove(claim.file)
      server:release()
    end }]]

local function files(dir)
  local names = {}
  for name in T.exec { "ls", "-A", dir }.stdout:gmatch "[^\n]+" do names[#names + 1] = name end
  return names
end

local function names(n)
  local ids = {}
  for i = 1, n do ids[i] = ("s%02d"):format(i) end
  return table.concat(ids, ",")
end

local function journals(state) return files(state .. "/claims") end

local function place()
  local dir = T.tmpdir()
  assert(os.execute("mkdir " .. dir .. "/nodes"))
  return { dir = dir, nodes = dir .. "/nodes", state = dir .. "/state" }
end

local function args(at, more)
  local words = { "--local", "--state-dir", at.state, "-p", "nodes=" .. at.nodes }
  for _, word in ipairs(more) do words[#words + 1] = word end
  return words
end

local function cleanup(at, ...) return T.run { "cleanup", "--state-dir", at.state, "--log-format", "json", ... } end

--- Run until each of the servers waits at `stop`, then kill -9.
local function kill_at(at, stop, servers)
  os.remove(at.dir .. "/stderr") -- of an earlier one
  local job = S.start(SCRIPT, { dir = at.dir, args = args(at, { "-p", "stop=" .. stop, table.unpack(servers) }) })
  job:wait_log('"HERE"', #servers)
  job:signal "KILL"
  assert(job:wait().signal == 9)
end

describe("a claim", function()
  it("is journalled when the call returns, whenever muster is killed", function()
    for stop, left in pairs { before = false, claim = true, install = true, update = true, destroy = true,
      release = false } do
      local at = place()
      kill_at(at, stop, { "s1", "s2", "s3" })
      local listed = cleanup(at, "--list")
      assert.equal(left and 4 or 0, listed.code, stop .. "\n" .. listed.stdout .. listed.stderr)
      for _, id in ipairs { "s1", "s2", "s3" } do
        assert.equal(left, listed.stdout:find("\n  " .. id .. " ", 1, true) ~= nil, stop .. ": " .. listed.stdout)
      end
      if left then assert.truthy(listed.stdout:find("Left behind: 3 servers of 1 run", 1, true), listed.stdout) end
      local before = { nodes = files(at.nodes), journals = journals(at.state) }
      assert.same(before, { nodes = files(at.nodes), journals = journals(at.state) }) -- --list changes nothing
      local done = cleanup(at)
      assert.equal(0, done.code, stop .. "\n" .. done.stdout .. done.stderr)
      assert.same({}, files(at.nodes))
      assert.same({}, journals(at.state))
      assert.equal(0, cleanup(at, "--list").code)
    end
  end)

  it("survives a kill at any moment", function()
    -- No waiting for a moment: 40 servers claim, install and destroy over and over, and the kill strikes somewhere.
    local script = SCRIPT:gsub("run = function%(server, params%)", [[%0
      while true do
        local file = params.nodes .. "/" .. server.id
        server:claim { file = file, run = muster.run.id }
        assert(io.open(file, "w")):close()
        muster.log.info "HERE"
        os.remove(file)
        server:release()
      end]])
    for round = 1, 4 do
      local at = place()
      local job = S.start(script, { dir = at.dir, args = args(at, { "-j", "40", names(40) }) })
      job:wait_log('"HERE"', 100 * round)
      job:signal "KILL"
      job:wait()
      local listed = cleanup(at, "--list").stdout
      for _, name in ipairs(files(at.nodes)) do
        assert.truthy(listed:find("\n  " .. name .. " ", 1, true), name .. " is there and is not listed:\n" .. listed)
      end
      T.write(at.dir .. "/script.lua", SCRIPT)
      local done = cleanup(at)
      assert.equal(0, done.code, done.stdout .. done.stderr)
      assert.same({}, files(at.nodes))
    end
  end)

  it("left open is told by the run: summary, results and exit code", function()
    local at = place()
    local result = T.run_script(SCRIPT, { dir = at.dir, args = args(at, { "-p", "fail=s2", "-p", "stop=", "s1", "s2" }) })
    assert.equal(0, result.code) -- it destroys by itself
    assert.same({}, journals(at.state))
    local broken = SCRIPT:gsub("os.remove%(file%)", "error 'no'")
    result = T.run_script(broken, { dir = at.dir, args = args(at, { "-p", "fail=s2", "s1", "s2" }) })
    assert.equal(4, result.code)
    assert.truthy(result.stdout:find("LEFT BEHIND  s2", 1, true), result.stdout)
    local servers = S.by_id(result.results)
    assert.is_false(servers.s1.left_behind or false)
    assert.truthy(servers.s2.left_behind, cjson.encode(servers.s2))
    assert.truthy(T.find_log(result.log, "Left behind"))
    assert.truthy(T.find_log(result.log, "muster cleanup --journal " .. at.state .. "/claims/"))
    assert.equal(1, #journals(at.state))
  end)

  it("that cannot be written raises before anything is installed", function()
    local at = place()
    T.write(at.state, "a file, no folder")
    local result = T.run_script(SCRIPT, { dir = at.dir, args = args(at, { "s1" }) })
    assert.equal(3, result.code)
    local failure = S.failures(result.results.servers[1])[1]
    assert.equal("the journal of claims cannot be written", failure.cause)
    assert.truthy(failure.message:find("--state-dir", 1, true), failure.message)
    assert.same({}, files(at.nodes))
  end)

  it("is refused on data that could not be read back, twice, and while it is loaded", function()
    local at = place()
    local result = T.run_script([[
      local muster = require "muster"
      return muster.script { steps = { { name = "go", run = function(server)
        local function message(fn, ...) local _, e = pcall(fn, server, ...) return print(tostring(e)) end
        for _, data in ipairs { { 1, 2 }, { f = print }, { x = 0 / 0 }, { n = 1 << 60 }, { s = "\xff" }, { [1.5] = 1 },
          { long = ("x"):rep(16384) } } do message(server.claim, data) end
        message(server.claim, "text")
        local loop = {}
        loop.loop = loop
        message(server.claim, loop)
        message(server.release)
        message(server.update_claim, {})
        assert(server:claimed() == nil)
        server:claim()
        assert(next(server:claimed()) == nil)
        message(server.claim, {})
        server:update_claim { list = { "a", { b = true } }, n = 9007199254740992, f = 0.1, whole = 3.0, u = "\u{fc}\0\n\"" }
        local c = server:claimed()
        assert(c.list[1] == "a" and c.list[2].b == true and c.n == 9007199254740992 and c.f == 0.1 and c.u == "\u{fc}\0\n\"")
        assert(math.type(c.n) == "integer" and math.type(c.whole) == "integer")
        c.n = 5
        assert(server:claimed().n ~= 5)
        server:release()
        assert(server:claimed() == nil)
      end } } }]], { args = { "--local", "--state-dir", at.state, "s1" } })
    assert.equal(0, result.code, result.stderr)
    for _, want in ipairs { "a table with names, not a list", "not a function", "cannot be kept exactly", "text must be UTF-8",
      "keys are names or positions, not a number", "at most 16384 are kept", "the data is a table, not a string",
      "nested too deeply", "server:release: this server is not claimed", "server:update_claim: this server is not claimed",
      "claimed already" } do
      assert.truthy(T.find_log(result.log, want), want)
    end
    assert.same({}, journals(at.state))
  end)

  it("is made in order by a cancelled step, and its teardown knows of it", function()
    -- The deadline strikes while claims are on their way to the disk, over and over.
    local at = place()
    local result = T.run_script([[
      local muster = require "muster"
      return muster.script { steps = { { name = "go", timeout = "200ms", run = function(server)
        while true do
          server:claim {}
          server:release()
        end
      end } }, teardown = function(server)
        if server:claimed() then server:release() end
      end }]], { args = { "--local", "--state-dir", at.state, "-j", "30", names(30) } })
    for _, server in ipairs(result.results.servers) do
      assert.equal("timeout", server.status)
      assert.same({}, server.failures)
    end
    assert.equal(3, result.code, result.stdout)
    assert.same({}, journals(at.state))
  end)

  it("in a dry run is remembered and said, and written nowhere", function()
    local at = place()
    local result = T.run_script([[
      local muster = require "muster"
      return muster.script { steps = { { name = 'x', run = function() end } },
        setup = function(server) server:claim { node = server.id } end,
        teardown = function(server) assert(server:claimed().node == server.id) server:release() end }]],
      { args = { "--dry-run", "--state-dir", at.state, "s1" } })
    assert.equal(0, result.code, result.stderr)
    assert.truthy(T.find_log(result.log, "Would claim the server"), result.stderr)
    assert.truthy(T.find_log(result.log, "Would release the server"))
    assert.equal(1, T.exec { "test", "-e", at.state }.code)
  end)
end)

describe("muster cleanup", function()
  it("runs teardown with the parameters, variables and data of then, in the run's name", function()
    local at = place()
    local inventory = S.inventory(at.dir, { { id = "s1", transport = "local", vars = { rack = "r7" } } })
    local job = S.start(SCRIPT, { dir = at.dir, args = { "-i", inventory, "--state-dir", at.state, "-p", "stop=update",
      "-p", "nodes=" .. at.nodes } })
    job:wait_log '"HERE"'
    job:signal "KILL"
    job:wait()
    os.remove(inventory) -- it is not needed
    local done = cleanup(at)
    assert.equal(0, done.code, done.stdout .. done.stderr)
    local line = T.find_log(T.decode_log(done.stderr), "destroying")
    assert.same({ at.nodes .. "/s1", true, "r7", "s1" }, { line.file, line.cleanup, line.rack, line.server_id })
    assert.truthy(done.stdout:find("Destroyed: 1 server. destroyed_servers=[s1]", 1, true), done.stdout)
  end)

  it("keeps what it cannot destroy, says why, and does it later", function()
    local at = place()
    local job = S.start(SCRIPT, { dir = at.dir, args = args(at, { "-p", "stop=install", "-p", "fail=s2", "s1", "s2" }) })
    job:wait_log('"HERE"', 2)
    job:signal "KILL"
    job:wait()
    local done = cleanup(at)
    assert.equal(4, done.code)
    assert.truthy(done.stdout:find("LEFT BEHIND  s2: error: .*the provisioner is down"), done.stdout)
    assert.truthy(done.stdout:find("destroyed_servers=[s1]", 1, true), done.stdout)
    assert.truthy(done.stdout:find("left_behind_servers=[s2]", 1, true), done.stdout)
    assert.truthy(done.stdout:find(at.state .. "/claims/" .. journals(at.state)[1], 1, true), done.stdout)
    assert.same({ "s2" }, files(at.nodes))

    -- Its script has gone: it says so, and what to do.
    os.rename(at.dir .. "/script.lua", at.dir .. "/moved.lua")
    local gone = cleanup(at)
    assert.equal(4, gone.code)
    assert.truthy(gone.stderr:find("put it back, or name a copy with --script", 1, true), gone.stderr)
    assert.truthy(gone.stdout:find("left_behind_servers=[s2]", 1, true), gone.stdout)

    T.write(at.dir .. "/moved.lua", (SCRIPT:gsub("params.fail == server.id", "false")))
    local last = cleanup(at, "--script", at.dir .. "/moved.lua")
    assert.equal(0, last.code, last.stdout .. last.stderr)
    assert.same({}, files(at.nodes))
    assert.same({}, journals(at.state))
  end)

  it("says what a script lacks that has changed since", function()
    local at = place()
    kill_at(at, "install", { "s1" })
    for text, want in pairs {
      [SCRIPT:gsub("stop = \"\"", "halt = \"\"")] = "has changed since that run",
      [SCRIPT:gsub("teardown = ", "on_failure = ")] = "has no teardown",
      ["return {"] = "script.lua:1",
    } do
      T.write(at.dir .. "/script.lua", text)
      local result = cleanup(at)
      assert.equal(4, result.code)
      assert.truthy(result.stderr:find(want, 1, true), result.stderr)
    end
    T.write(at.dir .. "/script.lua", (SCRIPT:gsub("server:release%(%)", "")))
    local result = cleanup(at)
    assert.equal(4, result.code)
    assert.truthy(result.stdout:find("without releasing", 1, true), result.stdout)
    assert.equal(1, #journals(at.state))
  end)

  it("leaves a run that still lives alone", function()
    local at = place()
    local dead = place()
    dead.state = at.state -- two at once, with one folder for both journals
    dead.nodes = at.nodes
    local job = S.start(SCRIPT, { dir = at.dir, args = args(at, { "-p", "stop=install", "s1" }) })
    job:wait_log '"HERE"'
    kill_at(dead, "install", { "s2" })
    local done = cleanup(at)
    assert.equal(0, done.code)
    assert.truthy(done.stdout:find("1 run is still at work and is left alone", 1, true), done.stdout)
    assert.truthy(done.stdout:find("destroyed_servers=[s2]", 1, true), done.stdout)
    local journal = at.state .. "/claims/" .. journals(at.state)[1]
    local refused = T.run { "cleanup", "--journal", journal }
    assert.equal(2, refused.code)
    assert.truthy(refused.stderr:find("its run, or another cleanup of it, is still at work", 1, true), refused.stderr)
    assert.same({ "s1" }, files(at.nodes))
    job:signal "TERM"
    assert.equal(143, job:wait().code)
    assert.same({}, files(at.nodes)) -- its own teardown did
    assert.same({}, journals(at.state))
  end)

  it("takes the runs one after the other, and goes on past a journal that makes no sense", function()
    local at = place()
    kill_at(at, "install", { "s1" })
    kill_at(at, "install", { "s2" })
    T.write(at.state .. "/claims/a.jsonl", "garbage\n")
    T.exec { "chmod", "600", at.state .. "/claims/a.jsonl" }
    local done = cleanup(at)
    assert.equal(4, done.code) -- who knows what that one holds
    assert.truthy(done.stderr:find("a.jsonl: its first line does not say which run it is of", 1, true), done.stderr)
    assert.truthy(done.stdout:find("Destroyed: 2 servers", 1, true), done.stdout)
    assert.same({ "a.jsonl" }, journals(at.state))
  end)

  it("warns of a torn line and uses the others", function()
    local at = place()
    kill_at(at, "install", { "s1" })
    local path = at.state .. "/claims/" .. journals(at.state)[1]
    local f = assert(io.open(path, "a"))
    f:write '{"release":"s'
    f:close()
    local done = cleanup(at)
    assert.equal(0, done.code, done.stdout)
    assert.truthy(done.stderr:find("1 line is left out, the first is line 3: it was cut in the middle", 1, true), done.stderr)
    assert.same({}, files(at.nodes))
  end)

  it("is interrupted in good order", function()
    local at = place()
    kill_at(at, "install", { "s1", "s2" })
    T.write(at.dir .. "/script.lua", (SCRIPT:gsub("os.remove%(claim.file%)", "muster.log.info 'HERE' muster.sleep '10m'")))
    local out = at.dir .. "/out"
    local pipe = assert(io.popen(("echo $$; exec env HOME=%s %s cleanup --state-dir %s --grace 1s --log-format json >%s 2>%s.err")
      :format(T.home(), T.quote(T.muster), at.state, out, out)))
    local pid = pipe:read "l"
    S.wait_for("both teardowns", function()
      return S.exists(out .. ".err") and select(2, T.read(out .. ".err"):gsub('"HERE"', "")) == 2
    end)
    os.execute("kill -TERM " .. pid)
    local _, how, code = pipe:close()
    assert.same({ "exit", 143 }, { how, code })
    assert.truthy(T.read(out):find("Still left behind: 2 servers", 1, true), T.read(out))
    assert.equal(1, #journals(at.state))
  end)

  it("reaches servers over SSH as the run did", function()
    local fleet = T.fleet_start(2)
    local at = place()
    local script = [[
      local muster = require "muster"
      return muster.script { steps = { { name = "go", run = function(server)
        server:claim {}
        server:exec "touch installed"
        muster.log.info "HERE"
        muster.sleep "10m"
      end } }, teardown = function(server)
        server:exec "rm installed"
        server:release()
      end }]]
    local job = S.start_on(fleet, script, { dir = at.dir, args = { "--state-dir", at.state } })
    job:wait_log('"HERE"', 2)
    job:signal "KILL"
    job:wait()
    local function there(id) return S.exists(fleet.dir .. "/" .. id .. "/" .. "home/installed") end
    assert.is_true(there "srv01" and there "srv02")
    local done = cleanup(at)
    assert.equal(0, done.code, done.stdout .. done.stderr)
    assert.is_false(there "srv01" or there "srv02")
    fleet:stop()
  end)

  it("says what is wrong with its options", function()
    for _, case in ipairs { { "it takes no servers", "srv01" }, { "did you mean --list?", "--lits" },
      { "exclude each other", "--journal", "x", "--state-dir", "y" }, { "'0' is not a whole number", "-j", "0" },
      { "/no/such", "--journal", "/no/such" } } do
      local words = { "cleanup" }
      for i = 2, #case do words[i] = case[i] end
      local result = T.run(words)
      assert.equal(2, result.code)
      assert.truthy(result.stderr:find(case[1], 1, true), result.stderr)
    end
    assert.equal(0, T.run({ "cleanup", "--help" }).code)
    assert.truthy(T.run({ "help" }).stdout:find("cleanup", 1, true))
  end)
end)
