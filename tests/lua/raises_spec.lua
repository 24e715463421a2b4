-- Every function of the script API, by the annotations: what it raises when it is given something wrong or finds something
-- wrong, and, where it has a timeout, when that is over. (What each returns: its example, reference_spec.lua; that it ends
-- when it is cancelled: cancel_waits_spec.lua.)
local cjson = require "cjson"
local H = require "http_support"
local S = require "ssh_support"
local T = require "muster_test"

local api = dofile(T.source .. "/tools/reference.lua").read(T.source)

-- Name → the body of a step, the type of what it raises ("text": an error of Lua's own kind), and what that says.
local RAISES = {
  ["muster.script"] = { [[muster.script "x"]], "text", "bad argument #1 to 'script' (table expected, got string)" },
  ["muster.use"] = { [[muster.use "no.such"]], "text", "muster.use works at a script's top level only" },
  ["muster.sleep"] = { [[muster.sleep "soon"]], "text", "sleep 'soon' is not a duration" },
  ["muster.exec"] = { [[muster.exec "exit 3"]], "CommandError", "command ended with exit status 3: exit 3" },
  ["muster.semaphore"] = { [[muster.semaphore("x", 0)]], "text", "a semaphore has 1 to 1000000 permits" },
  ["semaphore:acquire"] = { [[muster.semaphore("x", 1):acquire { frist = true }]], "text",
    "acquire has one option: first" },
  ["permit:release"] = { [[muster.semaphore("x", 1):acquire().release(5)]], "text", "bad argument #1 to 'release'" },
  ["muster.gather"] = { [[muster.gather { server:spawn(error, "nothing came") }]], "text", "nothing came" },
  ["muster.retry"] = { [[muster.retry({ times = 2, backoff = "1ms" }, function() error("nothing came", 0) end)]], "text",
    "nothing came" },
  ["muster.secret"] = { [[muster.secret { env = "NO_SUCH_VARIABLE" }]], "text",
    "the environment variable NO_SUCH_VARIABLE is not set" },
  ["server:exec"] = { [[server:exec "exit 3"]], "CommandError", "command ended with exit status 3: exit 3" },
  ["server:connect"] = { [[server:connect()]], "ConnectError", "127.0.0.1 port 1: cannot connect: connection refused" },
  ["server:claim"] = { [[server:claim "x"]], "text", "server:claim: the data is a table, not a string" },
  ["server:claimed"] = { [[server.claimed(5)]], "text", "bad argument #1 to 'claimed'" },
  ["server:update_claim"] = { [[server:update_claim { a = 1 }]], "text", "this server is not claimed" },
  ["server:release"] = { [[server.release(5)]], "text", "bad argument #1 to 'release'" },
  ["server:spawn"] = { [[server:spawn(5)]], "text", "bad argument #1 to 'spawn' (function expected, got number)" },
  ["handle:wait"] = { [[server:spawn(error, muster.errors.CheckFailed "no"):wait()]], "CheckFailed",
    "CheckFailed: no" },
  ["handle:cancel"] = { [[server:spawn(print).cancel(5)]], "text", "bad argument #1 to 'cancel'" },
  ["server:upload"] = { [[server:upload(params.dir .. "/none", "/nowhere/x")]], "ScriptError",
    "/none: No such file or directory" },
  ["server:download"] = { [[server:download("/nowhere/x", params.dir .. "/got")]], "CommandError",
    "there is no such file on the server" },
  ["server:write_file"] = { [[server:write_file("/nowhere/x", "text")]], "CommandError",
    "there is no folder /nowhere/ on the server" },
  ["server:read_file"] = { [[server:read_file "/nowhere/x"]], "CommandError",
    "read_file /nowhere/x: there is no such file on the server" },
  ["server:facts"] = { [[server:facts()]], "ConnectError", "cannot connect: connection refused" },
  ["server:keep"] = { [[server:keep("../x", "")]], "text", "keep: a name has 1 to " },
  ["server:disconnect"] = { [[server.disconnect(5)]], "text", "bad argument #1 to 'disconnect'" },
  ["server:reconnect"] = { [[server:reconnect()]], "ConnectError", "cannot connect: connection refused" },
  ["muster.http.request"] = { [[muster.http.request { url = "http://127.0.0.1:1/", retries = 0 }]], "HttpError",
    "GET http://127.0.0.1:1/: connection refused" },
  ["muster.http.escape"] = { [[muster.http.escape {}]], "text",
    "bad argument #1 to 'escape' (string expected, got table)" },
  ["muster.http.client"] = { [[muster.http.client { base_ulr = "x" }]], "text",
    "http.client has no option 'base_ulr'; it has " },
  ["client:request"] = { [[client:request { method = "BREW" }]], "text", "no method BREW: there are GET" },
  ["response:json"] = { [[client:get "/status/200":json()]], "HttpError", "/status/200: the answer is not JSON" },
  ["muster.json.decode"] = { [[muster.json.decode "[1,]"]], "text", "json: Expected value" },
  ["muster.json.encode"] = { [[muster.json.encode { print }]], "text", "encode at [1]: a function cannot be written" },
  ["muster.json.array"] = { [[muster.json.array(5)]], "text",
    "bad argument #1 to 'array' (table expected, got number)" },
  ["muster.log.bind"] = { [[muster.log.bind "x"]], "text", "bad argument #1 to 'bind' (table expected, got string)" },
  ["muster.parse.kv"] = { [[muster.parse.kv(muster.exec "true")]], "text",
    "parse.kv reads text, the stdout of a command, not a table" },
  ["muster.parse.table"] = { [[muster.parse.table(muster.exec "true")]], "text",
    "parse.table reads text, the stdout of a command, not a table" },
}
for _, name in ipairs { "get", "head", "options", "post", "put", "patch", "delete" } do
  RAISES["client:" .. name] = { ([[client:%s "/status/404"]]):format(name), "HttpError", "status 404" }
end
for _, name in ipairs { "trace", "debug", "info", "warning", "warn", "error" } do
  RAISES["muster.log." .. name] = { ([[muster.log.%s("x", 5)]]):format(name), "text", "bad argument #2 to '" .. name .. "'" }
end
for _, name in ipairs { "sysbench", "stress_ng", "mbw", "openssl_speed", "fio", "iperf3", "clpeak" } do
  RAISES["muster.parse." .. name] = { ([[muster.parse.%s "sh: not found"]]):format(name), "ScriptError", "sh: not found" }
end
for _, name in ipairs { "PerformanceBelowExpected", "CheckFailed", "ServerOperationError", "ConnectError", "HostKeyError",
  "AuthError", "CommandError", "TimeoutError", "ScriptError", "HttpError", "ProvisionerError", "ServerStateError" } do
  RAISES["muster.errors." .. name] = { ([[muster.errors.%s("x", 5)]]):format(name), "text", "bad argument #2 to '" .. name .. "'" }
end
-- These are for a server that is where nobody listens.
local REMOTE = { ["server:connect"] = true, ["server:reconnect"] = true, ["server:facts"] = true, connect_wait = true }

-- What takes a timeout, or a time to wait. In PATH are a sudo and a sha256sum that do not end.
local TOOK = "command took longer than 0.05 s"
local OVER = {
  exec = { [[server:exec("sleep MARK", { timeout = "50ms" })]], "TimeoutError", TOOK },
  exec_sudo = { [[server:exec("true", { sudo = true, timeout = "50ms" })]], "TimeoutError", TOOK },
  exec_on_line = { [[server:exec("sleep MARK", { timeout = "50ms", on_line = print })]], "TimeoutError", TOOK },
  muster_exec = { [[muster.exec("sleep MARK", { timeout = "50ms" })]], "TimeoutError", TOOK },
  upload = { [[server:upload(params.dir .. "/file", params.dir .. "/up", { timeout = "50ms" })]], "TimeoutError", TOOK },
  download = { [[server:download(params.dir .. "/file", params.dir .. "/down", { timeout = "50ms" })]], "TimeoutError", TOOK },
  write_file = { [[server:write_file(params.dir .. "/written", "text", { timeout = "50ms" })]], "TimeoutError", TOOK },
  read_file = { [[server:read_file(params.dir .. "/file", { timeout = "50ms" })]], "TimeoutError", TOOK },
  http = { [[client:get("/silent", { timeout = "50ms", retries = 0 })]], "HttpError", "/silent: no answer within 0.05 s" },
  http_retries = { [[client:get("/silent", { timeout = "50ms", retries = 1, backoff = "1ms" })]], "HttpError", "2 tries" },
  connect_wait = { [[server:connect { wait = "100ms" }]], "ConnectError", "connection refused" },
  retry = { [[muster.retry({ times = 2, backoff = "1ms" }, function() server:exec("sleep MARK", { timeout = "50ms" }) end)]],
    "TimeoutError", TOOK },
  gather = { [[muster.gather { server:spawn(function() server:exec("sleep MARK", { timeout = "50ms" }) end) }]], "TimeoutError", TOOK },
}

describe("a function of the script API", function()
  local told, mark, result
  setup(function()
    local dir, odd = T.tmpdir(), H.odd()
    mark = S.mark()
    assert(os.execute("mkdir " .. dir .. "/bin"))
    for _, name in ipairs { "sudo", "sha256sum" } do
      T.write(dir .. "/bin/" .. name, "#!/bin/sh\nexec sleep " .. mark .. "\n")
      assert(os.execute("chmod 755 " .. dir .. "/bin/" .. name))
    end
    T.write(dir .. "/file", "text")
    local servers, bodies = {}, {}
    local function add(id, name, body)
      servers[#servers + 1] = REMOTE[name] and { id = id, address = "127.0.0.1", port = 1 } or { id = id, transport = "local" }
      bodies[#bodies + 1] = ("bodies[%q] = function(server, params, client) %s end"):format(id, (body:gsub("MARK", mark)))
    end
    local n = 0
    for name, case in pairs(RAISES) do
      n = n + 1
      case.id = "r" .. n
      add(case.id, name, case[1])
    end
    for name, case in pairs(OVER) do
      case.id = "t-" .. name
      add(case.id, name, case[1])
    end
    result = T.run_script(([[
      local muster = require "muster"
      local bodies = {}
      %s
      return {
        params = { dir = %q, url = %q },
        steps = { { name = "raises", timeout = "1m", run = function(server, params)
          local client = muster.http.client { base_url = params.url, retries = 0 }
          local ok, e = pcall(bodies[server.id], server, params, client)
          print("TOLD", ok and "nothing" or muster.errors.is(e) and e.type or "text", ok and "" or tostring(e))
        end } },
      }]]):format(table.concat(bodies, "\n"), dir, odd), { env = { PATH = dir .. "/bin:" .. os.getenv "PATH" }, args = {
        "-j", "100", "--connect-retries", "0", "--log-level", "trace", "-i", T.write(dir .. "/fleet.json", cjson.encode { servers = servers }) } })
    told = {}
    for id, server in pairs(S.by_id(assert(result.results, result.stderr))) do
      told[id] = { server.steps[1].log:match "TOLD\t(%S+)\t(.*)\n$" }
    end
  end)

  local function check(what, cases)
    for name, case in pairs(cases) do
      it(what .. ": " .. name:gsub("_", " "), function()
        local got = told[case.id]
        assert.equal(case[2], got[1], got[2])
        assert.is_truthy(got[2]:find(case[3], 1, true), got[2])
        assert.is_nil(got[2]:find("\n", 1, true), got[2])
      end)
    end
  end
  check("says what is wrong", RAISES)
  check("says that its time is over", OVER)

  it("is one of these", function()
    local missing = {}
    for _, fn in ipairs(api.functions) do
      -- Specs have what testing raises: testing_spec.lua. errors.is takes anything.
      if not RAISES[fn.name] and not fn.key:find "^muster%.testing" and fn.name ~= "muster.errors.is" then missing[#missing + 1] = fn.name end
    end
    assert.same({}, missing, "say in RAISES what it raises")
    assert.same({}, S.marked(mark))
  end)
end)
