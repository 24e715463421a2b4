/* One test a trap of libssh 0.10 that host/ssh works around; each fails without its cure. */
#include "sshpeer.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Turn the loop for so long and count the turns: a loop that spins makes thousands. */
static unsigned turns_in(uint64_t ms)
{
    bool over = false;
    unsigned n = 0;
    struct mu_timer *t = mu_timer_new(loop, on_patience, &over);

    mu_timer_start(t, NULL, ms);
    for (; !over; n++)
        mu_loop_turn(loop, true);
    mu_timer_free(t);
    return n;
}

static void no_host_keys(void)
{
    char key[512];
    const char *keys[] = {key, NULL}, *none[] = {NULL};
    struct mu_ssh_config config = {.policy = MU_HOSTKEY_OFF, .known_hosts = none, .key_files = keys,
                                   .agent_timeout_ms = 1000};
    struct mu_err err = {0};

    snprintf(key, sizeof(key), "%s/id_ed25519", sshtest_dir);
    mu_ssh_shared_free(shared);
    if (mu_ssh_shared_new(&shared, &config, &err))
        fail_msg("%s", err.msg);
}

/* 1: an exit status that comes long after EOF. libssh's reading calls stop reading the socket at EOF. */
static void serve_late_status(int fd)
{
    char command[500];
    ssh_session s = peer_kex(fd);
    ssh_channel c = peer_login(s, NULL, command, sizeof(command));

    ssh_channel_write(c, "output\n", 7);
    ssh_channel_send_eof(c);
    peer_wait_for_test();
    ssh_channel_request_send_exit_status(c, 42);
    ssh_channel_close(c);
    ssh_blocking_flush(s, -1);
    peer_wait_for_ever();
}

static void trap_01_exit_status_after_eof(void **state)
{
    struct peer p = peer_start(serve_late_status);
    struct mu_ssh_session *s;
    struct running x;
    unsigned turns;

    (void)state;
    no_host_keys();
    s = connected_to(&p.server);
    start(&x, s, "whatever");
    wait_for_output(&x);
    run_for(50);
    assert_true(x.e->eof);
    turns = turns_in(300);
    assert_in_range(turns, 1, 10);
    assert_false(x.done);
    assert_int_equal(write(p.control, "x", 1), 1);
    finish(&x);
    assert_int_equal(x.r->error.code, 0);
    assert_int_equal(x.r->exit_status, 42);
    assert_string_equal(mu_buf_cstr(&x.r->out), "output\n");
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
    peer_stop(&p);
}

/* 2: a session with no command must answer the server's keepalives, and notice its death. */
static void trap_02_idle_session_is_pumped(void **state)
{
    struct server srv = server_add("keepalive", "ClientAliveInterval 1\nClientAliveCountMax 1\n");
    struct mu_ssh_session *s = connected_to(&srv);
    uint64_t before, until;

    (void)state;
    before = s->io.out_bytes;
    until = mu_clock_ms() + PATIENCE_MS;
    while (s->io.out_bytes - before < 200 && mu_ssh_session_connected(s) && mu_clock_ms() < until)
        run_for(100); /* three answers and more: sshd would have hung up after two seconds without one */
    assert_true(mu_ssh_session_connected(s));
    expect(s, "echo alive", "alive\n", "", 0);
    must("%s kill %s keepalive >&2", fleet_path(), sshtest_dir);
    until = mu_clock_ms() + PATIENCE_MS;
    while (mu_ssh_session_connected(s) && mu_clock_ms() < until)
        run_for(10);
    assert_false(mu_ssh_session_connected(s));
    assert_in_range(turns_in(100), 1, 5);
    mu_ssh_session_free(s);
}

/* 3, 7: a server that reads nothing, while we write 8 MiB: the loop goes on. */
static void serve_frozen(int fd)
{
    static char bytes[16 << 20];
    char command[500];
    ssh_session s = peer_kex(fd);
    ssh_channel c = peer_login(s, NULL, command, sizeof(command));

    ssh_channel_write(c, "frozen\n", 7);
    ssh_channel_read(c, bytes, sizeof(bytes), 0); /* opens the window so wide, and returns with the first bytes */
    peer_wait_for_test();
    while (!ssh_channel_is_closed(c) && ssh_channel_read(c, command, sizeof(command), 0) >= 0)
        ;
    _exit(ssh_channel_is_closed(c) ? 0 : 1);
}

static void trap_03_write_to_a_frozen_server_never_blocks(void **state)
{
    struct peer p = peer_start_with(serve_frozen, 4096);
    size_t n = (size_t)8 << 20;
    char *bytes = calloc(1, n);
    struct mu_exec_request req = {.command = "cat", .input = bytes, .input_len = n};
    struct mu_ssh_session *s;
    struct running x;
    uint64_t began;

    (void)state;
    no_host_keys();
    s = connected_to(&p.server);
    start_request(&x, s, &req);
    wait_for_output(&x);
    assert_in_range(turns_in(500), 1, 400);
    assert_in_range(turns_in(300), 1, 10); /* as much as fits has gone: quiet */
    assert_true(x.e->input_sent > 0 && x.e->input_sent < n);
    assert_true(ssh_get_status(s->ssh) & SSH_WRITE_PENDING);

    /* 8: a close that cannot be sent at once is sent when it can: the peer sees its channel closed. */
    mu_ssh_exec_free(x.e);
    assert_int_equal(write(p.control, "x", 1), 1);
    began = mu_clock_ms();
    while (mu_ssh_session_connected(s) && mu_clock_ms() - began < PATIENCE_MS)
        run_for(10); /* it ends when it has */
    assert_int_equal(peer_wait(&p), 0);
    mu_ssh_session_free(s);
    free(bytes);
}

/* Closing a session with a server that reads nothing does not wait for it. */
static void trap_03_close_with_a_frozen_server(void **state)
{
    struct peer p = peer_start_with(serve_frozen, 4096);
    size_t n = (size_t)8 << 20;
    char *bytes = calloc(1, n);
    struct mu_exec_request req = {.command = "cat", .input = bytes, .input_len = n};
    struct mu_ssh_session *s;
    struct running x;

    (void)state;
    no_host_keys();
    s = connected_to(&p.server);
    start_request(&x, s, &req);
    wait_for_output(&x);
    run_for(100);
    assert_true(ssh_get_status(s->ssh) & SSH_WRITE_PENDING);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s); /* would hang here, and so would the test */
    peer_stop(&p);
    free(bytes);
}

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

/* 5: what libssh read during a call outside an event is looked at, though the socket will not be readable again. One
 * try: false when the server had not yet sent all when we looked. */
static bool read_in_another_call(struct mu_ssh_session *s, const char *fifo)
{
    struct pollfd readable = {.fd = s->fd, .events = POLLIN};
    struct running x, z;
    char command[400];
    bool all, over;
    pid_t sshd;
    int fd;

    snprintf(command, sizeof(command), "echo x; cat %s; exit 3", fifo);
    start(&z, s, "echo z; exec sleep 1000");
    start(&x, s, command);
    wait_for_output(&z);
    wait_for_output(&x);
    wait_for_pid(&z);
    sshd = connection_pid(&x);
    fd = open(fifo, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, "y\n", 2), 2);
    close(fd);
    assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
    usleep(200000); /* its end is in the socket by now, most likely, and the loop has not seen it */
    assert_int_equal(kill(sshd, SIGSTOP), 0); /* no answer will wake the loop */
    assert_false(x.e->got_status);
    kill(-(pid_t)z.e->result.pid, SIGKILL);
    mu_ssh_exec_free(z.e); /* libssh reads while it sends */
    all = x.e->got_status && x.e->eof;
    over = all && !run_until(&x.done);
    kill(sshd, SIGCONT);
    assert_false(over);
    finish(&x);
    assert_string_equal(mu_buf_cstr(&x.r->out), "x\ny\n");
    assert_int_equal(x.r->exit_status, 3);
    mu_ssh_exec_free(x.e);
    return all;
}

static void trap_05_data_read_in_another_call(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    char fifo[300];
    int tries = 0;

    (void)state;
    snprintf(fifo, sizeof(fifo), "%s/fifo", sshtest_dir);
    assert_int_equal(mkfifo(fifo, 0666), 0);
    assert_int_equal(chmod(fifo, 0666), 0);
    while (!read_in_another_call(s, fifo) && ++tries < 20)
        ;
    assert_true(tries < 20);
    mu_ssh_session_free(s);
}

/* 6: libssh wants to know when it may write after every send; a watch that keeps that wish spins. */
static void trap_06_no_spin_for_writing(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;

    (void)state;
    assert_in_range(turns_in(200), 1, 5);
    start(&x, s, "echo started; exec sleep 1000");
    wait_for_output(&x);
    wait_for_pid(&x);
    run_for(20);
    assert_in_range(turns_in(200), 1, 5);
    kill((pid_t)mu_ssh_exec_result(x.e)->pid, SIGKILL);
    finish(&x);
    assert_string_equal(x.r->signal, "KILL");
    mu_ssh_exec_free(x.e);
    assert_in_range(turns_in(200), 1, 8);
    mu_ssh_session_free(s);
}

/* 6, 7: a server that takes the bytes again without a word gets the rest of them. */
static void serve_thawed(int fd)
{
    static char bytes[16 << 20];
    char command[500];
    ssh_session s = peer_kex(fd);
    ssh_channel c = peer_login(s, NULL, command, sizeof(command));
    size_t left = (size_t)7 << 20; /* less what was read before the frost */

    ssh_channel_write(c, "frozen\n", 7);
    ssh_channel_read(c, bytes, sizeof(bytes), 0);
    peer_wait_for_test();
    while (left > 0) { /* below libssh, which would answer */
        ssize_t n = read(fd, bytes, left);

        if (n <= 0)
            _exit(1);
        left -= (size_t)n;
    }
    _exit(0);
}

static void trap_06_written_when_the_server_reads_again(void **state)
{
    struct peer p = peer_start_with(serve_thawed, 4096);
    size_t n = (size_t)8 << 20;
    char *bytes = calloc(1, n);
    struct mu_exec_request req = {.command = "cat", .input = bytes, .input_len = n};
    struct mu_ssh_session *s;
    struct running x;
    uint64_t until;

    (void)state;
    no_host_keys();
    s = connected_to(&p.server);
    start_request(&x, s, &req);
    wait_for_output(&x);
    run_for(100);
    assert_true(ssh_get_status(s->ssh) & SSH_WRITE_PENDING);
    assert_int_equal(write(p.control, "x", 1), 1);
    until = mu_clock_ms() + PATIENCE_MS;
    while (mu_ssh_session_connected(s) && mu_clock_ms() < until)
        run_for(10);
    assert_false(mu_ssh_session_connected(s)); /* it got all and left */
    assert_int_equal(peer_wait(&p), 0);
    finish(&x);
    assert_int_equal(x.r->error.code, MU_ELOST);
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
    free(bytes);
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
    no_host_keys();
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
    no_host_keys();
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
    no_host_keys();
    s = connected_to(&p.server);
    run(&x, s, "whatever");
    assert_int_equal(x.r->error.code, MU_ECHANNEL);
    assert_string_equal(x.r->error.cause, "the server refused to run a command");
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
    peer_stop(&p);
}

/* A key exchange every megabyte, in both directions: no stall. */
static void rekeying_in_the_middle(void **state)
{
    struct server srv = server_add("rekey", "RekeyLimit 1M\n");
    struct mu_ssh_session *s = connected_to(&srv);
    size_t n = (size_t)4 << 20;
    char *bytes = calloc(1, n);
    struct mu_exec_request req = {.command = "cat; head -c 12000000 /dev/zero", .input = bytes, .input_len = n,
                                  .limit = (size_t)64 << 20};
    struct running x;

    (void)state;
    run_request(&x, s, &req);
    assert_int_equal(x.r->error.code, 0);
    assert_int_equal(x.r->out.len, n + 12000000);
    mu_ssh_exec_free(x.e);
    expect(s, "echo next", "next\n", "", 0);
    free(bytes);
    mu_ssh_session_free(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(trap_01_exit_status_after_eof),
        T(trap_02_idle_session_is_pumped),
        T(trap_03_write_to_a_frozen_server_never_blocks),
        T(trap_03_close_with_a_frozen_server),
        T(trap_04_no_descriptor_is_closed_twice),
        T(trap_04_many_descriptors),
        T(trap_04_too_many_open_files),
        T(trap_05_data_read_in_another_call),
        T(trap_06_no_spin_for_writing),
        T(trap_06_written_when_the_server_reads_again),
        T(trap_12_log_of_each_thread),
        T(trap_13_closing_does_not_end_but_aborting_does),
        T(trap_14_own_connected_descriptor),
        T(trap_16_our_timer_ends_a_connect),
        T(closed_without_exit_status),
        T(exec_refused),
        T(rekeying_in_the_middle),
    };

    mu_ssh_thread_init();
    return cmocka_run_group_tests(tests, fleet_setup, fleet_teardown);
}
