-- Other SSH servers than OpenSSH's: small ones, as appliances and rescue systems have them.
local S = require "ssh_support"
local T = require "muster_test"

local SCRIPT = [[
  local muster = require "muster"
  return muster.script { params = { one = false }, steps = { { name = "all", run = function(server, params)
    -- tinyssh ends the connection with its first command.
    local function again() if params.one then server:reconnect() end end
    local out = server:exec("echo out; echo err >&2; exit 3", { check = false })
    assert(out.stdout == "out\n" and out.stderr == "err\n" and out.exit_status == 3, out.stderr)
    again()
    local many = server:exec("head -c 3000000 /dev/zero | tr '\\0' x").stdout
    assert(#many == 3000000, #many)
    again()
    local text = ("a line of a file\n"):rep(30000)
    server:write_file("file", text)
    again()
    assert(server:read_file("file") == text)
    again()
    local ok, e = pcall(server.exec, server, "echo $$ >pid; exec sleep 600", { timeout = 1 })
    assert(not ok and muster.errors.is(e, "TimeoutError"), tostring(e))
    again()
    local pid = server:exec("cat pid").stdout:match "%d+"
    assert(muster.exec("kill -0 " .. pid .. " 2>/dev/null", { check = false }).exit_status ~= 0, "it still runs")
    return 1
  end, thresholds = { score = { min = 1 } } } } } ]]

describe("a server that is not OpenSSH's", function()
  local fleet
  setup(function() fleet = T.fleet_start(1) end)
  teardown(function() fleet:stop() end)

  for _, kind in ipairs { "openssh", "dropbear", "tinyssh" } do
    it("does what a script asks: " .. kind, function()
      local server = fleet.servers.srv01
      if kind ~= "openssh" then
        local program = T.fleet_program:gsub("fleet$", "other-server")
        S.hold(program, kind, fleet.dir, "srv01")
        local port = fleet.dir .. "/" .. kind .. ".port"
        S.wait_for("the port of " .. kind, function() return S.exists(port) end)
        if T.read(port) == "none\n" then
          pending(kind .. " is not to be had here")
          return
        end
        server = { address = "127.0.0.1", port = tonumber(T.read(fleet.dir .. "/" .. kind .. ".port")), user = server.user,
          key = server.key }
      end
      local inventory = S.inventory(T.tmpdir(), { S.entry(server, kind) })
      local result = T.run_script(SCRIPT, { args = { "-i", inventory, "--known-hosts", fleet.known_hosts, "--no-agent",
        "--ssh-config", "none", "-p", "one=" .. tostring(kind == "tinyssh") } })
      assert.equal(0, result.code, result.stdout .. result.stderr)
      assert.same({}, result.results.servers[1].unended)
    end)
  end
end)
