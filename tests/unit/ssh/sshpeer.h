/* sshpeer.h: a server that misbehaves, in a child process: accepts one connection after another on a port of the
 * kernel's choice and does with each what the test asks. With libssh's own server side where SSH has to be spoken. And
 * what a client needs for one: host keys that are not checked, a connect that must fail. */
#ifndef SSHPEER_H
#define SSHPEER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libssh/libssh.h>
#include <libssh/server.h>

#include "sshtest.h"

/* Its message interface is the one that lets a server answer wrongly on purpose. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

struct peer {
    pid_t pid;
    int control; /* what is written here the peer reads from its peer_control */
    struct server server;
};

static int peer_control = -1; /* in the child */

typedef void peer_fn(int fd);

UNUSED static struct peer peer_start_with(peer_fn *serve, int receive_buffer)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), control[2];
    struct peer p = {0};
    pid_t parent = getpid();

    assert_true(listener >= 0);
    if (receive_buffer)
        setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(pipe(control), 0);
    p.pid = fork();
    assert_true(p.pid >= 0);
    if (p.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) /* it may have died before that */
            _exit(9);
        signal(SIGPIPE, SIG_IGN);
        mu_logger_use(NULL);
        ssh_set_log_level(SSH_LOG_NOLOG);
        close(control[1]);
        peer_control = control[0];
        for (;;) {
            int fd = accept(listener, NULL, NULL);

            if (fd < 0)
                _exit(9);
            serve(fd);
        }
    }
    close(listener);
    close(control[0]);
    p.control = control[1];
    snprintf(p.server.address, sizeof(p.server.address), "127.0.0.1");
    snprintf(p.server.user, sizeof(p.server.user), "muster");
    p.server.port = ntohs(sa.sin_port);
    return p;
}

UNUSED static struct peer peer_start(peer_fn *serve) { return peer_start_with(serve, 0); }

UNUSED static void peer_stop(struct peer *p)
{
    kill(p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
    close(p->control);
}

/* Its exit status, when it ends by itself. */
UNUSED static int peer_wait(struct peer *p)
{
    int status = 0;

    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    close(p->control);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* ---- in the child ---- */

/* Until the test writes to control. */
UNUSED static void peer_wait_for_test(void)
{
    char c;

    while (read(peer_control, &c, 1) < 0)
        ;
}

UNUSED static void peer_wait_for_ever(void)
{
    for (;;)
        pause();
}

static ssh_key peer_key(void)
{
    ssh_key key = NULL;

    if (ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key))
        _exit(8);
    return key;
}

UNUSED static ssh_session peer_kex(int fd)
{
    static ssh_bind b;
    ssh_session s = ssh_new();

    if (!b) {
        b = ssh_bind_new();
        ssh_bind_options_set(b, SSH_BIND_OPTIONS_IMPORT_KEY, peer_key());
    }
    if (ssh_bind_accept_fd(b, s, fd) || ssh_handle_key_exchange(s))
        _exit(7);
    return s;
}

/* What a peer does with a request; true: it has been answered. */
typedef bool peer_message_fn(ssh_session s, ssh_message m);

/* Let everybody in; returns the channel of the first command. */
UNUSED static ssh_channel peer_login(ssh_session s, peer_message_fn *special, char *command, size_t size)
{
    ssh_channel channel = NULL;
    ssh_message m;

    while ((m = ssh_message_get(s))) {
        int type = ssh_message_type(m), sub = ssh_message_subtype(m);
        bool exec = type == SSH_REQUEST_CHANNEL && sub == SSH_CHANNEL_REQUEST_EXEC;

        if (special && special(s, m)) {
        } else if (type == SSH_REQUEST_AUTH && sub == SSH_AUTH_METHOD_PUBLICKEY) {
            if (ssh_message_auth_publickey_state(m) == SSH_PUBLICKEY_STATE_NONE)
                ssh_message_auth_reply_pk_ok_simple(m);
            else
                ssh_message_auth_reply_success(m, 0);
        } else if (type == SSH_REQUEST_CHANNEL_OPEN) {
            channel = ssh_message_channel_request_open_reply_accept(m);
        } else if (exec) {
            snprintf(command, size, "%s", ssh_message_channel_request_command(m));
            ssh_message_channel_request_reply_success(m);
        } else {
            ssh_message_reply_default(m);
        }
        ssh_message_free(m);
        if (exec)
            return channel;
    }
    _exit(6);
}

/* A shared part that takes any host key, since a peer has a new one each time. password may be NULL. */
UNUSED static void use_shared_without_host_keys(const char *password, bool with_key)
{
    char key[512];
    const char *keys[] = {key, NULL}, *none[] = {NULL};
    struct mu_ssh_config config = {.policy = MU_HOSTKEY_OFF, .known_hosts = none, .key_files = with_key ? keys : none,
                                   .password = password, .agent_timeout_ms = 1000};
    struct mu_err err = {0};

    snprintf(key, sizeof(key), "%s/id_ed25519", sshtest_dir);
    mu_ssh_shared_free(shared);
    if (mu_ssh_shared_new(&shared, &config, &err))
        fail_msg("%s", err.msg);
}

/* A connect must fail so; the message names the server. */
UNUSED static void expect_failure(const struct server *srv, uint64_t timeout_ms, int code, const char *cause)
{
    struct mu_ssh_session *s = session_to(srv);
    struct mu_err err = connect_outcome(s, timeout_ms);

    if (err.code != code)
        fail_msg("%s instead of %s: %s", mu_code_name(err.code), mu_code_name(code), err.msg);
    assert_string_equal(err.cause, cause);
    assert_non_null(strstr(err.msg, srv->address));
    mu_ssh_session_free(s);
}

#endif
