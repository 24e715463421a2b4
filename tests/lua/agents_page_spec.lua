-- docs/agents.md: the permissions on it are those that tests run with, its options are options, and its messages are said.
local T = require "muster_test"

local PAGE = T.read(T.source .. "/docs/agents.md")

local function help(command) return T.exec({ T.muster, command, "--help" }).stdout end

describe("the page on agents", function()
  it("has the permissions of tests/data/nats/permissions.conf", function()
    local text = PAGE:match "<!%-%- file: permissions.conf %-%->\n```\n(.-)```\n"
    assert.equal(T.read(T.source .. "/tests/data/nats/permissions.conf"), text)
  end)

  it("names options that there are", function()
    local all = help "agent" .. help "agents" .. help "run" .. help "cleanup" .. help "resume"
    local n = 0
    for option in PAGE:gsub("`tools/demo.-`", ""):gmatch "%f[-]%-%-(%l[%l-]+)" do
      assert(all:find("--" .. option, 1, true), "--" .. option)
      n = n + 1
    end
    assert.is_true(n > 40, n)
  end)

  it("has a unit that begins an agent", function()
    local line = PAGE:match "\nExecStart=/usr/local/bin/muster (.-[^\\])\n":gsub("\\\n", " ")
    local words, n = line:gsub("tls://nats%.example%.org%S*", "nats://127.0.0.1:1")
    assert.equal(1, n)
    local result = T.exec { "sh", "-c", T.quote(T.muster) .. " " .. words }
    assert.equal(2, result.code)
    -- All of it is understood: what is wrong is a file that is not there, or the network.
    assert.is_nil(result.stderr:find("--help", 1, true), result.stderr)
  end)

  it("explains messages that there are", function()
    local sources = {}
    for path in T.exec({ "sh", "-c", "ls host/*.c host/*/*.c", cwd = T.source }).stdout:gmatch "%S+" do
      -- As they are said: texts in pieces are one.
      sources[#sources + 1] = T.read(T.source .. "/" .. path):gsub('"%s*\n%s*"', "")
    end
    local text = table.concat(sources, "\n")
    local n = 0
    for message in PAGE:match "\n## Trouble\n(.*)$":gmatch "\n| `(.-)` |" do
      for part in (message .. "…"):gmatch "%s*(.-)%s*…" do
        assert(part == "" or text:find(part, 1, true), "nobody says: " .. part)
      end
      n = n + 1
    end
    assert.is_true(n >= 8, n)
  end)
end)
