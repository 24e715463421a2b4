/* store_push.h: runs copied from one database into another.
 *
 * Purpose: runs that ended, into a database that several machines share; each as a whole, by its id, in one transaction: cut off
 *   at any moment there is no half run, and whoever does it again, or at the same time, makes no double.
 * Owner: both stores are the caller's. Thread: as store.h. Must not know: which kinds of database these are.
 */
#ifndef MU_RESULTS_STORE_PUSH_H
#define MU_RESULTS_STORE_PUSH_H

#include "results/store.h"

struct mu_push {
    size_t pushed, there; /* copied now; the other had it already */
    size_t not_ended;     /* running, cut off or interrupted: still to be resumed, and not copied */
};
typedef void mu_pushed_fn(void *arg, const char *run_id, size_t n_servers);
/* The oldest first. fn may be NULL. On an error *out counts what was copied before it. */
int mu_store_push(struct mu_store *from, struct mu_store *to, mu_pushed_fn *fn, void *arg, struct mu_push *out, struct mu_err *err);

#endif
