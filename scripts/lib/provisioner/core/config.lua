-- What a driver is configured with: mistakes are told by name, before anything is asked.

-- Read by provisioner.new itself, for every driver.
local COMMON = " name url max_in_flight install_timeout destroy_timeout mark_timeout poll poll_longest mark_in_use "

--- needed: { field = type }; optional: names, space between them.
return function(config, driver, needed, optional)
  for name, kind in pairs(needed) do
    if type(config[name]) ~= kind or config[name] == "" then
      error(("the provisioner %s needs %s (a %s)"):format(driver, name, kind), 0)
    end
  end
  for name in pairs(config) do
    if not needed[name] and not (COMMON .. optional .. " "):find(" " .. tostring(name) .. " ", 1, true) then
      error(("the provisioner %s has no option '%s'; it has%s%s"):format(driver, tostring(name), COMMON, optional), 0)
    end
  end
end
