-- Servers by the names that ssh_config gives them, against real OpenSSH servers.
local T = require "muster_test"
local S = require "ssh_support"

local fleet, dir, one, two

local function config(text)
  return T.write(dir .. "/config", text)
end

-- What the one step of each server named says of itself.
local function run(args)
  return T.run_script([[
    local muster = require "muster"
    return muster.script { timeout = "2m", steps = { { name = "go", run = function(server)
      muster.log.info("it is " .. server:exec("echo $MUSTER_SERVER").stdout:gsub("\n", ""))
    end } } }]], { args = args })
end

local function statuses(result)
  assert(result.results, result.stderr)
  local all = {}
  for _, server in ipairs(result.results.servers) do all[#all + 1] = server.id .. "=" .. server.status end
  return table.concat(all, " ")
end

local function block(name, server, more)
  return ("Host %s\n  HostName %s\n  Port %d\n  User %s\n  IdentityFile %s\n  UserKnownHostsFile %s/known_hosts\n%s\n")
    :format(name, server.address, server.port, server.user, server.key, fleet.dir, more or "")
end

describe("ssh_config", function()
  setup(function()
    fleet = T.fleet_start(2)
    dir = T.tmpdir()
    one, two = fleet.servers.srv01, fleet.servers.srv02
  end)

  it("says where a name leads, whom to log in as, with what, and whose key is known", function()
    local file = config(block("web", one) .. block("d?", two))
    local result = run { "--ssh-config", file, "--no-agent", "web", "db" }
    assert.equal("web=passed db=passed", statuses(result))
    assert.match('it is srv01","server_id":"web"', result.stderr, 1, true)
    assert.match('it is srv02","server_id":"db"', result.stderr, 1, true)
  end)

  it("is ~/.ssh/config when nothing is said, and nothing with none", function()
    local home = dir .. "/home"
    assert(T.exec { "mkdir", "-p", home .. "/.ssh" }.code == 0)
    T.write(home .. "/.ssh/config", block("web.invalid", one))
    assert(T.exec { "chmod", "600", home .. "/.ssh/config" }.code == 0)
    local function at_home(word)
      return T.exec { T.muster, "run", T.write(dir .. "/ok.lua", [[
        return require("muster").script { steps = { { name = "go", run = function(server) server:exec("true") end } } }]]),
        "--no-agent", "web.invalid", word, env = { HOME = home } }
    end
    assert.equal(0, at_home().code)
    local without = at_home "--ssh-config=none"
    assert.equal(3, without.code, without.stderr)
  end)

  it("gives way to what the command line and the inventory say", function()
    local file = config(block("web", one, "  ConnectTimeout 1\n") .. "Match all\n  User nobody-like-this\n  Port 1\n")
    assert.equal("web=passed", statuses(run { "--ssh-config", file, "--no-agent", "web" }))
    local list = S.inventory(dir, { { id = "web", port = two.port } })
    local result = run { "--ssh-config", file, "--no-agent", "-i", list }
    assert.equal("web=passed", statuses(result))
    assert.match("it is srv02", result.stderr)
    assert.equal("web=unreachable", statuses(run { "--ssh-config", file, "--no-agent", "-u", "nobody-like-this", "web" }))
  end)

  it("runs a command of a Match line once, and waits for it", function()
    local log = dir .. "/ran"
    local text = ("Match exec \"sleep 0.2; echo x >>%s\"\n  User %s\n"):format(log, one.user)
    for i = 1, 6 do text = text .. block("host" .. i, i % 2 == 0 and one or two):gsub("  User [^\n]*\n", "") end
    local result = run { "--ssh-config", config(text), "--no-agent", "host1", "host2", "host3", "host4", "host5", "host6" }
    assert.equal("host1=passed host2=passed host3=passed host4=passed host5=passed host6=passed", statuses(result))
    assert.equal("x\n", T.read(log))
  end)

  it("ends a command that takes longer than a connect may", function()
    local file = config("Match exec \"echo $$ >" .. dir .. "/pid; sleep 1000\"\n  User x\n" .. block("web", one))
    local result = run { "--ssh-config", file, "--no-agent", "--connect-timeout", "500ms", "web" }
    assert.equal("web=unreachable", statuses(result))
    assert.match("Match exec of the ssh configuration", result.stderr)
    local pid = T.read(dir .. "/pid"):match "%d+"
    S.wait_for("the command's end", function() return T.exec { "kill", "-0", pid }.code ~= 0 end)
  end)

  it("with a mistake ends the run before it begins, and says where", function()
    local result = run { "--ssh-config", config "Host a\n  NoSuchOption yes\n", "web" }
    assert.equal(2, result.code)
    assert.match("config:2: \"NoSuchOption\" is no option of ssh", result.stderr)
  end)

  it("is warned about, once and with its place, where muster does not do what it asks for", function()
    local text = "Host a b\n  RevokedHostKeys /nowhere\n  HashKnownHosts yes\nHost c\n  VerifyHostKeyDNS yes\n"
    local shown = T.exec { T.muster, "ssh-config", "--ssh-config", config(text), "a", "b" }
    assert.equal(0, shown.code)
    assert.match("^[^\n]*config:2: RevokedHostKeys: muster does not do what it asks for%s*$", shown.stderr)
  end)

  it("is shown by muster ssh-config as it holds", function()
    local file = config(block("web", one))
    local shown = T.exec { T.muster, "ssh-config", "--ssh-config", file, "web" }
    assert.equal(0, shown.code)
    assert.match("host web\nhostname " .. one.address .. "\nport " .. one.port .. "\nuser " .. one.user, shown.stdout)
    assert.match("\nidentityfile " .. one.key:gsub("%p", "%%%0") .. "\n", shown.stdout)
  end)
end)
