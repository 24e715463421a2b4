/* internal.h: what the files of loop/ share: the loop itself and the one way into user code.
 * Owner: as loop.h. Thread: the one of the loop. For loop/ alone: it shows libuv. Must not know: SSH, Lua, servers.
 */
#ifndef MU_LOOP_INTERNAL_H
#define MU_LOOP_INTERNAL_H

#include <uv.h>

#include "core/list.h"
#include "loop/loop.h"

struct mu_loop {
    uv_loop_t uv;
    unsigned open;           /* handles that users hold: timers, watches, mailboxes, lookups, processes */
    uint64_t calls;          /* user callbacks so far: how a blocking turn knows that something happened */
    struct mu_list orphans;  /* processes that were freed before they were reaped */
    char *scratch;           /* where descriptors are read into, MU_LOOP_SCRATCH bytes, made at first use */
};

#define MU_LOOP_SCRATCH ((size_t)64 << 10)
char *mu_loop_scratch(struct mu_loop *loop); /* NULL when out of memory */

/* Call body(handle), and the user callback inside it, in the log context ctx: the only enter/leave pair there is.
 * The handle may drop its own reference to ctx meanwhile. */
void mu_loop_call(struct mu_loop *loop, struct mu_ctx *ctx, void (*body)(void *handle), void *handle);

/* As mu_err_sys for a libuv status, MU_ENOMEM or MU_EIO by what it says. */
int mu_loop_err(struct mu_err *err, int status, const char *what);

/* Process.c's part of mu_loop_free(): wait for killed processes to be reaped, but not for ever. */
void mu_process_reap_orphans(struct mu_loop *loop);

#endif
