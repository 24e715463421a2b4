/* Connecting: each phase's failure by name, losing a connection, closing one. The phase of authentication:
 * test_session_login.c. */
#include "sshpeer.h"

#include <dirent.h>

/* ---- phases ---- */

static void connect_run_disconnect_again(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        struct mu_err err;

        expect(s, "echo x", "x\n", "", 0);
        mu_ssh_session_disconnect(s);
        assert_false(mu_ssh_session_connected(s));
        err = connect_outcome(s, CONNECT_MS);
        assert_int_equal(err.code, 0);
    }
    mu_ssh_session_free(s);
}

static void connecting_twice_is_refused(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct mu_err err = {0};

    (void)state;
    assert_int_equal(mu_ssh_session_connect(s, NULL, 1000, on_connected, NULL, &err), MU_ESTATE);
    mu_ssh_session_free(s);
}

static void unknown_name(void **state)
{
    struct server srv = {.address = "no-such-host.invalid", .user = "muster", .port = 22};
    struct mu_ssh_session *s = session_to(&srv);
    struct mu_err err = connect_outcome(s, CONNECT_MS);

    (void)state;
    assert_int_equal(err.code, MU_ERESOLVE);
    assert_int_equal(strncmp(err.cause, "name resolution: ", 17), 0);
    mu_ssh_session_free(s);
}

static void refused_port(void **state)
{
    char command[1100];
    struct server srv = {.address = "127.0.0.1", .user = "muster"};

    (void)state;
    snprintf(command, sizeof(command), "%s port", fleet_path());
    srv.port = atoi(output_of(command));
    assert_true(srv.port > 0);
    expect_failure(&srv, CONNECT_MS, MU_EREFUSED, "connect: connection refused");
}

static void second_address_is_tried(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s;
    struct mu_err err;

    (void)state;
    /* localhost is ::1 and 127.0.0.1; the server listens on the latter only. */
    use_shared_without_host_keys(NULL, true);
    snprintf(srv.address, sizeof(srv.address), "localhost");
    s = session_to(&srv);
    err = connect_outcome(s, CONNECT_MS);
    if (err.code)
        fail_msg("%s", err.msg);
    mu_ssh_session_free(s);
}

static void serve_silence(int fd) { (void)fd; }

static void silent_server_times_out_in_key_exchange(void **state)
{
    struct peer p = peer_start(serve_silence);

    (void)state;
    use_shared_without_host_keys(NULL, true);
    expect_failure(&p.server, 2000, MU_ECONNTIMEOUT, "key exchange: timed out");
    peer_stop(&p);
}

static void full_backlog_times_out_in_connect(void **state)
{
    /* A listener that accepts nobody, with its queue full, answers nothing. */
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    struct server srv = {.address = "127.0.0.1", .user = "muster"};
    int listener = socket(AF_INET, SOCK_STREAM, 0), fill[4], i;

    (void)state;
    assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
    for (i = 0; i < 4; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fill[i], (struct sockaddr *)&sa, len);
    }
    srv.port = ntohs(sa.sin_port);
    expect_failure(&srv, 300, MU_ECONNTIMEOUT, "connect: timed out");
    for (i = 0; i < 4; i++)
        close(fill[i]);
    close(listener);
}

static void serve_close(int fd) { close(fd); }

static void serve_garbage(int fd)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\nServer: \033[31mx\r\n\r\n";

    (void)!write(fd, text, sizeof(text) - 1);
    shutdown(fd, SHUT_WR);
}

static void serve_long_line(int fd)
{
    char text[1000];

    memset(text, 'x', sizeof(text));
    (void)!write(fd, text, sizeof(text));
}

static void serve_old_protocol(int fd) { (void)!write(fd, "SSH-1.5-ancient\r\n", 17); }

static void other_servers_than_ssh(void **state)
{
    static const struct {
        peer_fn *serve;
        const char *cause;
    } cases[] = {
        {serve_close, "key exchange: connection closed"},
        {serve_garbage, "key exchange: no SSH greeting"},
        {serve_long_line, "key exchange: not an SSH server"},
        {serve_old_protocol, "key exchange: not an SSH server"},
    };
    size_t i;

    (void)state;
    use_shared_without_host_keys(NULL, true);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer p = peer_start(cases[i].serve);

        expect_failure(&p.server, CONNECT_MS, MU_EKEX, cases[i].cause);
        peer_stop(&p);
    }
}

static void no_common_algorithm(void **state)
{
    struct server srv = server_add("oldkex", "KexAlgorithms sntrup761x25519-sha512@openssh.com\n");

    (void)state;
    expect_failure(&srv, CONNECT_MS, MU_EKEX, "key exchange: no common algorithm");
}

static void host_key_unknown_and_changed(void **state)
{
    struct server srv = server_named("srv01");
    char path[512];
    FILE *f;

    (void)state;
    snprintf(path, sizeof(path), "%s/known_hosts", sshtest_dir);
    must("mv %s %s.kept", path, path);
    must("ssh-keygen -q -t ed25519 -N '' -f %s/other", sshtest_dir);
    f = fopen(path, "w");
    fclose(f);
    mu_ssh_shared_free(shared);
    load_shared();
    expect_failure(&srv, CONNECT_MS, MU_EHOSTKEYUNKNOWN, "host key unknown");
    must("printf '[127.0.0.1]:%d %%s\\n' \"$(cut -d' ' -f1,2 %s/other.pub)\" >%s", srv.port, sshtest_dir, path);
    mu_ssh_shared_free(shared);
    load_shared();
    expect_failure(&srv, CONNECT_MS, MU_EHOSTKEYCHANGED, "host key changed");
    must("mv %s.kept %s", path, path);
}

/* ---- given up, lost, closed ---- */

static void abort_comes_by_the_callback(void **state)
{
    struct peer p = peer_start(serve_silence);
    struct mu_ssh_session *s;
    struct connecting c = {0};
    struct mu_err err = {0}, why = {0};

    (void)state;
    mu_err_set(&why, MU_ECANCELED, "interrupted");
    s = session_to(&p.server);
    assert_int_equal(mu_ssh_session_connect(s, NULL, CONNECT_MS, on_connected, &c, &err), 0);
    run_for(20);
    mu_ssh_session_connect_abort(s, &why);
    assert_false(c.done);
    assert_true(run_until(&c.done));
    assert_int_equal(c.err.code, MU_ECANCELED);
    mu_ssh_session_connect_abort(s, &why); /* nothing */

    memset(&c, 0, sizeof(c));
    assert_int_equal(mu_ssh_session_connect(s, NULL, CONNECT_MS, on_connected, &c, &err), 0);
    mu_ssh_session_connect_abort(s, &why); /* while resolving */
    assert_true(run_until(&c.done));
    assert_int_equal(c.err.code, MU_ECANCELED);

    memset(&c, 0, sizeof(c));
    assert_int_equal(mu_ssh_session_connect(s, NULL, CONNECT_MS, on_connected, &c, &err), 0);
    run_for(20);
    mu_ssh_session_disconnect(s); /* no callback */
    run_for(20);
    assert_false(c.done);
    mu_ssh_session_free(s);
    peer_stop(&p);
}

static void disconnect_ends_commands_here(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct running x;

    (void)state;
    start(&x, s, "echo started; exec sleep 1000");
    wait_for_output(&x);
    wait_for_pid(&x);
    mu_ssh_session_disconnect(s);
    assert_false(x.done);
    finish(&x);
    assert_int_equal(x.r->error.code, MU_ECLOSED);
    assert_false(x.r->unended);
    assert_string_equal(mu_buf_cstr(&x.r->out), "started\n");
    assert_true(x.r->pid > 1);
    assert_int_equal(kill(-(pid_t)x.r->pid, SIGKILL), 0); /* it was left running */
    mu_ssh_exec_free(x.e);
    mu_ssh_session_free(s);
}

static void lost_in_the_middle_of_a_command(void **state)
{
    struct server srv = server_named("srv01");
    struct mu_ssh_session *s = connected_to(&srv);
    struct mu_exec_request req = {.command = "true"};
    struct mu_ssh_exec *e = NULL;
    struct mu_err err = {0};
    struct running x;

    (void)state;
    start(&x, s, "echo started; exec sleep 1000");
    wait_for_output(&x);
    cut_connection(&x);
    finish(&x);
    kill(-(pid_t)x.r->pid, SIGKILL);
    assert_int_equal(x.r->error.code, MU_ELOST);
    assert_string_equal(x.r->error.cause, "connection lost");
    assert_false(x.r->unended);
    assert_string_equal(mu_buf_cstr(&x.r->out), "started\n");
    assert_false(mu_ssh_session_connected(s));
    assert_int_equal(mu_ssh_exec_start(&e, s, NULL, &req, on_done, NULL, &err), MU_ELOST);
    assert_string_equal(err.cause, "connection lost");
    mu_ssh_exec_free(x.e);
    err = connect_outcome(s, CONNECT_MS);
    if (err.code)
        fail_msg("%s", err.msg);
    expect(s, "echo back", "back\n", "", 0);
    mu_ssh_session_free(s);
}

/* Counted here: a command that counted could see its own pipe before popen() has closed the other end. */
static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void descriptors_are_given_back(void **state)
{
    struct server srv = server_named("srv01");
    struct peer p = peer_start(serve_close);
    int before, i;

    (void)state;
    use_shared_without_host_keys(NULL, true);
    mu_ssh_session_free(connected_to(&srv));
    expect_failure(&p.server, CONNECT_MS, MU_EKEX, "key exchange: connection closed");
    before = open_descriptors();
    for (i = 0; i < 5; i++) {
        struct mu_ssh_session *s = connected_to(&srv);

        expect(s, "echo x", "x\n", "", 0);
        mu_ssh_session_free(s);
        expect_failure(&p.server, CONNECT_MS, MU_EKEX, "key exchange: connection closed");
    }
    assert_int_equal(before, open_descriptors());
    peer_stop(&p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(connect_run_disconnect_again),
        T(connecting_twice_is_refused),
        T(unknown_name),
        T(refused_port),
        T(second_address_is_tried),
        T(silent_server_times_out_in_key_exchange),
        T(full_backlog_times_out_in_connect),
        T(other_servers_than_ssh),
        T(no_common_algorithm),
        T(host_key_unknown_and_changed),
        T(abort_comes_by_the_callback),
        T(disconnect_ends_commands_here),
        T(lost_in_the_middle_of_a_command),
        T(descriptors_are_given_back),
    };

    mu_ssh_thread_init();
    return cmocka_run_group_tests(tests, fleet_setup, fleet_teardown);
}
