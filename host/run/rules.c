#include "run/rules.h"

#include <stdlib.h>
#include <string.h>

#include "run/override.h"
#include "run/script.h"

struct mu_rules {
    const struct mu_script *script;
    struct mu_server *const *servers;
    struct mu_overrides *overrides; /* a server each */
    size_t n;
};

/* ---- what a name stands for ---- */

static bool declares(const struct mu_step *st, const char *metric)
{
    for (size_t i = 0; i < st->n_rules; i++)
        if (!strcmp(st->rules[i].th.metric, metric))
            return true;
    return false;
}

static void list_metrics(const struct mu_step *st, struct mu_buf *out)
{
    for (size_t i = 0; i < st->n_rules; i++)
        if (!i || strcmp(st->rules[i - 1].th.metric, st->rules[i].th.metric) != 0)
            mu_buf_addf(out, "%s%s.%s", i ? ", " : "", st->name, st->rules[i].th.metric);
}

static int no_such(const struct mu_script *s, const char *name, const struct mu_step *st, struct mu_err *err)
{
    struct mu_buf known = MU_BUF_INIT, shown = MU_BUF_INIT;
    size_t len = strlen(name);
    mu_buf_add_escaped(&shown, name, len > 60 ? 60 : len);
    if (st) {
        list_metrics(st, &known);
        mu_err_set(err, MU_EINVAL, "%s has no threshold '%s'; step %s has: %s", s->path, mu_buf_cstr(&shown), st->name,
                   mu_buf_cstr(&known));
    } else {
        for (size_t i = 0; i < s->n_steps; i++)
            mu_buf_addf(&known, "%s%s", i ? ", " : "", s->steps[i].name);
        mu_err_set(err, MU_EINVAL, "threshold '%s' is no STEP.METRIC of %s; its steps are: %s", mu_buf_cstr(&shown), s->path,
                   mu_buf_cstr(&known));
    }
    mu_buf_free(&known);
    mu_buf_free(&shown);
    return MU_EINVAL;
}

/* Names of steps may hold dots: of two that fit, the one that has such a threshold, then the longer one. */
int mu_rules_target(const struct mu_script *s, const char *name, size_t *step, const char **metric, struct mu_err *err)
{
    const struct mu_step *best = NULL;
    bool best_declares = false;
    for (size_t i = 0; i < s->n_steps; i++) {
        const struct mu_step *st = &s->steps[i];
        size_t n = strlen(st->name);
        if (strncmp(name, st->name, n) != 0 || name[n] != '.' || !name[n + 1])
            continue;
        bool has = declares(st, name + n + 1);
        if (best && (best_declares != has ? best_declares : strlen(best->name) >= n))
            continue;
        best = st;
        best_declares = has;
        *step = i;
        *metric = name + n + 1;
    }
    if (!best || (!best_declares && best->n_rules))
        return no_such(s, name, best, err);
    return 0;
}

/* ---- a run's ---- */

/* Who says nothing of the unit means the one that the script says. */
static int take_unit(const struct mu_rules *r, const struct mu_server *srv, struct mu_override *o)
{
    struct mu_rule *script_rule = mu_step_rule(&r->script->steps[o->step], srv, o->th.metric);
    if (o->th.unit || !script_rule || !script_rule->th.unit)
        return 0;
    o->th.unit = strdup(script_rule->th.unit);
    return o->th.unit ? 0 : MU_ENOMEM;
}

int mu_rules_seat(struct mu_rules *r, size_t i, struct mu_err *err)
{
    const struct mu_server *srv = r->servers[i];
    struct mu_overrides *o = &r->overrides[i];
    mu_overrides_clear(o);
    int rc = srv ? mu_overrides_read(o, r->script, srv, err) : 0;
    if (rc)
        mu_err_prefix(err, "server %s", srv->id);
    for (size_t j = 0; !rc && j < o->n; j++)
        if (take_unit(r, srv, &o->items[j]))
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (rc)
        mu_overrides_clear(o);
    return rc;
}

int mu_rules_new(struct mu_rules **out, const struct mu_script *s, struct mu_server *const *servers, size_t n,
                 struct mu_err *err)
{
    struct mu_rules *r = calloc(1, sizeof *r);
    int rc = 0;
    if (r && !(r->overrides = calloc(n ? n : 1, sizeof *r->overrides))) {
        free(r);
        r = NULL;
    }
    if (!r)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    r->script = s;
    r->servers = servers;
    r->n = n;
    for (size_t i = 0; !rc && i < n; i++)
        rc = mu_rules_seat(r, i, err);
    if (rc)
        mu_rules_free(r);
    else
        *out = r;
    return rc;
}

void mu_rules_free(struct mu_rules *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        mu_overrides_clear(&r->overrides[i]);
    free(r->overrides);
    free(r);
}

struct mu_rule *mu_step_rule(const struct mu_step *st, const struct mu_server *srv, const char *metric)
{
    for (size_t i = 0; i < st->n_rules; i++) {
        struct mu_rule *rule = &st->rules[i];
        bool holds = !strcmp(rule->th.metric, metric);
        for (size_t j = 0; holds && j < rule->n_where; j++)
            holds = srv && mu_condition_holds(&rule->where[j], srv);
        if (holds)
            return rule;
    }
    return NULL;
}

const struct mu_threshold *mu_rules_find(const struct mu_rules *r, size_t server, size_t step, const char *metric)
{
    const struct mu_step *st = &r->script->steps[step];
    const struct mu_overrides *o = &r->overrides[server];
    for (size_t i = 0; i < st->n_set; i++)
        if (!strcmp(st->set[i].metric, metric))
            return &st->set[i];
    for (size_t i = 0; i < o->n; i++)
        if (o->items[i].step == step && !strcmp(o->items[i].th.metric, metric))
            return &o->items[i].th;
    const struct mu_rule *rule = mu_step_rule(st, r->servers[server], metric);
    return rule ? &rule->th : NULL;
}

const struct mu_threshold *mu_rules_next(const struct mu_rules *r, size_t server, size_t step, size_t *at)
{
    const struct mu_step *st = &r->script->steps[step];
    const struct mu_overrides *o = &r->overrides[server];
    while (*at < st->n_set + o->n + st->n_rules) {
        size_t i = (*at)++;
        const struct mu_threshold *th;
        if (i < st->n_set)
            th = &st->set[i];
        else if ((i -= st->n_set) < o->n)
            th = o->items[i].step == step ? &o->items[i].th : NULL;
        else
            th = &st->rules[i - o->n].th;
        if (th && mu_rules_find(r, server, step, th->metric) == th)
            return th;
    }
    return NULL;
}

bool mu_rules_history(const struct mu_rules *r, unsigned *last)
{
    *last = 0;
    for (size_t i = 0; i < r->n; i++)
        for (size_t step = 0; step < r->script->n_steps; step++) {
            const struct mu_threshold *th;
            for (size_t at = 0; (th = mu_rules_next(r, i, step, &at)) != NULL;)
                if (th->history.on && th->history.last > *last)
                    *last = th->history.last;
        }
    return *last > 0;
}
