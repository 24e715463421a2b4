/* Posts: each ends once, in order, whatever becomes of the server. And what is said to whoever listens. */
#include "nats_test.h"

struct posts {
    int done, stored, refused, lost, exists, other;
    uint64_t last_seq;
    bool in_order;
    struct mu_err err;
};

static void on_done(void *arg, int rc, uint64_t seq, const struct mu_err *err)
{
    struct posts *p = arg;

    p->done++;
    if (rc == 0) {
        p->stored++;
        p->in_order &= seq > p->last_seq;
        p->last_seq = seq;
        return;
    }
    assert_int_equal(rc, err->code);
    p->err = *err;
    if (rc == MU_EIO)
        p->lost++;
    else if (rc == MU_EEXIST)
        p->exists++;
    else if (rc == MU_EPERM)
        p->refused++;
    else
        p->other++;
}

static void post(struct bed *b, struct posts *p, const char *subject, const char *id, const char *text, uint64_t expected)
{
    assert_int_equal(mu_nats_post(b->n, subject, id, text, strlen(text), expected, on_done, p), 0);
}

static void test_many(void **state)
{
    struct bed *b = bed_up(state);
    struct posts p = {.in_order = true};
    int posted = 0;
    char subject[32];
    struct mu_buf out = MU_BUF_INIT;

    make_stream(b, "S", "a.>", MU_NATS_LIMITS);
    while (p.done < 5000) {
        for (; posted < 5000 && posted - p.done < 512; posted++) {
            snprintf(subject, sizeof subject, "a.%d", posted);
            post(b, &p, subject, NULL, subject, MU_NATS_NONE);
        }
        mu_loop_turn(b->loop, true);
    }
    assert_int_equal(p.stored, 5000);
    assert_true(p.in_order);
    OK(b, mu_nats_last(b->n, "S", "a.4999", &out, NULL, &b->err));
    assert_string_equal(mu_buf_cstr(&out), "a.4999");
    mu_buf_free(&out);
}

static void test_kinds(void **state)
{
    struct bed *b = bed_up(state);
    struct posts p = {.in_order = true};
    static char big[2 << 20];
    uint64_t first;

    make_stream(b, "S", "a.>", MU_NATS_LIMITS);
    post(b, &p, "a.1", NULL, "x", MU_NATS_NONE);
    assert_int_equal(p.done, 0); /* never inside the call */
    TURN_UNTIL(b, p.done == 1);
    first = p.last_seq;
    post(b, &p, "a.1", NULL, "x", MU_NATS_NONE);
    TURN_UNTIL(b, p.done == 2);
    assert_int_equal(p.exists, 1);
    assert_non_null(strstr(p.err.msg, "cannot put a message of a.1 into the queue at nats://127.0.0.1:"));
    post(b, &p, "a.1", NULL, "x", first);
    TURN_UNTIL(b, p.done == 3);
    assert_int_equal(p.stored, 2);
    post(b, &p, "a.1", NULL, "x", first);
    TURN_UNTIL(b, p.done == 4);
    assert_int_equal(p.exists, 2);
    /* Put twice with one id: stored once. */
    post(b, &p, "a.2", "same", "x", MU_NATS_ANY);
    TURN_UNTIL(b, p.done == 5);
    first = p.last_seq;
    p.last_seq = 0;
    post(b, &p, "a.2", "same", "x", MU_NATS_ANY);
    TURN_UNTIL(b, p.done == 6);
    assert_int_equal(p.stored, 4);
    assert_int_equal(p.last_seq, first);
    post(b, &p, "nobody", NULL, "x", MU_NATS_ANY);
    TURN_UNTIL(b, p.done == 7);
    assert_non_null(strstr(p.err.msg, "no stream takes it"));
    assert_int_equal(mu_nats_post(b->n, "a.3", NULL, big, sizeof big, MU_NATS_ANY, on_done, &p), 0);
    TURN_UNTIL(b, p.done == 8);
    assert_int_equal(p.other, 1);
    assert_int_equal(p.err.code, MU_EINVAL);
    assert_int_equal(mu_nats_post(b->n, "a.3", NULL, big, 600000, MU_NATS_ANY, on_done, &p), 0);
    TURN_UNTIL(b, p.done == 9);
    assert_int_equal(p.stored, 5);
}

/* A server that says nothing any more: every post ends, and what is posted later does, too. */
static void test_stopped(void **state)
{
    struct bed *b = bed_up(state);
    struct posts p = {.in_order = true};
    static char big[200000];
    uint64_t start;

    make_stream(b, "S", "a.>", MU_NATS_LIMITS);
    server_stop(b);
    start = mu_clock_ms();
    memset(big, 'x', sizeof big - 1);
    for (int i = 0; i < 300; i++) /* more than the sockets hold */
        post(b, &p, "a.1", NULL, big, MU_NATS_ANY);
    assert_true(mu_clock_ms() - start < 3000); /* the loop is not held */
    TURN_UNTIL(b, p.done == 300);
    assert_int_equal(p.lost, 300);
    server_signal(b, SIGCONT);
    p = (struct posts){.in_order = true};
    while (p.stored == 0) {
        int before = p.done;

        post(b, &p, "a.2", NULL, "again", MU_NATS_ANY);
        TURN_UNTIL(b, p.done > before);
    }
}

struct reader {
    int n;
    bool in_order;
};

static void on_job(void *arg, struct mu_nats_job *job)
{
    struct reader *r = arg;
    size_t len;
    const char *bytes = mu_nats_job_bytes(job, &len);
    char text[32];

    snprintf(text, sizeof text, "%.*s", (int)len, bytes);
    r->in_order &= atoi(text) == r->n;
    r->n++;
    mu_nats_job_ack_free(job);
}

/* Killed in the middle: whoever puts again what was not stored has all of them, once, in order. */
static void test_killed(void **state)
{
    struct bed *b = bed_up(state);
    int stored = 0, kills = 0;
    const char *durables[] = {"d", NULL};
    struct reader r = {.in_order = true};
    struct mu_nats_pull *pull = NULL;
    char id[32];

    make_stream(b, "WORK", "a.>", MU_NATS_WORK_QUEUE);
    make_consumer(b, "d", "a.>", 60000);
    while (stored < 3000) {
        struct posts p = {.in_order = true};
        int sent = 0;

        /* Ids, so that one whose answer was lost is not there twice; one window after another, the failed again. */
        for (; sent < 100; sent++) {
            snprintf(id, sizeof id, "%d", stored + sent);
            post(b, &p, "a.x", id, id, MU_NATS_ANY);
        }
        if (stored >= (kills + 1) * 1000 && kills < 2) {
            while (p.done < 3)
                mu_loop_turn(b->loop, true);
            server_kill(b);
            kills++;
            server_start(b, NULL);
        }
        TURN_UNTIL(b, p.done == 100);
        if (p.lost == 0)
            stored += 100;
    }
    assert_int_equal(kills, 2);
    assert_true(b->ups == 2 && b->downs >= 2);
    OK(b, mu_nats_pull_new(&pull, b->n, "WORK", durables, on_job, &r, &b->err));
    mu_nats_pull_want(pull, 10000);
    TURN_UNTIL(b, r.n >= stored);
    turn_for_ms(b, 300);
    assert_int_equal(r.n, stored);
    assert_true(r.in_order);
}

static void test_away(void **state)
{
    struct bed *b = bed_up(state);
    struct posts p = {.in_order = true};

    make_stream(b, "S", "a.>", MU_NATS_LIMITS);
    server_kill(b);
    TURN_UNTIL(b, b->downs);
    assert_true(strlen(b->why) > 0);
    post(b, &p, "a.1", NULL, "x", MU_NATS_ANY);
    TURN_UNTIL(b, p.done == 1);
    assert_int_equal(p.lost, 1);
    assert_non_null(strstr(p.err.msg, "the connection is lost"));
    /* What was given up does not come later. */
    server_start(b, NULL);
    TURN_UNTIL(b, b->ups);
    post(b, &p, "a.1", NULL, "y", MU_NATS_NONE);
    TURN_UNTIL(b, p.done == 2);
    assert_int_equal(p.stored, 1);
    /* One that waits for the connection is sent with it. */
    server_kill(b);
    b->downs = 0;
    TURN_UNTIL(b, b->downs);
    post(b, &p, "a.2", NULL, "z", MU_NATS_NONE);
    server_start(b, NULL);
    TURN_UNTIL(b, p.done == 3);
    assert_int_equal(p.stored, 2);
}

static void close_it(void *arg, int rc, uint64_t seq, const struct mu_err *err)
{
    struct bed *b = arg;

    (void)rc;
    (void)seq;
    (void)err;
    mu_nats_close(b->n);
    b->n = NULL;
}

static void test_close_in_callback(void **state)
{
    struct bed *b = bed_up(state);
    struct posts p = {0};

    make_stream(b, "S", "a.>", MU_NATS_LIMITS);
    assert_int_equal(mu_nats_post(b->n, "a.1", NULL, "x", 1, MU_NATS_ANY, close_it, b), 0);
    for (int i = 0; i < 50; i++)
        post(b, &p, "a.2", NULL, "y", MU_NATS_ANY);
    TURN_UNTIL(b, !b->n);
    assert_int_equal(p.done, 0);
    OK(b, bed_open(b, NULL));
}

struct ear {
    struct bed *b;
    int heard;
    char last[64], reply[64];
};

static void on_heard(void *arg, const struct mu_nats_heard *heard)
{
    struct ear *e = arg;

    e->heard++;
    snprintf(e->last, sizeof e->last, "%s=%.*s", heard->subject, (int)heard->len, (const char *)heard->bytes);
    snprintf(e->reply, sizeof e->reply, "%s", heard->reply ? heard->reply : "");
    if (heard->reply)
        mu_nats_say(e->b->n, heard->reply, NULL, "answer", 6);
}

static void test_listen(void **state)
{
    struct bed *b = bed_up(state);
    struct ear all = {.b = b}, one = {.b = b}, back = {.b = b};
    struct mu_nats_ear *e1 = NULL, *e2 = NULL, *e3 = NULL;
    char inbox[64], other[64];

    mu_nats_inbox(b->n, inbox);
    mu_nats_inbox(b->n, other);
    assert_string_not_equal(inbox, other);
    OK(b, mu_nats_listen(&e1, b->n, "w.>", on_heard, &all, &b->err));
    OK(b, mu_nats_listen(&e2, b->n, "w.1", on_heard, &one, &b->err));
    OK(b, mu_nats_listen(&e3, b->n, inbox, on_heard, &back, &b->err));
    assert_int_equal(mu_nats_listen(&e3, b->n, "a b", on_heard, &back, &b->err), MU_EINVAL);
    OK(b, mu_nats_say(b->n, "w.1", inbox, "hello", 5));
    TURN_UNTIL(b, all.heard == 1 && one.heard == 1 && back.heard == 2);
    assert_string_equal(one.last, "w.1=hello");
    assert_string_equal(one.reply, inbox);
    assert_string_equal(back.reply, "");
    mu_nats_listen_end(e2);
    OK(b, mu_nats_say(b->n, "w.1", NULL, "", 0));
    TURN_UNTIL(b, all.heard == 2);
    assert_string_equal(all.last, "w.1=");
    assert_int_equal(one.heard, 1);
    /* It listens on, with another connection. */
    server_kill(b);
    server_start(b, NULL);
    TURN_UNTIL(b, b->ups);
    OK(b, mu_nats_say(b->n, "w.2", NULL, "again", 5));
    TURN_UNTIL(b, all.heard == 3);
    assert_string_equal(all.last, "w.2=again");
    assert_int_equal(one.heard, 1);
    mu_nats_listen_end(e1);
}

static const char may[] = "authorization { users = [\n"
                          " { user: boss, password: b }\n"
                          " { user: agent, password: a, permissions: { publish: [\"ok.>\", \"$JS.API.STREAM.INFO.*\"], "
                          "subscribe: [\"_INBOX.>\", \"w.1\"] } } ] }\n";

static void test_denied(void **state)
{
    struct bed *b = *state;
    struct mu_nats_config boss = {.user = "boss", .password = "b"}, agent = {.user = "agent", .password = "a"};
    struct posts p = {.in_order = true};
    struct ear ear = {.b = b};
    struct mu_nats_ear *e = NULL;
    const char *subjects[] = {"ok.>", "no.>", NULL};
    struct mu_nats_stream s = {.name = "S", .subjects = subjects};
    uint64_t start;

    server_start(b, may);
    OK(b, bed_open(b, &boss));
    OK(b, mu_nats_stream_ensure(b->n, &s, &b->err));
    mu_nats_close(b->n);
    OK(b, bed_open(b, &agent));
    OK(b, mu_nats_stream_ensure(b->n, &s, &b->err));
    start = mu_clock_ms();
    post(b, &p, "no.1", NULL, "x", MU_NATS_ANY);
    post(b, &p, "ok.1", NULL, "x", MU_NATS_ANY);
    TURN_UNTIL(b, p.done == 2);
    assert_true(mu_clock_ms() - start < 4900); /* told at once, not by the want of an answer */
    assert_int_equal(p.refused, 1);
    assert_int_equal(p.stored, 1);
    assert_non_null(strstr(p.err.msg, "these credentials may not"));
    OK(b, mu_nats_listen(&e, b->n, "w.2", on_heard, &ear, &b->err));
    OK(b, mu_nats_flush(b->n, 5000, &b->err));
    assert_int_equal(mu_nats_purge(b->n, "S", "ok.>", NULL, &b->err), MU_EPERM);
    assert_says(b, "these credentials may not: Permissions Violation for Publish to");
    assert_says(b, "$JS.API.STREAM.PURGE.S");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_many, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_kinds, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_stopped, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_killed, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_away, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_close_in_callback, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_listen, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_denied, bed_setup, bed_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
