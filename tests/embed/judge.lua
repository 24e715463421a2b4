-- The score of server "sN" is N, measured by a command: those above 7 fail.
local muster = require "muster"

return muster.script {
  description = "for the embedding example",
  params = { most = 7 },
  confirm = 0,
  max_broken = 1, -- the embedder allows two
  mark = function(_, verdict) assert(verdict.reason:find("> 7; run " .. verdict.run, 1, true)) end,
  steps = {
    { name = "count",
      run = function(server)
        muster.log.info("counting")
        local out = server:exec("echo %d", tonumber(server.id:match("%d+")))
        local number = tonumber(out.stdout)
        return { number = number, rise = { number + 1, number, number + 5 } }
      end,
      thresholds = { number = { max = 7 } } },
  },
}
