/* spread_test.h: the coordinator's side of a run for tests: a real nats-server, a run that is played by the test, and agents
 * that are made by hand: they take tasks and write letters, and do nothing with them unless the test says so. */
#ifndef SPREAD_TEST_H
#define SPREAD_TEST_H

#include "tests/unit/nats/nats_test.h"

#include "agents/brief.h"
#include "agents/roster.h"
#include "agents/spread.h"
#include "agents/subjects.h"
#include "agents/wire.h"
#include "bindings/bindings.h"
#include "run/run.h"
#include "run/script.h"
#include "run/semaphore.h"

#define RUN "20260101T000000Z-abcdef"
#define MOST 1200 /* servers */
#define LINES_MAX ((size_t)8 << 20)

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

/* ---- agents ---- */

struct hand {
    struct mu_nats *n;
    struct mu_nats_pull *pull;
    struct mu_nats_ear *ear, *own_ear;
    const char *id;
    char run[64];  /* whose events it writes; "": of the first task that comes */
    bool works;    /* does each task at once, and says so in its log; says that it is idle when it is told to stop */
    bool pairs;    /* steps are of pairs alone */
    bool deaf;     /* to words: it acknowledges nothing */
    size_t n_jobs; /* that came */
    struct work {
        struct mu_nats_job *job;
        size_t index, peer;
        enum mu_task_kind kind;
        uint64_t delivery;
        bool told, bare; /* it has no steps */
    } jobs[MOST * 2];
    uint64_t letters;
    size_t n_stored, n_kept, n_dropped, n_cancels, n_kills, n_hails;
    struct mu_buf answers; /* "ticket:code " */
};

static void letter_stored(void *arg, int rc, uint64_t seq, const struct mu_err *err)
{
    struct hand *h = arg;

    (void)seq;
    if (rc)
        fail_msg("letter: %s", err->msg);
    h->n_stored++;
}

/* Events as a letter; more: one goes on in the next. */
UNUSED static void write_letter(struct hand *h, const void *bytes, size_t len, bool more)
{
    struct mu_buf letter = MU_BUF_INIT, subject = MU_BUF_INIT;
    struct mu_wire_letter l = {.number = ++h->letters, .more = more, .bytes = bytes, .len = len};
    char id[160];

    mu_wire_add_letter(&letter, &l);
    assert_false(letter.failed);
    snprintf(id, sizeof id, "%s.%s.%llu", h->run, h->id, (unsigned long long)h->letters);
    assert_int_equal(mu_nats_post(h->n, mu_subject_event(&subject, h->run, h->id), id, letter.data, letter.len, MU_NATS_ANY, letter_stored, h), 0);
    mu_buf_free(&letter);
    mu_buf_free(&subject);
}

static void add_event(struct mu_buf *out, enum mu_wire_event_kind kind, const struct work *w)
{
    struct mu_wire_event e = {.kind = kind, .index = w->index, .task = w->kind, .delivery = w->delivery, .wall_ms = mu_clock_wall_ms()};

    mu_list_init(&e.messages);
    mu_wire_add_event(out, &e);
}

UNUSED static void write_event(struct hand *h, const struct mu_wire_event *e)
{
    struct mu_buf bytes = MU_BUF_INIT;

    mu_wire_add_event(&bytes, e);
    write_letter(h, bytes.data, bytes.len, false);
    mu_buf_free(&bytes);
}

static bool fails;

static void add_note(struct mu_buf *notes, const struct work *w, int kind, const char *text)
{
    struct mu_message m = {.head.kind = kind, .kind = w->kind, .peer = w->peer, .number = 7, .wall_ms = mu_clock_wall_ms(), .text = (char *)text};

    if (kind == MU_MSG_STEP) {
        m.step = mu_step_result_new(text);
        m.text = NULL;
        if (fails)
            mu_step_result_add_failure(m.step, MU_ST_FAILED, "BenchmarkFailed", NULL, "slow", "slow");
    }
    if (kind == MU_MSG_MARK)
        m.mark = MU_MARK_MADE;
    mu_wire_add_note(notes, &m, w->index, w->peer);
    mu_step_result_free(m.step);
}

/* What the task came to: a step "a", and text as an artefact of so many bytes. */
UNUSED static void add_result(struct mu_buf *out, struct work *w, size_t artefact)
{
    struct mu_buf notes = MU_BUF_INIT;
    struct mu_wire_event e = {.kind = MU_EVENT_RESULT, .index = w->index, .task = w->kind, .delivery = w->delivery};

    if (artefact) {
        struct mu_message m = {.head.kind = MU_MSG_KEEP, .kind = w->kind, .text = (char *)"big"};
        mu_buf_reserve(&m.plain, artefact);
        m.plain.len = artefact;
        memset(m.plain.data, 'x', artefact);
        mu_wire_add_note(&notes, &m, w->index, w->peer);
        mu_buf_free(&m.plain);
    }
    if (w->kind == MU_TASK_MARK)
        add_note(&notes, w, MU_MSG_MARK, "it is marked");
    else if (!w->bare)
        add_note(&notes, w, MU_MSG_STEP, "a");
    if (w->kind == MU_TASK_RUN)
        add_note(&notes, w, MU_MSG_ENDING, NULL);
    add_note(&notes, w, MU_MSG_DONE, NULL);
    mu_list_init(&e.messages);
    mu_wire_add_result(out, &e, &notes);
    assert_false(out->failed);
    mu_buf_free(&notes);
    w->told = true;
}

UNUSED static void add_line(struct mu_buf *out, enum mu_level level, const char *server, const char *text)
{
    struct mu_field field = {.key = "server_id", .type = MU_FIELD_STR, .v.str = server};
    struct mu_record r = {.level = level, .wall_ms = 1700000000000, .msg = text, .msg_len = strlen(text), .fields = &field, .n_fields = 1};

    mu_wire_add_line(out, &r);
}

UNUSED static void write_started(struct hand *h, const struct work *w)
{
    struct mu_buf bytes = MU_BUF_INIT;

    add_event(&bytes, MU_EVENT_STARTED, w);
    write_letter(h, bytes.data, bytes.len, false);
    mu_buf_free(&bytes);
}

UNUSED static void write_result(struct hand *h, struct work *w)
{
    struct mu_buf bytes = MU_BUF_INIT;

    add_result(&bytes, w, 0);
    write_letter(h, bytes.data, bytes.len, false);
    mu_buf_free(&bytes);
}

static void take_word(void *arg, const struct mu_nats_heard *heard);

static void listen_to(struct hand *h)
{
    struct mu_buf text = MU_BUF_INIT;

    assert_int_equal(mu_nats_listen(&h->ear, h->n, mu_subject_word(&text, h->run, NULL), take_word, h, NULL), 0);
    assert_int_equal(mu_nats_listen(&h->own_ear, h->n, mu_subject_word(&text, h->run, h->id), take_word, h, NULL), 0);
    mu_buf_free(&text);
}

static void take_job(void *arg, struct mu_nats_job *job)
{
    struct hand *h = arg;
    struct mu_wire_task task;
    struct mu_err err;
    size_t len;
    const void *bytes = mu_nats_job_bytes(job, &len);

    if (mu_wire_read_task(&task, bytes, len, &err))
        fail_msg("%s", err.msg);
    if (!h->run[0]) {
        snprintf(h->run, sizeof h->run, "%s", task.run_id);
        listen_to(h);
    }
    assert_string_equal(task.run_id, h->run);
    assert_true(h->n_jobs < COUNT(h->jobs));
    struct work *w = &h->jobs[h->n_jobs++];
    *w = (struct work){.job = job, .index = task.index, .peer = task.peer, .kind = task.kind, .delivery = mu_nats_job_delivery(job), .bare = h->pairs && task.kind == MU_TASK_RUN};
    mu_wire_task_clear(&task);
    if (h->works) {
        struct mu_buf both = MU_BUF_INIT;

        add_event(&both, MU_EVENT_STARTED, w);
        add_result(&both, w, 0);
        write_letter(h, both.data, both.len, false);
        mu_buf_clear(&both);
        add_line(&both, MU_INFO, "?", "Server finished.");
        write_letter(h, both.data, both.len, false);
        mu_buf_free(&both);
    }
}

static void take_word(void *arg, const struct mu_nats_heard *heard)
{
    struct hand *h = arg;
    struct mu_wire_word w;
    size_t at = 0;

    while (!h->deaf && mu_wire_read_word(&w, heard->bytes, heard->len, &at, NULL) == 0) {
        h->n_cancels += w.kind == MU_WORD_CANCEL;
        h->n_kills += w.kind == MU_WORD_KILL;
        h->n_hails += w.kind == MU_WORD_HAIL;
        if (w.kind == MU_WORD_CANCEL && h->works)
            write_event(h, &(struct mu_wire_event){.kind = MU_EVENT_IDLE});
        if (w.kind == MU_WORD_ANSWER)
            mu_buf_addf(&h->answers, "%d:%d ", (int)w.ticket, w.code);
        for (size_t i = 0; (w.kind == MU_WORD_KEPT || w.kind == MU_WORD_DROP) && i < h->n_jobs; i++) {
            struct work *k = &h->jobs[i];
            if (!k->job || k->index != w.index || k->delivery != w.delivery)
                continue;
            assert_true(w.kind == MU_WORD_DROP || k->told);
            h->n_kept += w.kind == MU_WORD_KEPT;
            h->n_dropped += w.kind == MU_WORD_DROP;
            mu_nats_job_ack_free(k->job);
            k->job = NULL;
        }
        mu_wire_word_clear(&w);
    }
}

UNUSED static void beat_at(struct play *p, const char *id, const char *name, const char *version, const char *group, bool leaving)
{
    struct mu_buf beat = MU_BUF_INIT, subject = MU_BUF_INIT;
    char *groups[] = {(char *)group, NULL};
    struct mu_roster_agent a = {.id = (char *)id, .name = (char *)name, .host = (char *)"h", .version = (char *)version, .groups = groups,
                                .slots = 50, .leaving = leaving};
    struct mu_err err;

    mu_roster_write(&beat, &a);
    if (mu_nats_put(p->b->n, mu_subject_agent(&subject, id), beat.data, beat.len, MU_NATS_ANY, NULL, &err))
        fail_msg("%s", err.msg);
    mu_buf_free(&beat);
    mu_buf_free(&subject);
}

UNUSED static void beat(struct play *p, const char *id, const char *group) { beat_at(p, id, id, MUSTER_VERSION, group, false); }

/* An agent that serves one group, or any. It is known at once; it takes so many tasks when they are there. */
UNUSED static struct hand *hand_up(struct play *p, const char *id, const char *group, unsigned wants, bool works, int64_t ack_wait_ms)
{
    struct hand *h = calloc(1, sizeof *h);
    struct mu_nats_config c = {.urls = p->b->url};
    struct mu_buf queue = MU_BUF_INIT, text = MU_BUF_INIT;
    struct mu_err err = {0};
    int rc = mu_nats_open(&h->n, &c, p->b->loop, on_state, p->b, &err);

    h->id = id;
    h->works = works;
    if (!rc)
        rc = mu_subjects_ensure(h->n, &err);
    mu_subject_queue(&queue, group);
    if (!rc)
        rc = mu_subjects_ensure_queue(h->n, mu_buf_cstr(&queue), ack_wait_ms, &err);
    const char *durables[] = {mu_subject_durable(&text, mu_buf_cstr(&queue)), NULL};
    if (!rc)
        rc = mu_nats_pull_new(&h->pull, h->n, MU_STREAM_TASKS, durables, take_job, h, &err);
    if (rc)
        fail_msg("%s", err.msg);
    if (!p->any_run) {
        strcpy(h->run, RUN);
        listen_to(h);
    }
    beat(p, id, group);
    if (wants)
        mu_nats_pull_want(h->pull, wants);
    mu_buf_free(&queue);
    mu_buf_free(&text);
    return h;
}

/* Gone without a word: what it has comes to others when its ack wait is over. */
UNUSED static void hand_down(struct hand *h)
{
    if (!h)
        return;
    mu_nats_pull_free(h->pull);
    for (size_t i = 0; i < h->n_jobs; i++)
        mu_nats_job_free(h->jobs[i].job);
    mu_nats_listen_end(h->ear);
    mu_nats_listen_end(h->own_ear);
    mu_nats_close(h->n);
    mu_buf_free(&h->answers);
    free(h);
}

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
