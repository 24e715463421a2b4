/* work.h: something that takes long without waiting (decrypting a key, reading a large file), done on a helper thread while
 * the loop serves others.
 * Owner: the request belongs to the caller until its callback has been called or mu_work_cancel() returned.
 * Thread: the loop's; `work` alone runs elsewhere, in the log context that the request was given. Must not know: what is
 *   worked on.
 */
#ifndef MU_LOOP_WORK_H
#define MU_LOOP_WORK_H

#include "loop/loop.h"

struct mu_work;

/* Call work(data) on a helper thread, then, from the loop, done(arg), never from inside mu_work_start(). `data` is freed
 * with drop (may be NULL) when work cannot touch it any more: after done has returned, or after a cancel whenever the
 * helper thread comes back, at the latest in mu_loop_free(). 0, or MU_ENOMEM with data not taken. */
int mu_work_start(struct mu_work **out, struct mu_loop *loop, struct mu_ctx *ctx, void (*work)(void *data), void *data,
                  void (*drop)(void *data), void (*done)(void *arg), void *arg, struct mu_err *err);
void mu_work_cancel(struct mu_work *w); /* done is not called any more; NULL allowed */

#endif
