/* tally.c: what the parts of a run come to: a server's status, the lists it is in, the exit code. */
#include "results/results.h"

void mu_task_result_settle(struct mu_task_result *t)
{
    enum mu_status worst = t->finished ? MU_ST_SKIPPED : MU_ST_CANCELLED;
    for (size_t i = 0; i < t->n_steps; i++)
        worst = mu_status_worst(worst, t->steps[i].status);
    for (size_t i = 0; i < t->n_failures; i++)
        worst = mu_status_worst(worst, t->failures[i].status);
    t->status = worst;
}

bool mu_task_result_is_failed(const struct mu_task_result *t)
{
    return t->status == MU_ST_FAILED;
}

bool mu_task_result_is_unmeasured(const struct mu_task_result *t)
{
    return t->status == MU_ST_ERROR || t->status == MU_ST_TIMEOUT || t->status == MU_ST_UNREACHABLE;
}

/* A cancelled task may have come to its end, when teardown ran after the interrupt; measured it was not. */
bool mu_task_result_is_unfinished(const struct mu_task_result *t)
{
    return !t->finished || t->status == MU_ST_CANCELLED;
}

size_t mu_run_result_count(const struct mu_run_result *r, enum mu_status s)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_tasks; i++)
        n += r->tasks[i].status == s;
    return n;
}

int mu_run_result_exit_code(const struct mu_run_result *r)
{
    bool failed = false, unmeasured = r->after_all != NULL, undone = r->marks.over;
    if (r->interrupted)
        return 128 + (r->signal > 0 ? r->signal : 2);
    for (size_t i = 0; i < r->n_tasks; i++) {
        const struct mu_task_result *t = &r->tasks[i];
        failed = failed || mu_task_result_is_failed(t);
        unmeasured = unmeasured || mu_task_result_is_unmeasured(t) || t->status == MU_ST_CANCELLED;
        undone = undone || t->left_behind || t->mark.state == MU_MARK_FAILED;
    }
    return undone ? 4 : failed ? 1 : unmeasured ? 3 : 0;
}
