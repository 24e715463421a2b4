-- Drivers of the library of provisioners: what is wrong with one is told before anything is asked, and one may be a table of
-- functions, or commands.
local S = require "ssh_support"
local T = require "muster_test"
local P = require "provisioner_support"
local start, stop, run, failure_of = P.start, P.stop, P.run, P.failure_of

describe("a driver", function()
  after_each(stop)

  local function error_of(text)
    start { a = {} }
    local result = run({ a = {} }, { text = text })
    local _, message = failure_of(result, "a")
    return message
  end

  local BAD = {
    { "provisioner.new('no-such', {})", "module 'no-such' not found" },
    { "provisioner.new(7)", "a provisioner's driver is a table of functions" },
    { "provisioner.new({ name = 'x', state = print })", "the driver x has no function install(node, …)" },
    { "provisioner.new('rest', { state = {} })", "the provisioner rest needs " },
    { "provisioner.new('ironic', { url = 'http://x', ulr = 1 })", "the provisioner ironic has no option 'ulr'" },
    { "provisioner.new('ironic', { url = 'http://x', max_in_flight = 0 })", "max_in_flight must be a whole number" },
    { "provisioner.new('ironic', { url = 'http://x', poll = '5 apples' })", "poll: 5 apples is not a duration" },
    { "provisioner.new('ironic', { url = 'http://a:b@x' })", "redentials" },
    { [[provisioner.new('rest', { url = 'http://x', state = { get = '/{name}', state = 's', tag = 't', broken = 'b', clean = 'c',
        installed = 'i' }, install = { post = '/{nmae}' }, destroy = { delete = '/' }, mark = { put = '/' }, unmark = { put = '/' } })]],
      "there is no {nmae}; there are {name}, {id}" },
    { [[provisioner.new('rest', { url = 'http://x', state = { get = '/{name}', state = 's', broken = 'b', clean = 'c',
        installed = 'i' }, install = { post = '/' }, destroy = { delete = '/' }, mark = { put = '/' }, unmark = { put = '/' } })]],
      "the provisioner rest: its state needs tag" },
    { [[provisioner.new('rest', { url = 'http://x', state = { state = 's', tag = 't', broken = 'b', clean = 'c',
        installed = 'i' }, install = { post = '/' }, destroy = { delete = '/' }, mark = { put = '/' }, unmark = { put = '/' } })]],
      "the provisioner's state needs a method and a path" },
  }
  it("that is wrong is told before anything is asked", function()
    for _, case in ipairs(BAD) do
      local message = error_of([[local provisioner = require "provisioner" return { steps = { { name = "s",
        run = function() ]] .. case[1] .. [[ end } } }]])
      assert.is_truthy(message and message:find(case[2], 1, true), case[1] .. ": " .. tostring(message))
      assert.equals(0, #P.house:requests())
      stop()
    end
  end)

  it("can be a table of functions, of which each may be asked again", function()
    local result = run({ a = {} }, { text = [[
      local muster, provisioner = require "muster", require "provisioner"
      local there, asked = { state = "clean" }, { install = 0, destroy = 0 }
      local driver = { name = "table" }
      function driver.state() local s = {} for k, v in pairs(there) do s[k] = v end return s end
      function driver.claim(_, claim) assert(not there.tag) there.tag = claim.tag end
      function driver.unclaim() there.tag = nil end
      -- Twice the provisioner's own restart ends it; then it works.
      function driver.install()
        asked.install = asked.install + 1
        there.state, there.words, there.interrupted = "failed", "restart " .. asked.install, true
        if asked.install == 3 then there = { state = "installed", tag = there.tag } end
      end
      function driver.destroy()
        asked.destroy = asked.destroy + 1
        if asked.destroy == 1 then error(muster.errors.ProvisionerError("busy", { retryable = true })) end
        there = { state = "clean" }
      end
      function driver.mark() end
      function driver.unmark() end
      function driver.benchmark() return { score = 51 } end
      local p = provisioner.new(driver, { poll = 0.01 })
      return muster.script {
        setup = function(server) p:install(server, "x") end,
        steps = { { name = "s", run = function(server) return p:benchmark(server) end } },
        teardown = function(server)
          p:destroy(server)
          assert(asked.install == 3 and asked.destroy == 2 and there.state == "clean")
          p:destroy(server) -- and again: nothing
          assert(asked.destroy == 2)
        end }]] })
    assert.equals(0, result.code, result.stderr)
    assert.equals(51, result.servers.a.steps[1].metrics.score.value)
  end)

  it("of commands runs them, and takes their exit status for an answer", function()
    start { a = {}, ["b c"] = {} }
    local tool = T.write(T.tmpdir() .. "/site-tool", [[
import json, os, sys, urllib.error, urllib.parse, urllib.request as r
word, name, *more = sys.argv[1:]
url = os.environ["HOUSE"] + "/servers/" + urllib.parse.quote(name)
def ask(method, rest="", body=None):
    try:
        return r.urlopen(r.Request(url + rest, body and json.dumps(body).encode(), method=method)).read().decode()
    except urllib.error.HTTPError as error:
        print(json.loads(error.read())["error"], file=sys.stderr)
        sys.exit(75 if error.code == 503 else 1)
if word == "show": print(ask("GET"))
if word == "install": ask("POST", "/install", {"os": more[0], "owner": more[1]})
if word == "wipe": ask("DELETE", "/install")
if word == "fault": ask("PUT", "/fault", {"text": more[0]})
]])
    local text = ([[
      local muster, provisioner = require "muster", require "provisioner"
      local tool = %q
      local p = provisioner.new("command", { name = "site", poll = "20ms",
        state = { "python3", tool, "show", "{name}", fields = { state = "status", tag = "owner", broken = "fault",
          error = "message", clean = "free", installed = "ready", busy = { "installing", "wiping" }, failed = "stuck" } },
        install = { "python3", tool, "install", "{name}", "{os}", "{tag}" },
        destroy = { "python3", tool, "wipe", "{name}" },
        mark = { "python3", tool, "fault", "{name}", "{reason}" },
        unmark = { "python3", tool, "fault", "{name}", "" } })
      return muster.script {
        setup = function(server) p:install(server, "debian; rm -rf '12") end,
        steps = { { name = "s", run = function(server) assert(p:state(server).state == "installed") return 7 end,
          thresholds = { score = { min = 50 } } } },
        teardown = function(server) p:destroy(server) end,
        mark = function(server, verdict) return p:mark_as_broken(server, verdict.reason) end }]]):format(tool)
    local inventory = S.inventory(T.tmpdir(), { { id = "a" }, { id = "odd", vars = { provisioner_id = "none" } } })
    local result = T.run_local(text, { args = { "-i", inventory, "--state-dir", T.tmpdir() }, env = { HOUSE = P.house.url } })
    local servers = S.by_id(result.results)
    assert.equals("failed", servers.a.status, result.stderr)
    assert.matches("^%[muster%] muster: s.score 7 < 50", P.house:machines().a.fault)
    assert.same({ "free", "debian; rm -rf '12" }, { P.house:machines().a.status, P.house:machines().a.os })
    assert.equals("ProvisionerError", S.failures(servers.odd)[1].type)
    assert.matches("no such server", S.failures(servers.odd)[1].message)
  end)
end)
