#include "run/crew_local.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"
#include "run/ask.h"

#define WATCH_EVERY_MS 1000
#define STUCK_MS 5000

/* ---- watching ---- */

static void watch(void *arg)
{
    struct mu_crew_local *c = arg;
    uint64_t now = mu_clock_ms();
    for (unsigned i = 0; i < c->n_started; i++) {
        struct mu_slot *slot = &c->workers[i].slot;
        uint64_t since = atomic_load_explicit(&slot->since_ms, memory_order_acquire);
        const char *server = atomic_load_explicit(&slot->server, memory_order_relaxed);
        const char *step = atomic_load_explicit(&slot->step, memory_order_relaxed);
        uint64_t stuck = since && now > since ? now - since : 0;
        if (stuck < STUCK_MS) {
            c->stuck_said_ms[i] = 0;
        } else if (stuck >= 2 * c->stuck_said_ms[i]) {
            c->stuck_said_ms[i] = stuck;
            mu_log(MU_WARNING, "Worker %u is stuck in one call for %.0f s: server %s, %s%s. A pattern that backtracks or a sort "
                   "over very much data cannot be interrupted; its other servers wait.", i + 1, (double)stuck / 1000.0,
                   server ? server : "?", step ? "step " : "outside steps", step ? step : "");
        }
    }
    mu_mailbox_nudge(c->engine->home); /* steps of servers that are not done yet: an interrupted run still tells of them */
    mu_timer_start(c->watchdog, NULL, WATCH_EVERY_MS);
}

/* ---- as a crew ---- */

static struct mu_crew_local *local_of(struct mu_crew *crew) { return (struct mu_crew_local *)crew; }

static int open_crew(struct mu_crew *crew, const struct mu_crew_home *home, struct mu_err *err)
{
    (void)crew;
    (void)home;
    (void)err;
    return 0;
}

static int begin(struct mu_crew *crew, struct mu_err *err)
{
    (void)crew;
    (void)err;
    return 0;
}

static unsigned room(const struct mu_crew *crew)
{
    (void)crew;
    return UINT_MAX;
}

static void deal(struct mu_crew *crew, struct mu_message *m)
{
    struct mu_crew_local *c = local_of(crew);
    struct mu_worker *least = &c->workers[0];
    for (unsigned i = 1; i < c->n_workers; i++)
        if (c->workers[i].in_flight < least->in_flight)
            least = &c->workers[i];
    least->in_flight++;
    c->in_flight++;
    mu_mailbox_post(least->mailbox, &m->head);
}

static void done(struct mu_crew *crew, const struct mu_message *m)
{
    struct mu_crew_local *c = local_of(crew);
    c->workers[m->worker].in_flight--;
    c->in_flight--;
}

static void cancel(struct mu_crew *crew, uint64_t until_ms) { mu_crew_local_tell_all(local_of(crew), MU_MSG_CANCEL, until_ms); }
static void kill_all(struct mu_crew *crew) { mu_crew_local_tell_all(local_of(crew), MU_MSG_KILL, 0); }

static void answer(struct mu_crew *crew, int worker, uint64_t ticket, const struct mu_err *err)
{
    struct mu_crew_local *c = local_of(crew);
    if (!c->over)
        mu_answer(&c->workers[worker], ticket, err);
}

static void kept(struct mu_crew *crew) { (void)crew; }
static bool settled(const struct mu_crew *crew) { return ((const struct mu_crew_local *)crew)->in_flight == 0; }
static void end(struct mu_crew *crew) { (void)crew; }

static const struct mu_crew_ops ops = {
    .open = open_crew, .begin = begin, .room = room,     .deal = deal, .done = done,       .cancel = cancel,
    .kill = kill_all,  .answer = answer, .kept = kept, .settled = settled, .end = end,
};

/* ---- its workers ---- */

void mu_crew_local_init(struct mu_crew_local *c, const struct mu_engine *engine, struct mu_server *const *servers, size_t n,
                        struct mu_loop *loop)
{
    *c = (struct mu_crew_local){.crew.ops = &ops, .engine = engine, .servers = servers, .n = n, .loop = loop};
}

int mu_crew_local_start(struct mu_crew_local *c, unsigned n_workers, struct mu_err *err)
{
    c->workers = calloc(n_workers ? n_workers : 1, sizeof *c->workers);
    c->stuck_said_ms = calloc(n_workers ? n_workers : 1, sizeof *c->stuck_said_ms);
    c->watchdog = mu_timer_new(c->loop, watch, c);
    if (!c->workers || !c->stuck_said_ms || !c->watchdog)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    c->n_workers = n_workers;
    for (unsigned i = 0; i < n_workers; i++) {
        struct mu_worker *w = &c->workers[i];
        int rc = mu_worker_open(w, c->engine, (int)i, err);
        if (rc)
            return rc;
        w->crew = c;
        rc = mu_worker_start(w, err);
        if (rc) {
            mu_mailbox_free(w->mailbox, mu_message_free);
            mu_worker_close(w);
            return rc;
        }
        w->started = true;
        c->n_started++;
    }
    if (n_workers)
        mu_timer_start(c->watchdog, NULL, WATCH_EVERY_MS);
    return 0;
}

void mu_crew_local_tell(struct mu_crew_local *c, unsigned worker, int kind, uint64_t number)
{
    struct mu_message *m;
    if (c->over)
        return;
    while (!(m = mu_message_new(kind)))
        usleep(10000);
    m->number = number;
    mu_mailbox_post(c->workers[worker].mailbox, &m->head);
}

void mu_crew_local_tell_all(struct mu_crew_local *c, int kind, uint64_t number)
{
    for (unsigned i = 0; i < c->n_started; i++)
        mu_crew_local_tell(c, i, kind, number);
}

void mu_crew_local_stop(struct mu_crew_local *c)
{
    mu_crew_local_tell_all(c, MU_MSG_STOP, 0);
    c->over = true;
}

void mu_crew_local_exited(struct mu_crew_local *c, const struct mu_message *m)
{
    c->workers[m->worker].exited = true;
    c->n_exited++;
}

void mu_crew_local_join(struct mu_crew_local *c, bool give_up, void (*turned)(void *arg), void *arg)
{
    uint64_t until = mu_clock_ms() + MU_CREW_LEAVE_MS;
    mu_crew_local_stop(c);
    c->gives_up = give_up;
    while (c->n_exited < c->n_started) {
        uint64_t now = mu_clock_ms();
        if (c->gives_up && now >= until)
            break; /* stuck in a call: it is left behind */
        mu_timer_start(c->watchdog, NULL, now < until ? until - now : WATCH_EVERY_MS);
        mu_loop_turn(c->loop, true);
        turned(arg);
    }
    for (unsigned i = 0; i < c->n_started; i++) {
        if (c->workers[i].exited) {
            pthread_join(c->workers[i].thread, NULL);
        } else {
            pthread_detach(c->workers[i].thread);
            c->abandoned = true;
        }
    }
    if (c->watchdog)
        mu_timer_stop(c->watchdog);
}

void mu_crew_local_free(struct mu_crew_local *c)
{
    if (c->abandoned)
        return;
    mu_timer_free(c->watchdog);
    free(c->workers);
    free(c->stuck_said_ms);
    c->watchdog = NULL;
    c->workers = NULL;
    c->stuck_said_ms = NULL;
}
