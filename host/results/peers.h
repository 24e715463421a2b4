/* peers.h: metrics judged by what other servers of the run measured.
 *
 * Purpose: cohorts, the rule, and what comes of it. A cohort are the servers with one value of a variable that measured a
 *   metric. Its median, and its median absolute deviation as the noise that is there anyway, are frozen when it is made.
 *   A value is missed when it is BOTH further below the median than the rule's drop (or above, its rise) AND beyond the noise:
 *       MU_PEERS_NOISE * 1.4826 * MAD of the cohort  +  1.4826 * MAD of the server's own samples / sqrt(samples)
 *   tests/unit/results/test_peers.c says by simulation how much that finds, and whom it accuses.
 * Owner: the caller owns a mu_cohorts; results are the run's.
 * Thread: as results.h. Must not know: who is measured again, and when.
 */
#ifndef MU_RESULTS_PEERS_H
#define MU_RESULTS_PEERS_H

#include "results/results.h"

#define MU_PEERS_NOISE 3.0

/* The value of a server's variable, appended to out; false when it has none. */
typedef bool mu_peers_variable_fn(void *arg, size_t task, const char *variable, struct mu_buf *out);

struct mu_cohorts;
/* From every finite value in r of a metric that somebody's rule compares; n log n in servers. MU_ENOMEM. */
int mu_cohorts_new(struct mu_cohorts **out, const struct mu_run_result *r, mu_peers_variable_fn *fn, void *arg);
void mu_cohorts_free(struct mu_cohorts *c);
/* A server was judged before, and is not judged now: the cohorts that its metrics were in are again what they were then. */
void mu_cohorts_restore(struct mu_cohorts *c, const struct mu_step_result *s);
/* Compare the metrics of a server's step: what came of it goes into each metric's peers, nothing else is changed yet. True
 * when a metric that is in order by its own bounds is missed. */
bool mu_cohorts_judge(const struct mu_cohorts *c, size_t task, struct mu_step_result *s, mu_peers_variable_fn *fn, void *arg);

/* Whether a metric of the step has a rule about peers; and whether one was missed that is not told as a failure yet. */
bool mu_peers_any(const struct mu_step_result *s);
bool mu_peers_missed(const struct mu_step_result *s);
/* What is missed, in the words of the summary, "; " between. */
void mu_peers_reasons(const struct mu_step_result *s, struct mu_buf *out);
/* The comparison stands: what was missed is a failure, and the step failed. MU_ENOMEM: told less, but failed. */
int mu_peers_settle(struct mu_step_result *s);
/* It does not: what was missed, or never compared, was not judged, and why. What passed has passed. */
void mu_peers_void(struct mu_step_result *s, const char *why);

#endif
