/* results.h: what a run found out: servers, steps, metrics, verdicts, and the reports made of them.
 *
 * Purpose: C owns results. The run hands in finished steps and tasks; statuses, the summary, exit code and reports come
 *   out of here.
 * Owner: a mu_run_result owns everything under it. Structs are plain; strings are malloc'd.
 * Thread: one at a time (the main thread's).
 * Must not know: Lua, libuv, libssh, workers.
 */
#ifndef MU_RESULTS_RESULTS_H
#define MU_RESULTS_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "results/threshold.h"

/* In order of badness, worst first: a task's status is the worst of its parts. */
enum mu_status {
    MU_ST_FAILED,      /* measured, and below */
    MU_ST_ERROR,       /* could not be measured: the script or a tool broke */
    MU_ST_TIMEOUT,
    MU_ST_UNREACHABLE,
    MU_ST_CANCELLED,   /* interrupted, or never finished */
    MU_ST_PASSED,
    MU_ST_SKIPPED
};
const char *mu_status_name(enum mu_status s); /* "failed" */
enum mu_status mu_status_worst(enum mu_status a, enum mu_status b);

/* ---- the tree ---- */

enum mu_judgement { MU_UNJUDGED, MU_PASSED, MU_MISSED };

/* What a comparison with other servers came to (peers.h). */
enum mu_peers_state { MU_PEERS_NONE, MU_PEERS_PASSED, MU_PEERS_MISSED, MU_PEERS_NOT_JUDGED };
struct mu_peer_verdict {
    enum mu_peers_state state;
    bool below, above;    /* MISSED: which side */
    double median, noise; /* of the cohort; what is not beyond this means nothing. Of PASSED and MISSED */
    size_t n;             /* in the cohort */
    char *group;          /* what they have in common, the value of the rule's variable; NULL: all of the run */
    char *note;           /* NOT_JUDGED: why, in words that fold over servers */
};

struct mu_metric {
    char *name; /* once a step */
    double value;    /* of several samples the median */
    double *samples; /* as they were measured, all finite; NULL: there is the value alone */
    size_t n_samples;
    double mad;      /* the samples' median absolute deviation */
    char *unit; /* its own, else the threshold's; NULL: none */
    enum mu_judgement judgement;
    struct mu_threshold th; /* zero when there is none; th.metric stays NULL */
    struct mu_peer_verdict peers; /* when state is MISSED it is what judgement means, unless th alone is missed */
};

/* One thing that went wrong. */
struct mu_failure {
    enum mu_status status;
    char *type;    /* "PerformanceBelowExpected", "CommandError", …; NULL: none */
    char *where;   /* "gpu", "setup", "teardown", "connect", "task": the phase or step */
    char *metric;  /* for a missed threshold: the metric's name, else NULL */
    char *cause;   /* folds in the summary: no id, address or number that differs from server to server */
    char *message; /* the whole story on one or several lines, with file:line where known */
};

struct mu_step_result {
    char *name;
    enum mu_status status;
    int64_t started_ms;   /* wall clock */
    uint64_t duration_ms;
    struct mu_metric *metrics;
    size_t n_metrics;
    struct mu_failure *failures; /* one a missed threshold, or one error */
    size_t n_failures;
    struct mu_buf log; /* what the step printed and the tail of a failed command's output, for reports; may be empty */
    unsigned measured; /* how often it ran: more than once when a failed measurement was to be confirmed */
    bool withheld;     /* skipped since it is destructive and that was not allowed */
    char *earlier;     /* what the earlier measurements came to, "; " between them; NULL: there was one alone */
};

#define MU_WITHHELD "destructive: runs only with --allow-destructive"

/* What became of marking the server as broken. */
enum mu_mark_state {
    MU_MARK_NONE,     /* it is not to be marked, or that is not decided yet */
    MU_MARK_MADE,
    MU_MARK_KEPT,     /* the mark hook left it as it was, and said why: note */
    MU_MARK_FAILED,   /* it could not be made: note, in words that fold over servers */
    MU_MARK_WITHHELD  /* it was not tried: over the cap, or the run was interrupted: note */
};
const char *mu_mark_state_name(enum mu_mark_state s); /* "made" */

struct mu_task_result {
    char *server_id;
    bool finished;         /* false: never started or never ended; status is then cancelled */
    bool dealt;            /* it was started */
    enum mu_status status; /* the worst of steps and failures; set by mu_task_result_settle() */
    int64_t started_ms;
    uint64_t duration_ms;
    struct mu_step_result *steps;
    size_t n_steps;
    struct mu_failure *failures; /* outside steps: connect, setup, teardown, the task's own deadline */
    size_t n_failures;
    char **unended; /* commands that could not be confirmed ended on the server */
    size_t n_unended;
    unsigned retries; /* of connections that did not come about at the first try */
    unsigned retried; /* of those, how many were made in the end */
    struct {
        enum mu_mark_state state;
        char *reason; /* what the mark says; NULL: it was never decided to mark */
        char *note;
        unsigned tries;
    } mark;
    bool left_behind; /* an installation that the run claimed may still be there */
    char *claim;      /* what is known of it, JSON; NULL: no claim is open */
};

struct mu_run_result {
    char *run_id;
    char *script;      /* as given on the command line */
    char *description; /* NULL: none */
    int64_t started_ms;
    uint64_t duration_ms;
    bool interrupted;
    int signal;        /* that interrupted it: 2, 15; 0 otherwise */
    struct mu_task_result *tasks; /* in inventory order, one a selected server */
    size_t n_tasks;
    bool dry_run;      /* nothing was changed, no step ran */
    char *after_all;   /* what went wrong in the script's after_all; NULL: nothing */
    struct {
        bool over;         /* more servers than the cap allows were to be marked: nobody was */
        size_t cap, candidates;
        char *said;        /* the cap as it was said, "5%"; NULL: the script marks nobody */
    } marks;
};

int mu_run_result_new(struct mu_run_result **out, const char *run_id, const char *script, size_t n_tasks);
void mu_run_result_free(struct mu_run_result *r);

void mu_task_result_clear(struct mu_task_result *t); /* what it holds is gone, also its id; all zero then */

/* Builders; each returns 0 or MU_ENOMEM. Strings are copied, NULL allowed where the struct allows it.
 * A new run's tasks have no id yet (the caller sets server_id, malloc'd) and are cancelled, not dealt, not finished. */
struct mu_step_result *mu_step_result_new(const char *name); /* passed, until something worsens it; NULL: no memory */
struct mu_step_result *mu_step_result_copy(const struct mu_step_result *s); /* never compared with peers; NULL: no memory */
void mu_step_result_free(struct mu_step_result *s); /* for one that was never added */
/* A metric that misses th worsens s->status to failed; the caller adds the failure that tells of it (the summary says it
 * in any case). A NaN stays unjudged. */
int mu_step_result_add_metric(struct mu_step_result *s, const char *name, double value, const char *unit,
                              const struct mu_threshold *th /* judged by it; NULL: unjudged */);
/* The same for a metric with several samples; n is not 0. */
int mu_step_result_add_samples(struct mu_step_result *s, const char *name, const double *samples, size_t n, const char *unit,
                               const struct mu_threshold *th);
int mu_step_result_add_failure(struct mu_step_result *s, enum mu_status status, const char *type, const char *metric,
                               const char *cause, const char *message); /* where = the step's name; worsens s->status */
int mu_task_result_add_step_take(struct mu_task_result *t, struct mu_step_result *s); /* s is gone, also on an error */
int mu_task_result_add_failure(struct mu_task_result *t, enum mu_status status, const char *type, const char *where,
                               const char *cause, const char *message);
int mu_task_result_add_unended(struct mu_task_result *t, const char *command);
/* Set what became of the mark; the reason stays when it is NULL. */
int mu_task_result_set_mark(struct mu_task_result *t, enum mu_mark_state state, const char *reason, const char *note,
                            unsigned tries);
/* Work out the task's status from its parts; an unfinished task is cancelled unless a part is worse. A task whose steps
 * were all skipped, or that had none, is skipped: passed is said only of what ran. */
void mu_task_result_settle(struct mu_task_result *t);

/* ---- what comes out ---- */

size_t mu_run_result_count(const struct mu_run_result *r, enum mu_status s);
/* The three lists of a run; a server may be in more than one. Unfinished: it never ended, or was cancelled. */
bool mu_task_result_is_failed(const struct mu_task_result *t);
bool mu_task_result_is_unmeasured(const struct mu_task_result *t); /* error, timeout, unreachable */
bool mu_task_result_is_unfinished(const struct mu_task_result *t);
/* The exit code of section "Exit codes" in the README: 130/143, 4, 1, 3, 0. (2 is not this function's.) */
int mu_run_result_exit_code(const struct mu_run_result *r);
/* The folded summary, as the last lines of a run. color: ANSI SGR. Tasks are settled before. This and the reports set
 * out->failed when memory ran out. */
void mu_summary_write(const struct mu_run_result *r, bool color, struct mu_buf *out);
/* JUnit XML as Jenkins reads it: one testsuite a step, one testcase a server; <failure>, <error> and <skipped> told apart;
 * system-out only where something failed. Failures outside steps are a testsuite named after their phase. */
void mu_report_junit(const struct mu_run_result *r, struct mu_buf *out);
/* Everything, as one JSON document; its shape is described at the head of report_json.c. */
void mu_report_json(const struct mu_run_result *r, struct mu_buf *out);
/* Metrics for Prometheus, and for OpenTelemetry: the heads of report_openmetrics.c and report_otlp.c tell their shape. */
void mu_report_openmetrics(const struct mu_run_result *r, struct mu_buf *out);
void mu_report_otlp(const struct mu_run_result *r, struct mu_buf *out);

#endif
