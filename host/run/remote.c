#include "run/remote.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/clock.h"
#include "run/engine.h"
#include "run/messages.h"
#include "run/remote_internal.h"
#include "run/task.h"
#include "run/worker.h"
#include "ssh/options.h"

#define RETRY_FIRST_MS 500
#define RETRY_MAX_MS 5000
#define RETRIES 2 /* when nobody says another number */

static const struct mu_engine *engine_of(const struct mu_remote *r) { return r->task->worker->engine; }

/* ---- connecting ---- */

static void start_connect(struct mu_remote *r);

static void connect_over(struct mu_remote *r, const struct mu_err *err)
{
    mu_remote_record(r, err);
    if (r->tries > !!err->code && !r->retry_until_ms)
        mu_post_retried(r->task, r->index, r->tries - !!err->code, !err->code);
    r->state = err->code ? MU_REMOTE_FAILED : MU_REMOTE_UP;
    r->error = *err;
    r->retry_until_ms = 0;
    struct mu_list *l = r->calls.next;
    while (l != &r->calls) {
        struct mu_call *c = mu_list_entry(l, struct mu_call, link);
        l = l->next; /* call_go may not unlink, but a line may be added behind */
        if (!mu_call_in_line(c))
            continue;
        if (err->code)
            mu_call_done(c, err);
        else
            mu_call_go(c);
    }
}

const char *mu_remote_address(const struct mu_remote *r)
{
    return r->own.address ? r->own.address : r->server->address;
}

/* Of a server that is awaited: whatever may be different when it has come up. */
static bool worth_waiting(int code)
{
    return code == MU_EREFUSED || code == MU_EUNREACH || code == MU_ECONNTIMEOUT || code == MU_EKEX || code == MU_ELOST ||
           code == MU_ERESOLVE;
}

static void retry_now(void *arg) { start_connect(arg); }

/* Those who failed together do not come again together. */
static uint64_t with_jitter(uint64_t ms)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        random = (uint32_t)mu_clock_ms();
    return ms * 3 / 4 + random % (ms / 2);
}

static bool to_be_retried(const struct mu_remote *r, const struct mu_err *err)
{
    if (r->retry_until_ms)
        return worth_waiting(err->code) && r->retry_until_ms > mu_clock_ms();
    int said = engine_of(r)->connect_retries;
    unsigned attempts = r->ssh ? mu_ssh_session_options(r->ssh)->connection_attempts : 0;
    unsigned retries = said ? (said > 0 ? (unsigned)said : 0) : attempts ? attempts - 1 : RETRIES;
    return mu_ssh_worth_retrying(err) && r->tries <= retries;
}

static void ssh_connected(void *arg, const struct mu_err *err)
{
    struct mu_remote *r = arg;
    r->tries += err->code != 0;
    if (err->code && to_be_retried(r, err)) {
        if (!r->retry)
            r->retry = mu_timer_new(r->task->worker->loop, retry_now, r);
        if (r->retry) {
            uint64_t now = mu_clock_ms(), delay = with_jitter(r->retry_delay_ms);
            if (r->retry_until_ms && delay > r->retry_until_ms - now)
                delay = r->retry_until_ms > now ? r->retry_until_ms - now : 0;
            mu_log(MU_DEBUG, "Not there yet: %s; trying again in %.1f s.", err->msg, (double)delay / 1000);
            mu_timer_start(r->retry, r->ctx, delay);
            r->retry_delay_ms = r->retry_delay_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : r->retry_delay_ms * 2;
            return;
        }
    }
    if (!err->code && r->tries)
        mu_log(MU_INFO, "Connected to %s, at try %u.", mu_remote_address(r), r->tries + 1);
    else if (!err->code)
        mu_log(MU_INFO, "Connected to %s.", mu_remote_address(r));
    connect_over(r, err);
}

static void start_connect(struct mu_remote *r)
{
    struct mu_err err = {0};
    const struct mu_engine *e = engine_of(r);
    const struct mu_server *srv = r->server;
    r->state = MU_REMOTE_CONNECTING;
    if (mu_remote_replay(r, &err)) {
        if (!err.code)
            mu_log(MU_INFO, "Connected to %s, in the transcript.", mu_remote_address(r));
        connect_over(r, &err);
        return;
    }
    int rc = 0;
    if (!r->task->worker->ways)
        rc = mu_ssh_ways_new(&r->task->worker->ways, r->task->worker->loop, e->ssh, &err);
    if (!rc && !r->ssh) {
        struct mu_ssh_target target = {.host = mu_remote_address(r), .port = r->own.port ? r->own.port : srv->port,
                                       .user = r->own.user ? r->own.user : srv->user,
                                       .key_file = r->own.key ? r->own.key : srv->key, .trust = r->own.trust,
                                       .args = srv->ssh_args, .ways = r->task->worker->ways};
        rc = mu_ssh_session_new(&r->ssh, r->task->worker->loop, e->ssh, &target, &err);
    }
    if (!rc) {
        unsigned own_s = mu_ssh_session_options(r->ssh)->connect_timeout_s;
        rc = mu_ssh_session_connect(r->ssh, r->ctx, own_s ? own_s * (uint64_t)1000 : e->connect_timeout_ms, ssh_connected, r,
                                    &err);
    }
    if (rc)
        connect_over(r, &err);
}

void mu_remote_want(struct mu_call *c, uint64_t wait_ms)
{
    struct mu_remote *r = c->remote;
    if (r->local || c->here) {
        mu_call_go(c);
        return;
    }
    if (r->state == MU_REMOTE_UP && r->ssh && !mu_ssh_session_connected(r->ssh)) {
        r->state = MU_REMOTE_LOST;
        mu_err_set(&r->error, MU_ELOST, "connection lost");
    }
    switch (r->state) {
    case MU_REMOTE_UP:
        mu_call_go(c);
        return;
    case MU_REMOTE_FAILED:
    case MU_REMOTE_LOST:
        if (c->kind == MU_CALL_EXEC) {
            mu_call_done(c, &r->error);
            return;
        }
        mu_remote_reset(r);
        break;
    case MU_REMOTE_CONNECTING:
        if (wait_ms && r->retry_until_ms < mu_clock_ms() + wait_ms)
            r->retry_until_ms = mu_clock_ms() + wait_ms;
        return; /* connect_over() goes on with it */
    case MU_REMOTE_NEW:
        break;
    }
    r->retry_until_ms = wait_ms ? mu_clock_ms() + wait_ms : 0;
    r->retry_delay_ms = RETRY_FIRST_MS;
    r->tries = 0;
    mu_ctx_unref(r->ctx);
    r->ctx = mu_ctx_ref(c->ctx);
    start_connect(r);
}

/* ---- from now on to another place ---- */

/* *slot = a copy of text, when there is one. */
static bool keep_text(char **slot, const char *text)
{
    if (text && !(*slot = strdup(text)))
        return false;
    return true;
}

static void take_text(char **slot, char *text_take)
{
    if (!text_take)
        return;
    free(*slot);
    *slot = text_take;
}

/* From now on the task connects as req says. */
static int retarget(struct mu_remote *r, const struct mu_connect_request *req, struct mu_err *err)
{
    char *address = NULL, *user = NULL, *key = NULL;
    struct mu_ssh_trust *trust = NULL;
    bool learns_on = req->accept_new && r->own.trust && mu_ssh_trust_learns(r->own.trust); /* what it saw still holds */
    int rc = 0;
    if (!keep_text(&address, req->address) || !keep_text(&user, req->user) || !keep_text(&key, req->key))
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!rc && (req->host_keys || req->accept_new) && !learns_on)
        rc = mu_ssh_trust_new(&trust, req->host_keys, err);
    if (!rc && key)
        rc = mu_ssh_shared_add_key(engine_of(r)->ssh, key, err);
    if (rc)
        goto out;
    mu_remote_disconnect(r);
    mu_ssh_session_free(r->ssh);
    r->ssh = NULL;
    take_text(&r->own.address, address);
    take_text(&r->own.user, user);
    take_text(&r->own.key, key);
    address = user = key = NULL;
    r->own.port = req->port ? req->port : r->own.port;
    if (trust) {
        mu_ssh_trust_unref(r->own.trust);
        r->own.trust = trust;
    }
out:
    free(address);
    free(user);
    free(key);
    return rc;
}

void mu_call_connect(struct mu_call *c, struct mu_remote *r, struct mu_ctx *ctx, const struct mu_connect_request *req)
{
    struct mu_err err = {0};
    mu_call_begin(c, MU_CALL_CONNECT, r, ctx);
    if (mu_call_only_told(c, req->address ? req->address : mu_remote_address(r)))
        return;
    bool says = req->address || req->user || req->key || req->port || req->host_keys || req->accept_new;
    int rc = 0;
    if (says && engine_of(r)->ssh && !r->local) {
        mu_list_remove(&c->link); /* it is not one of those that lose the former connection */
        rc = retarget(r, req, &err);
        mu_list_push(&r->calls, &c->link);
    }
    if (rc)
        mu_call_done(c, &err);
    else
        mu_remote_want(c, req->wait_ms);
}

/* ---- the remote ---- */

void mu_remote_init(struct mu_remote *r, struct mu_task *task, const struct mu_server *server, size_t index, bool local)
{
    *r = (struct mu_remote){.task = task, .server = server, .index = index, .local = local, .channels = MU_REMOTE_CHANNELS};
    mu_list_init(&r->calls);
}

void mu_remote_disconnect(struct mu_remote *r)
{
    if (r->state == MU_REMOTE_CONNECTING) {
        struct mu_err err;
        mu_err_set(&err, MU_ECLOSED, "disconnected while connecting");
        if (r->retry)
            mu_timer_stop(r->retry);
        mu_ssh_session_free(r->ssh);
        r->ssh = NULL;
        connect_over(r, &err);
    }
    mu_remote_reset(r);
    if (!mu_list_empty(&r->calls)) {
        struct mu_err err;
        mu_err_set(&err, MU_ECLOSED, "disconnected while waiting for a command to begin");
        mu_remote_fail_line(r, &err);
    }
}

void mu_remote_reset(struct mu_remote *r)
{
    if (r->ssh)
        mu_ssh_session_disconnect(r->ssh);
    r->state = MU_REMOTE_NEW;
    r->error.code = 0;
    r->doubtful = false;
    r->channels = MU_REMOTE_CHANNELS;
}

void mu_remote_close(struct mu_remote *r)
{
    r->closed = true;
    while (!mu_list_empty(&r->calls))
        mu_call_close(mu_list_entry(r->calls.next, struct mu_call, link));
    mu_timer_free(r->retry);
    r->retry = NULL;
    mu_ssh_session_free(r->ssh);
    r->ssh = NULL;
    mu_ssh_trust_unref(r->own.trust);
    free(r->own.address);
    free(r->own.user);
    free(r->own.key);
    memset(&r->own, 0, sizeof r->own);
    mu_ctx_unref(r->ctx);
    r->ctx = NULL;
}
