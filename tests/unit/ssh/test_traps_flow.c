/* Traps of libssh 0.10 in reading and writing, one test each: bytes that are left lying, loops that spin or stall. Each
 * fails without its cure in host/ssh; further traps are in test_traps.c, under the same numbers. */
#include "sshpeer.h"

#include <fcntl.h>
#include <poll.h>
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
    use_shared_without_host_keys(NULL, true);
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
    use_shared_without_host_keys(NULL, true);
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
    use_shared_without_host_keys(NULL, true);
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
    use_shared_without_host_keys(NULL, true);
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
        T(trap_05_data_read_in_another_call),
        T(trap_06_no_spin_for_writing),
        T(trap_06_written_when_the_server_reads_again),
        T(rekeying_in_the_middle),
    };

    mu_ssh_thread_init();
    return cmocka_run_group_tests(tests, fleet_setup, fleet_teardown);
}
