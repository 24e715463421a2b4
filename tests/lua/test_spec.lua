-- muster test: busted inside muster: what it finds, prints, and ends with.
local T = require "muster_test"

local PASSES = "describe('arithmetic', function() it('adds', function() assert.equals(2, 1 + 1) end)\n" ..
  "it('subtracts', function() assert.equals(0, 1 - 1) end) end)"
local FAILS = "it('is wrong', function() assert.equals(3, 1 + 1) end)"

local function folder(files)
  local dir = T.tmpdir()
  for name, text in pairs(files) do
    local sub = name:match "^(.*)/"
    if sub then assert(os.execute("mkdir -p " .. T.quote(dir .. "/" .. sub))) end
    T.write(dir .. "/" .. name, text)
  end
  return dir
end

-- muster test in a folder of these files: its result.
local function test(files, ...)
  local arguments = { "test", ... }
  arguments.cwd = folder(files)
  return T.run(arguments)
end

describe("muster test", function()
  it("passes with 0, fails with 1, and prints what busted prints", function()
    local result = test { ["a_spec.lua"] = PASSES }
    assert.same({ 0, "" }, { result.code, result.stderr })
    assert.is_truthy(result.stdout:find("2 successes / 0 failures / 0 errors / 0 pending", 1, true), result.stdout)
    result = test { ["a_spec.lua"] = PASSES, ["b_spec.lua"] = FAILS }
    assert.equals(1, result.code)
    assert.is_truthy(result.stdout:find("2 successes / 1 failure / 0 errors / 0 pending", 1, true), result.stdout)
    assert.is_truthy(result.stdout:find("b_spec.lua", 1, true), result.stdout)
    for _, text in ipairs { "error 'broken'", "this is no Lua", "it('ends', function() os.exit(0) end)" } do
      result = test { ["a_spec.lua"] = text, ["b_spec.lua"] = PASSES }
      assert.equals(1, result.code, result.stdout)
    end
  end)

  it("finds specs here, and under spec and scripts", function()
    local result = test({ ["a_spec.lua"] = PASSES, ["spec/deep/b_spec.lua"] = PASSES, ["scripts/spec/c_spec.lua"] = PASSES,
      ["other/d_spec.lua"] = FAILS, ["e.lua"] = FAILS, [".hidden_spec.lua"] = FAILS })
    assert.equals(0, result.code)
    assert.is_truthy(result.stdout:find "^[^\n]*\n6 successes", result.stdout)
  end)

  it("takes files and folders", function()
    local files = { ["one.lua"] = PASSES, ["two/a_spec.lua"] = PASSES, ["two/b.lua"] = FAILS, ["-c.lua"] = PASSES }
    local result = test(files, "one.lua", "two/", "--", "-c.lua")
    assert.equals(0, result.code, result.stderr)
    assert.is_truthy(result.stdout:find("6 successes", 1, true), result.stdout)
  end)

  it("hands busted its options", function()
    local files = { ["a_spec.lua"] = PASSES .. FAILS }
    local result = test(files, "--filter", "adds", "-o", "TAP")
    assert.equals(0, result.code)
    assert.is_truthy(result.stdout:find("1..1", 1, true), result.stdout)
    result = test(files, "--list", "--shuffle")
    assert.equals(0, result.code)
    assert.is_truthy(result.stdout:find("a_spec.lua:2: arithmetic subtracts", 1, true), result.stdout)
    result = test(files, "--output", "nothing_like_it")
    assert.equals(1, result.code)
  end)

  it("is misused with 2 and one line", function()
    for _, case in ipairs {
      { {}, "no *_spec.lua here, in spec or in scripts" },
      { { ["a_spec.lua"] = PASSES }, "missing.lua: no such file or folder", "missing.lua" },
      { { ["x/a.lua"] = PASSES }, "no *_spec.lua in x", "x" },
      { { ["a_spec.lua"] = "local unused" }, "there is no test in a_spec.lua" },
      { { ["a_spec.lua"] = PASSES }, "no test's name matches the filter", "--filter", "multiplies" },
      { { ["a,b_spec.lua"] = PASSES }, "a,b_spec.lua: busted takes no file with a comma in its name" },
    } do
      local result = test(case[1], table.unpack(case, 3))
      assert.equals("muster test: " .. case[2] .. "\n", result.stderr)
      assert.equals(2, result.code)
    end
  end)

  it("names the package when busted is not there", function()
    local dir = folder { ["a_spec.lua"] = PASSES }
    -- A path for modules in which there is nothing.
    local result = T.run { "test", cwd = dir, env = { LUA_PATH_5_4 = dir .. "/?.lua", LUA_CPATH_5_4 = dir .. "/?.so" } }
    assert.same({ 2, "muster test: busted is not installed: apt-get install lua-busted\n" }, { result.code, result.stderr })
  end)

  it("runs specs with Lua's whole library, and modules of Lua 5.4", function()
    local result = test { ["a_spec.lua"] = [[
      it("has it", function()
        assert.is_function(os.execute)
        assert.is_function(debug.sethook)
        assert.equals("1", io.popen "echo 1":read "l")
        assert.equals("Lua 5.4", _VERSION)
        assert.is_function(require "cjson".decode)
      end)]] }
    assert.equals(0, result.code, result.stdout)
  end)
end)
