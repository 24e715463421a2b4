-- GPUs: their health as nvidia-smi tells it, and their memory's bandwidth over OpenCL. Needs clpeak and the GPUs' own
-- OpenCL driver on the servers; nvidia-smi comes with NVIDIA's driver, and without it only the bandwidth is measured.
--   muster run scripts/gpu.lua -i inventory.txt -p min_bandwidth=1500
-- The inventory may say how many there are: srv01  expected_gpus=8
local muster = require "muster"
local gpu, tool = require "benchmarks.gpu", require "benchmarks.tool"

local before -- what `health` found, for the step ecc

return muster.script {
  description = "GPUs: health (nvidia-smi) and memory bandwidth (OpenCL)",
  params = {
    install_tools = false, -- true: install what is missing there, as root or by sudo without a password
    nvidia = false, -- true: without nvidia-smi it is an error, as it is where the inventory expects GPUs
    -- In °C. Most begin to slow down from 83 to 90; before any work one that is hotter than this is not cooled.
    max_temperature = 83,
    max_slowed = 0, -- GPUs that slow down for heat or power at this moment
    -- Since the driver was loaded. Corrected ones happen; uncorrected ones took a job down with them.
    max_ecc_corrected = 100,
    max_ecc_uncorrected = 0,
    -- In GB/s, the slowest GPU of the server. A data centre's GPU has 300 and more; this finds those that fell back to
    -- the CPU, or to one memory channel.
    min_bandwidth = 100.0,
  },
  timeout = "15m",

  steps = {
    -- First the work, so that health sees them warm.
    { name = "bandwidth",
      run = tool.step(function(server) return gpu.run(server) end),
      thresholds = { bandwidth = { min = "params.min_bandwidth", unit = "GB/s" } } },
    { name = "health",
      when = function(server, params)
        before = gpu.nvidia(server)
        if before or params.nvidia or server.vars.expected_gpus then return true end
        muster.log.info "Not measured: health: there is no nvidia-smi."
        return false
      end,
      run = function(server)
        before = gpu.nvidia(server)
        if not before then
          error(muster.errors.CommandError("nvidia-smi is not on the server: it comes with NVIDIA's driver (in " ..
            "Debian nvidia-smi, of non-free)", { cause = "nvidia-smi is missing (Debian: nvidia-smi, of non-free)" }))
        end
        local expected = tonumber(server.vars.expected_gpus or 0)
        if not expected then error "the inventory's expected_gpus is no number" end
        return { gpus = before.gpus, missing = math.max(0, expected - before.gpus), temperature = before.temperature,
          slowed = before.slowed }
      end,
      thresholds = {
        missing = { max = 0, unit = "GPUs" },
        temperature = { max = "params.max_temperature", unit = "°C" },
        slowed = { max = "params.max_slowed", unit = "GPUs" },
      } },
    { name = "ecc",
      when = function()
        if not before then return false end
        if not before.uncorrected then muster.log.info "Not measured: ecc: no GPU has ECC, or it is off." end
        return before.uncorrected ~= nil
      end,
      run = function(server)
        local now = gpu.nvidia(server) or {}
        return { corrected = now.corrected, uncorrected = now.uncorrected }
      end,
      thresholds = {
        corrected = { max = "params.max_ecc_corrected" },
        uncorrected = { max = "params.max_ecc_uncorrected" },
      } },
  },
}
