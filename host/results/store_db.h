/* store_db.h: a small door to a database: SQLite in a file (store_sqlite.c), PostgreSQL (store_postgres.c), with one form of query
 *   for all.
 *
 * Purpose: statements with placeholders $1, $2, … (in the order of their first use), values in and out, transactions, and who
 *   is at work on which run. What differs between databases stays behind it, and in the words of store_schema.c.
 * Owner: the caller owns a mu_db, and the queries made from it, which are freed before it.
 * Thread: one at a time. A call may block for as long as another program holds the database, at most MU_DB_BUSY_MS.
 * Must not know: what is kept.
 *
 * Text is bytes without NUL, mostly UTF-8 but not always: output of servers may be in it. A number that is NaN becomes NULL.
 */
#ifndef MU_RESULTS_STORE_DB_H
#define MU_RESULTS_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define MU_DB_BUSY_MS 10000

struct mu_db;
struct mu_query;

enum mu_db_kind { MU_DB_SQLITE, MU_DB_POSTGRES };

/* What a database can do; one table a kind. As the functions below, which say what is what. */
struct mu_db_ops {
    enum mu_db_kind kind;
    void (*close)(struct mu_db *db);
    int (*exec)(struct mu_db *db, const char *sql, struct mu_err *err);
    int (*prepare)(struct mu_query **out, struct mu_db *db, const char *sql, struct mu_err *err);
    void (*bind_int)(struct mu_query *q, int at, int64_t v);
    void (*bind_num)(struct mu_query *q, int at, double v);
    void (*bind_text)(struct mu_query *q, int at, const char *text);
    void (*bind_blob)(struct mu_query *q, int at, const void *bytes, size_t n);
    int (*step)(struct mu_query *q, struct mu_err *err);
    int (*insert)(struct mu_query *q, int64_t *id, struct mu_err *err);
    void (*reset)(struct mu_query *q);
    bool (*is_null)(struct mu_query *q, int column);
    int64_t (*get_int)(struct mu_query *q, int column);
    double (*get_num)(struct mu_query *q, int column);
    const char *(*get_text)(struct mu_query *q, int column);
    const void *(*get_blob)(struct mu_query *q, int column, size_t *n);
    void (*query_free)(struct mu_query *q);
    int (*get_version)(struct mu_db *db, int *version, struct mu_err *err);
    int (*set_version)(struct mu_db *db, int version, struct mu_err *err);
    int (*lock_run)(struct mu_db *db, int64_t run, struct mu_err *err);
    int (*is_run_locked)(struct mu_db *db, int64_t run, bool *locked, struct mu_err *err);
    /* NULL: nothing is to be done for it. */
    int (*begin)(struct mu_db *db, struct mu_err *err);
    int (*pipe)(struct mu_db *db, bool on, struct mu_err *err);
    int (*settle_ids)(struct mu_db *db, const char *table, struct mu_err *err);
};

/* The first member of every kind's own. */
struct mu_db {
    const struct mu_db_ops *ops;
};
struct mu_query {
    struct mu_db *db;
};

/* where: a path, or postgresql://…, which stands in errors as it is; with create a file that is missing is made, but no folder. Errors name it, and say what to do. */
int mu_db_open(struct mu_db **out, const char *where, bool create, struct mu_err *err);
void mu_db_close(struct mu_db *db); /* what is not committed is gone; NULL allowed */

int mu_db_exec(struct mu_db *db, const char *sql, struct mu_err *err); /* one or several statements without placeholders */
int mu_db_begin(struct mu_db *db, struct mu_err *err);  /* to write: waits until nobody else does */
int mu_db_commit(struct mu_db *db, struct mu_err *err); /* on an error nothing is committed, and the transaction is over */
void mu_db_rollback(struct mu_db *db);
/* While on, statements are sent without waiting for their answers; none may be asked for rows. An error is told by a later one,
 * or when it is turned off. */
int mu_db_pipe(struct mu_db *db, bool on, struct mu_err *err);
/* Rows with ids of their own were put into the table: those that get one from the database go on behind them. */
int mu_db_settle_ids(struct mu_db *db, const char *table, struct mu_err *err);

int mu_query_new(struct mu_query **out, struct mu_db *db, const char *sql, struct mu_err *err);
void mu_query_free(struct mu_query *q); /* NULL allowed */
/* at: from 1. Text and bytes are borrowed until the query is reset; NULL is NULL. What goes wrong here is told by step. */
void mu_query_int(struct mu_query *q, int at, int64_t v);
void mu_query_num(struct mu_query *q, int at, double v);
void mu_query_text(struct mu_query *q, int at, const char *text);
void mu_query_blob(struct mu_query *q, int at, const void *bytes, size_t n);
/* 1: there is a row; 0: there is none, or no more; negative: an error. */
int mu_query_step(struct mu_query *q, struct mu_err *err);
/* Ready to be bound and stepped again; all that was bound is NULL. */
void mu_query_reset(struct mu_query *q);
/* To the end, for its effect alone; then reset. */
int mu_query_run(struct mu_query *q, struct mu_err *err);
/* The same for an INSERT of one row, without RETURNING (which takes SQLite a table of its own each time): the id it got. */
int mu_query_insert(struct mu_query *q, int64_t *id, struct mu_err *err);
/* Of the row at hand; column from 0. Text and bytes are valid until the next step or reset; NULL for NULL. */
bool mu_query_is_null(struct mu_query *q, int column);
int64_t mu_query_get_int(struct mu_query *q, int column);  /* 0 for NULL */
double mu_query_get_num(struct mu_query *q, int column);   /* NaN for NULL */
const char *mu_query_get_text(struct mu_query *q, int column);
const void *mu_query_get_blob(struct mu_query *q, int column, size_t *n);
int mu_query_get_copy(struct mu_query *q, int column, char **out); /* of the text, malloc'd, NULL for NULL; MU_ENOMEM */

/* The number of the schema that the database has; 0: it is new. */
int mu_db_version(struct mu_db *db, int *version, struct mu_err *err);
int mu_db_set_version(struct mu_db *db, int version, struct mu_err *err); /* in a transaction */

/* Hold run number `run` until the database is closed, or the process ends in whatever way. MU_ESTATE: somebody else does. */
int mu_db_lock_run(struct mu_db *db, int64_t run, struct mu_err *err);
int mu_db_is_run_locked(struct mu_db *db, int64_t run, bool *locked, struct mu_err *err); /* by somebody else */

/* store_sqlite.c: */
int mu_sqlite_open(struct mu_db **out, const char *path, bool create, struct mu_err *err);

/* store_postgres.c: */
bool mu_db_is_url(const char *where); /* a database on another machine, and no path */
/* It, or "postgresql://…" where there may be a password in it. */
const char *mu_db_url_shown(const char *url);
int mu_postgres_open(struct mu_db **out, const char *url, bool create, struct mu_err *err);

/* store_schema.c: make or bring up to date what the database holds. MU_EINVAL: it is of a newer muster. */
#define MU_SCHEMA_VERSION 4
int mu_schema_settle(struct mu_db *db, const char *where, struct mu_err *err);

#endif
