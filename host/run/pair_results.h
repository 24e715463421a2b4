/* pair_results.h: what a pair's result says of a server, in words.
 *
 * Purpose: a result that two servers share names the partner; what was measured before lives on as text; and a bad one that
 *   nobody could pin on one of the two is no verdict about either.
 * Owner: results are the caller's. Thread: the main one. Must not know: who is paired with whom, and when.
 */
#ifndef MU_RUN_PAIR_RESULTS_H
#define MU_RUN_PAIR_RESULTS_H

#include "results/results.h"

/* NULL: it has no such step. */
struct mu_step_result *mu_pair_find_step(const struct mu_task_result *t, const char *name);
/* Of a pair step that was dealt. */
bool mu_pair_is_bad(const struct mu_step_result *s);
/* Each failure of it says with whom. */
void mu_pair_name_partner(struct mu_step_result *s, const char *partner);
/* More of "why; why", for each reason of s that was measured with partner. */
void mu_pair_add_reasons(const struct mu_step_result *s, const char *partner, struct mu_buf *out);
/* The step is bad, and which of the two is to blame is not known: it fails neither, and says so. What was missed is no
 * judgement of this server any more. */
void mu_pair_untold(struct mu_step_result *s, const char *server, const char *partner);

#endif
