#include "ssh/internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/resolve.h"

#define STEPS_MAX 8 /* libssh calls a turn: each handles about one packet */

static void try_address(struct mu_ssh_session *s);

static const char *phase_name(enum mu_connect_phase phase)
{
    switch (phase) {
    case MU_PHASE_RESOLVE:
        return "name resolution";
    case MU_PHASE_TCP:
        return "connect";
    case MU_PHASE_KEX:
        return "key exchange";
    default:
        return "authentication";
    }
}

static uint64_t left_ms(struct mu_ssh_session *s)
{
    uint64_t now = mu_loop_now_ms(s->loop);

    return s->connect->deadline_ms > now ? s->connect->deadline_ms - now : 0;
}

/* ---- outcome ---- */

/* What a connect alone needs; the outcome stays until it has been told. */
static void release(struct mu_ssh_session *s)
{
    struct mu_connect *c = s->connect;

    mu_resolve_cancel(c->resolve);
    c->resolve = NULL;
    free(c->addrs);
    c->addrs = NULL;
    mu_auth_end(s);
}

void mu_connect_free(struct mu_ssh_session *s)
{
    if (!s->connect)
        return;
    release(s);
    free(s->connect);
    s->connect = NULL;
}

void mu_connect_done(struct mu_ssh_session *s, const struct mu_err *err)
{
    struct mu_connect *c = s->connect;

    release(s);
    c->phase = MU_PHASE_DONE;
    if (err) {
        if (err != &c->err)
            c->err = *err;
        mu_session_close(s, false);
    } else {
        mu_err_clear(&c->err);
        mu_session_rearm(s);
    }
    mu_timer_start(s->timer, s->ctx, 0);
}

/* It talks, but not as SSH servers do: another service, or one that turns connections away with a word of text. */
static bool no_greeting(const struct mu_ssh_session *s)
{
    return s->ssh && s->connect->phase == MU_PHASE_KEX && s->io.in_bytes > 0 && !ssh_get_serverbanner(s->ssh);
}

static void tell(struct mu_ssh_session *s)
{
    struct mu_connect c = *s->connect;

    mu_connect_free(s);
    s->state = c.err.code ? MU_SESSION_IDLE : MU_SESSION_UP;
    if (!c.err.code)
        mu_log(MU_DEBUG, "connected to %s port %d as %s", s->host, s->port, s->user);
    c.fn(c.arg, &c.err);
}

void mu_connect_timeout(struct mu_ssh_session *s)
{
    struct mu_connect *c = s->connect;
    struct mu_err err = {0};
    const char *phase = phase_name(c->phase);

    if (c->phase == MU_PHASE_DONE) {
        tell(s);
        return;
    }
    if (c->phase == MU_PHASE_TCP && c->addr + 1 < c->n_addrs) { /* its share of the time is over */
        mu_session_close(s, false);
        c->addr++;
        try_address(s);
        return;
    }
    if (c->phase == MU_PHASE_TCP)
        mu_err_set(&err, MU_ECONNTIMEOUT, "%s port %d: no answer within %.3g s: is the server up, and not behind a firewall?",
                   s->host, s->port, (double)c->timeout_ms / 1000);
    else
        mu_err_set(&err, MU_ECONNTIMEOUT, "%s port %d: the connect timeout of %.3g s was over during %s%s", s->host,
                   s->port, (double)c->timeout_ms / 1000, phase,
                   no_greeting(s) ? ": what it sent is no SSH greeting: is that an SSH server?" : "");
    mu_err_cause(&err, "%s: %s", phase, no_greeting(s) ? "no SSH greeting" : "timed out");
    mu_connect_done(s, &err);
}

/* ---- key exchange ---- */

static void kex_failed(struct mu_ssh_session *s)
{
    static const struct {
        const char *text, *cause;
    } known[] = {
        {"Socket error", "connection closed"},
        {"no match for method", "no common algorithm"},
        {"banner", "not an SSH server"},
        {"SSH_MSG_DISCONNECT", "refused by the server"},
    };
    const char *text = ssh_get_error(s->ssh), *cause = "failed";
    struct mu_err err = {0};
    char why[256];
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strstr(text, known[i].text)) {
            cause = known[i].cause;
            break;
        }
    }
    if (i == 0 && no_greeting(s))
        cause = "no SSH greeting";
    mu_err_set(&err, MU_EKEX, "%s port %d: the key exchange failed (%s): %s", s->host, s->port, cause,
               mu_session_error(s, why, sizeof(why)));
    mu_err_cause(&err, "key exchange: %s", cause);
    mu_connect_done(s, &err);
}

static void check_host_key(struct mu_ssh_session *s)
{
    struct mu_err err = {0};
    ssh_key key = NULL;
    int rc;

    if (ssh_get_server_publickey(s->ssh, &key) != SSH_OK) {
        kex_failed(s);
        return;
    }
    rc = s->trust ? mu_trust_check(s->trust, s->shared, s->host, s->port, key, &err)
                  : mu_hostkey_check_for(s->shared, s->options, key, &err);
    ssh_key_free(key);
    if (rc) {
        mu_connect_done(s, &err);
        return;
    }
    s->connect->phase = MU_PHASE_AUTH;
    mu_auth_step(s);
}

static void kex_step(struct mu_ssh_session *s)
{
    struct mu_connect *c = s->connect;
    uint64_t moved;
    int rc, n = 0;

    do {
        moved = s->io.in_bytes + s->io.out_bytes;
        rc = ssh_connect(s->ssh);
        if (!c->nonblocking && s->io.out_bytes > 0 && ssh_get_fd(s->ssh) >= 0) {
            /* libssh makes the descriptor blocking once it is connected, just before it sends its banner. */
            fcntl(s->fd, F_SETFL, O_NONBLOCK); /* a socket of our own has no other flags */
            c->nonblocking = true;
        }
    } while (rc == SSH_AGAIN && ++n < STEPS_MAX &&
             (s->io.in_bytes + s->io.out_bytes != moved || (ssh_get_poll_flags(s->ssh) & SSH_WRITE_PENDING)));
    if (rc == SSH_OK)
        check_host_key(s);
    else if (rc == SSH_AGAIN && mu_session_alive(s))
        mu_session_rearm(s);
    else
        kex_failed(s);
}

static int set_options(struct mu_ssh_session *s, struct mu_err *err)
{
    static const int no = 0;
    struct mu_buf algorithms = MU_BUF_INIT;
    unsigned port = (unsigned)s->port;
    int rc = s->trust ? mu_trust_algorithms(s->trust, s->host, s->port, &algorithms)
                      : mu_hostkey_algorithms_for(s->shared, s->options, &algorithms, err);

    if (rc)
        goto out;
    rc = MU_ENOMEM;
    /* Nothing of this machine's configuration: known_hosts was read once for the run, keys too, and libssh would look
     * for the user's home directory. */
    if (ssh_options_set(s->ssh, SSH_OPTIONS_PROCESS_CONFIG, &no) ||
        ssh_options_set(s->ssh, SSH_OPTIONS_SSH_DIR, "/dev/null") ||
        ssh_options_set(s->ssh, SSH_OPTIONS_KNOWNHOSTS, "/dev/null") ||
        ssh_options_set(s->ssh, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null") ||
        ssh_options_set(s->ssh, SSH_OPTIONS_HOST, s->host) || ssh_options_set(s->ssh, SSH_OPTIONS_PORT, &port) ||
        ssh_options_set(s->ssh, SSH_OPTIONS_USER, s->user) || ssh_options_set(s->ssh, SSH_OPTIONS_FD, &s->fd))
        goto out;
    if (algorithms.len && ssh_options_set(s->ssh, SSH_OPTIONS_HOSTKEYS, mu_buf_cstr(&algorithms)))
        goto out;
    rc = 0;
out:
    mu_buf_free(&algorithms);
    return rc;
}

static void start_kex(struct mu_ssh_session *s)
{
    struct mu_err err = {0};
    ssh_session ssh = ssh_new();

    s->connect->phase = MU_PHASE_KEX;
    s->connect->nonblocking = false;
    memset(&s->io, 0, sizeof(s->io));
    mu_timer_start(s->timer, s->ctx, left_ms(s));
    if (!ssh)
        goto nomem;
    s->ssh = ssh;
    if (set_options(s, &err)) {
        s->ssh = NULL; /* it has not taken the descriptor yet */
        ssh_free(ssh);
        if (!err.code)
            goto nomem;
        mu_connect_done(s, &err);
        return;
    }
    ssh_set_blocking(ssh, 0);
    ssh_set_counters(ssh, &s->io, NULL);
    kex_step(s);
    return;
nomem:
    mu_err_set(&err, MU_ENOMEM, "%s port %d: cannot start an SSH session: out of memory", s->host, s->port);
    mu_err_cause(&err, "out of memory");
    mu_connect_done(s, &err);
}

/* ---- TCP ---- */

/* Note why this address failed and go on with the next; the most telling failure is kept: a refusal says that the
 * server is up. */
static void address_failed(struct mu_ssh_session *s, int sys)
{
    struct mu_connect *c = s->connect;
    const struct mu_addr *a = &c->addrs[c->addr];
    char text[NI_MAXHOST] = "?", reason[64];
    int code = sys == ECONNREFUSED ? MU_EREFUSED : sys == ETIMEDOUT ? MU_ECONNTIMEOUT : MU_EUNREACH;

    mu_session_close(s, false);
    if (c->err.code != MU_EREFUSED) {
        getnameinfo((const struct sockaddr *)&a->sa, a->len, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
        snprintf(reason, sizeof(reason), "%s", sys == ETIMEDOUT ? "timed out" : strerror(sys));
        reason[0] = (char)tolower((unsigned char)reason[0]);
        mu_err_set(&c->err, code, "%s port %d: cannot connect%s%s: %s%s", s->host, s->port,
                   strcmp(text, s->host) ? " to " : "", strcmp(text, s->host) ? text : "", reason,
                   sys == ECONNREFUSED ? ": no SSH server listens there" : "");
        c->err.sys = sys;
        mu_err_cause(&c->err, "connect: %s", reason);
    }
    c->addr++;
    try_address(s);
}

/* One attempt; a failure that is there at once tells errno, others come with the watch. */
static int start_tcp(struct mu_ssh_session *s, const struct mu_addr *a, struct mu_err *err)
{
    int one = 1, fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);

    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
        mu_err_set(err, MU_EUNREACH, "%s port %d: too many open files: raise the limit (ulimit -n)", s->host, s->port);
        return mu_err_cause(err, "connect: too many open files");
    }
    if (fd < 0)
        return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, (const struct sockaddr *)&a->sa, a->len) && errno != EINPROGRESS) {
        int sys = errno;

        close(fd);
        return -sys;
    }
    return mu_session_watch(s, fd, MU_WRITABLE, err);
}

static void try_address(struct mu_ssh_session *s)
{
    struct mu_connect *c = s->connect;
    struct mu_err err = {0};
    uint64_t share;
    int rc;

    if (c->addr >= c->n_addrs) {
        mu_connect_done(s, &c->err);
        return;
    }
    share = left_ms(s) / (c->n_addrs - c->addr); /* a silent address must not take the time of the others */
    rc = start_tcp(s, &c->addrs[c->addr], &err);
    if (err.code)
        mu_connect_done(s, &err);
    else if (rc)
        address_failed(s, -rc);
    else
        mu_timer_start(s->timer, s->ctx, share);
}

static void tcp_ready(struct mu_ssh_session *s)
{
    int sys = 0;
    socklen_t len = sizeof(sys);

    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &sys, &len))
        sys = errno;
    if (sys)
        address_failed(s, sys);
    else
        start_kex(s);
}

/* ---- start ---- */

static void on_resolved(void *arg, const struct mu_addr *addrs, size_t n, const struct mu_err *err)
{
    struct mu_ssh_session *s = arg;
    struct mu_connect *c = s->connect;
    struct mu_err nomem = {0};

    c->resolve = NULL;
    if (!n) {
        mu_connect_done(s, err);
        return;
    }
    c->phase = MU_PHASE_TCP;
    c->addrs = malloc(n * sizeof(*addrs));
    if (!c->addrs) {
        mu_err_set(&nomem, MU_ENOMEM, "out of memory");
        mu_connect_done(s, &nomem);
        return;
    }
    memcpy(c->addrs, addrs, n * sizeof(*addrs));
    c->n_addrs = n;
    try_address(s);
}

void mu_connect_event(struct mu_ssh_session *s)
{
    switch (s->connect->phase) {
    case MU_PHASE_TCP:
        tcp_ready(s);
        break;
    case MU_PHASE_KEX:
        kex_step(s);
        break;
    case MU_PHASE_AUTH:
        mu_auth_step(s);
        break;
    case MU_PHASE_RESOLVE:
    case MU_PHASE_DONE:
        break;
    }
}

int mu_ssh_session_connect(struct mu_ssh_session *s, struct mu_ctx *ctx, uint64_t timeout_ms, mu_ssh_connect_fn *fn,
                           void *arg, struct mu_err *err)
{
    struct mu_connect *c = NULL;
    int rc;

    if (s->state == MU_SESSION_CONNECTING || s->state == MU_SESSION_UP)
        return mu_err_set(err, MU_ESTATE, "%s port %d: the session is connected already", s->host, s->port);
    c = calloc(1, sizeof(*c));
    if (!c)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    c->fn = fn;
    c->arg = arg;
    c->timeout_ms = timeout_ms;
    mu_loop_update_time(s->loop); /* the caller may have been at work for long */
    c->deadline_ms = mu_loop_now_ms(s->loop) + timeout_ms;
    s->connect = c;
    mu_session_use_ctx(s, ctx);
    rc = mu_resolve_start(&c->resolve, s->loop, ctx, s->options->hostname, s->port, on_resolved, s, err);
    if (rc) {
        c->resolve = NULL;
        mu_connect_free(s);
        return rc;
    }
    s->state = MU_SESSION_CONNECTING;
    mu_timer_start(s->timer, ctx, timeout_ms);
    return 0;
}

void mu_ssh_session_connect_abort(struct mu_ssh_session *s, const struct mu_err *why)
{
    if (s->connect && s->connect->phase != MU_PHASE_DONE)
        mu_connect_done(s, why);
}
