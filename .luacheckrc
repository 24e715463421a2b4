-- Settings of luacheck for every Lua file here; tests/support/check-lua runs it.
std = "lua54"
max_line_length = 120
self = false -- a method need not use it

files["**/*_spec.lua"] = { std = "+busted" }
exclude_files = { "build*/**" }

-- Annotations for editors: functions without bodies.
files["bindings/meta/**"] = { ignore = { "212", "241" } }

-- Tables of cases read better on one line each.
files["tests"] = { max_line_length = false }
