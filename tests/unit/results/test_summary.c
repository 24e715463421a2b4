#include "build.h"

#include <math.h>

#include "results/summary.h"

static void all_passed(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(10, "srv", 2);
    for (size_t i = 0; i < 10; i++)
        add_measured(&r->tasks[i], "cpu", "score", 60, ">= 50");
    assert_summary(r, false, "Out of 10, 0 servers failed. failed_servers=[]\n");
    assert_summary(r, true, "Out of 10, \x1b[1;32m0\x1b[0m servers failed. failed_servers=[]\n");
    mu_run_result_free(r);
}

static void no_servers(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(0, "", 0);
    assert_summary(r, false, "Out of 0, 0 servers failed. failed_servers=[]\n");
    mu_run_result_free(r);
}

static void one_server(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(1, "srv", 2);
    add_measured(&r->tasks[0], "gpu", "score", 7, ">= 50");
    assert_summary(r, false,
                   "FAILED       gpu.score 7 < 50                  srv01              1\n"
                   "Out of 1, 1 server failed. failed_servers=[srv01]\n");
    mu_run_result_free(r);
}

/* The example of the documentation, to the byte. */
static void the_example(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(800, "srv", 4);
    rename_server(r, 10, "5304");
    rename_server(r, 20, "11673");
    rename_server(r, 30, "25182");
    for (size_t i = 0; i < 800; i++) {
        struct mu_task_result *t = &r->tasks[i];
        if (i >= 400 && i < 404) {
            add_outside(t, MU_ST_UNREACHABLE, "ConnectError", "connect", "connection refused");
            add_broken(t, "cpu", MU_ST_SKIPPED, NULL, "no connection", NULL);
            continue;
        }
        add_measured(t, "cpu", "score", i == 20 ? 7 : 60, ">= 50");
        add_measured(t, "gpu", "score", i == 10 ? 20 : i == 30 ? 14 : 80, ">= 50");
    }
    assert_summary(r, false,
                   "FAILED       gpu.score 14\xe2\x80\x93"
                   "20 < 50              [5304,25182]       2\n"
                   "FAILED       cpu.score 7 < 50                  11673              1\n"
                   "UNREACHABLE  connect: connection refused       srv[0401-0404]     4\n"
                   "Not measured: 4 servers. unmeasured_servers=[srv0401, srv0402, srv0403, srv0404]\n"
                   "Out of 800, 3 servers failed. failed_servers=[5304, 11673, 25182]\n");
    assert_int_equal(mu_run_result_exit_code(r), 1);
    mu_run_result_free(r);
}

/* Every status, several failures of one server, one cause in several phases, units, both bounds. */
static void many_causes(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(12, "srv", 2);
    add_measured(&r->tasks[0], "cpu", "events_per_second", 310, ">= 500 events/s");
    add_measured(&r->tasks[1], "cpu", "events_per_second", 402.25, ">= 500 events/s");
    add_measured(&r->tasks[2], "cpu", "events_per_second", 402.25, ">= 500.5 events/s"); /* another bound */
    add_measured(&r->tasks[2], "disk", "latency", 9.5, "<= 5 ms");
    add_measured(&r->tasks[0], "disk", "latency", 7, "<= 5 ms");
    add_measured(&r->tasks[3], "disk", "latency", 5, "< 5 ms");
    add_broken(&r->tasks[0], "gpu", MU_ST_ERROR, "CommandError", "exit status 3", "CommandError: exit status 3");
    add_broken(&r->tasks[4], "gpu", MU_ST_ERROR, "CommandError", "exit status 3", "CommandError: exit status 3");
    add_broken(&r->tasks[5], "gpu", MU_ST_TIMEOUT, "TimeoutError", "step timeout of 30m", NULL);
    add_outside(&r->tasks[6], MU_ST_UNREACHABLE, NULL, "connect", "connect: connection refused");
    add_broken(&r->tasks[7], "gpu", MU_ST_UNREACHABLE, "ConnectError", "connection refused", NULL);
    add_broken(&r->tasks[8], "gpu", MU_ST_SKIPPED, NULL, "needs cpu", NULL);
    add_broken(&r->tasks[9], "gpu", MU_ST_SKIPPED, NULL, "needs cpu", NULL);
    add_outside(&r->tasks[10], MU_ST_FAILED, "ServerOperationError", "teardown", "destroy failed");
    add_measured(&r->tasks[11], "cpu", "events_per_second", 900, ">= 500 events/s");
    assert_summary(r, false,
                   "FAILED       cpu.events_per_second 310\xe2\x80\x93"
                   "402.25 < 500 events/s  srv[01-02]         2\n"
                   "FAILED       disk.latency 7\xe2\x80\x93"
                   "9.5 > 5 ms                        srv[01,03]         2\n"
                   "FAILED       cpu.events_per_second 402.25 < 500.5 events/s    srv03              1\n"
                   "FAILED       disk.latency 5 >= 5 ms                           srv04              1\n"
                   "FAILED       teardown: ServerOperationError: destroy failed   srv11              1\n"
                   "ERROR        gpu: CommandError: exit status 3                 srv[01,05]         2\n"
                   "TIMEOUT      gpu: step timeout of 30m                         srv06              1\n"
                   "UNREACHABLE  connect: connection refused                      srv[07-08]         2\n"
                   "SKIPPED      gpu: needs cpu                                   srv[09-10]         2\n"
                   "Not measured: 4 servers. unmeasured_servers=[srv05, srv06, srv07, srv08]\n"
                   "Out of 12, 5 servers failed. failed_servers=[srv01, srv02, srv03, srv04, srv11]\n");
    mu_run_result_free(r);
}

static void interrupted(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(6, "srv", 2);
    r->interrupted = true;
    r->signal = 2;
    add_measured(&r->tasks[0], "cpu", "score", 60, ">= 50");
    r->tasks[1].finished = false; /* failed one step, was in the next */
    add_measured(&r->tasks[1], "cpu", "score", 40, ">= 50");
    add_broken(&r->tasks[2], "cpu", MU_ST_CANCELLED, NULL, "interrupted", NULL); /* teardown done */
    r->tasks[3].finished = false;
    for (size_t i = 4; i < 6; i++)
        r->tasks[i].finished = r->tasks[i].dealt = false;
    mu_task_result_add_unended(&r->tasks[1], "sysbench cpu --time=10 run");
    mu_task_result_add_unended(&r->tasks[3], "sleep 1\nrm -rf /tmp/\x1b[31mx");
    mu_task_result_add_unended(&r->tasks[2], "sysbench cpu --time=10 run");
    assert_summary(r, false,
                   "FAILED       cpu.score 40 < 50                 srv02              1\n"
                   "CANCELLED    cpu: interrupted                  srv03              1\n"
                   "Still running: 2 commands on srv[02-03] could not be confirmed ended: \"sysbench cpu --time=10 run\"\n"
                   "Still running: 1 command on srv04 could not be confirmed ended: "
                   "\"sleep 1\\nrm -rf /tmp/\\x1b[31mx\"\n"
                   "Not finished: 5 servers (2 never started). unfinished_servers=[srv02, srv03, srv04, srv05, srv06]\n"
                   "Out of 6, 1 server failed. failed_servers=[srv02]\n");
    mu_run_result_free(r);

    r = make_run(2, "srv", 2);
    add_measured(&r->tasks[0], "cpu", "score", 60, NULL);
    r->tasks[1].finished = false;
    assert_summary(r, false,
                   "Not finished: 1 server. unfinished_servers=[srv02]\n"
                   "Out of 2, 0 servers failed. failed_servers=[]\n");
    mu_run_result_free(r);
}

static void every_server_that_did_not_pass_is_named(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(3, "srv", 2);
    struct mu_step_result *s = mu_step_result_new("gpu"); /* nobody said why */
    s->status = MU_ST_FAILED;
    mu_task_result_add_step_take(&r->tasks[0], s);
    s = mu_step_result_new("gpu");
    s->status = MU_ST_SKIPPED;
    mu_task_result_add_step_take(&r->tasks[2], s);
    assert_summary(r, false,
                   "FAILED       gpu: no reason given              srv01              1\n"
                   "SKIPPED      every step skipped                srv03              1\n"
                   "SKIPPED      no step ran                       srv02              1\n"
                   "Out of 3, 1 server failed. failed_servers=[srv01]\n");
    mu_run_result_free(r);
}

static void colour_is_around_words_and_numbers_only(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(3, "srv", 2);
    add_measured(&r->tasks[0], "gpu", "score", 7, ">= 50");
    add_outside(&r->tasks[1], MU_ST_UNREACHABLE, NULL, "connect", "connection refused");
    r->tasks[2].finished = false;
    assert_summary(r, true,
                   "\x1b[1;31mFAILED\x1b[0m       gpu.score 7 < 50                  srv01              "
                   "\x1b[1;31m1\x1b[0m\n"
                   "\x1b[1;33mUNREACHABLE\x1b[0m  connect: connection refused       srv02              "
                   "\x1b[1;33m1\x1b[0m\n"
                   "Not finished: \x1b[1;36m1\x1b[0m server. unfinished_servers=[srv03]\n"
                   "Not measured: \x1b[1;35m1\x1b[0m server. unmeasured_servers=[srv02]\n"
                   "Out of 3, \x1b[1;31m1\x1b[0m server failed. failed_servers=[srv01]\n");
    mu_run_result_free(r);
}

static void lists_fold_when_longer_than_twenty(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(21, "srv", 3);
    for (size_t i = 0; i < 20; i++)
        add_measured(&r->tasks[19 - i], "cpu", "score", 1, ">= 50");
    add_measured(&r->tasks[20], "cpu", "score", 99, ">= 50");
    assert_summary(r, false,
                   "FAILED       cpu.score 1 < 50                  srv[001-020]      20\n"
                   "Out of 21, 20 servers failed. failed_servers=[srv001, srv002, srv003, srv004, srv005, srv006, srv007, "
                   "srv008, srv009, srv010, srv011, srv012, srv013, srv014, srv015, srv016, srv017, srv018, srv019, "
                   "srv020]\n");
    mu_run_result_free(r);

    r = make_run(401, "srv", 3);
    rename_server(r, 400, "x7");
    for (size_t i = 0; i < 401; i++)
        add_measured(&r->tasks[i], "cpu", "score", 1, ">= 50");
    assert_summary(r, false,
                   "FAILED       cpu.score 1 < 50                  srv[001-400],x7   401\n"
                   "Out of 401, 401 servers failed. failed_servers=[srv[001-400],x7]\n");
    mu_run_result_free(r);
}

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; (text = strchr(text, '\n')); text++)
        n++;
    return n;
}

static void hostile_text_forges_nothing(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(3, "srv", 2);
    struct mu_buf out = MU_BUF_INIT;
    add_outside(&r->tasks[0], MU_ST_ERROR, HOSTILE, HOSTILE, HOSTILE);
    add_measured(&r->tasks[1], HOSTILE, HOSTILE, 1, ">= 50");
    rename_server(r, 2, "srv\x1b[2J\nOut of 3");
    add_outside(&r->tasks[2], MU_ST_FAILED, NULL, "task", "x");
    mu_task_result_add_unended(&r->tasks[2], HOSTILE);
    settle_all(r);
    mu_summary_write(r, false, &out);
    assert_false(out.failed);
    assert_int_equal(count_lines(out.data), 3 + 1 + 1 + 1);
    for (size_t i = 0; i < out.len; i++) {
        unsigned char c = (unsigned char)out.data[i];
        assert_true(c == '\n' || (c >= 0x20 && c != 0x7f));
    }
    assert_null(strstr(out.data, "\xc2\x9b"));
    assert_null(strstr(out.data, "\xe2\x80\xae"));
    assert_null(strchr(out.data, '\xff'));
    assert_non_null(strstr(out.data, "\nOut of 3, 2 servers failed. failed_servers=[srv02, srv\\x1b[2J\\nOut of 3]\n"));
    mu_buf_free(&out);
    mu_run_result_free(r);
}

static void cut_is(const char *text, size_t columns, const char *expected, size_t cols)
{
    struct mu_buf out = MU_BUF_INIT;
    assert_int_equal(mu_summary_add_cut(&out, text, strlen(text), columns), cols);
    assert_string_equal(mu_buf_cstr(&out), expected);
    mu_buf_free(&out);
}

static void long_causes_are_cut_between_characters(void **state)
{
    (void)state;
    cut_is("", 5, "", 0);
    cut_is("12345", 5, "12345", 5);
    cut_is("123456", 5, "1234\xe2\x80\xa6", 5);
    cut_is("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f", 4, "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f", 4);
    cut_is("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f!", 4, "\xc3\xa4\xc3\xb6\xc3\xbc\xe2\x80\xa6", 4);
    cut_is("ab\x01z", 5, "ab\xe2\x80\xa6", 3);       /* not inside \x01 */
    cut_is("ab\x01", 6, "ab\\x01", 6);
    cut_is("a\xe2\x80\xaez", 8, "a\xe2\x80\xa6", 2); /* not inside \u{202e} */
    cut_is("a\nbcd", 4, "a\\n\xe2\x80\xa6", 4);
    cut_is("\\x", 2, "\xe2\x80\xa6", 1);             /* a doubled backslash is one unit */
    cut_is("\\\\", 4, "\\\\\\\\", 4);

    struct mu_run_result *r = make_run(2, "srv", 2);
    char cause[201], expected[400];
    memset(cause, 'c', 200);
    cause[200] = '\0';
    add_outside(&r->tasks[0], MU_ST_ERROR, NULL, "setup", cause);
    add_outside(&r->tasks[1], MU_ST_ERROR, NULL, "setup", "short");
    snprintf(expected, sizeof(expected),
             "ERROR        setup: %.92s\xe2\x80\xa6  srv01              1\n"
             "ERROR        setup: short%*s  srv02              1\n"
             "Not measured: 2 servers. unmeasured_servers=[srv01, srv02]\n"
             "Out of 2, 0 servers failed. failed_servers=[]\n",
             cause, 48, "");
    assert_summary(r, false, expected);
    mu_run_result_free(r);
}

static void a_huge_node_set_is_cut_in_the_table_alone(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(1000, "srv", 4);
    struct mu_buf out = MU_BUF_INIT;
    for (size_t i = 0; i < 1000; i++)
        add_measured(&r->tasks[i], "cpu", "score", i % 2 ? 1 : 60, ">= 50");
    settle_all(r);
    mu_summary_write(r, false, &out);
    char *newline = strchr(out.data, '\n');
    assert_true(newline - out.data < 500);
    *newline = '\0';
    assert_non_null(strstr(out.data, "srv[0002,0004,"));
    assert_non_null(strstr(out.data, ",\xe2\x80\xa6]  500"));
    assert_non_null(strstr(newline + 1, ",0998,1000]]\n"));
    mu_buf_free(&out);
    mu_run_result_free(r);
}

static void infinite_values_and_one_server_twice(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(2, "srv", 2);
    add_measured(&r->tasks[0], "cpu", "score", -INFINITY, ">= 50");
    add_measured(&r->tasks[1], "cpu", "score", 3, ">= 50");
    add_outside(&r->tasks[0], MU_ST_ERROR, NULL, "task", "same");
    add_outside(&r->tasks[0], MU_ST_ERROR, NULL, "task", "same");
    assert_summary(r, false,
                   "FAILED       cpu.score -inf\xe2\x80\x93"
                   "3 < 50             srv[01-02]         2\n"
                   "ERROR        task: same                        srv01              1\n"
                   "Out of 2, 2 servers failed. failed_servers=[srv01, srv02]\n");
    mu_run_result_free(r);
}

static void equal_bounds_of_different_units_are_kept_apart(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(2, "srv", 2);
    add_measured(&r->tasks[0], "disk", "rate", 3, ">= 50 MB/s");
    add_measured(&r->tasks[1], "disk", "rate", 4, ">= 50 MiB/s");
    assert_summary(r, false,
                   "FAILED       disk.rate 3 < 50 MB/s             srv01              1\n"
                   "FAILED       disk.rate 4 < 50 MiB/s            srv02              1\n"
                   "Out of 2, 2 servers failed. failed_servers=[srv01, srv02]\n");
    mu_run_result_free(r);
}

static void a_locale_with_a_comma_changes_nothing(void **state)
{
    (void)state;
    use_comma_locale();
    struct mu_run_result *r = make_run(1, "srv", 2);
    add_measured(&r->tasks[0], "cpu", "score", 0.25, ">= 0.5");
    assert_summary(r, false,
                   "FAILED       cpu.score 0.25 < 0.5              srv01              1\n"
                   "Out of 1, 1 server failed. failed_servers=[srv01]\n");
    mu_run_result_free(r);
    assert_int_equal(localeconv()->decimal_point[0], ','); /* given back */
    setlocale(LC_NUMERIC, "C");
}

/* Linear or n log n: with anything quadratic these would not end within the test's time. */
static void a_hundred_thousand_servers(void **state)
{
    (void)state;
    const size_t n = 100000;
    struct mu_run_result *r = make_run(n, "srv", 6);
    struct mu_buf out = MU_BUF_INIT;
    for (size_t i = 0; i < n; i++) {
        char cause[64];
        snprintf(cause, sizeof(cause), "cause %06zu", i);
        add_measured(&r->tasks[i], "cpu", "score", (double)i / (double)n, ">= 50");
        add_outside(&r->tasks[i], MU_ST_ERROR, NULL, "teardown", cause); /* folds not at all */
        mu_task_result_add_unended(&r->tasks[i], cause);
        r->tasks[i].finished = i % 2;
    }
    settle_all(r);
    mu_summary_write(r, false, &out);
    assert_false(out.failed);
    assert_int_equal(count_lines(out.data), 1 + n + n + 1 + 1);
    assert_non_null(strstr(out.data, "FAILED       cpu.score 0\xe2\x80\x93"
                                     "0.99999 < 50          srv[000001-100000]  100000\n"
                                     "ERROR        teardown: cause 000000            srv000001                1\n"));
    assert_non_null(strstr(out.data, "\nOut of 100000, 100000 servers failed. failed_servers=[srv[000001-100000]]\n"));
    mu_buf_free(&out);
    mu_run_result_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_passed),
        cmocka_unit_test(no_servers),
        cmocka_unit_test(one_server),
        cmocka_unit_test(the_example),
        cmocka_unit_test(many_causes),
        cmocka_unit_test(interrupted),
        cmocka_unit_test(every_server_that_did_not_pass_is_named),
        cmocka_unit_test(colour_is_around_words_and_numbers_only),
        cmocka_unit_test(lists_fold_when_longer_than_twenty),
        cmocka_unit_test(hostile_text_forges_nothing),
        cmocka_unit_test(long_causes_are_cut_between_characters),
        cmocka_unit_test(a_huge_node_set_is_cut_in_the_table_alone),
        cmocka_unit_test(infinite_values_and_one_server_twice),
        cmocka_unit_test(equal_bounds_of_different_units_are_kept_apart),
        cmocka_unit_test(a_locale_with_a_comma_changes_nothing),
        cmocka_unit_test(a_hundred_thousand_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
