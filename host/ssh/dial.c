#include "ssh/dial.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STAGGER_MS 250 /* RFC 8305's Connection Attempt Delay */

struct attempt {
    struct mu_dial *d;
    struct mu_watch *watch;
    int fd; /* -1: not begun, or over */
};

struct mu_dial {
    struct mu_loop *loop;
    struct mu_ctx *ctx;
    char *host;
    int port;
    struct mu_addr *addrs;
    struct attempt *attempts; /* one an address */
    size_t n, next, open;
    struct mu_timer *timer;
    mu_dial_fn *fn;
    void *arg;
    struct mu_addr from; /* len 0: any */
    struct mu_err err; /* the most telling failure so far */
};

static int family_of(enum mu_ssh_family family)
{
    return family == MU_SSH_INET ? AF_INET : family == MU_SSH_INET6 ? AF_INET6 : AF_UNSPEC;
}

size_t mu_dial_order(struct mu_addr *out, const struct mu_addr *addrs, size_t n, enum mu_ssh_family family)
{
    size_t done = 0, at[2] = {0, 0};
    int only = family_of(family), turn = only ? only : n ? addrs[0].sa.ss_family : AF_INET;

    while (at[0] < n || at[1] < n) {
        size_t *i = &at[turn == AF_INET6];

        while (*i < n && addrs[*i].sa.ss_family != turn)
            (*i)++;
        if (*i < n)
            out[done++] = addrs[(*i)++];
        if (only && *i >= n)
            break;
        if (!only)
            turn = turn == AF_INET ? AF_INET6 : AF_INET;
    }
    return done;
}

static void end_attempt(struct attempt *a, bool close_fd)
{
    if (a->fd < 0)
        return;
    mu_watch_free(a->watch);
    a->watch = NULL;
    if (close_fd)
        close(a->fd);
    a->fd = -1;
    a->d->open--;
}

void mu_dial_free(struct mu_dial *d)
{
    if (!d)
        return;
    for (size_t i = 0; d->attempts && i < d->n; i++)
        end_attempt(&d->attempts[i], true);
    mu_timer_free(d->timer);
    mu_ctx_unref(d->ctx);
    free(d->attempts);
    free(d->addrs);
    free(d->host);
    free(d);
}

/* d may be gone after it. */
static void connected(struct mu_dial *d, struct attempt *a)
{
    const struct mu_err none = {0};
    int fd = a->fd;

    end_attempt(a, false);
    for (size_t i = 0; i < d->n; i++)
        end_attempt(&d->attempts[i], true);
    mu_timer_stop(d->timer);
    d->fn(d->arg, fd, &none);
}

/* Note why this address failed; a refusal, which says that the server is up, is kept. */
static void note_failure(struct mu_dial *d, size_t i, int sys)
{
    int code = sys == ECONNREFUSED ? MU_EREFUSED : sys == ETIMEDOUT ? MU_ECONNTIMEOUT : MU_EUNREACH;
    const struct mu_addr *a = &d->addrs[i];
    char text[NI_MAXHOST] = "?", reason[64];

    if (d->err.code == MU_EREFUSED)
        return;
    if (sys == EMFILE || sys == ENFILE) {
        mu_err_set(&d->err, MU_EUNREACH, "%s port %d: too many open files: raise the limit (ulimit -n)", d->host, d->port);
        mu_err_cause(&d->err, "connect: too many open files");
    } else {
        getnameinfo((const struct sockaddr *)&a->sa, a->len, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
        snprintf(reason, sizeof(reason), "%s", sys == ETIMEDOUT ? "timed out" : strerror(sys));
        reason[0] = (char)tolower((unsigned char)reason[0]);
        mu_err_set(&d->err, code, "%s port %d: cannot connect%s%s: %s%s", d->host, d->port,
                   strcmp(text, d->host) ? " to " : "", strcmp(text, d->host) ? text : "", reason,
                   sys == ECONNREFUSED ? ": no SSH server listens there" : "");
        mu_err_cause(&d->err, "connect: %s", reason);
    }
    d->err.sys = sys;
}

static void on_ready(void *arg, int events)
{
    struct attempt *a = arg;
    struct mu_dial *d = a->d;
    int sys = 0;
    socklen_t len = sizeof(sys);

    (void)events;
    if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &sys, &len))
        sys = errno;
    if (!sys) {
        connected(d, a);
        return;
    }
    note_failure(d, (size_t)(a - d->attempts), sys);
    end_attempt(a, true);
    mu_timer_start(d->timer, d->ctx, 0); /* the next one, or the end */
}

/* 0, or the errno of an attempt that failed at once; others come with the watch. */
static int begin(struct mu_dial *d, struct attempt *a, const struct mu_addr *addr)
{
    int one = 1, sys, fd = socket(addr->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);

    if (fd < 0)
        return errno;
    if (d->from.len && bind(fd, (const struct sockaddr *)&d->from.sa, d->from.len)) {
        sys = errno;
        close(fd);
        return sys;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, (const struct sockaddr *)&addr->sa, addr->len) && errno != EINPROGRESS) {
        sys = errno;
        close(fd);
        return sys;
    }
    if (mu_watch_new(&a->watch, d->loop, fd, on_ready, a, NULL)) {
        close(fd);
        return ENOMEM;
    }
    a->fd = fd;
    d->open++;
    mu_watch_set_ctx(a->watch, d->ctx);
    mu_watch_set(a->watch, MU_WRITABLE);
    return 0;
}

static void on_timer(void *arg)
{
    struct mu_dial *d = arg;
    int sys = 0;

    while (d->next < d->n) {
        size_t i = d->next++;

        sys = begin(d, &d->attempts[i], &d->addrs[i]);
        if (!sys) {
            if (d->next < d->n)
                mu_timer_start(d->timer, d->ctx, STAGGER_MS);
            return;
        }
        note_failure(d, i, sys);
    }
    if (!d->open)
        d->fn(d->arg, -1, &d->err);
}

static int take_bind_address(struct mu_dial *d, const char *text, enum mu_ssh_family *family, struct mu_err *err)
{
    const struct addrinfo hints = {.ai_family = family_of(*family), .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *list = NULL;

    if (getaddrinfo(text, NULL, &hints, &list)) {
        mu_err_set(err, MU_EINVAL, "%s port %d: BindAddress %.100s: give a numeric address of this machine", d->host, d->port,
                   text);
        return mu_err_cause(err, "BindAddress");
    }
    memcpy(&d->from.sa, list->ai_addr, list->ai_addrlen);
    d->from.len = list->ai_addrlen;
    *family = list->ai_family == AF_INET ? MU_SSH_INET : MU_SSH_INET6;
    freeaddrinfo(list);
    return 0;
}

int mu_dial_start(struct mu_dial **out, struct mu_loop *loop, struct mu_ctx *ctx, const char *host, int port,
                  const struct mu_addr *addrs, size_t n, enum mu_ssh_family family, const char *bind_address,
                  mu_dial_fn *fn, void *arg, struct mu_err *err)
{
    struct mu_dial *d = calloc(1, sizeof(*d));

    *out = NULL;
    if (!d)
        goto nomem;
    d->loop = loop;
    d->ctx = mu_ctx_ref(ctx);
    d->port = port;
    d->fn = fn;
    d->arg = arg;
    d->host = strdup(host);
    d->addrs = calloc(n, sizeof(*d->addrs));
    d->attempts = calloc(n, sizeof(*d->attempts));
    d->timer = mu_timer_new(loop, on_timer, d);
    if (!d->host || !d->addrs || !d->attempts || !d->timer)
        goto nomem;
    for (size_t i = 0; i < n; i++)
        d->attempts[i] = (struct attempt){.d = d, .fd = -1};
    if (bind_address && take_bind_address(d, bind_address, &family, err)) {
        d->n = n;
        mu_dial_free(d);
        return MU_EINVAL;
    }
    d->n = mu_dial_order(d->addrs, addrs, n, family);
    if (!d->n) {
        mu_err_set(&d->err, MU_ERESOLVE, "%s port %d: it has no IPv%c address, and AddressFamily allows no other", host, port,
                   family == MU_SSH_INET ? '4' : '6');
        mu_err_cause(&d->err, "name resolution: no IPv%c address", family == MU_SSH_INET ? '4' : '6');
    }
    mu_timer_start(d->timer, ctx, 0);
    *out = d;
    return 0;
nomem:
    if (d)
        d->n = d->attempts ? n : 0;
    mu_dial_free(d);
    return mu_err_set(err, MU_ENOMEM, "%s port %d: out of memory", host, port);
}
