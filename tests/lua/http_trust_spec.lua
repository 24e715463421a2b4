-- Whom muster.http trusts, and with what: credentials and muster.secret, certificates, and redirects, against an nginx with and
-- without TLS, and a server that misbehaves as told.
local cjson = require "cjson"
local H = require "http_support"
local T = require "muster_test"

-- Each becomes a step of one run; http_support.lua says what is in scope.
local cases = {}
local function case(name, text) cases[#cases + 1] = { name = name, text = text } end

case("auth", [[
  local secret = muster.secret { env = "TEST_SECRET" }
  local function sent(options)
    options.url = odd .. "/echo"
    return http.request(options):json().headers
  end
  tell { basic = sent { auth = { user = "me", password = "pä" } }.authorization,
    basic_secret = sent { auth = { user = "me", password = secret } }.authorization,
    token = sent { token = "plain" }.authorization, token_secret = sent { token = secret }.authorization,
    header = sent { headers = { ["X-Auth-Token"] = secret } }["x-auth-token"],
    joined = sent { headers = { Authorization = "Token " .. secret .. "!" } }.authorization,
    file = sent { token = muster.secret { file = os.getenv "TEST_SECRET_FILE" } }.authorization,
    nginx = http.request { url = plain .. "/echo-authorization", auth = { user = "a", password = "b" } }.status,
    nginx_none = failing(http.request, { url = plain .. "/echo-authorization" }).status,
    none = sent {}.authorization == nil }]])
case("secret", [[
  local secret = muster.secret { env = "TEST_SECRET" }
  local function text(...) return tostring(failing(...)) end
  tell { text = tostring(secret), joined = tostring("a" .. secret), type = type(secret), meta = getmetatable(secret) == false,
    format = ("%s"):format(secret), index = text(function() return secret.text end), write = text(function() secret.x = 1 end),
    len = text(function() return #secret end), sub = text(string.sub, secret, 1), rep = text(string.rep, secret, 2),
    number = text(function() return secret .. {} end), pairs = text(function() for _ in pairs(secret) do end end),
    json = text(require "cjson".encode, secret), query = text(http.request, { url = odd, query = { a = secret } }),
    url = text(http.request, { url = secret }), body = text(http.request, { url = odd, method = "POST", body = secret }),
    no_env = text(muster.secret, { env = "NOT_SET_AT_ALL" }), empty_env = text(muster.secret, { env = "TEST_EMPTY" }),
    no_file = text(muster.secret, { file = "/no/such/file" }), folder = text(muster.secret, { file = "/" }),
    endless = text(muster.secret, { file = "/dev/zero" }), empty_file = text(muster.secret, { file = "/dev/null" }),
    both = text(muster.secret, { env = "A", file = "B" }), none = text(muster.secret, {}), odd_field = text(muster.secret,
      { name = "A" }), not_a_table = text(muster.secret, "A"), log = pcall(muster.log.info, secret, { value = secret }) }]])
case("tls", [[
  local r = http.request { url = tls .. "/ok", ca_file = ca }
  local function kind(options)
    local e = failing(http.request, options)
    return { e.kind, e.retryable, e.attempts, tostring(e), e.cause }
  end
  tell { ok = r.status, body = r.body, own = http.request { url = secure, ca_file = ca }.status,
    no_ca = kind { url = tls .. "/ok" }, wrong = kind { url = tls .. "/ok", ca_file = wrong_ca },
    missing = kind { url = tls .. "/ok", ca_file = "/no/such/ca.pem" }, no_pem = kind { url = tls .. "/ok", ca_file = "/etc/passwd" },
    name = kind { url = misnamed, ca_file = ca }, to_plain_port = kind { url = plain:gsub("^http:", "https:"), ca_file = ca,
      retries = 1, backoff = 0.01 }, again = http.request { url = tls .. "/ok", ca_file = ca }.status }]])
case("redirects", [[
  local function redirect(status, to, options)
    options = options or {}
    options.url = odd .. "/redirect/" .. status .. "?to=" .. http.escape(to)
    return http.request(options)
  end
  local out = {}
  for _, status in ipairs { 301, 302, 303, 307, 308 } do
    local get, post = redirect(status, "/echo?x"), redirect(status, "/echo", { method = "POST", body = "b" })
    local put = redirect(status, "/echo", { method = "PUT", body = "b" })
    out[tostring(status)] = { get:json().method, post:json().method .. post:json().body, put:json().method .. put:json().body }
  end
  local function kind(f, ...)
    local e = failing(f, ...)
    return { e.kind, tostring(e), e.retryable, e.attempts }
  end
  local last = redirect(302, "/echo?x")
  tell { out = out, url = last.url, asked = last.method, loop = kind(http.request, { url = odd .. "/loop" }),
    two = kind(http.request, { url = odd .. "/loop", max_redirects = 2 }),
    none = { redirect(302, "/echo", { max_redirects = 0 }).status, redirect(302, "/x", { max_redirects = 0 }).headers.location },
    file = kind(redirect, 302, "file:///etc/passwd"), ftp = kind(redirect, 302, "ftp://127.0.0.1/"),
    userinfo = kind(redirect, 302, "http://a:b@127.0.0.1/"), nonsense = kind(redirect, 302, "http://:99999/"),
    upgrade = http.request { url = plain .. "/to-tls", ca_file = ca }.url,
    downgrade = kind(http.request, { url = tls .. "/to-plain", ca_file = ca }),
    put_abroad = kind(redirect, 307, other .. "/echo?put-abroad", { method = "PUT", body = "b" }),
    post_abroad_as_get = redirect(302, other .. "/echo?post-abroad", { method = "POST", body = "b" }):json().method }]])
case("redirect_credentials", [[
  local secret = muster.secret { env = "TEST_SECRET" }
  local function follow(to, options)
    options.url = odd .. "/redirect/302?to=" .. http.escape(to)
    return http.request(options):json().headers
  end
  local function all()
    return { token = secret, headers = { ["X-Mine"] = "1", Cookie = "c", Accept = "a/b", ["User-Agent"] = "me" } }
  end
  local back = { token = secret }
  back.url = odd .. "/redirect/302?to=" .. http.escape(other .. "/redirect/302?to=" .. http.escape(odd .. "/echo"))
  local localhost = odd:gsub("127.0.0.1", "localhost")
  tell { home = follow("/echo", all()), abroad = follow(other .. "/echo", all()), localhost = follow(localhost .. "/echo", all()),
    basic = follow(other .. "/echo", { auth = { user = "a", password = secret } }),
    and_back = http.request(back):json().headers }]])

local SECRET = "s3cr3t-of-the-spec"

describe("muster.http", function()
  local odd, other, env, told

  setup(function()
    local run = H.run_cases(cases, SECRET)
    odd, other, env, told = run.odd, run.other, run.env, run.told
    for name, step in pairs(run.steps) do
      assert.equals("passed", step.status, name .. ": " .. cjson.encode(step.failures) .. step.log)
    end
  end)

  it("sends credentials", function()
    local t = told.auth
    assert.equals("Basic bWU6cMOk", t.basic)
    assert.equals("Basic bWU6czNjcjN0LW9mLXRoZS1zcGVj", t.basic_secret)
    assert.equals("Bearer plain", t.token)
    assert.equals("Bearer " .. SECRET, t.token_secret)
    assert.equals(SECRET, t.header)
    assert.equals("Token " .. SECRET .. "!", t.joined)
    assert.equals("Bearer of-a-file", t.file)
    assert.same({ 204, 401, true }, { t.nginx, t.nginx_none, t.none })
  end)

  it("keeps secrets from scripts", function()
    local t = told.secret
    assert.same({ "(secret)", "(secret)", "userdata", true, "(secret)" }, { t.text, t.joined, t.type, t.meta, t.format })
    assert.is_true(t.log)
    for name, pattern in pairs {
      index = "attempt to index a muster.secret value", write = "attempt to index", len = "attempt to get length", sub = "string expected",
      rep = "string expected", number = "string expected", pairs = "table expected", json = "userdata",
      query = "query.a cannot be a secret", url = "url must be text", body = "body must be text",
      no_env = "the environment variable NOT_SET_AT_ALL is not set", empty_env = "the environment variable TEST_EMPTY is empty",
      no_file = "cannot read /no/such/file: No such file", folder = "cannot read /: not a plain file",
      endless = "cannot read /dev/zero: not a plain file", empty_file = "cannot read /dev/null: not a plain file",
      both = "secret wants one of env", none = "secret wants one of env", odd_field = "secret has the fields env and file",
      not_a_table = "table expected",
    } do
      assert.matches(pattern, t[name], name)
    end
  end)

  it("verifies certificates, always", function()
    local t = told.tls
    assert.same({ 200, 200, 200 }, { t.ok, t.own, t.again })
    assert.matches("^ok GET TLSv1%.[23]\n$", t.body)
    for _, name in ipairs { "no_ca", "wrong", "name" } do
      assert.same({ "tls", false, 1 }, { t[name][1], t[name][2], t[name][3] }, name)
      assert.matches("the server's certificate is not accepted: .*ca_file", t[name][4], name)
      assert.equals("HTTP: TLS: certificate not accepted", t[name][5])
    end
    for _, name in ipairs { "missing", "no_pem" } do
      assert.same({ "tls", false, 1 }, { t[name][1], t[name][2], t[name][3] }, name)
      assert.matches(name == "missing" and "/no/such/ca.pem" or "/etc/passwd", t[name][4], name)
    end
    assert.same({ "tls", true, 2 }, { t.to_plain_port[1], t.to_plain_port[2], t.to_plain_port[3] })
  end)

  it("follows redirects as far as it may", function()
    local t = told.redirects
    for status, methods in pairs(t.out) do
      local get = (status == "303" and "GET") or "PUTb"
      assert.same({ "GET", (status == "307" or status == "308") and "POSTb" or "GET", get }, methods, status)
    end
    assert.matches("/echo%?x$", t.url)
    assert.equals("GET", t.asked)
    assert.same({ "redirects", false, 1 }, { t.loop[1], t.loop[3], t.loop[4] })
    assert.matches("too many redirects", t.loop[2])
    assert.matches("too many redirects", t.two[2])
    assert.same({ 302, "/x" }, t.none)
    for _, name in ipairs { "file", "ftp" } do
      assert.equals("redirects", t[name][1], name)
      assert.matches("only http:// and https:// are spoken", t[name][2], name)
    end
    assert.matches("credentials do not belong in the URL", t.userinfo[2])
    assert.equals("redirects", t.nonsense[1])
    assert.equals(env.TLS .. "/ok", t.upgrade)
    assert.same({ "redirects" }, { t.downgrade[1] })
    assert.matches("from https to http", t.downgrade[2])
    assert.equals("redirects", t.put_abroad[1])
    assert.same({}, H.asked(other, "/echo?put-abroad"))
    assert.equals("GET", t.post_abroad_as_get)
    assert.equals(6 + 3, #H.asked(odd, "/loop"))
  end)

  it("keeps credentials with their host", function()
    local t = told.redirect_credentials
    assert.equals("Bearer " .. SECRET, t.home.authorization)
    assert.same({ "1", "c" }, { t.home["x-mine"], t.home.cookie })
    for _, name in ipairs { "abroad", "localhost" } do
      local h = t[name]
      assert.same({ "a/b", "me" }, { h.accept, h["user-agent"] }, name)
      assert.is_nil(h.authorization or h.cookie or h["x-mine"], name)
    end
    assert.is_nil(t.basic.authorization)
    assert.is_nil(t.and_back.authorization) -- whoever sent it back chose where to
    for _, request in ipairs(H.asked(other, "/")) do assert.is_nil(cjson.encode(request):find(SECRET, 1, true)) end
  end)

  it("never logs a secret, at any level", function()
    local text = [[
      local muster = require "muster"
      local secret = muster.secret { env = "TEST_SECRET" }
      local c = muster.http.client { base_url = os.getenv "ODD", token = secret, retries = 1, backoff = 0.01 }
      local function led(to, options) return c:get("/redirect/302?to=" .. to .. os.getenv "TEST_SECRET", options) end
      return { steps = {
        { name = "ok", run = function() print(secret) c:get "/echo" c:post("/echo", { json = { a = 1 } }) end },
        { name = "repeated", run = function() c:get "/repeat-authorization" end },
        { name = "basic", run = function() muster.http.request { url = os.getenv "ODD" .. "/repeat-authorization",
            auth = { user = "me", password = secret } } end },
        { name = "header", run = function() muster.http.request { url = os.getenv "ODD" .. "/repeat-authorization",
            headers = { ["X-Secret"] = secret } } end },
        { name = "json", run = function() muster.http.request { url = os.getenv "ODD" .. "/repeat-authorization", check = false,
            headers = { ["X-Secret"] = secret } }:json() end },
        { name = "lost", run = function() c:get "/drop" end },
        { name = "query", run = function() c:get("/status/404", { query = { key = os.getenv "TEST_SECRET" } }) end },
        { name = "redirect", run = function() c:get("/redirect/302", { query = { to = "/status/404?key=" .. os.getenv "TEST_SECRET" } }) end },
        { name = "led_to_a_path", run = function() led "/nothing/" end },
        { name = "led_to_no_json", run = function() led("/nothing/", { check = false }):json() end },
        { name = "led_to_a_name", run = function() led "http://no-such-name." end },
        { name = "led_astray", run = function() led("ftp://" .. ("x"):rep(190)) end },
        { name = "led_to_nobody", run = function() led("http://127.0.0.1:1/") end },
      } }]]
    local r = T.run_local(text, { env = env, args = { "--log-level", "trace", "--junit", T.tmpdir() .. "/j.xml" } })
    assert.equals(13, #r.results.servers[1].steps)
    for i, step in ipairs(r.results.servers[1].steps) do assert.equals(i == 1 and "passed" or "error", step.status, step.name) end
    local all = r.stdout .. r.stderr .. T.read(r.dir .. "/results.json")
    assert.is_nil(all:lower():find(SECRET:sub(1, 6), 1, true)) -- not cut off, either
    assert.is_nil(all:find("czNjcjN0LW9mLXRoZS1zcGVj", 1, true))
    assert.is_truthy(T.find_log(r.log, "status 500: you sent Bearer (secret)"))
    assert.is_truthy(T.find_log(r.log, "(not shown: it repeats a secret)"))
    local dry = T.run_local((text:gsub("steps = {", "setup = function() c:put('/echo', { json = { b = 2 } }) end, steps = {", 1)),
      { env = env, args = { "--log-level", "trace", "--dry-run" } })
    assert.is_nil((dry.stdout .. dry.stderr):find(SECRET, 1, true))
    assert.is_truthy(T.find_log(dry.log, "Would send PUT"))
  end)
end)
