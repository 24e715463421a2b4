#include "results/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/spread.h"

enum { SAMPLES_LEAST = 3, PAST_LEAST = 5 };
#define NOISE 3.0

const char *mu_change_name(enum mu_change_kind kind)
{
    static const char *const names[] = {"newly failed", "fixed", "other status", "worse", "better", "lower", "higher",
                                        "only in the first", "only in the second"};
    return names[kind];
}

/* A metric's relative changes, while they are counted. */
struct series {
    double *parts;
    size_t n, cap;
};

struct comparing {
    struct mu_comparison *c;
    struct series *series; /* one of each of c->metrics */
    size_t cap, cap_metrics;
    const struct mu_amount *least;
    const struct mu_past *past;
};

/* The array with room for one more, or NULL. */
static void *grow(void *array, size_t *cap, size_t n, size_t size)
{
    if (n < *cap)
        return array;
    void *grown = reallocarray(array, *cap ? 2 * *cap : 16, size);
    if (grown)
        *cap = *cap ? 2 * *cap : 16;
    return grown;
}

static int add_change(struct comparing *g, const struct mu_change *change)
{
    struct mu_change *grown = grow(g->c->changes, &g->cap, g->c->n, sizeof *grown);
    if (!grown)
        return MU_ENOMEM;
    g->c->changes = grown;
    grown[g->c->n++] = *change;
    return 0;
}

/* ---- metrics ---- */

static int sides_of_rule(const struct mu_threshold *th)
{
    bool more = (th->has_min && !th->has_max) || (th->peers.drop.kind && !th->peers.rise.kind) ||
                (th->history.drop.kind && !th->history.rise.kind);
    bool less = (th->has_max && !th->has_min) || (th->peers.rise.kind && !th->peers.drop.kind) ||
                (th->history.rise.kind && !th->history.drop.kind);
    return more == less ? 0 : more ? 1 : -1;
}

static int direction_of_unit(const char *unit)
{
    static const char *const times[] = {"ns", "us", "\xc2\xb5s", "\xce\xbcs", "ms", "s", "min", "h"};
    size_t n = unit ? strlen(unit) : 0;
    if (n > 2 && !strcmp(unit + n - 2, "/s"))
        return 1;
    for (size_t i = 0; n && i < sizeof times / sizeof *times; i++)
        if (!strcmp(unit, times[i]))
            return -1;
    return 0;
}

/* 1: more is better, -1: less, 0: nothing says so. */
static int direction(const struct mu_metric *before, const struct mu_metric *after)
{
    int d = sides_of_rule(&after->th);
    d = d ? d : sides_of_rule(&before->th);
    return d ? d : direction_of_unit(after->unit);
}

static double noise_of(const struct comparing *g, const char *server, const char *step, const struct mu_metric *a,
                       const struct mu_metric *b, enum mu_noise_from *from)
{
    size_t n = 0;
    *from = MU_NOISE_UNKNOWN;
    if (a->n_samples >= SAMPLES_LEAST && b->n_samples >= SAMPLES_LEAST) {
        *from = MU_NOISE_SAMPLES;
        return NOISE * MU_MAD_TO_SIGMA *
               sqrt(a->mad * a->mad / (double)a->n_samples + b->mad * b->mad / (double)b->n_samples);
    }
    const double *values = g->past ? mu_past_find(g->past, server, step, b->name, &n) : NULL;
    double *sorted = n >= PAST_LEAST ? reallocarray(NULL, n, sizeof *sorted) : NULL;
    if (!sorted)
        return 0;
    memcpy(sorted, values, n * sizeof *sorted);
    double middle = mu_spread_median(sorted, n), mad = mu_spread_mad(sorted, n, middle);
    free(sorted);
    *from = MU_NOISE_HISTORY;
    return NOISE * MU_MAD_TO_SIGMA * sqrt(2) * mad;
}

static int find_series(struct comparing *g, const char *step, const struct mu_metric *m, size_t hint, size_t *at)
{
    struct mu_comparison *c = g->c;
    for (size_t i = 0; i < c->n_metrics; i++) { /* most servers have the same ones in the same order */
        size_t k = (hint + i) % c->n_metrics;
        if (!strcmp(c->metrics[k].step, step) && !strcmp(c->metrics[k].metric, m->name)) {
            *at = k;
            return 0;
        }
    }
    size_t cap = g->cap_metrics;
    struct mu_metric_change *metrics = grow(c->metrics, &cap, c->n_metrics, sizeof *metrics);
    if (!metrics)
        return MU_ENOMEM;
    c->metrics = metrics;
    struct series *series = grow(g->series, &g->cap_metrics, c->n_metrics, sizeof *series);
    if (!series)
        return MU_ENOMEM;
    g->series = series;
    *at = c->n_metrics++;
    c->metrics[*at] = (struct mu_metric_change){.step = step, .metric = m->name, .unit = m->unit, .median = NAN};
    series[*at] = (struct series){0};
    return 0;
}

static int note_part(struct series *s, double before, double after)
{
    if (before == 0)
        return 0;
    double *grown = grow(s->parts, &s->cap, s->n, sizeof *grown);
    if (!grown)
        return MU_ENOMEM;
    s->parts = grown;
    grown[s->n++] = (after - before) / fabs(before);
    return 0;
}

static int compare_values(struct comparing *g, struct mu_change change, size_t *hint)
{
    const struct mu_metric *a = change.metric_before, *b = change.metric_after;
    double d = b->value - a->value;
    size_t at = 0;
    if (!isfinite(a->value) || !isfinite(b->value))
        return 0;
    change.noise = noise_of(g, change.after->server_id, change.step->name, a, b, &change.from);
    if (find_series(g, change.step->name, b, *hint, &at) || note_part(&g->series[at], a->value, b->value))
        return MU_ENOMEM;
    *hint = at + 1;
    struct mu_metric_change *m = &g->c->metrics[at];
    m->n++;
    if (d == 0 || fabs(d) <= mu_amount_of(g->least, a->value) || fabs(d) <= change.noise) {
        m->n_within++;
        return 0;
    }
    int way = direction(a, b);
    change.kind = !way ? (d < 0 ? MU_CHANGE_LOWER : MU_CHANGE_HIGHER) : (d < 0) == (way > 0) ? MU_CHANGE_WORSE : MU_CHANGE_BETTER;
    m->n_worse += change.kind == MU_CHANGE_WORSE;
    m->n_better += change.kind == MU_CHANGE_BETTER;
    m->n_other += !way;
    return add_change(g, &change);
}

static const struct mu_metric *find_metric(const struct mu_step_result *s, const char *name, size_t hint)
{
    for (size_t i = 0; s && i < s->n_metrics; i++) {
        const struct mu_metric *m = &s->metrics[(hint + i) % s->n_metrics];
        if (!strcmp(m->name, name))
            return m;
    }
    return NULL;
}

static const struct mu_step_result *find_step(const struct mu_task_result *t, const char *name)
{
    for (size_t i = 0; i < t->n_steps; i++)
        if (!strcmp(t->steps[i].name, name))
            return &t->steps[i];
    return NULL;
}

static int compare_metrics(struct comparing *g, const struct mu_task_result *before, const struct mu_task_result *after)
{
    int rc = 0;
    size_t hint = 0;
    for (size_t i = 0; i < after->n_steps; i++) {
        const struct mu_step_result *now = &after->steps[i], *then = find_step(before, now->name);
        for (size_t k = 0; !rc && k < now->n_metrics; k++) {
            const struct mu_metric *m = find_metric(then, now->metrics[k].name, k);
            struct mu_change change = {.kind = MU_CHANGE_ONLY_AFTER, .before = before, .after = after, .step = now,
                                       .metric_before = m, .metric_after = &now->metrics[k]};
            rc = m ? compare_values(g, change, &hint) : add_change(g, &change);
        }
    }
    for (size_t i = 0; i < before->n_steps; i++) {
        const struct mu_step_result *then = &before->steps[i], *now = find_step(after, then->name);
        for (size_t k = 0; !rc && k < then->n_metrics; k++)
            if (!find_metric(now, then->metrics[k].name, k))
                rc = add_change(g, &(struct mu_change){.kind = MU_CHANGE_ONLY_BEFORE, .before = before, .after = after,
                                                       .step = then, .metric_before = &then->metrics[k]});
    }
    return rc;
}

/* ---- servers ---- */

static bool is_bad(enum mu_status s) { return s < MU_ST_CANCELLED; }

static int compare_servers(struct comparing *g, const struct mu_task_result *before, const struct mu_task_result *after)
{
    struct mu_change change = {.kind = MU_CHANGE_STATUS, .before = before, .after = after};
    g->c->n_both++;
    if (is_bad(after->status) && before->status == MU_ST_PASSED)
        change.kind = MU_CHANGE_NEWLY_FAILED;
    else if (is_bad(before->status) && after->status == MU_ST_PASSED)
        change.kind = MU_CHANGE_FIXED;
    int rc = before->status != after->status ? add_change(g, &change) : 0;
    return rc ? rc : compare_metrics(g, before, after);
}

static int by_id(const void *a, const void *b)
{
    const struct mu_task_result *const *x = a, *const *y = b;
    return strcmp((*x)->server_id, (*y)->server_id);
}

static const struct mu_task_result **sorted(const struct mu_run_result *r)
{
    const struct mu_task_result **list = calloc(r->n_tasks ? r->n_tasks : 1, sizeof *list);
    for (size_t i = 0; list && i < r->n_tasks; i++)
        list[i] = &r->tasks[i];
    if (list)
        qsort(list, r->n_tasks, sizeof *list, by_id);
    return list;
}

/* Both in the order of ids, side by side. */
static int walk(struct comparing *g, const struct mu_task_result **before, size_t n, const struct mu_task_result **after, size_t m)
{
    int rc = 0;
    for (size_t i = 0, k = 0; !rc && (i < n || k < m);) {
        int c = i == n ? 1 : k == m ? -1 : by_id(&before[i], &after[k]);
        if (c < 0) {
            g->c->n_only_before++;
            rc = add_change(g, &(struct mu_change){.kind = MU_CHANGE_ONLY_BEFORE, .before = before[i++]});
        } else if (c > 0) {
            g->c->n_only_after++;
            rc = add_change(g, &(struct mu_change){.kind = MU_CHANGE_ONLY_AFTER, .after = after[k++]});
        } else {
            rc = compare_servers(g, before[i++], after[k++]);
        }
    }
    return rc;
}

/* ---- the whole ---- */

/* How large a metric's change is, as a part of before; infinite when that was 0. */
static double size_of(const struct mu_change *c)
{
    if (!c->metric_before || !c->metric_after)
        return 0;
    double before = fabs(c->metric_before->value), d = fabs(c->metric_after->value - c->metric_before->value);
    return before > 0 ? d / before : INFINITY;
}

static int by_kind(const void *a, const void *b)
{
    const struct mu_change *x = a, *y = b;
    double sx = size_of(x), sy = size_of(y);
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (sx != sy)
        return sx > sy ? -1 : 1;
    int c = strcmp((x->after ? x->after : x->before)->server_id, (y->after ? y->after : y->before)->server_id);
    if (c || !x->step || !y->step)
        return c ? c : (x->step != NULL) - (y->step != NULL);
    c = strcmp(x->step->name, y->step->name);
    const struct mu_metric *m = x->metric_after ? x->metric_after : x->metric_before;
    return c ? c : strcmp(m->name, (y->metric_after ? y->metric_after : y->metric_before)->name);
}

int mu_compare(struct mu_comparison **out, const struct mu_run_result *before, const struct mu_run_result *after,
               const struct mu_amount *least, const struct mu_past *past)
{
    struct comparing g = {.least = least, .past = past, .c = calloc(1, sizeof *g.c)};
    const struct mu_task_result **a = sorted(before), **b = sorted(after);
    int rc = g.c && a && b ? walk(&g, a, before->n_tasks, b, after->n_tasks) : MU_ENOMEM;
    for (size_t i = 0; g.c && i < g.c->n_metrics; i++) {
        if (g.series[i].n)
            g.c->metrics[i].median = mu_spread_median(g.series[i].parts, g.series[i].n);
        free(g.series[i].parts);
    }
    if (!rc && g.c->n)
        qsort(g.c->changes, g.c->n, sizeof *g.c->changes, by_kind);
    free(g.series);
    free(a);
    free(b);
    *out = rc ? NULL : g.c;
    if (rc)
        mu_comparison_free(g.c);
    return rc;
}

void mu_comparison_free(struct mu_comparison *c)
{
    if (!c)
        return;
    free(c->changes);
    free(c->metrics);
    free(c);
}
