/* What tasks come to: who is at it, the one result that counts, and those who are told that theirs does not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/spread_internal.h"
#include "core/clock.h"

#define WORDS_MAX ((size_t)32 << 10) /* bytes of words that are said together */
#define RETRY_MS 10                  /* for the former task to be acknowledged */

static const char *name_of(const struct mu_spread *s, uint32_t agent)
{
    return mu_spread_agent_name(s, agent);
}

/* ---- words, when all is committed ---- */

static void word(struct mu_spread *s, uint32_t agent, enum mu_wire_word_kind kind, size_t index, uint64_t delivery, int code)
{
    if (s->n_words == s->cap_words) {
        size_t cap = s->cap_words ? 2 * s->cap_words : 64;
        struct mu_spread_word *more;
        while (!(more = realloc(s->words, cap * sizeof *more)))
            mu_spread_pause(); /* the server's next task waits for it */
        s->words = more;
        s->cap_words = cap;
    }
    s->words[s->n_words++] =
        (struct mu_spread_word){.agent = agent, .kind = kind, .index = index, .delivery = delivery, .code = code};
}

void mu_spread_say_words(struct mu_spread *s)
{
    struct mu_buf bytes = MU_BUF_INIT, subject = MU_BUF_INIT;
    for (size_t i = 0; i < s->n_words; i++) {
        const struct mu_spread_word *w = &s->words[i];
        const struct mu_wire_word said = {
            .kind = w->kind, .index = w->index, .delivery = w->delivery, .code = w->code};
        mu_wire_add_word(&bytes, &said);
        if (i + 1 == s->n_words || s->words[i + 1].agent != w->agent || bytes.len > WORDS_MAX) {
            mu_subject_word(&subject, s->run_id, s->agents[w->agent]->id);
            if (!bytes.failed && !subject.failed)
                mu_nats_say(s->nats, mu_buf_cstr(&subject), NULL, bytes.data, bytes.len);
            mu_buf_clear(&bytes);
        }
        struct mu_spread_server *v = &s->servers[w->index];
        if (w->kind != MU_WORD_KEPT || !mu_spread_is(v, MU_SPREAD_UNKEPT))
            continue;
        mu_spread_set(v, MU_SPREAD_UNKEPT, false);
        if (v->state == MU_SPREAD_WAITS)
            mu_spread_soon(s, w->index, RETRY_MS);
    }
    s->n_words = 0;
    mu_buf_free(&bytes);
    mu_buf_free(&subject);
}

void mu_spread_drop(struct mu_spread *s, uint32_t agent, size_t index, uint64_t delivery, bool open)
{
    struct mu_spread_server *v = &s->servers[index];
    if (v->state == MU_SPREAD_NONE) /* its message goes with it: what is dealt later is to be posted */
        mu_spread_set(v, MU_SPREAD_PRESENT, false);
    word(s, agent, MU_WORD_DROP, index, delivery, open ? MU_EEXIST : 0);
}

/* ---- who is at it ---- */

static bool is_open(const struct mu_spread_server *v)
{
    return v->state == MU_SPREAD_POSTED || v->state == MU_SPREAD_STARTED ||
           (v->state == MU_SPREAD_WAITS && mu_spread_is(v, MU_SPREAD_MAYBE));
}

bool mu_spread_is_open(const struct mu_spread *s, const struct mu_wire_event *e)
{
    const struct mu_spread_server *v = &s->servers[e->index];
    return is_open(v) && v->kind == e->task;
}

bool mu_spread_counts(const struct mu_spread *s, uint32_t agent, const struct mu_wire_event *e)
{
    const struct mu_spread_server *v = &s->servers[e->index];
    if (!is_open(v) || v->kind != e->task || e->delivery > UINT32_MAX)
        return false;
    return v->agent == MU_SPREAD_NOBODY || e->delivery > v->delivery ||
           (e->delivery == v->delivery && v->agent == agent);
}

/* Of this delivery nothing counts any more. */
static void note_former(struct mu_spread_server *v)
{
    size_t n = v->trail ? v->trail->n : 0;
    struct mu_spread_trail *more = realloc(v->trail, sizeof *more + (n + 1) * sizeof *more->items);
    if (!more)
        return;
    more->items[n] = (struct mu_spread_had){.agent = v->agent, .delivery = v->delivery, .began_s = v->began_s};
    more->n = n + 1;
    v->trail = more;
}

static void take_over(struct mu_spread *s, uint32_t agent, size_t index, uint64_t delivery, int64_t wall_ms)
{
    struct mu_spread_server *v = &s->servers[index];
    int64_t began = (wall_ms - s->born_wall_ms) / 1000;
    if (v->agent != MU_SPREAD_NOBODY) {
        note_former(v);
        if (v->state == MU_SPREAD_STARTED)
            s->agents[v->agent]->n_started--;
        if (v->agent != agent)
            mu_spread_drop(s, v->agent, index, v->delivery, true);
        mu_spread_give_back(s, index);
    }
    v->agent = agent;
    v->delivery = (uint32_t)delivery;
    v->began_s = began > 0 && began < UINT32_MAX ? (uint32_t)began : 0;
    v->state = MU_SPREAD_STARTED;
    s->agents[agent]->n_started++;
}

bool mu_spread_has(struct mu_spread *s, uint32_t agent, const struct mu_wire_event *e)
{
    struct mu_spread_server *v = &s->servers[e->index];
    if (v->state == MU_SPREAD_STARTED && v->agent == agent && v->delivery == e->delivery)
        return true;
    /* Of a run that is gone on with: that it began was told before. */
    if (!is_open(v) || v->agent != MU_SPREAD_NOBODY || !mu_spread_is(v, MU_SPREAD_PRESENT) || e->delivery > UINT32_MAX)
        return false;
    take_over(s, agent, e->index, e->delivery, mu_clock_wall_ms());
    return true;
}

static void tell_began(struct mu_spread *s, uint32_t agent, size_t index, int64_t wall_ms)
{
    struct mu_spread_server *v = &s->servers[index];
    struct mu_message *m = mu_message_new(MU_MSG_STARTED);
    mu_spread_set(v, MU_SPREAD_BEGUN, true);
    if (!m)
        return;
    m->task = index;
    m->peer = v->peer;
    m->kind = (enum mu_task_kind)v->kind;
    m->worker = MU_CREW_ELSEWHERE + (int)agent;
    m->wall_ms = wall_ms;
    mu_spread_mail(s, m);
}

static void tell_again(struct mu_spread *s, uint32_t agent, const struct mu_wire_event *e)
{
    const struct mu_spread_server *v = &s->servers[e->index];
    const char *id = s->home->servers[e->index]->id;
    unsigned long long delivery = e->delivery;
    if (v->agent == MU_SPREAD_NOBODY)
        mu_spread_log(s, e->index, MU_WARNING,
                      "Server %s is run again by agent %s: whoever had it was lost, or gave it back (delivery %llu)",
                      id, name_of(s, agent), delivery);
    else if (v->agent == agent)
        mu_spread_log(s, e->index, MU_WARNING,
                      "Server %s is run again by the same agent, %s, which had lost it (delivery %llu)", id,
                      name_of(s, agent), delivery);
    else
        mu_spread_log(s, e->index, MU_WARNING,
                      "Server %s is run again by agent %s: %s, which had it, %s (delivery %llu)", id, name_of(s, agent),
                      name_of(s, v->agent), mu_spread_is_leaving(s, s->agents[v->agent]) ? "gave it back" : "was lost",
                      delivery);
}

void mu_spread_started(struct mu_spread *s, uint32_t agent, const struct mu_wire_event *e)
{
    struct mu_spread_server *v = &s->servers[e->index];
    if (!mu_spread_counts(s, agent, e)) {
        mu_spread_drop(s, agent, e->index, e->delivery, mu_spread_is_open(s, e));
        return;
    }
    if (v->agent == agent && v->delivery == e->delivery)
        return;
    if (e->delivery > 1)
        tell_again(s, agent, e);
    take_over(s, agent, e->index, e->delivery, e->wall_ms);
    tell_began(s, agent, e->index, e->wall_ms);
}

/* ---- results ---- */

static void left_out(struct mu_spread *s, uint32_t agent, const struct mu_wire_event *e)
{
    struct mu_spread_server *v = &s->servers[e->index];
    mu_spread_drop(s, agent, e->index, e->delivery, mu_spread_is_open(s, e));
    /* What an earlier process of this run has committed comes once more when it could not say so. */
    bool told_before = v->state == MU_SPREAD_NONE || v->kind != e->task;
    if (mu_spread_is(v, MU_SPREAD_TOLD) || (s->home->resumed && told_before))
        return;
    mu_spread_set(v, MU_SPREAD_TOLD, true);
    if (v->state == MU_SPREAD_STARTED)
        mu_spread_log(s, e->index, MU_WARNING,
                      "What agent %s found is left out (delivery %llu): server %s was handed to agent %s then "
                      "(delivery %u)",
                      name_of(s, agent), (unsigned long long)e->delivery, s->home->servers[e->index]->id,
                      name_of(s, v->agent), v->delivery);
    else
        mu_spread_log(s, e->index, MU_WARNING,
                      "What agent %s found is left out (delivery %llu): server %s has its result already",
                      name_of(s, agent), (unsigned long long)e->delivery, s->home->servers[e->index]->id);
}

/* What the run takes in from a task of this kind; other questions have events of their own. */
static bool is_part(const struct mu_spread_server *v, size_t index, const struct mu_message *m, bool last)
{
    bool pair = v->kind == MU_TASK_PAIR, first = m->task == index, either = first || (pair && m->task == v->peer);
    if (m->kind != v->kind || (pair && m->peer != v->peer))
        return false;
    switch (m->head.kind) {
    case MU_MSG_STARTED:
    case MU_MSG_STEP:
    case MU_MSG_FAILURE:
    case MU_MSG_MARK:
    case MU_MSG_ENDING:
        return first && !last;
    case MU_MSG_UNENDED:
    case MU_MSG_RETRIED:
    case MU_MSG_FACTS:
    case MU_MSG_KEEP:
        return either && !last;
    case MU_MSG_DONE:
        return first && last;
    default:
        return false;
    }
}

static bool is_usable(const struct mu_spread_server *v, const struct mu_wire_event *e)
{
    for (const struct mu_list *l = e->messages.next; l != &e->messages; l = l->next) {
        const struct mu_wire_note *note = mu_list_entry(l, struct mu_wire_note, link);
        if (!is_part(v, e->index, note->m, l->next == &e->messages))
            return false;
    }
    return !mu_list_empty(&e->messages);
}

static void tell_others(struct mu_spread *s, size_t index)
{
    const struct mu_spread_server *v = &s->servers[index];
    for (size_t i = 0; v->trail && i < v->trail->n; i++)
        if (v->trail->items[i].agent != v->agent)
            mu_spread_drop(s, v->trail->items[i].agent, index, v->trail->items[i].delivery, false);
}

/* The task has its result: from now on nothing else counts. */
void mu_spread_settle(struct mu_spread *s, uint32_t agent, size_t index, uint64_t delivery)
{
    struct mu_spread_server *v = &s->servers[index];
    tell_others(s, index);
    if (agent != MU_SPREAD_NOBODY) {
        mu_spread_set(v, MU_SPREAD_UNKEPT, true);
        word(s, agent, MU_WORD_KEPT, index, delivery, 0);
        v->former_agent = agent;
        v->former_delivery = (uint32_t)delivery;
    }
    if (v->agent != MU_SPREAD_NOBODY && v->agent != agent)
        mu_spread_drop(s, v->agent, index, v->delivery, false);
    s->dirty = true;
    s->swept = false;
    mu_spread_close_task(s, index);
}

void mu_spread_result(struct mu_spread *s, uint32_t agent, struct mu_wire_event *e)
{
    struct mu_spread_server *v = &s->servers[e->index];
    if (!mu_spread_counts(s, agent, e)) {
        left_out(s, agent, e);
        return;
    }
    if (!is_usable(v, e)) {
        mu_spread_fail(s, e->index, agent, e->delivery, "what its agent found cannot be read",
                       "what agent %s found cannot be read: it "
                       "speaks of something else",
                       name_of(s, agent));
        return;
    }
    if (!mu_spread_is(v, MU_SPREAD_BEGUN)) { /* that was told to an earlier process of this run */
        const struct mu_message *done = mu_list_entry(e->messages.prev, struct mu_wire_note, link)->m;
        tell_began(s, agent, e->index, done->wall_ms - (int64_t)(done->number < INT32_MAX ? done->number : 0));
    }
    mu_spread_settle(s, agent, e->index, e->delivery);
    for (struct mu_list *l = e->messages.next; l != &e->messages; l = l->next) {
        struct mu_wire_note *note = mu_list_entry(l, struct mu_wire_note, link);
        struct mu_message *m = note->m;
        note->m = NULL;
        m->worker = MU_CREW_ELSEWHERE + (int)agent;
        if (m->head.kind == MU_MSG_STEP || m->head.kind == MU_MSG_ENDING)
            m->number = 0; /* nobody waits for an answer */
        mu_spread_mail(s, m);
    }
}
