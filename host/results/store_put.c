/* Rows of one server's results. */
#include <math.h>

#include "results/clocale.h"
#include "results/store_internal.h"

static const char *const sql[MU_SQ_COUNT] = {
    [MU_SQ_SERVER] = "UPDATE servers SET status = $1, started_ms = $2, duration_ms = $3, dealt = $4, finished = $5, final = $6,"
                     " mark_state = $7, mark_reason = $8, mark_note = $9, mark_tries = $10, left_behind = $11, claim = $12,"
                     " worker = coalesce($13, worker) WHERE id = $14",
    [MU_SQ_FACTS] = "UPDATE servers SET facts = $1 WHERE id = $2",
    [MU_SQ_STEP] = "INSERT INTO steps (server, pass, idx, name, status, started_ms, duration_ms, measured, withheld, earlier, log)"
                   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    [MU_SQ_METRIC] = "INSERT INTO metrics (step, idx, name, value, unit, samples, mad, judgement, min, max, min_open, max_open,"
                     " reference, lower_kind, lower, upper_kind, upper, rule_unit)"
                     " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
    [MU_SQ_PEERS] = "INSERT INTO peers (step, idx, group_by, drop_kind, drop_by, rise_kind, rise_by, min_cohort, state, below,"
                    " above, median, noise, cohort, group_value, note)"
                    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    [MU_SQ_PAST] = "INSERT INTO pasts (step, idx, last, min_runs, drop_kind, drop_by, rise_kind, rise_by, state, below, above,"
                   " median, noise, n, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    [MU_SQ_FAILURE] = "INSERT INTO failures (server, step, status, type, place, metric, cause, message)"
                      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    [MU_SQ_UNENDED] = "INSERT INTO unended (server, idx, command) VALUES ($1, $2, $3)",
    [MU_SQ_FORGET_FAILURES] = "DELETE FROM failures WHERE server = $1",
    [MU_SQ_FORGET_STEPS] = "DELETE FROM steps WHERE server = $1",
    [MU_SQ_FORGET_UNENDED] = "DELETE FROM unended WHERE server = $1",
};

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
    mu_query_int(q, 14, s->kept[server].id);
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

static void bind_rule(struct mu_query *q, const struct mu_threshold *th)
{
    if (th->has_min) {
        mu_query_num(q, 9, th->min);
        mu_query_int(q, 11, th->min_open);
    }
    if (th->has_max) {
        mu_query_num(q, 10, th->max);
        mu_query_int(q, 12, th->max_open);
    }
    if (th->has_reference) {
        mu_query_num(q, 13, th->reference);
        mu_query_int(q, 14, th->lower.kind);
        mu_query_num(q, 15, th->lower.n);
        mu_query_int(q, 16, th->upper.kind);
        mu_query_num(q, 17, th->upper.n);
    }
    mu_query_text(q, 18, th->unit);
}

static int insert_metric(struct mu_store *s, int64_t step, size_t idx, const struct mu_metric *m, struct mu_err *err)
{
    static const char *const judgements[] = {"unjudged", "passed", "missed"};
    struct mu_query *q;
    int rc = mu_store_query(s, MU_SQ_METRIC, &q, err);
    if (rc)
        return rc;
    mu_query_int(q, 1, step);
    mu_query_int(q, 2, (int64_t)idx);
    mu_query_text(q, 3, m->name);
    mu_query_num(q, 4, m->value);
    mu_query_text(q, 5, m->unit);
    if (m->n_samples) {
        mu_query_text(q, 6, samples_text(s, m));
        mu_query_num(q, 7, m->mad);
    }
    mu_query_text(q, 8, judgements[m->judgement]);
    bind_rule(q, &m->th);
    rc = s->samples.failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : mu_query_run(q, err);
    rc = !rc && m->th.peers.on ? insert_peers(s, step, idx, m, err) : rc;
    return !rc && m->th.history.on ? insert_past(s, step, idx, m, err) : rc;
}

int mu_store_insert_step(struct mu_store *s, size_t server, const char *pass, size_t idx, const struct mu_step_result *step,
                         struct mu_err *err)
{
    struct mu_query *q;
    int64_t id = 0;
    int rc = mu_store_query(s, MU_SQ_STEP, &q, err);
    if (!rc) {
        mu_query_int(q, 1, s->kept[server].id);
        mu_query_text(q, 2, pass);
        mu_query_int(q, 3, (int64_t)idx);
        mu_query_text(q, 4, step->name);
        mu_query_text(q, 5, mu_status_name(step->status));
        mu_query_int(q, 6, step->started_ms);
        mu_query_int(q, 7, (int64_t)step->duration_ms);
        mu_query_int(q, 8, step->measured);
        mu_query_int(q, 9, step->withheld);
        mu_query_text(q, 10, step->earlier);
        if (step->log.len)
            mu_query_blob(q, 11, step->log.data, step->log.len);
        rc = mu_query_insert(q, &id, err);
    }
    for (size_t i = 0; !rc && i < step->n_metrics; i++)
        rc = insert_metric(s, id, i, &step->metrics[i], err);
    for (size_t i = 0; !rc && i < step->n_failures; i++)
        rc = mu_store_insert_failure(s, server, id, &step->failures[i], err);
    return rc;
}
