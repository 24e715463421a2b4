/* Ending a command early: its processes on the server are gone, or we are told that they may not be. */
#include "sshpeer.h"

static struct mu_err cancelled;

/* A process (or, negative, a process group with any member) that is more than a zombie: nobody may be there to reap. */
static bool alive(long pid)
{
    char command[256];

    snprintf(command, sizeof(command),
             "ps -e -o stat= -o pid= -o pgid= | awk '$1 !~ /^[ZX]/ && $%d == %ld {print \"alive\"}'", pid < 0 ? 3 : 2,
             labs(pid));
    return strcmp(output_of(command), "alive") == 0;
}

/* The command must print the pids that matter, on one line, when it has set itself up. */
static void started(struct running *x, struct mu_ssh_session *s, const char *command)
{
    start(x, s, command);
    wait_for_output(x);
}

static void aborted(struct running *x, uint64_t kill_after_ms, uint64_t end_timeout_ms)
{
    mu_ssh_exec_abort(x->e, &cancelled, kill_after_ms, end_timeout_ms);
    assert_false(x->done);
    finish(x);
    assert_int_equal(x->r->error.code, MU_ECANCELED);
    assert_string_equal(x->r->error.msg, cancelled.msg);
}

static void expect_all_gone(struct running *x)
{
    const char *p = mu_buf_cstr(&x->r->out);
    char *end;
    long pid;

    assert_false(x->r->unended);
    for (pid = strtol(p, &end, 10); end != p; pid = strtol(p, &end, 10)) {
        if (alive(pid))
            fail_msg("process %ld still runs", pid);
        p = end;
    }
    assert_false(alive(-x->r->pid));
}

static void ends(const char *command, uint64_t kill_after_ms)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;

    started(&x, s, command);
    aborted(&x, kill_after_ms, 20000);
    expect_all_gone(&x);
    mu_ssh_exec_free(x.e);
    expect(s, "echo next", "next\n", "", 0);
    mu_ssh_session_free(s);
}

static void a_plain_command(void **state)
{
    (void)state;
    ends("echo $$; exec sleep 1000", 5000);
}

static void children_too(void **state)
{
    (void)state;
    ends("sleep 1000 & a=$!; sleep 1000 >/dev/null 2>&1 & echo $$ $a $!; wait", 5000);
}

static void one_that_ignores_term(void **state)
{
    (void)state;
    ends("trap '' TERM; sleep 1000 & echo $$ $!; while :; do wait; sleep 1000; done", 300);
}

static void an_ignoring_child_whose_shell_has_ended(void **state)
{
    (void)state;
    ends("sh -c 'trap \"\" TERM; exec sleep 1000' >/dev/null 2>&1 & echo $!; wait", 300);
}

static void a_stopped_one(void **state)
{
    (void)state;
    ends("sleep 1000 & kill -STOP $!; echo $$ $!; wait", 5000);
}

static void a_group_of_its_own_as_timeout_makes(void **state)
{
    (void)state;
    ends("timeout 1000 sh -c 'echo $$; sleep 1000; :'; :", 5000);
}

static void kill_at_once(void **state)
{
    (void)state;
    ends("trap '' TERM; echo $$; while :; do sleep 1000; done", 0);
}

static void a_flood_of_output(void **state)
{
    (void)state;
    ends("echo $$; exec yes x 2>&1", 5000);
}

static void zombies_do_not_count(void **state)
{
    /* A member of the group that has ended, but that its parent outside the group never waits for. */
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;
    pid_t zombie, parent;

    (void)state;
    started(&x, s,
            "perl -e '$p = fork; if (!$p) { exec \"sleep\", \"1000\" } $| = 1; use POSIX; POSIX::setsid() if fork; "
            "print \"$p $$\\n\" if getpgrp == $$; sleep 1000'");
    assert_int_equal(sscanf(mu_buf_cstr(&mu_ssh_exec_result(x.e)->out), "%d %d", &zombie, &parent), 2);
    aborted(&x, 5000, 20000);
    assert_false(x.r->unended);
    assert_int_equal(kill(zombie, 0), 0); /* still there, but only as a zombie */
    assert_false(alive(zombie));
    kill(parent, SIGKILL);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void already_done_when_aborted(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;

    (void)state;
    run(&x, s, "exit 3");
    mu_ssh_exec_abort(x.e, &cancelled, 100, 100);
    run_for(20);
    assert_int_equal(x.r->error.code, 0);
    assert_int_equal(x.r->exit_status, 3);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void before_it_was_opened(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    char path[512], command[600];
    struct running x;

    (void)state;
    snprintf(path, sizeof(path), "%s/never", sshtest_dir);
    snprintf(command, sizeof(command), "touch %s", path);
    start(&x, s, command);
    aborted(&x, 1000, 20000);
    assert_false(x.r->unended);
    mu_ssh_exec_free(x.e);
    expect(s, "echo next", "next\n", "", 0);
    assert_int_equal(access(path, F_OK), -1);
    mu_ssh_session_free(s);
}

static void just_after_it_was_started(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;
    unsigned ms;

    (void)state;
    /* However far it got: it is gone, or never began. */
    for (ms = 0; ms < 30; ms += 3) {
        start(&x, s, "echo $$; exec sleep 1000");
        if (ms)
            run_for(ms);
        aborted(&x, 2000, 20000);
        assert_false(x.r->unended);
        if (x.r->pid)
            assert_false(alive(-x.r->pid));
        mu_ssh_exec_free(x.e);
    }
    mu_ssh_session_free(s);
}

static void freed_while_being_ended(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;
    pid_t pid;

    (void)state;
    started(&x, s, "trap '' TERM; echo $$; while :; do sleep 1000; done");
    pid = atoi(mu_buf_cstr(&mu_ssh_exec_result(x.e)->out));
    mu_ssh_exec_abort(x.e, &cancelled, 100000, 100000);
    run_for(100);
    mu_ssh_exec_free(x.e);
    expect(s, "echo next", "next\n", "", 0);
    assert_false(x.done);
    mu_ssh_session_free(s);
    kill(-pid, SIGKILL);
}

static void second_abort_shortens(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct mu_err other = {0};
    struct running x;

    (void)state;
    started(&x, s, "trap '' TERM; echo $$; while :; do sleep 1000; done");
    mu_ssh_exec_abort(x.e, &cancelled, 1000000, 1000000); /* longer than patience */
    run_for(300);
    assert_false(x.done);
    mu_err_set(&other, MU_ETIMEDOUT, "another reason");
    mu_ssh_exec_abort(x.e, &other, 0, 20000);
    finish(&x);
    assert_int_equal(x.r->error.code, MU_ECANCELED);
    expect_all_gone(&x);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void not_ended_in_time_is_told(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;

    (void)state;
    started(&x, s, "trap '' TERM; echo $$; while :; do sleep 1000; done");
    aborted(&x, 100000, 300);
    assert_true(x.r->unended);
    assert_true(alive(-x.r->pid));
    kill(-(pid_t)x.r->pid, SIGKILL);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void second_channel_refused_takes_another_connection(void **state)
{
    struct server srv = server_add("single", "MaxSessions 1\n");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x, y;

    (void)state;
    started(&x, s, "sleep 1000 & echo $$ $!; wait");
    start(&y, s, "echo never");
    finish(&y);
    assert_int_equal(y.r->error.code, MU_ECHANNEL);
    assert_string_equal(y.r->error.cause, "the server refused a channel");
    mu_ssh_exec_free(y.e);
    aborted(&x, 5000, 20000);
    expect_all_gone(&x);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void unknown_process_group(void **state)
{
    struct server srv = server_add("wrapped", "ForceCommand echo forced; exec sleep 1000\n");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;

    (void)state;
    started(&x, s, "true");
    aborted(&x, 1000, 20000);
    assert_true(x.r->unended);
    assert_int_equal(x.r->pid, 0);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void lost_while_being_ended(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;

    (void)state;
    started(&x, s, "trap '' TERM; echo $$; while :; do sleep 1000; done");
    mu_ssh_exec_abort(x.e, &cancelled, 100000, 100000);
    run_for(200);
    cut_connection(&x);
    finish(&x);
    kill(-(pid_t)x.r->pid, SIGKILL);
    assert_int_equal(x.r->error.code, MU_ECANCELED);
    assert_true(x.r->unended);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void session_closed_while_being_ended(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;
    pid_t pid;

    (void)state;
    started(&x, s, "trap '' TERM; echo $$; while :; do sleep 1000; done");
    pid = atoi(mu_buf_cstr(&mu_ssh_exec_result(x.e)->out));
    mu_ssh_exec_abort(x.e, &cancelled, 100000, 100000);
    run_for(100);
    mu_ssh_session_disconnect(s);
    finish(&x);
    assert_true(x.r->unended);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
    kill(-pid, SIGKILL);
}

static struct mu_ssh_exec *to_abort;
static unsigned lines_seen;
static void on_line_abort(void *arg, enum mu_exec_stream stream, const char *line, size_t len)
{
    (void)arg;
    (void)stream;
    (void)line;
    (void)len;
    lines_seen++;
    mu_ssh_exec_abort(to_abort, &cancelled, 1000, 20000);
}

static void aborted_inside_its_line(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct mu_exec_request req = {.command = "seq 100; exec sleep 1000", .on_line = on_line_abort};
    struct running x;

    (void)state;
    lines_seen = 0;
    start_request(&x, s, &req);
    to_abort = x.e;
    finish(&x);
    assert_int_equal(x.r->error.code, MU_ECANCELED);
    assert_int_equal(lines_seen, 1);
    expect_all_gone(&x);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_plain_command),
        T(children_too),
        T(one_that_ignores_term),
        T(an_ignoring_child_whose_shell_has_ended),
        T(a_stopped_one),
        T(a_group_of_its_own_as_timeout_makes),
        T(kill_at_once),
        T(a_flood_of_output),
        T(zombies_do_not_count),
        T(already_done_when_aborted),
        T(before_it_was_opened),
        T(just_after_it_was_started),
        T(freed_while_being_ended),
        T(second_abort_shortens),
        T(not_ended_in_time_is_told),
        T(second_channel_refused_takes_another_connection),
        T(unknown_process_group),
        T(lost_while_being_ended),
        T(session_closed_while_being_ended),
        T(aborted_inside_its_line),
    };

    mu_err_set(&cancelled, MU_ECANCELED, "interrupted");
    mu_ssh_thread_init();
    return cmocka_run_group_tests(tests, fleet_setup, fleet_teardown);
}
