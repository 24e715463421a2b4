/* Who does a run's work: this process's threads, or the crew that it was given. What is told to whom, and when. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "run/former.h"
#include "run/run_internal.h"
#include "run/tape.h"

#define FORKS 50
#define FDS_APART 64
#define FDS_SSH 2     /* a socket and its watched copy */
#define FDS_AGENT 2   /* while logging in with the agent: a pair more */
#define FDS_LOCAL 8

/* ---- making it ---- */

static void mail(void *run, struct mu_msg *m) { mu_run_home_mail(run, m); }

static void claim_is(void *arg, size_t server, const char *data)
{
    struct mu_run *run = arg;
    mu_claims_set(run->claims, server, data);
}

void mu_run_crew_init(struct mu_run *run)
{
    mu_crew_local_init(&run->local, &run->engine, run->servers, run->n, run->loop);
    run->crew = run->config.crew ? run->config.crew : &run->local.crew;
}

int mu_run_crew_open(struct mu_run *run, struct mu_err *err)
{
    bool finished = run->config.former && mu_former_is_finished(run->config.former);
    run->crew_home = (struct mu_crew_home){.loop = run->loop,
                                           .engine = &run->engine,
                                           .config = &run->config,
                                           .servers = run->servers,
                                           .n = run->n,
                                           .mail = mail,
                                           .run = run,
                                           .resumed = run->config.former != NULL,
                                           .claim_is = claim_is};
    return finished ? 0 : run->crew->ops->open(run->crew, &run->crew_home, err);
}

static unsigned fit_to_descriptors(const struct mu_run *run, unsigned forks)
{
    const struct mu_ssh_config *ssh = &run->config.ssh;
    bool agent = ssh->use_agent && (ssh->agent_socket || getenv("SSH_AUTH_SOCK"));
    uint64_t limit = mu_loop_raise_fd_limit();
    uint64_t each = run->engine.local ? FDS_LOCAL : FDS_SSH + (agent ? FDS_AGENT : 0);
    each *= run->pairs.wanted ? 2 : 1;
    uint64_t fit = limit > FDS_APART + each ? (limit - FDS_APART) / each : 1;
    if (forks <= fit || run->n <= fit)
        return forks;
    mu_log(MU_WARNING, "%u servers in flight need more descriptors than the limit of %llu allows: %llu at a time instead "
           "(ulimit -n raises it).", forks, (unsigned long long)limit, (unsigned long long)fit);
    return (unsigned)fit;
}

static int open_ssh(struct mu_run *run, struct mu_err *err)
{
    bool needed = false;
    for (size_t i = 0; i < run->n; i++)
        needed = needed || !run->servers[i]->local;
    if (run->engine.local || run->engine.dry_run || mu_tapes_replays(run->engine.tapes) || !needed)
        return 0;
    int rc = mu_ssh_shared_new(&run->engine.ssh, &run->config.ssh, err);
    for (size_t i = 0; !rc && i < run->n; i++) {
        const struct mu_server *srv = run->servers[i];
        struct mu_ssh_target target = {.host = srv->address ? srv->address : srv->id, .port = srv->port,
                                       .user = srv->user ? srv->user : run->engine.user, .key_file = srv->key,
                                       .args = srv->ssh_args};
        if (srv->local)
            continue;
        rc = mu_ssh_shared_prepare(run->engine.ssh, &target, err);
        if (rc)
            mu_err_prefix(err, "server %s", srv->id);
    }
    return rc;
}

/* Another crew has its own connections. One thread here does the hooks that are once a run's. */
static int start_for_hooks(struct mu_run *run, struct mu_err *err)
{
    const struct mu_script *s = run->engine.script;
    return s->has_before_all || s->has_after_all ? mu_crew_local_start(&run->local, 1, err) : 0;
}

int mu_run_crew_start(struct mu_run *run, struct mu_err *err)
{
    run->forks = run->config.forks;
    if (mu_run_is_elsewhere(run))
        return start_for_hooks(run, err);
    run->forks = fit_to_descriptors(run, run->forks ? run->forks : FORKS);
    int rc = open_ssh(run, err);
    if (rc)
        return rc;
    unsigned most = run->forks < run->n ? run->forks : (unsigned)run->n;
    unsigned workers = run->config.workers < most ? run->config.workers : most;
    return mu_crew_local_start(&run->local, workers ? workers : 1, err);
}

/* ---- interrupts ---- */

static uint64_t late_ms(const struct mu_run *run)
{
    return run->crew_begun && mu_run_is_elsewhere(run) ? MU_RUN_LATE_ELSEWHERE_MS : MU_RUN_LATE_MS;
}

/* The run's own threads in any case: they may be at a hook. */
static void cancel(struct mu_run *run)
{
    uint64_t until = mu_clock_ms() + run->config.grace_ms;
    mu_crew_local_tell_all(&run->local, MU_MSG_CANCEL, until);
    if (run->crew_begun && mu_run_is_elsewhere(run))
        run->crew->ops->cancel(run->crew, until);
    mu_timer_start(run->limit, NULL, run->config.grace_ms + late_ms(run));
}

static void kill_all(struct mu_run *run)
{
    mu_crew_local_tell_all(&run->local, MU_MSG_KILL, 0);
    if (run->crew_begun && mu_run_is_elsewhere(run))
        run->crew->ops->kill(run->crew);
    mu_timer_start(run->limit, NULL, late_ms(run) / 2);
}

void mu_run_interrupted(struct mu_run *run)
{
    int count = atomic_load(&run->interrupts), seen = run->interrupts_seen;
    if (count <= seen)
        return;
    run->interrupts_seen = count;
    if (seen == 0) {
        run->results->interrupted = true;
        run->results->signal = atomic_load(&run->signal);
        mu_log(MU_WARNING, "Interrupted: no more servers are started; what runs is cancelled, with %.0f s for teardown.",
               (double)run->config.grace_ms / 1000.0);
        cancel(run);
    }
    if (count > 1 && seen < 2) {
        mu_log(MU_WARNING, "Interrupted again: ending at once.");
        kill_all(run);
    }
}

/* ---- at work ---- */

int mu_run_crew_begin(struct mu_run *run, struct mu_err *err)
{
    if (run->interrupts_seen && !run->crew_home.resumed)
        return 0;
    int rc = run->crew->ops->begin(run->crew, err);
    mu_claims_flush(run->claims); /* what it found: tasks are told what is claimed */
    run->crew_begun = !rc;
    if (!rc && run->interrupts_seen) /* what is under way from before is to end, too */
        cancel(run);
    return rc;
}

struct mu_crew *mu_run_crew_of(struct mu_run *run, int worker)
{
    return worker < MU_CREW_ELSEWHERE ? &run->local.crew : run->crew;
}

bool mu_run_crew_has_room(const struct mu_run *run)
{
    return run->in_flight < (run->forks ? run->forks : run->crew->ops->room(run->crew));
}

bool mu_run_crew_settled(const struct mu_run *run)
{
    return !run->local.in_flight && (!run->crew_begun || run->crew->ops->settled(run->crew));
}

void mu_run_after_turn(void *arg)
{
    struct mu_run *run = arg;
    mu_claims_flush(run->claims); /* of the whole batch of messages */
    mu_records_flush(run);
    run->local.gives_up = run->local.gives_up || run->results->interrupted;
    if (run->crew_begun && !mu_records_waits(run))
        run->crew->ops->kept(run->crew);
}

void mu_run_turn(struct mu_run *run)
{
    mu_loop_turn(run->loop, true);
    mu_run_after_turn(run);
}
