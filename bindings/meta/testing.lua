---@meta muster.testing
-- Annotations for editors (LuaLS) of muster.testing, which specs use under `muster test`.

---@class muster.testing
local testing = {}

---What an exec answers: text is its standard output. error: exec raises instead, "timeout" or "lost".
---@class muster.testing.Answer
---@field stdout? string
---@field stderr? string
---@field exit_status? integer
---@field signal? string
---@field error? "timeout"|"lost"

---What a request is told: text is its body. json instead of a body is a table. error: there is no answer. What statuses
---and retries come to is as the request says.
---@class muster.testing.HttpAnswer
---@field status? integer 200 when not given
---@field body? string
---@field json? table
---@field headers? table<string, string>
---@field error? "connect"|"resolve"|"timeout"|"tls"

---@class muster.testing.Http

---@class muster.testing.ServerOptions
---@field id? string "server" when not given
---@field address? string
---@field user? string
---@field port? integer
---@field vars? table<string, any>
---@field http? muster.testing.Http what muster.http is told
---@field connect? string|string[] how connections go: "ok", "refused", "unreachable", "timeout", "auth", "host_key"

---@class muster.testing.Server

---@class muster.testing.Failure
---@field status string
---@field type? string
---@field where? string
---@field metric? string
---@field cause? string
---@field message? string

---@class muster.testing.Step
---@field name string
---@field status string
---@field reason string of its first failure; "" when there is none
---@field metrics table<string, number>
---@field units table<string, string>
---@field failures muster.testing.Failure[]
---@field measured integer how often it ran
---@field earlier? string what it came to before the last time
---@field log string what it printed

---@class muster.testing.Result
---@field status string
---@field reason string
---@field steps table<integer|string, muster.testing.Step> by place, and by name
---@field failures muster.testing.Failure[] outside steps
---@field asked string[] the commands and requests, in order
---@field log table[] { level, message, … }
---@field mark? table { state, reason, note, tries }
---@field claim? string what is claimed when all is over, as JSON

---@class muster.testing.Script
local Script = {}

---A script to run: beside the spec, or from the current folder.
---```lua
---local script = testing.load "cpu.lua"
---print(script:run(testing.server { ["sysbench *"] = "events per second: 900\n" }).status) --> passed
---```
---@param path string
---@param options? { modules?: string, timeout?: number } modules: a folder where require looks first
---@return muster.testing.Script
function testing.load(path, options) end

---A stand-in for a server: what it answers to commands, in which * is any text. A list answers in turn.
---```lua
---local server = testing.server({
---  ["sysbench cpu *"] = "events per second: 310.5\n", -- what it prints
---  ["nproc"] = { stderr = "no such program\n", exit_status = 127 },
---  ["cat /sys/*/temp"] = { "71\n", "95\n" }, -- one after the other
---}, { id = "srv07", vars = { rack = "r1" } })
---print(testing.load("cpu.lua"):run(server).status) --> failed
---```
---@param answers table<string, string|muster.testing.Answer|(string|muster.testing.Answer)[]>
---@param options? muster.testing.ServerOptions
---@return muster.testing.Server
function testing.server(answers, options) end

---What muster.http is told, by request: method and URL, in which * is any text, and which without a ? is compared with
---the URL without its query. A list answers in turn, also retries, which do not wait.
---```lua
---local http = testing.http { ["GET http://inventory.example/servers/*"] = { json = { bandwidth = 9000 } } }
---local answers = { ["sysbench *"] = "(8712.40 MiB/sec)\n", ["sensors *"] = "temp1_input: 61.0\n" }
---local server = testing.server(answers, { http = http })
---print(testing.load("burn.lua"):run(server).status) --> passed
---```
---@param answers table<string, string|muster.testing.HttpAnswer|(string|muster.testing.HttpAnswer)[]>
---@return muster.testing.Http
function testing.http(answers) end

---What a file holds; beside the spec, or from the current folder.
---```lua
---local server = testing.server { ["sysbench *"] = testing.file "sysbench.txt" }
---print(testing.load("cpu.lua"):run(server).steps.cpu.metrics.events_per_second) --> 912.4
---```
---@param path string
---@return string
function testing.file(path) end

---Run the script on the stand-in, by the engine itself.
---```lua
---local server = testing.server { ["sysbench *"] = "events per second: 310.5\n" }
---local result = testing.load("cpu.lua"):run(server, { seconds = 1 })
---print(result.status, result.reason) --> failed cpu.events_per_second 310.5 < 500 events/s
---print(result.asked[1]) --> sysbench cpu --time=1 --threads=$(nproc) run
---```
---With a peer, what the server is paired with in pair steps: it counts as a good one, so that what the pair comes to is
---the server's result, and steps of its own are not run on it.
---@param server muster.testing.Server
---@param params? table<string, any>
---@param peer? muster.testing.Server
---@return muster.testing.Result
function Script:run(server, params, peer) end

return testing
