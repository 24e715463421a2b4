/* A run whose servers are done by another crew than its own threads (run/crew.h): by threads of another engine, which has two seats
 * for servers that come and go, as an agent has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
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
static struct mu_buf said; /* a line a log line: "a: text" */

static void note(void *arg, const struct mu_record *r)
{
    (void)arg;
    if (strstr(r->msg, "finished: ")) /* and how long it took */
        return;
    for (size_t i = 0; i < r->n_fields; i++)
        if (!strcmp(r->fields[i].key, "server_id"))
            mu_buf_addf(&said, "%s: ", r->fields[i].v.str);
    mu_buf_add(&said, r->msg, r->msg_len);
    mu_buf_addc(&said, '\n');
}

static bool was_said(const char *text) { return strstr(mu_buf_cstr(&said), text) != NULL; }
static void assert_said(const char *text)
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

static void seat_next(struct guest *g);

static struct guest *guest_of(const struct mu_crew *c) { return (struct guest *)c; }

static void tell(struct guest *g, const char *what)
{
    size_t len = strlen(g->story);
    snprintf(g->story + len, sizeof g->story - len, "%s ", what);
}

static int seat_of(const struct guest *g, size_t server)
{
    for (int i = 0; i < SEATS; i++)
        if (g->taken[i] == server + 1)
            return i;
    return -1;
}

/* A worker's message, as the run is to see it. */
static void from_worker(void *arg, struct mu_msg *msg)
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

static int open_guest(struct mu_crew *c, const struct mu_crew_home *home, struct mu_err *err)
{
    struct guest *g = guest_of(c);
    tell(g, "open");
    if (g->cannot_open)
        return mu_err_set(err, MU_EIO, "nobody is there");
    g->home = home;
    return 0;
}

static int begin(struct mu_crew *c, struct mu_err *err)
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
    mu_crew_local_init(&g->local, &g->engine, g->seats, SEATS, g->home->loop);
    return mu_crew_local_start(&g->local, 2, err);
}

static unsigned room(const struct mu_crew *c) { return guest_of(c)->room; }

/* Who waits longest gets a seat that is free. */
static void seat_next(struct guest *g)
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

static void deal(struct mu_crew *c, struct mu_message *m)
{
    struct guest *g = guest_of(c);
    assert_true(g->n_queue < 4);
    g->queue[g->n_queue++] = m;
    seat_next(g);
}

static void done(struct mu_crew *c, const struct mu_message *m)
{
    assert_true(m->worker >= NUMBER && m->task < 4);
    assert_int_equal(seat_of(guest_of(c), m->task), -1);
}

static void cancel(struct mu_crew *c, uint64_t until_ms)
{
    struct guest *g = guest_of(c);
    tell(g, "cancel");
    while (g->n_queue)
        mu_message_free(&g->queue[--g->n_queue]->head);
    if (!g->keeps_quiet)
        mu_crew_local_tell_all(&g->local, MU_MSG_CANCEL, until_ms);
}

static void kill_all(struct mu_crew *c)
{
    struct guest *g = guest_of(c);
    tell(g, "kill");
    mu_crew_local_tell_all(&g->local, MU_MSG_KILL, 0);
}

static void answer(struct mu_crew *c, int worker, uint64_t ticket, const struct mu_err *err)
{
    struct guest *g = guest_of(c);
    assert_true(worker >= NUMBER);
    g->local.crew.ops->answer(&g->local.crew, worker - NUMBER, ticket, err);
}

static void kept(struct mu_crew *c) { guest_of(c)->n_kept++; }
static bool settled(const struct mu_crew *c) { return guest_of(c)->local.in_flight == 0; }
static void end(struct mu_crew *c) { tell(guest_of(c), "end"); }

static const struct mu_crew_ops ops = {.open = open_guest, .begin = begin, .room = room, .deal = deal, .done = done, .cancel = cancel,
                                       .kill = kill_all, .answer = answer, .kept = kept, .settled = settled, .end = end};

static struct guest *new_guest(void)
{
    struct guest *g = calloc(1, sizeof *g);
    assert_non_null(g);
    g->crew.ops = &ops;
    g->room = SEATS;
    return g;
}

static void turned(void *arg) { (void)arg; }

/* Before the run, whose loop it has. */
static void free_guest(struct guest *g)
{
    if (g->mailbox) {
        mu_crew_local_join(&g->local, false, turned, NULL);
        mu_crew_local_free(&g->local);
        mu_mailbox_free(g->mailbox, mu_message_free);
        mu_sources_free(g->engine.sources);
        free(g->engine.where);
        mu_rules_free(g->rules);
    }
    for (int i = 0; i < SEATS; i++)
        mu_past_free(g->pasts[i]);
    free(g);
}

/* ---- runs ---- */

static int start(void **state)
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

static int stop(void **state)
{
    char command[128];
    (void)state;
    mu_inventory_free(inventory);
    mu_logger_free(lg);
    mu_buf_free(&said);
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static struct mu_script *load(const char *text)
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

static struct mu_run *new_run(struct mu_run_config *config, const struct mu_script *script, size_t n)
{
    struct mu_run *run = NULL;
    struct mu_err err = {0};
    config->local = true;
    config->state_dir = dir;
    if (mu_run_new(&run, config, script, servers, n, &mu_bindings, lg, &err))
        fail_msg("%s", err.msg);
    return run;
}

static void go(struct mu_run *run)
{
    struct mu_err err = {0};
    if (mu_run_go(run, &err))
        fail_msg("%s", err.msg);
}

static size_t n_journals(void)
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

static const char ALL[] =
    "  before_all = function(fleet) return { n = #fleet } end,\n"
    "  after_all = function(results) print('after ' .. results.servers[4].status) end,\n"
    "  setup = function(server) server:claim { id = server.id } end,\n"
    "  steps = { { name = 's', thresholds = { score = { min = 1 } }, run = function(server)\n"
    "    local permit <close> = muster.semaphore('one', 1):acquire()\n"
    "    assert(muster.run.attempt == 1)\n"
    "    return muster.run.shared.n\n"
    "  end } },\n"
    "  teardown = function(server) server:release() end,\n";

static void another_crew_does_the_servers(void **state)
{
    struct guest *g = new_guest();
    struct mu_script *script = load(ALL);
    struct mu_run *run;
    (void)state;
    assert_int_equal(mu_server_set(servers[2], "threshold.s.score", ">= 5", NULL), 0);
    run = new_run(&(struct mu_run_config){.crew = &g->crew, .db = db, .db_required = true}, script, 4);
    go(run);
    const struct mu_run_result *r = mu_run_results(run);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(r->tasks[i].status, i == 2 ? MU_ST_FAILED : MU_ST_PASSED); /* c's own threshold, wherever it sat */
        assert_int_equal(r->tasks[i].n_steps, 1);
        assert_true(r->tasks[i].finished);
        assert_false(r->tasks[i].left_behind);
    }
    assert_null(r->after_all);
    assert_said("after passed");
    assert_string_equal(g->story, "open begin end ");
    assert_int_equal(g->most, SEATS);
    assert_true(g->n_kept > 0);
    free_guest(g);
    mu_run_free(run);
    assert_int_equal(n_journals(), 0);
    mu_script_free(script);
}

static void forks_bound_it_too(void **state)
{
    struct guest *g = new_guest();
    struct mu_script *script = load("steps = { { name = 's', run = function() muster.sleep(0.01) end } }");
    struct mu_run *run = new_run(&(struct mu_run_config){.crew = &g->crew, .forks = 1}, script, 4);
    (void)state;
    go(run);
    assert_int_equal(mu_run_results(run)->tasks[3].status, MU_ST_PASSED);
    assert_int_equal(g->most, 1);
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

/* Steps wait until this was seen. */
static void look(void *arg, const struct mu_progress_now *now)
{
    bool *seen = arg;
    assert_int_equal(now->total, 4);
    assert_true(now->waiting + now->running + now->done <= 4);
    assert_true(now->running <= SEATS);
    if (*seen || now->running != SEATS || now->waiting != 4 - SEATS)
        return;
    *seen = true;
    fclose(fopen(flag, "w"));
}

/* Without a bound all are dealt, and wait there: they are not at work before they say so. */
static void who_waits_elsewhere_is_not_at_work(void **state)
{
    struct guest *g = new_guest();
    bool seen = false;
    char text[256];
    (void)state;
    snprintf(text, sizeof text, "steps = { { name = 's', timeout = '60s', run = function()\n"
             "while not io.open('%s') do muster.sleep(0.005) end end } }", flag);
    struct mu_script *script = load(text);
    struct mu_run *run = new_run(&(struct mu_run_config){.crew = &g->crew, .progress_every_ms = 5, .on_progress = look,
                                           .on_progress_arg = &seen},
                                 script, 4);
    g->room = 1000;
    go(run);
    assert_int_equal(mu_run_results(run)->tasks[3].status, MU_ST_PASSED);
    assert_true(seen);
    assert_int_equal(g->most, SEATS);
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

static void one_that_cannot_ends_the_run_before_it_began(void **state)
{
    struct mu_script *script = load("steps = { { name = 's', run = function() end } }");
    struct mu_err err = {0};
    struct mu_run *run = NULL;
    (void)state;
    struct guest *g = new_guest();
    g->cannot_open = true;
    struct mu_run_config config = {.crew = &g->crew, .local = true, .state_dir = dir};
    assert_int_equal(mu_run_new(&run, &config, script, servers, 1, &mu_bindings, lg, &err), MU_EIO);
    assert_string_equal(err.msg, "nobody is there");
    assert_null(run);
    assert_string_equal(g->story, "open ");
    free_guest(g);

    g = new_guest();
    g->cannot_begin = true;
    config.crew = &g->crew;
    run = new_run(&config, script, 1);
    assert_int_equal(mu_run_go(run, &err), MU_EIO);
    assert_string_equal(err.msg, "nobody came");
    assert_string_equal(g->story, "open begin ");
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

/* ---- interrupts ---- */

static void interrupt_in_step(void *arg, const struct mu_progress_now *now)
{
    struct mu_run **run = arg;
    if (!now->interrupted && was_said("here"))
        mu_run_interrupt(*run, SIGTERM);
}

static void interrupt_and_say_so(void *arg, const struct mu_progress_now *now)
{
    interrupt_in_step(arg, now);
    if (now->interrupted)
        fclose(fopen(flag, "w"));
}

static void interrupt_twice(void *arg, const struct mu_progress_now *now)
{
    struct mu_run **run = arg;
    (void)now;
    if (was_said("here"))
        mu_run_interrupt(*run, SIGTERM);
}

static void it_is_cancelled_and_waited_for(void **state)
{
    struct guest *g = new_guest();
    struct mu_run *run = NULL;
    struct mu_script *script = load("steps = { { name = 's', run = function() print('here') muster.sleep('1h') end } },\n"
                                    "teardown = function() muster.sleep(0.05) print('torn down') end");
    (void)state;
    g->room = 4; /* two of them wait */
    run = new_run(&(struct mu_run_config){.crew = &g->crew, .progress_every_ms = 5, .on_progress = interrupt_in_step,
                                           .on_progress_arg = &run},
                  script, 4);
    go(run);
    const struct mu_run_result *r = mu_run_results(run);
    assert_true(r->interrupted);
    assert_int_equal(r->signal, SIGTERM);
    for (int i = 0; i < 4; i++)
        assert_int_equal(r->tasks[i].status, MU_ST_CANCELLED);
    assert_true(r->tasks[0].finished && !r->tasks[3].finished);
    assert_said("torn down");
    assert_string_equal(g->story, "open begin cancel end ");
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

static void one_that_says_no_more_is_killed_and_left(void **state)
{
    struct guest *g = new_guest();
    struct mu_run *run = NULL;
    struct mu_script *script = load("steps = { { name = 's', run = function() print('here') muster.sleep('1h') end } }");
    (void)state;
    g->keeps_quiet = true;
    run = new_run(&(struct mu_run_config){.crew = &g->crew, .progress_every_ms = 5, .on_progress = interrupt_twice,
                                           .on_progress_arg = &run}, script, 1);
    go(run);
    assert_int_equal(mu_run_results(run)->tasks[0].status, MU_ST_CANCELLED);
    assert_string_equal(g->story, "open begin cancel kill end ");
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

/* ---- what an earlier attempt left behind ---- */

static const char AGAIN[] =
    "  params = { fail = false },\n"
    "  setup = function(server) print('setup ' .. muster.run.attempt) assert(not server:claimed()) server:claim { old = false } end,\n"
    "  steps = { { name = 's', run = function() print('here') return 1 end } },\n"
    "  on_failure = function() print('on_failure') end,\n"
    "  teardown = function(server, params)\n"
    "    print('teardown ' .. tostring(server:claimed().old))\n"
    "    if params.fail then error('the provisioner is down') end\n"
    "    server:release()\n"
    "  end,\n";

static void what_was_left_behind_is_destroyed_first(void **state)
{
    struct guest *g = new_guest();
    struct mu_script *script = load(AGAIN);
    struct mu_run *run = new_run(&(struct mu_run_config){.crew = &g->crew}, script, 1);
    (void)state;
    g->claimed_before = true;
    g->attempt = 2;
    go(run);
    assert_int_equal(mu_run_results(run)->tasks[0].status, MU_ST_PASSED);
    assert_false(mu_run_results(run)->tasks[0].left_behind);
    assert_string_equal(mu_buf_cstr(&said), "a: Started.\na: Destroying what an earlier attempt left behind.\na: teardown true\na: setup 2\n"
                                            "a: here\na: s.score is 1.\na: teardown false\n");
    free_guest(g);
    mu_run_free(run);
    assert_int_equal(n_journals(), 0);
    mu_script_free(script);
}

static void when_that_fails_nothing_else_is_done(void **state)
{
    struct guest *g = new_guest();
    struct mu_script *script = load(AGAIN);
    struct mu_run *run;
    struct mu_err err;
    (void)state;
    assert_int_equal(mu_script_set_param(script, "fail", "true", &err), 0);
    run = new_run(&(struct mu_run_config){.crew = &g->crew}, script, 1);
    g->claimed_before = true;
    go(run);
    const struct mu_task_result *t = &mu_run_results(run)->tasks[0];
    assert_int_equal(t->status, MU_ST_ERROR);
    assert_true(t->left_behind);
    assert_string_equal(t->claim, "{\"old\":true}");
    assert_int_equal(t->n_failures, 1);
    assert_string_equal(t->failures[0].where, "teardown");
    assert_int_equal(t->n_steps, 1);
    assert_int_equal(t->steps[0].status, MU_ST_SKIPPED);
    assert_false(was_said("setup") || was_said("on_failure") || was_said("here"));
    free_guest(g);
    mu_run_free(run);
    assert_int_equal(n_journals(), 1);
    mu_script_free(script);
}

/* Interrupted meanwhile: it is destroyed all the same, and nothing is set up. */
static void an_interrupt_lets_it_be_destroyed(void **state)
{
    struct guest *g = new_guest();
    struct mu_run *run = NULL;
    char text[512];
    (void)state;
    snprintf(text, sizeof text, "setup = function() print('setup') end,\n"
             "steps = { { name = 's', run = function() end } },\n"
             "teardown = function(server) print('here') while not io.open('%s') do muster.sleep(0.005) end\n"
             "server:release() print('destroyed') end", flag);
    struct mu_script *script = load(text);
    g->claimed_before = true;
    run = new_run(&(struct mu_run_config){.crew = &g->crew, .progress_every_ms = 5, .on_progress = interrupt_and_say_so,
                                           .on_progress_arg = &run},
                  script, 1);
    go(run);
    assert_string_equal(g->story, "open begin cancel end ");
    assert_int_equal(mu_run_results(run)->tasks[0].status, MU_ST_CANCELLED);
    assert_false(mu_run_results(run)->tasks[0].left_behind);
    assert_said("destroyed");
    assert_false(was_said("setup"));
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

/* A teardown that reaches the former system no more, and says nothing of it, keeps nobody from installing the next. */
static void who_could_not_be_reached_before_may_be_now(void **state)
{
    struct guest *g = new_guest();
    struct mu_script *script = load("setup = function(server) server:claim {} end,\n"
                                    "steps = { { name = 's', run = function(server) return 1 end } },\n"
                                    "teardown = function(server) server:disconnect() server:release() end");
    struct mu_run *run = new_run(&(struct mu_run_config){.crew = &g->crew}, script, 2);
    (void)state;
    g->claimed_before = true;
    go(run);
    assert_int_equal(mu_run_results(run)->tasks[0].status, MU_ST_PASSED);
    assert_int_equal(mu_run_results(run)->tasks[1].status, MU_ST_PASSED);
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

/* ---- a past of each seat's own ---- */

static void each_seat_has_its_own_past(void **state)
{
    struct guest *g = new_guest();
    struct mu_script *script = load("steps = { { name = 's', run = function() return 50 end, thresholds = { score = { history = { drop = 10 } } } } }");
    struct mu_run *run = new_run(&(struct mu_run_config){.crew = &g->crew}, script, 2);
    (void)state;
    g->pasts[0] = mu_past_new();
    for (int i = 0; i < 10; i++)
        assert_int_equal(mu_past_add(g->pasts[0], "a", "s", "score", 100, 10), 0);
    assert_int_equal(mu_past_settle(g->pasts[0]), 0);
    g->whys[1] = "nobody looked";
    go(run);
    assert_int_equal(mu_run_results(run)->tasks[0].status, MU_ST_FAILED);
    assert_int_equal(mu_run_results(run)->tasks[1].status, MU_ST_PASSED);
    assert_said("b: s.score is not judged by earlier runs: nobody looked.");
    free_guest(g);
    mu_run_free(run);
    mu_script_free(script);
}

/* Seats alone: what a server's variables say goes with it. */
static void rules_of_seats_follow_who_sits_there(void **state)
{
    struct mu_server *seats[SEATS] = {NULL, NULL};
    struct mu_script *script = load("steps = { { name = 's', run = function() return 50 end, thresholds = { score = {\n"
                                    "  { where = { rack = 'r1' }, min = 3, unit = 'x' }, { min = 1, history = { drop = 10, last = 7 } } } } } }");
    struct mu_rules *rules = NULL;
    struct mu_err err = {0};
    unsigned last;
    (void)state;
    assert_int_equal(mu_server_set(servers[0], "threshold.s.score", ">= 9", &err), 0);
    assert_int_equal(mu_server_set(servers[0], "rack", "r1", &err), 0);
    assert_int_equal(mu_server_set(servers[1], "rack", "r1", &err), 0);
    assert_int_equal(mu_server_set(servers[3], "threshold.s.score", "about 9", &err), 0);
    assert_int_equal(mu_rules_new(&rules, script, seats, SEATS, &err), 0);
    assert_true(mu_rules_history(rules, &last) && last == 7);
    assert_true(mu_rules_find(rules, 0, 0, "score")->min == 1);
    seats[0] = servers[0];
    assert_int_equal(mu_rules_seat(rules, 0, &err), 0);
    assert_true(mu_rules_find(rules, 0, 0, "score")->min == 9);
    assert_string_equal(mu_rules_find(rules, 0, 0, "score")->unit, "x");
    assert_true(mu_rules_find(rules, 1, 0, "score")->min == 1);
    seats[0] = servers[1];
    assert_int_equal(mu_rules_seat(rules, 0, &err), 0);
    assert_true(mu_rules_find(rules, 0, 0, "score")->min == 3);
    seats[0] = servers[3];
    assert_int_equal(mu_rules_seat(rules, 0, &err), MU_EINVAL);
    assert_non_null(strstr(err.msg, "server d: variable threshold.s.score"));
    assert_true(mu_rules_find(rules, 0, 0, "score")->min == 1);
    seats[0] = NULL;
    assert_int_equal(mu_rules_seat(rules, 0, &err), 0);
    assert_true(mu_rules_find(rules, 0, 0, "score")->min == 1);
    mu_rules_free(rules);
    mu_script_free(script);
}

/* ---- going on with the claims of a run that died ---- */

static const char DIES[] =
    "  params = { dies = false },\n"
    "  setup = function(server) assert(not server:claimed()) server:claim { at = 'install' } end,\n"
    "  steps = { { name = 's', run = function(server, params)\n"
    "    server:update_claim { at = 'step' }\n"
    "    if params.dies and server.id ~= 'a' then print('here') muster.sleep('1h') end\n"
    "    return 1\n"
    "  end } },\n"
    "  teardown = function(server, params)\n"
    "    if params.dies and server.id ~= 'a' then return end\n"
    "    print('teardown ' .. server:claimed().at)\n"
    "    server:release()\n"
    "  end,\n";

/* Until it waits in its step; then it goes without giving back. */
static void die(char id[32], size_t n)
{
    struct mu_script *script = load(DIES);
    struct mu_run *run = NULL;
    struct mu_err err;
    assert_int_equal(mu_script_set_param(script, "dies", "true", &err), 0);
    run = new_run(&(struct mu_run_config){.db = db, .db_required = true, .forks = 4, .on_progress = interrupt_in_step, .on_progress_arg = &run,
                                          .progress_every_ms = 5}, script, n);
    go(run);
    snprintf(id, 32, "%s", mu_run_results(run)->run_id);
    mu_run_free(run);
    mu_script_free(script);
    mu_buf_clear(&said);
}

static struct mu_former *former_of(const char *id)
{
    struct mu_former *former = NULL;
    struct mu_err err = {0};
    if (mu_former_open(&former, db, id, &err))
        fail_msg("%s", err.msg);
    return former;
}

static void claims_of_the_former_run_are_taken_over(void **state)
{
    char id[32];
    (void)state;
    die(id, 2);
    assert_int_equal(n_journals(), 1);
    struct mu_script *script = load(DIES);
    struct mu_run *run = new_run(&(struct mu_run_config){.former = former_of(id), .adopt_claims = true}, script, 2);
    go(run);
    assert_string_equal(mu_run_results(run)->run_id, id);
    assert_int_equal(mu_run_results(run)->tasks[1].status, MU_ST_PASSED);
    assert_said("b: Destroying what an earlier attempt left behind.\nb: teardown step\n");
    assert_false(mu_run_results(run)->tasks[1].left_behind);
    mu_run_free(run);
    assert_int_equal(n_journals(), 0);
    mu_script_free(script);
}

/* It dies again, before it could do anything: the claim is where it was. */
static void nothing_is_lost_when_that_run_dies_too(void **state)
{
    char id[32];
    struct mu_err err = {0};
    struct mu_run *run = NULL;
    (void)state;
    die(id, 2);
    struct mu_script *script = load(DIES);
    struct guest *g = new_guest();
    struct mu_former *former = former_of(id);
    g->cannot_open = true;
    struct mu_run_config config = {.former = former, .adopt_claims = true, .local = true, .state_dir = dir, .crew = &g->crew};
    assert_int_equal(mu_run_new(&run, &config, script, servers, 2, &mu_bindings, lg, &err), MU_EIO);
    mu_former_free(former);
    free_guest(g);
    assert_int_equal(n_journals(), 1);
    g = new_guest();
    run = new_run(&(struct mu_run_config){.former = former_of(id), .adopt_claims = true, .crew = &g->crew}, script, 2);
    assert_true(g->home->resumed);
    go(run);
    assert_int_equal(mu_run_results(run)->tasks[1].status, MU_ST_PASSED);
    assert_said("b: teardown step\n");
    free_guest(g);
    mu_run_free(run);
    assert_int_equal(n_journals(), 0);
    mu_script_free(script);
}

static void a_former_run_without_claims_is_as_any(void **state)
{
    char id[32], command[128];
    (void)state;
    die(id, 2);
    snprintf(command, sizeof command, "rm -r %s/claims", dir);
    assert_int_equal(system(command), 0);
    struct mu_script *script = load(DIES);
    struct mu_run *run = new_run(&(struct mu_run_config){.former = former_of(id), .adopt_claims = true}, script, 2);
    go(run);
    assert_int_equal(mu_run_results(run)->tasks[1].status, MU_ST_PASSED);
    assert_false(was_said("earlier attempt"));
    mu_run_free(run);
    mu_script_free(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(another_crew_does_the_servers, start, stop),
        cmocka_unit_test_setup_teardown(forks_bound_it_too, start, stop),
        cmocka_unit_test_setup_teardown(who_waits_elsewhere_is_not_at_work, start, stop),
        cmocka_unit_test_setup_teardown(one_that_cannot_ends_the_run_before_it_began, start, stop),
        cmocka_unit_test_setup_teardown(it_is_cancelled_and_waited_for, start, stop),
        cmocka_unit_test_setup_teardown(one_that_says_no_more_is_killed_and_left, start, stop),
        cmocka_unit_test_setup_teardown(what_was_left_behind_is_destroyed_first, start, stop),
        cmocka_unit_test_setup_teardown(when_that_fails_nothing_else_is_done, start, stop),
        cmocka_unit_test_setup_teardown(an_interrupt_lets_it_be_destroyed, start, stop),
        cmocka_unit_test_setup_teardown(who_could_not_be_reached_before_may_be_now, start, stop),
        cmocka_unit_test_setup_teardown(each_seat_has_its_own_past, start, stop),
        cmocka_unit_test_setup_teardown(rules_of_seats_follow_who_sits_there, start, stop),
        cmocka_unit_test_setup_teardown(claims_of_the_former_run_are_taken_over, start, stop),
        cmocka_unit_test_setup_teardown(nothing_is_lost_when_that_run_dies_too, start, stop),
        cmocka_unit_test_setup_teardown(a_former_run_without_claims_is_as_any, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
