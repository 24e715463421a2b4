-- muster console over real sshd, and from a pipe: what lines come to, and that errors end nothing. What needs a terminal
-- is in tests/cli/test-console.
local T = require "muster_test"

local function console(lines, ...)
  local arguments = { "console", ... }
  arguments.stdin = lines
  arguments.env = { XDG_STATE_HOME = T.tmpdir() }
  return T.run(arguments)
end

local function says(lines, want)
  local result = console(lines, "--local")
  assert.same({ 0, want, "" }, { result.code, result.stdout, result.stderr })
end

describe("muster console", function()
  it("shows what lines return", function()
    says("1 + 1\nx = 3\nx, 'two', nil\nreturn x\n\nlocal y = 1\ny\n", "2\n3\n\"two\"\nnil\n3\nnil\n")
    says("{ 1, { a = 'x\\n' }, [9] = true }\nlocal t = {} t.t = t return t\n",
      "{ 1, { a = \"x\\n\" }, [9] = true }\n{ t = { … itself … } }\n")
    says("server\nserver.id, server.vars\nmuster.errors.CheckFailed 'no'\nprint('p', 1)\n",
      "server localhost\n\"localhost\"\n{}\nCheckFailed: no\np\t1\n")
    says("local t = {} for i = 1, 200 do t[i] = i end return #t\n('x'):rep(3)\n", "200\nxxx\n")
  end)

  it("shows what commands print and how they end", function()
    says([[
server:exec "echo out; echo err >&2"
server:exec("echo a; exit 3", { check = false })
server:exec("kill -9 $$", { check = false })
out = server:exec "printf '  5 of 7'"
tonumber(out.stdout:match "%d")
server:exec "printf '\\033[31mred'"
]], "out\nstderr: err\na\nexit status 3\nkilled by signal KILL\n5\n\\x1b[31mred\n")
  end)

  it("goes on in the next line until a chunk is whole, and after errors", function()
    says("for i = 1, 2 do\n  print(i)\nend\nif true then return [[a\nb]] end\n", "1\n2\na\nb\n")
    says("nothing.here\nserver:exec 'exit 4'\nerror {}\nerror()\n= 1\ngoto x\n'on'\n",
      "console:1: attempt to index a nil value (global 'nothing')\n" ..
      "CommandError: command ended with exit status 4: exit 4\nerror: {}\nerror: nil\n" ..
      "console:1: unexpected symbol near '='\nconsole:1: no visible label 'x' for <goto> at line 1\non\n")
    local result = console("for i = 1, 2 do\n", "--local")
    assert.same({ 2, "muster console: the last chunk is not whole\n" }, { result.code, result.stderr })
    local many = console("local s = {} for i = 1, 1e9 do s[i] = ('x'):rep(i) end\n1 + 1\n", "--local")
    assert.is_truthy(many.stdout:find "memory limit.*\n2\n$", many.stdout)
  end)

  it("loads scripts, and runs single steps with parameters", function()
    local dir = T.tmpdir()
    T.write(dir .. "/lib.lua", "return { n = 7 }")
    T.write(dir .. "/a b.lua", [[ local lib = require "lib" return { params = { floor = 5 }, steps = {
      { name = "speed", thresholds = { score = { min = "params.floor" } }, run = function() return lib.n end } } } ]])
    local result = console((".step speed\n.load %s\nscript.steps[1].run()\n.load %s\n.step speed\n.step speed floor=9\n" ..
      ".step speed x\n.load\n.what\n.quit\n1\n"):format(dir .. "/none.lua", dir .. "/a b.lua"), "--local")
    assert.equals(0, result.code)
    for _, want in ipairs { "no script: .load SCRIPT first\n", "none.lua: No such file", "a b.lua: steps speed; ",
      "  score 7  passed\nspeed: passed (", "  score 7  failed\nspeed: failed (", ": speed.score 7 < 9\n",
      "'x' is not NAME=VALUE\n", "\n.load SCRIPT\n", "there is no command .what; .help lists them\n" } do
      assert.is_truthy(result.stdout:find(want, 1, true), want .. " in " .. result.stdout)
    end
    assert.is_nil(result.stdout:find("\n1\n", 1, true))
  end)

  it("says in one line why a script cannot be loaded, and where it broke", function()
    local dir = T.tmpdir()
    T.write(dir .. "/five.lua", "return 5")
    T.write(dir .. "/broken.lua", "return {\n")
    T.write(dir .. "/raises.lua", "local function deep() error 'no' end\ndeep()")
    local text = console((".load %s/none.lua\n.load %s/five.lua\n.load %s/broken.lua\n.load %s/raises.lua\n"):gsub("%%s", dir), "--local")
      .stdout:gsub(dir:gsub("%p", "%%%0"), "DIR")
    local want = "cannot open DIR/none.lua: No such file or directory\n" ..
      "DIR/five.lua is no script: it returns no description with steps\n" ..
      "DIR/broken.lua:2: unexpected symbol near <eof>\nDIR/raises.lua:1: no\nstack traceback:\n"
    assert.equals(want, text:sub(1, #want))
    assert.is_nil(text:find("console.lua", 1, true), text)
    says("muster.parse.kv(server:exec 'true')\n", "parse.kv reads text, the stdout of a command, not a table\n")
  end)

  it("says of a pair step that it wants another server", function()
    local path = T.write(T.tmpdir() .. "/two.lua", [[ return { steps = { { name = "wire", pair = true, run = print } } } ]])
    says((".load %s\n.step wire\n"):format(path), path .. ": steps wire; the global `script` is its description\n" ..
      "wire is a pair step, of two servers, and here is one: muster run -s wire " .. path .. " SERVER PEER runs it\n")
  end)

  it("completes every function that it has", function()
    local sources, missing = T.read(T.source .. "/host/cli/console_session.c"), {}
    for _, fn in ipairs(dofile(T.source .. "/tools/reference.lua").read(T.source).functions) do
      local here = fn.name:find "^server:" or fn.name:find "^muster%." and not fn.name:find "^muster%.testing"
      if here and not sources:find('"' .. fn.name .. '"', 1, true) then missing[#missing + 1] = fn.name end
    end
    assert.same({}, missing)
  end)

  it("is connected to the server, over one connection", function()
    local fleet = T.fleet_start(1)
    local lines = [[
server:exec("echo $SSH_CONNECTION | cut -d' ' -f2").stdout == server:exec("echo $SSH_CONNECTION | cut -d' ' -f2").stdout
server.id
muster.exec "echo here"
]]
    local result = console(lines, "-i", fleet.inventory, "--known-hosts", fleet.known_hosts, "srv01")
    assert.same({ 0, "Connected to 127.0.0.1.\ntrue\nsrv01\nhere\n" }, { result.code, result.stdout })
    fleet:kill "srv01"
    result = console("server:exec 'true'\n1 + 1\n", "-i", fleet.inventory, "--known-hosts", fleet.known_hosts, "srv01")
    assert.equals(0, result.code)
    assert.is_truthy(result.stdout:find "^ConnectError: [^\n]*refused.*\nConnectError: [^\n]*refused.*\n2\n$", result.stdout)
  end)

  it("is misused with 2 and one line", function()
    local dir = T.tmpdir()
    local fleet = T.write(dir .. "/fleet", "srv01\nsrv02\n")
    for _, case in ipairs {
      { "no server: name one, or use --local" },
      { "one server at a time", "a", "b" },
      { "'srv*' are 2 servers; it is for one", "-i", fleet, "srv*" },
      { "'web*' chooses servers from an inventory, and none is given (-i FILE)", "web*" },
      { "cannot read the inventory " .. dir .. "/none", "-i", dir .. "/none", "srv01" },
      { "--password-file: cannot read " .. dir .. "/none", "--password-file", dir .. "/none", "srv01" },
    } do
      local result = console("1\n", table.unpack(case, 2))
      assert.equals(2, result.code, case[1])
      assert.is_truthy(result.stderr:find("muster console: " .. case[1], 1, true), result.stderr)
      assert.equals(1, #T.lines(result.stderr))
    end
  end)
end)
