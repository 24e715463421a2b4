/* hands.h: agents that are made by hand, for a run that is played by the test: they take tasks and write letters, and do nothing
 * with them unless the test says so. */
#ifndef TEST_AGENTS_HANDS_H
#define TEST_AGENTS_HANDS_H

#include "tests/unit/agents/spread_test.h"

#include "agents/roster.h"
#include "agents/wire.h"

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

/* ---- what they write ---- */

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

/* ---- what comes to them ---- */

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

/* ---- how they come and go ---- */

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

/* Begins the run with one agent, which has all its servers then. */
UNUSED static struct hand *begin_with_one(struct play *p)
{
    struct hand *h = hand_up(p, "h1-aaaaaa", NULL, (unsigned)p->home.n, false, 0);

    play_begin(p, false);
    for (size_t i = 0; i < p->home.n; i++)
        deal(p, MU_TASK_RUN, i);
    PLAY_UNTIL(p, h->n_jobs == p->home.n);
    return h;
}

/* As if it had been lost: another agent gets the task, as the next delivery. */
UNUSED static struct hand *pass_on(struct play *p, struct hand *h, size_t job)
{
    mu_nats_job_give_back_free(h->jobs[job].job);
    h->jobs[job].job = NULL;

    struct hand *other = hand_up(p, "h2-bbbbbb", NULL, 1, false, 0);
    PLAY_UNTIL(p, other->n_jobs == 1);
    return other;
}

#endif
