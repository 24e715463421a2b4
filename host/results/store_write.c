#include "results/store.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "results/store_internal.h"

/* ---- the object ---- */

int mu_store_open(struct mu_store **out, const char *where, bool create, struct mu_err *err)
{
    struct mu_store *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s || !(s->where = strdup(where))) {
        free(s);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    int rc = mu_db_open(&s->db, where, create, err);
    if (rc)
        mu_store_close(s);
    else
        *out = s;
    return rc;
}

void mu_store_close(struct mu_store *s)
{
    if (!s)
        return;
    if (s->open)
        mu_db_rollback(s->db);
    for (size_t i = 0; i < MU_SQ_COUNT; i++)
        mu_query_free(s->queries[i]);
    for (size_t i = 0; i < 2 * MU_SQ_SIZES; i++)
        mu_query_free(s->rows[i / MU_SQ_SIZES][i % MU_SQ_SIZES]);
    mu_db_close(s->db);
    mu_buf_free(&s->samples);
    free(s->kept);
    free(s->noted);
    free(s->where);
    free(s);
}

struct mu_db *mu_store_db(struct mu_store *s) { return s->db; }
const char *mu_store_where(const struct mu_store *s) { return s->where; }
bool mu_store_is_writing(const struct mu_store *s) { return s->kept && !s->broken; }

bool mu_store_is_final(const struct mu_store *s, size_t server) { return s->kept[server].final; }
bool mu_store_has_put(const struct mu_store *s) { return s->open || s->n_noted; }

/* ---- transactions ---- */

/* A transaction is begun with the first thing that is put into it. */
int mu_store_enter(struct mu_store *s, struct mu_err *err)
{
    if (s->open)
        return 0;
    int rc = mu_db_begin(s->db, err);
    s->open = rc == 0;
    return rc;
}

int mu_store_leave(struct mu_store *s, int rc)
{
    if (!rc)
        return 0;
    if (s->open)
        mu_db_rollback(s->db);
    s->open = false;
    s->broken = true;
    s->n_noted = 0;
    return rc;
}

static int commit(struct mu_store *s, struct mu_err *err)
{
    if (!s->open)
        return 0;
    s->open = false;
    int rc = mu_db_commit(s->db, err);
    return mu_store_leave(s, rc);
}

/* ---- a run begins ---- */

static int insert_source(struct mu_store *s, const struct mu_store_file *file, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int rc = mu_query_new(&q, s->db, "INSERT INTO sources (hash, text) VALUES ($1, $2) ON CONFLICT DO NOTHING", err);
    if (!rc) {
        mu_query_text(q, 1, file->hash);
        mu_query_blob(q, 2, file->len ? file->text : "", file->len);
        rc = mu_query_run(q, err);
    }
    mu_query_free(q);
    return rc;
}

static int insert_file(struct mu_store *s, const struct mu_store_file *file, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int rc = mu_query_new(&q, s->db, "INSERT INTO run_files (run, path, source) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", err);
    if (!rc) {
        mu_query_int(q, 1, s->run);
        mu_query_text(q, 2, file->path);
        mu_query_text(q, 3, file->hash);
        rc = mu_query_run(q, err);
    }
    mu_query_free(q);
    return rc;
}

static int insert_run(struct mu_store *s, const struct mu_run_result *r, const struct mu_store_head *h, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int rc = mu_query_new(&q, s->db,
                          "INSERT INTO runs (run_id, script, script_path, source, description, version, host, owner, state,"
                          " started_ms, duration_ms, interrupted, signal, dry_run, replayed, resumed, n_servers, marks_cap,"
                          " marks_said, marks_candidates, marks_over, params, thresholds, options)"
                          " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'running', $9, 0, 0, 0, $10, $11, 0, $12, $13, $14, 0, 0,"
                          " $15, $16, $17)", err);
    if (rc)
        return rc;
    mu_query_text(q, 1, r->run_id);
    mu_query_text(q, 2, r->script);
    mu_query_text(q, 3, h->script_path);
    mu_query_text(q, 4, h->n_files ? h->files[0].hash : NULL);
    mu_query_text(q, 5, r->description);
    mu_query_text(q, 6, h->version);
    mu_query_text(q, 7, h->host);
    mu_query_text(q, 8, h->owner);
    mu_query_int(q, 9, r->started_ms);
    mu_query_int(q, 10, r->dry_run);
    mu_query_int(q, 11, h->replayed);
    mu_query_int(q, 12, (int64_t)r->n_tasks);
    mu_query_int(q, 13, (int64_t)r->marks.cap);
    mu_query_text(q, 14, r->marks.said);
    mu_query_text(q, 15, h->params);
    mu_query_text(q, 16, h->thresholds);
    mu_query_text(q, 17, h->options);
    rc = mu_query_insert(q, &s->run, err);
    mu_query_free(q);
    return rc;
}

static int insert_servers(struct mu_store *s, const struct mu_run_result *r, mu_store_server_fn *fn, void *arg,
                          struct mu_err *err)
{
    struct mu_query *q = NULL;
    int rc = mu_query_new(&q, s->db,
                          "INSERT INTO servers (run, idx, server_id, address, inventory, status, started_ms, duration_ms, dealt,"
                          " finished, final, mark_state, mark_tries, left_behind)"
                          " VALUES ($1, $2, $3, $4, $5, 'cancelled', 0, 0, 0, 0, 0, 'none', 0, 0)", err);
    for (size_t i = 0; !rc && i < r->n_tasks; i++) {
        struct mu_store_server server = {0};
        if (fn(arg, i, &server)) {
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
            break;
        }
        mu_query_int(q, 1, s->run);
        mu_query_int(q, 2, (int64_t)i);
        mu_query_text(q, 3, r->tasks[i].server_id);
        mu_query_text(q, 4, server.address);
        mu_query_text(q, 5, server.inventory);
        rc = mu_query_insert(q, &s->kept[i].id, err);
    }
    mu_query_free(q);
    return rc;
}

static int make_room(struct mu_store *s, size_t n, struct mu_err *err)
{
    s->kept = calloc(n ? n : 1, sizeof *s->kept);
    s->noted = calloc(n ? n : 1, sizeof *s->noted);
    s->n = n;
    return s->kept && s->noted ? 0 : mu_err_set(err, MU_ENOMEM, "out of memory");
}

int mu_store_begin(struct mu_store *s, const struct mu_run_result *r, const struct mu_store_head *head,
                   mu_store_server_fn *fn, void *arg, struct mu_err *err)
{
    int rc = make_room(s, r->n_tasks, err);
    if (!rc)
        rc = mu_store_enter(s, err);
    for (size_t i = 0; !rc && i < head->n_files; i++)
        rc = insert_source(s, &head->files[i], err);
    if (!rc)
        rc = insert_run(s, r, head, err);
    for (size_t i = 0; !rc && i < head->n_files; i++)
        rc = insert_file(s, &head->files[i], err);
    if (!rc)
        rc = insert_servers(s, r, fn, arg, err);
    if (!rc) /* before others can see it */
        rc = mu_db_lock_run(s->db, s->run, err);
    return rc ? mu_store_leave(s, rc) : commit(s, err);
}

/* ---- servers ---- */

void mu_store_note_worker(struct mu_store *s, size_t server, int worker)
{
    if (mu_store_is_writing(s))
        s->kept[server].worker = worker + 1;
}

int mu_store_put_facts(struct mu_store *s, size_t server, const char *json, struct mu_err *err)
{
    struct mu_query *q;
    if (!mu_store_is_writing(s))
        return 0;
    int rc = mu_store_enter(s, err);
    if (!rc && (rc = mu_store_query(s, MU_SQ_FACTS, &q, err)) == 0) {
        mu_query_text(q, 1, json);
        mu_query_int(q, 2, s->kept[server].id);
        rc = mu_query_run(q, err);
    }
    return mu_store_leave(s, rc);
}

int mu_store_put_pass(struct mu_store *s, size_t server, const char *pass, const struct mu_step_result *step,
                      struct mu_err *err)
{
    if (!mu_store_is_writing(s))
        return 0;
    int rc = mu_store_enter(s, err);
    if (!rc)
        rc = mu_store_insert_steps(s, &(struct mu_store_step){server, s->kept[server].n_passes++, pass, step}, 1, err);
    return mu_store_leave(s, rc);
}

static int insert_unended(struct mu_store *s, size_t server, size_t idx, const char *command, struct mu_err *err)
{
    struct mu_query *q;
    int rc = mu_store_query(s, MU_SQ_UNENDED, &q, err);
    if (rc)
        return rc;
    mu_query_int(q, 1, s->kept[server].id);
    mu_query_int(q, 2, (int64_t)idx);
    mu_query_text(q, 3, command);
    return mu_query_run(q, err);
}

/* Steps that are put together, in one go when there are many. */
struct batch {
    struct mu_store_step steps[64];
    size_t n;
};

static int flush(struct mu_store *s, struct batch *b, struct mu_err *err)
{
    int rc = mu_store_insert_steps(s, b->steps, b->n, err);
    b->n = 0;
    return rc;
}

static int put_new(struct mu_store *s, const struct mu_task_result *t, size_t server, struct batch *b, struct mu_err *err)
{
    struct mu_store_kept *k = &s->kept[server];
    int rc = 0;
    for (; !rc && k->n_steps < t->n_steps; k->n_steps++) {
        b->steps[b->n++] = (struct mu_store_step){server, k->n_steps, "run", &t->steps[k->n_steps]};
        if (b->n == sizeof b->steps / sizeof *b->steps)
            rc = flush(s, b, err);
    }
    for (; !rc && k->n_failures < t->n_failures; k->n_failures++)
        rc = mu_store_insert_failure(s, server, 0, &t->failures[k->n_failures], err);
    for (; !rc && k->n_unended < t->n_unended; k->n_unended++)
        rc = insert_unended(s, server, k->n_unended, t->unended[k->n_unended], err);
    return rc;
}

static int put_noted(struct mu_store *s, struct mu_err *err)
{
    struct batch b = {.n = 0};
    int rc = 0;
    for (size_t i = 0; !rc && i < s->n_noted; i++) {
        size_t server = s->noted[i];
        const struct mu_task_result *t = &s->noted_in->tasks[server];
        rc = put_new(s, t, server, &b, err);
        if (!rc && !s->kept[server].begun)
            rc = mu_store_update_server(s, t, server, err);
        s->kept[server].noted = false;
    }
    s->n_noted = 0;
    return rc ? rc : flush(s, &b, err);
}

int mu_store_commit(struct mu_store *s, struct mu_err *err)
{
    int rc = 0;
    if (s->n_noted && mu_store_is_writing(s)) {
        rc = mu_store_enter(s, err);
        if (!rc)
            rc = put_noted(s, err);
    }
    return rc ? mu_store_leave(s, rc) : commit(s, err);
}

/* Metrics and their peers go with their steps. */
static int forget(struct mu_store *s, size_t server, struct mu_err *err)
{
    struct mu_store_kept *k = &s->kept[server];
    int rc = 0;
    for (enum mu_store_query which = MU_SQ_FORGET_FAILURES; !rc && which <= MU_SQ_FORGET_UNENDED; which++) {
        struct mu_query *q;
        rc = mu_store_query(s, which, &q, err);
        if (rc)
            return rc;
        mu_query_int(q, 1, k->id);
        rc = mu_query_run(q, err);
    }
    k->n_steps = k->n_passes = k->n_failures = k->n_unended = 0;
    return rc;
}

void mu_store_put(struct mu_store *s, const struct mu_run_result *r, size_t server)
{
    if (!mu_store_is_writing(s) || s->kept[server].noted)
        return;
    s->kept[server].noted = true;
    s->noted_in = r;
    s->noted[s->n_noted++] = server;
}

void mu_store_put_server(struct mu_store *s, const struct mu_run_result *r, size_t server)
{
    if (mu_store_is_writing(s))
        s->kept[server].begun = false;
    mu_store_put(s, r, server);
}

int mu_store_final(struct mu_store *s, const struct mu_run_result *r, size_t server, bool changed, struct mu_err *err)
{
    if (!mu_store_is_writing(s))
        return 0;
    int rc = 0;
    if (changed || s->kept[server].n_passes) {
        rc = mu_store_enter(s, err);
        if (!rc)
            rc = forget(s, server, err);
    }
    s->kept[server].final = true;
    mu_store_put_server(s, r, server);
    return mu_store_leave(s, rc);
}

/* ---- the end ---- */

static int update_run(struct mu_store *s, const struct mu_run_result *r, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int rc = mu_query_new(&q, s->db,
                          "UPDATE runs SET state = $1, ended_ms = $2, duration_ms = $3, exit_code = $4, interrupted = $5,"
                          " signal = $6, after_all = $7, marks_cap = $8, marks_said = $9, marks_candidates = $10,"
                          " marks_over = $11 WHERE id = $12", err);
    if (rc)
        return rc;
    mu_query_text(q, 1, r->interrupted ? "interrupted" : "finished");
    mu_query_int(q, 2, mu_clock_wall_ms());
    mu_query_int(q, 3, (int64_t)r->duration_ms);
    mu_query_int(q, 4, mu_run_result_exit_code(r));
    mu_query_int(q, 5, r->interrupted);
    mu_query_int(q, 6, r->signal);
    mu_query_text(q, 7, r->after_all);
    mu_query_int(q, 8, (int64_t)r->marks.cap);
    mu_query_text(q, 9, r->marks.said);
    mu_query_int(q, 10, (int64_t)r->marks.candidates);
    mu_query_int(q, 11, r->marks.over);
    mu_query_int(q, 12, s->run);
    rc = mu_query_run(q, err);
    mu_query_free(q);
    return rc;
}

/* What may become of a final server: it is marked, or is found to have left something behind. */
static bool may_differ(const struct mu_store_kept *k, const struct mu_task_result *t)
{
    return !k->final || t->mark.state != MU_MARK_NONE || t->mark.reason || t->left_behind || t->claim;
}

/* Whoever never became final may have been changed in any way by the end. */
int mu_store_end(struct mu_store *s, const struct mu_run_result *r, struct mu_err *err)
{
    if (!mu_store_is_writing(s))
        return 0;
    struct batch b = {.n = 0};
    int rc = mu_store_enter(s, err);
    if (!rc)
        rc = put_noted(s, err);
    for (size_t i = 0; !rc && i < s->n; i++) {
        if (!s->kept[i].final && (s->kept[i].n_steps || s->kept[i].n_passes))
            rc = forget(s, i, err);
        if (!rc)
            rc = put_new(s, &r->tasks[i], i, &b, err);
        if (!rc && may_differ(&s->kept[i], &r->tasks[i]))
            rc = mu_store_update_server(s, &r->tasks[i], i, err);
    }
    if (!rc)
        rc = flush(s, &b, err);
    if (!rc)
        rc = update_run(s, r, err);
    return rc ? mu_store_leave(s, rc) : commit(s, err);
}

/* ---- going on ---- */

static int find_kept(struct mu_store *s, const bool *anew, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int row, rc = mu_query_new(&q, s->db, "SELECT idx, id, final FROM servers WHERE run = $1", err);
    if (rc)
        return rc;
    mu_query_int(q, 1, s->run);
    while ((row = mu_query_step(q, err)) > 0) {
        size_t i = (size_t)mu_query_get_int(q, 0);
        if (i < s->n)
            s->kept[i] = (struct mu_store_kept){.id = mu_query_get_int(q, 1),
                                                    .final = !anew[i] && mu_query_get_int(q, 2)};
    }
    mu_query_free(q);
    return row;
}

/* Results that were not settled are measured again. */
static int forget_passes(struct mu_store *s, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int rc = mu_query_new(&q, s->db, "DELETE FROM steps WHERE pass <> 'run' AND server IN (SELECT id FROM servers WHERE run = $1)",
                          err);
    if (rc)
        return rc;
    mu_query_int(q, 1, s->run);
    rc = mu_query_run(q, err);
    mu_query_free(q);
    return rc;
}

/* What it kept was of the measurement that is gone. */
static int forget_artefacts(struct mu_store *s, size_t server, struct mu_err *err)
{
    struct mu_query *q;
    int rc = mu_store_query(s, MU_SQ_FORGET_ARTEFACTS, &q, err);
    if (rc)
        return rc;
    mu_query_int(q, 1, s->kept[server].id);
    return mu_query_run(q, err);
}

static int run_again(struct mu_store *s, const struct mu_run_result *r, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int rc = mu_query_new(&q, s->db,
                          "UPDATE runs SET state = 'running', ended_ms = NULL, exit_code = NULL, interrupted = 0, signal = 0,"
                          " after_all = NULL, resumed = resumed + 1 WHERE id = $1 AND n_servers = $2 RETURNING id", err);
    if (rc)
        return rc;
    mu_query_int(q, 1, s->run);
    mu_query_int(q, 2, (int64_t)r->n_tasks);
    rc = mu_query_step(q, err);
    if (rc == 0)
        rc = mu_err_set(err, MU_ENOENT, "results %s: the run %s is not there any more", s->where, r->run_id);
    mu_query_free(q);
    return rc < 0 ? rc : 0;
}

int mu_store_resume(struct mu_store *s, const struct mu_store_run *run, const struct mu_run_result *r, const bool *anew,
                    struct mu_err *err)
{
    int rc = make_room(s, r->n_tasks, err);
    s->run = run->id;
    if (!rc)
        rc = mu_db_lock_run(s->db, s->run, err);
    if (!rc)
        rc = mu_store_enter(s, err);
    if (!rc)
        rc = run_again(s, r, err);
    if (!rc)
        rc = find_kept(s, anew, err);
    if (!rc)
        rc = forget_passes(s, err);
    for (size_t i = 0; !rc && i < s->n; i++) {
        s->kept[i].n_steps = anew[i] ? 0 : r->tasks[i].n_steps;
        s->kept[i].n_failures = anew[i] ? 0 : r->tasks[i].n_failures;
        s->kept[i].n_unended = anew[i] ? 0 : r->tasks[i].n_unended;
        if (anew[i])
            rc = forget(s, i, err);
        if (!rc && anew[i])
            rc = forget_artefacts(s, i, err);
        if (!rc && anew[i])
            rc = mu_store_update_server(s, &r->tasks[i], i, err);
    }
    return rc ? mu_store_leave(s, rc) : commit(s, err);
}
