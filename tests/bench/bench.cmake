# Included by tests/CMakeLists.txt: the programs that the benchmarks run (see README.md beside this file), and a small
# run of one of them as a test that they work. Sanitizers would measure themselves.
if(NOT MUSTER_SANITIZE)
  foreach(program floor lightserver measure)
    add_executable(bench_${program} ${CMAKE_CURRENT_LIST_DIR}/${program}.c)
    target_link_libraries(bench_${program} PRIVATE Threads::Threads)
    set_target_properties(bench_${program} PROPERTIES
      OUTPUT_NAME ${program} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
  endforeach()
  target_link_libraries(bench_floor PRIVATE PkgConfig::LIBSSH)
  target_sources(bench_lightserver PRIVATE ${CMAKE_CURRENT_LIST_DIR}/light_session.c)
  target_link_libraries(bench_lightserver PRIVATE PkgConfig::LIBSSH)

  add_executable(bench_patterns ${CMAKE_CURRENT_LIST_DIR}/patterns.c)
  target_link_libraries(bench_patterns PRIVATE mu_inventory)
  set_target_properties(bench_patterns PROPERTIES OUTPUT_NAME patterns RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)

  if(TARGET muster)
    add_test(NAME bench_smoke COMMAND ${CMAKE_CURRENT_LIST_DIR}/run -b ${CMAKE_BINARY_DIR} -n 50 -r 1 light)
    set_tests_properties(bench_smoke PROPERTIES LABELS bench-smoke TIMEOUT 300)
  endif()
endif()
