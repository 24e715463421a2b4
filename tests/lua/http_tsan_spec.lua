-- Requests of four workers at once, plain and over TLS, with retries, redirects, lookups and ends in the middle. The build
-- for the thread sanitizer runs it to find races; any other build must pass it, too.
local H = require "http_support"
local T = require "muster_test"

describe("muster.http on four workers", function()
  it("serves 80 tasks", function()
    local authority, dir = H.authority(), T.tmpdir()
    H.certify(authority, dir)
    local plain, tls = H.nginx(dir)
    local args = { "--workers", "4", "-j", "40", "--log-level", "trace" }
    for i = 1, 80 do args[#args + 1] = ("s%02d"):format(i) end
    local r = T.run_local([[
      local muster = require "muster"
      local odd, plain, tls, ca = os.getenv "ODD", os.getenv "PLAIN", os.getenv "TLS", os.getenv "CA"
      return { steps = {
        { name = "s", run = function(server)
            local token = muster.secret { env = "TEST_SECRET" }
            local c = muster.http.client { base_url = tls, ca_file = ca, token = token, timeout = "200s", connect_timeout = "200s" }
            local sum = 0
            for _ = 1, 3 do sum = sum + c:get("ok").status + muster.http.request { url = plain .. "/ok" }.status end
            sum = sum + muster.http.request { url = plain .. "/to-tls", ca_file = ca, connect_timeout = "200s", timeout = "200s" }.status
            sum = sum + muster.http.request { url = odd .. "/sequence/" .. server.id .. "/503,200", backoff = 0.01 }.status
            local ok, e = pcall(muster.http.request, { url = "http://no-such-name.invalid/", retries = 0, connect_timeout = "200s" })
            return not ok and e.kind == "resolve" and sum or 0
          end, thresholds = { score = { min = 1600 } } },
        { name = "cut", timeout = "1s", run = function() muster.http.request { url = odd .. "/silent" } end },
      } }]], { env = { ODD = H.odd(), PLAIN = plain, TLS = tls, CA = authority.file, TEST_SECRET = "s3cr3t" }, args = args, timeout = 600 })
    assert.equals(80, r.results.counts.timeout, r.stderr:sub(-3000))
    for _, server in ipairs(r.results.servers) do
      assert.equals("passed", server.steps[1].status, server.id)
      assert.equals("timeout", server.steps[2].status, server.id)
    end
    assert.is_nil(r.stderr:find("ThreadSanitizer", 1, true))
    assert.is_nil(r.stderr:find("s3cr3t", 1, true))
  end)
end)
