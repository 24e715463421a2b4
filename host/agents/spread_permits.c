/* Permits of the run's semaphores, for tasks at agents: the run counts them (run/semaphore.h), by agent and ticket;
 * here is which server each belongs to, so that it comes back when that is over or somebody else's. */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "agents/spread_internal.h"
#include "core/clock.h"

struct permit {
    uint32_t agent;
    uint64_t ticket;
    size_t index;
    bool held;
};

static int by_ticket(const void *a, const void *b)
{
    const struct permit *x = a, *y = b;
    if (x->agent != y->agent)
        return x->agent < y->agent ? -1 : 1;
    return x->ticket < y->ticket ? -1 : x->ticket > y->ticket;
}

static struct permit *find(const struct mu_spread *s, uint32_t agent, uint64_t ticket)
{
    struct permit wanted = {.agent = agent, .ticket = ticket};
    void *found = tfind(&wanted, &s->permits, by_ticket);
    return found ? *(struct permit **)found : NULL;
}

static void answer(struct mu_spread *s, uint32_t agent, uint64_t ticket, const struct mu_err *err)
{
    struct mu_err copy = err ? *err : (struct mu_err){0};
    const struct mu_wire_word w = {
        .kind = MU_WORD_ANSWER, .ticket = ticket, .code = copy.code, .text = copy.code ? copy.msg : NULL};
    mu_spread_say(s, s->agents[agent]->id, &w);
}

static void mail(struct mu_spread *s, int kind, const struct permit *p, const struct mu_wire_event *e)
{
    struct mu_message *m;
    while (!(m = mu_message_new(kind)))
        mu_spread_pause(); /* the permit would never come back */
    m->task = p->index;
    m->worker = MU_CREW_ELSEWHERE + (int)p->agent;
    m->number = p->ticket;
    if (e) {
        m->amount = e->limit;
        m->first = e->first;
        m->code = e->held;
        while (!(m->text = strdup(e->text ? e->text : "")))
            mu_spread_pause();
    }
    mu_spread_mail(s, m);
}

static void forget(struct mu_spread *s, struct permit *p)
{
    tdelete(p, &s->permits, by_ticket);
    s->servers[p->index].permits--;
    free(p);
}

static void give_back(struct mu_spread *s, struct permit *p)
{
    struct permit was = *p;
    forget(s, p);
    mail(s, MU_MSG_LEAVE, &was, NULL);
}

void mu_spread_acquire(struct mu_spread *s, uint32_t agent, const struct mu_wire_event *e)
{
    struct permit *p = find(s, agent, e->ticket);
    if (!mu_spread_has(s, agent, e)) {
        mu_spread_drop(s, agent, e->index, e->delivery,
                       s->servers[e->index].state == MU_SPREAD_STARTED); /* whoever has the server now asks for it */
        return;
    }
    if (p) { /* asked anew, since an answer may have been lost */
        if (p->held)
            answer(s, agent, e->ticket, NULL);
        return;
    }
    if (!e->held && mu_clock_ms() < s->resume_until_ms)
        return; /* asked anew in a while; first those are heard who hold one */
    struct mu_spread_server *v = &s->servers[e->index];
    if (v->permits == UINT16_MAX || !(p = calloc(1, sizeof *p)))
        return; /* with the next time it is asked */
    *p = (struct permit){.agent = agent, .ticket = e->ticket, .index = e->index};
    if (!tsearch(p, &s->permits, by_ticket)) {
        free(p);
        return;
    }
    v->permits++;
    mail(s, MU_MSG_ACQUIRE, p, e);
}

void mu_spread_leave(struct mu_spread *s, uint32_t agent, uint64_t ticket)
{
    struct permit *p = find(s, agent, ticket);
    if (p)
        give_back(s, p);
}

void mu_spread_answer(struct mu_crew *c, int worker, uint64_t ticket, const struct mu_err *err)
{
    struct mu_spread *s = (struct mu_spread *)c;
    struct permit *p = worker < MU_CREW_ELSEWHERE ? NULL : find(s, (uint32_t)(worker - MU_CREW_ELSEWHERE), ticket);
    if (!p)
        return;
    uint32_t agent = p->agent;
    p->held = !err || !err->code;
    if (!p->held)
        forget(s, p);
    answer(s, agent, ticket, err);
}

/* ---- all of a server ---- */

struct search {
    size_t index;
    struct permit *found;
};

static void visit(const void *node, VISIT when, void *arg)
{
    struct search *search = arg;
    struct permit *p = *(struct permit *const *)node;
    if ((when == preorder || when == leaf) && p->index == search->index)
        search->found = p;
}

void mu_spread_give_back(struct mu_spread *s, size_t index)
{
    while (s->servers[index].permits) { /* seldom: a task gives back what it has before it ends */
        struct search search = {.index = index};
        twalk_r(s->permits, visit, &search);
        if (!search.found)
            break;
        give_back(s, search.found);
    }
}

void mu_spread_free_permits(struct mu_spread *s)
{
    tdestroy(s->permits, free);
    s->permits = NULL;
}
