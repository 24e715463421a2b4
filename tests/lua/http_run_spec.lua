-- muster.http among everything else that a run does: many tasks, kept connections, deadlines, interrupts, dry runs.
local cjson = require "cjson"
local H = require "http_support"
local S = require "ssh_support"
local T = require "muster_test"

describe("muster.http in a run", function()
  local odd
  setup(function() odd = H.odd() end)

  it("does not block a worker: 200 requests at once on one", function()
    local args = { "--workers", "1", "-j", "200" }
    for i = 1, 200 do args[#args + 1] = "s" .. i end
    -- No request is answered before the server has all of them.
    local r = T.run_local([[
      local muster = require "muster"
      return { steps = { { name = "s", run = function()
        return #muster.http.request { url = os.getenv "ODD" .. "/barrier/all/200", timeout = "100s", retries = 0 }.body
      end } } }]], { env = { ODD = odd }, args = args })
    assert.equals(0, r.code, r.stderr)
    assert.equals(200, r.results.counts.passed)
    assert.equals(200, #H.asked(odd, "/barrier/all"))
    for _, line in ipairs(r.log) do
      if line.step then assert.is_truthy(line.server_id) end
    end
  end)

  it("keeps connections for the requests of all tasks of a worker", function()
    local args = { "--workers", "1", "-j", "1" }
    for i = 1, 20 do args[#args + 1] = "k" .. i end
    local r = T.run_local([[
      local muster = require "muster"
      return { steps = { { name = "s", run = function()
        return muster.http.request { url = os.getenv "ODD" .. "/status/200?kept" }.status
      end } } }]], { env = { ODD = odd }, args = args })
    assert.equals(0, r.code, r.stderr)
    local connections, n = {}, 0
    for _, request in ipairs(H.asked(odd, "/status/200?kept")) do
      if not connections[request.connection] then n = n + 1 end
      connections[request.connection] = true
    end
    assert.equals(1, n)
  end)

  it("keeps few connections that nobody uses: they take a server's places", function()
    -- A GET each, all at once, and a POST each. Then the first looks at what the process still has open.
    local args = { "--workers", "1", "-j", "50" }
    for i = 1, 50 do args[#args + 1] = "i" .. i end
    local dir = T.tmpdir()
    local r = T.run_local(([[
      local muster = require "muster"
      local function done() return #muster.exec("ls %s/done", { read_only = true }).stdout:gsub("[^\n]", "") end
      return { steps = { { name = "s", thresholds = { score = { max = 2 } }, run = function(server)
        local http = muster.http.client { base_url = os.getenv "ODD", retries = 0, timeout = "100s" }
        http:get "/barrier/idle/50"
        http:post("/status/200?idle", { json = {} })
        assert(io.open("%s/done/" .. server.id, "w")):close()
        if server.id ~= "i1" then return 0 end
        while done() < 50 do muster.sleep "50ms" end
        local port = (":%%04X 01 "):format(os.getenv "PORT") -- the far end's, of those that are established
        local _, n = io.open("/proc/self/net/tcp"):read "a":gsub(port, port)
        return n
      end } } }]]):format(dir, dir), { env = { ODD = odd, PORT = odd:match "%d+$" }, args = args,
        dir = (os.execute("mkdir " .. dir .. "/done")) and dir })
    assert.equals(0, r.code, r.stdout .. r.stderr)
    assert.equals(50, #H.asked(odd, "/status/200?idle"))
  end)

  it("asks again on a new connection when a kept one has died", function()
    local r = T.run_local([[
      local muster = require "muster"
      return { steps = { { name = "s", run = function()
        local http = muster.http.client { base_url = os.getenv "ODD", retries = 0 }
        http:get "/stale/a"
        local again = http:get "/status/200?again".status
        http:get "/stale/b"
        return again + http:post("/status/200?posted").status
      end } } }]], { env = { ODD = odd } })
    assert.equals(0, r.code, r.stderr)
    assert.equals(1, #H.asked(odd, "/status/200?again"))
    assert.equals(1, #H.asked(odd, "/status/200?posted"))
  end)

  -- Servers that are waited for when they are cut off.
  local cuts = [[
    local muster = require "muster"
    local function ask(path, options)
      options = options or {}
      options.url = os.getenv "ODD" .. path
      return muster.http.request(options)
    end
    local bodies = {
      silent = function() ask "/silent" end,
      half = function() ask "/half" end,
      pause = function() ask("/status/503?pause", { backoff = "30s" }) end,
      swallow = function() while true do pcall(ask, "/silent") end end,
      in_coroutine = function() coroutine.wrap(function() ask "/silent" end)() end,
      handler = function()
        local x <close> = setmetatable({}, { __close = function() print("closed with " .. ask("/status/200?handler").status) end })
        ask "/silent"
      end,
    }
    return {
      steps = { { name = "s", timeout = os.getenv "STEP_TIMEOUT", run = function(server) bodies[server.id]() print "SWALLOWED" end } },
      teardown = function(server) print("teardown " .. ask("/status/200?teardown").status) end,
    }]]
  local names = { "silent", "half", "pause", "swallow", "in_coroutine", "handler" }

  local function check_cut(r, status)
    for _, server in ipairs(r.results.servers) do
      assert.equals(status, server.steps[1].status, server.id .. cjson.encode(server.steps[1].failures))
      assert.is_nil((server.steps[1].log or ""):find "SWALLOWED", server.id)
    end
    assert.is_truthy(T.find_log(r.log, "closed with 200"))
    local ended = 0
    for _, line in ipairs(r.log) do ended = ended + (line.event == "teardown 200" and 1 or 0) end
    assert.equals(#names, ended)
    S.wait_for("the server to see them go", function() return H.ask(odd .. "/waiting") == 0 end)
  end

  it("is cut off by a step's timeout", function()
    local args = { "--workers", "1" }
    for _, name in ipairs(names) do args[#args + 1] = name end
    check_cut(T.run_local(cuts, { env = { ODD = odd, STEP_TIMEOUT = "1s" }, args = args }), "timeout")
  end)

  it("is cut off by an interrupt", function()
    local args = { "--local", "--workers", "1", "--grace", "60s" }
    for _, name in ipairs(names) do args[#args + 1] = name end
    local before = #H.asked(odd, "/status/503?pause")
    local job = S.start(cuts, { env = { ODD = odd, STEP_TIMEOUT = "1h" }, args = args })
    S.wait_for("all requests", function()
      return H.ask(odd .. "/waiting") == 5 and #H.asked(odd, "/status/503?pause") == before + 1
    end)
    job:signal "TERM"
    local r = job:wait()
    assert.equals(143, r.code)
    check_cut(r, "cancelled")
  end)

  it("ends with the worker when there is no time left", function()
    local job = S.start(cuts, { env = { ODD = odd, STEP_TIMEOUT = "1h" }, args = { "--local", "--workers", "1", "silent", "half" } })
    S.wait_for("all requests", function() return H.ask(odd .. "/waiting") == 2 end)
    job:signal "TERM"
    job:wait_log "nterrupt"
    job:signal "TERM"
    local r = job:wait()
    assert.equals(143, r.code)
    S.wait_for("the server to see them go", function() return H.ask(odd .. "/waiting") == 0 end)
  end)

  it("is refused while a script is being loaded", function()
    local r = T.run_local([[
      local muster = require "muster"
      muster.http.request { url = os.getenv "ODD" .. "/status/200?load" }
      return { steps = {} }]], { env = { ODD = odd } })
    assert.equals(2, r.code)
    assert.matches("not at load time: move it into setup or a step", r.stderr)
    assert.same({}, H.asked(odd, "/status/200?load"))
    local client = T.run_local([[
      local muster = require "muster"
      local c = muster.http.client { base_url = os.getenv "ODD" }
      return { steps = { { name = "s", run = function() return c:get("/status/200").status end } } }]], { env = { ODD = odd } })
    assert.equals(0, client.code, client.stderr)
  end)

  it("changes nothing in a dry run", function()
    local r = T.run_local([[
      local muster = require "muster"
      local cjson = require "cjson"
      return {
        setup = function()
          local c = muster.http.client { base_url = os.getenv "ODD" .. "/echo/dry" }
          local out = { get = c:get().status, head = c:head().status, options = c:options().status }
          for _, verb in ipairs { "put", "post", "patch", "delete" } do
            local r = c[verb](c, "?secret=x", { json = verb ~= "delete" and { line = "a\n\27[31m" } or nil })
            out[verb] = { r.status, r.dry_run, r.body, next(r.headers) == nil, r.url == os.getenv "ODD" .. "/echo/dry?secret=x", r.method,
              next(r:json()) == nil }
          end
          out.bad = tostring(select(2, pcall(c.post, c, "a b")))
          print("TOLD " .. cjson.encode(out))
        end,
        steps = { { name = "s", run = function() end } } }]], { env = { ODD = odd }, args = { "--dry-run" } })
    local line = assert(T.find_log(r.log, "TOLD "), r.stderr)
    local told = cjson.decode(line.event:match "TOLD (.*)")
    assert.same({ 200, 200, 200 }, { told.get, told.head, told.options })
    for _, verb in ipairs { "put", "post", "patch", "delete" } do
      assert.same({ 0, true, "", true, true, verb:upper(), true }, told[verb])
      local said = assert(T.find_log(r.log, "Would send " .. verb:upper() .. " " .. odd .. "/echo/dry?…"))
      assert.is_true(said.dry_run)
      assert.equals("info", said.level)
      assert.equals(verb ~= "delete", said.event:find("{\"line\":", 1, true) ~= nil)
    end
    assert.matches("%%XX", told.bad)
    assert.is_nil(r.stderr:find "\27")
    for _, request in ipairs(H.asked(odd, "/echo/dry")) do assert.is_truthy(("GET HEAD OPTIONS"):find(request.method, 1, true)) end
  end)

  it("cannot be seen from another server's run", function()
    local r = T.run_local([[
      local muster = require "muster"
      return { steps = { { name = "s", run = function(server)
        local response = muster.http.request { url = os.getenv "ODD" .. "/status/200" }
        local ok = pcall(function() muster.http.mine = 1 end) or pcall(function() getmetatable(response).__index = {} end)
        response.mark = server.id
        return ok and 1 or 0
      end, thresholds = { score = { max = 0 } } } } }]], { env = { ODD = odd }, args = { "--workers", "1", "a", "b" } })
    assert.equals(0, r.code, r.stderr)
  end)
end)
