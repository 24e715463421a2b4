#include "build.h"

#include "results/reason.h"

static void number_is(double v, const char *rule, const char *expected)
{
    struct mu_threshold th = {0};
    struct mu_buf out = MU_BUF_INIT;
    struct mu_err err;
    if (rule)
        assert_int_equal(mu_threshold_parse(&th, rule, &err), 0);
    mu_reason_number(v, rule ? &th : NULL, &out);
    assert_string_equal(mu_buf_cstr(&out), expected);
    mu_buf_free(&out);
    mu_threshold_clear(&th);
}

static void numbers_read_well(void **state)
{
    (void)state;
    number_is(14, NULL, "14");
    number_is(0.1 + 0.2, NULL, "0.3");
    number_is(310.456789, NULL, "310.457");
    number_is(912.40, NULL, "912.4");
    number_is(1234567.8, NULL, "1234568");
    number_is(123456789012.0, NULL, "123456789012");
    number_is(1e18, NULL, "1e+18");
    number_is(0.000012345678, NULL, "1.23457e-05");
    number_is(-3.5, NULL, "-3.5");
    number_is(-0.0, NULL, "0");
    number_is(1.0 / 0.0, NULL, "inf");
}

static void a_near_miss_is_not_rounded_onto_its_bound(void **state)
{
    (void)state;
    number_is(49.9999999, ">= 50", "49.9999999");
    number_is(49.5, ">= 50", "49.5");
    number_is(1000000.4, "<= 1000000", "1000000.4");
    number_is(50, "> 50", "50");
    number_is(60, ">= 50", "60");
}

/* ---- text ---- */

static void text_is(enum mu_status status, const char *type, const char *where, const char *cause, const char *message,
                    const char *expected)
{
    struct mu_run_result *r = make_run(1, "srv", 2);
    struct mu_buf out = MU_BUF_INIT;
    assert_int_equal(mu_task_result_add_failure(&r->tasks[0], status, type, where, cause, message), 0);
    mu_reason_text(&(struct mu_reason){status, NULL, NULL, &r->tasks[0].failures[0]}, &out);
    assert_string_equal(mu_buf_cstr(&out), expected);
    mu_buf_free(&out);
    mu_run_result_free(r);
}

static void where_type_cause_each_once(void **state)
{
    (void)state;
    text_is(MU_ST_UNREACHABLE, "ConnectError", "connect", "connection refused", "x", "connect: connection refused");
    text_is(MU_ST_UNREACHABLE, NULL, "connect", "connect: connection refused", "x", "connect: connection refused");
    text_is(MU_ST_UNREACHABLE, "AuthError", "cpu", "no method was accepted", "x", "connect: no method was accepted");
    text_is(MU_ST_ERROR, "CommandError", "cpu", "exit status 3", "x", "cpu: CommandError: exit status 3");
    text_is(MU_ST_ERROR, "CommandError", "cpu", "CommandError: exit status 3", "x", "cpu: CommandError: exit status 3");
    text_is(MU_ST_ERROR, "CommandError", "cpu", "cpu: CommandError: exit status 3", "x",
            "cpu: CommandError: exit status 3");
    text_is(MU_ST_ERROR, "E", "cpu", "cpu:3: bad", "x", "cpu: E: cpu:3: bad");
    text_is(MU_ST_ERROR, NULL, "cpu", "cpufreq: gone", "x", "cpu: cpufreq: gone");
    text_is(MU_ST_TIMEOUT, "TimeoutError", "cpu", "step timeout", "x", "cpu: step timeout");
    text_is(MU_ST_FAILED, "ServerOperationError", "teardown", "destroy failed", "x",
            "teardown: ServerOperationError: destroy failed");
    text_is(MU_ST_ERROR, "ScriptError", "setup", NULL, "first\nsecond", "setup: ScriptError: first");
    text_is(MU_ST_ERROR, "ScriptError", "setup", NULL, NULL, "setup: ScriptError");
    text_is(MU_ST_ERROR, "ScriptError", "setup", "ScriptError:", NULL, "setup: ScriptError");
    text_is(MU_ST_ERROR, NULL, NULL, "", "", "task: no reason given");
}

/* ---- reasons of a step ---- */

struct seen {
    size_t n;
    char text[4000];
};

static void see(void *arg, const struct mu_reason *reason)
{
    struct seen *seen = arg;
    struct mu_buf out = MU_BUF_INIT;
    mu_reason_text(reason, &out);
    size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof(seen->text) - used, "%s %s%s\n", mu_status_name(reason->status),
             mu_buf_cstr(&out), reason->metric && !reason->failure ? " (untold)" : "");
    seen->n++;
    mu_buf_free(&out);
}

static void a_missed_threshold_comes_once(void **state)
{
    (void)state;
    struct mu_threshold th = {.has_min = true, .min = 50};
    struct mu_step_result *s = mu_step_result_new("gpu");
    struct seen seen = {0};
    mu_step_result_add_metric(s, "a", 1, "fps", &th);
    mu_step_result_add_metric(s, "b", 60, NULL, &th);
    mu_step_result_add_metric(s, "c", 3, NULL, &th);
    mu_step_result_add_metric(s, "d", 4, NULL, &th);
    mu_step_result_add_failure(s, MU_ST_FAILED, "PerformanceBelowExpected", "d", "slow", NULL); /* not in order */
    mu_step_result_add_failure(s, MU_ST_FAILED, "PerformanceBelowExpected", "a", "slow", NULL);
    mu_step_result_add_failure(s, MU_ST_ERROR, "ScriptError", "b", "b is odd", NULL); /* of a metric that passed */
    mu_reason_each_in_step(s, see, &seen);
    assert_string_equal(seen.text, "failed gpu.d 4 < 50\n"
                                   "failed gpu.a 1 < 50 fps\n"
                                   "error gpu: ScriptError: b is odd\n"
                                   "failed gpu.c 3 < 50 (untold)\n");
    mu_step_result_free(s);
}

static void a_broken_step_has_a_reason_in_any_case(void **state)
{
    (void)state;
    struct mu_step_result *s = mu_step_result_new("gpu");
    struct seen seen = {0};
    mu_reason_each_in_step(s, see, &seen);
    assert_int_equal(seen.n, 0);
    s->status = MU_ST_SKIPPED;
    mu_reason_each_in_step(s, see, &seen);
    assert_int_equal(seen.n, 0);
    s->status = MU_ST_TIMEOUT;
    mu_reason_each_in_step(s, see, &seen);
    assert_string_equal(seen.text, "timeout gpu: no reason given\n");
    mu_step_result_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_read_well),
        cmocka_unit_test(a_near_miss_is_not_rounded_onto_its_bound),
        cmocka_unit_test(where_type_cause_each_once),
        cmocka_unit_test(a_missed_threshold_comes_once),
        cmocka_unit_test(a_broken_step_has_a_reason_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
