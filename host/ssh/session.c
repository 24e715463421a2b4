#include "ssh/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libssh/server.h> /* ssh_execute_message_callbacks(): the one pump that reads whatever comes */

#define READ_SIZE 4096 /* libssh reads at most so much a call; less means that the socket is empty */
#define READS_MAX 64   /* a turn, so that one busy server does not keep the others waiting */
#define ROUNDS_MAX 4

/* libssh keeps only 16 bits of a descriptor that it is given. Low ones are left to it when there are many. */
#define LIBSSH_FD_MAX 0xffff
#define MANY_FDS 16384

bool mu_session_alive(const struct mu_ssh_session *s)
{
    return s->ssh && ssh_get_fd(s->ssh) >= 0 && ssh_is_connected(s->ssh) &&
           !(ssh_get_status(s->ssh) & (SSH_CLOSED | SSH_CLOSED_ERROR));
}

char *mu_session_error(struct mu_ssh_session *s, char *out, size_t size)
{
    const char *text = s->ssh ? ssh_get_error(s->ssh) : "";
    struct mu_buf b = MU_BUF_INIT;

    mu_buf_add_escaped(&b, text, strnlen(text, 200));
    snprintf(out, size, "%s", b.len ? mu_buf_cstr(&b) : "no reason given");
    mu_buf_free(&b);
    return out;
}

void mu_session_use_ctx(struct mu_ssh_session *s, struct mu_ctx *ctx)
{
    struct mu_ctx *former = s->ctx;

    s->ctx = mu_ctx_ref(ctx);
    mu_ctx_unref(former);
    if (s->watch)
        mu_watch_set_ctx(s->watch, ctx);
}

/* ---- events ---- */

static bool on_hold(const struct mu_ssh_session *s)
{
    const struct mu_list *l = s->execs.next;

    return l != &s->execs && l->next == &s->execs && mu_list_entry(l, struct mu_ssh_exec, link)->on_hold;
}

void mu_session_rearm(struct mu_ssh_session *s)
{
    int events = MU_READABLE;

    if (!s->watch || !s->ssh)
        return;
    if (ssh_get_poll_flags(s->ssh) & SSH_WRITE_PENDING)
        events |= MU_WRITABLE;
    if (on_hold(s))
        events = 0; /* libssh cannot write without reading */
    mu_watch_set(s->watch, events);
}

void mu_session_settle(struct mu_ssh_session *s)
{
    if (mu_session_alive(s) && !on_hold(s) && (ssh_get_poll_flags(s->ssh) & SSH_WRITE_PENDING))
        ssh_execute_message_callbacks(s->ssh);
}

void mu_session_kick(struct mu_ssh_session *s) { mu_timer_start(s->timer, s->ctx, 0); }

void mu_session_after(struct mu_ssh_session *s, uint64_t in_before)
{
    if (s->depth || s->state != MU_SESSION_UP)
        return; /* whoever is at work looks at it */
    mu_session_settle(s);
    if (!mu_session_alive(s) || s->io.in_bytes != in_before)
        mu_session_kick(s);
    else
        mu_session_rearm(s);
}

static void pump(struct mu_ssh_session *s)
{
    uint64_t before;
    int n = 0;

    if (on_hold(s))
        return;
    do {
        before = s->io.in_bytes;
        ssh_execute_message_callbacks(s->ssh);
    } while (mu_session_alive(s) && s->io.in_bytes - before >= READ_SIZE && ++n < READS_MAX);
}

static void advance_all(struct mu_ssh_session *s)
{
    struct mu_list *l;

    while ((l = mu_list_pop(&s->execs)))
        mu_list_push(&s->todo, l);
    while ((l = mu_list_pop(&s->todo))) {
        mu_list_push(&s->execs, l);
        mu_exec_advance(mu_list_entry(l, struct mu_ssh_exec, link));
    }
}

static void leave(struct mu_ssh_session *s)
{
    if (--s->depth == 0 && s->freed)
        free(s);
}

void mu_session_lost(struct mu_ssh_session *s, const char *why)
{
    const char *trouble = why ? NULL : mu_way_trouble(s);
    struct mu_buf text = MU_BUF_INIT;
    struct mu_err err = {0};
    char libssh[256];
    struct mu_list *l;

    if (trouble)
        mu_buf_addf(&text, s->way.tunnel ? "jump host %s: " : "proxy command: ", mu_jump_name(&s->way.jump));
    mu_buf_adds(&text, why ? why : trouble ? trouble : mu_session_error(s, libssh, sizeof(libssh)));
    mu_err_set(&err, MU_ELOST, "%s port %d: connection lost: %s", s->host, s->port, mu_buf_cstr(&text));
    mu_err_cause(&err, "connection lost%s%.60s", why || trouble ? ": " : "", why ? why : trouble ? mu_buf_cstr(&text) : "");
    s->depth++;
    s->state = MU_SESSION_LOST;
    while ((l = mu_list_pop(&s->execs)))
        mu_list_push(&s->todo, l);
    while ((l = mu_list_pop(&s->todo))) {
        mu_list_push(&s->execs, l);
        mu_exec_lost(mu_list_entry(l, struct mu_ssh_exec, link), &err);
    }
    if (s->state == MU_SESSION_LOST) {
        mu_tunnels_lost(s, mu_buf_cstr(&text));
        mu_session_close(s, false);
    }
    mu_buf_free(&text);
    leave(s);
}

/* Read what came, and let every command look at what it got. */
static void work(struct mu_ssh_session *s)
{
    uint64_t before;
    int n = 0;

    s->depth++;
    pump(s);
    do {
        before = s->io.in_bytes;
        advance_all(s);
        if (s->state == MU_SESSION_UP && mu_session_alive(s))
            mu_tunnels_advance(s);
        if (s->state == MU_SESSION_UP)
            mu_session_settle(s);
    } while (s->state == MU_SESSION_UP && mu_session_alive(s) && s->io.in_bytes != before && ++n < ROUNDS_MAX);
    if (s->state == MU_SESSION_UP) {
        if (!mu_session_alive(s)) {
            mu_session_lost(s, NULL);
        } else {
            mu_session_rearm(s);
            if (s->io.in_bytes != before)
                mu_session_kick(s);
        }
    }
    leave(s);
}

static void on_ready(void *arg, int events)
{
    struct mu_ssh_session *s = arg;

    (void)events; /* libssh asks poll() itself */
    if (s->state == MU_SESSION_CONNECTING)
        mu_connect_event(s);
    else if (s->state == MU_SESSION_UP)
        work(s);
}

static void on_timer(void *arg)
{
    struct mu_ssh_session *s = arg;

    if (s->state == MU_SESSION_CONNECTING)
        mu_connect_timeout(s);
    else if (s->state == MU_SESSION_UP)
        work(s);
}

/* ---- descriptors ---- */

int mu_session_watch(struct mu_ssh_session *s, int fd, int events, struct mu_err *err)
{
    s->fd = fd;
    if (fd > LIBSSH_FD_MAX)
        return mu_err_set(err, MU_EUNREACH, "%s port %d: more than %d open descriptors: connect to fewer servers at once",
                          s->host, s->port, LIBSSH_FD_MAX);
    s->watch_fd = fd > MANY_FDS ? fcntl(fd, F_DUPFD_CLOEXEC, LIBSSH_FD_MAX + 1) : -1;
    if (s->watch_fd < 0)
        s->watch_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (s->watch_fd < 0) {
        mu_err_set(err, MU_EUNREACH, "%s port %d: too many open files: raise the limit (ulimit -n)", s->host, s->port);
        return mu_err_cause(err, "connect: too many open files");
    }
    if (mu_watch_new(&s->watch, s->loop, s->watch_fd, on_ready, s, err))
        return MU_EUNREACH;
    mu_watch_set_ctx(s->watch, s->ctx);
    if (mu_watch_set(s->watch, events))
        return mu_err_set(err, MU_EUNREACH, "%s port %d: the connection cannot be watched", s->host, s->port);
    return 0;
}

void mu_session_close(struct mu_ssh_session *s, bool polite)
{
    struct mu_list *l;

    mu_timer_stop(s->timer);
    if (s->alive)
        mu_timer_stop(s->alive);
    mu_tunnels_lost(s, "its connection was closed");
    mu_watch_free(s->watch);
    s->watch = NULL;
    for (l = s->execs.next; l != &s->execs; l = l->next) /* libssh frees the channels */
        mu_list_entry(l, struct mu_ssh_exec, link)->channel = NULL;
    if (s->ssh) {
        if (polite && mu_session_alive(s)) {
            /* Non-blocking: the message goes out if the socket takes it. Without the descriptor in its options libssh
             * closes it in ssh_disconnect() whatever happens there, so that it is never in doubt whose it is. */
            ssh_set_fd_towrite(s->ssh);
            ssh_options_set(s->ssh, SSH_OPTIONS_FD, NULL);
            ssh_disconnect(s->ssh);
        }
        ssh_free(s->ssh);
        s->ssh = NULL;
    } else if (s->fd >= 0) {
        close(s->fd);
    }
    s->fd = -1;
    if (s->watch_fd >= 0)
        close(s->watch_fd);
    s->watch_fd = -1;
    mu_way_close(s);
}

/* ---- the object ---- */

int mu_session_options(struct mu_ssh_session *s, struct mu_err *err)
{
    const struct mu_ssh_target target = {.host = s->host, .port = s->own_port, .user = s->own_user,
                                         .key_file = s->key_file, .args = s->args, .jump = s->is_jump};
    struct mu_ssh_options *options = NULL;
    char *pending = NULL;
    int rc = mu_ssh_options_try(&options, &pending, s->shared, &target, err);

    if (rc)
        return rc;
    mu_ssh_options_free(s->options);
    free(s->pending);
    s->options = options;
    s->pending = pending;
    s->port = options->port;
    s->user = options->user;
    return 0;
}

int mu_ssh_session_new(struct mu_ssh_session **out, struct mu_loop *loop, struct mu_ssh_shared *sh,
                       const struct mu_ssh_target *target, struct mu_err *err)
{
    struct mu_ssh_session *s = NULL;
    int rc;

    *out = NULL;
    if (!target->host || !*target->host)
        return mu_err_set(err, MU_EINVAL, "a server has no address to connect to");
    if (target->port < 0 || target->port > 65535)
        return mu_err_set(err, MU_EINVAL, "%s: port %d is not between 1 and 65535", target->host, target->port);
    s = calloc(1, sizeof(*s));
    if (!s)
        goto nomem;
    s->loop = loop;
    s->shared = sh;
    s->fd = s->watch_fd = s->way.tunnel_fd = -1;
    s->ways = target->ways;
    s->is_jump = target->jump;
    mu_tunnels_init(&s->tunnels);
    mu_list_init(&s->execs);
    mu_list_init(&s->todo);
    s->trust = mu_ssh_trust_ref(target->trust);
    s->host = strdup(target->host);
    s->timer = mu_timer_new(loop, on_timer, s);
    if (!s->host || !s->timer)
        goto nomem;
    if (target->key_file && !(s->key_file = strdup(target->key_file)))
        goto nomem;
    if (target->args && !(s->args = strdup(target->args)))
        goto nomem;
    if (target->user && !(s->own_user = strdup(target->user)))
        goto nomem;
    s->own_port = target->port;
    rc = mu_session_options(s, err);
    if (rc) {
        mu_ssh_session_free(s);
        return rc;
    }
    *out = s;
    return 0;
nomem:
    mu_ssh_session_free(s);
    return mu_err_set(err, MU_ENOMEM, "out of memory");
}

const struct mu_ssh_options *mu_ssh_session_options(const struct mu_ssh_session *s) { return s->options; }

bool mu_ssh_session_connected(const struct mu_ssh_session *s) { return s->state == MU_SESSION_UP; }

void mu_ssh_session_disconnect(struct mu_ssh_session *s)
{
    struct mu_err err = {0};
    struct mu_list *l;

    mu_connect_free(s);
    s->depth++;
    if (!mu_list_empty(&s->execs) || !mu_list_empty(&s->todo)) {
        mu_err_set(&err, MU_ECLOSED, "%s port %d: the session was closed while a command ran", s->host, s->port);
        mu_err_cause(&err, "session closed");
    }
    while ((l = mu_list_pop(&s->todo)))
        mu_list_push(&s->execs, l);
    mu_session_close(s, s->state == MU_SESSION_UP);
    s->state = MU_SESSION_IDLE;
    while ((l = mu_list_pop(&s->execs)))
        mu_exec_cut(mu_list_entry(l, struct mu_ssh_exec, link), &err);
    leave(s);
}

void mu_ssh_session_free(struct mu_ssh_session *s)
{
    struct mu_list *l;

    if (!s)
        return;
    for (l = s->execs.next; l && l != &s->execs; l = l->next)
        mu_list_entry(l, struct mu_ssh_exec, link)->done = NULL;
    for (l = s->todo.next; l && l != &s->todo; l = l->next)
        mu_list_entry(l, struct mu_ssh_exec, link)->done = NULL;
    if (s->timer)
        mu_ssh_session_disconnect(s);
    mu_timer_free(s->timer);
    mu_timer_free(s->alive);
    if (s->own_ways)
        mu_ssh_ways_free(s->ways);
    mu_ctx_unref(s->ctx);
    free(s->host);
    free(s->key_file);
    free(s->args);
    free(s->own_user);
    free(s->via);
    free(s->pending);
    mu_ssh_options_free(s->options);
    s->host = s->key_file = s->args = s->own_user = s->pending = s->via = NULL;
    s->options = NULL;
    s->user = NULL;
    mu_ssh_trust_unref(s->trust);
    s->trust = NULL;
    s->timer = s->alive = NULL;
    s->ways = NULL;
    s->ctx = NULL;
    s->freed = true;
    if (s->depth == 0)
        free(s);
}
