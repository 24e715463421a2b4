/* junit.h: a run's results dealt into test suites and test cases; internal to results/.
 *
 * Purpose: junit_suites.c decides what is a suite and a testcase, report_junit.c writes them as XML.
 * Owner: everything borrows from the run's tree but the two arrays, which mu_junit_free() ends.
 * Thread: as results.h. Must not know: XML.
 */
#ifndef MU_RESULTS_JUNIT_H
#define MU_RESULTS_JUNIT_H

#include "results/results.h"

/* What a testcase is made of. */
enum mu_junit_part {
    MU_JUNIT_STEP,
    MU_JUNIT_OUTSIDE, /* one failure outside steps */
    MU_JUNIT_TASK,    /* the task itself, which never ran or never ended */
    MU_JUNIT_MARK,    /* what became of marking the server as broken */
    MU_JUNIT_LEFT     /* an installation left behind */
};

struct mu_junit_cell {
    enum mu_junit_part part;
    bool phase; /* false: a step's suite */
    const char *suite;
    size_t task;
    size_t order; /* as it was collected */
    const struct mu_step_result *step;
    const struct mu_failure *failure;
};

enum mu_junit_outcome { MU_JUNIT_OK, MU_JUNIT_FAILURE, MU_JUNIT_ERROR, MU_JUNIT_SKIPPED };

/* One server in one suite: a step, or all its failures in one phase. */
struct mu_junit_case {
    size_t first, n_cells;
    enum mu_status status;
    enum mu_junit_outcome outcome;
    uint64_t duration_ms;
    int64_t started_ms;
};

struct mu_junit_suite {
    const char *name;
    bool phase;
    bool ambiguous;         /* a phase with the name of a step */
    size_t first, n_cells;
    size_t order;           /* that of its first cell */
    size_t tests;
    size_t outcomes[4];     /* by enum mu_junit_outcome */
    uint64_t duration_ms;
    int64_t started_ms;     /* the earliest; 0: none known */
};

struct mu_junit {
    const struct mu_run_result *run;
    struct mu_junit_cell *cells; /* by suite, then server */
    size_t n_cells, cap;
    struct mu_junit_suite *suites; /* steps, then phases, each in the order of their appearance */
    size_t n_suites;
};

/* Fill a zeroed j. 0 or MU_ENOMEM; mu_junit_free() in either case. Time n log n in cells. */
int mu_junit_build(struct mu_junit *j, const struct mu_run_result *r);
void mu_junit_free(struct mu_junit *j);
/* The testcase that starts at cell `at` of this suite; the next one starts n_cells further. */
struct mu_junit_case mu_junit_case_at(const struct mu_junit *j, const struct mu_junit_suite *s, size_t at);

#endif
