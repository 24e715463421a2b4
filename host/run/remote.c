#include "run/remote.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "loop/process.h"
#include "run/engine.h"
#include "run/task.h"
#include "run/worker.h"

#define KILL_AFTER_MS 2000
#define END_TIMEOUT_MS 10000
#define RETRY_FIRST_MS 500
#define RETRY_MAX_MS 5000
#define LINES_HOLD ((size_t)1 << 20)
#define LINES_MAX ((size_t)64 << 20)

static const struct mu_engine *engine_of(const struct mu_remote *r) { return r->task->worker->engine; }

/* ---- calls ---- */

static void call_done(struct mu_call *c, const struct mu_err *err)
{
    if (err && err->code && !c->error.code)
        c->error = *err;
    mu_timer_free(c->timer);
    c->timer = NULL;
    mu_wait_done(&c->wait);
}

static void exec_done(struct mu_call *c, const struct mu_exec_result *result)
{
    if (result->unended)
        mu_task_unended(c->task, c->command);
    /* The connection may be as dead as the command is not: whoever comes next finds out with a new one. */
    if (result->unended && c->ssh && c->task->remote.state == MU_REMOTE_UP)
        mu_remote_reset(&c->task->remote);
    if (result->error.code == MU_ELOST && c->task->remote.state == MU_REMOTE_UP) {
        c->task->remote.state = MU_REMOTE_LOST;
        c->task->remote.error = result->error;
    }
    call_done(c, &result->error);
}

static void ssh_exec_done(void *arg, struct mu_ssh_exec *e) { exec_done(arg, mu_ssh_exec_result(e)); }
static void process_done(void *arg, struct mu_process *p) { exec_done(arg, mu_process_result(p)); }

/* End a command that runs, there too; exec_done follows. */
static void end_command(struct mu_call *c, const struct mu_err *why)
{
    uint64_t kill_after = KILL_AFTER_MS, total = END_TIMEOUT_MS;
    uint64_t hurry = c->task->worker->hurry_until_ms, now = mu_clock_ms();
    if (hurry) { /* after an interrupt both must fit into half of what is left, for teardown wants the rest */
        uint64_t left = hurry > now ? (hurry - now) / 2 : 0;
        kill_after = left / 4 < kill_after ? left / 4 : kill_after;
        total = left < total ? left : total;
    }
    c->ending = true;
    if (c->ssh)
        mu_ssh_exec_abort(c->ssh, why, kill_after, total);
    else
        mu_process_abort(c->process, why, kill_after);
}

static void on_line(void *arg, enum mu_exec_stream stream, const char *line, size_t len)
{
    struct mu_call *c = arg;
    if (c->lines_read == c->lines.len) {
        mu_buf_clear(&c->lines);
        c->lines_read = 0;
    }
    if (c->lines.len > LINES_MAX) {
        if (!c->ending) {
            struct mu_err err;
            mu_err_set(&err, MU_ELIMIT, "lines come faster than the line callback takes them (%zu MiB behind)", LINES_MAX >> 20);
            mu_err_cause(&err, "output limit");
            end_command(c, &err);
        }
        return;
    }
    uint32_t n = (uint32_t)len;
    mu_buf_addc(&c->lines, (char)stream);
    mu_buf_add(&c->lines, &n, sizeof n);
    mu_buf_add(&c->lines, line, len);
    if (c->lines.len > LINES_HOLD && !c->held && c->ssh) {
        c->held = true;
        mu_ssh_exec_hold(c->ssh, true);
    }
    mu_wait_wake(&c->wait);
}

bool mu_call_next_line(struct mu_call *c, enum mu_exec_stream *stream, const char **text, size_t *len)
{
    if (c->lines_read >= c->lines.len) {
        if (c->held && c->ssh)
            mu_ssh_exec_hold(c->ssh, false);
        c->held = false;
        return false;
    }
    const char *p = c->lines.data + c->lines_read;
    uint32_t n;
    *stream = (enum mu_exec_stream)(unsigned char)p[0];
    memcpy(&n, p + 1, sizeof n);
    *text = p + 1 + sizeof n;
    *len = n;
    c->lines_read += 1 + sizeof n + n;
    return true;
}

static void call_timeout(void *arg)
{
    struct mu_call *c = arg;
    struct mu_err err;
    mu_err_set(&err, MU_ETIMEDOUT, "command took longer than %g s", (double)c->timeout_ms / 1000.0);
    mu_err_cause(&err, "command timed out");
    end_command(c, &err);
}

/* The transport is there: run the command, or be content. */
static void call_go(struct mu_call *c)
{
    struct mu_err err = {0};
    if (c->kind == MU_CALL_CONNECT) {
        call_done(c, NULL);
        return;
    }
    int rc = c->here || c->task->remote.local
                 ? mu_process_start(&c->process, c->task->worker->loop, c->ctx, &c->req, process_done, c, &err)
                 : mu_ssh_exec_start(&c->ssh, c->task->remote.ssh, c->ctx, &c->req, ssh_exec_done, c, &err);
    if (rc) {
        call_done(c, &err);
        return;
    }
    if (c->timeout_ms) {
        c->timer = mu_timer_new(c->task->worker->loop, call_timeout, c);
        if (c->timer)
            mu_timer_start(c->timer, c->ctx, c->timeout_ms);
    }
}

/* ---- connecting ---- */

static void start_connect(struct mu_remote *r);

static void connect_over(struct mu_remote *r, const struct mu_err *err)
{
    r->state = err->code ? MU_REMOTE_FAILED : MU_REMOTE_UP;
    r->error = *err;
    r->retry_until_ms = 0;
    struct mu_list *l = r->calls.next;
    while (l != &r->calls) {
        struct mu_call *c = mu_list_entry(l, struct mu_call, link);
        l = l->next; /* call_go may not unlink, but a line may be added behind */
        if (c->wait.done || c->ssh || c->process || c->here)
            continue;
        if (err->code)
            call_done(c, err);
        else
            call_go(c);
    }
}

static const char *address_of(const struct mu_remote *r)
{
    return r->own.address ? r->own.address : r->task->server->address;
}

static bool worth_retrying(int code)
{
    return code == MU_EREFUSED || code == MU_EUNREACH || code == MU_ECONNTIMEOUT || code == MU_EKEX || code == MU_ELOST ||
           code == MU_ERESOLVE;
}

static void retry_now(void *arg) { start_connect(arg); }

static void ssh_connected(void *arg, const struct mu_err *err)
{
    struct mu_remote *r = arg;
    uint64_t now = mu_clock_ms();
    if (err->code && worth_retrying(err->code) && r->retry_until_ms > now) {
        if (!r->retry)
            r->retry = mu_timer_new(r->task->worker->loop, retry_now, r);
        if (r->retry) {
            mu_log(MU_DEBUG, "Not there yet: %s; trying again.", err->msg);
            uint64_t left = r->retry_until_ms - now;
            mu_timer_start(r->retry, r->ctx, r->retry_delay_ms < left ? r->retry_delay_ms : left);
            r->retry_delay_ms = r->retry_delay_ms * 3 / 2 > RETRY_MAX_MS ? RETRY_MAX_MS : r->retry_delay_ms * 3 / 2;
            return;
        }
    }
    if (!err->code)
        mu_log(MU_INFO, "Connected to %s.", address_of(r));
    connect_over(r, err);
}

static void start_connect(struct mu_remote *r)
{
    struct mu_err err = {0};
    const struct mu_engine *e = engine_of(r);
    const struct mu_server *srv = r->task->server;
    r->state = MU_REMOTE_CONNECTING;
    int rc = 0;
    if (!r->ssh) {
        struct mu_ssh_target target = {.host = address_of(r), .port = r->own.port ? r->own.port : srv->port,
                                       .user = r->own.user ? r->own.user : srv->user ? srv->user : e->user,
                                       .key_file = r->own.key ? r->own.key : srv->key, .trust = r->own.trust};
        rc = mu_ssh_session_new(&r->ssh, r->task->worker->loop, e->ssh, &target, &err);
    }
    if (!rc)
        rc = mu_ssh_session_connect(r->ssh, r->ctx, e->connect_timeout_ms, ssh_connected, r, &err);
    if (rc)
        connect_over(r, &err);
}

static void want_connection(struct mu_call *c, uint64_t wait_ms)
{
    struct mu_remote *r = &c->task->remote;
    if (r->local || c->here) {
        call_go(c);
        return;
    }
    if (r->state == MU_REMOTE_UP && !mu_ssh_session_connected(r->ssh)) {
        r->state = MU_REMOTE_LOST;
        mu_err_set(&r->error, MU_ELOST, "connection lost");
    }
    switch (r->state) {
    case MU_REMOTE_UP:
        call_go(c);
        return;
    case MU_REMOTE_FAILED:
    case MU_REMOTE_LOST:
        if (c->kind == MU_CALL_EXEC) {
            call_done(c, &r->error);
            return;
        }
        mu_remote_reset(r);
        break;
    case MU_REMOTE_CONNECTING:
        return; /* connect_over() goes on with it */
    case MU_REMOTE_NEW:
        break;
    }
    r->retry_until_ms = wait_ms ? mu_clock_ms() + wait_ms : 0;
    r->retry_delay_ms = RETRY_FIRST_MS;
    mu_ctx_unref(r->ctx);
    r->ctx = mu_ctx_ref(c->ctx);
    start_connect(r);
}

static void call_cancel(struct mu_wait *wait)
{
    struct mu_call *c = mu_list_entry(wait, struct mu_call, wait);
    struct mu_err err;
    mu_err_set(&err, MU_ECANCELED, "cancelled");
    if (c->ssh || c->process) {
        end_command(c, &err);
        return;
    }
    struct mu_remote *r = &c->task->remote;
    call_done(c, &err);
    /* Nobody else is on a task's only fiber: give the attempt up. */
    if (r->state == MU_REMOTE_CONNECTING)
        mu_remote_disconnect(r);
}

void mu_call_end(struct mu_call *c)
{
    if (c->open && !c->wait.done)
        call_cancel(&c->wait);
}

static void call_abandon(struct mu_wait *wait) { mu_call_close(mu_list_entry(wait, struct mu_call, wait)); }

static void call_begin(struct mu_call *c, enum mu_call_kind kind, struct mu_task *task, struct mu_ctx *ctx)
{
    memset(c, 0, sizeof *c);
    c->wait.cancel = call_cancel;
    c->wait.abandon = call_abandon;
    c->kind = kind;
    c->open = true;
    c->task = task;
    c->ctx = mu_ctx_ref(ctx);
    mu_list_push(&task->remote.calls, &c->link);
}

/* In a dry run nothing is begun; what would be is said. Returns whether it was that. */
static bool only_told(struct mu_call *c, const char *what)
{
    const struct mu_field dry = {"dry_run", MU_FIELD_BOOL, {.b = true}};
    if (!engine_of(&c->task->remote)->dry_run)
        return false;
    c->dry = true;
    const char *would = c->kind == MU_CALL_CONNECT ? "connect to" : c->here ? "run on this machine:" : "run:";
    mu_log_fields(MU_INFO, &dry, 1, "Would %s %s", would, what);
    call_done(c, NULL);
    return true;
}

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

void mu_call_connect(struct mu_call *c, struct mu_task *task, struct mu_ctx *ctx, const struct mu_connect_request *req)
{
    struct mu_err err = {0};
    call_begin(c, MU_CALL_CONNECT, task, ctx);
    if (only_told(c, req->address ? req->address : address_of(&task->remote)))
        return;
    bool says = req->address || req->user || req->key || req->port || req->host_keys || req->accept_new;
    if (says && engine_of(&task->remote)->ssh && !task->remote.local && retarget(&task->remote, req, &err))
        call_done(c, &err);
    else
        want_connection(c, req->wait_ms);
}

static bool copy_request(struct mu_call *c, const struct mu_exec_request *req)
{
    c->req = *req;
    c->req.command = c->command = strdup(req->command);
    if (!c->command)
        return false;
    if (req->input_len) {
        c->req.input = c->input = malloc(req->input_len);
        if (!c->input)
            return false;
        memcpy(c->input, req->input, req->input_len);
    }
    size_t n = 0;
    while (req->env && req->env[n])
        n++;
    if (n) {
        c->env = calloc(n + 1, sizeof *c->env);
        if (!c->env)
            return false;
        for (size_t i = 0; i < n; i++)
            if (!(c->env[i] = strdup(req->env[i])))
                return false;
    }
    c->req.env = (const char *const *)c->env;
    return true;
}

void mu_call_exec(struct mu_call *c, struct mu_task *task, struct mu_ctx *ctx, const struct mu_exec_request *req,
                  bool lines, bool here, uint64_t timeout_ms)
{
    call_begin(c, MU_CALL_EXEC, task, ctx);
    c->timeout_ms = timeout_ms;
    c->here = here;
    if (!(here && req->read_only) && only_told(c, req->command))
        return;
    if (!copy_request(c, req)) {
        struct mu_err err;
        mu_err_set(&err, MU_ENOMEM, "out of memory");
        call_done(c, &err);
        return;
    }
    if (lines) {
        c->req.on_line = on_line;
        c->req.on_line_arg = c;
    }
    want_connection(c, 0);
}

const struct mu_exec_result *mu_call_result(const struct mu_call *c)
{
    static const struct mu_exec_result nothing;
    if (c->dry)
        return &nothing;
    return c->ssh ? mu_ssh_exec_result(c->ssh) : c->process ? mu_process_result(c->process) : NULL;
}

void mu_call_close(struct mu_call *c)
{
    if (!c->open)
        return;
    c->open = false;
    if (!c->wait.done && c->ssh)
        mu_task_unended(c->task, c->command);
    mu_list_remove(&c->link);
    mu_ssh_exec_free(c->ssh);
    mu_process_free(c->process);
    c->ssh = NULL;
    c->process = NULL;
    mu_timer_free(c->timer);
    c->timer = NULL;
    mu_buf_free(&c->lines);
    free(c->command);
    if (c->input)
        explicit_bzero(c->input, c->req.input_len);
    free(c->input);
    for (size_t i = 0; c->env && c->env[i]; i++) {
        explicit_bzero(c->env[i], strlen(c->env[i]));
        free(c->env[i]);
    }
    free(c->env);
    mu_ctx_unref(c->ctx);
}

/* ---- the remote ---- */

void mu_remote_init(struct mu_remote *r, struct mu_task *task, bool local)
{
    *r = (struct mu_remote){.task = task, .local = local};
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
}

void mu_remote_reset(struct mu_remote *r)
{
    if (r->ssh)
        mu_ssh_session_disconnect(r->ssh);
    r->state = MU_REMOTE_NEW;
    r->error.code = 0;
}

void mu_remote_close(struct mu_remote *r)
{
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
