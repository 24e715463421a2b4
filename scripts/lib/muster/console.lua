-- The script behind `muster console`: its one step is called with each line, and returns what to show for it, or true
-- where the line is the beginning of a chunk only. The globals of the console are those of this task.
local muster = require "muster"

local DEEP, LONG, MANY = 6, 4000, 100 -- how much of a value is shown

-- ---- showing values ----

local function quoted(text)
  if #text > LONG then text = text:sub(1, LONG) .. "…" end
  return '"' .. text:gsub('[%c"\\]', function(c)
    local short = ({ ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ['"'] = '\\"', ["\\"] = "\\\\" })[c]
    return short or ("\\%d"):format(c:byte())
  end) .. '"'
end

local function less(a, b)
  if math.type(a) and math.type(b) then return a < b end
  if type(a) ~= type(b) then return type(a) < type(b) end
  return tostring(a) < tostring(b)
end

local show

local function show_table(t, depth, inside)
  if inside[t] then return "{ … itself … }" end
  if depth > DEEP then return "{ … }" end
  inside[t] = true
  local keys, parts, width = {}, {}, 0
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys, less)
  for i, k in ipairs(keys) do
    if i > MANY then
      parts[i] = ("… %d more"):format(#keys - MANY)
      break
    end
    local value = show(t[k], depth + 1, inside)
    if k ~= i then
      local name = type(k) == "string" and k:find "^[%a_][%w_]*$" and k or "[" .. show(k, depth + 1, inside) .. "]"
      value = name .. " = " .. value
    end
    parts[i] = value
    width = width + #value + 2
    if value:find("\n", 1, true) then width = math.huge end
  end
  inside[t] = nil
  if #parts == 0 then return "{}" end
  if width < 100 then return "{ " .. table.concat(parts, ", ") .. " }" end
  local indent = ("  "):rep(depth)
  return "{\n" .. indent .. table.concat(parts, ",\n" .. indent) .. "\n" .. ("  "):rep(depth - 1) .. "}"
end

function show(v, depth, inside)
  if type(v) == "string" then return quoted(v) end
  if muster.errors.is(v) then return tostring(v) end
  local meta = getmetatable(v)
  if type(v) == "table" and not (type(meta) == "table" and meta.__tostring) then return show_table(v, depth, inside) end
  return tostring(v)
end

-- What exec returns is shown as a terminal would have: its text, and how it ended where that was not well.
local function show_result(r)
  local parts = { r.stdout }
  if r.stderr ~= "" then parts[#parts + 1] = "stderr: " .. r.stderr end
  if r.signal then parts[#parts + 1] = "killed by signal " .. r.signal end
  if not r.ok and r.exit_status then parts[#parts + 1] = "exit status " .. r.exit_status end
  for i, part in ipairs(parts) do parts[i] = part ~= "" and not part:find "\n$" and part .. "\n" or part end
  return (table.concat(parts):gsub("\n$", ""))
end

local function is_result(v)
  return type(v) == "table" and type(v.ok) == "boolean" and type(v.stdout) == "string" and type(v.stderr) == "string"
end

local function show_all(values)
  local parts = {}
  for i = 1, values.n do
    local v = values[i]
    if type(v) == "string" and values.n == 1 then
      parts[i] = v -- text is read, not parsed
    else
      parts[i] = is_result(v) and show_result(v) or show(v, 1, {})
    end
  end
  return table.concat(parts, "\n")
end

-- ---- lines ----

--- In the console: run a script's top level, make its description the global `script`, and name its steps.
function _G.load_script(path)
  local folder = path:match "^(.*)/[^/]*$" or "."
  package.path = folder .. "/?.lua;" .. folder .. "/?/init.lua;" .. package.path
  local script = dofile(path)
  local names = {}
  _G.script = script
  for i, step in ipairs(type(script) == "table" and script.steps or {}) do names[i] = tostring(step.name) end
  if #names == 0 then error(path .. " is no script: it returns no description with steps", 0) end
  return ("%s: steps %s; the global `script` is its description"):format(path, table.concat(names, ", "))
end

-- Returns a function, or nil and what is wrong, or nil and true: it is the beginning of a chunk.
local function compile(text)
  local chunk, why = load("return " .. text, "=console", "t")
  if chunk then return chunk end
  local as_statement
  chunk, as_statement = load(text, "=console", "t")
  if chunk then return chunk end
  return nil, why:find "near <eof>$" ~= nil or as_statement:find "near <eof>$" ~= nil or as_statement
end

local function eval(server, text)
  _G.server, _G.muster = server, muster
  local chunk, why = compile(text)
  if not chunk then return why end
  local values = table.pack(xpcall(chunk, function(e)
    if type(e) ~= "string" then return e end
    -- Where it came from, when that is not the line itself.
    local trace = debug.traceback("", 2):gsub("\n[^\n]*%[C%]: in function 'xpcall'.*", "")
    trace = trace:gsub("\n\t[^\n]*/lib/muster/[%w_]+%.lua:[^\n]*", ""):gsub("\n\t%(%.%.%.tail calls%.%.%.%)$", "")
    return trace:find "\n\t[^%[\n]*%.lua:" and e .. trace or e
  end))
  if not values[1] then
    local e = values[2]
    return muster.errors.is(e) and tostring(e) or type(e) == "string" and e or "error: " .. show(e, 1, {})
  end
  if values.n == 1 then return end
  return show_all(table.pack(table.unpack(values, 2, values.n)))
end

return muster.script {
  description = "Lua line by line",
  steps = { { name = "console", run = eval } },
}
