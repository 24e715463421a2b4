-- Bad input: one line on standard error that names the place, exit code 2, and nothing has run.
local S = require "ssh_support"
local T = require "muster_test"

describe("bad input", function()
  local fleet, dir, good, inventory, key, known_hosts, marker

  setup(function()
    fleet = T.fleet_start(1)
    local server = fleet.servers.srv01
    dir = T.tmpdir()
    key, known_hosts, inventory = fleet.key, fleet.known_hosts, fleet.inventory
    -- What a step would leave behind if it ran: on the server, where the server's user may write.
    marker = fleet.dir .. "/srv01/home/ran"
    good = T.write(dir .. "/good.lua", ([[
      local muster = require "muster"
      return muster.script {
        params = { seconds = 10, label = "x" },
        steps = { { name = "one", run = function(server) server:exec("touch %s") end } },
      }]]):format(marker))
    assert(server.user)
  end)

  local function script(text)
    return T.write(dir .. "/bad.lua", text:gsub("TOUCH", ('server:exec("touch %s")'):format(marker)))
  end

  local function file(name, text) return T.write(dir .. "/" .. name, text) end

  local function run(arguments)
    local words = { "run" }
    for _, word in ipairs(arguments) do words[#words + 1] = word end
    return T.run(words)
  end

  local function refuses(arguments, ...)
    local with = { "--known-hosts", known_hosts, "--key", key }
    for _, word in ipairs(arguments) do with[#with + 1] = word end
    local result = run(with)
    local lines = {}
    for _, line in ipairs(T.lines(result.stderr)) do
      -- Keys and known hosts are read when the log has begun: it says what is to run.
      if not line:find "^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d %[info " then lines[#lines + 1] = line end
    end
    assert.equal(2, result.code, result.stderr)
    assert.equal(1, #lines, result.stderr)
    assert.equal("", result.stdout)
    for _, text in ipairs { ... } do
      assert.is_truthy(lines[1]:find(text, 1, true), ("no %q in %s"):format(text, lines[1]))
    end
    assert.is_false(S.exists(marker))
  end

  it("is told from good input, which runs", function()
    local result = run { good, "-i", inventory, "--known-hosts", known_hosts }
    assert.equal(0, result.code, result.stderr)
    assert.is_true(S.exists(marker))
    os.remove(marker)
  end)

  it("in options", function()
    refuses({ good, "-i", inventory, "--no-such-option" }, "--no-such-option")
    refuses({ good, "-i", inventory, "-Z" }, "-Z")
    refuses({ good, "-i", inventory, "--forks" }, "--forks")
    refuses({ good, "-i", inventory, "-j", "0" }, "--forks", "'0'")
    refuses({ good, "-i", inventory, "-j", "many" }, "--forks", "many")
    refuses({ good, "-i", inventory, "--timeout", "5 parsecs" }, "--timeout", "5 parsecs")
    refuses({ good, "-i", inventory, "--grace", "-1s" }, "--grace", "-1s")
    refuses({ good, "-i", inventory, "--task-memory", "lots" }, "--task-memory", "lots")
    refuses({ good, "-i", inventory, "--host-key-policy", "trusting" }, "--host-key-policy", "trusting")
    refuses({ good, "-i", inventory, "--log-level", "loud" }, "--log-level", "loud")
    refuses({ good, "-i", inventory, "--log-format", "xml" }, "--log-format", "xml")
    refuses({ good, "-i", inventory, "--color", "mauve" }, "--color", "mauve")
  end)

  it("in the script's file", function()
    refuses({ "-i", inventory }, "no script")
    refuses({ dir .. "/none.lua", "-i", inventory }, dir .. "/none.lua")
    refuses({ dir, "-i", inventory }, dir)
    refuses({ script "return require('muster').script {\n  steps = {,},\n}", "-i", inventory }, "bad.lua:2:")
    refuses({ script "local x = 1", "-i", inventory }, "bad.lua")
    refuses({ script "return 42", "-i", inventory }, "bad.lua")
    refuses({ script "\nerror('no licence')", "-i", inventory }, "bad.lua:2:", "no licence")
    refuses({ script "\n\nlocal n = nil + 1", "-i", inventory }, "bad.lua:3:")
    refuses({ script "require 'no_such_module'", "-i", inventory }, "no_such_module")
    refuses({ script "return require('muster').script { steps = {} }", "-i", inventory }, "bad.lua", "steps")
    refuses({ script [[return require('muster').script {
      steps = { { name = "one", run = function(server) TOUCH end, treshold = {} } } }]], "-i", inventory },
      "bad.lua", "treshold")
    refuses({ script [[return require('muster').script {
      steps = { { name = "one", run = function(server) TOUCH end, thresholds = { score = { min = 9, max = 1 } } } } }]],
      "-i", inventory }, "bad.lua", "score")
    refuses({ script [[return require('muster').script {
      steps = { { name = "one", run = function(server) TOUCH end }, { name = "one", run = print } } }]],
      "-i", inventory }, "bad.lua", "one")
  end)

  it("in parameters", function()
    refuses({ good, "-i", inventory, "-p", "second=3" }, "second")
    refuses({ good, "-i", inventory, "-p", "seconds=soon" }, "seconds", "soon")
    refuses({ good, "-i", inventory, "-p", "seconds" }, "seconds")
    refuses({ good, "-i", inventory, "-p", "=3" }, "-p")
  end)

  it("in inventories", function()
    refuses({ good, "-i", dir .. "/none.json" }, dir .. "/none.json")
    refuses({ good, "-i", file("bad.json", '[\n  {"id": "srv01",}\n]\n') }, dir .. "/bad.json:2:")
    refuses({ good, "-i", file("twice.txt", "srv01\n\nsrv01\n") }, "twice.txt:3", "srv01", "twice.txt:1")
    refuses({ good, "-i", file("twice.json", '["srv01", "srv01"]') }, "twice.json", "srv01")
    refuses({ good, "-i", file("port.txt", "srv01 port=22\nsrv02 port=65536\n") }, "port.txt:2", "65536")
    refuses({ good, "-i", file("port.json", '[{"id": "srv02", "port": 0}]') }, "port.json", "srv02")
    refuses({ good, "-i", file("field.json", '[{"id": "srv02", "hostname": "x"}]') }, "field.json", "hostname")
    refuses({ good, "-i", file("key.json", '[{"id": "srv02", "key": "none"}]') }, "server srv02: private key " .. dir ..
      "/none")
    refuses({ good, "-i", file("empty.txt", "# nobody yet\n") }, "empty.txt")
    refuses({ good, "-i", file("none.json", "[]") }, "none.json")
  end)

  it("in the choice of servers", function()
    refuses({ good }, "no server")
    refuses({ good, "-i", inventory, "--limit", "web*" }, "web*")
    refuses({ good, "-i", inventory, "--limit", "srv[1-" }, "srv[1-")
    refuses({ good, "-i", inventory, "--limit", "!srv01" }, "--limit")
    refuses({ good, "-i", inventory, "srv01:99999" }, "99999")
  end)

  it("in files to read and to write", function()
    refuses({ good, "-i", inventory, "--junit", dir .. "/none/junit.xml" }, dir .. "/none/junit.xml")
    refuses({ good, "-i", inventory, "--json", dir }, dir)
    refuses({ good, "-i", inventory, "--log-file", dir .. "/none/log" }, dir .. "/none/log")
    refuses({ good, "-i", inventory, "--known-hosts", dir .. "/none" }, dir .. "/none")
    refuses({ good, "-i", inventory, "--key", dir .. "/none" }, dir .. "/none")
    refuses({ good, "-i", inventory, "--key", file("nokey", "this is no key\n") }, dir .. "/nokey")
    refuses({ good, "-i", inventory, "--password-file", dir .. "/none" }, dir .. "/none")
    refuses({ good, "-i", inventory, "--passphrase-env", "SPEC_NOT_SET" }, "SPEC_NOT_SET")
  end)
end)
