#include "run/semaphore.h"

#include <search.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/list.h"

struct semaphore {
    struct semaphore *next;
    unsigned limit, held;
    struct mu_list line[2]; /* of those who wait: the second one goes first */
    char name[];
};

struct holder {
    struct mu_list link; /* in its line; on its own when it holds */
    struct semaphore *sem;
    int worker;
    uint64_t ticket;
    bool holds;
};

struct mu_semaphores {
    mu_semaphore_fn *fn;
    void *arg;
    struct semaphore *all; /* a handful */
    void *holders;         /* tsearch() tree, by worker and ticket: thousands may wait */
};

static int by_ticket(const void *a, const void *b)
{
    const struct holder *x = a, *y = b;
    if (x->worker != y->worker)
        return x->worker < y->worker ? -1 : 1;
    return x->ticket < y->ticket ? -1 : x->ticket > y->ticket;
}

struct mu_semaphores *mu_semaphores_new(mu_semaphore_fn *fn, void *arg)
{
    struct mu_semaphores *s = calloc(1, sizeof *s);
    if (s) {
        s->fn = fn;
        s->arg = arg;
    }
    return s;
}

void mu_semaphores_free(struct mu_semaphores *s)
{
    if (!s)
        return;
    tdestroy(s->holders, free);
    while (s->all) {
        struct semaphore *sem = s->all;
        s->all = sem->next;
        free(sem);
    }
    free(s);
}

static struct semaphore *get(struct mu_semaphores *s, const char *name, unsigned limit)
{
    struct semaphore *sem = s->all;
    while (sem && strcmp(sem->name, name) != 0)
        sem = sem->next;
    if (sem)
        return sem;
    size_t size = strlen(name) + 1;
    sem = calloc(1, sizeof *sem + size);
    if (!sem)
        return NULL;
    memcpy(sem->name, name, size);
    sem->limit = limit;
    mu_list_init(&sem->line[0]);
    mu_list_init(&sem->line[1]);
    sem->next = s->all;
    s->all = sem;
    return sem;
}

static void grant(struct mu_semaphores *s, struct semaphore *sem)
{
    struct mu_list *l;
    while (sem->held < sem->limit && ((l = mu_list_pop(&sem->line[1])) || (l = mu_list_pop(&sem->line[0])))) {
        struct holder *h = mu_list_entry(l, struct holder, link);
        h->holds = true;
        sem->held++;
        s->fn(s->arg, h->worker, h->ticket, NULL);
    }
}

/* NULL: it cannot have one, which was answered. */
static struct holder *add(struct mu_semaphores *s, const char *name, unsigned limit, int worker, uint64_t ticket)
{
    struct semaphore *sem = get(s, name, limit);
    struct holder *h = calloc(1, sizeof *h);
    struct mu_err err = {0};
    if (h)
        *h = (struct holder){.sem = sem, .worker = worker, .ticket = ticket};
    if (sem && sem->limit != limit)
        mu_err_set(&err, MU_EINVAL, "semaphore '%s' has %u permits in this run, not %u: one name, one number", name,
                   sem->limit, limit);
    else if (!sem || !h || !tsearch(h, &s->holders, by_ticket))
        mu_err_set(&err, MU_ENOMEM, "out of memory");
    if (!err.code)
        return h;
    free(h);
    s->fn(s->arg, worker, ticket, &err);
    return NULL;
}

void mu_semaphores_acquire(struct mu_semaphores *s, const char *name, unsigned limit, bool first, int worker,
                           uint64_t ticket)
{
    struct holder *h = add(s, name, limit, worker, ticket);
    if (!h)
        return;
    mu_list_push(&h->sem->line[first], &h->link);
    grant(s, h->sem);
}

void mu_semaphores_hold(struct mu_semaphores *s, const char *name, unsigned limit, int worker, uint64_t ticket)
{
    struct holder *h = add(s, name, limit, worker, ticket);
    if (!h)
        return;
    mu_list_init(&h->link);
    h->holds = true;
    h->sem->held++;
    s->fn(s->arg, worker, ticket, NULL);
}

void mu_semaphores_leave(struct mu_semaphores *s, int worker, uint64_t ticket)
{
    struct holder wanted = {.worker = worker, .ticket = ticket};
    struct holder **found = tfind(&wanted, &s->holders, by_ticket), *h = found ? *found : NULL;
    if (!h)
        return;
    tdelete(h, &s->holders, by_ticket);
    if (h->holds)
        h->sem->held--;
    else
        mu_list_remove(&h->link);
    grant(s, h->sem);
    free(h);
}
