/* summary.h: the parts of the summary; internal to results/.
 *
 * Purpose: summary_table.c folds the reasons into rows, summary.c writes the lines around them.
 * Owner: nothing is kept. Thread: as results.h. Must not know: terminals (colour is a flag).
 */
#ifndef MU_RESULTS_SUMMARY_H
#define MU_RESULTS_SUMMARY_H

#include "results/results.h"

/* The table: one row a (status, cause), worst status first, then most servers, then by text. */
void mu_summary_table(const struct mu_run_result *r, bool color, struct mu_buf *out);

/* text in the colour of a status (PASSED: green), or plain. */
void mu_summary_paint(struct mu_buf *out, bool color, enum mu_status s, const char *text);

/* Append escaped text of at most `columns` columns, cut with an ellipsis, never inside an escape. Returns its columns. */
size_t mu_summary_add_cut(struct mu_buf *out, const char *text, size_t len, size_t columns);

#endif
