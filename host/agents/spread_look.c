/* A subject that has a message where a task is to be put: whether that is the task already, or a former one of its server, which nobody
 * needs any more. */
#include <stdlib.h>

#include "agents/spread_internal.h"

#define AT_ONCE 256 /* servers whose subjects are looked at together */

struct look {
    struct mu_spread_chore chore;
    struct mu_err err;
    struct looked {
        struct mu_list link;
        struct mu_buf subject;
        uint32_t index, number, peer;
        uint64_t former; /* the sequence of what was there before; 0: not known */
        uint64_t seq;
        enum mu_task_kind kind;
        enum { GONE, SAME, UNKNOWN } is;
    } * items;
    size_t n;
};

static bool is_same(const struct looked *l, const struct mu_buf *bytes)
{
    struct mu_wire_task task = {0};
    bool same = mu_wire_read_task(&task, bytes->data, bytes->len, NULL) == 0 && task.kind == l->kind &&
                (l->kind != MU_TASK_PAIR || task.peer == l->peer);
    mu_wire_task_clear(&task);
    return same;
}

static void look_work(struct mu_spread_chore *c)
{
    struct look *k = (struct look *)c;
    struct mu_buf bytes = MU_BUF_INIT;
    for (size_t i = 0; i < k->n; i++) {
        struct looked *l = &k->items[i];
        mu_buf_clear(&bytes);
        int rc = mu_nats_last(c->s->nats, MU_STREAM_TASKS, mu_buf_cstr(&l->subject), &bytes, &l->seq, &k->err);
        if (rc) {
            l->is = rc == MU_ENOENT ? GONE : UNKNOWN;
            continue;
        }
        l->is = (l->former ? l->seq > l->former : is_same(l, &bytes))                                      ? SAME
                : mu_nats_purge(c->s->nats, MU_STREAM_TASKS, mu_buf_cstr(&l->subject), NULL, &k->err) == 0 ? GONE
                                                                                                           : UNKNOWN;
    }
    mu_buf_free(&bytes);
}

static void look_next(struct mu_spread *s);

static void look_done(struct mu_spread_chore *c)
{
    struct look *k = (struct look *)c;
    struct mu_spread *s = c->s;
    s->looking_runs = false;
    for (size_t i = 0; i < k->n; i++) {
        const struct looked *l = &k->items[i];
        struct mu_spread_server *v = &s->servers[l->index];
        if (v->state != MU_SPREAD_WAITS || v->number != l->number)
            continue;
        if (l->is == SAME) {
            v->state = MU_SPREAD_POSTED;
            v->seq = l->seq;
        } else if (l->is == GONE) {
            v->flags &= (uint8_t) ~(MU_SPREAD_PRESENT | MU_SPREAD_MAYBE);
            mu_spread_soon(s, l->index, 0);
        } else {
            mu_spread_try_again(s, l->index);
        }
    }
    mu_spread_pump(s);
    look_next(s);
}

static void look_free(struct mu_spread_chore *c)
{
    struct look *k = (struct look *)c;
    for (size_t i = 0; i < k->n; i++)
        mu_buf_free(&k->items[i].subject);
    free(k->items);
    free(k);
}

/* Those that came together meanwhile, as one. */
static void look_next(struct mu_spread *s)
{
    struct look *k = s->looking_runs || s->over || mu_list_empty(&s->looking) ? NULL : calloc(1, sizeof *k);
    if (!k || !(k->items = calloc(AT_ONCE, sizeof *k->items))) {
        free(k);
        return; /* with the next one */
    }
    k->chore = (struct mu_spread_chore){.work = look_work, .done = look_done, .free = look_free};
    for (struct mu_list *l; k->n < AT_ONCE && (l = mu_list_pop(&s->looking));) {
        struct looked *item = mu_list_entry(l, struct looked, link);
        k->items[k->n++] = *item;
        free(item);
    }
    s->looking_runs = true;
    mu_spread_chore(s, &k->chore);
}

void mu_spread_look(struct mu_spread *s, size_t index)
{
    const struct mu_spread_server *v = &s->servers[index];
    struct looked *l = calloc(1, sizeof *l);
    if (!l) {
        mu_spread_try_again(s, index);
        return;
    }
    *l = (struct looked){.index = (uint32_t)index,
                         .number = v->number,
                         .peer = v->peer,
                         .former = v->seq,
                         .kind = (enum mu_task_kind)v->kind};
    mu_subject_task(&l->subject, s->queues[v->queue].token, s->run_id, index);
    mu_list_push(&s->looking, &l->link);
    look_next(s);
}

void mu_spread_free_looking(struct mu_spread *s)
{
    for (struct mu_list *l; (l = mu_list_pop(&s->looking));) {
        struct looked *k = mu_list_entry(l, struct looked, link);
        mu_buf_free(&k->subject);
        free(k);
    }
}
