/* Steps, metrics and failures of a run read back. Each query goes through all servers in one order, so that it is one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/clocale.h"
#include "results/store_internal.h"

static int nomem(struct mu_err *err) { return mu_err_set(err, MU_ENOMEM, "out of memory"); }

static int broken(const struct mu_store *s, const char *what, struct mu_err *err)
{
    return mu_err_set(err, MU_EIO, "results %s: %s cannot be understood: was it written by hand?", s->where, what);
}

typedef int row_fn(struct mu_store *s, struct mu_query *q, struct mu_run_result *r, struct mu_err *err);

static int each_row(struct mu_store *s, const char *sql, int64_t run, row_fn *fn, struct mu_run_result *r, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int row, rc = mu_query_new(&q, s->db, sql, err);
    if (rc)
        return rc;
    mu_query_int(q, 1, run);
    while ((row = mu_query_step(q, err)) > 0 && !rc)
        rc = fn(s, q, r, err);
    mu_query_free(q);
    return row < 0 ? row : rc;
}

/* The step that columns 0 and 1 of a row name; NULL: there is none. */
static struct mu_step_result *step_at(struct mu_query *q, struct mu_run_result *r)
{
    size_t i = (size_t)mu_query_get_int(q, 0), k = (size_t)mu_query_get_int(q, 1);
    return i < r->n_tasks && k < r->tasks[i].n_steps ? &r->tasks[i].steps[k] : NULL;
}

/* ---- steps ---- */

static int read_step(struct mu_store *s, struct mu_query *q, struct mu_run_result *r, struct mu_err *err)
{
    size_t i = (size_t)mu_query_get_int(q, 0), n = 0;
    struct mu_task_result *t = i < r->n_tasks ? &r->tasks[i] : NULL;
    const char *name = mu_query_get_text(q, 2);
    if (!t || (size_t)mu_query_get_int(q, 1) != t->n_steps || !name)
        return broken(s, "the order of steps", err);
    struct mu_step_result *step = mu_step_result_new(name);
    if (!step)
        return nomem(err);
    int rc = mu_status_parse(mu_query_get_text(q, 3), &step->status) ? broken(s, "the state of a step", err) : 0;
    step->started_ms = mu_query_get_int(q, 4);
    step->duration_ms = (uint64_t)mu_query_get_int(q, 5);
    step->measured = (unsigned)mu_query_get_int(q, 6);
    step->withheld = mu_query_get_int(q, 7);
    const void *log = mu_query_get_blob(q, 9, &n);
    mu_buf_add(&step->log, log, n);
    if (!rc && (mu_query_get_copy(q, 8, &step->earlier) || step->log.failed))
        rc = nomem(err);
    if (rc)
        mu_step_result_free(step);
    else if (mu_task_result_add_step_take(t, step))
        rc = nomem(err);
    return rc;
}

/* ---- metrics ---- */

/* "[81,79.5]" */
static int read_samples(struct mu_metric *m, const char *text)
{
    size_t n = 1;
    for (const char *p = text; *p; p++)
        n += *p == ',';
    m->samples = malloc(n * sizeof *m->samples);
    if (!m->samples)
        return MU_ENOMEM;
    struct mu_clocale locale = mu_clocale_enter();
    for (const char *p = text; *p == '[' || *p == ',';) {
        char *end;
        m->samples[m->n_samples] = strtod(p + 1, &end);
        if (end == p + 1)
            break;
        m->n_samples++;
        p = end;
    }
    mu_clocale_leave(locale);
    return 0;
}

static void read_rule(struct mu_query *q, struct mu_threshold *th)
{
    th->has_min = !mu_query_is_null(q, 8);
    th->has_max = !mu_query_is_null(q, 9);
    th->min = th->has_min ? mu_query_get_num(q, 8) : 0;
    th->max = th->has_max ? mu_query_get_num(q, 9) : 0;
    th->min_open = mu_query_get_int(q, 10);
    th->max_open = mu_query_get_int(q, 11);
    th->has_reference = !mu_query_is_null(q, 12);
    if (!th->has_reference)
        return;
    th->reference = mu_query_get_num(q, 12);
    th->lower.kind = (unsigned)mu_query_get_int(q, 13);
    th->lower.n = mu_query_get_num(q, 14);
    th->upper.kind = (unsigned)mu_query_get_int(q, 15);
    th->upper.n = mu_query_get_num(q, 16);
}

/* The metric is there already, as a number without a rule: its value, and all that was made of it, follows. */
static int read_metric(struct mu_store *s, struct mu_query *q, struct mu_run_result *r, struct mu_err *err)
{
    struct mu_step_result *step = step_at(q, r);
    const char *name = mu_query_get_text(q, 2), *samples = mu_query_get_text(q, 5), *judgement = mu_query_get_text(q, 7);
    if (!step || !name || !judgement)
        return broken(s, "the order of metrics", err);
    enum mu_status before = step->status;
    if (mu_step_result_add_metric(step, name, mu_query_get_num(q, 3), mu_query_get_text(q, 4), NULL))
        return nomem(err);
    step->status = before;
    struct mu_metric *m = &step->metrics[step->n_metrics - 1];
    m->judgement = !strcmp(judgement, "passed") ? MU_PASSED : !strcmp(judgement, "missed") ? MU_MISSED : MU_UNJUDGED;
    read_rule(q, &m->th);
    if (samples)
        m->mad = mu_query_get_num(q, 6);
    return mu_query_get_copy(q, 17, &m->th.unit) || (samples && read_samples(m, samples)) ? nomem(err) : 0;
}

static enum mu_peers_state peers_state(const char *name)
{
    return !name                      ? MU_PEERS_NONE
           : !strcmp(name, "passed") ? MU_PEERS_PASSED
           : !strcmp(name, "missed") ? MU_PEERS_MISSED
                                     : MU_PEERS_NOT_JUDGED;
}

static int read_peers(struct mu_store *s, struct mu_query *q, struct mu_run_result *r, struct mu_err *err)
{
    struct mu_step_result *step = step_at(q, r);
    size_t at = (size_t)mu_query_get_int(q, 2);
    if (!step || at >= step->n_metrics)
        return broken(s, "a comparison with peers", err);
    struct mu_peers *rule = &step->metrics[at].th.peers;
    struct mu_peer_verdict *v = &step->metrics[at].peers;
    rule->on = true;
    rule->drop.kind = (unsigned)mu_query_get_int(q, 4);
    rule->drop.n = mu_query_get_num(q, 5);
    rule->rise.kind = (unsigned)mu_query_get_int(q, 6);
    rule->rise.n = mu_query_get_num(q, 7);
    rule->min_cohort = (unsigned)mu_query_get_int(q, 8);
    v->state = peers_state(mu_query_get_text(q, 9));
    v->below = mu_query_get_int(q, 10);
    v->above = mu_query_get_int(q, 11);
    v->median = mu_query_is_null(q, 12) ? 0 : mu_query_get_num(q, 12);
    v->noise = mu_query_is_null(q, 13) ? 0 : mu_query_get_num(q, 13);
    v->n = (size_t)mu_query_get_int(q, 14);
    return mu_query_get_copy(q, 3, &rule->group_by) || mu_query_get_copy(q, 15, &v->group) ||
                   mu_query_get_copy(q, 16, &v->note)
               ? nomem(err)
               : 0;
}

static int read_past(struct mu_store *s, struct mu_query *q, struct mu_run_result *r, struct mu_err *err)
{
    struct mu_step_result *step = step_at(q, r);
    size_t at = (size_t)mu_query_get_int(q, 2);
    if (!step || at >= step->n_metrics)
        return broken(s, "a comparison with earlier runs", err);
    struct mu_history *rule = &step->metrics[at].th.history;
    struct mu_past_verdict *v = &step->metrics[at].history;
    rule->on = true;
    rule->last = (unsigned)mu_query_get_int(q, 3);
    rule->min_runs = (unsigned)mu_query_get_int(q, 4);
    rule->drop.kind = (unsigned)mu_query_get_int(q, 5);
    rule->drop.n = mu_query_get_num(q, 6);
    rule->rise.kind = (unsigned)mu_query_get_int(q, 7);
    rule->rise.n = mu_query_get_num(q, 8);
    v->state = peers_state(mu_query_get_text(q, 9));
    v->below = mu_query_get_int(q, 10);
    v->above = mu_query_get_int(q, 11);
    v->median = mu_query_is_null(q, 12) ? 0 : mu_query_get_num(q, 12);
    v->noise = mu_query_is_null(q, 13) ? 0 : mu_query_get_num(q, 13);
    v->n = (size_t)mu_query_get_int(q, 14);
    return mu_query_get_copy(q, 15, &v->note) ? nomem(err) : 0;
}

/* ---- failures ---- */

static int read_failure(struct mu_store *s, struct mu_query *q, struct mu_run_result *r, struct mu_err *err)
{
    size_t i = (size_t)mu_query_get_int(q, 0);
    bool outside = mu_query_is_null(q, 1);
    struct mu_step_result *step = outside ? NULL : step_at(q, r);
    const char *type = mu_query_get_text(q, 3), *metric = mu_query_get_text(q, 5);
    const char *cause = mu_query_get_text(q, 6), *message = mu_query_get_text(q, 7);
    enum mu_status status;
    if (i >= r->n_tasks || (!outside && !step) || mu_status_parse(mu_query_get_text(q, 2), &status))
        return broken(s, "a failure", err);
    if (outside)
        return mu_task_result_add_failure(&r->tasks[i], status, type, mu_query_get_text(q, 4), cause, message) ? nomem(err) : 0;
    enum mu_status before = step->status;
    int rc = mu_step_result_add_failure(step, status, type, metric, cause, message);
    step->status = before; /* as it was worked out then */
    return rc ? nomem(err) : 0;
}

int mu_store_load_steps(struct mu_store *s, int64_t run, struct mu_run_result *r, struct mu_err *err)
{
    int rc = each_row(s,
                      "SELECT s.idx, t.idx, t.name, t.status, t.started_ms, t.duration_ms, t.measured, t.withheld, t.earlier, t.log"
                      " FROM servers s JOIN steps t ON t.server = s.id WHERE s.run = $1 AND t.pass = 'run'"
                      " ORDER BY s.idx, t.idx", run, read_step, r, err);
    if (!rc)
        rc = each_row(s,
                      "SELECT s.idx, t.idx, m.name, m.value, m.unit, m.samples, m.mad, m.judgement, m.min, m.max, m.min_open,"
                      " m.max_open, m.reference, m.lower_kind, m.lower, m.upper_kind, m.upper, m.rule_unit"
                      " FROM servers s JOIN steps t ON t.server = s.id JOIN metrics m ON m.step = t.id"
                      " WHERE s.run = $1 AND t.pass = 'run' ORDER BY s.idx, t.idx, m.idx", run, read_metric, r, err);
    if (!rc)
        rc = each_row(s,
                      "SELECT s.idx, t.idx, p.idx, p.group_by, p.drop_kind, p.drop_by, p.rise_kind, p.rise_by, p.min_cohort,"
                      " p.state, p.below, p.above, p.median, p.noise, p.cohort, p.group_value, p.note"
                      " FROM servers s JOIN steps t ON t.server = s.id JOIN peers p ON p.step = t.id"
                      " WHERE s.run = $1 AND t.pass = 'run'", run, read_peers, r, err);
    if (!rc)
        rc = each_row(s,
                      "SELECT s.idx, t.idx, p.idx, p.last, p.min_runs, p.drop_kind, p.drop_by, p.rise_kind, p.rise_by, p.state,"
                      " p.below, p.above, p.median, p.noise, p.n, p.note"
                      " FROM servers s JOIN steps t ON t.server = s.id JOIN pasts p ON p.step = t.id"
                      " WHERE s.run = $1 AND t.pass = 'run'", run, read_past, r, err);
    if (!rc)
        rc = each_row(s,
                      "SELECT s.idx, t.idx, f.status, f.type, f.place, f.metric, f.cause, f.message"
                      " FROM servers s JOIN failures f ON f.server = s.id LEFT JOIN steps t ON t.id = f.step"
                      " WHERE s.run = $1 AND (f.step IS NULL OR t.pass = 'run') ORDER BY f.id", run, read_failure, r, err);
    return rc;
}
