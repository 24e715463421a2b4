/* One test a trap of libssh 0.10 that host/ssh works around; each fails without its cure. Here: descriptors, threads,
 * closing, time limits, and answers that a server should not give. Those of reading and writing: test_traps_flow.c. */
#include "sshpeer.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/resource.h>

/* 4: libssh closes its descriptor when the server dies; whoever got the number next must not lose it to us. */
static void trap_04_no_descriptor_is_closed_twice(void **state)
{
    struct server srv = server_add("dies", "");
    struct mu_ssh_session *s = connected_to(&srv);
    int mine[8], i, fd = s->fd, watch_fd = s->watch_fd;
    uint64_t until = mu_clock_ms() + PATIENCE_MS;

    (void)state;
    assert_int_not_equal(fd, watch_fd);
    must("%s kill %s dies >&2", fleet_path(), sshtest_dir);
    while (mu_ssh_session_connected(s) && mu_clock_ms() < until)
        run_for(10);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(fcntl(watch_fd, F_GETFD), -1);
    for (i = 0; i < 8; i++)
        mine[i] = open("/dev/null", O_RDONLY | O_CLOEXEC); /* has those numbers now */
    run_for(50);
    mu_ssh_session_disconnect(s);
    mu_ssh_session_free(s);
    run_for(10);
    for (i = 0; i < 8; i++) {
        assert_int_not_equal(fcntl(mine[i], F_GETFD), -1);
        close(mine[i]);
    }
}

/* libssh cuts a descriptor to 16 bits: it would use somebody else's. */
static void trap_04_many_descriptors(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s;
    struct rlimit limit;
    struct mu_err err;
    static int fds[66000];
    int n = 0, all;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 70000 ? limit.rlim_max : 70000;
    if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < 18000)
        skip();
    all = limit.rlim_cur >= 70000 ? 0xffff : 17000; /* the first where the machine allows it */
    s = session_to(&srv);
    do
        fds[n] = dup(0);
    while (fds[n++] < all);
    err = connect_outcome(s, CONNECT_MS);
    if (all == 0xffff) {
        assert_int_equal(err.code, MU_EUNREACH);
        assert_non_null(strstr(err.msg, "descriptors"));
    } else {
        assert_int_equal(err.code, 0);
        expect(s, "echo x", "x\n", "", 0);
    }
    mu_ssh_session_disconnect(s);
    while (n > 0)
        close(fds[--n]);
    err = connect_outcome(s, CONNECT_MS);
    assert_int_equal(err.code, 0);
    mu_ssh_session_free(s);
}

/* Out of descriptors altogether is said so. */
static void trap_04_too_many_open_files(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = session_to(&srv);
    struct rlimit former, limit;
    struct mu_err err;
    int i;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &former);
    for (i = 0; i < 2; i++) { /* not even the first; then the second of the two that a session takes */
        int free_fd = dup(0);

        close(free_fd);
        limit = former;
        limit.rlim_cur = (rlim_t)(free_fd + i);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        err = connect_outcome(s, CONNECT_MS);
        setrlimit(RLIMIT_NOFILE, &former);
        assert_int_equal(err.code, MU_EUNREACH);
        assert_string_equal(err.cause, "connect: too many open files");
    }
    err = connect_outcome(s, CONNECT_MS);
    assert_int_equal(err.code, 0);
    mu_ssh_session_free(s);
}

/* 12: log level and callback belong to a thread in libssh. */
struct log_thread {
    struct server srv;
    unsigned lines, with_server;
    int outcome;
};

static void count_lines(void *arg, const struct mu_record *r)
{
    struct log_thread *t = arg;
    bool libssh = false, server = false;
    size_t i;

    for (i = 0; i < r->n_fields; i++) {
        libssh |= strcmp(r->fields[i].key, "logger") == 0 && strcmp(r->fields[i].v.str, "libssh") == 0;
        server |= strcmp(r->fields[i].key, "server_id") == 0;
    }
    t->lines += libssh;
    t->with_server += libssh && server;
}

static void *log_in_a_thread(void *arg)
{
    struct log_thread *t = arg;
    struct mu_ssh_target target = {.host = t->srv.address, .port = t->srv.port, .user = t->srv.user};
    struct mu_ctx *ctx = mu_ctx_with_str(NULL, "server_id", "5614");
    struct mu_ssh_session *s = NULL;
    struct mu_logger *logger = NULL;
    struct mu_loop *own = NULL;
    struct connecting c = {0};

    t->outcome = -1;
    if (mu_logger_new(&logger, MU_TRACE) || mu_logger_add_sink(logger, count_lines, t, NULL) || mu_loop_new(&own, NULL))
        return NULL;
    mu_logger_use(logger);
    mu_ssh_thread_init();
    if (mu_ssh_session_new(&s, own, shared, &target, NULL) == 0 &&
        mu_ssh_session_connect(s, ctx, CONNECT_MS, on_connected, &c, NULL) == 0) {
        while (!c.done)
            mu_loop_turn(own, true);
        t->outcome = c.err.code;
    }
    mu_ssh_session_free(s);
    mu_loop_free(own);
    mu_logger_use(NULL);
    mu_logger_free(logger);
    mu_ctx_unref(ctx);
    return NULL;
}

static void trap_12_log_of_each_thread(void **state)
{
    struct log_thread t = {.srv = server_named("srv01")}, main_thread = {0};
    struct mu_logger *logger = NULL;
    struct mu_ssh_session *s;
    pthread_t id;

    (void)state;
    assert_int_equal(mu_logger_new(&logger, MU_INFO), 0);
    assert_int_equal(mu_logger_add_sink(logger, count_lines, &main_thread, NULL), 0);
    mu_logger_use(logger);
    mu_ssh_thread_init();
    assert_int_equal(pthread_create(&id, NULL, log_in_a_thread, &t), 0);
    s = connected_to(&t.srv);
    pthread_join(id, NULL);
    mu_ssh_session_free(s);
    mu_logger_use(NULL);
    mu_ssh_thread_init();
    mu_logger_free(logger);
    assert_int_equal(t.outcome, 0);
    assert_true(t.lines > 20);
    assert_true(t.with_server > 20);
    assert_int_equal(main_thread.lines, 0);
}

/* 13: closing a channel leaves the process running; ending it is another matter (see test_exec_end.c). */
static void trap_13_closing_does_not_end_but_aborting_does(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct mu_err why = {0};
    struct running x, y;
    pid_t pid;

    (void)state;
    start(&x, s, "echo $$; exec sleep 1000");
    wait_for_output(&x);
    wait_for_pid(&x);
    pid = (pid_t)mu_ssh_exec_result(x.e)->pid;
    mu_ssh_exec_free(x.e);
    expect(s, "echo later", "later\n", "", 0);
    assert_int_equal(kill(-pid, 0), 0);
    kill(-pid, SIGKILL);
    start(&y, s, "echo $$; exec sleep 1000");
    wait_for_output(&y);
    mu_err_set(&why, MU_ETIMEDOUT, "too slow");
    mu_ssh_exec_abort(y.e, &why, 5000, 20000);
    finish(&y);
    assert_false(y.r->unended);
    mu_ssh_exec_free(y.e);
    mu_ssh_session_free(s);
}

/* 14: the connection is ours, made ready before libssh has it. */
static void trap_14_own_connected_descriptor(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    int on = 0;
    socklen_t len = sizeof(on);

    (void)state;
    assert_int_equal(getsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    assert_int_equal(on != 0, 1);
    assert_true(fcntl(s->fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(s->fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(s->watch_fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(ssh_get_fd(s->ssh), s->fd);
    mu_ssh_session_free(s);
}

/* 16: libssh's own timeout does nothing in non-blocking mode. */
static void serve_silence(int fd) { (void)fd; }

static void trap_16_our_timer_ends_a_connect(void **state)
{
    struct peer p = peer_start(serve_silence);
    struct mu_ssh_session *s;
    struct mu_err err;

    (void)state;
    use_shared_without_host_keys(NULL, true);
    s = session_to(&p.server);
    err = connect_outcome(s, 100);
    assert_int_equal(err.code, MU_ECONNTIMEOUT);
    assert_non_null(strstr(err.msg, "0.1 s")); /* in which phase depends on how busy this machine is */
    mu_ssh_session_free(s);
    peer_stop(&p);
}

/* Further answers a server should not give. */
static void serve_no_status(int fd)
{
    char command[500];
    ssh_session s = peer_kex(fd);
    ssh_channel c = peer_login(s, NULL, command, sizeof(command));

    ssh_channel_write(c, "part", 4);
    ssh_channel_close(c);
    ssh_blocking_flush(s, -1);
    peer_wait_for_ever();
}

static void closed_without_exit_status(void **state)
{
    struct peer p = peer_start(serve_no_status);
    struct mu_ssh_session *s;
    struct running x;

    (void)state;
    use_shared_without_host_keys(NULL, true);
    s = connected_to(&p.server);
    run(&x, s, "whatever");
    assert_int_equal(x.r->error.code, MU_ECHANNEL);
    assert_string_equal(x.r->error.cause, "no exit status");
    assert_int_equal(x.r->exit_status, -1);
    assert_string_equal(mu_buf_cstr(&x.r->out), "part");
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
    peer_stop(&p);
}

static bool refuse_exec(ssh_session s, ssh_message m)
{
    (void)s;
    if (ssh_message_type(m) != SSH_REQUEST_CHANNEL)
        return false;
    ssh_message_reply_default(m);
    return true;
}

static void serve_no_exec(int fd)
{
    char command[500];
    ssh_session s = peer_kex(fd);

    peer_login(s, refuse_exec, command, sizeof(command));
    for (;;)
        ssh_message_free(ssh_message_get(s));
}

static void exec_refused(void **state)
{
    struct peer p = peer_start(serve_no_exec);
    struct mu_ssh_session *s;
    struct running x;

    (void)state;
    use_shared_without_host_keys(NULL, true);
    s = connected_to(&p.server);
    run(&x, s, "whatever");
    assert_int_equal(x.r->error.code, MU_ECHANNEL);
    assert_string_equal(x.r->error.cause, "the server refused to run a command");
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
    peer_stop(&p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(trap_04_no_descriptor_is_closed_twice),
        T(trap_04_many_descriptors),
        T(trap_04_too_many_open_files),
        T(trap_12_log_of_each_thread),
        T(trap_13_closing_does_not_end_but_aborting_does),
        T(trap_14_own_connected_descriptor),
        T(trap_16_our_timer_ends_a_connect),
        T(closed_without_exit_status),
        T(exec_refused),
    };

    mu_ssh_thread_init();
    return cmocka_run_group_tests(tests, fleet_setup, fleet_teardown);
}
