---@meta _
-- muster.parse, as muster.lua has it.

---What common tools print, as tables of numbers. What is looked for and not there is a ScriptError with the output's
---end. Pure Lua (scripts/lib/muster/parse.lua), loaded when it is first asked for.
---@class muster.parse
local parse = {}

---Lines "name: value" or "name = value". A value is a number where it is one, a unit after it ("24684084 kB", "18.5%")
---is left out; else it is text. `sep`: what stands between them, as plain text. `want`: names that must be there,
---with a number.
---```lua
---local memory = muster.parse.kv(server:read_file "/proc/meminfo", { want = { "MemTotal" } })
---print(memory.MemTotal > 0) --> true
---```
---@param text string
---@param options? { sep?: string, want?: string[] }
---@return table<string, number|string>
function parse.kv(text, options) end

---Columns apart by blanks, under a header: a table a row, by the header's words; numbers where they are. The last
---column takes the rest of its line. Labels left of all columns, as `free` prints them, are `name`. It ends at an empty
---line. `header`: a pattern that finds the header line; when not given the first that is not empty.
---```lua
---local rows = muster.parse.table(server:exec "free -m".stdout)
---print(rows[1].name, rows[1].total > 0) --> Mem: true
---```
---@param text string
---@param options? { header?: string }
---@return table<string, number|string>[]
function parse.table(text, options) end

---@class muster.Sysbench
---@field events? integer
---@field time number s
---@field events_per_second number printed by `cpu`, else events by time
---@field latency_min number ms; likewise latency_avg, latency_max, latency_p95
---@field latency_avg number
---@field latency_max number
---@field latency_p95 number
---@field throughput? number MiB/s, of `memory`
---@field operations_per_second? number of `memory`
---@field reads_per_second? number of `fileio`, as the next four; throughput in MiB/s
---@field writes_per_second? number
---@field fsyncs_per_second? number
---@field read_throughput? number
---@field write_throughput? number

---sysbench cpu, memory, threads, mutex, fileio.
---```lua
---local out = server:exec "sysbench cpu --threads=2 --time=1 run"
---print(muster.parse.sysbench(out.stdout).events_per_second) --> 1659.04
---```
---@param text string
---@return muster.Sysbench
function parse.sysbench(text) end

---stress-ng: its table (--metrics-brief), its YAML (--yaml), or both. `failures`: its lines "fail:", as of --verify; it
---may exit with 0 all the same.
---```lua
---local found = muster.parse.stress_ng(server:exec("stress-ng --cpu 2 --vm 1 -t 2 --metrics-brief 2>&1").stdout)
---print(found.stressors.cpu.bogo_ops, found.failed) --> 286 0
---```
---@param text string
---@return { stressors: table<string, muster.Stressor>, failed: integer, failures: string[] }
function parse.stress_ng(text) end

---@class muster.Stressor
---@field bogo_ops integer
---@field bogo_ops_per_second number by real time
---@field bogo_ops_per_cpu_second number by user and system time
---@field time number s; likewise user_time, system_time
---@field user_time number
---@field system_time number

---mbw, MiB/s by method in lower case ("memcpy").
---```lua
---print(muster.parse.mbw(server:exec "mbw -n 3 64".stdout).memcpy.average) --> 6559.617
---```
---@param text string
---@return table<string, { copies: number[], best: number, average?: number }>
function parse.mbw(text) end

---openssl speed -mr: bytes/s of each size, `speed["AES-256-GCM"][16384]`; signatures and verifications a second,
---`speed.rsa2048.sign`.
---```lua
---local speed = muster.parse.openssl_speed(server:exec "openssl speed -mr -evp aes-256-gcm".stdout)
---print(speed["AES-256-GCM"][16384] / 1e9) --> 4.02639834074
---```
---@param text string
---@return table<string, table<integer|string, number>>
function parse.openssl_speed(text) end

---fio --output-format=json: its jobs, in their order. A job whose error is not 0 raises: CheckFailed where the disk
---could not read or write, or read something else than was written; CommandError otherwise.
---```lua
---local out = server:exec "fio --name=probe --rw=randread --bs=4k --size=64M --runtime=1 --output-format=json"
---local job = muster.parse.fio(out.stdout)[1]
---print(job.read.iops, job.read.p99) --> 27381.237525 5.799936
---```
---@param text string
---@return { name: string, read: muster.FioSide, write: muster.FioSide }[]
function parse.fio(text) end

---@class muster.FioSide
---@field iops number
---@field bandwidth number bytes/s
---@field ios integer how many there were; with none there is no latency
---@field latency? number ms, the mean
---@field p50? number ms, as each percentile that fio prints: p99, p99_9 (99.9), …
---@field p99? number

---iperf3 -J. Its error, such as a refused connection, is a CommandError.
---```lua
---local out = server:exec "iperf3 -J -t 1 -c 10.0.0.9"
---print(muster.parse.iperf3(out.stdout).bits_per_second // 1e6, "Mbit/s") --> 10693.0 Mbit/s
---```
---@param text string
---@return muster.Iperf3
function parse.iperf3(text) end

---@class muster.Iperf3
---@field bits_per_second number received
---@field seconds number
---@field sent_bits_per_second? number
---@field retransmits? integer of TCP
---@field jitter? number ms, of -u
---@field lost_percent? number of -u

---clpeak --xml-file: its devices; each test is a table of numbers by width, in the unit that clpeak gives, or a number.
---```lua
---server:exec "clpeak --global-bandwidth --xml-file clpeak.xml"
---local devices = muster.parse.clpeak(server:read_file "clpeak.xml")
---print(devices[1].global_memory_bandwidth.float4) --> 34.9771
---```
---@param text string
---@return muster.ClDevice[]
function parse.clpeak(text) end

---@class muster.ClDevice
---@field name string
---@field compute_units? integer
---@field clock_frequency? integer MHz
---@field global_memory_bandwidth? table<string, number> GB/s by width: "float4"

return parse
