-- One command a server, and a number out of it: what the benchmarks run.
local muster = require "muster"

return muster.script {
  description = "one command a server",
  params = { command = "echo 912.4" },
  steps = {
    { name = "score", run = function(server, params) return tonumber(server:exec(params.command).stdout) end },
  },
}
