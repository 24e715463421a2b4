-- Which steps of a script a run is about: --step picks some, and destructive ones run only where that was allowed.
local T = require "muster_test"

local SCRIPT = [[
  local muster = require "muster"
  local function step(name, more)
    local s = { name = name, run = function() muster.log.info("> " .. name) return 1 end }
    for k, v in pairs(more or {}) do s[k] = v end
    return s
  end
  return muster.script {
    steps = {
      step "cpu", step("cpu-long", { needs = { "cpu" } }), step "disk",
      step("wipe", { destructive = true, thresholds = { score = ">= 1" },
        when = function() muster.log.info("> when") return true end }),
      step("after", { needs = { "wipe" } }) } } ]]

local function run(...)
  local r = T.run_local(SCRIPT, { args = { ... } })
  assert(r.results, r.stderr)
  r.said, r.status, r.order = {}, {}, {}
  for _, line in ipairs(r.log) do
    if line.event:find "^> " then r.said[#r.said + 1] = line.event:sub(3) end
  end
  for i, step in ipairs(r.results.servers[1].steps) do r.status[step.name], r.order[i] = step.status, step.name end
  return r
end

local function refused(...)
  local r = T.run_local(SCRIPT, { args = { ... } })
  assert.same({ 2, "" }, { r.code, r.stdout })
  assert.is_nil(r.results)
  return (r.stderr:gsub("\n$", ""):gsub("%S*/script%.lua", "script.lua"))
end

describe("--step", function()
  it("leaves all other steps out of the run and its results", function()
    local r = run("-s", "disk,cpu")
    assert.same({ "cpu", "disk" }, r.said)
    assert.same({ "cpu", "disk" }, r.order)
    assert.same({ 0, "passed" }, { r.code, r.results.servers[1].status })
    assert.is_nil(r.stdout:find("destructive", 1, true))
  end)

  it("takes globs, and may be repeated", function()
    assert.same({ "cpu", "cpu-long" }, run("--step", "cpu*").said)
    assert.same({ "cpu", "cpu-long", "disk" }, run("-s", "d?sk", "-s", "[c]*").order)
  end)

  it("leaves them out when the server cannot be reached, is interrupted, or in a dry run", function()
    local r = run("-s", "disk", "--dry-run")
    assert.same({ disk = "skipped" }, r.status)
    assert.same({ "disk" }, r.order)
    r = T.run_local(SCRIPT:gsub("steps = {", "setup = function() error('no') end, steps = {", 1), { args = { "-s", "disk,cpu" } })
    assert.same({ 3, 2 }, { r.code, #r.results.servers[1].steps })
  end)

  it("marks nobody, since some steps do not judge a server", function()
    local script = [[ return { mark = function() error "marked" end, confirm = 0, steps = {
      { name = "a", run = function() return 1 end, thresholds = { score = "> 5" } }, { name = "b", run = function() end } } } ]]
    local r = T.run_local(script, { args = { "--step", "a" } })
    assert.same({ 1, "failed" }, { r.code, r.results.servers[1].status })
    assert.equal(require "cjson".null, r.results.servers[1].mark)
  end)

  it("is refused for a name that no step has, with the one that was meant", function()
    assert.equal("muster run: script.lua has no step 'dsik'; did you mean 'disk'?", refused("-s", "cpu,dsik"))
    assert.equal("muster run: script.lua has no step 'network'; its steps are: cpu, cpu-long, disk, wipe, after",
      refused("-s", "network"))
    assert.equal("muster run: script.lua has no step 'x*'; its steps are: cpu, cpu-long, disk, wipe, after", refused("-s", "x*"))
    assert.equal("muster run: the name of a step is empty; the steps of script.lua are: cpu, cpu-long, disk, wipe, after",
      refused("-s", "cpu,"))
    assert.matches("\\x1b[2J", refused("-s", "\27[2J"), 1, true)
  end)

  it("is refused when a picked step needs one that is not picked", function()
    assert.equal("muster run: step cpu-long of script.lua needs step cpu, which is not picked: pick it as well",
      refused("-s", "cpu-long"))
  end)
end)

describe("a destructive step", function()
  it("is skipped with its reason, its when not asked, and so is what needs it", function()
    local r = run()
    assert.same({ "cpu", "cpu-long", "disk" }, r.said)
    assert.same({ 0, "passed", "skipped", "skipped" },
      { r.code, r.results.servers[1].status, r.status.wipe, r.status.after })
    local wipe = r.results.servers[1].steps[4]
    assert.is_true(wipe.withheld)
    assert.is_false(r.results.servers[1].steps[5].withheld)
    assert.equal("destructive: runs only with --allow-destructive", wipe.failures[1].cause)
    assert.matches("Not run: step wipe is destructive and was skipped on 1 server; --allow-destructive runs it. "
      .. "withheld_servers=[localhost]\n", r.stdout, 1, true)
  end)

  it("is told in JUnit and counted over servers", function()
    local dir = T.tmpdir()
    local r = T.run_local(SCRIPT, { dir = dir, args = { "-s", "wipe", "--junit", dir .. "/j.xml", "a", "b", "c" } })
    assert.equal(0, r.code)
    assert.matches("SKIPPED +wipe: destructive: runs only with %-%-allow%-destructive +%[?a", r.stdout)
    assert.matches("was skipped on 3 servers", r.stdout, 1, true)
    assert.matches('<skipped message="[^"]*destructive: runs only with %-%-allow%-destructive', T.read(dir .. "/j.xml"))
  end)

  it("runs where that is allowed", function()
    local r = run("--allow-destructive")
    assert.same({ "cpu", "cpu-long", "disk", "when", "wipe", "after" }, r.said)
    assert.same({ "passed", "passed" }, { r.status.wipe, r.status.after })
    assert.is_nil(r.stdout:find("Not run", 1, true))
    assert.same({ "when", "wipe" }, run("--allow-destructive", "-s", "wipe").said)
  end)

  it("is called so by muster check", function()
    local r = T.run { "check", T.write(T.tmpdir() .. "/script.lua", SCRIPT) }
    assert.matches("ok (5 steps: cpu, cpu-long, disk, wipe (destructive), after)", r.stdout, 1, true)
  end)

  it("is called so by muster list", function()
    local script = T.write(T.tmpdir() .. "/script.lua", SCRIPT)
    assert.matches("\n  step disk\n  step wipe (destructive): score >= 1\n", T.run { "list", script }.stdout, 1, true)
    local steps = require "cjson".decode(T.run { "list", "--json", script }.stdout)
    steps = (steps.scripts or steps)[1].steps
    assert.same({ false, true }, { steps[3].destructive, steps[4].destructive })
  end)

  it("is so by true or false alone", function()
    local r = T.run_local "return { steps = { { name = 's', run = print,\n destructive = 1 } } }"
    assert.equal(2, r.code)
    assert.matches("script.lua:2: destructive must be true or false, not a number\n$", r.stderr)
  end)
end)
