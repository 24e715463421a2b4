/* phase.h: one phase of a task as a fiber: what is called with what, and what its end means.
 * Owner: the task. Thread: the worker's. Must not know: which phase comes next (task.c does).
 */
#ifndef MU_RUN_PHASE_H
#define MU_RUN_PHASE_H

#include "run/task.h"

/* Begin a phase in a fresh fiber and scope; `what` names it in a timeout's message. When it has ended, t->phase_error
 * says how and mu_task_advance() is called. Negative when it could not begin; the failure is in the task then. */
int mu_phase_start(struct mu_task *t, enum mu_phase phase, uint64_t timeout_ms, const char *what);
/* Push script.steps[i].field in a step, or script.field outside steps. May raise. */
void mu_phase_push_hook(lua_State *L, const struct mu_task *t, const char *field);
/* Push a list of failures as hooks are given it. May raise. */
void mu_phase_push_failures(lua_State *L, const struct mu_failure *failures, size_t n);

#endif
