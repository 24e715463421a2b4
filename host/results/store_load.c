/* A run read back: its row and its servers. Their steps are read in store_load_steps.c. */
#include <stdlib.h>
#include <string.h>

#include "results/store_internal.h"

static int broken(const struct mu_store *s, const char *what, struct mu_err *err)
{
    return mu_err_set(err, MU_EIO, "results %s: %s cannot be understood: was it written by hand?", s->where, what);
}

int mu_status_parse(const char *name, enum mu_status *out)
{
    for (int i = MU_ST_FAILED; name && i <= MU_ST_SKIPPED; i++)
        if (!strcmp(name, mu_status_name((enum mu_status)i))) {
            *out = (enum mu_status)i;
            return 0;
        }
    return MU_EINVAL;
}

int mu_mark_state_parse(const char *name, enum mu_mark_state *out)
{
    for (int i = MU_MARK_NONE; name && i <= MU_MARK_WITHHELD; i++)
        if (!strcmp(name, mu_mark_state_name((enum mu_mark_state)i))) {
            *out = (enum mu_mark_state)i;
            return 0;
        }
    return MU_EINVAL;
}

/* ---- servers ---- */

static int read_server(struct mu_store *s, struct mu_query *q, struct mu_task_result *t, struct mu_err *err)
{
    if (mu_status_parse(mu_query_get_text(q, 2), &t->status) || mu_mark_state_parse(mu_query_get_text(q, 7), &t->mark.state))
        return broken(s, "the state of a server", err);
    t->started_ms = mu_query_get_int(q, 3);
    t->duration_ms = (uint64_t)mu_query_get_int(q, 4);
    t->dealt = mu_query_get_int(q, 5);
    t->finished = mu_query_get_int(q, 6);
    t->mark.tries = (unsigned)mu_query_get_int(q, 10);
    t->left_behind = mu_query_get_int(q, 11);
    t->retries = (unsigned)mu_query_get_int(q, 13);
    t->retried = (unsigned)mu_query_get_int(q, 14);
    if (mu_query_get_copy(q, 1, &t->server_id) || mu_query_get_copy(q, 8, &t->mark.reason) ||
        mu_query_get_copy(q, 9, &t->mark.note) || mu_query_get_copy(q, 12, &t->claim))
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    return 0;
}

static int load_servers(struct mu_store *s, int64_t run, struct mu_run_result *r, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int row, rc = mu_query_new(&q, s->db,
                               "SELECT idx, server_id, status, started_ms, duration_ms, dealt, finished, mark_state, mark_reason,"
                               " mark_note, mark_tries, left_behind, claim, connect_retries, retried_connections FROM servers"
                               " WHERE run = $1 ORDER BY idx", err);
    if (rc)
        return rc;
    size_t n = 0;
    mu_query_int(q, 1, run);
    while ((row = mu_query_step(q, err)) > 0 && !rc) {
        if (n == r->n_tasks || mu_query_get_int(q, 0) != (int64_t)n)
            rc = broken(s, "the order of servers", err);
        else
            rc = read_server(s, q, &r->tasks[n++], err);
    }
    mu_query_free(q);
    return row < 0 ? row : !rc && n < r->n_tasks ? broken(s, "the number of servers", err) : rc;
}

static int load_unended(struct mu_store *s, int64_t run, struct mu_run_result *r, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int row, rc = mu_query_new(&q, s->db,
                               "SELECT s.idx, u.command FROM unended u JOIN servers s ON u.server = s.id WHERE s.run = $1"
                               " ORDER BY s.idx, u.idx", err);
    if (rc)
        return rc;
    mu_query_int(q, 1, run);
    while ((row = mu_query_step(q, err)) > 0 && !rc) {
        size_t i = (size_t)mu_query_get_int(q, 0);
        if (i < r->n_tasks && mu_task_result_add_unended(&r->tasks[i], mu_query_get_text(q, 1)))
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    mu_query_free(q);
    return row < 0 ? row : rc;
}

/* ---- the run ---- */

static int load_row(struct mu_store *s, int64_t run, struct mu_run_result *r, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int rc = mu_query_new(&q, s->db,
                          "SELECT description, started_ms, duration_ms, interrupted, signal, dry_run, after_all, marks_cap,"
                          " marks_said, marks_candidates, marks_over FROM runs WHERE id = $1", err);
    if (rc)
        return rc;
    mu_query_int(q, 1, run);
    rc = mu_query_step(q, err);
    if (rc == 0)
        rc = mu_err_set(err, MU_ENOENT, "results %s: the run %s is not there any more", s->where, r->run_id);
    if (rc > 0) {
        r->started_ms = mu_query_get_int(q, 1);
        r->duration_ms = (uint64_t)mu_query_get_int(q, 2);
        r->interrupted = mu_query_get_int(q, 3);
        r->signal = (int)mu_query_get_int(q, 4);
        r->dry_run = mu_query_get_int(q, 5);
        r->marks.cap = (size_t)mu_query_get_int(q, 7);
        r->marks.candidates = (size_t)mu_query_get_int(q, 9);
        r->marks.over = mu_query_get_int(q, 10);
        rc = mu_query_get_copy(q, 0, &r->description) || mu_query_get_copy(q, 6, &r->after_all) ||
                     mu_query_get_copy(q, 8, &r->marks.said)
                 ? mu_err_set(err, MU_ENOMEM, "out of memory")
                 : 0;
    }
    mu_query_free(q);
    return rc;
}

/* How long a run that was cut off is known to have lasted. */
static void guess_duration(struct mu_run_result *r)
{
    for (size_t i = 0; i < r->n_tasks; i++) {
        const struct mu_task_result *t = &r->tasks[i];
        int64_t ms = t->started_ms + (int64_t)t->duration_ms - r->started_ms;
        if (t->finished && ms > (int64_t)r->duration_ms)
            r->duration_ms = (uint64_t)ms;
    }
}

int mu_store_load(struct mu_store *s, const struct mu_store_run *run, struct mu_run_result **out, struct mu_err *err)
{
    struct mu_run_result *r = NULL;
    int rc = mu_run_result_new(&r, run->run_id, run->script, run->n_servers);
    *out = NULL;
    if (rc)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    /* One picture of it all, whoever writes meanwhile. */
    bool own = !s->open;
    rc = own ? mu_db_exec(s->db, "BEGIN", err) : 0;
    if (!rc)
        rc = load_row(s, run->id, r, err);
    if (!rc)
        rc = load_servers(s, run->id, r, err);
    if (!rc)
        rc = load_unended(s, run->id, r, err);
    if (!rc)
        rc = mu_store_load_steps(s, run->id, r, err);
    if (own)
        mu_db_rollback(s->db);
    if (!rc && (run->state == MU_STORE_RUNNING || run->state == MU_STORE_CUT_OFF)) {
        guess_duration(r);
        for (size_t i = 0; i < r->n_tasks; i++)
            mu_task_result_settle(&r->tasks[i]);
    }
    if (rc)
        mu_run_result_free(r);
    else
        *out = r;
    return rc;
}
