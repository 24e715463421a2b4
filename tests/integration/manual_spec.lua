-- docs/provisioner.md: its examples, as they stand on the page, against an API as the page describes it and real sshd.
local S = require "ssh_support"
local T = require "muster_test"
local H = require "house_support"

local PAGE = T.read(T.source .. "/docs/provisioner.md")

local function example(name)
  return PAGE:match("<!%-%- file: " .. name:gsub("%.", "%%.") .. " %-%->\n```lua\n(.-)\n```\n") or
    error("the page has no " .. name)
end

describe("the page on provisioners", function()
  local fleet, house
  setup(function()
    fleet = T.fleet_start(2)
    -- srv02 computes a few hundred times as much for each event.
    T.write(fleet.dir .. "/srv02/home/bin/sysbench",
      "#!/bin/sh\nexec /usr/bin/sysbench --cpu-max-prime=1000000 \"$@\"\n")
    assert(os.execute("chmod 755 " .. T.quote(fleet.dir .. "/srv02/home/bin/sysbench")))
  end)
  before_each(function()
    house = H.start({ srv01 = { ip = "127.0.0.1" }, srv02 = { ip = "127.0.0.1" },
      node3 = { ip = "127.0.0.1", trouble = { install = "fail" } }, srv04 = { owner = "anna", status = "ready" } }, "s3cret")
  end)
  after_each(function() house:stop() end)

  local function run(text, options)
    local dir = T.tmpdir()
    local entries = {}
    for i, name in ipairs { "srv01", "srv02", "srv03", "srv04" } do
      -- What the API says is where they are; the inventory has only their ports.
      entries[i] = S.entry(fleet.servers[i == 2 and "srv02" or "srv01"], name)
      entries[i].address = "192.0.2.1"
    end
    entries[3].vars = { provisioner_id = "node3" }
    local args = { "-i", S.inventory(dir, entries), "--state-dir", T.tmpdir(), "--max-broken", "3", "-p", "url=" .. house.url }
    for _, word in ipairs(options.args or {}) do args[#args + 1] = word end
    return T.run_script(text, { args = args, env = { HOUSE_TOKEN = options.token or "s3cret" }, files = options.files })
  end

  local function assert_outcome(result)
    local servers = S.by_id(result.results)
    assert.equals("passed", servers.srv01.status, result.stderr)
    assert.equals("failed", servers.srv02.status, result.stderr)
    assert.equals("failed", servers.srv03.status, result.stderr)
    assert.equals("error", servers.srv04.status, result.stderr)
    assert.equals(1, result.code)
    local now = house:machines()
    assert.same({ "free", "free", "free", "ready" }, { now.srv01.status, now.srv02.status, now.node3.status, now.srv04.status })
    assert.same({ "", "", "", "anna" }, { now.srv01.owner, now.srv02.owner, now.node3.owner, now.srv04.owner })
    assert.same({ "", "" }, { now.srv01.fault, now.srv04.fault })
    assert.matches("^%[muster%] muster: cpu%.events_per_second [%d.]+ < 20 events/s %(measured twice%); run ", now.srv02.fault)
    assert.matches("^%[muster%] muster: setup: ServerOperationError: install failed: stuck %(no link on port 1%); run ", now.node3.fault)
    assert.is_nil((result.stdout .. result.stderr):find("s3cret", 1, true))
  end

  it("describes a provisioner that works", function()
    assert_outcome(run(example "burn.lua", {}))
  end)

  it("has a driver that works just as well", function()
    local text, replaced = example "burn.lua":gsub("provisioner%.new%b()", 'provisioner.new("house", { url = params.url })')
    assert.equals(1, replaced)
    assert_outcome(run(text, { files = { ["house.lua"] = example "house.lua" } }))
  end)

  it("promises a dry run that changes nothing", function()
    local result = run(example "burn.lua", { args = { "--dry-run" } })
    assert.equals(0, #house:requests "^[PD]")
    assert.is_truthy(T.find_log(result.log, "Would send POST " .. house.url .. "/servers/srv01/install"))
    assert.is_truthy(T.find_log(result.log, "Would send DELETE " .. house.url .. "/servers/srv01/install"))
  end)

  it("keeps credentials in the environment, and tells when they are wrong or missing", function()
    local result = run(example "burn.lua", { token = "wrong" })
    assert.equals(3, result.code)
    assert.is_truthy(result.stdout:find("ProvisionerError: house: HTTP 401", 1, true), result.stdout)
    assert.is_nil((result.stdout .. result.stderr):find("wrong", 1, true))
  end)
end)
