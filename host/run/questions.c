/* What fibers ask the main thread: see ask.h. */
#include "run/ask.h"
#include "run/run_internal.h"

void mu_run_turn_came(void *arg, int worker, uint64_t ticket, const struct mu_err *err)
{
    struct mu_run *run = arg;
    if (!run->over) /* past that a worker may have gone, and its mailbox with it */
        mu_answer(&run->workers[worker], ticket, err);
}

bool mu_run_asked(struct mu_run *run, const struct mu_message *m)
{
    if (m->head.kind == MU_MSG_ACQUIRE)
        mu_semaphores_acquire(run->semaphores, m->text, m->amount, m->worker, m->number);
    else if (m->head.kind == MU_MSG_LEAVE)
        mu_semaphores_leave(run->semaphores, m->worker, m->number);
    else
        return false;
    return true;
}
