/* libssh_server: an SSH server made of libssh, as appliances have them: a process a connection, whose commands are run by sh.
 *
 *   libssh_server HOST_KEY AUTHORIZED_KEY PORT
 *
 * It listens on 127.0.0.1, lets in whoever has AUTHORIZED_KEY's private one, and ends with its standard input. */
#include <errno.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct command {
    ssh_channel channel;
    struct ssh_channel_callbacks_struct callbacks;
    pid_t pid; /* 0: none was asked for yet */
    int in, out[2]; /* -1: closed */
};

static ssh_event events;
static ssh_key authorized;
static struct ssh_server_callbacks_struct server_callbacks;

static void die(const char *what)
{
    fprintf(stderr, "libssh_server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int on_publickey(ssh_session s, const char *user, struct ssh_key_struct *key, char state, void *arg)
{
    (void)s, (void)user, (void)arg;
    if (ssh_key_cmp(key, authorized, SSH_KEY_CMP_PUBLIC) != 0)
        return SSH_AUTH_DENIED;
    return state == SSH_PUBLICKEY_STATE_VALID || state == SSH_PUBLICKEY_STATE_NONE ? SSH_AUTH_SUCCESS : SSH_AUTH_DENIED;
}

static void end_of_input(struct command *c)
{
    if (c->in >= 0)
        close(c->in);
    c->in = -1;
}

/* Both streams are at their end: so is the command. */
static void tell_status(struct command *c)
{
    int status = 0;

    waitpid(c->pid, &status, 0);
    if (WIFSIGNALED(status))
        ssh_channel_request_send_exit_signal(c->channel, WTERMSIG(status) == SIGKILL ? "KILL" : "TERM", 0, "", "");
    else
        ssh_channel_request_send_exit_status(c->channel, WEXITSTATUS(status));
    ssh_channel_send_eof(c->channel);
    ssh_channel_close(c->channel);
}

static int on_output(socket_t fd, int revents, void *arg)
{
    struct command *c = arg;
    bool err = fd == c->out[1];
    char bytes[16384];
    ssize_t n = revents ? read(fd, bytes, sizeof bytes) : 0;

    if (n > 0)
        return (err ? ssh_channel_write_stderr(c->channel, bytes, (uint32_t)n)
                    : ssh_channel_write(c->channel, bytes, (uint32_t)n)) == SSH_ERROR ? SSH_ERROR : 0;
    ssh_event_remove_fd(events, fd);
    close(fd);
    c->out[err] = -1;
    if (c->out[!err] < 0)
        tell_status(c);
    return 0;
}

static int on_exec(ssh_session s, ssh_channel channel, const char *text, void *arg)
{
    struct command *c = arg;
    int in[2], out[2], err[2];

    (void)s, (void)channel;
    if (c->pid || pipe(in) || pipe(out) || pipe(err) || (c->pid = fork()) < 0)
        return SSH_ERROR;
    if (c->pid == 0) {
        setsid(); /* a process group of its own, as sshd gives it */
        signal(SIGPIPE, SIG_DFL);
        if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0)
            _exit(126);
        for (int fd = 3; fd < 256; fd++)
            close(fd);
        execl("/bin/sh", "sh", "-c", text, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    c->in = in[1];
    c->out[0] = out[0];
    c->out[1] = err[0];
    for (int i = 0; i < 2; i++)
        ssh_event_add_fd(events, c->out[i], POLLIN, on_output, c);
    return SSH_OK;
}

static int on_data(ssh_session s, ssh_channel channel, void *data, uint32_t len, int is_stderr, void *arg)
{
    struct command *c = arg;

    (void)s, (void)channel, (void)is_stderr;
    for (uint32_t at = 0; c->in >= 0 && at < len;) {
        ssize_t n = write(c->in, (char *)data + at, len - at);
        if (n < 0)
            end_of_input(c); /* it reads no more */
        else
            at += (uint32_t)n;
    }
    return (int)len;
}

static void on_eof(ssh_session s, ssh_channel channel, void *arg)
{
    (void)s, (void)channel;
    end_of_input(arg);
}

static ssh_channel on_channel(ssh_session s, void *arg)
{
    struct command *c = calloc(1, sizeof *c); /* the process ends with the connection */

    (void)arg;
    if (!c)
        die("calloc");
    c->in = c->out[0] = c->out[1] = -1;
    c->callbacks.userdata = c;
    c->callbacks.channel_exec_request_function = on_exec;
    c->callbacks.channel_data_function = on_data;
    c->callbacks.channel_eof_function = on_eof;
    ssh_callbacks_init(&c->callbacks);
    c->channel = ssh_channel_new(s);
    ssh_set_channel_callbacks(c->channel, &c->callbacks);
    return c->channel;
}

static void serve(ssh_session s)
{
    server_callbacks.auth_pubkey_function = on_publickey;
    server_callbacks.channel_open_request_session_function = on_channel;
    ssh_callbacks_init(&server_callbacks);
    ssh_set_server_callbacks(s, &server_callbacks);
    ssh_set_auth_methods(s, SSH_AUTH_METHOD_PUBLICKEY);
    events = ssh_event_new();
    if (!events || ssh_handle_key_exchange(s) || ssh_event_add_session(events, s))
        exit(1);
    while (ssh_is_connected(s) && !(ssh_get_status(s) & (SSH_CLOSED | SSH_CLOSED_ERROR)) &&
           ssh_event_dopoll(events, -1) != SSH_ERROR)
        ;
    exit(0);
}

int main(int argc, char **argv)
{
    ssh_bind server = ssh_bind_new();
    struct pollfd watched[2] = {{.events = POLLIN}, {.events = POLLIN}};

    if (argc != 4 || !server)
        die("usage: libssh_server HOST_KEY AUTHORIZED_KEY PORT");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    if (ssh_pki_import_pubkey_file(argv[2], &authorized) != SSH_OK)
        die(argv[2]);
    ssh_bind_options_set(server, SSH_BIND_OPTIONS_BINDADDR, "127.0.0.1");
    ssh_bind_options_set(server, SSH_BIND_OPTIONS_BINDPORT_STR, argv[3]);
    ssh_bind_options_set(server, SSH_BIND_OPTIONS_HOSTKEY, argv[1]);
    if (ssh_bind_listen(server) < 0)
        die(ssh_get_error(server));
    watched[1].fd = ssh_bind_get_fd(server);
    while (!(watched[0].revents & (POLLHUP | POLLIN))) {
        ssh_session s = NULL;
        if (poll(watched, 2, -1) < 0 || !(watched[1].revents & POLLIN))
            continue;
        s = ssh_new();
        if (ssh_bind_accept(server, s) == SSH_OK && fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(watched[1].fd);
            serve(s);
        }
        ssh_free(s);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
    return 0;
}
