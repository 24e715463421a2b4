-- __NAME__: what it measures, and why somebody wants to know.
--
--   muster check __NAME__.lua                   look for mistakes
--   muster test __NAME___spec.lua               its tests, without a server
--   muster run __NAME__.lua --local             try it on this machine
--   muster run __NAME__.lua -i fleet.txt        on a fleet
local muster = require "muster"

return muster.script {
  description = "__NAME__: processors, and how busy they are",

  -- Set by `-p max_load_per_core=2`; a parameter has the type of its default.
  params = { min_cores = 1, max_load_per_core = 1000 },

  -- setup = function(server, params) … end         before the steps; what it begins, teardown ends
  -- teardown = function(server, params) … end      always, once setup began
  -- on_failure = function(server, failures) … end  while the server is still there: collect what explains it

  steps = {
    { name = "cores",
      -- A step returns a number, or a table of them. What it raises makes it an error: "could not be measured".
      run = function(server)
        local out = server:exec "nproc" -- raises when the command ends with anything but 0
        return { cores = tonumber(out.stdout) }
      end,
      thresholds = { cores = { min = "params.min_cores" } } },

    { name = "load",
      needs = { "cores" }, -- skipped unless that passed
      timeout = "1m",
      run = function(server)
        local cores = tonumber(server:exec "nproc".stdout)
        local load = tonumber(server:exec "cat /proc/loadavg".stdout:match "^[%d.]+")
        muster.log.info("Looked at the load.", { load = load, cores = cores })
        return { load_per_core = load / cores }
      end,
      thresholds = { load_per_core = { max = "params.max_load_per_core" } } },
  },
}
