/* compare.h: what is different between two runs, server by server.
 *
 * Purpose: servers that fail now, or do no longer; metrics that changed by more than the noise:
 *       |after - before| > least of |before|    and    |after - before| > noise, which is
 *       3 * 1.4826 * sqrt(MAD1² / n1 + MAD2² / n2)   where both runs have 3 samples or more of it,
 *       3 * 1.4826 * sqrt(2) * MAD of its past       else, where it has 5 values there or more,
 *       not known, and taken for 0                   else.
 *   (MAD: median absolute deviation.) Which way is better: what its rule says; else its unit ("/s": more, a time: less).
 * Owner: a mu_comparison owns its lists, and borrows both runs. Thread: as results.h. Must not know: where runs come from.
 */
#ifndef MU_RESULTS_COMPARE_H
#define MU_RESULTS_COMPARE_H

#include "results/past.h"

enum mu_change_kind {
    MU_CHANGE_NEWLY_FAILED, /* passed before */
    MU_CHANGE_FIXED,
    MU_CHANGE_STATUS, /* another status, neither of these */
    MU_CHANGE_WORSE,
    MU_CHANGE_BETTER,
    MU_CHANGE_LOWER, /* nothing says which way is better */
    MU_CHANGE_HIGHER,
    MU_CHANGE_ONLY_BEFORE, /* the server, or the metric of it */
    MU_CHANGE_ONLY_AFTER
};
const char *mu_change_name(enum mu_change_kind kind); /* "newly failed" */

enum mu_noise_from { MU_NOISE_UNKNOWN, MU_NOISE_SAMPLES, MU_NOISE_HISTORY };

struct mu_change {
    enum mu_change_kind kind;
    const struct mu_task_result *before, *after; /* NULL: it is in the other run only */
    const struct mu_step_result *step;           /* of a metric, else NULL */
    const struct mu_metric *metric_before, *metric_after;
    double noise;
    enum mu_noise_from from;
};

/* One metric over all servers that both runs measured it on. */
struct mu_metric_change {
    const char *step, *metric, *unit; /* unit: NULL: none */
    size_t n, n_worse, n_better, n_other, n_within; /* other: changed, and nothing says which way is better */
    double median; /* of the changes, as a part of before; NaN: of none */
};

struct mu_comparison {
    struct mu_change *changes; /* by kind, the larger changes of metrics first */
    size_t n;
    struct mu_metric_change *metrics; /* in the order of the script */
    size_t n_metrics;
    size_t n_both, n_only_before, n_only_after; /* servers */
};

/* past: of the servers, before `after`; NULL: not known. MU_ENOMEM. */
int mu_compare(struct mu_comparison **out, const struct mu_run_result *before, const struct mu_run_result *after,
               const struct mu_amount *least, const struct mu_past *past);
void mu_comparison_free(struct mu_comparison *c); /* NULL allowed */

#endif
