/* What after_all is told of the results, as plain data. */

#include "results/results.h"
#include "run/fleet.h"
#include "run/plain.h"

static void add_text(struct mu_buf *out, const char *name, const char *value)
{
    mu_plain_key(out, name);
    mu_plain_add_str(out, value);
}

static void add_number(struct mu_buf *out, const char *name, bool there, double value)
{
    mu_plain_key(out, name);
    if (there)
        mu_plain_add_num(out, value);
    else
        mu_plain_add_nil(out);
}

static void add_failures(struct mu_buf *out, const struct mu_failure *failures, size_t n)
{
    mu_plain_key(out, "failures");
    mu_plain_begin(out, n, 0);
    for (size_t i = 0; i < n; i++) {
        mu_plain_add_int(out, (long long)i + 1);
        mu_plain_begin(out, 0, 6);
        add_text(out, "status", mu_status_name(failures[i].status));
        add_text(out, "type", failures[i].type);
        add_text(out, "step", failures[i].where);
        add_text(out, "metric", failures[i].metric);
        add_text(out, "cause", failures[i].cause);
        add_text(out, "message", failures[i].message);
        mu_plain_end(out);
    }
    mu_plain_end(out);
}

static void add_metric(struct mu_buf *out, const struct mu_metric *m)
{
    static const char *const judgements[] = {"unjudged", "passed", "missed"};
    mu_plain_key(out, m->name);
    mu_plain_begin(out, 0, 6);
    add_number(out, "value", true, m->value);
    add_text(out, "unit", m->unit);
    add_text(out, "judgement", judgements[m->judgement]);
    add_number(out, "min", m->th.has_min, m->th.min);
    add_number(out, "max", m->th.has_max, m->th.max);
    if (m->n_samples) {
        mu_plain_key(out, "samples");
        mu_plain_begin(out, m->n_samples, 0);
        for (size_t i = 0; i < m->n_samples; i++) {
            mu_plain_add_int(out, (long long)i + 1);
            mu_plain_add_num(out, m->samples[i]);
        }
        mu_plain_end(out);
    }
    mu_plain_end(out);
}

static void add_step(struct mu_buf *out, const struct mu_step_result *s)
{
    mu_plain_begin(out, 0, 6);
    add_text(out, "name", s->name);
    add_text(out, "status", mu_status_name(s->status));
    add_number(out, "duration", true, (double)s->duration_ms / 1000.0);
    mu_plain_key(out, "measured");
    mu_plain_add_int(out, s->measured);
    mu_plain_key(out, "metrics");
    mu_plain_begin(out, 0, s->n_metrics);
    for (size_t i = 0; i < s->n_metrics; i++)
        add_metric(out, &s->metrics[i]);
    mu_plain_end(out);
    add_failures(out, s->failures, s->n_failures);
    mu_plain_end(out);
}

static void add_server(struct mu_buf *out, const struct mu_task_result *t)
{
    mu_plain_begin(out, 0, 7);
    add_text(out, "id", t->server_id);
    add_text(out, "status", mu_status_name(t->status));
    add_number(out, "duration", true, (double)t->duration_ms / 1000.0);
    add_text(out, "mark", mu_mark_state_name(t->mark.state));
    mu_plain_key(out, "left_behind");
    mu_plain_add_bool(out, t->left_behind);
    add_failures(out, t->failures, t->n_failures);
    mu_plain_key(out, "steps");
    mu_plain_begin(out, t->n_steps, 0);
    for (size_t i = 0; i < t->n_steps; i++) {
        mu_plain_add_int(out, (long long)i + 1);
        add_step(out, &t->steps[i]);
    }
    mu_plain_end(out);
    mu_plain_end(out);
}

void mu_fleet_add_results(struct mu_buf *out, const struct mu_run_result *r)
{
    mu_plain_begin(out, 0, 4);
    add_text(out, "run", r->run_id);
    mu_plain_key(out, "exit_code");
    mu_plain_add_int(out, mu_run_result_exit_code(r));
    mu_plain_key(out, "counts");
    mu_plain_begin(out, 0, MU_ST_SKIPPED + 1);
    for (int s = MU_ST_FAILED; s <= MU_ST_SKIPPED; s++) {
        mu_plain_key(out, mu_status_name((enum mu_status)s));
        mu_plain_add_int(out, (long long)mu_run_result_count(r, (enum mu_status)s));
    }
    mu_plain_end(out);
    mu_plain_key(out, "servers");
    mu_plain_begin(out, r->n_tasks, 0);
    for (size_t i = 0; i < r->n_tasks; i++) {
        mu_plain_add_int(out, (long long)i + 1);
        add_server(out, &r->tasks[i]);
    }
    mu_plain_end(out);
    mu_plain_end(out);
}
