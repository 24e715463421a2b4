-- A benchmark program on a server, and what is said when it is not there.
local muster = require "muster"
local errors = muster.errors
local M = {}

--- server:exec(…), for a command that needs this program of that Debian package.
function M.run(server, program, package, ...)
  local ok, result = pcall(server.exec, server, ...)
  if result.exit_status == 127 and (ok or errors.is(result, "CommandError")) then
    error(errors.CommandError(("%s is not on the server: install the Debian package %s there (apt-get install %s)")
      :format(program, package, package), { cause = ("%s is missing (apt-get install %s)"):format(program, package),
      command = result.command, exit_status = 127, stderr = result.stderr }))
  end
  return ok and result or error(result)
end

return M
