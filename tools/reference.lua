-- reference.lua: docs/reference.md, from the annotations that editors read: bindings/meta/*.lua.
--
--   lua5.4 tools/reference.lua >docs/reference.md
--
-- A function's annotation has its description, with one example (a block of ```lua), then @async when it waits, then
-- its parameters and what it returns. tests/lua/reference_spec.lua runs the examples, and loads this file for M.read.
local M = {}

-- ---- annotations ----

-- Where the type that begins at `at` ends: names, lists, tables, fun(…): …, texts, joined by |.
local function type_end(text, at)
  local balanced = { ["("] = "^%b()", ["{"] = "^%b{}", ['"'] = '^"[^"]*"' }
  local stop = text:match("^%.%.%.()", at)
  if stop then return stop end
  local open = text:sub(at, at)
  if balanced[open] then
    stop = select(2, text:find(balanced[open], at)) + 1
  else
    stop = text:match("^[%w_.]+()", at) or error("no type: " .. text)
    if text:sub(at, stop - 1) == "fun" then
      stop = text:match("^%b()()", stop) or stop
      local result = text:match("^: ?()", stop)
      return result and type_end(text, result) or stop
    end
    stop = text:match("^%b<>()", stop) or stop
  end
  repeat
    local more = text:match("^%[%]()", stop) or text:match("^%?()", stop)
    stop = more or stop
  until not more
  local next_one = text:match("^|()", stop)
  return next_one and type_end(text, next_one) or stop
end

local function split_type(text)
  local stop = type_end(text, 1)
  return text:sub(1, stop - 1), text:sub(stop):gsub("^%s+", "")
end

-- One block of comment lines: { text, example, params, returns, fields, class, parent, alias, async }.
local function parse_block(lines, where)
  local block = { text = {}, params = {}, returns = {}, fields = {} }
  local target, code = nil, nil -- what a line without a tag goes on with
  for _, line in ipairs(lines) do
    local tag, rest = line:match "^@(%a+)%s*(.*)$"
    if code then
      if line == "```" then
        block.example, code = table.concat(code, "\n") .. "\n", nil
      else
        code[#code + 1] = line
      end
    elseif line == "```lua" then
      if block.example then error(where .. ": two examples") end
      code = {}
    elseif not tag then
      local text = line:gsub("^%s+", "")
      if target then
        target.text = (target.text .. " " .. text):gsub("^ ", "")
      else
        block.text[#block.text + 1] = text
      end
    elseif tag == "class" then
      block.class, block.parent = rest:match "^([%w_.]+)%s*:?%s*([%w_.]*)"
    elseif tag == "async" then
      block.async = true
    elseif tag == "alias" then
      block.alias = {}
      block.alias.name, rest = rest:match "^(%S+)%s+(.*)$"
      block.alias.type, block.alias.text = split_type(rest)
      target = block.alias
    elseif tag == "param" or tag == "field" then
      local one = {}
      one.name, rest = rest:match "^(%b[])%s+(.*)$"
      if not one.name then one.name, rest = line:match "^@%a+ (%S+)%s+(.*)$" end
      one.type, one.text = split_type(rest)
      one.optional = one.name:find "%?$" ~= nil
      one.name = one.name:gsub("%?$", "")
      table.insert(block[tag .. "s"], one)
      target = one
    elseif tag == "return" then
      local one = {}
      one.type, one.text = split_type(rest)
      table.insert(block.returns, one)
      target = one
    elseif tag ~= "meta" and tag ~= "operator" then
      error(("%s: what is @%s?"):format(where, tag))
    end
  end
  if code then error(where .. ": the example has no end") end
  block.text = table.concat(block.text, "\n")
  return block
end

-- What a method is called on, for people: server for muster.Server, client for muster.HttpClient.
local function object_of(class)
  return class:match "(%u%l+)$":lower()
end

local function read_file(path, api)
  local lines, number, classes = {}, 0, {}
  local function take()
    local block = parse_block(lines, ("%s:%d"):format(path, number))
    lines = {}
    if block.class then
      block.functions = {}
      api.classes[#api.classes + 1] = block
      api.classes[block.class] = block
    elseif block.alias then
      block.alias.text = block.text
      api.aliases[#api.aliases + 1] = block.alias
    end
    return block
  end
  for line in io.lines(path) do
    number = number + 1
    local comment = line:match "^%-%-%-(.*)$"
    if comment then
      lines[#lines + 1] = comment
    elseif line:find "^function " then
      local holder, how, name, arguments = line:match "^function ([%w_.]+)([.:])([%w_]+)(%b()) end$"
      if not holder then error(("%s:%d: a function is on one line: function x.y(…) end"):format(path, number)) end
      local block, class = take(), classes[holder] or error(("%s:%d: whose is %s?"):format(path, number, holder))
      if block.class or block.alias then error(("%s:%d: an empty line is missing before it"):format(path, number)) end
      block.method, block.short, block.arguments = how == ":", name, arguments
      block.object = block.method and object_of(class.class) or class.class
      block.name = block.object .. how .. name
      block.key = (block.method and class.class .. ":" or class.class .. ".") .. name
      block.where = ("%s:%d"):format(path, number)
      table.insert(class.functions, block)
      api.functions[#api.functions + 1] = block
      api.functions[block.key] = block
    else
      local block = take()
      local holder = line:match "^local ([%w_]+) = {}" or line:match "^([%w_.]+) = {}"
      if holder and block.class then classes[holder] = block end
    end
  end
  take()
end

--- All annotations below the folder `source`: { functions, classes, aliases }, each in order; functions and classes
--- also by name: "muster.sleep", "muster.Server:exec".
function M.read(source)
  local api, names = { functions = {}, classes = {}, aliases = {} }, {}
  local list = assert(io.popen("cd '" .. source:gsub("'", "'\\''") .. "' && ls bindings/meta"))
  for name in list:lines() do names[#names + 1] = name end
  list:close()
  local first = { ["muster.lua"] = 1, ["server.lua"] = 2 } -- what everything hangs on
  table.sort(names, function(a, b)
    local m, n = first[a] or 3, first[b] or 3
    if m ~= n then return m < n end
    return a < b
  end)
  for _, name in ipairs(names) do read_file(source .. "/bindings/meta/" .. name, api) end
  if #api.functions == 0 then error("no annotations in " .. source .. "/bindings/meta") end
  return api
end

-- ---- the page ----

local HEAD = [[
# The reference of muster's Lua API

<!-- Written by tools/reference.lua from bindings/meta/, which editors read: change it there. -->

Durations are seconds (a number) or text such as `"90s"`, `"5m"`, `"1h30m"`. What **waits** reads as if it blocked, and
does not: the other servers go on meanwhile. At load time, which is while a script's top level runs, nothing may wait:
such a call belongs into `setup` or a step. A wrong argument is an error that says what is wrong; what else a function
raises is said with it.

An example is the body of a step, `run = function(server, params) … end`, where it is no whole script; in those for
HTTP, `params.url` is where an API is; in those for `muster.parse`, what the tools print is on record. What it prints
or logs stands behind `-->`, with `…` for any text. The tests run each of them as it is here, on this machine and over
SSH.

All of standard Lua 5.4 is there, too, and `require "cjson"`. `print` goes to the log, `os.execute` and `io.popen` wait
without blocking; `os.exit`, `os.setlocale` and `package.loadlib` are refused, and of `debug` there are `traceback` and
`getinfo`.
]]

local function anchor(heading)
  return "#" .. heading:lower():gsub("[^%w_ -]", ""):gsub(" ", "-")
end

local function link(name) return ("[%s](%s)"):format(name, anchor(name)) end

-- A type as code; a link where it names one table of this page.
local function show_type(type, api)
  local named
  for name in type:gmatch "muster%.[%w_.]+" do
    if api.classes[name] then
      if named and named ~= name then return "`" .. type .. "`" end
      named = name
    end
  end
  if not named then return "`" .. type .. "`" end
  return ("[`%s`](%s)"):format(type, anchor(api.heading[named]))
end

-- Text with the types that it names as links.
local function show_text(text, api)
  return (text:gsub("%f[%w]muster%.%u%w*", function(name)
    return api.classes[name] and ("[`%s`](%s)"):format(name, anchor(api.heading[name]))
  end))
end

local function item(one, api)
  local text = one.text ~= "" and ": " .. show_text(one.text, api) or ""
  return ("- `%s%s` (%s)%s"):format(one.name, one.optional and "?" or "", show_type(one.type, api), text)
end

local function timing(fn)
  if fn.async then return "waits; not at load time" end
  if fn.key:find "^muster%.testing" then return "in a spec" end
  return fn.method and "does not wait" or "does not wait; also at load time"
end

local function show_function(fn, out, api)
  out("\n### " .. fn.name .. "\n")
  out(("`%s%s` · %s"):format(fn.name, fn.arguments, timing(fn)))
  if fn.text ~= "" then out("\n" .. fn.text) end
  if #fn.params + #fn.returns > 0 then out "" end
  for _, one in ipairs(fn.params) do out(item(one, api)) end
  for _, one in ipairs(fn.returns) do
    local more, text = one.text:match "^(%.%.%.) ?(.*)$"
    text = text or one.text
    out(("- returns %s%s"):format(more and ("`%s ...`"):format(one.type) or show_type(one.type, api),
      text ~= "" and ": " .. text or ""))
  end
  if fn.example then out("\n```lua\n" .. fn.example .. "```") end
end

local function show_class(class, out, api)
  if class.text ~= "" then out("\n" .. class.text) end
  if class.parent ~= "" then out(("\nAll of %s, and:"):format(show_type(class.parent, api))) end
  if #class.fields > 0 then out "" end
  for _, one in ipairs(class.fields) do out(item(one, api)) end
end

--- The page's text.
function M.page(api)
  local parts = {}
  local function out(text) parts[#parts + 1] = text end
  api.heading = {}
  for _, class in ipairs(api.classes) do
    local with = class.functions[1]
    local kind = not with and "Type " or ""
    api.heading[class.class] = with and with.method and "On " .. with.object or kind .. class.class
  end
  out(HEAD)
  for _, class in ipairs(api.classes) do
    local names = {}
    for i, fn in ipairs(class.functions) do names[i] = link(fn.name) end
    if #names > 0 then out("- " .. table.concat(names, " · ")) end
  end
  for _, class in ipairs(api.classes) do
    if #class.functions > 0 then
      out("\n## " .. api.heading[class.class])
      show_class(class, out, api)
      for _, fn in ipairs(class.functions) do show_function(fn, out, api) end
    end
  end
  out "\n## Types\n\nA name with `?` may be missing."
  for _, class in ipairs(api.classes) do
    if #class.functions == 0 then
      out("\n### " .. api.heading[class.class])
      show_class(class, out, api)
    end
  end
  for _, alias in ipairs(api.aliases) do
    out(("\n### Type %s\n\n`%s`%s"):format(alias.name, alias.type, alias.text ~= "" and ": " .. alias.text or ""))
  end
  return table.concat(parts, "\n") .. "\n"
end

if arg and arg[0] and arg[0]:find "reference%.lua$" then
  io.write(M.page(M.read((arg[0]:match "^(.*)/[^/]*$" or ".") .. "/..")))
end

return M
