#include "results/store_trail.h"

#include <stdlib.h>
#include <string.h>

#include "results/store_internal.h"

struct load {
    struct mu_trail *out;
    struct mu_store *store;
    const struct mu_run_result *run;
    struct mu_columns columns;
    struct server {
        const char *id;
        size_t task;
    } *servers; /* by id */
    int64_t *ids; /* of the runs, newest first */
    size_t cap;
};

static int no_memory(struct mu_err *err) { return mu_err_set(err, MU_ENOMEM, "out of memory"); }

static int by_id(const void *pa, const void *pb)
{
    return strcmp(((const struct server *)pa)->id, ((const struct server *)pb)->id);
}

static int by_place(const void *pa, const void *pb)
{
    const struct mu_trail_value *a = pa, *b = pb;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    if (a->run != b->run)
        return a->run < b->run ? -1 : 1;
    return (a->task > b->task) - (a->task < b->task);
}

static int load_workers(struct load *l, int64_t run, struct mu_err *err)
{
    struct mu_query *q = NULL;
    bool any = false;
    int row, rc = mu_query_new(&q, l->store->db, "SELECT idx, worker FROM servers WHERE run = $1", err);
    if (rc)
        return rc;
    int *workers = malloc((l->run->n_tasks + 1) * sizeof *workers);
    if (!workers)
        rc = no_memory(err);
    for (size_t i = 0; workers && i < l->run->n_tasks; i++)
        workers[i] = -1;
    mu_query_int(q, 1, run);
    while (!rc && (row = mu_query_step(q, err)) != 0) {
        size_t i = row > 0 ? (size_t)mu_query_get_int(q, 0) : 0;
        rc = row < 0 ? row : 0;
        if (row < 0 || i >= l->run->n_tasks || mu_query_is_null(q, 1))
            continue;
        workers[i] = (int)mu_query_get_int(q, 1);
        any = true;
    }
    mu_query_free(q);
    if (rc || !any)
        free(workers);
    else
        l->out->workers = workers;
    return rc;
}

static int load_runs(struct load *l, const struct mu_store_run *run, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int row = 0, rc = mu_query_new(&q, l->store->db,
                                   "SELECT id, run_id, started_ms FROM runs WHERE script_path = $1 AND id < $2 AND"
                                   " state = 'finished' AND dry_run = 0 AND replayed = 0 ORDER BY id DESC LIMIT $3", err);
    if (rc)
        return rc;
    mu_query_text(q, 1, run->script_path);
    mu_query_int(q, 2, run->id);
    mu_query_int(q, 3, MU_TRAIL_RUNS);
    while (!rc && (row = mu_query_step(q, err)) > 0) {
        struct mu_trail_run *r = &l->out->runs[l->out->n_runs];
        l->ids[l->out->n_runs] = mu_query_get_int(q, 0);
        r->started_ms = mu_query_get_int(q, 2);
        rc = mu_query_get_copy(q, 1, &r->run_id) ? no_memory(err) : 0;
        l->out->n_runs += !rc;
    }
    mu_query_free(q);
    return row < 0 ? row : rc;
}

static int add(struct load *l, const struct mu_trail_value *v, struct mu_err *err)
{
    if (l->out->n_values == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 1024;
        struct mu_trail_value *grown = realloc(l->out->values, cap * sizeof *grown);
        if (!grown)
            return no_memory(err);
        l->out->values = grown;
        l->cap = cap;
    }
    l->out->values[l->out->n_values++] = *v;
    return 0;
}

static int load_values(struct load *l, size_t run, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int row = 0, rc = mu_query_new(&q, l->store->db,
                                   "SELECT s.server_id, t.name, m.name, m.value FROM servers s JOIN steps t ON t.server = s.id AND"
                                   " t.pass = 'run' JOIN metrics m ON m.step = t.id WHERE s.run = $1", err);
    if (rc)
        return rc;
    mu_query_int(q, 1, l->ids[run]);
    while (!rc && (row = mu_query_step(q, err)) > 0) {
        const char *id = mu_query_get_text(q, 0), *step = mu_query_get_text(q, 1), *metric = mu_query_get_text(q, 2);
        const struct server key = {.id = id ? id : ""};
        const struct server *server = bsearch(&key, l->servers, l->run->n_tasks, sizeof key, by_id);
        const struct mu_column *column = server && step && metric ? mu_columns_find(&l->columns, step, metric) : NULL;
        if (column)
            rc = add(l, &(struct mu_trail_value){(size_t)(column - l->columns.metrics), run, server->task,
                                                mu_query_get_num(q, 3)}, err);
    }
    mu_query_free(q);
    return row < 0 ? row : rc;
}

/* From the newest back, as long as there is room. */
static int load_all_values(struct load *l, struct mu_err *err)
{
    struct mu_trail *out = l->out;
    size_t n = 0, before = 0;
    int rc = 0;
    for (; !rc && n < out->n_runs && out->n_values + before <= MU_TRAIL_VALUES; n++) {
        before = out->n_values;
        rc = load_values(l, n, err);
        before = out->n_values - before; /* the next one will have about as many */
    }
    out->shortened = n < out->n_runs;
    while (out->n_runs > n)
        free(out->runs[--out->n_runs].run_id);
    for (size_t i = 0; i < n / 2; i++) {
        struct mu_trail_run run = out->runs[i];
        out->runs[i] = out->runs[n - 1 - i];
        out->runs[n - 1 - i] = run;
    }
    for (size_t i = 0; i < out->n_values; i++)
        out->values[i].run = n - 1 - out->values[i].run;
    if (out->n_values)
        qsort(out->values, out->n_values, sizeof *out->values, by_place);
    return rc;
}

static int prepare(struct load *l, const struct mu_store_run *run)
{
    const char *const from[] = {mu_store_state_name(run->state), run->version, run->host, run->owner, run->params, run->thresholds};
    char **const to[] = {&l->out->state, &l->out->version, &l->out->host, &l->out->owner, &l->out->params, &l->out->thresholds};
    for (size_t i = 0; i < sizeof from / sizeof *from; i++)
        if (from[i] && !(*to[i] = strdup(from[i])))
            return MU_ENOMEM;
    l->out->runs = calloc(MU_TRAIL_RUNS, sizeof *l->out->runs);
    l->ids = calloc(MU_TRAIL_RUNS, sizeof *l->ids);
    l->servers = calloc(l->run->n_tasks + 1, sizeof *l->servers);
    if (!l->out->runs || !l->ids || !l->servers || mu_columns_make(&l->columns, l->run))
        return MU_ENOMEM;
    for (size_t i = 0; i < l->run->n_tasks; i++)
        l->servers[i] = (struct server){l->run->tasks[i].server_id, i};
    qsort(l->servers, l->run->n_tasks, sizeof *l->servers, by_id);
    return 0;
}

int mu_trail_load(struct mu_trail *out, struct mu_store *s, const struct mu_store_run *run, const struct mu_run_result *r,
                 struct mu_err *err)
{
    struct load l = {.out = out, .store = s, .run = r};
    *out = (struct mu_trail){0};
    int rc = prepare(&l, run) ? no_memory(err) : load_workers(&l, run->id, err);
    if (!rc)
        rc = load_runs(&l, run, err);
    if (!rc)
        rc = load_all_values(&l, err);
    mu_columns_clear(&l.columns);
    free(l.servers);
    free(l.ids);
    if (rc)
        mu_trail_clear(out);
    return rc;
}
