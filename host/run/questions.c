/* What fibers ask the main thread: see ask.h. */
#include <stdlib.h>
#include <string.h>

#include "run/ask.h"
#include "run/journal_read.h"
#include "run/run_internal.h"

void mu_run_turn_came(void *arg, int worker, uint64_t ticket, const struct mu_err *err)
{
    struct mu_run *run = arg;
    struct mu_crew *crew = mu_run_crew_of(run, worker);
    crew->ops->answer(crew, worker, ticket, err);
}

bool mu_run_asked(struct mu_run *run, struct mu_message *m)
{
    if (m->head.kind == MU_MSG_ACQUIRE) {
        mu_semaphores_acquire(run->semaphores, m->text, m->amount, m->first, m->worker, m->number);
    } else if (m->head.kind == MU_MSG_LEAVE) {
        mu_semaphores_leave(run->semaphores, m->worker, m->number);
    } else if (m->head.kind == MU_MSG_CLAIM) {
        mu_claims_ask(run->claims, m->task, (enum mu_claim_op)m->amount, m->text, m->worker, m->number);
        m->text = NULL;
    } else {
        return false;
    }
    return true;
}

/* ---- claims ---- */

static const char *policy_name(enum mu_hostkey_policy policy)
{
    return policy == MU_HOSTKEY_OFF ? "off" : policy == MU_HOSTKEY_ACCEPT_NEW ? "accept-new" : "strict";
}

int mu_run_open_claims(struct mu_run *run, struct mu_err *err)
{
    const struct mu_run_config *c = &run->config;
    struct mu_journal_head head = {.run_id = run->id, .owner = run->owner, .script = run->engine.script,
                                   .library_dir = c->library_dir, .user = c->user, .local = c->local,
                                   .hostkey_policy = c->ssh.policy_given ? policy_name(c->ssh.policy) : NULL,
                                   .ssh_config = c->ssh.config_file && *c->ssh.config_file ? c->ssh.config_file : NULL,
                                   .known_hosts = c->ssh.known_hosts,
                                   .key_files = c->ssh.key_files};
    struct mu_journal *journal = NULL;
    /* What a replay claims is nowhere: nobody is to clean up after it. */
    int rc = c->replay_dir ? 0 : c->left ? mu_journal_adopt(&journal, c->left->path, c->left->fd, err)
                     : mu_journal_new(&journal, c->state_dir, &head, err);
    if (rc)
        return rc;
    if (c->left)
        c->left->fd = -1; /* the journal's now */
    rc = mu_claims_new(&run->claims, journal, run->servers, run->n, mu_run_turn_came, run, err);
    for (size_t i = 0; !rc && c->left && i < run->n; i++)
        if (mu_claims_set_open(run->claims, i, c->left->claims[i].data))
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    return rc;
}

void mu_run_settle_claims(struct mu_run *run)
{
    size_t left = 0;
    for (size_t i = 0; i < run->n; i++) {
        const char *data = mu_claims_data(run->claims, i);
        left += data != NULL;
        run->results->tasks[i].left_behind = data != NULL;
        run->results->tasks[i].claim = data ? strdup(data) : NULL;
    }
    if (left && mu_claims_path(run->claims))
        mu_log(MU_WARNING, "%zu server%s left behind: `muster cleanup --journal %s` destroys %s.", left,
               left == 1 ? " is" : "s are", mu_claims_path(run->claims), left == 1 ? "it" : "them");
}
