---@meta _
-- muster.log, as muster.lua has it.

---Log lines carry the server and the step by themselves.
---@class muster.log
local log = {}
---The finest: seen with --log-level trace.
---```lua
---muster.log.trace("Read a line.", { bytes = 80 }) --> Read a line. bytes=80
---```
---@param message any
---@param fields? table<string, any>
function log.trace(message, fields) end
---Seen with --log-level debug.
---```lua
---muster.log.debug("Raw score.", { score = 71.5 }) --> Raw score. score=71.5
---```
---@param message any
---@param fields? table<string, any>
function log.debug(message, fields) end
---Seen as it is.
---```lua
---muster.log.info("GPU benchmark begins.", { gpu = 0 }) --> GPU benchmark begins. gpu=0
---```
---@param message any
---@param fields? table<string, any>
function log.info(message, fields) end
---Something is odd, and the measurement goes on.
---```lua
---muster.log.warning("Hot before the load.", { celsius = 71 }) --> Hot before the load. celsius=71
---```
---@param message any
---@param fields? table<string, any>
function log.warning(message, fields) end
---The same as warning.
---```lua
---muster.log.warn "Hot before the load." --> Hot before the load.
---```
---@param message any
---@param fields? table<string, any>
function log.warn(message, fields) end
---Something is broken. The line alone decides nothing: raise for that.
---```lua
---muster.log.error("A fan stands still.", { fan = 3 }) --> A fan stands still. fan=3
---```
---@param message any
---@param fields? table<string, any>
function log.error(message, fields) end
---Fields for every later line of this step or hook, the host's own included.
---```lua
---muster.log.bind { gpu = 1 }
---print "Begins." --> Begins. gpu=1
---```
---@param fields table<string, any>
function log.bind(fields) end

return log
