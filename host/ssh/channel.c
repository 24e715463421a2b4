#include "ssh/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITE_CHUNK ((size_t)64 << 10) /* libssh copies what the socket does not take, and keeps that memory */

/* ---- what libssh tells: only stored ---- */

void mu_exec_take(struct mu_ssh_exec *e, enum mu_exec_stream stream, const char *bytes, size_t n)
{
    struct mu_buf *b = stream == MU_EXEC_STDOUT ? &e->result.out : &e->result.err;

    if (!n)
        return;
    e->seen_output = true;
    if (e->drop)
        return;
    if (e->on_line || (e->on_output && stream == MU_EXEC_STDOUT)) {
        mu_buf_add(&e->raw[stream], bytes, n);
        return;
    }
    if (n > e->limit - b->len) {
        n = e->limit - b->len;
        e->over = true;
        e->drop = true;
    }
    mu_buf_add(b, bytes, n);
}

static int on_data(ssh_session session, ssh_channel channel, void *data, uint32_t len, int is_stderr, void *arg)
{
    struct mu_ssh_exec *e = arg;

    (void)session;
    (void)channel;
    if (is_stderr && e->token[0])
        mu_announce_feed(e, data, len);
    else
        mu_exec_take(e, is_stderr ? MU_EXEC_STDERR : MU_EXEC_STDOUT, data, len);
    if (e->lingering)
        mu_timer_start(e->timer, e->ctx, MU_EXEC_LINGER_MS);
    return (int)len; /* all of it: libssh buffers nothing, and lets the server send more */
}

static void on_exit_status(ssh_session session, ssh_channel channel, int status, void *arg)
{
    struct mu_ssh_exec *e = arg;

    (void)session;
    (void)channel;
    e->result.exit_status = status & 0xff;
    e->got_status = true;
}

static void on_exit_signal(ssh_session session, ssh_channel channel, const char *name, int core, const char *message,
                           const char *lang, void *arg)
{
    struct mu_ssh_exec *e = arg;
    size_t n = 0;

    (void)session;
    (void)channel;
    (void)core;
    (void)message;
    (void)lang;
    if (strncmp(name, "SIG", 3) == 0)
        name += 3;
    for (; *name && n < sizeof(e->result.signal) - 1; name++) {
        if (isalnum((unsigned char)*name) || strchr("@.-_", *name))
            e->result.signal[n++] = *name;
    }
    e->result.signal[n] = '\0';
    if (!n)
        snprintf(e->result.signal, sizeof(e->result.signal), "unknown");
    e->got_status = true;
}

static void on_eof(ssh_session session, ssh_channel channel, void *arg)
{
    (void)session;
    (void)channel;
    ((struct mu_ssh_exec *)arg)->eof = true;
}

static void on_close(ssh_session session, ssh_channel channel, void *arg)
{
    (void)session;
    (void)channel;
    ((struct mu_ssh_exec *)arg)->eof = true;
    ((struct mu_ssh_exec *)arg)->closed = true;
}

int mu_channel_new(struct mu_ssh_exec *e)
{
    e->channel = ssh_channel_new(e->s->ssh);
    if (!e->channel)
        return MU_ENOMEM;
    e->callbacks.userdata = e;
    e->callbacks.channel_data_function = on_data;
    e->callbacks.channel_eof_function = on_eof;
    e->callbacks.channel_close_function = on_close;
    e->callbacks.channel_exit_status_function = on_exit_status;
    e->callbacks.channel_exit_signal_function = on_exit_signal;
    ssh_callbacks_init(&e->callbacks);
    ssh_set_channel_callbacks(e->channel, &e->callbacks);
    return 0;
}

/* ---- progress ---- */

static void refused(struct mu_ssh_exec *e, const char *what)
{
    struct mu_ssh_session *s = e->s;
    struct mu_err err = {0};
    char why[256];

    if (!mu_session_alive(s))
        return; /* the session tells everybody */
    mu_err_set(&err, MU_ECHANNEL, "%s port %d: the server refused %s: %s", s->host, s->port, what,
               mu_session_error(s, why, sizeof(why)));
    mu_err_cause(&err, "the server refused %s", what);
    mu_exec_finish(e, e->aborting ? NULL : &err);
}

bool mu_channel_open(struct mu_ssh_exec *e)
{
    int rc = ssh_channel_open_session(e->channel);

    if (rc == SSH_OK && !e->ghost && !e->aborting) {
        e->state = MU_EXEC_REQUESTING;
        return true;
    }
    if (rc == SSH_OK) {
        mu_exec_finish(e, NULL); /* nothing was started */
    } else if (rc != SSH_AGAIN) {
        if (mu_session_alive(e->s)) {
            /* Without closing it: there is none, and libssh would close the server's channel 0, another command's. */
            ssh_remove_channel_callbacks(e->channel, &e->callbacks);
            ssh_channel_free(e->channel);
            e->channel = NULL;
            /* Asked again once: a command that has just ended counts as a session until sshd comes round to tidy up. */
            if (!e->asked_again && !e->ghost && !e->aborting && mu_channel_new(e) == 0) {
                e->asked_again = true;
                return mu_channel_open(e);
            }
        }
        e->result.refused = true;
        refused(e, "a channel");
    }
    return false;
}

bool mu_channel_request(struct mu_ssh_exec *e)
{
    int rc = ssh_channel_request_exec(e->channel, e->command);

    if (rc == SSH_OK) {
        e->state = MU_EXEC_RUNNING;
        free(e->command);
        e->command = NULL;
        return true;
    }
    if (rc != SSH_AGAIN)
        refused(e, "to run a command");
    return false;
}

/* The next piece of a stream, in place of the input that was sent. False: there is none. */
static bool refill(struct mu_ssh_exec *e)
{
    long n;

    if (!e->more_input)
        return false;
    if (e->input)
        explicit_bzero(e->input, e->input_len);
    free(e->input);
    e->input_len = e->input_sent = 0;
    e->input = malloc(WRITE_CHUNK);
    n = e->input ? e->more_input(e->stream_arg, e->input, WRITE_CHUNK, &e->stream_error)
                 : mu_err_set(&e->stream_error, MU_ENOMEM, "out of memory");
    if (n <= 0)
        e->more_input = NULL;
    e->input_len = n > 0 ? (size_t)n : 0;
    return n > 0;
}

void mu_channel_write(struct mu_ssh_exec *e)
{
    ssh_session ssh = e->s->ssh;

    while (!e->input_eof && (e->input_sent < e->input_len || refill(e))) {
        size_t n = e->input_len - e->input_sent, window = ssh_channel_window_size(e->channel);
        int rc;

        if (!window || (ssh_get_status(ssh) & SSH_WRITE_PENDING))
            return; /* until the server takes more */
        n = n < WRITE_CHUNK ? n : WRITE_CHUNK;
        n = n < window ? n : window;
        rc = ssh_channel_write(e->channel, e->input + e->input_sent, (uint32_t)n);
        if (rc < 0)
            e->input_eof = true; /* the command does not want it, or the connection is gone */
        if (rc <= 0)
            return;
        e->input_sent += (size_t)rc;
    }
    if (!e->input_eof && !e->stream_error.code) {
        ssh_channel_send_eof(e->channel);
        e->input_eof = true;
    }
}

void mu_channel_close(struct mu_ssh_exec *e)
{
    ssh_channel channel = e->channel;

    if (!channel)
        return;
    e->channel = NULL;
    ssh_remove_channel_callbacks(channel, &e->callbacks); /* they would be called until the server closes it too */
    /* After an EOF that was not sent at once libssh returns AGAIN without having sent the CLOSE. */
    if (mu_session_alive(e->s) && ssh_channel_close(channel) == SSH_AGAIN)
        ssh_channel_close(channel);
    ssh_channel_free(channel);
}
