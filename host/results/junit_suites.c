#include "results/junit.h"

#include <stdlib.h>
#include <string.h>

static int add_cell(struct mu_junit *j, struct mu_junit_cell cell)
{
    if (j->n_cells == j->cap) {
        size_t cap = j->cap ? j->cap * 2 : 64;
        struct mu_junit_cell *grown = realloc(j->cells, cap * sizeof(*grown));
        if (!grown)
            return MU_ENOMEM;
        j->cells = grown;
        j->cap = cap;
    }
    cell.order = j->n_cells;
    j->cells[j->n_cells++] = cell;
    return 0;
}

static int collect(struct mu_junit *j, size_t task)
{
    const struct mu_task_result *t = &j->run->tasks[task];
    int worst = MU_ST_SKIPPED + 1, rc = 0;
    for (size_t i = 0; i < t->n_steps && !rc; i++) {
        rc = add_cell(j, (struct mu_junit_cell){.suite = t->steps[i].name, .task = task, .step = &t->steps[i]});
        worst = (int)t->steps[i].status < worst ? (int)t->steps[i].status : worst;
    }
    for (size_t i = 0; i < t->n_failures && !rc; i++) {
        const struct mu_failure *f = &t->failures[i];
        const char *suite = f->where && *f->where ? f->where : "task";
        rc = add_cell(j, (struct mu_junit_cell){
            .part = MU_JUNIT_OUTSIDE, .phase = true, .suite = suite, .task = task, .failure = f});
        worst = (int)f->status < worst ? (int)f->status : worst;
    }
    /* No server is missing from the report, and none looks better in it than it is. */
    if (!rc && (!t->finished || (int)t->status < worst))
        rc = add_cell(j, (struct mu_junit_cell){.part = MU_JUNIT_TASK, .phase = true, .suite = "task", .task = task});
    if (!rc && t->mark.state != MU_MARK_NONE)
        rc = add_cell(j, (struct mu_junit_cell){.part = MU_JUNIT_MARK, .phase = true, .suite = "mark", .task = task});
    if (!rc && t->left_behind)
        rc = add_cell(j, (struct mu_junit_cell){.part = MU_JUNIT_LEFT, .phase = true, .suite = "left behind", .task = task});
    return rc;
}

static int compare_suite_of(const void *pa, const void *pb)
{
    const struct mu_junit_cell *a = pa, *b = pb;
    return a->phase != b->phase ? (a->phase ? 1 : -1) : strcmp(a->suite, b->suite);
}

static int compare_cells(const void *pa, const void *pb)
{
    const struct mu_junit_cell *a = pa, *b = pb;
    int c = compare_suite_of(a, b);
    if (c)
        return c;
    if (a->task != b->task)
        return a->task < b->task ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

static int compare_suites(const void *pa, const void *pb)
{
    const struct mu_junit_suite *a = pa, *b = pb;
    if (a->phase != b->phase)
        return a->phase ? 1 : -1;
    return (a->order > b->order) - (a->order < b->order);
}

static enum mu_junit_outcome outcome_of(const struct mu_run_result *r, enum mu_status s)
{
    switch (s) {
    case MU_ST_PASSED:
        return MU_JUNIT_OK;
    case MU_ST_FAILED:
        return MU_JUNIT_FAILURE;
    case MU_ST_SKIPPED:
        return MU_JUNIT_SKIPPED;
    case MU_ST_CANCELLED:
        return r->interrupted ? MU_JUNIT_SKIPPED : MU_JUNIT_ERROR;
    case MU_ST_ERROR:
    case MU_ST_TIMEOUT:
    case MU_ST_UNREACHABLE:
        break;
    }
    return MU_JUNIT_ERROR;
}

static enum mu_status status_of(const struct mu_junit *j, const struct mu_junit_cell *c)
{
    const struct mu_task_result *t = &j->run->tasks[c->task];
    switch (c->part) {
    case MU_JUNIT_STEP:
        return c->step->status;
    case MU_JUNIT_OUTSIDE:
        return c->failure->status;
    case MU_JUNIT_TASK:
        return t->finished ? t->status : MU_ST_CANCELLED;
    case MU_JUNIT_MARK:
        if (t->mark.state == MU_MARK_WITHHELD && !j->run->marks.over)
            return MU_ST_CANCELLED;
        return t->mark.state == MU_MARK_MADE || t->mark.state == MU_MARK_KEPT ? MU_ST_PASSED : MU_ST_ERROR;
    case MU_JUNIT_LEFT:
        break;
    }
    return MU_ST_ERROR;
}

struct mu_junit_case mu_junit_case_at(const struct mu_junit *j, const struct mu_junit_suite *s, size_t at)
{
    const struct mu_junit_cell *c = &j->cells[at];
    const struct mu_task_result *t = &j->run->tasks[c->task];
    struct mu_junit_case tc = {.first = at, .n_cells = 1};
    if (c->step) {
        tc.status = c->step->status;
        tc.duration_ms = c->step->duration_ms;
        tc.started_ms = c->step->started_ms;
    } else {
        tc.status = MU_ST_SKIPPED;
        for (size_t i = at; i < s->first + s->n_cells && j->cells[i].task == c->task; i++) {
            tc.status = mu_status_worst(tc.status, status_of(j, &j->cells[i]));
            tc.n_cells = i + 1 - at;
        }
        /* What the steps did not take was spent outside them; marks come later. */
        tc.duration_ms = c->part == MU_JUNIT_MARK || c->part == MU_JUNIT_LEFT ? 0 : t->duration_ms;
        tc.started_ms = t->started_ms;
        for (size_t i = 0; i < t->n_steps; i++) {
            uint64_t step_ms = t->steps[i].duration_ms;
            tc.duration_ms -= step_ms < tc.duration_ms ? step_ms : tc.duration_ms;
        }
    }
    tc.outcome = outcome_of(j->run, tc.status);
    return tc;
}

/* Count what is in the suite of the sorted cells from `first` on. */
static void fill_suite(struct mu_junit *j, struct mu_junit_suite *s, size_t first)
{
    const struct mu_junit_cell *c = &j->cells[first];
    *s = (struct mu_junit_suite){.name = c->suite, .phase = c->phase, .first = first, .order = c->order};
    for (size_t i = first; i < j->n_cells && !compare_suite_of(c, &j->cells[i]); i++)
        s->n_cells++;
    if (s->phase) {
        struct mu_junit_cell step = {.phase = false, .suite = s->name};
        s->ambiguous = bsearch(&step, j->cells, j->n_cells, sizeof(step), compare_suite_of) != NULL;
    }
    for (size_t at = first; at < first + s->n_cells;) {
        struct mu_junit_case tc = mu_junit_case_at(j, s, at);
        at += tc.n_cells;
        s->tests++;
        s->outcomes[tc.outcome]++;
        s->duration_ms += tc.duration_ms;
        if (tc.started_ms && (!s->started_ms || tc.started_ms < s->started_ms))
            s->started_ms = tc.started_ms;
    }
}

int mu_junit_build(struct mu_junit *j, const struct mu_run_result *r)
{
    j->run = r;
    for (size_t i = 0; i < r->n_tasks; i++) {
        if (collect(j, i))
            return MU_ENOMEM;
    }
    if (!j->n_cells)
        return 0;
    qsort(j->cells, j->n_cells, sizeof(*j->cells), compare_cells);

    size_t n = 1;
    for (size_t i = 1; i < j->n_cells; i++)
        n += compare_suite_of(&j->cells[i - 1], &j->cells[i]) != 0;
    j->suites = calloc(n, sizeof(*j->suites));
    if (!j->suites)
        return MU_ENOMEM;
    for (size_t first = 0; first < j->n_cells; first += j->suites[j->n_suites++].n_cells)
        fill_suite(j, &j->suites[j->n_suites], first);
    qsort(j->suites, j->n_suites, sizeof(*j->suites), compare_suites);
    return 0;
}

void mu_junit_free(struct mu_junit *j)
{
    free(j->cells);
    free(j->suites);
    memset(j, 0, sizeof(*j));
}
