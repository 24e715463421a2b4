/* jump.c: the connections to jump hosts, one each for all who go through it, and who waits for them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/internal.h"
#include "ssh/shared_parts.h"

#define IDLE_MS 30000    /* how long a connection that nobody uses is kept */
#define REFUSAL_MS 30000 /* how long a jump host that let nobody in is not asked again: it may count failures */

struct mu_ssh_ways {
    struct mu_loop *loop;
    struct mu_ssh_shared *shared;
    struct mu_gate_home *gates;
    struct mu_list jumps;
};

struct mu_jump {
    struct mu_list link;
    struct mu_ssh_ways *ways;
    char *chain;                 /* what it is found by */
    char *name;                  /* of the last hop, for messages */
    unsigned uses;
    struct mu_list waiting;      /* uses */
    struct mu_ssh_session *s;    /* NULL: none yet */
    bool connecting;
    uint64_t timeout_ms;
    struct mu_gate_ticket connect; /* a place among those who log in at the jump host */
    struct mu_timer *timer;      /* nobody uses it any more */
    struct mu_err refusal;       /* code 0: none */
    uint64_t refusal_until_ms;
};

/* ---- the chain's text ---- */

/* host[:port], where a host with colons is in brackets. False: it is not that. */
static bool split(const char *p, const char *end, char **host, int *port)
{
    bool bracket = p < end && *p == '[';
    const char *close = bracket ? memchr(p, ']', (size_t)(end - p)) : NULL, *colon;
    char *rest = NULL;
    long number;

    if (bracket && !close)
        return false;
    colon = memchr(bracket ? close : p, ':', (size_t)(end - (bracket ? close : p)));
    *host = bracket ? strndup(p + 1, (size_t)(close - p - 1)) : strndup(p, (size_t)((colon ? colon : end) - p));
    if (!*host || !**host || **host == '-' || (bracket && close + 1 != (colon ? colon : end)))
        return false;
    *port = 0;
    if (!colon)
        return true;
    number = strtol(colon + 1, &rest, 10);
    *port = (int)number;
    return rest == end && rest > colon + 1 && number >= 1 && number <= 65535;
}

int mu_jump_parse(const char *hop, size_t len, char **user, char **host, int *port, struct mu_err *err)
{
    const char *p = hop, *end = hop + len, *at;

    *user = *host = NULL;
    if (len > 6 && strncmp(p, "ssh://", 6) == 0) {
        p += 6;
        end -= end[-1] == '/';
    }
    at = memrchr(p, '@', (size_t)(end - p));
    if (at) {
        *user = strndup(p, (size_t)(at - p));
        p = at + 1;
    }
    if (split(p, end, host, port) && (!at || (*user && **user && **user != '-')))
        return 0;
    free(*user);
    free(*host);
    *user = *host = NULL;
    return mu_err_set(err, MU_EINVAL, "jump host \"%.*s\": write it as [user@]host[:port], an IPv6 address in brackets",
                      (int)(len < 100 ? len : 100), hop);
}

/* ---- who waits ---- */

static void poke(struct mu_jump_use *use) { mu_timer_start(use->user->timer, use->user->ctx, 0); }

static void on_login_place(void *arg)
{
    struct mu_jump_use *use = arg;

    use->ready = true;
    poke(use);
}

static void want_place(struct mu_jump_use *use)
{
    struct mu_buf name = MU_BUF_INIT;

    mu_buf_addf(&name, "through %s", use->jump->chain);
    if (mu_gate_enter(&use->login, use->jump->ways->gates, mu_buf_cstr(&name), MU_JUMP_LOGINS, on_login_place, use))
        on_login_place(use);
    mu_buf_free(&name);
}

static void tell_all(struct mu_jump *j, const struct mu_err *err)
{
    struct mu_list *l;

    while ((l = mu_list_pop(&j->waiting))) {
        struct mu_jump_use *use = mu_list_entry(l, struct mu_jump_use, link);

        if (err && err->code) {
            use->err = *err;
            poke(use);
        } else {
            want_place(use);
        }
    }
}

/* ---- the connection ---- */

static bool is_up(const struct mu_jump *j) { return j->s && mu_ssh_session_connected(j->s) && mu_session_alive(j->s); }

static void on_connected(void *arg, const struct mu_err *err)
{
    struct mu_jump *j = arg;
    struct mu_err told = *err;

    j->connecting = false;
    mu_gate_leave(&j->connect);
    if (err->code == MU_EAUTH || err->code == MU_EHOSTKEYUNKNOWN || err->code == MU_EHOSTKEYCHANGED ||
        err->code == MU_EHOSTKEYREVOKED) {
        j->refusal = told;
        j->refusal_until_ms = mu_loop_now_ms(j->ways->loop) + REFUSAL_MS;
    }
    if (!err->code)
        mu_log(MU_DEBUG, "connected to the jump host %s", j->name);
    tell_all(j, &told);
}

static void on_connect_place(void *arg)
{
    struct mu_jump *j = arg;
    struct mu_err err = {0};

    if (!mu_ssh_session_connect(j->s, NULL, j->timeout_ms, on_connected, j, &err))
        return;
    j->connecting = false;
    mu_gate_leave(&j->connect);
    tell_all(j, &err);
}

static int make_session(struct mu_jump *j, struct mu_err *err)
{
    const char *comma = strrchr(j->chain, ','), *hop = comma ? comma + 1 : j->chain;
    char *user = NULL, *host = NULL, *before = NULL;
    int port, rc = mu_jump_parse(hop, strlen(hop), &user, &host, &port, err);
    struct mu_ssh_target target = {.jump = true, .ways = j->ways};

    if (rc)
        return rc;
    target.host = host;
    target.user = user;
    target.port = port; /* 0: as its own configuration says */
    if (comma && !(before = strndup(j->chain, (size_t)(comma - j->chain)))) {
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
        goto out;
    }
    rc = mu_ssh_session_new(&j->s, j->ways->loop, j->ways->shared, &target, err);
    if (!rc) {
        j->s->via = before; /* NULL: as its own options say */
        before = NULL;
        if (j->s->options->connect_timeout_s)
            j->timeout_ms = j->s->options->connect_timeout_s * (uint64_t)1000;
    }
out:
    free(before);
    free(user);
    free(host);
    return rc;
}

static int start_connect(struct mu_jump *j, struct mu_err *err)
{
    struct mu_buf name = MU_BUF_INIT;
    int rc;

    if (j->s) { /* it was lost, or could not be made: from the start, with what holds now */
        mu_ssh_session_free(j->s);
        j->s = NULL;
    }
    rc = make_session(j, err);
    if (rc)
        return rc;
    j->connecting = true;
    mu_buf_addf(&name, "to %s@%s:%d", j->s->user, j->s->options->hostname, j->s->port);
    if (mu_gate_enter(&j->connect, j->ways->gates, mu_buf_cstr(&name), MU_JUMP_CONNECTS, on_connect_place, j))
        on_connect_place(j);
    mu_buf_free(&name);
    return 0;
}

static void jump_free(struct mu_jump *j)
{
    if (!j)
        return;
    mu_list_remove(&j->link);
    if (j->connecting)
        mu_gate_leave(&j->connect);
    mu_ssh_session_free(j->s);
    mu_timer_free(j->timer);
    free(j->chain);
    free(j->name);
    free(j);
}

static void on_idle(void *arg)
{
    struct mu_jump *j = arg;

    mu_log(MU_DEBUG, "nobody goes through the jump host %s any more: its connection is closed", j->name);
    jump_free(j);
}

static struct mu_jump *find(struct mu_ssh_ways *w, const char *chain)
{
    const char *comma = strrchr(chain, ',');
    struct mu_buf name = MU_BUF_INIT;
    struct mu_jump *j;

    for (struct mu_list *l = w->jumps.next; l != &w->jumps; l = l->next) {
        j = mu_list_entry(l, struct mu_jump, link);
        if (strcmp(j->chain, chain) == 0)
            return j;
    }
    j = calloc(1, sizeof(*j));
    if (!j)
        return NULL;
    mu_list_init(&j->link);
    mu_list_init(&j->waiting);
    j->ways = w;
    j->chain = strdup(chain);
    chain = comma ? comma + 1 : chain;
    mu_buf_add_escaped(&name, chain, strlen(chain));
    j->name = mu_buf_take(&name);
    j->timer = mu_timer_new(w->loop, on_idle, j);
    if (!j->chain || !j->name || !j->timer) {
        jump_free(j);
        return NULL;
    }
    mu_list_push(&w->jumps, &j->link);
    return j;
}

/* ---- for sessions ---- */

/* Whether the way to j goes through a jump host whose session is s: they would wait for each other for ever. */
static bool leads_to(const struct mu_jump *j, const struct mu_ssh_session *s)
{
    for (; j; j = j->s ? j->s->way.jump.jump : NULL)
        if (j->s == s)
            return true;
    return false;
}

int mu_jump_ask(struct mu_jump_use *use, struct mu_ssh_session *user, const char *chain, uint64_t timeout_ms,
                struct mu_err *err)
{
    struct mu_ssh_ways *w = user->ways;
    struct mu_jump *j;

    memset(use, 0, sizeof(*use));
    mu_list_init(&use->link);
    use->user = user;
    j = find(w, chain);
    if (!j)
        return mu_err_set(err, MU_ENOMEM, "%s port %d: out of memory", user->host, user->port);
    if (leads_to(j, user)) {
        mu_err_set(err, MU_EINVAL, "%s port %d: the jump host %s is reached through itself: say ProxyJump none for it",
                   user->host, user->port, j->name);
        return mu_err_cause(err, "a jump host is reached through itself");
    }
    use->jump = j;
    j->uses++;
    mu_timer_stop(j->timer);
    if (is_up(j)) {
        want_place(use);
        return 0;
    }
    mu_list_push(&j->waiting, &use->link);
    if (j->connecting)
        return 0;
    if (j->refusal.code && mu_loop_now_ms(w->loop) < j->refusal_until_ms) {
        tell_all(j, &j->refusal);
        return 0;
    }
    j->refusal.code = 0;
    j->timeout_ms = timeout_ms;
    if (start_connect(j, &use->err))
        tell_all(j, &use->err);
    return 0;
}

void mu_jump_logged_in(struct mu_jump_use *use) { mu_gate_leave(&use->login); }

void mu_jump_leave(struct mu_jump_use *use)
{
    struct mu_jump *j = use->jump;

    if (!j)
        return;
    mu_gate_leave(&use->login);
    mu_list_remove(&use->link);
    use->jump = NULL;
    use->ready = false;
    if (--j->uses == 0)
        mu_timer_start(j->timer, NULL, IDLE_MS);
}

struct mu_ssh_session *mu_jump_session(const struct mu_jump_use *use) { return is_up(use->jump) ? use->jump->s : NULL; }
struct mu_ssh_session *mu_jump_peek(const struct mu_jump_use *use) { return use->jump->s; }
const char *mu_jump_name(const struct mu_jump_use *use) { return use->jump ? use->jump->name : ""; }

/* ---- the ways ---- */

int mu_ssh_ways_new(struct mu_ssh_ways **out, struct mu_loop *loop, struct mu_ssh_shared *sh, struct mu_err *err)
{
    struct mu_ssh_ways *w = calloc(1, sizeof(*w));
    int rc;

    *out = NULL;
    if (!w)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    w->loop = loop;
    w->shared = sh;
    mu_list_init(&w->jumps);
    rc = mu_gate_home_new(&w->gates, sh->gates, loop, err);
    if (rc)
        free(w);
    else
        *out = w;
    return rc;
}

void mu_ssh_ways_free(struct mu_ssh_ways *w)
{
    struct mu_list *l;

    if (!w)
        return;
    /* One that lies behind another is in its way: those in front come last. */
    while (!mu_list_empty(&w->jumps)) {
        for (l = w->jumps.next; l != &w->jumps && mu_list_entry(l, struct mu_jump, link)->uses; l = l->next)
            ;
        jump_free(mu_list_entry(l == &w->jumps ? w->jumps.next : l, struct mu_jump, link));
    }
    mu_gate_home_free(w->gates);
    free(w);
}
