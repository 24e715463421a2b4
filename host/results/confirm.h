/* confirm.h: a step that was measured again, in its own task or in another one.
 *
 * Purpose: what failed first and could not be measured again is told in the same words, whoever measured again.
 * Owner: results are the caller's. Thread: as results.h. Must not know: when something is measured again.
 */
#ifndef MU_RESULTS_CONFIRM_H
#define MU_RESULTS_CONFIRM_H

#include "results/results.h"

/* earlier, what the measurement before came to: the failure is an error that tells both. Cancelled stays what it is. */
void mu_failure_not_confirmed(struct mu_failure *f, const char *earlier);

#endif
