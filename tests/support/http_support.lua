-- http_support: real HTTP and HTTPS servers for a spec: nginx, and one that misbehaves as told (tests/support/odd-http).
local cjson = require "cjson"
local S = require "ssh_support"
local T = require "muster_test"

local M = {}

--- A certificate authority in its own folder. Fields: dir, file (its certificate, for ca_file).
function M.authority()
  local dir = T.tmpdir()
  local r = T.exec { "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
    "2", "-subj", "/CN=muster test authority", "-keyout", dir .. "/key.pem", "-out", dir .. "/ca.pem" }
  assert(r.code == 0, r.stderr)
  return { dir = dir, file = dir .. "/ca.pem" }
end

--- Have it certify a server for these names ("DNS:localhost,IP:127.0.0.1" when not given), for days (2). Writes cert.pem
--- and key.pem into dir.
function M.certify(authority, dir, names, days)
  local extensions = T.write(dir .. "/extensions", "subjectAltName = " .. (names or "DNS:localhost,IP:127.0.0.1") .. "\n")
  for _, command in ipairs {
    { "openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=server",
      "-keyout", dir .. "/key.pem", "-out", dir .. "/request.pem" },
    { "openssl", "x509", "-req", "-in", dir .. "/request.pem", "-CA", authority.file, "-CAkey", authority.dir .. "/key.pem",
      "-CAcreateserial", "-days", tostring(days or 2), "-extfile", extensions, "-out", dir .. "/cert.pem" },
  } do
    local r = T.exec(command)
    assert(r.code == 0, r.stderr)
  end
end

local function port_of(file)
  return tonumber(S.wait_for("the port in " .. file, function() return S.exists(file) and T.read(file) end))
end

--- A server that does what its paths say. With a folder that certify filled it speaks TLS. Returns its URL and its port.
function M.odd(certified)
  local file = T.tmpdir() .. "/port"
  local words = { T.source .. "/tests/support/odd-http", file }
  if certified then words[3], words[4] = certified .. "/cert.pem", certified .. "/key.pem" end
  S.hold(table.unpack(words))
  local port = port_of(file)
  return ("http%s://127.0.0.1:%d"):format(certified and "s" or "", port), port
end

--- An nginx with the certificate in dir, which certify filled. Returns its plain and its TLS URL, each on localhost.
function M.nginx(dir)
  S.hold(T.source .. "/tests/support/until-eof", T.source .. "/tests/support/nginx", "run", dir)
  local port = port_of(dir .. "/port")
  return "http://localhost:" .. port, "https://localhost:" .. T.read(dir .. "/tls-port"):match "%d+"
end

--- One GET by means that know nothing of muster: the decoded body.
function M.ask(url)
  local port, path = url:match "^http://127%.0%.0%.1:(%d+)(/.*)$"
  local r = T.exec { "bash", "-c", 'exec 3<>"/dev/tcp/127.0.0.1/$1"; printf "GET %s HTTP/1.0\\r\\n\\r\\n" "$2" >&3; cat <&3', "ask",
    port, path }
  assert(r.code == 0, r.stderr)
  return cjson.decode(r.stdout:match "\r\n\r\n(.*)$")
end

--- What the odd server was asked, for paths that begin with this.
function M.asked(url, path)
  local found = {}
  for _, request in ipairs(M.ask(url .. "/log")) do
    if request.path:sub(1, #path) == path then found[#found + 1] = request end
  end
  return found
end

-- One step a case.
local function script_of(cases)
  local parts = { [[
    local muster = require "muster"
    local cjson = require "cjson"
    local http = muster.http
    local odd, other, plain, tls, ca, wrong_ca = os.getenv "ODD", os.getenv "OTHER", os.getenv "PLAIN", os.getenv "TLS",
      os.getenv "CA", os.getenv "WRONG_CA"
    local secure, misnamed, refused, silent, garbage = os.getenv "SECURE", os.getenv "MISNAMED", os.getenv "REFUSED",
      os.getenv "SILENT", os.getenv "GARBAGE"
    local function tell(t) print("TOLD " .. cjson.encode(t)) end
    local function failing(f, ...)
      local results = table.pack(pcall(f, ...))
      if results[1] then return { kind = "NO ERROR" } end
      return results[2]
    end
    return { steps = {]] }
  for _, c in ipairs(cases) do
    parts[#parts + 1] = ("{ name = %q, run = function(server) %s end },"):format(c.name, c.text)
  end
  parts[#parts + 1] = "} }"
  return table.concat(parts, "\n")
end

--- One run whose steps are the cases, each { name =, text = } and in this order, against servers of its own. A text says
--- what it found by tell{ name = value }, which ends up in told.NAME. In scope: http, odd, other (URLs of two odd
--- servers), plain, tls (nginx), ca, wrong_ca, secure, misnamed (odd servers that speak TLS, the second one with a
--- certificate for another name), refused, silent, garbage, and failing(f, ...), which returns what f raised. secret is in
--- the environment variable TEST_SECRET.
--- Returns odd, other, env (what more runs against these servers need), result (of run_local), and by the names of the
--- cases: steps, told.
function M.run_cases(cases, secret)
  local authority = M.authority()
  local nginx, certified, misnamed = T.tmpdir(), T.tmpdir(), T.tmpdir()
  M.certify(authority, nginx)
  M.certify(authority, certified)
  M.certify(authority, misnamed, "DNS:another.example")
  local self = { odd = M.odd(), other = M.odd(), steps = {}, told = {} }
  local plain, tls = M.nginx(nginx)
  self.env = { ODD = self.odd, OTHER = self.other, PLAIN = plain, TLS = tls, CA = authority.file, WRONG_CA = M.authority().file,
    SECURE = M.odd(certified) .. "/status/200", MISNAMED = M.odd(misnamed) .. "/status/200",
    REFUSED = "http://127.0.0.1:" .. T.exec { T.fleet_program, "port" }.stdout:match "%d+",
    SILENT = "http://127.0.0.1:" .. S.odd_server "silent", GARBAGE = "http://127.0.0.1:" .. S.odd_server "garbage",
    TEST_SECRET = secret, TEST_EMPTY = "", TEST_SECRET_FILE = T.write(T.tmpdir() .. "/secret", "of-a-file\n"),
    -- Nothing of this may be used.
    http_proxy = "http://127.0.0.1:9", https_proxy = "http://127.0.0.1:9", all_proxy = "http://127.0.0.1:9", no_proxy = false }
  self.result = T.run_local(script_of(cases), { env = self.env, args = { "--log-level", "trace" } })
  assert(self.result.results, self.result.stderr)
  for _, step in ipairs(self.result.results.servers[1].steps) do
    self.steps[step.name], self.told[step.name] = step, {}
    for line in step.log:gmatch "TOLD ([^\n]*)" do
      for name, value in pairs(cjson.decode(line)) do self.told[step.name][name] = value end
    end
  end
  return self
end

return M
