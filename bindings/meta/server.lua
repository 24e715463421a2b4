---@meta _
-- The server that steps and hooks are given, and what its functions take and give.

---What a step or hook is given. Its fields are read-only.
---@class muster.Server
---@field id string
---@field address string name or IP address, as the inventory says; the id where it says none
---@field port integer 22 when not given
---@field user? string nil when the inventory names none: then as who runs muster, or --user
---@field vars table what the inventory says of it beyond that
---@field groups string[] its groups but "all" and "ungrouped"; in own formats the variable `groups`: a list, or "a,b"
local Server = {}

---Run a command on the server, connecting first where needed. The text goes to the login shell as it is; with values
---it is a format first, where %q quotes for the shell. A list's words are quoted each. Options stand in a table at the
---end, or in the list itself. Raises CommandError when it ends with a non-zero status or by a signal (unless
---`check = false`), TimeoutError after `timeout`, and what connecting raises.
---```lua
---local cores = tonumber(server:exec("getconf %s", "_NPROCESSORS_ONLN").stdout)
---print(cores >= 1) --> true
---print(server:exec({ "printf", "%s", "it's one word" }).stdout) --> it's one word
---local r = server:exec("echo no >&2; exit 2", { check = false, timeout = "1m" })
---print(r.ok, r.exit_status, r.stderr) --> false 2 no
---```
---@async
---@param command string|muster.ExecWords
---@param ... any the format's values, then perhaps a table of muster.ExecOptions
---@return muster.ExecResult
function Server:exec(command, ...) end

---Connect now. `wait`: try again for so long while the server does not answer. With anything else an open connection is
---closed first, and it holds for this task from now on, in place of what the inventory says; what is not said stays.
---(Where the transport is this machine, it is ignored.) Raises ConnectError, HostKeyError or AuthError.
---```lua
---server:connect { wait = "2m" } -- it may still be booting
---print(server:exec("echo up").stdout) --> up
---```
---@async
---@param options? muster.ConnectOptions
function Server:connect(options) end

---Note in the run's journal that something is about to be installed on this server, with what is needed to destroy it.
---When it returns the note is on the disk, so that also after a crash `muster cleanup` runs `teardown`, which finds it
---by claimed(). Raises when it cannot be written (then nothing may be installed), and when the server is claimed
---already.
---```lua
---server:claim { node = "8f3c" } -- then install; teardown destroys it, and releases
---print(server:claimed().node) --> 8f3c
---server:release()
---```
---@async
---@param data? table names with strings, numbers, booleans and tables of these, at most 16 KiB as JSON; no secrets
function Server:claim(data) end

---What the claim says, a new table each time (whole numbers are integers); nil: the server is not claimed.
---```lua
---print(server:claimed()) --> nil
---server:claim { node = "8f3c", disks = 2 }
---print(server:claimed().disks) --> 2
---server:release()
---```
---@return table?
function Server:claimed() end

---Replace what the claim says; on the disk when it returns. Raises when the server is not claimed.
---```lua
---server:claim { node = "8f3c" }
---server:update_claim { node = "8f3c", address = "10.0.0.7" }
---print(server:claimed().address) --> 10.0.0.7
---server:release()
---```
---@async
---@param data? table
function Server:update_claim(data) end

---It is gone: the claim is over; on the disk when it returns. Raises when the server is not claimed. A claim that is
---open when the task ends is left behind.
---```lua
---server:claim { node = "8f3c" }
---server:release() -- once it is destroyed
---print(server:claimed()) --> nil
---```
---@async
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
---the step is over when it has ended, `<close>` handlers included. An error is raised by wait() or gather(), or, when
---nobody asked, at the end of the function that spawned it: it is never lost.
---```lua
---local load = server:spawn(server.exec, server, "sleep 0.2; echo done")
---print(server:read_file "/proc/loadavg" ~= "") --> true
---print(load:wait().stdout) --> done
---```
---@param fn function
---@param ... any arguments for fn
---@return muster.Handle
function Server:spawn(fn, ...) end

---`local h <close> = server:spawn(…)` cancels it at the end of the block.
---@class muster.Handle
local Handle = {}
---Wait for its end, and return what it returned, or raise what it raised. Repeatable.
---```lua
---local handle = server:spawn(function(a, b) return a + b end, 1, 2)
---print(handle:wait()) --> 3
---```
---@async
---@return any ...
function Handle:wait() end
---Cancel it (its commands are ended on the server, too), and wait for its end. wait() then raises a ScriptError with
---the field `cancelled`. Harmless when it has ended, and when repeated.
---```lua
---local watch = server:spawn(function()
---  while true do muster.sleep "1s" end
---end)
---watch:cancel()
---print(select(2, pcall(watch.wait, watch)).cancelled) --> true
---```
---@async
function Handle:cancel() end

---Copy a file to the server. The bytes stream, whatever their number; a checksum (sha256) is taken on both sides; then
---the whole is renamed into place: until then, and whatever goes wrong, what was there stays. A symbolic link or a
---folder at the destination is an error. Who is killed outright leaves a file .muster.XXXXXXXX beside it. Raises
---CommandError for what is wrong on the server, ScriptError for what is wrong here, TimeoutError after `timeout`.
---```lua
---local here, there = os.tmpname(), server:exec("mktemp").stdout:match "[^\n]+"
---io.open(here, "w"):write("size=1\n"):close()
---local sent = server:upload(here, there, { mode = "0600" })
---print(sent.bytes, server:exec("cat %q; rm %q", there, there).stdout) --> 7 size=1
---os.remove(here)
---```
---@async
---@param path string a plain file of this machine; relative to where muster was started. One beside the script:
---  muster.run.dir .. "/payload/fix.sh", and `files = { "payload/fix.sh" }` in the description
---@param remote string of the server; relative to the login folder
---@param options? muster.FileOptions
---@return muster.FileResult
function Server:upload(path, remote, options) end

---Copy a file from the server, in the same way, and raising the same. Symbolic links there are followed.
---```lua
---local here = os.tmpname()
---server:download("/etc/passwd", here, { timeout = "1m" })
---print(io.open(here):read "a" == server:read_file "/etc/passwd") --> true
---os.remove(here)
---```
---@async
---@param remote string
---@param path string
---@param options? muster.FileOptions
---@return muster.FileResult
function Server:download(remote, path, options) end

---As upload, of text.
---```lua
---local path = server:exec("mktemp").stdout:match "[^\n]+"
---server:write_file(path, "[job]\nrw=read\n", { mode = "0644" })
---print(server:exec("wc -l <%q; rm %q", path, path).stdout) --> 2
---```
---@async
---@param remote string
---@param text string any bytes
---@param options? muster.FileOptions
---@return muster.FileResult
function Server:write_file(remote, text, options) end

---The bytes of a file of the server, also of /proc and /sys. "" in a dry run. Raises CommandError when it is not there,
---cannot be read, or is longer than `max`.
---```lua
---local total = server:read_file "/proc/meminfo":match "MemTotal:%s+(%d+) kB"
---print(tonumber(total) > 0) --> true
---```
---@async
---@param remote string
---@param options? { max?: integer, timeout?: number|string, sudo?: boolean } max: bytes, 1 MiB when not given
---@return string
function Server:read_file(remote, options) end

---What the server says of itself, asked once a task (one command): the same table each time. What is not told is nil.
---Raises what exec raises.
---```lua
---local facts = server:facts()
---print(facts.cpu.threads >= 1, facts.memory > 2^20) --> true true
---print(facts.distribution.name, facts.arch) --> … …
---```
---@async
---@return muster.Facts
function Server:facts() end

---Keep text (or any bytes) with the run's results, where they are kept: a diagnostic log, say, or a file that was read.
---At most 1 MiB each and 16 MiB of a server. The same name again replaces what it was. `muster artefacts` lists and
---writes them. No secrets: whoever may read the results may read these.
---```lua
---server:keep("mounts.txt", server:read_file "/proc/mounts")
---server:keep("note", "fan 3 is loud")
---print(pcall(server.keep, server, "../x", "")) --> false …
---```
---@param name string up to 100 letters, digits, ".", "_" and "-"; the first is neither "." nor "-"
---@param text string
function Server:keep(name, text) end

---Close the connection; the next command connects again. What another fiber of this task runs over it is cut off.
---```lua
---server:exec "true"
---server:disconnect() -- a reboot, say
---print(server:exec("echo again").stdout) --> again
---```
function Server:disconnect() end

---Disconnect and connect. Raises what connect raises.
---```lua
---server:reconnect { wait = "2m" } -- groups and limits of a new login hold from here
---print(server:exec("echo fresh").stdout) --> fresh
---```
---@async
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
