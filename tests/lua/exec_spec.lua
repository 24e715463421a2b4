-- server:exec on this machine's own transport: what is sent, what comes back, and how it fails and ends.
local T = require "muster_test"
local cjson = require "cjson"

-- Each becomes a step; `text` says what it found by tell{ name = value }, which ends up in told.NAME.
local cases = {}
local function case(name, text) cases[#cases + 1] = { name = name, text = text } end

case("verbatim", [[
  tell { seconds = server:exec("date +%s").stdout, percent = server:exec("printf '%s-%d%%' a 5").stdout,
    dollar = server:exec("x=5; echo $x `echo sub` \"two  spaces\" 'single'").stdout,
    lines = server:exec("echo one\necho two").stdout, back = server:exec([=[printf '\101\t\\']=]).stdout,
    utf8 = server:exec("printf 'gr\xc3\xbc\xc3\x9f'").stdout }]])
case("format", [[
  tell { d = server:exec("echo %d", 42).stdout, s = server:exec("echo %s", "plain").stdout,
    many = server:exec("echo %s %d%% %5.2f/", "a", 7, 1.5).stdout,
    q = server:exec("printf '[%%s]' %q %q", "it's a \"test\" $HOME `x` \\ * ; & |", "two\nlines").stdout,
    x = server:exec("echo '%x %05d %-4s|'", 255, 42, "l").stdout, empty = server:exec("printf '[%%s]' %q", "").stdout,
    number = server:exec("echo %q", 12).stdout, zero = server:exec("printf '%%s' %q", "-n").stdout,
    percent = server:exec("echo 100%% %s", "sure").stdout, bool = server:exec("echo %s %q", true, nil).stdout,
    options = server:exec("echo %s; exit 4", "with options", { check = false }).exit_status }]])
case("list", [[
  local hostile = { "a b", "it's", '"quoted"', "$HOME", "`id`", "new\nline", "tab\t", "back\\slash", "*", ";", "",
    "-n", "~", "!", "#", "ä" }
  local words = { "printf", "[%s]" }
  for _, w in ipairs(hostile) do words[#words + 1] = w end
  tell { all = server:exec(words).stdout, want = "[" .. table.concat(hostile, "][") .. "]",
    numbers = server:exec({ "echo", 1, 2.5, -3 }).stdout, percent = server:exec({ "echo", "%d %s %%" }).stdout,
    options = server:exec({ "sh", "-c", "exit 3", check = false }).exit_status,
    one = server:exec({ "pwd" }).ok, empty_word = select(2, pcall(server.exec, server, { "" })).exit_status }]])
case("bad_arguments", [[
  local function message(...)
    local ok, e = pcall(server.exec, server, ...)
    return ok and "NO ERROR" or tostring(e)
  end
  tell { few = message("echo %s %s", 1), many = message("echo %s", 1, 2), bad_directive = message("echo %y", 1),
    not_a_number = message("echo %d", "x"), half = message("echo %", 1), empty = message "", blank = message " \n\t",
      empty_list = message {},
    nothing = message(), not_text = message(true), nul = message "echo \0", nul_word = message { "echo", "a\0b" },
      nul_value = message("echo %q", "a\0b"),
    nul_s = message("echo %s", "a\0b"), option = message("true", { tiemout = 5 }), list_option = message { "true",
      chekc = false },
    timeout = message("true", { timeout = "soon" }), timeout_type = message("true", { timeout = {} }),
      negative = message("true", { timeout = -1 }),
    limit = message("true", { limit = 0 }), limit_type = message("true", { limit = "x" }), on_line = message("true",
      { on_line = 5 }),
    env = message("true", { env = "A=1" }), env_name = message("true", { env = { ["A-B"] = "1" } }),
      env_number = message("true", { env = { "A=1" } }),
    env_nul = message("true", { env = { A = "1\0" } }), stdin = message("true", { stdin = {} }), no_server = select(2,
      pcall(server.exec, {}, "true")),
    dot = select(2, pcall(server.exec, "true")) }]])
case("check", [[
  local r = server:exec("echo out; echo err >&2; exit 3", { check = false })
  tell { ok = r.ok, out = r.stdout, err = r.stderr, status = r.exit_status, no_signal = r.signal == nil }
  local k = server:exec("kill -TERM $$", { check = false })
  tell { killed_ok = k.ok, signal = k.signal, no_status = k.exit_status == nil }
  local good = server:exec("true", { check = false })
  tell { good = good.ok, good_status = good.exit_status, good_out = good.stdout, good_err = good.stderr,
    big_status = server:exec("exit 255", { check = false }).exit_status, missing = server:exec("/no/such/program",
      { check = false }).exit_status }]])
case("command_error", [[
  local muster = require "muster"
  local ok, e = pcall(function() server:exec("seq 3 >&2; echo out; exit 7") end)
  tell { ok = ok, typed = muster.errors.is(e, "CommandError"), type = e.type, command = e.command,
    status = e.exit_status, stderr = e.stderr,
    no_signal = e.signal == nil, message = e.message, text = tostring(e), where = e.where, cause = e.cause }
  local _, k = pcall(server.exec, server, "kill -KILL $$")
  tell { k_signal = k.signal, k_no_status = k.exit_status == nil, k_message = k.message, k_cause = k.cause }
  local _, t = pcall(server.exec, server, "yes 123456789 | head -n 1000 >&2; echo last >&2; exit 1")
  tell { tail = #t.stderr, tail_ends = t.stderr:sub(-14) }]])
case("uncaught", [[server:exec { "sh", "-c", "echo 'disk is on fire' >&2; exit 9" }]])
case("uncaught_signal", [[server:exec "kill -SEGV $$"]])
case("stdin", [[
  local mib = ("0123456789abcdef"):rep(65536)
  tell { same = server:exec("cat", { stdin = mib }).stdout == mib, count = server:exec("wc -c", { stdin = mib }).stdout,
    binary = server:exec("cat", { stdin = "a\0b\r\n\xff" }).stdout == "a\0b\r\n\xff", empty = server:exec("cat",
      { stdin = "" }).stdout,
    none = server:exec("cat").stdout, unread = server:exec("exec true", { stdin = mib }).ok,
      list = server:exec({ "cat", stdin = "listed" }).stdout }]])
case("env", [[
  tell { one = server:exec("printf %s \"$MARK\"", { env = { MARK = "it's $x \"q\"\nline 2 \\ `y`" } }).stdout,
    two = server:exec("printf %s,%s \"$A\" \"$B\"", { env = { A = "1", B = 2 } }).stdout,
      empty = server:exec("printf '%s|' \"${A-unset}\"", { env = { A = "" } }).stdout,
    after = server:exec("printf %s \"${MARK-unset}\"").stdout, path = server:exec("test -n \"$PATH\"",
      { env = { A = "1" } }).ok,
    with_stdin = server:exec("cat; printf %s \"$A\"", { env = { A = "v" }, stdin = "input " }).stdout,
    listed = server:exec({ "sh", "-c", "echo $A", env = { A = "in list" } }).stdout }]])
case("limit", [[
  local ok, e = pcall(server.exec, server, "yes | head -c 100000", { limit = 1000 })
  tell { ok = ok, type = e.type, message = e.message, cause = e.cause, fits = #server:exec("yes | head -c 1000",
    { limit = 1000 }).stdout }
  local ok2, e2 = pcall(server.exec, server, "yes >&2", { limit = 1000 })
  tell { err_ok = ok2, err_type = e2.type, big = #server:exec("head -c 3000000 /dev/zero").stdout }]])
case("on_line", [[
  local lines = {}
  local r = server:exec("echo one; echo two; printf three", { on_line = function(line,
    stream) lines[#lines + 1] = stream .. ":" .. line end })
  tell { lines = lines, no_output = r.stdout == "" and r.stderr == "", ok = r.ok }
  local errs = {}
  server:exec("echo e1 >&2; echo e2 >&2", { on_line = function(line,
    stream) errs[#errs + 1] = stream .. ":" .. line end })
  tell { errs = errs }
  local n, sum, sorted = 0, 0, true
  server:exec("seq 5000",
    { on_line = function(line) local v = tonumber(line) sorted = sorted and v == n + 1 n = n + 1 sum = sum + v end })
  tell { n = n, sum = sum, sorted = sorted }
  local odd = {}
  server:exec("printf '\\n\\nx\\r\\n\\n'", { on_line = function(line) odd[#odd + 1] = line end })
  tell { odd = odd }
  local none = 0
  server:exec("true", { on_line = function() none = none + 1 end })
  tell { none = none }
  local _, e = pcall(server.exec, server, "echo before; exit 5", { on_line = function() end })
  tell { status = e.exit_status }]])
case("on_line_waits", [[
  local muster = require "muster"
  local lines = {}
  server:exec("seq 5", { on_line = function(line)
    muster.sleep(0.01)
    lines[#lines + 1] = line .. server:exec("echo inner").stdout:sub(1, 5)
  end })
  tell { lines = lines }
  local inner = {}
  server:exec("seq 2", { on_line = function(a) server:exec("seq 2",
    { on_line = function(b) inner[#inner + 1] = a .. b end }) end })
  tell { inner = inner }]])
case("on_line_raises", [[
  local seen = 0
  local ok, e = pcall(server.exec, server, "echo $$; exec sleep 1000",
    { on_line = function(line) seen = seen + 1 pid = line error("enough", 0) end })
  tell { ok = ok, e = e, seen = seen, gone = not server:exec({ "kill", "-0", pid, check = false }).ok }
  local ok2, e2 = pcall(server.exec, server, "while :; do echo x; done",
    { on_line = function() error { reason = "table" } end })
  tell { ok2 = ok2, reason = type(e2) == "table" and e2.reason }
  local co = coroutine.wrap(function() server:exec("seq 3",
    { on_line = function(line) coroutine.yield(line) end }) return "end" end)
  tell { yields = { co(), co(), co(), co() } }]])
case("timeout_caught", [[
  local muster = require "muster"
  local ok, e = pcall(server.exec, server, "echo here; sleep 1000", { timeout = 0.2 })
  tell { ok = ok, type = e.type, typed = muster.errors.is(e, "TimeoutError"), message = e.message, command = e.command,
    cause = e.cause, text = tostring(e),
    after = server:exec("echo goes on").stdout, fine = server:exec("echo quick", { timeout = "1h" }).stdout }]])
case("timeout_uncaught", [[server:exec("sleep 1000", { timeout = "200ms" })]])
-- The command and all of its children: one that ignores TERM, and one that went into the background.
case("timeout_group", [[
  local file = os.tmpname()
  local script = "trap '' TERM; echo $$ >> %s; " ..
    "(trap '' TERM; sh -c 'echo $$ >> %s; while :; do sleep 100; done') & while :; do sleep 100; done"
  local ok = pcall(server.exec, server, (script:gsub("%%s", file)), { timeout = 0.5 })
  local alive, n = 0, 0
  for pid in io.lines(file) do
    n = n + 1
    -- A zombie that nobody has reaped yet is as dead.
    if server:exec("grep -q '^State:.[^ZX]' /proc/" .. pid .. "/status",
      { check = false }).ok then alive = alive + 1 end
  end
  os.remove(file)
  tell { ok = ok, n = n, alive = alive }]])
case("sequence", [[
  for i = 1, 30 do assert(server:exec("echo %d", i).stdout == i .. "\n") end
  tell { ok = true }]])
case("connection", [[
  server:connect() server:connect { wait = "1s" } server:disconnect() server:reconnect()
  tell { echo = server:exec("echo yes").stdout, bad = select(2, pcall(server.connect, server, { wiat = 1 })),
    bad_wait = select(2, pcall(server.connect, server, { wait = "x" })), id = server.id, address = server.address,
      text = tostring(server),
    port = server.port, unknown = select(2, pcall(function() return server.nothing end)) }]])
case("output_is_escaped", [[print(server:exec("printf '\\033[31mred\\nforged line\\007'").stdout)]])

local function script()
  local parts = { [[
    local cjson = require "cjson"
    local function tell(t) print("TOLD " .. cjson.encode(t)) end
    return { steps = {]] }
  for _, c in ipairs(cases) do
    parts[#parts + 1] = ("{ name = %q, run = function(server) %s end },"):format(c.name, c.text)
  end
  parts[#parts + 1] = "} }"
  return table.concat(parts, "\n")
end

describe("server:exec", function()
  local result, steps, told = nil, {}, {}

  setup(function()
    result = T.run_local(script())
    assert(result.results, result.stderr)
    for _, step in ipairs(result.results.servers[1].steps) do
      steps[step.name], told[step.name] = step, {}
      for line in step.log:gmatch "TOLD ([^\n]*)" do
        for name, value in pairs(cjson.decode(line)) do told[step.name][name] = value end
      end
    end
  end)

  it("ends each step as it should", function()
    local raising = { uncaught = "error", uncaught_signal = "error", timeout_uncaught = "timeout" }
    for _, c in ipairs(cases) do
      local step = steps[c.name]
      assert.equals(raising[c.name] or "passed", step.status, c.name .. ": " .. cjson.encode(step.failures) .. step.log)
    end
    assert.equals(3, result.code)
    assert.equals("error", result.results.servers[1].status)
    assert.same({}, result.results.failed_servers)
    assert.equals("localhost", result.results.unmeasured_servers[1])
  end)

  it("sends a string without values as it is", function()
    local t = told.verbatim
    assert.matches("^%d+\n$", t.seconds)
    assert.equals("a-5%", t.percent)
    assert.equals("5 sub two  spaces single\n", t.dollar)
    assert.equals("one\ntwo\n", t.lines)
    assert.equals("A\t\\", t.back)
    assert.equals("grüß", t.utf8)
  end)

  it("formats a string with values", function()
    local t = told.format
    assert.equals("42\n", t.d)
    assert.equals("plain\n", t.s)
    assert.equals("a 7% 1.50/\n", t.many)
    assert.equals("[it's a \"test\" $HOME `x` \\ * ; & |][two\nlines]", t.q)
    assert.equals("ff 00042 l   |\n", t.x)
    assert.equals("[]", t.empty)
    assert.equals("12\n", t.number)
    assert.equals("-n", t.zero)
    assert.equals("100% sure\n", t.percent)
    assert.equals("true nil\n", t.bool)
    assert.equals(4, t.options)
  end)

  it("quotes each word of a list", function()
    local t = told.list
    assert.equals(t.want, t.all)
    assert.equals("1 2.5 -3\n", t.numbers)
    assert.equals("%d %s %%\n", t.percent)
    assert.equals(3, t.options)
    assert.is_true(t.one)
    assert.equals(127, t.empty_word)
  end)

  it("refuses what cannot be meant", function()
    local t = told.bad_arguments
    for name, message in pairs {
      few = "the command has more %% directives than values", many = "the command has 1 values more than %% directives",
      bad_directive = "invalid conversion '%%y'", not_a_number = "number expected, got string",
      half = "ends in the middle of a %% directive", empty = "exec: the command is empty",
        blank = "exec: the command is empty",
      empty_list = "exec: the list names no program", nothing = "string expected", not_text = "string expected",
      nul = "a command cannot hold a NUL byte", nul_word = "a command cannot hold a NUL byte",
        nul_value = "a command cannot hold a NUL byte",
      nul_s = "NUL byte", option = "exec has no option 'tiemout'; it has check, timeout, stdin, env, limit, on_line",
      list_option = "exec has no option 'chekc'", timeout = "timeout 'soon' is not a duration",
        timeout_type = "timeout must be seconds",
      negative = "timeout must be 0 or more seconds", limit = "limit must be 1 byte or more",
        limit_type = "number expected",
      on_line = "on_line to be a function", env = "env to be a table",
        env_name = "env: 'A%-B' is not a variable's name",
      env_number = "is not a variable's name", env_nul = "env: the value of A holds a NUL byte",
        stdin = "string expected",
      no_server = "muster.server expected", dot = "muster.server expected" } do
      assert.matches(message, t[name], name)
    end
  end)

  it("returns a failed command's result when check is false", function()
    local t = told.check
    assert.is_false(t.ok)
    assert.equals("out\n", t.out)
    assert.equals("err\n", t.err)
    assert.equals(3, t.status)
    assert.is_true(t.no_signal)
    assert.is_false(t.killed_ok)
    assert.equals("TERM", t.signal)
    assert.is_true(t.no_status)
    assert.is_true(t.good)
    assert.equals(0, t.good_status)
    assert.equals("", t.good_out .. t.good_err)
    assert.equals(255, t.big_status)
    assert.equals(127, t.missing)
  end)

  it("raises a CommandError with all that is known", function()
    local t = told.command_error
    assert.is_false(t.ok)
    assert.is_true(t.typed)
    assert.equals("CommandError", t.type)
    assert.equals("seq 3 >&2; echo out; exit 7", t.command)
    assert.equals(7, t.status)
    assert.equals("1\n2\n3", t.stderr)
    assert.is_true(t.no_signal)
    assert.equals("command ended with exit status 7: seq 3 >&2; echo out; exit 7: 3", t.message)
    assert.equals("CommandError: " .. t.message, t.text)
    assert.matches("script.lua:%d+$", t.where)
    assert.equals("exit status 7: seq", t.cause)
    assert.equals("KILL", t.k_signal)
    assert.is_true(t.k_no_status)
    assert.equals("command was killed by signal KILL: kill -KILL $$", t.k_message)
    assert.equals("killed by signal KILL: kill", t.k_cause)
    assert.is_true(t.tail <= 2000 and t.tail > 1900, t.tail)
    assert.equals("123456789\nlast", t.tail_ends)
  end)

  it("tells of an uncaught CommandError in report, log and summary", function()
    local failure = steps.uncaught.failures[1]
    assert.equals(1, #steps.uncaught.failures)
    assert.equals("error", failure.status)
    assert.equals("CommandError", failure.type)
    assert.equals("exit status 9: sh", failure.cause)
    assert.matches("exit status 9: .*: disk is on fire %(.*script.lua:%d+%)$", failure.message)
    assert.matches("\ndisk is on fire\n$", steps.uncaught.log)
    local line = T.find_log(result.log, "disk is on fire")
    assert.equals("error", line.level)
    assert.equals("localhost", line.server_id)
    assert.equals("uncaught", line.step)
    assert.matches("^Benchmark error: CommandError: ", line.event)
    assert.matches("ERROR +uncaught: CommandError: exit status 9: sh +localhost +1\n", result.stdout)
    assert.equals("killed by signal SEGV: kill", steps.uncaught_signal.failures[1].cause)
    assert.matches("Out of 1, 0 servers failed. failed_servers=%[%]\n$", result.stdout)
  end)

  it("feeds standard input", function()
    local t = told.stdin
    assert.is_true(t.same)
    assert.equals("1048576", (t.count:gsub("%s", "")))
    assert.is_true(t.binary)
    assert.equals("", t.empty .. t.none)
    assert.is_true(t.unread)
    assert.equals("listed", t.list)
  end)

  it("sets variables", function()
    local t = told.env
    assert.equals("it's $x \"q\"\nline 2 \\ `y`", t.one)
    assert.equals("1,2", t.two)
    assert.equals("|", t.empty)
    assert.equals("unset", t.after)
    assert.is_true(t.path)
    assert.equals("input v", t.with_stdin)
    assert.equals("in list\n", t.listed)
  end)

  it("bounds what is kept of the output", function()
    local t = told.limit
    assert.is_false(t.ok)
    assert.equals("CommandError", t.type)
    assert.matches("1000 bytes", t.message)
    assert.matches("output limit: yes", t.cause)
    assert.equals(1000, t.fits)
    assert.is_false(t.err_ok)
    assert.equals("CommandError", t.err_type)
    assert.equals(3000000, t.big)
  end)

  it("gives lines to on_line in their order, the last one too", function()
    local t = told.on_line
    assert.same({ "stdout:one", "stdout:two", "stdout:three" }, t.lines)
    assert.is_true(t.no_output)
    assert.is_true(t.ok)
    assert.same({ "stderr:e1", "stderr:e2" }, t.errs)
    assert.equals(5000, t.n)
    assert.equals(12502500, t.sum)
    assert.is_true(t.sorted)
    assert.same({ "", "", "x", "" }, { t.odd[1], t.odd[2], (t.odd[3]:gsub("\r$", "")), t.odd[4] })
    assert.equals(0, t.none)
    assert.equals(5, t.status)
  end)

  it("lets on_line wait and run commands", function()
    local t = told.on_line_waits
    assert.same({ "1inner", "2inner", "3inner", "4inner", "5inner" }, t.lines)
    assert.same({ "11", "12", "21", "22" }, t.inner)
  end)

  it("ends the command when on_line raises", function()
    local t = told.on_line_raises
    assert.is_false(t.ok)
    assert.equals("enough", t.e)
    assert.equals(1, t.seen)
    assert.is_true(t.gone)
    assert.is_false(t.ok2)
    assert.equals("table", t.reason)
    assert.same({ "1", "2", "3", "end" }, t.yields)
  end)

  it("raises a TimeoutError that a script may catch", function()
    local t = told.timeout_caught
    assert.is_false(t.ok)
    assert.equals("TimeoutError", t.type)
    assert.is_true(t.typed)
    assert.equals("command took longer than 0.2 s: echo here; sleep 1000", t.message)
    assert.equals("echo here; sleep 1000", t.command)
    assert.equals("command timed out: echo", t.cause)
    assert.equals("TimeoutError: " .. t.message, t.text)
    assert.equals("goes on\n", t.after)
    assert.equals("quick\n", t.fine)
    local failure = steps.timeout_uncaught.failures[1]
    assert.equals("timeout", failure.status)
    assert.equals("TimeoutError", failure.type)
    assert.matches("^command took longer than 0.2 s: sleep 1000 %(.*script.lua:%d+%)$", failure.message)
    assert.matches("TIMEOUT +timeout_uncaught: ", result.stdout)
  end)

  it("leaves nothing of a command's process group after a timeout", function()
    assert.is_false(told.timeout_group.ok)
    assert.equals(2, told.timeout_group.n)
    assert.equals(0, told.timeout_group.alive)
  end)

  it("runs one command after the other", function() assert.is_true(told.sequence.ok) end)

  it("has a connection that can be closed and made again", function()
    local t = told.connection
    assert.equals("yes\n", t.echo)
    assert.matches("connect has no option", t.bad)
    assert.matches("wait 'x' is not a duration", t.bad_wait)
    assert.equals("localhost", t.id)
    assert.equals("server localhost", t.text)
    assert.equals(22, t.port)
    assert.matches("a server has no 'nothing'; it has id, address,", t.unknown)
  end)

  it("lets no control character of a server into the log as it is", function()
    local plain = T.run { "run", "--local", "--log-format", "console", T.write(T.tmpdir() .. "/s.lua", [[
      return { steps = { { name = "s", run = function(server)
        print(server:exec("printf '\\033[31mred\\nforged line\\007'").stdout)
      end } } }]]) }
    assert.equals(0, plain.code)
    assert.is_nil(plain.stderr:find "[\27\7]")
    assert.is_nil(plain.stderr:find "\nforged")
    assert.is_truthy(plain.stderr:find("forged line", 1, true))
  end)
end)
