-- muster.http against real servers, an nginx and one that misbehaves as told: what is sent, what is read, what is tried again,
-- and what is refused. (Credentials, certificates and redirects: http_trust_spec.lua.)
local cjson = require "cjson"
local H = require "http_support"
local T = require "muster_test"

-- Each becomes a step of one run; http_support.lua says what is in scope.
local cases = {}
local function case(name, text) cases[#cases + 1] = { name = name, text = text } end

case("methods", [[
  local seen = {}
  for _, method in ipairs { "GET", "OPTIONS", "PUT", "DELETE", "POST", "PATCH" } do
    local r = http.request { url = odd .. "/echo", method = method, body = method ~= "GET" and "b" or nil }
    local e = r:json()
    seen[method] = { e.method, e.body, r.status, r.method, r.attempts, e.headers["content-type"] or "none",
      e.headers.expect or "none", e.headers["user-agent"]:match "^muster/" }
  end
  local head = http.request { url = odd .. "/bytes/1000", method = "HEAD" }
  local empty = http.request { url = odd .. "/echo", method = "POST" }:json()
  tell { seen = seen, head = { head.status, head.body, head.headers["content-length"] },
    empty = empty.headers["content-length"], default = http.request { url = odd .. "/echo" }:json().method,
    binary = http.request { url = odd .. "/echo", method = "PUT", body = "a\0\r\n\xff" }:json().body == "a\0\r\n\195\191" }]])
case("json", [[
  local cjson = require "cjson"
  local r = http.request { url = odd .. "/echo", method = "POST", json = { a = { 1, 2 }, b = cjson.null, c = "ä" } }
  local sent = cjson.decode(r:json().body)
  local own = http.request { url = odd .. "/echo", method = "PUT", json = false,
    headers = { ["content-type"] = "application/merge-patch+json" } }:json()
  local e = failing(function() return http.request { url = odd .. "/json-not" }:json() end)
  local none = failing(function() return http.request { url = odd .. "/bytes/0" }:json() end)
  tell { type = r:json().headers["content-type"], a = #sent.a, c = sent.c == "ä" or r:json().body, own = own.headers["content-type"],
    own_body = own.body, kind = e.kind, text = tostring(e), status = e.status, none = tostring(none),
    unfit = failing(http.request, { url = odd, json = { print } }), secret = failing(http.request, { url = odd,
      json = { muster.secret { env = "TEST_SECRET" } } }) }]])
case("query_and_headers", [[
  local r = http.request { url = odd .. "/echo?first", query = { b = "x y&=/", a = { 1, true }, c = false, ["ä"] = "" },
    headers = { ["X-Text"] = "t", ["X-Number"] = 5, ["X-Empty"] = "", ["X-Off"] = false, Accept = "text/x" } }
  local e = r:json()
  tell { path = e.path, text = e.headers["x-text"], number = e.headers["x-number"], empty = e.headers["x-empty"],
    off = e.headers["x-off"] == nil, accept = e.headers.accept, escape = http.escape "a/../b c", escape_number = http.escape(12) }]])
case("answers", [[
  local ok = http.request { url = plain .. "/ok" }
  local out = {}
  for _, status in ipairs { 403, 404, 429, 500, 503 } do
    local e = failing(http.request, { url = plain .. "/status/" .. status, retries = 0 })
    local r = http.request { url = plain .. "/status/" .. status, retries = 0, check = false }
    out[#out + 1] = { e.status, e.kind, e.retryable, r.status, #r.body > 0 and #e.body > 0, e.headers.server:match "nginx" }
  end
  local e = failing(http.request, { url = odd .. "/status/409" })
  tell { ok = ok.status, body = ok.body, server = ok.headers.server, out = out, typed = muster.errors.is(e, "HttpError"),
    text = tostring(e), cause = e.cause, method = e.method, url_ends = e.url:match "/status/409$", where = e.where,
    attempts = e.attempts, body409 = e.body, made = tostring(muster.errors.HttpError("mine", { status = 5 })),
    bytes = #http.request { url = odd .. "/stream/3000000" }.body, no_content = http.request { url = odd .. "/status/204" }.body }]])
case("retries", [[
  local function sequence(name, statuses, options)
    options = options or {}
    options.url, options.backoff = odd .. "/sequence/" .. name .. "/" .. statuses, options.backoff or 0.01
    return http.request(options)
  end
  local r = sequence("get", "503,503,200")
  local over = failing(sequence, "over", "503")
  local two = failing(sequence, "two", "503", { retries = 1 })
  local zero = failing(sequence, "zero", "503,200", { retries = 0 })
  local post = failing(sequence, "post", "503,200", { method = "POST" })
  local patch = sequence("patch", "503,200", { method = "PATCH", idempotent = true })
  local put = failing(sequence, "put", "503,200", { method = "PUT", idempotent = false })
  local named = sequence("named", "409,409,200", { method = "POST", retry_on = { 409 } })
  local accepted = sequence("accepted", "202,200", { retry_on = { 202 } })
  local unnamed = failing(sequence, "unnamed", "503,200", { retry_on = { 409 } })
  local unchecked = sequence("unchecked", "503", { check = false, retries = 1 })
  tell { get = { r.status, r.attempts }, over = { over.status, over.attempts, over.retryable, tostring(over) },
    two = two.attempts, zero = zero.attempts, post = { post.attempts, post.retryable }, patch = patch.attempts,
    put = put.attempts, named = { named.status, named.attempts }, accepted = { accepted.status, accepted.attempts },
    unnamed = unnamed.attempts, unchecked = { unchecked.status, unchecked.attempts },
    drop = http.request { url = odd .. "/drop-once/get", backoff = 0.01 }.status,
    drop_post = failing(http.request, { url = odd .. "/drop-once/post", method = "POST", backoff = 0.01 }).attempts }]])
case("retry_after", [[
  local function after(value, options)
    options = options or {}
    options.url, options.backoff = odd .. "/retry-after/v" .. http.escape(value) .. "/" .. http.escape(value), 0.01
    return http.request(options)
  end
  local at = os.time() + 2
  local when = os.date("!%a, %d %b %Y %H:%M:%S GMT", at)
  tell { at = at, date = after(when).attempts, second = after "1".attempts, zero = after "0".attempts, past = after "Mon, 01 Jan 2001 00:00:00 GMT".attempts,
    nonsense = after "soon".attempts, negative = after "-5".attempts, when = http.escape(when),
    post = after("0 ", { method = "POST", retry_on = { 503 } }).attempts }]])
case("no_answer", [[
  local function kind(options)
    options.backoff = options.backoff or 0.01
    local e = failing(http.request, options)
    return { e.kind, e.retryable, e.attempts, tostring(e), e.cause, e.status == nil }
  end
  tell { name = kind { url = "http://no-such-name.invalid/x", retries = 1 }, refused = kind { url = refused .. "/x", retries = 1 },
    refused_post = kind { url = refused .. "/x", retries = 1, method = "POST" },
    silent = kind { url = silent .. "/x", timeout = 0.2, retries = 1 },
    silent_post = kind { url = silent .. "/x", timeout = 0.2, retries = 1, method = "POST" },
    silent_tls = kind { url = silent:gsub("^http:", "https:"), connect_timeout = 0.2, retries = 1, method = "POST" },
    half = kind { url = odd .. "/half", timeout = 0.2, retries = 0 }, garbage = kind { url = odd .. "/garbage" },
    no_colon = kind { url = odd .. "/no-colon" }, ssh = kind { url = garbage .. "/" }, drop = kind { url = odd .. "/drop", retries = 0 }, cut = kind { url = odd .. "/cut", retries = 1 } }]])
case("bounds", [[
  local function kind(options)
    local e = failing(http.request, options)
    return { e.kind, e.retryable, e.attempts, tostring(e), e.cause }
  end
  tell { body = kind { url = odd .. "/bytes/1001", max_body = 1000 }, chunked = kind { url = odd .. "/stream/100000000", max_body = 65536 },
    default = kind { url = odd .. "/stream/17000000" }, fits = #http.request { url = odd .. "/bytes/1000", max_body = 1000 }.body,
    head = http.request { url = odd .. "/bytes/1001", method = "HEAD", max_body = 10 }.status,
    headers = kind { url = odd .. "/headers/300" }, long = kind { url = odd .. "/long-header/70000" },
    long_fits = #http.request { url = odd .. "/long-header/60000" }.headers["x-long"],
    many_fit = http.request { url = odd .. "/headers/200" }.headers["x-199"], redirect = kind { url = odd .. "/redirect/302?to=/bytes/2000", max_body = 1000 } }]])
case("hostile", [[
  local r = http.request { url = odd .. "/hostile", check = false }
  local e = failing(http.request, { url = odd .. "/hostile" })
  print(e)
  print(r.headers["x-esc"], r.body)
  tell { status = r.status, twice = r.headers["x-twice"], folded = r.headers["x-folded"], empty = r.headers["x-empty"],
    high = r.headers["x-high"] == "\xff\xfe", esc = r.headers["x-esc"] == "\27]0;title\7", body = #r.body }]])
case("client", [[
  local c = http.client { base_url = odd .. "/echo/", token = "t", headers = { ["X-A"] = "client", ["X-B"] = "client" },
    query = { q = "client", z = 1 }, retries = 0 }
  local function sent(r) local e = r:json() return { e.method, e.path, e.headers["x-a"] or "none", e.headers["x-b"] or "none",
    e.headers.authorization or "none", e.body } end
  local verbs = {}
  for _, verb in ipairs { "get", "options", "put", "delete", "post", "patch" } do verbs[verb] = c[verb](c, "x"):json().method end
  local base = http.client { base_url = odd }
  tell { get = sent(c:get("a/b")), slash = sent(c:get("/a")), none = sent(c:get()), query = sent(c:get("?own=1", { query = { q = "mine" } })),
    over = sent(c:post("p", { headers = { ["x-a"] = "mine", ["X-B"] = false }, json = { 1 }, token = "other" })),
    basic = sent(c:get("p", { auth = { user = "a", password = "b" } })), request = sent(c:request { method = "PUT", path = "r", body = "B" }),
    verbs = verbs, head = c:head("h").status, whole = base:get(odd .. "/echo?next=2"):json().path, text = tostring(c),
    away = tostring(failing(base.get, base, other .. "/echo")), away_scheme = tostring(failing(base.get, base, (odd:gsub("^http", "https")))),
    away_name = tostring(failing(base.get, base, (odd:gsub("127.0.0.1", "localhost")))), after = sent(c:get("a")),
    status = failing(base.get, base, "status/404").status, bare = base:get("status/200").status }]])
case("wrong", [[
  local function text(options) return tostring(failing(http.request, options)) end
  local function client(options) return tostring(failing(http.client, options)) end
  local c = http.client { base_url = odd }
  tell { none = tostring(failing(http.request)), text = tostring(failing(http.request, odd)), no_url = text {}, url_type = text { url = 5 },
    unknown = text { url = odd, tiemout = 1 }, listed = text { odd }, scheme = text { url = "ftp://x/" }, bare = text { url = "x/y" },
    userinfo = text { url = "http://me:hunter2@h/" }, space = text { url = odd .. "/a b" }, nul = text { url = odd .. "\0" },
    method = text { url = odd, method = "TRACE" }, lower = text { url = odd, method = "get" }, both = text { url = odd, body = "", json = 1 },
    body = text { url = odd, method = "PUT", body = {} }, head = text { url = odd, method = "HEAD", body = "x" },
    header = text { url = odd, headers = { ["X-A"] = "a\r\nX-Evil: 1" } }, header_name = text { url = odd, headers = { ["X A"] = "a" } },
    header_type = text { url = odd, headers = { ["X-A"] = {} } }, headers = text { url = odd, headers = "X-A: b" },
    header_list = text { url = odd, headers = { "X-A: b" } }, length = text { url = odd, headers = { ["Content-Length"] = 5 } },
    twice = text { url = odd, headers = { ["X-A"] = 1, ["x-a"] = 2 } }, host = text { url = odd, headers = { Host = "x" } },
    two_auths = text { url = odd, token = "a", auth = { user = "a", password = "b" } }, auth = text { url = odd, auth = { user = "a" } },
    auth_text = text { url = odd, auth = "a:b" }, auth_field = text { url = odd, auth = { name = "a", password = "b" } },
    colon = text { url = odd, auth = { user = "a:b", password = "c" } }, token = text { url = odd, token = "" },
    token_line = text { url = odd, token = "a\nb" }, timeout = text { url = odd, timeout = 0 }, timeout_text = text { url = odd, timeout = "soon" },
    retries = text { url = odd, retries = -1 }, retries_half = text { url = odd, retries = 1.5 }, retry_on = text { url = odd, retry_on = { 99 } },
    retry_on_type = text { url = odd, retry_on = 503 }, max_body = text { url = odd, max_body = 0 }, query = text { url = odd, query = "a=b" },
    query_value = text { url = odd, query = { a = print } }, verify = text { url = odd, verify = false }, proxy = text { url = odd, proxy = "x" },
    client_none = client {}, client_url = client { base_url = "nonsense" }, client_query = client { base_url = odd .. "?a" },
    client_unknown = client { base_url = odd, body = "x" }, client_retries = client { base_url = odd, retries = "x" },
    get_unknown = tostring(failing(c.get, c, "/", { url = odd })), get_dot = tostring(failing(c.get, "/")), get_type = tostring(failing(c.get, c, 5)),
    request_url = tostring(failing(c.request, c, { url = odd })), escape = tostring(failing(http.escape, {})),
    write = tostring(failing(function() http.request = print end)), write_client = tostring(failing(function() c.get = print end)) }]])
case("uncaught", [[http.request { url = odd .. "/status/404" }]])
case("uncaught_refused", [[http.request { url = refused, retries = 0 }]])
case("in_coroutines", [[
  local seen = {}
  local co = coroutine.wrap(function() seen[1] = http.request { url = odd .. "/status/200" }.status coroutine.yield "y" end)
  local y = co()
  local sorted = failing(table.sort, { 2, 1 }, function() http.request { url = odd .. "/status/200?sort" } end)
  local closed
  do
    local x <close> = setmetatable({}, { __close = function() closed = http.request { url = odd .. "/status/200" }.status end })
  end
  tell { y = y, seen = seen[1], sorted = tostring(sorted), closed = closed }]])

local raising = { uncaught = "error", uncaught_refused = "error" }

describe("muster.http", function()
  local odd, env, result, steps, told

  setup(function()
    local run = H.run_cases(cases, "s3cr3t-of-the-spec")
    odd, env, result, steps, told = run.odd, run.env, run.result, run.steps, run.told
  end)

  it("ends each step as it should", function()
    for _, c in ipairs(cases) do
      local step = steps[c.name]
      assert.equals(raising[c.name] or "passed", step.status, c.name .. ": " .. cjson.encode(step.failures) .. step.log)
    end
    assert.same({}, result.results.failed_servers)
    assert.same({ "localhost" }, result.results.unmeasured_servers)
  end)

  it("sends every method, with and without a body", function()
    local t = told.methods
    for method, seen in pairs(t.seen) do
      assert.same({ method, method == "GET" and "" or "b", 200, method, 1, "none", "none", "muster/" }, seen)
    end
    assert.same({ 200, "", "1000" }, t.head)
    assert.equals("0", t.empty)
    assert.equals("GET", t.default)
    assert.is_true(t.binary)
  end)

  it("sends and reads JSON", function()
    local t = told.json
    assert.equals("application/json", t.type)
    assert.equals(2, t.a)
    assert.equals("application/merge-patch+json", t.own)
    assert.equals("false", t.own_body)
    assert.equals("json", t.kind)
    assert.equals(200, t.status)
    assert.matches("^HttpError: GET http://127.0.0.1:%d+/json%-not: the answer is not JSON: <html>.*not JSON</html>$", t.text)
    assert.matches("the answer is not JSON: it is empty", t.none)
    assert.matches("json: .*function", t.unfit)
    assert.matches("json: .*userdata", t.secret)
  end)

  it("escapes queries, sends headers", function()
    local t = told.query_and_headers
    assert.equals("/echo?first&a=1&a=true&b=x%20y%26%3D%2F&c=false&%C3%A4=", t.path)
    assert.same({ "t", "5", "", true, "text/x" }, { t.text, t.number, t.empty, t.off, t.accept })
    assert.equals("a%2F..%2Fb%20c", t.escape)
    assert.equals("12", t.escape_number)
  end)

  it("tells real statuses", function()
    local t = told.answers
    assert.same({ 200, "ok GET \n" }, { t.ok, t.body })
    for i, status in ipairs { 403, 404, 429, 500, 503 } do
      assert.same({ status, "status", status == 429 or status == 503, status, true, "nginx" }, t.out[i])
    end
    assert.is_true(t.typed)
    assert.matches("^HttpError: GET http://127.0.0.1:%d+/status/409: status 409: this is 409$", t.text)
    assert.equals("HTTP: status 409", t.cause)
    assert.same({ "GET", "/status/409", 1, "this is 409" }, { t.method, t.url_ends, t.attempts, t.body409 })
    assert.matches("script.lua:%d+", t.where)
    assert.equals("HttpError: mine", t.made)
    assert.equals(3000000, t.bytes)
    assert.equals("", t.no_content)
  end)

  it("tries again what may be tried again", function()
    local t = told.retries
    assert.same({ 200, 3 }, t.get)
    assert.same({ 503, 4, true }, { t.over[1], t.over[2], t.over[3] })
    assert.matches("status 503: this is 503 %(4 tries%)$", t.over[4])
    assert.same({ 2, 1 }, { t.two, t.zero })
    assert.same({ 1, true }, t.post)
    assert.same({ 2, 1 }, { t.patch, t.put })
    assert.same({ 200, 3 }, t.named)
    assert.same({ 200, 2 }, t.accepted)
    assert.equals(1, t.unnamed)
    assert.same({ 503, 2 }, t.unchecked)
    assert.same({ 200, 1 }, { t.drop, t.drop_post })
    for name, n in pairs { get = 3, over = 4, two = 2, post = 1, patch = 2, put = 1, named = 3 } do
      assert.equals(n, #H.asked(odd, "/sequence/" .. name .. "/"), name)
    end
    assert.equals(2, #H.asked(odd, "/drop-once/get")) -- by whom depends on whether the connection was new
    assert.equals(1, #H.asked(odd, "/drop-once/post")) -- libcurl did not send it again by itself
    local line = assert(T.find_log(result.log, "status 503: this is 503; trying again in "))
    assert.same({ "localhost", "retries" }, { line.server_id, line.step })
  end)

  it("waits for as long as the server asks", function()
    local t = told.retry_after
    for _, name in ipairs { "second", "zero", "date", "past", "nonsense", "negative", "post" } do assert.equals(2, t[name], name) end
    local second = H.asked(odd, "/retry-after/v1/")
    assert.is_true(second[2].at - second[1].at >= 1)
    local date = H.asked(odd, "/retry-after/v" .. t.when)
    assert.is_true(date[2].wall >= t.at, date[2].wall .. " " .. t.at)
  end)

  it("tells why there was no answer", function()
    local t = told.no_answer
    for name, expected in pairs {
      name = { "resolve", true, 2, "the name no%-such%-name.invalid cannot be resolved: ", "^HTTP: name resolution: " },
      refused = { "connect", true, 2, "connection refused by port %d+; does the service run%? %(2 tries%)$", "^HTTP: connection refused$" },
      refused_post = { "connect", true, 2, "connection refused", "refused" }, -- nothing was sent
      silent = { "timeout", true, 2, "no answer within 0.2 s", "^HTTP: no answer in time$" },
      silent_post = { "timeout", true, 1, "no answer within 0.2 s", "no answer" }, -- it may have been received
      silent_tls = { "timeout", true, 2, "no connection within 0.2 s", "^HTTP: connection timed out$" },
      half = { "timeout", true, 1, "no answer within 0.2 s", "no answer" },
      garbage = { "protocol", false, 1, "HTTP/0.9", "" }, ssh = { "protocol", false, 1, "", "" },
      no_colon = { "protocol", false, 1, "Header without colon", "" },
      drop = { "connect", true, 1, "the connection was lost", "^HTTP: connection lost$" },
      cut = { "connect", true, 2, "the connection was lost", "^HTTP: connection lost$" },
    } do
      local got = t[name]
      assert.same({ expected[1], expected[2], expected[3], true }, { got[1], got[2], got[3], got[6] }, name .. cjson.encode(got))
      assert.matches(expected[4], got[4], name)
      assert.matches(expected[5], got[5], name)
      assert.is_nil(got[5]:find "127.0.0.1", name)
    end
  end)

  it("bounds what it takes", function()
    local t = told.bounds
    for _, name in ipairs { "body", "chunked", "default", "headers", "long", "redirect" } do
      assert.same({ "too_large", false, 1 }, { t[name][1], t[name][2], t[name][3] }, name .. cjson.encode(t[name]))
      assert.equals("HTTP: answer too large", t[name][5])
    end
    assert.matches("body is too large: more than 1000 bytes %(max_body%)", t.body[4])
    assert.matches("headers are too large: more than 65536 bytes, or too many", t.headers[4])
    assert.same({ 1000, 200, 60000, "v" }, { t.fits, t.head, t.long_fits, t.many_fit })
  end)

  it("takes hostile answers for what they are", function()
    local t = told.hostile
    assert.same({ 500, "a, b", "one two", "", true, true, 24 }, { t.status, t.twice, t.folded, t.empty, t.high, t.esc, t.body })
    assert.is_nil(result.stderr:find "\27")
    assert.is_nil(result.stdout:find "\27")
    local small = T.write(T.tmpdir() .. "/hostile.lua", [[
      local muster = require "muster"
      return { steps = { { name = "s", run = function()
        print(muster.http.request { url = os.getenv "ODD" .. "/hostile", check = false }.body)
        muster.http.request { url = os.getenv "ODD" .. "/hostile" }
      end } } }]])
    local plain = T.run { "run", small, "--local", "--log-level", "trace", env = env }
    assert.equals(3, plain.code)
    assert.is_nil(plain.stdout:find "[\27\7]")
    assert.is_nil(plain.stderr:find "[\27\7]")
    assert.is_nil(plain.stderr:find "\n%[error%] forged")
  end)

  it("has clients", function()
    local t = told.client
    assert.same({ "GET", "/echo/a/b?q=client&z=1", "client", "client", "Bearer t", "" }, t.get)
    assert.equals("/echo/a?q=client&z=1", t.slash[2])
    assert.equals("/echo/?q=client&z=1", t.none[2])
    assert.equals("/echo/?own=1&q=mine&z=1", t.query[2])
    assert.same({ "POST", "/echo/p?q=client&z=1", "mine", "none", "Bearer other", "[1]" }, t.over)
    assert.equals("Basic YTpi", t.basic[5])
    assert.same({ "PUT", "/echo/r?q=client&z=1", "client", "client", "Bearer t", "B" }, t.request)
    for verb, method in pairs(t.verbs) do assert.equals(verb:upper(), method) end
    assert.equals(200, t.head)
    assert.equals("/echo?next=2", t.whole)
    assert.equals("http client", t.text)
    for _, name in ipairs { "away", "away_scheme", "away_name" } do assert.matches("leads away from the client's base_url", t[name], name) end
    assert.same({ "GET", "/echo/a?q=client&z=1", "client", "client", "Bearer t", "" }, t.after)
    assert.same({ 404, 200 }, { t.status, t.bare })
  end)

  it("refuses what cannot be meant", function()
    local t = told.wrong
    local expected = {
      none = "table expected", text = "table expected", no_url = "url must be text, not a nil", url_type = "url must be text, not a number",
      unknown = "http.request has no option 'tiemout'; it has .* connect_timeout ", listed = "options are name = value",
      scheme = "only http:// and https:// are spoken", bare = "http://", userinfo = "credentials do not belong in the URL: use auth",
      space = "%%XX", nul = "url holds a NUL byte", method = "no method TRACE: there are GET", lower = "no method get",
      both = "json or body, not both", body = "body must be text, not a table; a table is given as json", head = "HEAD has no body",
      header = "header X%-A holds a line break", header_name = "\"X A\" is not the name of a header", header_type = "header X%-A must be text or a secret",
      headers = "headers must be a table", header_list = "headers are name = value", length = "Content%-Length is set by muster itself",
      twice = "is there twice", host = "Host is set by muster itself", two_auths = "auth or token, not both", auth = "auth wants user and password",
      auth_text = "auth must be a table", auth_field = "auth has the fields user and password", colon = "auth.user holds a colon",
      token = "the token is empty", token_line = "holds a line break", timeout = "timeout must be more than 0", timeout_text = "timeout 'soon' is not a duration",
      retries = "retries must be a whole number from 0", retries_half = "retries must be a whole number", retry_on = "each from 200 to 599",
      retry_on_type = "retry_on must be a table", max_body = "max_body must be a whole number from 1", query = "query must be a table",
      query_value = "query.a must be text", verify = "no option 'verify'", proxy = "no option 'proxy'", client_none = "base_url must be text",
      client_url = "http.client: the URL nonsense", client_query = "base_url cannot have a query", client_unknown = "http.client has no option 'body'",
      client_retries = "retries must be a whole number", get_unknown = "client has no option 'url'", get_dot = "muster.http.client expected",
      get_type = "string expected", request_url = "client:request has no option 'url'", escape = "string expected",
      write = "shared by all servers and read%-only", write_client = "attempt to index",
    }
    for name, pattern in pairs(expected) do
      assert.matches(pattern, t[name], name)
      assert.is_nil(t[name]:find("hunter2", 1, true), name)
    end
    for name in pairs(t) do assert.is_truthy(expected[name], name) end
  end)

  it("makes errors of the script's own making: status error", function()
    local first = steps.uncaught.failures[1]
    assert.same({ "error", "HttpError" }, { first.status, first.type })
    assert.matches("/status/404: status 404: this is 404 %(.*script.lua:%d+%)$", first.message)
    assert.equals("HttpError", steps.uncaught_refused.failures[1].type)
    assert.matches("HTTP: connection refused", result.stdout)
  end)

  it("waits where waiting is possible", function()
    local t = told.in_coroutines
    assert.same({ "y", 200, 200 }, { t.y, t.seen, t.closed })
    assert.matches("this call waits, which is not possible here", t.sorted)
    assert.same({}, H.asked(odd, "/status/200?sort"))
  end)
end)
