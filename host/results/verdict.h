/* verdict.h: what is said of a server that is to be marked as broken: the reason, and what went wrong.
 *
 * Purpose: one text for the mark itself, the log and the reports. A copy, so that it can go to another thread.
 * Owner: the caller; a verdict borrows nothing.
 * Thread: as results.h; a verdict belongs to one thread at a time.
 * Must not know: how marks are made.
 */
#ifndef MU_RESULTS_VERDICT_H
#define MU_RESULTS_VERDICT_H

#include "results/results.h"

#define MU_VERDICT_REASON_MAX 1000

struct mu_verdict {
    enum mu_status status;
    char *reason; /* one line, at most MU_VERDICT_REASON_MAX bytes, nothing in it but printable characters */
    struct mu_failure *failures; /* every one of the task; where says the step or phase */
    size_t n_failures;
};

/* Of a settled task: "muster: cpu.score 14 < 50 (measured twice); run RUN, owner OWNER, TIME". MU_ENOMEM. */
int mu_verdict_new(struct mu_verdict **out, const struct mu_task_result *t, const char *run_id, const char *owner,
                   int64_t wall_ms);
/* What a dry run shows the mark hook: status failed, "muster: dry run; run RUN, …", no failures. MU_ENOMEM. */
int mu_verdict_new_dry(struct mu_verdict **out, const char *run_id, const char *owner, int64_t wall_ms);
void mu_verdict_free(struct mu_verdict *v);

#endif
