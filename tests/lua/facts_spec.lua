-- server:facts() and server.groups.
local T = require "muster_test"
local S = require "ssh_support"
local cjson = require "cjson"

local text = [[
  local muster = require "muster"
  local function message(...) local ok, e = pcall(...) return ok and "NO ERROR" or tostring(e) end
  return { steps = { { name = "s", run = function(server)
    print("FACTS " .. muster.json.encode(server:facts()))
    assert(server:facts() == server:facts())
    server:exec "true"
  end } } }]]

local function facts_of(result)
  local step = result.results.servers[1].steps[1]
  assert.equals("passed", step.status, result.stderr)
  return cjson.decode(step.log:match "FACTS ([^\n]*)")
end

local function out(...) return (T.exec({ ... }).stdout:gsub("\n$", "")) end

local function check(facts)
  assert.equals(out("uname", "-r"), facts.kernel)
  assert.equals(out("uname", "-m"), facts.arch)
  assert.equals(out("uname", "-n"), facts.hostname)
  assert.equals(out("sh", "-c", ". /etc/os-release; echo $ID"), facts.distribution.id)
  assert.equals(out("sh", "-c", ". /etc/os-release; echo $VERSION_ID"), facts.distribution.version or "")
  assert.equals(out("sh", "-c", ". /etc/os-release; echo $PRETTY_NAME"), facts.distribution.name)
  assert.equals(tonumber(out("getconf", "_NPROCESSORS_ONLN")), facts.cpu.threads)
  assert.is_true(facts.cpu.cores >= 1 and facts.cpu.cores <= facts.cpu.threads)
  assert.equals(tonumber(T.read("/proc/meminfo"):match "MemTotal:%s+(%d+)") * 1024, facts.memory)
  assert.equals("string", type(facts.virtualization))
  assert.equals("table", type(facts.gpus))
end

-- Programs that come first in PATH.
local function tools(list)
  local dir = T.tmpdir()
  for name, body in pairs(list) do
    T.write(dir .. "/" .. name, "#!/bin/sh\n" .. body .. "\n")
    T.exec { "chmod", "755", dir .. "/" .. name }
  end
  return { PATH = dir .. ":" .. os.getenv "PATH" }
end

describe("server:facts", function()
  it("tells of this machine, in one command", function()
    local result = T.run_local(text)
    check(facts_of(result))
    assert.is_truthy(result.results.servers[1].steps[1].log:find '"gpus":%[')
  end)

  it("tells of a server over SSH, whatever its login shell", function()
    local fleet = T.fleet_start(1)
    check(facts_of(fleet:run(text)))
    fleet:stop()
  end)

  it("does without what a small system lacks", function()
    local bare = T.tmpdir()
    for _, tool in ipairs { "sh", "uname", "sed", "head", "cat", "sort", "wc", "grep", "getconf", "readlink" } do
      T.exec { "sh", "-c", ('ln -s "$(command -v %s)" %s/'):format(tool, bare) }
    end
    check(facts_of(T.run_local(text, { env = { PATH = bare } })))
  end)

  it("believes a server no nonsense, and takes hostile text for text", function()
    local facts = facts_of(T.run_local(text, { env = tools {
      uname = [[case $1 in -r) printf 'a=b\033[31m\nmemory=99\nforged';; -m) ;; *) printf 'x\001y';; esac]],
      getconf = "echo 12x", wc = "echo -5", ["nvidia-smi"] = "echo '00000000:3B:00.0, NVIDIA H100 PCIe'; echo ', '",
      ["systemd-detect-virt"] = "echo kvm" } }))
    assert.equals("a=b\27[31m", facts.kernel)
    assert.is_nil(facts.arch)
    assert.is_nil(facts.cpu.threads)
    assert.is_nil(facts.cpu.cores)
    assert.equals("kvm", facts.virtualization)
    if #facts.gpus > 0 and facts.gpus[1].address == "00000000:3B:00.0" then -- a machine without PCI display controllers
      assert.same({ address = "00000000:3B:00.0", vendor = "10de", driver = "nvidia", name = "NVIDIA H100 PCIe" },
        facts.gpus[1])
    end
  end)

  it("says when there is no answer, and can be asked again; stops with the step", function()
    local result = T.run_local([[
      local muster = require "muster"
      return { steps = { { name = "s", timeout = "400ms", run = function(server)
          local ok, e = pcall(server.facts, server)
          print("E", ok, e.type, e.message)
          server:exec "touch $FILE"
          print("TYPE", type(server:facts().cpu))
          server:exec "echo 'exec sleep 1000' >$TOOL"
        end },
        { name = "cut", timeout = "400ms", run = function(server) pcall(server.facts, server) print "CACHED" end } } }]],
      { env = (function()
        local env = tools { sh = "exec /bin/sh \"$@\"", sort = "cat", tool = "exit 0" }
        env.FILE, env.TOOL = T.tmpdir() .. "/again", "/dev/null"
        local dir = env.PATH:match "^[^:]+"
        T.write(dir .. "/uname", "#!/bin/sh\n[ -e " .. env.FILE .. " ] || kill -9 $PPID\nexec /bin/uname \"$@\"\n")
        T.exec { "chmod", "755", dir .. "/uname" }
        return env
      end)() })
    local log = result.results.servers[1].steps[1].log
    assert.is_truthy(log:find("E\tfalse\tCommandError\tfacts: the server did not answer", 1, true), result.stderr)
    assert.is_truthy(log:find("TYPE\ttable", 1, true), result.stderr)
    assert.equals("CACHED\n", result.results.servers[1].steps[2].log)
  end)

  it("is cut off with its step, asked together by two, and only spoken of in a dry run", function()
    local slow = tools { uname = "exec sleep 1000" }
    local result = T.run_local([[return { steps = { { name = "s", timeout = "300ms", run = function(server)
      pcall(server.facts, server) print "SWALLOWED" end } } }]], { env = slow })
    assert.equals("timeout", result.results.servers[1].steps[1].status)
    assert.equals("", result.results.servers[1].steps[1].log)
    local both = T.run_local [[return { steps = { { name = "s", run = function(server)
      local a, b = require("muster").gather { server:spawn(server.facts, server), server:spawn(server.facts, server) }
      assert(a.kernel == b.kernel and server:facts().kernel == a.kernel) end } } }]]
    assert.equals(0, both.code, both.stderr)
    local dry = T.run_local([[return { setup = function(server) print("DRY", server:facts().dry_run, #server:facts().gpus) end,
      steps = { { name = "s", run = function() end } } }]], { args = { "--dry-run" } })
    assert.is_truthy(T.find_log(dry.log, "DRY\ttrue\t0"), dry.stderr)
  end)
end)

describe("server.groups", function()
  it("is the variable's list, or the words of its text", function()
    local dir = T.tmpdir()
    local inventory = S.inventory(dir, {
      { id = "list", address = "a", vars = { groups = { "gpu", "rack 7", "5" } } },
      { id = "text", address = "a", vars = { groups = " gpu, rack7,,new " } },
      { id = "one", address = "a", vars = { groups = "gpu" } },
      { id = "none", address = "a" },
      { id = "empty", address = "a", vars = { groups = "" } },
      { id = "wrong", address = "a", vars = { groups = true } },
      { id = "nested", address = "a", vars = { groups = { "a", { "b" } } } },
    })
    local result = T.run_local([[
      local muster = require "muster"
      return { steps = { { name = "s", run = function(server)
        print(select(2, pcall(function() return muster.json.encode(server.groups) end)))
      end } } }]], { args = { "-i", inventory } })
    local logs = {}
    for _, server in ipairs(result.results.servers) do logs[server.id] = server.steps[1].log end
    assert.equals('["gpu","rack 7","5"]\n', logs.list)
    assert.equals('["gpu","rack7","new"]\n', logs.text)
    assert.equals('["gpu"]\n', logs.one)
    assert.equals("[]\n", logs.none)
    assert.equals("[]\n", logs.empty)
    assert.matches("the variable groups is to be a list of names, or text \"a,b\", not a boolean", logs.wrong, 1, true)
    assert.matches("[2] is a table", logs.nested, 1, true)
  end)
end)
