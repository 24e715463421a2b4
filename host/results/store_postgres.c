/* PostgreSQL, for runs that several machines share: behind the same door as a file. Everything of muster's is in a schema of
 * that name, so that the database may be others' too. Passwords come from where libpq looks for them (PGPASSWORD, ~/.pgpass,
 * service files), never from the URL, which stands in process lists and logs. */
#include "results/store_db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef MUSTER_POSTGRES

#include <libpq-fe.h>
#include <math.h>

#include "core/buf.h"
#include "core/utf8.h"
#include "results/clocale.h"

#define LOCK_SPACE ((int64_t)0x6d757374 << 32) /* "must": above the numbers of runs, in the locks of the database */
#define WRITER_LOCK "7886495303012548608"      /* 0x6d7273740000…: the one who writes */

enum { PARAMS_MOST = 32, BATCH = 512 };

struct server {
    struct mu_db db;
    PGconn *conn;
    unsigned long names; /* of prepared statements, so far */
    char *url;
    bool piping;
    unsigned sent; /* statements whose answer was not read yet, while piping */
};

struct param {
    char *text; /* own; NULL: null */
    size_t cap, len;
    bool there, binary;
};

struct query {
    struct mu_query q;
    char name[24], *sql;
    bool prepared, nomem;
    struct param params[PARAMS_MOST];
    int n_params;
    PGresult *result;
    int row;
    unsigned char *blob; /* of the row at hand */
};

static struct server *server_of(struct mu_query *q) { return (struct server *)q->db; }
static struct query *query_of(struct mu_query *q) { return (struct query *)q; }

/* ---- errors ---- */

/* The message's first line; the others are hints with the statement in it. */
static int tell(const struct server *s, const PGresult *result, struct mu_err *err)
{
    const char *text = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (!text || !*text)
        text = PQerrorMessage(s->conn);
    if (!*text)
        text = "the connection is gone";
    return mu_err_set(err, PQstatus(s->conn) == CONNECTION_OK ? MU_EIO : MU_ELOST, "results %s: %.*s", s->url,
                      (int)strcspn(text, "\n"), text);
}

static int exec(struct mu_db *db, const char *sql, struct mu_err *err)
{
    struct server *s = (struct server *)db;
    PGresult *result = PQexec(s->conn, sql);
    ExecStatusType status = PQresultStatus(result);
    int rc = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY ? 0 : tell(s, result, err);
    /* COMMIT of a transaction that went wrong is answered with ROLLBACK, and no error. */
    if (!rc && !strcmp(sql, "COMMIT") && strcmp(PQcmdStatus(result), "COMMIT") != 0)
        rc = mu_err_set(err, MU_EIO, "results %s: the transaction had failed", s->url);
    PQclear(result);
    return rc;
}

/* ---- queries ---- */

static int prepare(struct mu_query **out, struct mu_db *db, const char *sql, struct mu_err *err)
{
    struct query *q = calloc(1, sizeof *q);
    if (!q || !(q->sql = strdup(sql))) {
        free(q);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    q->q.db = db;
    snprintf(q->name, sizeof q->name, "q%lu", ++((struct server *)db)->names);
    *out = &q->q;
    return 0;
}

static void forget_result(struct query *q)
{
    PQclear(q->result);
    q->result = NULL;
    if (q->blob)
        PQfreemem(q->blob);
    q->blob = NULL;
}

static void query_free(struct mu_query *mq)
{
    struct query *q = query_of(mq);
    struct server *s = server_of(mq);
    forget_result(q);
    if (q->prepared && !s->piping && PQstatus(s->conn) == CONNECTION_OK && PQtransactionStatus(s->conn) != PQTRANS_INERROR) {
        char sql[40];
        snprintf(sql, sizeof sql, "DEALLOCATE %s", q->name);
        exec(&s->db, sql, NULL);
    }
    for (int i = 0; i < PARAMS_MOST; i++)
        free(q->params[i].text);
    free(q->sql);
    free(q);
}

static void bind(struct mu_query *mq, int at, const void *bytes, size_t n, bool binary)
{
    struct query *q = query_of(mq);
    struct param *p = &q->params[at - 1];
    if (at > q->n_params)
        q->n_params = at;
    p->there = bytes != NULL;
    p->binary = binary;
    p->len = n;
    if (!bytes)
        return;
    if (n + 1 > p->cap) {
        char *grown = realloc(p->text, n + 1);
        if (!grown) {
            q->nomem = true;
            p->there = false;
            return;
        }
        p->text = grown;
        p->cap = n + 1;
    }
    memcpy(p->text, bytes, n);
    p->text[n] = '\0';
}

static void bind_int(struct mu_query *q, int at, int64_t v)
{
    char text[24];
    bind(q, at, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)v), false);
}

static void bind_num(struct mu_query *q, int at, double v)
{
    char text[40];
    struct mu_clocale locale = mu_clocale_enter();
    int n = snprintf(text, sizeof text, "%.17g", v);
    mu_clocale_leave(locale);
    if (isnan(v))
        bind(q, at, NULL, 0, false); /* as SQLite has it */
    else
        bind(q, at, isinf(v) ? (v < 0 ? "-Infinity" : "Infinity") : text, isinf(v) ? (v < 0 ? 9 : 8) : (size_t)n, false);
}

/* PostgreSQL takes no bytes that are not UTF-8: each becomes U+FFFD. */
static void bind_text(struct mu_query *q, int at, const char *text)
{
    size_t n = text ? strlen(text) : 0, good = 0;
    struct mu_buf mended = MU_BUF_INIT;
    uint32_t cp;
    for (size_t step; good < n && (step = mu_utf8_decode(text + good, n - good, &cp)) > 0;)
        good += step;
    if (!text || good == n) {
        bind(q, at, text, n, false);
        return;
    }
    for (size_t i = 0; i < n;) {
        size_t step = mu_utf8_decode(text + i, n - i, &cp);
        mu_buf_add(&mended, step ? text + i : "\xef\xbf\xbd", step ? step : 3);
        i += step ? step : 1;
    }
    bind(q, at, mu_buf_cstr(&mended), mended.len, false);
    query_of(q)->nomem = query_of(q)->nomem || mended.failed;
    mu_buf_free(&mended);
}

static void bind_blob(struct mu_query *q, int at, const void *bytes, size_t n) { bind(q, at, bytes, n, true); }

/* ---- sending many and reading the answers later ---- */

static int one_number(struct server *s, const char *sql, int64_t *out, struct mu_err *err);

/* Read what is there to be read of all that was sent. */
static int drain(struct server *s, struct mu_err *err)
{
    int rc = 0;
    if (!s->sent)
        return 0;
    if (!PQpipelineSync(s->conn))
        return tell(s, NULL, err);
    for (bool synced = false; !synced;) {
        PGresult *result = PQgetResult(s->conn);
        ExecStatusType status = PQresultStatus(result);
        if (!result) { /* between two answers */
            if (PQstatus(s->conn) != CONNECTION_OK)
                return rc ? rc : tell(s, NULL, err);
            continue;
        }
        synced = status == PGRES_PIPELINE_SYNC;
        if (!rc && status == PGRES_FATAL_ERROR)
            rc = tell(s, result, err);
        PQclear(result);
    }
    s->sent = 0;
    return rc;
}

static int pipe_on(struct mu_db *db, bool on, struct mu_err *err)
{
    struct server *s = (struct server *)db;
    if (on == s->piping)
        return 0;
    int rc = on ? 0 : drain(s, err);
    if (!(on ? PQenterPipelineMode(s->conn) : PQexitPipelineMode(s->conn)))
        rc = rc ? rc : tell(s, NULL, err);
    else
        s->piping = on;
    return rc;
}

/* ---- stepping ---- */

static int prepare_now(struct query *q, struct server *s, struct mu_err *err)
{
    if (q->prepared)
        return 0;
    q->prepared = true;
    if (s->piping) {
        s->sent++;
        return PQsendPrepare(s->conn, q->name, q->sql, 0, NULL) ? 0 : tell(s, NULL, err);
    }
    PGresult *result = PQprepare(s->conn, q->name, q->sql, 0, NULL);
    int rc = PQresultStatus(result) == PGRES_COMMAND_OK ? 0 : tell(s, result, err);
    q->prepared = rc == 0;
    PQclear(result);
    return rc;
}

static int run(struct query *q, struct server *s, struct mu_err *err)
{
    const char *values[PARAMS_MOST];
    int lengths[PARAMS_MOST], formats[PARAMS_MOST];
    if (q->nomem)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    int rc = prepare_now(q, s, err);
    for (int i = 0; i < q->n_params; i++) {
        values[i] = q->params[i].there ? q->params[i].text : NULL;
        lengths[i] = (int)q->params[i].len;
        formats[i] = q->params[i].binary;
    }
    if (rc)
        return rc;
    if (s->piping) { /* nobody waits for its rows */
        if (!PQsendQueryPrepared(s->conn, q->name, q->n_params, values, lengths, formats, 0))
            return tell(s, NULL, err);
        return ++s->sent < BATCH ? 0 : drain(s, err);
    }
    q->result = PQexecPrepared(s->conn, q->name, q->n_params, values, lengths, formats, 0);
    ExecStatusType status = PQresultStatus(q->result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return 0;
    rc = tell(s, q->result, err);
    forget_result(q);
    return rc;
}

static int step(struct mu_query *mq, struct mu_err *err)
{
    struct query *q = query_of(mq);
    if (!q->result) {
        int rc = run(q, server_of(mq), err);
        if (rc || server_of(mq)->piping)
            return rc;
        q->row = -1;
    }
    if (q->blob)
        PQfreemem(q->blob);
    q->blob = NULL;
    return ++q->row < PQntuples(q->result);
}

static void reset(struct mu_query *mq);

static int insert(struct mu_query *q, int64_t *id, struct mu_err *err)
{
    int rc = step(q, err);
    reset(q);
    return rc < 0 ? rc : one_number(server_of(q), "SELECT lastval()", id, err);
}

static void reset(struct mu_query *mq)
{
    struct query *q = query_of(mq);
    forget_result(q);
    for (int i = 0; i < PARAMS_MOST; i++)
        q->params[i].there = false;
    q->nomem = false;
}

static const char *value(struct mu_query *mq, int column)
{
    struct query *q = query_of(mq);
    return PQgetisnull(q->result, q->row, column) ? NULL : PQgetvalue(q->result, q->row, column);
}

static bool is_null(struct mu_query *q, int column) { return !value(q, column); }
static const char *get_text(struct mu_query *q, int column) { return value(q, column); }

static int64_t get_int(struct mu_query *q, int column)
{
    const char *text = value(q, column);
    return text ? strtoll(text, NULL, 10) : 0;
}

static double get_num(struct mu_query *q, int column)
{
    const char *text = value(q, column);
    struct mu_clocale locale = mu_clocale_enter();
    double v = text ? strtod(text, NULL) : NAN;
    mu_clocale_leave(locale);
    return v;
}

static const void *get_blob(struct mu_query *mq, int column, size_t *n)
{
    struct query *q = query_of(mq);
    const char *text = value(mq, column);
    *n = 0;
    if (!text)
        return NULL;
    if (q->blob)
        PQfreemem(q->blob);
    q->blob = PQunescapeBytea((const unsigned char *)text, n);
    return q->blob ? (const void *)q->blob : "";
}

/* ---- the form of what it holds ---- */

static int one_number(struct server *s, const char *sql, int64_t *out, struct mu_err *err)
{
    struct mu_query *q = NULL;
    int rc = prepare(&q, &s->db, sql, err);
    if (rc)
        return rc;
    rc = step(q, err);
    *out = rc > 0 ? get_int(q, 0) : 0;
    query_free(q);
    return rc < 0 ? rc : 0;
}

static int get_version(struct mu_db *db, int *version, struct mu_err *err)
{
    struct server *s = (struct server *)db;
    int64_t there = 0, number = 0;
    int rc = one_number(s, "SELECT CASE WHEN to_regclass('muster.form') IS NULL THEN 0 ELSE 1 END", &there, err);
    if (!rc && there)
        rc = one_number(s, "SELECT version FROM muster.form", &number, err);
    *version = (int)number;
    return rc;
}

static int set_version(struct mu_db *db, int version, struct mu_err *err)
{
    char sql[160];
    snprintf(sql, sizeof sql, "CREATE TABLE IF NOT EXISTS muster.form (version INTEGER NOT NULL); DELETE FROM muster.form;"
                              " INSERT INTO muster.form VALUES (%d)", version);
    return exec(db, sql, err);
}

/* ---- who is at work ---- */

static int lock_run(struct mu_db *db, int64_t run_number, struct mu_err *err)
{
    struct server *s = (struct server *)db;
    char sql[96];
    int64_t got = 0;
    snprintf(sql, sizeof sql, "SELECT CASE WHEN pg_try_advisory_lock(%lld) THEN 1 ELSE 0 END", (long long)(LOCK_SPACE | run_number));
    int rc = one_number(s, sql, &got, err);
    return rc || got ? rc : mu_err_set(err, MU_ESTATE, "results %s: this run is still at work", s->url);
}

static int is_run_locked(struct mu_db *db, int64_t run_number, bool *locked, struct mu_err *err)
{
    char sql[256];
    int64_t n = 0;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND classid = %lld"
                              " AND objid = %lld AND pid <> pg_backend_pid()", (long long)(LOCK_SPACE >> 32), (long long)run_number);
    int rc = one_number((struct server *)db, sql, &n, err);
    *locked = n > 0;
    return rc;
}

/* One writes at a time, as with a file: the others wait here. */
static int begin(struct mu_db *db, struct mu_err *err)
{
    int rc = exec(db, "BEGIN", err);
    if (!rc && (rc = exec(db, "SELECT pg_advisory_xact_lock(" WRITER_LOCK ")", err)) != 0)
        exec(db, "ROLLBACK", NULL);
    return rc;
}

/* Others that number rows by themselves go on behind those that were copied with their numbers. */
static int settle_ids(struct mu_db *db, const char *table, struct mu_err *err)
{
    char sql[200];
    int64_t ignored;
    snprintf(sql, sizeof sql, "SELECT setval(pg_get_serial_sequence('muster.%s', 'id'), (SELECT max(id) FROM muster.%s))", table, table);
    return one_number((struct server *)db, sql, &ignored, err);
}

/* ---- opening ---- */

static void close_server(struct mu_db *db)
{
    struct server *s = (struct server *)db;
    PQfinish(s->conn);
    free(s->url);
    free(s);
}

static const struct mu_db_ops ops = {
    .kind = MU_DB_POSTGRES, .close = close_server, .exec = exec, .prepare = prepare, .bind_int = bind_int, .bind_num = bind_num,
    .bind_text = bind_text, .bind_blob = bind_blob, .step = step, .insert = insert, .reset = reset, .is_null = is_null, .get_int = get_int,
    .get_num = get_num, .get_text = get_text, .get_blob = get_blob, .query_free = query_free, .get_version = get_version,
    .set_version = set_version, .lock_run = lock_run, .is_run_locked = is_run_locked, .begin = begin, .pipe = pipe_on,
    .settle_ids = settle_ids,
};

/* Nothing of a URL is repeated before it is known to have no password in it. */
static int check_url(const char *url, struct mu_err *err)
{
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &why);
    int rc = 0;
    if (!options)
        rc = mu_err_set(err, MU_EINVAL, "this is no URL of a PostgreSQL: write postgresql://USER@HOST/DATABASE");
    for (PQconninfoOption *o = options; !rc && o && o->keyword; o++)
        if (o->val && (!strcmp(o->keyword, "password") || !strcmp(o->keyword, "sslpassword")))
            rc = mu_err_set(err, MU_EINVAL, "the URL has a password in it, which everybody sees in the list of processes: take it out, "
                            "and put it into PGPASSWORD or ~/.pgpass");
    PQconninfoFree(options);
    PQfreemem(why);
    return rc;
}

static int connect_to(struct server *s, struct mu_err *err)
{
    /* What stands in the URL holds instead, for it comes later. */
    const char *const names[] = {"application_name", "connect_timeout", "client_encoding", "dbname", "options", NULL};
    const char *const values[] = {"muster", "15", "UTF8", s->url, NULL, NULL};
    s->conn = PQconnectdbParams(names, values, 1);
    if (!s->conn)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    const char *text = PQerrorMessage(s->conn);
    if (PQstatus(s->conn) != CONNECTION_OK)
        return mu_err_set(err, MU_EREFUSED, "results %s: %.*s%s", s->url, (int)strcspn(text, "\n"), text,
                          PQconnectionNeedsPassword(s->conn) ? ": give it in PGPASSWORD or ~/.pgpass" : "");
    return exec(&s->db, "SET search_path = muster, pg_catalog; SET client_min_messages = warning; SET standard_conforming_strings = on",
                err);
}

/* What it says beside errors is of no interest, and would go to standard error. */
static void ignore_notice(void *arg __attribute__((unused)), const PGresult *result __attribute__((unused))) {}

int mu_postgres_open(struct mu_db **out, const char *url, bool create, struct mu_err *err)
{
    struct server *s = NULL;
    int version = 0, rc = check_url(url, err);
    *out = NULL;
    if (rc)
        return rc;
    s = calloc(1, sizeof *s);
    if (!s || !(s->url = strdup(url))) {
        free(s);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    s->db.ops = &ops;
    rc = connect_to(s, err);
    if (!rc) {
        PQsetNoticeReceiver(s->conn, ignore_notice, NULL);
        rc = get_version(&s->db, &version, err);
    }
    if (!rc && !version && !create)
        rc = mu_err_set(err, MU_ENOENT, "results %s: no runs were pushed there yet: muster db push does", s->url);
    if (rc)
        close_server(&s->db);
    else
        *out = &s->db;
    return rc;
}

#endif
