#include "process_support.h"

#include <fcntl.h>

static void test_streams_and_status(void **state)
{
    struct job j;

    (void)state;
    job_run(&j, "echo out; echo err >&2; exit 7");
    assert_int_equal(j.result->error.code, 0);
    assert_int_equal(j.result->exit_status, 7);
    assert_string_equal(j.result->signal, "");
    assert_string_equal(mu_buf_cstr(&j.result->out), "out\n");
    assert_string_equal(mu_buf_cstr(&j.result->err), "err\n");
    assert_true(j.result->pid > 1);
    assert_false(j.result->unended);
    job_close(&j);

    job_run(&j, "true");
    assert_ok(&j, "");
    assert_ptr_equal(mu_process_result(j.p), j.result);
    job_close(&j);

    job_run(&j, "-no-such-command 2>/dev/null"); /* not taken for an option of the shell */
    assert_int_equal(j.result->exit_status, 127);
    job_close(&j);

    /* bytes, NUL among them; streams that can be opened by name */
    job_run(&j, "printf 'a\\0b\\377'; cat /dev/stdin; echo e >/dev/stderr");
    assert_int_equal(j.result->out.len, 4);
    assert_memory_equal(j.result->out.data, "a\0b\xff", 4);
    assert_string_equal(mu_buf_cstr(&j.result->err), "e\n");
    job_close(&j);

    /* both streams are closed long before the end: done comes with the exit */
    job_run(&j, "exec >&- 2>&-; sleep 0.05; exit 3");
    assert_int_equal(j.result->exit_status, 3);
    job_close(&j);
}

static void test_signal(void **state)
{
    static const struct {
        const char *command, *signal;
    } cases[] = {{"kill -TERM $$", "TERM"}, {"kill -9 $$", "KILL"}, {"kill -SEGV $$", "SEGV"}, {"kill -PIPE $$", "PIPE"}};
    struct job j;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        job_run(&j, cases[i].command);
        assert_int_equal(j.result->error.code, 0);
        assert_int_equal(j.result->exit_status, -1);
        assert_string_equal(j.result->signal, cases[i].signal);
        job_close(&j);
    }
}

static void test_environment(void **state)
{
    static const char *const env[] = {"MU_TEST_NEW=a b=c", "MU_TEST_OLD=first", "MU_TEST_OLD=second", "MU_TEST_EMPTY=",
                                      NULL};
    static const char *const bad[] = {"GOOD=1", "bad", NULL}, *const nameless[] = {"=x", NULL};
    struct mu_err err;
    struct job j;

    (void)state;
    setenv("MU_TEST_OLD", "host's", 1);
    setenv("MU_TEST_KEPT", "kept", 1);
    job_open(&j, "echo \"$MU_TEST_NEW|$MU_TEST_OLD|${MU_TEST_EMPTY-unset}|$MU_TEST_KEPT\"; env | grep -c ^MU_TEST_OLD");
    j.req.env = env;
    job_start(&j);
    job_wait(&j);
    assert_ok(&j, "a b=c|second||kept\n1\n");
    mu_process_free(j.p);
    j.req.env = bad;
    assert_int_equal(mu_process_start(&j.p, j.loop, NULL, &j.req, job_done, &j, &err), MU_EINVAL);
    assert_null(j.p);
    assert_non_null(strstr(err.msg, "\"bad\""));
    j.req.env = nameless;
    assert_int_equal(mu_process_start(&j.p, j.loop, NULL, &j.req, job_done, &j, NULL), MU_EINVAL);
    j.req.env = NULL;
    j.req.command = NULL;
    assert_int_equal(mu_process_start(&j.p, j.loop, NULL, &j.req, job_done, &j, NULL), MU_EINVAL);
    job_close(&j);
}

/* What the command gets from us: a session of its own, three descriptors, signals as a login shell has them. */
static void test_inheritance(void **state)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, former;
    sigset_t set, former_set;
    char command[256];
    struct job j;
    int leak = fcntl(1, F_DUPFD, 60); /* without close-on-exec, as a library may have opened it */

    (void)state;
    assert_int_equal(sigaction(SIGPIPE, &ignore, &former), 0);
    sigfillset(&set);
    pthread_sigmask(SIG_BLOCK, &set, &former_set);
    snprintf(command, sizeof(command),
             "[ ! -e /proc/self/fd/%d ] || echo leaked; set -- $(cat /proc/$$/stat); [ \"$5 $6\" = \"$$ $$\" ] || echo "
             "session; grep -E 'Sig(Ign|Blk)' /proc/self/status | cut -f2 | sort -u", leak);
    job_run(&j, command);
    pthread_sigmask(SIG_SETMASK, &former_set, NULL);
    sigaction(SIGPIPE, &former, NULL);
    assert_ok(&j, "0000000000000000\n");
    job_close(&j);
    job_run(&j, "ls /proc/self/fd | wc -l"); /* three, and the directory */
    assert_ok(&j, "4\n");
    job_close(&j);
    close(leak);
}

static void test_input(void **state)
{
    enum { SIZE = 8 << 20 };
    char *input = malloc(SIZE), *copy = malloc(SIZE);
    struct sigaction dfl = {.sa_handler = SIG_DFL}, former;
    struct job j;

    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        input[i] = (char)(i * 2654435761u >> 13);
    memcpy(copy, input, SIZE);
    job_open(&j, "cat");
    j.req.input = input;
    j.req.input_len = SIZE;
    job_start(&j);
    memset(input, 0, SIZE); /* it was copied */
    job_wait(&j);
    assert_int_equal(j.result->exit_status, 0);
    assert_int_equal(j.result->out.len, SIZE);
    assert_memory_equal(j.result->out.data, copy, SIZE);
    job_close(&j);

    /* one that reads none of it, one that reads a little: no SIGPIPE, no error */
    assert_int_equal(sigaction(SIGPIPE, &dfl, &former), 0);
    for (int i = 0; i < 2; i++) {
        job_open(&j, i ? "head -c 5" : "exec <&-; echo 'none!'");
        j.req.input = copy;
        j.req.input_len = SIZE;
        job_start(&j);
        job_wait(&j);
        assert_int_equal(j.result->exit_status, 0);
        assert_int_equal(j.result->error.code, 0);
        assert_int_equal(j.result->out.len, i ? 5 : 6);
        job_close(&j);
    }
    sigaction(SIGPIPE, &former, NULL);
    free(input);
    free(copy);
}

static void test_big_output(void **state)
{
    enum { SIZE = 64 << 20, LIMIT = 1 << 20 };
    struct job j;

    (void)state;
    job_open(&j, "head -c 67108864 /dev/zero");
    j.req.limit = SIZE; /* exactly enough */
    job_start(&j);
    job_wait(&j);
    assert_int_equal(j.result->error.code, 0);
    assert_int_equal(j.result->out.len, SIZE);
    job_close(&j);

    job_open(&j, "head -c 67108864 /dev/zero; sleep 1000");
    j.req.limit = LIMIT;
    job_start(&j);
    job_wait(&j);
    assert_int_equal(j.result->error.code, MU_ELIMIT);
    assert_string_equal(j.result->error.cause, "output limit");
    assert_non_null(strstr(j.result->error.msg, "1048576"));
    assert_non_null(strstr(j.result->error.msg, "`limit`"));
    assert_int_equal(j.result->exit_status, -1);
    assert_false(j.result->unended);
    assert_int_equal(j.result->out.len, LIMIT);
    assert_true(j.result->out.cap <= 4 * LIMIT);
    assert_false(runs(j.result->pid));
    job_close(&j);

    job_run(&j, "head -c 16777217 /dev/zero >&2; sleep 1000"); /* one byte over the default */
    assert_int_equal(j.result->error.code, MU_ELIMIT);
    assert_non_null(strstr(j.result->error.msg, "standard error"));
    assert_int_equal(j.result->err.len, 16 << 20);
    job_close(&j);

    /* a stubborn one that goes on writing: its pipe is read on, nothing is kept */
    job_open(&j, "trap '' TERM; yes");
    j.req.limit = 10;
    job_start(&j);
    job_wait(&j);
    assert_int_equal(j.result->error.code, MU_ELIMIT);
    assert_string_equal(mu_buf_cstr(&j.result->out), "y\ny\ny\ny\ny\n");
    job_close(&j);
}

static void test_lines(void **state)
{
    struct job j;

    (void)state;
    job_open(&j, "printf 'one\\r\\ntw'; sleep 0.02; printf 'o\\n\\nlast'");
    take_lines(&j);
    job_start(&j);
    job_wait(&j);
    assert_string_equal(mu_buf_cstr(&j.text), "out<one\r>out<two>out<>out<last>");
    assert_ok(&j, "");
    job_close(&j);

    job_open(&j, "echo one; sleep 0.02; printf two >&2");
    take_lines(&j);
    job_start(&j);
    job_wait(&j);
    assert_string_equal(mu_buf_cstr(&j.text), "out<one>err<two>");
    job_close(&j);

    /* any amount, since nothing is kept: only a line is limited */
    job_open(&j, "yes 123456789012345 | head -c 67108864");
    take_lines(&j);
    j.count_only = true;
    j.req.limit = 4096;
    job_start(&j);
    job_wait(&j);
    assert_ok(&j, "");
    assert_int_equal(j.lines, 4 << 20);
    assert_int_equal(j.result->out.cap, 0);
    job_close(&j);

    job_open(&j, "echo short; head -c 5000 /dev/zero; sleep 1000");
    take_lines(&j);
    j.req.limit = 4096;
    job_start(&j);
    job_wait(&j);
    assert_int_equal(j.result->error.code, MU_ELIMIT);
    assert_string_equal(j.result->error.cause, "output limit");
    assert_string_equal(mu_buf_cstr(&j.text), "out<short>");
    job_close(&j);
}

static void test_free_any_time(void **state)
{
    struct job j;
    long pid;

    (void)state;
    mu_process_free(NULL);
    job_open(&j, "sleep 1000");
    job_start(&j);
    pid = mu_process_result(j.p)->pid;
    job_close(&j); /* at once: the loop's end sees to the reaping */
    assert_int_equal(j.done, 0);
    assert_false(runs(pid));
    assert_true(kill((pid_t)pid, 0) && errno == ESRCH);

    job_open(&j, "echo hi");
    j.free_in_done = true;
    job_start(&j);
    job_wait(&j);
    assert_null(j.p);
    job_close(&j);

    for (int at = 1; at <= 3; at++) { /* 3: the unterminated one, handed over at the end */
        job_open(&j, "printf '1\\n2\\n3'");
        take_lines(&j);
        j.free_at_line = at;
        job_start(&j);
        turn_until(j.loop, &j.lines, at);
        turn_for_ms(j.loop, 20);
        assert_int_equal(j.lines, at);
        assert_int_equal(j.done, 0);
        job_close(&j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_and_status),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_inheritance),
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_big_output),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_free_any_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
