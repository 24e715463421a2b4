/* resolve.h: names to addresses without blocking the loop (getaddrinfo on libuv's helper threads; a numeric address is
 * answered without one).
 * Owner: the request belongs to the caller until its callback has been called or mu_resolve_cancel() returned.
 * Thread: the loop's. Must not know: what connects.
 */
#ifndef MU_LOOP_RESOLVE_H
#define MU_LOOP_RESOLVE_H

#include <sys/socket.h>

#include "loop/loop.h"

struct mu_addr {
    struct sockaddr_storage sa;
    socklen_t len;
};

/* err->code MU_ERESOLVE (cause "name resolution: …") with n == 0, or n >= 1 addresses borrowed for the call, in the
 * order getaddrinfo gave. Always called from the loop, never from inside mu_resolve_start(). */
typedef void mu_resolve_fn(void *arg, const struct mu_addr *addrs, size_t n, const struct mu_err *err);

struct mu_resolve;
int mu_resolve_start(struct mu_resolve **out, struct mu_loop *loop, struct mu_ctx *ctx, const char *host, int port,
                     mu_resolve_fn *fn, void *arg, struct mu_err *err);
void mu_resolve_cancel(struct mu_resolve *r); /* no callback comes after it; NULL allowed */

/* Let this many lookups run at once in the whole process. libuv's default is two, so that two names whose DNS server is
 * silent hold up all others. Takes effect before the process's first lookup, and not when the user has set
 * UV_THREADPOOL_SIZE. It changes the environment: call it before there are other threads. */
void mu_resolve_set_parallel(unsigned lookups);

#endif
