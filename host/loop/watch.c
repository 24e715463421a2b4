#include "loop/loop.h"

#include <assert.h>
#include <stdlib.h>

#include "loop/internal.h"

_Static_assert((int)MU_READABLE == (int)UV_READABLE && (int)MU_WRITABLE == (int)UV_WRITABLE, "passed through as they are");

struct mu_watch {
    uv_poll_t uv;
    struct mu_loop *loop;
    mu_watch_fn *fn;
    void *arg;
    struct mu_ctx *ctx;
    int wanted; /* events the user waits for */
    int got;    /* for the callback under way */
    bool armed; /* libuv polls; it stops by itself on an error */
};

int mu_watch_new(struct mu_watch **out, struct mu_loop *loop, int fd, mu_watch_fn *fn, void *arg, struct mu_err *err)
{
    struct mu_watch *w = calloc(1, sizeof(*w));
    int status;

    *out = NULL;
    if (!w)
        return mu_err_set(err, MU_ENOMEM, "cannot watch a descriptor: out of memory");
    status = uv_poll_init(&loop->uv, &w->uv, fd);
    if (status) {
        free(w);
        return mu_loop_err(err, status, "cannot watch a descriptor");
    }
    w->uv.data = w;
    w->loop = loop;
    w->fn = fn;
    w->arg = arg;
    loop->open++;
    *out = w;
    return 0;
}

static void report(void *handle)
{
    struct mu_watch *w = handle;

    w->fn(w->arg, w->got);
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct mu_watch *w = uv->data;

    w->got = status < 0 ? MU_READABLE | MU_WRITABLE : events;
    w->armed = status >= 0;
    mu_loop_call(w->loop, w->ctx, report, w);
    /* Level triggered in this case too: libuv stops polling on an error, and a user who still waits would wait for ever.
     * (After mu_watch_free() in the callback, wanted is 0.) */
    if (!w->armed && w->wanted)
        mu_watch_set(w, w->wanted);
}

int mu_watch_set(struct mu_watch *w, int events)
{
    assert(!uv_is_closing((uv_handle_t *)&w->uv));
    if (events == w->wanted && (w->armed || !events))
        return 0;
    w->wanted = events;
    if (!events) {
        w->armed = false;
        uv_poll_stop(&w->uv);
        return 0;
    }
    w->armed = uv_poll_start(&w->uv, events, on_poll) == 0;
    return w->armed ? 0 : MU_EIO;
}

void mu_watch_set_ctx(struct mu_watch *w, struct mu_ctx *ctx)
{
    struct mu_ctx *former = w->ctx;

    w->ctx = mu_ctx_ref(ctx);
    mu_ctx_unref(former);
}

static void on_closed(uv_handle_t *uv) { free(uv->data); }

void mu_watch_free(struct mu_watch *w)
{
    if (!w)
        return;
    w->wanted = 0; /* also for on_poll, when this is called from inside its callback */
    w->armed = false;
    mu_watch_set_ctx(w, NULL);
    w->loop->open--;
    uv_close((uv_handle_t *)&w->uv, on_closed); /* takes the descriptor out at once: the user may close it now */
}
