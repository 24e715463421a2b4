#include "run/fleet.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/run_internal.h"

void mu_fleet_free(struct mu_fleet *f)
{
    free(f->error);
    mu_buf_free(&f->shared);
}

/* One task on one worker, and what it says until it has ended. */
static void work(struct mu_run *run, enum mu_task_kind kind, struct mu_buf *plain)
{
    struct mu_message *m;
    struct mu_fleet *f = &run->fleet;
    while (!(m = mu_message_new(MU_MSG_DEAL)))
        usleep(10000);
    m->kind = kind;
    m->task = run->n; /* of no server */
    m->plain = *plain;
    *plain = (struct mu_buf)MU_BUF_INIT;
    f->over = false;
    free(f->error);
    f->error = NULL;
    run->in_flight++;
    run->local.crew.ops->deal(&run->local.crew, m);
    while (!f->over && !run->over)
        mu_run_turn(run);
}

bool mu_run_fleet_mail(struct mu_run *run, struct mu_message *m)
{
    struct mu_fleet *f = &run->fleet;
    if (!mu_fleet_is(m->kind))
        return false;
    switch (m->head.kind) {
    case MU_MSG_FAILURE:
        if (!f->error) {
            f->error = m->text;
            m->text = NULL;
        }
        break;
    case MU_MSG_SHARED:
        mu_buf_free(&f->shared);
        f->shared = m->plain;
        m->plain = (struct mu_buf)MU_BUF_INIT;
        break;
    case MU_MSG_DONE:
        f->over = true;
        run->in_flight--;
        run->local.crew.ops->done(&run->local.crew, m);
        break;
    default:
        break;
    }
    return true;
}

int mu_run_before_all(struct mu_run *run, struct mu_err *err)
{
    struct mu_buf none = MU_BUF_INIT;
    if (!run->engine.script->has_before_all || run->config.left || run->config.console || run->interrupts_seen)
        return 0;
    work(run, MU_TASK_BEFORE_ALL, &none);
    if (run->interrupts_seen)
        return 0; /* nothing is dealt, and the results say why */
    if (run->fleet.error)
        return mu_err_set(err, MU_EINVAL, "before_all did not work, so that nothing ran: %s", run->fleet.error);
    run->engine.shared = &run->fleet.shared;
    return 0;
}

void mu_run_after_all(struct mu_run *run)
{
    struct mu_buf results = MU_BUF_INIT;
    if (!run->engine.script->has_after_all || run->config.left || run->config.console || run->interrupts_seen)
        return;
    mu_fleet_add_results(&results, run->results);
    if (results.failed) {
        mu_buf_free(&results);
        run->results->after_all = strdup("out of memory");
        return;
    }
    work(run, MU_TASK_AFTER_ALL, &results);
    run->results->after_all = run->fleet.error;
    run->fleet.error = NULL;
    if (run->over && !run->fleet.over && !run->results->after_all)
        run->results->after_all = strdup("interrupted");
}
