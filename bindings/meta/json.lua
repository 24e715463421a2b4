---@meta _
-- muster.json, as muster.lua has it.

---JSON. Whole numbers are integers, however they were written (12, 12.0, 1e3): JSON makes no difference.
---@class muster.json
---@field null lightuserdata stands for null in both directions; the same as cjson.null
local json = {}
---Raises on what is no JSON, and on a whole number beyond 2^53, which would lose digits; both with their offset.
---```lua
---local list = muster.json.decode '[1.0, {"name": "sda"}, null]'
---print(list[1], list[2].name, list[3] == muster.json.null) --> 1 sda true
---```
---@param text string
---@return any
function json.decode(text) end
---A table with positions 1 to n is a list, one with names an object, an empty one {} (see array). Integers and other
---numbers keep all their digits. Raises, with the place, on NaN and infinity, lists with holes, mixed keys, text that
---is not UTF-8, functions and the like.
---```lua
---print(muster.json.encode { disks = { "sda", 1, 2.5, true } }) --> {"disks":["sda",1,2.5,true]}
---```
---@param value any
---@return string
function json.encode(value) end
---Mark a table as a list, so that it is [] when empty; a new one when none is given.
---```lua
---print(muster.json.encode { disks = muster.json.array() }, muster.json.encode {}) --> {"disks":[]} {}
---```
---@param list? table
---@return table
function json.array(list) end

return json
