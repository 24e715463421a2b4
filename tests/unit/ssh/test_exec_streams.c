/* Streams of any length to a command on a real sshd and from it: to their end, failing, and cut off. */
#include "sshtest.h"

struct flow {
    size_t give, given, fail_after; /* fail_after 0: never */
    size_t took, fail_take_after;
    unsigned char next_in, next_out;
    bool wrong;
};

static long give(void *arg, char *buf, size_t n, struct mu_err *err)
{
    struct flow *f = arg;
    size_t left = f->give - f->given, i;

    if (f->fail_after && f->given >= f->fail_after)
        return mu_err_set(err, MU_EIO, "the source failed");
    n = n < left ? n : left;
    for (i = 0; i < n; i++)
        buf[i] = (char)f->next_in++;
    f->given += n;
    return (long)n;
}

static int take(void *arg, const char *bytes, size_t n, struct mu_err *err)
{
    struct flow *f = arg;
    size_t i;

    for (i = 0; i < n; i++)
        f->wrong = f->wrong || (unsigned char)bytes[i] != f->next_out++;
    f->took += n;
    return f->fail_take_after && f->took > f->fail_take_after ? mu_err_set(err, MU_EIO, "the target failed") : 0;
}

static void begin(struct running *x, struct mu_ssh_session *s, struct flow *f, const char *command)
{
    struct mu_exec_request req = {
        .command = command, .more_input = give, .on_output = take, .stream_arg = f, .limit = 1000};

    start_request(x, s, &req);
}

static void all_of_it(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct flow f = {.give = 20000000};
    struct running x;

    (void)state;
    begin(&x, s, &f, "echo beside >&2; cat");
    finish(&x);
    assert_int_equal(x.r->error.code, 0);
    assert_int_equal(x.r->exit_status, 0);
    assert_string_equal(mu_buf_cstr(&x.r->err), "beside\n");
    assert_int_equal(x.r->out.len, 0);
    assert_int_equal(f.took, 20000000);
    assert_false(f.wrong);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void behind_the_environment_and_the_input(void **state)
{
    static const char *const env[] = {"MARK=x", NULL};
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct flow f = {.give = 1000, .next_in = 3};
    struct mu_exec_request req = {.command = "printf %s \"$MARK\" >&2; cat", .env = env, .input = (char[]){0, 1, 2},
                                  .input_len = 3, .more_input = give, .on_output = take, .stream_arg = &f};
    struct running x;

    (void)state;
    run_request(&x, s, &req);
    assert_string_equal(mu_buf_cstr(&x.r->err), "x");
    assert_int_equal(f.took, 1003);
    assert_false(f.wrong);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void nothing_to_give_and_not_wanted(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct flow none = {0}, f = {.give = 50000000};
    struct running x;

    (void)state;
    begin(&x, s, &none, "cat");
    finish(&x);
    assert_int_equal(x.r->exit_status, 0);
    assert_int_equal(none.took, 0);
    mu_ssh_exec_free(x.e);
    begin(&x, s, &f, "exec true");
    finish(&x);
    assert_int_equal(x.r->error.code, 0);
    assert_int_equal(x.r->exit_status, 0);
    assert_true(f.given < f.give);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

/* What stands for the end of a whole stream must not come when it failed: this cat would say so. */
static void source_fails(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct flow f = {.give = 20000000, .fail_after = 300000};
    struct running x;

    (void)state;
    begin(&x, s, &f, "cat >/dev/null; echo END >&2; exec sleep 1000");
    finish(&x);
    assert_int_equal(x.r->error.code, MU_EIO);
    assert_string_equal(x.r->error.msg, "the source failed");
    assert_string_equal(mu_buf_cstr(&x.r->err), "");
    assert_false(x.r->unended);
    mu_ssh_exec_free(x.e);
    expect(s, "echo back", "back\n", "", 0);
    mu_ssh_session_free(s);
}

static void target_fails(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct flow f = {.fail_take_after = 100000};
    struct running x;

    (void)state;
    begin(&x, s, &f, "exec cat /dev/zero");
    finish(&x);
    assert_int_equal(x.r->error.code, MU_EIO);
    assert_string_equal(x.r->error.msg, "the target failed");
    assert_false(x.r->unended);
    mu_ssh_exec_free(x.e);
    expect(s, "echo back", "back\n", "", 0);
    mu_ssh_session_free(s);
}

static void cut_off(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct flow f = {.give = 20000000};
    struct mu_err why;
    struct running x;

    (void)state;
    begin(&x, s, &f, "exec sleep 1000");
    wait_for_pid(&x);
    mu_err_set(&why, MU_ECANCELED, "ended by the test");
    mu_ssh_exec_abort(x.e, &why, 1000, 20000);
    finish(&x);
    assert_int_equal(x.r->error.code, MU_ECANCELED);
    assert_false(x.r->unended);
    mu_ssh_exec_free(x.e);

    begin(&x, s, &f, "cat >/dev/null; exec sleep 1000"); /* and freed in the middle */
    wait_for_pid(&x);
    mu_ssh_exec_free(x.e);
    expect(s, "echo back", "back\n", "", 0);
    mu_ssh_session_free(s);
}

static void connection_lost(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct flow f = {.give = 20000000};
    struct running x;

    (void)state;
    begin(&x, s, &f, "exec sleep 1000");
    wait_for_pid(&x);
    cut_connection(&x);
    finish(&x);
    assert_int_equal(x.r->error.code, MU_ELOST);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(all_of_it), T(behind_the_environment_and_the_input), T(nothing_to_give_and_not_wanted), T(source_fails),
        T(target_fails), T(cut_off), T(connection_lost),
    };

    mu_ssh_thread_init();
    return cmocka_run_group_tests(tests, fleet_setup, fleet_teardown);
}
