/* What things are called in a queue; and a real nats-server takes the names, streams and consumers. */
#include "nats_server.h"

#include "agents/subjects.h"

static struct nats_server server;

static int start(void **state)
{
    (void)state;
    return nats_start(&server) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    nats_end(&server);
    return 0;
}

static void names_are_one_token(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"dc1", "dc1"}, {"a.b", "a=2eb"}, {"*", "=2a"}, {">", "=3e"}, {"", ""},
                                           {"a b\t\n", "a=20b=09=0a"}, {"ü", "=c3=bc"}, {"a=2eb", "a=3d2eb"}, {"A_-9", "A_-9"}};
    struct mu_buf b = MU_BUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mu_buf_clear(&b);
        mu_subject_add_token(&b, cases[i][0]);
        assert_string_equal(mu_buf_cstr(&b), cases[i][1]);
    }
    char all[256];
    for (int i = 1; i < 256; i++) /* different names stay different */
        all[i - 1] = (char)i;
    all[255] = '\0';
    mu_buf_clear(&b);
    mu_subject_add_token(&b, all);
    assert_null(strpbrk(b.data, ".*> \t\r\n/\\"));
    mu_buf_free(&b);
}

static void subjects_are_as_said(void **state)
{
    (void)state;
    struct mu_buf b = MU_BUF_INIT, q = MU_BUF_INIT;
    const char *v = mu_subject_version();
    char want[128];
    assert_null(strchr(v, '.'));
    assert_string_equal(mu_subject_queue(&q, NULL), "any");
    assert_string_equal(mu_subject_queue(&q, "any"), "g-any"); /* a group of that name is another queue */
    assert_string_equal(mu_subject_queue(&q, "dc.1"), "g-dc=2e1");
    snprintf(want, sizeof want, "muster.task.%s.g-dc=2e1.R.7", v);
    assert_string_equal(mu_subject_task(&b, q.data, "R", 7), want);
    snprintf(want, sizeof want, "muster.task.%s.g-dc=2e1.>", v);
    assert_string_equal(mu_subject_tasks_of_queue(&b, q.data), want);
    snprintf(want, sizeof want, "%s-g-dc=2e1", v);
    assert_string_equal(mu_subject_durable(&b, q.data), want);
    assert_string_equal(mu_subject_tasks_of_run(&b, "R"), "muster.task.*.*.R.>");
    assert_string_equal(mu_subject_event(&b, "R", "A"), "muster.event.R.A");
    assert_string_equal(mu_subject_events(&b, "R"), "muster.event.R.>");
    assert_string_equal(mu_subject_brief(&b, "R"), "muster.run.R");
    assert_string_equal(mu_subject_bundle(&b, "H", 12), "muster.bundle.H.12");
    assert_string_equal(mu_subject_claim(&b, "R", 3), "muster.claim.R.3");
    assert_string_equal(mu_subject_claims(&b, "R"), "muster.claim.R.>");
    assert_string_equal(mu_subject_agent(&b, "A"), "muster.agent.A");
    assert_string_equal(mu_subject_word(&b, "R", NULL), "muster.word.R");
    assert_string_equal(mu_subject_word(&b, "R", "A"), "muster.word.R.A");
    assert_string_equal(mu_subject_run_durable(&b, "R"), "run-R");
    mu_buf_free(&b);
    mu_buf_free(&q);
}

static struct mu_nats *connect_to(struct mu_loop **loop)
{
    const struct mu_nats_config config = {.urls = server.url};
    struct mu_nats *n = NULL;
    struct mu_err err = {0};
    assert_int_equal(mu_loop_new(loop, &err), 0);
    if (mu_nats_open(&n, &config, *loop, NULL, NULL, &err))
        fail_msg("%s", err.msg);
    return n;
}

static void must(int rc, const struct mu_err *err)
{
    if (rc)
        fail_msg("%s", err->msg);
}

/* Each kind of message finds its stream; a task that is there is not put twice; a filter takes what it is to take. */
static void a_server_takes_them(void **state)
{
    (void)state;
    struct mu_loop *loop;
    struct mu_nats *n = connect_to(&loop);
    struct mu_err err = {0};
    struct mu_buf b = MU_BUF_INIT, q = MU_BUF_INIT, any = MU_BUF_INIT, out = MU_BUF_INIT;
    uint64_t removed = 0, seq = 0;
    for (int i = 0; i < 2; i++)
        must(mu_subjects_ensure(n, &err), &err);
    mu_subject_queue(&q, "dc.1 / ü");
    mu_subject_queue(&any, NULL);
    for (int i = 0; i < 2; i++) { /* again with other settings: they are taken */
        must(mu_subjects_ensure_queue(n, any.data, 0, &err), &err);
        must(mu_subjects_ensure_queue(n, q.data, i ? 5000 : 0, &err), &err);
    }
    must(mu_nats_put(n, mu_subject_task(&b, q.data, "R", 0), "t", 1, MU_NATS_NONE, NULL, &err), &err);
    must(mu_nats_put(n, mu_subject_task(&b, any.data, "R", 1), "t", 1, MU_NATS_NONE, NULL, &err), &err);
    must(mu_nats_put(n, mu_subject_task(&b, any.data, "S", 0), "t", 1, MU_NATS_NONE, NULL, &err), &err);
    assert_int_equal(mu_nats_put(n, mu_subject_task(&b, q.data, "R", 0), "t", 1, MU_NATS_NONE, NULL, &err), MU_EEXIST);
    must(mu_nats_put(n, mu_subject_event(&b, "R", "A"), "e", 1, MU_NATS_ANY, NULL, &err), &err);
    must(mu_nats_put(n, mu_subject_brief(&b, "R"), "old", 3, MU_NATS_ANY, NULL, &err), &err);
    must(mu_nats_put(n, mu_subject_brief(&b, "R"), "new", 3, MU_NATS_ANY, NULL, &err), &err);
    must(mu_nats_put(n, mu_subject_bundle(&b, "H", 0), "b", 1, MU_NATS_ANY, NULL, &err), &err);
    must(mu_nats_put(n, mu_subject_claim(&b, "R", 5), "c", 1, MU_NATS_NONE, &seq, &err), &err);
    assert_int_equal(mu_nats_put(n, mu_subject_claim(&b, "R", 5), "d", 1, MU_NATS_NONE, NULL, &err), MU_EEXIST);
    must(mu_nats_put(n, mu_subject_claim(&b, "R", 5), "", 0, seq, NULL, &err), &err);
    must(mu_nats_put(n, mu_subject_agent(&b, "A"), "{}", 2, MU_NATS_ANY, NULL, &err), &err);
    must(mu_nats_last(n, MU_STREAM_RUNS, mu_subject_brief(&b, "R"), &out, NULL, &err), &err);
    assert_string_equal(mu_buf_cstr(&out), "new");
    must(mu_nats_purge(n, MU_STREAM_TASKS, mu_subject_tasks_of_run(&b, "R"), &removed, &err), &err);
    assert_int_equal(removed, 2);
    must(mu_nats_purge(n, MU_STREAM_EVENTS, mu_subject_events(&b, "R"), &removed, &err), &err);
    assert_int_equal(removed, 1);
    must(mu_nats_purge(n, MU_STREAM_RUNS, mu_subject_claims(&b, "R"), &removed, &err), &err);
    assert_int_equal(removed, 1);
    struct mu_nats_consumer events = {.stream = MU_STREAM_EVENTS, .durable = mu_subject_run_durable(&out, "R"),
                                      .filter = mu_subject_events(&b, "R"), .ack_wait_ms = 60000, .max_ack_pending = 1000};
    must(mu_nats_consumer_ensure(n, &events, &err), &err);
    mu_nats_close(n);
    mu_loop_free(loop);
    mu_buf_free(&b);
    mu_buf_free(&q);
    mu_buf_free(&any);
    mu_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_one_token),
        cmocka_unit_test(subjects_are_as_said),
        cmocka_unit_test(a_server_takes_them),
    };
    return cmocka_run_group_tests(tests, start, end);
}
