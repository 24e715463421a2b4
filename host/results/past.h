/* past.h: what servers measured in earlier runs of a script, and judging a metric by it.
 *
 * Purpose: a table from (server, step, metric) to its last values, made once, and the rule of `history` thresholds: a value is
 *   missed when it is BOTH further below the median of the past than the rule's drop (or above, its rise) AND beyond the noise:
 *       MU_PAST_NOISE * 1.4826 * MAD of the past  +  1.4826 * MAD of the new samples / sqrt(samples)
 *   So one odd value, there or here, decides nothing by itself (MAD: median absolute deviation).
 * Owner: the caller owns a mu_past. Thread: made by one; any may read what nobody changes.
 * Must not know: databases, runs, tasks.
 */
#ifndef MU_RESULTS_PAST_H
#define MU_RESULTS_PAST_H

#include "results/results.h"

#define MU_PAST_NOISE 3.0

struct mu_past;
struct mu_past *mu_past_new(void); /* NULL: no memory */
void mu_past_free(struct mu_past *p); /* NULL allowed */
/* Values of one key come one after the other, the newest first; more than `most` of a key are left out. MU_ENOMEM. */
int mu_past_add(struct mu_past *p, const char *server, const char *step, const char *metric, double value, size_t most);
int mu_past_settle(struct mu_past *p); /* all was added: it can be asked. MU_ENOMEM */
/* The values, newest first; *n is 0 and NULL when there are none. */
const double *mu_past_find(const struct mu_past *p, const char *server, const char *step, const char *metric, size_t *n);

/* Judge the last metric added to s, whose rule has a history: sets m->history, and when that is missed and nothing else was, the
 * metric's judgement and the status of s. values: its past, NULL when that is not known: why says so. MU_ENOMEM: not judged. */
int mu_past_judge(struct mu_step_result *s, const double *values, size_t n, const char *why);

#endif
