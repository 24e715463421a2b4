-- server:connect{ address, port, user, key, host_keys }: where and whom a task trusts from then on, for itself alone.
local T = require "muster_test"
local S = require "ssh_support"

local fleet, dir, nowhere

-- An inventory whose one server is somewhere else: what connect says must count.
local function run(text, options)
  options = options or {}
  local script = [[
    local muster = require "muster"
    return muster.script { params = { port = 0, user = "", key = "", good = "", wrong = "" }, timeout = "2m",
      steps = { { name = "go", run = function(server, params)
        local to = { address = "127.0.0.1", port = params.port, user = params.user, key = params.key }
        local function with(more)
          local all = {}
          for k, v in pairs(to) do all[k] = v end
          for k, v in pairs(more) do all[k] = v end
          return all
        end
        ]] .. text .. [[
      end } } }]]
  local server, other = fleet.servers.srv01, fleet.servers.srv02
  local known = options.known_hosts or (dir .. "/empty_known_hosts")
  local function key_of(name) return T.read(fleet.dir .. "/" .. name .. "/ssh_host_ed25519_key.pub"):gsub("\n", "") end
  local args = { "-i", nowhere, "--known-hosts", known, "-p", "port=" .. server.port, "-p", "user=" .. server.user,
    "-p", "key=" .. server.key, "-p", "good=" .. key_of "srv01", "-p", "wrong=" .. key_of(other.id) }
  for _, word in ipairs(options.args or {}) do args[#args + 1] = word end
  return T.run_script(script, { args = args })
end

local function status(result)
  assert(result.results, result.stderr)
  local server = result.results.servers[1]
  local failure = S.failures(server)[1]
  return server.status, failure and failure.message or "", failure and failure.type
end

describe("server:connect to what the script says", function()
  setup(function()
    fleet = T.fleet_start(2)
    dir = T.tmpdir()
    T.write(dir .. "/empty_known_hosts", "")
    nowhere = S.inventory(dir, { { id = "node1", address = "192.0.2.1" } })
  end)

  it("trusts the keys given alone, whatever known_hosts says", function()
    local result = run [[
      server:connect(with { host_keys = { params.wrong, params.good .. " and a comment" } })
      local id = server:exec("echo $MUSTER_SERVER").stdout
      if id ~= "srv01\n" then error("connected to " .. id) end
      server:disconnect() -- it holds for later connects too, also those made for a command
      server:exec("true")
      server:reconnect()
      server:connect { wait = "5s" }]]
    assert.equal("passed", (status(result)))
    assert.equal("", T.read(dir .. "/empty_known_hosts"))

    -- A known_hosts that knows the server by another key is not asked.
    local lies = dir .. "/lies"
    T.write(lies, ("[127.0.0.1]:%d %s\n"):format(fleet.servers.srv01.port,
      T.read(fleet.dir .. "/srv02/ssh_host_ed25519_key.pub")))
    assert.equal("passed", (status(run("server:connect(with { host_keys = { params.good } })", { known_hosts = lies }))))
  end)

  it("refuses any other key, also one that known_hosts knows", function()
    local text = [[
      local ok, e = pcall(server.connect, server, with { host_keys = { params.wrong } })
      if ok then error "connected" end
      if not muster.errors.is(e, "HostKeyError") then error(e) end
      error(e)]]
    for _, known_hosts in ipairs { dir .. "/empty_known_hosts", fleet.known_hosts } do
      local how, message, kind = status(run(text, { known_hosts = known_hosts }))
      assert.equal("unreachable", how)
      assert.equal("HostKeyError", kind)
      assert.truthy(message:find("none of those given", 1, true), message)
      assert.truthy(message:find("SHA256:", 1, true), message)
    end
  end)

  it("without host_keys asks known_hosts for the new address", function()
    local how, _, kind = status(run "server:connect(to)")
    assert.same({ "unreachable", "HostKeyError" }, { how, kind })
    assert.equal("passed", (status(run("server:connect(to)", { known_hosts = fleet.known_hosts }))))
  end)

  it("accept-new learns the key for this task only, and writes nothing", function()
    local known_hosts = dir .. "/stays_empty"
    T.write(known_hosts, "")
    local result = run([[
      server:connect(with { host_keys = "accept-new" })
      server:disconnect()
      server:connect(with { host_keys = "accept-new" }) -- said again: what was learnt still holds
      server:exec("true")]], { known_hosts = known_hosts })
    assert.equal("passed", (status(result)))
    assert.equal("", T.read(known_hosts))
    assert.truthy(T.find_log(result.log, "is new: it holds for this server in this run only"))
  end)

  it("accept-new refuses a key that changed while the task runs", function()
    local own = T.fleet_start(1)
    local server = own.servers.srv01
    local folder = own.dir .. "/srv01"
    local change = T.write(dir .. "/change-key", ([[
      set -e
      %s kill %s srv01
      rm %s/ssh_host_ed25519_key*
      ssh-keygen -q -t ed25519 -N '' -f %s/ssh_host_ed25519_key
      chown --reference=%s %s/ssh_host_ed25519_key*
      %s restart %s srv01]]):format(T.fleet_program, own.dir, folder, folder, folder, folder, T.fleet_program, own.dir))
    local known_hosts = dir .. "/stays_empty_too"
    T.write(known_hosts, "")
    for _, again in ipairs { "server:connect()", "server:connect(with { host_keys = 'accept-new' })", "server:exec 'true'" } do
      local how, message, kind = status(run(([[
        to.port = %d
        server:connect(with { host_keys = "accept-new", key = %q })
        server:exec("true")
        server:disconnect()
        muster.exec { "sh", %q }
        %s]]):format(server.port, own.key, change, again), { known_hosts = known_hosts }))
      assert.equal("unreachable", how, message)
      assert.equal("HostKeyError", kind)
      assert.truthy(message:find("CHANGED since this run first connected", 1, true), message)
      assert.equal("", T.read(known_hosts))
    end
    own:stop()
  end)

  it("goes on where a command is still running in the old connection", function()
    local result = run [[
      server:connect(with { host_keys = { params.good } })
      local ok, e = pcall(server.exec, server, "echo line; sleep 60", { on_line = function()
        server:connect(with { host_keys = "accept-new" })
      end })
      if ok then error "the command went on" end
      if not tostring(e):find("closed", 1, true) then error(e) end
      server:exec("true")]]
    assert.equal("passed", (status(result)))
  end)

  it("says what is wrong with its options", function()
    for text, want in pairs {
      ["{ hots_keys = {} }"] = "connect has no option 'hots_keys'",
      ["{ host_keys = {} }"] = "the list is empty",
      ["{ host_keys = 'accept_new' }"] = "host_keys is a list of keys, or \"accept-new\"",
      ["{ host_keys = { 5 } }"] = "host_keys[1] must be a string",
      ["{ host_keys = { 'ssh-ed25519' } }"] = "it has no key after its type",
      ["{ host_keys = { 'ssh-ed25519 AAAA' } }"] = "this is not a public key",
      ["{ host_keys = { 'ssh-rsa ' .. params.good:match ' (%S+)' } }"] = "of another type",
      ["{ port = 0 }"] = "port must be a number from 1 to 65535",
      ["{ port = '22x' }"] = "port must be a number",
      ["{ address = '' }"] = "address is empty",
      ["{ user = 5 }"] = "user must be a string",
      ["{ key = '/no/such/key' }"] = "/no/such/key",
    } do
      local _, message = status(run("server:connect(" .. text .. ")"))
      assert.truthy(message:find(want, 1, true), text .. ": " .. message)
    end
  end)

  it("means nothing to a server that is this machine", function()
    local result = T.run_local [[return require "muster".script { steps = { { name = "go", run = function(server)
      server:connect { address = "192.0.2.1", host_keys = "accept-new" }
      server:exec "true"
    end } } }]]
    assert.equal("passed", (status(result)))
  end)
end)
