/* The text that is sent with a command, in every login shell that this machine has: the command does what it does
 * alone, and the announcement tells its process. MUSTER_TEST_SHELLS may name more, by path, with spaces between. */
#include "sshtest.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct outcome {
    char out[4096], err[4096];
    int status;
    pid_t pid;
};

static void slurp(FILE *f, char *to, size_t size)
{
    size_t n;

    rewind(f);
    n = fread(to, 1, size - 1, f);
    to[n] = '\0';
    fclose(f);
}

/* As sshd does it: a session leader runs SHELL -c COMMAND. */
static struct outcome shell_runs(const char *shell, const char *command, const char *input)
{
    FILE *in = tmpfile(), *out = tmpfile(), *err = tmpfile();
    struct outcome o = {.status = -1};

    assert_true(in && out && err);
    fputs(input, in);
    rewind(in);
    o.pid = fork();
    if (o.pid == 0) {
        setsid();
        dup2(fileno(in), 0);
        dup2(fileno(out), 1);
        dup2(fileno(err), 2);
        execl(shell, shell, "-c", command, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(o.pid, &o.status, 0), o.pid);
    fclose(in);
    slurp(out, o.out, sizeof(o.out));
    slurp(err, o.err, sizeof(o.err));
    return o;
}

static const char *const commands[] = {
    "echo hi",
    "echo hi # a comment",
    "# a comment first\necho hi",
    "",
    "exit 3",
    "sh -c 'exit 4'",
    "echo \"quoted $HOME\" 'single'; echo two >/dev/null",
    "cat",
    "false",
};
static const char *const posix_commands[] = {
    "cat <<'EOF'\none $x\nEOF",
    "for i in 1 2\ndo echo $i\ndone",
    "f() { echo in f >&2; return 5; }; f",
    "x=1 y='a b'\necho \"$x$y\"; (exit 6)",
};

static void compare(const char *shell, const char *command)
{
    struct outcome alone = shell_runs(shell, command, "some input"), sent;
    char *text = NULL, expected[4200];

    assert_int_equal(mu_command_build(&text, command, "muster-0123456789abcdef", 0, NULL), 0);
    sent = shell_runs(shell, text, "some input");
    free(text);
    if (!*command) { /* bash makes its last command take its place, which is the announcement here: no matter */
        assert_string_equal(sent.out, "");
        assert_int_equal(sent.status, 0);
        return;
    }
    snprintf(expected, sizeof(expected), "muster-0123456789abcdef %d %d\n%s", sent.pid, sent.pid, alone.err);
    if (strcmp(sent.out, alone.out) || strcmp(sent.err, expected) || sent.status != alone.status)
        fail_msg("%s -c '%s': status %d \"%s\" \"%s\" instead of %d \"%s\" \"%s\"", shell, command, sent.status, sent.out,
                 sent.err, alone.status, alone.out, expected);
}

static bool is_posix(const char *shell) { return !strstr(shell, "csh") && !strstr(shell, "fish"); }

static void try_shell(const char *shell)
{
    size_t i;

    for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        compare(shell, commands[i]);
    for (i = 0; is_posix(shell) && i < sizeof(posix_commands) / sizeof(posix_commands[0]); i++)
        compare(shell, posix_commands[i]);
}

static void every_shell(void **state)
{
    static const char *const names[] = {"sh", "bash", "dash", "zsh", "ksh", "mksh", "csh", "tcsh", "bsd-csh", "fish"};
    const char *more = getenv("MUSTER_TEST_SHELLS");
    char path[64], *list, *shell, *rest = NULL;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "/bin/%s", names[i]);
        if (access(path, X_OK) == 0)
            try_shell(path);
    }
    list = strdup(more ? more : "");
    for (shell = strtok_r(list, " ", &rest); shell; shell = strtok_r(NULL, " ", &rest))
        try_shell(shell);
    free(list);
}

static void environment_then_input(void **state)
{
    static const char *const env[] = {"A=1 'two' \"three\" $HOME `x` \\", "B=", "C=line\nline", NULL};
    struct mu_buf assignments = MU_BUF_INIT;
    char *text = NULL;
    struct outcome o;

    (void)state;
    assert_int_equal(mu_command_env(&assignments, env, NULL), 0);
    assert_int_equal(mu_command_build(&text, "printf '%s|%s|%s|' \"$A\" \"${B-unset}\" \"$C\"; cat", "", assignments.len,
                                      NULL), 0);
    mu_buf_adds(&assignments, "the input");
    o = shell_runs("/bin/sh", text, mu_buf_cstr(&assignments));
    assert_string_equal(o.out, "1 'two' \"three\" $HOME `x` \\||line\nline|the input");
    assert_string_equal(o.err, "");
    free(text);
    mu_buf_free(&assignments);
}

static void variable_names(void **state)
{
    static const char *const bad[] = {"", "=x", "1A=x", "A", "A B=x", "A-B=x", "\033=x", "a[0]=x", "\303\244=x"};
    struct mu_buf b = MU_BUF_INIT;
    struct mu_err err;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *const env[] = {bad[i], NULL};

        mu_err_clear(&err);
        assert_int_equal(mu_command_env(&b, env, &err), MU_EINVAL);
        assert_null(strchr(err.msg, '\033'));
    }
    mu_buf_free(&b);
}

/* The announcement however the server cuts it up, and with whatever is around it. */
static void announcement_in_pieces(void **state)
{
    static const struct {
        const char *in, *err;
        long pid;
    } cases[] = {
        {"muster-0123456789abcdef 4711 4711\n", "", 4711},
        {"muster-0123456789abcdef 4711 \n", "", 4711},
        {"muster-0123456789abcdef 4711 1\nx", "x", 4711}, /* without a group of its own */
        {"muster-0123456789abcdef 1 1\n", "", 0},
        {"muster-0123456789abcdef nonsense\ny\n", "y\n", 0},
        {"before\nmuster-0123456789abcdef 4711 4711\nafter", "before\nafter", 4711},
        {"noise muster-0123456789abcdef 4711 4711\nafter\n", "noise after\n", 4711},
        {"muster-0123456789abcdez\nmuster-0123456789abcdef 5 5\nmuster-0123456789abcdef 6 6\n",
         "muster-0123456789abcdez\nmuster-0123456789abcdef 6 6\n", 5},
        {"never\nand no newline", "never\nand no newline", 0},
    };
    size_t i, piece, at;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = strlen(cases[i].in);

        for (piece = 1; piece <= n; piece++) {
            struct mu_ssh_exec e = {.limit = 10000, .token = "muster-0123456789abcdef"};

            for (at = 0; at < n; at += piece) {
                size_t len = n - at < piece ? n - at : piece;

                if (e.token[0])
                    mu_announce_feed(&e, cases[i].in + at, len);
                else
                    mu_exec_take(&e, MU_EXEC_STDERR, cases[i].in + at, len);
            }
            mu_announce_flush(&e);
            assert_string_equal(mu_buf_cstr(&e.result.err), cases[i].err);
            assert_int_equal(e.result.pid, cases[i].pid);
            assert_int_equal(e.by_tree, i == 2);
            mu_buf_free(&e.result.err);
        }
    }
}

/* Long output with no newline is not held back. */
static void long_line_passes(void **state)
{
    struct mu_ssh_exec e = {.limit = 1 << 20, .token = "muster-0123456789abcdef"};
    char bytes[1000];
    int i;

    (void)state;
    memset(bytes, 'm', sizeof(bytes));
    for (i = 0; i < 100; i++)
        mu_announce_feed(&e, bytes, sizeof(bytes));
    assert_true(e.result.err.len > 90000);
    mu_announce_feed(&e, "muster-0123456789abcdef 9 9\nz", 29);
    mu_announce_flush(&e);
    assert_int_equal(e.result.err.len, 100001);
    assert_int_equal(e.result.pid, 9);
    mu_buf_free(&e.result.err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shell),          cmocka_unit_test(environment_then_input), cmocka_unit_test(variable_names),
        cmocka_unit_test(announcement_in_pieces), cmocka_unit_test(long_line_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
