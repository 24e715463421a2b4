#include "loop/work.h"

#include <stdlib.h>

#include "core/log.h"
#include "loop/internal.h"

struct mu_work {
    uv_work_t uv;
    struct mu_loop *loop;
    struct mu_ctx *ctx;
    struct mu_logger *logger;
    void (*work)(void *data);
    void *data;
    void (*drop)(void *data);
    void (*done)(void *arg); /* NULL once cancelled */
    void *arg;
    bool answering; /* in done: a cancel in there has nothing left to do */
};

static void destroy(struct mu_work *w)
{
    if (w->drop)
        w->drop(w->data);
    mu_ctx_unref(w->ctx);
    free(w);
}

static void answer(void *arg)
{
    struct mu_work *w = arg;

    w->answering = true;
    w->done(w->arg);
    w->loop->open--;
    destroy(w);
}

static void on_helper(uv_work_t *uv)
{
    struct mu_work *w = uv->data;
    struct mu_ctx *former;

    mu_logger_use(w->logger);
    former = mu_ctx_enter(w->ctx);
    w->work(w->data);
    mu_ctx_leave(former);
    mu_logger_use(NULL);
}

static void on_done(uv_work_t *uv, int status)
{
    struct mu_work *w = uv->data;

    (void)status; /* UV_ECANCELED comes after a cancel alone */
    if (w->done)
        mu_loop_call(w->loop, w->ctx, answer, w);
    else
        destroy(w);
}

int mu_work_start(struct mu_work **out, struct mu_loop *loop, struct mu_ctx *ctx, void (*work)(void *data), void *data,
                  void (*drop)(void *data), void (*done)(void *arg), void *arg, struct mu_err *err)
{
    struct mu_work *w = calloc(1, sizeof(*w));

    *out = NULL;
    if (!w)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    *w = (struct mu_work){.loop = loop, .ctx = mu_ctx_ref(ctx), .logger = mu_logger_current(), .work = work,
                          .data = data, .drop = drop, .done = done, .arg = arg};
    w->uv.data = w;
    if (uv_queue_work(&loop->uv, &w->uv, on_helper, on_done)) {
        w->drop = NULL;
        destroy(w);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    loop->open++;
    *out = w;
    return 0;
}

void mu_work_cancel(struct mu_work *w)
{
    if (!w || w->answering || !w->done)
        return;
    w->loop->open--;
    /* What a helper thread has begun nothing can interrupt: then w lives on until it comes back. */
    w->done = NULL;
    uv_cancel((uv_req_t *)&w->uv);
}
