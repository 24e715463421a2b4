-- A benchmark program on a server: what is said when it is not there, and how it gets there when the operator wants it.
local muster = require "muster"
local errors = muster.errors
local M = {}

local install = false

--- A function of a step, run or when, of a pair step too, that may install what is missing when params.install_tools
--- says so. It goes along when another script uses the step, as a setup hook would not.
function M.step(run)
  return function(server, params, peer)
    install = params.install_tools
    return run(server, params, peer)
  end
end

-- For sh: $1 is the package. Other servers' apt-get cannot be in the way, but this server's own after booting can.
local INSTALL = [[
if [ "$(id -u)" = 0 ]; then as_root=
elif sudo -n true 2>/dev/null; then as_root="sudo -n"
else echo "takes root, or sudo without a password" >&2; exit 1
fi
get() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 --no-install-recommends "$@"
}
get install "$1" || { get update && get install "$1"; }
]]

local function install_package(server, package)
  muster.log.info(("Installs the Debian package %s on the server."):format(package))
  local out = server:exec { "sh", "-c", INSTALL, "sh", package, check = false, stdin = "" }
  if out.ok then return end
  local why = out.stderr:match "([^\n]+)%s*$" or ("exit status %s"):format(out.exit_status or out.signal)
  error(errors.CommandError(("the Debian package %s could not be installed: %s"):format(package, why),
    { cause = ("%s could not be installed"):format(package), exit_status = out.exit_status, signal = out.signal,
      stderr = out.stderr }))
end

local function is_missing(ok, result) return result.exit_status == 127 and (ok or errors.is(result, "CommandError")) end

--- server:exec(…), for a command that needs this program of that Debian package and exits with 127 when it is missing.
function M.run(server, program, package, ...)
  local ok, result = pcall(server.exec, server, ...)
  if install and is_missing(ok, result) then
    install_package(server, package)
    ok, result = pcall(server.exec, server, ...)
  end
  if is_missing(ok, result) then
    error(errors.CommandError(("%s is not on the server: install the Debian package %s there (apt-get install %s, " ..
      "or --install-tools)"):format(program, package, package),
      { cause = ("%s is missing (apt-get install %s)"):format(program, package), command = result.command,
        exit_status = 127, stderr = result.stderr }))
  end
  return ok and result or error(result)
end

--- Whether what measure(…) raised means that its program is not there: for what is measured only where it can be.
function M.is_missing(failure) return errors.is(failure, "CommandError") and failure.exit_status == 127 end

return M
