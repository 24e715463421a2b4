/* What a mark says of a server. */
#include "build.h"

#include "results/verdict.h"

#define RUN "20231115T145840Z-a1b2c3"
#define TAIL "; run " RUN ", owner ops@jenkins1, 2023-11-15T14:58:40Z"
#define AT_MS 1700060320123

static struct mu_verdict *verdict_of(struct mu_run_result *r)
{
    struct mu_verdict *v = NULL;
    settle_all(r);
    assert_int_equal(mu_verdict_new(&v, &r->tasks[0], RUN, "ops@jenkins1", AT_MS), 0);
    return v;
}

static void assert_reason(struct mu_run_result *r, const char *expected)
{
    struct mu_verdict *v = verdict_of(r);
    assert_string_equal(v->reason, expected);
    mu_verdict_free(v);
    mu_run_result_free(r);
}

static void metric_value_threshold_run_owner_time(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(1, "srv", 2);
    add_measured(&r->tasks[0], "cpu", "events_per_second", 1.52, ">= 20 events/s");
    r->tasks[0].steps[0].measured = 2;
    assert_reason(r, "muster: cpu.events_per_second 1.52 < 20 events/s (measured twice)" TAIL);
}

static void only_what_the_status_is_about(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(1, "srv", 2);
    add_broken(&r->tasks[0], "gpu", MU_ST_ERROR, "CommandError", "exit status 3", "CommandError: exit status 3");
    add_measured(&r->tasks[0], "cpu", "score", 4, ">= 20");
    r->tasks[0].steps[1].measured = 3;
    add_outside(&r->tasks[0], MU_ST_FAILED, "ServerOperationError", "teardown", "destroy failed: clean failed");
    struct mu_verdict *v = verdict_of(r);
    assert_string_equal(v->reason, "muster: cpu.score 4 < 20 (measured 3 times); "
                                   "teardown: ServerOperationError: destroy failed: clean failed" TAIL);
    assert_int_equal(v->status, MU_ST_FAILED);
    assert_int_equal(v->n_failures, 3); /* the hook is given all */
    assert_string_equal(v->failures[0].where, "gpu");
    assert_string_equal(v->failures[1].metric, "score");
    assert_string_equal(v->failures[2].type, "ServerOperationError");
    mu_run_result_free(r); /* it borrows nothing */
    assert_string_equal(v->failures[2].where, "teardown");
    mu_verdict_free(v);
}

/* Of a failure its message says more than folds in a summary; of a mark that is the interesting part. */
static void the_provisioners_own_words(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(1, "srv", 2);
    assert_int_equal(mu_task_result_add_failure(&r->tasks[0], MU_ST_FAILED, "ServerOperationError", "setup",
                                                "install failed: deploy failed",
                                                "ironic: srv04: install failed: deploy failed: no power\nsecond line"), 0);
    add_outside(&r->tasks[0], MU_ST_FAILED, "ServerOperationError", "teardown", "destroy failed: error");
    assert_reason(r, "muster: setup: ServerOperationError: install failed: deploy failed (no power); "
                     "teardown: ServerOperationError: destroy failed: error" TAIL);
    char message[700] = "destroy failed: ";
    for (size_t i = strlen(message); i + 2 < sizeof message; i += 2)
        memcpy(message + i, "\xc3\xa4", 3);
    r = make_run(1, "srv", 2);
    assert_int_equal(mu_task_result_add_failure(&r->tasks[0], MU_ST_FAILED, NULL, "teardown", "destroy failed", message), 0);
    struct mu_verdict *v = verdict_of(r);
    assert_int_equal(strlen(v->reason), strlen("muster: teardown: destroy failed (" "...)" TAIL) + 300);
    assert_non_null(strstr(v->reason, "\xc3\xa4...)" TAIL));
    mu_verdict_free(v);
    mu_run_result_free(r);
}

static void a_status_without_a_reason(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(1, "srv", 2);
    struct mu_step_result *s = mu_step_result_new("cpu");
    s->status = MU_ST_TIMEOUT;
    assert_int_equal(mu_task_result_add_step_take(&r->tasks[0], s), 0);
    assert_reason(r, "muster: cpu: no reason given" TAIL);
}

static void hostile_text_stays_on_its_line(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(1, "srv", 2);
    add_outside(&r->tasks[0], MU_ST_FAILED, "ServerOperationError", "setup", HOSTILE);
    struct mu_verdict *v = verdict_of(r);
    for (const char *p = v->reason; *p; p++)
        assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
    assert_non_null(strstr(v->reason, TAIL));
    mu_verdict_free(v);
    mu_run_result_free(r);
}

/* At most a thousand bytes, whatever is in it, the tail always there, no character or escape cut. */
static void long_reasons_are_cut_before_the_tail(void **state)
{
    (void)state;
    static const char *const units[] = {"x", "\xc3\xa4", "\x01", "\xf0\x9f\x92\xa5", "\xff", "\\"};
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        for (size_t n = 200; n < 1200; n += 7) {
            struct mu_buf text = MU_BUF_INIT, again = MU_BUF_INIT;
            for (size_t i = 0; i < n; i++)
                mu_buf_adds(&text, units[u]);
            struct mu_run_result *r = make_run(1, "srv", 2);
            add_outside(&r->tasks[0], MU_ST_FAILED, NULL, "setup", mu_buf_cstr(&text));
            struct mu_verdict *v = verdict_of(r);
            size_t len = strlen(v->reason);
            assert_true(len <= MU_VERDICT_REASON_MAX);
            assert_string_equal(v->reason + len - strlen(TAIL), TAIL);
            if (n * strlen(units[u]) > MU_VERDICT_REASON_MAX) {
                assert_string_equal(v->reason + len - strlen("..." TAIL), "..." TAIL);
                assert_true(len > MU_VERDICT_REASON_MAX - 20); /* no more than needed is cut */
            }
            mu_buf_add_escaped(&again, v->reason, len);
            if (u == 1 || u == 3)
                assert_string_equal(mu_buf_cstr(&again), v->reason); /* whole characters */
            mu_buf_free(&text);
            mu_buf_free(&again);
            mu_verdict_free(v);
            mu_run_result_free(r);
        }
    }
}

static void a_dry_run_says_so(void **state)
{
    (void)state;
    struct mu_verdict *v = NULL;
    assert_int_equal(mu_verdict_new_dry(&v, RUN, "ops@jenkins1", AT_MS), 0);
    assert_string_equal(v->reason, "muster: dry run" TAIL);
    assert_int_equal(v->n_failures, 0);
    mu_verdict_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metric_value_threshold_run_owner_time), cmocka_unit_test(only_what_the_status_is_about),
        cmocka_unit_test(the_provisioners_own_words),
        cmocka_unit_test(a_status_without_a_reason),             cmocka_unit_test(hostile_text_stays_on_its_line),
        cmocka_unit_test(long_reasons_are_cut_before_the_tail),  cmocka_unit_test(a_dry_run_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
