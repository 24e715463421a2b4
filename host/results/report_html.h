/* report_html.h: a run as one HTML page that needs nothing beside it: no other file, no network.
 *
 * Purpose: the page is report/page.html with its style, its program, a chart library and the run's data in it, all built into
 *   the program (report/parts.h). The data is JSON in columns: one array a metric, so that its size is linear in values.
 * Files: report_html.c fills the page, report_columns.c sorts results into columns, report_html_data.c writes them.
 * Owner: nothing is kept. Thread: as results.h.
 * Must not know: where former runs are kept (store_trail.h).
 *
 * Names, causes and output are hostile: they come to the page as JSON in which no '<' is, and the page shows them as text.
 * The page's own policy lets only scripts and styles run that carry this page's random word.
 */
#ifndef MU_RESULTS_REPORT_HTML_H
#define MU_RESULTS_REPORT_HTML_H

#include "results/results.h"

/* A value of a former run, by places in the run at hand. */
struct mu_trail_value {
    size_t column; /* of mu_columns.metrics */
    size_t run, task;
    double value;  /* NaN: there was none */
};

/* What is known beside the results, from where runs are kept; zero: nothing is. Strings are its own. */
struct mu_trail {
    char *state, *version, *host, *owner, *params, *thresholds; /* the last two JSON */
    int *workers; /* a server each, -1: not known; NULL: none is */
    struct mu_trail_run {
        char *run_id;
        int64_t started_ms;
    } *runs; /* oldest first */
    size_t n_runs;
    struct mu_trail_value *values; /* by column, run, task */
    size_t n_values;
    bool shortened; /* there were more runs: they would have made the page too large */
};
void mu_trail_clear(struct mu_trail *p);

/* Append the page. past may be NULL. out->failed: no memory, or no random numbers. */
void mu_report_html(const struct mu_run_result *r, const struct mu_trail *past, struct mu_buf *out);

/* ---- for the files of the report ---- */

struct mu_cell {
    size_t task, step, at;      /* where it is in the tree; metrics: at is its index in the step */
    size_t order;               /* of all cells, as the tree has them */
};
struct mu_column {
    const char *step, *metric; /* metric: NULL in a column of steps */
    const struct mu_cell *cells; /* by task, each task once */
    size_t n;
    size_t shown; /* its place among the columns, in the order of the script */
};
/* Steps and metrics of all servers; sorted by (step, metric), to be found by mu_columns_find(). */
struct mu_columns {
    struct mu_column *steps, *metrics;
    size_t n_steps, n_metrics;
    struct mu_cell *cells;
};
int mu_columns_make(struct mu_columns *out, const struct mu_run_result *r); /* borrows r. MU_ENOMEM: out is empty */
void mu_columns_clear(struct mu_columns *c);
const struct mu_column *mu_columns_find(const struct mu_columns *c, const char *step, const char *metric); /* of metrics */

/* JSON: the run; its logs; former runs. Raw: what must not stand in HTML is not yet taken out. */
void mu_html_data(const struct mu_run_result *r, const struct mu_columns *c, const struct mu_trail *past, struct mu_buf *out);
void mu_html_logs(const struct mu_run_result *r, struct mu_buf *out);
void mu_html_past(const struct mu_trail *past, const struct mu_columns *c, size_t n_tasks, struct mu_buf *out);

#endif
