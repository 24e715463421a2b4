-- Burn in: install an operating system, wait for SSH, measure CPU, memory, disk and GPU, stress it, look at its health,
-- destroy the installation, and mark the server as broken when it did not do well, or could not be installed or
-- destroyed.
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

-- A group of steps that -p NAME=false leaves out.
local function chosen(name) return function(_, params) return params[name] end end

return muster.script {
  description = "Burn in: install, measure CPU, memory, disk, GPU, stress and health, destroy",
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

    -- -p seconds=1200 is more than an hour of it all. The stress takes 60 without that.
    install_tools = false, -- true: install the benchmarks on it first, as root or by sudo without a password
    seconds = 10,
    megabytes = 256,
    disk = true,
    stress = true,
    health = true,
    gpu = false,
    -- As min_bandwidth and max_temperature in gpu.lua: here these would be the memory's, and the processors'.
    min_gpu_bandwidth = 100.0,
    max_gpu_temperature = 83,
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

  -- What each measures, and why by these thresholds, is said in the script that it is taken from; so is what else -p
  -- sets.
  steps = {
    muster.use "cpu",
    muster.use "memory",
    muster.use("disk", { steps = { "disk" }, when = chosen "disk" }),
    muster.use("stress", { when = chosen "stress", params = { seconds = 60 } }),
    muster.use("gpu", { prefix = "gpu-", when = chosen "gpu", thresholds = {
      ["bandwidth.bandwidth"] = { min = "params.min_gpu_bandwidth", unit = "GB/s" },
      ["health.temperature"] = { max = "params.max_gpu_temperature", unit = "°C" } } }),
    -- Last: what the others have left in the kernel's log counts.
    muster.use("health", { prefix = "health-", when = chosen "health" }),
  },

  teardown = function(server, params) provisioner_of(params):destroy(server) end,

  mark = function(server, verdict, params) return provisioner_of(params):mark_as_broken(server, verdict.reason) end,
}
