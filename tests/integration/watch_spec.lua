-- muster run --watch: run again when the script or a module of it is saved, also after a mistake; and Ctrl-C.
local T = require "muster_test"

-- A session at work: what it prints, and its ends. expect waits for text behind what was seen before.
local Session = {}
Session.__index = Session

local function watch(dir, ...)
  local self = setmetatable({ at = 1, log = dir .. "/log" }, Session)
  -- timeout hands signals on, once each, and ends what a failed test leaves at work.
  local words = T.quote("timeout", "--foreground", "-s", "KILL", T.time_limit, T.muster, "run", dir .. "/script.lua", "--local", "--watch", ...)
  T.write(self.log, "")
  -- Job control, so that the shell does not have it ignore SIGINT.
  local line = ("set -m; %s >%s 2>&1 & echo $!; wait $!; echo $?"):format(words, T.quote(self.log))
  local pipe = assert(io.popen("exec bash -c " .. T.quote(line)))
  self.pid, self.pipe = pipe:read "l", pipe
  return self
end

function Session:expect(pattern)
  for _ = 1, T.time_limit * 100 do
    local text = T.read(self.log)
    local _, stop = text:find(pattern, self.at)
    if stop then
      self.at = stop + 1
      return
    end
    os.execute "sleep 0.01"
  end
  error("no '" .. pattern .. "' in: " .. T.read(self.log):sub(self.at), 2)
end

function Session:interrupt()
  os.execute("kill -INT " .. self.pid)
  local code = self.pipe:read "l"
  self.pipe:close()
  return tonumber(code)
end

local function script(n) return ("return { steps = { { name = 's', run = function() return %s end } } }"):format(n) end

describe("muster run --watch", function()
  it("runs again when the script or a module is saved, in place or by renaming", function()
    local dir = T.tmpdir()
    assert(os.execute("mkdir " .. T.quote(dir .. "/sub")))
    T.write(dir .. "/sub/lib.lua", "return 7")
    T.write(dir .. "/script.lua", 'local n = require "sub.lib" ' .. script "n")
    local session = watch(dir, "--json", dir .. "/results.json")
    session:expect "s.score is 7.*Out of 1, 0 servers failed.*Waiting for a change"
    T.write(dir .. "/sub/lib.lua", "return 8")
    session:expect "s.score is 8.*Waiting for a change"
    T.write(dir .. "/new", script "9")
    assert(os.rename(dir .. "/new", dir .. "/script.lua"))
    session:expect "s.score is 9.*Waiting for a change"
    assert.is_truthy(T.read(dir .. "/results.json"):find('"value":9', 1, true))
    T.write(dir .. "/script.lua", "return {")
    session:expect "script.lua:1:9: .*Waiting for a change"
    T.write(dir .. "/notes.txt", "is no reason to run")
    T.write(dir .. "/script.lua", script "10")
    session:expect "s.score is 10.*Waiting for a change"
    session:interrupt()
    assert.is_nil(T.read(session.log):find("Waiting for a change", session.at, true))
  end)

  it("ends by an interrupt of the run", function()
    local dir = T.tmpdir()
    T.write(dir .. "/script.lua", [[ return { teardown = function() print "torn down" end,
      steps = { { name = "s", run = function(server) print "at work" server:exec "sleep 1000" end } } } ]])
    local session = watch(dir)
    session:expect "at work"
    assert.equals(130, session:interrupt())
    session:expect "torn down"
    assert.is_nil(T.read(session.log):find("Waiting", 1, true))
  end)

  it("does not begin with a script that cannot be loaded", function()
    local dir = T.tmpdir()
    T.write(dir .. "/script.lua", "return {")
    assert.equals(2, T.run { "run", dir .. "/script.lua", "--local", "--watch" }.code)
  end)
end)
