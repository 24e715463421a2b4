-- server:keep: what it takes and refuses; what is kept of it, and written out, `muster artefacts` says.
local T = require "muster_test"

local function exists(path)
  local found = io.open(path)
  if found then found:close() end
  return found ~= nil
end

local function run_with(body, ...)
  local dir = T.tmpdir()
  local db = dir .. "/results.db"
  local script = T.write(dir .. "/keep.lua", ([[
return { params = { again = "" }, steps = { { name = "s", timeout = "20s", run = function(server, params) %s end } } }]]):format(body))
  local result = T.run { "run", script, "--local", "--log-format", "json", "--db", db, ... }
  return result, db, dir
end

local function list(db, ...) return T.run { "artefacts", "--db", db, ... } end

describe("server:keep", function()
  it("keeps text and bytes with the run, the last by each name", function()
    local result, db, dir = run_with([[
server:keep("note.txt", "first")
server:keep("note.txt", "of " .. server.id)
server:keep("bytes", "\0\1\255\n")
server:keep("empty", "")
return 1]], "a", "../b")
    assert.equals(0, result.code, result.stderr)
    assert.equals("a  4  bytes\na  0  empty\na  4  note.txt\n../b  4  bytes\n../b  0  empty\n../b  7  note.txt\n", list(db).stdout)
    local one = list(db, result.stderr:match "Run (%d+T%d+Z%-%x+)", "a")
    assert.equals("a  4  bytes\na  0  empty\na  4  note.txt\n", one.stdout, one.stderr)
    local to = dir .. "/out"
    local written = list(db, "--to", to)
    assert.equals(0, written.code, written.stderr)
    assert.truthy(written.stderr:find("^6 artefacts of the run .* written to "), written.stderr)
    assert.equals("of a", T.read(to .. "/a/note.txt"))
    assert.equals("\0\1\255\n", T.read(to .. "/a/bytes"))
    assert.equals("of ../b", T.read(to .. "/_._b/note.txt"))
    local twice = list(db, "--to", to)
    assert.equals(2, twice.code)
    assert.truthy(twice.stderr:find("muster artefacts: --to: cannot write " .. to .. "/a/bytes: File exists", 1, true), twice.stderr)
  end)

  it("refuses names that are no files, other values, and too much", function()
    local result, db = run_with([[
local function no(why, ...)
  local ok, err = pcall(server.keep, server, ...)
  if ok or not tostring(err):find(why, 1, true) then error(why .. ": " .. tostring(err)) end
end
for _, name in ipairs { "", ".", "..", "../x", "a/b", ".x", "-x", "a b", "a\0b", "\27[31m", ("x"):rep(101) } do no("a name has", name, "x") end
no("string expected", "x", 3)
no("string expected", "x")
no("string expected", nil, "x")
local mib = ("x"):rep(2^20)
no("more than 1048576: keep a part of it", "x", mib .. "x")
for i = 1, 16 do server:keep("part" .. i, mib) end
no("it would be more than 16777216 bytes of one server", "x", "x")
return 1]], "a")
    assert.equals(0, result.code, result.stderr)
    assert.equals(16, select(2, list(db).stdout:gsub("1048576", "")))
  end)

  it("does nothing where nothing is kept, and is kept of a step that fails or is cancelled", function()
    local dir = T.tmpdir()
    local script = T.write(dir .. "/keep.lua", [[
return { steps = {
  { name = "bad", run = function(server) server:keep("bad", "1"); error "broken" end },
  { name = "long", timeout = "200ms", run = function(server)
      server:keep("before", "2")
      local ok <close> = setmetatable({}, { __close = function() server:keep("closing", "3") end })
      while true do pcall(function() server:exec "sleep 60" end); server:keep("after", "4") end
    end } },
  teardown = function(server) server:keep("teardown", "5") end }]])
    local result = T.run { "run", script, "--local", "--no-db", "a" }
    assert.equals(3, result.code, result.stderr)
    result = T.run { "run", script, "--local", "--db", dir .. "/r.db", "a" }
    assert.equals(3, result.code, result.stderr)
    assert.equals("a  1  bad\na  1  before\na  1  closing\na  1  teardown\n", list(dir .. "/r.db").stdout)
    assert.is_false(exists(dir .. "/results.db"))
  end)

  it("says what there is not", function()
    local dir = T.tmpdir()
    local script = T.write(dir .. "/top.lua", 'return { steps = { { name = "s", run = function() return 1 end } } }')
    local result = T.run { "run", script, "--local", "--db", dir .. "/r.db", "a" }
    assert.equals(0, result.code, result.stderr)
    local none = list(dir .. "/r.db")
    assert.equals("", none.stdout)
    assert.truthy(none.stderr:find("^0 artefacts of the run "), none.stderr)
    for _, case in ipairs { { "no such", "--db", dir .. "/none.db" }, { "had no server b", "--db", dir .. "/r.db", result.stderr:match
      "Run (%S+), kept", "b" }, { "there is no run", "--db", dir .. "/r.db", "1999" }, { "one run", "a", "b", "c" } } do
      local wrong = T.run { "artefacts", table.unpack(case, 2) }
      assert.equals(2, wrong.code)
      assert.truthy(wrong.stderr:find "^muster artefacts: ", wrong.stderr)
    end
  end)
end)
