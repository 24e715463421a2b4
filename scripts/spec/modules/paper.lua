-- A provisioner's driver for specs: it has the state in a variable, and installs and destroys at once.
return function(config)
  local broken = config.url == "paper:broken"
  local node = { state = "clean" }
  local driver = { name = "paper" }
  function driver.state() return { state = node.state, detail = node.state, tag = node.tag, broken = node.broken } end
  function driver.claim(_, claim) node.tag = claim.tag end
  function driver.unclaim() node.tag = nil end
  function driver.install() node.state = broken and "failed" or "installed" end
  function driver.destroy() node.state = "clean" end
  function driver.mark(_, reason) node.broken = reason end
  function driver.unmark() node.broken = nil end
  return driver
end
