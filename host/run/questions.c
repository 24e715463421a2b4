/* What fibers ask the main thread: see ask.h. */
#include <stdlib.h>
#include <string.h>

#include "run/former.h"
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
    if (m->head.kind == MU_MSG_ACQUIRE && m->code) {
        mu_semaphores_hold(run->semaphores, m->text, m->amount, m->worker, m->number);
    } else if (m->head.kind == MU_MSG_ACQUIRE) {
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

struct seat {
    const char *id;
    size_t index;
};

static int by_id(const void *a, const void *b) { return strcmp(((const struct seat *)a)->id, ((const struct seat *)b)->id); }

/* What is open in a journal, of servers of this run. */
static int take_claims(struct mu_run *run, const struct mu_left *left, struct mu_err *err)
{
    struct seat *seats = calloc(run->n ? run->n : 1, sizeof *seats);
    int rc = seats ? 0 : mu_err_set(err, MU_ENOMEM, "out of memory");
    for (size_t i = 0; !rc && i < run->n; i++)
        seats[i] = (struct seat){run->servers[i]->id, i};
    if (!rc)
        qsort(seats, run->n, sizeof *seats, by_id);
    for (size_t i = 0; !rc && i < left->n_claims; i++) {
        const struct seat key = {left->claims[i].server->id, 0}, *seat = bsearch(&key, seats, run->n, sizeof *seats, by_id);
        if (!seat)
            rc = mu_err_set(err, MU_EINVAL, "%s: its server %s is none of this run: `muster cleanup --journal %s` destroys what was left "
                            "there", left->path, key.id, left->path);
        else if (mu_claims_set_open(run->claims, seat->index, left->claims[i].data))
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    free(seats);
    return rc;
}

/* The journal of the former run, which goes on with this one. MU_ENOENT: there is none. */
static int open_former_journal(const struct mu_run *run, struct mu_left **out, struct mu_err *err)
{
    struct mu_buf path = MU_BUF_INIT;
    int rc = mu_journal_dir(&path, run->config.state_dir, err);
    mu_buf_addf(&path, "/%s.jsonl", run->id);
    if (!rc && path.failed)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!rc)
        rc = mu_left_open(out, mu_buf_cstr(&path), err);
    else if (rc == MU_EINVAL)
        rc = MU_ENOENT; /* nowhere to keep state: the first claim says so */
    mu_buf_free(&path);
    return rc;
}

/* One and the same file goes on, so that at no time a claim is in none, whatever ends this process. */
static int adopt_claims(struct mu_run *run, struct mu_err *err)
{
    struct mu_left *left = NULL;
    struct mu_journal *journal = NULL;
    int rc = open_former_journal(run, &left, err);
    if (!rc)
        rc = mu_journal_adopt(&journal, left->path, left->fd, err);
    if (!rc) {
        left->fd = -1; /* the journal's now */
        rc = mu_claims_new(&run->claims, journal, run->servers, run->n, mu_run_turn_came, run, err);
    }
    if (!rc)
        rc = take_claims(run, left, err);
    if (rc && run->claims) {
        mu_claims_let_go(run->claims);
        run->claims = NULL;
    }
    mu_left_free(left);
    return rc;
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
    if (c->adopt_claims && c->former && !c->replay_dir && !mu_former_is_finished(c->former)) {
        int found = adopt_claims(run, err);
        if (found != MU_ENOENT)
            return found;
    }
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
    if (left && mu_claims_path(run->claims)) /* agents have the keys: they are to do it */
        mu_log(MU_WARNING, "%zu server%s left behind: `muster cleanup --journal %s%s` destroys %s.", left,
               left == 1 ? " is" : "s are", mu_claims_path(run->claims),
               run->config.crew ? " --nats …" : "", left == 1 ? "it" : "them");
}
