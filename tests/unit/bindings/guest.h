/* guest.h: for tests of runs whose servers are done by another crew than the run's own threads (run/crew.h): by threads of another
 * engine, which has two seats for servers that come and go, as an agent has. Owner: the test; free a guest before its run.
 * Thread: the run's. Must not know: what is tested.
 */
#ifndef TESTS_UNIT_BINDINGS_GUEST_H
#define TESTS_UNIT_BINDINGS_GUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/bindings.h"
#include "core/clock.h"
#include "results/past.h"
#include "run/crew_local.h"
#include "run/former.h"
#include "run/progress.h"
#include "run/rules.h"
#include "run/run.h"
#include "run/sources.h"
#include "run/where.h"

#define SEATS 2
#define NUMBER (MU_CREW_ELSEWHERE + 7)

static char dir[64], script_path[80], db[80], flag[80];
static struct mu_logger *lg;
static struct mu_inventory *inventory;
static struct mu_server *servers[4];
static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER; /* workers write while the main thread looks */
static struct mu_buf said; /* a line a log line: "a: text" */

static inline void note(void *arg, const struct mu_record *r)
{
    (void)arg;
    if (strstr(r->msg, "finished: ")) /* and how long it took */
        return;
    pthread_mutex_lock(&said_lock);
    for (size_t i = 0; i < r->n_fields; i++)
        if (!strcmp(r->fields[i].key, "server_id"))
            mu_buf_addf(&said, "%s: ", r->fields[i].v.str);
    mu_buf_add(&said, r->msg, r->msg_len);
    mu_buf_addc(&said, '\n');
    pthread_mutex_unlock(&said_lock);
}

static inline bool was_said(const char *text)
{
    pthread_mutex_lock(&said_lock);
    bool was = strstr(mu_buf_cstr(&said), text) != NULL;
    pthread_mutex_unlock(&said_lock);
    return was;
}

static inline void assert_said(const char *text)
{
    if (!was_said(text))
        fail_msg("not said: %s\n%s", text, mu_buf_cstr(&said));
}

/* ---- the crew ---- */

struct guest {
    struct mu_crew crew;
    const struct mu_crew_home *home;
    struct mu_engine engine;
    struct mu_mailbox *mailbox;
    struct mu_crew_local local;
    struct mu_server *seats[SEATS];
    size_t taken[SEATS]; /* whose task has the seat, + 1 */
    struct mu_past *pasts[SEATS];
    const char *whys[SEATS];
    struct mu_rules *rules;
    char story[512];
    size_t most, n_kept;
    uint64_t attempt;
    bool claimed_before; /* the claims of tasks are known from elsewhere */
    bool cannot_open, cannot_begin;
    bool keeps_quiet;
    unsigned room;
    struct mu_message *queue[4]; /* for a seat */
    size_t n_queue;
};

static inline void seat_next(struct guest *g);

static inline struct guest *guest_of(const struct mu_crew *c) { return (struct guest *)c; }

static inline void tell(struct guest *g, const char *what)
{
    size_t len = strlen(g->story);
    snprintf(g->story + len, sizeof g->story - len, "%s ", what);
}

static inline int seat_of(const struct guest *g, size_t server)
{
    for (int i = 0; i < SEATS; i++)
        if (g->taken[i] == server + 1)
            return i;
    return -1;
}

/* A worker's message, as the run is to see it. */
static inline void from_worker(void *arg, struct mu_msg *msg)
{
    struct guest *g = arg;
    struct mu_message *m = (struct mu_message *)msg;
    if (!m)
        return;
    if (m->head.kind == MU_MSG_EXITED) {
        mu_crew_local_exited(&g->local, m);
        mu_message_free(msg);
        return;
    }
    struct mu_message done = *m;
    m->task = m->head.kind == MU_MSG_ACQUIRE || m->head.kind == MU_MSG_LEAVE ? 0 : g->taken[m->task] - 1;
    m->worker += NUMBER;
    if (done.head.kind == MU_MSG_DONE) {
        g->local.crew.ops->done(&g->local.crew, &done);
        g->taken[done.task] = 0;
    }
    g->home->mail(g->home->run, msg);
    seat_next(g);
}

static inline int open_guest(struct mu_crew *c, const struct mu_crew_home *home, struct mu_err *err)
{
    struct guest *g = guest_of(c);
    tell(g, "open");
    if (g->cannot_open)
        return mu_err_set(err, MU_EIO, "nobody is there");
    g->home = home;
    return 0;
}

static inline int begin(struct mu_crew *c, struct mu_err *err)
{
    struct guest *g = guest_of(c);
    tell(g, "begin");
    if (g->cannot_begin)
        return mu_err_set(err, MU_EIO, "nobody came");
    g->engine = *g->home->engine; /* shared is there by now */
    assert_int_equal(mu_mailbox_new(&g->mailbox, g->home->loop, from_worker, g, err), 0);
    if (mu_rules_new(&g->rules, g->engine.script, g->seats, SEATS, err))
        fail_msg("%s", err->msg);
    g->engine.home = g->mailbox;
    g->engine.sources = mu_sources_new();
    g->engine.where = mu_where_new(SEATS);
    g->engine.rules = g->rules;
    g->engine.servers = g->seats;
    g->engine.n_servers = SEATS;
    g->engine.seat_pasts = g->pasts;
    g->engine.seat_past_whys = g->whys;
    if (!g->engine.local && mu_ssh_shared_new(&g->engine.ssh, &g->home->config->ssh, err))
        fail_msg("%s", err->msg);
    mu_crew_local_init(&g->local, &g->engine, g->seats, SEATS, g->home->loop);
    return mu_crew_local_start(&g->local, 2, err);
}

static inline unsigned room(const struct mu_crew *c) { return guest_of(c)->room; }

/* Who waits longest gets a seat that is free. */
static inline void seat_next(struct guest *g)
{
    struct mu_err err = {0};
    size_t in_flight = 0;
    int seat = 0;
    while (seat < SEATS && g->taken[seat])
        seat++;
    if (seat == SEATS || !g->n_queue)
        return;
    struct mu_message *m = g->queue[0];
    memmove(g->queue, g->queue + 1, --g->n_queue * sizeof *g->queue);
    g->taken[seat] = m->task + 1;
    g->seats[seat] = g->home->servers[m->task];
    if (mu_rules_seat(g->rules, (size_t)seat, &err))
        fail_msg("%s", err.msg);
    if (g->claimed_before && !m->text) {
        g->home->claim_is(g->home->run, m->task, "{\"old\":true}");
        m->text = strdup("{\"old\":true}");
    }
    m->number = g->attempt;
    m->task = (size_t)seat;
    g->local.crew.ops->deal(&g->local.crew, m);
    mu_mailbox_nudge(g->mailbox); /* that it has started is told at once */
    for (int i = 0; i < SEATS; i++)
        in_flight += g->taken[i] > 0;
    g->most = in_flight > g->most ? in_flight : g->most;
}

static inline void deal(struct mu_crew *c, struct mu_message *m)
{
    struct guest *g = guest_of(c);
    assert_true(g->n_queue < 4);
    g->queue[g->n_queue++] = m;
    seat_next(g);
}

static inline void done(struct mu_crew *c, const struct mu_message *m)
{
    assert_true(m->worker >= NUMBER && m->task < 4);
    assert_int_equal(seat_of(guest_of(c), m->task), -1);
}

static inline void cancel(struct mu_crew *c, uint64_t until_ms)
{
    struct guest *g = guest_of(c);
    tell(g, "cancel");
    while (g->n_queue)
        mu_message_free(&g->queue[--g->n_queue]->head);
    if (!g->keeps_quiet)
        mu_crew_local_tell_all(&g->local, MU_MSG_CANCEL, until_ms);
}

static inline void kill_all(struct mu_crew *c)
{
    struct guest *g = guest_of(c);
    tell(g, "kill");
    mu_crew_local_tell_all(&g->local, MU_MSG_KILL, 0);
}

static inline void answer(struct mu_crew *c, int worker, uint64_t ticket, const struct mu_err *err)
{
    struct guest *g = guest_of(c);
    assert_true(worker >= NUMBER);
    g->local.crew.ops->answer(&g->local.crew, worker - NUMBER, ticket, err);
}

static inline void kept(struct mu_crew *c) { guest_of(c)->n_kept++; }
static inline bool settled(const struct mu_crew *c) { return guest_of(c)->local.in_flight == 0; }
static inline void end(struct mu_crew *c) { tell(guest_of(c), "end"); }

static const struct mu_crew_ops ops = {.open = open_guest, .begin = begin, .room = room, .deal = deal, .done = done, .cancel = cancel,
                                       .kill = kill_all, .answer = answer, .kept = kept, .settled = settled, .end = end};

static inline struct guest *new_guest(void)
{
    struct guest *g = calloc(1, sizeof *g);
    assert_non_null(g);
    g->crew.ops = &ops;
    g->room = SEATS;
    return g;
}

static inline void turned(void *arg) { (void)arg; }

/* Before the run, whose loop it has. */
static inline void free_guest(struct guest *g)
{
    if (g->mailbox) {
        mu_crew_local_stop(&g->local); /* who has left is told nothing any more, whatever is said */
        while (g->local.n_exited < g->local.n_started)
            mu_loop_turn(g->home->loop, true);
        mu_crew_local_tell_all(&g->local, MU_MSG_KILL, 0);
        mu_crew_local_join(&g->local, false, turned, NULL);
        mu_crew_local_free(&g->local);
        mu_mailbox_free(g->mailbox, mu_message_free);
        mu_sources_free(g->engine.sources);
        mu_ssh_shared_free(g->engine.ssh);
        free(g->engine.where);
        mu_rules_free(g->rules);
    }
    for (int i = 0; i < SEATS; i++)
        mu_past_free(g->pasts[i]);
    free(g);
}

/* ---- runs ---- */

static inline int start(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/muster-crew.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(script_path, sizeof script_path, "%s/script.lua", dir);
    snprintf(db, sizeof db, "%s/results.db", dir);
    snprintf(flag, sizeof flag, "%s/flag", dir);
    assert_int_equal(mu_logger_new(&lg, MU_INFO), 0);
    assert_int_equal(mu_logger_add_sink(lg, note, NULL, NULL), 0);
    assert_int_equal(mu_inventory_new(&inventory), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(mu_inventory_add(inventory, (const char *[]){"a", "b", "c", "d"}[i], &servers[i], NULL), 0);
    mu_buf_clear(&said);
    return 0;
}

static inline int stop(void **state)
{
    char command[128];
    (void)state;
    mu_inventory_free(inventory);
    mu_logger_free(lg);
    mu_buf_free(&said);
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static inline struct mu_script *load(const char *text)
{
    struct mu_script *script = NULL;
    struct mu_err err = {0};
    FILE *f = fopen(script_path, "w");
    assert_non_null(f);
    fprintf(f, "local muster = require 'muster'\nreturn muster.script {\n%s}\n", text);
    fclose(f);
    if (mu_script_load(&script, script_path, NULL, &mu_bindings, lg, &err))
        fail_msg("%s", err.msg);
    return script;
}

static inline struct mu_run *new_run(struct mu_run_config *config, const struct mu_script *script, size_t n)
{
    struct mu_run *run = NULL;
    struct mu_err err = {0};
    config->local = !config->ssh.config_file; /* tests of SSH name one: "none" */
    config->state_dir = dir;
    if (mu_run_new(&run, config, script, servers, n, &mu_bindings, lg, &err))
        fail_msg("%s", err.msg);
    return run;
}

static inline void go(struct mu_run *run)
{
    struct mu_err err = {0};
    if (mu_run_go(run, &err))
        fail_msg("%s", err.msg);
}

static inline size_t n_journals(void)
{
    char path[80];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/claims", dir);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

/* ---- interrupting ---- */

static inline void interrupt_in_step(void *arg, const struct mu_progress_now *now)
{
    struct mu_run **run = arg;
    if (!now->interrupted && was_said("here"))
        mu_run_interrupt(*run, SIGTERM);
}

static inline void interrupt_and_say_so(void *arg, const struct mu_progress_now *now)
{
    interrupt_in_step(arg, now);
    if (now->interrupted)
        fclose(fopen(flag, "w"));
}

static inline void interrupt_twice(void *arg, const struct mu_progress_now *now)
{
    struct mu_run **run = arg;
    (void)now;
    if (was_said("here"))
        mu_run_interrupt(*run, SIGTERM);
}

#endif
