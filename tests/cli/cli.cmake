# Included by host/library.cmake: unit tests of the command line's own modules, and one of the built program.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

function(cli_unit name)
  add_executable(unit_cli_${name} ${CMAKE_SOURCE_DIR}/tests/cli/test_${name}.c ${ARGN})
  target_include_directories(unit_cli_${name} PRIVATE ${CMAKE_SOURCE_DIR}/host ${CMAKE_SOURCE_DIR}/host/include)
  target_link_libraries(unit_cli_${name} PRIVATE PkgConfig::CMOCKA)
  add_test(NAME unit_cli_${name} COMMAND unit_cli_${name})
  set_tests_properties(unit_cli_${name} PROPERTIES LABELS unit TIMEOUT 60)
endfunction()

cli_unit(parse cli/parse.c)
cli_unit(suggest cli/suggest.c)
cli_unit(target_spec cli/target_spec.c cli/parse.c)
cli_unit(progress_line cli/progress_line.c)
cli_unit(secret cli/secret.c cli/say.c)

add_test(NAME cli COMMAND ${CMAKE_SOURCE_DIR}/tests/cli/test-cli $<TARGET_FILE:muster>)
set_tests_properties(cli PROPERTIES LABELS integration TIMEOUT 300)
add_test(NAME cli_ssh COMMAND ${CMAKE_SOURCE_DIR}/tests/cli/test-ssh $<TARGET_FILE:muster>)
set_tests_properties(cli_ssh PROPERTIES LABELS integration TIMEOUT 300)
add_test(NAME cli_secrets COMMAND ${CMAKE_SOURCE_DIR}/tests/support/with-accounts
  ${CMAKE_SOURCE_DIR}/tests/cli/test-secrets $<TARGET_FILE:muster>)
set_tests_properties(cli_secrets PROPERTIES LABELS integration TIMEOUT 600)
add_test(NAME cli_console COMMAND ${CMAKE_SOURCE_DIR}/tests/cli/test-console $<TARGET_FILE:muster>)
set_tests_properties(cli_console PROPERTIES LABELS integration TIMEOUT 600)
add_test(NAME cli_progress COMMAND ${CMAKE_SOURCE_DIR}/tests/cli/test-progress $<TARGET_FILE:muster>)
set_tests_properties(cli_progress PROPERTIES LABELS integration TIMEOUT 600)
