/* store.h: runs kept in a database: written while they run, read back as the tree that results.h describes.
 *
 * Purpose: every run is kept, each step as soon as it is over; what is read back says the same as the run said, in every
 *   report. Transactions are the caller's batches: what was put is on the disk, and no half of it, after mu_store_commit().
 * Files: store_db.h is the database, store_schema.c what it holds, store_write.c and store_put.c this header's writing half,
 *   store_load.c, store_load_steps.c and store_find.c the reading one.
 * Owner: the caller owns a mu_store. It writes at most one run. Strings given are borrowed for the call.
 * Thread: one at a time (the main thread's). Calls block on the disk, and for others that write: briefly.
 * Must not know: who measured, the command line; params, thresholds, options and inventory are JSON that it does not read.
 *
 * Errors: the first that a writing function meets is told by it, and what was not committed is gone; the store then takes
 * nothing more, and every further call returns 0: a run does not end for it.
 */
#ifndef MU_RESULTS_STORE_H
#define MU_RESULTS_STORE_H

#include "results/results.h"
#include "results/store_db.h"

struct mu_store;
struct mu_store_run;
/* where: as mu_db_open() has it. */
int mu_store_open(struct mu_store **out, const char *where, bool create, struct mu_err *err);
void mu_store_close(struct mu_store *s); /* what was not committed is gone; NULL allowed */
struct mu_db *mu_store_db(struct mu_store *s); /* for other queries */
const char *mu_store_where(const struct mu_store *s);

/* ---- writing ---- */

struct mu_store_file {
    const char *path, *hash; /* SHA-256, hex */
    const char *text;
    size_t len;
};

/* What is known of a run before it begins, beside its results. Nothing of it is a secret. */
struct mu_store_head {
    const char *script_path;           /* absolute */
    const struct mu_store_file *files; /* the script first, then what it read */
    size_t n_files;
    const char *version, *host, *owner;
    const char *params, *thresholds; /* JSON objects, as they hold: {"seconds": 30}, {"cpu.score": ">= 40"} */
    const char *options;             /* JSON, or NULL */
    bool replayed;
};
/* A server as an inventory says it, and its address; both valid until the next call. NULL when out of memory. */
struct mu_store_server {
    const char *address, *inventory;
};
typedef int mu_store_server_fn(void *arg, size_t index, struct mu_store_server *out);

/* Begin to write r, which has its id, script, started_ms and servers; committed when it returns 0. The run is held as long as
 * the store is open. */
int mu_store_begin(struct mu_store *s, const struct mu_run_result *r, const struct mu_store_head *head,
                   mu_store_server_fn *fn, void *arg, struct mu_err *err);
/* Go on with a run that was cut off: r is what mu_store_load() gave, but for the servers that are to run anew (where anew is
 * true), which are blank; what the database has of them is removed. MU_ESTATE: it is still at work. */
int mu_store_resume(struct mu_store *s, const struct mu_store_run *run, const struct mu_run_result *r, const bool *anew,
                    struct mu_err *err);

/* Put what is new of a server: steps and failures that were added to its end. It is read from r with the next commit: many rows
 * together cost less. */
void mu_store_put(struct mu_store *s, const struct mu_run_result *r, size_t server);
/* And all that is known of it beside them. */
void mu_store_put_server(struct mu_store *s, const struct mu_run_result *r, size_t server);
void mu_store_note_worker(struct mu_store *s, size_t server, int worker); /* put with the rest */
int mu_store_put_facts(struct mu_store *s, size_t server, const char *json, struct mu_err *err);
/* Bytes that a step kept by this name; those it had by it before are gone. */
int mu_store_put_artefact(struct mu_store *s, size_t server, const char *name, int64_t kept_ms, const void *bytes, size_t n,
                          struct mu_err *err);
/* A result that is not the server's yet: pass is "again" or "pair". It is gone when the server is final. */
int mu_store_put_pass(struct mu_store *s, size_t server, const char *pass, const struct mu_step_result *step,
                      struct mu_err *err);
/* The server is final, and settled: put it as it is now. changed: also what was put before may be different. */
int mu_store_final(struct mu_store *s, const struct mu_run_result *r, size_t server, bool changed, struct mu_err *err);
/* All that was put since the last commit is kept, together. Costs nothing when that is nothing. */
int mu_store_commit(struct mu_store *s, struct mu_err *err);
/* The run has ended: everything as r has it now, committed. */
int mu_store_end(struct mu_store *s, const struct mu_run_result *r, struct mu_err *err);
bool mu_store_is_final(const struct mu_store *s, size_t server); /* it was put so; in a run that is written */
bool mu_store_has_put(const struct mu_store *s); /* something that is not committed yet */
bool mu_store_is_writing(const struct mu_store *s); /* false before it begins, and when something went wrong */

/* ---- reading ---- */

enum mu_store_state {
    MU_STORE_RUNNING,
    MU_STORE_CUT_OFF, /* it never ended, and nobody is at work on it */
    MU_STORE_FINISHED,
    MU_STORE_INTERRUPTED
};
const char *mu_store_state_name(enum mu_store_state state); /* "cut off" */

/* One row of runs. Strings are its own. */
struct mu_store_run {
    int64_t id; /* the database's number of it */
    char *run_id, *script, *script_path, *source; /* source: the hash of its text */
    char *description, *version, *host, *owner, *params, *thresholds, *options;
    enum mu_store_state state;
    int64_t started_ms, ended_ms; /* 0: not known */
    uint64_t duration_ms;
    int exit_code; /* -1: it did not end */
    bool replayed, dry_run;
    unsigned resumed;
    size_t n_servers;
};
void mu_store_run_clear(struct mu_store_run *run);

/* A run by its id, or the beginning of it that no other has. MU_ENOENT, MU_EINVAL: several. */
int mu_store_find(struct mu_store *s, const char *run_id, struct mu_store_run *out, struct mu_err *err);
/* The last run, of this script (absolute path; NULL: any); unfinished: of those that were cut off or interrupted. MU_ENOENT. */
int mu_store_find_last(struct mu_store *s, const char *script_path, bool unfinished, struct mu_store_run *out,
                       struct mu_err *err);
/* The tree; servers that never ended are cancelled. */
int mu_store_load(struct mu_store *s, const struct mu_store_run *run, struct mu_run_result **out, struct mu_err *err);
/* What the inventory said of server number `index` of a run, JSON, malloc'd. */
int mu_store_load_inventory(struct mu_store *s, const struct mu_store_run *run, size_t index, char **out,
                            struct mu_err *err);
/* Which of its servers have nothing that could still change: they are not to run again. final has n_servers entries. */
int mu_store_load_final(struct mu_store *s, const struct mu_store_run *run, bool *final, struct mu_err *err);
/* What the servers of a run kept, in the order of servers and names. bytes is NULL unless they are wanted. A fn that returns
 * other than 0 ends it, and is what is returned. */
struct mu_store_artefact {
    const char *server, *name;
    int64_t kept_ms;
    const void *bytes;
    size_t n;
};
typedef int mu_store_artefact_fn(void *arg, const struct mu_store_artefact *a);
int mu_store_artefacts(struct mu_store *s, const struct mu_store_run *run, bool bytes, mu_store_artefact_fn *fn, void *arg,
                       struct mu_err *err);
/* The text of a source by its hash, malloc'd. MU_ENOENT. */
int mu_store_load_source(struct mu_store *s, const char *hash, char **text, size_t *len, struct mu_err *err);

#endif
