-- Servers that are quicker than muster: whatever they answer while a command is only being started is not overlooked.
local S = require "ssh_support"
local T = require "muster_test"

-- Makes muster rest after each packet that it sends; sanitizers do not bear it, and go without.
local SLOW = (os.getenv "MUSTER_BUILD" or "") .. "/tests/slow_send.so"

describe("a quick server", function()
  it("has its first lines handed over while the command waits for what comes of them", function()
    local fleet = T.fleet_start(2)
    local result = fleet:run(([[
      return require("muster").script { steps = { { name = "one", run = function(server)
        server:exec "true"
        local lines = {}
        server:exec("echo first; echo second >&2; until [ -e go ]; do sleep 0.05; done; echo last", { timeout = 60,
          on_line = function(line)
            lines[#lines + 1] = line
            if #lines == 2 then assert(io.open("%s/" .. server.id .. "/home" .. "/go", "w")):close() end
          end })
        return #lines
      end, thresholds = { score = { min = 3, max = 3 } } } } } ]]):format(fleet.dir),
      { env = S.exists(SLOW) and { LD_PRELOAD = SLOW } or nil })
    assert.equal(0, result.code, result.stdout .. result.stderr)
  end)
end)
