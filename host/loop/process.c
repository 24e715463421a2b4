#include "loop/process.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "loop/process_internal.h"

enum {
    DRAIN_MS = 200,      /* how long streams may stay open after the command itself has ended */
    REAP_WAIT_MS = 2000, /* how long a loop's end waits for killed commands */
    REAP_POLL_MS = 10
};

static void destroy(struct mu_process *p)
{
    mu_buf_free(&p->result.out);
    mu_buf_free(&p->result.err);
    mu_ctx_unref(p->ctx);
    free(p->input);
    free(p);
}

void mu_process_enter(struct mu_process *p) { p->depth++; }

void mu_process_leave(struct mu_process *p)
{
    if (--p->depth == 0 && p->freed)
        destroy(p);
}

void mu_process_maybe_finish(struct mu_process *p)
{
    if (p->freed || p->finished)
        return;
    if (p->child && !p->result.unended)
        return;
    if (p->aborting && !p->group_gone && !p->result.unended)
        return;
    if (!mu_process_streams_ended(p) && !p->drained) {
        if (!p->draining)
            mu_timer_start(p->drain, p->ctx, DRAIN_MS);
        p->draining = true;
        return;
    }
    mu_process_streams_end(p);
    if (p->freed) /* by the callback for its last line */
        return;
    p->finished = true;
    mu_process_streams_close(p);
    mu_timer_stop(p->drain);
    mu_timer_stop(p->ender);
    if (p->result.error.code)
        p->result.exit_status = -1;
    p->done(p->arg, p);
}

static void on_drained(void *arg)
{
    struct mu_process *p = arg;

    mu_process_enter(p);
    p->drained = true;
    /* The loop may have been held up for longer than the timer ran: what the command wrote must not be lost. */
    mu_process_streams_drain(p);
    mu_process_maybe_finish(p);
    mu_process_leave(p);
}

/* ---- the command in libuv's hands ---- */

static void on_child_closed(uv_handle_t *uv) { free(uv->data); }

static void reaped(void *handle)
{
    struct mu_process_child *child = handle;
    struct mu_process *p = child->p;

    mu_process_enter(p);
    p->child = NULL;
    p->result.exit_status = child->exit_status;
    if (child->term_signal) {
        p->result.exit_status = -1;
        mu_process_signal_name(child->term_signal, p->result.signal, sizeof(p->result.signal));
    }
    if (p->aborting)
        mu_process_end_step(p);
    mu_process_maybe_finish(p);
    mu_process_leave(p);
}

static void partner_reaped(void *handle)
{
    struct mu_process_child *child = handle;

    child->partner_reaped(child);
}

void mu_process_drop_child(struct mu_process_child *child)
{
    if (child->uv.type == UV_PROCESS)
        uv_close((uv_handle_t *)&child->uv, on_child_closed);
    else
        free(child); /* it never came to libuv */
}

void mu_process_on_exit(uv_process_t *uv, int64_t exit_status, int term_signal)
{
    struct mu_process_child *child = uv->data;

    child->exit_status = (int)exit_status;
    child->term_signal = term_signal;
    mu_list_remove(&child->link);
    if (child->p && child->p->finished)
        child->p->child = NULL; /* done was called without it: unended */
    else if (child->p)
        mu_loop_call(child->loop, child->p->ctx, reaped, child);
    else if (child->partner)
        mu_loop_call(child->loop, child->partner_ctx, partner_reaped, child);
    uv_close((uv_handle_t *)uv, on_child_closed);
}

void mu_process_reap_orphans(struct mu_loop *loop)
{
    uint64_t until = uv_hrtime() / 1000000 + REAP_WAIT_MS;

    for (struct mu_list *l = loop->orphans.next; l != &loop->orphans; l = l->next) /* a partner had only TERM */
        kill(-uv_process_get_pid(&mu_list_entry(l, struct mu_process_child, link)->uv), SIGKILL);
    while (!mu_list_empty(&loop->orphans) && uv_hrtime() / 1000000 < until) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        if (!mu_list_empty(&loop->orphans))
            uv_sleep(REAP_POLL_MS);
    }
    /* KILL was sent; what the kernel holds on to for longer than that is left to it */
    while (!mu_list_empty(&loop->orphans)) {
        struct mu_process_child *child =
            mu_list_entry(mu_list_pop(&loop->orphans), struct mu_process_child, link);

        uv_close((uv_handle_t *)&child->uv, on_child_closed);
    }
}

/* ---- start and free ---- */

static int prepare(struct mu_process *p, const struct mu_exec_request *req)
{
    p->child = calloc(1, sizeof(*p->child));
    p->drain = mu_timer_new(p->loop, on_drained, p);
    p->ender = mu_timer_new(p->loop, mu_process_end_step, p);
    if (!p->child || !p->drain || !p->ender || !mu_loop_scratch(p->loop))
        return MU_ENOMEM;
    p->child->uv.data = p->child;
    p->child->loop = p->loop;
    p->child->p = p;
    if (req->input && req->input_len) {
        p->input = malloc(req->input_len);
        if (!p->input)
            return MU_ENOMEM;
        memcpy(p->input, req->input, req->input_len);
        p->input_len = req->input_len;
    }
    return 0;
}

int mu_process_start(struct mu_process **out, struct mu_loop *loop, struct mu_ctx *ctx, const struct mu_exec_request *req,
                     mu_process_fn *done, void *arg, struct mu_err *err)
{
    struct mu_process *p = calloc(1, sizeof(*p));
    char **env = NULL;
    int fds[3];
    int code;

    *out = NULL;
    if (!p)
        return mu_err_set(err, MU_ENOMEM, "cannot start a local command: out of memory");
    p->loop = loop;
    p->ctx = mu_ctx_ref(ctx);
    p->done = done;
    p->arg = arg;
    p->more_input = req->more_input;
    p->on_output = req->on_output;
    p->stream_arg = req->stream_arg;
    p->limit = req->limit ? req->limit : MU_EXEC_LIMIT_DEFAULT;
    p->result.exit_status = -1;
    p->input_fd = p->streams[0].fd = p->streams[1].fd = -1;
    loop->open++;

    if (!req->command) {
        code = mu_err_set(err, MU_EINVAL, "no command to run");
        goto out;
    }
    code = mu_process_env(&env, req->env, err);
    if (code)
        goto out;
    code = prepare(p, req);
    if (code) {
        mu_err_set(err, code, "cannot start a local command: out of memory");
        free(p->child);
        p->child = NULL;
        goto out;
    }
    code = mu_process_spawn(&loop->uv, &p->child->uv, mu_process_on_exit, req->command, env, fds, err);
    if (code) {
        mu_process_drop_child(p->child);
        p->child = NULL;
        goto out;
    }
    p->result.pid = uv_process_get_pid(&p->child->uv);
    code = mu_process_streams_open(p, fds, req, err);
    if (code)
        goto out;
    *out = p;
    p = NULL;
out:
    mu_process_env_free(env);
    mu_process_free(p);
    return code;
}

const struct mu_exec_result *mu_process_result(const struct mu_process *p) { return &p->result; }

void mu_process_free(struct mu_process *p)
{
    if (!p || p->freed)
        return;
    p->freed = true;
    if (p->child) { /* not reaped yet, so the group's number is certainly still its own */
        mu_process_send_group(p, SIGKILL);
        p->child->p = NULL;
        mu_list_push(&p->loop->orphans, &p->child->link);
    } else if (p->aborting && !p->finished) {
        mu_process_send_group(p, SIGKILL);
    }
    mu_process_streams_close(p);
    mu_timer_free(p->drain);
    mu_timer_free(p->ender);
    p->loop->open--;
    if (p->depth == 0)
        destroy(p);
}
