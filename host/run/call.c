#include "run/remote_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "loop/process.h"
#include "run/engine.h"
#include "run/task.h"
#include "run/worker.h"

#define KILL_AFTER_MS 2000
#define END_TIMEOUT_MS 10000
#define LINES_HOLD ((size_t)1 << 20)
#define LINES_MAX ((size_t)64 << 20)

/* ---- calls ---- */

void mu_call_done(struct mu_call *c, const struct mu_err *err)
{
    if (err && err->code && !c->error.code)
        c->error = *err;
    mu_timer_free(c->timer);
    c->timer = NULL;
    mu_wait_done(&c->wait);
}

/* ---- the line of commands that wait for the connection, or for a channel of it ---- */

bool mu_call_in_line(const struct mu_call *c) { return !c->wait.done && !c->ssh && !c->process && !c->replayed && !c->here; }

static void uncount(struct mu_call *c)
{
    c->remote->busy -= c->counted;
    c->counted = false;
}

void mu_remote_fail_line(struct mu_remote *r, const struct mu_err *err)
{
    for (struct mu_list *l = r->calls.next; l != &r->calls; l = l->next)
        if (mu_call_in_line(mu_list_entry(l, struct mu_call, link)))
            mu_call_done(mu_list_entry(l, struct mu_call, link), err);
}

/* A command over the connection has ended: what waits goes on. */
void mu_remote_next(struct mu_remote *r)
{
    if (r->closed || r->state == MU_REMOTE_CONNECTING)
        return;
    if (r->state == MU_REMOTE_LOST || r->state == MU_REMOTE_FAILED) {
        mu_remote_fail_line(r, &r->error);
        return;
    }
    for (struct mu_list *l = r->calls.next; l != &r->calls && r->busy < r->channels; l = l->next) {
        struct mu_call *c = mu_list_entry(l, struct mu_call, link);
        if (mu_call_in_line(c))
            mu_remote_want(c, 0);
    }
}

void mu_call_ended(struct mu_call *c, const struct mu_exec_result *result)
{
    struct mu_remote *r = c->remote;
    bool ssh = c->ssh != NULL;
    uncount(c);
    if (result->refused && r->busy && !c->ending) { /* fewer than we thought: again when another has ended */
        r->channels = r->busy;
        mu_ssh_exec_free(c->ssh);
        c->ssh = NULL;
        mu_timer_free(c->timer);
        c->timer = NULL;
        return;
    }
    mu_call_record(c, result);
    if (result->unended)
        mu_task_unended(c->task, c->remote->index, c->command);
    /* The connection may be as dead as the command is not: whoever comes next finds out with a new one. */
    r->doubtful = r->doubtful || (result->unended && ssh);
    if (r->doubtful && !r->busy && r->state == MU_REMOTE_UP)
        mu_remote_reset(r);
    if (result->error.code == MU_ELOST && r->state == MU_REMOTE_UP) {
        r->state = MU_REMOTE_LOST;
        r->error = result->error;
    }
    mu_call_done(c, &result->error);
    if (ssh)
        mu_remote_next(r);
}

static void ssh_exec_done(void *arg, struct mu_ssh_exec *e) { mu_call_ended(arg, mu_ssh_exec_result(e)); }
static void process_done(void *arg, struct mu_process *p) { mu_call_ended(arg, mu_process_result(p)); }

static void ender_done(void *arg, struct mu_process *p)
{
    (void)arg;
    (void)p; /* whether the command has gone is seen by itself */
}

/* Signals of ours do not reach a process of root's: sudo has to send them. */
static void end_as_root(struct mu_call *c, uint64_t kill_after_ms)
{
    struct mu_exec_request req = {0};
    struct mu_buf text = MU_BUF_INIT;
    struct mu_err err;
    mu_buf_addf(&text, "P=%ld n=0; kill -TERM -$P; kill -CONT -$P; while [ $n -lt %llu ] && kill -0 -$P; do sleep 0.1; "
                "n=$((n+1)); done; kill -KILL -$P", mu_process_result(c->process)->pid,
                (unsigned long long)(kill_after_ms / 100));
    req.command = mu_buf_cstr(&text);
    if (!text.failed && mu_sudo_wrap(&c->ender_sudo, &req, c->task->worker->engine->sudo_password) &&
        mu_process_start(&c->ender, c->task->worker->loop, c->ctx, &req, ender_done, c, &err))
        mu_log(MU_DEBUG, "no way to end a command that runs as root: %s", err.msg);
    mu_buf_free(&text);
}

/* End a command that runs, there too; mu_call_ended() follows. */
static void end_command(struct mu_call *c, const struct mu_err *why)
{
    uint64_t kill_after = KILL_AFTER_MS, total = END_TIMEOUT_MS;
    uint64_t hurry = c->task->hurry_until_ms, now = mu_clock_ms();
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
    if (c->process && c->as_root && !c->ender && geteuid() != 0)
        end_as_root(c, kill_after);
}

static void on_line(void *arg, enum mu_exec_stream stream, const char *line, size_t len)
{
    struct mu_call *c = arg;
    mu_call_record_line(c, stream, line, len);
    if (c->lines_read == c->lines.len) {
        mu_buf_clear(&c->lines);
        c->lines_read = 0;
    }
    if (c->lines.len > LINES_MAX && !c->replayed) {
        if (!c->ending) {
            struct mu_err err;
            mu_err_set(&err, MU_ELIMIT, "lines come faster than the line callback takes them (%zu MiB behind)", LINES_MAX >> 20);
            mu_err_cause(&err, "output limit");
            end_command(c, &err);
        }
        return;
    }
    if (c->as_root && stream == MU_EXEC_STDERR)
        mu_sudo_listen(&c->sudo, line, len);
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
void mu_call_go(struct mu_call *c)
{
    struct mu_err err = {0};
    if (c->kind == MU_CALL_CONNECT) {
        mu_call_done(c, NULL);
        return;
    }
    if (mu_call_replay(c))
        return;
    bool local = c->here || c->remote->local;
    if (!local && c->remote->busy >= c->remote->channels)
        return; /* mu_remote_next() comes back to it */
    int rc = local
                 ? mu_process_start(&c->process, c->task->worker->loop, c->ctx, &c->req, process_done, c, &err)
                 : mu_ssh_exec_start(&c->ssh, c->remote->ssh, c->ctx, &c->req, ssh_exec_done, c, &err);
    if (rc) {
        mu_call_done(c, &err);
        return;
    }
    c->counted = !local;
    c->remote->busy += c->counted;
    if (c->timeout_ms) {
        c->timer = mu_timer_new(c->task->worker->loop, call_timeout, c);
        if (c->timer)
            mu_timer_start(c->timer, c->ctx, c->timeout_ms);
    }
}

/* ---- the beginning and the end of a call ---- */

static void call_cancel(struct mu_wait *wait)
{
    struct mu_call *c = mu_list_entry(wait, struct mu_call, wait);
    struct mu_err err;
    mu_err_set(&err, MU_ECANCELED, "cancelled");
    if (c->ssh || c->process) {
        end_command(c, &err);
        return;
    }
    struct mu_remote *r = c->remote;
    mu_call_done(c, &err);
    bool wanted = false; /* by another fiber of the task; else the attempt is given up */
    for (struct mu_list *l = r->calls.next; l != &r->calls; l = l->next)
        wanted = wanted || mu_call_in_line(mu_list_entry(l, struct mu_call, link));
    if (r->state == MU_REMOTE_CONNECTING && !wanted)
        mu_remote_disconnect(r);
}

void mu_call_end(struct mu_call *c)
{
    if (c->open && !c->wait.done)
        call_cancel(&c->wait);
}

static void call_abandon(struct mu_wait *wait) { mu_call_close(mu_list_entry(wait, struct mu_call, wait)); }

void mu_call_begin(struct mu_call *c, enum mu_call_kind kind, struct mu_remote *r, struct mu_ctx *ctx)
{
    memset(c, 0, sizeof *c);
    c->wait.cancel = call_cancel;
    c->wait.abandon = call_abandon;
    c->kind = kind;
    c->open = true;
    c->task = r->task;
    c->remote = r;
    c->ctx = mu_ctx_ref(ctx);
    mu_list_push(&r->calls, &c->link);
}

/* In a dry run nothing is begun; what would be is said. Returns whether it was that. */
bool mu_call_only_told(struct mu_call *c, const char *what)
{
    const struct mu_field dry = {"dry_run", MU_FIELD_BOOL, {.b = true}};
    if (!c->task->worker->engine->dry_run)
        return false;
    c->dry = true;
    const char *would = c->kind == MU_CALL_CONNECT ? "connect to" : c->here ? "run on this machine:" : "run:";
    mu_log_fields(MU_INFO, &dry, 1, "Would %s %s", would, what);
    mu_call_done(c, NULL);
    return true;
}

/* *slot = a copy of text, when there is one. */
static bool copy_request(struct mu_call *c, const struct mu_exec_request *req)
{
    c->req = *req;
    c->command = strdup(req->label ? req->label : req->command);
    c->req.command = c->text = strdup(req->command);
    if (!c->command || !c->text)
        return false;
    if (req->input_len) {
        c->req.input = c->input = malloc(req->input_len);
        if (!c->input)
            return false;
        memcpy(c->input, req->input, req->input_len);
        c->input_len = req->input_len;
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

void mu_call_exec(struct mu_call *c, struct mu_remote *r, struct mu_ctx *ctx, const struct mu_exec_request *req,
                  bool lines, bool here, bool as_root, uint64_t timeout_ms)
{
    mu_call_begin(c, MU_CALL_EXEC, r, ctx);
    c->timeout_ms = timeout_ms;
    c->here = here;
    c->as_root = as_root;
    const struct mu_engine *engine = r->task->worker->engine;
    if (!(here && req->read_only) && mu_call_only_told(c, req->label ? req->label : req->command))
        return;
    if (!copy_request(c, req) || (as_root && !mu_sudo_wrap(&c->sudo, &c->req, engine->sudo_password))) {
        struct mu_err err;
        mu_err_set(&err, MU_ENOMEM, "out of memory");
        mu_call_done(c, &err);
        return;
    }
    if (lines) {
        c->req.on_line = on_line;
        c->req.on_line_arg = c;
    }
    mu_remote_want(c, 0);
}

const struct mu_exec_result *mu_call_result(const struct mu_call *c)
{
    static const struct mu_exec_result nothing;
    if (c->dry)
        return &nothing;
    if (c->replayed)
        return c->replayed;
    return c->ssh ? mu_ssh_exec_result(c->ssh) : c->process ? mu_process_result(c->process) : NULL;
}

void mu_call_close(struct mu_call *c)
{
    if (!c->open)
        return;
    c->open = false;
    if (!c->wait.done && c->ssh)
        mu_task_unended(c->task, c->remote->index, c->command);
    mu_list_remove(&c->link);
    mu_ssh_exec_free(c->ssh);
    mu_process_free(c->process);
    mu_process_free(c->ender);
    mu_sudo_free(&c->ender_sudo);
    c->ender = NULL;
    c->ssh = NULL;
    c->process = NULL;
    mu_timer_free(c->timer);
    c->timer = NULL;
    if (c->counted) {
        uncount(c);
        mu_remote_next(c->remote);
    }
    mu_buf_free(&c->lines);
    mu_buf_free(&c->seen[0]);
    mu_buf_free(&c->seen[1]);
    mu_buf_free(&c->seen_order);
    free(c->command);
    free(c->text);
    if (c->input)
        explicit_bzero(c->input, c->input_len);
    free(c->input);
    mu_sudo_free(&c->sudo);
    for (size_t i = 0; c->env && c->env[i]; i++) {
        explicit_bzero(c->env[i], strlen(c->env[i]));
        free(c->env[i]);
    }
    free(c->env);
    mu_ctx_unref(c->ctx);
}
