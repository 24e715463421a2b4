#include "run/claim.h"

#include <stdlib.h>
#include <string.h>

#include "run/engine.h"
#include "run/messages.h"
#include "run/task.h"
#include "run/worker.h"

static void answered(struct mu_ask *ask)
{
    struct mu_claim *c = mu_list_entry(ask, struct mu_claim, ask);
    if (!ask->err.code) {
        free(c->data);
        c->data = c->next;
        c->next = NULL;
    }
    free(c->next);
    c->next = NULL;
}

static void wait_on(struct mu_wait *wait) { (void)wait; }

static void log_dry(const struct mu_claim *c)
{
    struct mu_field dry = {"dry_run", MU_FIELD_BOOL, {.b = true}};
    if (c->op == MU_CLAIM_RELEASE)
        mu_log_fields(MU_INFO, &dry, 1, "Would release the server.");
    else
        mu_log_fields(MU_INFO, &dry, 1, c->op == MU_CLAIM ? "Would claim the server: %s" : "Would note of the claim: %s",
                      c->next);
}

int mu_claim_start(struct mu_task *t, enum mu_claim_op op, const char *data, struct mu_err *err)
{
    struct mu_claim *c = &t->claim;
    if (op == MU_CLAIM && c->data)
        return mu_err_set(err, MU_ESTATE, "this server is claimed already: release it first, or update the claim");
    if (op != MU_CLAIM && !c->data)
        return mu_err_set(err, MU_ESTATE, "this server is not claimed");
    if ((c->ask.ticket && !c->ask.wait.done) || c->ask.wait.fiber) /* another fiber of the task */
        return mu_err_set(err, MU_ESTATE, "a claim, update or release of this server is under way");
    struct mu_message *m = t->worker->engine->dry_run ? NULL : mu_message_new(MU_MSG_CLAIM);
    c->next = data ? strdup(data) : NULL;
    if ((data && !c->next) || (!t->worker->engine->dry_run && (!m || (data && !(m->text = strdup(data)))))) {
        free(c->next);
        c->next = NULL;
        mu_message_free(m ? &m->head : NULL);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    c->op = op;
    c->ask.answered = answered;
    c->ask.wait = (struct mu_wait){.cancel = wait_on};
    if (!m) {
        c->ask.err.code = 0;
        log_dry(c);
        answered(&c->ask);
        c->ask.wait.done = true;
        return 0;
    }
    m->task = t->index;
    m->amount = op;
    mu_ask_post(&c->ask, t->worker, m);
    return 0;
}

void mu_claim_end(struct mu_task *t)
{
    mu_ask_drop(&t->claim.ask);
    if (t->claim.data && !t->worker->engine->dry_run && t->kind != MU_TASK_MARK)
        mu_log(MU_WARNING, "Left behind: what was claimed was not released. `muster cleanup` destroys it.");
    free(t->claim.data);
    free(t->claim.next);
    t->claim.data = t->claim.next = NULL;
}
