-- server:upload, download, write_file, read_file: whole files or none, in memory that does not grow with them.
local T = require "muster_test"
local S = require "ssh_support"

local function sha256(path) return T.exec({ "sha256sum", path }).stdout:match "^%x+" end
local function mode(path) return T.exec({ "stat", "-c", "%a", path }).stdout:gsub("\n", "") .. "" end
local function names(dir) return T.exec({ "ls", "-A", dir }).stdout:gsub("\n", " ") .. "" end
local function random_file(path, bytes)
  assert(T.exec({ "sh", "-c", ("head -c %d /dev/urandom >%s"):format(bytes, path) }).code == 0)
  return path
end

local function script(body, options)
  return ([[
    local muster = require "muster"
    local function message(...) local ok, e = pcall(...) return ok and "NO ERROR" or tostring(e) end
    local function memory() return tonumber(io.open("/proc/self/status"):read("a"):match("VmHWM:%%s+(%%d+)")) end
    return { params = { dir = "", there = "" }, steps = { { name = "s", timeout = %q, run = function(server, params)
      local dir, there = params.dir, params.there
      %s end } } }]]):format(options and options.timeout or "5m", body)
end

-- Both transports: here, and over SSH. run(body, options) gives the step, the result, dir (here) and there (the server's).
local fleet
local transports = {}
function transports.here(body, options)
  options = options or {}
  local dir = options.dir or T.tmpdir()
  local there = dir .. "/there"
  T.exec { "mkdir", "-p", there }
  local args = { "-p", "dir=" .. dir, "-p", "there=" .. there }
  for _, arg in ipairs(options.args or {}) do args[#args + 1] = arg end
  local result = T.run_local(script(body, options), { args = args, env = options.env })
  assert(result.results, result.stderr)
  return result.results.servers[1].steps[1], result, dir, there
end
function transports.ssh(body, options)
  options = options or {}
  local dir, there = options.dir or T.tmpdir(), fleet.dir .. "/srv01/home/there"
  T.exec { "rm", "-rf", there }
  T.exec { "cp", "-r", dir .. "/there", there }
  T.exec { "mkdir", "-p", there }
  T.exec { "chmod", "777", there }
  local args = { "srv01", "-p", "dir=" .. dir, "-p", "there=" .. there }
  for _, arg in ipairs(options.args or {}) do args[#args + 1] = arg end
  local result = fleet:run(script(body, options), { args = args, env = options.env })
  assert(result.results, result.stderr)
  return result.results.servers[1].steps[1], result, dir, there
end

local function passed(step, result)
  assert.equals("passed", step.status, result.stderr)
  return step.log
end

-- A program that comes first in the PATH of the commands, on either transport.
local function with_tool(name, text, test)
  for kind, run in pairs(transports) do
    local bin = kind == "ssh" and fleet.dir .. "/srv01/home/bin" or T.tmpdir()
    T.write(bin .. "/" .. name, "#!/bin/sh\n" .. text .. "\n")
    T.exec { "chmod", "755", bin .. "/" .. name }
    test(kind, function(body, options)
      options = options or {}
      options.env = kind == "here" and { PATH = bin .. ":" .. os.getenv "PATH" } or nil
      return run(body, options)
    end)
    os.remove(bin .. "/" .. name)
  end
end

setup(function() fleet = T.fleet_start(2) end)

for kind in pairs { here = 1, ssh = 1 } do
  local function run(...) return transports[kind](...) end
  describe("files, " .. kind, function()
    it("go there and back, with their bytes and permissions", function()
      local dir = T.tmpdir()
      random_file(dir .. "/odd", 1234567)
      T.write(dir .. "/empty", "")
      T.write(dir .. "/trailer", ("a"):rep(65))
      T.exec { "chmod", "750", dir .. "/odd" }
      T.exec { "chmod", "604", dir .. "/empty" }
      local step, result, _, there = run([[
        for _, name in ipairs { "odd", "empty", "trailer" } do
          local up = server:upload(dir .. "/" .. name, there .. "/" .. name)
          local down = server:download(there .. "/" .. name, dir .. "/" .. name .. ".back")
          print("SIZES", name, up.bytes, down.bytes, up.sha256 == down.sha256, #up.sha256)
        end
        server:upload(dir .. "/odd", there .. "/it's \"odd\" $x \\ -n", { mode = "0600" })
        server:download(there .. "/it's \"odd\" $x \\ -n", dir .. "/mode", { mode = "640" })
        print("LEFT", server:exec("ls -A %q", there).stdout)]], { dir = dir })
      local log = passed(step, result)
      assert.is_truthy(log:find("SIZES\todd\t1234567\t1234567\ttrue\t64", 1, true), log)
      assert.is_truthy(log:find("SIZES\tempty\t0\t0\ttrue\t64", 1, true), log)
      for _, name in ipairs { "odd", "empty", "trailer" } do
        assert.equals(sha256(dir .. "/" .. name), sha256(dir .. "/" .. name .. ".back"))
        assert.equals(sha256(dir .. "/" .. name), sha256(there .. "/" .. name))
      end
      assert.equals("750", mode(there .. "/odd"))
      assert.equals("604", mode(dir .. "/empty.back"))
      assert.equals("600", mode(there .. "/it's \"odd\" $x \\ -n"))
      assert.equals("640", mode(dir .. "/mode"))
      assert.is_nil(names(dir):find "%.muster%.")
      assert.is_nil(names(there):find "%.muster%.")
    end)

    it("are replaced whole, and written and read as text", function()
      local step, result, _, there = run [[
        local text = "a\0b\r\n'\xff$" .. ("x"):rep(300000)
        local w = server:write_file(there .. "/t", text)
        print("SAME", server:read_file(there .. "/t") == text, w.bytes == #text)
        server:exec("chmod 640 %q", there .. "/t")
        server:write_file(there .. "/t", "short")
        print("SHORT", server:read_file(there .. "/t"), server:exec("stat -c %%a %q", there .. "/t").stdout)
        server:write_file(there .. "/t", "", { mode = "0604" })
        print("EMPTY", server:read_file(there .. "/t") == "", server:exec("stat -c %%a %q", there .. "/t").stdout)
        server:write_file("relative file", "in the home")
        print("HOME", server:read_file "relative file", server:exec("cat 'relative file'; rm 'relative file'").stdout)
        server:exec("ln -s t %q", there .. "/link")
        print("LINK", server:read_file(there .. "/link") == "")
        print("PROC", server:read_file("/proc/uptime"):match "^[%d.]+ [%d.]+\n$" ~= nil, #server:read_file "/proc/cpuinfo" > 10)
        print("MAX", #server:read_file(there .. "/t", { max = 0 }))
        server:write_file(there .. "/new", "x")
        print("NEW", server:exec("umask; stat -c %%a %q", there .. "/new").stdout)]]
      local log = passed(step, result)
      for _, text in ipairs { "SAME\ttrue\ttrue", "SHORT\tshort\t640", "EMPTY\ttrue\t604", "HOME\tin the home\tin the home",
        "LINK\ttrue", "PROC\ttrue\ttrue", "MAX\t0", "NEW\t0022\n644" } do
        assert.is_truthy(log:find(text, 1, true), text .. "\nin\n" .. log)
      end
      assert.is_nil(names(there):find "%.muster%.")
    end)

    it("take no memory to speak of: 64 MiB each way, four times what it may take", function()
      local dir = T.tmpdir()
      random_file(dir .. "/big", 64 << 20)
      local step, result, _, there = run([[
        server:write_file(there .. "/warm", "up")
        local before = memory()
        local up = server:upload(dir .. "/big", there .. "/big")
        local between = memory()
        local down = server:download(there .. "/big", dir .. "/back")
        print("BYTES", up.bytes, down.bytes, up.sha256 == down.sha256)
        print("KIB", between - before, memory() - between)]], { dir = dir })
      local log = passed(step, result)
      assert.is_truthy(log:find("BYTES\t67108864\t67108864\ttrue", 1, true), log)
      local up, down = log:match "KIB\t(%d+)\t(%d+)"
      if os.getenv "MUSTER_SHOW" then print(kind, "memory KiB up, down", up, down, step.duration_s) end
      -- A sanitizer keeps freed memory for a while.
      local limit = T.exec({ "sh", "-c", "ldd " .. T.quote(T.muster) .. " | grep -q asan" }).code == 0 and 400 or 16
      assert.is_true(tonumber(up) < limit << 10 and tonumber(down) < limit << 10, log)
      assert.equals(sha256(dir .. "/big"), sha256(there .. "/big"))
      assert.equals(sha256(dir .. "/big"), sha256(dir .. "/back"))
      os.remove(dir .. "/big")
      os.remove(dir .. "/back")
      os.remove(there .. "/big")
    end)

    it("say what is wrong, and leave everything as it was", function()
      local dir = T.tmpdir()
      T.write(dir .. "/file", "content")
      T.exec { "mkdir", dir .. "/folder", dir .. "/there" }
      T.exec { "mkfifo", dir .. "/fifo" }
      T.exec { "ln", "-s", "file", dir .. "/link" }
      local step, result, _, there = run([[
        server:exec("mkdir %q; mkfifo %q; ln -s nothing %q; echo old >%q", there .. "/folder", there .. "/fifo",
          there .. "/link", there .. "/old")
        local n = 0
        local function wrong(...) n = n + 1 print("W" .. n, message(...)) end
        wrong(server.upload, server, dir .. "/none", there .. "/x")
        wrong(server.upload, server, dir .. "/folder", there .. "/x")
        wrong(server.upload, server, dir .. "/fifo", there .. "/x")
        wrong(server.upload, server, dir .. "/file", there .. "/folder")
        wrong(server.upload, server, dir .. "/file", there .. "/fifo")
        wrong(server.upload, server, dir .. "/file", there .. "/link")
        wrong(server.upload, server, dir .. "/file", there .. "/no/x")
        wrong(server.upload, server, dir .. "/file", "/proc/x")
        wrong(server.download, server, there .. "/none", dir .. "/x")
        wrong(server.download, server, there .. "/folder", dir .. "/x")
        wrong(server.download, server, there .. "/fifo", dir .. "/x")
        wrong(server.download, server, there .. "/link", dir .. "/x")
        wrong(server.download, server, there .. "/old", dir .. "/folder")
        wrong(server.download, server, there .. "/old", dir .. "/link")
        wrong(server.download, server, there .. "/old", dir .. "/fifo")
        wrong(server.download, server, there .. "/old", dir .. "/no/x")
        wrong(server.download, server, there .. "/old", dir .. "/folder/")
        wrong(server.read_file, server, there .. "/old", { max = 3 })
        wrong(server.write_file, server, there .. "/x", 5)
        wrong(server.write_file, server, there .. "/x")
        wrong(server.write_file, server, "", "x")
        wrong(server.write_file, server, "a\0b", "x")
        wrong(server.write_file, server, there .. "/x", "x", { mode = 644 })
        wrong(server.write_file, server, there .. "/x", "x", { mode = "0888" })
        wrong(server.write_file, server, there .. "/x", "x", { mdoe = "0644" })
        wrong(server.read_file, server, there .. "/old", { mode = "0644" })
        wrong(server.upload, server, dir .. "/file", there .. "/x", { sudo = 1 })
        wrong(server.read_file, server, there .. "/old", { max = -1 })
        local _, e = pcall(server.read_file, server, there .. "/none")
        print("TYPE", e.type, e.cause)
        print("OLD", server:read_file(there .. "/old"))]], { dir = dir })
      local log = passed(step, result)
      local want = { "cannot read .*/none: No such file", "is a folder: name a file", "is no plain file",
        "upload of .* to .*: it is a folder there: name a file in it", "it is no plain file there",
        "it is a symbolic link there: name the file", "there is no folder .*/no/ on the server", "upload of .* to /proc/x: .",
        "download of .*: there is no such file on the server", "it is a folder there", "it is no plain file there",
        "it is a symbolic link to nothing there", "is a folder: name a file in it", "is a symbolic link: name the file",
        "is no plain file", "cannot write .*/no/x: No such file or directory", "is a folder: name a file in it",
        "CommandError: read_file .*/old: the file is longer than 3 bytes: raise `max`", "the text is a string, not a number",
        "the text is a string, not a nil", "the path is empty", "the path is text with a NUL byte",
        "mode is text in octal such as \"0644\"", "mode is text in octal", "write_file has no option 'mdoe'; it has mode",
        "read_file has no option 'mode'; it has max", "sudo is true or false", "max is 0 bytes or more" }
      for i, pattern in ipairs(want) do
        local line = log:match("W" .. i .. "\t([^\n]*)")
        assert.matches(pattern, line, "W" .. i)
      end
      assert.is_truthy(log:find("TYPE\tCommandError\ttransfer: there is no such file on the server", 1, true), log)
      assert.is_truthy(log:find("OLD\told\n", 1, true))
      assert.equals("fifo folder link old ", names(there))
      assert.equals("fifo file folder link there ", names(dir))
      assert.equals("content", T.read(dir .. "/file"))
    end)

    it("many at once, beside other commands", function()
      local step, result, _, there = run [[
        local list = {}
        for i = 1, 30 do
          list[i] = server:spawn(function()
            local text = tostring(i):rep(50000)
            server:write_file(there .. "/" .. i, text)
            assert(server:read_file(there .. "/" .. i) == text)
            return server:exec("wc -c <%q", there .. "/" .. i).stdout
          end)
        end
        print("DONE", select("#", muster.gather(list)))]]
      assert.is_truthy(passed(step, result):find("DONE\t30", 1, true))
      assert.is_nil(names(there):find "%.muster%.")
    end)

    it("are only spoken of in a dry run, and refused at load", function()
      local result
      local text = [[
        local muster = require "muster"
        return { params = { dir = "" }, setup = function(server, params)
            print("D", server:write_file(params.dir .. "/w", "x").dry_run, server:read_file "/etc/none" == "",
              server:download("/etc/passwd", params.dir .. "/d").dry_run)
          end, steps = { { name = "s", run = function() end } } }]]
      local dir = T.tmpdir()
      local args = { "--dry-run", "-p", "dir=" .. dir }
      if kind == "here" then result = T.run_local(text, { args = args }) else
        args[#args + 1] = "srv01"
        result = fleet:run(text, { args = args })
      end
      assert.is_truthy(T.find_log(result.log, "D\ttrue\ttrue\ttrue"), result.stderr)
      assert.is_truthy(T.find_log(result.log, "Would run: write_file " .. dir .. "/w"), result.stderr)
      assert.equals("", names(dir))
    end)
  end)
end

-- A cat that takes the first bytes of its input and then no more. (What ends commands uses cat, too.)
local stalls = "[ $# = 0 ] || exec /bin/cat \"$@\"\nhead -c 100000; exec sleep 1000"

describe("a transfer that is cut short", function()
  it("leaves nothing when its time is over, or it is cancelled", function()
    with_tool("cat", stalls, function(kind, run)
      local dir = T.tmpdir()
      random_file(dir .. "/file", 3000000)
      T.exec { "mkdir", dir .. "/there" }
      T.write(dir .. "/there/old", "old")
      local step, result, _, there = run([[
        print("T", message(server.upload, server, dir .. "/file", there .. "/old", { timeout = "500ms" }))
        local h = server:spawn(server.upload, server, dir .. "/file", there .. "/old")
        muster.sleep(0.2)
        h:cancel()]], { dir = dir })
      local log = passed(step, result)
      assert.is_truthy(log:find("T\tTimeoutError: upload of .* to .*/old: command took longer than 0.5 s"), kind .. log)
      assert.equals("old ", names(there), kind)
      assert.equals("old", T.read(there .. "/old"))
    end)
    with_tool("tee", "head -c 100000; exec sleep 1000", function(kind, run)
      local dir = T.tmpdir()
      T.exec { "mkdir", dir .. "/there" }
      T.write(dir .. "/old", "old")
      random_file(dir .. "/there/file", 3000000)
      local step, result = run([[
        print("T", message(server.download, server, there .. "/file", dir .. "/old", { timeout = "500ms" }))
        local h = server:spawn(server.download, server, there .. "/file", dir .. "/old")
        muster.sleep(0.2)
        h:cancel()
        print("T", message(server.read_file, server, there .. "/file", { timeout = "500ms", max = 10000000 }))]], { dir = dir })
      local log = passed(step, result)
      assert.is_truthy(log:find("T\tTimeoutError: download of .*: command took longer than 0.5 s"), kind .. log)
      assert.is_truthy(log:find("T\tTimeoutError: read_file .*: command took longer than 0.5 s"), kind .. log)
      assert.equals("old there ", names(dir), kind)
      assert.equals("old", T.read(dir .. "/old"))
    end)
  end)

  it("leaves nothing when the step is cut off, or muster is interrupted", function()
    with_tool("cat", stalls, function(kind, run)
      local dir = T.tmpdir()
      T.exec { "mkdir", dir .. "/there" }
      random_file(dir .. "/file", 3000000)
      local step, _, _, there = run([[pcall(server.upload, server, dir .. "/file", there .. "/new") print "SWALLOWED"]],
        { dir = dir, timeout = "500ms" })
      assert.equals("timeout", step.status)
      assert.equals("", step.log)
      assert.equals("", names(there), kind)
    end)
    with_tool("tee", "head -c 100000; exec sleep 1000", function(kind, run)
      local dir = T.tmpdir()
      T.exec { "mkdir", dir .. "/there" }
      random_file(dir .. "/there/file", 3000000)
      local step = run([[pcall(server.download, server, there .. "/file", dir .. "/new") print "SWALLOWED"]],
        { dir = dir, timeout = "500ms" })
      assert.equals("timeout", step.status)
      assert.equals("there ", names(dir), kind)
    end)
  end)

  it("leaves what was there when the disk is full there", function()
    with_tool("cat", "ulimit -f 200; exec /bin/cat", function(kind, run)
      local dir = T.tmpdir()
      random_file(dir .. "/file", 30000000)
      T.exec { "mkdir", dir .. "/there" }
      T.write(dir .. "/there/old", "old")
      local step, result, _, there = run([[print("F", message(server.upload, server, dir .. "/file", there .. "/old"))]],
        { dir = dir })
      assert.matches("F\tCommandError: upload of .* to .*/old: writing was cut off", passed(step, result), kind)
      assert.equals("old ", names(there))
      assert.equals("old", T.read(there .. "/old"))
    end)
  end)

  it("leaves what was there when the disk is full, really, on either side", function()
    if T.exec({ "unshare", "-m", "true" }).code ~= 0 then return end -- no root: the limit above has to do
    local dir = T.tmpdir()
    random_file(dir .. "/file", 3000000)
    T.exec { "mkdir", dir .. "/small" }
    T.write(dir .. "/script.lua", script [[
      local small = dir .. "/small"
      server:write_file(small .. "/up", "old")
      server:write_file(small .. "/down", "old")
      print("UP", message(server.upload, server, dir .. "/file", small .. "/up"))
      print("DOWN", message(server.download, server, dir .. "/file", small .. "/down"))
      print("LEFT", server:exec("cd %q && ls -A && cat up down", small).stdout)]])
    local result = T.exec { "unshare", "-m", "--propagation", "private", "sh", "-c",
      'mount -t tmpfs -o size=1m none "$1/small" && exec "$2" run "$1/script.lua" --local -p dir="$1" --log-format json',
      "sh", dir, T.muster, env = { HOME = T.home() } }
    result.log = T.decode_log(result.stderr)
    local function said(text) return assert(T.find_log(result.log, text), result.stderr).event end
    assert.matches("UP\tCommandError: upload of .*/up: cat: .*No space left on device", said "UP\t")
    assert.matches("DOWN\tCommandError: download of .*: cannot write .*/down: No space left on device", said "DOWN\t")
    assert.equals("LEFT\tdown\nup\noldold", said "LEFT\t")
  end)

  it("leaves what was there when the connection is lost", function()
    local home = fleet.dir .. "/srv02/home"
    T.write(home .. "/bin/cat", "#!/bin/sh\n[ $# = 0 ] || exec /bin/cat \"$@\"\nhead -c 100000\necho begun >" .. home ..
      "/begun\nexec sleep 1000\n")
    T.exec { "chmod", "755", home .. "/bin/cat" }
    T.exec { "sh", "-c", "echo old >" .. home .. "/old; chmod 666 " .. home .. "/old; chmod 777 " .. home }
    local dir = T.tmpdir()
    random_file(dir .. "/file", 3000000)
    local job = S.start_on(fleet, script [[server:upload(dir .. "/file", there .. "/old")]], { args = { "srv02", "-p",
      "dir=" .. dir, "-p", "there=" .. home } })
    S.wait_for("the upload", function() return S.exists(home .. "/begun") end)
    fleet:kill "srv02"
    local result = job:wait()
    local step = result.results.servers[1].steps[1]
    assert.equals("error", step.status)
    assert.equals("old\n", T.read(home .. "/old"))
    fleet:restart "srv02"
    os.remove(home .. "/bin/cat")
    -- What was killed outright may not have tidied up: it depends on who of them went first.
    assert(os.execute("rm -f " .. T.quote(home) .. "/.muster.*"))
    -- Cut from this side: the server sees the end of its input, and takes that for no end of the file.
    os.remove(home .. "/begun")
    T.write(home .. "/bin/cat", ("#!/bin/sh\n[ $# = 0 ] || exec /bin/cat \"$@\"\nhead -c 100000\necho begun >%s/begun\n" ..
      "until [ -e %s/go ]; do sleep 0.02; done\nexec /bin/cat\n"):format(home, home))
    T.exec { "chmod", "755", home .. "/bin/cat" }
    local cut = fleet:run(script [[
      local h = server:spawn(server.upload, server, dir .. "/file", there .. "/old")
      server:exec("until [ -e %q/begun ]; do sleep 0.02; done", there)
      server:disconnect()
      local ok, e = pcall(h.wait, h)
      print("CUT", ok, e.lost)
      server:exec("ls %q/.muster.* && touch %q/go", there, there)]], { args = { "srv02", "-p", "dir=" .. dir, "-p", "there=" .. home } })
    assert.is_truthy(cut.results.servers[1].steps[1].log:find("CUT\tfalse\ttrue", 1, true), cut.stderr)
    assert.equals("passed", cut.results.servers[1].steps[1].status, cut.stderr)
    S.wait_for("the end there", function() return not names(home):find("%.muster%.") end)
    assert.equals("old\n", T.read(home .. "/old"))
  end)
end)

describe("a transfer whose bytes differ", function()
  it("is an error", function()
    with_tool("sha256sum", "/bin/cat >/dev/null; echo 0000000000000000000000000000000000000000000000000000000000000000 -",
      function(kind, run)
        local dir = T.tmpdir()
        T.exec { "mkdir", dir .. "/there" }
        T.write(dir .. "/there/old", "old")
        T.write(dir .. "/file", "new")
        local step, result, _, there = run([[
          print("U", message(server.upload, server, dir .. "/file", there .. "/old"))
          print("D", message(server.download, server, there .. "/old", dir .. "/file"))]], { dir = dir })
        local log = passed(step, result)
        assert.matches("U\tCommandError: upload of .*: the checksum differs from that of what was sent", log, kind)
        assert.matches("D\tCommandError: download of .*: the checksum differs from the server's", log, kind)
        assert.equals("old", T.read(there .. "/old"))
        assert.equals("new", T.read(dir .. "/file"))
        assert.equals("file there ", names(dir))
      end)
  end)

  it("is an error that names the package when there is no sha256sum", function()
    local bare = T.tmpdir()
    for _, tool in ipairs { "sh", "cat", "mktemp", "tee", "stat" } do
      T.exec { "sh", "-c", ('ln -s "$(command -v %s)" %s/'):format(tool, bare) }
    end
    local step, result = transports.here([[print("N", message(server.write_file, server, there .. "/x", "x"))
      print("N", message(server.read_file, server, "/etc/passwd"))]], { env = { PATH = bare } })
    local _, n = passed(step, result):gsub("N\tCommandError: [^\n]*: the server has no sha256sum: install it %(Debian package coreutils%)", "")
    assert.equals(2, n)
  end)
end)
