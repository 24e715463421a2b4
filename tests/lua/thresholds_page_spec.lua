-- docs/thresholds.md: its files and commands, as they stand on the page, and its figures.
local T = require "muster_test"

local PAGE = T.read(T.source .. "/docs/thresholds.md")

describe("the page on thresholds", function()
  local dir
  setup(function()
    dir = T.tmpdir()
    local n = 0
    for name, text in PAGE:gmatch "<!%-%- file: (%S+) %-%->\n```%l*\n(.-\n)```\n" do
      T.write(dir .. "/" .. name, text)
      n = n + 1
    end
    assert.equal(12, n)
  end)

  local runs = 0
  for command, said in PAGE:gmatch "<!%-%- run: (muster [^\n]-) %-%->\n```\n(.-\n)```\n" do
    runs = runs + 1
    it("shows what this says: " .. command, function()
      local r = T.exec { "sh", "-c", (command:gsub("^muster", (T.quote(T.muster):gsub("%%", "%%%%")))), cwd = dir,
        env = { HOME = T.home(), SSH_AUTH_SOCK = false, NO_COLOR = false } }
      assert.equal(said, r.code == 2 and r.stderr or r.stdout)
      assert.equal(said:find "^muster run: " and 2 or 1, r.code)
    end)
  end

  it("has such examples", function() assert.equal(8, runs) end)

  it("shows what this says of a server's past", function()
    local command, said = PAGE:match "<!%-%- past: muster ([^\n]-) %-%->\n```\n(.-\n)```\n"
    local function run(text)
      T.write(dir .. "/history.txt", text)
      return T.exec { "sh", "-c", T.quote(T.muster) .. " " .. command .. " --db past.db", cwd = dir, env = { HOME = T.home() } }
    end
    for _, score in ipairs { 71, 70, 72, 71, 300, 71, 70, 72, 71, 71 } do
      assert.equal(0, run("srv01 score=" .. score .. "\n").code)
    end
    local r = run "srv01 score=61\nsrv02 score=50\n"
    assert.equal(said, r.stdout)
    assert.equal(1, r.code)
  end)

  it("says of samples what the log says", function()
    local r = T.run { "run", dir .. "/samples.lua", "-i", dir .. "/hosts.txt", "--local" }
    local line = PAGE:match "The log says `(.-)`"
    assert.truthy(r.stderr:find(line, 1, true), r.stderr)
  end)

  it("has the figures of the simulation", function()
    local r = T.exec { os.getenv "MUSTER_BUILD" .. "/tests/unit/unit_results_peers" }
    assert.equal(0, r.code)
    local rows = 0
    for row in r.stdout:gmatch "|[^\n]+|\n" do
      assert.truthy(PAGE:find("\n" .. row, 1, true), row)
      rows = rows + 1
    end
    assert.equal(10, rows) -- with its head
  end)
end)
