/* parts.h: the files that the page of a run is made of, as text ended by NUL; embed.cmake writes them when muster is built.
 * Owner: static data. Thread: any. Must not know: what they are.
 */
#ifndef MU_RESULTS_REPORT_PARTS_H
#define MU_RESULTS_REPORT_PARTS_H

extern const char mu_part_html[];    /* page.html: @@NAME@@ stands for what comes in */
extern const char mu_part_css[];     /* page.css */
extern const char mu_part_js[];      /* data.js, view.js, … one after another */
extern const char mu_part_chart[];   /* Chart.js, as Debian has it */
extern const char mu_part_licence[]; /* its licence */

#endif
