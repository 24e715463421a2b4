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

return M
