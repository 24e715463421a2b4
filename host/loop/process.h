/* process.h: a local command, in its own process group, with its streams read by the loop.
 *
 * Purpose: `--local`, and any tool of this machine that a script runs: the same request and result as a remote command.
 * Owner: the caller, from a successful start until mu_process_free().
 * Thread: the loop's.
 * Must not know: SSH, Lua, steps.
 *
 * The command runs as /bin/sh -c COMMAND in a session of its own, with default signal dispositions and no inherited
 * descriptors but its three streams, which are pipes. To see to that, starting one marks every descriptor of this process
 * above 2 close-on-exec; and it unblocks SIGCHLD in the calling thread, by which the end is noticed (the signal's handler
 * is libuv's from then on: leave it). It is done when it has been reaped and both streams have ended, or 200 ms after it
 * was reaped when a background child keeps a stream open (what was read so far is the result).
 */
#ifndef MU_LOOP_PROCESS_H
#define MU_LOOP_PROCESS_H

#include "core/exec.h"
#include "loop/loop.h"

struct mu_process;
/* Called once from the loop (never from inside a call of this header); result() is complete then. */
typedef void mu_process_fn(void *arg, struct mu_process *p);

int mu_process_start(struct mu_process **out, struct mu_loop *loop, struct mu_ctx *ctx, const struct mu_exec_request *req,
                     mu_process_fn *done, void *arg, struct mu_err *err);
/* End the whole process group early: TERM, KILL after kill_after_ms; then done is called as ever, with the result's
 * error set to why (copied; must have a code) and unended set when the group still had members 2 s after KILL.
 * A second call shortens the wait only. */
void mu_process_abort(struct mu_process *p, const struct mu_err *why, uint64_t kill_after_ms);
const struct mu_exec_result *mu_process_result(const struct mu_process *p);
/* KILL at once if it still runs; no callback after it. NULL allowed. */
void mu_process_free(struct mu_process *p);

#endif
