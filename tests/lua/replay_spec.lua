-- muster run --record and --replay, of commands of this machine: what a transcript holds, and what it answers.
local cjson = require "cjson"
local H = require "http_support"
local T = require "muster_test"

local function step(body, more) return ("return { %s steps = { { name = 's', run = function(server, params) %s end } } }"):format(more or "", body) end

local function record(text, options)
  local dir = T.tmpdir()
  options = options or {}
  options.args = { "--record", dir .. "/tape", table.unpack(options.args or {}) }
  local result = T.run_local(text, options)
  result.tape = dir .. "/tape"
  return result
end

local function replay(text, tape, options)
  options = options or {}
  options.args = { "--replay", tape, table.unpack(options.args or {}) }
  return T.run_script(text, options)
end

local function lines(tape)
  local all = {}
  for i, line in ipairs(T.lines(T.read(tape .. "/script.localhost.jsonl"))) do all[i - 1] = cjson.decode(line) end
  return all
end

local function only(result) return result.results.servers[1].steps[1] end

describe("a transcript", function()
  it("holds commands with their answers, and nobody else may read it", function()
    local result = record(step [[
      server:exec "echo out; echo err >&2; printf '\\377'"
      server:exec("exit 3", { check = false })
      server:exec("kill -9 $$", { check = false })
      require "muster".exec "echo here"
      os.execute "true" ]])
    assert.equals(0, result.code, result.stderr)
    local all = lines(result.tape)
    assert.same({ "transcript", 1, "script", "localhost", 32 }, { all[0].muster, all[0].version, all[0].script, all[0].server,
      #all[0].salt })
    assert.same({
      { command = "echo out; echo err >&2; printf '\\377'", exit_status = 0, stdout_base64 = "b3V0Cv8=", stderr = "err\n" },
      { command = "exit 3", exit_status = 3 },
      { command = "kill -9 $$", signal = "KILL" },
      { command = "echo here", here = true, exit_status = 0, stdout = "here\n" },
      { command = "true", here = true, exit_status = 0 },
    }, { table.unpack(all) })
    assert.equals("700", T.exec { "stat", "-c", "%a", result.tape }.stdout:gsub("\n", ""))
    assert.equals("600", T.exec { "stat", "-c", "%a", result.tape .. "/script.localhost.jsonl" }.stdout:gsub("\n", ""))
  end)

  it("has standard input and environment as hashes alone", function()
    local text = step [[ return #server:exec("cat; echo $TOKEN >/dev/null", { stdin = "hunter2\n",
      env = { TOKEN = "swordfish", OTHER = "x" } }).stdout ]]
    local first, second = record(text), record(text)
    for _, result in ipairs { first, second } do
      assert.equals(0, result.code, result.stderr)
      local raw = T.read(result.tape .. "/script.localhost.jsonl")
      assert.is_nil(raw:find("swordfish", 1, true))
      assert.is_nil(lines(result.tape)[1].stdin:find "[^0-9a-f]")
      assert.equals(64, #lines(result.tape)[1].env.TOKEN)
      assert.equals(0, replay(text, result.tape).code)
    end
    -- Salted: equal secrets do not look equal.
    assert.not_equals(lines(first.tape)[1].stdin, lines(second.tape)[1].stdin)
    local other = replay((text:gsub("swordfish", "herring")), first.tape)
    assert.equals(3, other.code)
    assert.is_truthy(only(other).failures[1].message:find("with other standard input or environment", 1, true))
  end)

  it("is begun anew by each run", function()
    local dir = T.tmpdir()
    for _ = 1, 2 do T.run_local(step "server:exec 'true'", { dir = dir, args = { "--record", dir .. "/tape" } }) end
    assert.equals(1, #lines(dir .. "/tape"))
  end)
end)

describe("a replay", function()
  it("gives the results of the run again, with all that exec tells", function()
    local text = step([[
      local got = {}
      server:exec("printf 'a\\nb\\nc'; echo e >&2", { on_line = function(line, stream) got[#got + 1] = stream .. line end })
      table.sort(got)
      assert(table.concat(got) == "stderrestdoutastdoutbstdoutc", table.concat(got))
      local out = server:exec("echo $RANDOM$RANDOM; exit 4", { check = false })
      local killed = server:exec("kill -TERM $$", { check = false })
      assert(not out.ok and out.exit_status == 4 and killed.signal == "TERM" and killed.exit_status == nil)
      local file = io.popen "date +%N"
      return { random = #out.stdout, nano = tonumber(file:read "a") } ]])
    local first = record(text)
    assert.equals(0, first.code, first.stderr)
    for _ = 1, 2 do
      local again = replay(text, first.tape)
      assert.equals(0, again.code, again.stderr)
      assert.same(only(first).metrics, only(again).metrics)
    end
  end)

  it("runs nothing, waits for nothing, and leaves nothing", function()
    local dir = T.tmpdir()
    local state = T.tmpdir()
    local text = step(([[ server:exec "echo x >>%s/ran"
      server:claim { node = 1 }
      require "muster".sleep "1h" ]]):format(dir), "teardown = function(server) server:release() end,")
    local first = record((text:gsub('require "muster".sleep "1h"', "")))
    assert.equals(0, first.code, first.stderr)
    local again = replay(text, first.tape, { args = { "--state-dir", state } })
    assert.equals(0, again.code, again.stderr)
    assert.equals("x\n", T.read(dir .. "/ran"))
    assert.equals("", T.exec { "ls", state }.stdout)
    -- One whose claim stays: nothing that muster cleanup would act on.
    again = replay((text:gsub("server:release%(%)", "")), first.tape, { args = { "--state-dir", state } })
    assert.equals(4, again.code)
    assert.equals("", T.exec { "ls", state }.stdout)
  end)

  it("answers a command as often as it was recorded, in order", function()
    local first = record(step "for i = 1, 2 do server:exec('echo ' .. 'x; date +%N') end server:exec 'hostname'")
    local twice = replay(step [[ local a = server:exec('echo x; date +%N').stdout
      assert(a ~= server:exec('echo x; date +%N').stdout) ]], first.tape)
    assert.equals(0, twice.code, twice.stderr)
    local thrice = replay(step "for i = 1, 3 do server:exec('echo x; date +%N') end", first.tape)
    assert.equals(3, thrice.code)
    assert.same({ "error", "ScriptError", "a command that is not in the transcript" }, { only(thrice).failures[1].status,
      only(thrice).failures[1].type, only(thrice).failures[1].cause })
    assert.is_truthy(only(thrice).failures[1].message:find("is in the transcript 2 times, and was asked once more", 1, true))
    local other = replay(step "server:exec 'rm -rf /srv/x'", first.tape)
    assert.equals(3, other.code)
    assert.is_truthy(only(other).failures[1].message:find(
      "nothing is known of `rm -rf /srv/x`; there are answers to: `echo x; date +%N`, `echo x; date +%N`, `hostname`", 1, true),
      only(other).failures[1].message)
    local here = replay(step "require 'muster'.exec 'hostname'", first.tape)
    assert.is_truthy(only(here).failures[1].message:find("`hostname` on this machine", 1, true))
  end)

  it("gives errors again: a timeout of a command, too much output", function()
    local text = step [[
      local ok, e = pcall(server.exec, server, "sleep 100", { timeout = 0.05 })
      assert(not ok and e.type == "TimeoutError" and e.command == "sleep 100", e)
      ok, e = pcall(server.exec, server, "yes", { limit = 100 })
      assert(not ok and e.type == "CommandError", e)
      server:exec("sleep 200", { timeout = 0.05 }) ]]
    local first = record(text)
    local again = replay(text, first.tape)
    assert.equals(3, again.code)
    local function told(result)
      local f = only(result).failures[1]
      return { f.status, f.cause, (f.message:gsub(" %(.*", "")) }
    end
    assert.same({ "timeout", "command timed out: sleep", "command took longer than 0.05 s: sleep 200" }, told(first))
    assert.same(told(first), told(again))
  end)

  it("tries again without a pause, and knows a command by what was asked for", function()
    local text = step [[
      local n = 0
      local out = require "muster".retry({ times = 3, backoff = params.pause }, function()
        n = n + 1
        return server:exec(("echo %d; exit %d"):format(n, n < 3 and 1 or 0))
      end)
      return tonumber(out.stdout) ]]
    text = text:gsub("steps =", "params = { pause = '1ms' }, steps =")
    local first = record(text)
    assert.equals(0, first.code, first.stderr)
    assert.equals(0, replay(text, first.tape, { args = { "-p", "pause=1h" } }).code)
  end)

  it("has files: what came, and the checksum of what was sent", function()
    local dir = T.tmpdir()
    local bytes = ("\0\255binary"):rep(20000)
    T.write(dir .. "/from", bytes)
    local text = step(([[
      local dir = %q
      local sent = server:upload(dir .. "/from", dir .. "/sent")
      server:write_file(dir .. "/written", params.text)
      print(#server:read_file(dir .. "/sent"), server:read_file(dir .. "/written"))
      server:download(dir .. "/sent", dir .. "/back", { mode = "0640" })
      print(pcall(server.read_file, server, dir .. "/none"))
      print(pcall(server.read_file, server, dir .. "/sent", { max = 10 })) ]]):format(dir)):gsub("steps =",
      "params = { text = 'hunter2' }, steps =")
    local first = record(text)
    assert.equals(0, first.code, first.stderr)
    local raw = T.read(first.tape .. "/script.localhost.jsonl")
    assert.equals(1, select(2, raw:gsub("hunter2", "")), "as it came back, and not as it was sent")
    for _, name in ipairs { "sent", "written", "back" } do os.remove(dir .. "/" .. name) end
    local again = replay(text, first.tape)
    assert.equals(0, again.code, again.stderr)
    assert.equals(only(first).log, only(again).log)
    assert.equals(bytes, T.read(dir .. "/back"))
    assert.equals("640\n", T.exec { "stat", "-c", "%a", dir .. "/back" }.stdout)
    assert.equals("back\nfrom\n", T.exec { "ls", dir }.stdout)
    -- Another text is another file.
    again = replay(text, first.tape, { args = { "-p", "text=other" } })
    assert.equals(3, again.code)
    assert.is_truthy(only(again).failures[1].message:find("`write_file " .. dir .. "/written` is in the transcript with other " ..
      "standard input", 1, true), only(again).failures[1].message)
  end)

  it("gives lines in the order in which they came", function()
    local text = step [[ local seen = {}
      server:exec("for i in 1 2 3; do echo o$i; sleep 0.05; echo e$i >&2; sleep 0.05; done; echo o4; printf end", { on_line =
        function(line, stream) seen[#seen + 1] = line .. (stream == "stderr" and "!" or "") end })
      print(table.concat(seen, " ")) ]]
    local first = record(text)
    assert.equals("o1 e1! o2 e2! o3 e3! o4 end\n", only(first).log, first.stderr)
    assert.equals("oeoeoeoo", lines(first.tape)[1].order)
    assert.equals(only(first).log, only(replay(text, first.tape)).log)
  end)

  describe("of requests", function()
    local odd
    setup(function() odd = H.odd() end)

    local text = step [[
      local muster = require "muster"
      local http = muster.http.client { base_url = params.url, token = muster.secret { env = "TOKEN" }, retries = 0 }
      local function tell(r) print(r.status, r.url:gsub("%?.*", ""), r.attempts, r.headers["content-type"], r.body) end
      tell(http:get("/status/200?key=tell-me-not"))
      tell(http:post("/sequence/x/201,202", { json = { pass = "tell-me-neither" } }))
      tell(http:post("/sequence/x/201,202", { json = { pass = "tell-me-neither" } }))
      tell(http:get("/redirect/302?to=/status/200"))
      tell(http:get("/hostile", { check = false }))
      local ok, e = pcall(http.get, http, "/status/404")
      print(ok, e.type, e.kind, e.status, e.retryable, e.body, e.message)
      ok, e = pcall(http.get, http, "/silent", { timeout = "50ms" })
      print(ok, e.type, e.kind, e.status, e.retryable, e.message)
      print(muster.http.request { method = "PUT", url = params.url .. "/status/204", body = "\255\0" }.status) ]]
    text = text:gsub("steps =", "params = { url = '' }, steps =")
    local function args(more) return { "-p", "url=" .. odd, table.unpack(more or {}) } end

    it("answers them, errors too, and sends none", function()
      local first = record(text, { args = args(), env = { TOKEN = "swordfish" } })
      assert.equals(0, first.code, first.stderr)
      local asked = #H.asked(odd, "/status/200")
      local again = replay(text, first.tape, { args = args(), env = { TOKEN = "another" } })
      assert.equals(0, again.code, again.stderr)
      assert.equals(only(first).log, only(again).log)
      assert.equals(asked, #H.asked(odd, "/status/200"))
    end)

    it("holds nothing that may be secret", function()
      local first = record(text, { args = args(), env = { TOKEN = "swordfish" } })
      local raw = T.read(first.tape .. "/script.localhost.jsonl")
      for _, secret in ipairs { "swordfish", "tell-me-not", "tell-me-neither", "pass" } do
        assert.is_nil(raw:find(secret, 1, true), secret)
      end
      local line = lines(first.tape)[1]
      assert.same({ "GET", odd .. "/status/200", 64, 200 }, { line.http, line.url, #line.query, line.status })
    end)

    it("leaves out what an answer repeats of a secret, and says so", function()
      local body = [[
        local ok, r = pcall(require "muster".http.request, { url = params.url .. "/echo", check = false,
          headers = { ["X-Secret"] = require "muster".secret { env = "TOKEN" } } })
        print(ok, ok and r.status) if not ok then error(r) end ]]
      local repeats = step(body):gsub("steps =", "params = { url = '' }, steps =")
      local first = record(repeats, { args = args(), env = { TOKEN = "swordfish" } })
      assert.equals(0, first.code, first.stderr)
      assert.is_nil(T.read(first.tape .. "/script.localhost.jsonl"):find("swordfish", 1, true))
      assert.truthy(T.find_log(first.log, "the answer repeats a secret of the request, so it is not in the transcript"))
      local again = replay(repeats, first.tape, { args = args(), env = { TOKEN = "swordfish" } })
      assert.equals(3, again.code)
      assert.is_truthy(only(again).failures[1].message:find("repeated a secret, and is not in the transcript", 1, true))
    end)

    it("has those of before_all in the fleet's transcript", function()
      local hook = [[before_all = function() return { n = #require "muster".http.request { url = "%s/status/200?all" }.body } end,]]
      local all = step([[ return require "muster".run.shared.n ]], hook:format(odd))
      local first = record(all)
      assert.equals(0, first.code, first.stderr)
      assert.same({ 0, only(first).metrics.score.value }, (function(r) return { r.code, only(r).metrics.score.value } end)
        (replay(all, first.tape)))
      assert.equals(1, #H.asked(odd, "/status/200?all"))
    end)

    it("says what it does not know", function()
      local function one(request) return step(("require 'muster'.http.request { %s }"):format(request)) end
      local tape = record(one("url = '" .. odd .. "/status/200?a'")).tape
      for request, want in pairs {
        ["url = '" .. odd .. "/status/200?b'"] = "is in the transcript with another query or body",
        ["method = 'POST', url = '" .. odd .. "/status/200?a'"] = "nothing is known of POST " .. odd ..
          "/status/200; there are answers to: GET " .. odd .. "/status/200",
        ["url = 'ftp://x'"] = "only http:// and https:// are spoken",
      } do
        local again = replay(one(request), tape)
        assert.equals(3, again.code, request)
        assert.is_truthy(only(again).failures[1].message:find(want, 1, true), only(again).failures[1].message)
      end
      local twice = step(("for i = 1, 2 do require 'muster'.http.request { url = '%s/status/200?a' } end"):format(odd))
      assert.is_truthy(only(replay(twice, tape)).failures[1].message:find("is in the transcript 1 time, and was asked once more", 1, true))
    end)
  end)

  it("is refused in one line where it cannot be", function()
    local dir = T.tmpdir()
    local script = T.write(dir .. "/script.lua", step "server:exec 'true'")
    local tape = record(step "server:exec 'true'").tape
    local function run(...) return T.run { "run", script, ... } end
    for _, case in ipairs {
      { "--record and --replay exclude each other", "--record", "a", "--replay", "b" },
      { "--local and --replay exclude each other", "--local", "--replay", tape },
      { "--dry-run runs nothing that --record could use", "--local", "--dry-run", "--record", tape },
      { "cannot read the folder of transcripts " .. dir .. "/none: No such file", "--replay", dir .. "/none" },
      { "--replay: " .. dir .. " has no transcript of " .. script, "--replay", dir },
      { "no transcript of server srv01 (--record makes one): " .. tape .. "/script.srv01.jsonl", "--replay", tape, "srv01" },
      { "cannot make the folder /proc/none for transcripts", "--local", "--record", "/proc/none" },
      { "cannot make the folder /dev/null for transcripts: Not a directory", "--local", "--record", "/dev/null" },
    } do
      local result = run(table.unpack(case, 2))
      assert.equals(2, result.code, case[1])
      assert.is_truthy(result.stderr:find(case[1], 1, true), result.stderr)
      assert.equals(1, #T.lines(result.stderr))
    end
    for text, want in pairs { ["no JSON\n"] = ":1: is no transcript", [""] = "is empty, and no transcript",
      ['{"muster":"transcript","version":9}\n'] = ":1: is no transcript",
      ['{"muster":"transcript","version":1}\n[]\n'] = ":2: is no line of a transcript",
      ['{"muster":"transcript","version":1}\n{"command":"a\\u0000b"}\n'] = ":2: is no line",
      ['{"muster":"transcript","version":1}\n{"command":"a","stdout_base64":"?"}\n'] = ":2: is no line",
      ['{"muster":"transcript","version":1}\n{"command":"a","error":{"code":"MU_EWHAT"}}\n'] = ":2: is no line",
      ['{"muster":"transcript","version":1}\n{"glob":"a","answers":[]}\n'] = ":2: is no line",
      ['{"muster":"transcript","version":1}\n{"glob":1,"answers":[{}]}\n'] = ":2: is no line",
      ['{"muster":"transcript","version":1}\n{"http":"GET"}\n'] = ":2: is no line",
      ['{"muster":"transcript","version":1}\n{"http":"GET","url":"http://x","error":{"kind":"odd"}}\n'] = ":2: is no line",
      ['{"muster":"transcript","version":1}\n{"http":"GET","url":"http://x","headers":[]}\n'] = ":2: is no line",
    } do
      T.write(tape .. "/script.localhost.jsonl", text)
      local result = run("--replay", tape)
      assert.equals(3, result.code, want)
      assert.is_truthy(result.stderr:find(want, 1, true), result.stderr)
    end
  end)

  it("says when a transcript could not be written to its end", function()
    local dir = T.tmpdir()
    local script = T.write(dir .. "/script.lua", step(([[ server:exec "rm -r %s/tape" return 1 ]]):format(dir)))
    local result = T.run { "run", script, "--local", "--record", dir .. "/tape" }
    assert.equals(2, result.code)
    assert.is_truthy(result.stdout:find("Out of 1, 0 servers failed", 1, true), result.stdout)
    assert.is_truthy(result.stderr:find("cannot write the transcript " .. dir .. "/tape/script.localhost.jsonl", 1, true))
  end)
end)
