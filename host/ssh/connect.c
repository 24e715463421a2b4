#include "ssh/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop/partner.h"
#include "loop/resolve.h"
#include "ssh/dial.h"
#include "ssh/shared_parts.h"

#define PROXY_END_MS 500
#define STEPS_MAX 8 /* libssh calls a turn: each handles about one packet */

static const char *phase_name(enum mu_connect_phase phase)
{
    switch (phase) {
    case MU_PHASE_OPTIONS:
        return "Match exec of the ssh configuration";
    case MU_PHASE_RESOLVE:
        return "name resolution";
    case MU_PHASE_TCP:
    case MU_PHASE_TUNNEL:
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

    mu_conf_exec_free(c->exec);
    c->exec = NULL;
    mu_resolve_cancel(c->resolve);
    c->resolve = NULL;
    mu_dial_free(c->dial);
    c->dial = NULL;
    mu_way_logged_in(s);
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

/* What the server seemed to do was the jump host's end. */
static void blame_jump_host(struct mu_ssh_session *s, struct mu_err *err)
{
    if (!s->way.tunnel || !mu_way_trouble(s) || (err->code != MU_EKEX && err->code != MU_ELOST))
        return;
    mu_err_set(err, MU_ELOST, "the connection to it was lost: %s", mu_way_trouble(s));
    mu_err_cause(err, "connection lost");
    mu_way_name_hop(s, err);
}

void mu_connect_done(struct mu_ssh_session *s, const struct mu_err *err)
{
    struct mu_connect *c = s->connect;

    release(s);
    if (err) {
        if (err != &c->err)
            c->err = *err;
        if (c->phase > MU_PHASE_TUNNEL)
            blame_jump_host(s, &c->err);
        c->phase = MU_PHASE_DONE;
        mu_session_close(s, false);
    } else {
        c->phase = MU_PHASE_DONE;
        mu_err_clear(&c->err);
        mu_session_rearm(s);
        mu_alive_start(s);
    }
    mu_timer_start(s->timer, s->ctx, 0);
}

/* It talks, but not as SSH servers do: another service, or one that turns connections away with a word of text. */
static bool no_greeting(const struct mu_ssh_session *s)
{
    return s->ssh && s->connect->phase == MU_PHASE_KEX && s->io.in_bytes > 0 && !ssh_get_serverbanner(s->ssh);
}

static void proxy_failed(struct mu_ssh_session *s)
{
    struct mu_err *err = &s->connect->err;
    const char *says = mu_way_trouble(s);

    if (says) {
        mu_err_set(err, err->code, "%s port %d: the proxy command did not connect: %s", s->host, s->port, says);
        mu_err_cause(err, "proxy command: %s", says);
        err->sys = ECONNRESET;
    }
    mu_connect_done(s, err);
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

    switch (c->phase) {
    case MU_PHASE_DONE:
        tell(s);
        return;
    case MU_PHASE_WAIT:
        mu_way_start(s);
        return;
    case MU_PHASE_JUMP:
    case MU_PHASE_TUNNEL:
        mu_way_poked(s);
        return;
    case MU_PHASE_PROXY_END:
        proxy_failed(s);
        return;
    default:
        break;
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

void mu_connect_count(struct mu_ssh_session *s)
{
    struct mu_connect *c = s->connect;

    mu_loop_update_time(s->loop); /* the caller may have been at work for long */
    c->deadline_ms = mu_loop_now_ms(s->loop) + c->timeout_ms;
    mu_timer_start(s->timer, s->ctx, c->timeout_ms);
}

bool mu_ssh_worth_retrying(const struct mu_err *err)
{
    switch (err->code) {
    case MU_EREFUSED:
    case MU_ELOST:
        return true;
    case MU_EUNREACH:
        return err->sys != EMFILE && err->sys != ENFILE && err->sys != EPERM && err->sys != EACCES;
    case MU_EKEX:
        return err->sys == ECONNRESET;
    default:
        return false;
    }
}

/* ---- key exchange ---- */

/* The error in c->err is about a connection by a proxy command, which may know better; its end is awaited a little. */
static void wait_for_proxy(struct mu_ssh_session *s)
{
    if (!s->way.proxy) {
        mu_connect_done(s, &s->connect->err);
        return;
    }
    s->connect->phase = MU_PHASE_PROXY_END;
    mu_watch_set(s->watch, 0);
    mu_timer_start(s->timer, s->ctx, mu_partner_ended(s->way.proxy) ? 0 : PROXY_END_MS);
}

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
    err.sys = i == 0 || i == 3 ? ECONNRESET : 0; /* closed, in whatever words: sshd's MaxStartups does so */
    s->connect->err = err;
    wait_for_proxy(s);
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

static int set_algorithms(struct mu_ssh_session *s, struct mu_err *err)
{
    const struct mu_ssh_options *o = s->options;
    const struct {
        const char *word, *list;
        enum ssh_options_e option[2];
    } lists[] = {{"Ciphers", o->ciphers, {SSH_OPTIONS_CIPHERS_C_S, SSH_OPTIONS_CIPHERS_S_C}},
                 {"MACs", o->macs, {SSH_OPTIONS_HMAC_C_S, SSH_OPTIONS_HMAC_S_C}},
                 {"KexAlgorithms", o->kex_algorithms, {SSH_OPTIONS_KEY_EXCHANGE, SSH_OPTIONS_KEY_EXCHANGE}}};

    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        for (int way = 0; lists[i].list && way < 2; way++) {
            if (!ssh_options_set(s->ssh, lists[i].option[way], lists[i].list))
                continue;
            mu_err_set(err, MU_EINVAL, "%s port %d: %s %.100s: none of them is supported", s->host, s->port, lists[i].word,
                       lists[i].list);
            return mu_err_cause(err, "%s: none is supported", lists[i].word);
        }
    }
    mu_err_clear(err);
    return 0;
}

static int set_options(struct mu_ssh_session *s, struct mu_err *err)
{
    static const int no = 0;
    struct mu_buf algorithms = MU_BUF_INIT;
    unsigned port = (unsigned)s->port;
    int rc = s->trust ? mu_trust_algorithms(s->trust, s->host, s->port, &algorithms)
                      : mu_hostkey_algorithms_for(s->shared, s->options, &algorithms, err);

    if (rc && err->code)
        goto out;
    mu_err_set(err, MU_ENOMEM, "%s port %d: cannot start an SSH session: out of memory", s->host, s->port);
    mu_err_cause(err, "out of memory");
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
    rc = set_algorithms(s, err);
out:
    mu_buf_free(&algorithms);
    return rc;
}

void mu_connect_kex(struct mu_ssh_session *s, int fd)
{
    struct mu_err err = {0};
    ssh_session ssh = NULL;

    s->connect->phase = MU_PHASE_KEX;
    if (mu_session_watch(s, fd, MU_READABLE, &err)) {
        mu_connect_done(s, &err);
        return;
    }
    ssh = ssh_new();
    s->connect->nonblocking = false;
    memset(&s->io, 0, sizeof(s->io));
    mu_timer_start(s->timer, s->ctx, left_ms(s));
    if (!ssh)
        goto nomem;
    s->ssh = ssh;
    if (set_options(s, &err)) {
        s->ssh = NULL; /* it has not taken the descriptor yet */
        ssh_free(ssh);
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

/* ---- start ---- */

void mu_connect_event(struct mu_ssh_session *s)
{
    switch (s->connect->phase) {
    case MU_PHASE_KEX:
        kex_step(s);
        break;
    case MU_PHASE_AUTH:
        mu_auth_step(s);
        break;
    default:
        break;
    }
}

/* In its turn, when new connections have a rate. */
static void wait_for_start(struct mu_ssh_session *s)
{
    uint64_t wait_ms = mu_gates_start(s->shared->gates);

    s->connect->phase = MU_PHASE_WAIT;
    if (wait_ms)
        mu_timer_start(s->timer, s->ctx, wait_ms);
    else
        mu_way_start(s);
}

static int begin(struct mu_ssh_session *s, struct mu_err *err);

/* A command that the options depend on has ended. */
static void on_exec(void *arg, const struct mu_err *failed)
{
    struct mu_ssh_session *s = arg;
    struct mu_err err = *failed;

    mu_conf_exec_free(s->connect->exec);
    s->connect->exec = NULL;
    if (err.code || mu_session_options(s, &err) || begin(s, &err))
        mu_connect_done(s, &err);
}

/* With what is known now. */
static int begin(struct mu_ssh_session *s, struct mu_err *err)
{
    if (!s->pending) {
        wait_for_start(s);
        return 0;
    }
    s->connect->phase = MU_PHASE_OPTIONS;
    mu_connect_count(s);
    return mu_conf_exec_start(&s->connect->exec, s->loop, s->ctx, s->shared->confs, s->pending, on_exec, s, err);
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
    s->connect = c;
    s->state = MU_SESSION_CONNECTING;
    mu_session_use_ctx(s, ctx);
    rc = begin(s, err);
    if (rc) {
        s->state = MU_SESSION_IDLE;
        mu_timer_stop(s->timer);
        mu_connect_free(s);
    }
    return rc;
}

void mu_ssh_session_connect_abort(struct mu_ssh_session *s, const struct mu_err *why)
{
    if (s->connect && s->connect->phase != MU_PHASE_DONE)
        mu_connect_done(s, why);
}
