-- muster.testing: scripts tested without a server, in specs that `muster test` runs.
--
--   local testing = require "muster.testing"
--   local script = testing.load "cpu.lua"                    -- beside the spec, or from the current folder
--   local server = testing.server {                          -- a stand-in: command → answer; * is any text
--     ["nproc"] = "4\n",                                     -- what it prints
--     ["sysbench cpu*"] = testing.file "sysbench.txt",       -- recorded output, beside the spec
--     ["systemctl is-active *"] = { stdout = "failed\n", stderr = "", exit_status = 3 },
--     ["cat /sys/*/temp"] = { "71\n", "95\n" },              -- one after the other, the last again and again
--     ["fio *"] = { error = "timeout" },                     -- exec raises: "timeout", "lost"
--   }
--   local result = script:run(server, { seconds = 1 })       -- with these parameters
--   assert.equals("passed", result.status, result.reason)
--   assert.equals(912.4, result.steps.cpu.metrics.events_per_second)
--
-- The script is run by the engine itself: its hooks, thresholds, needs, confirm and errors work as in `muster run`, and
-- what it does on this machine (muster.exec, io.popen) is answered likewise. Nothing is run and nobody is asked:
-- muster.sleep does not wait, claims are not kept. What muster.http is told stands in an option of the server:
--   local http = testing.http { ["GET http://inventory.example/*"] = { json = { bandwidth = 9000 } } }
--   testing.server(answers, { http = http })
-- likewise by pattern (without a ? it is about the URL without its query); an answer is its body, or has status (200),
-- body or json, headers, or error: "connect", "resolve", "timeout", "tls"; a list in turn, also for retries, which do
-- not wait.
--
-- Pair steps want two: script:run(server, params, peer), where peer is another stand-in:
--   local peer = testing.server({ ["iperf3 --server *"] = "Server listening on 5201\n" }, { id = "peer" })
--
-- A result has status, reason ("" where it passed), failures, log, asked and steps, each by its place and its name:
--   { name, status, reason, metrics = { name = number }, units = { name = text }, failures, measured, log = text }
-- A failure is { status, type, where, metric, cause, message }. log is what was logged, each { level, message, … };
-- asked the commands and requests in order, mark what the script's mark hook was told, if it was to be called.
local cjson = require "cjson"
local there, engine = pcall(require, "muster.testing.engine")
if not there then error("muster.testing is for specs: run them with `muster test`", 0) end

local M = {}

-- ---- files ----

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

-- Where path is meant: beside the spec that calls, else from here.
local function find(path, level)
  if type(path) ~= "string" then error(("a path is text, not a %s"):format(type(path)), level + 1) end
  local folder = debug.getinfo(level + 1, "S").source:match "^@(.*/)"
  if not path:find "^/" and folder and exists(folder .. path) then return folder .. path end
  if exists(path) then return path end
  error(("%s: no such file%s"):format(path, folder and " in " .. folder .. " or here" or ""), level + 1)
end

--- What a file holds; the path is as for load.
function M.file(path) return read(find(path, 2)) end

-- ---- the stand-in for a server ----

local ERRORS = {
  timeout = { code = "MU_ETIMEDOUT", message = "command took longer than it was given", cause = "command timed out" },
  lost = { code = "MU_ELOST", message = "connection lost", cause = "connection lost" },
}
local CONNECTS = {
  refused = { code = "MU_EREFUSED", message = "cannot connect: connection refused", cause = "connection refused" },
  unreachable = { code = "MU_EUNREACH", message = "cannot connect: no route to host", cause = "no route to host" },
  timeout = { code = "MU_ECONNTIMEOUT", message = "no answer in time", cause = "timed out" },
  auth = { code = "MU_EAUTH", message = "login refused", cause = "login refused" },
  host_key = { code = "MU_EHOSTKEYUNKNOWN", message = "unknown host key", cause = "unknown host key" },
}
local FIELDS = { stdout = "string", stderr = "string", exit_status = "number", signal = "string", error = "string" }

local function names_of(t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = tostring(name) end
  table.sort(names)
  return table.concat(names, ", ")
end

local function one_of(known, value, what, level)
  if known[value] then return known[value] end
  error(("%s: there is no '%s'; there are %s"):format(what, tostring(value), names_of(known)), level + 1)
end

-- JSON knows no bytes: what is no UTF-8 travels as base64.
local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function base64(bytes)
  local out = {}
  for at = 1, #bytes, 3 do
    local a, b, c = bytes:byte(at, at + 2)
    local n = a << 16 | (b or 0) << 8 | (c or 0)
    for shift = 18, 0, -6 do
      local i = (n >> shift & 63) + 1
      out[#out + 1] = DIGITS:sub(i, i)
    end
    if not c then out[#out] = "=" end
    if not b then out[#out - 1] = "=" end
  end
  return table.concat(out)
end

local function answer_of(value, command, level)
  if type(value) == "string" then value = { stdout = value } end
  if type(value) ~= "table" then
    local form = "the answer to '%s' is a %s: it is text, or { stdout =, stderr =, exit_status = }"
    error(form:format(command, type(value)), level)
  end
  local answer = {}
  for name, v in pairs(value) do
    if not FIELDS[name] or type(v) ~= FIELDS[name] then
      error(("the answer to '%s': %s is not one of %s"):format(command, tostring(name), names_of(FIELDS)), level)
    end
    if (name == "stdout" or name == "stderr") and not utf8.len(v) then
      name, v = name .. "_base64", base64(v)
    end
    answer[name] = v
  end
  if answer.error then answer.error = one_of(ERRORS, answer.error, "error", level) end
  return answer
end

local function answers_of(value, command, level)
  if type(value) ~= "table" or value[1] == nil then return { answer_of(value, command, level + 1) } end
  local all = {}
  for i, v in ipairs(value) do all[i] = answer_of(v, command, level + 1) end
  return all
end

local function must_be_table(value, what, level)
  if type(value) ~= "table" then error(("%s is a table, not a %s"):format(what, type(value)), level + 1) end
end

-- The patterns of a table; the one that says most comes first.
local function by_weight(answers)
  local globs = {}
  for glob in pairs(answers) do globs[#globs + 1] = glob end
  table.sort(globs, function(a, b)
    local m, n = #tostring(a):gsub("%*", ""), #tostring(b):gsub("%*", "")
    if m ~= n then return m > n end
    return tostring(a) < tostring(b)
  end)
  return globs
end

-- ---- what muster.http is told ----

local WEB_FIELDS = { status = "number", body = "string", json = "table", headers = "table", error = "string" }
local WEB_ERRORS = {
  connect = { kind = "connect", code = "MU_EUNREACH", message = "connection refused", cause = "connection refused" },
  resolve = { kind = "resolve", code = "MU_ERESOLVE", message = "unknown host", cause = "unknown host" },
  timeout = { kind = "timeout", code = "MU_ETIMEDOUT", message = "no answer in time", cause = "no answer in time" },
  tls = { kind = "tls", code = "MU_EIO", message = "certificate not accepted", cause = "certificate not accepted" },
}

local function headers_of(headers, request, level)
  local all = {}
  for name, value in pairs(headers) do
    if type(name) ~= "string" or (type(value) ~= "string" and type(value) ~= "number") then
      error(("the answer to '%s': headers are names with texts"):format(request), level)
    end
    all[name:lower()] = tostring(value)
  end
  return all
end

local function web_answer(value, request, level)
  if type(value) == "string" then value = { body = value } end
  if type(value) ~= "table" then
    local form = "the answer to '%s' is a %s: it is text, or { status =, body = or json =, headers = }"
    error(form:format(request, type(value)), level)
  end
  for name, v in pairs(value) do
    if not WEB_FIELDS[name] or type(v) ~= WEB_FIELDS[name] then
      error(("the answer to '%s': %s is not one of %s"):format(request, tostring(name), names_of(WEB_FIELDS)), level)
    end
  end
  if value.error then return { error = one_of(WEB_ERRORS, value.error, "error", level) } end
  if value.status and (math.type(value.status) ~= "integer" or value.status < 100 or value.status > 599) then
    error(("the answer to '%s': %s is no status"):format(request, value.status), level)
  end
  if value.body and value.json then
    error(("the answer to '%s' has a body and json: one of them"):format(request), level)
  end
  local body = value.json and cjson.encode(value.json) or value.body or ""
  local answer = { status = value.status or 200, headers = headers_of(value.headers or {}, request, level + 1) }
  if value.json and not answer.headers["content-type"] then answer.headers["content-type"] = "application/json" end
  if not next(answer.headers) then answer.headers = nil end -- an empty table would be a list
  if utf8.len(body) then answer.response = body else answer.response_base64 = base64(body) end
  return answer
end

local function web_line(request, value, level)
  if type(request) ~= "string" or not request:find "^[%u*]+ ." then
    local form = "'%s' is no request: it is METHOD URL, like GET https://inventory.example/*"
    error(form:format(tostring(request)), level)
  end
  local answers = {}
  for i, v in ipairs(type(value) == "table" and value[1] ~= nil and value or { value }) do
    answers[i] = web_answer(v, request, level + 1)
  end
  return { http_glob = request, answers = answers }
end

local Web = {}

--- What muster.http is told, for the option http of a server: requests, "METHOD URL", with their answers.
function M.http(answers)
  must_be_table(answers, "what testing.http is given", 2)
  local self = setmetatable({}, Web)
  for _, request in ipairs(by_weight(answers)) do self[#self + 1] = web_line(request, answers[request], 3) end
  return self
end

local OPTIONS = { id = true, address = true, user = true, port = true, vars = true, connect = true, http = true }

local Server = {}

--- A stand-in for a server that answers so. options: id, address, user, port and vars, as in an inventory; connect:
--- how the first connection goes, "refused", "unreachable", "timeout", "auth" or "host_key", or a list of what happens
--- to one after the other ("ok": it is made); http: what requests are answered, whoever is asked.
function M.server(answers, options)
  options = options or {}
  must_be_table(answers, "what a server answers", 2)
  must_be_table(options, "options of a server", 2)
  for name in pairs(options) do one_of(OPTIONS, name, "options of a server", 2) end
  local self = setmetatable({ lines = {}, id = options.id or "server", options = options }, Server)
  local connects = options.connect or {}
  for _, how in ipairs(type(connects) == "table" and connects or { connects }) do
    local e = how ~= "ok" and one_of(CONNECTS, how, "connect", 2) or nil
    table.insert(self.lines, { connect = self.id, error = e })
  end
  for _, glob in ipairs(by_weight(answers)) do
    table.insert(self.lines, { glob = glob, answers = answers_of(answers[glob], glob, 3) })
  end
  if options.http ~= nil and getmetatable(options.http) ~= Web then
    error("options of a server: http is what testing.http { … } makes", 2)
  end
  for _, line in ipairs(options.http or {}) do table.insert(self.lines, line) end
  return self
end

-- ---- results ----

local function plain(v)
  if v == cjson.null then return nil end
  if type(v) ~= "table" then return v end
  local t = {}
  for k, x in pairs(v) do t[k] = plain(x) end
  return t
end

local ODD = { inf = math.huge, ["-inf"] = -math.huge, nan = 0 / 0 }

local function step_of(s)
  local step = { name = s.name, status = s.status, failures = s.failures, measured = math.tointeger(s.measured),
    log = s.log, earlier = s.earlier, metrics = {}, units = {},
    reason = s.failures[1] and s.failures[1].message or "" }
  for name, metric in pairs(s.metrics) do
    step.metrics[name] = metric.value or ODD[metric.text]
    step.units[name] = metric.unit
  end
  return step
end

local function result_of(report, log)
  local server = report.servers[1]
  local result = { status = server.status, failures = server.failures, mark = server.mark, claim = server.claim,
    steps = {}, log = {}, asked = {}, reason = server.failures[1] and server.failures[1].message or "" }
  for i, s in ipairs(server.steps) do
    local step = step_of(s)
    result.steps[i], result.steps[s.name] = step, step
  end
  for _, step in ipairs(result.steps) do
    if step.status == result.status and step.reason ~= "" then
      result.reason = step.reason
      break
    end
  end
  for line in log:gmatch "[^\n]+" do
    local entry = plain(cjson.decode(line))
    if entry.request or (entry.command and entry.here ~= nil) then
      result.asked[#result.asked + 1] = entry.request or entry.command
    else
      entry.message, entry.event = entry.event, nil
      result.log[#result.log + 1] = entry
    end
  end
  return result
end

-- ---- scripts ----

local Script = {}
Script.__index = Script

--- A script to run, beside the spec that calls, or from the current folder. options.modules: a folder where require
--- looks before all, for modules that stand in for others; options.timeout: seconds for one run, 60 when not given.
function M.load(path, options)
  options = options or {}
  return setmetatable({ path = find(path, 2), modules = options.modules and find(options.modules .. "/.", 2):sub(1, -3),
    timeout = options.timeout or 60 }, Script)
end

-- A folder for one run, and what takes it away again.
local function scratch()
  local dir = os.tmpname()
  os.remove(dir)
  assert(require "lfs".mkdir(dir))
  local names = {}
  return function(name, text)
    names[#names + 1] = name
    if text then write(dir .. "/" .. name, text) end
    return dir .. "/" .. name
  end, function()
    for _, name in ipairs(names) do os.remove(dir .. "/" .. name) end
    assert(require "lfs".rmdir(dir))
  end, dir
end

-- Its transcript.
local function text_of(server)
  local lines = { cjson.encode { muster = "transcript", version = 1 } }
  for _, line in ipairs(server.lines) do lines[#lines + 1] = cjson.encode(line) end
  return table.concat(lines, "\n") .. "\n"
end

-- The stand-in as the engine has it: a transcript, and its line of an inventory.
local function put_server(put, stem, server)
  local id = server.id:gsub("[/%%]", function(c) return ("%%%02X"):format(c:byte()) end)
  put(stem .. "." .. id .. ".jsonl", text_of(server))
  local o = server.options
  return { id = server.id, address = o.address, user = o.user, port = o.port, vars = o.vars }
end

--- Run it on the stand-in. A script that cannot be loaded, and a parameter that it does not have, are errors. peer: a
--- stand-in for whom the server is paired with in pair steps. It counts as a good one, so that what the pair comes to
--- is the server's result; steps of its own are not run on it.
function Script:run(server, params, peer)
  if getmetatable(self) ~= Script then error("script:run wants a colon, and the script before it", 2) end
  if getmetatable(server) ~= Server then error("the server is what testing.server { … } makes", 2) end
  if peer and getmetatable(peer) ~= Server then error("the peer is what testing.server { … } makes", 2) end
  must_be_table(params or {}, "what parameters are set to", 2)
  if peer and peer.id == server.id then
    error(("server and peer are both named '%s': give one of them another id"):format(peer.id), 2)
  end
  local put, clear, dir = scratch()
  local stem = self.path:match "([^/]*)$":gsub("%.lua$", "")
  local servers, texts = { put_server(put, stem, server) }, {}
  if peer then
    servers[2] = put_server(put, stem, peer)
    put(stem .. "%fleet.jsonl", text_of(server)) -- before_all and after_all ask the server's, too
  end
  for name, value in pairs(params or {}) do texts[name] = tostring(value) end
  local log = put "log"
  local ok, report = pcall(engine.run, { script = self.path, replay = dir, log = log, params = texts,
    modules = self.modules, timeout_ms = math.ceil(self.timeout * 1000),
    inventory = put("inventory.json", cjson.encode { servers = servers }) })
  local said = ok and read(log)
  clear()
  if not ok then error(report, 2) end
  return result_of(plain(cjson.decode(report)), said)
end

return M
