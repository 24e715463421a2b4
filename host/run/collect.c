#include "run/collect.h"

void mu_collect(struct mu_task_result *t, struct mu_message *m)
{
    switch (m->head.kind) {
    case MU_MSG_STARTED:
        t->started_ms = m->wall_ms;
        break;
    case MU_MSG_STEP:
        mu_task_result_add_step_take(t, m->step);
        m->step = NULL;
        break;
    case MU_MSG_FAILURE:
        mu_task_result_add_failure(t, m->status, m->type, m->where, m->cause, m->text);
        break;
    case MU_MSG_UNENDED:
        mu_task_result_add_unended(t, m->text);
        break;
    case MU_MSG_RETRIED:
        t->retries += (unsigned)m->number;
        t->retried += m->first;
        break;
    case MU_MSG_MARK:
        mu_task_result_set_mark(t, m->mark, NULL, m->text, m->tries);
        break;
    case MU_MSG_DONE:
        if (m->kind == MU_TASK_MARK)
            break; /* the server's own task ended before */
        t->finished = true;
        t->duration_ms = m->number;
        break;
    default:
        break;
    }
}
