#include "loop/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "loop/internal.h"

int mu_loop_err(struct mu_err *err, int status, const char *what)
{
    return mu_err_sys(err, status == UV_ENOMEM ? MU_ENOMEM : MU_EIO, -status, "%s", what);
}

int mu_loop_new(struct mu_loop **out, struct mu_err *err)
{
    struct mu_loop *loop = calloc(1, sizeof(*loop));
    int status;

    *out = NULL;
    if (!loop)
        return mu_err_set(err, MU_ENOMEM, "cannot make an event loop: out of memory");
    status = uv_loop_init(&loop->uv);
    if (status) {
        free(loop);
        return mu_loop_err(err, status, "cannot make an event loop (each needs a few descriptors: see ulimit -n)");
    }
    mu_list_init(&loop->orphans);
    *out = loop;
    return 0;
}

void mu_loop_free(struct mu_loop *loop)
{
    if (!loop)
        return;
    assert(loop->open == 0 && "free every handle before its loop");
    if (loop->open) { /* without assertions: a leak is better than a callback into freed memory */
        mu_log(MU_ERROR, "An event loop was freed with %u handles open: it is leaked.", loop->open);
        return;
    }
    mu_process_reap_orphans(loop);
    /* What is left are close callbacks and lookups that were cancelled while a helper thread works on them. */
    while (uv_loop_close(&loop->uv) == UV_EBUSY)
        uv_run(&loop->uv, UV_RUN_ONCE);
    free(loop->scratch);
    free(loop);
}

void mu_loop_turn(struct mu_loop *loop, bool block)
{
    uint64_t before = loop->calls;

    if (!block) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        return;
    }
    /* libuv also comes back for its own close callbacks; and with nothing open there is nothing to wait for */
    do {
        if (!uv_run(&loop->uv, UV_RUN_ONCE))
            break;
    } while (loop->calls == before);
}

uint64_t mu_loop_now_ms(struct mu_loop *loop) { return uv_now(&loop->uv); }

void mu_loop_update_time(struct mu_loop *loop) { uv_update_time(&loop->uv); }

char *mu_loop_scratch(struct mu_loop *loop)
{
    if (!loop->scratch)
        loop->scratch = malloc(MU_LOOP_SCRATCH);
    return loop->scratch;
}

void mu_loop_call(struct mu_loop *loop, struct mu_ctx *ctx, void (*body)(void *handle), void *handle)
{
    struct mu_ctx *former;

    loop->calls++;
    uv_stop(&loop->uv); /* a timer runs before the poll of the same turn, which must not block any more then */
    mu_ctx_ref(ctx);
    former = mu_ctx_enter(ctx);
    body(handle);
    mu_ctx_leave(former);
    mu_ctx_unref(ctx);
}

uint64_t mu_loop_raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return 0;
    if (limit.rlim_cur != limit.rlim_max) {
        struct rlimit raised = {limit.rlim_max, limit.rlim_max};

        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur;
}
