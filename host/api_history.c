/* api_history.c: runs that were kept, and one server's past in them, through muster/history.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api_kept.h"
#include "results/spread.h"

static int nomem(struct mu_err *err) { return mu_err_set(err, MU_ENOMEM, "out of memory"); }
static const char *or_empty(const char *text) { return text ? text : ""; }

char *muster_escape(const char *text)
{
    struct mu_buf b = MU_BUF_INIT;
    mu_buf_add_escaped(&b, text, strlen(text));
    char *escaped = mu_buf_take(&b);
    mu_buf_free(&b);
    return escaped;
}

/* ---- the database ---- */

int muster_kept_open(struct muster *m, const char *db, struct muster_kept **out, struct muster_error *err)
{
    struct mu_logger *former = mu_logger_use(m->logger);
    struct muster_kept *k = calloc(1, sizeof *k);
    struct mu_err e = {0};
    int rc = k ? mu_store_open(&k->store, db, false, &e) : nomem(&e);
    mu_logger_use(former);
    if (rc)
        free(k);
    else
        k->m = m;
    *out = rc ? NULL : k;
    return mu_api_give_result(err, rc, &e);
}

void muster_kept_free(struct muster_kept *k)
{
    if (!k)
        return;
    mu_store_close(k->store);
    free(k);
}

void mu_api_kept_run(const struct mu_run_row *row, struct muster_kept_run *out)
{
    const struct mu_store_run *r = &row->run;
    const size_t *n = row->counts;
    *out = (struct muster_kept_run){
        .id = r->run_id, .script = r->script, .script_path = r->script_path, .description = or_empty(r->description),
        .state = mu_store_state_name(r->state), .owner = r->owner, .host = r->host, .version = r->version,
        .started_ms = r->started_ms, .ended_ms = r->ended_ms, .duration_ms = r->duration_ms, .exit_code = r->exit_code,
        .replayed = r->replayed, .resumed = r->resumed, .n_servers = r->n_servers, .n_passed = n[MU_ST_PASSED],
        .n_failed = n[MU_ST_FAILED], .n_error = n[MU_ST_ERROR], .n_timeout = n[MU_ST_TIMEOUT],
        .n_unreachable = n[MU_ST_UNREACHABLE], .n_cancelled = n[MU_ST_CANCELLED], .n_skipped = n[MU_ST_SKIPPED],
    };
}

/* ---- runs ---- */

struct muster_runs {
    struct mu_run_row *rows;
    size_t n;
};

int muster_runs_new(struct muster_kept *k, const struct muster_runs_options *options, struct muster_runs **out,
                    struct muster_error *err)
{
    struct muster_runs *r = calloc(1, sizeof *r);
    struct mu_runs_wanted wanted = {options->script, options->server, options->last};
    struct mu_err e = {0};
    int rc = r ? mu_store_list_runs(k->store, &wanted, &r->rows, &r->n, &e) : nomem(&e);
    if (rc)
        free(r);
    *out = rc ? NULL : r;
    return mu_api_give_result(err, rc, &e);
}

void muster_runs_free(struct muster_runs *r)
{
    if (!r)
        return;
    mu_run_rows_free(r->rows, r->n);
    free(r);
}

int muster_runs_get(const struct muster_runs *r, size_t i, struct muster_kept_run *out)
{
    if (i >= r->n)
        return MU_EINVAL;
    mu_api_kept_run(&r->rows[i], out);
    return 0;
}

/* ---- a server's past ---- */

struct run_values {
    struct mu_measured *list;
    size_t n;
};

struct one_series {
    const char *script_path, *step, *metric;
    struct muster_series said;
};

struct muster_past {
    struct mu_run_row *rows; /* newest first, as they are read */
    size_t n;
    struct run_values *values; /* a run each */
    struct one_series *series;
    size_t n_series, cap;
};

static bool is_wanted(const struct mu_measured *m, const char *metric)
{
    size_t n = strlen(m->step);
    return !metric || !strcmp(m->metric, metric) ||
           (!strncmp(metric, m->step, n) && metric[n] == '.' && !strcmp(metric + n + 1, m->metric));
}

static bool is_of(const struct one_series *s, const struct mu_run_row *row, const struct mu_measured *m)
{
    return !strcmp(s->metric, m->metric) && !strcmp(s->step, m->step) && !strcmp(s->script_path, row->run.script_path);
}

static int add_series(struct muster_past *p, const struct mu_run_row *row, const struct mu_measured *m)
{
    for (size_t i = 0; i < p->n_series; i++)
        if (is_of(&p->series[i], row, m))
            return 0;
    if (p->n_series == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 16;
        struct one_series *grown = reallocarray(p->series, cap, sizeof *grown);
        if (!grown)
            return MU_ENOMEM;
        p->series = grown;
        p->cap = cap;
    }
    p->series[p->n_series++] = (struct one_series){.script_path = row->run.script_path, .step = m->step, .metric = m->metric};
    return 0;
}

static const struct mu_measured *value_in(const struct muster_past *p, const struct one_series *s, size_t row)
{
    for (size_t i = 0; i < p->values[row].n; i++)
        if (is_of(s, &p->rows[row], &p->values[row].list[i]))
            return &p->values[row].list[i];
    return NULL;
}

static int describe(const struct muster_past *p, struct one_series *s)
{
    double *v = calloc(p->n ? p->n : 1, sizeof *v);
    const char *unit = NULL;
    size_t n = 0;
    if (!v)
        return MU_ENOMEM;
    for (size_t i = p->n; i-- > 0;) {
        const struct mu_measured *m = value_in(p, s, i);
        unit = m && m->unit ? m->unit : unit;
        if (m && isfinite(m->value))
            v[n++] = m->value;
    }
    s->said = (struct muster_series){.script_path = s->script_path, .step = s->step, .metric = s->metric, .unit = or_empty(unit),
                                     .n = n, .last = NAN, .median = NAN, .mad = NAN, .min = NAN, .max = NAN};
    if (n) {
        s->said.last = v[n - 1];
        s->said.median = mu_spread_median(v, n);
        s->said.min = v[0];
        s->said.max = v[n - 1];
        s->said.mad = mu_spread_mad(v, n, s->said.median);
    }
    free(v);
    return 0;
}

static int load_values(struct muster_past *p, struct mu_store *s, const struct muster_past_options *o, struct mu_err *err)
{
    int rc = 0;
    p->values = calloc(p->n ? p->n : 1, sizeof *p->values);
    if (!p->values)
        return nomem(err);
    for (size_t i = 0; !rc && i < p->n; i++)
        rc = mu_store_list_measured(s, &p->rows[i].run, o->server, &p->values[i].list, &p->values[i].n, err);
    for (size_t i = p->n; !rc && i-- > 0;)
        for (size_t k = 0; !rc && k < p->values[i].n; k++)
            if (is_wanted(&p->values[i].list[k], o->metric) && add_series(p, &p->rows[i], &p->values[i].list[k]))
                rc = nomem(err);
    for (size_t i = 0; !rc && i < p->n_series; i++)
        if (describe(p, &p->series[i]))
            rc = nomem(err);
    return rc;
}

int muster_past_new(struct muster_kept *k, const struct muster_past_options *options, struct muster_past **out,
                    struct muster_error *err)
{
    struct muster_past *p = calloc(1, sizeof *p);
    struct mu_runs_wanted wanted = {options->script, options->server, options->last};
    struct mu_err e = {0};
    int rc = p ? mu_store_list_runs(k->store, &wanted, &p->rows, &p->n, &e) : nomem(&e);
    if (!rc)
        rc = load_values(p, k->store, options, &e);
    if (!rc && !p->n)
        rc = mu_err_set(&e, MU_ENOENT, "results %s: no run%s%s was about a server %s", mu_store_where(k->store),
                        options->script ? " of " : "", or_empty(options->script), options->server);
    else if (!rc && options->metric && !p->n_series)
        rc = mu_err_set(&e, MU_ENOENT, "results %s: no run that was looked at measured %s on %s", mu_store_where(k->store),
                        options->metric, options->server);
    if (rc)
        muster_past_free(p);
    *out = rc ? NULL : p;
    return mu_api_give_result(err, rc, &e);
}

void muster_past_free(struct muster_past *p)
{
    if (!p)
        return;
    for (size_t i = 0; p->values && i < p->n; i++)
        mu_measured_free(p->values[i].list, p->values[i].n);
    free(p->values);
    mu_run_rows_free(p->rows, p->n);
    free(p->series);
    free(p);
}

int muster_past_run(const struct muster_past *p, size_t i, struct muster_past_run *out)
{
    if (i >= p->n)
        return MU_EINVAL;
    const struct mu_run_row *row = &p->rows[p->n - 1 - i];
    mu_api_kept_run(row, &out->run);
    out->status = mu_status_name(row->status);
    out->started_ms = row->started_ms;
    out->duration_ms = row->duration_ms;
    return 0;
}

int muster_past_series(const struct muster_past *p, size_t i, struct muster_series *out)
{
    if (i >= p->n_series)
        return MU_EINVAL;
    *out = p->series[i].said;
    return 0;
}

int muster_past_point(const struct muster_past *p, size_t series, size_t run, struct muster_point *out)
{
    if (series >= p->n_series || run >= p->n)
        return MU_EINVAL;
    const struct mu_measured *m = value_in(p, &p->series[series], p->n - 1 - run);
    if (!m)
        return MU_ENOENT;
    *out = (struct muster_point){.value = m->value, .n_samples = m->n_samples ? m->n_samples : 1, .mad = m->mad,
                                 .judged = m->judgement != MU_UNJUDGED, .passed = m->judgement == MU_PASSED,
                                 .status = mu_status_name(m->status)};
    return 0;
}
