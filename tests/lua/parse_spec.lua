-- muster.parse on what real tools printed (tests/data), and on what is not what they print.
local T = require "muster_test"
local cjson = require "cjson"

local function data(name) return T.read(T.source .. "/tests/data/" .. name) end

-- What muster.parse.NAME(text, options) returns or raises, inside muster. options is Lua text.
local function parse(name, text, options)
  local dir = T.tmpdir()
  T.write(dir .. "/output", text)
  local result = T.run_local(([[
    local cjson, muster = require "cjson", require "muster"
    cjson.encode_sparse_array(true)
    return { steps = { { name = "s", run = function()
      print("> " .. cjson.encode { muster.parse.%s(io.open(%q):read "a", %s) })
    end } } }]]):format(name, dir .. "/output", options or "nil"))
  local step = result.results.servers[1].steps[1]
  if step.failures[1] then return nil, step.failures[1] end
  return cjson.decode(step.log:match "> ([^\n]*)")[1]
end

describe("muster.parse", function()
  it("reads lines with a name and a value", function()
    local found = parse("kv", data "meminfo.txt")
    assert.equals(24684084, found.MemTotal)
    assert.equals("number", type(found.MemFree))
    assert.same({ rate = 1.5e3, level = -3, used = 18.5, state = "not good", ratio = "3 of 4", empty = "", time = "12:30:01" },
      parse("kv", "rate = 1.5e3\r\nlevel: -3 dB\nused:18.5%\nno value here\n state : not good \nratio: 3 of 4\nempty=\ntime=12:30:01\n"))
    assert.same({ ["a:b"] = 7 }, parse("kv", "a:b -> 7 MiB/s\n", [[{ sep = "->", want = { "a:b" } }]]))
  end)

  it("reads columns under a header", function()
    local rows = parse("table", data "free.txt")
    assert.same({ 2, "Mem:", "Swap:" }, { #rows, rows[1].name, rows[2].name })
    assert.same({ 24105, 0 }, { rows[1].total, rows[2].free })
    rows = parse("table", "procs ---memory---\n r  b   free\n 5  0  22404444\n 7  1   22404440\n\nnothing more\n", [[{ header = "^ r" }]])
    assert.same({ { r = 5, b = 0, free = 22404444 }, { r = 7, b = 1, free = 22404440 } }, rows)
    rows = parse("table", "  PID %CPU COMMAND\n    1  0.5 /sbin/init splash\n31245 18% sh\n")
    assert.same({ { PID = 1, ["%CPU"] = 0.5, COMMAND = "/sbin/init splash" }, { PID = 31245, ["%CPU"] = 18, COMMAND = "sh" } }, rows)
  end)

  it("reads sysbench", function()
    assert.same({ events_per_second = 1659.04, events = 1663, time = 1.0005, latency_min = 0.22, latency_avg = 1.19,
      latency_max = 32.92, latency_p95 = 12.30 }, parse("sysbench", data "sysbench-cpu.txt"))
    local memory = parse("sysbench", data "sysbench-memory.txt")
    assert.same({ 9178.27, 9178.27 }, { memory.throughput, memory.operations_per_second })
    local threads = parse("sysbench", data "sysbench-threads.txt")
    assert.same({ 111, 2.4991, 28.16 }, { threads.events, threads.time, threads.latency_p95 })
    assert.near(111 / 2.4991, threads.events_per_second, 0.01) -- it prints none
    local fileio = parse("sysbench", data "sysbench-fileio.txt")
    assert.same({ 4386.87, 2924.58, 293.45, 68.54, 45.70 }, { fileio.reads_per_second, fileio.writes_per_second,
      fileio.fsyncs_per_second, fileio.read_throughput, fileio.write_throughput })
  end)

  it("reads stress-ng's table and its YAML, which agree, and counts what it did not verify", function()
    local brief, yaml = parse("stress_ng", data "stress-ng.txt"), parse("stress_ng", data "stress-ng.yaml")
    assert.same({ bogo_ops = 286, time = 2.05, user_time = 0.26, system_time = 0, bogo_ops_per_second = 139.71,
      bogo_ops_per_cpu_second = 1087.80 }, brief.stressors.cpu)
    assert.same({ 0, {} }, { brief.failed, brief.failures })
    for name, of in pairs(yaml.stressors) do
      for key, value in pairs(of) do assert.near(value, brief.stressors[name][key], 0.0051, name .. "." .. key) end
    end
    assert.equals(139.711399, yaml.stressors.cpu.bogo_ops_per_second)
    local failed = parse("stress_ng", data "stress-ng-failed.txt")
    assert.same({ "qsort: forward sort error detected, incorrect ordering found" }, failed.failures)
    assert.same({ 1, 0, 712.94 }, { failed.failed, failed.stressors.qsort.bogo_ops, failed.stressors.cpu.bogo_ops_per_second })
  end)

  it("reads mbw and openssl speed", function()
    local mbw = parse("mbw", data "mbw.txt")
    assert.same({ copies = { 3052.561, 12913.640, 19115.890 }, best = 19115.890, average = 6559.617 }, mbw.memcpy)
    assert.same({ 21843.003, 16849.495 }, { mbw.dumb.best, mbw.mcblock.average })
    local speed = parse("openssl_speed", data "openssl-speed.txt")
    assert.same({ 45715243.24, 4026398340.74 }, { speed["AES-256-GCM"]["16"], speed["AES-256-GCM"]["16384"] })
    assert.same({ rsa2048 = { sign = 4082.142857, verify = 60841.935484 },
      ecdsa256 = { sign = 51236.363636, verify = 16487.096774 } }, parse("openssl_speed", data "openssl-speed-rsa.txt"))
  end)

  it("reads fio", function()
    local jobs = parse("fio", data "fio.json")
    assert.same({ 1, "read" }, { #jobs, jobs[1].name })
    local read = jobs[1].read
    assert.same({ 27381.237525, 112153548, 54872, 5.799936, 15.532032, 0.259072 },
      { read.iops, read.bandwidth, read.ios, read.p99, read.p99_9, read.p50 })
    assert.near(0.557867, read.latency, 1e-6)
    assert.same({ iops = 0, bandwidth = 0, ios = 0 }, jobs[1].write)
  end)

  it("reads iperf3", function()
    local tcp = parse("iperf3", data "iperf3.json")
    assert.same({ 10693508647, 10802062029, 2, 1.012343 }, -- cjson prints 14 digits
      { math.floor(tcp.bits_per_second + 0.5), math.floor(tcp.sent_bits_per_second + 0.5), tcp.retransmits, tcp.seconds })
    local udp = parse("iperf3", data "iperf3-udp.json")
    assert.same({ 0, true, nil }, { udp.lost_percent, udp.jitter > 0 and udp.jitter < 1, udp.retransmits })
  end)

  it("reads clpeak", function()
    local devices = parse("clpeak", data "clpeak.xml")
    assert.equals(1, #devices)
    assert.same({ name = "pthread-skylake-avx512-AMD EPYC", compute_units = 2, clock_frequency = 2096,
      global_memory_bandwidth = { float = 13.1959, float2 = 27.757, float4 = 34.9771, float8 = 48.1054, float16 = 50.2131 } },
      devices[1])
  end)

  it("raises what the output ends with when it is something else, and a disk's own error as failed", function()
    local noent = data "fio-noent.json"
    for _, case in ipairs {
      { "kv", "nothing here\n", "error", "the command printed no line with a name and a value", "nothing here" },
      { "kv", "a: b\n", "error", 'the command printed no number "a"', "a: b", [[{ want = { "a" } }]] },
      { "table", "HEADER ALONE\n", "error", "the command printed no table", "HEADER ALONE" },
      { "sysbench", "FATAL: no threads\n", "error", "sysbench printed no score", "FATAL: no threads" },
      { "stress_ng", "stress-ng: error: [1] no room\n", "error", "stress-ng printed no metrics", "no room" },
      { "mbw", "Allocation failed\n", "error", "mbw printed no score", "Allocation failed" },
      { "openssl_speed", "speed: Unknown algorithm\n", "error", "openssl speed printed no score", "Unknown algorithm" },
      { "fio", "fio: out of luck {\n", "error", "fio printed no report", "out of luck" },
      { "fio", noent, "error", "fio: No such file or directory", "No such file" },
      { "fio", (noent:gsub('"error" : 2,', '"error" : 5,')), "failed", "the disk has an I/O error", "error 5, input/output error" },
      { "fio", (noent:gsub('"error" : 2,', '"error" : 84,')), "failed", "the disk has an I/O error", "not what was written" },
      { "iperf3", "iperf3: parameter error\n", "error", "iperf3 printed no report", "parameter error" },
      { "iperf3", data "iperf3-refused.json", "error", "iperf3: unable to connect to server", "Connection refused" },
      { "clpeak", "<clpeak></clpeak>", "error", "clpeak: no OpenCL device", "<clpeak></clpeak>" },
      { "clpeak", "", "error", "clpeak: no OpenCL device", "could measure" },
    } do
      local found, failure = parse(case[1], case[2], case[6])
      assert.is_truthy(failure, case[1] .. ": " .. cjson.encode(found))
      assert.same({ case[3], true }, { failure.status, failure.cause:find(case[4], 1, true) == 1 }, failure.cause)
      assert.is_truthy(failure.message:find(case[5], 1, true), failure.message)
    end
  end)

  it("does not hang on a server that sends nonsense", function()
    for name, text in pairs { fio = ("{"):rep(2000000), iperf3 = ("{"):rep(2000000) .. "x", kv = "a:" .. (" "):rep(2000000) .. "b",
      sysbench = ("\n"):rep(2000000), stress_ng = ("metrics:\n"):rep(200000), mbw = ("\tMethod: "):rep(200000) } do
      parse(name, text)
    end
  end)

  it("is there when it is asked for, once a task, and can be shadowed by a file beside the script", function()
    local result = T.run_local([[
      local muster = require "muster"
      assert(package.loaded["muster.parse"] == nil and muster.nothing == nil and muster[1] == nil)
      assert(muster.parse == require "muster.parse" and muster.parse == muster.parse)
      return { steps = { { name = "s", run = function(server)
        local was = muster.parse.mine -- a task's own: it may be changed
        muster.parse.mine = server.id
        return was == nil and 7 or 0
      end } } }]], { args = { "a", "b", "c", "--workers", "1" } })
    assert.equals(0, result.code, result.stderr)
    for _, server in ipairs(result.results.servers) do assert.equals(7, server.steps[1].metrics.score.value) end
    result = T.run_local([[return { steps = { { name = "s", run = function() return require("muster").parse.mine() end } } }]],
      { dir = (function()
        local dir = T.tmpdir()
        assert(os.execute("mkdir " .. T.quote(dir .. "/muster")))
        T.write(dir .. "/muster/parse.lua", "return { mine = function() return 5 end }")
        return dir
      end)() })
    assert.equals(5, result.results.servers[1].steps[1].metrics.score.value, result.stderr)
  end)
end)
