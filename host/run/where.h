/* where.h: who is where: the phase and step that is at work for each server of a run, and since when.
 *
 * Purpose: an answer at any time, also while a server says nothing for hours, that costs a store a phase and no message.
 * Owner: the run makes it and frees it when the workers have ended.
 * Thread: mu_where_set() and mu_where_clear() in the worker that has the server's task, mu_where_get() in any.
 * Must not know: why somebody asks.
 */
#ifndef MU_RUN_WHERE_H
#define MU_RUN_WHERE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run/task.h"

struct mu_where {
    size_t n;
    _Atomic(uint64_t) at[]; /* since << 24 | step << 8 | phase + 1; 0: nothing is at work */
};

struct mu_where *mu_where_new(size_t n); /* NULL: no memory */
void mu_where_set(struct mu_where *w, size_t server, enum mu_phase phase, size_t step); /* NULL allowed, likewise below */
void mu_where_clear(struct mu_where *w, size_t server);
/* False when nothing is at work. since_ms: of mu_clock_ms(). step has a meaning in MU_PHASE_STEP and MU_PHASE_WHEN. */
bool mu_where_get(const struct mu_where *w, size_t server, enum mu_phase *phase, size_t *step, uint64_t *since_ms);

#endif
