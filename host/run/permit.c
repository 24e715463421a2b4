#include "run/permit.h"

#include <stdlib.h>
#include <string.h>

#include "run/engine.h"
#include "run/messages.h"
#include "run/task.h"
#include "run/worker.h"

static void answered(struct mu_ask *ask)
{
    struct mu_permit *p = mu_list_entry(ask, struct mu_permit, ask);
    if (!ask->err.code) {
        p->state = MU_PERMIT_HELD;
        return;
    }
    p->state = MU_PERMIT_NONE; /* never got into the line */
    mu_list_remove(&p->link);
    mu_message_free(&p->leave->head);
    p->leave = NULL;
}

static void abandoned(struct mu_wait *wait) { mu_permit_release(mu_list_entry(wait, struct mu_permit, ask.wait)); }

int mu_permit_acquire(struct mu_permit *p, struct mu_task *t, const char *name, unsigned limit, bool first,
                      struct mu_err *err)
{
    struct mu_message *m = mu_message_new(MU_MSG_ACQUIRE);
    memset(p, 0, sizeof *p);
    p->ask.wait.abandon = abandoned;
    p->ask.answered = answered;
    p->worker = t->worker;
    p->leave = mu_message_new(MU_MSG_LEAVE);
    if (!m || !p->leave || !(m->text = strdup(name))) {
        mu_message_free(m ? &m->head : NULL);
        mu_message_free(p->leave ? &p->leave->head : NULL);
        p->leave = NULL;
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    m->task = t->index;
    m->amount = limit;
    m->first = first;
    p->state = MU_PERMIT_WAITING;
    mu_list_push(&t->permits, &p->link);
    mu_ask_post(&p->ask, t->worker, m);
    return 0;
}

void mu_permit_release(struct mu_permit *p)
{
    if (p->state == MU_PERMIT_NONE)
        return;
    p->state = MU_PERMIT_NONE;
    mu_ask_drop(&p->ask);
    mu_list_remove(&p->link);
    p->leave->worker = p->worker->index;
    p->leave->number = p->ask.ticket;
    mu_mailbox_post(p->worker->engine->home, &p->leave->head);
    p->leave = NULL;
}
