-- Ansible's inventories: against Ansible itself, and what muster alone does with them. `muster inventory`.
local cjson = require "cjson"
local T = require "muster_test"

-- A copy, with those that no source should hold: other line ends, blanks at the end.
local DATA = T.tmpdir() .. "/inventories"
assert(os.execute("cp -r " .. T.quote(T.source .. "/tests/data/inventories", DATA)))
assert(os.execute("mkdir " .. T.quote(DATA .. "/ini-crlf", DATA .. "/ini-blanks")))
T.write(DATA .. "/ini-crlf/hosts", "[g]\r\nh1 a=1\r\nh2\r\n[g:vars]\r\nb=x\r\n")
T.write(DATA .. "/ini-blanks/hosts", "[g]  \nh1 a=1 \t\n  h2\n[g:vars]\t\nj = ['a', 'b']   \n k = x  \nl=\n")

--- muster inventory of a case, decoded.
local function listed(name)
  local words = { "inventory", "-q" }
  local file = io.open(DATA .. "/" .. name .. "/args")
  for line in (file and file:read("a") or "hosts"):gmatch("[^\n]+") do
    words[#words + 1] = "-i"
    words[#words + 1] = line:find(",") and line or DATA .. "/" .. name .. "/" .. line
  end
  if file then file:close() end
  local result = T.run(words)
  assert.same({ 0, "" }, { result.code, result.stderr }, name)
  return cjson.decode(result.stdout)
end

--- Names sorted; what Ansible marks as unsafe is plain text to us.
local function comparable(list)
  local groups = {}
  local function plain(value)
    if type(value) ~= "table" then return value end
    if value.__ansible_unsafe then return value.__ansible_unsafe end
    local out = {}
    for k, v in pairs(value) do out[k] = plain(v) end
    return out
  end
  for name, group in pairs(list) do
    if name ~= "_meta" then
      for _, names in pairs(group) do table.sort(names) end
      groups[name] = group
    end
  end
  return { groups = groups, vars = plain(list._meta.hostvars) }
end

describe("an inventory of Ansible's", function()
  local reference = T.exec { T.source .. "/tests/support/ansible-inventories", DATA }
  assert(reference.code == 0, reference.stderr)
  local cases = cjson.decode(reference.stdout)
  local names = {}
  for name in pairs(cases) do names[#names + 1] = name end
  table.sort(names)

  it("is compared for many cases", function() assert.is_true(#names >= 30) end)

  for _, name in ipairs(names) do
    it("comes to what Ansible makes of it: " .. name, function()
      assert.is_nil(cases[name].error)
      assert.same(comparable(cases[name]), comparable(listed(name)))
    end)
  end
end)

describe("a program that prints an inventory", function()
  local function program(text)
    local path = T.write(T.tmpdir() .. "/inv", text)
    assert(os.execute("chmod 755 " .. T.quote(path)))
    return path
  end
  local function show(path, ...) return T.run { "inventory", "-i", path, ... } end

  it("has its standard error logged line by line", function()
    local result = show(program '#!/bin/sh\necho "first line" >&2\nprintf "second \\033[31m\\n" >&2\n')
    assert.equals(2, result.code) -- it printed nothing
    assert.matches("inv: first line\n", result.stderr, 1, true)
    assert.matches("inv: second \\x1b[31m\n", result.stderr, 1, true)
    assert.matches("inv printed nothing when called with --list", result.stderr, 1, true)
  end)

  it("is an error with its exit code and last words when it fails", function()
    local result = show(program "#!/bin/sh\necho 'no token' >&2\nexit 7\n")
    assert.equals(2, result.code)
    assert.matches("inv ended with exit code 7: no token\n", result.stderr, 1, true)
  end)

  it("is ended with all that it started when its time is over", function()
    local dir = T.tmpdir()
    local result = show(program("#!/bin/sh\nsleep 1000 & echo $! $$ >" .. dir .. "/pids\nwait\n"), "--inventory-timeout", "300ms")
    assert.equals(2, result.code)
    assert.matches("it took longer than 300 ms (--inventory-timeout)", result.stderr, 1, true)
    for pid in T.read(dir .. "/pids"):gmatch("%d+") do
      local stat = io.open("/proc/" .. pid .. "/stat")
      assert.is_true(stat == nil or stat:read("a"):match("%) (%a)") == "Z")
      if stat then stat:close() end
    end
  end)

  it("says what is not JSON, or no inventory", function()
    assert.matches("inv:1:8: not valid JSON: ", show(program "#!/bin/sh\necho nonsense\n").stderr, 1, true)
    assert.matches("inv printed a list when called with --list", show(program "#!/bin/sh\necho '[]'\n").stderr, 1, true)
    assert.matches('inv: group "g": "hosts" is not a list of names',
      show(program "#!/bin/sh\necho '{\"g\": {\"hosts\": 1}}'\n").stderr, 1, true)
  end)

  it("has to be executable", function()
    local path = T.write(T.tmpdir() .. "/inv", "#!/bin/sh\n")
    assert.matches("cannot be executed: chmod +x it", show(path).stderr, 1, true)
  end)
end)

describe("what an inventory says", function()
  it("reaches scripts: groups, variables, and thresholds of groups", function()
    local dir = T.tmpdir()
    T.write(dir .. "/hosts", "[gpu]\na\nb port=80\n[dc:children]\ngpu\n[gpu:vars]\nlist=[1,{'x':None}]\n")
    assert(os.execute("mkdir -p " .. T.quote(dir .. "/group_vars")))
    T.write(dir .. "/group_vars/dc.yml", "rack: r1\nansible_password: s3cret\n")
    local result = T.run_local([[
      local muster = require "muster"
      return { steps = { { name = "s", thresholds = { m = { { where = { group = "dc" }, min = 5 }, { min = 0 } } },
        run = function(server)
          print(table.concat(server.groups, ","), muster.json.encode(server.vars.list), server.vars.rack, server.vars.port,
            server.vars.ansible_password)
          return { m = 1 }
        end } } }]], { args = { "-i", dir .. "/hosts" } })
    assert.equals('dc,gpu\t[1,{"x":null}]\tr1\tnil\tnil\n', result.results.servers[1].steps[1].log)
    assert.equals('dc,gpu\t[1,{"x":null}]\tr1\t80\tnil\n', result.results.servers[2].steps[1].log)
    assert.equals("failed", result.results.servers[1].status)
    assert.is_nil((result.stderr .. result.stdout):find("s3cret", 1, true))
    assert.is_truthy(T.find_log(result.log, "Passwords in the inventory"))
  end)

  it("is shown as a tree, also of own formats", function()
    local dir = T.tmpdir()
    T.write(dir .. "/fleet", "a address=10.0.0.1 port=22 groups=gpu rack=r1\nb\n")
    local result = T.run { "inventory", "-i", dir .. "/fleet", "--graph" }
    assert.equals("@all:\n  |--@ungrouped:\n  |  |--b\n  |--@gpu:\n  |  |--a\n", result.stdout)
    assert.equals("@gpu:\n  |--a\n", T.run({ "inventory", "-i", dir .. "/fleet", "--graph", "gpu" }).stdout)
    assert.same({ ansible_host = "10.0.0.1", ansible_port = 22, groups = "gpu", rack = "r1" },
      cjson.decode(T.run({ "inventory", "-i", dir .. "/fleet", "--host", "a" }).stdout))
  end)

  it("is asked for by names that are there", function()
    local function fails(...)
      local result = T.run { "inventory", ... }
      assert.equals(2, result.code)
      return result.stderr
    end
    assert.matches("there is no server 'x'", fails("-i", "a,b,", "--host", "x"), 1, true)
    assert.matches('there is no group "x"', fails("-i", "a,b,", "--graph", "x"), 1, true)
    assert.matches("no inventory given", fails(), 1, true)
    assert.matches("one of --list, --host and --graph", fails("-i", "a,", "--list", "--graph"), 1, true)
    assert.matches("'x': servers and groups are not named here", fails("-i", "a,", "x"), 1, true)
  end)
end)

describe("the page on inventories", function()
  it("has examples that are read", function()
    local page, seen = T.read(T.source .. "/docs/inventory.md"), {}
    for name, text in page:gmatch("<!%-%- inventory: (%S+) %-%->\n```%a*\n(.-)\n```\n") do
      local path = T.write(T.tmpdir() .. "/" .. name, text .. "\n")
      local result = T.run { "inventory", "-i", path }
      assert.same({ 0, "" }, { result.code, result.stderr }, name)
      seen[name] = cjson.decode(result.stdout)
    end
    assert.equals("-J bastion", seen.fleet._meta.hostvars.srv03.ansible_ssh_common_args)
    assert.same({ "srv01", "srv02" }, seen.fleet.gpu.hosts)
    assert.equals(7, seen["fleet.json"]._meta.hostvars.srv02.rack)
    assert.same({ "fast", "old" }, seen["hosts.ini"]._meta.hostvars.db1.tags)
    assert.same({ "web", "db" }, seen["hosts.ini"].site.children)
    assert.equals("fra", seen["hosts.yml"]._meta.hostvars["web02.example.com"].site)
  end)
end)
