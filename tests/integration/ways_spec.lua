-- The ways to a server: jump hosts, proxy commands, what is tried again, how fast connections are begun.
local S = require "ssh_support"
local T = require "muster_test"

local fleet, dir, inventory, known_hosts

-- Servers by names that only the configuration knows: node1 and node2 are srv01 and srv02, gone is nobody.
local function config(lines)
  local text = { lines or "" }
  for i = 1, 2 do
    local server = fleet.servers["srv0" .. i]
    text[#text + 1] = ("Host node%d\n HostName 127.0.0.1\n Port %d\n User %s\n"):format(i, server.port, server.user)
  end
  local bastion = fleet.servers.bastion
  text[#text + 1] = ("Host bastion\n HostName 127.0.0.1\n Port %d\n User %s\n"):format(bastion.port, bastion.user)
  return T.write(dir .. "/config", table.concat(text))
end

local STEP = [[
  return require("muster").script { steps = { { name = "who", run = function(server)
    local id = server:exec("echo $MUSTER_SERVER").stdout
    return tonumber(id:match "srv0(%d)")
  end, thresholds = { score = { min = 1, max = 2 } } } } } ]]

local function run(lines, options)
  options = options or {}
  local args = { "-i", options.inventory or inventory, "--known-hosts", known_hosts, "--ssh-config", config(lines), "--key",
    fleet.key, "--log-level", "debug", "--no-agent" }
  for _, word in ipairs(options.args or {}) do args[#args + 1] = word end
  local result = T.run_script(STEP, { args = args })
  assert(result.results, result.stderr)
  return result
end

local function logins(name) return select(2, fleet:log(name):gsub("Accepted publickey", "")) end

local function count_log(result, text)
  local n = 0
  for _, line in ipairs(result.log) do
    if tostring(line.event or line.message or line.msg):find(text, 1, true) then n = n + 1 end
  end
  return n
end

describe("the way to a server", function()
  setup(function()
    fleet = T.fleet_start(2)
    fleet:add "bastion"
    dir = T.tmpdir()
    inventory = S.inventory(dir, { { id = "node1" }, { id = "node2" } })
    local known = { T.read(fleet.known_hosts) }
    for name, id in pairs { node1 = "srv01", node2 = "srv02", bastion = "bastion" } do
      known[#known + 1] = ("[%s]:%d %s"):format(name, fleet.servers[id].port,
        T.read(fleet.dir .. "/" .. id .. "/ssh_host_ed25519_key.pub"))
    end
    known_hosts = T.write(dir .. "/known", table.concat(known))
  end)
  teardown(function() fleet:stop() end)

  it("leads through a jump host with one login there for all servers of a worker", function()
    local before = logins "bastion"
    local result = run("Host node*\n ProxyJump bastion\n", { args = { "--workers", "1" } })
    assert.equal(0, result.code, result.stdout .. result.stderr)
    assert.equal(before + 1, logins "bastion")
    assert.equal(0, result.results.servers[1].connect_retries)
    assert.falsy(result.stdout:find("first try", 1, true))
  end)

  it("is told, hop by hop, where it ends; the server is unreachable, never failed", function()
    local nobody = tonumber(T.exec { T.fleet_program, "port" }.stdout)
    local result = run(("Host node*\n ProxyJump 127.0.0.1:%d\n"):format(nobody), { args = { "--connect-retries", "0" } })
    assert.equal(3, result.code)
    for _, server in ipairs(result.results.servers) do
      assert.equal("unreachable", server.status)
      local failure = S.failures(server)[1]
      assert.truthy(failure.message:find("via 127.0.0.1:" .. nobody, 1, true), failure.message)
      assert.equal("via 127.0.0.1:" .. nobody .. ": connect: connection refused", failure.cause)
    end
  end)

  it("is tried again when it fails in a way that may pass, and that is counted", function()
    local once = dir .. "/once"
    os.remove(once)
    local node = fleet.servers.srv01
    local proxy = T.write(dir .. "/proxy", ([[
      [ -e %s ] || { : >%s; echo not yet >&2; exit 1; }
      exec 3<>/dev/tcp/127.0.0.1/%d
      cat <&3 & exec cat >&3]]):format(once, once, node.port))
    local result = run("Host node1\n ProxyCommand bash " .. proxy .. "\n")
    assert.equal(0, result.code, result.stdout .. result.stderr)
    assert.equal(1, result.results.servers[1].connect_retries)
    assert.equal(1, result.results.servers[1].retried_connections)
    assert.equal(0, result.results.servers[2].connect_retries)
    assert.truthy(result.stdout:find("Not connected at the first try: 1 connection. retried_servers=[node1]", 1, true),
      result.stdout)
    assert.equal(1, count_log(result, "at try 2"))
    assert.equal(1, count_log(result, "exit status 1: not yet; trying again in"))
  end)

  it("is tried three times when nobody listens, or as often as is said", function()
    local nobody = tonumber(T.exec { T.fleet_program, "port" }.stdout)
    local lost = S.inventory(T.tmpdir(), { { id = "gone", address = "127.0.0.1", port = nobody } })
    local function tries(lines, args)
      local result = run(lines, { inventory = lost, args = args })
      assert.equal("unreachable", result.results.servers[1].status)
      assert.equal(0, result.results.servers[1].retried_connections)
      return 1 + result.results.servers[1].connect_retries
    end
    assert.equal(3, tries())
    assert.equal(1, tries(nil, { "--connect-retries", "0" }))
    assert.equal(2, tries "ConnectionAttempts 2\n")
    assert.equal(1, tries("ConnectionAttempts 2\n", { "--connect-retries", "0" }))
  end)

  it("is begun no more often than the rate allows, over all workers", function()
    local result = run(nil, { args = { "--start-rate", "2", "--workers", "2" } })
    assert.equal(0, result.code, result.stdout .. result.stderr)
    -- Two connections half a second apart: how long it took at least, whatever the machine is doing.
    assert.truthy(result.results.run.duration_s >= 0.49, result.results.run.duration_s)
  end)
end)
