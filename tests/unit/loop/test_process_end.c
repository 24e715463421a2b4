/* Ending commands early, what they leave behind, and many at once. */
#include "process_support.h"

#include <pthread.h>

/* Start a command that prints n numbers, lines of their own, and wait for them. */
static void start_and_read(struct job *j, const char *command, int n, long *numbers)
{
    const char *at;

    job_open(j, command);
    take_lines(j);
    job_start(j);
    turn_until(j->loop, &j->lines, n);
    at = mu_buf_cstr(&j->text);
    for (int i = 0; i < n; i++) {
        at = strchr(at, '<') + 1;
        numbers[i] = atol(at);
        assert_true(numbers[i] > 1);
    }
}

static void test_term_is_enough(void **state)
{
    struct mu_err why = canceled();
    struct job j;
    long pid;

    (void)state;
    start_and_read(&j, "trap 'echo bye; exit 3' TERM; echo $$; while :; do sleep 0.01; done", 1, &pid);
    mu_process_abort(j.p, &why, 3600 * 1000); /* KILL would come far too late for this test */
    assert_int_equal(j.done, 0);
    job_wait(&j);
    assert_int_equal(j.result->error.code, MU_ECANCELED);
    assert_string_equal(j.result->error.msg, "ended by the test");
    assert_int_equal(j.result->exit_status, -1);
    assert_non_null(strstr(mu_buf_cstr(&j.text), "out<bye>")); /* what it says to its end is still heard */
    assert_false(j.result->unended);
    assert_false(runs(pid));
    mu_process_abort(j.p, &why, 0); /* too late: nothing */
    job_close(&j);

    /* a stopped one is not left behind */
    start_and_read(&j, "echo $$; kill -STOP $$", 1, &pid);
    mu_process_abort(j.p, &why, 3600 * 1000);
    job_wait(&j);
    assert_string_equal(j.result->signal, "TERM");
    job_close(&j);
}

static const char stubborn_tree[] = "trap '' TERM; sh -c 'trap \"\" TERM; sh -c \"echo \\$\\$; while :; do sleep 1; done\" & "
                                    "echo $$; while :; do sleep 1; done' & echo $$; while :; do sleep 1; done";

static void test_stubborn_tree(void **state)
{
    struct mu_err why = canceled(), other;
    long pids[3];
    struct job j;

    (void)state;
    for (int times = 1; times <= 2; times++) {
        start_and_read(&j, stubborn_tree, 3, pids);
        mu_process_abort(j.p, &why, times == 1 ? 50 : 3600 * 1000);
        if (times == 2) { /* a second call shortens the wait, never lengthens it, and keeps the first reason */
            mu_err_set(&other, MU_ETIMEDOUT, "another reason");
            mu_process_abort(j.p, &other, 0);
            mu_process_abort(j.p, &other, 3600 * 1000);
        }
        job_wait(&j);
        assert_int_equal(j.result->error.code, MU_ECANCELED);
        assert_string_equal(j.result->signal, "KILL");
        assert_false(j.result->unended);
        for (int i = 0; i < 3; i++)
            assert_false(runs(pids[i]));
        job_close(&j);
    }
}

static void test_leader_ends_before_its_children(void **state)
{
    struct mu_err why = canceled();
    long pids[2];
    struct job j;

    (void)state;
    /* the shell obeys TERM, its child does not: done waits for both */
    start_and_read(&j, "sh -c 'trap \"\" TERM; echo $$; exec sleep 1000' & echo $$; wait", 2, pids);
    mu_process_abort(j.p, &why, 100);
    job_wait(&j);
    assert_string_equal(j.result->signal, "TERM");
    assert_false(j.result->unended);
    assert_false(runs(pids[0]));
    assert_false(runs(pids[1]));
    job_close(&j);

    /* abort between the end of the shell and done: the background child that holds the stream goes too */
    start_and_read(&j, "sleep 1000 & echo $!", 1, pids);
    while (runs(mu_process_result(j.p)->pid))
        mu_loop_turn(j.loop, false);
    mu_process_abort(j.p, &why, 3600 * 1000);
    job_wait(&j);
    assert_int_equal(j.result->error.code, MU_ECANCELED);
    assert_false(runs(pids[0]));
    job_close(&j);
}

static void test_background_child_keeps_stream(void **state)
{
    struct job j;
    long pid;

    (void)state;
    job_run(&j, "sleep 1000 & echo $!; printf 'more' >&2; exit 5");
    assert_int_equal(j.result->error.code, 0);
    assert_int_equal(j.result->exit_status, 5);
    assert_string_equal(mu_buf_cstr(&j.result->err), "more");
    pid = atol(mu_buf_cstr(&j.result->out));
    assert_true(pid > 1);
    job_close(&j);
    assert_true(runs(pid)); /* the command asked for that */
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0);

    job_open(&j, "sleep 1000 & printf '%d\\nunterminated' $!");
    take_lines(&j);
    job_start(&j);
    job_wait(&j);
    assert_non_null(strstr(mu_buf_cstr(&j.text), "out<unterminated>"));
    assert_int_equal(kill((pid_t)atol(strchr(mu_buf_cstr(&j.text), '<') + 1), SIGKILL), 0);
    job_close(&j);
}

static void test_escaped_child(void **state)
{
    struct mu_err why = canceled();
    struct job j;
    long pids[2];

    (void)state;
    /* in a session of its own, with our stream in hand: out of reach, but done comes all the same */
    start_and_read(&j, "setsid sh -c 'echo $$; exec sleep 1000' & echo $$; wait", 2, pids);
    mu_process_abort(j.p, &why, 50);
    job_wait(&j);
    assert_int_equal(j.result->error.code, MU_ECANCELED);
    for (int i = 0; i < 2; i++)
        if (pids[i] != j.result->pid)
            assert_int_equal(kill((pid_t)pids[i], SIGKILL), 0);
    job_close(&j);
}

static void test_held_up_loop_loses_nothing(void **state)
{
    struct job j;
    long pid;

    (void)state;
    /* the command writes a pipe full, ends, and leaves a child with the stream; the loop hears of it all much later */
    job_open(&j, "sleep 1000 & echo $! >&2; head -c 60000 /dev/zero");
    job_start(&j);
    mu_loop_turn(j.loop, false);
    while (runs(mu_process_result(j.p)->pid))
        ;
    job_wait(&j);
    assert_int_equal(j.result->out.len, 60000);
    pid = atol(mu_buf_cstr(&j.result->err));
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
    job_close(&j);
}

static void test_abort_in_callback(void **state)
{
    struct job j;

    (void)state;
    for (int at = 1; at <= 2; at++) { /* 2: the last, unterminated line, when the command has ended by itself */
        job_open(&j, at == 1 ? "echo 1; exec sleep 1000" : "printf '1\\n2'");
        take_lines(&j);
        j.abort_at_line = at;
        job_start(&j);
        job_wait(&j);
        assert_int_equal(j.result->error.code, MU_ECANCELED);
        assert_int_equal(j.lines, at);
        job_close(&j);
    }
}

static void test_free_during_abort(void **state)
{
    struct mu_err why = canceled();
    long pids[3];
    struct job j;

    (void)state;
    start_and_read(&j, stubborn_tree, 3, pids);
    mu_process_abort(j.p, &why, 3600 * 1000);
    mu_loop_turn(j.loop, false);
    job_close(&j);
    assert_int_equal(j.done, 0);
    for (int i = 0; i < 3; i++)
        while (runs(pids[i])) /* KILL was sent; they go as soon as the kernel gets to it */
            ;
}

/* ---- many, in two threads ---- */

enum { EACH = 60, AT_ONCE = 8 };

struct many {
    struct mu_loop *loop;
    struct many_job {
        struct many *all;
        struct mu_process *p;
        struct mu_ctx *ctx;
        char command[64];
        int number;
    } jobs[EACH];
    int started, finished, wrong;
};

static void start_next(struct many *m);

static void one_done(void *arg, struct mu_process *p)
{
    struct many_job *j = arg;
    struct many *m = j->all;
    const struct mu_exec_result *r = mu_process_result(p);

    if (r->error.code || r->exit_status != j->number || atoi(mu_buf_cstr(&r->out)) != j->number || r->err.len != 2 ||
        mu_ctx_current() != j->ctx)
        m->wrong++;
    mu_process_free(p);
    mu_ctx_unref(j->ctx);
    m->finished++;
    start_next(m);
}

static void start_next(struct many *m)
{
    struct many_job *j = &m->jobs[m->started];
    struct mu_exec_request req = {.command = j->command};

    if (m->started == EACH)
        return;
    j->all = m;
    j->number = m->started++;
    snprintf(j->command, sizeof(j->command), "echo %d; echo e >&2; exit %d", j->number, j->number);
    j->ctx = mu_ctx_with_str(NULL, "server_id", j->command);
    if (mu_process_start(&j->p, m->loop, j->ctx, &req, one_done, j, NULL)) {
        m->wrong++;
        m->finished++;
    }
}

static void *run_many(void *arg)
{
    struct many *m = arg;

    if (mu_loop_new(&m->loop, NULL))
        return NULL;
    for (int i = 0; i < AT_ONCE; i++)
        start_next(m);
    while (m->finished < EACH)
        mu_loop_turn(m->loop, true);
    mu_loop_free(m->loop);
    return NULL;
}

static void test_two_loops(void **state)
{
    static struct many m[2];
    pthread_t threads[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, &m[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(m[i].finished, EACH);
        assert_int_equal(m[i].wrong, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_term_is_enough),
        cmocka_unit_test(test_stubborn_tree),
        cmocka_unit_test(test_leader_ends_before_its_children),
        cmocka_unit_test(test_background_child_keeps_stream),
        cmocka_unit_test(test_escaped_child),
        cmocka_unit_test(test_held_up_loop_loses_nothing),
        cmocka_unit_test(test_abort_in_callback),
        cmocka_unit_test(test_free_during_abort),
        cmocka_unit_test(test_two_loops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
