/* SQLite, a file. It is written ahead (WAL) and synced at checkpoints: a power cut may take the last transactions, never the
 * file; a process that is killed takes none. Where WAL cannot work, a rollback journal is used, and each commit is synced.
 *
 * Beside FILE: FILE-wal and FILE-shm, SQLite's own, and FILE-runs, which holds nothing: a run that is at work has a lock on
 * the byte of its number there, which is gone with its process. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "results/store_db.h"

#define APPLICATION_ID 0x6d757374 /* "must" */
#define BUSY_TURN_MS 20
#define TUNED "PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4096" /* KiB; pages: 16 MiB each */
#define CHECKED_ALWAYS ((off_t)4 << 20) /* bytes: checking takes a few milliseconds */
#define CHECKED_AT_MOST ((off_t)1 << 30)

struct file {
    struct mu_db db;
    sqlite3 *handle;
    char *path;
    int lock_fd; /* -1: not open */
};

struct query {
    struct mu_query q;
    sqlite3_stmt *stmt;
    int rc; /* the first of binding that went wrong */
};

static sqlite3_stmt *stmt_of(struct mu_query *q) { return ((struct query *)q)->stmt; }

/* ---- errors ---- */

static int tell(struct file *f, int rc, struct mu_err *err)
{
    int code = rc & 0xff, sys = f->handle ? sqlite3_system_errno(f->handle) : 0;
    const char *what = f->handle ? sqlite3_errmsg(f->handle) : sqlite3_errstr(rc);
    if (code == SQLITE_NOMEM)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    if (code == SQLITE_NOTADB)
        return mu_err_set(err, MU_EINVAL, "results %s: this file is no database: name another one with --db", f->path);
    if (code == SQLITE_CORRUPT)
        return mu_err_set(err, MU_EIO, "results %s: the database is damaged: move it away, or name another one with --db",
                          f->path);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return mu_err_set(err, MU_ESTATE, "results %s: another program keeps it locked", f->path);
    if (code == SQLITE_FULL)
        return mu_err_set(err, MU_EIO, "results %s: there is no room left on its disk", f->path);
    if (code == SQLITE_READONLY)
        return mu_err_set(err, MU_EIO, "results %s: it, or its folder, cannot be written", f->path);
    if (sys && (code == SQLITE_IOERR || code == SQLITE_CANTOPEN))
        return mu_err_sys(err, MU_EIO, sys, "results %s: %s", f->path, what);
    return mu_err_set(err, MU_EIO, "results %s: %s", f->path, what);
}

/* ---- queries ---- */

static int exec(struct mu_db *db, const char *sql, struct mu_err *err)
{
    struct file *f = (struct file *)db;
    int rc = sqlite3_exec(f->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : tell(f, rc, err);
}

static int prepare(struct mu_query **out, struct mu_db *db, const char *sql, struct mu_err *err)
{
    struct file *f = (struct file *)db;
    struct query *q = calloc(1, sizeof *q);
    if (!q)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    int rc = sqlite3_prepare_v3(f->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->stmt, NULL);
    if (rc != SQLITE_OK) {
        free(q);
        return tell(f, rc, err);
    }
    q->q.db = db;
    *out = &q->q;
    return 0;
}

static void query_free(struct mu_query *q)
{
    sqlite3_finalize(stmt_of(q));
    free(q);
}

static void bound(struct mu_query *q, int rc)
{
    struct query *own = (struct query *)q;
    if (rc != SQLITE_OK && own->rc == SQLITE_OK)
        own->rc = rc;
}

static void bind_int(struct mu_query *q, int at, int64_t v) { bound(q, sqlite3_bind_int64(stmt_of(q), at, v)); }
static void bind_num(struct mu_query *q, int at, double v) { bound(q, sqlite3_bind_double(stmt_of(q), at, v)); }

static void bind_text(struct mu_query *q, int at, const char *text)
{
    bound(q, text ? sqlite3_bind_text(stmt_of(q), at, text, -1, SQLITE_STATIC) : sqlite3_bind_null(stmt_of(q), at));
}

static void bind_blob(struct mu_query *q, int at, const void *bytes, size_t n)
{
    bound(q, bytes ? sqlite3_bind_blob64(stmt_of(q), at, bytes, n, SQLITE_STATIC) : sqlite3_bind_null(stmt_of(q), at));
}

static int step(struct mu_query *q, struct mu_err *err)
{
    struct query *own = (struct query *)q;
    int rc = own->rc == SQLITE_OK ? sqlite3_step(own->stmt) : own->rc;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return rc == SQLITE_ROW;
    return tell((struct file *)q->db, rc, err);
}

static void reset(struct mu_query *q)
{
    sqlite3_reset(stmt_of(q));
    sqlite3_clear_bindings(stmt_of(q));
    ((struct query *)q)->rc = SQLITE_OK;
}

static int insert(struct mu_query *q, int64_t *id, struct mu_err *err)
{
    int rc = step(q, err);
    reset(q);
    *id = sqlite3_last_insert_rowid(((struct file *)q->db)->handle);
    return rc < 0 ? rc : 0;
}

static bool is_null(struct mu_query *q, int c) { return sqlite3_column_type(stmt_of(q), c) == SQLITE_NULL; }
static int64_t get_int(struct mu_query *q, int c) { return sqlite3_column_int64(stmt_of(q), c); }
static double get_num(struct mu_query *q, int c) { return is_null(q, c) ? NAN : sqlite3_column_double(stmt_of(q), c); }
static const char *get_text(struct mu_query *q, int c) { return (const char *)sqlite3_column_text(stmt_of(q), c); }

static const void *get_blob(struct mu_query *q, int c, size_t *n)
{
    const void *bytes = sqlite3_column_blob(stmt_of(q), c);
    *n = (size_t)sqlite3_column_bytes(stmt_of(q), c);
    return bytes ? bytes : is_null(q, c) ? NULL : "";
}

/* A pragma, or a query, that answers with one value. SQLite does not wait for others in all of them, so that we do. */
static int pragma(struct file *f, const char *sql, char text[64], int64_t *number, struct mu_err *err)
{
    for (int waited_ms = 0;; waited_ms += BUSY_TURN_MS) {
        sqlite3_stmt *stmt = NULL;
        int rc = sqlite3_prepare_v2(f->handle, sql, -1, &stmt, NULL);
        if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
            const unsigned char *got = sqlite3_column_text(stmt, 0);
            if (text)
                snprintf(text, 64, "%s", got ? (const char *)got : "");
            if (number)
                *number = sqlite3_column_int64(stmt, 0);
        }
        if ((rc & 0xff) != SQLITE_BUSY || waited_ms >= MU_DB_BUSY_MS) {
            int told = rc == SQLITE_ROW || rc == SQLITE_DONE || rc == SQLITE_OK ? 0 : tell(f, rc, err);
            sqlite3_finalize(stmt);
            return told;
        }
        sqlite3_finalize(stmt);
        usleep(BUSY_TURN_MS * 1000);
    }
}

static int get_version(struct mu_db *db, int *version, struct mu_err *err)
{
    int64_t number = 0;
    int rc = pragma((struct file *)db, "PRAGMA user_version", NULL, &number, err);
    *version = (int)number;
    return rc;
}

static int set_version(struct mu_db *db, int version, struct mu_err *err)
{
    char sql[96];
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID, version);
    return exec(db, sql, err);
}

/* ---- who is at work ---- */

static int open_locks(struct file *f, bool create, struct mu_err *err)
{
    char *path = NULL;
    if (f->lock_fd >= 0)
        return 0;
    if (asprintf(&path, "%s-runs", f->path) < 0)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    f->lock_fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
    int sys = errno, rc = f->lock_fd >= 0 ? 0 : mu_err_sys(err, sys == ENOENT ? MU_ENOENT : MU_EIO, sys, "results %s", path);
    free(path);
    return rc;
}

/* Of the open file, so that two of one process exclude each other, too. */
static struct flock byte_of(int64_t run)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)run, .l_len = 1};
}

static int lock_run(struct mu_db *db, int64_t run, struct mu_err *err)
{
    struct file *f = (struct file *)db;
    struct flock lock = byte_of(run);
    int rc = open_locks(f, true, err);
    if (rc || fcntl(f->lock_fd, F_OFD_SETLK, &lock) == 0)
        return rc;
    if (errno == EAGAIN || errno == EACCES)
        return mu_err_set(err, MU_ESTATE, "results %s: this run is still at work", f->path);
    return mu_err_sys(err, MU_EIO, errno, "results %s-runs: cannot be locked", f->path);
}

static int is_run_locked(struct mu_db *db, int64_t run, bool *locked, struct mu_err *err)
{
    struct file *f = (struct file *)db;
    struct flock lock = byte_of(run);
    int rc = open_locks(f, false, err);
    *locked = false;
    if (rc)
        return rc == MU_ENOENT ? 0 : rc; /* nobody ever had one */
    if (fcntl(f->lock_fd, F_OFD_GETLK, &lock))
        return mu_err_sys(err, MU_EIO, errno, "results %s-runs", f->path);
    *locked = lock.l_type != F_UNLCK;
    return 0;
}

/* ---- opening ---- */

static void close_file(struct mu_db *db)
{
    struct file *f = (struct file *)db;
    sqlite3_close(f->handle);
    if (f->lock_fd >= 0)
        close(f->lock_fd);
    free(f->path);
    free(f);
}

static const struct mu_db_ops ops = {
    .kind = MU_DB_SQLITE, .close = close_file, .exec = exec, .prepare = prepare, .bind_int = bind_int, .bind_num = bind_num,
    .bind_text = bind_text, .bind_blob = bind_blob, .step = step, .insert = insert, .reset = reset, .is_null = is_null, .get_int = get_int,
    .get_num = get_num, .get_text = get_text, .get_blob = get_blob, .query_free = query_free, .get_version = get_version,
    .set_version = set_version, .lock_run = lock_run, .is_run_locked = is_run_locked,
};

/* It says what servers are called and how they do: for this user alone. */
static int make_file(const char *path, struct mu_err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return mu_err_sys(err, MU_EIO, errno, "results %s: cannot be made", path);
    close(fd);
    return 0;
}

static int check_owner(struct file *f, struct mu_err *err)
{
    int64_t id = 0, things = 0;
    /* First what it holds: a moment later somebody may have made it what it is to be. */
    int rc = pragma(f, "SELECT count(*) FROM sqlite_schema", NULL, &things, err);
    if (!rc)
        rc = pragma(f, "PRAGMA application_id", NULL, &id, err);
    if (!rc && things && id != APPLICATION_ID)
        rc = mu_err_set(err, MU_EINVAL, "results %s: this is a database of another program: name another file with --db", f->path);
    return rc;
}

/* A leftover of a process that was cut off is nothing that SQLite could not put right; a broken disk may be. Checking reads
 * the whole file: it is done where that is quick, and else when it was not closed well. */
static int check_whole(struct file *f, bool unclean, off_t size, struct mu_err *err)
{
    char answer[64] = "ok";
    if (!size || size > (unclean ? CHECKED_AT_MOST : CHECKED_ALWAYS))
        return 0;
    int rc = pragma(f, "PRAGMA quick_check(1)", answer, NULL, err);
    return rc || !strcmp(answer, "ok") ? rc : tell(f, SQLITE_CORRUPT, err);
}

static int settle_journal(struct file *f, struct mu_err *err)
{
    char mode[64] = "";
    int rc = pragma(f, "PRAGMA journal_mode = WAL", mode, NULL, err);
    if (!rc && strcmp(mode, "wal") != 0) {
        mu_log(MU_INFO, "Results %s: its file system cannot have it written ahead (%s): each step waits for the disk.", f->path,
               mode);
        return exec(&f->db, "PRAGMA synchronous = FULL", err);
    }
    return rc ? rc : exec(&f->db, "PRAGMA synchronous = NORMAL", err);
}

static bool left_unclean(const struct file *f)
{
    char *path = NULL;
    struct stat st;
    bool there = asprintf(&path, "%s-wal", f->path) >= 0 && stat(path, &st) == 0 && st.st_size > 0;
    free(path);
    return there;
}

int mu_sqlite_open(struct mu_db **out, const char *path, bool create, struct mu_err *err)
{
    struct file *f = calloc(1, sizeof *f);
    struct stat st = {0};
    *out = NULL;
    if (!f || !(f->path = strdup(path))) {
        free(f);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    f->db.ops = &ops;
    f->lock_fd = -1;
    int rc = create ? make_file(path, err) : 0;
    if (!rc && stat(path, &st))
        rc = errno == ENOENT ? mu_err_set(err, MU_ENOENT, "results %s: no run was kept there yet: there is no such file", path)
                             : mu_err_sys(err, MU_EIO, errno, "results %s", path);
    else if (!rc && !S_ISREG(st.st_mode))
        rc = mu_err_set(err, MU_EINVAL, "results %s: this is no file", path);
    bool unclean = !rc && left_unclean(f);
    if (!rc) {
        int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, code;
        if ((code = sqlite3_open_v2(path, &f->handle, flags, NULL)) != SQLITE_OK ||
            (code = sqlite3_busy_timeout(f->handle, MU_DB_BUSY_MS)) != SQLITE_OK)
            rc = tell(f, code, err);
    }
    if (!rc)
        rc = check_owner(f, err);
    if (!rc)
        rc = check_whole(f, unclean, st.st_size, err);
    if (!rc && create)
        rc = settle_journal(f, err);
    if (!rc)
        rc = exec(&f->db, "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; " TUNED, err);
    if (rc)
        close_file(&f->db);
    else
        *out = &f->db;
    return rc;
}
