/* claim.h: a task's claim on its server.
 *
 * Purpose: tell the main thread, wait until the journal has it, and remember it for teardown.
 * Owner: the task. Thread: the worker's. Must not know: the journal's form; what is claimed.
 *
 * A claim under way is not interrupted: a cancelled fiber still waits for the answer, which takes a sync of the disk, so
 * that teardown knows whether there is something to give back.
 */
#ifndef MU_RUN_CLAIM_H
#define MU_RUN_CLAIM_H

#include "run/ask.h"
#include "run/claims.h"

struct mu_claim {
    struct mu_ask ask; /* await ask.wait, then look at ask.err */
    enum mu_claim_op op;
    char *next;        /* the data that holds when the answer is yes */
    char *data;        /* JSON; NULL: not claimed */
};

/* Ask for a change of t's claim. data (JSON) is for MU_CLAIM and MU_CLAIM_UPDATE. MU_ESTATE: claimed already, or not. In
 * a dry run nothing is written, and the answer is there at once. */
int mu_claim_start(struct mu_task *t, enum mu_claim_op op, const char *data, struct mu_err *err);
void mu_claim_end(struct mu_task *t); /* the task ends: what it still has is said in the log */

#endif
