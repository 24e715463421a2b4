/* result.c: the tree of results: made, filled, freed. */
#include "results/results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/spread.h"

const char *mu_status_name(enum mu_status s)
{
    switch (s) {
    case MU_ST_FAILED:
        return "failed";
    case MU_ST_ERROR:
        return "error";
    case MU_ST_TIMEOUT:
        return "timeout";
    case MU_ST_UNREACHABLE:
        return "unreachable";
    case MU_ST_CANCELLED:
        return "cancelled";
    case MU_ST_PASSED:
        return "passed";
    case MU_ST_SKIPPED:
        return "skipped";
    }
    return "unknown";
}

const char *mu_mark_state_name(enum mu_mark_state s)
{
    static const char *const names[] = {"none", "made", "kept", "failed", "withheld"};
    return names[s];
}

enum mu_status mu_status_worst(enum mu_status a, enum mu_status b)
{
    return a < b ? a : b;
}

/* ---- memory ---- */

/* Copy s into *out; NULL stays NULL. */
static int copy(char **out, const char *s)
{
    *out = NULL;
    if (!s)
        return 0;
    *out = strdup(s);
    return *out ? 0 : MU_ENOMEM;
}

/* The array with room for one more behind n elements, or NULL and the array untouched. Capacity is always the next power
 * of two, so it need not be kept. */
static void *grow(void *array, size_t n, size_t element)
{
    if (n & (n - 1))
        return array; /* neither 0 nor a power of two: there is room */
    size_t cap = n ? n * 2 : 1;
    return cap > SIZE_MAX / element ? NULL : realloc(array, cap * element);
}

static void failure_clear(struct mu_failure *f)
{
    free(f->type);
    free(f->where);
    free(f->metric);
    free(f->cause);
    free(f->message);
}

static void failures_free(struct mu_failure *fs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        failure_clear(&fs[i]);
    free(fs);
}

static void metric_clear(struct mu_metric *m)
{
    free(m->name);
    free(m->samples);
    free(m->unit);
    free(m->peers.group);
    free(m->peers.note);
    free(m->history.note);
    mu_threshold_clear(&m->th);
}

static void step_clear(struct mu_step_result *s)
{
    for (size_t i = 0; i < s->n_metrics; i++)
        metric_clear(&s->metrics[i]);
    free(s->metrics);
    failures_free(s->failures, s->n_failures);
    mu_buf_free(&s->log);
    free(s->earlier);
    free(s->name);
}

void mu_task_result_clear(struct mu_task_result *t)
{
    for (size_t i = 0; i < t->n_steps; i++)
        step_clear(&t->steps[i]);
    free(t->steps);
    failures_free(t->failures, t->n_failures);
    for (size_t i = 0; i < t->n_unended; i++)
        free(t->unended[i]);
    free(t->unended);
    free(t->mark.reason);
    free(t->mark.note);
    free(t->claim);
    free(t->server_id);
    *t = (struct mu_task_result){0};
}

int mu_run_result_new(struct mu_run_result **out, const char *run_id, const char *script, size_t n_tasks)
{
    *out = NULL;
    struct mu_run_result *r = calloc(1, sizeof(*r));
    if (!r)
        return MU_ENOMEM;
    r->tasks = calloc(n_tasks ? n_tasks : 1, sizeof(*r->tasks));
    if (!r->tasks || copy(&r->run_id, run_id) || copy(&r->script, script)) {
        mu_run_result_free(r);
        return MU_ENOMEM;
    }
    r->n_tasks = n_tasks;
    for (size_t i = 0; i < n_tasks; i++)
        r->tasks[i].status = MU_ST_CANCELLED; /* until it ends otherwise */
    *out = r;
    return 0;
}

void mu_run_result_free(struct mu_run_result *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_tasks; i++)
        mu_task_result_clear(&r->tasks[i]);
    free(r->tasks);
    free(r->run_id);
    free(r->script);
    free(r->description);
    free(r->marks.said);
    free(r->after_all);
    free(r);
}

/* ---- builders ---- */

struct mu_step_result *mu_step_result_new(const char *name)
{
    struct mu_step_result *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->status = MU_ST_PASSED;
    s->measured = 1;
    if (copy(&s->name, name)) {
        free(s);
        return NULL;
    }
    return s;
}

void mu_step_result_free(struct mu_step_result *s)
{
    if (!s)
        return;
    step_clear(s);
    free(s);
}

int mu_step_result_add_metric(struct mu_step_result *s, const char *name, double value, const char *unit,
                              const struct mu_threshold *th)
{
    struct mu_metric *metrics = grow(s->metrics, s->n_metrics, sizeof(*metrics));
    if (!metrics)
        return MU_ENOMEM;
    s->metrics = metrics;
    struct mu_metric m = {.value = value, .judgement = MU_UNJUDGED};
    if (!unit && th)
        unit = th->unit;
    if (copy(&m.name, name) || copy(&m.unit, unit))
        goto nomem;
    if (th && !isnan(value)) {
        if (mu_threshold_copy(&m.th, th))
            goto nomem;
        free(m.th.metric);
        m.th.metric = NULL;
        if (!mu_threshold_passes(th, value))
            m.judgement = MU_MISSED;
        else if (th->has_min || th->has_max) /* history or peers alone: not known yet */
            m.judgement = MU_PASSED;
    }
    s->metrics[s->n_metrics++] = m;
    if (m.judgement == MU_MISSED)
        s->status = mu_status_worst(s->status, MU_ST_FAILED);
    return 0;
nomem:
    metric_clear(&m);
    return MU_ENOMEM;
}

int mu_step_result_add_samples(struct mu_step_result *s, const char *name, const double *samples, size_t n, const char *unit,
                               const struct mu_threshold *th)
{
    double *kept = reallocarray(NULL, n, sizeof(*kept)), *sorted = reallocarray(NULL, n, sizeof(*sorted));
    int rc = MU_ENOMEM;
    if (kept && sorted) {
        memcpy(kept, samples, n * sizeof(*kept));
        memcpy(sorted, samples, n * sizeof(*sorted));
        double median = mu_spread_median(sorted, n);
        rc = mu_step_result_add_metric(s, name, median, unit, th);
        if (!rc) {
            struct mu_metric *m = &s->metrics[s->n_metrics - 1];
            m->samples = kept;
            m->n_samples = n;
            m->mad = mu_spread_mad(sorted, n, median);
            kept = NULL;
        }
    }
    free(kept);
    free(sorted);
    return rc;
}

static int add_failure(struct mu_failure **list, size_t *n, enum mu_status status, const char *const text[5])
{
    struct mu_failure *grown = grow(*list, *n, sizeof(*grown));
    if (!grown)
        return MU_ENOMEM;
    *list = grown;
    struct mu_failure f = {.status = status};
    if (copy(&f.type, text[0]) || copy(&f.where, text[1]) || copy(&f.metric, text[2]) || copy(&f.cause, text[3]) ||
        copy(&f.message, text[4])) {
        failure_clear(&f);
        return MU_ENOMEM;
    }
    (*list)[(*n)++] = f;
    return 0;
}

int mu_step_result_add_failure(struct mu_step_result *s, enum mu_status status, const char *type, const char *metric,
                               const char *cause, const char *message)
{
    int rc = add_failure(&s->failures, &s->n_failures, status,
                         (const char *const[5]){type, s->name, metric, cause, message});
    /* Also when the failure itself found no memory: the verdict must not be better for it. */
    if (status == MU_ST_SKIPPED && s->status == MU_ST_PASSED && !s->n_metrics)
        s->status = MU_ST_SKIPPED; /* the reason why it did not run */
    s->status = mu_status_worst(s->status, status);
    return rc;
}

int mu_task_result_add_step_take(struct mu_task_result *t, struct mu_step_result *s)
{
    struct mu_step_result *steps = grow(t->steps, t->n_steps, sizeof(*steps));
    if (!steps) {
        mu_step_result_free(s);
        return MU_ENOMEM;
    }
    t->steps = steps;
    t->steps[t->n_steps++] = *s;
    free(s);
    return 0;
}

int mu_task_result_add_failure(struct mu_task_result *t, enum mu_status status, const char *type, const char *where,
                               const char *cause, const char *message)
{
    return add_failure(&t->failures, &t->n_failures, status,
                       (const char *const[5]){type, where, NULL, cause, message});
}

int mu_task_result_add_unended(struct mu_task_result *t, const char *command)
{
    char **unended = grow(t->unended, t->n_unended, sizeof(*unended));
    if (!unended)
        return MU_ENOMEM;
    t->unended = unended;
    char *c = strdup(command);
    if (!c)
        return MU_ENOMEM;
    t->unended[t->n_unended++] = c;
    return 0;
}

struct mu_step_result *mu_step_result_copy(const struct mu_step_result *s)
{
    struct mu_step_result *r = mu_step_result_new(s->name);
    int rc = r ? copy(&r->earlier, s->earlier) : MU_ENOMEM;
    for (size_t i = 0; !rc && i < s->n_metrics; i++) {
        const struct mu_metric *m = &s->metrics[i];
        rc = m->n_samples ? mu_step_result_add_samples(r, m->name, m->samples, m->n_samples, m->unit, &m->th)
                          : mu_step_result_add_metric(r, m->name, m->value, m->unit, &m->th);
        if (!rc) {
            struct mu_metric *made = &r->metrics[r->n_metrics - 1];
            made->history = m->history;
            rc = copy(&made->history.note, m->history.note);
            if (m->history.state == MU_PEERS_MISSED)
                made->judgement = MU_MISSED;
            else if (m->history.state == MU_PEERS_PASSED && made->judgement == MU_UNJUDGED)
                made->judgement = m->judgement;
        }
    }
    for (size_t i = 0; !rc && i < s->n_failures; i++) {
        const struct mu_failure *f = &s->failures[i];
        rc = mu_step_result_add_failure(r, f->status, f->type, f->metric, f->cause, f->message);
    }
    if (!rc) {
        mu_buf_add(&r->log, s->log.data, s->log.len);
        r->status = s->status;
        r->started_ms = s->started_ms;
        r->duration_ms = s->duration_ms;
        r->measured = s->measured;
        r->withheld = s->withheld;
        rc = r->log.failed ? MU_ENOMEM : 0;
    }
    if (rc) {
        mu_step_result_free(r);
        r = NULL;
    }
    return r;
}

static int replace(char **out, const char *s)
{
    char *former = *out;
    int rc = copy(out, s);
    free(former);
    return rc;
}

int mu_task_result_set_mark(struct mu_task_result *t, enum mu_mark_state state, const char *reason, const char *note,
                            unsigned tries)
{
    t->mark.state = state;
    t->mark.tries = tries;
    int rc = reason ? replace(&t->mark.reason, reason) : 0;
    return replace(&t->mark.note, note) || rc ? MU_ENOMEM : 0;
}
