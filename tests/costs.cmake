# Included by tests/CMakeLists.txt: which tests ctest begins with, the longest ones, so that none of them is still at work
# when all others have ended. ctest learns this by itself, but not for the first run of a build. Seconds, roughly.
set(muster_costs
  tools_leaves-nothing=170 integration_agents_trouble=70 integration_agents=30 integration_agents_chaos=30
  integration_agents_refusal=20 unit_agents_agent=18 unit_agents_agent_end=25 unit_agents_spread=20 unit_agents_spread_lost=20
  integration_burnin_trouble=80 integration_burnin_scale=70 integration_ironic_trouble=60 lua_provisioner=50
  integration_burnin=40 integration_ending=40 integration_ironic=40 lua_sudo=30 lua_files=30
  unit_bindings_memory=25 unit_ssh_traps_flow=20
  integration_network=16 integration_failures=16 integration_store=15 integration_scripts=14 integration_scale=12
  lua_cancel=16 lua_interrupt=12 lua_script=16 lua_inventory=15 lua_pair=14 lua_mark=13 lua_http=12 lua_http_tsan=12 lua_use=11
  unit_ssh_exec_end=12 unit_ssh_session=5 unit_ssh_session_login=6 unit_ssh_exec=8 unit_nats_post=24
  unit_nats_pull=14)

# Those that keep a core busy throughout. tools/test has twice as many at once as there are cores, since most tests wait.
set(muster_busy tools_leaves-nothing integration_burnin_scale integration_burnin_trouble unit_bindings_memory)

function(muster_set_cost test)
  set(costs ${muster_costs})
  list(FILTER costs INCLUDE REGEX "^${test}=")
  if(costs)
    string(REGEX REPLACE ".*=" "" cost "${costs}")
    set_tests_properties(${test} PROPERTIES COST ${cost})
  endif()
  if(test IN_LIST muster_busy)
    set_tests_properties(${test} PROPERTIES PROCESSORS 2)
  endif()
endfunction()
