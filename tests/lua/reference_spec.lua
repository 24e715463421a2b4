-- docs/reference.md: what the annotations of bindings/meta/ say is what there is, each function has an example, each
-- example runs as it stands, and the page is what tools/reference.lua makes of them.
local T = require "muster_test"
local S = require "ssh_support"
local H = require "http_support"

local reference = dofile(T.source .. "/tools/reference.lua")
local api = reference.read(T.source)

-- ---- what there is ----

-- By unit_bindings_api, which sees metatables too: "muster.sleep", "muster.Server:exec" → "function", "field".
local function defined()
  local r = T.exec { os.getenv "MUSTER_BUILD" .. "/tests/unit/unit_bindings_api" }
  assert.equal(0, r.code, r.stdout .. r.stderr)
  local all = {}
  for kind, name in r.stdout:gmatch "\n(%l+) (muster%.[%w_.]+)%f[\n]" do all[name] = kind end
  for class, name in r.stdout:gmatch "\nmethod muster%.([%w_.]+) ([%w_]+)" do
    class = class:gsub("%.quiet$", ""):gsub("%.silent$", "") -- a response that must not show what it holds
    class = class:gsub("%f[%a]%l", string.upper):gsub("[._]", "")
    all["muster." .. class .. ":" .. name] = "function"
  end
  return all
end

-- By a task, which also has modules that are loaded when they are first asked for, if an annotation names them.
local function seen_by_task()
  local modules = {}
  for _, class in ipairs(api.classes) do
    local name = class.class:match "^muster%.(%l[%w_]*)$"
    if name and name ~= "testing" then modules[#modules + 1] = ("%q"):format(name) end
  end
  local result = T.run_local([[
    local muster = require "muster"
    local function walk(name, t)
      for k, v in pairs(t) do
        if type(v) == "table" then walk(name .. "." .. k, v)
        else print("SEEN " .. (type(v) == "function" and "function " or "field ") .. name .. "." .. k) end
      end
    end
    return { steps = { { name = "s", run = function()
      walk("muster", muster)
      for _, name in ipairs { ]] .. table.concat(modules, ", ") .. [[ } do
        walk("muster." .. name, muster[name] or error("there is no muster." .. name))
      end
    end } } }]])
  assert.equal(0, result.code, result.stderr)
  local all = {}
  for kind, name in result.stderr:gmatch "SEEN (%l+) (muster%.[%w_.]+)" do all[name] = kind end
  return all
end

-- By a spec under muster test.
local function seen_by_spec(dir)
  T.write(dir .. "/x.lua", "return { steps = { { name = 's', run = function() end } } }")
  T.write(dir .. "/walk_spec.lua", [[
    local testing = require "muster.testing"
    it("walks", function()
      for k in pairs(testing) do print("SEEN muster.testing." .. k) end
      for k, v in pairs(getmetatable(testing.load "x.lua").__index) do
        if type(v) == "function" then print("SEEN muster.testing.Script:" .. k) end
      end
    end)]])
  local r = T.run { "test", dir .. "/walk_spec.lua" }
  assert.equal(0, r.code, r.stdout .. r.stderr)
  local all = {}
  for name in r.stdout:gmatch "SEEN ([%w_.:]+)" do all[name] = "function" end
  return all
end

local function sorted(names)
  table.sort(names)
  return names
end

-- ---- examples ----

-- What an example says it prints: the texts behind -->, in order.
local function promised(example)
  local all = {}
  for text in example:gmatch "%-%->%s*([^\n]*)" do all[#all + 1] = text end
  return all
end

local function squeeze(text) return (text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")) end

local function matches(text, want)
  local pattern = want:gsub("%p", "%%%0"):gsub("…", function() return ".*" end)
  return squeeze(text):find("^" .. pattern .. "$") ~= nil
end

local OWN = { timestamp = true, level = true, event = true, server_id = true, step = true }
-- A log line as examples write it: its message without the place in the script, and its own fields by name.
local function shown(line)
  local fields = {}
  for name, value in pairs(line) do
    value = math.tointeger(value) or value
    if not OWN[name] then fields[#fields + 1] = ("%s=%s"):format(name, value) end
  end
  return squeeze(line.event:gsub(" %([^%s()]+%.lua:%d+%)$", "") .. " " .. table.concat(sorted(fields), " "))
end

-- nil when the lines hold what the example promises, in that order; else what is wrong.
local function not_shown(fn, lines)
  local at = 1
  for _, want in ipairs(promised(fn.example)) do
    while lines[at] and not matches(lines[at], want) do at = at + 1 end
    if not lines[at] then
      return ("%s: %s does not show this where it should: %s\nIt shows:\n%s"):format(fn.where, fn.name, want,
        table.concat(lines, "\n"))
    end
    at = at + 1
  end
end

-- What the server comes to, where an example ends by raising.
local function status_of(example)
  local how = { ["Benchmark failed"] = "failed", ["Benchmark error"] = "error", ["Timed out"] = "timeout", Unreachable = "unreachable" }
  for _, text in ipairs(promised(example)) do
    local status = how[text:match "^([^:]*): "]
    if status then return status end
  end
  return "passed"
end

local function is_script(fn) return fn.example:find '^local muster = require "muster"' ~= nil end
local function is_spec(fn) return fn.key:find "^muster%.testing" ~= nil end

-- The functions whose examples are the body of a step.
local function bodies(wanted)
  local list = {}
  for _, fn in ipairs(api.functions) do
    if fn.example and not is_script(fn) and not is_spec(fn) and (not wanted or wanted(fn)) then list[#list + 1] = fn end
  end
  return list
end

-- Its server's id: ids have no colon.
local function id_of(fn) return (fn.key:gsub(":", ".")) end

-- One script with all of them: each is a server's.
local function script_of(list)
  local parts = { "local muster = require 'muster'\nlocal bodies = {}\n" }
  for _, fn in ipairs(list) do
    parts[#parts + 1] = ("bodies[%q] = function(server, params)\n%send\n"):format(id_of(fn), fn.example)
  end
  parts[#parts + 1] = [[
    return { params = { url = "" }, steps = { { name = "example", run = function(server, params)
      muster.log.debug "Begins."
      return bodies[server.id](server, params)
    end } } }]]
  return table.concat(parts)
end

local function assert_examples(list, result)
  assert(result.results, result.stderr)
  local lines, servers = {}, S.by_id(result.results)
  for _, line in ipairs(result.log) do
    if line.server_id and line.logger ~= "libssh" then
      lines[line.server_id] = lines[line.server_id] or {}
      table.insert(lines[line.server_id], shown(line))
    end
  end
  local wrong = {}
  for _, fn in ipairs(list) do
    local said, status = lines[id_of(fn)] or {}, servers[id_of(fn)].status
    local why = not_shown(fn, said)
    if not why and status_of(fn.example) ~= status then
      why = ("%s: %s comes to %s:\n%s"):format(fn.where, fn.name, status, table.concat(said, "\n"))
    end
    wrong[#wrong + 1] = why
  end
  assert.equal("", table.concat(wrong, "\n\n"))
end

-- What the examples take as given, beside params.url: a token, and tools of which tests/data has the output.
local TOOLS = { sysbench = "sysbench-cpu.txt", ["stress-ng"] = "stress-ng.txt", mbw = "mbw.txt", openssl = "openssl-speed.txt",
  fio = "fio.json", iperf3 = "iperf3.json", clpeak = "clpeak.xml" }
local ENV = { API_TOKEN = "s3cret" }

local function install_tools(bin)
  for name, file in pairs(TOOLS) do
    local to = name == "clpeak" and ">clpeak.xml" or ""
    T.write(bin .. "/" .. name, ("#!/bin/sh\ncat %s <<'END'\n%s\nEND\n"):format(to, T.read(T.source .. "/tests/data/" .. file)))
    assert(os.execute("chmod 755 " .. T.quote(bin .. "/" .. name)))
  end
end

describe("the reference", function()
  local dir, url
  setup(function()
    dir, url = T.tmpdir(), H.odd()
    local bin = T.tmpdir()
    install_tools(bin)
    ENV.PATH = bin .. ":" .. os.getenv "PATH"
  end)

  it("has every function and field of the API, and none that is not there", function()
    local real = defined()
    for _, more in ipairs { seen_by_task(), seen_by_spec(dir) } do
      for name, kind in pairs(more) do real[name] = kind end
    end
    local missing, invented, fields = {}, {}, {}
    for _, class in ipairs(api.classes) do
      for _, field in ipairs(class.fields) do
        local name = class.class:gsub("^muster%.Run$", "muster.run")
        fields[name .. "." .. field.name] = true
      end
    end
    for name, kind in pairs(real) do
      if kind == "function" and not api.functions[name] then missing[#missing + 1] = name end
      if kind == "field" and not fields[name] then missing[#missing + 1] = name end
    end
    for _, fn in ipairs(api.functions) do
      if real[fn.key] ~= "function" then invented[#invented + 1] = fn.key end
    end
    assert.same({}, sorted(missing), "bindings/meta/ lacks their annotation")
    assert.same({}, sorted(invented), "annotated in bindings/meta/, and there is no such function")
    assert.truthy(real["muster.Server:exec"] and real["muster.testing.load"] and real["muster.run.id"])
  end)

  it("has the fields that a server and a run have", function()
    local names = {}
    for _, class in ipairs { "muster.Server", "muster.Run" } do
      for _, field in ipairs(api.classes[class].fields) do
        local of = class == "muster.Run" and "muster.run" or "server"
        if not field.optional and field.type ~= "any" then names[#names + 1] = ("assert(%s.%s ~= nil, %q)"):format(of, field.name, field.name) end
      end
    end
    local result = T.run_local("local muster = require 'muster' return { steps = { { name = 's', run = function(server)\n" ..
      table.concat(names, "\n") .. "\nend } } }")
    assert.equal(0, result.code, result.stderr)
  end)

  it("has a description and an example of every function, which says what it shows", function()
    local without = {}
    for _, fn in ipairs(api.functions) do
      if not fn.example or #promised(fn.example) == 0 or fn.text == "" then
        without[#without + 1] = fn.where .. ": " .. fn.name
      end
    end
    assert.same({}, without)
  end)

  it("has examples that run on this machine", function()
    local list = bodies()
    local args = { "-j", "8", "-p", "url=" .. url, "--log-level", "trace", "--state-dir", T.tmpdir() }
    for _, fn in ipairs(list) do args[#args + 1] = id_of(fn) end
    assert_examples(list, T.run_local(script_of(list), { args = args, env = ENV, cwd = T.tmpdir() }))
  end)

  it("has examples that run over SSH", function()
    local fleet, list, entries = T.fleet_start(2), bodies(), {}
    for _, id in ipairs(fleet.ids) do install_tools(("%s/%s/home/bin"):format(fleet.dir, id)) end
    for i, fn in ipairs(list) do entries[i] = S.entry(fleet.servers[fleet.ids[i % 2 + 1]], id_of(fn)) end
    assert_examples(list, T.run_script(script_of(list), { args = { "-i", S.inventory(dir, entries), "--known-hosts",
      fleet.known_hosts, "-j", "8", "-p", "url=" .. url, "--log-level", "trace", "--state-dir", T.tmpdir() }, env = ENV }))
    fleet:stop()
  end)

  for _, fn in ipairs(api.functions) do
    if fn.example and is_script(fn) then
      it("has a script that runs as the example of " .. fn.name, function()
        local result = T.run_local(fn.example, { env = ENV })
        assert.equal(0, result.code, result.stderr)
        local lines = {}
        for i, line in ipairs(result.log) do lines[i] = shown(line) end
        assert.is_nil(not_shown(fn, lines))
      end)
    elseif fn.example and is_spec(fn) then
      it("has a spec that passes as the example of " .. fn.name, function()
        T.write(dir .. "/cpu.lua", T.read(T.source .. "/README.md"):match "## A first script\n\n```lua\n(.-)```")
        T.write(dir .. "/burn.lua", T.read(T.source .. "/docs/writing-checks.md"):match "<!%-%- file: burn.lua %-%->\n```lua\n(.-)```")
        T.write(dir .. "/sysbench.txt", "    events per second:   912.4\n")
        T.write(dir .. "/example_spec.lua", ("local testing = require 'muster.testing'\nit('shows', function()\n%send)\n"):format(
          fn.example))
        local r = T.run { "test", dir .. "/example_spec.lua" }
        assert.equal(0, r.code, r.stdout .. r.stderr)
        assert.is_nil(not_shown(fn, T.lines(r.stdout)))
      end)
    end
  end

  it("says truly which functions may be called at load time", function()
    -- The examples that need no server, at the top level: what waits is refused there.
    local list, args = bodies(function(fn) return not fn.example:find "server" end), { "-p", "url=" .. url }
    local text = script_of(list):gsub("return { params = ", function(rest)
      return [[for name, body in pairs(bodies) do
        local ok, e = pcall(body, nil, { url = "]] .. url .. [[" })
        if not ok and tostring(e):find "not at load time" then print("REFUSED " .. name) end
      end ]] .. rest
    end)
    local function calls_what_waits(fn)
      for _, other in ipairs(api.functions) do
        if other.async and fn.example:find("[.:]" .. other.short .. "%f[^%w_]") then return true end
      end
    end
    local result, wrong, waiting, others = T.run_local(text, { args = args, env = ENV }), {}, 0, 0
    for _, fn in ipairs(list) do
      local refused = T.find_log(result.log, "REFUSED " .. id_of(fn)) ~= nil
      if fn.async and not refused or refused and not calls_what_waits(fn) then wrong[#wrong + 1] = fn.name end
      if refused then waiting = waiting + 1 else others = others + 1 end
    end
    assert.same({}, wrong)
    assert.truthy(waiting > 10 and others > 10, ("%d %d"):format(waiting, others))
  end)

  it("is on the page as the generator writes it", function()
    local page = T.exec { "lua5.4", T.source .. "/tools/reference.lua" }
    assert.equal(0, page.code, page.stderr)
    assert.truthy(page.stdout == T.read(T.source .. "/docs/reference.md"),
      "docs/reference.md is not what bindings/meta/ says: lua5.4 tools/reference.lua >docs/reference.md")
    local headings = {}
    for heading in ("\n" .. page.stdout:gsub("\n```.-\n```", "")):gmatch "\n#+ ([^\n]+)" do
      local anchor = heading:lower():gsub("[^%w_ -]", "")
      assert.is_nil(headings[anchor], heading)
      headings[anchor:gsub(" ", "-")] = true
    end
    for anchor in page.stdout:gmatch "%]%(#([^)]*)%)" do assert.truthy(headings[anchor], anchor) end
  end)

  it("is made of files that Lua can read, which editors are pointed to", function()
    local settings = require "cjson".decode(T.read(T.source .. "/.luarc.json"))
    assert.equal("bindings/meta", settings["workspace.library"][1])
    local list = assert(io.popen("ls " .. T.quote(T.source) .. "/bindings/meta"))
    for name in list:lines() do
      local text = T.read(T.source .. "/bindings/meta/" .. name)
      assert.truthy(load(text, name, "t"))
      assert.truthy(text:find "^%-%-%-@meta [%w_.]+\n", name)
    end
    list:close()
  end)
end)
