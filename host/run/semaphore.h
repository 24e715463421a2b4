/* semaphore.h: the semaphores of a run: who holds a permit, who waits in line.
 *
 * Purpose: bound what many tasks do at once with one thing outside (a provisioner), over all workers, in the order in
 *   which they asked.
 * Owner: the run. Thread: the main one. Must not know: tasks, what a semaphore stands for.
 */
#ifndef MU_RUN_SEMAPHORE_H
#define MU_RUN_SEMAPHORE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

struct mu_semaphores;
/* The one that asked with this ticket holds a permit now (err NULL), or cannot have one. Called from the calls below. */
typedef void mu_semaphore_fn(void *arg, int worker, uint64_t ticket, const struct mu_err *err);
struct mu_semaphores *mu_semaphores_new(mu_semaphore_fn *fn, void *arg); /* NULL when out of memory */
void mu_semaphores_free(struct mu_semaphores *s);
/* Get in line for one of limit permits under a name; the first limit given for it holds. first: ahead of all who are not. */
void mu_semaphores_acquire(struct mu_semaphores *s, const char *name, unsigned limit, bool first, int worker,
                           uint64_t ticket);
/* It holds a permit already, since before there were these semaphores: it counts at once, even when there are none left, and is
 * answered. */
void mu_semaphores_hold(struct mu_semaphores *s, const char *name, unsigned limit, int worker, uint64_t ticket);
/* Give back, or get out of the line. Nothing when there is no such ticket. */
void mu_semaphores_leave(struct mu_semaphores *s, int worker, uint64_t ticket);

#endif
