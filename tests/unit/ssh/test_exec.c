/* Commands on a real sshd: results, streams, input, environment, several at once. Lines, limits: test_exec_lines.c. */
#include "sshtest.h"

static void exit_status_and_both_streams(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);

    (void)state;
    expect(s, "echo out; echo err >&2; exit 3", "out\n", "err\n", 3);
    expect(s, "true", "", "", 0);
    expect(s, "printf 'no newline' >&2", "", "no newline", 0);
    mu_ssh_session_free(s);
}

static void command_is_taken_verbatim(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);

    (void)state;
    expect(s, "echo a # comment", "a\n", "", 0);
    expect(s, "# comment first\necho b", "b\n", "", 0);
    expect(s, "cat <<'EOF'\none\n\ttwo 'three' $x \\\nEOF", "one\n\ttwo 'three' $x \\\n", "", 0);
    expect(s, "", "", "", 0);
    expect(s, "date +%s >/dev/null && printf '%d%%\\n' 5", "5%\n", "", 0);
    mu_ssh_session_free(s);
}

static void syntax_error_does_not_show_the_announcement(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;

    (void)state;
    run(&x, s, "if then fi");
    assert_int_equal(x.r->error.code, 0);
    assert_int_equal(x.r->exit_status, 2);
    assert_non_null(strstr(mu_buf_cstr(&x.r->err), "yntax"));
    assert_null(strstr(mu_buf_cstr(&x.r->err), "muster-"));
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void exit_signal(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;

    (void)state;
    run(&x, s, "kill -TERM $$");
    assert_int_equal(x.r->error.code, 0);
    assert_int_equal(x.r->exit_status, -1);
    assert_string_equal(x.r->signal, "TERM");
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void process_group_is_learnt(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;

    (void)state;
    run(&x, s, "read -r a b c d pgrp rest </proc/self/stat; read -r l </proc/$$/stat; set -- ${l##*) }; echo $$ $3");
    assert_true(x.r->pid > 1);
    {
        char expected[64];

        snprintf(expected, sizeof(expected), "%ld %ld\n", x.r->pid, x.r->pid);
        assert_string_equal(mu_buf_cstr(&x.r->out), expected);
    }
    assert_string_equal(mu_buf_cstr(&x.r->err), "");
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void binary_output_and_nul(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;

    (void)state;
    run(&x, s, "printf 'a\\000b\\377'; printf '\\000' >&2");
    assert_int_equal(x.r->out.len, 4);
    assert_memory_equal(x.r->out.data, "a\0b\377", 4);
    assert_int_equal(x.r->err.len, 1);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void input_reaches_the_command(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    size_t n = (size_t)6 << 20, i;
    char *bytes = malloc(n);
    struct mu_exec_request req = {.command = "cat", .input = bytes, .input_len = n};
    struct running x;

    (void)state;
    assert_non_null(bytes);
    for (i = 0; i < n; i++)
        bytes[i] = (char)(i * 31 + (i >> 12));
    run_request(&x, s, &req);
    assert_int_equal(x.r->error.code, 0);
    assert_int_equal(x.r->out.len, n);
    assert_memory_equal(x.r->out.data, bytes, n);
    mu_ssh_exec_free(x.e);
    free(bytes);
    mu_ssh_session_free(s);
}

static void input_that_nobody_reads(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    size_t n = (size_t)8 << 20;
    char *bytes = calloc(1, n);
    struct mu_exec_request req = {.command = "echo done; exit 4", .input = bytes, .input_len = n};
    struct running x;

    (void)state;
    run_request(&x, s, &req);
    assert_int_equal(x.r->error.code, 0);
    assert_int_equal(x.r->exit_status, 4);
    assert_string_equal(mu_buf_cstr(&x.r->out), "done\n");
    mu_ssh_exec_free(x.e);
    expect(s, "echo next", "next\n", "", 0);
    free(bytes);
    mu_ssh_session_free(s);
}

static void environment_comes_on_standard_input(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    const char *env[] = {"SECRET=it's $HOME \"q\" \\ \n two", "EMPTY=", NULL};
    struct mu_exec_request req = {
        .command = "printf '%s|%s|' \"$SECRET\" \"${EMPTY-unset}\"; cat",
        .input = "user input", .input_len = 10, .env = env};
    struct running x;

    (void)state;
    run_request(&x, s, &req);
    assert_int_equal(x.r->error.code, 0);
    assert_string_equal(mu_buf_cstr(&x.r->out), "it's $HOME \"q\" \\ \n two||user input");
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void environment_is_not_in_the_command_line(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    const char *env[] = {"SECRET=hush-hush", NULL};
    struct mu_exec_request req = {.command = "cat /proc/$$/cmdline", .env = env};
    struct running x;

    (void)state;
    run_request(&x, s, &req);
    assert_int_equal(x.r->exit_status, 0);
    assert_true(x.r->out.len > 20);
    assert_null(memmem(x.r->out.data, x.r->out.len, "hush", 4));
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void bad_environment_is_refused_without_its_value(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    const char *env[] = {"A;rm=hush", NULL};
    struct mu_exec_request req = {.command = "true", .env = env};
    struct mu_ssh_exec *e = NULL;
    struct mu_err err = {0};

    (void)state;
    assert_int_equal(mu_ssh_exec_start(&e, s, NULL, &req, on_done, NULL, &err), MU_EINVAL);
    assert_null(e);
    assert_non_null(strstr(err.msg, "A;rm"));
    assert_null(strstr(err.msg, "hush"));
    mu_ssh_session_free(s);
}

/* ---- several at once ---- */

static void commands_run_side_by_side(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x[8];
    char command[128], expected[16];
    int i;

    (void)state;
    for (i = 0; i < 8; i++) {
        snprintf(command, sizeof(command), "head -c 300000 /dev/zero | tr '\\0' %d; exit %d", i, i);
        start(&x[i], s, command);
    }
    for (i = 7; i >= 0; i--)
        finish(&x[i]);
    for (i = 0; i < 8; i++) {
        assert_int_equal(x[i].r->error.code, 0);
        assert_int_equal(x[i].r->out.len, 300000);
        snprintf(expected, sizeof(expected), "%d", i);
        assert_int_equal(x[i].r->out.data[299999], expected[0]);
        assert_int_equal(x[i].r->exit_status, i);
        mu_ssh_exec_free(x[i].e);
    }
    mu_ssh_session_free(s);
}

static void many_commands_one_after_the_other(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    int i;

    (void)state;
    for (i = 0; i < 50; i++) /* more than sshd's MaxSessions: each channel is given back */
        expect(s, "echo x", "x\n", "", 0);
    mu_ssh_session_free(s);
}

static void freed_before_it_was_opened(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;
    int i;

    (void)state;
    for (i = 0; i < 30; i++) {
        /* A command that ends soon: where the server is quick enough to open it at once, it is started and left alone. */
        start(&x, s, "true");
        mu_ssh_exec_free(x.e);
        expect(s, "echo x", "x\n", "", 0);
    }
    mu_ssh_session_free(s);
}

static void background_process_keeps_the_output_open(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;
    pid_t pid;

    (void)state;
    run(&x, s, "sleep 1000 & echo $!; exit 5");
    assert_int_equal(x.r->error.code, 0);
    assert_int_equal(x.r->exit_status, 5);
    pid = (pid_t)atol(mu_buf_cstr(&x.r->out));
    assert_true(pid > 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void not_connected_is_told(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = session_to(&srv);
    struct mu_exec_request req = {.command = "true"};
    struct mu_ssh_exec *e = NULL;
    struct mu_err err = {0};

    (void)state;
    assert_int_equal(mu_ssh_exec_start(&e, s, NULL, &req, on_done, NULL, &err), MU_ESTATE);
    assert_null(e);
    mu_ssh_session_free(s);
}

static void noise_of_the_shell_before_the_announcement(void **state)
{
    struct server srv = server_add("noise", "ForceCommand printf 'noise' >&2; exec sh -c \"$SSH_ORIGINAL_COMMAND\"\n");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;

    (void)state;
    run(&x, s, "echo out; echo err >&2");
    assert_string_equal(mu_buf_cstr(&x.r->out), "out\n");
    assert_string_equal(mu_buf_cstr(&x.r->err), "noiseerr\n");
    assert_true(x.r->pid > 1);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void no_announcement_at_all(void **state)
{
    struct server srv = server_add("forced", "ForceCommand echo forced; printf 'muster-no\\npart' >&2; exit 7\n");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;

    (void)state;
    run(&x, s, "echo out");
    assert_string_equal(mu_buf_cstr(&x.r->out), "forced\n");
    assert_string_equal(mu_buf_cstr(&x.r->err), "muster-no\npart");
    assert_int_equal(x.r->exit_status, 7);
    assert_int_equal(x.r->pid, 0);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(exit_status_and_both_streams),
        T(command_is_taken_verbatim),
        T(syntax_error_does_not_show_the_announcement),
        T(exit_signal),
        T(process_group_is_learnt),
        T(binary_output_and_nul),
        T(input_reaches_the_command),
        T(input_that_nobody_reads),
        T(environment_comes_on_standard_input),
        T(environment_is_not_in_the_command_line),
        T(bad_environment_is_refused_without_its_value),
        T(commands_run_side_by_side),
        T(many_commands_one_after_the_other),
        T(freed_before_it_was_opened),
        T(background_process_keeps_the_output_open),
        T(not_connected_is_told),
        T(noise_of_the_shell_before_the_announcement),
        T(no_announcement_at_all),
    };

    mu_ssh_thread_init();
    return cmocka_run_group_tests(tests, fleet_setup, fleet_teardown);
}
