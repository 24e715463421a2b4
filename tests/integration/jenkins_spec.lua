-- docs/jenkins.md: its Jenkinsfile's shell steps, run as Jenkins runs them, on real sshd. Jenkins itself is not here.
local S = require "ssh_support"
local T = require "muster_test"

local PAGE = T.read(T.source .. "/docs/jenkins.md")
local JENKINSFILE = PAGE:match "<!%-%- file: Jenkinsfile %-%->\n```groovy\n(.-)\n```\n"

-- What Groovy makes of the text between three quotes.
local STEPS = {}
for text in JENKINSFILE:gmatch "'''(.-)'''" do STEPS[#STEPS + 1] = text:gsub("\\\\", "\\") end

local SCRIPT = [[
return require "muster".script { params = { file = "" },
  teardown = function(server) server:release() end,
  steps = {
    { name = "cpu", thresholds = { score = { min = 10 } }, run = function(server, params)
        server:claim { what = "nothing" }
        if server.vars.wait then server:exec("exec sleep %s", server.vars.wait) end
        return tonumber(server.vars.score)
      end } } }
]]

describe("the page on Jenkins", function()
  local fleet, agent
  setup(function()
    fleet = T.fleet_start(2)
    agent = S.agent()
    assert(T.exec { "ssh-add", "-q", fleet.key, env = { SSH_AUTH_SOCK = agent } }.code == 0)
  end)

  --- A workspace, and the environment that the job's parameters and `environment` come to.
  local function workspace(parameters)
    local dir = T.tmpdir()
    local entries = {}
    for i, score in ipairs { 80, 20 } do
      local server = fleet.servers[fleet.ids[i]]
      entries[i] = { id = "srv" .. i, address = server.address, port = server.port, user = server.user,
        vars = { score = tostring(score), wait = parameters.wait } }
    end
    S.inventory(dir, entries)
    T.write(dir .. "/script.lua", SCRIPT)
    local env = { PATH = T.muster:match "^(.*)/" .. ":" .. os.getenv "PATH", HOME = T.home(), SSH_AUTH_SOCK = agent,
      INVENTORY = "inventory.json", KNOWN_HOSTS = fleet.known_hosts, STATE_DIR = dir .. "/state", SCRIPT = "script.lua",
      SERVERS = "", THRESHOLDS = "", FORKS = "50" }
    for name, value in pairs(parameters) do if name ~= "wait" then env[name] = value end end
    return dir, env
  end

  local function build(parameters)
    local dir, env = workspace(parameters)
    local result = T.exec { "sh", "-xe", "-c", STEPS[1], cwd = dir, env = env }
    return result, dir, env
  end

  local function assert_reports(dir)
    local valid = T.exec { "xmllint", "--noout", "--schema", T.source .. "/tests/support/junit.xsd", dir .. "/reports/junit.xml" }
    assert.equals(0, valid.code, valid.stderr)
    for _, judge in ipairs { { "judge-agreement", "junit.xml", "results.json" }, { "judge-openmetrics", "muster.prom" } } do
      local words = { T.source .. "/tests/support/" .. judge[1] }
      for i = 2, #judge do words[i] = dir .. "/reports/" .. judge[i] end
      local said = T.exec(words)
      assert.equals(0, said.code, said.stderr)
    end
    assert.is_truthy(S.exists(dir .. "/reports/muster.log"))
    assert.matches("^<!DOCTYPE html>", T.read(dir .. "/reports/muster.html"))
  end

  it("has two shell steps", function() assert.equals(2, #STEPS) end)

  it("runs the fleet, and takes thresholds, servers and what browsers make of lines", function()
    local result, dir = build {}
    assert.equals(0, result.code, result.stderr)
    assert.equals("Out of 2, 0 servers failed. failed_servers=[]\n", result.stdout)
    assert_reports(dir)
    result, dir = build { THRESHOLDS = "cpu.score=>= 40, < 1000\r\n\r\n" }
    assert.equals(1, result.code, result.stderr)
    assert.matches("failed_servers=%[srv2%]\n$", result.stdout)
    assert_reports(dir)
    assert.equals(0, build { THRESHOLDS = "cpu.score=>= 40", SERVERS = "srv* !srv2" }.code)
  end)

  it("takes what somebody types for no command", function()
    local result, dir = build { SERVERS = "$(touch oops) `touch oops` ; touch oops", THRESHOLDS = "cpu.score=>= $(touch oops)" }
    assert.equals(2, result.code, result.stderr)
    assert.is_false(S.exists(dir .. "/oops"))
  end)

  it("ends in good order when it is aborted, and leaves nothing for the cleanup", function()
    local mark = S.mark()
    local dir, env = workspace { wait = mark }
    -- timeout hands the signal on.
    local words = { "timeout", "--foreground", "-k", "5", T.time_limit, "env" }
    for name, value in pairs(env) do words[#words + 1] = name .. "=" .. value end
    local pipe = assert(io.popen(("cd %s && echo $$ && exec %s sh -xe -c %s </dev/null 2>stderr"):format(T.quote(dir),
      T.quote(table.unpack(words)), T.quote(STEPS[1]))))
    local pid = pipe:read "l"
    S.wait_for(function() return T.read(dir .. "/stderr") end, function() return #S.marked(mark) >= 2 end)
    assert(T.exec { "kill", "-TERM", pid }.code == 0)
    local said = pipe:read "a"
    local _, _, code = pipe:close()
    assert.equals(143, code, T.read(dir .. "/stderr"))
    assert.matches("CANCELLED", said)
    assert_reports(dir)
    local cleanup = T.exec { "sh", "-xe", "-c", STEPS[2], cwd = dir, env = env }
    assert.equals(0, cleanup.code, cleanup.stderr)
    assert.is_nil(cleanup.stdout:find "still left behind")
  end)

  it("tells the exit codes as the README does, and what the job makes of them", function()
    local readme = T.read(T.source .. "/README.md")
    local rows = 0
    for codes, meaning in readme:gmatch "\n| ([%d, ]+) | ([^|\n]+) |%f[\n]" do
      assert.is_truthy(PAGE:find("| " .. codes .. " | " .. meaning .. " | ", 1, true), codes)
      rows = rows + 1
    end
    assert.equals(6, rows)
    for _, case in ipairs { "case 0:", "case 1: unstable", "case 3: unstable", "case 4: error", "case [130, 143]:" } do
      assert.is_truthy(JENKINSFILE:find(case, 1, true), case)
    end
    -- Its brackets close; quotes and comments hold none that do not.
    for pair in ("{} () []"):gmatch "%S+" do
      local _, opened = JENKINSFILE:gsub("%" .. pair:sub(1, 1), "")
      local _, closed = JENKINSFILE:gsub("%" .. pair:sub(2), "")
      assert.equals(opened, closed, pair)
    end
  end)

  it("names every series there is", function()
    local golden = T.read(T.source .. "/tests/data/golden/metrics.prom")
    for name in golden:gmatch "# TYPE (%S+)" do
      assert.is_truthy(PAGE:find(name:gsub("_max$", "_min"), 1, true), name)
    end
  end)
end)
