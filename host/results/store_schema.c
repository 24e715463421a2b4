/* What the database holds, as a list of steps: step N makes version N of version N - 1. A step that was released is never
 * changed. Words with an @ are written as the kind of database wants them. */
#include <string.h>

#include "core/buf.h"
#include "results/store_db.h"

static const char *const steps[MU_SCHEMA_VERSION] = {
    /* sources: each text once, by its SHA-256. runs.source is the script as it ran, run_files what it took from elsewhere.
     * runs.state: running (also one that was cut off: then nobody holds it), finished, interrupted.
     * params, thresholds: JSON, as they held. options: what the program that started it needs to go on with it.
     * servers.inventory: JSON as an inventory says a server, without secrets. finished: its task has ended; final: nothing of
     * it changes any more, but for its mark.
     * steps.pass: run, or the first form of a result that is not settled yet: again (measured once more), pair.
     * metrics.value: NULL is NaN. samples: a JSON array. lower_kind and the like: 0 none, 1 plain, 2 percent.
     * failures.step NULL: outside steps, place says where. */
    "CREATE TABLE sources (hash TEXT PRIMARY KEY, text @BYTES NOT NULL)@KEYED;"
    "CREATE TABLE runs (id @ID, run_id TEXT NOT NULL UNIQUE, script TEXT NOT NULL, script_path TEXT NOT NULL,"
    " source TEXT REFERENCES sources (hash), description TEXT, version TEXT NOT NULL, host TEXT NOT NULL, owner TEXT NOT NULL,"
    " state TEXT NOT NULL, started_ms @INT NOT NULL, ended_ms @INT, duration_ms @INT NOT NULL, exit_code @INT,"
    " interrupted @INT NOT NULL, signal @INT NOT NULL, dry_run @INT NOT NULL, replayed @INT NOT NULL, resumed @INT NOT NULL,"
    " after_all TEXT, n_servers @INT NOT NULL, marks_cap @INT NOT NULL, marks_said TEXT, marks_candidates @INT NOT NULL,"
    " marks_over @INT NOT NULL, params TEXT NOT NULL, thresholds TEXT NOT NULL, options TEXT)@TABLE;"
    "CREATE INDEX runs_by_script ON runs (script_path, id);"
    "CREATE TABLE run_files (run @INT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, path TEXT NOT NULL,"
    " source TEXT NOT NULL REFERENCES sources (hash), PRIMARY KEY (run, path))@KEYED;"
    "CREATE TABLE servers (id @ID, run @INT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, idx @INT NOT NULL,"
    " server_id TEXT NOT NULL, address TEXT NOT NULL, inventory TEXT NOT NULL, facts TEXT, status TEXT NOT NULL,"
    " started_ms @INT NOT NULL, duration_ms @INT NOT NULL, worker @INT, dealt @INT NOT NULL, finished @INT NOT NULL,"
    " final @INT NOT NULL, mark_state TEXT NOT NULL, mark_reason TEXT, mark_note TEXT, mark_tries @INT NOT NULL,"
    " left_behind @INT NOT NULL, claim TEXT, UNIQUE (run, idx))@TABLE;"
    "CREATE INDEX servers_by_id ON servers (server_id, run);"
    "CREATE TABLE unended (server @INT NOT NULL REFERENCES servers (id) ON DELETE CASCADE, idx @INT NOT NULL,"
    " command TEXT NOT NULL, PRIMARY KEY (server, idx))@KEYED;"
    "CREATE TABLE steps (id @ID, server @INT NOT NULL REFERENCES servers (id) ON DELETE CASCADE, pass TEXT NOT NULL,"
    " idx @INT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, started_ms @INT NOT NULL, duration_ms @INT NOT NULL,"
    " measured @INT NOT NULL, withheld @INT NOT NULL, earlier TEXT, log @BYTES)@TABLE;"
    "CREATE INDEX steps_by_server ON steps (server, idx);"
    "CREATE TABLE metrics (step @INT NOT NULL REFERENCES steps (id) ON DELETE CASCADE, idx @INT NOT NULL, name TEXT NOT NULL,"
    " value @REAL, unit TEXT, samples TEXT, mad @REAL, judgement TEXT NOT NULL, min @REAL, max @REAL, min_open @INT,"
    " max_open @INT, reference @REAL, lower_kind @INT, lower @REAL, upper_kind @INT, upper @REAL, rule_unit TEXT,"
    " PRIMARY KEY (step, idx))@KEYED;"
    "CREATE TABLE peers (step @INT NOT NULL, idx @INT NOT NULL, group_by TEXT, drop_kind @INT NOT NULL, drop_by @REAL NOT NULL,"
    " rise_kind @INT NOT NULL, rise_by @REAL NOT NULL, min_cohort @INT NOT NULL, state TEXT, below @INT NOT NULL,"
    " above @INT NOT NULL, median @REAL, noise @REAL, cohort @INT NOT NULL, group_value TEXT, note TEXT,"
    " PRIMARY KEY (step, idx), FOREIGN KEY (step, idx) REFERENCES metrics (step, idx) ON DELETE CASCADE)@KEYED;"
    "CREATE TABLE failures (id @ID, server @INT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,"
    " step @INT REFERENCES steps (id) ON DELETE CASCADE, status TEXT NOT NULL, type TEXT, place TEXT, metric TEXT, cause TEXT,"
    " message TEXT)@TABLE;"
    "CREATE INDEX failures_by_server ON failures (server);"
    "CREATE INDEX failures_by_step ON failures (step);",
    "ALTER TABLE servers ADD COLUMN connect_retries @INT NOT NULL DEFAULT 0;"
    "ALTER TABLE servers ADD COLUMN retried_connections @INT NOT NULL DEFAULT 0;",
    /* pasts: rules about a server's own past, and what came of them, as peers. */
    "CREATE TABLE pasts (step @INT NOT NULL, idx @INT NOT NULL, last @INT NOT NULL, min_runs @INT NOT NULL,"
    " drop_kind @INT NOT NULL, drop_by @REAL NOT NULL, rise_kind @INT NOT NULL, rise_by @REAL NOT NULL, state TEXT,"
    " below @INT NOT NULL, above @INT NOT NULL, median @REAL, noise @REAL, n @INT NOT NULL, note TEXT,"
    " PRIMARY KEY (step, idx), FOREIGN KEY (step, idx) REFERENCES metrics (step, idx) ON DELETE CASCADE)@KEYED;",
    /* artefacts: what a step kept by server:keep(); kept_ms: wall clock. */
    "CREATE TABLE artefacts (server @INT NOT NULL REFERENCES servers (id) ON DELETE CASCADE, name TEXT NOT NULL,"
    " kept_ms @INT NOT NULL, bytes @BYTES NOT NULL, PRIMARY KEY (server, name))@TABLE;",
};

/* ---- the words ---- */

static const struct {
    const char *word, *as[2]; /* by enum mu_db_kind */
} words[] = {
    {"@ID", {"INTEGER PRIMARY KEY", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"}},
    {"@INT", {"INTEGER", "BIGINT"}},
    {"@REAL", {"REAL", "DOUBLE PRECISION"}},
    {"@BYTES", {"BLOB", "BYTEA"}},
    {"@TABLE", {" STRICT", ""}},
    {"@KEYED", {" STRICT, WITHOUT ROWID", ""}}, /* a table that is found by its key alone */
};

static void add_step(struct mu_buf *out, enum mu_db_kind kind, const char *sql)
{
    for (const char *at; (at = strchr(sql, '@')) != NULL;) {
        size_t i = 0, len = 0;
        mu_buf_add(out, sql, (size_t)(at - sql));
        for (; i < sizeof words / sizeof *words; i++)
            if (!strncmp(at, words[i].word, len = strlen(words[i].word)))
                break;
        mu_buf_adds(out, i < sizeof words / sizeof *words ? words[i].as[kind] : "?");
        sql = at + len;
    }
    mu_buf_adds(out, sql);
}

/* ---- versions ---- */

static int refuse_newer(const char *where, int version, struct mu_err *err)
{
    return mu_err_set(err, MU_EINVAL, "results %s: written by a newer muster (form %d, this one knows %d): use that one, or name "
                      "another file with --db", where, version, MU_SCHEMA_VERSION);
}

static int bring_up(struct mu_db *db, const char *where, struct mu_err *err)
{
    struct mu_buf sql = MU_BUF_INIT;
    int version = 0, rc = mu_db_version(db, &version, err); /* somebody may have been quicker */
    if (!rc && version > MU_SCHEMA_VERSION)
        rc = refuse_newer(where, version, err);
    if (!rc && db->ops->kind == MU_DB_POSTGRES)
        rc = mu_db_exec(db, "CREATE SCHEMA IF NOT EXISTS muster", err);
    for (; !rc && version < MU_SCHEMA_VERSION; version++) {
        mu_buf_clear(&sql);
        add_step(&sql, db->ops->kind, steps[version]);
        rc = sql.failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : mu_db_exec(db, mu_buf_cstr(&sql), err);
    }
    mu_buf_free(&sql);
    return rc ? rc : mu_db_set_version(db, MU_SCHEMA_VERSION, err);
}

int mu_schema_settle(struct mu_db *db, const char *where, struct mu_err *err)
{
    int version = 0, rc = mu_db_version(db, &version, err);
    if (rc || version == MU_SCHEMA_VERSION)
        return rc;
    if (version > MU_SCHEMA_VERSION)
        return refuse_newer(where, version, err);
    rc = mu_db_begin(db, err);
    if (rc)
        return rc;
    rc = bring_up(db, where, err);
    if (!rc)
        return mu_db_commit(db, err);
    mu_db_rollback(db);
    return rc;
}
