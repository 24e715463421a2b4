# The parts of the HTML report become a source file of results/; included by host/CMakeLists.txt. See parts.h.
set(report_dir ${CMAKE_CURRENT_SOURCE_DIR}/results/report)
find_file(MUSTER_CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js NO_DEFAULT_PATH
          DOC "Chart.js 3, the one file that is built into reports")
if(NOT MUSTER_CHART_JS)
  message(FATAL_ERROR "Chart.js, which HTML reports draw with, is not there: apt-get install libjs-chart.js, or name its "
                      "chart.min.js with -DMUSTER_CHART_JS=FILE")
endif()
set(report_scripts ${report_dir}/data.js ${report_dir}/table.js ${report_dir}/charts.js ${report_dir}/server.js
                   ${report_dir}/page.js)
set(report_parts ${CMAKE_CURRENT_BINARY_DIR}/report_parts.c)
string(REPLACE ";" ":" joined "${report_scripts}")
add_custom_command(
  OUTPUT ${report_parts}
  COMMAND ${CMAKE_COMMAND} -DOUT=${report_parts} -P ${report_dir}/embed.cmake html=${report_dir}/page.html
          css=${report_dir}/page.css js=${joined} chart=${MUSTER_CHART_JS} licence=${report_dir}/chart.js.licence
  DEPENDS ${report_dir}/embed.cmake ${report_dir}/page.html ${report_dir}/page.css ${report_scripts} ${MUSTER_CHART_JS}
          ${report_dir}/chart.js.licence
  VERBATIM)
target_sources(mu_results PRIVATE ${report_parts})
