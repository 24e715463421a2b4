/* permit.h: a task's part in one of the run's semaphores.
 *
 * Purpose: wait in line, hold, give back. A permit is given back by whoever comes first: the script, its collection, or
 *   the end of the task; one that is waited for and not wanted any more leaves the line.
 * Owner: the caller embeds it (a userdata); the task gives back what it still has when it ends.
 * Thread: the worker's. Must not know: who else waits (semaphore.c does, in the main thread).
 */
#ifndef MU_RUN_PERMIT_H
#define MU_RUN_PERMIT_H

#include "run/ask.h"

enum mu_permit_state { MU_PERMIT_NONE, MU_PERMIT_WAITING, MU_PERMIT_HELD };

struct mu_permit {
    struct mu_ask ask; /* first; await ask.wait, then look at ask.err */
    struct mu_worker *worker;
    struct mu_list link;        /* in the task's permits, unless NONE */
    enum mu_permit_state state; /* NONE: a zeroed one is ready for use */
    struct mu_message *leave;   /* made beforehand, so that giving back cannot fail */
};

/* Get in line for one of `limit` permits. The first limit given for a name holds; with another the answer is an error. */
int mu_permit_acquire(struct mu_permit *p, struct mu_task *t, const char *name, unsigned limit, bool first,
                      struct mu_err *err);
void mu_permit_release(struct mu_permit *p); /* idempotent */

#endif
