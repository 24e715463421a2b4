-- burnin_support: scripts/burnin.lua as it stands, on a fleet of real sshd servers that a real Ironic "installs".
local S = require "ssh_support"
local T = require "muster_test"

local M = {}

M.SCRIPT = T.read(T.source .. "/scripts/burnin.lua")

-- Quick, and met by any machine, also one that many servers share.
local QUICK = { "seconds=1", "megabytes=8", "disk=false", "stress=false", "health=false", "boot=2s", "min_events_per_second=20", "min_throughput=50",
  "min_copy=50" }

--- Arguments for a run of it: through this Ironic, with these more.
function M.args(ironic, ...)
  local args = { "-p", "url=" .. ironic.url }
  for _, param in ipairs(QUICK) do
    args[#args + 1] = "-p"
    args[#args + 1] = param
  end
  for _, word in ipairs { ... } do args[#args + 1] = word end
  return args
end

local function place_program(fleet, id, name, text)
  local path = ("%s/%s/home/bin/%s"):format(fleet.dir, id, name)
  T.write(path, text)
  assert(os.execute("chmod 755 " .. T.quote(path)))
end

--- This server's CPU test takes hundreds of times as long for each event.
function M.make_slow(fleet, id)
  place_program(fleet, id, "sysbench", "#!/bin/sh\n[ \"$1\" != cpu ] || set -- --cpu-max-prime=1000000 \"$@\"\n" ..
    "exec /usr/bin/sysbench \"$@\"\n")
end

--- These servers' benchmarks answer at once with what real ones once printed; of `slow` ones the CPU test with a
--- hundredth of that. For tests of hundreds of servers, which are not about the benchmarks.
function M.answer_at_once(fleet, ids, slow)
  local cpu, memory = T.read(T.source .. "/tests/data/sysbench-cpu.txt"), T.read(T.source .. "/tests/data/sysbench-memory.txt")
  local slow_cpu = cpu:gsub("(events per second:%s+)[%d.]+", "%11.25")
  for name, text in pairs { cpu = cpu, ["cpu-slow"] = slow_cpu, memory = memory, mbw = T.read(T.source .. "/tests/data/mbw.txt") } do
    T.write(fleet.dir .. "/answer-" .. name, text)
  end
  for _, id in ipairs(ids) do
    place_program(fleet, id, "sysbench", ("#!/bin/sh\nwhile [ \"$1\" != cpu ] && [ \"$1\" != memory ]; do shift; done\n" ..
      "[ \"$1\" != cpu ] || exec cat %s/answer-cpu%s\nexec cat %s/answer-memory\n")
      :format(fleet.dir, slow[id] and "-slow" or "", fleet.dir))
    place_program(fleet, id, "mbw", ("#!/bin/sh\nexec cat %s/answer-mbw\n"):format(fleet.dir))
  end
end

--- A run from beginning to end; what T.run_script returns.
function M.run(fleet, ironic, ...) return fleet:run(M.SCRIPT, { args = M.args(ironic, ...) }) end

--- The same in the background; what S.start returns. options: dir, args.
function M.start(fleet, ironic, options)
  return S.start_on(fleet, M.SCRIPT, { dir = options.dir, args = M.args(ironic, table.unpack(options.args or {})) })
end

--- What Ironic says of its nodes: { available = { ids }, active = … }, and those in maintenance: { id = reason }.
function M.seen_by(ironic)
  local states, broken = {}, {}
  for name, node in pairs(ironic:nodes()) do
    local list = states[node.provision_state] or {}
    states[node.provision_state] = list
    list[#list + 1] = name
    if node.maintenance then broken[name] = node.maintenance_reason or "" end
  end
  for _, list in pairs(states) do table.sort(list) end
  return states, broken
end

--- The ids of a table's keys, sorted.
function M.ids(set)
  local ids = {}
  for id in pairs(set) do ids[#ids + 1] = id end
  table.sort(ids)
  return ids
end

return M
