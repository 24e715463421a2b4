/* store_trail.h: what the store knows of a run and of those before it, for its page (report_html.h).
 * Owner: the caller owns what it is given. Thread: as store.h. Must not know: how it is shown.
 */
#ifndef MU_RESULTS_STORE_TRAIL_H
#define MU_RESULTS_STORE_TRAIL_H

#include "results/report_html.h"
#include "results/store.h"

#define MU_TRAIL_RUNS 20 /* so many runs before it, at most */
#define MU_TRAIL_VALUES 600000 /* so many values of theirs, at most: a page has to open at once */

/* Of run, whose tree is r, and of the finished runs of the same script before it. On an error out is empty. */
int mu_trail_load(struct mu_trail *out, struct mu_store *s, const struct mu_store_run *run, const struct mu_run_result *r,
                 struct mu_err *err);

#endif
