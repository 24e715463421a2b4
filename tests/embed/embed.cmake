# Included by host/library.cmake: the library as an embedder meets it, installed.
add_test(NAME embed COMMAND ${CMAKE_SOURCE_DIR}/tests/embed/test-install ${CMAKE_BINARY_DIR} "${MUSTER_SANITIZE}")
set_tests_properties(embed PROPERTIES LABELS integration TIMEOUT 300)
