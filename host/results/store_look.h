/* store_look.h: looking back over runs that were kept: which there are, what a server measured in them.
 *
 * Purpose: what `muster runs`, `history` and `compare`, and rules about a server's past, read.
 * Owner: the caller owns what is given out, and frees it with the function beside it.
 * Thread: as store.h. Must not know: how it is shown; who asks.
 */
#ifndef MU_RESULTS_STORE_LOOK_H
#define MU_RESULTS_STORE_LOOK_H

#include "results/past.h"
#include "results/store.h"

/* ref: "last", "last~2" (two before the last), an id, or the beginning of one. MU_ENOENT, MU_EINVAL. */
int mu_store_find_named(struct mu_store *s, const char *ref, struct mu_store_run *out, struct mu_err *err);

struct mu_run_row {
    struct mu_store_run run;
    size_t counts[MU_ST_SKIPPED + 1]; /* servers by status */
    /* Of one server in it, where that was asked for: */
    enum mu_status status;
    int64_t started_ms;
    uint64_t duration_ms;
};
/* The last runs, newest first. script: a path, or a file's name; server: only runs that were about it; each NULL: any.
 * last: how many at most; 0: all. */
struct mu_runs_wanted {
    const char *script, *server;
    size_t last;
};
int mu_store_list_runs(struct mu_store *s, const struct mu_runs_wanted *w, struct mu_run_row **out, size_t *n,
                       struct mu_err *err);
void mu_run_rows_free(struct mu_run_row *rows, size_t n);

/* One value that a server measured in a run. */
struct mu_measured {
    char *step, *metric, *unit; /* unit: NULL when none */
    double value, mad;          /* value: NaN when it was */
    size_t n_samples;           /* 0: the value alone */
    enum mu_judgement judgement;
    enum mu_status status;      /* of the step */
};
/* All of them, in the order of the script. A run about a server of that name only. */
int mu_store_list_measured(struct mu_store *s, const struct mu_store_run *run, const char *server, struct mu_measured **out,
                           size_t *n, struct mu_err *err);
void mu_measured_free(struct mu_measured *list, size_t n);

/* The last values of servers in runs of a script that began before `before_ms` (0: any), without those that were missed: who
 * failed for being slow does not become the measure of itself. Not of replays, dry runs, or the run `except` (id; NULL: none).
 * params: only runs with exactly these (NULL: any). servers: of these n alone; NULL: of all. One query, or few. */
struct mu_past_wanted {
    const char *script_path, *params, *except;
    int64_t before_ms;
    const char *const *servers;
    size_t n_servers;
    size_t last; /* values of each metric at most; a server that is missing in most runs may have fewer than there are */
};
int mu_store_load_past(struct mu_store *s, const struct mu_past_wanted *w, struct mu_past **out, struct mu_err *err);

#endif
