/* store_internal.h: a store from inside; for the files of the store.
 * Owner: store_write.c makes and frees it. Thread: as store.h. Must not know: what store.h hides.
 */
#ifndef MU_RESULTS_STORE_INTERNAL_H
#define MU_RESULTS_STORE_INTERNAL_H

#include "core/buf.h"
#include "results/store.h"

enum mu_store_query {
    MU_SQ_SERVER, /* the server's row, as it is now */
    MU_SQ_FACTS,
    MU_SQ_STEP, /* this and the next: only the beginning, which rows are added to */
    MU_SQ_METRIC,
    MU_SQ_PEERS,
    MU_SQ_PAST,
    MU_SQ_FAILURE,
    MU_SQ_UNENDED,
    MU_SQ_ARTEFACT,
    MU_SQ_FORGET_ARTEFACTS, /* when it is measured anew */
    MU_SQ_FORGET_FAILURES, /* three that take a server's results away */
    MU_SQ_FORGET_STEPS,
    MU_SQ_FORGET_UNENDED,
    MU_SQ_COUNT
};

#define MU_SQ_SIZES 3 /* so many rows at a time: 16, 4, 1 */

struct mu_store_step {
    size_t server, idx;
    const char *pass;
    const struct mu_step_result *step;
};

/* What is in the database of a server already. */
struct mu_store_kept {
    int64_t id;
    size_t n_steps, n_passes, n_failures, n_unended;
    int worker; /* + 1; 0: not known */
    bool begun; /* its row says that it was started */
    bool final;
    bool noted; /* it is among the noted ones */
};

struct mu_store {
    struct mu_db *db;
    char *where;
    struct mu_query *queries[MU_SQ_COUNT];
    struct mu_query *rows[2][MU_SQ_SIZES]; /* of steps, of metrics */
    int64_t run;
    struct mu_store_kept *kept; /* a server each; NULL: not writing */
    size_t n;
    const struct mu_run_result *noted_in; /* servers of which there is something to put, with the next commit */
    size_t *noted, n_noted;
    bool open;                  /* a transaction is */
    bool broken;                /* an error was told, nothing is taken any more */
    struct mu_buf samples;
};

/* A transaction is begun with the first thing that is put into it; what goes wrong ends it, and all writing. */
int mu_store_enter(struct mu_store *s, struct mu_err *err);
int mu_store_leave(struct mu_store *s, int rc); /* rc again */

/* store_put.c: what follows are parts of a transaction; they return a negative code, and err says why. */
int mu_store_insert_steps(struct mu_store *s, const struct mu_store_step *steps, size_t n, struct mu_err *err);
int mu_store_insert_failure(struct mu_store *s, size_t server, int64_t step /* 0: outside */, const struct mu_failure *f,
                            struct mu_err *err);
int mu_store_update_server(struct mu_store *s, const struct mu_task_result *t, size_t server, struct mu_err *err);
int mu_store_query(struct mu_store *s, enum mu_store_query which, struct mu_query **out, struct mu_err *err);

/* store_load_steps.c: what hangs under the servers of r, which are there. */
int mu_store_load_steps(struct mu_store *s, int64_t run, struct mu_run_result *r, struct mu_err *err);

/* store_find.c: one row of runs, of a query that begins with this. */
#define MU_STORE_RUN_COLUMNS                                                                                           \
    "SELECT id, run_id, script, script_path, source, description, version, host, owner, params, thresholds, options,"  \
    " state, started_ms, ended_ms, duration_ms, exit_code, replayed, dry_run, resumed, n_servers FROM runs"
int mu_store_read_run(struct mu_store *s, struct mu_query *q, struct mu_store_run *out, struct mu_err *err);

int mu_status_parse(const char *name, enum mu_status *out); /* MU_EINVAL */
int mu_mark_state_parse(const char *name, enum mu_mark_state *out);

#endif
