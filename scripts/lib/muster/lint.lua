-- For `muster check`: what luacheck (Debian's lua-check) says of a script, where it is installed. Kept is what is worth
-- a hint in a script: values nobody uses, names that hide others, code that is never reached. Globals and fields are
-- muster's own to judge, line lengths and spaces are taste.

-- Debian has luacheck among the modules of Lua 5.1 alone; it runs under 5.4 as well.
local OTHER_PATHS = ";/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua"
local SETTINGS = { std = "lua54", global = false, max_line_length = false, self = false, unused_args = false,
  ignore = { "6.." } }

--- found(line, column, message) is called for each.
return function(path, found)
  package.path = package.path .. OTHER_PATHS
  local there, luacheck = pcall(require, "luacheck")
  if not there then return end
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  for _, warning in ipairs(luacheck.check_strings({ text }, SETTINGS)[1]) do
    if warning.code:find "^[2345]" and warning.name ~= "_ENV" then
      found(warning.line, warning.column, luacheck.get_message(warning))
    end
  end
end
