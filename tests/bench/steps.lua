-- Twenty commands a server, a step each, with a number out of each: what keeping results costs is measured with it.
local function measure(server) return tonumber(server:exec("echo 912.4").stdout) end

local steps = {}
for i = 1, 20 do
  steps[i] = { name = ("s%02d"):format(i), run = measure, thresholds = { score = ">= 500 events/s" } }
end
return { description = "twenty commands a server", steps = steps }
