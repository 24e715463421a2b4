-- muster.json: what JSON says, without a digit lost, and a clear word when that cannot be.
local T = require "muster_test"

local body = [==[
  local json = muster.json
  local cjson = require "cjson"
  local function message(...) local ok, e = pcall(...) return ok and "NO ERROR" or tostring(e) end
  local function kind(text) local v = json.decode(text) return math.type(v) .. ":" .. tostring(v) end

  tell("kinds", kind "12", kind "-7", kind "12.0", kind "1e3", kind "1.5", kind "0", kind "1e300", kind "-9007199254740992",
    kind "9007199254740992")
  local t = json.decode [[ {"i": 3, "list": [1, {"n": 2.0}, 2.5], "s": "12345678901234567890", "e": "\"99999999999999999999",
    "b": true, "z": null, "99999999999999999999": 1} ]]
  tell("tree", math.type(t.i), math.type(t.list[1]), math.type(t.list[2].n), math.type(t.list[3]), t.s, t.e, t.b,
    t.z == json.null, t.z == cjson.null, t["99999999999999999999"])
  for i, text in ipairs { "9007199254740993", "-9007199254740993", "[1, 12345678901234567890]",
    '{"a": "99999999999999999999", "b": 10000000000000000}', "[00000000009007199254740993]" } do
    tell("large" .. i, message(json.decode, text))
  end
  for i, text in ipairs { "", "{", "[1,]", "nil", "[NaN]", "[Infinity]", "[0x10]", "{'a': 1}", '"a', "[1] x", "\0",
    ("["):rep(2000), '"\\', "-", "[1 2]" } do
    tell("bad" .. i, message(json.decode, text))
  end
  tell("type", message(json.decode, 5), message(json.decode), message(json.decode, {}))

  tell("encode", json.encode(1), json.encode(1.5), json.encode(12.0), json.encode "a\"\\\n\1é", json.encode(true),
    json.encode(json.null), json.encode {}, json.encode(json.array()), json.encode(json.array {}), json.encode { 1, "b", {} },
    json.encode(json.array { 1, 2 }), json.encode { { { x = { 1 } } } })
  tell("digits", json.encode(9007199254740993), json.encode(math.mininteger), json.encode(0.1), json.encode(1 / 3),
    json.decode(json.encode(1 / 3)) == 1 / 3, json.decode(json.encode(123456789012345)) == 123456789012345)
  local round = { a = { 1, 2, { b = "x" } }, c = { d = false, e = json.null }, [""] = "", list = { {}, { 0 } } }
  local back = json.decode(json.encode(round))
  tell("round", back.a[3].b, back.c.d, back.c.e == json.null, back[""], #back.list, back.list[2][1], math.type(back.a[1]))
  local self = {} self.me = { self }
  local odd = json.array { 1 } odd.x = 2
  local deep = {} for _ = 1, 2000 do deep = { deep } end
  for i, value in ipairs { { x = { 1, { y = 0 / 0 } } }, { 1 / 0 }, -1 / 0, { 1, 2, [4] = 4 }, { [2] = 1 }, { 1, x = 2 },
    { [1.5] = 1 }, { [true] = 1 }, { f = print }, { "\xff" }, { ["\xff"] = 1 }, self, odd, { co = coroutine.create(print) },
    deep, { server } } do
    tell("cannot" .. i, message(json.encode, value))
  end
  tell("nil", message(json.encode, nil), message(json.encode), message(json.array, 5),
    message(json.array, setmetatable({}, {})), message(function() json.x = 1 end))
  cjson.decode_invalid_numbers(true)
  tell("own", message(json.decode, "[NaN]"))
]==]

describe("muster.json", function()
  local told, result = {}, nil
  setup(function()
    result = T.run_local(([[
      local muster = require "muster"
      local function tell(name, ...)
        local list = table.pack(...)
        for i = 1, list.n do list[i] = tostring(list[i]) end
        print(("TOLD %%s\1%%s"):format(name, table.concat(list, "\1")))
      end
      return { steps = { { name = "s", run = function(server) %s end } } }]]):format(body))
    assert(result.results, result.stderr)
    local step = result.results.servers[1].steps[1]
    assert.equals("passed", step.status, result.stderr)
    for line in (step.log):gmatch "TOLD ([^\n]*)" do
      local list = {}
      for word in (line:gsub("\\x01", "\1") .. "\1"):gmatch "([^\1]*)\1" do list[#list + 1] = word end
      told[table.remove(list, 1)] = list
    end
  end)

  it("gives whole numbers as integers, however they were written", function()
    assert.same({ "integer:12", "integer:-7", "integer:12", "integer:1000", "float:1.5", "integer:0", "float:1e+300",
      "integer:-9007199254740992", "integer:9007199254740992" }, told.kinds)
    assert.same({ "integer", "integer", "integer", "float", "12345678901234567890" }, { table.unpack(told.tree, 1, 5) })
    assert.same({ "true", "true", "true", "1" }, { table.unpack(told.tree, 7, 10) })
  end)

  it("raises where a whole number would lose digits, with its offset", function()
    assert.matches("whole number 9007199254740993 at offset 0 is beyond 2^53", told.large1[1], 1, true)
    assert.matches("whole number -9007199254740993 at offset 0", told.large2[1], 1, true)
    assert.matches("whole number 12345678901234567890 at offset 4", told.large3[1], 1, true)
    assert.matches("whole number 10000000000000000 at offset 35", told.large4[1], 1, true)
    assert.matches("at offset 1 is", told.large5[1], 1, true)
  end)

  it("says what is no JSON", function()
    for i = 1, 15 do
      assert.matches("json: ", told["bad" .. i][1], 1, true)
    end
    for _, text in ipairs(told.type) do assert.matches("json: decode takes text, not a", text, 1, true) end
    assert.matches("json: ", told.own[1], 1, true)
  end)

  it("writes what it is given", function()
    assert.same({ "1", "1.5", "12" }, { table.unpack(told.encode, 1, 3) })
    assert.same({ "true", "null", "{}", "[]", "[]", '[1,"b",{}]', "[1,2]", '[[{"x":[1]}]]' },
      { table.unpack(told.encode, 5, 12) })
    assert.same({ "9007199254740993", "-9223372036854775808", "0.1", "0.3333333333333333", "true", "true" }, told.digits)
    assert.same({ "x", "false", "true", "", "2", "0", "integer" }, told.round)
  end)

  it("says what it cannot write, and where", function()
    for i, text in ipairs { "json: encode at x[2].y: JSON has no NaN", "at [1]: JSON has no NaN", "encode: JSON has no NaN",
      "a list with holes: use muster.json.null", "a list with holes", "a table with names and positions",
      "a key that is a number", "a key that is a boolean", "at f: a function cannot be written", "at [1]: text must be UTF-8",
      "text must be UTF-8", "tables are nested too deeply, or hold themselves", "an array with names in it",
      "at co: a thread cannot be written", "nested too deeply", "at [1]: a userdata cannot be written" } do
      assert.matches(text, told["cannot" .. i][1], 1, true)
    end
    assert.matches("a nil cannot be written; null is muster.json.null", told["nil"][1], 1, true)
    assert.matches("value expected", told["nil"][2], 1, true)
    assert.matches("table expected", told["nil"][3], 1, true)
    assert.matches("has a metatable already", told["nil"][4], 1, true)
    assert.matches("muster.json is shared by all servers and read-only", told["nil"][5], 1, true)
  end)
end)
