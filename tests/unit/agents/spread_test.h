/* spread_test.h: the coordinator's side of a run for tests: a real nats-server, and a run that is played by the test. The agents
 * are those of hands.h. */
#ifndef SPREAD_TEST_H
#define SPREAD_TEST_H

#include "tests/unit/nats/nats_test.h"

#include "agents/brief.h"
#include "agents/spread.h"
#include "agents/subjects.h"
#include "bindings/bindings.h"
#include "run/run.h"
#include "run/script.h"
#include "run/semaphore.h"

#define RUN "20260101T000000Z-abcdef"
#define MOST 1200 /* servers */

static const char SCRIPT[] = "return { steps = { { name = 'a', run = function() end } } }\n";

/* ---- what was logged: "level|server|agent|text" lines ---- */

static struct mu_buf said;

UNUSED static void note_line(void *arg, const struct mu_record *r)
{
    const char *server = "", *agent = "";

    (void)arg;
    for (size_t i = 0; i < r->n_fields; i++) {
        if (!strcmp(r->fields[i].key, "server_id"))
            server = r->fields[i].v.str;
        if (!strcmp(r->fields[i].key, "agent"))
            agent = r->fields[i].v.str;
    }
    mu_buf_addf(&said, "%s|%s|%s|", mu_level_name(r->level), server, agent);
    mu_buf_add(&said, r->msg, r->msg_len);
    mu_buf_addc(&said, '\n');
}

UNUSED static bool was_said(const char *text) { return strstr(mu_buf_cstr(&said), text) != NULL; }
UNUSED static void assert_said(const char *text)
{
    if (!was_said(text))
        fail_msg("not said: %s\n%s", text, mu_buf_cstr(&said));
}
UNUSED static size_t times_said(const char *text)
{
    size_t n = 0;

    for (const char *p = mu_buf_cstr(&said); (p = strstr(p, text)); p += strlen(text))
        n++;
    return n;
}

/* ---- the run ---- */

struct play {
    struct bed *b;
    struct mu_logger *lg;
    struct mu_script *script;
    struct mu_inventory *inventory;
    struct mu_server *servers[MOST];
    struct mu_engine engine;
    struct mu_run_config config;
    struct mu_crew_home home;
    struct mu_spread_config spread;
    struct mu_crew *crew;
    struct mu_semaphores *semaphores;
    bool keeps_not; /* nothing is committed for now */
    bool any_run;   /* agents are of the first run that they get a task of */
    size_t n_done, n_started;
    unsigned done[MOST];            /* how often */
    char came[MOST][160];           /* kinds of messages, and what they say: "step:a failure:why done " */
    int worker[MOST];
    size_t n_claims;
    char *claims[MOST];
    void (*on_done)(struct play *p, const struct mu_message *m);
};

static struct play play;

static void tell(struct play *p, size_t server, const char *kind, const char *what)
{
    size_t len = strlen(p->came[server]);

    snprintf(p->came[server] + len, sizeof p->came[server] - len, "%s%s ", kind, what ? what : "");
}

static void take_mail(void *arg, struct mu_msg *msg)
{
    struct play *p = arg;
    struct mu_message *m = (struct mu_message *)msg;

    if (m->head.kind == MU_MSG_ACQUIRE && m->code)
        mu_semaphores_hold(p->semaphores, m->text, m->amount, m->worker, m->number);
    else if (m->head.kind == MU_MSG_ACQUIRE)
        mu_semaphores_acquire(p->semaphores, m->text, m->amount, m->first, m->worker, m->number);
    else if (m->head.kind == MU_MSG_LEAVE)
        mu_semaphores_leave(p->semaphores, m->worker, m->number);
    else if (m->head.kind == MU_MSG_STARTED)
        p->n_started++;
    else if (m->head.kind == MU_MSG_STEP)
        tell(p, m->task, m->number ? "ASKED:" : "step:", m->step->name);
    else if (m->head.kind == MU_MSG_FAILURE)
        tell(p, m->task, "failure:", m->text);
    else if (m->head.kind == MU_MSG_MARK)
        tell(p, m->task, m->mark == MU_MARK_FAILED ? "mark failed:" : "mark:", m->text);
    else if (m->head.kind == MU_MSG_DONE) {
        tell(p, m->task, "done", NULL);
        p->n_done++;
        p->done[m->task]++;
        p->worker[m->task] = m->worker;
        p->crew->ops->done(p->crew, m);
        if (p->on_done)
            p->on_done(p, m);
    }
    mu_message_free(msg);
}

static void turn_came(void *arg, int worker, uint64_t ticket, const struct mu_err *err)
{
    struct play *p = arg;

    p->crew->ops->answer(p->crew, worker, ticket, err);
}

static void claim_is(void *arg, size_t server, const char *data)
{
    struct play *p = arg;

    p->n_claims++;
    free(p->claims[server]);
    p->claims[server] = data ? strdup(data) : NULL;
}

UNUSED static void play_turn(struct play *p)
{
    mu_loop_turn(p->b->loop, true);
    if (!p->keeps_not)
        p->crew->ops->kept(p->crew);
}

#define PLAY_UNTIL(p, condition)                                                                                               \
    while (!(condition))                                                                                                       \
    play_turn(p)

UNUSED static void play_for_ms(struct play *p, uint64_t ms)
{
    struct mu_timer *t = mu_timer_new(p->b->loop, nothing, NULL);
    uint64_t end = mu_clock_ms() + ms;

    mu_loop_update_time(p->b->loop);
    mu_timer_start(t, NULL, ms);
    while (mu_clock_ms() < end)
        play_turn(p);
    mu_timer_free(t);
}

/* n servers s0, s1, …; every tenth in group dc1, whose name is its variable. */
static void make_servers(struct play *p, size_t n)
{
    struct mu_err err;

    assert_int_equal(mu_inventory_new(&p->inventory), 0);
    for (size_t i = 0; i < n; i++) {
        char id[32];

        snprintf(id, sizeof id, "s%zu", i);
        assert_int_equal(mu_inventory_add(p->inventory, id, &p->servers[i], &err), 0);
        if (i % 10 == 9)
            assert_int_equal(mu_server_set(p->servers[i], "groups", "dc9,dc1", &err), 0);
    }
}

/* A crew for a (further) run of the same servers. */
UNUSED static void play_open(struct play *p, bool resumed, struct mu_err *err)
{
    p->home.resumed = resumed;
    p->spread.nats.urls = p->b->url;
    p->spread.library_dir = MUSTER_SOURCE "/scripts/lib";
    p->spread.level = MU_DEBUG;
    assert_int_equal(mu_spread_new(&p->crew, &p->spread, err), 0);
    p->semaphores = mu_semaphores_new(turn_came, p);
    err->code = 0;
    p->crew->ops->open(p->crew, &p->home, err);
}

UNUSED static void play_begin(struct play *p, bool resumed)
{
    struct mu_err err;

    play_open(p, resumed, &err);
    if (err.code || p->crew->ops->begin(p->crew, &err))
        fail_msg("%s", err.msg);
}

UNUSED static void deal(struct play *p, enum mu_task_kind kind, size_t server)
{
    struct mu_message *m = mu_message_new(MU_MSG_DEAL);

    m->kind = kind;
    m->task = server;
    if (kind == MU_TASK_AGAIN)
        m->repeat = mu_repeat_new(1, "slow");
    p->crew->ops->deal(p->crew, m);
}

/* As when its process is killed: nothing is said to anybody. */
UNUSED static void play_crash(struct play *p)
{
    mu_spread_free(p->crew);
    mu_semaphores_free(p->semaphores);
    p->crew = NULL;
}

UNUSED static void play_end(struct play *p)
{
    p->crew->ops->end(p->crew);
    play_crash(p);
}

UNUSED static struct play *play_up(void **state, size_t n)
{
    struct play *p = &play;
    struct bed *b = p->b = bed_up(state);
    char path[256];
    struct mu_err err;

    write_file(b, "script.lua", SCRIPT);
    snprintf(path, sizeof path, "%s", in_dir(b, "script.lua"));
    mu_buf_free(&said);
    assert_int_equal(mu_logger_new(&p->lg, MU_DEBUG), 0);
    assert_int_equal(mu_logger_add_sink(p->lg, note_line, NULL, NULL), 0);
    mu_logger_use(p->lg);
    if (mu_script_load(&p->script, path, MUSTER_SOURCE "/scripts/lib", &mu_bindings, p->lg, &err))
        fail_msg("%s", err.msg);
    make_servers(p, n);
    p->engine = (struct mu_engine){.script = p->script, .run_id = RUN, .owner = "ops@here", .servers = p->servers, .n_servers = n};
    p->home = (struct mu_crew_home){.loop = b->loop, .engine = &p->engine, .config = &p->config, .servers = p->servers, .n = n,
                                    .mail = take_mail, .run = p, .claim_is = claim_is};
    return p;
}

UNUSED static int play_down(void **state)
{
    struct play *p = &play;

    if (p->crew)
        play_crash(p);
    mu_logger_use(NULL);
    mu_script_free(p->script);
    mu_inventory_free(p->inventory);
    mu_logger_free(p->lg);
    for (size_t i = 0; i < MOST; i++)
        free(p->claims[i]);
    mu_buf_free(&said);
    *p = (struct play){0};
    return bed_teardown(state);
}

/* ---- what is in the queue ---- */

/* Subjects that a filter fits. */
static int count_one(void *arg, const char *subject)
{
    (void)subject;
    ++*(size_t *)arg;
    return 0;
}

UNUSED static size_t count(struct play *p, const char *stream, const char *filter)
{
    size_t n = 0;
    struct mu_err err;

    if (mu_nats_each_subject(p->b->n, stream, filter, count_one, &n, &err))
        fail_msg("%s", err.msg);
    return n;
}

UNUSED static size_t n_tasks(struct play *p) { return count(p, MU_STREAM_TASKS, "muster.task.>"); }

#endif
