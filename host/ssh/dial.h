/* dial.h: a TCP connection to the first of a name's addresses that answers.
 *
 * Purpose: try several addresses as RFC 8305 describes: families take turns, the next attempt begins 250 ms after the one
 *   before or as soon as that has failed, the first that connects wins and the others are closed.
 * Owner: the caller, until the callback was called or mu_dial_free() returned; the callback frees it.
 * Thread: the loop's. Must not know: SSH, timeouts: whoever waits has a clock of his own.
 */
#ifndef MU_SSH_DIAL_H
#define MU_SSH_DIAL_H

#include "loop/loop.h"
#include "loop/resolve.h"
#include "ssh/options.h"

struct mu_dial;
/* From the loop. fd >= 0: connected, non-blocking, TCP_NODELAY, the caller's from now on. -1: err says why: MU_EREFUSED
 * before all (it says that the server is up), MU_ECONNTIMEOUT, MU_EUNREACH, or MU_ERESOLVE when there is no address of the
 * family that was asked for. */
typedef void mu_dial_fn(void *arg, int fd, const struct mu_err *err);

/* host and port are for messages; addrs (n >= 1, copied) have their ports; bind_address (copied, NULL: any) is a numeric
 * address of this machine, and server addresses of another family than it has are left out. MU_ENOMEM, MU_EINVAL. */
int mu_dial_start(struct mu_dial **out, struct mu_loop *loop, struct mu_ctx *ctx, const char *host, int port,
                  const struct mu_addr *addrs, size_t n, enum mu_ssh_family family, const char *bind_address,
                  mu_dial_fn *fn, void *arg, struct mu_err *err);
void mu_dial_free(struct mu_dial *d); /* every attempt ends; no callback after it. NULL allowed */

/* The order in which addresses are tried: those of the family alone, families taking turns, the first one's first, each in
 * the order given. Returns how many are in out, which has room for n. */
size_t mu_dial_order(struct mu_addr *out, const struct mu_addr *addrs, size_t n, enum mu_ssh_family family);

#endif
