-- docs/patterns.md: the patterns of its table choose what it says, and its errors are as they stand there.
local T = require "muster_test"

local PAGE = T.read(T.source .. "/docs/patterns.md")

describe("the page on patterns", function()
  local dir
  setup(function()
    dir = T.tmpdir()
    T.write(dir .. "/fleet.txt", assert(PAGE:match "<!%-%- file: fleet.txt %-%->\n```text\n(.-\n)```\n"))
    T.write(dir .. "/failed.txt", "# last night\nfailed_servers=[web03, db2]\nweb02\n")
    T.write(dir .. "/cpu.lua", "return require('muster').script { steps = { { name = 'cpu', run = print } } }")
  end)

  local function run(words)
    return T.exec { "sh", "-c", T.quote(T.muster) .. " run cpu.lua -i fleet.txt " .. words, cwd = dir }
  end

  local rows = 0
  for cell, set in PAGE:gmatch "\n| (`[^\n]-`) | `([^\n]-)` |%f[\n]" do
    for pattern in cell:gmatch "`(.-)`" do
      rows = rows + 1
      pattern = pattern:gsub("\\|", "|")
      it("says whom this chooses: " .. pattern, function()
        for _, words in ipairs { "--limit " .. T.quote(pattern), "-- " .. T.quote(pattern) } do
          local r = run("--list-hosts " .. words)
          assert.equal(0, r.code, r.stderr)
          local n, names = r.stderr:match "(%d+) servers?: ([^\n]*)\n$"
          assert.equal(set, names)
          assert.equal(tonumber(n), #T.lines(r.stdout))
        end
      end)
    end
  end

  it("has such patterns", function() assert.equal(27, rows) end)

  local errors = 0
  for command, said in PAGE:gmatch "<!%-%- run: muster run cpu.lua %-i fleet.txt ([^\n]-) %-%->\n```text\n(.-\n)```\n" do
    errors = errors + 1
    it("shows what this says: " .. command, function()
      local r = run(command)
      assert.equal(2, r.code)
      assert.equal(said, r.stderr)
    end)
  end

  it("shows errors", function() assert.equal(4, errors) end)
end)
