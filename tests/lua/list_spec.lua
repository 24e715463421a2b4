-- muster list: scripts as they describe themselves.
local cjson = require "cjson"
local T = require "muster_test"

local SCRIPT = [[
return require "muster".script {
  description = "the disk's \"speed\"",
  params = { folder = "/var/tmp", seconds = 10, factor = 0.5, deep = false },
  steps = {
    { name = "read", run = print, thresholds = { iops = { min = "params.seconds", unit = "IOPS" }, p99 = "> 1, < 50 ms",
      wear = { { where = { rack = "r1" }, max = 5 }, { max = 9, peers = { drop = "8%" } } } } },
    { name = "note", run = print },
  },
}
]]

describe("muster list", function()
  local dir = T.tmpdir()
  T.write(dir .. "/b.lua", SCRIPT)
  T.write(dir .. "/a.lua", "return { steps = { { name = 's', run = print } } }")
  T.write(dir .. "/a_spec.lua", "no script")
  T.write(dir .. "/notes.txt", "no script either")

  it("shows a folder's scripts by name, without its specs", function()
    local result = T.run { "list", dir }
    assert.same({ 0, "" }, { result.code, result.stderr })
    assert.equals(([[
DIR/a.lua
  step s

DIR/b.lua: the disk's "speed"
  step read: iops >= 10 IOPS; p99 > 1, < 50 ms; wear <= 5 (some servers); wear <= 9, as its peers
  step note
  -p deep     boolean, default false
  -p factor   number, default 0.5
  -p folder   string, default "/var/tmp"
  -p seconds  integer, default 10
]]):gsub("DIR", function() return dir end), result.stdout)
  end)

  it("prints JSON", function()
    local result = T.run { "list", "--json", dir .. "/b.lua" }
    assert.equals(0, result.code)
    assert.same({ scripts = { { path = dir .. "/b.lua", error = cjson.null, description = "the disk's \"speed\"",
      params = { { name = "deep", type = "boolean", default = false }, { name = "factor", type = "number", default = 0.5 },
        { name = "folder", type = "string", default = "/var/tmp" }, { name = "seconds", type = "integer", default = 10 } },
      steps = {
        { name = "read", thresholds = {
          { metric = "iops", min = 10, max = cjson.null, min_open = false, max_open = false, unit = "IOPS",
            peers = false, history = false, some_servers = false },
          { metric = "p99", min = 1, max = 50, min_open = true, max_open = true, unit = "ms",
            peers = false, history = false, some_servers = false },
          { metric = "wear", min = cjson.null, max = 5, min_open = false, max_open = false, unit = cjson.null,
            peers = false, history = false, some_servers = true },
          { metric = "wear", min = cjson.null, max = 9, min_open = false, max_open = false, unit = cjson.null,
            peers = true, history = false, some_servers = false } }, destructive = false, pair = false },
        { name = "note", thresholds = {}, destructive = false, pair = false },
      } } } }, cjson.decode(result.stdout))
  end)

  it("looks into scripts here, else at the installed ones", function()
    local here = T.tmpdir()
    assert(os.execute("mkdir " .. T.quote(here .. "/scripts")))
    T.write(here .. "/scripts/own.lua", SCRIPT)
    assert.is_truthy(T.run { "list", cwd = here }.stdout:find("^scripts/own.lua: "))
    local result = T.run { "list", cwd = dir }
    assert.equals(0, result.code)
    assert.is_truthy(result.stdout:find("/scripts/cpu.lua: ", 1, true), result.stdout)
  end)

  it("says what cannot be loaded, and shows the rest", function()
    local folder = T.tmpdir()
    T.write(folder .. "/bad.lua", "return {")
    T.write(folder .. "/good.lua", SCRIPT)
    local result = T.run { "list", folder }
    assert.equals(2, result.code)
    assert.is_truthy(result.stderr:find("^muster list: .*bad.lua:1:9: "), result.stderr)
    assert.is_truthy(result.stdout:find("good.lua: the disk", 1, true))
    result = T.run { "list", "--json", folder }
    assert.equals(2, result.code)
    local bad = cjson.decode(result.stdout).scripts[1]
    assert.is_truthy(bad.error:find("bad.lua:1:9: ", 1, true))
    assert.is_nil(bad.steps)
  end)

  it("says when there is nothing", function()
    local empty = T.tmpdir()
    local result = T.run { "list", empty }
    assert.same({ 2, "", "muster list: no scripts (*.lua) in " .. empty .. "\n" }, { result.code, result.stdout, result.stderr })
    result = T.run { "list", empty .. "/none.lua" }
    assert.equals(2, result.code)
    assert.is_truthy(result.stderr:find("none.lua: No such file", 1, true), result.stderr)
  end)
end)
