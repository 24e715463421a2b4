-- Files of many tasks on four workers, small enough for the thread sanitizer.
local T = require "muster_test"

describe("files on four workers", function()
  it("keep to their worker", function()
    local dir = T.tmpdir()
    local args = { "--workers", "4", "-j", "8", "-p", "dir=" .. dir }
    for i = 1, 8 do args[#args + 1] = "s" .. i end
    T.write(dir .. "/file", ("0123456789abcdef"):rep(20000))
    local r = T.run_local([[
      local muster = require "muster"
      return { params = { dir = "" }, steps = { { name = "s", run = function(server, params)
        local mine = params.dir .. "/" .. server.id
        local up, text = muster.gather {
          server:spawn(server.upload, server, params.dir .. "/file", mine),
          server:spawn(function() server:write_file(mine .. ".t", "text") return server:read_file(mine .. ".t") end) }
        local down = server:download(mine, mine .. ".back")
        assert(text == "text" and up.sha256 == down.sha256)
        return down.bytes
      end } } }]], { args = args })
    assert.equals(0, r.code, r.stderr)
    for _, server in ipairs(r.results.servers) do assert.equals(320000, server.steps[1].metrics.score.value) end
    assert.is_nil(r.stderr:find("ThreadSanitizer", 1, true))
  end)
end)
