-- muster.semaphore over several workers: its bound, and permits that never get lost (the order is in the unit test of
-- semaphore.c). muster.exec, muster.run.
local T = require "muster_test"

local function servers(n)
  local words = {}
  for i = 1, n do words[i] = ("s%03d"):format(i) end
  return table.concat(words, ",")
end

-- Each task that has the permit makes a folder; folders are made and removed atomically, whatever the worker.
local function run(steps, options)
  options.args = options.args or {}
  for _, word in ipairs { "--workers", "3", "-j", "100", options.servers or servers(50) } do
    table.insert(options.args, word)
  end
  return T.run_local("local muster = require 'muster'\n" .. steps, options)
end

local function counts(result)
  local all = {}
  for _, server in ipairs(result.results.servers) do all[server.status] = (all[server.status] or 0) + 1 end
  return all
end

describe("muster.semaphore", function()
  it("lets no more than n tasks in, over all workers", function()
    local dir = T.tmpdir()
    local result = run(([[
      local dir = %q
      return muster.script { steps = { { name = "go", run = function(server)
        local permit <close> = muster.semaphore("api", 4):acquire()
        muster.exec("mkdir %%s/%%s && ls %%s | wc -l >%%s.seen-%%s", dir, server.id, dir, dir, server.id)
        muster.sleep(0.02)
        muster.exec("rmdir %%s/%%s", dir, server.id)
      end } } }]]):format(dir), {})
    assert.same({ passed = 50 }, counts(result))
    local most = 0
    for i = 1, 50 do
      local seen = tonumber(T.read(("%s.seen-s%03d"):format(dir, i)))
      os.remove(("%s.seen-s%03d"):format(dir, i))
      assert.truthy(seen <= 4, "seen at once: " .. seen)
      most = math.max(most, seen)
    end
    assert.truthy(most > 1, "never two at once")
  end)

  it("outlives waiters that are cancelled, and holders that end without giving back", function()
    -- Every third waits with a timeout of its own that strikes while it waits; every third holds when it is cut short or
    -- fails, keeping its permit in a global. The rest must get through all the same.
    local result = run([[
      local kept
      return muster.script { timeout = "100s", steps = {
        { name = "cut", timeout = "300ms", when = function(server) return tonumber(server.id:match "%d+") % 3 == 0 end,
          run = function() kept = muster.semaphore("api", 2):acquire() muster.sleep "60s" end },
        { name = "fail", when = function(server) return tonumber(server.id:match "%d+") % 3 == 1 end,
          run = function() kept = muster.semaphore("api", 2):acquire() error "broke" end },
        { name = "go", when = function(server) return tonumber(server.id:match "%d+") % 3 == 2 end,
          run = function()
            for _ = 1, 3 do
              local permit <close> = muster.semaphore("api", 2):acquire()
              muster.sleep(0.001)
            end
          end } } }]], { servers = servers(60) })
    assert.same({ timeout = 20, error = 20, passed = 20 }, counts(result))
  end)

  it("gives back when the script drops the permit", function()
    local result = run([[
      return muster.script { timeout = "60s", steps = { { name = "go", run = function()
        local s = muster.semaphore("api", 1)
        for _ = 1, 3 do
          local permit = s:acquire()
          permit:release()
          permit:release() -- and again: nothing
        end
        s:acquire()
        collectgarbage()
        collectgarbage()
        local again <close> = s:acquire()
      end } } }]], { servers = servers(9) })
    assert.same({ passed = 9 }, counts(result))
  end)

  it("is open again for teardown when a step was cut short", function()
    local result = run([[
      return muster.script { timeout = "60s",
        steps = { { name = "go", timeout = "500ms", run = function()
          local permit <close> = muster.semaphore("api", 1):acquire()
          muster.sleep "60s"
        end } },
        teardown = function() local permit <close> = muster.semaphore("api", 1):acquire() end }]],
      { servers = servers(20) })
    assert.same({ timeout = 20 }, counts(result))
    for _, server in ipairs(result.results.servers) do assert.same({}, server.failures) end
  end)

  it("says what is wrong", function()
    local result = run([[
      local muster_at_load = muster.semaphore("load", 1) -- making one is no waiting
      local ok, e = pcall(muster_at_load.acquire, muster_at_load)
      local at_load = tostring(e)
      return muster.script { steps = { { name = "go", run = function()
        local function message(fn, ...) local _, err = pcall(fn, ...) return tostring(err) end
        local held = muster.semaphore("api", 2):acquire()
        local other = muster.semaphore("api", 3)
        print(message(other.acquire, other))
        print(message(muster.semaphore, "", 1))
        print(message(muster.semaphore, "x", 0))
        print(message(muster.semaphore, "x", 1.5))
        print(message(muster.semaphore, "x\0y", 1))
        print(message(function() held.x = 1 end))
        print("load: " .. at_load)
      end } } }]], { servers = "s1" })
    assert.same({ passed = 1 }, counts(result))
    for _, want in ipairs { "semaphore 'api' has 2 permits in this run, not 3: one name, one number",
      "a semaphore's name is text", "a semaphore has 1 to", "number has no integer representation",
      "load: " } do
      assert.truthy(T.find_log(result.log, want), want)
    end
  end)
end)

describe("muster.exec", function()
  it("runs on this machine with the options and errors of server:exec", function()
    local result = T.run_local [[
      local muster = require "muster"
      return muster.script { steps = { { name = "go", run = function(server)
        assert(muster.exec("printf %%s:%s %q", "a", "b c").stdout == "b c:a")
        assert(muster.exec({ "printf", "%s", "x y" }).stdout == "x y")
        assert(muster.exec("cat", { stdin = "in" }).stdout == "in")
        assert(muster.exec("exit 3", { check = false, read_only = true }).exit_status == 3)
        local ok, e = pcall(muster.exec, "echo oh >&2; exit 4")
        assert(not ok and muster.errors.is(e, "CommandError") and e.exit_status == 4 and e.stderr == "oh")
        ok, e = pcall(muster.exec, "true", { chekc = 1 })
        assert(not ok and tostring(e):find("read_only", 1, true))
        ok, e = pcall(server.exec, server, "true", { read_only = true })
        assert(not ok and tostring(e):find("no option 'read_only'", 1, true))
      end } } }]]
    assert.equal("passed", result.results.servers[1].status, result.stderr)
  end)
end)

describe("muster.run", function()
  it("tells the run's id and who runs it, and is read-only", function()
    local result = T.run_local [[
      local muster = require "muster"
      local at_load = "tag " .. muster.run.id
      return muster.script { steps = { { name = "go", run = function()
        print("id=" .. muster.run.id, "owner=" .. muster.run.owner, at_load)
        assert(muster.run.dry_run == false and muster.run.cleanup == false)
        assert(muster.run.owner:match "^[^@%s]+@[^@%s]+$")
        assert(not pcall(function() muster.run.id = "x" end))
      end } } }]]
    assert.equal("passed", result.results.servers[1].status, result.stderr)
    assert.truthy(T.find_log(result.log, "id=" .. result.results.run.id), result.stderr)
    assert.truthy(T.find_log(result.log, "tag " .. result.results.run.id), result.stderr)
  end)
end)
