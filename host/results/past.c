#include "results/past.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/spread.h"

struct key {
    char *server, *step, *metric; /* one block, the server's */
    size_t first, n;              /* in values */
};

struct mu_past {
    struct key *keys;
    size_t n_keys, cap_keys;
    double *values;
    size_t n_values, cap_values;
};

struct mu_past *mu_past_new(void) { return calloc(1, sizeof(struct mu_past)); }

void mu_past_free(struct mu_past *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_keys; i++)
        free(p->keys[i].server);
    free(p->keys);
    free(p->values);
    free(p);
}

/* ---- making ---- */

static int room(void **array, size_t *cap, size_t n, size_t size)
{
    if (n < *cap)
        return 0;
    size_t more = *cap ? 2 * *cap : 64;
    void *grown = reallocarray(*array, more, size);
    if (!grown)
        return MU_ENOMEM;
    *array = grown;
    *cap = more;
    return 0;
}

static bool is_key(const struct key *k, const char *server, const char *step, const char *metric)
{
    return !strcmp(k->server, server) && !strcmp(k->step, step) && !strcmp(k->metric, metric);
}

static int add_key(struct mu_past *p, const char *server, const char *step, const char *metric)
{
    size_t a = strlen(server) + 1, b = strlen(step) + 1, c = strlen(metric) + 1;
    if (room((void **)&p->keys, &p->cap_keys, p->n_keys, sizeof *p->keys))
        return MU_ENOMEM;
    char *text = malloc(a + b + c);
    if (!text)
        return MU_ENOMEM;
    struct key *k = &p->keys[p->n_keys++];
    *k = (struct key){text, text + a, text + a + b, p->n_values, 0};
    memcpy(k->server, server, a);
    memcpy(k->step, step, b);
    memcpy(k->metric, metric, c);
    return 0;
}

int mu_past_add(struct mu_past *p, const char *server, const char *step, const char *metric, double value, size_t most)
{
    if ((!p->n_keys || !is_key(&p->keys[p->n_keys - 1], server, step, metric)) && add_key(p, server, step, metric))
        return MU_ENOMEM;
    struct key *k = &p->keys[p->n_keys - 1];
    if (k->n == most)
        return 0;
    if (room((void **)&p->values, &p->cap_values, p->n_values, sizeof *p->values))
        return MU_ENOMEM;
    p->values[p->n_values++] = value;
    k->n++;
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    int c = strcmp(x->server, y->server);
    c = c ? c : strcmp(x->step, y->step);
    return c ? c : strcmp(x->metric, y->metric);
}

int mu_past_settle(struct mu_past *p)
{
    if (p->n_keys)
        qsort(p->keys, p->n_keys, sizeof *p->keys, compare);
    return 0;
}

const double *mu_past_find(const struct mu_past *p, const char *server, const char *step, const char *metric, size_t *n)
{
    struct key key = {(char *)(uintptr_t)server, (char *)(uintptr_t)step, (char *)(uintptr_t)metric, 0, 0};
    const struct key *found = p->n_keys ? bsearch(&key, p->keys, p->n_keys, sizeof *p->keys, compare) : NULL;
    *n = found ? found->n : 0;
    return found ? p->values + found->first : NULL;
}

/* ---- judging ---- */

static int set_note(struct mu_past_verdict *v, const char *why)
{
    v->state = MU_PEERS_NOT_JUDGED;
    v->note = strdup(why);
    return v->note ? 0 : MU_ENOMEM;
}

static int too_few(struct mu_past_verdict *v, const struct mu_history *rule, size_t n)
{
    struct mu_buf why = MU_BUF_INIT;
    mu_buf_addf(&why, "it has %zu earlier value%s, %u are needed", n, n == 1 ? "" : "s", rule->min_runs);
    int rc = set_note(v, mu_buf_cstr(&why));
    mu_buf_free(&why);
    return rc;
}

static int weigh(struct mu_metric *m, const double *values, size_t n)
{
    const struct mu_history *rule = &m->th.history;
    struct mu_past_verdict *v = &m->history;
    double *sorted = reallocarray(NULL, n, sizeof *sorted);
    if (!sorted)
        return set_note(v, "out of memory"), MU_ENOMEM;
    memcpy(sorted, values, n * sizeof *sorted);
    v->median = mu_spread_median(sorted, n);
    double mad = mu_spread_mad(sorted, n, v->median);
    free(sorted);
    double own = m->n_samples > 1 ? MU_MAD_TO_SIGMA * m->mad / sqrt((double)m->n_samples) : 0;
    double low = v->median - mu_amount_of(&rule->drop, v->median), high = v->median + mu_amount_of(&rule->rise, v->median);
    v->noise = MU_PAST_NOISE * MU_MAD_TO_SIGMA * mad + own;
    v->below = rule->drop.kind != MU_AMOUNT_NONE && m->value < low && m->value < v->median - v->noise;
    v->above = rule->rise.kind != MU_AMOUNT_NONE && m->value > high && m->value > v->median + v->noise;
    v->state = v->below || v->above ? MU_PEERS_MISSED : MU_PEERS_PASSED;
    return 0;
}

int mu_past_judge(struct mu_step_result *s, const double *values, size_t n, const char *why)
{
    struct mu_metric *m = &s->metrics[s->n_metrics - 1];
    const struct mu_history *rule = &m->th.history;
    free(m->history.note);
    m->history = (struct mu_past_verdict){.n = n < rule->last ? n : rule->last};
    n = m->history.n;
    if (!isfinite(m->value))
        return set_note(&m->history, "it is no finite number");
    if (!values && why)
        return set_note(&m->history, why);
    if (n < rule->min_runs)
        return too_few(&m->history, rule, n);
    int rc = weigh(m, values, n);
    if (m->history.state == MU_PEERS_PASSED && m->judgement == MU_UNJUDGED && !m->th.peers.on)
        m->judgement = MU_PASSED;
    if (m->history.state == MU_PEERS_MISSED && m->judgement != MU_MISSED) {
        m->judgement = MU_MISSED;
        s->status = mu_status_worst(s->status, MU_ST_FAILED);
    }
    return rc;
}
