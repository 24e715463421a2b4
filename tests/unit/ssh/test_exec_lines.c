/* What commands on a real sshd print, line by line, and where a limit ends it. */
#include "sshtest.h"

/* ---- lines ---- */

struct lines {
    struct mu_buf got[2];
    unsigned n;
    struct running *free_at_first;
};

static void on_line(void *arg, enum mu_exec_stream stream, const char *line, size_t len)
{
    struct lines *l = arg;

    l->n++;
    mu_buf_add(&l->got[stream], line, len);
    mu_buf_addc(&l->got[stream], '|');
    if (l->free_at_first) {
        mu_ssh_exec_free(l->free_at_first->e);
        l->free_at_first->e = NULL;
    }
}

static void lines_are_handed_over(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct lines l = {0};
    struct mu_exec_request req = {.command = "echo a; echo e >&2; echo; printf last; printf 'x\\ny' >&2",
                                  .on_line = on_line, .on_line_arg = &l};
    struct running x;

    (void)state;
    run_request(&x, s, &req);
    assert_int_equal(x.r->error.code, 0);
    assert_string_equal(mu_buf_cstr(&l.got[0]), "a||last|");
    assert_string_equal(mu_buf_cstr(&l.got[1]), "e|x|y|");
    assert_int_equal(x.r->out.len, 0);
    mu_buf_free(&l.got[0]);
    mu_buf_free(&l.got[1]);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void many_lines(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct lines l = {0};
    struct mu_exec_request req = {.command = "seq 200000", .limit = 100, .on_line = on_line, .on_line_arg = &l};
    struct running x;

    (void)state;
    run_request(&x, s, &req);
    assert_int_equal(x.r->error.code, 0);
    assert_int_equal(l.n, 200000);
    mu_buf_free(&l.got[0]);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void command_freed_inside_its_line(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;
    struct lines l = {.free_at_first = &x};
    struct mu_exec_request req = {.command = "seq 1000; sleep 1000", .on_line = on_line, .on_line_arg = &l};

    (void)state;
    start_request(&x, s, &req);
    while (x.e)
        mu_loop_turn(loop, true);
    assert_int_equal(l.n, 1);
    assert_false(x.done);
    expect(s, "echo next", "next\n", "", 0);
    mu_buf_free(&l.got[0]);
    mu_ssh_session_free(s);
}

static struct mu_ssh_session *session_to_free;
static void on_line_free_session(void *arg, enum mu_exec_stream stream, const char *line, size_t len)
{
    (void)arg;
    (void)stream;
    (void)line;
    (void)len;
    mu_ssh_session_free(session_to_free);
    session_to_free = NULL;
}

static void session_freed_inside_a_line(void **state)
{
    struct server srv = server_named("srv01");
    struct running x;
    struct mu_exec_request req = {.command = "seq 1000; sleep 1000", .on_line = on_line_free_session};

    (void)state;
    session_to_free = connected_to(&srv);
    start_request(&x, session_to_free, &req);
    while (session_to_free)
        mu_loop_turn(loop, true);
    run_for(50);
    assert_false(x.done);
    mu_ssh_exec_free(x.e);
}

/* ---- limits ---- */

static void output_limit_ends_the_command(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct mu_exec_request req = {.command = "yes", .limit = 10000};
    struct running x;

    (void)state;
    run_request(&x, s, &req);
    assert_int_equal(x.r->error.code, MU_ELIMIT);
    assert_string_equal(x.r->error.cause, "output limit");
    assert_int_equal(x.r->out.len, 10000);
    assert_false(x.r->unended);
    assert_int_equal(kill((pid_t)x.r->pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    mu_ssh_exec_free(x.e);
    expect(s, "echo next", "next\n", "", 0);
    mu_ssh_session_free(s);
}

static void output_of_exactly_the_limit(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct mu_exec_request req = {.command = "head -c 10000 /dev/zero", .limit = 10000};
    struct running x;

    (void)state;
    run_request(&x, s, &req);
    assert_int_equal(x.r->error.code, 0);
    assert_int_equal(x.r->out.len, 10000);
    mu_ssh_exec_free(x.e);
    req.command = "head -c 10001 /dev/zero";
    run_request(&x, s, &req);
    assert_int_equal(x.r->error.code, MU_ELIMIT);
    assert_int_equal(x.r->out.len, 10000);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void line_limit_ends_the_command(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct lines l = {0};
    struct mu_exec_request req = {.command = "echo short; tr '\\0' x </dev/zero", .limit = 1000, .on_line = on_line,
                                  .on_line_arg = &l};
    struct running x;

    (void)state;
    run_request(&x, s, &req);
    assert_int_equal(x.r->error.code, MU_ELIMIT);
    assert_string_equal(x.r->error.cause, "output limit");
    assert_false(x.r->unended);
    assert_string_equal(mu_buf_cstr(&l.got[0]), "short|");
    mu_buf_free(&l.got[0]);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(lines_are_handed_over),
        T(many_lines),
        T(command_freed_inside_its_line),
        T(session_freed_inside_a_line),
        T(output_limit_ends_the_command),
        T(output_of_exactly_the_limit),
        T(line_limit_ends_the_command),
    };

    mu_ssh_thread_init();
    return cmocka_run_group_tests(tests, fleet_setup, fleet_teardown);
}
