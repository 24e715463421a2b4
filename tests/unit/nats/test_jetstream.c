/* What waits: streams, consumers, messages put and read, against a real server. */
#include "nats_test.h"

static void test_streams(void **state)
{
    struct bed *b = bed_up(state);
    const char *subjects[] = {"a.>", "b.*", NULL}, *others[] = {"c.>", NULL}, *overlap[] = {"a.x", NULL};
    struct mu_nats_stream s = {.name = "S", .subjects = subjects, .retention = MU_NATS_WORK_QUEUE, .max_age_ms = 3600000,
                               .max_bytes = 1 << 20};

    OK(b, mu_nats_stream_ensure(b->n, &s, &b->err));
    put(b, "b.1", "kept");
    /* It stays as it was made: another's subjects do not come in. */
    s.subjects = others;
    OK(b, mu_nats_stream_ensure(b->n, &s, &b->err));
    assert_int_equal(mu_nats_put(b->n, "c.1", "x", 1, MU_NATS_ANY, NULL, &b->err), MU_EIO);
    assert_says(b, "no such stream");
    s.retention = MU_NATS_LIMITS;
    assert_int_equal(mu_nats_stream_ensure(b->n, &s, &b->err), MU_ESTATE);
    assert_says(b, "the stream S at nats://127.0.0.1:");
    assert_says(b, "is no stream with limits");
    s.name = "T";
    s.subjects = overlap;
    assert_int_equal(mu_nats_stream_ensure(b->n, &s, &b->err), MU_EIO);
    assert_says(b, "subjects overlap");
}

static void test_full(void **state)
{
    struct bed *b = bed_up(state);
    const char *subjects[] = {"a.>", NULL};
    struct mu_nats_stream s = {.name = "S", .subjects = subjects, .retention = MU_NATS_LIMITS, .max_bytes = 100000};
    static char big[40000];
    int stored = 0;
    struct mu_buf out = MU_BUF_INIT;
    uint64_t removed = 0;

    OK(b, mu_nats_stream_ensure(b->n, &s, &b->err));
    while (mu_nats_put(b->n, "a.1", big, sizeof big, MU_NATS_ANY, NULL, &b->err) == 0)
        stored++;
    assert_int_equal(stored, 2);
    assert_int_equal(b->err.code, MU_EIO);
    assert_says(b, "maximum bytes exceeded");
    /* None was dropped. */
    OK(b, mu_nats_last(b->n, "S", "a.1", &out, NULL, &b->err));
    OK(b, mu_nats_purge(b->n, "S", "a.>", &removed, &b->err));
    assert_int_equal(removed, 2);
    mu_buf_free(&out);
}

static void test_expected(void **state)
{
    struct bed *b = bed_up(state);
    struct mu_buf out = MU_BUF_INIT;
    uint64_t first = 0, second = 0, seq = 0;

    make_stream(b, "S", "a.>", MU_NATS_LIMITS);
    assert_int_equal(mu_nats_last(b->n, "S", "a.1", &out, &seq, &b->err), MU_ENOENT);
    OK(b, mu_nats_put(b->n, "a.1", "one", 3, MU_NATS_NONE, &first, &b->err));
    assert_int_equal(mu_nats_put(b->n, "a.1", "no", 2, MU_NATS_NONE, NULL, &b->err), MU_EEXIST);
    OK(b, mu_nats_put(b->n, "a.2", "other", 5, MU_NATS_NONE, NULL, &b->err));
    OK(b, mu_nats_put(b->n, "a.1", "two\0", 4, first, &second, &b->err));
    assert_true(second > first);
    assert_int_equal(mu_nats_put(b->n, "a.1", "no", 2, first, NULL, &b->err), MU_EEXIST);
    assert_says(b, "cannot put a message of a.1 at nats://127.0.0.1:");
    OK(b, mu_nats_last(b->n, "S", "a.1", &out, &seq, &b->err));
    assert_int_equal(seq, second);
    assert_int_equal(out.len, 4);
    assert_memory_equal(out.data, "two", 4);
    OK(b, mu_nats_put(b->n, "a.1", "", 0, MU_NATS_ANY, NULL, &b->err));
    OK(b, mu_nats_last(b->n, "S", "a.1", &out, &seq, &b->err));
    assert_int_equal(out.len, 0);
    assert_int_equal(mu_nats_last(b->n, "NONE", "a.1", &out, &seq, &b->err), MU_ENOENT);
    mu_buf_free(&out);
}

struct seen {
    int n, stop_at;
    char text[512];
    int64_t youngest_ms, oldest_ms;
    uint64_t seqs;
};

static int see(void *arg, const char *subject, const void *bytes, size_t len, uint64_t seq, int64_t age_ms)
{
    struct seen *s = arg;
    char one[64];

    snprintf(one, sizeof one, "%s=%.*s ", subject, (int)len, (const char *)bytes);
    strncat(s->text, one, sizeof s->text - strlen(s->text) - 1);
    s->youngest_ms = s->n == 0 || age_ms < s->youngest_ms ? age_ms : s->youngest_ms;
    s->oldest_ms = age_ms > s->oldest_ms ? age_ms : s->oldest_ms;
    s->seqs += seq;
    return ++s->n == s->stop_at ? MU_ECANCELED : 0;
}

static void test_each_last(void **state)
{
    struct bed *b = bed_up(state);
    const char *subjects[] = {"a.>", NULL};
    struct mu_nats_stream s = {.name = "S", .subjects = subjects, .max_per_subject = 2};
    struct seen none = {0}, all = {0}, stopped = {.stop_at = 1}, many = {0};
    char subject[32];

    OK(b, mu_nats_stream_ensure(b->n, &s, &b->err));
    OK(b, mu_nats_each_last(b->n, "S", "a.>", see, &none, &b->err));
    assert_int_equal(none.n, 0);
    put(b, "a.1", "old");
    put(b, "a.1", "older");
    put(b, "a.1", "one");
    pause_ms(300);
    put(b, "a.2", "two");
    put(b, "a.b.c", "");
    OK(b, mu_nats_each_last(b->n, "S", "a.*", see, &all, &b->err));
    assert_int_equal(all.n, 2);
    assert_non_null(strstr(all.text, "a.1=one "));
    assert_non_null(strstr(all.text, "a.2=two "));
    assert_int_equal(all.seqs, 3 + 4);
    assert_true(all.oldest_ms >= 300 && all.oldest_ms < 60000);
    assert_true(all.youngest_ms <= all.oldest_ms - 300);
    assert_int_equal(mu_nats_each_last(b->n, "S", "a.>", see, &stopped, &b->err), MU_ECANCELED);
    assert_int_equal(stopped.n, 1);
    assert_int_equal(mu_nats_each_last(b->n, "NONE", "a.>", see, &stopped, &b->err), MU_ENOENT);
    for (int i = 0; i < 2000; i++) {
        snprintf(subject, sizeof subject, "a.m.%d", i);
        put(b, subject, "x");
    }
    OK(b, mu_nats_each_last(b->n, "S", "a.m.*", see, &many, &b->err));
    assert_int_equal(many.n, 2000);
}

static void test_purge(void **state)
{
    struct bed *b = bed_up(state);
    struct mu_buf out = MU_BUF_INIT;
    uint64_t removed = 99;

    make_stream(b, "S", "a.>", MU_NATS_LIMITS);
    put(b, "a.1.x", "");
    put(b, "a.1.y", "");
    put(b, "a.2.x", "stays");
    OK(b, mu_nats_purge(b->n, "S", "a.1.>", &removed, &b->err));
    assert_int_equal(removed, 2);
    OK(b, mu_nats_purge(b->n, "S", "a.1.>", &removed, &b->err));
    assert_int_equal(removed, 0);
    OK(b, mu_nats_last(b->n, "S", "a.2.x", &out, NULL, &b->err));
    assert_int_equal(mu_nats_purge(b->n, "NONE", "a.>", &removed, &b->err), MU_ENOENT);
    mu_buf_free(&out);
}

static void test_consumers(void **state)
{
    struct bed *b = bed_up(state);
    struct mu_nats_consumer c = {.stream = "NONE", .durable = "d", .filter = "a.>", .ack_wait_ms = 1000, .max_ack_pending = 5};

    assert_int_equal(mu_nats_consumer_ensure(b->n, &c, &b->err), MU_ENOENT);
    make_stream(b, "WORK", "a.>", MU_NATS_WORK_QUEUE);
    make_consumer(b, "d", "a.>", 1000);
    make_consumer(b, "d", "a.>", 1000);
    make_consumer(b, "d", "a.>", 60000); /* other settings */
    /* Two consumers of a work queue share nothing: the server says so. */
    c.stream = "WORK";
    c.durable = "e";
    assert_int_equal(mu_nats_consumer_ensure(b->n, &c, &b->err), MU_EIO);
    assert_says(b, "cannot make the consumer e at nats://127.0.0.1:");
    OK(b, mu_nats_consumer_remove(b->n, "WORK", "d", &b->err));
    OK(b, mu_nats_consumer_remove(b->n, "WORK", "d", &b->err));
    OK(b, mu_nats_consumer_ensure(b->n, &c, &b->err));
}

static void test_flush(void **state)
{
    struct bed *b = bed_up(state);

    OK(b, mu_nats_say(b->n, "x", NULL, "y", 1));
    OK(b, mu_nats_flush(b->n, 5000, &b->err));
    assert_true(mu_nats_max_payload(b->n) == 1048576);
    server_stop(b);
    assert_int_equal(mu_nats_flush(b->n, 200, &b->err), MU_EIO);
    assert_says(b, "no answer from the server within 200 ms");
    server_signal(b, SIGCONT);
    OK(b, mu_nats_flush(b->n, 5000, &b->err));
    server_kill(b);
    assert_int_equal(mu_nats_flush(b->n, 200, &b->err), MU_EIO);
    TURN_UNTIL(b, b->downs);
    assert_false(mu_nats_connected(b->n));
    assert_int_equal(mu_nats_say(b->n, "x", NULL, "y", 1), MU_EIO);
    /* A call waits for the connection a while. */
    server_start(b, NULL);
    make_stream(b, "S", "a.>", MU_NATS_LIMITS);
    TURN_UNTIL(b, b->ups);
    assert_true(mu_nats_connected(b->n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_streams, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_full, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_expected, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_each_last, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_purge, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_consumers, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_flush, bed_setup, bed_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
