/* fence.h: what a server's claim is known to hold by the queue (muster.claim.RUN.SERVER), and changing it as the one who has
 * the task.
 *
 * Purpose: each change says which one it knows as the last. So of two who believe that they have the same task only one can
 * change anything, and the other one is told that it is over.
 * Owner: embedded in a seat, which stays while a change is under way.
 * Thread: the loop's, but mu_fence_begin(), which waits. Must not know: what is claimed; who asks.
 *
 * Whoever takes a task over writes the claim anew, as it is, so that whoever had it before knows a last change that is no
 * longer the last. And each change says by which task it was made, and by which delivery of it: so a delivery that was long
 * under way, and comes when a later one is at work already, does not begin at all.
 *
 * Form: "TASK.DELIVERY\nDATA": the task's sequence in its stream, and the number of the delivery, in decimals; then what the
 * claim holds, nothing when it was released. A message without bytes is as good as none.
 */
#ifndef MU_AGENTS_FENCE_H
#define MU_AGENTS_FENCE_H

#include <stdbool.h>

#include "core/buf.h"
#include "nats/client.h"

struct mu_fence;
/* What was asked for is in the queue (err NULL), or not: MU_EEXIST: another one has the task now. data: as it was given. */
typedef void mu_fence_fn(void *arg, const char *data, const struct mu_err *err);

struct mu_fence {
    uint64_t task, delivery; /* whose: to be set before it begins */
    uint64_t seq;         /* of the last change; MU_NATS_NONE: there is none */
    /* ---- a change under way ---- */
    struct mu_nats *nats;
    char *subject, *data; /* data NULL: released */
    char id[256];
    unsigned tries;
    mu_fence_fn *fn;      /* NULL: none */
    void *arg;
    bool closed;          /* nothing is changed any more: the contact was lost for too long */
};

void mu_fence_write(struct mu_buf *out, uint64_t task, uint64_t delivery, const char *data /* NULL: released */);
/* *data points into bytes; NULL: released. MU_EINVAL: that is no claim. */
int mu_fence_read(const void *bytes, size_t len, uint64_t *task, uint64_t *delivery, const char **data, size_t *data_len);

/* Learn what there is; take_over: others who had the task before are locked out. *data (malloc'd, NULL: not claimed) is what it
 * holds. MU_EIO: the queue cannot be asked; later, then. MU_EINVAL: what is there is no claim. MU_ECANCELED: a later delivery,
 * or task, has the server. MU_ESTATE: so has the same delivery, of which nats-server, which was killed, knows nothing any
 * more. */
int mu_fence_begin(struct mu_fence *f, struct mu_nats *n, const char *subject, bool take_over, char **data, struct mu_err *err);
/* Change it; fn comes later, from the loop or from inside. number: unlike that of any other change of this agent. */
void mu_fence_change(struct mu_fence *f, struct mu_nats *n, const char *subject, const char *agent, uint64_t number,
                     const char *data, mu_fence_fn *fn, void *arg);
bool mu_fence_is_busy(const struct mu_fence *f);
void mu_fence_clear(struct mu_fence *f); /* nothing is under way, or nothing calls back any more */

#endif
