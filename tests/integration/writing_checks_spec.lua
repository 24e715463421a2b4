-- docs/writing-checks.md: its files and commands, as they stand on the page, on real sshds. The servers have a sysbench and
-- a sensors that always say the same; addresses, logins and the inventory API's URL are put in place of the page's. What
-- muster says is compared line by line, but for dates, durations and addresses.
local H = require "writing_checks_support"
local T = require "muster_test"

local PAGE = T.read(T.source .. "/docs/writing-checks.md")

describe("the page on writing checks", function()
  local bench
  setup(function()
    bench = H.start()
    bench:new "memory"
  end)
  teardown(function() bench:stop() end)

  -- The page from its top: files are written where they stand, then commands run.
  local seen = 0
  for kind, what, body in PAGE:gmatch "<!%-%- (%l+): (%S+) %-%->\n```%l*\n(.-)\n```\n" do
    seen = seen + 1
    if kind == "file" then
      it("has the file " .. what, function() bench:write(what, body) end)
    elseif kind == "run" then
      local command, said = body:match "^%$ muster ([^\n]*)\n?(.*)$"
      it("shows what this says: muster " .. command, function()
        local r = bench:run(command)
        if r.code == 2 then bench:correct("memory.lua", "bandwith", "bandwidth") end
        assert.equal(H.plain(said), H.plain(r.stderr .. r.stdout))
        assert.equal(tonumber(what), r.code)
      end)
    else
      it("has this talk with the console", function()
        local lines, answers = {}, {}
        for line in body:gsub("^[^\n]*\n", ""):gmatch "[^\n]+" do
          local typed = line:match "^muster> (.*)$"
          table.insert(typed and lines or answers, typed or line)
        end
        local r = bench:run(body:match "^%$ muster ([^\n]*)", table.concat(lines, "\n") .. "\n")
        assert.equal(H.plain(table.concat(answers, "\n")), H.plain(r.stdout))
        assert.equal(0, r.code)
      end)
    end
  end

  it("has so many of them", function()
    assert.equal(20, seen)
    local script = PAGE:match "<!%-%- file: burn.lua %-%->\n```lua\n(.-)\n```"
    assert.truthy(#T.lines(script) <= 30, #T.lines(script))
  end)
end)
