/* conf_exec.h: the commands of Match lines, run beside the loop.
 *
 * Purpose: a connect waits for what such a command comes to, and the other servers of the worker do not.
 * Owner: the caller, until it frees it. Thread: the loop's.
 * Must not know: sessions, what the outcome is for.
 */
#ifndef MU_SSH_CONF_EXEC_H
#define MU_SSH_CONF_EXEC_H

#include "loop/loop.h"
#include "ssh/conf_shared.h"

struct mu_conf_exec;
/* Called once, from the loop: the outcome of the command is known to confs now, unless err->code says why it is not. */
typedef void mu_conf_exec_fn(void *arg, const struct mu_err *err);

/* Run command by /bin/sh, or wait for another server that has begun to: each is run once a run. There is no time limit:
 * free it when it takes too long, and it is killed. */
int mu_conf_exec_start(struct mu_conf_exec **out, struct mu_loop *loop, struct mu_ctx *ctx, struct mu_confs *confs,
                       const char *command, mu_conf_exec_fn *fn, void *arg, struct mu_err *err);
void mu_conf_exec_free(struct mu_conf_exec *e); /* no callback after it; NULL allowed */

#endif
