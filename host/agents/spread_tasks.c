/* Tasks into the queue: a window of posts, and what becomes of those that nats-server does not take.
 *
 * Each is posted on condition that nothing is on its server's subject. When something is, it is this very task, whose
 * storing was not answered in time; or the server's former one, since its agent acknowledges that only after its result
 * has been committed. The latter is waited for, a moment; then it is looked at, and removed if it is the former one:
 * its result is committed, so nobody needs it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/spread_internal.h"
#include "core/clock.h"

#define FIRST_MS 10     /* for the former task to be acknowledged */
#define LONGEST_MS 1000 /* between two tries */
#define TRIES 6         /* before it is looked at what is there */

struct post {
    struct mu_list link;
    struct mu_spread *s;
    uint32_t index, number;
};

/* ---- lists of servers ---- */

static void push(struct mu_spread *s, struct mu_spread_list *list, size_t index)
{
    struct mu_spread_server *v = &s->servers[index];
    v->next = MU_SPREAD_NOBODY;
    mu_spread_set(v, MU_SPREAD_LISTED, true);
    if (list->first == MU_SPREAD_NOBODY)
        list->first = (uint32_t)index;
    else
        s->servers[list->last].next = (uint32_t)index;
    list->last = (uint32_t)index;
}

static uint32_t pop(struct mu_spread *s, struct mu_spread_list *list)
{
    uint32_t index = list->first;
    if (index != MU_SPREAD_NOBODY) {
        list->first = s->servers[index].next;
        mu_spread_set(&s->servers[index], MU_SPREAD_LISTED, false);
    }
    return index;
}

static void wake(struct mu_spread *s, uint32_t due_ms)
{
    uint32_t now = mu_spread_since_ms(s);
    if (s->again_runs && s->again_ms <= due_ms)
        return;
    s->again_runs = true;
    s->again_ms = due_ms;
    mu_timer_start(s->again, NULL, due_ms > now ? due_ms - now : 0);
}

void mu_spread_soon(struct mu_spread *s, size_t index, uint32_t in_ms)
{
    struct mu_spread_server *v = &s->servers[index];
    v->due_ms = mu_spread_since_ms(s) + in_ms;
    if (mu_spread_is(v, MU_SPREAD_LISTED))
        return;
    push(s, in_ms ? &s->later : &s->ready, index);
    if (in_ms)
        wake(s, v->due_ms);
}

/* Those whose time has come; the others wait on, in their order. */
void mu_spread_again(void *arg)
{
    struct mu_spread *s = arg;
    struct mu_spread_list wait = s->later;
    uint32_t now = mu_spread_since_ms(s), index, soonest = UINT32_MAX;
    s->later.first = MU_SPREAD_NOBODY;
    s->again_runs = false;
    while ((index = pop(s, &wait)) != MU_SPREAD_NOBODY) {
        struct mu_spread_server *v = &s->servers[index];
        if (v->state != MU_SPREAD_WAITS)
            continue;
        if (v->due_ms <= now) {
            push(s, &s->ready, index);
        } else {
            push(s, &s->later, index);
            soonest = v->due_ms < soonest ? v->due_ms : soonest;
        }
    }
    if (soonest != UINT32_MAX)
        wake(s, soonest);
    mu_spread_pump(s);
}

/* The word that its result is committed may have been lost. */
static void remind(struct mu_spread *s, size_t index)
{
    const struct mu_spread_server *v = &s->servers[index];
    const struct mu_wire_word w = {.kind = MU_WORD_KEPT, .index = index, .delivery = v->former_delivery};
    if (v->former_agent != MU_SPREAD_NOBODY)
        mu_spread_say(s, s->agents[v->former_agent]->id, &w);
}

void mu_spread_try_again(struct mu_spread *s, size_t index)
{
    struct mu_spread_server *v = &s->servers[index];
    uint32_t wait = (uint32_t)FIRST_MS << (v->tries < 7 ? v->tries : 7);
    v->tries = v->tries < UINT8_MAX ? v->tries + 1 : v->tries;
    mu_spread_soon(s, index, wait < LONGEST_MS ? wait : LONGEST_MS);
}

/* ---- posting ---- */

static void posted(void *arg, int rc, uint64_t seq, const struct mu_err *err)
{
    struct post *p = arg;
    struct mu_spread *s = p->s;
    struct mu_spread_server *v = &s->servers[p->index];
    bool now = v->number == p->number; /* else its result came before this answer */
    uint32_t index = p->index;
    (void)err;
    mu_list_remove(&p->link);
    s->n_posts--;
    free(p);
    if (rc == 0 && seq > v->seq)
        v->seq = seq;
    if (now)
        mu_spread_set(v, MU_SPREAD_POSTING, false);
    if (now && rc && rc != MU_EEXIST)
        mu_spread_set(v, MU_SPREAD_MAYBE, true);
    if (now && v->state == MU_SPREAD_POSTED && rc) { /* else it has begun, so it was stored */
        v->state = MU_SPREAD_WAITS;
        if (rc == MU_EEXIST)
            remind(s, index);
        if (rc == MU_EEXIST && (!v->seq || v->tries >= TRIES || mu_spread_is(v, MU_SPREAD_MAYBE)))
            mu_spread_look(s, index);
        else
            mu_spread_try_again(s, index);
    } else if (now && rc == 0) {
        mu_message_free(v->deal ? &v->deal->head : NULL);
        v->deal = NULL;
    }
    mu_spread_pump(s);
}

/* What is posted, into s->task. False: it cannot be, and that is told. */
static bool encode(struct mu_spread *s, size_t index)
{
    const struct mu_spread_server *v = &s->servers[index];
    const struct mu_engine *e = s->home->engine;
    struct mu_message bare = {.task = index, .peer = v->peer, .kind = (enum mu_task_kind)v->kind};
    mu_buf_clear(&s->task);
    mu_wire_add_task(&s->task, s->run_id, v->deal ? v->deal : &bare, s->home->servers[index],
                     v->kind == MU_TASK_PAIR ? s->home->servers[v->peer] : NULL, e->rules, e->script, e->past,
                     e->past_why);
    mu_subject_task(&s->subject, s->queues[v->queue].token, s->run_id, index);
    size_t most = mu_nats_max_payload(s->nats);
    if (s->task.failed || s->subject.failed)
        mu_spread_fail(s, index, MU_SPREAD_NOBODY, 0, "it cannot be sent to an agent",
                       "it cannot be sent to an agent: a variable of it is no UTF-8 text, or memory is short");
    else if (s->task.len > most)
        mu_spread_fail(
            s, index, MU_SPREAD_NOBODY, 0, "it is too large to be sent to an agent",
            "it is too large to be sent to an agent: %zu bytes, and nats-server takes at most %zu (max_payload)",
            s->task.len, most);
    else
        return true;
    return false;
}

static void post(struct mu_spread *s, size_t index)
{
    struct mu_spread_server *v = &s->servers[index];
    if (!encode(s, index))
        return;
    struct post *p = calloc(1, sizeof *p);
    if (!p) {
        mu_spread_try_again(s, index);
        return;
    }
    char id[128];
    snprintf(id, sizeof id, "%s.%s.%u", s->run_id, s->nonce, v->number);
    *p = (struct post){.s = s, .index = (uint32_t)index, .number = v->number};
    v->state = MU_SPREAD_POSTED;
    mu_spread_set(v, MU_SPREAD_POSTING, true);
    mu_list_push(&s->posts, &p->link);
    s->n_posts++;
    if (!mu_nats_post(s->nats, mu_buf_cstr(&s->subject), id, s->task.data, s->task.len, MU_NATS_NONE, posted, p))
        return;
    mu_list_remove(&p->link);
    s->n_posts--;
    free(p);
    v->state = MU_SPREAD_WAITS;
    mu_spread_set(v, MU_SPREAD_POSTING, false);
    mu_spread_try_again(s, index);
}

void mu_spread_pump(struct mu_spread *s)
{
    uint32_t index;
    while (s->begun && s->connected && !s->over && !s->cancelled_ms && s->n_posts < MU_SPREAD_POSTS &&
           (index = pop(s, &s->ready)) != MU_SPREAD_NOBODY)
        if (s->servers[index].state == MU_SPREAD_WAITS)
            post(s, index);
}

/* ---- dealing ---- */

void mu_spread_deal(struct mu_crew *c, struct mu_message *m)
{
    struct mu_spread *s = (struct mu_spread *)c;
    struct mu_spread_server *v = &s->servers[m->task];
    size_t index = m->task;
    bool present = mu_spread_is(v, MU_SPREAD_PRESENT);
    if (!present)
        v->queue = m->kind == MU_TASK_PAIR ? mu_spread_queue_of_pair(s, m->task, m->peer) : v->home_queue;
    v->kind = (uint8_t)m->kind;
    v->peer = (uint32_t)m->peer;
    v->number = ++s->n_tasks;
    v->delivery = 0;
    v->agent = MU_SPREAD_NOBODY;
    v->tries = 0;
    v->flags &= MU_SPREAD_LISTED | MU_SPREAD_UNKEPT | MU_SPREAD_TOLD | MU_SPREAD_PRESENT;
    s->queues[v->queue].n_open++;
    v->state = MU_SPREAD_WAITS;
    if (m->verdict || m->repeat || m->text || m->plain.len || m->number)
        v->deal = m;
    else
        mu_message_free(&m->head);
    if (present) { /* an earlier process of this run has posted it, if it is the same */
        mu_spread_set(v, MU_SPREAD_MAYBE, true);
        mu_spread_look(s, index);
    } else if (!mu_spread_is(v, MU_SPREAD_UNKEPT)) { /* else when that is kept */
        mu_spread_soon(s, index, 0);
    }
    mu_spread_pump(s);
}

void mu_spread_close_task(struct mu_spread *s, size_t index)
{
    struct mu_spread_server *v = &s->servers[index];
    s->queues[v->queue].n_open--;
    if (v->state == MU_SPREAD_STARTED && v->agent != MU_SPREAD_NOBODY)
        s->agents[v->agent]->n_started--;
    v->state = MU_SPREAD_NONE;
    v->number = 0;
    v->flags &= (uint8_t) ~(MU_SPREAD_PRESENT | MU_SPREAD_MAYBE);
    mu_message_free(v->deal ? &v->deal->head : NULL);
    v->deal = NULL;
    free(v->trail);
    v->trail = NULL;
    mu_spread_give_back(s, index);
}

void mu_spread_free_posts(struct mu_spread *s)
{
    struct mu_list *l;
    while ((l = mu_list_pop(&s->posts)))
        free(mu_list_entry(l, struct post, link));
}
