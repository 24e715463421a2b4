/* How large a JUnit report gets: Jenkins holds it in memory, all of it. */
#include "judge.h"

enum { STEPS = 6 };

static size_t written;

static void write_counted(const struct mu_run_result *r, struct mu_buf *out)
{
    mu_report_junit(r, out);
    written = out->len;
}

/* Well-formed, and as the schema wants it. */
static void check(struct mu_run_result *r)
{
    char xsd[512], said[8192];
    const char *slash = strrchr(__FILE__, '/');
    snprintf(xsd, sizeof(xsd), "%.*s/../../support/junit.xsd", (int)(slash - __FILE__), __FILE__);
    judge_write(r, write_counted);
    if (judge_run((const char *const[]){"xmllint", "--huge", "--noout", "--schema", xsd, judge_report, NULL}, "libxml2-utils", said,
                  sizeof(said)))
        fail_msg("%s", said);
}

static void add_steps(struct mu_task_result *t, double value, const char *text)
{
    for (int k = 0; k < STEPS; k++) {
        char name[16];
        snprintf(name, sizeof(name), "step%d", k);
        add_measured(t, name, "score", value, ">= 50 MiB/s");
        mu_buf_adds(&t->steps[k].log, text);
    }
}

static void a_large_fleet_in_order(void **state)
{
    struct mu_run_result *r = make_run(5000, "server", 4);
    (void)state;
    for (size_t i = 0; i < 5000; i++)
        add_steps(&r->tasks[i], 82, "printed\n");
    check(r);
    print_message("5000 servers, %d steps, all passed: %zu bytes, %zu a case\n", STEPS, written, written / (5000 * STEPS));
    assert_true(written / (5000 * STEPS) <= 80);
    mu_run_result_free(r);
}

/* Everything fails and every command prints a lot: what each may say gets less, and what is left out is said. */
static void a_fleet_that_fails_loudly(void **state)
{
    enum { N = 1000, LOG = 10000 };
    struct mu_run_result *r = make_run(N, "server", 4);
    char *log = malloc(LOG + 1), *more = malloc(LOG + 1);
    (void)state;
    assert_true(log && more);
    for (size_t i = 0; i < LOG; i += 2)
        memcpy(log + i, "\xc3\xa4", 3); /* two bytes a letter: none may be cut in half */
    memcpy(more, log, LOG + 1);
    memcpy(log, "the first words of it", 21);
    log[21] = ' ';
    memcpy(log + LOG - 13, "\nlast words\n\n", 14);
    for (size_t i = 0; i < N; i++) {
        add_steps(&r->tasks[i], 20, log);
        add_outside(&r->tasks[i], MU_ST_ERROR, "ScriptError", "teardown", more);
    }
    check(r);
    print_message("%d servers, %d steps, all failed with %d bytes of output: %zu bytes, %zu a case\n", N, STEPS, LOG, written,
                  written / (N * (STEPS + 1)));
    assert_true(written < 24000000);
    char said[8192], expression[] = "string(//testsuite[@name='step0']/testcase[1]/system-out)";
    assert_int_equal(judge_run((const char *const[]){"xmllint", "--huge", "--xpath", expression, judge_report, NULL}, "libxml2-utils",
                               said, sizeof(said)),
                     0);
    assert_memory_equal(said, "the first words of it", 21);
    assert_non_null(strstr(said, " bytes left out; the JSON report has them"));
    assert_string_equal(said + strlen(said) - 10, "last words");
    assert_true(strlen(said) < 1300);
    char length[] = "string-length(//testsuite[@name='teardown']/testcase[1]/error/@message)";
    assert_int_equal(judge_run((const char *const[]){"xmllint", "--huge", "--xpath", length, judge_report, NULL}, "libxml2-utils", said,
                               sizeof(said)),
                     0);
    assert_in_range(atoi(said), 480, 520); /* letters, of two bytes */
    free(log);
    free(more);
    mu_run_result_free(r);
}

/* With few in trouble each says nearly all. */
static void one_that_fails_loudly(void **state)
{
    struct mu_run_result *r = make_run(1, "server", 4);
    struct mu_buf log = MU_BUF_INIT, out = MU_BUF_INIT;
    (void)state;
    for (int i = 0; i < 1000; i++)
        mu_buf_addf(&log, "line %d\n", i);
    add_steps(&r->tasks[0], 20, log.data);
    settle_all(r);
    mu_report_junit(r, &out);
    assert_in_range(out.len, STEPS * 8000, STEPS * 9000);
    assert_non_null(strstr(out.data, "line 0\n"));
    assert_non_null(strstr(out.data, "line 999\n"));
    mu_buf_free(&log);
    mu_buf_free(&out);
    mu_run_result_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_fleet_in_order),
        cmocka_unit_test(a_fleet_that_fails_loudly),
        cmocka_unit_test(one_that_fails_loudly),
    };
    return cmocka_run_group_tests(tests, judge_setup, judge_teardown);
}
