#include "judge.h"

static void xpath_is(const char *expression, const char *expected)
{
    char got[8192];
    int rc = judge_run((const char *const[]){"xmllint", "--xpath", expression, judge_report, NULL}, "libxml2-utils", got,
                       sizeof(got));
    if (rc || strcmp(got, expected) != 0)
        fail_msg("%s\n is \"%s\" (xmllint %d)\n not \"%s\"", expression, got, rc, expected);
}

/* Write the report, have its structure checked, and its counts against its elements. */
static void write_and_check(struct mu_run_result *r)
{
    char xsd[512], said[8192];
    const char *slash = strrchr(__FILE__, '/');
    snprintf(xsd, sizeof(xsd), "%.*s/../../support/junit.xsd", (int)(slash - __FILE__), __FILE__);
    judge_write(r, mu_report_junit);
    int rc = judge_run((const char *const[]){"xmllint", "--noout", "--schema", xsd, judge_report, NULL}, "libxml2-utils",
                       said, sizeof(said));
    if (rc)
        fail_msg("xmllint --schema: %d: %s", rc, said);
    xpath_is("count(//testsuite[@tests != count(testcase)])", "0");
    xpath_is("count(//testsuite[@failures != count(testcase/failure)])", "0");
    xpath_is("count(//testsuite[@errors != count(testcase/error)])", "0");
    xpath_is("count(//testsuite[@skipped != count(testcase/skipped)])", "0");
    xpath_is("/testsuites/@tests = count(//testcase)", "true");
    xpath_is("/testsuites/@failures = count(//failure)", "true");
    xpath_is("/testsuites/@errors = count(//error)", "true");
    xpath_is("/testsuites/@skipped = count(//skipped)", "true");
}

/* ---- tests ---- */

static void an_empty_run(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(0, "", 0);
    write_and_check(r);
    xpath_is("count(//testsuite)", "0");
    mu_run_result_free(r);
}

static void the_whole_text(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(2, "srv", 2);
    struct mu_buf out = MU_BUF_INIT;
    add_measured(&r->tasks[0], "gpu", "score", 20, ">= 50 fps");
    mu_buf_adds(&r->tasks[0].steps[0].log, "line 1\nline <2>\n");
    add_measured(&r->tasks[1], "gpu", "score", 80, ">= 50 fps");
    mu_buf_adds(&r->tasks[1].steps[0].log, "not kept for those that passed\n");
    add_outside(&r->tasks[1], MU_ST_ERROR, "ScriptError", "teardown", "attempt to index a nil value");
    settle_all(r);
    mu_report_junit(r, &out);
    assert_string_equal(
        mu_buf_cstr(&out),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuites name=\"scripts/gpu.lua\" tests=\"3\" failures=\"1\" errors=\"1\" skipped=\"0\" time=\"61.042\">\n"
        "  <testsuite name=\"gpu\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\" time=\"2.000\" "
        "timestamp=\"2023-11-15T14:58:40\">\n"
        "    <testcase name=\"srv01\" classname=\"gpu.gpu\" time=\"1.000\">\n"
        "      <failure message=\"gpu.score 20 &lt; 50 fps\" type=\"PerformanceBelowExpected\">"
        "PerformanceBelowExpected: too slow\nscripts/gpu.lua:12\n</failure>\n"
        "      <system-out>line 1\nline &lt;2&gt;\n</system-out>\n"
        "    </testcase>\n"
        "    <testcase name=\"srv02\" classname=\"gpu.gpu\" time=\"1.000\"/>\n"
        "  </testsuite>\n"
        "  <testsuite name=\"teardown\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\" time=\"1.500\" "
        "timestamp=\"2023-11-15T14:58:40\">\n"
        "    <testcase name=\"srv02\" classname=\"gpu.teardown\" time=\"1.500\">\n"
        "      <error message=\"teardown: ScriptError: attempt to index a nil value\" type=\"ScriptError\">"
        "attempt to index a nil value\n</error>\n"
        "    </testcase>\n"
        "  </testsuite>\n"
        "</testsuites>\n");
    mu_buf_free(&out);
    write_and_check(r);
    mu_run_result_free(r);
}

static void statuses_become_elements(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(7, "srv", 2);
    add_measured(&r->tasks[0], "cpu", "score", 60, ">= 50");
    add_measured(&r->tasks[1], "cpu", "score", 6, ">= 50");
    add_broken(&r->tasks[2], "cpu", MU_ST_ERROR, "CommandError", "exit status 3", NULL);
    add_broken(&r->tasks[3], "cpu", MU_ST_TIMEOUT, NULL, "step timeout", NULL);
    add_broken(&r->tasks[4], "cpu", MU_ST_UNREACHABLE, "ConnectError", "connection refused", NULL);
    add_broken(&r->tasks[5], "cpu", MU_ST_SKIPPED, NULL, "needs gpu", NULL);
    add_broken(&r->tasks[6], "cpu", MU_ST_CANCELLED, NULL, "interrupted", NULL);
    write_and_check(r);
    xpath_is("count(//testsuite)", "1");
    xpath_is("count(//testcase[@name='srv01']/*)", "0");
    xpath_is("string(//testcase[@name='srv02']/failure/@message)", "cpu.score 6 < 50");
    xpath_is("string(//testcase[@name='srv03']/error/@type)", "CommandError");
    xpath_is("string(//testcase[@name='srv04']/error/@type)", "timeout");
    xpath_is("string(//testcase[@name='srv05']/error/@message)", "connect: connection refused");
    xpath_is("string(//testcase[@name='srv06']/skipped/@message)", "cpu: needs gpu");
    xpath_is("string(//testcase[@name='srv07']/error/@type)", "cancelled");
    r->interrupted = true;
    write_and_check(r);
    xpath_is("string(//testcase[@name='srv07']/skipped/@message)", "cpu: interrupted");
    mu_run_result_free(r);
}

static void several_failures_are_one_element(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(2, "srv", 2);
    struct mu_threshold th = {.has_min = true, .min = 50};
    struct mu_step_result *s = mu_step_result_new("gpu");
    mu_step_result_add_metric(s, "a", 1, NULL, &th);
    mu_step_result_add_metric(s, "b", 2, NULL, &th); /* nobody told of it */
    mu_step_result_add_failure(s, MU_ST_ERROR, "ScriptError", NULL, "c is missing", "ScriptError: c is missing");
    mu_step_result_add_failure(s, MU_ST_FAILED, NULL, "a", "slow", "a is slow");
    mu_task_result_add_step_take(&r->tasks[0], s);
    add_outside(&r->tasks[1], MU_ST_ERROR, "E1", "setup", "first");
    add_outside(&r->tasks[1], MU_ST_FAILED, "E2", "setup", "second");
    add_outside(&r->tasks[1], MU_ST_FAILED, "E3", "setup", "third");
    write_and_check(r);
    xpath_is("string(//testsuite[@name='gpu']//failure/@message)", "gpu.a 1 < 50; gpu.b 2 < 50");
    xpath_is("string(//testsuite[@name='gpu']//failure)", "ScriptError: c is missing\na is slow\ngpu.b 2 < 50");
    xpath_is("string(//testsuite[@name='setup']//failure/@message)", "setup: E2: second; setup: E3: third");
    xpath_is("string(//testsuite[@name='setup']//failure/@type)", "E2");
    xpath_is("string(//testsuite[@name='setup']//failure)", "first\nsecond\nthird");
    mu_run_result_free(r);
}

static void samples_and_what_was_not_judged(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(2, "srv", 2);
    struct mu_threshold th = {.has_min = true, .min = 80, .peers = {.on = true, .drop = {MU_AMOUNT_PLAIN, 1}, .min_cohort = 5}};
    const double good[] = {81, 79, 82}, bad[] = {20, 79, 21};
    struct mu_step_result *s = mu_step_result_new("gpu");
    mu_step_result_add_samples(s, "a", good, 3, NULL, &th);
    s->metrics[0].peers = (struct mu_peer_verdict){.state = MU_PEERS_NOT_JUDGED, .note = strdup(HOSTILE)};
    mu_task_result_add_step_take(&r->tasks[0], s);
    s = mu_step_result_new("gpu");
    mu_step_result_add_samples(s, "a", bad, 3, NULL, &th);
    mu_buf_adds(&s->log, "printed\n");
    mu_task_result_add_step_take(&r->tasks[1], s);
    write_and_check(r);
    xpath_is("starts-with(//testcase[@name='srv01']/system-out, 'a not judged by peers: ')", "true");
    xpath_is("contains(//testcase[@name='srv01']/system-out, 'a 81 (median of 3 samples, 79\xe2\x80\x93""82): 81 79 82')", "true");
    xpath_is("string(//testcase[@name='srv02']/system-out)",
             "a 21 (median of 3 samples, 20\xe2\x80\x93""79): 20 79 21\nprinted");
    mu_run_result_free(r);
}

static void no_server_is_missing(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(5, "srv", 2);
    r->interrupted = true;
    add_measured(&r->tasks[0], "cpu", "score", 60, NULL);
    add_measured(&r->tasks[1], "cpu", "score", 60, NULL); /* was in its second step */
    r->tasks[1].finished = false;
    r->tasks[2].finished = r->tasks[2].dealt = false;
    add_measured(&r->tasks[3], "cpu", "score", 6, ">= 50"); /* failed, and then cut off */
    r->tasks[3].finished = false;
    /* the fifth had nothing to do */
    write_and_check(r);
    xpath_is("count(//testcase[@name='srv01'])", "1");
    xpath_is("string(//testsuite[@name='task']/testcase[@name='srv02']/skipped/@message)", "not finished");
    xpath_is("string(//testsuite[@name='task']/testcase[@name='srv03']/skipped/@message)", "never started");
    xpath_is("count(//testsuite[@name='cpu']/testcase[@name='srv04']/failure)", "1");
    xpath_is("string(//testsuite[@name='task']/testcase[@name='srv04']/skipped/@message)", "not finished");
    xpath_is("string(//testsuite[@name='task']/testcase[@name='srv05']/skipped/@message)", "no step ran");
    r->interrupted = false;
    write_and_check(r);
    xpath_is("string(//testsuite[@name='task']/testcase[@name='srv02']/error/@message)", "not finished");
    mu_run_result_free(r);
}

static void suites_come_steps_first_and_keep_apart(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(3, "srv", 2);
    r->script = (free(r->script), strdup("-"));
    add_outside(&r->tasks[0], MU_ST_UNREACHABLE, NULL, "connect", "connection refused");
    add_measured(&r->tasks[1], "zeta", "score", 60, NULL);
    add_measured(&r->tasks[1], "alpha", "score", 60, NULL);
    add_measured(&r->tasks[1], "setup", "score", 60, NULL); /* a step that is called like a phase */
    add_outside(&r->tasks[1], MU_ST_ERROR, NULL, "setup", "x");
    add_measured(&r->tasks[2], "beta", "score", 60, NULL);
    write_and_check(r);
    static const char *const names[] = {"zeta", "alpha", "setup", "beta", "connect", "setup (phase)"};
    for (size_t i = 0; i < 6; i++) {
        char expression[64];
        snprintf(expression, sizeof(expression), "string(//testsuite[%zu]/@name)", i + 1);
        xpath_is(expression, names[i]);
    }
    xpath_is("string(//testsuite[6]/testcase/@classname)", "-.setup (phase)");
    mu_run_result_free(r);
}

static void hostile_content_of_a_hundred_servers(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(100, "srv", 3);
    for (size_t i = 0; i < 100; i++) {
        struct mu_task_result *t = &r->tasks[i];
        add_broken(t, HOSTILE, MU_ST_ERROR, HOSTILE, HOSTILE, HOSTILE);
        mu_buf_adds(&t->steps[0].log, HOSTILE);
        mu_buf_add(&t->steps[0].log, "\0nul]]>\xed\xa0\x80\xef\xbf\xbf", 12);
        for (int c = 1; c < 256; c++)
            mu_buf_addc(&t->steps[0].log, (char)c);
        if (i % 2)
            add_measured(t, "cpu", HOSTILE, 1, ">= 50");
        if (i % 3 == 0)
            add_outside(t, MU_ST_FAILED, HOSTILE, HOSTILE, HOSTILE);
        t->finished = i % 10 != 0;
    }
    write_and_check(r);
    xpath_is("count(//testsuite)", "4");
    xpath_is("count(//testcase)", "194");
    xpath_is("count(//system-out)", "100");
    mu_run_result_free(r);
}

static void marks_and_what_was_left_behind(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(6, "srv", 2);
    for (size_t i = 0; i < 6; i++)
        add_measured(&r->tasks[i], "cpu", "score", i == 5 ? 60 : 6, ">= 50");
    r->marks.said = strdup("5%");
    r->marks.cap = 3;
    r->marks.candidates = 4;
    r->tasks[5].steps[0].measured = 2;
    r->tasks[5].steps[0].earlier = strdup("cpu.score 5 < 50");
    mu_task_result_set_mark(&r->tasks[0], MU_MARK_MADE, "muster: cpu.score 6 < 50", NULL, 2);
    mu_task_result_set_mark(&r->tasks[1], MU_MARK_KEPT, "muster: slow", "disk <replaced> by anna", 1);
    mu_task_result_set_mark(&r->tasks[2], MU_MARK_FAILED, "muster: slow", "HttpError: " HOSTILE, 3);
    mu_task_result_set_mark(&r->tasks[3], MU_MARK_WITHHELD, NULL, "interrupted", 0);
    r->tasks[4].left_behind = true;
    r->tasks[4].claim = strdup("{\"node\":\"n5\"}");
    r->interrupted = true;
    write_and_check(r);
    xpath_is("concat(//testsuite[2]/@name, '+', //testsuite[3]/@name, '+', count(//testsuite))", "mark+left behind+3");
    xpath_is("string(//testsuite[2]/testcase[@name='srv01']/system-out)", "marked as broken: muster: cpu.score 6 < 50");
    xpath_is("string(//testsuite[2]/testcase[@name='srv02']/system-out)", "left as it was: disk <replaced> by anna");
    xpath_is("starts-with(//testsuite[2]/testcase[@name='srv03']/error/@message, 'not marked as broken: HttpError: ')", "true");
    xpath_is("contains(//testsuite[2]/testcase[@name='srv03']/error, 'muster: slow')", "true");
    xpath_is("string(//testsuite[2]/testcase[@name='srv04']/skipped/@message)", "not marked as broken: interrupted");
    xpath_is("count(//testsuite[2]/testcase)", "4");
    xpath_is("string(//testsuite[3]/testcase/@name)", "srv05");
    xpath_is("string(//testsuite[3]/testcase/error/@message)", "still installed: `muster cleanup` destroys it");
    xpath_is("contains(//testsuite[3]/testcase/error, '{\"node\":\"n5\"}')", "true");
    xpath_is("string(//testsuite[1]/testcase[@name='srv06']/system-out)", "measured again; before that: cpu.score 5 < 50");
    r->interrupted = false;
    r->marks.over = true;
    write_and_check(r);
    xpath_is("string(//testsuite[2]/testcase[@name='srv04']/error/@message)",
             "not marked as broken: 4 of 6 servers were to be, more than the cap of 3 allows");
    mu_run_result_free(r);
}

static void ten_thousand_servers(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(10000, "srv", 5);
    struct mu_buf out = MU_BUF_INIT;
    for (size_t i = 0; i < r->n_tasks; i++) {
        for (int k = 0; k < 10; k++) {
            char name[16];
            snprintf(name, sizeof(name), "step%d", k);
            add_measured(&r->tasks[i], name, "score", (double)((i + (size_t)k) % 100), ">= 50");
        }
        add_outside(&r->tasks[i], MU_ST_ERROR, NULL, "teardown", "x");
    }
    settle_all(r);
    mu_report_junit(r, &out);
    assert_false(out.failed);
    assert_non_null(strstr(out.data, "tests=\"110000\" failures=\"50000\" errors=\"10000\" skipped=\"0\""));
    mu_buf_free(&out);
    mu_run_result_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_run),
        cmocka_unit_test(the_whole_text),
        cmocka_unit_test(statuses_become_elements),
        cmocka_unit_test(several_failures_are_one_element),
        cmocka_unit_test(samples_and_what_was_not_judged),
        cmocka_unit_test(no_server_is_missing),
        cmocka_unit_test(suites_come_steps_first_and_keep_apart),
        cmocka_unit_test(hostile_content_of_a_hundred_servers),
        cmocka_unit_test(marks_and_what_was_left_behind),
        cmocka_unit_test(ten_thousand_servers),
    };
    return cmocka_run_group_tests(tests, judge_setup, judge_teardown);
}
