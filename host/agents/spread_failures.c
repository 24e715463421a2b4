/* Tasks that nobody does any more: they are errors of their servers. What these claim is looked up first, since whoever
 * claimed it may not have told. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/fence.h"
#include "agents/spread_internal.h"
#include "core/clock.h"

struct failing {
    struct mu_list link;
    size_t index;
    uint32_t number, agent;
    uint64_t delivery;
    char *cause, *text, *claim;
    struct mu_buf subject;
    int rc; /* of looking it up; 0: it is in claim, NULL: released */
};

struct failures {
    struct mu_spread_chore chore;
    struct mu_list items;
};

static void fail_next(struct mu_spread *s);

static void free_items(struct mu_list *items)
{
    struct mu_list *l;
    while ((l = mu_list_pop(items))) {
        struct failing *f = mu_list_entry(l, struct failing, link);
        free(f->cause);
        free(f->text);
        free(f->claim);
        mu_buf_free(&f->subject);
        free(f);
    }
}

static void look_up(struct mu_spread_chore *c)
{
    struct failures *all = (struct failures *)c;
    for (struct mu_list *l = all->items.next; l != &all->items; l = l->next) {
        struct failing *f = mu_list_entry(l, struct failing, link);
        struct mu_buf claim = MU_BUF_INIT;
        uint64_t task, delivery;
        const char *data;
        size_t len;
        f->rc = mu_nats_last(c->s->nats, MU_STREAM_RUNS, mu_buf_cstr(&f->subject), &claim, NULL, NULL);
        if (!f->rc)
            f->rc = mu_fence_read(claim.data, claim.len, &task, &delivery, &data, &len);
        if (!f->rc && data && !(f->claim = strndup(data, len)))
            f->rc = MU_ENOMEM;
        mu_buf_free(&claim);
    }
}

static struct mu_message *message(const struct mu_spread *s, const struct failing *f, int kind)
{
    const struct mu_spread_server *v = &s->servers[f->index];
    struct mu_message *m;
    while (!(m = mu_message_new(kind)))
        mu_spread_pause(); /* the run could never end without it */
    m->task = f->index;
    m->peer = v->peer;
    m->kind = (enum mu_task_kind)v->kind;
    m->worker = MU_CREW_ELSEWHERE + (f->agent == MU_SPREAD_NOBODY ? 0 : (int)f->agent);
    m->wall_ms = mu_clock_wall_ms();
    return m;
}

static void tell(struct mu_spread *s, struct failing *f)
{
    struct mu_spread_server *v = &s->servers[f->index];
    bool mark = v->kind == MU_TASK_MARK;
    if (v->state != MU_SPREAD_FAILING || v->number != f->number)
        return;
    if (!f->rc)
        s->home->claim_is(s->home->run, f->index, f->claim);
    struct mu_message *m = message(s, f, mark ? MU_MSG_MARK : MU_MSG_FAILURE), *done = message(s, f, MU_MSG_DONE);
    mu_spread_log(s, f->index, MU_ERROR, "%s: %s", mark ? "Could not be marked" : "Not run", f->text ? f->text : "");
    m->text = f->text;
    f->text = NULL;
    if (mark) {
        m->mark = MU_MARK_FAILED;
    } else {
        m->status = MU_ST_ERROR;
        m->where = strdup("task");
        m->cause = f->cause;
        f->cause = NULL;
    }
    mu_spread_settle(s, f->agent, f->index, f->delivery);
    mu_spread_mail(s, m);
    mu_spread_mail(s, done);
}

static void told(struct mu_spread_chore *c)
{
    struct failures *all = (struct failures *)c;
    c->s->failing_runs = false;
    for (struct mu_list *l = all->items.next; l != &all->items; l = l->next)
        tell(c->s, mu_list_entry(l, struct failing, link));
    mu_spread_settle_soon(c->s);
    fail_next(c->s);
}

static void free_failures(struct mu_spread_chore *c)
{
    free_items(&((struct failures *)c)->items);
    free(c);
}

static void fail_next(struct mu_spread *s)
{
    struct failures *all = s->failing_runs || mu_list_empty(&s->failing) ? NULL : calloc(1, sizeof *all);
    if (!all)
        return; /* with the next one */
    all->chore = (struct mu_spread_chore){.work = look_up, .done = told, .free = free_failures};
    mu_list_init(&all->items);
    for (struct mu_list *l; (l = mu_list_pop(&s->failing));)
        mu_list_push(&all->items, l);
    s->failing_runs = true;
    mu_spread_chore(s, &all->chore);
}

void mu_spread_fail(struct mu_spread *s, size_t index, uint32_t agent, uint64_t delivery, const char *cause,
                    const char *fmt, ...)
{
    struct mu_spread_server *v = &s->servers[index];
    struct mu_buf text = MU_BUF_INIT;
    struct failing *f;
    va_list ap;
    while (!(f = calloc(1, sizeof *f)))
        mu_spread_pause();
    if (v->state == MU_SPREAD_STARTED && v->agent != MU_SPREAD_NOBODY)
        s->agents[v->agent]->n_started--;
    v->state = MU_SPREAD_FAILING;
    va_start(ap, fmt);
    mu_buf_vaddf(&text, fmt, ap);
    va_end(ap);
    *f = (struct failing){.index = index,
                          .number = v->number,
                          .agent = agent,
                          .delivery = delivery,
                          .cause = strdup(cause),
                          .text = mu_buf_take(&text)};
    mu_subject_claim(&f->subject, s->run_id, index);
    mu_list_push(&s->failing, &f->link);
    fail_next(s);
}

/* ---- handed out too often ---- */

static void add_had(const struct mu_spread *s, struct mu_buf *out, uint32_t agent, uint32_t delivery, uint32_t began_s)
{
    char when[MU_CLOCK_ISO_SIZE];
    mu_clock_local(s->born_wall_ms + 1000 * (int64_t)began_s, when);
    mu_buf_addf(out, "%s%s had it from %s on (delivery %u)", out->len ? ", " : "", mu_spread_agent_name(s, agent), when,
                delivery);
}

static void fail_exhausted(struct mu_spread *s, size_t index, uint32_t agent, uint64_t delivery)
{
    const struct mu_spread_server *v = &s->servers[index];
    struct mu_buf history = MU_BUF_INIT;
    for (size_t i = 0; v->trail && i < v->trail->n; i++)
        add_had(s, &history, v->trail->items[i].agent, v->trail->items[i].delivery, v->trail->items[i].began_s);
    if (v->agent != MU_SPREAD_NOBODY)
        add_had(s, &history, v->agent, v->delivery, v->began_s);
    char cause[64];
    snprintf(cause, sizeof cause, "given up after %llu deliveries", (unsigned long long)delivery);
    mu_spread_fail(s, index, agent, delivery, cause, "%s: each agent that had it was lost before it had a result; %s",
                   cause, history.len ? mu_buf_cstr(&history) : "which these were is not known");
    mu_buf_free(&history);
}

void mu_spread_exhausted(struct mu_spread *s, uint32_t agent, const struct mu_wire_event *e)
{
    if (mu_spread_counts(s, agent, e))
        fail_exhausted(s, e->index, agent, e->delivery);
    else
        mu_spread_drop(s, agent, e->index, e->delivery, mu_spread_is_open(s, e));
}

void mu_spread_given_up(void *arg, const struct mu_nats_heard *heard)
{
    struct mu_spread *s = arg;
    json_t *said = json_loadb(heard->bytes, heard->len, 0, NULL);
    json_int_t seq = json_integer_value(json_object_get(said, "stream_seq")),
               n = json_integer_value(json_object_get(said, "deliveries"));
    for (size_t i = 0; seq > 0 && i < s->n; i++) {
        const struct mu_spread_server *v = &s->servers[i];
        if (v->seq == (uint64_t)seq && (v->state == MU_SPREAD_POSTED || v->state == MU_SPREAD_STARTED))
            fail_exhausted(s, i, MU_SPREAD_NOBODY, n > 0 ? (uint64_t)n : 0);
    }
    json_decref(said);
}

void mu_spread_free_failing(struct mu_spread *s)
{
    free_items(&s->failing);
}
