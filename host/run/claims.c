#include "run/claims.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"

#define NOBODY (-1) /* asks */

struct question {
    size_t server;
    enum mu_claim_op op;
    char *data;
    int worker;
    uint64_t ticket;
    struct mu_err err;
};

struct mu_claims {
    struct mu_journal *journal;
    struct mu_server *const *servers;
    size_t n, n_open;
    char **data; /* a server each; NULL: not claimed */
    bool *noted; /* a server each: claimed, when all that was asked is written */
    struct question *asked;
    size_t n_asked, cap;
    mu_claims_fn *fn;
    void *arg;
};

int mu_claims_new(struct mu_claims **out, struct mu_journal *journal, struct mu_server *const *servers, size_t n,
                  mu_claims_fn *fn, void *arg, struct mu_err *err)
{
    struct mu_claims *c = calloc(1, sizeof *c);
    *out = NULL;
    if (c)
        *c = (struct mu_claims){.journal = journal, .servers = servers, .n = n, .fn = fn, .arg = arg,
                                .data = calloc(n ? n : 1, sizeof *c->data), .noted = calloc(n ? n : 1, sizeof *c->noted)};
    if (!c || !c->data || !c->noted) {
        if (c) {
            free(c->data);
            free(c->noted);
        }
        free(c);
        mu_journal_close(journal, false);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    *out = c;
    return 0;
}

static void free_claims(struct mu_claims *c, bool empty)
{
    mu_journal_close(c->journal, empty);
    for (size_t i = 0; i < c->n; i++)
        free(c->data[i]);
    for (size_t i = 0; i < c->n_asked; i++)
        free(c->asked[i].data);
    free(c->data);
    free(c->noted);
    free(c->asked);
    free(c);
}

void mu_claims_free(struct mu_claims *c)
{
    if (c)
        free_claims(c, c->n_open == 0);
}

void mu_claims_let_go(struct mu_claims *c) { free_claims(c, false); }

int mu_claims_set_open(struct mu_claims *c, size_t server, const char *data)
{
    c->data[server] = strdup(data);
    if (!c->data[server])
        return MU_ENOMEM;
    c->noted[server] = true;
    c->n_open++;
    return 0;
}

/* Into the journal's buffer; q->err says why not. */
static void note(struct mu_claims *c, struct question *q)
{
    const struct mu_server *s = c->servers[q->server];
    bool open = c->noted[q->server];
    if (q->op == MU_CLAIM && open)
        mu_err_set(&q->err, MU_ESTATE, "the server is claimed already: release it first");
    else if (q->op != MU_CLAIM && !open)
        mu_err_set(&q->err, MU_ESTATE, "the server is not claimed");
    else if (q->op != MU_CLAIM_RELEASE && !q->data)
        mu_err_set(&q->err, MU_ENOMEM, "out of memory");
    else if (c->journal && q->op == MU_CLAIM)
        mu_journal_claim(c->journal, s, q->data, &q->err);
    else if (c->journal && q->op == MU_CLAIM_UPDATE)
        mu_journal_update(c->journal, s->id, q->data, &q->err);
    else if (c->journal)
        mu_journal_release(c->journal, s->id, &q->err);
    if (!q->err.code)
        c->noted[q->server] = q->op != MU_CLAIM_RELEASE;
}

static struct question *new_question(struct mu_claims *c)
{
    if (c->n_asked == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 64;
        struct question *more = realloc(c->asked, cap * sizeof *more);
        if (!more)
            return NULL;
        c->asked = more;
        c->cap = cap;
    }
    return &c->asked[c->n_asked++];
}

void mu_claims_ask(struct mu_claims *c, size_t server, enum mu_claim_op op, char *data, int worker, uint64_t ticket)
{
    struct question *q = new_question(c);
    if (!q) {
        struct mu_err err;
        free(data);
        mu_err_set(&err, MU_ENOMEM, "out of memory");
        c->fn(c->arg, worker, ticket, &err);
        return;
    }
    *q = (struct question){.server = server, .op = op, .data = data, .worker = worker, .ticket = ticket};
    note(c, q);
}

void mu_claims_set(struct mu_claims *c, size_t server, const char *data)
{
    bool open = c->noted[server];
    struct question *q = NULL;
    char *copy = NULL;
    if (!data && !open)
        return;
    while (!(q || (q = new_question(c))) || (data && !(copy = strdup(data))))
        usleep(10000); /* there is nobody to say no to */
    enum mu_claim_op op = !data ? MU_CLAIM_RELEASE : open ? MU_CLAIM_UPDATE : MU_CLAIM;
    *q = (struct question){.server = server, .op = op, .data = copy, .worker = NOBODY};
    note(c, q);
}

/* It is on the disk, or nobody can be told that it is not. */
static void settle(struct mu_claims *c, struct question *q)
{
    char **data = &c->data[q->server];
    c->n_open += (size_t)(q->op != MU_CLAIM_RELEASE) - (size_t)(*data != NULL);
    free(*data);
    *data = q->op == MU_CLAIM_RELEASE ? NULL : q->data;
    if (q->op != MU_CLAIM_RELEASE)
        q->data = NULL;
}

void mu_claims_flush(struct mu_claims *c)
{
    struct mu_err err = {0};
    if (!c->n_asked)
        return;
    if (c->journal && mu_journal_sync(c->journal, &err))
        mu_log(MU_ERROR, "%s", err.msg);
    for (size_t i = 0; i < c->n_asked; i++) {
        struct question *q = &c->asked[i];
        if (q->worker == NOBODY && q->err.code)
            mu_log(MU_ERROR, "server %s: its claim is not in the journal: %s", c->servers[q->server]->id, q->err.msg);
        if (!q->err.code && err.code)
            q->err = err;
        if (!q->err.code || q->worker == NOBODY)
            settle(c, q);
        c->noted[q->server] = c->data[q->server] != NULL; /* after the last question about it */
        if (q->worker != NOBODY)
            c->fn(c->arg, q->worker, q->ticket, &q->err);
        free(q->data);
    }
    c->n_asked = 0;
}

const char *mu_claims_data(const struct mu_claims *c, size_t server) { return c->data[server]; }
const char *mu_claims_path(const struct mu_claims *c) { return c->journal ? mu_journal_path(c->journal) : NULL; }
