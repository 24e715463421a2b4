/* Pulls: work is handed out once, no more of it than is wanted, and none is lost, whatever becomes of the server. */
#include "nats_test.h"

struct worker {
    struct mu_nats_pull *pull;
    int got, want_more, again; /* want_more: as each is done, so many in all */
    bool keep;
    struct mu_nats_job *jobs[64];
    int kept;
    bool in_order;
    int last;
    unsigned char seen[8192];
    uint64_t delivery, seq, taken_ms;
    char subject[64], text[64];
};

static void on_job(void *arg, struct mu_nats_job *job)
{
    struct worker *w = arg;
    size_t len;
    const char *bytes = mu_nats_job_bytes(job, &len);
    int number;

    snprintf(w->text, sizeof w->text, "%.*s", (int)len, bytes);
    snprintf(w->subject, sizeof w->subject, "%s", mu_nats_job_subject(job));
    w->delivery = mu_nats_job_delivery(job);
    w->seq = mu_nats_job_seq(job);
    w->taken_ms = mu_clock_ms();
    w->got++;
    number = atoi(w->text);
    if (number >= 0 && number < (int)sizeof w->seen) {
        w->in_order &= number > w->last || w->delivery > 1;
        w->last = number;
        w->again += w->seen[number]++ > 0;
    }
    if (w->keep) {
        w->jobs[w->kept++] = job;
        return;
    }
    mu_nats_job_ack_free(job);
    if (w->want_more > 0) {
        w->want_more--;
        mu_nats_pull_want(w->pull, 1);
    }
}

static int distinct(const struct worker *w)
{
    int n = 0;

    for (size_t i = 0; i < sizeof w->seen; i++)
        n += w->seen[i] > 0;
    return n;
}

static void pull_from(struct bed *b, struct worker *w, const char *one, const char *two)
{
    const char *durables[] = {one, two, NULL};

    OK(b, mu_nats_pull_new(&w->pull, b->n, "WORK", durables, on_job, w, &b->err));
}

static struct bed *bed_work(void **state, int64_t ack_wait_ms)
{
    struct bed *b = bed_up(state);

    make_stream(b, "WORK", "t.>", MU_NATS_WORK_QUEUE);
    make_consumer(b, "d", "t.d.>", ack_wait_ms);
    return b;
}

static void put_numbers(struct bed *b, const char *subject, int from, int to)
{
    char text[32];

    for (int i = from; i < to; i++) {
        snprintf(text, sizeof text, "%d", i);
        put(b, subject, text);
    }
}

static void test_bounds(void **state)
{
    struct bed *b = bed_work(state, 60000);
    struct worker w = {.keep = true, .last = -1, .in_order = true};

    put_numbers(b, "t.d.1", 0, 20);
    pull_from(b, &w, "d", NULL);
    turn_for_ms(b, 250);
    assert_int_equal(w.got, 0); /* none is wanted */
    mu_nats_pull_want(w.pull, 3);
    TURN_UNTIL(b, w.got == 3);
    turn_for_ms(b, 250);
    assert_int_equal(w.got, 3);
    mu_nats_pull_want(w.pull, 1);
    mu_nats_pull_want(w.pull, 1);
    TURN_UNTIL(b, w.got == 5);
    turn_for_ms(b, 250);
    assert_int_equal(w.got, 5);
    assert_true(w.in_order);
    assert_int_equal(w.seq, 5);
    assert_int_equal(w.delivery, 1);
    assert_string_equal(w.subject, "t.d.1");
    /* All that is there, although more is wanted; then whatever comes, at once. */
    w.keep = false;
    mu_nats_pull_want(w.pull, 40);
    TURN_UNTIL(b, w.got == 20);
    put(b, "t.d.1", "20");
    TURN_UNTIL(b, w.got == 21);
    for (int i = 0; i < w.kept; i++)
        mu_nats_job_ack_free(w.jobs[i]);
    mu_nats_pull_free(w.pull);
}

static void test_several(void **state)
{
    struct bed *b = bed_work(state, 60000);
    struct worker w = {.last = -1}, other = {.last = -1};

    make_consumer(b, "e", "t.e.>", 60000);
    put_numbers(b, "t.e.1", 0, 300);
    put_numbers(b, "t.d.1", 300, 600);
    pull_from(b, &w, "d", "e");
    pull_from(b, &other, "e", NULL);
    w.want_more = other.want_more = 600;
    mu_nats_pull_want(w.pull, 4);
    mu_nats_pull_want(other.pull, 4);
    TURN_UNTIL(b, w.got + other.got == 600);
    turn_for_ms(b, 250);
    assert_int_equal(distinct(&w) + distinct(&other), 600);
    assert_int_equal(w.again + other.again, 0);
    assert_true(w.got > 300 && other.got > 0);
    put(b, "t.d.1", "700");
    TURN_UNTIL(b, w.got + other.got == 601);
    mu_nats_pull_free(other.pull); /* w's goes with the client */
}

static void test_give_back(void **state)
{
    struct bed *b = bed_work(state, 60000);
    struct worker w = {.keep = true, .last = -1}, next = {.last = -1, .keep = true};

    put_numbers(b, "t.d.1", 0, 1);
    pull_from(b, &w, "d", NULL);
    mu_nats_pull_want(w.pull, 1);
    TURN_UNTIL(b, w.got == 1);
    mu_nats_job_give_back_free(w.jobs[0]);
    mu_nats_pull_want(w.pull, 1);
    TURN_UNTIL(b, w.got == 2);
    assert_int_equal(w.delivery, 2);
    mu_nats_job_ack_free(w.jobs[1]);
    /* What was fetched and not handed over goes back at once: fetched, since the consumer says so, but the loop did not turn. */
    put_numbers(b, "t.d.1", 1, 9);
    mu_nats_pull_want(w.pull, 8);
    pause_ms(500);
    mu_nats_pull_free(w.pull);
    pull_from(b, &next, "d", NULL);
    mu_nats_pull_want(next.pull, 8);
    TURN_UNTIL(b, next.got == 8);
    assert_int_equal(w.got, 2);
    assert_int_equal(next.delivery, 2);
    /* The same when all is closed; jobs may be ended after it. */
    mu_nats_pull_want(next.pull, 1);
    for (int i = 0; i < 4; i++)
        mu_nats_job_give_back_free(next.jobs[i]);
    pause_ms(500);
    mu_nats_close(b->n);
    for (int i = 4; i < 8; i++)
        mu_nats_job_free(next.jobs[i]);
    OK(b, bed_open(b, NULL));
    next = (struct worker){.last = -1};
    pull_from(b, &next, "d", NULL);
    mu_nats_pull_want(next.pull, 8);
    TURN_UNTIL(b, next.got == 4);
}

static void test_ack_wait(void **state)
{
    struct bed *b = bed_work(state, 60000);
    struct worker w = {.keep = true, .last = -1};
    uint64_t start;

    make_consumer(b, "d", "t.d.>", 1000); /* other settings than it was made with: these count */
    put_numbers(b, "t.d.1", 0, 1);
    pull_from(b, &w, "d", NULL);
    mu_nats_pull_want(w.pull, 5);
    TURN_UNTIL(b, w.got == 1);
    for (int i = 0; i < 8; i++) { /* renewed: nobody else gets it */
        turn_for_ms(b, 300);
        assert_int_equal(w.got, 1);
        mu_nats_job_working(w.jobs[0]);
    }
    start = mu_clock_ms();
    TURN_UNTIL(b, w.got == 2); /* not renewed any more */
    assert_true(mu_clock_ms() - start >= 800);
    assert_int_equal(w.delivery, 2);
    assert_int_equal(w.seq, 1);
    mu_nats_job_free(w.jobs[0]);
    mu_nats_job_ack_free(w.jobs[1]);
    OK(b, mu_nats_flush(b->n, 5000, &b->err));
    turn_for_ms(b, 1500);
    assert_int_equal(w.got, 2);
}

/* Killed again and again while work is taken: all of it is done. Some of it twice, since the server writes down what was
 * acknowledged a little later. */
static void test_killed(void **state)
{
    struct bed *b = bed_work(state, 1000);
    struct worker w = {.last = -1};

    put_numbers(b, "t.d.1", 0, 3000);
    pull_from(b, &w, "d", NULL);
    w.want_more = 1000000;
    mu_nats_pull_want(w.pull, 8);
    for (int kills = 1; kills <= 2; kills++) {
        TURN_UNTIL(b, w.got >= kills * 800);
        server_kill(b);
        TURN_UNTIL(b, b->downs >= kills);
        server_start(b, NULL);
    }
    TURN_UNTIL(b, distinct(&w) == 3000);
    /* And when there is nothing to do. */
    server_kill(b);
    turn_for_ms(b, 300);
    server_start(b, NULL);
    TURN_UNTIL(b, b->ups >= 3);
    put(b, "t.d.1", "4000");
    TURN_UNTIL(b, w.seen[4000]);
}

/* A consumer that is made later, or anew: nothing has to be done here. */
static void test_consumer_gone(void **state)
{
    struct bed *b = bed_work(state, 60000);
    struct worker w = {.last = -1};

    pull_from(b, &w, "e", NULL);
    mu_nats_pull_want(w.pull, 10);
    turn_for_ms(b, 250);
    make_consumer(b, "e", "t.e.>", 60000);
    put(b, "t.e.1", "1");
    TURN_UNTIL(b, w.got == 1);
    OK(b, mu_nats_flush(b->n, 5000, &b->err)); /* what was acknowledged is so */
    OK(b, mu_nats_consumer_remove(b->n, "WORK", "e", &b->err));
    turn_for_ms(b, 250);
    put(b, "t.e.1", "2");
    make_consumer(b, "e", "t.e.>", 60000);
    TURN_UNTIL(b, w.got == 2);
    assert_int_equal(w.delivery, 1);
}

static void test_stopped(void **state)
{
    struct bed *b = bed_work(state, 60000);
    struct worker w = {.last = -1};
    uint64_t start;

    pull_from(b, &w, "d", NULL);
    mu_nats_pull_want(w.pull, 2);
    turn_for_ms(b, 150);
    server_stop(b);
    start = mu_clock_ms();
    mu_nats_pull_free(w.pull);
    assert_true(mu_clock_ms() - start < 500);
    start = mu_clock_ms();
    mu_nats_close(b->n);
    b->n = NULL;
    assert_true(mu_clock_ms() - start < 3000);
    server_signal(b, SIGCONT);
}

/* What permissions each kind of call takes; those that the manual gives are made of these. */
static const char rights[] =
    "authorization { users = [\n"
    " { user: boss, password: b }\n"
    " { user: agent, password: a, permissions: {\n"
    "   subscribe: \"_INBOX.>\"\n"
    "   publish: [ \"r.>\", \"$JS.ACK.WORK.>\",\n"
    "     \"$JS.API.STREAM.INFO.*\",\n"                                                    /* stream_ensure */
    "     \"$JS.API.CONSUMER.DURABLE.CREATE.WORK.*\", \"$JS.API.CONSUMER.INFO.WORK.*\",\n"  /* consumer_ensure, pull */
    "     \"$JS.API.CONSUMER.MSG.NEXT.WORK.*\",\n"                                         /* pull */
    "     \"$JS.API.STREAM.MSG.GET.KEPT\",\n"                                              /* last */
    "     \"$JS.API.CONSUMER.CREATE.KEPT\", \"$JS.API.CONSUMER.INFO.KEPT.*\", \"$JS.API.CONSUMER.DELETE.KEPT.*\"\n" /* each_last */
    "   ] } } ] }\n";

static int count(void *arg, const char *subject, const void *bytes, size_t len, uint64_t seq, int64_t age_ms)
{
    (void)subject;
    (void)bytes;
    (void)len;
    (void)seq;
    (void)age_ms;
    ++*(int *)arg;
    return 0;
}

static void test_rights(void **state)
{
    struct bed *b = *state;
    struct mu_nats_config boss = {.user = "boss", .password = "b"}, agent = {.user = "agent", .password = "a"};
    struct worker w = {.last = -1};
    struct mu_buf out = MU_BUF_INIT;
    int n = 0;

    server_start(b, rights);
    OK(b, bed_open(b, &boss));
    make_stream(b, "WORK", "t.>", MU_NATS_WORK_QUEUE);
    make_stream(b, "KEPT", "r.>", MU_NATS_LIMITS);
    put(b, "t.d.1", "1");
    mu_nats_close(b->n);
    OK(b, bed_open(b, &agent));
    make_stream(b, "WORK", "t.>", MU_NATS_WORK_QUEUE);
    make_stream(b, "KEPT", "r.>", MU_NATS_LIMITS);
    make_consumer(b, "d", "t.d.>", 60000);
    put(b, "r.1", "x");
    OK(b, mu_nats_last(b->n, "KEPT", "r.1", &out, NULL, &b->err));
    mu_buf_free(&out);
    OK(b, mu_nats_each_last(b->n, "KEPT", "r.>", count, &n, &b->err));
    assert_int_equal(n, 1);
    pull_from(b, &w, "d", NULL);
    mu_nats_pull_want(w.pull, 2);
    TURN_UNTIL(b, w.got == 1);
    OK(b, mu_nats_flush(b->n, 5000, &b->err));
    assert_int_equal(mu_nats_put(b->n, "t.d.1", "2", 1, MU_NATS_ANY, NULL, &b->err), MU_EPERM);
    mu_nats_close(b->n);
    OK(b, bed_open(b, &boss));
    assert_int_equal(mu_nats_last(b->n, "WORK", "t.d.1", &out, NULL, &b->err), MU_ENOENT); /* it was acknowledged */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bounds, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_several, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_give_back, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_ack_wait, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_killed, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_consumer_gone, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_rights, bed_setup, bed_teardown),
        cmocka_unit_test_setup_teardown(test_stopped, bed_setup, bed_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
