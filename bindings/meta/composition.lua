---@meta _
-- What muster.use, before_all and after_all of muster.lua take and give.

---@class muster.UseOptions
---@field steps? string[] these alone, with what they need; all when not given
---@field params? table<string, string|number|boolean> for these steps alone, whatever this script declares; `-p` wins
---@field thresholds? table<string, muster.Rule|muster.Rule[]> in place of the script's own: "METRIC", of each step
---  taken that has such a threshold, or of the only step; or "STEP.METRIC", by the step's name in its script
---@field prefix? string put before the names of its steps, "fast." for example, so that a script can be used twice
---@field when? fun(server: muster.Server, params: table): boolean asked before each step's own `when`; false skips it
---@field hooks? "ignore" take steps also of a script with setup, teardown or before_all: this one does what they need

---A server as before_all sees it: nothing can be run on it.
---@class muster.FleetServer
---@field id string
---@field address string
---@field port integer
---@field user? string
---@field vars table

---@class muster.Results
---@field run string the run's id
---@field exit_code integer as it would be without after_all
---@field counts table<string, integer> by status
---@field servers muster.ServerResult[] in the inventory's order

---@class muster.ServerResult
---@field id string
---@field status string
---@field duration number seconds
---@field mark string "none", "made", "kept", "failed", "withheld"
---@field left_behind boolean
---@field failures muster.Failure[] outside steps
---@field steps muster.StepResult[]

---@class muster.StepResult
---@field name string
---@field status string
---@field duration number seconds
---@field measured integer how often
---@field metrics table<string, muster.MetricResult>
---@field failures muster.Failure[]

---@class muster.MetricResult
---@field value number
---@field unit? string
---@field judgement string "unjudged", "passed", "missed"
---@field min? number
---@field max? number
---@field samples? number[]
