/* The lines of the summary about marks and installations left behind, and the exit code they give. */
#include "build.h"

static struct mu_run_result *failing(size_t n, size_t failed)
{
    struct mu_run_result *r = make_run(n, "srv", 2);
    for (size_t i = 0; i < n; i++)
        add_measured(&r->tasks[i], "cpu", "score", i < failed ? 6 : 60, ">= 50");
    r->marks.said = strdup("5%");
    r->marks.cap = 10;
    r->marks.candidates = failed;
    return r;
}

static void mark(struct mu_run_result *r, size_t i, enum mu_mark_state state, const char *note)
{
    assert_int_equal(mu_task_result_set_mark(&r->tasks[i], state, "muster: cpu.score 6 < 50", note, 1), 0);
}

static void made_kept_and_not_made(void **state)
{
    (void)state;
    struct mu_run_result *r = failing(9, 7);
    mark(r, 0, MU_MARK_MADE, NULL);
    mark(r, 1, MU_MARK_FAILED, "HttpError: connection refused");
    mark(r, 2, MU_MARK_MADE, NULL);
    mark(r, 3, MU_MARK_KEPT, "already in maintenance");
    mark(r, 4, MU_MARK_FAILED, "HttpError: \x1b[31mstatus 500\nand more");
    mark(r, 5, MU_MARK_FAILED, "HttpError: connection refused");
    mark(r, 6, MU_MARK_FAILED, NULL);
    assert_summary(r, false,
                   "FAILED       cpu.score 6 < 50                  srv[01-07]         7\n"
                   "Marked as broken: 2 servers. marked_servers=[srv01, srv03]\n"
                   "Mark kept: 1 server was marked by someone else. kept_servers=[srv04]\n"
                   "NOT MARKED: mark could not be made for 1 server: HttpError: \\x1b[31mstatus 500. "
                   "mark_failed_servers=[srv05]\n"
                   "NOT MARKED: mark could not be made for 2 servers: HttpError: connection refused. "
                   "mark_failed_servers=[srv02, srv06]\n"
                   "NOT MARKED: mark could not be made for 1 server: no reason given. mark_failed_servers=[srv07]\n"
                   "Out of 9, 7 servers failed. failed_servers=[srv01, srv02, srv03, srv04, srv05, srv06, srv07]\n");
    assert_int_equal(mu_run_result_exit_code(r), 4);
    for (size_t i = 0; i < 7; i++)
        mark(r, i, i == 3 ? MU_MARK_KEPT : MU_MARK_MADE, NULL);
    assert_int_equal(mu_run_result_exit_code(r), 1);
    r->interrupted = true;
    mark(r, 1, MU_MARK_FAILED, NULL);
    assert_int_equal(mu_run_result_exit_code(r), 130);
    mu_run_result_free(r);
}

static void over_the_cap(void **state)
{
    (void)state;
    struct mu_run_result *r = failing(40, 22);
    r->marks.over = true;
    for (size_t i = 0; i < 22; i++)
        mark(r, i, MU_MARK_WITHHELD, "more than the cap allows");
    assert_summary(r, true,
                   "\x1b[1;31mFAILED\x1b[0m       cpu.score 6 < 50                  srv[01-22]        \x1b[1;31m22\x1b[0m\n"
                   "\x1b[1;31mNOT MARKED\x1b[0m: 22 of 40 servers failed, more than the cap of 10 (5%) allows: nobody was "
                   "marked. The script or the firmware is the likelier culprit. unmarked_servers=[srv[01-22]]\n"
                   "Out of 40, \x1b[1;31m22\x1b[0m servers failed. failed_servers=[srv[01-22]]\n");
    assert_int_equal(mu_run_result_exit_code(r), 4);
    mu_run_result_free(r);
}

static void over_the_cap_with_other_statuses(void **state)
{
    (void)state;
    struct mu_run_result *r = failing(3, 1);
    free(r->marks.said);
    r->marks.said = strdup("1");
    r->marks.cap = 1;
    r->marks.over = true;
    add_outside(&r->tasks[1], MU_ST_ERROR, "HttpError", "setup", "status 500");
    mark(r, 0, MU_MARK_WITHHELD, "more than the cap allows");
    mark(r, 1, MU_MARK_WITHHELD, "more than the cap allows");
    assert_summary(r, false,
                   "FAILED       cpu.score 6 < 50                  srv01              1\n"
                   "ERROR        setup: HttpError: status 500      srv02              1\n"
                   "Not measured: 1 server. unmeasured_servers=[srv02]\n"
                   "NOT MARKED: 2 of 3 servers were to be marked, more than the cap of 1 allows: nobody was marked. The "
                   "script or the firmware is the likelier culprit. unmarked_servers=[srv01, srv02]\n"
                   "Out of 3, 1 server failed. failed_servers=[srv01]\n");
    mu_run_result_free(r);
}

static void interrupted(void **state)
{
    (void)state;
    struct mu_run_result *r = failing(3, 2);
    r->interrupted = true;
    r->signal = 15;
    mark(r, 0, MU_MARK_WITHHELD, "interrupted");
    mark(r, 1, MU_MARK_MADE, NULL);
    assert_summary(r, false,
                   "FAILED       cpu.score 6 < 50                  srv[01-02]         2\n"
                   "Marked as broken: 1 server. marked_servers=[srv02]\n"
                   "Not marked: 1 server, since the run was interrupted. unmarked_servers=[srv01]\n"
                   "Out of 3, 2 servers failed. failed_servers=[srv01, srv02]\n");
    assert_int_equal(mu_run_result_exit_code(r), 143);
    mu_run_result_free(r);
}

static void left_behind(void **state)
{
    (void)state;
    struct mu_run_result *r = failing(4, 0);
    r->tasks[1].left_behind = true;
    assert_summary(r, false,
                   "LEFT BEHIND  srv02 still installed: `muster cleanup` destroys it\n"
                   "Out of 4, 0 servers failed. failed_servers=[]\n");
    assert_int_equal(mu_run_result_exit_code(r), 4);
    r->tasks[2].left_behind = true;
    assert_summary(r, true,
                   "\x1b[1;31mLEFT BEHIND\x1b[0m  srv[02-03] still installed: `muster cleanup` destroys them\n"
                   "Out of 4, \x1b[1;32m0\x1b[0m servers failed. failed_servers=[]\n");
    mu_run_result_free(r);
}

static void a_dry_run(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(2, "srv", 2);
    r->dry_run = true;
    for (size_t i = 0; i < 2; i++)
        add_broken(&r->tasks[i], "cpu", MU_ST_SKIPPED, NULL, "dry run", "dry run");
    assert_summary(r, false,
                   "SKIPPED      cpu: dry run                      srv[01-02]         2\n"
                   "Dry run: nothing was changed, and nothing measured.\n"
                   "Out of 2, 0 servers failed. failed_servers=[]\n");
    assert_int_equal(mu_run_result_exit_code(r), 0);
    mu_run_result_free(r);
}

static void destructive_steps_that_were_not_allowed(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(3, "srv", 2);
    for (size_t i = 0; i < 3; i++) {
        static const char *const names[] = {"wi\x1bpe", "erase"};
        add_measured(&r->tasks[i], "cpu", "score", 60, ">= 50");
        for (size_t j = 0; j < (i == 1 ? 1 : 2); j++) {
            add_broken(&r->tasks[i], names[j], MU_ST_SKIPPED, NULL, MU_WITHHELD, MU_WITHHELD);
            r->tasks[i].steps[1 + j].withheld = true;
        }
    }
    assert_summary(r, false,
                   "Not run: step erase is destructive and was skipped on 2 servers; --allow-destructive runs it. "
                   "withheld_servers=[srv01, srv03]\n"
                   "Not run: step wi\\x1bpe is destructive and was skipped on 3 servers; --allow-destructive runs it. "
                   "withheld_servers=[srv01, srv02, srv03]\n"
                   "Out of 3, 0 servers failed. failed_servers=[]\n");
    assert_int_equal(mu_run_result_exit_code(r), 0);
    mu_run_result_free(r);
}

static void after_all_that_did_not_work(void **state)
{
    (void)state;
    struct mu_run_result *r = failing(3, 0);
    r->after_all = strdup("HttpError: \x1b[31mno\nmore");
    assert_summary(r, true,
                   "\x1b[1;35mafter_all did not work\x1b[0m: HttpError: \\x1b[31mno\n"
                   "Out of 3, \x1b[1;32m0\x1b[0m servers failed. failed_servers=[]\n");
    assert_int_equal(mu_run_result_exit_code(r), 3);
    r->interrupted = true;
    assert_int_equal(mu_run_result_exit_code(r), 130);
    r->interrupted = false;
    mark(r, 1, MU_MARK_FAILED, NULL);
    assert_int_equal(mu_run_result_exit_code(r), 4);
    mu_run_result_free(r);
    r = failing(3, 1);
    r->after_all = strdup("x");
    for (size_t i = 0; i < 3; i++)
        mu_task_result_settle(&r->tasks[i]);
    assert_int_equal(mu_run_result_exit_code(r), 1);
    mu_run_result_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_kept_and_not_made), cmocka_unit_test(over_the_cap),
        cmocka_unit_test(over_the_cap_with_other_statuses),
        cmocka_unit_test(interrupted),            cmocka_unit_test(left_behind),
        cmocka_unit_test(a_dry_run),
        cmocka_unit_test(destructive_steps_that_were_not_allowed),
        cmocka_unit_test(after_all_that_did_not_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
