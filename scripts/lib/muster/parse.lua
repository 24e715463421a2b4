-- muster.parse: what common tools print, as plain tables of numbers. What is looked for and not there is a ScriptError
-- with the output's end: a score that could not be read is never taken for a bad one.
local cjson = require "cjson.safe"
local errors = require("muster").errors
local M = {}

local function missing(program, what, text)
  local cause = ("%s printed no %s"):format(program, what)
  error(errors.ScriptError(("%s; its output ends: %s"):format(cause, text:sub(-200)), { cause = cause }))
end

local function trim(text) return text:match "^%s*(.*%S)" or "" end

local function lines(text) return text:gsub("\r", ""):gmatch "[^\n]+" end

-- The JSON object in a text: tools print warnings before and after it. nil when there is none.
local function object(text)
  local first, last = text:find("{", 1, true), text:match "^.*()}"
  local report = first and last and cjson.decode(text:sub(first, last))
  return type(report) == "table" and report or nil
end

-- A field of nested tables, or nil: dig(t, "end", "sum", "seconds").
local function dig(value, ...)
  for _, key in ipairs { ... } do
    if type(value) ~= "table" then return nil end
    value = value[key]
  end
  if value == cjson.null then return nil end
  return value
end

-- ---- any tool ----

local function value_of(text)
  return tonumber(text) or tonumber(text:match "^([-+]?%d[%w.+-]*)%s+%a[%w/]*$" or text:match "^([-+]?[%d.]+)%%$")
    or text
end

function M.kv(text, options)
  local sep = options and options.sep
  local found, any = {}, false
  for line in lines(text) do
    local at, last = line:find(sep or "[:=]", 1, sep ~= nil)
    local name = at and trim(line:sub(1, at - 1)) or ""
    if name ~= "" then
      found[name] = value_of(trim(line:sub(last + 1)))
      any = true
    end
  end
  if not any then missing("the command", "line with a name and a value", text) end
  for _, name in ipairs(options and options.want or {}) do
    if type(found[name]) ~= "number" then missing("the command", ("number %q"):format(name), text) end
  end
  return found
end

local function cells_of(line)
  local cells = {}
  for cell in line:gmatch "%S+" do cells[#cells + 1] = cell end
  return cells
end

function M.table(text, options)
  local pattern = options and options.header or "%S"
  local header, names, rows = nil, nil, {}
  for line in text:gsub("\r", ""):gmatch "([^\n]*)\n?" do
    if not header then
      if line:find(pattern) then header, names = line, cells_of(line) end
    elseif line:find "%S" then
      -- Rows that begin with a label left of all columns, as free prints them.
      if #rows == 0 and select(2, line:find "%S+") < header:find "%S" then table.insert(names, 1, "name") end
      local row, at = {}, 1
      for column, name in ipairs(names) do
        -- The last column takes what is left: commands have blanks.
        local first, last = line:find(column < #names and "%S+" or "%S.*", at)
        if not first then break end
        local cell = trim(line:sub(first, last))
        row[name] = tonumber(cell) or tonumber(cell:match "^([-+]?[%d.]+)%%$") or cell
        at = last + 1
      end
      rows[#rows + 1] = row
    elseif #rows > 0 then
      break
    end
  end
  if #rows == 0 then missing("the command", "table", text) end
  return rows
end

-- ---- processors and memory ----

local SYSBENCH = {
  events = "total number of events:%s+(%d+)", time = "total time:%s+([%d.]+)s",
  latency_min = "\n +min:%s+([%d.]+)", latency_avg = "\n +avg:%s+([%d.]+)", latency_max = "\n +max:%s+([%d.]+)",
  latency_p95 = "95th percentile:%s+([%d.]+)",
  events_per_second = "events per second:%s+([%d.]+)",           -- cpu
  throughput = "transferred %(([%d.]+) MiB/sec%)",                 -- memory
  operations_per_second = "Total operations: %d+ %(%s*([%d.]+) per second%)",
  reads_per_second = "reads/s:%s+([%d.]+)", writes_per_second = "writes/s:%s+([%d.]+)", -- fileio
  fsyncs_per_second = "fsyncs/s:%s+([%d.]+)",
  read_throughput = "\n +read, MiB/s:%s+([%d.]+)", write_throughput = "\n +written, MiB/s:%s+([%d.]+)",
}

function M.sysbench(text)
  local found = {}
  for name, pattern in pairs(SYSBENCH) do found[name] = tonumber(text:match(pattern)) end
  if not found.events_per_second and found.events and (found.time or 0) > 0 then
    found.events_per_second = found.events / found.time
  end
  if not found.events_per_second then missing("sysbench", "score", text) end
  return found
end

function M.stress_ng(text)
  local result = { stressors = {}, failed = 0, failures = {} }
  for line in lines(text) do
    -- It may exit with 0 after a failed verification: what it says is what counts.
    local failure = line:match "^stress%-ng: fail:%s+%[%d+%]%s+(.*)$"
    if failure then result.failures[#result.failures + 1] = failure end
    local name, ops, real, user, system, rate, rate_cpu = line:match(
      "^stress%-ng: %a+:%s+%[%d+%]%s+(%S+)%s+(%d+)%s+([%d.]+)%s+([%d.]+)%s+([%d.]+)%s+([%d.]+)%s+([%d.]+)")
    if name then
      result.stressors[name] = { bogo_ops = tonumber(ops), time = tonumber(real), user_time = tonumber(user),
        system_time = tonumber(system), bogo_ops_per_second = tonumber(rate),
        bogo_ops_per_cpu_second = tonumber(rate_cpu) }
    end
  end
  result.failed = #result.failures
  -- Its YAML knows more digits than its table.
  local NAMES = { ["bogo-ops"] = "bogo_ops", ["bogo-ops-per-second-real-time"] = "bogo_ops_per_second",
    ["bogo-ops-per-second-usr-sys-time"] = "bogo_ops_per_cpu_second", ["wall-clock-time"] = "time",
    ["user-time"] = "user_time", ["system-time"] = "system_time" }
  local stressor
  for line in lines(text:match "%f[^\n%z]metrics:%s*\n(.*)" or "") do
    local first = line:match "^%s+%- stressor:%s*(%S+)"
    if first then
      stressor = {}
      result.stressors[first] = stressor
    elseif not line:find "^%s" then
      break
    end
    local name, value = line:match "^%s+([%w-]+):%s*([%d.]+)%s*$"
    if stressor and NAMES[name] then stressor[NAMES[name]] = tonumber(value) end
  end
  if not next(result.stressors) then missing("stress-ng", "metrics", text) end
  return result
end

function M.mbw(text)
  local methods = {}
  for run, method, copy in text:gmatch "%f[^\n%z](%w+)\tMethod: (%w+)\t[^\n]*Copy: ([%d.]+) MiB/s" do
    local of = methods[method:lower()] or { copies = {} }
    methods[method:lower()] = of
    if run == "AVG" then
      of.average = tonumber(copy)
    else
      of.copies[#of.copies + 1] = tonumber(copy)
      of.best = math.max(of.best or 0, tonumber(copy))
    end
  end
  for _, of in pairs(methods) do of.best = of.best or of.average end
  if not next(methods) then missing("mbw", "score", text) end
  return methods
end

function M.openssl_speed(text)
  local found, sizes = {}, {}
  local function numbers(list)
    local of = {}
    for number in list:gmatch "[^:]+" do of[#of + 1] = tonumber(number) end
    return of
  end
  for line in lines(text) do
    local header = line:match "^%+H:(.+)$"
    if header then sizes = numbers(header) end
    local name, list = line:match "^%+F:%d+:([^:]+):(.+)$"
    if name then
      found[name] = {}
      for i, speed in ipairs(numbers(list)) do found[name][sizes[i] or i] = speed end
    end
    -- 2: RSA, 3: DSA, 4: ECDSA; signatures and verifications a second.
    local kind, key = line:match "^%+F([234]):%d+:(.+)$"
    local of = kind and numbers(key)
    if of and #of == 3 then
      found[({ ["2"] = "rsa", ["3"] = "dsa", ["4"] = "ecdsa" })[kind] .. ("%d"):format(of[1])] =
        { sign = of[2], verify = of[3] }
    end
  end
  if not next(found) then missing("openssl speed", "score (is -mr given?)", text) end
  return found
end

-- ---- disks ----

-- The system's error numbers that say that the disk itself could not do what it was asked.
local BROKEN = { [5] = "input/output error", [61] = "no data", [84] = "what was read is not what was written" }

local function fio_side(side)
  local result = { iops = dig(side, "iops"), bandwidth = dig(side, "bw_bytes"), ios = dig(side, "total_ios") }
  if (result.ios or 0) > 0 then result.latency = (dig(side, "clat_ns", "mean") or 0) / 1e6 end
  for percent, value in pairs(dig(side, "clat_ns", "percentile") or {}) do
    -- "99.000000" → p99, "99.900000" → p99_9
    result["p" .. percent:gsub("0+$", ""):gsub("%.$", ""):gsub("%.", "_")] = value / 1e6
  end
  return result
end

function M.fio(text)
  local jobs = dig(object(text), "jobs")
  if not dig(jobs, 1) then missing("fio", "report", text) end
  local found = {}
  for i, job in ipairs(jobs) do
    if BROKEN[job.error] then
      error(errors.CheckFailed(("the disk has an I/O error (fio: error %d, %s)"):format(job.error, BROKEN[job.error])))
    elseif job.error ~= 0 then
      local why = trim(text:match "error=([^\n]+)" or ("error %s"):format(job.error))
      error(errors.CommandError("fio: " .. why, { cause = "fio: " .. why }))
    end
    found[i] = { name = job.jobname, read = fio_side(job.read), write = fio_side(job.write) }
  end
  return found
end

-- ---- networks ----

function M.iperf3(text)
  local report = object(text)
  local why = dig(report, "error")
  if why then error(errors.CommandError("iperf3: " .. why, { cause = "iperf3: " .. why:gsub(":.*", "") })) end
  local received, sent = dig(report, "end", "sum_received"), dig(report, "end", "sum_sent")
  if type(dig(received, "bits_per_second")) ~= "number" then missing("iperf3", "report (is -J given?)", text) end
  local datagrams = dig(report, "end", "sum")
  return { bits_per_second = received.bits_per_second, seconds = received.seconds,
    sent_bits_per_second = dig(sent, "bits_per_second"), retransmits = dig(sent, "retransmits"),
    jitter = dig(datagrams, "jitter_ms"), lost_percent = dig(datagrams, "lost_percent") }
end

-- ---- GPUs ----

function M.clpeak(text)
  local devices = {}
  for attributes, body in text:gmatch "<device([^>]*)>(.-)</device>" do
    local device = { name = attributes:match ' name="([^"]*)"',
      compute_units = tonumber(attributes:match ' compute_units="(%d+)"'),
      clock_frequency = tonumber(attributes:match ' clock_frequency="(%d+)"') }
    for test, inside in body:gmatch "<([%w_]+)[^>]*>(.-)</%1>" do
      local values = {}
      for name, value in inside:gmatch "<([%w_]+)[^>]*>%s*([%d.eE+-]+)%s*</%1>" do values[name] = tonumber(value) end
      device[test] = tonumber(inside) or next(values) and values or nil
    end
    devices[#devices + 1] = device
  end
  if #devices == 0 then
    error(errors.ScriptError("clpeak found no OpenCL device that it could measure; its output ends: " .. text:sub(-200),
      { cause = "clpeak: no OpenCL device" }))
  end
  return devices
end

-- The result of exec as a whole is what is given by mistake.
for name, read in pairs(M) do
  M[name] = function(text, options)
    if type(text) ~= "string" then
      error(("parse.%s reads text, the stdout of a command, not a %s"):format(name, type(text)), 2)
    end
    return read(text, options)
  end
end

return M
