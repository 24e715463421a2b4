-- What hostile servers and careless authors put into results: markup, ends of scripts, control characters, endless names.
local muster = require "muster"
local EVIL = [[</script><script>window.hacked = 1</script><img src=x onerror="window.hacked=2">]]
local TURNED = "\u{202e}dekcah\u{2028}\u{2029}"
local ESCAPES = "\27[31m\0\r\7<!-- <script> ${window.hacked=3}"
return muster.script {
  description = EVIL .. TURNED,
  params = { evil = EVIL },
  steps = {
    { name = "step", thresholds = { ["<i>m</i>"] = { min = 5, unit = EVIL } },
      run = function(server)
        print(EVIL .. TURNED .. ESCAPES)
        print(("long"):rep(5000))
        if server.id:find "img" then error(EVIL .. TURNED .. ESCAPES) end
        return { ["<i>m</i>"] = 1, ["__proto__"] = 2, ["constructor"] = 3, [("x"):rep(300)] = 0 / 1, inf = 1 / 0 }
      end },
    { name = "__proto__", run = function() return { toString = 1 } end },
  },
}
