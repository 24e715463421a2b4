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

  it("through a jump host is that of the file that the inventory names for the server", function()
    local hosts = T.write(dir .. "/hosts.ini", ("[all]\nnode1\n[all:vars]\nansible_ssh_common_args=%s\n"):format(
      "'-F " .. config() .. " -o ProxyJump=bastion -o ControlMaster=auto -o ControlPersist=60s -C'"))
    local before = logins "bastion"
    local result = T.run_script(STEP, { args = { "-i", hosts, "--known-hosts", known_hosts, "--ssh-config", "none", "--key",
      fleet.key, "--no-agent" } })
    assert.equal(0, result.code, result.stdout .. result.stderr)
    assert.equal(before + 1, logins "bastion")
  end)

  it("through a jump host has that one's own key, host key file and alias", function()
    local key = S.keygen(dir .. "/jump_key")
    -- Where the server, another user, can read it.
    local allowed = T.write(fleet.dir .. "/jump_allowed", T.read(key .. ".pub"))
    fleet:add("keyed", "AuthorizedKeysFile " .. allowed .. "\n")
    local keyed = fleet.servers.keyed
    local own_known = T.write(dir .. "/jump_known", "thejump " .. T.read(fleet.dir .. "/keyed/ssh_host_ed25519_key.pub"))
    local text = ("Host keyed\n HostName 127.0.0.1\n Port %d\n User %s\n IdentityFile %s\n IdentitiesOnly yes\n"):format(
      keyed.port, keyed.user, key) .. " UserKnownHostsFile " .. own_known .. "\n HostKeyAlias thejump\n"
    local aliased = T.write(dir .. "/node_known", "thenode " .. T.read(fleet.dir .. "/srv01/ssh_host_ed25519_key.pub"))
    text = text .. ("Host node1\n ProxyJump keyed\n IdentityFile %s\n IdentitiesOnly yes\n UserKnownHostsFile %s\n")
      :format(fleet.key, aliased) .. " HostKeyAlias thenode\n"
    local result = T.run_script(STEP, { args = { "--ssh-config", config(text), "--no-agent", "node1" } })
    assert.equal(0, result.code, result.stdout .. result.stderr)
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

  it("is tried again when it was the jump host that turned its connection away", function()
    fleet:add("tight", "MaxStartups 2:100:2\n")
    local tight = fleet.servers.tight
    local full = dir .. "/full"
    local guests = S.hold("python3", "-c", [[
import socket, sys
held = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(2)]
for peer in held:
    peer.recv(10)  # its greeting: sshd counts it
open(sys.argv[2], "w").close()
sys.stdin.read()]], tostring(tight.port), full)
    S.wait_for("two who do not log in", function() return S.exists(full) end)
    local lines = ("Host node*\n ProxyJump tight\nHost tight\n HostName 127.0.0.1\n Port %d\n User %s\n"):format(tight.port,
      tight.user) .. " UserKnownHostsFile " .. fleet.known_hosts .. "\n"
    local job = S.start(STEP, { args = { "-i", inventory, "--ssh-config", config(lines .. "Host *\n UserKnownHostsFile " ..
      known_hosts .. "\n"), "--key", fleet.key, "--log-level", "debug", "--no-agent", "--connect-retries", "1000" } })
    job:wait_log("via tight: tight port " .. tight.port .. ": the key exchange failed")
    guests:close()
    local result = job:wait()
    assert.equal(0, result.code, result.stdout .. result.stderr)
    local retried = 0
    for _, server in ipairs(result.results.servers) do retried = retried + server.retried_connections end
    assert.truthy(retried > 0)
    assert.truthy(result.stdout:find("Not connected at the first try: ", 1, true), result.stdout)
  end)

  it("leads to that of a name's addresses where somebody listens", function()
    local node = fleet.servers.srv01
    local hosts = T.write(dir .. "/hosts", "::1 manifold.test\n127.0.0.2 manifold.test\n127.0.0.1 manifold.test\n")
    local known = T.write(dir .. "/manifold", ("[manifold.test]:%d %s"):format(node.port,
      T.read(fleet.dir .. "/srv01/ssh_host_ed25519_key.pub")))
    local function try(...)
      local address = ("%s@manifold.test:%d"):format(node.user, node.port)
      return T.run_script(STEP, { args = { "--ssh-config", "none", "--known-hosts", known, "--key", fleet.key, "--no-agent",
        "--connect-retries", "0", address, ... }, env = { LD_PRELOAD = "libnss_wrapper.so", NSS_WRAPPER_HOSTS = hosts,
        NSS_WRAPPER_DISABLE_DEEPBIND = "1", ASAN_OPTIONS = (os.getenv "ASAN_OPTIONS" or "") .. ":verify_asan_link_order=0" } })
    end
    local result = try()
    assert.equal(0, result.code, result.stdout .. result.stderr)
    T.write(hosts, "::1 manifold.test\n127.0.0.2 manifold.test\n")
    result = try()
    assert.equal(3, result.code)
    assert.match("cannot connect to [%d.:]+: connection refused", result.stderr)
    -- The other way round: of the name's addresses only the IPv6 one has a server.
    node = fleet:add("six", "ListenAddress ::1\n")
    known = T.write(dir .. "/manifold6", ("[manifold.test]:%d %s"):format(node.port,
      T.read(fleet.dir .. "/six/ssh_host_ed25519_key.pub")))
    result = try()
    assert.equal(3, result.code) -- it is no srv0N
    assert.truthy(T.find_log(result.log, "Connected to manifold.test."), result.stderr)
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
