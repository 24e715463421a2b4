-- run-spec: with-accounts
-- exec with sudo = true: the real sudo where the tests may make an account for it (as root, in a mount namespace of their
-- own); a stand-in of that name shows what goes over the wire wherever they run.
local T = require "muster_test"
local S = require "ssh_support"

local sudoers, password = os.getenv "MUSTER_TEST_SUDOERS", os.getenv "MUSTER_TEST_PASSWORD"
local real = sudoers ~= nil and sudoers ~= ""

local function rules(text) T.write(sudoers, "Defaults lecture=never\nDefaults use_pty\n" .. text .. "\n") end

local function script(body)
  return ([[
    local muster = require "muster"
    local function message(...) local ok, e = pcall(...) return ok and "NO ERROR" or tostring(e) end
    return { steps = { { name = "s", run = function(server) %s end } } }]]):format(body)
end

local function check(result, texts)
  local s = assert(result.results, result.stderr).servers[1].steps[1]
  assert.equals("passed", s.status, result.stderr)
  for _, text in ipairs(texts) do assert.is_truthy(s.log:find(text, 1, true), text .. "\nin\n" .. s.log) end
end

-- A program named sudo: it says how it was called, wants PASSWORD where ASKS is there, and runs the command.
local function stand_in(dir, asks)
  T.exec { "mkdir", "-p", dir .. "/bin" }
  T.write(dir .. "/bin/sudo", ([[#!/bin/sh
echo "called: $*" >>%s/calls
tr '\0' '\n' </proc/$PPID/cmdline >>%s/calls
env >>%s/calls
while [ "$1" != -- ]; do
  [ "$1" != -n ] || [ %s = no ] || { echo "sudo: a password is required" >&2; exit 1; }
  [ "$1" != -S ] || [ %s = no ] || { IFS= read -r p
    [ "$p" = "s3cr3t 'word" ] || { echo "sudo: no password was provided" >&2; echo "sudo: 1 incorrect password attempt" >&2
      exit 1; }; }
  shift
done
shift
exec "$@"
]]):format(dir, dir, dir, asks and "yes" or "no", asks and "yes" or "no"))
  T.exec { "chmod", "+x", dir .. "/bin/sudo" }
  return { PATH = dir .. "/bin:" .. os.getenv "PATH", LC_ALL = "C.UTF-8" }
end

local everything = script [[
  local big = ("0123456789abcdef"):rep(20000)
  print("OUT", server:exec("echo one; echo \"$LC_ALL\"; cat", { sudo = true }).stdout)
  print("STDIN", server:exec("cat; echo end", { sudo = true, stdin = "s3cr3t 'word\nline\n" }).stdout)
  print("BIG", server:exec("cat", { sudo = true, stdin = big }).stdout == big)
  print("ENV", server:exec("echo \"$A|$B\"; cat", { sudo = true, env = { A = "x 'y\" $z", B = "2\n3" }, stdin = "in" }).stdout)
  print("QUOTED", server:exec("echo %q", "it's \"$HOME\" `id` \\ *", { sudo = true }).stdout)
  print("LIST", server:exec({ "printf", "[%s]", "a b", "c'd", sudo = true }).stdout)
  print("STATUS", server:exec("exit 7", { sudo = true, check = false }).exit_status)
  print("ERROR", message(server.exec, server, "echo bad >&2; exit 1", { sudo = true }))
  local lines = {}
  server:exec("echo a; echo b; cat", { sudo = true, on_line = function(line) lines[#lines + 1] = line end })
  print("LINES", table.concat(lines, ","))
  print("TIMEOUT", message(server.exec, server, "sleep 1000", { sudo = true, timeout = "300ms" }))
  print("OFF", server:exec("echo plain", { sudo = false }).stdout)]]
local all_of_it = { "OUT\tone\nC.UTF-8\n", "STDIN\ts3cr3t 'word\nline\nend", "BIG\ttrue", "ENV\tx 'y\" $z|2\n3\nin",
  "QUOTED\tit's \"$HOME\" `id` \\ *", "LIST\t[a b][c'd]", "STATUS\t7",
  "ERROR\tCommandError: command ended with exit status 1: echo bad >&2; exit 1: bad", "LINES\ta,b",
  "TIMEOUT\tTimeoutError: command took longer than 0.3 s: sleep 1000", "OFF\tplain" }

describe("exec with a stand-in for sudo", function()
  it("runs `sudo -n`, with all of exec's options", function()
    local dir = T.tmpdir()
    local env = stand_in(dir, false)
    check(T.run_local(everything, { env = env }), all_of_it)
    assert.matches("called: %-n %-%- sh %-c ", T.read(dir .. "/calls"))
  end)

  for _, asks in ipairs { true, false } do
    it("gives a password on standard input alone, and it goes nowhere else; sudo " .. (asks and "asks" or "does not ask"),
      function()
      local dir = T.tmpdir()
      local env = stand_in(dir, asks)
      env.SUDO_WORD = "s3cr3t 'word"
      -- What the script itself sends or prints of it is not the host's doing.
      local quiet = everything:gsub("\n  print%(\"STDIN\"[^\n]*", "")
      local result = T.run_local(quiet, { env = env, args = { "--sudo-password-env", "SUDO_WORD", "-vv" } })
      local texts = {}
      for _, text in ipairs(all_of_it) do if not text:find "^STDIN" then texts[#texts + 1] = text end end
      check(result, texts)
      local calls = T.read(dir .. "/calls")
      assert.matches("called: %-S %-p  %-%- sh %-c ", calls)
      assert.is_nil(calls:find("s3cr3t", 1, true))
      assert.is_nil(result.stderr:find("s3cr3t", 1, true))
      assert.is_nil(result.stdout:find("s3cr3t", 1, true))
      assert.is_nil(T.read(result.dir .. "/results.json"):find("s3cr3t", 1, true))
      check(T.run_local(everything, { env = env, args = { "--sudo-password-file", T.write(dir .. "/pw", "s3cr3t 'word\n") } }),
        all_of_it)
    end)
  end

  it("says what is wrong", function()
    local dir = T.tmpdir()
    local env = stand_in(dir, true)
    local body = script [[
      local lines = 0
      print("A", message(server.exec, server, "true", { sudo = true }))
      print("B", message(server.exec, server, "true", { sudo = true, check = false }))
      print("C", message(server.exec, server, "true", { sudo = true, on_line = function() lines = lines + 1 end }))
      print("D", message(server.exec, server, "true", { sudo = 1 }))
      local _, e = pcall(server.exec, server, "true", { sudo = true })
      print("E", e.command, e.cause)]]
    check(T.run_local(body, { env = env }), { "A\tCommandError: sudo wants a password: give it with --sudo-password-file",
      "B\tCommandError: sudo wants a password", "C\tCommandError: sudo wants a password",
      "sudo to be true or false", "E\ttrue\tsudo wants a password" })
    check(T.run_local(body, { env = env, args = { "--sudo-password-file", T.write(dir .. "/pw", "wrong") } }),
      { "A\tCommandError: sudo did not accept the password (sudo: 1 incorrect password attempt)", "sudo: wrong password" })
    local bare = T.tmpdir()
    for _, tool in ipairs { "sh", "env", "cat", "sleep", "mktemp" } do
      T.exec { "sh", "-c", ('ln -s "$(command -v %s)" %s/'):format(tool, bare) }
    end
    check(T.run_local(body, { env = { PATH = bare } }), { "A\tCommandError: there is no sudo on the server: install it" })
  end)

  it("has the password in the console and in a cleanup as well", function()
    local dir = T.tmpdir()
    local env = stand_in(dir, true)
    env.SUDO_WORD = "s3cr3t 'word"
    T.write(dir .. "/lines", "server:exec('echo as root', { sudo = true }).stdout\n")
    local typed = { "sh", "-c", T.muster .. " console --local --sudo-password-env SUDO_WORD <" .. dir .. "/lines", env = env }
    local console = T.exec(typed)
    assert.matches("as root", console.stdout)
    assert.equals(0, console.code, console.stderr)
    typed[3] = typed[3]:gsub("%-%-sudo%-password%-env SUDO_WORD", "")
    assert.matches("sudo wants a password", T.exec(typed).stdout)

    local claims = [[return { steps = { { name = "s", run = function(server) server:claim { at = "here" } end } },
      teardown = function(server) server:exec("true", { sudo = true }) server:release() end }]]
    local left = T.run_local(claims, { env = env, dir = dir, args = { "--state-dir", dir } })
    assert.equals(4, left.code, left.stderr)
    local words = { T.muster, "cleanup", "--state-dir", dir, env = env }
    assert.equals(4, T.exec(words).code)
    for _, word in ipairs { "--sudo-password-file", T.write(dir .. "/pw", "s3cr3t 'word\n") } do words[#words + 1] = word end
    local cleaned = T.exec(words)
    assert.equals(0, cleaned.code, cleaned.stdout .. cleaned.stderr)
    assert.is_nil((cleaned.stdout .. cleaned.stderr .. console.stdout .. console.stderr):find("s3cr3t", 1, true))
  end)

  it("refuses a password on the command line, and two of them", function()
    local dir = T.tmpdir()
    local result = T.run_local(everything, { args = { "--sudo-password", "x" } })
    assert.equals(2, result.code)
    assert.is_truthy(result.stderr:find("use --sudo-password-file FILE or --sudo-password-env NAME", 1, true), result.stderr)
    result = T.run_local(everything, { args = { "--sudo-password-file", dir, "--sudo-password-env", "X" } })
    assert.equals(2, result.code)
    assert.is_truthy(result.stderr:find("exclude each other", 1, true))
  end)
end)

describe("exec with the real sudo", function()
  local fleet
  setup(function()
    if real then fleet = T.fleet_start(1) end
  end)

  -- As the account of the fleet, without SSH.
  local function local_user(text, options)
    options = options or {}
    local dir = T.tmpdir()
    T.exec { "chmod", "777", dir }
    T.write(dir .. "/script.lua", text)
    local words = { "setpriv", "--reuid", "65432", "--regid", "65432", "--clear-groups", T.muster, "run",
      dir .. "/script.lua", "--local", "--json", dir .. "/results.json", "--log-format", "json", "--state-dir", dir }
    for _, word in ipairs(options.args or {}) do words[#words + 1] = word end
    words.env = { HOME = dir, LC_ALL = "C.UTF-8", SUDO_WORD = options.word or false }
    local result = T.exec(words)
    result.results = require("cjson").decode(T.read(dir .. "/results.json"))
    return result
  end

  local whole = script [[
    print("ID", server:exec("id -u", { sudo = true }).stdout, server:exec("id -u").stdout)
    print("STDIN", server:exec("id -u; cat", { sudo = true, stdin = "first\nsecond\n" }).stdout)
    print("ENV", server:exec("id -u; echo \"$A\"", { sudo = true, env = { A = "it's" } }).stdout)
    print("EMPTY", server:exec("cat", { sudo = true }).stdout == "")
    local dir = server:exec("mktemp -d", { sudo = true }).stdout:gsub("\n", "")
    local text = ("some text\n"):rep(30000)
    server:write_file(dir .. "/f", text, { sudo = true, mode = "0600" })
    print("OWNED", server:exec({ "stat", "-c", "%u %a", dir .. "/f", sudo = true }).stdout)
    print("READ", server:read_file(dir .. "/f", { sudo = true }) == text, message(server.read_file, server, dir .. "/f"))
    server:exec({ "rm", "-r", dir, sudo = true })]]
  local found = { "ID\t0\n\t65432", "STDIN\t0\nfirst\nsecond\n", "ENV\t0\nit's\n", "EMPTY\ttrue", "OWNED\t0 600",
    "READ\ttrue\tCommandError: read_file " }
  local refused = script [[
    print("R", message(server.exec, server, "id", { sudo = true }))
    print("S", message(server.exec, server, "cat", { sudo = true, stdin = "a\nb\nc\n" }))
    print("F", message(server.read_file, server, "/etc/shadow", { sudo = true }))]]

  local function each(what, test)
    it(what .. " on this machine", function()
      if not real then return end
      test(local_user)
    end)
    it(what .. " over SSH", function()
      if not real then return end
      test(function(text, options)
        local env = { LC_ALL = "C.UTF-8", SUDO_WORD = options and options.word or false }
        return fleet:run(text, { args = options and options.args, env = env })
      end)
    end)
  end

  each("works where no password is asked for, with one given and without", function(run)
    rules "muster ALL=(ALL) NOPASSWD: ALL"
    check(run(whole), found)
    check(run(whole, { args = { "--sudo-password-env", "SUDO_WORD" }, word = password }), found)
  end)

  each("gives the password", function(run)
    rules "muster ALL=(ALL) ALL"
    local result = run(whole, { args = { "--sudo-password-env", "SUDO_WORD", "-vv" }, word = password })
    check(result, found)
    assert.is_nil(result.stderr:find(password, 1, true))
    rules "Defaults timestamp_timeout=0\nmuster ALL=(ALL) ALL"
    check(run(whole, { args = { "--sudo-password-env", "SUDO_WORD" }, word = password }), found)
  end)

  each("says when the password is missing, wrong, or the user may not", function(run)
    rules "Defaults timestamp_timeout=0\nmuster ALL=(ALL) ALL"
    check(run(refused), { "R\tCommandError: sudo wants a password: give it with", "S\tCommandError: sudo wants a password",
      "F\tCommandError: read_file /etc/shadow: sudo wants a password" })
    local result = run(refused, { args = { "--sudo-password-env", "SUDO_WORD" }, word = "wrong" })
    check(result, { "R\tCommandError: sudo did not accept the password", "S\tCommandError: sudo did not accept the password" })
    rules "root ALL=(ALL) ALL"
    check(run(refused, { args = { "--sudo-password-env", "SUDO_WORD" }, word = password }),
      { "R\tCommandError: sudo refused: muster is not in the sudoers file" })
  end)

  for what, rule in pairs { ["without a password"] = "muster ALL=(ALL) NOPASSWD: ALL",
    ["with one"] = "Defaults timestamp_timeout=0\nmuster ALL=(ALL) ALL" } do
    each("ends a command that runs as root, " .. what .. ",", function(run)
      rules(rule)
      local mark = S.mark()
      local result = run(script(([[
        local one = server:spawn(message, server.exec, server, "echo; sleep %s", { sudo = true, timeout = "500ms" })
        local deaf = server:spawn(message, server.exec, server, "trap '' TERM; sleep %s & wait; sleep %s",
          { sudo = true, timeout = "500ms" })
        local h = server:spawn(server.exec, server, "sleep %s", { sudo = true })
        muster.sleep(0.3)
        h:cancel()
        print("T", one:wait())
        print("T", deaf:wait())]]):format(mark, mark, mark, mark)), { args = { "--sudo-password-env", "SUDO_WORD" }, word = password })
      check(result, { "T\tTimeoutError: command took longer than 0.5 s: echo",
        "T\tTimeoutError: command took longer than 0.5 s: trap" })
      assert.is_nil(result.stderr:find("Could not confirm", 1, true), result.stderr)
      assert.same({}, S.marked(mark))
    end)
  end

  it("was there to be tried", function()
    -- As root everything above is the real thing; an ordinary user tests the stand-in alone, and this says so.
    if not real then print("no root, no mount namespace, or no sudo: only the stand-in was tested") end
    assert.is_true(real or T.exec({ "id", "-u" }).stdout ~= "0\n" or not os.execute "unshare -m true 2>/dev/null")
  end)
end)
