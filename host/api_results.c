/* api_results.c: what a run found out, through muster.h. */
#include "api_internal.h"

static const struct mu_run_result *results(const struct muster_run *run) { return mu_run_results(run->run); }

const char *muster_run_id(const struct muster_run *run) { return results(run)->run_id; }
int muster_run_exit_code(const struct muster_run *run) { return mu_run_result_exit_code(results(run)); }
size_t muster_run_server_count(const struct muster_run *run) { return results(run)->n_tasks; }

const char *muster_run_after_all_error(const struct muster_run *run)
{
    return results(run)->after_all ? results(run)->after_all : "";
}

static const char *worst_reason(const struct mu_failure *failures, size_t n)
{
    const struct mu_failure *worst = NULL;
    for (size_t i = 0; i < n; i++)
        if (!worst || failures[i].status < worst->status)
            worst = &failures[i];
    return worst && worst->message ? worst->message : "";
}

int muster_run_server(const struct muster_run *run, size_t server, struct muster_server_result *out)
{
    const struct mu_run_result *r = results(run);
    if (server >= r->n_tasks)
        return MU_EINVAL;
    const struct mu_task_result *t = &r->tasks[server];
    const char *reason = worst_reason(t->failures, t->n_failures);
    for (size_t i = 0; i < t->n_steps; i++)
        if (t->steps[i].status == t->status && t->steps[i].n_failures)
            reason = worst_reason(t->steps[i].failures, t->steps[i].n_failures);
    *out = (struct muster_server_result){
        .id = t->server_id,
        .status = mu_status_name(t->status),
        .reason = reason,
        .duration_ms = t->duration_ms,
        .n_steps = t->n_steps,
        .mark = mu_mark_state_name(t->mark.state),
        .mark_reason = t->mark.reason ? t->mark.reason : "",
        .mark_note = t->mark.note ? t->mark.note : "",
        .left_behind = t->left_behind,
    };
    return 0;
}

int muster_run_step(const struct muster_run *run, size_t server, size_t step, struct muster_step_result *out)
{
    const struct mu_run_result *r = results(run);
    if (server >= r->n_tasks || step >= r->tasks[server].n_steps)
        return MU_EINVAL;
    const struct mu_step_result *s = &r->tasks[server].steps[step];
    *out = (struct muster_step_result){s->name, mu_status_name(s->status), worst_reason(s->failures, s->n_failures),
                                       s->duration_ms, s->n_metrics, s->measured, s->earlier ? s->earlier : "", s->withheld};
    return 0;
}

static const struct mu_metric *metric_of(const struct muster_run *run, size_t server, size_t step, size_t metric)
{
    const struct mu_run_result *r = results(run);
    if (server >= r->n_tasks || step >= r->tasks[server].n_steps || metric >= r->tasks[server].steps[step].n_metrics)
        return NULL;
    return &r->tasks[server].steps[step].metrics[metric];
}

static const char *state_name(enum mu_peers_state state)
{
    return state == MU_PEERS_PASSED ? "passed" : state == MU_PEERS_MISSED ? "missed" : "not judged";
}

int muster_run_metric(const struct muster_run *run, size_t server, size_t step, size_t metric,
                      struct muster_metric_result *out)
{
    const struct mu_metric *x = metric_of(run, server, step, metric);
    if (!x)
        return MU_EINVAL;
    *out = (struct muster_metric_result){
        .name = x->name,
        .value = x->value,
        .unit = x->unit ? x->unit : "",
        .judged = x->judgement != MU_UNJUDGED,
        .passed = x->judgement == MU_PASSED,
        .n_samples = x->n_samples ? x->n_samples : 1,
        .peers = x->th.peers.on ? state_name(x->peers.state) : "",
        .peers_note = x->peers.note ? x->peers.note : "",
        .history = x->th.history.on ? state_name(x->history.state) : "",
        .history_note = x->history.note ? x->history.note : "",
    };
    return 0;
}

int muster_run_sample(const struct muster_run *run, size_t server, size_t step, size_t metric, size_t sample, double *out)
{
    const struct mu_metric *x = metric_of(run, server, step, metric);
    if (!x || sample >= (x->n_samples ? x->n_samples : 1))
        return MU_EINVAL;
    *out = x->n_samples ? x->samples[sample] : x->value;
    return 0;
}

const char *muster_run_summary(struct muster_run *run, bool color)
{
    mu_buf_clear(&run->summary);
    mu_summary_write(results(run), color, &run->summary);
    return mu_buf_cstr(&run->summary);
}
