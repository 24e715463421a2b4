/* light_session.c: the SSH side of the light server; libssh without blocking, driven by its worker's epoll. */
#include "light.h"

#include <libssh/callbacks.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 16
#define BARRIER_MAX_MS 120000 /* a client that failed must not hold the others for ever */

struct light_session {
    struct light_worker *worker;
    int fd; /* libssh's, once there is ssh */
    ssh_session ssh;
    struct ssh_server_callbacks_struct callbacks;
    struct ssh_counter_struct io;
    struct light_command *commands;
    bool keys_exchanged, wants_write;
};

struct light_command {
    struct light_command *next, *next_of_session;
    struct light_session *session;
    ssh_channel channel;
    struct ssh_channel_callbacks_struct callbacks;
    uint64_t due_ms;
    size_t number;
    bool asked, waiting;
};

static atomic_size_t released; /* commands up to this number are past the barrier */

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- what libssh asks ---- */

static int on_service(ssh_session ssh, const char *service, void *arg)
{
    (void)ssh;
    (void)service;
    (void)arg;
    return 0;
}

static int on_publickey(ssh_session ssh, const char *user, struct ssh_key_struct *key, char state, void *arg)
{
    (void)ssh;
    (void)user;
    (void)arg;
    if (ssh_key_cmp(key, light_options.client_key, SSH_KEY_CMP_PUBLIC) != 0)
        return SSH_AUTH_DENIED;
    if (state == SSH_PUBLICKEY_STATE_VALID)
        light_counts.authenticated++;
    return state == SSH_PUBLICKEY_STATE_VALID || state == SSH_PUBLICKEY_STATE_NONE ? SSH_AUTH_SUCCESS : SSH_AUTH_DENIED;
}

static int on_exec(ssh_session ssh, ssh_channel channel, const char *text, void *arg)
{
    struct light_command *c = arg;

    (void)ssh;
    (void)channel;
    (void)text; /* whatever it is: there is no shell here */
    c->asked = true;
    return 0;
}

/* What a client writes is of no use: take it, so that the window stays open. */
static int on_data(ssh_session ssh, ssh_channel channel, void *data, uint32_t len, int is_stderr, void *arg)
{
    (void)ssh;
    (void)channel;
    (void)data;
    (void)is_stderr;
    (void)arg;
    return (int)len;
}

static ssh_channel on_channel(ssh_session ssh, void *arg)
{
    struct light_session *s = arg;
    struct light_command *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->session = s;
    c->channel = ssh_channel_new(ssh);
    c->callbacks.userdata = c;
    c->callbacks.channel_exec_request_function = on_exec;
    c->callbacks.channel_data_function = on_data;
    ssh_callbacks_init(&c->callbacks);
    ssh_set_channel_callbacks(c->channel, &c->callbacks);
    c->next_of_session = s->commands;
    s->commands = c;
    return c->channel;
}

/* ---- commands ---- */

static void wait_for_answer(struct light_command *c)
{
    struct light_worker *w = c->session->worker;

    c->asked = false;
    c->waiting = true;
    c->number = ++light_counts.commands;
    c->due_ms = now_ms() + (light_options.barrier ? BARRIER_MAX_MS : light_options.delay_ms);
    c->next = NULL;
    *(w->last ? &w->last->next : &w->first) = c;
    w->last = c;
    if (light_options.barrier && c->number % light_options.barrier == 0) {
        released = c->number;
        light_wake_all();
    }
}

static void unlink_waiting(struct light_session *s)
{
    struct light_worker *w = s->worker;
    struct light_command **at = &w->first, *last = NULL;

    while (*at) {
        if ((*at)->session == s) {
            *at = (*at)->next;
        } else {
            last = *at;
            at = &(*at)->next;
        }
    }
    w->last = last;
}

static void answer(struct light_command *c)
{
    const char *output = light_options.output;

    c->waiting = false;
    ssh_channel_write(c->channel, output, (uint32_t)strlen(output));
    ssh_channel_request_send_exit_status(c->channel, 0);
    ssh_channel_send_eof(c->channel);
    ssh_channel_close(c->channel);
    light_counts.answered++;
}

int light_answer_due(struct light_worker *w)
{
    uint64_t now = now_ms();

    while (w->first) {
        struct light_command *c = w->first;

        if (c->due_ms > now && !(light_options.barrier && c->number <= released))
            return (int)(c->due_ms - now);
        w->first = c->next;
        if (!w->first)
            w->last = NULL;
        answer(c);
        if (!light_session_serve(c->session))
            light_session_free(c->session);
    }
    return -1;
}

/* ---- sessions ---- */

struct light_session *light_session_new(struct light_worker *w, int fd)
{
    struct light_session *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->worker = w;
    s->fd = fd;
    s->wants_write = true;
    return s;
}

/* At the first event: in the thread that serves it. */
static bool start(struct light_session *s)
{
    s->ssh = ssh_new();
    if (!s->ssh || ssh_bind_accept_fd(s->worker->bind, s->ssh, s->fd) != SSH_OK)
        return false;
    s->callbacks.userdata = s;
    s->callbacks.service_request_function = on_service;
    s->callbacks.auth_pubkey_function = on_publickey;
    s->callbacks.channel_open_request_session_function = on_channel;
    ssh_callbacks_init(&s->callbacks);
    ssh_set_server_callbacks(s->ssh, &s->callbacks);
    ssh_set_auth_methods(s->ssh, SSH_AUTH_METHOD_PUBLICKEY);
    ssh_set_blocking(s->ssh, 0);
    ssh_set_counters(s->ssh, &s->io, NULL);
    light_counts.sessions++;
    return true;
}

static bool alive(struct light_session *s)
{
    return ssh_get_fd(s->ssh) >= 0 && ssh_is_connected(s->ssh) && !(ssh_get_status(s->ssh) & (SSH_CLOSED | SSH_CLOSED_ERROR));
}

/* Read what has come and send what there is to send. */
static bool pump(struct light_session *s)
{
    uint64_t moved;
    int rc, n = 0;

    do {
        moved = s->io.in_bytes + s->io.out_bytes;
        if (!s->keys_exchanged) {
            rc = ssh_handle_key_exchange(s->ssh);
            if (rc == SSH_ERROR)
                return false;
            s->keys_exchanged = rc == SSH_OK;
        } else {
            ssh_execute_message_callbacks(s->ssh);
        }
        for (struct light_command *c = s->commands; c; c = c->next_of_session)
            if (c->asked)
                wait_for_answer(c);
    } while (alive(s) && ++n < ROUNDS_MAX &&
             (s->io.in_bytes + s->io.out_bytes != moved || (ssh_get_poll_flags(s->ssh) & SSH_WRITE_PENDING)));
    return alive(s);
}

bool light_session_serve(struct light_session *s)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    bool write;

    if ((!s->ssh && !start(s)) || !pump(s))
        return false;
    write = ssh_get_poll_flags(s->ssh) & SSH_WRITE_PENDING;
    if (write == s->wants_write)
        return true;
    s->wants_write = write;
    event.events |= write ? (uint32_t)EPOLLOUT : 0;
    return epoll_ctl(s->worker->epoll, EPOLL_CTL_MOD, s->fd, &event) == 0;
}

void light_session_free(struct light_session *s)
{
    bool waits = false;

    for (struct light_command *c = s->commands; c; c = c->next_of_session)
        waits = waits || c->waiting;
    if (waits)
        unlink_waiting(s);
    if (s->ssh)
        ssh_disconnect(s->ssh);
    else
        close(s->fd);
    ssh_free(s->ssh);
    while (s->commands) {
        struct light_command *c = s->commands;

        s->commands = c->next_of_session;
        free(c);
    }
    free(s);
}
