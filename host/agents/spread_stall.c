/* Tasks that the queue has lost: nats-server that was killed may come back with a consumer that knows nothing of messages which are still in
 * its stream; it hands them out to nobody then. When the run stands still, and the consumer says of itself that it has nothing to hand
 * out and that nobody is at anything, twice, what is open is put into the queue anew. */
#include <stdlib.h>

#include "agents/spread_internal.h"
#include "core/clock.h"

#define STILL_MS 10000 /* without a word from any agent */
#define LOOK_MS 5000   /* between two looks */
#define AT_ONCE 256
#define PUTS 3

struct stalled {
    struct mu_buf subject;
    uint32_t index, number;
    uint64_t seq; /* of the new message; 0: there was none to copy, or it is not known */
    bool gone;    /* there was none */
};

struct stall {
    struct mu_spread_chore chore;
    size_t queue;
    bool idle, again; /* again: what is open is put anew, if it still is so */
    size_t n;
    struct stalled items[AT_ONCE];
};

static void put_anew(struct mu_nats *n, struct stalled *t)
{
    struct mu_buf bytes = MU_BUF_INIT;
    const char *subject = mu_buf_cstr(&t->subject);
    int rc = mu_nats_last(n, MU_STREAM_TASKS, subject, &bytes, NULL, NULL);
    t->gone = rc == MU_ENOENT;
    if (!rc)
        rc = mu_nats_purge(n, MU_STREAM_TASKS, subject, NULL, NULL);
    for (int i = 0; !rc && !t->seq && i < PUTS; i++) /* else the next look finds whether it is there */
        mu_nats_put(n, subject, bytes.data, bytes.len, MU_NATS_NONE, &t->seq, NULL);
    mu_buf_free(&bytes);
}

static void look(struct mu_spread_chore *c)
{
    struct stall *k = (struct stall *)c;
    struct mu_buf durable = MU_BUF_INIT;
    uint64_t left = 1;
    mu_subject_durable(&durable, c->s->queues[k->queue].token);
    k->idle = !durable.failed && !mu_nats_consumer_left(c->s->nats, MU_STREAM_TASKS, mu_buf_cstr(&durable), &left, NULL) && !left;
    mu_buf_free(&durable);
    for (size_t i = 0; k->idle && k->again && i < k->n; i++)
        put_anew(c->s->nats, &k->items[i]);
}

static void take_in(struct mu_spread *s, const struct stalled *t)
{
    struct mu_spread_server *v = &s->servers[t->index];
    if (v->number != t->number || (v->state != MU_SPREAD_POSTED && v->state != MU_SPREAD_STARTED) || (!t->seq && !t->gone))
        return;
    if (v->state == MU_SPREAD_STARTED)
        s->agents[v->agent]->n_started--;
    mu_spread_give_back(s, t->index);
    v->state = MU_SPREAD_POSTED;
    v->agent = MU_SPREAD_NOBODY;
    v->delivery = 0; /* deliveries are counted anew */
    v->seq = t->seq;
    if (t->gone)
        mu_spread_fail(s, t->index, MU_SPREAD_NOBODY, 0, "nats-server has lost it",
                       "nats-server has lost it, when it was killed or its disk was");
}

static void looked(struct mu_spread_chore *c)
{
    struct stall *k = (struct stall *)c;
    struct mu_spread *s = c->s;
    struct mu_spread_queue *q = &s->queues[k->queue];
    size_t n = k->idle && k->again ? k->n : 0;
    s->stall_looks = false;
    q->idle = k->idle && !k->again;
    if (n)
        mu_log(MU_WARNING,
               "nats-server at %s hands out nothing any more, and %zu task%s of this run %s still to be done: put into "
               "the queue anew.",
               mu_nats_where(s->nats), n, n == 1 ? "" : "s", n == 1 ? "is" : "are");
    for (size_t i = 0; i < n; i++)
        take_in(s, &k->items[i]);
}

static void stall_free(struct mu_spread_chore *c)
{
    struct stall *k = (struct stall *)c;
    for (size_t i = 0; i < k->n; i++)
        mu_buf_free(&k->items[i].subject);
    free(k);
}

static void add_open(struct mu_spread *s, struct stall *k)
{
    for (size_t i = 0; i < s->n && k->n < AT_ONCE; i++) {
        const struct mu_spread_server *v = &s->servers[i];
        if (v->queue != k->queue || mu_spread_is(v, MU_SPREAD_POSTING) ||
            (v->state != MU_SPREAD_POSTED && v->state != MU_SPREAD_STARTED))
            continue;
        struct stalled *t = &k->items[k->n++];
        t->index = (uint32_t)i;
        t->number = v->number;
        mu_subject_task(&t->subject, s->queues[v->queue].token, s->run_id, i);
    }
}

void mu_spread_look_at_stall(struct mu_spread *s)
{
    uint64_t now = mu_clock_ms(), since = s->stirred_ms > s->back_ms ? s->stirred_ms : s->back_ms;
    if (!s->begun || !s->connected || s->over || s->cancelled_ms || s->stall_looks || now - since < STILL_MS ||
        now - s->stall_ms < LOOK_MS)
        return;
    s->stall_ms = now;
    for (size_t i = 0; i < s->n_queues && !s->stall_looks; i++) {
        struct mu_spread_queue *q = &s->queues[i];
        struct stall *k = q->n_open && mu_spread_queue_is_served(s, q) ? calloc(1, sizeof *k) : NULL;
        if (!k) {
            q->idle = false;
            continue;
        }
        k->chore = (struct mu_spread_chore){.work = look, .done = looked, .free = stall_free};
        k->queue = i;
        k->again = q->idle;
        add_open(s, k);
        s->stall_looks = true;
        mu_spread_chore(s, &k->chore);
    }
}
