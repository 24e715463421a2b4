/* agent_test.h: an agent in a thread, a real nats-server, and a coordinator made by hand, so that it can be told to do what no
 * good one does. */
#ifndef TEST_AGENTS_AGENT_TEST_H
#define TEST_AGENTS_AGENT_TEST_H

#include "../nats/nats_test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "agents/fence.h"
#include "agents/agent.h"
#include "agents/brief.h"
#include "agents/bundle.h"
#include "agents/subjects.h"
#include "agents/wire.h"
#include "bindings/bindings.h"
#include "core/log_sink.h"
#include "run/script.h"

#define HEAD "local muster = require 'muster'\n" /* of scripts */
#define RUN "20260101T000000Z-abcdef"
#define ACK_WAIT_MS 3000 /* of the tests that are about it */

struct heard {
    struct mu_list link;
    struct mu_wire_event e;
    bool seen;
};

struct desk {
    uint64_t asked; /* the last ticket */
    struct bed *b;
    struct mu_agent *agent;
    struct mu_logger *logger;
    pthread_t thread;
    bool runs;
    int rc;
    struct mu_err agent_err;
    struct mu_script *script;
    struct mu_inventory *inv;
    char bundle[MU_BUNDLE_NAME_SIZE];
    struct mu_brief brief;
    struct mu_nats_pull *pull;
    struct mu_list heard; /* events that were not asked for yet */
    char agent_id[MU_AGENT_ID_SIZE];
    uint64_t last;
    struct mu_buf event;
    _Atomic(int) over;
    struct mu_run_config settings;
    uint64_t ack_wait_ms;
};

/* ---- what the agent writes ---- */

static void take_letter(void *arg, struct mu_nats_job *job)
{
    struct desk *d = arg;
    struct mu_wire_letter l;
    size_t len, at = 0;
    const void *bytes = mu_nats_job_bytes(job, &len);
    OK(d->b, mu_wire_read_letter(&l, bytes, len, &d->b->err));
    snprintf(d->agent_id, sizeof d->agent_id, "%s", strrchr(mu_nats_job_subject(job), '.') + 1);
    assert_int_equal(l.number, d->last + 1);
    d->last = l.number;
    mu_buf_add(&d->event, l.bytes, l.len);
    while (!l.more) {
        struct heard *h = calloc(1, sizeof *h);
        int rc = mu_wire_read_event(&h->e, d->event.data, d->event.len, &at, &d->b->err);
        if (rc) {
            assert_int_equal(rc, MU_ENOENT);
            free(h);
            mu_buf_clear(&d->event);
            break;
        }
        mu_list_push(&d->heard, &h->link);
    }
    mu_nats_job_ack_free(job);
    mu_nats_pull_want(d->pull, 1);
}

static void let_go(struct heard *h)
{
    mu_list_remove(&h->link);
    mu_wire_event_clear(&h->e);
    free(h);
}

/* The next event but lines of the log; those before it stay. It is let go with the next call, or with the desk. */
static struct mu_wire_event *next_event(struct desk *d)
{
    for (;;) {
        for (struct mu_list *l = d->heard.next, *next; l != &d->heard; l = next) {
            struct heard *h = mu_list_entry(l, struct heard, link);
            next = l->next;
            if (h->e.kind == MU_EVENT_LINE || h->seen) {
                let_go(h);
                continue;
            }
            h->seen = true;
            return &h->e;
        }
        mu_loop_turn(d->b->loop, true);
    }
}

/* That it has nothing at work at the moment may be said at any time, and what is not answered for long is asked anew. */
static struct mu_wire_event *expect(struct desk *d, enum mu_wire_event_kind kind)
{
    struct mu_wire_event *e;
    do
        e = next_event(d);
    while (e->kind != kind && (e->kind == MU_EVENT_IDLE || (e->kind == MU_EVENT_ACQUIRE && e->ticket == d->asked)));
    if (e->kind == MU_EVENT_ACQUIRE)
        d->asked = e->ticket;
    if (e->kind != kind)
        fail_msg("event %d, text \"%s\", instead of %d", (int)e->kind, e->text ? e->text : "", (int)kind);
    return e;
}

static bool is_waiting(struct desk *d)
{
    for (struct mu_list *l = d->heard.next; l != &d->heard; l = l->next) {
        const struct heard *h = mu_list_entry(l, struct heard, link);
        if (!h->seen && h->e.kind != MU_EVENT_LINE && h->e.kind != MU_EVENT_IDLE)
            return true;
    }
    return false;
}

/* The message of this kind that a result has; NULL: none. */
UNUSED static struct mu_message *part(const struct mu_wire_event *e, int kind)
{
    for (struct mu_list *l = e->messages.next; l != &e->messages; l = l->next)
        if (mu_list_entry(l, struct mu_wire_note, link)->m->head.kind == kind)
            return mu_list_entry(l, struct mu_wire_note, link)->m;
    return NULL;
}

/* ---- what the coordinator does ---- */

static void say(struct desk *d, struct mu_wire_word w, bool to_all)
{
    struct mu_buf bytes = MU_BUF_INIT, subject = MU_BUF_INIT;
    mu_wire_add_word(&bytes, &w);
    mu_subject_word(&subject, RUN, to_all ? NULL : d->agent_id);
    assert_int_equal(mu_nats_say(d->b->n, subject.data, NULL, bytes.data, bytes.len), 0);
    mu_buf_free(&bytes);
    mu_buf_free(&subject);
}

static void put_brief(struct desk *d, enum mu_brief_state state)
{
    struct mu_buf bytes = MU_BUF_INIT, subject = MU_BUF_INIT;
    d->brief.state = state;
    mu_brief_write(&d->brief, &bytes);
    mu_subject_brief(&subject, RUN);
    OK(d->b, mu_nats_put(d->b->n, subject.data, bytes.data, bytes.len, MU_NATS_ANY, NULL, &d->b->err));
    mu_buf_free(&bytes);
    mu_buf_free(&subject);
}

/* The bundle's bytes; broken: not those that its name says. */
static void put_bundle(struct desk *d, bool broken)
{
    struct mu_buf bytes = MU_BUF_INIT, subject = MU_BUF_INIT;
    size_t piece = 0, most = 100000;
    OK(d->b, mu_bundle_make(&bytes, d->bundle, d->script, MUSTER_SOURCE "/scripts/lib", &d->b->err));
    if (broken)
        bytes.data[bytes.len - 1] ^= 1;
    for (size_t at = 0; at < bytes.len; at += most) {
        mu_subject_bundle(&subject, d->bundle, piece++);
        OK(d->b, mu_nats_put(d->b->n, subject.data, bytes.data + at, bytes.len - at < most ? bytes.len - at : most, MU_NATS_ANY,
                             NULL, &d->b->err));
    }
    mu_subject_bundle(&subject, d->bundle, piece);
    OK(d->b, mu_nats_put(d->b->n, subject.data, "", 0, MU_NATS_ANY, NULL, &d->b->err));
    d->brief.bundle = strdup(d->bundle);
    mu_buf_free(&bytes);
    mu_buf_free(&subject);
}

static const char *task_subject(struct mu_buf *out, size_t index) { return mu_subject_task(out, "any", RUN, index); }

static void put_task(struct desk *d, size_t index)
{
    struct mu_buf bytes = MU_BUF_INIT, subject = MU_BUF_INIT;
    struct mu_message deal = {.head.kind = MU_MSG_DEAL, .task = index, .kind = MU_TASK_RUN};
    mu_wire_add_task(&bytes, RUN, &deal, mu_inventory_at(d->inv, index), NULL, NULL, NULL, NULL, NULL);
    assert_false(bytes.failed);
    OK(d->b, mu_nats_put(d->b->n, task_subject(&subject, index), bytes.data, bytes.len, MU_NATS_NONE, NULL, &d->b->err));
    mu_buf_free(&bytes);
    mu_buf_free(&subject);
}

/* Whether the queue still has the task. */
static bool has_task(struct desk *d, size_t index)
{
    struct mu_buf bytes = MU_BUF_INIT, subject = MU_BUF_INIT;
    struct mu_err err;
    int rc = mu_nats_last(d->b->n, MU_STREAM_TASKS, task_subject(&subject, index), &bytes, NULL, &err);
    mu_buf_free(&bytes);
    mu_buf_free(&subject);
    assert_true(rc == 0 || rc == MU_ENOENT);
    return rc == 0;
}

UNUSED static void until_acknowledged(struct desk *d, size_t index)
{
    while (has_task(d, index))
        turn_for_ms(d->b, 5);
}

UNUSED static void put_claim(struct desk *d, size_t index, const char *data, uint64_t expected, uint64_t *seq, int rc)
{
    struct mu_buf subject = MU_BUF_INIT;
    struct mu_buf bytes = MU_BUF_INIT;
    struct mu_buf task = MU_BUF_INIT;
    uint64_t of = 0; /* the task that is there, delivered once */
    mu_nats_last(d->b->n, MU_STREAM_TASKS, task_subject(&subject, index), &task, &of, NULL);
    mu_buf_free(&task);
    mu_subject_claim(&subject, RUN, index);
    mu_fence_write(&bytes, of, 1, data);
    assert_int_equal(mu_nats_put(d->b->n, subject.data, bytes.data, bytes.len, expected, seq, &d->b->err), rc);
    mu_buf_free(&bytes);
    mu_buf_free(&subject);
}

UNUSED static uint64_t get_claim(struct desk *d, size_t index, struct mu_buf *data)
{
    struct mu_buf subject = MU_BUF_INIT;
    uint64_t seq = 0;
    mu_subject_claim(&subject, RUN, index);
    struct mu_buf bytes = MU_BUF_INIT;
    uint64_t task, delivery;
    const char *held;
    size_t len;
    int rc = mu_nats_last(d->b->n, MU_STREAM_RUNS, subject.data, &bytes, &seq, &d->b->err);
    assert_true(rc == 0 || rc == MU_ENOENT);
    assert_int_equal(mu_fence_read(bytes.data, bytes.len, &task, &delivery, &held, &len), 0);
    mu_buf_clear(data);
    mu_buf_add(data, held ? held : "", len);
    mu_buf_free(&bytes);
    mu_buf_free(&subject);
    return rc ? 0 : seq;
}

/* Take the task as another agent would, so many times, and give it back. */
struct taker {
    struct mu_nats_job *job;
};
static void take_task(void *arg, struct mu_nats_job *job) { ((struct taker *)arg)->job = job; }

UNUSED static struct mu_nats_job *take_elsewhere(struct desk *d, struct mu_nats_pull **pull)
{
    static struct taker t;
    struct mu_buf durable = MU_BUF_INIT;
    OK(d->b, mu_subjects_ensure_queue(d->b->n, "any", (int64_t)d->ack_wait_ms, &d->b->err));
    const char *durables[] = {mu_subject_durable(&durable, "any"), NULL};
    t.job = NULL;
    if (!*pull)
        OK(d->b, mu_nats_pull_new(pull, d->b->n, MU_STREAM_TASKS, durables, take_task, &t, &d->b->err));
    mu_nats_pull_want(*pull, 1);
    TURN_UNTIL(d->b, t.job);
    mu_buf_free(&durable);
    return t.job;
}

UNUSED static void give_back_so_often(struct desk *d, unsigned times)
{
    struct mu_nats_pull *pull = NULL;
    for (unsigned i = 1; i <= times; i++) {
        struct mu_nats_job *job = take_elsewhere(d, &pull);
        assert_int_equal(mu_nats_job_delivery(job), i);
        mu_nats_job_give_back_free(job);
    }
    mu_nats_pull_free(pull);
}

/* ---- the agent ---- */

static void *serve(void *arg)
{
    struct desk *d = arg;
    d->rc = mu_agent_go(d->agent, &d->agent_err);
    atomic_store(&d->over, 1);
    return NULL;
}

static void agent_start(struct desk *d, unsigned slots, uint64_t drain_ms)
{
    static char cache[256];
    snprintf(cache, sizeof cache, "%s/cache", d->b->dir);
    d->settings = (struct mu_run_config){.grace_ms = 2000};
    struct mu_agent_config config = {.nats.urls = d->b->url,
                                     .name = "tester",
                                     .forks = slots,
                                     .workers = 2,
                                     .drain_timeout_ms = drain_ms,
                                     .ack_wait_ms = d->ack_wait_ms,
                                     .cache_dir = cache,
                                     .settings = &d->settings};
    OK(d->b, mu_agent_new(&d->agent, &config, &mu_bindings, d->logger, &d->b->err));
    assert_int_equal(pthread_create(&d->thread, NULL, serve, d), 0);
    d->runs = true;
}

static void agent_wait(struct desk *d)
{
    while (!atomic_load(&d->over))
        turn_for_ms(d->b, 5);
    pthread_join(d->thread, NULL);
    d->runs = false;
    if (d->rc)
        fail_msg("%s", d->agent_err.msg);
    mu_agent_free(d->agent);
    d->agent = NULL;
}

/* ---- all of it ---- */

static int desk_setup(void **state)
{
    struct desk *d = calloc(1, sizeof *d);
    if (bed_setup(state))
        return -1;
    d->b = *state;
    d->ack_wait_ms = MU_ACK_WAIT_MS;
    mu_list_init(&d->heard);
    *state = d;
    return 0;
}

/* A run of this script over servers of this machine, begun. */
static struct desk *desk_up(void **state, const char *script)
{
    struct desk *d = *state;
    struct bed *b = d->b;
    struct mu_buf durable = MU_BUF_INIT, filter = MU_BUF_INIT;
    char path[256];
    void *bed = b;
    bed_up(&bed);
    mu_logger_new(&d->logger, MU_DEBUG);
    snprintf(path, sizeof path, "%s", getenv("MUSTER_TEST_LOG") ? getenv("MUSTER_TEST_LOG") : in_dir(b, "log.agent"));
    OK(b, mu_log_sink_file(d->logger, path, MU_LOG_CONSOLE, &b->err));
    write_file(b, "script.lua", script);
    snprintf(path, sizeof path, "%s", in_dir(b, "script.lua"));
    OK(b, mu_script_load(&d->script, path, MUSTER_SOURCE "/scripts/lib", &mu_bindings, d->logger, &b->err));
    assert_int_equal(mu_inventory_new(&d->inv), 0);
    static const char servers[] = "srv0 transport=local\nsrv1 transport=local\nsrv2 transport=local\nsrv3 transport=local\n";
    OK(b, mu_inventory_parse(d->inv, "test", servers, strlen(servers), &b->err));
    OK(b, mu_subjects_ensure(b->n, &b->err));
    struct mu_nats_consumer c = {.stream = MU_STREAM_EVENTS, .durable = mu_subject_run_durable(&durable, RUN),
                                 .filter = mu_subject_events(&filter, RUN), .ack_wait_ms = 60000, .max_ack_pending = 100};
    OK(b, mu_nats_consumer_ensure(b->n, &c, &b->err));
    const char *durables[] = {mu_buf_cstr(&durable), NULL};
    OK(b, mu_nats_pull_new(&d->pull, b->n, MU_STREAM_EVENTS, durables, take_letter, d, &b->err));
    mu_nats_pull_want(d->pull, 8);
    d->brief = (struct mu_brief){.run_id = strdup(RUN),
                                 .owner = strdup("me@here"),
                                 .script_path = strdup("script.lua"),
                                 .timeout_ms = 60000,
                                 .connect_timeout_ms = 10000,
                                 .setup_timeout_ms = 60000,
                                 .teardown_timeout_ms = 60000,
                                 .task_memory = 64 << 20,
                                 .level = MU_INFO};
    mu_buf_free(&durable);
    mu_buf_free(&filter);
    return d;
}

/* The same, with everything in the queue that an agent needs. */
static struct desk *desk_ready(void **state, const char *script)
{
    struct desk *d = desk_up(state, script);
    put_bundle(d, false);
    put_brief(d, MU_BRIEF_OPEN);
    return d;
}

static int desk_teardown(void **state)
{
    struct desk *d = *state;
    void *bed = d->b;
    if (d->runs) {
        mu_agent_drain(d->agent);
        mu_agent_drain(d->agent);
        agent_wait(d);
    }
    while (!mu_list_empty(&d->heard))
        let_go(mu_list_entry(d->heard.next, struct heard, link));
    mu_nats_pull_free(d->pull);
    mu_brief_clear(&d->brief);
    mu_inventory_free(d->inv);
    mu_script_free(d->script);
    mu_logger_free(d->logger);
    mu_buf_free(&d->event);
    free(d);
    return bed_teardown(&bed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, desk_setup, desk_teardown)

#endif
