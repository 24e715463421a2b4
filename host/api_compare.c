/* api_compare.c: two runs that were kept side by side, through muster/history.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api_kept.h"
#include "results/compare.h"
#include "results/reason.h"

enum { PAST_VALUES = 10 }; /* of each metric, as the measure of its noise */

struct muster_compare {
    struct mu_run_row rows[2];
    struct mu_run_result *results[2];
    struct mu_past *past;
    struct mu_comparison *c;
    char **reasons; /* a change each; NULL: none */
};

static int nomem(struct mu_err *err) { return mu_err_set(err, MU_ENOMEM, "out of memory"); }
static const char *or_empty(const char *text) { return text ? text : ""; }

/* ---- making ---- */

static void add_reason(void *arg, const struct mu_reason *reason)
{
    struct mu_buf *text = arg;
    mu_buf_adds(text, text->len ? "; " : "");
    mu_reason_text(reason, text);
}

/* Of what failed: what came to the worst of it. */
static char *reason_of(const struct mu_task_result *t)
{
    struct mu_buf text = MU_BUF_INIT;
    for (size_t i = 0; i < t->n_failures; i++)
        if (t->failures[i].status == t->status)
            add_reason(&text, &(struct mu_reason){t->status, NULL, NULL, &t->failures[i]});
    for (size_t i = 0; i < t->n_steps; i++)
        if (t->steps[i].status == t->status)
            mu_reason_each_in_step(&t->steps[i], add_reason, &text);
    char *taken = mu_buf_take(&text);
    mu_buf_free(&text);
    return taken;
}

static int tell_reasons(struct muster_compare *c)
{
    c->reasons = calloc(c->c->n ? c->c->n : 1, sizeof *c->reasons);
    if (!c->reasons)
        return MU_ENOMEM;
    for (size_t i = 0; i < c->c->n; i++) {
        const struct mu_change *change = &c->c->changes[i];
        if (change->kind > MU_CHANGE_STATUS)
            continue;
        c->reasons[i] = reason_of(change->kind == MU_CHANGE_FIXED ? change->before : change->after);
        if (!c->reasons[i])
            return MU_ENOMEM;
    }
    return 0;
}

static void count(struct mu_run_row *row, const struct mu_run_result *r)
{
    for (size_t i = 0; i < r->n_tasks; i++)
        row->counts[r->tasks[i].status]++;
}

static int load(struct muster_compare *c, struct mu_store *s, const char *const refs[2], struct mu_err *err)
{
    int rc = 0;
    for (int i = 0; !rc && i < 2; i++) {
        rc = mu_store_find_named(s, refs[i], &c->rows[i].run, err);
        if (!rc)
            rc = mu_store_load(s, &c->rows[i].run, &c->results[i], err);
        if (!rc)
            count(&c->rows[i], c->results[i]);
    }
    if (!rc && !strcmp(c->rows[0].run.run_id, c->rows[1].run.run_id))
        rc = mu_err_set(err, MU_EINVAL, "both are the run %s: name two", c->rows[0].run.run_id);
    if (rc)
        return rc;
    const struct mu_store_run *after = &c->rows[1].run;
    return mu_store_load_past(s, &(struct mu_past_wanted){.script_path = after->script_path, .except = after->run_id,
                                                          .before_ms = after->started_ms, .last = PAST_VALUES},
                              &c->past, err);
}

int muster_compare_new(struct muster_kept *k, const struct muster_compare_options *options, struct muster_compare **out,
                       struct muster_error *err)
{
    struct muster_compare *c = calloc(1, sizeof *c);
    const char *const refs[2] = {options->first, options->second};
    struct mu_amount least = {MU_AMOUNT_NONE, 0};
    struct mu_err e = {0};
    int rc = c ? mu_amount_parse(&least, options->least ? options->least : "5%", &e) : nomem(&e);
    if (!rc)
        rc = load(c, k->store, refs, &e);
    if (!rc && (mu_compare(&c->c, c->results[0], c->results[1], &least, c->past) || tell_reasons(c)))
        rc = nomem(&e);
    if (rc)
        muster_compare_free(c);
    *out = rc ? NULL : c;
    return mu_api_give_result(err, rc, &e);
}

void muster_compare_free(struct muster_compare *c)
{
    if (!c)
        return;
    for (size_t i = 0; c->reasons && i < c->c->n; i++)
        free(c->reasons[i]);
    free(c->reasons);
    mu_comparison_free(c->c);
    mu_past_free(c->past);
    for (int i = 0; i < 2; i++) {
        mu_run_result_free(c->results[i]);
        mu_store_run_clear(&c->rows[i].run);
    }
    free(c);
}

/* ---- asking ---- */

int muster_compare_run(const struct muster_compare *c, size_t i, struct muster_kept_run *out)
{
    if (i > 1)
        return MU_EINVAL;
    mu_api_kept_run(&c->rows[i], out);
    return 0;
}

void muster_compare_counts(const struct muster_compare *c, size_t counts[3])
{
    counts[0] = c->c->n_both;
    counts[1] = c->c->n_only_before;
    counts[2] = c->c->n_only_after;
}

int muster_compare_change(const struct muster_compare *c, size_t i, struct muster_change *out)
{
    static const char *const noises[] = {"unknown", "samples", "history"};
    if (i >= c->c->n)
        return MU_EINVAL;
    const struct mu_change *x = &c->c->changes[i];
    const struct mu_metric *a = x->metric_before, *b = x->metric_after;
    *out = (struct muster_change){
        .kind = mu_change_name(x->kind),
        .server = x->after ? x->after->server_id : x->before->server_id,
        .status_before = x->before ? mu_status_name(x->before->status) : "",
        .status_after = x->after ? mu_status_name(x->after->status) : "",
        .reason = or_empty(c->reasons[i]),
        .step = x->step ? x->step->name : "",
        .metric = b ? b->name : a ? a->name : "",
        .unit = b && b->unit ? b->unit : a && a->unit ? a->unit : "",
        .has_before = a != NULL,
        .has_after = b != NULL,
        .before = a ? a->value : 0,
        .after = b ? b->value : 0,
        .noise = x->noise,
        .noise_from = noises[x->from],
    };
    return 0;
}

int muster_compare_metric(const struct muster_compare *c, size_t i, struct muster_metric_change *out)
{
    if (i >= c->c->n_metrics)
        return MU_EINVAL;
    const struct mu_metric_change *m = &c->c->metrics[i];
    *out = (struct muster_metric_change){.step = m->step, .metric = m->metric, .unit = or_empty(m->unit), .n = m->n,
                                         .n_worse = m->n_worse, .n_better = m->n_better, .n_changed = m->n_other,
                                         .n_same = m->n_within, .has_median = !isnan(m->median), .median = m->median};
    return 0;
}
