-- Every function of the script API that waits ends when it is cancelled, here by its step's timeout: one server a function,
-- which waits for what never comes. (server:claim and its like cannot be cancelled: teardown must know how they ended.)
local cjson = require "cjson"
local H = require "http_support"
local S = require "ssh_support"
local T = require "muster_test"

-- Name → the step's body. In PATH are a sudo, a sha256sum and a uname that never end; MARK is the argument of every sleep.
local WAITS = {
  exec = [[server:exec "sleep MARK"]],
  exec_lines = [[server:exec("echo line; sleep MARK", { on_line = function() end })]],
  exec_in_on_line = [[server:exec("echo line", { on_line = function() server:exec "sleep MARK" end })]],
  exec_stdin = [[server:exec("sleep MARK; cat", { stdin = ("x"):rep(1000000) })]],
  exec_unchecked = [[server:exec("sleep MARK", { check = false })]],
  sudo = [[server:exec("true", { sudo = true })]],
  upload = [[server:upload(params.dir .. "/file", params.dir .. "/uploaded")]],
  download = [[server:download(params.dir .. "/file", params.dir .. "/downloaded")]],
  write_file = [[server:write_file(params.dir .. "/written", "text")]],
  read_file = [[server:read_file(params.dir .. "/file")]],
  facts = [[server:facts()]],
  connect_of_exec = [[server:exec "true"]],
  connect = [[server:connect { wait = "10m" }]],
  connect_refused = [[server:connect { wait = "10m", port = 1 }]],
  reconnect = [[server:reconnect()]],
  http = [[muster.http.request { url = params.url .. "/silent", timeout = "10m" }]],
  http_retries = [[muster.http.request { url = "http://127.0.0.1:1/", retries = 10, backoff = "10m" }]],
  http_client = [[muster.http.client { base_url = params.url, timeout = "10m" }:get "/half"]],
  sleep = [[muster.sleep "10m"]],
  retry = [[muster.retry({ times = 2, backoff = "10m" }, function() error "again" end)]],
  retry_body = [[muster.retry({ times = 2 }, function() muster.sleep "10m" end)]],
  gather = [[muster.gather { server:spawn(muster.sleep, "10m"), server:spawn(server.exec, server, "sleep MARK") }]],
  wait = [[server:spawn(server.exec, server, "sleep MARK"):wait()]],
  spawned_alone = [[server:spawn(function() muster.sleep "10m" end) muster.sleep "10m"]],
  semaphore = [[local s = muster.semaphore("one", 1)
    local first <close> = s:acquire()
    local second <close> = s:acquire()]],
  muster_exec = [[muster.exec "sleep MARK"]],
  os_execute = [[os.execute "sleep MARK"]],
  popen_read = [[io.popen("sleep MARK"):read "a"]],
  popen_close = [[io.popen("sleep MARK"):close()]],
  pcall = [[while true do pcall(muster.sleep, "10m") end]],
  coroutine = [[coroutine.wrap(function() muster.sleep "10m" end)()]],
}
-- What is not tried here: what cannot be cancelled (see above, and disconnect), other methods of a client, which go get's
-- way, and a handle's cancel, which spawn_spec.lua has.
local ELSEWHERE = { ["server:claim"] = true, ["server:claimed"] = true, ["server:update_claim"] = true,
  ["server:release"] = true, ["server:disconnect"] = true, ["handle:cancel"] = true, ["client:request"] = true,
  ["client:head"] = true, ["client:options"] = true, ["client:post"] = true, ["client:put"] = true,
  ["client:patch"] = true, ["client:delete"] = true }
local REMOTE = { connect_of_exec = true, connect = true, connect_refused = true, reconnect = true }

describe("what waits", function()
  local result, mark, by_id
  setup(function()
    local dir = T.tmpdir()
    local odd, silent = H.odd(), S.odd_server "silent"
    mark = S.mark()
    assert(os.execute("mkdir " .. dir .. "/bin"))
    for _, name in ipairs { "sudo", "sha256sum", "uname" } do
      T.write(dir .. "/bin/" .. name, "#!/bin/sh\nexec sleep " .. mark .. "\n")
      assert(os.execute("chmod 755 " .. dir .. "/bin/" .. name))
    end
    T.write(dir .. "/file", "text")
    local servers, bodies = {}, {}
    for name, body in pairs(WAITS) do
      -- An address that takes connections and says nothing of SSH.
      servers[#servers + 1] = REMOTE[name] and { id = name, address = "127.0.0.1", port = silent } or
        { id = name, transport = "local" }
      bodies[#bodies + 1] = ("bodies.%s = function(server, params) %s end"):format(name, (body:gsub("MARK", mark)))
    end
    result = T.run_script(([[
      local muster = require "muster"
      local bodies = {}
      %s
      return {
        params = { dir = %q, url = %q },
        steps = { { name = "waits", timeout = "1s", run = function(server, params)
          muster.log.info "begins"
          bodies[server.id](server, params)
          muster.log.info "came back"
        end } },
        teardown = function(server) muster.log.info "teardown" end,
      }]]):format(table.concat(bodies, "\n"), dir, odd), { env = { PATH = dir .. "/bin:" .. os.getenv "PATH" },
      args = { "-j", "100", "--connect-timeout", "10m",
        "-i", T.write(dir .. "/fleet.json", cjson.encode { servers = servers }) } })
    by_id = S.by_id(assert(result.results, result.stderr))
  end)

  for name in pairs(WAITS) do
    it("ends with its step: " .. name:gsub("_", " "), function()
      local step, said = by_id[name].steps[1], {}
      for _, line in ipairs(result.log) do
        if line.server_id == name then said[line.event] = true end
      end
      assert.same({ "timeout", "timeout after 1 s" }, { step.status, step.failures[1].cause }, step.failures[1].message)
      assert.same({ true, nil, true }, { said.begins, said["came back"], said.teardown })
    end)
  end

  it("is one of these", function()
    local missing, n = {}, 0
    for _, fn in ipairs(dofile(T.source .. "/tools/reference.lua").read(T.source).functions) do
      local here = ELSEWHERE[fn.name] or not fn.async
      for _, body in pairs(WAITS) do here = here or body:find("[.:]" .. fn.short .. "%f[^%w_]") end
      if not here then missing[#missing + 1] = fn.name end
      n = n + (fn.async and 1 or 0)
    end
    assert.same({}, missing)
    assert.truthy(n > 20, n)
  end)

  it("leaves nothing behind", function()
    assert.same({}, S.marked(mark))
    assert.is_nil(result.stderr:find("Could not confirm", 1, true))
    assert.is_nil(result.stderr:find("Abandoned", 1, true))
  end)
end)
