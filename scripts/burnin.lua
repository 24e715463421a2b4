-- Burn in: install an operating system, wait for SSH, measure CPU, memory, disk and GPU, destroy the installation, and
-- mark the server as broken when it was too slow or could not be installed or destroyed.
--
--   muster run scripts/burnin.lua -i fleet.txt -j 200 -p url=https://ironic.example.com:6385 -p os=debian-12
--   muster run scripts/burnin.lua -i fleet.txt --dry-run -p url=…         # says what it would ask the provisioner for
--   muster cleanup                                                       # after a crash: destroys what was left behind
--
-- A server is claimed before anything is done to it; one that is not in its clean state, or that someone else has, is
-- not touched and not marked. docs/provisioner.md says more, and how to use a provisioner of your own: copy this
-- script, and change provisioner_of().
local muster = require "muster"
local provisioner = require "provisioner"
local cpu, memory = require "benchmarks.cpu", require "benchmarks.memory"
local disk, gpu = require "benchmarks.disk", require "benchmarks.gpu"
local tool = require "benchmarks.tool"

local p
local function provisioner_of(params)
  if p then return p end
  local config = { url = params.url, max_in_flight = params.max_in_flight, install_timeout = params.install_timeout,
    destroy_timeout = params.destroy_timeout }
  if params.ca_file ~= "" then config.ca_file = params.ca_file end
  if params.user ~= "" then
    config.auth = { user = params.user, password = muster.secret { env = params.password_env } }
  end
  p = provisioner.new(params.provisioner, config)
  return p
end

return muster.script {
  description = "Burn in: install, measure CPU, memory, disk and GPU, destroy",
  params = {
    provisioner = "ironic", -- scripts/lib/provisioner/, or a module beside this script
    url = "http://127.0.0.1:6385",
    user = "", -- HTTP basic authentication: the user, and the environment variable with the password
    password_env = "PROVISIONER_PASSWORD",
    ca_file = "",
    os = "debian-12",
    max_in_flight = 20, -- installs, destroys and marks at once, whatever -j is
    install_timeout = "30m",
    destroy_timeout = "15m",
    boot = "15m", -- how long a fresh installation may take until SSH answers
    -- A fresh installation has a new host key. "accept-new": the one that it shows first, for this run of this server
    -- alone; "known": only keys from known_hosts. What the provisioner knows of its keys comes before both.
    host_keys = "accept-new",

    -- How long and where to measure, as in cpu.lua, memory.lua and disk.lua, which also say why these thresholds.
    -- -p seconds=1200 is an hour of it all.
    install_tools = false, -- true: install the benchmarks on it first, as root or by sudo without a password
    seconds = 10,
    megabytes = 256,
    device = "",
    folder = "/var/tmp",
    min_events_per_second = 500.0,
    min_throughput = 2000.0,
    min_copy = 1000.0,
    disk = true,
    min_read_iops = 1000.0,
    max_read_p99 = 50.0,
    gpu = false,
    -- In GB/s, the slowest GPU of the server. A data centre's GPU has 300 and more; this finds those that fell back to
    -- the CPU, or to one memory channel.
    min_gpu_bandwidth = 100.0,
  },

  timeout = "6h",
  setup_timeout = "50m",    -- install_timeout, boot, and a wait for a place in flight
  teardown_timeout = "45m", -- destroy_timeout, and a wait: what is not destroyed in time is left behind
  confirm = 1,              -- too slow is measured again before it counts
  max_broken = "5%",        -- more than that is the script or the firmware: nobody is marked

  setup = function(server, params)
    local access = provisioner_of(params):install(server, params.os)
    access.wait = params.boot
    if not access.host_keys and params.host_keys ~= "known" then access.host_keys = params.host_keys end
    server:connect(access)
  end,

  steps = {
    { name = "cpu", timeout = "2h",
      run = tool.step(function(server, params) return cpu.run(server, params.seconds) end),
      thresholds = { events_per_second = { min = "params.min_events_per_second", unit = "events/s" } } },
    { name = "memory", timeout = "2h",
      run = tool.step(function(server, params) return memory.run(server, params.seconds, params.megabytes) end),
      thresholds = { throughput = { min = "params.min_throughput", unit = "MiB/s" },
        copy = { min = "params.min_copy", unit = "MiB/s" } } },
    { name = "disk", timeout = "2h",
      when = function(_, params) return params.disk end,
      run = tool.step(function(server, params)
        return disk.run(server, params.device, params.folder, params.megabytes, params.seconds)
      end),
      thresholds = { read_iops = { min = "params.min_read_iops", unit = "IOPS" },
        read_p99 = { max = "params.max_read_p99", unit = "ms" } } },
    { name = "gpu",
      when = function(_, params) return params.gpu end,
      run = tool.step(function(server) return gpu.run(server) end),
      thresholds = { bandwidth = { min = "params.min_gpu_bandwidth", unit = "GB/s" } } },
  },

  teardown = function(server, params) provisioner_of(params):destroy(server) end,

  mark = function(server, verdict, params) return provisioner_of(params):mark_as_broken(server, verdict.reason) end,
}
