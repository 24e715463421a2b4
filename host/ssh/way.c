/* way.c: from a session's options to a descriptor that leads to its server: a socket, a tunnel through a jump host, or the
 * other end of a proxy command. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop/partner.h"
#include "loop/resolve.h"
#include "ssh/dial.h"
#include "ssh/internal.h"

/* ---- a socket ---- */

static void on_dialled(void *arg, int fd, const struct mu_err *err)
{
    struct mu_ssh_session *s = arg;
    struct mu_err outcome = *err;

    mu_dial_free(s->connect->dial);
    s->connect->dial = NULL;
    if (fd < 0)
        mu_connect_done(s, &outcome);
    else
        mu_connect_kex(s, fd);
}

static void on_resolved(void *arg, const struct mu_addr *addrs, size_t n, const struct mu_err *err)
{
    struct mu_ssh_session *s = arg;
    struct mu_connect *c = s->connect;
    struct mu_err failed = {0};

    c->resolve = NULL;
    if (!n) {
        mu_connect_done(s, err);
        return;
    }
    c->phase = MU_PHASE_TCP;
    if (mu_dial_start(&c->dial, s->loop, s->ctx, s->host, s->port, addrs, n, s->options->family,
                      s->options->bind_address, on_dialled, s, &failed))
        mu_connect_done(s, &failed);
}

static int start_socket(struct mu_ssh_session *s, struct mu_err *err)
{
    struct mu_connect *c = s->connect;
    int rc = mu_resolve_start(&c->resolve, s->loop, s->ctx, s->options->hostname, s->port, on_resolved, s, err);

    c->phase = MU_PHASE_RESOLVE;
    if (rc)
        c->resolve = NULL;
    else
        mu_connect_count(s);
    return rc;
}

/* ---- a jump host ---- */

void mu_way_name_hop(const struct mu_ssh_session *s, struct mu_err *err)
{
    const struct mu_jump_use *use = &s->way.jump;
    char cause[sizeof(err->cause)];

    if (!use->jump)
        return;
    snprintf(cause, sizeof(cause), "%s", err->cause);
    mu_err_prefix(err, "%s port %d: via %s", s->host, s->port, mu_jump_name(use));
    mu_err_cause(err, "via %s: %s", mu_jump_name(use), cause);
}

static void failed(struct mu_ssh_session *s, const struct mu_err *err)
{
    struct mu_err told = *err;

    mu_way_name_hop(s, &told);
    mu_connect_done(s, &told);
}

static int start_jump(struct mu_ssh_session *s, struct mu_err *err)
{
    struct mu_connect *c = s->connect;

    if (!s->ways) {
        int rc = mu_ssh_ways_new(&s->ways, s->loop, s->shared, err);

        if (rc)
            return rc;
        s->own_ways = true;
    }
    c->phase = MU_PHASE_JUMP; /* its own time does not run yet: the jump host's does */
    return mu_jump_ask(&s->way.jump, s, s->via ? s->via : s->options->proxy_jump, c->timeout_ms, err);
}

/* The jump host's connection is up, and we have a place. */
static void start_tunnel(struct mu_ssh_session *s)
{
    struct mu_ssh_session *jump = mu_jump_session(&s->way.jump);
    struct mu_err err = {0};

    if (!jump) {
        mu_err_set(&err, MU_ELOST, "the connection to the jump host was lost");
        mu_err_cause(&err, "connection lost");
        failed(s, &err);
        return;
    }
    s->connect->phase = MU_PHASE_TUNNEL;
    mu_connect_count(s);
    if (mu_tunnel_new(&s->way.tunnel, jump, s, s->options->hostname, s->port, &s->way.tunnel_fd, &err))
        failed(s, &err);
}

void mu_way_poked(struct mu_ssh_session *s)
{
    struct mu_connect *c = s->connect;
    struct mu_way *w = &s->way;

    if (c->phase == MU_PHASE_JUMP) {
        if (w->jump.err.code)
            failed(s, &w->jump.err);
        else if (w->jump.ready)
            start_tunnel(s);
    } else if (mu_tunnel_err(w->tunnel)->code) {
        failed(s, mu_tunnel_err(w->tunnel));
    } else if (mu_tunnel_open(w->tunnel)) {
        int fd = w->tunnel_fd;

        w->tunnel_fd = -1;
        mu_connect_kex(s, fd);
    } else if (mu_loop_now_ms(s->loop) >= c->deadline_ms) {
        struct mu_err err = {0};

        mu_err_set(&err, MU_ECONNTIMEOUT, "the jump host had no answer from it within %.3g s: is the server up, and not "
                   "behind a firewall?", (double)c->timeout_ms / 1000);
        mu_err_cause(&err, "connect: timed out");
        failed(s, &err);
    } else {
        mu_timer_start(s->timer, s->ctx, c->deadline_ms - mu_loop_now_ms(s->loop));
    }
}

/* ---- a proxy command ---- */

static void on_proxy_ended(void *arg)
{
    struct mu_ssh_session *s = arg;

    /* The descriptor's end tells it, too; a connect that has failed waits for this. */
    if (s->connect && s->connect->phase == MU_PHASE_PROXY_END)
        mu_timer_start(s->timer, s->ctx, 0);
}

static int start_proxy(struct mu_ssh_session *s, struct mu_err *err)
{
    struct mu_buf command = MU_BUF_INIT;
    int fd = -1, rc;

    mu_buf_addf(&command, "exec %s", s->options->proxy_command);
    if (command.failed)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    else
        rc = mu_partner_start(&s->way.proxy, s->loop, s->ctx, mu_buf_cstr(&command), &fd, on_proxy_ended, s, err);
    mu_buf_free(&command);
    if (rc) {
        mu_err_prefix(err, "%s port %d", s->host, s->port);
        return rc == MU_ENOMEM ? rc : MU_EUNREACH;
    }
    mu_connect_count(s);
    mu_connect_kex(s, fd);
    return 0;
}

/* ---- all of them ---- */

void mu_way_start(struct mu_ssh_session *s)
{
    struct mu_err err = {0};
    const struct mu_ssh_options *o = s->options;
    int rc = s->via || o->proxy_jump ? start_jump(s, &err) : o->proxy_command ? start_proxy(s, &err) : start_socket(s, &err);

    if (rc)
        mu_connect_done(s, &err);
}

void mu_way_logged_in(struct mu_ssh_session *s) { mu_jump_logged_in(&s->way.jump); }

const char *mu_way_trouble(struct mu_ssh_session *s)
{
    struct mu_way *w = &s->way;

    if (w->tunnel && mu_tunnel_err(w->tunnel)->code)
        return mu_tunnel_err(w->tunnel)->msg;
    if (w->proxy) {
        const char *says = mu_partner_says(w->proxy);

        return mu_partner_ended(w->proxy) || *says ? says : NULL;
    }
    return NULL;
}

void mu_way_close(struct mu_ssh_session *s)
{
    struct mu_way *w = &s->way;

    if (w->tunnel_fd >= 0)
        close(w->tunnel_fd);
    w->tunnel_fd = -1;
    mu_tunnel_free(w->tunnel);
    w->tunnel = NULL;
    mu_partner_free(w->proxy);
    w->proxy = NULL;
    mu_jump_leave(&w->jump);
}
