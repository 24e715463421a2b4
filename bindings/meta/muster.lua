---@meta muster
-- What scripts see of muster, for editors that read LuaLS annotations (.luarc.json points here) and for people.
-- Durations are seconds (a number) or text such as "90s", "5m", "1h30m".
--
-- Of these files tools/reference.lua makes docs/reference.md. Each function has one example, which the tests run as the
-- body of a step (with muster, server, params): what it prints or logs stands behind -->, and … is any text there.
-- @async: it waits, and may not be called at load time.

---@class muster
---@field version string of muster, such as "0.1.0"
---@field log muster.log
---@field errors muster.errors
---@field run muster.Run
---@field http muster.http
---@field json muster.json
---@field parse muster.parse
local muster = {}

---The run that this task is part of; read-only. While a script is being loaded the id is a placeholder.
---@class muster.Run
---@field id string "20261122T235959Z-a1b2c3"; in `muster cleanup` that of the run that is cleaned up after
---@field owner string who runs it, "user@host"
---@field dry_run boolean nothing may be changed anywhere
---@field attempt integer how often this server's task was begun, with this time: 1, unless the agent (`muster agent`)
---  that had it was lost
---@field cleanup boolean only `teardown` runs, to destroy what an earlier run left behind
---@field dir string the folder of the script that is run: server:upload(muster.run.dir .. "/payload/fix.sh", "fix.sh")
---@field shared any what before_all returned: a read-only copy of each task's own; nil without before_all, while a
---  script is being loaded, and in `muster cleanup` and `muster console`

---What a script returns. Unknown fields, wrong types and impossible thresholds are errors at load, with file and line.
---```lua
---local muster = require "muster"
---return muster.script {
---  params = { seconds = 1 },
---  steps = { { name = "clock", thresholds = { seconds = { min = "params.seconds", unit = "s" } },
---    run = function(server, params)
---      server:exec("sleep %d", params.seconds)
---      return { seconds = params.seconds } --> clock.seconds is 1 s.
---    end } } }
---```
---@param description muster.Description
---@return muster.Description
function muster.script(description) end

---Steps of another script, as steps of this one: `steps = { muster.use "cpu", { name = "mine", run = … } }`. At the top
---level only. The script is `cpu.lua` beside this one, else among the installed scripts; modules are found as this
---script's are. Its parameters become parameters of this script, so that `-p` sets them; where this script declares one
---of the same name, its default holds. Hooks are not taken, nor files and timeouts of the script as a whole; a script
---with setup, teardown or before_all is refused unless `hooks = "ignore"`.
---```lua
---local muster = require "muster"
---return muster.script {
---  steps = {
---    muster.use("cpu", { params = { seconds = 1 }, thresholds = { events_per_second = ">= 500" } }),
---    --> cpu.events_per_second is 1659.04…
---    { name = "mine", run = function() return 7 end }, --> mine.score is 7.
---  } }
---```
---@param name string
---@param options? muster.UseOptions
---@return muster.Step steps for a list of steps
function muster.use(name, options) end

---Wait so long; other servers go on meanwhile.
---```lua
---for i = 1, 2 do
---  muster.sleep "50ms" -- or 0.05
---  print(i) --> 1
---end        --> 2
---```
---@async
---@param duration number|string
function muster.sleep(duration) end

---Run a command on this machine, not on the server; otherwise as server:exec. In a dry run it is logged instead, and
---the result says `dry_run`, unless the option `read_only` says that it changes nothing. Raises CommandError and
---TimeoutError, as server:exec does.
---```lua
---local out = muster.exec("printf %q", "it's here") -- %q quotes for the shell
---print(out.stdout) --> it's here
---print(muster.exec("exit 3", { check = false }).exit_status) --> 3
---```
---@async
---@param command string|muster.ExecWords
---@param ... any the format's values, then perhaps a table of muster.ExecOptions
---@return muster.ExecResult
function muster.exec(command, ...) end

---At most `limit` holders of a permit at once in the whole run, whichever worker their tasks are on. One name has one
---limit in a run; acquire() raises where two limits are named.
---```lua
---local licences = muster.semaphore("licence", 2) -- at most two servers of the run at a time
---local permit <close> = licences:acquire()
---print(licences) --> semaphore licence (2)
---```
---@param name string
---@param limit integer
---@return muster.Semaphore
function muster.semaphore(name, limit) end

---@class muster.Semaphore
local Semaphore = {}
---Wait in line for a permit: `local permit <close> = semaphore:acquire()`. Without `<close>` it is held until released,
---collected, or the end of the task. `first`: ahead of all who wait without it; for what gives something back.
---```lua
---do
---  local permit <close> = muster.semaphore("installs", 3):acquire()
---  muster.sleep(0.01) -- what at most three servers may do at once
---end
---print "done" --> done
---```
---@async
---@param options? { first?: boolean }
---@return muster.Permit
function Semaphore:acquire(options) end

---@class muster.Permit
local Permit = {}
---Give it back; harmless when repeated.
---```lua
---local permit = muster.semaphore("downloads", 3):acquire()
---server:exec "true" -- what at most three servers may do at once
---permit:release()
---print "released" --> released
---```
function Permit:release() end

---@class muster.Description
---@field description? string
---@field params? table<string, string|number|boolean> defaults; `-p name=value` sets one, in the type of its default
---@field timeout? number|string deadline of the whole server, 1 h when not given
---@field steps muster.Step[]
---@field setup_timeout? number|string of setup, 30 min when not given
---@field teardown_timeout? number|string of teardown and on_failure, 60 s when not given; --teardown-timeout wins
---@field confirm? integer how often a step that comes out failed is measured again at once, until it passes; 1 when
---  there is a mark hook, else 0 (for `peers` 1). What passes then is passed; what cannot be measured again is an error
---@field mark? fun(server: muster.Server, verdict: muster.Verdict, params: table): true|string|nil marks the server as
---  broken. Called by muster alone, after teardown, once the cap allows it. A string: it was left as it was, and why.
---  Raising, or taking longer than 5 minutes: it is tried again, three times in all
---@field mark_broken_on? string[] statuses that mark: "failed" (this alone when not given), "error", "timeout",
---  "unreachable"
---@field max_broken? integer|string the cap, "5%" when not given, 20, or "5%,20" (the smaller holds): when more
---  servers are to be marked, none is. --max-broken wins
---@field files? string[] files that it sends or reads while it runs, modules aside: paths and patterns from its folder,
---  "payload/*.sh", "limits.json" (`*` and `?` for parts of a name, `[ab]`; of each folder by itself). They travel with
---  the script to where it is run, so name them by muster.run.dir. Each must be there; those of a used script are not
---  taken
---@field setup? fun(server: muster.Server, params: table) before the steps; raising skips them
---@field teardown? fun(server: muster.Server, params: table) always runs once setup began (--teardown-timeout)
---@field on_failure? fun(server: muster.Server, failures: muster.Failure[]) diagnostics, before teardown
---@field before_all? fun(fleet: muster.FleetServer[], params: table): any once a run, before the first server, for
---  none; what it returns (strings, numbers, booleans, tables of these) is muster.run.shared. When it raises, or takes
---  longer than setup_timeout, nothing runs: exit code 2. It has an instance of the script to itself, as servers have
---@field after_all? fun(results: muster.Results, params: table) once a run, when all is over, marks too; it changes no
---  verdict. When it raises, or takes longer than teardown_timeout, that is logged and told, and the exit code is 3
---  where it would have been 0. A run that is interrupted before it began does not begin it; one that has begun has
---  the grace period. Both hooks run in a dry run, too, and change nothing there

---@class muster.Step
---@field name string letters, digits, '_', '-', '.'
---@field run fun(server: muster.Server, params: table, peer: muster.Server?): number|table<string, number|number[]>|nil
---  a number is the metric `score`; a list is several samples of one metric (at most 10,000), which is then their
---  median. peer: of a pair step
---@field thresholds? table<string, muster.Rule|muster.Rule[]> by metric; of a list the first whose `where` holds
---  for the server. The inventory may say otherwise for a server, and --threshold for all
---@field timeout? number|string 30 min when not given
---@field needs? string[] steps before it that must have passed, else it is skipped
---@field when? fun(server: muster.Server, params: table): boolean false skips the step
---@field destructive? boolean it destroys something: skipped, `when` not asked, unless --allow-destructive is given
---@field confirm? integer for this step, in place of the script's
---@field pair? boolean run(server, params, peer) measures two servers together, when the other steps have ended on
---  all. A server is in one pair at a time, and a pair counts as one in flight (-j). What it comes to, by the
---  thresholds of `server`, is a result of both. When it does not pass, each of the two is paired once more, as
---  `server`, with one whose pair was good: that result is its own alone. So measure both directions in one step.
---  Where there is no good one it is not known which of the two is bad: that is an `error` of both, not `failed`, and
---  marks nobody. It may need steps that are not pair steps. `when` is asked of each server alone, and must be the
---  same function for all pair steps of a script; it has no `peers`, no `history` and no `confirm` (that of the
---  script is for other steps). setup, on_failure and teardown run for both servers around each pair, beside those
---  around a server's own steps; in a run of pair steps alone, only around pairs. A peer has all that a server has;
---  in a pair, hooks included, nobody can claim or release: so what a setup installs by a provisioner cannot be
---  measured in pairs

---@class muster.Threshold
---@field min? number|string "params.NAME": what that parameter says, so that -p sets the threshold
---@field max? number|string
---@field reference? number|string what it should be, in place of min and max; tolerance says how far off it may be
---@field tolerance? muster.Amount|{ lower?: muster.Amount, upper?: muster.Amount } one for both sides, or one a side; a
---  side left out of the table is not bounded
---@field peers? muster.Peers how far it may be from what the servers like it measured, alone or beside bounds
---@field history? muster.History how far it may be from what the same server measured before, alone or beside bounds
---@field unit? string
---@field where? table<string, muster.Value|muster.Value[]> it holds for servers whose variables have these values,
---  each one of several where it is a list; `group`: that are in this group (their variable `groups`). A server that
---  none holds for is not judged

---Judged when all servers have been measured: a value is missed when it is further from the median of its cohort than
---drop or rise, and beyond the noise. Then it is measured once more (`confirm` of the step says how often, 1 when not
---given), by a task of its own: setup, the steps in question and what they need, teardown; that measurement decides.
---All of it is in docs/thresholds.md.
---@class muster.Peers
---@field group_by? string the variable whose value makes servers a cohort; not given: all of the run are one
---@field drop? muster.Amount how far below the median, for metrics where less is worse; a percentage is of the median
---@field rise? muster.Amount how far above, where more is worse
---@field min_cohort? integer with fewer that measured it nothing is judged, and that is said; 5 when not given

---What the server measured in earlier runs of the script with the same parameters, as they are kept (`muster history`).
---Judged at once: a value is missed when it is further from their median than drop or rise, and beyond their noise. All
---of it is in docs/thresholds.md.
---@class muster.History
---@field last? integer so many earlier values at most; 10 when not given
---@field drop? muster.Amount how far below their median, for metrics where less is worse; a percentage is of the median
---@field rise? muster.Amount how far above, where more is worse
---@field min_runs? integer with fewer values nothing is judged, and that is said; 5 when not given

---A string is ">= 50", "< 5.5 ms", ">= 1, <= 9".
---@alias muster.Rule muster.Threshold|string
---@alias muster.Value string|number|boolean

---"10%", of the reference; or a number, in the metric's unit.
---@alias muster.Amount string|number

---@class muster.Failure
---@field status string "failed", "error", "timeout", "unreachable"
---@field type? string such as "CommandError"
---@field step string the step, or the hook
---@field metric? string
---@field message string
---@field cause? string in after_all: what the summary folds by

---@class muster.Verdict
---@field status string as in mark_broken_on
---@field run string the run's id
---@field reason string one line for the mark itself: which metric, value and threshold, run, owner and time
---@field failures muster.Failure[]
---@field owner string who runs it, "user@host"

---Wait for all of them; the first value that each returned, in order. When one raises (or was cancelled), the rest are
---cancelled, and once these have ended the first error is raised.
---```lua
---local a, b = muster.gather {
---  server:spawn(server.exec, server, "echo one"),
---  server:spawn(server.exec, server, "echo two"),
---}
---print(a.stdout .. b.stdout) --> one two
---```
---@async
---@param handles muster.Handle[]
---@return any ...
function muster.gather(handles) end

---Call fn, and when it raises call it again after a pause. What the last try raised is raised as it was; a cancellation
---(a timeout of the step, an interrupt) is never tried again. Without fn: a function that takes it.
---```lua
---local text = muster.retry({ times = 3, backoff = "10ms", on = { "CommandError" } }, function(try)
---  return server:exec("[ %d -ge 2 ] && echo ready", try).stdout
---end)
---print(text) --> ready
---```
---@async
---@param options muster.RetryOptions
---@param fn? fun(try: integer): ...
---@return any ... what fn returned
function muster.retry(options, fn) end

---What may be sent, and not read: for headers, auth and token of muster.http. tostring gives "(secret)"; text .. secret
---is a secret, too. It is wiped from memory when it is collected. Missing or empty is an error that names it.
---@class muster.Secret
---@operator concat(string|muster.Secret): muster.Secret

---A secret from the environment, or from a file. It is read here, so that what is missing is told at once.
---```lua
---local token = muster.secret { env = "API_TOKEN" }
---print(token) --> (secret)
---print(muster.http.request({ url = params.url .. "/echo", token = token }).status) --> 200
---```
---@param from { env?: string, file?: string } one of them; of a file, one newline at its end is cut
---@return muster.Secret
function muster.secret(from) end

return muster
