-- The scripts cpu.lua, memory.lua and disk.lua: that they measure, what is said when a program is not there, and that nothing
-- stays behind. What the programs print is read by muster.parse: parse_spec.lua.
local T = require "muster_test"

describe("the scripts", function()
  it("are each checked, described, and named by the README", function()
    local readme, count = T.read(T.source .. "/README.md"), 0
    for _, path in ipairs(T.lines(T.exec { "sh", "-c", "ls " .. T.quote(T.source) .. "/scripts/*.lua" }.stdout)) do
      local name = path:match "[^/]+$"
      local result = T.run { "check", "--strict", path }
      assert.equals(0, result.code, result.stderr)
      assert.matches("^" .. path:gsub("%p", "%%%0") .. ": ok %(%d+ steps?: ", result.stdout)
      assert.is_truthy(readme:find("`" .. name .. "`", 1, true), name .. " is not in the README")
      assert.matches('\n  description = "[^"\n]+",\n', T.read(path))
      count = count + 1
    end
    assert.is_true(count >= 8)
  end)

  local function run(script, args, env)
    local arguments = { "run", T.source .. "/scripts/" .. script .. ".lua", "--local", "--json", T.tmpdir() .. "/r.json",
      table.unpack(args) }
    arguments.env = env
    local result = T.run(arguments)
    result.results = require "cjson".decode(T.read(arguments[5]))
    return result
  end

  it("measure", function()
    local folder = T.tmpdir()
    local metrics = {}
    -- How fast this machine is now is not what is tested.
    for script, args in pairs { cpu = { "-p", "seconds=1", "-p", "min_events_per_second=1" },
      memory = { "-p", "seconds=1", "-p", "megabytes=16", "-p", "min_throughput=1", "-p", "min_copy=1" },
      disk = { "-p", "seconds=1", "-p", "megabytes=16", "-p", "folder=" .. folder, "-p", "min_read_iops=1",
        "-p", "max_read_p99=10000" } } do
      local result = run(script, args)
      assert.equals(0, result.code, result.stdout .. result.stderr)
      for name, metric in pairs(result.results.servers[1].steps[1].metrics) do
        assert.is_true(metric.value > 0, name)
        metrics[name] = metric.unit
      end
    end
    assert.same({ events_per_second = "events/s", throughput = "MiB/s", copy = "MiB/s", read_iops = "IOPS",
      read_p99 = "ms" }, metrics)
    assert.equals("", T.exec { "ls", folder }.stdout)
  end)

  it("take the worst of several GPUs, each at its best", function()
    local xml = T.read(T.source .. "/tests/data/clpeak.xml")
    local slow = xml:match "<device .-</device>":gsub("50.2131", "48.7")
    local file = T.write(T.tmpdir() .. "/xml", (xml:gsub("</platform>", function(tag) return slow .. tag end)))
    local result = T.run_local(([[
      local muster, gpu = require "muster", require "benchmarks.gpu"
      return { steps = { { name = "s", run = function()
        return gpu.worst(muster.parse.clpeak(io.open(%q):read "a"))
      end } } }]]):format(file))
    assert.equals(48.7, result.results.servers[1].steps[1].metrics.score.value, result.stderr)
  end)

  it("judge by their parameters", function()
    local result = run("cpu", { "-p", "seconds=1", "-p", "min_events_per_second=1e12" })
    assert.equals(1, result.code)
    assert.is_truthy(result.stdout:find(" < 1000000000000 events/s", 1, true), result.stdout)
    result = T.run { "run", T.source .. "/scripts/cpu.lua", "--local", "-p", "min_events_per_second=fast" }
    assert.equals(2, result.code)
    assert.is_truthy(result.stderr:find("wants a number, not 'fast'", 1, true), result.stderr)
  end)

  it("say which package is missing, and remove their file when there is no room or no fio", function()
    -- A machine with the usual programs and none of the benchmarks.
    local bin, folder = T.tmpdir(), T.tmpdir()
    assert(os.execute("cd /usr/bin && ln -s $(command -v sh mktemp rm cat nproc env stat) " .. T.quote(bin)))
    for script, package in pairs { cpu = "sysbench", memory = "sysbench", disk = "fio" } do
      local result = run(script, script == "disk" and { "-p", "folder=" .. folder } or {}, { PATH = bin })
      assert.equals(3, result.code, result.stdout .. result.stderr)
      assert.is_truthy(result.stdout:find(package .. " is missing (apt-get install " .. package .. ")", 1, true), result.stdout)
    end
    local result = run("disk", { "-p", "folder=" .. folder, "-p", "megabytes=1000000000" })
    assert.is_truthy(result.stderr:find(folder .. " has no room for 1000000000 MiB", 1, true), result.stderr)
    result = run("disk", { "-p", "folder=" .. folder .. "/none" })
    assert.is_truthy(result.stderr:find("fio could not run: stat: ", 1, true), result.stderr)
    -- A device is only read: one that is not there is not made.
    result = run("disk", { "-p", "device=" .. folder .. "/none" })
    assert.equals(3, result.code, result.stdout .. result.stderr)
    assert.equals("", T.exec { "ls", folder }.stdout)
  end)
end)
