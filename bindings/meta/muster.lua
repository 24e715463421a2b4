---@meta muster
-- What scripts see of muster, for editors that read LuaLS annotations (.luarc.json points here) and for people.
-- Durations are seconds (a number) or text such as "90s", "5m", "1h30m".

---@class muster
---@field version string
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
---@field cleanup boolean only `teardown` runs, to destroy what an earlier run left behind
---@field shared any what before_all returned: a read-only copy of each task's own; nil without before_all, while a
---  script is being loaded, and in `muster cleanup` and `muster console`

---What a script returns. Unknown fields, wrong types and impossible thresholds are errors at load, with file and line.
---@param description muster.Description
---@return muster.Description
function muster.script(description) end

---Steps of another script, as steps of this one: `steps = { muster.use "cpu", { name = "mine", run = … } }`. At the top
---level only. The script is `cpu.lua` beside this one, else among the installed scripts; modules are found as this
---script's are. Its parameters become parameters of this script, so that `-p` sets them; where this script declares one
---of the same name, its default holds. Hooks are not taken, nor timeouts of the script as a whole; a script with setup,
---teardown or before_all is refused unless `hooks = "ignore"`.
---@param name string
---@param options? muster.UseOptions
---@return muster.Step steps for a list of steps
function muster.use(name, options) end

---Wait; other servers go on meanwhile.
---@param duration number|string
function muster.sleep(duration) end

---Run a command on this machine, not on the server; otherwise as server:exec. In a dry run it is logged instead, and
---the result says `dry_run`, unless the option `read_only` says that it changes nothing.
---@param command string|muster.ExecWords
---@param ... any
---@return muster.ExecResult
function muster.exec(command, ...) end

---At most `limit` holders of a permit at once in the whole run, whichever worker their tasks are on. One name has one
---limit in a run.
---@param name string
---@param limit integer
---@return muster.Semaphore
function muster.semaphore(name, limit) end

---@class muster.Semaphore
local Semaphore = {}
---Wait in line for a permit: `local permit <close> = semaphore:acquire()`. Without <close> it is held until released,
---collected, or the end of the task. `first`: ahead of all who wait without it; for what gives something back.
---@param options? { first?: boolean }
---@return muster.Permit
function Semaphore:acquire(options) end

---@class muster.Permit
local Permit = {}
---Give it back; harmless when repeated.
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
---@field run fun(server: muster.Server, params: table): number|table<string, number|number[]>|nil a number is the
---  metric `score`; a list is several samples of one metric (at most 10,000), which is then their median
---@field thresholds? table<string, muster.Rule|muster.Rule[]> by metric; of a list the first whose `where` holds
---  for the server. The inventory may say otherwise for a server, and --threshold for all
---@field timeout? number|string 30 min when not given
---@field needs? string[] steps before it that must have passed, else it is skipped
---@field when? fun(server: muster.Server, params: table): boolean false skips the step
---@field destructive? boolean it destroys something: skipped, `when` not asked, unless --allow-destructive is given
---@field confirm? integer for this step, in place of the script's

---@class muster.Threshold
---@field min? number|string "params.NAME": what that parameter says, so that -p sets the threshold
---@field max? number|string
---@field reference? number|string what it should be, in place of min and max; tolerance says how far off it may be
---@field tolerance? muster.Amount|{ lower?: muster.Amount, upper?: muster.Amount } one for both sides, or one a side; a
---  side left out of the table is not bounded
---@field peers? muster.Peers how far it may be from what the servers like it measured, alone or beside bounds
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

---@class muster.Server
---@field id string
---@field address string
---@field port integer
---@field user? string
---@field vars table what the inventory says of it beyond that
---@field groups string[] the variable `groups`: a list, or text such as "a,b"; empty when there is none
local Server = {}

---Run a command on the server, connecting first where needed. The text goes to the login shell as it is; with values
---it is a format first, where %q quotes for the shell. A list's words are quoted each. Options stand in a table at the
---end, or in the list itself.
---@param command string|muster.ExecWords
---@param ... any
---@return muster.ExecResult
function Server:exec(command, ...) end

---Connect now. `wait`: try again for so long while the server does not answer. With anything else an open connection is
---closed first, and it holds for this task from now on, in place of what the inventory says; what is not said stays.
---(Where the transport is this machine, it is ignored.)
---@param options? muster.ConnectOptions
function Server:connect(options) end

---Note in the run's journal that something is about to be installed on this server, with what is needed to destroy it.
---When it returns the note is on the disk, so that also after a crash `muster cleanup` runs `teardown`, which finds it
---by claimed(). Raises when it cannot be written (then nothing may be installed), and when the server is claimed
---already.
---@param data? table names with strings, numbers, booleans and tables of these, at most 16 KiB as JSON; no secrets
function Server:claim(data) end

---What the claim says, a new table each time (whole numbers are integers); nil: the server is not claimed.
---@return table?
function Server:claimed() end

---Replace what the claim says; on the disk when it returns.
---@param data? table
function Server:update_claim(data) end

---It is gone: the claim is over; on the disk when it returns. A claim that is open when the task ends is left behind.
function Server:release() end

---@class muster.ConnectOptions
---@field wait? number|string
---@field address? string
---@field port? integer
---@field user? string
---@field key? string path of a private key, which is then tried alone
---@field host_keys? string[]|"accept-new" lines as in a .pub file: these keys alone are trusted, known_hosts is not
---asked; "accept-new": the key that the server shows first, for this task alone, never written anywhere. With the host
---key policy `off` neither is looked at.

---Run a function beside the rest of this one: fn(...) begins when the caller waits next. It may do all that the caller
---may, in the same task: one memory account, one deadline, one connection, the same log fields. It belongs to the
---function that spawned it: when that has ended (or was cancelled), what still runs is cancelled, with a debug line;
---the step is over when it has ended, <close> handlers included. An error is raised by wait() or gather(), or, when
---nobody asked, at the end of the function that spawned it: it is never lost.
---@param fn function
---@param ... any arguments for fn
---@return muster.Handle
function Server:spawn(fn, ...) end

---`local h <close> = server:spawn(…)` cancels it at the end of the block.
---@class muster.Handle
local Handle = {}
---Wait for its end, and return what it returned, or raise what it raised. Repeatable.
---@return any ...
function Handle:wait() end
---Cancel it (its commands are ended on the server, too), and wait for its end. wait() then raises a ScriptError with
---the field `cancelled`. Harmless when it has ended, and when repeated.
function Handle:cancel() end

---Wait for all of them; the first value that each returned, in order. When one raises (or was cancelled), the rest are
---cancelled, and once these have ended the first error is raised.
---@param handles muster.Handle[]
---@return any ...
function muster.gather(handles) end

---Call fn, and when it raises call it again after a pause. What the last try raised is raised as it was; a cancellation
---(a timeout of the step, an interrupt) is never tried again. Without fn: a function that takes it.
---@param options muster.RetryOptions
---@param fn? fun(try: integer): ...
---@return any ... what fn returned
function muster.retry(options, fn) end

---Copy a file to the server. The bytes stream, whatever their number; a checksum (sha256) is taken on both sides; then
---the whole is renamed into place: until then, and whatever goes wrong, what was there stays. A symbolic link or a
---folder at the destination is an error. Who is killed outright leaves a file .muster.XXXXXXXX beside it.
---@param path string a plain file of this machine
---@param remote string of the server; relative to the login folder
---@param options? muster.FileOptions
---@return muster.FileResult
function Server:upload(path, remote, options) end

---Copy a file from the server, in the same way. Symbolic links there are followed.
---@param remote string
---@param path string
---@param options? muster.FileOptions
---@return muster.FileResult
function Server:download(remote, path, options) end

---As upload, of text.
---@param remote string
---@param text string any bytes
---@param options? muster.FileOptions
---@return muster.FileResult
function Server:write_file(remote, text, options) end

---The bytes of a file of the server, also of /proc and /sys. "" in a dry run.
---@param remote string
---@param options? { max?: integer, timeout?: number|string, sudo?: boolean } max: bytes, 1 MiB when not given
---@return string
function Server:read_file(remote, options) end

---What the server says of itself, asked once a task (one command): the same table each time. What is not told is nil.
---@return muster.Facts
function Server:facts() end

---Close the connection; the next command connects again. What another fiber of this task runs over it is cut off.
function Server:disconnect() end

---Disconnect and connect.
---@param options? muster.ConnectOptions
function Server:reconnect(options) end

---@class muster.ExecOptions
---@field check? boolean false: a non-zero exit status or a signal is returned, not raised
---@field timeout? number|string then TimeoutError, after the command was ended on the server too
---@field stdin? string
---@field env? table<string, string> sent on standard input, never seen in a process list; needs a POSIX login shell
---@field limit? integer bytes kept of stdout and of stderr each, 16 MiB when not given; more is an error
---@field on_line? fun(line: string, stream: "stdout"|"stderr") takes the output, which is then not in the result
---@field sudo? boolean run it as root, by `sudo -n`, or with a password (--sudo-password-file, --sudo-password-env) by
---`sudo -S`; that travels on standard input, never in an argument list. A CommandError says when sudo refused or is
---missing. Needs a POSIX login shell. (With stdin or env a wrong password may count as three tries.)
---@field read_only? boolean muster.exec alone: it changes nothing, so that a dry run runs it too

---@class muster.ExecWords : muster.ExecOptions
---@field [integer] string|number

---@class muster.ExecResult
---@field ok boolean exit status 0
---@field stdout string
---@field stderr string
---@field exit_status? integer nil when a signal ended it
---@field signal? string "TERM", "KILL", …
---@field dry_run? boolean true when it was not run, in a dry run

---Log lines carry the server and the step by themselves.
---@class muster.log
muster.log = {}
---@param message any
---@param fields? table<string, any>
function muster.log.trace(message, fields) end
---@param message any
---@param fields? table<string, any>
function muster.log.debug(message, fields) end
---@param message any
---@param fields? table<string, any>
function muster.log.info(message, fields) end
---@param message any
---@param fields? table<string, any>
function muster.log.warning(message, fields) end
---The same as warning.
---@param message any
---@param fields? table<string, any>
function muster.log.warn(message, fields) end
---@param message any
---@param fields? table<string, any>
function muster.log.error(message, fields) end
---Fields for every later line of this step or hook, the host's own included.
---@param fields table<string, any>
function muster.log.bind(fields) end

---What may be sent, and not read: for headers, auth and token of muster.http. tostring gives "(secret)"; text .. secret
---is a secret, too. It is wiped from memory when it is collected. Missing or empty is an error that names it.
---@class muster.Secret
---@operator concat(string|muster.Secret): muster.Secret

---@param from { env?: string, file?: string } one of them; of a file, one newline at its end is cut
---@return muster.Secret
function muster.secret(from) end

---HTTP to provisioners and the like. Other servers go on meanwhile. Certificates are always verified; proxies of the
---environment (http_proxy and so on) are not used; cookies are not kept. Connections are kept and used again.
---@class muster.http
muster.http = {}

---@class muster.HttpOptions
---@field headers? table<string, string|number|muster.Secret|false> false takes a client's header away
---@field query? table<string, string|number|boolean|(string|number|boolean)[]> appended to the URL, escaped
---@field timeout? number|string of each try, redirects included; 30 s when not given
---@field connect_timeout? number|string name lookup, and connection with TLS; 10 s when not given
---@field max_body? integer bytes of the answer, 16 MiB when not given; more is an error. Headers: 64 KiB, 256 lines
---@field max_redirects? integer 5 when not given; 0 returns a redirect as it is. Never from https to http. To another
---  scheme, host or port only GET, HEAD and OPTIONS, and there without auth, token and headers but Accept,
---  Accept-Language, Content-Type and User-Agent
---@field ca_file? string PEM file with the authorities to trust instead of the system's
---@field auth? { user: string|muster.Secret, password: string|muster.Secret } basic authentication
---@field token? string|muster.Secret sent as `Authorization: Bearer TOKEN`
---@field retries? integer tries after the first, 3 when not given
---@field retry_on? integer[] statuses that are tried again, whatever the method; when not given 429, 502, 503, 504, and
---  for idempotent requests only. What failed before it was sent is always tried again, what may have been received
---  only when idempotent
---@field idempotent? boolean doing it twice is as good as once; GET, HEAD, OPTIONS, PUT and DELETE are, when not given
---@field backoff? number|string before the second try, 500 ms when not given; doubles up to 30 s, a half of it random.
---  An answer's Retry-After is waited for instead, up to 60 s
---@field check? boolean false: a status of 400 or more is returned, not raised

---@class muster.HttpBodyOptions : muster.HttpOptions
---@field body? string
---@field json? any sent as JSON, with `Content-Type: application/json` when headers have none

---@class muster.HttpRequest : muster.HttpBodyOptions
---@field method? string GET when not given; or HEAD, OPTIONS, PUT, DELETE, POST, PATCH
---@field url string http:// or https://, without credentials

---@class muster.HttpResponse
---@field status integer 0 in a dry run
---@field headers table<string, string> by name in lower case; values of the same name joined by ", "
---@field body string
---@field url string where it came from, after redirects
---@field method string as asked
---@field attempts integer how many tries it took
---@field dry_run? boolean true: `--dry-run`, and it was not sent
local HttpResponse = {}

---The body, decoded with cjson (null is cjson.null); {} in a dry run. HttpError of kind "json" when it is not JSON.
---@return any
function HttpResponse:json() end

---One request with its retries. In a dry run only GET, HEAD and OPTIONS are sent; others are logged, "Would send …".
---Raises HttpError.
---@param request muster.HttpRequest
---@return muster.HttpResponse
function muster.http.request(request) end

---Text as it can stand in a path or a query: all but letters, digits and "-._~" as %XX.
---@param text string|number
---@return string
function muster.http.escape(text) end

---@class muster.HttpClientOptions : muster.HttpOptions
---@field base_url string

---@class muster.HttpClientRequest : muster.HttpBodyOptions
---@field method? string
---@field path? string

---Options that hold for each of its requests, which may give others; headers and query are merged by name.
---@param options muster.HttpClientOptions
---@return muster.HttpClient
function muster.http.client(options) end

---path comes after base_url. It may be a whole URL, as lists name their next page, on base_url's scheme, host and port.
---@class muster.HttpClient
local HttpClient = {}
---@param request muster.HttpClientRequest
---@return muster.HttpResponse
function HttpClient:request(request) end
---@param path? string
---@param options? muster.HttpBodyOptions
---@return muster.HttpResponse
function HttpClient:get(path, options) end
---@param path? string
---@param options? muster.HttpBodyOptions
---@return muster.HttpResponse
function HttpClient:head(path, options) end
---@param path? string
---@param options? muster.HttpBodyOptions
---@return muster.HttpResponse
function HttpClient:options(path, options) end
---@param path? string
---@param options? muster.HttpBodyOptions
---@return muster.HttpResponse
function HttpClient:post(path, options) end
---@param path? string
---@param options? muster.HttpBodyOptions
---@return muster.HttpResponse
function HttpClient:put(path, options) end
---@param path? string
---@param options? muster.HttpBodyOptions
---@return muster.HttpResponse
function HttpClient:patch(path, options) end
---@param path? string
---@param options? muster.HttpBodyOptions
---@return muster.HttpResponse
function HttpClient:delete(path, options) end

---Typed errors. Calling one makes an error to raise: error(muster.errors.CheckFailed("no GPU found")).
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

---@class muster.errors
---@field PerformanceBelowExpected fun(message: string, fields?: table): muster.Error status failed
---@field CheckFailed fun(message: string, fields?: table): muster.Error status failed
---@field ServerOperationError fun(message: string, fields?: table): muster.Error status failed
---@field ConnectError fun(message: string, fields?: table): muster.Error status unreachable; lost in the middle: error
---@field HostKeyError fun(message: string, fields?: table): muster.Error status unreachable
---@field AuthError fun(message: string, fields?: table): muster.Error status unreachable
---@field CommandError fun(message: string, fields?: table): muster.Error status error
---@field TimeoutError fun(message: string, fields?: table): muster.Error status timeout
---@field ScriptError fun(message: string, fields?: table): muster.Error status error
---@field HttpError fun(message: string, fields?: table): muster.Error status error: no answer, or not a good one
---@field ProvisionerError fun(message: string, fields?: table): muster.Error status error: it could not be asked
---@field ServerStateError fun(message: string, fields?: table): muster.Error status error: not ours to touch
muster.errors = {}
---Whether value is a typed error, of that type when one is named.
---@param value any
---@param type? string
---@return boolean
function muster.errors.is(value, type) end

return muster
