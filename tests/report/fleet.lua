-- A fleet that exists nowhere: numbers that follow from each server's name, and some servers that are bad.
local muster = require "muster"
return muster.script {
  description = "CPU, memory and disk of a made-up fleet",
  params = { run = 1 },
  steps = {
    { name = "cpu", thresholds = { events_per_second = { min = 800, unit = "events/s" }, latency_ms = { max = 3 } },
      run = function(server, params)
        local n = tonumber(server.id:match "%d+")
        local x = (n * 7919 + params.run * 104729) % 1000 / 1000
        print("events per second: " .. 900 + 60 * x)
        if n % 97 == 5 then error "the tool broke" end
        if n % 61 == 7 then return { events_per_second = 700 + n % 50 - params.run, latency_ms = 4 + x } end
        return { events_per_second = 900 + 30 * x + 30 * (x * 37 % 1), latency_ms = 1 + x * 0.4 }
      end },
    { name = "memory", thresholds = { mib_per_second = { reference = 10000, tolerance = "15 %", unit = "MiB/s" } },
      run = function(server, params)
        local n = tonumber(server.id:match "%d+")
        local x = (n * 104729 + params.run * 7919) % 997 / 997
        local samples = { 9800 + 500 * x, 9900 + 400 * x, 9700 + 600 * x }
        return { mib_per_second = n % 113 == 11 and 7000 + 100 * x or samples, latency_ns = 80 + 5 * x }
      end },
    { name = "disk",
      run = function(server, params)
        local n = tonumber(server.id:match "%d+")
        local x = (n * 31 + params.run * 17) % 991 / 991
        return { read_iops = 95000 + 8000 * x * x, write_iops = n % 211 == 1 and 2000 or 40000 + 2000 * x }
      end },
  },
}
