/* reason.h: why a server is not simply passed, as a list of reasons and in words.
 *
 * Purpose: the summary and the JUnit report tell the same reasons in the same words; internal to results/.
 * Owner: reasons borrow from the tree, for the call. Thread: as results.h.
 * Must not know: how a report is laid out. Texts are raw: the report escapes them.
 */
#ifndef MU_RESULTS_REASON_H
#define MU_RESULTS_REASON_H

#include "results/results.h"

struct mu_reason {
    enum mu_status status;
    const struct mu_step_result *step; /* NULL: outside steps */
    const struct mu_metric *metric;    /* a missed threshold; NULL: something else */
    const struct mu_failure *failure;  /* NULL: a status or a missed threshold that nobody told more about */
};
typedef void mu_reason_fn(void *arg, const struct mu_reason *reason);

/* Call fn for each reason of one step. A missed threshold comes once, with its failure when it has one. A step that went
 * wrong without either still has one reason. Time is linear when failures come in the order of their metrics. */
void mu_reason_each_in_step(const struct mu_step_result *s, mu_reason_fn *fn, void *arg);

/* The reason in one phrase: "gpu.score 14 < 50", "cpu: CommandError: exit status 3", "connect: connection refused". */
void mu_reason_text(const struct mu_reason *reason, struct mu_buf *out);
/* The same for a missed threshold with the range of values several servers measured: "gpu.score 14–20 < 50". */
void mu_reason_range_text(const struct mu_reason *reason, double lowest, double highest, struct mu_buf *out);

/* Whether the server's own past alone is what m misses; and by how many percent of the past's median, 0 where that is 0. */
bool mu_reason_is_past(const struct mu_metric *m);
double mu_reason_past_percent(const struct mu_metric *m);
/* What mu_reason_range_text() is for others, of n metrics: "cpu.score 61 is 14 % under its median of 10 runs (71)" of one,
 * "cpu.score is 8–14 % under the median of its earlier runs" of several. */
void mu_reason_past_text(const struct mu_reason *reason, double least, double most, size_t n, struct mu_buf *out);

/* What v, a value of m, misses, in the words of the summary, without the unit: "< 90 (reference 100 - 10 %)". Of its own past
 * "is more than 5 % under its median of earlier runs". */
void mu_reason_miss(const struct mu_metric *m, double v, struct mu_buf *out);

/* " (median of 3 samples, 79–82)", where a metric has samples; else nothing. */
void mu_reason_samples(const struct mu_metric *m, struct mu_buf *out);

/* v for a person: about six significant digits, more only where the text would otherwise seem to meet th (may be NULL). */
void mu_reason_number(double v, const struct mu_threshold *th, struct mu_buf *out);

#endif
