/* summary.h: the parts of the summary; internal to results/.
 *
 * Purpose: summary_table.c folds the reasons into rows, summary_peers.c what could not be compared,
 *   summary_withheld.c what was not run, summary_marks.c tells what was done about them, summary.c writes the lines around.
 * Owner: nothing is kept. Thread: as results.h. Must not know: terminals (colour is a flag).
 */
#ifndef MU_RESULTS_SUMMARY_H
#define MU_RESULTS_SUMMARY_H

#include "results/results.h"

/* The table: one row a (status, cause), worst status first, then most servers, then by text. */
void mu_summary_table(const struct mu_run_result *r, bool color, struct mu_buf *out);

/* The same rows, one a call, for other reports. Texts are escaped and cut as in the table. */
struct mu_summary_row {
    enum mu_status status;
    const char *cause, *nodes;
    const size_t *servers; /* each once, in inventory order: indexes of tasks */
    size_t n_servers;
};
typedef void mu_summary_row_fn(void *arg, const struct mu_summary_row *row);
int mu_summary_each_row(const struct mu_run_result *r, mu_summary_row_fn *fn, void *arg); /* MU_ENOMEM */

/* The lines about installations left behind and about marks. names: room for every server. */
void mu_summary_marks(const struct mu_run_result *r, bool color, const char **names, struct mu_buf *out);

/* The lines about what could not be compared with its peers. */
void mu_summary_peers(const struct mu_run_result *r, const char **names, struct mu_buf *out);

/* The lines about steps that were not run since they destroy something. */
void mu_summary_withheld(const struct mu_run_result *r, const char **names, struct mu_buf *out);

/* Names folded, "srv[01-03]". */
void mu_summary_add_nodeset(struct mu_buf *out, const char *const *names, size_t n);
/* "name=[…]" and the end of the line; names come in inventory order. */
void mu_summary_add_list(struct mu_buf *out, const char *name, const char *const *names, size_t n);

/* text in the colour of a status (PASSED: green), or plain. */
void mu_summary_paint(struct mu_buf *out, bool color, enum mu_status s, const char *text);

/* Append escaped text of at most `columns` columns, cut with an ellipsis, never inside an escape. Returns its columns. */
size_t mu_summary_add_cut(struct mu_buf *out, const char *text, size_t len, size_t columns);

#endif
