#include "run/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "run/collect.h"
#include "run/engine.h"
#include "run/messages.h"
#include "run/sources.h"
#include "run/task.h"
#include "run/worker.h"

#define WATCH_EVERY_MS 1000
#define STUCK_MS 5000
#define LEAVE_MS 1000 /* for workers to end once they have nothing left */
#define FDS_APART 64
#define FDS_SSH 2     /* a socket and its watched copy */
#define FDS_AGENT 2   /* while logging in with the agent: a pair more */
#define FDS_LOCAL 8

struct mu_run {
    struct mu_engine engine;
    struct mu_run_config config;
    struct mu_server *const *servers;
    size_t n;
    struct mu_run_result *results;
    struct mu_loop *loop;
    struct mu_mailbox *home;
    struct mu_timer *watchdog, *limit;
    struct mu_worker *workers;
    unsigned n_workers, n_started, n_exited, forks;
    size_t dealt, done;
    uint64_t *stuck_said_ms; /* a worker: how long it was stuck when that was last said */
    _Atomic(int) interrupts, signal;
    int interrupts_seen;
    bool over;               /* the main thread has given up on what is left */
    bool abandoned;          /* a worker could not be joined */
};

/* ---- a worker's thread ---- */

static void deal_to(struct mu_worker *w, struct mu_run *run, size_t index)
{
    struct mu_err err = {0};
    if (mu_task_start(w, run->servers[index], index, &err) == 0)
        return;
    /* Not even a task could be made: tell its end all the same. */
    struct mu_task t = {.worker = w, .index = index};
    mu_post_failure(&t, MU_ST_ERROR, NULL, "task", "out of memory", "out of memory");
    mu_post_done(&t, 0);
}

static void worker_mail(void *arg, struct mu_msg *msg)
{
    struct mu_worker *w = arg;
    struct mu_run *run = mu_list_entry(w->engine, struct mu_run, engine);
    struct mu_message *m = (struct mu_message *)msg;
    if (!m)
        return;
    switch (m->head.kind) {
    case MU_MSG_DEAL:
        deal_to(w, run, m->task);
        break;
    case MU_MSG_CANCEL:
        w->hurry_until_ms = m->number;
        for (struct mu_list *l = w->tasks.next, *next; l != &w->tasks; l = next) {
            struct mu_task *t = mu_list_entry(l, struct mu_task, link);
            struct mu_err why;
            next = l->next;
            mu_err_set(&why, MU_ECANCELED, "interrupted");
            mu_task_hurry(t, m->number);
            mu_task_cancel(t, MU_ST_CANCELLED, &why);
        }
        break;
    case MU_MSG_KILL:
        w->hurry_until_ms = mu_clock_ms();
        while (!mu_list_empty(&w->tasks))
            mu_task_kill(mu_list_entry(w->tasks.next, struct mu_task, link));
        break;
    case MU_MSG_STOP:
        w->stop = true;
        break;
    default:
        break;
    }
    mu_message_free(msg);
}

static void *worker_main(void *arg)
{
    struct mu_worker *w = arg;
    mu_logger_use(w->engine->logger);
    mu_ssh_thread_init();
    while (!w->stop || !mu_list_empty(&w->tasks))
        mu_worker_turn(w);
    struct mu_mailbox *home = w->engine->home;
    int index = w->index;
    mu_mailbox_free(w->mailbox, mu_message_free);
    w->mailbox = NULL;
    mu_worker_close(w);
    struct mu_message *m;
    while (!(m = mu_message_new(MU_MSG_EXITED)))
        usleep(10000);
    m->worker = index;
    mu_mailbox_post(home, &m->head);
    return NULL;
}

/* Signals are the embedder's: its threads get them, not ours. A broken pipe is an error code here. */
static int start_thread(struct mu_worker *w)
{
    sigset_t all, former;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    sigdelset(&all, SIGCHLD);
    sigdelset(&all, SIGPROF);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    int rc = pthread_create(&w->thread, NULL, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return rc;
}

/* ---- the main thread ---- */

static void tell(struct mu_worker *w, int kind, size_t task, uint64_t number)
{
    struct mu_message *m;
    while (!(m = mu_message_new(kind)))
        usleep(10000);
    m->task = task;
    m->number = number;
    mu_mailbox_post(w->mailbox, &m->head);
}

static void deal(struct mu_run *run)
{
    while (run->dealt < run->n && run->dealt - run->done < run->forks && !run->interrupts_seen) {
        struct mu_worker *least = &run->workers[0];
        for (unsigned i = 1; i < run->n_workers; i++)
            if (run->workers[i].in_flight < least->in_flight)
                least = &run->workers[i];
        least->in_flight++;
        run->results->tasks[run->dealt].dealt = true;
        tell(least, MU_MSG_DEAL, run->dealt++, 0);
    }
}

static bool finished(const struct mu_run *run)
{
    return run->over || run->done == (run->interrupts_seen ? run->dealt : run->n);
}

static void give_up(void *arg)
{
    struct mu_run *run = arg;
    run->over = true;
}

static void interrupted(struct mu_run *run)
{
    int count = atomic_load(&run->interrupts);
    if (count > run->interrupts_seen && run->interrupts_seen == 0) {
        run->results->interrupted = true;
        run->results->signal = atomic_load(&run->signal);
        mu_log(MU_WARNING, "Interrupted: no more servers are started; what runs is cancelled, with %.0f s for teardown.",
               (double)run->config.grace_ms / 1000.0);
        uint64_t until = mu_clock_ms() + run->config.grace_ms;
        for (unsigned i = 0; i < run->n_started; i++)
            tell(&run->workers[i], MU_MSG_CANCEL, 0, until);
        mu_timer_start(run->limit, NULL, run->config.grace_ms + LEAVE_MS);
    }
    if (count > 1 && run->interrupts_seen < 2) {
        mu_log(MU_WARNING, "Interrupted again: ending at once.");
        for (unsigned i = 0; i < run->n_started; i++)
            tell(&run->workers[i], MU_MSG_KILL, 0, 0);
        mu_timer_start(run->limit, NULL, LEAVE_MS / 2);
    }
    run->interrupts_seen = count;
}

static void home_mail(void *arg, struct mu_msg *msg)
{
    struct mu_run *run = arg;
    struct mu_message *m = (struct mu_message *)msg;
    if (!m) {
        interrupted(run);
        return;
    }
    if (m->head.kind == MU_MSG_EXITED) {
        run->workers[m->worker].exited = true;
        run->n_exited++;
    } else if (!run->over) {
        mu_collect(run->results, m);
        if (m->head.kind == MU_MSG_DONE) {
            run->done++;
            run->workers[m->worker].in_flight--;
            if (run->config.on_done)
                run->config.on_done(run->config.on_done_arg, &run->results->tasks[m->task], run->done, run->n);
        }
    }
    mu_message_free(msg);
    deal(run);
}

static void watch(void *arg)
{
    struct mu_run *run = arg;
    uint64_t now = mu_clock_ms();
    for (unsigned i = 0; i < run->n_started; i++) {
        struct mu_slot *slot = &run->workers[i].slot;
        uint64_t since = atomic_load_explicit(&slot->since_ms, memory_order_acquire);
        const char *server = atomic_load_explicit(&slot->server, memory_order_relaxed);
        const char *step = atomic_load_explicit(&slot->step, memory_order_relaxed);
        uint64_t stuck = since && now > since ? now - since : 0;
        if (stuck < STUCK_MS) {
            run->stuck_said_ms[i] = 0;
        } else if (stuck >= 2 * run->stuck_said_ms[i]) {
            run->stuck_said_ms[i] = stuck;
            mu_log(MU_WARNING, "Worker %u is stuck in one call for %.0f s: server %s, %s%s. A pattern that backtracks or a sort "
                   "over very much data cannot be interrupted; its other servers wait.", i + 1, (double)stuck / 1000.0,
                   server ? server : "?", step ? "step " : "outside steps", step ? step : "");
        }
    }
    mu_mailbox_nudge(run->home); /* steps of servers that are not done yet: an interrupted run still tells of them */
    mu_timer_start(run->watchdog, NULL, WATCH_EVERY_MS);
}

static unsigned fit_to_descriptors(const struct mu_run *run, unsigned forks)
{
    const struct mu_ssh_config *ssh = &run->config.ssh;
    bool agent = ssh->use_agent && (ssh->agent_socket || getenv("SSH_AUTH_SOCK"));
    uint64_t limit = mu_loop_raise_fd_limit();
    uint64_t each = run->engine.local ? FDS_LOCAL : FDS_SSH + (agent ? FDS_AGENT : 0);
    uint64_t fit = limit > FDS_APART + each ? (limit - FDS_APART) / each : 1;
    if (forks <= fit || run->n <= fit)
        return forks;
    mu_log(MU_WARNING, "%u servers in flight need more descriptors than the limit of %llu allows: %llu at a time instead "
           "(ulimit -n raises it).", forks, (unsigned long long)limit, (unsigned long long)fit);
    return (unsigned)fit;
}

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

int mu_run_new(struct mu_run **out, const struct mu_run_config *config, const struct mu_script *script,
               struct mu_server *const *servers, size_t n, const struct mu_bindings *bindings, struct mu_logger *logger,
               struct mu_err *err)
{
    struct mu_run *run = calloc(1, sizeof *run);
    char id[32];
    int rc = MU_ENOMEM;
    if (!run)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    run->config = *config;
    struct mu_run_config *c = &run->config;
    c->forks = c->forks ? c->forks : 50;
    c->connect_timeout_ms = c->connect_timeout_ms ? c->connect_timeout_ms : 10000;
    c->teardown_timeout_ms = c->teardown_timeout_ms ? c->teardown_timeout_ms : 60000;
    c->grace_ms = c->grace_ms ? c->grace_ms : 15000;
    c->task_memory = c->task_memory ? c->task_memory : (size_t)64 << 20;
    c->timeout_ms = c->timeout_ms ? c->timeout_ms : script->timeout_ms ? script->timeout_ms : MU_TASK_TIMEOUT_MS;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    c->workers = c->workers ? c->workers : cores > 0 ? (unsigned)cores : 1;
    run->servers = servers;
    run->n = n;
    run->engine = (struct mu_engine){.bindings = bindings, .script = script, .library_dir = c->library_dir,
                                     .logger = logger, .local = c->local, .fail_fast = c->fail_fast, .user = c->user,
                                     .timeout_ms = c->timeout_ms, .connect_timeout_ms = c->connect_timeout_ms,
                                     .teardown_timeout_ms = c->teardown_timeout_ms, .task_memory = c->task_memory,
                                     .alloc_fail_at = c->alloc_fail_at};
    make_run_id(id);
    mu_err_set(err, MU_ENOMEM, "out of memory");
    if (mu_run_result_new(&run->results, id, script->path, n) || !(run->engine.sources = mu_sources_new()))
        goto out;
    for (size_t i = 0; i < n; i++)
        if (!(run->results->tasks[i].server_id = strdup(servers[i]->id)))
            goto out;
    if (script->description[0] && !(run->results->description = strdup(script->description)))
        goto out;
    rc = mu_loop_new(&run->loop, err);
    if (!rc)
        rc = mu_mailbox_new(&run->home, run->loop, home_mail, run, err);
    if (rc)
        goto out;
    run->engine.home = run->home;
    rc = MU_ENOMEM;
    run->watchdog = mu_timer_new(run->loop, watch, run);
    run->limit = mu_timer_new(run->loop, give_up, run);
    if (!run->watchdog || !run->limit)
        goto out;
    mu_err_clear(err);
    *out = run;
    return 0;
out:
    mu_run_free(run);
    return rc;
}

static int open_ssh(struct mu_run *run, struct mu_err *err)
{
    bool needed = false;
    for (size_t i = 0; i < run->n; i++)
        needed = needed || !run->servers[i]->local;
    if (run->engine.local || !needed)
        return 0;
    int rc = mu_ssh_shared_new(&run->engine.ssh, &run->config.ssh, err);
    for (size_t i = 0; !rc && i < run->n; i++) {
        if (!run->servers[i]->key || run->servers[i]->local)
            continue;
        rc = mu_ssh_shared_add_key(run->engine.ssh, run->servers[i]->key, err);
        if (rc)
            mu_err_prefix(err, "server %s", run->servers[i]->id);
    }
    return rc;
}

static int start_workers(struct mu_run *run, struct mu_err *err)
{
    unsigned most = run->forks < run->n ? run->forks : (unsigned)run->n;
    run->n_workers = run->config.workers < most ? run->config.workers : most;
    if (!run->n_workers)
        run->n_workers = 1;
    run->workers = calloc(run->n_workers, sizeof *run->workers);
    run->stuck_said_ms = calloc(run->n_workers, sizeof *run->stuck_said_ms);
    if (!run->workers || !run->stuck_said_ms)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    for (unsigned i = 0; i < run->n_workers; i++) {
        struct mu_worker *w = &run->workers[i];
        int rc = mu_worker_open(w, &run->engine, (int)i, err);
        if (rc)
            return rc;
        rc = mu_mailbox_new(&w->mailbox, w->loop, worker_mail, w, err);
        if (!rc && start_thread(w) != 0)
            rc = mu_err_set(err, MU_EIO, "cannot start a worker thread");
        if (rc) {
            mu_mailbox_free(w->mailbox, mu_message_free);
            mu_worker_close(w);
            return rc;
        }
        w->started = true;
        run->n_started++;
    }
    return 0;
}

static void join_workers(struct mu_run *run)
{
    for (unsigned i = 0; i < run->n_started; i++)
        if (!run->workers[i].exited)
            tell(&run->workers[i], MU_MSG_STOP, 0, 0);
    uint64_t until = mu_clock_ms() + LEAVE_MS;
    run->over = true;
    while (run->n_exited < run->n_started) {
        uint64_t now = mu_clock_ms();
        if (run->results->interrupted && now >= until)
            break; /* stuck in a call: it is left behind */
        mu_timer_start(run->limit, NULL, now < until ? until - now : LEAVE_MS);
        mu_loop_turn(run->loop, true);
    }
    for (unsigned i = 0; i < run->n_started; i++) {
        if (run->workers[i].exited) {
            pthread_join(run->workers[i].thread, NULL);
            if (i == 0 && run->config.alloc_requests)
                *run->config.alloc_requests = run->workers[i].allocator.requests;
        } else {
            pthread_detach(run->workers[i].thread);
            run->abandoned = true;
        }
    }
    mu_timer_stop(run->limit);
}

int mu_run_go(struct mu_run *run, struct mu_err *err)
{
    struct mu_logger *former = mu_logger_use(run->engine.logger);
    uint64_t started = mu_clock_ms();
    run->results->started_ms = mu_clock_wall_ms();
    run->forks = fit_to_descriptors(run, run->config.forks);
    int rc = open_ssh(run, err);
    if (!rc)
        rc = start_workers(run, err);
    if (!rc) {
        mu_timer_start(run->watchdog, NULL, WATCH_EVERY_MS);
        interrupted(run);
        deal(run);
        while (!finished(run))
            mu_loop_turn(run->loop, true);
    }
    mu_timer_stop(run->watchdog);
    join_workers(run);
    for (size_t i = 0; i < run->n; i++)
        mu_task_result_settle(&run->results->tasks[i]);
    run->results->duration_ms = mu_clock_ms() - started;
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

struct mu_run_result *mu_run_results(struct mu_run *run) { return run->results; }

bool mu_run_free(struct mu_run *run)
{
    if (!run)
        return true;
    if (run->abandoned)
        return false;
    mu_timer_free(run->watchdog);
    mu_timer_free(run->limit);
    mu_mailbox_free(run->home, mu_message_free);
    mu_loop_free(run->loop);
    mu_ssh_shared_free(run->engine.ssh);
    mu_sources_free(run->engine.sources);
    mu_run_result_free(run->results);
    free(run->workers);
    free(run->stuck_said_ms);
    free(run);
    return true;
}
