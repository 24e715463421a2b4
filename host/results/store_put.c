/* Rows of one server's results. */
#include <math.h>

#include "results/clocale.h"
#include "results/store_internal.h"

static const char *const sql[MU_SQ_COUNT] = {
    [MU_SQ_SERVER] = "UPDATE servers SET status = $1, started_ms = $2, duration_ms = $3, dealt = $4, finished = $5, final = $6,"
                     " mark_state = $7, mark_reason = $8, mark_note = $9, mark_tries = $10, left_behind = $11, claim = $12,"
                     " worker = coalesce($13, worker), connect_retries = $14, retried_connections = $15 WHERE id = $16",
    [MU_SQ_FACTS] = "UPDATE servers SET facts = $1 WHERE id = $2",
    [MU_SQ_STEP] = "INSERT INTO steps (server, pass, idx, name, status, started_ms, duration_ms, measured, withheld, earlier, log)"
                   " VALUES ",
    [MU_SQ_METRIC] = "INSERT INTO metrics (step, idx, name, value, unit, samples, mad, judgement, min, max, min_open, max_open,"
                     " reference, lower_kind, lower, upper_kind, upper, rule_unit) VALUES ",
    [MU_SQ_PEERS] = "INSERT INTO peers (step, idx, group_by, drop_kind, drop_by, rise_kind, rise_by, min_cohort, state, below,"
                    " above, median, noise, cohort, group_value, note)"
                    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    [MU_SQ_PAST] = "INSERT INTO pasts (step, idx, last, min_runs, drop_kind, drop_by, rise_kind, rise_by, state, below, above,"
                   " median, noise, n, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    [MU_SQ_FAILURE] = "INSERT INTO failures (server, step, status, type, place, metric, cause, message)"
                      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    [MU_SQ_UNENDED] = "INSERT INTO unended (server, idx, command) VALUES ($1, $2, $3)",
    [MU_SQ_ARTEFACT] = "INSERT INTO artefacts (server, name, kept_ms, bytes) VALUES ($1, $2, $3, $4)"
                       " ON CONFLICT (server, name) DO UPDATE SET kept_ms = excluded.kept_ms, bytes = excluded.bytes",
    [MU_SQ_FORGET_ARTEFACTS] = "DELETE FROM artefacts WHERE server = $1",
    [MU_SQ_FORGET_FAILURES] = "DELETE FROM failures WHERE server = $1",
    [MU_SQ_FORGET_STEPS] = "DELETE FROM steps WHERE server = $1",
    [MU_SQ_FORGET_UNENDED] = "DELETE FROM unended WHERE server = $1",
};

/* Several rows in one statement: beginning and ending one costs as much as a row does. */
#define STEP_COLUMNS 11
#define METRIC_COLUMNS 18
static const size_t sizes[MU_SQ_SIZES] = {16, 4, 1}; /* rows */

static int rows_query(struct mu_store *s, enum mu_store_query which, int columns, size_t size, struct mu_query **out,
                      struct mu_err *err)
{
    struct mu_query **q = &s->rows[which == MU_SQ_METRIC][size];
    struct mu_buf text = MU_BUF_INIT;
    int rc = 0;
    if (!*q) {
        mu_buf_adds(&text, sql[which]);
        for (int at = 1, end = columns * (int)sizes[size]; at <= end; at++)
            mu_buf_addf(&text, "%s$%d%s", at % columns != 1 ? ", " : at == 1 ? "(" : ", (", at, at % columns ? "" : ")");
        rc = text.failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : mu_query_new(q, s->db, mu_buf_cstr(&text), err);
        mu_buf_free(&text);
    }
    *out = *q;
    return rc;
}

int mu_store_query(struct mu_store *s, enum mu_store_query which, struct mu_query **out, struct mu_err *err)
{
    int rc = s->queries[which] ? 0 : mu_query_new(&s->queries[which], s->db, sql[which], err);
    *out = s->queries[which];
    return rc;
}

int mu_store_update_server(struct mu_store *s, const struct mu_task_result *t, size_t server, struct mu_err *err)
{
    struct mu_query *q;
    int rc = mu_store_query(s, MU_SQ_SERVER, &q, err);
    if (rc)
        return rc;
    mu_query_text(q, 1, mu_status_name(t->status));
    mu_query_int(q, 2, t->started_ms);
    mu_query_int(q, 3, (int64_t)t->duration_ms);
    mu_query_int(q, 4, t->dealt);
    mu_query_int(q, 5, t->finished);
    mu_query_int(q, 6, s->kept[server].final);
    mu_query_text(q, 7, mu_mark_state_name(t->mark.state));
    mu_query_text(q, 8, t->mark.reason);
    mu_query_text(q, 9, t->mark.note);
    mu_query_int(q, 10, t->mark.tries);
    mu_query_int(q, 11, t->left_behind);
    mu_query_text(q, 12, t->claim);
    if (s->kept[server].worker)
        mu_query_int(q, 13, s->kept[server].worker - 1);
    mu_query_int(q, 14, t->retries);
    mu_query_int(q, 15, t->retried);
    mu_query_int(q, 16, s->kept[server].id);
    s->kept[server].begun = true;
    return mu_query_run(q, err);
}

int mu_store_insert_failure(struct mu_store *s, size_t server, int64_t step, const struct mu_failure *f, struct mu_err *err)
{
    struct mu_query *q;
    int rc = mu_store_query(s, MU_SQ_FAILURE, &q, err);
    if (rc)
        return rc;
    mu_query_int(q, 1, s->kept[server].id);
    if (step)
        mu_query_int(q, 2, step);
    mu_query_text(q, 3, mu_status_name(f->status));
    mu_query_text(q, 4, f->type);
    mu_query_text(q, 5, f->where);
    mu_query_text(q, 6, f->metric);
    mu_query_text(q, 7, f->cause);
    mu_query_text(q, 8, f->message);
    return mu_query_run(q, err);
}

/* ---- metrics ---- */

static const char *const states[] = {NULL, "passed", "missed", "not judged"}; /* by enum mu_peers_state */

static int insert_peers(struct mu_store *s, int64_t step, size_t idx, const struct mu_metric *m, struct mu_err *err)
{
    const struct mu_peers *rule = &m->th.peers;
    const struct mu_peer_verdict *v = &m->peers;
    bool judged = v->state == MU_PEERS_PASSED || v->state == MU_PEERS_MISSED;
    struct mu_query *q;
    int rc = mu_store_query(s, MU_SQ_PEERS, &q, err);
    if (rc)
        return rc;
    mu_query_int(q, 1, step);
    mu_query_int(q, 2, (int64_t)idx);
    mu_query_text(q, 3, rule->group_by);
    mu_query_int(q, 4, rule->drop.kind);
    mu_query_num(q, 5, rule->drop.n);
    mu_query_int(q, 6, rule->rise.kind);
    mu_query_num(q, 7, rule->rise.n);
    mu_query_int(q, 8, rule->min_cohort);
    mu_query_text(q, 9, states[v->state]);
    mu_query_int(q, 10, v->below);
    mu_query_int(q, 11, v->above);
    if (judged) {
        mu_query_num(q, 12, v->median);
        mu_query_num(q, 13, v->noise);
    }
    mu_query_int(q, 14, (int64_t)v->n);
    mu_query_text(q, 15, v->group);
    mu_query_text(q, 16, v->note);
    return mu_query_run(q, err);
}

static int insert_past(struct mu_store *s, int64_t step, size_t idx, const struct mu_metric *m, struct mu_err *err)
{
    const struct mu_history *rule = &m->th.history;
    const struct mu_past_verdict *v = &m->history;
    struct mu_query *q;
    int rc = mu_store_query(s, MU_SQ_PAST, &q, err);
    if (rc)
        return rc;
    mu_query_int(q, 1, step);
    mu_query_int(q, 2, (int64_t)idx);
    mu_query_int(q, 3, rule->last);
    mu_query_int(q, 4, rule->min_runs);
    mu_query_int(q, 5, rule->drop.kind);
    mu_query_num(q, 6, rule->drop.n);
    mu_query_int(q, 7, rule->rise.kind);
    mu_query_num(q, 8, rule->rise.n);
    mu_query_text(q, 9, states[v->state]);
    mu_query_int(q, 10, v->below);
    mu_query_int(q, 11, v->above);
    if (v->state == MU_PEERS_PASSED || v->state == MU_PEERS_MISSED) {
        mu_query_num(q, 12, v->median);
        mu_query_num(q, 13, v->noise);
    }
    mu_query_int(q, 14, (int64_t)v->n);
    mu_query_text(q, 15, v->note);
    return mu_query_run(q, err);
}

/* [81,79.5]: every one reads back the same. */
static const char *samples_text(struct mu_store *s, const struct mu_metric *m)
{
    struct mu_clocale locale = mu_clocale_enter();
    mu_buf_clear(&s->samples);
    for (size_t i = 0; i < m->n_samples; i++) {
        mu_buf_addc(&s->samples, i ? ',' : '[');
        mu_buf_add_number(&s->samples, m->samples[i]);
    }
    mu_buf_addc(&s->samples, ']');
    mu_clocale_leave(locale);
    return mu_buf_cstr(&s->samples);
}

static void bind_rule(struct mu_query *q, int at, const struct mu_threshold *th)
{
    if (th->has_min) {
        mu_query_num(q, at + 9, th->min);
        mu_query_int(q, at + 11, th->min_open);
    }
    if (th->has_max) {
        mu_query_num(q, at + 10, th->max);
        mu_query_int(q, at + 12, th->max_open);
    }
    if (th->has_reference) {
        mu_query_num(q, at + 13, th->reference);
        mu_query_int(q, at + 14, th->lower.kind);
        mu_query_num(q, at + 15, th->lower.n);
        mu_query_int(q, at + 16, th->upper.kind);
        mu_query_num(q, at + 17, th->upper.n);
    }
    mu_query_text(q, at + 18, th->unit);
}

struct row {
    int64_t step;
    size_t idx;
    const struct mu_metric *metric;
};

/* at: the placeholder before its first. */
static void bind_metric(struct mu_store *s, struct mu_query *q, int at, const struct row *row)
{
    static const char *const judgements[] = {"unjudged", "passed", "missed"};
    const struct mu_metric *m = row->metric;
    mu_query_int(q, at + 1, row->step);
    mu_query_int(q, at + 2, (int64_t)row->idx);
    mu_query_text(q, at + 3, m->name);
    mu_query_num(q, at + 4, m->value);
    mu_query_text(q, at + 5, m->unit);
    if (m->n_samples) {
        mu_query_text(q, at + 6, samples_text(s, m));
        mu_query_num(q, at + 7, m->mad);
    }
    mu_query_text(q, at + 8, judgements[m->judgement]);
    bind_rule(q, at, &m->th);
}

static int insert_metrics(struct mu_store *s, const struct row *rows, size_t size, struct mu_err *err)
{
    struct mu_query *q;
    int rc = rows_query(s, MU_SQ_METRIC, METRIC_COLUMNS, size, &q, err);
    for (size_t i = 0; !rc && i < sizes[size]; i++)
        bind_metric(s, q, (int)i * METRIC_COLUMNS, &rows[i]);
    if (!rc)
        rc = s->samples.failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : mu_query_run(q, err);
    for (size_t i = 0; !rc && i < sizes[size]; i++) {
        const struct row *row = &rows[i];
        if (row->metric->th.peers.on)
            rc = insert_peers(s, row->step, row->idx, row->metric, err);
        if (!rc && row->metric->th.history.on)
            rc = insert_past(s, row->step, row->idx, row->metric, err);
    }
    return rc;
}

/* ---- steps ---- */

static void bind_step(struct mu_store *s, struct mu_query *q, int at, const struct mu_store_step *row)
{
    const struct mu_step_result *step = row->step;
    mu_query_int(q, at + 1, s->kept[row->server].id);
    mu_query_text(q, at + 2, row->pass);
    mu_query_int(q, at + 3, (int64_t)row->idx);
    mu_query_text(q, at + 4, step->name);
    mu_query_text(q, at + 5, mu_status_name(step->status));
    mu_query_int(q, at + 6, step->started_ms);
    mu_query_int(q, at + 7, (int64_t)step->duration_ms);
    mu_query_int(q, at + 8, step->measured);
    mu_query_int(q, at + 9, step->withheld);
    mu_query_text(q, at + 10, step->earlier);
    if (step->log.len)
        mu_query_blob(q, at + 11, step->log.data, step->log.len);
}

/* Metrics that have many samples go one by one: the text of them is made in one place. */
static int add_metrics(struct mu_store *s, struct row rows[], size_t *n, const struct mu_step_result *step, int64_t id,
                       struct mu_err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < step->n_metrics; i++) {
        struct row row = {id, i, &step->metrics[i]};
        if (row.metric->n_samples) {
            rc = insert_metrics(s, &row, MU_SQ_SIZES - 1, err);
            continue;
        }
        rows[(*n)++] = row;
        if (*n == sizes[0]) {
            rc = insert_metrics(s, rows, 0, err);
            *n = 0;
        }
    }
    return rc;
}

static int insert_steps(struct mu_store *s, const struct mu_store_step *steps, size_t size, struct row rows[], size_t *n_rows,
                        struct mu_err *err)
{
    struct mu_query *q;
    int64_t last = 0;
    int rc = rows_query(s, MU_SQ_STEP, STEP_COLUMNS, size, &q, err);
    for (size_t i = 0; !rc && i < sizes[size]; i++)
        bind_step(s, q, (int)i * STEP_COLUMNS, &steps[i]);
    if (!rc)
        rc = mu_query_insert(q, &last, err);
    for (size_t i = 0; !rc && i < sizes[size]; i++) {
        const struct mu_step_result *step = steps[i].step;
        int64_t id = last - (int64_t)(sizes[size] - 1 - i);
        rc = add_metrics(s, rows, n_rows, step, id, err);
        for (size_t j = 0; !rc && j < step->n_failures; j++)
            rc = mu_store_insert_failure(s, steps[i].server, id, &step->failures[j], err);
    }
    return rc;
}

/* So many that the first of the sizes which fits is taken, until none is left. */
static size_t size_for(size_t n)
{
    size_t size = 0;
    while (sizes[size] > n)
        size++;
    return size;
}

int mu_store_insert_steps(struct mu_store *s, const struct mu_store_step *steps, size_t n, struct mu_err *err)
{
    struct row rows[16];
    size_t n_rows = 0, size;
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i += sizes[size])
        rc = insert_steps(s, &steps[i], size = size_for(n - i), rows, &n_rows, err);
    for (size_t i = 0; !rc && i < n_rows; i += sizes[size])
        rc = insert_metrics(s, &rows[i], size = size_for(n_rows - i), err);
    return rc;
}
