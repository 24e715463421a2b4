#include "run/threshold_read.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COHORT_LEAST = 3, COHORT_MOST = 1000000, PAST_LEAST = 3, PAST_MOST = 1000 };

struct reading {
    struct mu_threshold *th;
    const struct mu_table *t;
    const char *label;
    const char **word;
    struct mu_err *err;
    int rc;
};

#define complain(r, ...)                                                                                              \
    do {                                                                                                              \
        if (!(r)->rc) {                                                                                               \
            (r)->rc = mu_err_set((r)->err, MU_EINVAL, __VA_ARGS__);                                                   \
            mu_err_prefix((r)->err, "threshold %s", (r)->label);                                                      \
        }                                                                                                             \
    } while (0)

static struct mu_given get(struct reading *r, const char *field)
{
    struct mu_given g = {0};
    r->t->get(r->t->arg, field, &g);
    return g;
}

bool mu_table_knows(const char *known, const char *name)
{
    size_t n = strlen(name);
    const char *at = known;
    while (n && (at = strstr(at, name)) && !((at == known || at[-1] == ' ') && (at[n] == ' ' || !at[n])))
        at += n;
    return n && at;
}

int mu_table_check(const struct mu_table *table, const char *what, const char *known, const char **word, struct mu_err *err)
{
    const char *name = table->unknown(table->arg, known);
    if (!name)
        return 0;
    *word = *name ? name : NULL;
    if (!*name)
        return mu_err_set(err, MU_EINVAL, "%s has an entry without a name; known fields: %s", what, known);
    struct mu_buf shown = MU_BUF_INIT;
    mu_buf_add_escaped(&shown, name, strlen(name) > 60 ? 60 : strlen(name));
    mu_err_set(err, MU_EINVAL, "%s has no field '%s'; known fields: %s", what, mu_buf_cstr(&shown), known);
    mu_buf_free(&shown);
    return MU_EINVAL;
}

/* ---- single values ---- */

static bool number(struct reading *r, const char *field, double *out)
{
    struct mu_given g = get(r, field);
    if (g.kind == MU_GIVEN_NOTHING)
        return false;
    if (g.kind != MU_GIVEN_NUMBER)
        complain(r, "%s must be a number, not %s", field, g.type);
    else if (isnan(g.number))
        complain(r, "%s is NaN", field);
    *out = g.number;
    return true;
}

/* An amount; called: the field's full name for messages. */
static bool amount(struct reading *r, const char *field, const char *called, struct mu_amount *out)
{
    struct mu_given g = get(r, field);
    struct mu_err why;
    if (g.kind == MU_GIVEN_NOTHING)
        return false;
    if (g.kind == MU_GIVEN_TEXT) {
        if (mu_amount_parse(out, g.text, &why))
            complain(r, "%s: %s", called, why.msg);
    } else if (g.kind == MU_GIVEN_NUMBER) {
        *out = (struct mu_amount){MU_AMOUNT_PLAIN, g.number};
        if (!(g.number >= 0) || isinf(g.number))
            complain(r, "%s must not be below 0", called);
    } else {
        complain(r, "%s must be an amount, \"10%%\" or a number, not %s", called, g.type);
    }
    return true;
}

static void unit(struct reading *r)
{
    struct mu_given g = get(r, "unit");
    if (g.kind == MU_GIVEN_TEXT) {
        if (!(r->th->unit = strdup(g.text)) && !r->rc)
            r->rc = mu_err_set(r->err, MU_ENOMEM, "out of memory");
    } else if (g.kind != MU_GIVEN_NOTHING) {
        complain(r, "unit must be a string");
    }
}

/* ---- bounds ---- */

static void tolerance(struct reading *r)
{
    struct mu_threshold *th = r->th;
    if (get(r, "tolerance").kind != MU_GIVEN_TABLE) {
        if (!amount(r, "tolerance", "tolerance", &th->lower))
            complain(r, "reference needs a tolerance: \"10%%\", or { lower = \"5%%\", upper = \"10%%\" }");
        th->upper = th->lower;
        return;
    }
    r->t->enter(r->t->arg, "tolerance");
    char what[160];
    snprintf(what, sizeof what, "threshold %s: tolerance", r->label);
    if (!r->rc)
        r->rc = mu_table_check(r->t, what, "lower upper", r->word, r->err);
    bool low = amount(r, "lower", "tolerance.lower", &th->lower), up = amount(r, "upper", "tolerance.upper", &th->upper);
    if (!low && !up)
        complain(r, "tolerance has neither lower nor upper");
    r->t->leave(r->t->arg);
}

static void bounds(struct reading *r)
{
    struct mu_threshold *th = r->th;
    th->has_min = number(r, "min", &th->min);
    th->has_max = number(r, "max", &th->max);
    th->has_reference = number(r, "reference", &th->reference);
    if (!th->has_reference) {
        if (get(r, "tolerance").kind != MU_GIVEN_NOTHING)
            complain(r, "tolerance without a reference");
        if (th->has_min && th->has_max && th->min > th->max)
            complain(r, "min %g is above max %g, nothing could pass", th->min, th->max);
        return;
    }
    if (th->has_min || th->has_max)
        complain(r, "reference and its tolerance are the bounds already: take %s out, or reference",
                 th->has_min ? "min" : "max");
    if (isinf(th->reference))
        complain(r, "reference must be a finite number");
    tolerance(r);
    if (!r->rc)
        mu_threshold_settle(th);
}

/* ---- peers ---- */

static void group_by(struct reading *r)
{
    struct mu_given g = get(r, "group_by");
    if (g.kind == MU_GIVEN_TEXT && *g.text) {
        if (!(r->th->peers.group_by = strdup(g.text)) && !r->rc)
            r->rc = mu_err_set(r->err, MU_ENOMEM, "out of memory");
    } else if (g.kind != MU_GIVEN_NOTHING) {
        complain(r, "peers.group_by must be the name of a variable");
    }
}

static void whole(struct reading *r, const char *field, const char *called, unsigned least, unsigned most, unsigned *out)
{
    struct mu_given g = get(r, field);
    if (g.kind == MU_GIVEN_NUMBER && g.number >= least && g.number <= most && g.number == floor(g.number))
        *out = (unsigned)g.number;
    else if (g.kind != MU_GIVEN_NOTHING)
        complain(r, "%s must be a whole number from %u to %u", called, least, most);
}

static void peers(struct reading *r)
{
    struct mu_given g = get(r, "peers");
    struct mu_peers *p = &r->th->peers;
    char what[160];
    if (g.kind == MU_GIVEN_NOTHING)
        return;
    p->on = true;
    p->min_cohort = MU_PEERS_MIN_COHORT;
    if (g.kind != MU_GIVEN_TABLE) {
        complain(r, "peers must be a table such as { group_by = \"model\", drop = \"10%%\" }, not %s", g.type);
        return;
    }
    r->t->enter(r->t->arg, "peers");
    snprintf(what, sizeof what, "threshold %s: peers", r->label);
    if (!r->rc)
        r->rc = mu_table_check(r->t, what, "group_by drop rise min_cohort", r->word, r->err);
    group_by(r);
    bool drop = amount(r, "drop", "peers.drop", &p->drop), rise = amount(r, "rise", "peers.rise", &p->rise);
    if (!drop && !rise)
        complain(r, "peers has neither drop nor rise");
    whole(r, "min_cohort", "peers.min_cohort", COHORT_LEAST, COHORT_MOST, &p->min_cohort);
    r->t->leave(r->t->arg);
}

/* ---- history ---- */

static void history(struct reading *r)
{
    struct mu_given g = get(r, "history");
    struct mu_history *h = &r->th->history;
    char what[160];
    if (g.kind == MU_GIVEN_NOTHING)
        return;
    *h = (struct mu_history){.on = true, .last = MU_HISTORY_LAST, .min_runs = MU_HISTORY_MIN_RUNS};
    if (g.kind != MU_GIVEN_TABLE) {
        complain(r, "history must be a table such as { last = 10, drop = \"5%%\" }, not %s", g.type);
        return;
    }
    r->t->enter(r->t->arg, "history");
    snprintf(what, sizeof what, "threshold %s: history", r->label);
    if (!r->rc)
        r->rc = mu_table_check(r->t, what, "last drop rise min_runs", r->word, r->err);
    bool drop = amount(r, "drop", "history.drop", &h->drop), rise = amount(r, "rise", "history.rise", &h->rise);
    if (!drop && !rise)
        complain(r, "history has neither drop nor rise");
    whole(r, "last", "history.last", PAST_LEAST, PAST_MOST, &h->last);
    if (h->last < h->min_runs)
        h->min_runs = h->last; /* where only last was given */
    whole(r, "min_runs", "history.min_runs", PAST_LEAST, PAST_MOST, &h->min_runs);
    if (h->min_runs > h->last)
        complain(r, "history.min_runs %u is more than history.last %u: it would never judge", h->min_runs, h->last);
    r->t->leave(r->t->arg);
}

int mu_threshold_read(struct mu_threshold *th, const struct mu_table *table, const char *label, const char *allowed,
                      const char **word, struct mu_err *err)
{
    struct reading r = {.th = th, .t = table, .label = label, .word = word, .err = err};
    char what[160];
    *word = NULL;
    snprintf(what, sizeof what, "threshold %s", label);
    r.rc = mu_table_check(table, what, allowed, word, err);
    bounds(&r);
    peers(&r);
    history(&r);
    if (!th->has_min && !th->has_max && !th->has_reference && !th->peers.on && !th->history.on)
        complain(&r, "there is none of min, max, reference, peers and history");
    unit(&r);
    return r.rc;
}
