#include "results/store_look.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "results/store_internal.h"

static int nomem(struct mu_err *err) { return mu_err_set(err, MU_ENOMEM, "out of memory"); }

/* ---- one run ---- */

/* The number behind "last~", or 0 for "last" alone; -1: it is no such word. */
static int64_t steps_back(const char *ref)
{
    static const char last[] = "last";
    char *end;
    if (strncmp(ref, last, sizeof last - 1) != 0)
        return -1;
    ref += sizeof last - 1;
    if (!*ref)
        return 0;
    if (*ref != '~' || ref[1] < '0' || ref[1] > '9')
        return -1;
    long n = strtol(ref + 1, &end, 10);
    return *end || n == LONG_MAX ? -1 : n;
}

int mu_store_find_named(struct mu_store *s, const char *ref, struct mu_store_run *out, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int64_t back = steps_back(ref);
    *out = (struct mu_store_run){0};
    if (back < 0)
        return mu_store_find(s, ref, out, err);
    int rc = mu_query_new(&q, s->db, MU_STORE_RUN_COLUMNS " ORDER BY started_ms DESC, id DESC LIMIT 1 OFFSET $1", err);
    if (rc)
        return rc;
    mu_query_int(q, 1, back);
    rc = mu_query_step(q, err);
    if (rc == 0)
        rc = back ? mu_err_set(err, MU_ENOENT, "results %s: there are no %lld runs before the last", s->where, (long long)back)
                  : mu_err_set(err, MU_ENOENT, "results %s: there is no run", s->where);
    if (rc > 0)
        rc = mu_store_read_run(s, q, out, err);
    mu_query_free(q);
    return rc;
}

/* ---- many runs ---- */

/* A path that holds a slash has to be the whole one, or its end from a slash on. */
static bool is_script(const struct mu_store_run *run, const char *wanted)
{
    size_t n = strlen(run->script_path), w = strlen(wanted);
    return !strcmp(run->script_path, wanted) || !strcmp(run->script, wanted) ||
           (w && w < n && !strcmp(run->script_path + n - w, wanted) && run->script_path[n - w - 1] == '/');
}

static int count_servers(struct mu_query *q, struct mu_run_row *row, struct mu_err *err)
{
    int more;
    mu_query_int(q, 1, row->run.id);
    while ((more = mu_query_step(q, err)) > 0) {
        enum mu_status status;
        if (!mu_status_parse(mu_query_get_text(q, 0), &status))
            row->counts[status] = (size_t)mu_query_get_int(q, 1);
    }
    mu_query_reset(q);
    return more;
}

/* *there: it is one of the run's servers. */
static int look_for_server(struct mu_query *q, const char *server, struct mu_run_row *row, bool *there, struct mu_err *err)
{
    mu_query_text(q, 1, server);
    mu_query_int(q, 2, row->run.id);
    int rc = mu_query_step(q, err);
    *there = rc > 0;
    if (*there) {
        mu_status_parse(mu_query_get_text(q, 0), &row->status);
        row->started_ms = mu_query_get_int(q, 1);
        row->duration_ms = (uint64_t)mu_query_get_int(q, 2);
    }
    mu_query_reset(q);
    return rc < 0 ? rc : 0;
}

struct listing {
    struct mu_run_row *rows;
    size_t n, cap;
    struct mu_query *runs, *counts, *server;
};

static int take_row(struct listing *l, struct mu_store *s, const struct mu_runs_wanted *w, struct mu_err *err)
{
    bool there = true;
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 32;
        struct mu_run_row *grown = reallocarray(l->rows, cap, sizeof *grown);
        if (!grown)
            return nomem(err);
        l->rows = grown;
        l->cap = cap;
    }
    struct mu_run_row *row = &l->rows[l->n];
    *row = (struct mu_run_row){0};
    int rc = mu_store_read_run(s, l->runs, &row->run, err);
    if (rc)
        return rc;
    there = !w->script || is_script(&row->run, w->script);
    if (there && w->server)
        rc = look_for_server(l->server, w->server, row, &there, err);
    if (!rc && there)
        rc = count_servers(l->counts, row, err);
    if (rc || !there)
        mu_store_run_clear(&row->run);
    else
        l->n++;
    return rc;
}

int mu_store_list_runs(struct mu_store *s, const struct mu_runs_wanted *w, struct mu_run_row **out, size_t *n,
                       struct mu_err *err)
{
    struct listing l = {0};
    int row = 0;
    *out = NULL;
    *n = 0;
    int rc = mu_query_new(&l.runs, s->db, MU_STORE_RUN_COLUMNS " ORDER BY started_ms DESC, id DESC", err);
    if (!rc)
        rc = mu_query_new(&l.counts, s->db, "SELECT status, count(*) FROM servers WHERE run = $1 GROUP BY status", err);
    if (!rc)
        rc = mu_query_new(&l.server, s->db,
                          "SELECT status, started_ms, duration_ms FROM servers WHERE server_id = $1 AND run = $2", err);
    while (!rc && (!w->last || l.n < w->last) && (row = mu_query_step(l.runs, err)) > 0)
        rc = take_row(&l, s, w, err);
    rc = !rc && row < 0 ? row : rc;
    mu_query_free(l.runs);
    mu_query_free(l.counts);
    mu_query_free(l.server);
    if (rc) {
        mu_run_rows_free(l.rows, l.n);
        return rc;
    }
    *out = l.rows;
    *n = l.n;
    return 0;
}

void mu_run_rows_free(struct mu_run_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mu_store_run_clear(&rows[i].run);
    free(rows);
}

/* ---- one server in one run ---- */

static int read_measured(struct mu_query *q, struct mu_measured *m)
{
    const char *samples = mu_query_get_text(q, 5), *judgement = mu_query_get_text(q, 7);
    *m = (struct mu_measured){.value = mu_query_get_num(q, 4), .n_samples = samples && *samples ? 1 : 0};
    for (const char *at = samples; m->n_samples && (at = strchr(at, ',')) != NULL; at++)
        m->n_samples++;
    m->mad = m->n_samples ? mu_query_get_num(q, 6) : 0;
    if (judgement && strcmp(judgement, "unjudged") != 0)
        m->judgement = !strcmp(judgement, "missed") ? MU_MISSED : MU_PASSED;
    mu_status_parse(mu_query_get_text(q, 1), &m->status);
    return mu_query_get_copy(q, 0, &m->step) || mu_query_get_copy(q, 2, &m->metric) || mu_query_get_copy(q, 3, &m->unit);
}

int mu_store_list_measured(struct mu_store *s, const struct mu_store_run *run, const char *server, struct mu_measured **out,
                           size_t *n, struct mu_err *err)
{
    struct mu_query *q = NULL;
    struct mu_measured *list = NULL;
    size_t cap = 0;
    *out = NULL;
    *n = 0;
    int row = 0, rc = mu_query_new(&q, s->db,
                                   "SELECT t.name, t.status, m.name, m.unit, m.value, m.samples, m.mad, m.judgement"
                                   " FROM servers s JOIN steps t ON t.server = s.id JOIN metrics m ON m.step = t.id"
                                   " WHERE s.server_id = $1 AND s.run = $2 AND t.pass = 'run' ORDER BY t.idx, m.idx", err);
    if (rc)
        return rc;
    mu_query_text(q, 1, server);
    mu_query_int(q, 2, run->id);
    while (!rc && (row = mu_query_step(q, err)) > 0) {
        if (*n == cap) {
            struct mu_measured *grown = reallocarray(list, cap = cap ? 2 * cap : 16, sizeof *grown);
            if (!grown) {
                rc = nomem(err);
                break;
            }
            list = grown;
        }
        rc = read_measured(q, &list[(*n)++]) ? nomem(err) : 0;
    }
    mu_query_free(q);
    rc = !rc && row < 0 ? row : rc;
    if (rc) {
        mu_measured_free(list, *n);
        *n = 0;
        return rc;
    }
    *out = list;
    return 0;
}

void mu_measured_free(struct mu_measured *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].step);
        free(list[i].metric);
        free(list[i].unit);
    }
    free(list);
}
