#include "run/keep.h"

#include "run/engine.h"
#include "run/messages.h"
#include "run/task.h"
#include "run/worker.h"

/* Whatever follows is the task's, not that of the mail it came with. */
static void go_on(struct mu_task *t)
{
    struct mu_ctx *ctx = mu_ctx_ref(t->ctx), *former = mu_ctx_enter(ctx);
    t->keep.waiting = false;
    t->keep.then(t);
    mu_ctx_leave(former);
    mu_ctx_unref(ctx);
}

static void answered(struct mu_ask *ask) { go_on(mu_list_entry(ask, struct mu_task, keep.ask)); }

static bool wants(const struct mu_task *t)
{
    return t->worker->engine->keeps && !t->killed && !t->worker->stop;
}

static bool post(struct mu_task *t, struct mu_message *m, void (*then)(struct mu_task *))
{
    if (!m)
        return false;
    t->keep.ask = (struct mu_ask){.then = answered};
    t->keep.then = then;
    t->keep.waiting = true;
    mu_ask_post_soon(&t->keep.ask, t->worker, m);
    return true;
}

bool mu_keep_step_take(struct mu_task *t, struct mu_step_result *step, void (*then)(struct mu_task *))
{
    if (wants(t))
        return post(t, mu_message_step_take(t, step), then);
    mu_post_step_take(t, step);
    return false;
}

bool mu_keep_ending(struct mu_task *t, uint64_t took_ms, void (*then)(struct mu_task *))
{
    return wants(t) && post(t, mu_message_ending(t, took_ms), then);
}

bool mu_keep_release(struct mu_task *t)
{
    if (!t->keep.waiting)
        return false;
    mu_ask_drop(&t->keep.ask);
    go_on(t);
    return true;
}

void mu_keep_release_all(struct mu_worker *w)
{
    struct mu_list *l = w->tasks.next;
    while (l != &w->tasks) /* one that went on may have ended, and others with it */
        l = mu_keep_release(mu_list_entry(l, struct mu_task, link)) ? w->tasks.next : l->next;
}
