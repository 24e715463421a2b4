-- figures.lua [-c] BENCH CORES: measurements of tests/bench/run, lines of JSON on standard input, to a table and a line of
-- JSON a figure. Exit status 1 with -c when a target is missed.

local TARGET = { real_ratio = 1.15, light_ratio = 0.6, light_kb = 40, store_ratio = 1.05, agents_ms = 0.6 }

local check = arg[1] == "-c" and table.remove(arg, 1)
local bench, cores = arg[1], tonumber(arg[2])
local missed = false

local samples = {}
for line in io.lines() do
  local s = {}
  for key, value in line:gmatch('"([%w_]+)":"?([^",}]+)') do
    s[key] = tonumber(value) or value
  end
  samples[#samples + 1] = s
end

local function median(list)
  table.sort(list)
  local n = #list
  if n == 0 then return 0 / 0 end
  return n % 2 == 1 and list[n // 2 + 1] or (list[n // 2] + list[n // 2 + 1]) / 2
end

-- The median of what value(s) makes of the samples of one program and number of servers; or what `pick` makes of them.
local function of(program, servers, value, with, pick)
  local list = {}
  for _, s in ipairs(samples) do
    if s.program == program and s.servers == servers and (with == nil or with(s)) then
      list[#list + 1] = type(value) == "string" and s[value] or value(s)
    end
  end
  return (pick or median)(list)
end

-- Others on the machine only ever add to CPU time (cold caches): the least of the repetitions is the least disturbed.
local function least(list) return math.min(table.unpack(list)) end

local function names(key)
  local seen, list = {}, {}
  for _, s in ipairs(samples) do
    if not seen[s[key]] then
      seen[s[key]] = true
      list[#list + 1] = s[key]
    end
  end
  return list
end

local lines = {}

local function figure(name, program, value, target)
  local text = ('{"bench":"%s","figure":"%s","program":"%s","value":%.4f'):format(bench, name, program, value)
  if target then
    local met = value <= target
    missed = missed or not met
    text = text .. (',"target":%.4f,"met":%s'):format(target, met)
  end
  lines[#lines + 1] = text .. "}"
end

local function row(...)
  local cells = table.pack(...)
  for i = 1, cells.n do
    local cell = cells[i]
    if math.type(cell) == "float" then cell = ("%.2f"):format(cell) end
    cells[i] = (i == 1 and "%-15s" or "%12s"):format(cell)
  end
  print(table.concat(cells, " "))
end

local programs, sizes = names("program"), names("servers")
table.sort(sizes)

-- CPU for one server more, in ms.
local function slope(program, pick)
  local small, large = sizes[1], sizes[#sizes]
  return (of(program, large, "cpu_s", nil, pick) - of(program, small, "cpu_s", nil, pick)) / (large - small) * 1e3
end

local function real()
  local small, large = sizes[1], sizes[#sizes]
  row("client CPU", "slope ms/srv", "to floor", "least", "to pool", "least", "start-up ms", small .. " srv ms",
    large .. " srv ms", "wall s", "max RSS MB")
  for _, p in ipairs(programs) do
    local a, b = of(p, small, "cpu_s") * 1e3, of(p, large, "cpu_s") * 1e3
    local mine, mine_least = slope(p), slope(p, least)
    row(p, mine, mine / slope("floor"), mine_least / slope("floor", least), mine / slope("floor-pool"),
      mine_least / slope("floor-pool", least), a - small * mine, a, b, of(p, large, "wall_s"),
      of(p, large, "max_rss_kb") / 1024)
    figure("cpu_ms_per_server", p, mine)
    figure("startup_ms", p, a - small * mine)
    if p:find("^muster") then
      figure("cpu_ratio", p, mine / slope("floor"), p == "muster-warning" and TARGET.real_ratio or nil)
      figure("cpu_ratio_least", p, mine_least / slope("floor", least))
      figure("cpu_ratio_to_pool", p, mine / slope("floor-pool"))
      figure("cpu_ratio_to_pool_least", p, mine_least / slope("floor-pool", least))
    end
  end
end

local function light()
  local size = sizes[#sizes]
  local base, base_least, base_kb
  row("all in flight", "CPU ms/srv", "ratio", "least ratio", "KB/srv", "ratio", "CPU s", "wall s", "max RSS MB", "server CPU s")
  for _, p in ipairs(programs) do
    local cpu, cpu_least = of(p, size, "cpu_s"), of(p, size, "cpu_s", nil, least)
    local kb = (of(p, size, "max_rss_kb") - of(p, 1, "max_rss_kb")) / size
    base, base_least, base_kb = base or cpu, base_least or cpu_least, base_kb or kb
    row(p, cpu / size * 1e3, cpu / base, cpu_least / base_least, kb, kb / base_kb, cpu, of(p, size, "wall_s"), of(p, size, "max_rss_kb") / 1024,
      of(p, size, "server_cpu_s"))
    figure("cpu_ms_per_server", p, cpu / size * 1e3)
    local judged = p == "muster-warning" and size >= 1000 -- with fewer it is start-up that is compared
    figure("kb_per_server", p, kb, judged and TARGET.light_kb or nil)
    if p ~= programs[1] then
      figure("cpu_ratio", p, cpu / base, judged and TARGET.light_ratio or nil)
      figure("cpu_ratio_least", p, cpu_least / base_least)
    end
  end
end

local function slow()
  local size = sizes[1]
  local function both(s) return s.cpu_s + s.server_cpu_s end
  local function is_slow(s) return s.delay_s ~= nil end
  local function is_quick(s) return s.delay_s == nil end
  row("slow commands", "wall s", "at most s", "handshakes s", "cores", "cores left", "client CPU s", "max RSS MB")
  for _, p in ipairs(programs) do
    local delay = of(p, size, "delay_s", is_slow)
    local handshakes, wall = of(p, size, both, is_quick), of(p, size, "wall_s", is_slow)
    -- Others on this machine take theirs: only what they leave can be used. Quiet machine: all of the cores.
    local left = of(p, size, function(s) return cores - math.max(0, s.machine_s - both(s)) / s.wall_s end, is_slow)
    row(p, wall, delay + 1.2 * handshakes / cores, handshakes, cores, left, of(p, size, "cpu_s", is_slow),
      of(p, size, "max_rss_kb", is_slow) / 1024)
    figure("wall_s", p, wall, p ~= programs[1] and delay + 1.2 * handshakes / cores or nil)
    figure("cores_left_by_others", p, left)
  end
end

local function store()
  local size = sizes[1]
  local base, base_least = of("unkept", size, "cpu_s"), of("unkept", size, "cpu_s", nil, least)
  row("20 steps a server", "CPU us/step", "ratio", "least ratio", "CPU s", "wall s", "max RSS MB")
  for _, p in ipairs(programs) do
    local cpu, cpu_least = of(p, size, "cpu_s"), of(p, size, "cpu_s", nil, least)
    row(p, cpu / size / 20 * 1e6, cpu / base, cpu_least / base_least, cpu, of(p, size, "wall_s"), of(p, size, "max_rss_kb") / 1024)
    figure("cpu_us_per_step", p, cpu / size / 20 * 1e6)
    figure("cpu_ratio", p, cpu / base, p == "kept" and TARGET.store_ratio or nil)
    figure("cpu_ratio_least", p, cpu_least / base_least)
  end
end

-- One server is start-up: what more of them take is counted.
local function agents()
  local p = "coordinator"
  local function more(value, size) return of(p, size, value) - of(p, 1, value) end
  row("three agents", "coord. ms/srv", "nats ms/srv", "both", "agents ms/srv", "wall s", "max RSS MB", "KB/srv")
  for i = 2, #sizes do
    local size = sizes[i]
    local former = i > 2 and sizes[i - 1] or 1
    local mine, nats, theirs = more("cpu_s", size) / size * 1e3, more("nats_s", size) / size * 1e3, more("agents_s", size) / size * 1e3
    local kb = (of(p, size, "max_rss_kb") - of(p, former, "max_rss_kb")) / (size - former)
    row(size .. " servers", mine, nats, mine + nats, theirs, of(p, size, "wall_s"), of(p, size, "max_rss_kb") / 1024, kb)
    if i == #sizes then
      figure("cpu_ms_per_server_coordinator", p, mine)
      figure("cpu_ms_per_server_nats", "nats-server", nats)
      figure("cpu_ms_per_server_agents", "agents", theirs)
      figure("cpu_ms_per_server", "coordinator and nats-server", mine + nats, size >= 1000 and TARGET.agents_ms or nil)
      figure("kb_per_server", p, kb)
    end
  end
end

local benches = { agents = agents, real = real, light = light, slow = slow, store = store }
benches[bench]()
print(table.concat(lines, "\n"))
os.exit(not (check and missed))
