/* partner.h: a local program whose standard input and output are a connection of ours: one end of a socket pair.
 *
 * Purpose: what ssh calls a proxy command.
 * Owner: the caller, from a successful start until mu_partner_free(). The connection's descriptor is the caller's from the
 *   start on.
 * Thread: the loop's. Must not know: what travels over the connection.
 *
 * It runs as /bin/sh -c COMMAND in a session of its own, as process.h says of commands; what it writes to standard error
 * is logged at debug, its last line is kept.
 */
#ifndef MU_LOOP_PARTNER_H
#define MU_LOOP_PARTNER_H

#include "loop/loop.h"

struct mu_partner;
typedef void mu_partner_fn(void *arg); /* it has ended; from the loop */

int mu_partner_start(struct mu_partner **out, struct mu_loop *loop, struct mu_ctx *ctx, const char *command, int *fd,
                     mu_partner_fn *ended, void *arg, struct mu_err *err);
/* How it ended, and its last words, for people, escaped: "exit status 1: nc: no such host". "" while it runs and is
 * silent. Valid until the next call or free. */
const char *mu_partner_says(struct mu_partner *p);
bool mu_partner_ended(const struct mu_partner *p);
/* TERM to its process group when it still runs; no callback after it. NULL allowed. */
void mu_partner_free(struct mu_partner *p);

#endif
