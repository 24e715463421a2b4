/* tunnel.c: bytes between a channel of a jump host's session and a socket pair, with back-pressure both ways: what the one
 * side does not take is left in the other's window, or in the socket. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ssh/internal.h"

#define PIECE 16384

struct mu_tunnel {
    struct mu_list link;
    struct mu_ssh_session *s;    /* the jump host's; NULL: gone */
    struct mu_ssh_session *user;
    ssh_channel channel;         /* NULL: gone with the connection, refused, or closed */
    struct ssh_channel_callbacks_struct callbacks;
    char *host;
    int port, fd;
    struct mu_watch *watch;
    bool open;
    bool behind; /* the channel has more than the socket took */
    bool eof, closed;
    bool said_eof;   /* the user's end of file was passed on */
    bool blocked;    /* the channel takes nothing now */
    bool ghost;      /* freed by its user while the server had not yet said whether it opens the channel */
    char *left;      /* read from the channel and not taken by the socket */
    size_t left_len, left_sent;
    char *kept;      /* read from the socket and not taken by the channel */
    size_t kept_len;
    struct mu_err err;
};

void mu_tunnels_init(struct mu_tunnels *ts)
{
    mu_list_init(&ts->all);
    mu_list_init(&ts->opening);
    mu_list_init(&ts->dirty);
    mu_list_init(&ts->blocked);
}

bool mu_tunnel_open(const struct mu_tunnel *t) { return t->open; }
const struct mu_err *mu_tunnel_err(const struct mu_tunnel *t) { return &t->err; }

static void move_to(struct mu_tunnel *t, struct mu_list *list)
{
    mu_list_remove(&t->link);
    mu_list_push(list, &t->link);
}

static void mark(struct mu_tunnel *t)
{
    if (t->open && t->s)
        move_to(t, &t->s->tunnels.dirty);
}

/* ---- from the channel to the socket ---- */

static int on_data(ssh_session session, ssh_channel channel, void *data, uint32_t len, int is_stderr, void *arg)
{
    struct mu_tunnel *t = arg;
    ssize_t n = 0;

    (void)session;
    (void)channel;
    if (is_stderr)
        return (int)len; /* there is none in a tunnel */
    if (t->open && !t->behind && t->fd >= 0) {
        n = send(t->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return (int)len; /* the user has gone, or is about to go */
        n = n < 0 ? 0 : n;
    }
    if ((uint32_t)n < len) {
        t->behind = true; /* libssh keeps it, and the window stays as small as it is */
        mark(t);
    }
    return (int)n;
}

static void on_eof(ssh_session session, ssh_channel channel, void *arg)
{
    struct mu_tunnel *t = arg;

    (void)session;
    (void)channel;
    t->eof = true;
    mark(t);
}

static void on_close(ssh_session session, ssh_channel channel, void *arg)
{
    struct mu_tunnel *t = arg;

    t->closed = true;
    on_eof(session, channel, arg);
}

/* Whether a piece that was read before has gone. */
static bool send_left(struct mu_tunnel *t)
{
    ssize_t n;

    while (t->left_sent < t->left_len) {
        n = send(t->fd, t->left + t->left_sent, t->left_len - t->left_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return false;
        if (n < 0)
            n = (ssize_t)(t->left_len - t->left_sent); /* nobody reads it any more */
        t->left_sent += (size_t)n;
    }
    t->left_len = t->left_sent = 0;
    return true;
}

static void catch_up(struct mu_tunnel *t)
{
    int n;

    if (!t->left && !(t->left = malloc(PIECE)))
        return; /* again with the next event */
    while (send_left(t)) {
        n = t->channel ? ssh_channel_read_nonblocking(t->channel, t->left, PIECE, 0) : 0;
        if (n <= 0) {
            t->behind = false;
            free(t->left);
            t->left = NULL;
            return;
        }
        t->left_len = (size_t)n;
    }
}

/* ---- from the socket to the channel ---- */

/* Into the channel as much of a piece as it takes; the rest is kept: 0 only means wait, as while keys are made anew. Keeping
 * it cannot fail for want of memory without the end of the stream. */
static void write_piece(struct mu_tunnel *t, const char *piece, size_t n)
{
    int rc = ssh_channel_write(t->channel, piece, (uint32_t)n);

    if (rc == (int)n)
        return;
    if (rc >= 0)
        t->kept = malloc(n - (size_t)rc);
    if (rc < 0 || !t->kept) {
        t->said_eof = true;
        ssh_channel_send_eof(t->channel);
        return;
    }
    t->kept_len = n - (size_t)rc;
    memcpy(t->kept, piece + rc, t->kept_len);
}

static void write_kept(struct mu_tunnel *t)
{
    char *piece = t->kept;

    t->kept = NULL;
    write_piece(t, piece, t->kept_len);
    free(piece);
}

static void pass_on(struct mu_tunnel *t)
{
    char piece[PIECE];
    ssh_session ssh = t->s->ssh;
    size_t window;
    ssize_t n;

    while (t->channel && !t->said_eof && !t->closed) {
        mu_session_settle(t->s); /* else what was sent before looks as if it had not gone yet */
        window = ssh_channel_window_size(t->channel);
        if (t->kept && window && !(ssh_get_poll_flags(ssh) & SSH_WRITE_PENDING)) {
            write_kept(t);
            mu_session_settle(t->s);
        }
        t->blocked = t->kept || !window || (ssh_get_poll_flags(ssh) & SSH_WRITE_PENDING);
        if (t->blocked) {
            move_to(t, &t->s->tunnels.blocked);
            return;
        }
        n = recv(t->fd, piece, window < sizeof(piece) ? window : sizeof(piece), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            ssh_channel_send_eof(t->channel);
            t->said_eof = true;
        } else {
            write_piece(t, piece, (size_t)n);
            if (n < (ssize_t)sizeof(piece) && !t->kept)
                return;
        }
    }
}

/* ---- both ---- */

static void rearm(struct mu_tunnel *t)
{
    int events = 0;

    if (!t->watch)
        return;
    if (!t->blocked && !t->said_eof && !t->closed && t->channel)
        events |= MU_READABLE;
    if (t->behind)
        events |= MU_WRITABLE;
    mu_watch_set(t->watch, events);
}

static void advance(struct mu_tunnel *t)
{
    if (t->behind)
        catch_up(t);
    if (t->eof && !t->behind && t->fd >= 0)
        shutdown(t->fd, SHUT_WR);
    rearm(t);
}

static void on_ready(void *arg, int events)
{
    struct mu_tunnel *t = arg;
    struct mu_ssh_session *s = t->s;
    uint64_t before;

    (void)events;
    if (!s || s->state != MU_SESSION_UP || !mu_session_alive(s)) {
        mu_watch_set(t->watch, 0);
        return;
    }
    before = s->io.in_bytes;
    if (events & MU_READABLE)
        pass_on(t);
    advance(t);
    mu_session_after(s, before);
}

static void destroy(struct mu_tunnel *t)
{
    struct mu_ssh_session *s = t->s;

    mu_list_remove(&t->link);
    if (s && t->channel && mu_session_alive(s)) {
        ssh_remove_channel_callbacks(t->channel, &t->callbacks);
        if (ssh_channel_is_open(t->channel) && ssh_channel_close(t->channel) == SSH_AGAIN)
            ssh_channel_close(t->channel);
        ssh_channel_free(t->channel);
    }
    mu_watch_free(t->watch);
    if (t->fd >= 0)
        close(t->fd);
    free(t->left);
    free(t->kept);
    free(t->host);
    free(t);
}

static void answered(struct mu_tunnel *t)
{
    if (t->ghost) {
        destroy(t);
        return;
    }
    move_to(t, &t->s->tunnels.all);
    mu_timer_start(t->user->timer, t->user->ctx, 0);
}

static void refused(struct mu_tunnel *t)
{
    static const struct {
        const char *text;
        int code, sys;
        const char *cause;
    } known[] = {
        {"efused", MU_EREFUSED, ECONNREFUSED, "connection refused"},
        {"imed out", MU_ECONNTIMEOUT, ETIMEDOUT, "timed out"},
        {"not known", MU_ERESOLVE, 0, "name resolution failed there"},
        {"error (1)", MU_EUNREACH, EPERM, "forwarding is not allowed"},
        {"", MU_EUNREACH, EHOSTUNREACH, "cannot connect"},
    };
    char why[256];
    size_t i = 0;

    mu_session_error(t->s, why, sizeof(why));
    while (!strstr(why, known[i].text))
        i++;
    mu_err_set(&t->err, known[i].code, "%s port %d: the jump host cannot connect to it: %s%s", t->host, t->port, why,
               known[i].sys == EPERM ? ": does its sshd_config say AllowTcpForwarding or PermitOpen?" : "");
    t->err.sys = known[i].sys;
    mu_err_cause(&t->err, "connect: %s", known[i].cause);
    /* Without closing it: there is none, and libssh would close the server's channel 0, another's. */
    ssh_remove_channel_callbacks(t->channel, &t->callbacks);
    ssh_channel_free(t->channel);
    t->channel = NULL;
    answered(t);
}

static void try_open(struct mu_tunnel *t)
{
    int rc = ssh_channel_is_open(t->channel) ? SSH_OK
                                             : ssh_channel_open_forward(t->channel, t->host, t->port, "127.0.0.1", 0);

    if (rc == SSH_AGAIN || !mu_session_alive(t->s))
        return;
    if (rc != SSH_OK) {
        refused(t);
        return;
    }
    t->open = true;
    if (!t->ghost)
        advance(t);
    answered(t);
}

void mu_tunnels_advance(struct mu_ssh_session *s)
{
    struct mu_tunnels *ts = &s->tunnels;
    struct mu_list *l, again;

    for (l = ts->opening.next; l != &ts->opening;) {
        struct mu_tunnel *t = mu_list_entry(l, struct mu_tunnel, link);

        l = l->next;
        try_open(t);
        if (!mu_session_alive(s))
            return;
    }
    while (mu_session_alive(s) && (l = mu_list_pop(&ts->dirty))) {
        struct mu_tunnel *t = mu_list_entry(l, struct mu_tunnel, link);

        mu_list_push(t->blocked ? &ts->blocked : &ts->all, l);
        advance(t);
    }
    /* After those: one that is in both lists at once is in this one now. */
    if (!mu_list_empty(&ts->blocked))
        mu_session_settle(s);
    if (mu_session_alive(s) && !(ssh_get_poll_flags(s->ssh) & SSH_WRITE_PENDING)) {
        mu_list_init(&again);
        while ((l = mu_list_pop(&ts->blocked)))
            mu_list_push(&again, l);
        while ((l = mu_list_pop(&again))) {
            struct mu_tunnel *t = mu_list_entry(l, struct mu_tunnel, link);

            mu_list_push(&ts->all, l);
            t->blocked = false;
            pass_on(t);
            rearm(t);
        }
    }
}

void mu_tunnels_lost(struct mu_ssh_session *s, const char *why)
{
    struct mu_list *lists[] = {&s->tunnels.all, &s->tunnels.opening, &s->tunnels.dirty, &s->tunnels.blocked}, *l;

    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        while ((l = mu_list_pop(lists[i]))) {
            struct mu_tunnel *t = mu_list_entry(l, struct mu_tunnel, link);

            if (t->behind)
                catch_up(t);
            t->s = NULL;
            t->channel = NULL; /* libssh frees it */
            if (t->ghost) {
                destroy(t);
                continue;
            }
            mu_err_set(&t->err, MU_ELOST, "%s", why);
            mu_err_cause(&t->err, "connection lost");
            shutdown(t->fd, SHUT_RDWR); /* the user hears of it by its descriptor */
            mu_watch_set(t->watch, 0);
            if (!t->open)
                mu_timer_start(t->user->timer, t->user->ctx, 0);
        }
    }
}

int mu_tunnel_new(struct mu_tunnel **out, struct mu_ssh_session *s, struct mu_ssh_session *user, const char *host, int port,
                  int *fd, struct mu_err *err)
{
    uint64_t before = s->io.in_bytes;
    struct mu_tunnel *t = calloc(1, sizeof(*t));
    int pair[2] = {-1, -1}, rc = MU_ENOMEM;

    *out = NULL;
    *fd = -1;
    if (!t)
        goto out;
    mu_list_init(&t->link);
    t->s = s;
    t->user = user;
    t->port = port;
    t->fd = -1;
    if (!(t->host = strdup(host)))
        goto out;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) {
        rc = errno == EMFILE || errno == ENFILE ? MU_EUNREACH : MU_ENOMEM;
        goto out;
    }
    t->channel = ssh_channel_new(s->ssh);
    if (!t->channel || mu_watch_new(&t->watch, s->loop, pair[0], on_ready, t, NULL))
        goto out;
    t->fd = pair[0];
    pair[0] = -1;
    t->callbacks.userdata = t;
    t->callbacks.channel_data_function = on_data;
    t->callbacks.channel_eof_function = on_eof;
    t->callbacks.channel_close_function = on_close;
    ssh_callbacks_init(&t->callbacks);
    ssh_set_channel_callbacks(t->channel, &t->callbacks);
    mu_list_push(&s->tunnels.opening, &t->link);
    *out = t;
    *fd = pair[1];
    try_open(t);
    mu_session_after(s, before);
    return 0;
out:
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
    if (t)
        destroy(t);
    if (rc == MU_ENOMEM)
        return mu_err_set(err, rc, "%s port %d: out of memory", host, port);
    mu_err_set(err, rc, "%s port %d: too many open files: raise the limit (ulimit -n)", host, port);
    mu_err_cause(err, "connect: too many open files");
    if (err)
        err->sys = EMFILE;
    return rc;
}

void mu_tunnel_free(struct mu_tunnel *t)
{
    struct mu_ssh_session *s;
    uint64_t before;

    if (!t)
        return;
    s = t->s;
    if (!s || !t->channel || !mu_session_alive(s)) {
        destroy(t);
        return;
    }
    before = s->io.in_bytes;
    if (!t->open) { /* closed when the server has opened it */
        t->ghost = true;
        t->user = NULL;
        mu_watch_free(t->watch);
        t->watch = NULL;
        close(t->fd);
        t->fd = -1;
        return;
    }
    pass_on(t); /* the user's last words */
    destroy(t);
    mu_session_after(s, before);
}
