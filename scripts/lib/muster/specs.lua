-- For `muster test`: find the specs, run them with busted (Debian's lua-busted), and tell how it went.
local M = {}

local PATTERN = "_spec%.lua$"

local function lfs()
  local there, lib = pcall(require, "lfs")
  return there and lib or nil
end

local function kind(path) return lfs().attributes(path, "mode") end

-- All specs under a folder: deep goes into its folders as well.
local function add_specs(found, folder, deep)
  local names = {}
  for name in lfs().dir(folder) do
    if not name:find "^%." then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local path = folder == "." and name or folder .. "/" .. name
    local what = kind(path)
    if what == "file" and name:find(PATTERN) then
      found[#found + 1] = path
    elseif what == "directory" and deep then
      add_specs(found, path, true)
    end
  end
end

-- What paths mean; nil and why when one is not there, or there is nothing.
local function find(paths)
  local found = {}
  for _, path in ipairs(paths) do
    local what = kind(path)
    if what == "directory" then
      add_specs(found, path:match "^(.-)/*$", true)
    elseif what then
      found[#found + 1] = path
    else
      return nil, path .. ": no such file or folder"
    end
  end
  if #paths == 0 then
    add_specs(found, ".", false)
    for _, folder in ipairs { "spec", "scripts" } do
      if kind(folder) == "directory" then add_specs(found, folder, true) end
    end
    if #found == 0 then return nil, "no *_spec.lua here, in spec or in scripts" end
  elseif #found == 0 then
    return nil, "no *_spec.lua in " .. table.concat(paths, ", ")
  end
  return found
end

-- What os.exit raises in here: busted's runner ends that way, and the program must not.
local EXIT = setmetatable({}, { __tostring = function() return "os.exit was called" end })

--- options: paths, and of busted's own: output, filter, list, shuffle. Returns the exit code; where it is 2, why.
function M.run(options)
  local there, why = pcall(require, "busted.runner")
  if not there then
    local missing = tostring(why):find("module 'busted.runner' not found", 1, true)
    return 2, missing and "busted is not installed: apt-get install lua-busted" or "busted cannot be loaded: " .. why
  end
  local runner = why
  local specs
  specs, why = find(options.paths)
  if not specs then return 2, why end

  local words = { [0] = "muster test", "-e", "require('muster.specs').count()" }
  rawset(_G, "arg", words) -- where the runner looks
  local function pass(text) words[#words + 1] = text end
  if options.output then pass("--output=" .. options.output) end
  if options.filter then pass("--filter=" .. options.filter) end
  if options.list then pass "--list" end
  if options.shuffle then pass "--shuffle" end
  for _, path in ipairs(specs) do
    if path:find(",", 1, true) then return 2, path .. ": busted takes no file with a comma in its name" end
    pass(path:find "^%-" and "./" .. path or path)
  end

  local code = 0
  os.exit = function(status) -- luacheck: ignore
    code = status == true and 0 or tonumber(status) or 1
    error(EXIT, 0)
  end
  local ok, problem = xpcall(runner, function(e) return e == EXIT and e or debug.traceback(tostring(e), 2) end,
    { standalone = false })
  io.stdout:flush()
  if not ok and problem ~= EXIT then return 2, "busted broke: " .. problem:match "^[^\n]*" end
  if code == 0 and M.tests == 0 and not options.list then
    if options.filter then return 2, "no test's name matches the filter" end
    return 2, "there is no test in " .. table.concat(specs, ", ")
  end
  return code == 0 and 0 or 1
end

M.tests = 0

--- Called from inside the runner, when busted is set up.
function M.count()
  require "busted".subscribe({ "test", "start" }, function()
    M.tests = M.tests + 1
    return nil, true
  end)
end

return M
