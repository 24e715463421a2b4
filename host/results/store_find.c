/* Which runs there are. */
#include <stdlib.h>
#include <string.h>

#include "results/store_internal.h"

const char *mu_store_state_name(enum mu_store_state state)
{
    static const char *const names[] = {"running", "cut off", "finished", "interrupted"};
    return names[state];
}

void mu_store_run_clear(struct mu_store_run *run)
{
    char *const texts[] = {run->run_id, run->script, run->script_path, run->source, run->description, run->version,
                           run->host, run->owner, run->params, run->thresholds, run->options};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    *run = (struct mu_store_run){0};
}

int mu_store_read_run(struct mu_store *s, struct mu_query *q, struct mu_store_run *out, struct mu_err *err)
{
    char **const texts[] = {&out->run_id, &out->script, &out->script_path, &out->source, &out->description, &out->version,
                            &out->host, &out->owner, &out->params, &out->thresholds, &out->options};
    const char *state = mu_query_get_text(q, 12);
    bool locked = false, failed = false;
    *out = (struct mu_store_run){.id = mu_query_get_int(q, 0)};
    for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++)
        failed = mu_query_get_copy(q, i + 1, texts[i]) || failed;
    out->started_ms = mu_query_get_int(q, 13);
    out->ended_ms = mu_query_get_int(q, 14);
    out->duration_ms = (uint64_t)mu_query_get_int(q, 15);
    out->exit_code = mu_query_is_null(q, 16) ? -1 : (int)mu_query_get_int(q, 16);
    out->replayed = mu_query_get_int(q, 17);
    out->dry_run = mu_query_get_int(q, 18);
    out->resumed = (unsigned)mu_query_get_int(q, 19);
    out->n_servers = (size_t)mu_query_get_int(q, 20);
    int rc = failed || !state ? mu_err_set(err, MU_ENOMEM, "out of memory") : 0;
    if (!rc && !strcmp(state, "running"))
        rc = mu_db_is_run_locked(s->db, out->id, &locked, err);
    out->state = !state || !strcmp(state, "finished") ? MU_STORE_FINISHED
                 : !strcmp(state, "interrupted")      ? MU_STORE_INTERRUPTED
                 : locked                             ? MU_STORE_RUNNING
                                                      : MU_STORE_CUT_OFF;
    if (rc)
        mu_store_run_clear(out);
    return rc;
}

/* Ids are of letters, digits and '-': no pattern of LIKE is in one that can be found. */
static bool is_id(const char *text)
{
    return *text && text[strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-")] == '\0';
}

int mu_store_find(struct mu_store *s, const char *run_id, struct mu_store_run *out, struct mu_err *err)
{
    struct mu_query *q = NULL;
    struct mu_buf pattern = MU_BUF_INIT;
    *out = (struct mu_store_run){0};
    if (!is_id(run_id))
        return mu_err_set(err, MU_EINVAL, "'%s' is no id of a run", run_id);
    mu_buf_addf(&pattern, "%s%%", run_id);
    int rc = pattern.failed ? mu_err_set(err, MU_ENOMEM, "out of memory")
                            : mu_query_new(&q, s->db, MU_STORE_RUN_COLUMNS " WHERE run_id LIKE $1 ORDER BY length(run_id), id LIMIT 2", err);
    if (!rc) {
        mu_query_text(q, 1, mu_buf_cstr(&pattern));
        rc = mu_query_step(q, err);
        if (rc == 0)
            rc = mu_err_set(err, MU_ENOENT, "results %s: there is no run %s", s->where, run_id);
        if (rc > 0)
            rc = mu_store_read_run(s, q, out, err);
        if (!rc && strcmp(out->run_id, run_id) != 0 && mu_query_step(q, NULL) > 0) {
            mu_store_run_clear(out);
            rc = mu_err_set(err, MU_EINVAL, "results %s: several runs begin with %s", s->where, run_id);
        }
    }
    mu_query_free(q);
    mu_buf_free(&pattern);
    return rc;
}

int mu_store_find_last(struct mu_store *s, const char *script_path, bool unfinished, struct mu_store_run *out,
                       struct mu_err *err)
{
    struct mu_query *q = NULL;
    *out = (struct mu_store_run){0};
    int row, rc = mu_query_new(&q, s->db, unfinished ? MU_STORE_RUN_COLUMNS " WHERE state <> 'finished' ORDER BY id DESC"
                                          : script_path ? MU_STORE_RUN_COLUMNS " WHERE script_path = $1 ORDER BY id DESC LIMIT 1"
                                                        : MU_STORE_RUN_COLUMNS " ORDER BY id DESC LIMIT 1", err);
    if (rc)
        return rc;
    if (script_path && !unfinished)
        mu_query_text(q, 1, script_path);
    while ((row = mu_query_step(q, err)) > 0) {
        rc = mu_store_read_run(s, q, out, err);
        if (rc || !unfinished ||
            (out->state != MU_STORE_RUNNING && (!script_path || !strcmp(out->script_path, script_path))))
            break;
        mu_store_run_clear(out);
    }
    mu_query_free(q);
    if (row > 0)
        return rc;
    return row < 0 ? row
           : unfinished
               ? mu_err_set(err, MU_ENOENT, "results %s: there is no run that was cut off or interrupted", s->where)
               : mu_err_set(err, MU_ENOENT, "results %s: there is no run%s%s", s->where, script_path ? " of " : "",
                            script_path ? script_path : "");
}

int mu_store_load_inventory(struct mu_store *s, const struct mu_store_run *run, size_t index, char **out,
                            struct mu_err *err)
{
    struct mu_query *q = NULL;
    *out = NULL;
    int rc = mu_query_new(&q, s->db, "SELECT inventory FROM servers WHERE run = $1 AND idx = $2", err);
    if (rc)
        return rc;
    mu_query_int(q, 1, run->id);
    mu_query_int(q, 2, (int64_t)index);
    rc = mu_query_step(q, err);
    if (rc == 0)
        rc = mu_err_set(err, MU_ENOENT, "results %s: server %zu of the run is not there", s->where, index);
    if (rc > 0)
        rc = mu_query_get_copy(q, 0, out) ? mu_err_set(err, MU_ENOMEM, "out of memory") : 0;
    mu_query_free(q);
    return rc;
}

int mu_store_load_final(struct mu_store *s, const struct mu_store_run *run, bool *final, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int row, rc = mu_query_new(&q, s->db, "SELECT idx, final FROM servers WHERE run = $1", err);
    if (rc)
        return rc;
    mu_query_int(q, 1, run->id);
    while ((row = mu_query_step(q, err)) > 0) {
        size_t i = (size_t)mu_query_get_int(q, 0);
        if (i < run->n_servers)
            final[i] = mu_query_get_int(q, 1);
    }
    mu_query_free(q);
    return row;
}

int mu_store_load_source(struct mu_store *s, const char *hash, char **text, size_t *len, struct mu_err *err)
{
    struct mu_query *q = NULL;
    struct mu_buf copy = MU_BUF_INIT;
    size_t n = 0;
    *text = NULL;
    int rc = mu_query_new(&q, s->db, "SELECT text FROM sources WHERE hash = $1", err);
    if (rc)
        return rc;
    mu_query_text(q, 1, hash);
    rc = mu_query_step(q, err);
    if (rc == 0)
        rc = mu_err_set(err, MU_ENOENT, "results %s: there is no source %s", s->where, hash);
    if (rc > 0) {
        const void *bytes = mu_query_get_blob(q, 0, &n);
        mu_buf_add(&copy, bytes, n);
        *len = n;
        *text = mu_buf_take(&copy);
        rc = *text ? 0 : mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    mu_query_free(q);
    return rc;
}
