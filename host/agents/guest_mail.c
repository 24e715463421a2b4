/* What a guest's workers say: most of it is what their tasks came to, and goes into the seat's notes; the rest are questions,
 * which the coordinator answers, or, of claims, the queue. */
#include "agents/agent_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "run/ask.h"

/* A permit that is waited for, or held. Tickets of workers are not unique in an agent: on the wire they have numbers of their
 * own. */
struct question {
    struct mu_list link;
    uint64_t number;
    int worker;
    uint64_t ticket;
    size_t index;
    uint64_t delivery;
    char *name;
    unsigned limit;
    bool first, held;
};

static void answer(struct mu_guest *g, int worker, uint64_t ticket, const struct mu_err *err)
{
    if (g->state < MU_GUEST_LEAVING)
        g->crew.crew.ops->answer(&g->crew.crew, worker, ticket, err);
}

/* ---- what tasks came to ---- */

static void note(struct mu_guest *g, struct mu_seat *seat, const struct mu_message *m)
{
    if (!seat->silent)
        mu_wire_add_note(&seat->notes, m, mu_seats_index(&g->seats, m->task), m->kind == MU_TASK_PAIR ? seat->task.peer : 0);
}

static void tell_result(struct mu_guest *g, struct mu_seat *seat)
{
    struct mu_wire_event e = {.kind = MU_EVENT_RESULT,
                              .index = seat->task.index,
                              .task = seat->task.kind,
                              .delivery = seat->delivery,
                              .wall_ms = mu_clock_wall_ms()};
    struct mu_buf event = MU_BUF_INIT;
    if (seat->told || seat->silent)
        return;
    if (!seat->notes.failed)
        mu_wire_add_result(&event, &e, &seat->notes);
    if (seat->notes.failed || event.failed) {
        mu_log(MU_ERROR, "Run %s: the result of server %s is lost: out of memory.", g->run_id, seat->server->id);
        mu_guest_put_of(g, seat, MU_EVENT_REFUSED, "the result was lost at the agent: out of memory");
        mu_buf_free(&event);
    } else {
        mu_outbox_put_take(g->outbox, &event);
    }
    seat->told = true;
    mu_buf_free(&seat->notes);
}

/* The server's own end: its result is told now, so that what the task logs of its end comes after it. DONE, which follows, has
 * nothing more to say. */
static void ending(struct mu_guest *g, struct mu_seat *seat, const struct mu_message *m)
{
    struct mu_message done = *m;
    note(g, seat, m);
    done.head.kind = MU_MSG_DONE;
    done.number = m->took_ms;
    note(g, seat, &done);
    tell_result(g, seat);
    answer(g, m->worker, m->number, NULL);
}

static void task_done(struct mu_guest *g, struct mu_seat *seat, const struct mu_message *m)
{
    g->crew.crew.ops->done(&g->crew.crew, m);
    if (!seat->told) {
        note(g, seat, m);
        tell_result(g, seat);
    }
    g->n_done += seat->told;
    mu_guest_seat_over(g, seat);
    mu_guest_go_on(g); /* one that waited for it */
    mu_agent_want(g->agent);
}

/* ---- claims ---- */

static void claim_changed(void *arg, const char *data, const struct mu_err *err)
{
    struct mu_seat *seat = arg;
    struct mu_guest *g = seat->guest;
    /* Also of one that is to tell nothing any more: what is claimed is so. */
    if (!err)
        mu_guest_put_claim(g, seat, data);
    else
        mu_log(MU_WARNING, "Run %s: server %s: %s", g->run_id, seat->server->id, err->msg);
    answer(g, seat->asker, seat->ticket, err);
    if (err && err->code == MU_EEXIST && seat->state == MU_SEAT_RUNS)
        mu_guest_lose_one(g, seat); /* what it comes to is no result */
    mu_guest_settle(g, seat);
}

static void change_claim(struct mu_guest *g, struct mu_seat *seat, const struct mu_message *m)
{
    struct mu_buf subject = MU_BUF_INIT;
    struct mu_err err;
    bool release = (enum mu_claim_op)m->amount == MU_CLAIM_RELEASE, busy = mu_fence_is_busy(&seat->fence);
    mu_subject_claim(&subject, g->run_id, seat->task.index);
    if (busy || subject.failed || (!release && !m->text)) {
        mu_err_set(&err, busy ? MU_ESTATE : MU_ENOMEM, "the claim cannot be changed: %s",
                   busy ? "another change is under way" : "out of memory");
        answer(g, m->worker, m->number, &err);
    } else {
        seat->guest = g;
        seat->asker = m->worker;
        seat->ticket = m->number;
        mu_fence_change(&seat->fence, g->agent->nats, subject.data, g->agent->id, ++g->agent->changes, release ? NULL : m->text,
                        claim_changed, seat);
    }
    mu_buf_free(&subject);
}

/* ---- permits ---- */

static void put_question(struct mu_guest *g, const struct question *q)
{
    mu_guest_put(g, &(struct mu_wire_event){.kind = MU_EVENT_ACQUIRE,
                                            .index = q->index,
                                            .delivery = q->delivery,
                                            .ticket = q->number,
                                            .text = q->name,
                                            .limit = q->limit,
                                            .first = q->first,
                                            .held = q->held});
}

static void forget(struct question *q)
{
    mu_list_remove(&q->link);
    free(q->name);
    free(q);
}

static void acquire(struct mu_guest *g, const struct mu_seat *seat, struct mu_message *m)
{
    struct question *q = calloc(1, sizeof *q);
    struct mu_err err;
    if (!q || !m->text) {
        free(q);
        mu_err_set(&err, MU_ENOMEM, "out of memory");
        answer(g, m->worker, m->number, &err);
        return;
    }
    *q = (struct question){.number = ++g->agent->tickets, .worker = m->worker, .ticket = m->number, .index = seat->task.index,
                           .delivery = seat->delivery, .name = m->text, .limit = m->amount, .first = m->first};
    m->text = NULL;
    mu_list_push(&g->questions, &q->link);
    put_question(g, q);
}

static void leave(struct mu_guest *g, const struct mu_message *m)
{
    for (struct mu_list *l = g->questions.next; l != &g->questions; l = l->next) {
        struct question *q = mu_list_entry(l, struct question, link);
        if (q->worker != m->worker || q->ticket != m->number)
            continue;
        mu_guest_put(g, &(struct mu_wire_event){
                            .kind = MU_EVENT_LEAVE, .index = q->index, .delivery = q->delivery, .ticket = q->number});
        forget(q);
        return;
    }
}

void mu_guest_answered(struct mu_guest *g, const struct mu_wire_word *w)
{
    for (struct mu_list *l = g->questions.next; l != &g->questions; l = l->next) {
        struct question *q = mu_list_entry(l, struct question, link);
        struct mu_err err = {0};
        if (q->number != w->ticket || q->held)
            continue;
        if (w->code) {
            mu_err_set(&err, w->code, "%s", w->text ? w->text : "the coordinator does not say why");
            answer(g, q->worker, q->ticket, &err);
            forget(q);
        } else {
            q->held = true;
            answer(g, q->worker, q->ticket, NULL);
        }
        return;
    }
}

void mu_guest_ask_anew(struct mu_guest *g, bool held_too)
{
    for (struct mu_list *l = g->questions.next; l != &g->questions; l = l->next) {
        struct question *q = mu_list_entry(l, struct question, link);
        if (!q->held || held_too)
            put_question(g, q);
    }
}

void mu_guest_forget_questions(struct mu_guest *g)
{
    while (!mu_list_empty(&g->questions))
        forget(mu_list_entry(g->questions.next, struct question, link));
}

/* ---- all of it ---- */

void mu_guest_mail(void *arg, struct mu_msg *msg)
{
    struct mu_guest *g = arg;
    struct mu_message *m = (struct mu_message *)msg;
    if (!m)
        return; /* a nudge of the watchdog's */
    struct mu_seat *seat = mu_seats_at(&g->seats, m->task);
    if (m->head.kind == MU_MSG_EXITED) {
        mu_crew_local_exited(&g->crew, m);
        if (g->state == MU_GUEST_LEAVING && g->crew.n_exited == g->crew.n_started)
            g->state = MU_GUEST_GONE;
    } else if (g->state >= MU_GUEST_LEAVING) {
        /* nothing is told any more, and the connection may be gone */
    } else if (m->head.kind == MU_MSG_LEAVE) {
        leave(g, m);
    } else if (seat) {
        switch (m->head.kind) {
        case MU_MSG_ACQUIRE:
            acquire(g, seat, m);
            break;
        case MU_MSG_CLAIM:
            change_claim(g, seat, m);
            break;
        case MU_MSG_STARTED: /* was told when it was */
            break;
        case MU_MSG_ENDING:
            ending(g, seat, m);
            break;
        case MU_MSG_DONE:
            task_done(g, seat, m);
            break;
        default:
            note(g, seat, m);
            if (m->head.kind == MU_MSG_STEP && m->number) /* who waits for more than this waits at its end */
                answer(g, m->worker, m->number, NULL);
            break;
        }
    }
    mu_message_free(msg);
}
