#include "loop/loop.h"

#include <assert.h>
#include <stdlib.h>

#include "loop/internal.h"

struct mu_timer {
    uv_timer_t uv;
    struct mu_loop *loop;
    mu_timer_fn *fn;
    void *arg;
    struct mu_ctx *ctx; /* held while started */
};

struct mu_timer *mu_timer_new(struct mu_loop *loop, mu_timer_fn *fn, void *arg)
{
    struct mu_timer *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    uv_timer_init(&loop->uv, &t->uv); /* cannot fail */
    t->uv.data = t;
    t->loop = loop;
    t->fn = fn;
    t->arg = arg;
    loop->open++;
    return t;
}

static void fire(void *handle)
{
    struct mu_timer *t = handle;

    t->fn(t->arg);
}

static void on_timer(uv_timer_t *uv)
{
    struct mu_timer *t = uv->data;
    struct mu_ctx *ctx = t->ctx;

    t->ctx = NULL; /* no longer started; the callback may start it anew */
    mu_loop_call(t->loop, ctx, fire, t);
    mu_ctx_unref(ctx);
}

void mu_timer_start(struct mu_timer *t, struct mu_ctx *ctx, uint64_t delay_ms)
{
    struct mu_ctx *former = t->ctx;

    assert(!uv_is_closing((uv_handle_t *)&t->uv));
    t->ctx = mu_ctx_ref(ctx);
    mu_ctx_unref(former);
    uv_timer_start(&t->uv, on_timer, delay_ms, 0);
}

void mu_timer_stop(struct mu_timer *t)
{
    uv_timer_stop(&t->uv);
    mu_ctx_unref(t->ctx);
    t->ctx = NULL;
}

static void on_closed(uv_handle_t *uv) { free(uv->data); }

void mu_timer_free(struct mu_timer *t)
{
    if (!t)
        return;
    mu_timer_stop(t);
    t->loop->open--;
    uv_close((uv_handle_t *)&t->uv, on_closed); /* the memory goes once libuv has let go of it */
}

static void postpone(uv_handle_t *uv, void *ms)
{
    if (uv->type != UV_TIMER || !uv_is_active(uv))
        return;
    uv_timer_t *timer = (uv_timer_t *)uv;
    uv_timer_start(timer, timer->timer_cb, uv_timer_get_due_in(timer) + *(uint64_t *)ms, 0);
}

void mu_loop_postpone(struct mu_loop *loop, uint64_t ms) { uv_walk(&loop->uv, postpone, &ms); }
