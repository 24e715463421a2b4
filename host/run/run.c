#include "run/run.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "results/past.h"
#include "run/engine.h"
#include "run/former.h"
#include "run/journal_read.h"
#include "run/load_past.h"
#include "run/messages.h"
#include "run/pick.h"
#include "run/run_internal.h"
#include "run/sources.h"
#include "run/tape.h"
#include "run/worker.h"

static void make_run_id(char out[32])
{
    unsigned char random[3] = {0};
    if (getrandom(random, sizeof random, 0) < 0)
        memset(random, 0, sizeof random);
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    size_t n = strftime(out, 32, "%Y%m%dT%H%M%SZ", &tm);
    snprintf(out + n, 32 - n, "-%02x%02x%02x", random[0], random[1], random[2]);
}

/* Who runs it, for marks and tags that others read. */
static void name_owner(char out[MU_OWNER_SIZE])
{
    char host[HOST_NAME_MAX + 1] = "", text[1024];
    struct passwd pw, *found = NULL;
    if (getpwuid_r(getuid(), &pw, text, sizeof text, &found) != 0)
        found = NULL;
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    if (found)
        snprintf(out, MU_OWNER_SIZE, "%s@%s", found->pw_name, host[0] ? host : "unknown");
    else
        snprintf(out, MU_OWNER_SIZE, "%lu@%s", (unsigned long)getuid(), host[0] ? host : "unknown");
}

static int settle_cap(struct mu_run *run, const struct mu_script *script, struct mu_err *err)
{
    const char *said = run->config.max_broken ? run->config.max_broken : script->max_broken ? script->max_broken : MU_CAP_DEFAULT;
    bool part = run->config.steps && run->config.steps[0]; /* some of the steps judge no server */
    unsigned on = run->config.dry_run || run->config.left || part ? 0 : script->mark_on;
    struct mu_cap cap;
    int rc = mu_cap_parse(&cap, said, err);
    if (rc) {
        mu_err_prefix(err, "max_broken");
        return rc;
    }
    run->results->marks.cap = mu_cap_of(&cap, run->n);
    run->results->dry_run = run->config.dry_run;
    free(run->results->marks.said);
    run->results->marks.said = NULL;
    if (mu_marks_init(&run->marks, on, run->results->marks.cap, run->n) || (on && !(run->results->marks.said = strdup(said))))
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    return 0;
}

static int choose_steps(struct mu_run *run, const struct mu_script *script, struct mu_err *err)
{
    bool *only = NULL;
    int rc = run->config.left ? 0 : mu_pick_steps(&only, script, run->config.steps, err);
    run->engine.only = only;
    return rc;
}

/* Of a run that is gone on with: what is there already. MU_ENOMEM. */
static int make_results(struct mu_run *run, const struct mu_script *script)
{
    struct mu_former *former = run->config.former;
    if (former) {
        run->results = former->results;
        run->results->interrupted = false;
        run->results->signal = 0;
        free(run->results->after_all);
        run->results->after_all = NULL;
        return 0;
    }
    if (mu_run_result_new(&run->results, run->id, script->path, run->n))
        return MU_ENOMEM;
    for (size_t i = 0; i < run->n; i++)
        if (!(run->results->tasks[i].server_id = strdup(run->servers[i]->id)))
            return MU_ENOMEM;
    run->results->description = script->description[0] ? strdup(script->description) : NULL;
    return script->description[0] && !run->results->description ? MU_ENOMEM : 0;
}

int mu_run_new(struct mu_run **out, const struct mu_run_config *config, const struct mu_script *script,
               struct mu_server *const *servers, size_t n, const struct mu_bindings *bindings, struct mu_logger *logger,
               struct mu_err *err)
{
    struct mu_run *run = calloc(1, sizeof *run);
    int rc = MU_ENOMEM;
    if (!run)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    run->config = *config;
    struct mu_run_config *c = &run->config;
    c->connect_timeout_ms = c->connect_timeout_ms ? c->connect_timeout_ms : 10000;
    uint64_t teardown_ms = script->teardown_timeout_ms ? script->teardown_timeout_ms : 60000;
    c->teardown_timeout_ms = c->teardown_timeout_ms ? c->teardown_timeout_ms : teardown_ms;
    c->grace_ms = c->grace_ms ? c->grace_ms : 15000;
    c->task_memory = c->task_memory ? c->task_memory : (size_t)64 << 20;
    c->timeout_ms = c->timeout_ms ? c->timeout_ms : script->timeout_ms ? script->timeout_ms : MU_TASK_TIMEOUT_MS;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    c->workers = c->workers ? c->workers : cores > 0 ? (unsigned)cores : 1;
    run->servers = servers;
    run->n = n;
    run->engine = (struct mu_engine){.bindings = bindings, .script = script, .library_dir = c->library_dir, .module_dir = c->module_dir,
                                     .logger = logger, .local = c->local, .fail_fast = c->fail_fast, .user = c->user,
                                     .timeout_ms = c->timeout_ms, .connect_timeout_ms = c->connect_timeout_ms,
                                     .connect_retries = c->connect_retries,
                                     .setup_timeout_ms = script->setup_timeout_ms ? script->setup_timeout_ms
                                                                                   : MU_STEP_TIMEOUT_MS,
                                     .teardown_timeout_ms = c->teardown_timeout_ms, .dry_run = c->dry_run,
                                     .allow_destructive = c->allow_destructive,
                                     .run_id = run->id, .owner = run->owner, .sudo_password = c->sudo_password, .task_memory = c->task_memory,
                                     .alloc_fail_at = c->alloc_fail_at, .servers = servers, .n_servers = n};
    make_run_id(run->id);
    if (c->left) /* in its name: tags of that run are ours */
        snprintf(run->id, sizeof run->id, "%s", c->left->run_id);
    if (c->former)
        snprintf(run->id, sizeof run->id, "%s", c->former->run.run_id);
    run->engine.cleanup = c->left != NULL;
    name_owner(run->owner);
    mu_err_set(err, MU_ENOMEM, "out of memory");
    if (mu_second_init(run) || !(run->engine.sources = mu_sources_new()) || make_results(run, script))
        goto out;
    rc = settle_cap(run, script, err);
    if (!rc && !c->left) /* a mistake in a threshold keeps nobody from cleaning up */
        rc = mu_rules_new(&run->rules, script, servers, n, err);
    run->engine.rules = run->rules;
    if (!rc)
        rc = choose_steps(run, script, err);
    if (!rc && mu_pairs_init(run))
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!rc && c->former && run->pairs.wanted && !mu_former_is_finished(c->former))
        mu_former_all_anew(c->former);
    if (!rc)
        rc = mu_loop_new(&run->loop, err);
    if (!rc)
        rc = mu_mailbox_new(&run->home, run->loop, mu_run_home_mail, run, err);
    if (rc)
        goto out;
    run->engine.home = run->home;
    mu_run_crew_init(run);
    rc = MU_ENOMEM;
    if (c->record_dir)
        rc = mu_tapes_record(&run->engine.tapes, c->record_dir, script->path, servers, n, err);
    else
        rc = c->replay_dir ? mu_tapes_replay(&run->engine.tapes, c->replay_dir, script->path, servers, n, err) : 0;
    if (!rc)
        rc = mu_run_open_claims(run, err);
    if (rc)
        goto out;
    rc = MU_ENOMEM;
    mu_err_set(err, MU_ENOMEM, "out of memory");
    run->semaphores = mu_semaphores_new(mu_run_turn_came, run);
    run->limit = mu_timer_new(run->loop, mu_run_give_up, run);
    if (!run->semaphores || !run->limit || mu_progress_init(run))
        goto out;
    run->records.former = c->former;
    rc = mu_records_open(run, err);
    if (rc)
        goto out;
    struct mu_logger *outer = mu_logger_use(logger);
    mu_run_load_past(run);
    rc = mu_run_crew_open(run, err);
    mu_logger_use(outer);
    if (rc)
        goto out;
    mu_err_clear(err);
    if (c->former)
        c->former->results = NULL; /* the run's now, as the rest of it */
    *out = run;
    return 0;
out:
    if (c->former) { /* is the caller's still */
        run->results = NULL;
        run->records = (struct mu_records){0};
    }
    mu_run_free(run);
    return rc;
}

static void join_workers(struct mu_run *run)
{
    struct mu_crew_local *local = &run->local;
    run->over = true;
    mu_crew_local_join(local, run->results->interrupted, mu_run_after_turn, run);
    if (run->config.alloc_requests && local->n_started && local->workers[0].exited)
        *run->config.alloc_requests = local->workers[0].allocator.requests;
    mu_timer_stop(run->limit);
}

/* All that there will be of servers has come in. */
static void settle(struct mu_run *run)
{
    mu_pairs_end(run);
    for (size_t i = 0; i < run->n; i++)
        mu_task_result_settle(&run->results->tasks[i]);
    for (size_t i = 0; run->pairs.wanted && !mu_pairs_over(run) && i < run->n; i++)
        if (run->results->tasks[i].finished)
            mu_run_measured(run, i);
    mu_second_end(run, mu_run_final);
    mu_run_settle_marks(run);
    mu_run_settle_claims(run);
}

/* The servers, from the first to the last. */
static void measure(struct mu_run *run)
{
    run->dealing = true;
    mu_records_restore(run);
    mu_run_deal(run);
    while (!mu_run_finished(run))
        mu_run_turn(run);
}

int mu_run_go(struct mu_run *run, struct mu_err *err)
{
    struct mu_logger *former = mu_logger_use(run->engine.logger);
    uint64_t started = mu_clock_ms();
    if (run->records.former && mu_former_is_finished(run->records.former)) {
        mu_log(MU_INFO, "Run %s came to its end before: nothing is run, its summary and reports are written.", run->id);
        mu_logger_use(former);
        return 0;
    }
    if (!run->results->started_ms) /* else it is gone on with */
        run->results->started_ms = mu_clock_wall_ms();
    int rc = mu_run_crew_start(run, err);
    if (!rc) {
        mu_progress_start(run);
        rc = mu_run_before_all(run, err);
    }
    bool settled = false;
    if (!rc) {
        mu_records_begin(run);
        rc = mu_run_crew_begin(run, err);
    }
    if (!rc) {
        measure(run);
        settled = !run->over && !run->interrupts_seen; /* no task is left that could add something */
    }
    if (settled) {
        settle(run);
        mu_run_after_all(run);
    }
    join_workers(run);
    mu_progress_stop(run);
    if (!settled)
        settle(run);
    run->results->duration_ms += mu_clock_ms() - started;
    if (!rc) {
        mu_records_end(run);
        run->crew->ops->end(run->crew);
    }
    mu_logger_use(former);
    return rc;
}

void mu_run_interrupt(struct mu_run *run, int signal_number)
{
    int none = 0;
    if (signal_number)
        atomic_compare_exchange_strong(&run->signal, &none, signal_number);
    atomic_fetch_add(&run->interrupts, 1);
    mu_mailbox_nudge(run->home);
}

void mu_run_ask_progress(struct mu_run *run)
{
    atomic_fetch_add(&run->progress.asked, 1);
    mu_mailbox_nudge(run->home);
}

const char *mu_run_record_problem(const struct mu_run *run) { return mu_tapes_problem(run->engine.tapes); }

struct mu_run_result *mu_run_results(struct mu_run *run) { return run->results; }
struct mu_store *mu_run_store(struct mu_run *run) { return run->records.store; }

bool mu_run_free(struct mu_run *run)
{
    if (!run)
        return true;
    if (run->local.abandoned)
        return false;
    mu_crew_local_free(&run->local);
    mu_timer_free(run->limit);
    mu_progress_free(run);
    mu_records_free(run);
    mu_semaphores_free(run->semaphores);
    mu_claims_free(run->claims);
    mu_tapes_free(run->engine.tapes);
    mu_mailbox_free(run->home, mu_message_free);
    mu_loop_free(run->loop);
    mu_ssh_shared_free(run->engine.ssh);
    mu_sources_free(run->engine.sources);
    mu_marks_free(&run->marks);
    mu_rules_free(run->rules);
    mu_past_free(run->past);
    mu_second_free(run);
    mu_pairs_free(run);
    mu_fleet_free(&run->fleet);
    mu_run_result_free(run->results);
    free((void *)run->engine.only);
    free(run);
    return true;
}
