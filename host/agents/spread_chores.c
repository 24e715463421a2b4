/* What waits for nats-server is done by a helper thread, one thing after the other. */
#include <stdlib.h>
#include <string.h>

#include "agents/fence.h"
#include "agents/spread_internal.h"
#include "loop/work.h"

static void start(struct mu_spread *s);

static struct mu_spread_chore *first(struct mu_spread *s)
{
    return mu_list_entry(s->chores.next, struct mu_spread_chore, link);
}

static void work(void *data)
{
    struct mu_spread_chore *c = data;
    c->work(c);
}

static void finish(struct mu_spread *s)
{
    struct mu_spread_chore *c = first(s);
    mu_list_remove(&c->link);
    s->work = NULL;
    c->done(c);
}

static void done(void *arg)
{
    finish(arg);
    start(arg);
}

static void drop(void *data)
{
    struct mu_spread_chore *c = data;
    c->free(c);
}

static void start(struct mu_spread *s)
{
    while (!s->work && !mu_list_empty(&s->chores)) {
        struct mu_spread_chore *c = first(s);
        if (!mu_work_start(&s->work, s->home->loop, NULL, work, c, drop, done, s, NULL))
            return;
        s->work = NULL; /* out of memory: then here and now */
        c->work(c);
        finish(s);
        c->free(c);
    }
}

void mu_spread_chore(struct mu_spread *s, struct mu_spread_chore *c)
{
    c->s = s;
    mu_list_push(&s->chores, &c->link);
    start(s);
}

void mu_spread_chores_end(struct mu_spread *s)
{
    while (!mu_list_empty(&s->chores) && s->chores.next != s->chores.prev) { /* what has not begun */
        struct mu_spread_chore *c = mu_list_entry(s->chores.prev, struct mu_spread_chore, link);
        mu_list_remove(&c->link);
        c->free(c);
    }
    while (s->work)
        mu_loop_turn(s->home->loop, true);
}

/* ---- messages that nobody needs any more ---- */

struct purge {
    struct mu_spread_chore chore;
    struct mu_err err;
    const char *stream;
    int rc;
    char filter[];
};

static void purge_work(struct mu_spread_chore *c)
{
    struct purge *p = (struct purge *)c;
    p->rc = mu_nats_purge(c->s->nats, p->stream, p->filter, NULL, &p->err);
}

static void purge_done(struct mu_spread_chore *c)
{
    struct purge *p = (struct purge *)c;
    if (p->rc)
        mu_log(MU_DEBUG, "What is left in the queue could not be removed: %s", p->err.msg);
}

static void purge_free(struct mu_spread_chore *c)
{
    free(c);
}

void mu_spread_purge(struct mu_spread *s, const char *stream, const char *filter)
{
    struct purge *p = calloc(1, sizeof *p + strlen(filter) + 1);
    if (!p)
        return; /* agents are told all the same that it is not wanted */
    p->chore = (struct mu_spread_chore){.work = purge_work, .done = purge_done, .free = purge_free};
    p->stream = stream;
    memcpy(p->filter, filter, strlen(filter) + 1);
    mu_spread_chore(s, &p->chore);
}

/* ---- what is claimed ---- */

struct sweep {
    struct mu_spread_chore chore;
    struct mu_buf filter;
    struct mu_err err;
    int rc;
    struct claim {
        size_t index;
        uint64_t seq;
        char *data; /* NULL: released */
    } * items;
    size_t n, cap;
};

static int note(void *arg, const char *subject, const void *bytes, size_t len, uint64_t seq, int64_t age_ms)
{
    struct sweep *w = arg;
    const char *last = strrchr(subject, '.');
    (void)age_ms;
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 64;
        struct claim *more = realloc(w->items, cap * sizeof *more);
        if (!more)
            return MU_ENOMEM;
        w->items = more;
        w->cap = cap;
    }
    struct claim *c = &w->items[w->n];
    *c = (struct claim){.seq = seq, .index = last ? strtoul(last + 1, NULL, 10) : SIZE_MAX};
    uint64_t task, delivery;
    const char *data;
    if (mu_fence_read(bytes, len, &task, &delivery, &data, &len))
        return 0;
    if (data && !(c->data = strndup(data, len)))
        return MU_ENOMEM;
    w->n++;
    return 0;
}

static void sweep_work(struct mu_spread_chore *c)
{
    struct sweep *w = (struct sweep *)c;
    w->rc = mu_nats_each_last(c->s->nats, MU_STREAM_RUNS, mu_buf_cstr(&w->filter), note, w, &w->err);
}

static void sweep_done(struct mu_spread_chore *c)
{
    struct sweep *w = (struct sweep *)c;
    struct mu_spread *s = c->s;
    s->sweeps = false;
    s->swept = s->swept || w->rc == 0;
    for (size_t i = 0; i < w->n; i++) {
        const struct claim *k = &w->items[i];
        if (k->index >= s->home->n || k->seq < s->servers[k->index].claimed)
            continue;
        s->servers[k->index].claimed = k->seq;
        s->home->claim_is(s->home->run, k->index, k->data);
    }
    if (w->rc)
        mu_log(MU_DEBUG, "What is claimed could not be looked up: %s", w->err.msg);
}

static void sweep_free(struct mu_spread_chore *c)
{
    struct sweep *w = (struct sweep *)c;
    for (size_t i = 0; i < w->n; i++)
        free(w->items[i].data);
    free(w->items);
    mu_buf_free(&w->filter);
    free(w);
}

static struct sweep *sweep_new(struct mu_spread *s)
{
    struct sweep *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    s->sweeps = true;
    s->swept = false;
    w->chore = (struct mu_spread_chore){.s = s, .work = sweep_work, .done = sweep_done, .free = sweep_free};
    mu_subject_claims(&w->filter, s->run_id);
    return w;
}

void mu_spread_sweep(struct mu_spread *s)
{
    struct sweep *w = s->sweeps ? NULL : sweep_new(s);
    if (w)
        mu_spread_chore(s, &w->chore);
}

int mu_spread_sweep_now(struct mu_spread *s, struct mu_err *err)
{
    struct sweep *w = sweep_new(s);
    if (!w)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    sweep_work(&w->chore);
    int rc = w->rc;
    if (rc && err)
        *err = w->err;
    sweep_done(&w->chore);
    sweep_free(&w->chore);
    return rc;
}
