---@meta _
-- muster.errors, as muster.lua has it.

---What is raised, by muster or by a script: the summary names its type, and folds by `cause`, or by the message.
---@class muster.Error
---@field type string
---@field message string
---@field where? string file:line
---@field cause? string what the summary folds by
---@field command? string of a CommandError or TimeoutError
---@field exit_status? integer of a CommandError
---@field signal? string of a CommandError
---@field stderr? string of a CommandError: the last lines
---@field operation? string of a ServerOperationError: "install", "destroy"
---@field server? string of a ServerOperationError: its id
---@field provisioner? string of a ServerOperationError: which one was asked
---@field words? string of a ServerOperationError: what the provisioner said
---@field retryable? boolean of a ServerOperationError or HttpError: whether the same again may go better
---@field kind? string of a HttpError: "status"; or without a usable answer "resolve", "connect" (also a lost
---  connection), "timeout", "tls", "too_large", "redirects", "protocol", "json"
---@field status? integer of a HttpError with an answer; likewise body (up to 64 KiB) and headers
---@field body? string
---@field headers? table<string, string>
---@field method? string of a HttpError
---@field url? string of a HttpError
---@field attempts? integer of a HttpError

---Typed errors: each makes one to raise with error(). Fields of one's own may be given.
---@class muster.errors
local errors = {}
---Measured, and too slow, where a threshold cannot say it: the status is failed.
---```lua
---error(muster.errors.PerformanceBelowExpected "cpu 7 of 8 is at half speed")
---  --> Benchmark failed: PerformanceBelowExpected: cpu 7 of 8 is at half speed
---```
---@param message string
---@param fields? table<string, any>
---@return muster.Error
function errors.PerformanceBelowExpected(message, fields) end
---Looked at, and not as it should be: the status is failed.
---```lua
---error(muster.errors.CheckFailed "no GPU found")
---  --> Benchmark failed: CheckFailed: no GPU found
---```
---@param message string
---@param fields? table<string, any>
---@return muster.Error
function errors.CheckFailed(message, fields) end
---The provisioner says that an operation on this server went wrong: the status is failed.
---```lua
---error(muster.errors.ServerOperationError("install: no link on port 1", { operation = "install" }))
---  --> Benchmark failed: ServerOperationError: install: no link on port 1
---```
---@param message string
---@param fields? table<string, any>
---@return muster.Error
function errors.ServerOperationError(message, fields) end
---muster raises it when a connection cannot be made, then the status is unreachable, or is lost, then it is error.
---```lua
---error(muster.errors.ConnectError "the management port does not answer")
---  --> Unreachable: ConnectError: the management port does not answer
---```
---@param message string
---@param fields? table<string, any>
---@return muster.Error
function errors.ConnectError(message, fields) end
---muster raises it when the server's host key is not the known one: the status is unreachable.
---```lua
---local ok, e = pcall(server.connect, server)
---print(ok or muster.errors.is(e, "HostKeyError")) --> true
---error(muster.errors.HostKeyError "the key has changed") --> Unreachable: HostKeyError: the key has changed
---```
---@param message string
---@param fields? table<string, any>
---@return muster.Error
function errors.HostKeyError(message, fields) end
---muster raises it when the login is refused: the status is unreachable.
---```lua
---error(muster.errors.AuthError "no key is accepted") --> Unreachable: AuthError: no key is accepted
---```
---@param message string
---@param fields? table<string, any>
---@return muster.Error
function errors.AuthError(message, fields) end
---muster raises it when a command ends with a non-zero exit status or by a signal: the status is error.
---```lua
---local ok, e = pcall(server.exec, server, "echo no disk >&2; exit 3")
---print(e.type, e.exit_status, e.stderr) --> CommandError 3 no disk
---error(muster.errors.CommandError "fio: no such device") --> Benchmark error: CommandError: fio: no such device
---```
---@param message string
---@param fields? table<string, any>
---@return muster.Error
function errors.CommandError(message, fields) end
---muster raises it when what was asked for took longer than its `timeout`: the status is timeout.
---```lua
---local ok, e = pcall(server.exec, server, "sleep 60", { timeout = "100ms" })
---print(muster.errors.is(e, "TimeoutError")) --> true
---error(muster.errors.TimeoutError "the burn-in never ended") --> Timed out: TimeoutError: the burn-in never ended
---```
---@param message string
---@param fields? table<string, any>
---@return muster.Error
function errors.TimeoutError(message, fields) end
---The script is wrong, or was used wrongly: the status is error. muster raises it, too.
---```lua
---error(muster.errors.ScriptError "params.disk is not set") --> Benchmark error: ScriptError: params.disk is not set
---```
---@param message string
---@param fields? table<string, any>
---@return muster.Error
function errors.ScriptError(message, fields) end
---muster.http raises it when there is no answer, or a status of 400 or more: the status is error.
---```lua
---local ok, e = pcall(muster.http.request, { url = params.url .. "/status/404" })
---print(e.type, e.kind, e.status) --> HttpError status 404
---error(muster.errors.HttpError "the API speaks no JSON") --> Benchmark error: HttpError: the API speaks no JSON
---```
---@param message string
---@param fields? table<string, any>
---@return muster.Error
function errors.HttpError(message, fields) end
---The provisioner could not be asked, which says nothing of the server: the status is error.
---```lua
---error(muster.errors.ProvisionerError "no answer from the house API")
---  --> Benchmark error: ProvisionerError: no answer from the house API
---```
---@param message string
---@param fields? table<string, any>
---@return muster.Error
function errors.ProvisionerError(message, fields) end
---The server is in a state in which it is not ours to touch: the status is error.
---```lua
---error(muster.errors.ServerStateError "owned by anna") --> Benchmark error: ServerStateError: owned by anna
---```
---@param message string
---@param fields? table<string, any>
---@return muster.Error
function errors.ServerStateError(message, fields) end
---Whether value is a typed error, of that type when one is named.
---```lua
---local ok, e = pcall(server.exec, server, "exit 1")
---print(muster.errors.is(e), muster.errors.is(e, "CommandError"), muster.errors.is "text") --> true true false
---```
---@param value any
---@param type? string
---@return boolean
function errors.is(value, type) end

return errors
