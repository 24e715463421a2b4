# libmuster, shared and static, and the program built on it; included by host/CMakeLists.txt after the layers.
if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/api.c)
  return()
endif()
include(CMakePackageConfigHelpers)

# Both libraries hold the objects of every layer: an embedder links one thing, and the layers stay our own affair.
file(GLOB api_sources CONFIGURE_DEPENDS api.c api_*.c)
set(objects)
foreach(layer ${layers})
  list(APPEND objects $<TARGET_OBJECTS:${layer}>)
endforeach()
set(system_libraries PkgConfig::LUA PkgConfig::LIBSSH PkgConfig::LIBUV PkgConfig::CURL PkgConfig::JANSSON PkgConfig::YAML PkgConfig::PCRE2
                     PkgConfig::CRYPTO PkgConfig::SQLITE ${muster_postgres} ${muster_nats} $<$<BOOL:${MUSTER_NATS}>:${MSGPACK_LIBRARY}>
                     Threads::Threads m ${CMAKE_DL_LIBS})

add_library(muster_api OBJECT ${api_sources})
target_include_directories(muster_api PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_SOURCE_DIR} include)
target_link_libraries(muster_api PRIVATE ${system_libraries})
if(MUSTER_NATS)
  target_compile_definitions(muster_api PRIVATE MUSTER_NATS)
endif()
target_compile_definitions(muster_api PRIVATE
  MUSTER_LIBRARY_DIR="${CMAKE_INSTALL_FULL_DATADIR}/muster/scripts/lib")

add_library(libmuster SHARED ${objects} $<TARGET_OBJECTS:muster_api>)
target_link_libraries(libmuster PRIVATE ${system_libraries})
set_target_properties(libmuster PROPERTIES OUTPUT_NAME muster EXPORT_NAME muster VERSION ${PROJECT_VERSION} SOVERSION 0
                      LINKER_LANGUAGE C)
if(NOT MUSTER_SANITIZE)
  target_link_options(libmuster PRIVATE -Wl,--no-undefined)
endif()

add_library(libmuster_static STATIC ${objects} $<TARGET_OBJECTS:muster_api>)
target_link_libraries(libmuster_static PRIVATE ${system_libraries})
set_target_properties(libmuster_static PROPERTIES OUTPUT_NAME muster EXPORT_NAME muster-static LINKER_LANGUAGE C)

foreach(library libmuster libmuster_static)
  target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
                                                  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

# The program: linked with the static library, so that it is one file that runs from anywhere.
file(GLOB cli_sources CONFIGURE_DEPENDS cli/*.c)
add_executable(muster main.c ${cli_sources})
target_link_libraries(muster PRIVATE libmuster_static PkgConfig::LIBEDIT PkgConfig::LIBBSD)
set_target_properties(muster PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

# It finds the standard scripts relative to itself; the build folder is laid out as an installation is, with a link.
file(RELATIVE_PATH library_from_bin ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_DATADIR}/muster/scripts/lib)
set_source_files_properties(cli/files.c PROPERTIES
  COMPILE_DEFINITIONS "MUSTER_LIBRARY_FROM_BIN=\"${library_from_bin}\"")
cmake_path(SET build_library NORMALIZE ${CMAKE_BINARY_DIR}/bin/${library_from_bin})
cmake_path(GET build_library PARENT_PATH build_scripts)
cmake_path(GET build_scripts PARENT_PATH build_data)
file(MAKE_DIRECTORY ${build_data})
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/scripts ${build_scripts} SYMBOLIC)

# ---- installation ----

install(TARGETS muster RUNTIME)
install(TARGETS libmuster EXPORT musterTargets LIBRARY)
install(TARGETS libmuster_static EXPORT musterStaticTargets ARCHIVE)
install(FILES include/muster.h TYPE INCLUDE)
install(FILES include/muster/agents.h include/muster/history.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/muster)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/scripts/ DESTINATION ${CMAKE_INSTALL_DATADIR}/muster/scripts
        PATTERN spec EXCLUDE)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/muster)
configure_package_config_file(cmake/musterConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/musterConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/musterConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/musterConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/musterConfigVersion.cmake
        DESTINATION ${package_dir})
install(EXPORT musterTargets NAMESPACE muster:: DESTINATION ${package_dir})
install(EXPORT musterStaticTargets NAMESPACE muster:: DESTINATION ${package_dir})

# Paths in muster.pc are relative to the file itself, so that an installation can be moved.
cmake_path(SET pc_dir ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH PC_PREFIX ${pc_dir} ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH PC_LIBDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH PC_INCLUDEDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(cmake/muster.pc.in muster.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/muster.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(BUILD_TESTING)
  include(${CMAKE_SOURCE_DIR}/tests/cli/cli.cmake OPTIONAL)
  include(${CMAKE_SOURCE_DIR}/tests/embed/embed.cmake OPTIONAL)
endif()
