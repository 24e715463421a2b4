#include "ssh/gate.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loop/mailbox.h"

struct mu_gate {
    struct mu_list link;
    struct mu_list line; /* tickets that wait */
    unsigned inside, max;
    char name[];
};

struct mu_gates {
    pthread_mutex_t lock; /* over all below, and every ticket */
    struct mu_list gates;
    uint64_t interval_us, next_us; /* of starts; interval 0: no rate */
};

struct mu_gate_home {
    struct mu_gates *gates;
    struct mu_mailbox *mailbox;
    struct mu_list told; /* tickets that are in, and whose fn is due; under the lock */
};

struct mu_gates *mu_gates_new(unsigned starts_per_s)
{
    struct mu_gates *g = calloc(1, sizeof(*g));

    if (!g)
        return NULL;
    pthread_mutex_init(&g->lock, NULL);
    mu_list_init(&g->gates);
    g->interval_us = starts_per_s ? 1000000 / starts_per_s : 0;
    return g;
}

void mu_gates_free(struct mu_gates *g)
{
    struct mu_list *l;

    if (!g)
        return;
    while ((l = mu_list_pop(&g->gates)))
        free(mu_list_entry(l, struct mu_gate, link));
    pthread_mutex_destroy(&g->lock);
    free(g);
}

static void on_nudge(void *arg, struct mu_msg *msg)
{
    struct mu_gate_home *h = arg;
    struct mu_list *l;

    (void)msg;
    pthread_mutex_lock(&h->gates->lock);
    while ((l = mu_list_pop(&h->told))) {
        struct mu_gate_ticket *t = mu_list_entry(l, struct mu_gate_ticket, link);

        pthread_mutex_unlock(&h->gates->lock);
        t->fn(t->arg);
        pthread_mutex_lock(&h->gates->lock);
    }
    pthread_mutex_unlock(&h->gates->lock);
}

int mu_gate_home_new(struct mu_gate_home **out, struct mu_gates *g, struct mu_loop *loop, struct mu_err *err)
{
    struct mu_gate_home *h = calloc(1, sizeof(*h));
    int rc;

    *out = NULL;
    if (!h)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    h->gates = g;
    mu_list_init(&h->told);
    rc = mu_mailbox_new(&h->mailbox, loop, on_nudge, h, err);
    if (rc)
        free(h);
    else
        *out = h;
    return rc;
}

void mu_gate_home_free(struct mu_gate_home *h)
{
    if (!h)
        return;
    /* Who let the last ticket in may still be at the mailbox. */
    pthread_mutex_lock(&h->gates->lock);
    pthread_mutex_unlock(&h->gates->lock);
    mu_mailbox_free(h->mailbox, NULL);
    free(h);
}

static struct mu_gate *find(struct mu_gates *g, const char *name, unsigned max)
{
    size_t len = strlen(name) + 1;
    struct mu_gate *gate;

    for (struct mu_list *l = g->gates.next; l != &g->gates; l = l->next) {
        gate = mu_list_entry(l, struct mu_gate, link);
        if (strcmp(gate->name, name) == 0)
            return gate;
    }
    gate = calloc(1, sizeof(*gate) + len);
    if (!gate)
        return NULL;
    memcpy(gate->name, name, len);
    gate->max = max;
    mu_list_init(&gate->line);
    mu_list_push(&g->gates, &gate->link);
    return gate;
}

bool mu_gate_enter(struct mu_gate_ticket *t, struct mu_gate_home *h, const char *name, unsigned max, void (*fn)(void *arg),
                   void *arg)
{
    struct mu_gates *g = h->gates;
    bool in;

    *t = (struct mu_gate_ticket){.home = h, .fn = fn, .arg = arg};
    mu_list_init(&t->link);
    pthread_mutex_lock(&g->lock);
    t->gate = find(g, name, max);
    t->in = !t->gate || t->gate->inside < t->gate->max;
    if (t->gate && t->in)
        t->gate->inside++;
    else if (t->gate)
        mu_list_push(&t->gate->line, &t->link);
    in = t->in; /* after that others may let us in */
    pthread_mutex_unlock(&g->lock);
    return in;
}

/* An empty gate is gone: a run may go through many. */
static void tidy(struct mu_gate *gate)
{
    if (gate->inside || !mu_list_empty(&gate->line))
        return;
    mu_list_remove(&gate->link);
    free(gate);
}

void mu_gate_leave(struct mu_gate_ticket *t)
{
    struct mu_gate *gate = t->gate;
    struct mu_gates *g;
    struct mu_list *l;

    if (!gate)
        return;
    g = t->home->gates;
    pthread_mutex_lock(&g->lock);
    mu_list_remove(&t->link);
    t->gate = NULL;
    if (t->in && (l = mu_list_pop(&gate->line))) {
        struct mu_gate_ticket *next = mu_list_entry(l, struct mu_gate_ticket, link);

        next->in = true;
        mu_list_push(&next->home->told, l);
        mu_mailbox_nudge(next->home->mailbox);
    } else {
        gate->inside -= t->in;
        tidy(gate);
    }
    t->in = false;
    pthread_mutex_unlock(&g->lock);
}

uint64_t mu_gates_start(struct mu_gates *g)
{
    struct timespec ts;
    uint64_t now_us, wait_us;

    if (!g->interval_us)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    now_us = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
    pthread_mutex_lock(&g->lock);
    if (g->next_us < now_us)
        g->next_us = now_us;
    wait_us = g->next_us - now_us;
    g->next_us += g->interval_us;
    pthread_mutex_unlock(&g->lock);
    return (wait_us + 999) / 1000;
}
