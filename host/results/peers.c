#include "results/peers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/reason.h"
#include "results/spread.h"

/* One measured value on its way into its cohort. */
struct value {
    const char *step, *metric;
    const char *by; /* the variable; "": the whole run */
    size_t group;   /* in texts */
    double v;
    const char *texts; /* once they no longer move */
};

struct cohort {
    const char *step, *metric, *by, *group;
    double median, mad;
    size_t n;
};

struct mu_cohorts {
    struct cohort *list; /* sorted */
    size_t n;
    struct mu_buf texts; /* the groups, each with its NUL */
};

static int by_metric(const void *pa, const void *pb)
{
    const struct value *a = pa, *b = pb;
    int c = strcmp(a->step, b->step);
    c = c ? c : strcmp(a->metric, b->metric);
    return c;
}

static int by_rule(const void *pa, const void *pb)
{
    const struct value *a = pa, *b = pb;
    int c = by_metric(a, b);
    return c ? c : strcmp(a->by, b->by);
}

static int by_cohort(const void *pa, const void *pb)
{
    const struct value *a = pa, *b = pb;
    int c = by_rule(a, b);
    return c ? c : strcmp(a->texts + a->group, b->texts + b->group);
}

static int find_cohort(const void *key, const void *element)
{
    const struct cohort *a = key, *b = element;
    int c = strcmp(a->step, b->step);
    c = c ? c : strcmp(a->metric, b->metric);
    c = c ? c : strcmp(a->by, b->by);
    return c ? c : strcmp(a->group, b->group);
}

/* ---- collecting ---- */

struct values {
    struct value *list;
    size_t n, cap;
    bool failed;
};

static void push(struct values *vs, struct value v)
{
    if (vs->n == vs->cap) {
        size_t cap = vs->cap ? vs->cap * 2 : 256;
        struct value *grown = reallocarray(vs->list, cap, sizeof(*grown));
        if (!grown) {
            vs->failed = true;
            return;
        }
        vs->list = grown;
        vs->cap = cap;
    }
    vs->list[vs->n++] = v;
}

static const char *variable_of(const struct mu_peers *p) { return p->group_by ? p->group_by : ""; }

/* What is compared at all: each (step, metric, variable) that a rule names, once, sorted. */
static void collect_rules(struct values *rules, const struct mu_run_result *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_tasks; i++)
        for (size_t j = 0; j < r->tasks[i].n_steps; j++)
            for (size_t k = 0; k < r->tasks[i].steps[j].n_metrics; k++) {
                const struct mu_step_result *s = &r->tasks[i].steps[j];
                const struct mu_metric *m = &s->metrics[k];
                if (m->th.peers.on)
                    push(rules, (struct value){.step = s->name, .metric = m->name, .by = variable_of(&m->th.peers)});
            }
    if (rules->n)
        qsort(rules->list, rules->n, sizeof(*rules->list), by_rule);
    for (size_t i = 0; i < rules->n; i++)
        if (!i || by_rule(&rules->list[i], &rules->list[n - 1]) != 0)
            rules->list[n++] = rules->list[i];
    rules->n = n;
}

static size_t first_rule(const struct values *rules, const struct value *v)
{
    size_t low = 0, high = rules->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (by_metric(&rules->list[mid], v) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void collect_metric(struct values *vs, const struct values *rules, size_t task, const struct mu_step_result *s,
                           const struct mu_metric *m, struct mu_buf *texts, mu_peers_variable_fn *fn, void *arg)
{
    struct value v = {.step = s->name, .metric = m->name, .v = m->value};
    if (!isfinite(m->value))
        return;
    for (size_t i = first_rule(rules, &v); i < rules->n && by_metric(&rules->list[i], &v) == 0; i++) {
        v.by = rules->list[i].by;
        v.group = texts->len;
        if (*v.by && !fn(arg, task, v.by, texts))
            continue; /* of no cohort */
        mu_buf_addc(texts, '\0');
        push(vs, v);
    }
}

/* ---- cohorts ---- */

/* The values, sorted by cohort, become cohorts. */
static int measure(struct mu_cohorts *c, const struct values *vs)
{
    double *v = reallocarray(NULL, vs->n ? vs->n : 1, sizeof(*v));
    c->list = calloc(vs->n ? vs->n : 1, sizeof(*c->list));
    if (!v || !c->list) {
        free(v);
        return MU_ENOMEM;
    }
    for (size_t first = 0, end; first < vs->n; first = end) {
        const struct value *f = &vs->list[first];
        for (end = first; end < vs->n && by_cohort(f, &vs->list[end]) == 0; end++)
            v[end - first] = vs->list[end].v;
        struct cohort *to = &c->list[c->n++];
        *to = (struct cohort){f->step, f->metric, f->by, f->texts + f->group, 0, 0, end - first};
        to->median = mu_spread_median(v, to->n);
        to->mad = mu_spread_mad(v, to->n, to->median);
    }
    free(v);
    return 0;
}

/* Results may be replaced while cohorts live: the names they are found by are their own. */
static int own_names(struct mu_cohorts *c)
{
    for (size_t i = 0; i < c->n; i++) {
        struct cohort *k = &c->list[i];
        char *step = strdup(k->step), *metric = strdup(k->metric), *by = strdup(k->by);
        k->step = step;
        k->metric = metric;
        k->by = by;
        if (!step || !metric || !by) {
            for (i++; i < c->n; i++)
                c->list[i].step = c->list[i].metric = c->list[i].by = NULL;
            return MU_ENOMEM;
        }
    }
    return 0;
}

int mu_cohorts_new(struct mu_cohorts **out, const struct mu_run_result *r, mu_peers_variable_fn *fn, void *arg)
{
    struct mu_cohorts *c = calloc(1, sizeof(*c));
    struct values rules = {0}, vs = {0};
    int rc = MU_ENOMEM;
    *out = NULL;
    if (!c)
        return rc;
    collect_rules(&rules, r);
    for (size_t i = 0; i < r->n_tasks; i++)
        for (size_t j = 0; j < r->tasks[i].n_steps; j++)
            for (size_t k = 0; k < r->tasks[i].steps[j].n_metrics; k++)
                collect_metric(&vs, &rules, i, &r->tasks[i].steps[j], &r->tasks[i].steps[j].metrics[k], &c->texts, fn, arg);
    if (!rules.failed && !vs.failed && !c->texts.failed) {
        for (size_t i = 0; i < vs.n; i++)
            vs.list[i].texts = c->texts.data;
        if (vs.n)
            qsort(vs.list, vs.n, sizeof(*vs.list), by_cohort);
        rc = measure(c, &vs);
        if (!rc)
            rc = own_names(c);
        else
            c->n = 0;
    }
    free(rules.list);
    free(vs.list);
    if (rc)
        mu_cohorts_free(c);
    else
        *out = c;
    return rc;
}

void mu_cohorts_free(struct mu_cohorts *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++) {
        free((char *)(uintptr_t)c->list[i].step);
        free((char *)(uintptr_t)c->list[i].metric);
        free((char *)(uintptr_t)c->list[i].by);
    }
    free(c->list);
    mu_buf_free(&c->texts);
    free(c);
}

/* ---- the judgement ---- */

static void set_note(struct mu_peer_verdict *p, const char *why)
{
    free(p->note);
    p->note = strdup(why); /* without memory it is told without a reason */
    p->state = MU_PEERS_NOT_JUDGED;
}

static void too_few(struct mu_peer_verdict *p, const struct mu_peers *rule, size_t n)
{
    struct mu_buf why = MU_BUF_INIT;
    mu_buf_addf(&why, "%zu", n);
    if (rule->group_by)
        mu_buf_addf(&why, " with %s %s", rule->group_by, p->group ? p->group : "?");
    mu_buf_addf(&why, " measured it, %u are needed", rule->min_cohort);
    set_note(p, mu_buf_cstr(&why));
    mu_buf_free(&why);
}

static double own_noise(const struct mu_metric *m)
{
    return m->n_samples > 1 ? MU_MAD_TO_SIGMA * m->mad / sqrt((double)m->n_samples) : 0;
}

static void compare(struct mu_metric *m, const struct cohort *c)
{
    const struct mu_peers *rule = &m->th.peers;
    struct mu_peer_verdict *p = &m->peers;
    double own = own_noise(m);
    double low = c->median - mu_amount_of(&rule->drop, c->median), high = c->median + mu_amount_of(&rule->rise, c->median);
    p->median = c->median;
    p->noise = MU_PEERS_NOISE * MU_MAD_TO_SIGMA * c->mad + own;
    p->below = rule->drop.kind != MU_AMOUNT_NONE && m->value < low && m->value < c->median - p->noise;
    p->above = rule->rise.kind != MU_AMOUNT_NONE && m->value > high && m->value > c->median + p->noise;
    p->state = p->below || p->above ? MU_PEERS_MISSED : MU_PEERS_PASSED;
}

static void judge(const struct mu_cohorts *c, size_t task, const struct mu_step_result *s, struct mu_metric *m,
                  mu_peers_variable_fn *fn, void *arg)
{
    const struct mu_peers *rule = &m->th.peers;
    struct mu_peer_verdict *p = &m->peers;
    struct mu_buf group = MU_BUF_INIT;
    free(p->note);
    free(p->group);
    *p = (struct mu_peer_verdict){0};
    if (rule->group_by && !fn(arg, task, rule->group_by, &group)) {
        mu_buf_clear(&group);
        mu_buf_addf(&group, "it has no %s", rule->group_by);
        set_note(p, mu_buf_cstr(&group));
    } else if (!isfinite(m->value)) {
        set_note(p, "it is no finite number");
    } else {
        struct cohort key = {.step = s->name, .metric = m->name, .by = variable_of(rule), .group = mu_buf_cstr(&group)};
        const struct cohort *found = c->n ? bsearch(&key, c->list, c->n, sizeof(*c->list), find_cohort) : NULL;
        p->n = found ? found->n : 0;
        p->group = rule->group_by ? strdup(mu_buf_cstr(&group)) : NULL;
        if (p->n < rule->min_cohort)
            too_few(p, rule, p->n);
        else
            compare(m, found);
    }
    mu_buf_free(&group);
}

void mu_cohorts_restore(struct mu_cohorts *c, const struct mu_step_result *s)
{
    for (size_t i = 0; i < s->n_metrics; i++) {
        const struct mu_metric *m = &s->metrics[i];
        const struct mu_peer_verdict *p = &m->peers;
        struct cohort key = {.step = s->name, .metric = m->name, .by = variable_of(&m->th.peers), .group = p->group ? p->group : ""};
        struct cohort *found = c->n && m->th.peers.on && p->n ? bsearch(&key, c->list, c->n, sizeof(*c->list), find_cohort) : NULL;
        if (!found)
            continue;
        found->n = p->n;
        if (p->state == MU_PEERS_NOT_JUDGED)
            continue;
        found->median = p->median;
        found->mad = fmax(p->noise - own_noise(m), 0) / (MU_PEERS_NOISE * MU_MAD_TO_SIGMA);
    }
}

static bool missed(const struct mu_metric *m) { return m->peers.state == MU_PEERS_MISSED && m->judgement != MU_MISSED; }

bool mu_cohorts_judge(const struct mu_cohorts *c, size_t task, struct mu_step_result *s, mu_peers_variable_fn *fn, void *arg)
{
    for (size_t i = 0; i < s->n_metrics; i++)
        if (s->metrics[i].th.peers.on)
            judge(c, task, s, &s->metrics[i], fn, arg);
    return mu_peers_missed(s);
}

bool mu_peers_any(const struct mu_step_result *s)
{
    for (size_t i = 0; i < s->n_metrics; i++)
        if (s->metrics[i].th.peers.on)
            return true;
    return false;
}

bool mu_peers_missed(const struct mu_step_result *s)
{
    for (size_t i = 0; i < s->n_metrics; i++)
        if (missed(&s->metrics[i]))
            return true;
    return false;
}

void mu_peers_reasons(const struct mu_step_result *s, struct mu_buf *out)
{
    for (size_t i = 0; i < s->n_metrics; i++) {
        if (!missed(&s->metrics[i]))
            continue;
        mu_buf_adds(out, out->len ? "; " : "");
        mu_reason_text(&(struct mu_reason){MU_ST_FAILED, s, &s->metrics[i], NULL}, out);
    }
}

int mu_peers_settle(struct mu_step_result *s)
{
    int rc = 0;
    for (size_t i = 0; i < s->n_metrics; i++) {
        struct mu_metric *m = &s->metrics[i];
        if (m->peers.state == MU_PEERS_PASSED && m->judgement == MU_UNJUDGED)
            m->judgement = MU_PASSED;
        if (!missed(m))
            continue;
        struct mu_buf message = MU_BUF_INIT, cause = MU_BUF_INIT;
        mu_reason_text(&(struct mu_reason){MU_ST_FAILED, s, m, NULL}, &message);
        mu_reason_samples(m, &message);
        mu_reason_miss(m, m->value, &cause);
        m->judgement = MU_MISSED;
        if (mu_step_result_add_failure(s, MU_ST_FAILED, "PerformanceBelowExpected", m->name, mu_buf_cstr(&cause),
                                       mu_buf_cstr(&message)))
            rc = MU_ENOMEM;
        mu_buf_free(&message);
        mu_buf_free(&cause);
    }
    return rc;
}

void mu_peers_void(struct mu_step_result *s, const char *why)
{
    for (size_t i = 0; i < s->n_metrics; i++) {
        struct mu_metric *m = &s->metrics[i];
        if (m->th.peers.on && (m->peers.state == MU_PEERS_NONE || missed(m)))
            set_note(&m->peers, why);
    }
}
