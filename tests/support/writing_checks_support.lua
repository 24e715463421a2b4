-- writing_checks_support: the servers and the inventory API that docs/writing-checks.md speaks of.
local S = require "ssh_support"
local T = require "muster_test"

local M = {}
local Bench = {}
Bench.__index = Bench

-- What each server's memory does, and how hot it gets: srv03 is slow, srv05 hot, srv06 is switched off.
local SPEED = { "8712.40", "8690.10", "4410.00", "8655.70", "8701.30", "8700.00" }
local HEAT = { 61, 63, 60, 62, 91, 60 }

local function program(path, text)
  T.write(path, "#!/bin/sh\n" .. text)
  assert(os.execute("chmod 755 " .. T.quote(path)))
end

local function programs(dir, i)
  program(dir .. "/sysbench", ("echo '102400.00 MiB transferred (%s MiB/sec)'\n"):format(SPEED[i]))
  program(dir .. "/sensors", ("printf 'coretemp-isa-0000\\n  temp1_input: %d.000\\n'\n"):format(HEAT[i]))
end

-- A web server with these files; its URL.
local function serve(dir)
  local out = T.tmpdir() .. "/out"
  S.hold(T.source .. "/tests/support/until-eof", "sh", "-c",
    "exec python3 -u -m http.server 0 --bind 127.0.0.1 --directory " .. T.quote(dir) .. " >" .. T.quote(out) .. " 2>&1")
  return "http://127.0.0.1:" .. S.wait_for("the web server", function()
    return S.exists(out) and T.read(out):match "port (%d+)"
  end)
end

function M.start()
  local self = setmetatable({ fleet = T.fleet_start(6), dir = T.tmpdir(), home = T.tmpdir(), bin = T.tmpdir() }, Bench)
  local site = T.tmpdir()
  assert(os.execute("mkdir " .. T.quote(site .. "/servers", self.home .. "/.ssh")))
  for i, id in ipairs(self.fleet.ids) do
    programs(("%s/%s/home/bin"):format(self.fleet.dir, id), i)
    T.write(site .. "/servers/" .. id, '{"model": "R650", "bandwidth": 9000}')
  end
  programs(self.bin, 1)
  T.write(self.home .. "/.ssh/known_hosts", T.read(self.fleet.known_hosts))
  self.url = serve(site)
  self.fleet:kill "srv06"
  return self
end

--- A file of the page, in its folder, with what is there in place of what the page names.
function Bench:write(name, text)
  text = text:gsub("http://inventory%.example", self.url)
  text = text:gsub("(srv%d+)  address=%S+  user=ops", function(id)
    local server = self.fleet.servers[id]
    return ("%s  address=%s  port=%d  user=%s  key=%s"):format(id, server.address, server.port, server.user, server.key)
  end)
  T.write(self.dir .. "/" .. name, text .. "\n")
end

function Bench:correct(name, wrong, right)
  local text, n = T.read(self.dir .. "/" .. name):gsub("%f[%w]" .. wrong .. "%f[%W]", right)
  assert(n == 1)
  T.write(self.dir .. "/" .. name, text)
end

--- `muster COMMAND`, by a shell, in the page's folder.
function Bench:run(command, stdin)
  return T.exec { "sh", "-c", T.quote(T.muster) .. " " .. command, cwd = self.dir, stdin = stdin, env = { HOME = self.home,
    PATH = self.bin .. ":" .. os.getenv "PATH", XDG_STATE_HOME = false, SSH_AUTH_SOCK = false, NO_COLOR = false } }
end

function Bench:new(name)
  local r = self:run("new " .. name)
  assert(r.code == 0 and S.exists(self.dir .. "/" .. name .. "_spec.lua"), r.stderr)
end

function Bench:stop() self.fleet:stop() end

--- Text without dates, runs, durations, addresses and the columns that these move.
function M.plain(text)
  text = text:gsub("%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d", "DATE"):gsub("%([%d.]+ s%)", "(S)"):gsub(": [%d.]+ seconds", ": S")
  text = text:gsub("Run %d+T%d+Z%-%x+, kept in [^%s]-/%.local/", "Run ID, kept in HOME/.local/")
  text = text:gsub("%d+%.%d+%.%d+%.%d+", "ADDRESS"):gsub(" +server_id=", " server_id="):gsub("%s+$", "")
  return text
end

return M
