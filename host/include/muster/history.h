/* history.h: looking back over runs that were kept: which there are, how a server did in them, what two of them differ in.
 *
 * Purpose: what `muster runs`, `muster history` and `muster compare` show, and `muster db push`.
 * Ownership, Threads, errors: as muster.h says. Strings given out belong to the object they came from. What scripts and servers
 *   said is raw: muster_escape() makes it fit for a terminal.
 */
#ifndef MUSTER_HISTORY_H
#define MUSTER_HISTORY_H

#include "muster.h"

#ifdef __cplusplus
extern "C" {
#endif

/* text with control characters, invalid UTF-8 and bidirectional overrides written as \xHH and the like, on one line, malloc'd;
 * NULL: out of memory. */
MUSTER_API char *muster_escape(const char *text);

/* A database with runs in it. */
struct muster_kept;
/* db: a file (see muster_db_path()), or postgresql://… (docs/results.md; no password in it: PGPASSWORD, ~/.pgpass). */
MUSTER_API int muster_kept_open(struct muster *m, const char *db, struct muster_kept **out, struct muster_error *err);
MUSTER_API void muster_kept_free(struct muster_kept *k); /* after all that was made from it */

struct muster_kept_run {
    const char *id, *script, *script_path, *description, *state; /* "running", "cut off", "finished", "interrupted" */
    const char *owner, *host, *version;                          /* who ran it, where, with which muster */
    int64_t started_ms, ended_ms;                                /* wall clock; ended: 0: it did not */
    uint64_t duration_ms;
    int exit_code; /* -1: it did not end */
    bool replayed;
    unsigned resumed; /* how often */
    size_t n_servers, n_passed, n_failed, n_error, n_timeout, n_unreachable, n_cancelled, n_skipped;
};

/* ---- which runs there are ---- */

struct muster_runs;
struct muster_runs_options {
    size_t size;        /* sizeof(struct muster_runs_options) */
    const char *script; /* only of this one: a path, or its file's name; NULL: of any */
    const char *server; /* only runs about this one; NULL: all */
    size_t last;        /* so many at most; 0: all */
};
#define MUSTER_RUNS_OPTIONS_INIT {.size = sizeof(struct muster_runs_options)}
MUSTER_API int muster_runs_new(struct muster_kept *k, const struct muster_runs_options *options, struct muster_runs **out,
                               struct muster_error *err);
MUSTER_API void muster_runs_free(struct muster_runs *r);
/* The newest is 0. Fills *out and returns 0, or a negative code when i is past the end; so do all that follow. */
MUSTER_API int muster_runs_get(const struct muster_runs *r, size_t i, struct muster_kept_run *out);

/* ---- one server's past ---- */

struct muster_past;
struct muster_past_options {
    size_t size;        /* sizeof(struct muster_past_options) */
    const char *server;
    const char *metric; /* "cpu.score" or "score"; NULL: all */
    const char *script; /* as above */
    size_t last;        /* runs; 0: all */
};
#define MUSTER_PAST_OPTIONS_INIT {.size = sizeof(struct muster_past_options)}
/* MU_ENOENT when no run was about the server, or none measured the metric. */
MUSTER_API int muster_past_new(struct muster_kept *k, const struct muster_past_options *options, struct muster_past **out,
                               struct muster_error *err);
MUSTER_API void muster_past_free(struct muster_past *p);

struct muster_past_run {
    struct muster_kept_run run;
    const char *status; /* of the server in it */
    int64_t started_ms;
    uint64_t duration_ms;
};
MUSTER_API int muster_past_run(const struct muster_past *p, size_t i, struct muster_past_run *out); /* the oldest is 0 */

/* A metric of one script over those runs. */
struct muster_series {
    const char *script_path, *step, *metric, *unit; /* unit: "" when none */
    size_t n;                                       /* finite values; of those: */
    double last, median, mad, min, max;
};
struct muster_point {
    double value;
    size_t n_samples; /* 1 when it was a single number */
    double mad;
    bool judged, passed;
    const char *status; /* of the step */
};
MUSTER_API int muster_past_series(const struct muster_past *p, size_t i, struct muster_series *out);
/* What it was in that run; negative also where it was not measured. */
MUSTER_API int muster_past_point(const struct muster_past *p, size_t series, size_t run, struct muster_point *out);

/* ---- two runs ---- */

struct muster_compare;
struct muster_compare_options {
    size_t size;       /* sizeof(struct muster_compare_options) */
    const char *first, *second; /* each an id, the beginning of one, "last", or "last~2": two before the last */
    const char *least; /* metrics that changed less are as they were: "5%", "2.5"; NULL: "5%" */
};
#define MUSTER_COMPARE_OPTIONS_INIT {.size = sizeof(struct muster_compare_options)}
MUSTER_API int muster_compare_new(struct muster_kept *k, const struct muster_compare_options *options,
                                  struct muster_compare **out, struct muster_error *err);
MUSTER_API void muster_compare_free(struct muster_compare *c);
MUSTER_API int muster_compare_run(const struct muster_compare *c, size_t i, struct muster_kept_run *out); /* 0, 1 */
/* In both, in the first only, in the second only. */
MUSTER_API void muster_compare_counts(const struct muster_compare *c, size_t counts[3]);

struct muster_change {
    const char *kind; /* "newly failed", "fixed", "other status"; "worse", "better", "lower", "higher" (where nothing says which
                         way is better); "only in the first", "only in the second" */
    const char *server;
    const char *status_before, *status_after; /* "" where it is in one run only */
    const char *reason;                       /* why it failed, of the run where it did; "" otherwise */
    const char *step, *metric, *unit;         /* "": the server as a whole */
    bool has_before, has_after;
    double before, after;
    double noise;           /* what a change must be beyond, in the metric's unit */
    const char *noise_from; /* "samples", "history", "unknown" (then it is 0) */
};
MUSTER_API int muster_compare_change(const struct muster_compare *c, size_t i, struct muster_change *out);

/* A metric over the servers on which both runs measured it. */
struct muster_metric_change {
    const char *step, *metric, *unit;
    size_t n, n_worse, n_better, n_changed, n_same; /* changed: nothing says which way is better */
    bool has_median;
    double median; /* of the changes: -0.05 is 5 % less */
};
MUSTER_API int muster_compare_metric(const struct muster_compare *c, size_t i, struct muster_metric_change *out);

/* ---- into a shared database ---- */

struct muster_push {
    size_t pushed, there; /* runs that were copied now, and that it had already */
    size_t not_ended;     /* running, cut off or interrupted: not copied */
};
/* Copy the runs that finished from one database, a file, into another, postgresql://…; each run in one transaction, so that
 * whatever cuts it off leaves no half run and doing it again makes no double. each (may be NULL) is told of every run copied. On
 * an error *out counts what was copied before. */
MUSTER_API int muster_kept_push(struct muster *m, const char *from, const char *to,
                                void (*each)(void *arg, const char *run_id, size_t n_servers), void *arg, struct muster_push *out,
                                struct muster_error *err);

#ifdef __cplusplus
}
#endif

#endif
