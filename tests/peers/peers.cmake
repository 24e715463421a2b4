# Included by tests/CMakeLists.txt: what muster makes of node sets and patterns, beside the tools that its users know them
# from. A sanitizer finds nothing more there.
if(NOT MUSTER_SANITIZE)
  add_executable(peer_nodesets ${CMAKE_CURRENT_LIST_DIR}/nodesets.c)
  target_link_libraries(peer_nodesets PRIVATE mu_core)
  add_test(NAME peer_nodesets COMMAND ${CMAKE_CURRENT_LIST_DIR}/nodesets $<TARGET_FILE:peer_nodesets>)
  if(TARGET muster)
    add_test(NAME peer_patterns COMMAND ${CMAKE_CURRENT_LIST_DIR}/patterns $<TARGET_FILE:muster>)
    set_tests_properties(peer_patterns PROPERTIES LABELS peer TIMEOUT 300)
  endif()
  set_tests_properties(peer_nodesets PROPERTIES LABELS peer TIMEOUT 300)
endif()
