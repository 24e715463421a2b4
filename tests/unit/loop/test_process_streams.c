/* Streams of any length to a local command and from it: to their end, failing, and cut off. */
#include "process_support.h"

struct flow {
    size_t give, given, fail_after; /* fail_after 0: never */
    size_t took, fail_take_after;
    unsigned char next_in, next_out;
    bool wrong;
};

static long give(void *arg, char *buf, size_t n, struct mu_err *err)
{
    struct flow *f = arg;
    size_t left = f->give - f->given;

    if (f->fail_after && f->given >= f->fail_after)
        return mu_err_set(err, MU_EIO, "the source failed");
    n = n < left ? n : left;
    for (size_t i = 0; i < n; i++)
        buf[i] = (char)f->next_in++;
    f->given += n;
    return (long)n;
}

static int take(void *arg, const char *bytes, size_t n, struct mu_err *err)
{
    struct flow *f = arg;

    for (size_t i = 0; i < n; i++)
        f->wrong = f->wrong || (unsigned char)bytes[i] != f->next_out++;
    f->took += n;
    return f->fail_take_after && f->took > f->fail_take_after ? mu_err_set(err, MU_EIO, "the target failed") : 0;
}

static void open_flow(struct job *j, struct flow *f, const char *command)
{
    job_open(j, command);
    j->req.more_input = give;
    j->req.on_output = take;
    j->req.stream_arg = f;
}

static void test_all_of_it(void **state)
{
    struct flow f = {.give = 20000000};
    struct job j;

    (void)state;
    open_flow(&j, &f, "echo beside >&2; cat");
    j.req.limit = 100; /* of standard error alone */
    job_start(&j);
    job_wait(&j);
    assert_ok(&j, "");
    assert_string_equal(mu_buf_cstr(&j.result->err), "beside\n");
    assert_int_equal(f.took, 20000000);
    assert_false(f.wrong);
    job_close(&j);
}

static void test_after_the_input(void **state)
{
    struct flow f = {0};
    struct job j;

    (void)state;
    open_flow(&j, &f, "cat");
    j.req.input = (char[]){0, 1, 2};
    j.req.input_len = 3;
    f.give = 1000;
    f.next_in = 3;
    job_start(&j);
    job_wait(&j);
    assert_int_equal(f.took, 1003);
    assert_false(f.wrong);
    job_close(&j);
}

static void test_nothing_to_give(void **state)
{
    struct flow f = {0};
    struct job j;

    (void)state;
    open_flow(&j, &f, "cat; echo -n >&2");
    job_start(&j);
    job_wait(&j);
    assert_ok(&j, "");
    assert_int_equal(f.took, 0);
    job_close(&j);
}

static void test_not_wanted(void **state)
{
    struct flow f = {.give = 50000000};
    struct job j;

    (void)state;
    open_flow(&j, &f, "exec true");
    job_start(&j);
    job_wait(&j);
    assert_ok(&j, "");
    assert_true(f.given < f.give);
    job_close(&j);
}

/* What stands for the end of a whole stream must not come when it failed: this cat would say so. */
static void test_source_fails(void **state)
{
    struct flow f = {.give = 20000000, .fail_after = 300000};
    struct job j;

    (void)state;
    open_flow(&j, &f, "cat >/dev/null; echo END >&2; exec sleep 1000");
    job_start(&j);
    job_wait(&j);
    assert_int_equal(j.result->error.code, MU_EIO);
    assert_string_equal(j.result->error.msg, "the source failed");
    assert_string_equal(mu_buf_cstr(&j.result->err), "");
    assert_false(j.result->unended);
    job_close(&j);
}

static void test_target_fails(void **state)
{
    struct flow f = {.fail_take_after = 100000};
    struct job j;

    (void)state;
    open_flow(&j, &f, "exec cat /dev/zero");
    job_start(&j);
    job_wait(&j);
    assert_int_equal(j.result->error.code, MU_EIO);
    assert_string_equal(j.result->error.msg, "the target failed");
    job_close(&j);
}

static void test_cut_off(void **state)
{
    struct mu_err why = canceled();
    struct flow f = {.give = 20000000};
    struct job j;

    (void)state;
    open_flow(&j, &f, "exec sleep 1000");
    job_start(&j);
    while (!f.given)
        mu_loop_turn(j.loop, true);
    mu_process_abort(j.p, &why, 50);
    job_wait(&j);
    assert_int_equal(j.result->error.code, MU_ECANCELED);
    job_close(&j);

    open_flow(&j, &f, "exec sleep 1000"); /* and freed in the middle */
    job_start(&j);
    mu_loop_turn(j.loop, true);
    job_close(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_of_it),   cmocka_unit_test(test_after_the_input), cmocka_unit_test(test_nothing_to_give),
        cmocka_unit_test(test_not_wanted),  cmocka_unit_test(test_source_fails),    cmocka_unit_test(test_target_fails),
        cmocka_unit_test(test_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
