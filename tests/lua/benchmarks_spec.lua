-- The parts of cpu.lua, memory.lua, disk.lua and burnin.lua: what the programs' real output comes to (tests/data, recorded
-- on Debian 12), what is said when a program is not there, and that nothing stays behind.
local T = require "muster_test"

local function data(name) return T.read(T.source .. "/tests/data/" .. name) end

-- What parse(text) of a module returns or raises, inside muster.
local function parse(module, call, text)
  local dir = T.tmpdir()
  T.write(dir .. "/output", text)
  local result = T.run_local(([[
    local cjson, m = require "cjson", require "benchmarks.%s"
    return { steps = { { name = "s", run = function()
      local text = io.open(%q):read "a"
      print("> " .. cjson.encode { m.%s(text) })
    end } } }]]):format(module, dir .. "/output", call))
  local step = result.results.servers[1].steps[1]
  if step.failures[1] then return nil, step.failures[1] end
  return require "cjson".decode(step.log:match "> ([^\n]*)")[1]
end

describe("the parts of the benchmarks", function()
  it("read sysbench, mbw, fio and clpeak", function()
    assert.same({ events_per_second = 1659.04 }, parse("cpu", "parse", data "sysbench-cpu.txt"))
    assert.equals(9178.27, parse("memory", "parse_sysbench", data "sysbench-memory.txt"))
    assert.equals(19115.890, parse("memory", "parse_mbw", data "mbw.txt")) -- the best of three
    local disk = parse("disk", "parse", data "fio.json")
    assert.equals(27381.237525, disk.read_iops)
    assert.is_true(disk.read_p99 > 1 and disk.read_p99 < 20, disk.read_p99)
    assert.same({ bandwidth = 50.2131 }, parse("gpu", "parse", data "clpeak.xml"))
  end)

  it("take the worst of several GPUs", function()
    local xml = data "clpeak.xml"
    local slow = xml:match "<device .-</device>":gsub("50.2131", "48.7")
    assert.same({ bandwidth = 48.7 }, parse("gpu", "parse", (xml:gsub("</platform>", function(tag) return slow .. tag end))))
  end)

  it("call what is no score an error, and a disk that cannot be read failed", function()
    for _, case in ipairs {
      { "cpu", "parse", "FATAL: no threads\n", "error", "sysbench printed no score" },
      { "memory", "parse_mbw", "Allocation failed\n", "error", "mbw printed no score" },
      { "disk", "parse", "fio: out of luck\n", "error", "fio printed no report" },
      { "disk", "parse", data "fio-noent.json", "error", "fio: No such file or directory" },
      { "disk", "parse", (data "fio-noent.json":gsub('"error" : 2,', '"error" : 5,')), "failed", "the disk has a read error" },
      { "gpu", "parse", "<clpeak></clpeak>", "error", "clpeak: no OpenCL device" },
    } do
      local _, failure = parse(case[1], case[2], case[3])
      assert.is_truthy(failure, case[5])
      assert.same({ case[4], true }, { failure.status, failure.cause:find(case[5], 1, true) == 1 }, failure.cause)
    end
  end)
end)

describe("the scripts", function()
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
    for script, args in pairs { cpu = { "-p", "seconds=1" }, memory = { "-p", "seconds=1", "-p", "megabytes=16" },
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
