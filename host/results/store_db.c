#include "results/store_db.h"

#include <stdlib.h>
#include <string.h>

int mu_db_open(struct mu_db **out, const char *where, bool create, struct mu_err *err)
{
    *out = NULL;
    int rc = mu_db_is_url(where) ? mu_postgres_open(out, where, create, err) : mu_sqlite_open(out, where, create, err);
    if (!rc && (rc = mu_schema_settle(*out, where, err)) != 0) {
        mu_db_close(*out);
        *out = NULL;
    }
    return rc;
}

void mu_db_close(struct mu_db *db)
{
    if (db)
        db->ops->close(db);
}

int mu_db_exec(struct mu_db *db, const char *sql, struct mu_err *err) { return db->ops->exec(db, sql, err); }

int mu_db_begin(struct mu_db *db, struct mu_err *err)
{
    return db->ops->begin ? db->ops->begin(db, err) : mu_db_exec(db, "BEGIN IMMEDIATE", err);
}

int mu_db_pipe(struct mu_db *db, bool on, struct mu_err *err) { return db->ops->pipe ? db->ops->pipe(db, on, err) : 0; }

int mu_db_settle_ids(struct mu_db *db, const char *table, struct mu_err *err)
{
    return db->ops->settle_ids ? db->ops->settle_ids(db, table, err) : 0;
}

int mu_db_commit(struct mu_db *db, struct mu_err *err)
{
    int rc = mu_db_exec(db, "COMMIT", err);
    if (rc)
        mu_db_rollback(db);
    return rc;
}

void mu_db_rollback(struct mu_db *db) { mu_db_exec(db, "ROLLBACK", NULL); }

int mu_query_new(struct mu_query **out, struct mu_db *db, const char *sql, struct mu_err *err)
{
    *out = NULL;
    return db->ops->prepare(out, db, sql, err);
}

void mu_query_free(struct mu_query *q)
{
    if (q)
        q->db->ops->query_free(q);
}

void mu_query_int(struct mu_query *q, int at, int64_t v) { q->db->ops->bind_int(q, at, v); }
void mu_query_num(struct mu_query *q, int at, double v) { q->db->ops->bind_num(q, at, v); }
void mu_query_text(struct mu_query *q, int at, const char *text) { q->db->ops->bind_text(q, at, text); }
void mu_query_blob(struct mu_query *q, int at, const void *bytes, size_t n) { q->db->ops->bind_blob(q, at, bytes, n); }
int mu_query_step(struct mu_query *q, struct mu_err *err) { return q->db->ops->step(q, err); }
void mu_query_reset(struct mu_query *q) { q->db->ops->reset(q); }

int mu_query_run(struct mu_query *q, struct mu_err *err)
{
    int rc;
    while ((rc = mu_query_step(q, err)) > 0)
        ;
    mu_query_reset(q);
    return rc;
}

int mu_query_insert(struct mu_query *q, int64_t *id, struct mu_err *err) { return q->db->ops->insert(q, id, err); }

bool mu_query_is_null(struct mu_query *q, int column) { return q->db->ops->is_null(q, column); }
int64_t mu_query_get_int(struct mu_query *q, int column) { return q->db->ops->get_int(q, column); }
double mu_query_get_num(struct mu_query *q, int column) { return q->db->ops->get_num(q, column); }
const char *mu_query_get_text(struct mu_query *q, int column) { return q->db->ops->get_text(q, column); }

const void *mu_query_get_blob(struct mu_query *q, int column, size_t *n)
{
    return q->db->ops->get_blob(q, column, n);
}

int mu_query_get_copy(struct mu_query *q, int column, char **out)
{
    const char *text = mu_query_get_text(q, column);
    *out = text ? strdup(text) : NULL;
    return text && !*out ? MU_ENOMEM : 0;
}

int mu_db_version(struct mu_db *db, int *version, struct mu_err *err) { return db->ops->get_version(db, version, err); }

int mu_db_set_version(struct mu_db *db, int version, struct mu_err *err)
{
    return db->ops->set_version(db, version, err);
}

int mu_db_lock_run(struct mu_db *db, int64_t run, struct mu_err *err) { return db->ops->lock_run(db, run, err); }

int mu_db_is_run_locked(struct mu_db *db, int64_t run, bool *locked, struct mu_err *err)
{
    return db->ops->is_run_locked(db, run, locked, err);
}
