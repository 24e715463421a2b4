/* keep.h: a task waits until what it came to is kept (records.h), and only then says it and goes on.
 *
 * Purpose: who reads "Step finished" in the log can rely on the store having it, whatever happens next.
 * Owner: the task. Thread: the worker's, outside Lua. Must not know: how results are kept.
 *
 * One question at a time. Where nothing is kept, or the task ends at once, nobody waits.
 */
#ifndef MU_RUN_KEEP_H
#define MU_RUN_KEEP_H

#include "run/ask.h"

struct mu_step_result;
struct mu_task;

struct mu_keep {
    struct mu_ask ask;
    bool waiting;
    void (*then)(struct mu_task *t); /* the task may be gone after it */
};

/* Post the step's result. True: then() comes when it is kept; false: go on yourself. */
bool mu_keep_step_take(struct mu_task *t, struct mu_step_result *step, void (*then)(struct mu_task *t));
/* The same for the server's own end, before it is told to the main thread. */
bool mu_keep_ending(struct mu_task *t, uint64_t took_ms, void (*then)(struct mu_task *t));
/* Wait no longer: then() is called now. False when it does not wait. */
bool mu_keep_release(struct mu_task *t);
void mu_keep_release_all(struct mu_worker *w); /* nothing will be answered any more */

#endif
