# The tests that run programs: every busted spec of tests/lua and tests/integration, the tests of the two commands of the
# README (tests/integration/tools/test-*) and the checks of the source itself (tests/support/check-*).
#
# Labels: lua, integration, browser, tools, lint; and tsan for a spec whose name holds "tsan": it is what the thread sanitizer's
# build runs beside the unit tests.
set(muster_tests ${CMAKE_CURRENT_SOURCE_DIR})
if(TARGET muster)
  set(muster_program $<TARGET_FILE:muster>)
else()
  set(muster_program ${CMAKE_BINARY_DIR}/bin/muster)
endif()
set(muster_test_environment MUSTER=${muster_program} MUSTER_SOURCE=${CMAKE_SOURCE_DIR} MUSTER_BUILD=${CMAKE_BINARY_DIR}
                            XDG_STATE_HOME=${CMAKE_BINARY_DIR}/tests/state)

# What a sanitizer would find nothing more in, since it runs none of muster's C code in a way of its own.
set(muster_unsanitized
  # Pages compared with what muster says: each function on them has its own spec.
  integration_jenkins integration_manual integration_writing_checks lua_patterns_page lua_reference lua_thresholds_page
  # Scripts and libraries in Lua, and what other people's programs print: exec, parameters, thresholds have specs.
  integration_network integration_scripts lua_benchmarks lua_parse lua_scripts
  # The work is Ironic's and sshd's, seconds of it a server. In this build the HTTP client meets an API that misbehaves in
  # lua_http and lua_provisioner, and Ironic, signals, kills and cleanups in integration_burnin_trouble; many servers at
  # once are in integration_scale.
  integration_burnin integration_burnin_scale integration_ironic integration_ironic_trouble
  # Its troubles come at fixed times; each of them is in integration_agents_trouble, too.
  integration_agents_chaos)

function(muster_add_program_test name label)
  cmake_parse_arguments(T "" "" "COMMAND" ${ARGN})
  if(MUSTER_SANITIZE AND name IN_LIST muster_unsanitized)
    return()
  endif()
  add_test(NAME ${name} COMMAND ${T_COMMAND})
  set(labels ${label})
  if(name MATCHES "tsan")
    list(APPEND labels tsan)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT 900 ENVIRONMENT "${muster_test_environment}")
  muster_set_cost(${name})
endfunction()

foreach(kind lua integration)
  file(GLOB specs CONFIGURE_DEPENDS ${muster_tests}/${kind}/*_spec.lua)
  foreach(spec ${specs})
    get_filename_component(name ${spec} NAME_WE)
    string(REGEX REPLACE "_spec$" "" name ${name})
    if(name MATCHES "^agents" AND NOT MUSTER_NATS)
      continue()
    endif()
    muster_add_program_test(${kind}_${name} ${kind} COMMAND ${muster_tests}/support/run-spec ${spec})
  endforeach()
endforeach()

add_executable(libssh_server ${muster_tests}/support/libssh_server.c)
target_link_libraries(libssh_server PRIVATE PkgConfig::LIBSSH)
set_target_properties(libssh_server PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)

if(MUSTER_NATS)
  add_executable(nats_tool ${muster_tests}/support/nats_tool.c)
  target_link_libraries(nats_tool PRIVATE PkgConfig::NATS)
  set_target_properties(nats_tool PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()

# A sanitizer's runtime wants to be the first library, so that these are without it.
if(NOT MUSTER_SANITIZE)
  add_library(slow_send MODULE ${muster_tests}/support/slow_send.c)
  set_target_properties(slow_send PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests
                                             COMPILE_OPTIONS "-Wno-missing-prototypes")
endif()

# The standard scripts' own specs, run as their users run theirs.
muster_add_program_test(lua_scripts lua COMMAND ${muster_program} test ${CMAKE_SOURCE_DIR}/scripts/spec)

# What runs nothing of this build is done once: not again for each sanitizer.
if(NOT MUSTER_SANITIZE)
  file(GLOB programs CONFIGURE_DEPENDS ${muster_tests}/integration/tools/test-*)
  foreach(program ${programs})
    get_filename_component(name ${program} NAME)
    string(REGEX REPLACE "^test-" "" name ${name})
    muster_add_program_test(tools_${name} tools COMMAND ${program})
  endforeach()

  muster_add_program_test(browser_report browser COMMAND ${muster_tests}/support/browser run
                          ${muster_tests}/report/page.test.js)

  foreach(check layers words)
    muster_add_program_test(lint_${check} lint COMMAND ${muster_tests}/support/check-${check} ${CMAKE_SOURCE_DIR})
    muster_add_program_test(lint_${check}_test lint COMMAND ${muster_tests}/support/check-${check}-test)
  endforeach()
  muster_add_program_test(lint_lua lint COMMAND ${muster_tests}/support/check-lua)
  muster_add_program_test(lint_shell lint COMMAND ${muster_tests}/support/check-shell)
  muster_add_program_test(lint_ssh_errors lint COMMAND ${muster_tests}/support/check-ssh-errors ${CMAKE_SOURCE_DIR})
endif()
