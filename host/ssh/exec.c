#include "ssh/internal.h"

#include <stdlib.h>
#include <string.h>

#define RAW_KEEP ((size_t)64 << 10) /* memory of a line buffer that is kept for the next lines */

#define LINGER_MAX_MS 15000 /* see MU_EXEC_LINGER_MS */

/* The output limit's own abort. */
#define LIMIT_KILL_AFTER_MS 2000
#define LIMIT_END_TIMEOUT_MS 10000

/* ---- end ---- */

static void drop_buffers(struct mu_ssh_exec *e)
{
    mu_lines_free(&e->lines[0]);
    mu_lines_free(&e->lines[1]);
    mu_buf_free(&e->raw[0]);
    mu_buf_free(&e->raw[1]);
    mu_buf_free(&e->held);
    free(e->command);
    if (e->input)
        explicit_bzero(e->input, e->input_len); /* the environment may hold secrets */
    free(e->input);
    e->command = e->input = NULL;
}

static void destroy(struct mu_ssh_exec *e)
{
    mu_list_remove(&e->link);
    mu_end_free(e);
    drop_buffers(e);
    mu_timer_free(e->timer);
    mu_ctx_unref(e->ctx);
    free(e->end_command);
    if (e->end_input)
        explicit_bzero(e->end_input, strlen(e->end_input)); /* it may hold a password */
    free(e->end_input);
    mu_buf_free(&e->result.out);
    mu_buf_free(&e->result.err);
    free(e);
}

void mu_exec_finish(struct mu_ssh_exec *e, const struct mu_err *err)
{
    struct mu_ssh_session *s = e->s;
    uint64_t before = s->io.in_bytes;

    if (e->ghost) {
        mu_channel_close(e);
        destroy(e);
        return;
    }
    if (err)
        e->result.error = *err;
    e->state = MU_EXEC_FINISHED;
    mu_end_free(e);
    mu_list_remove(&e->link);
    mu_channel_close(e);
    e->s = NULL;
    drop_buffers(e);
    if (e->done)
        mu_timer_start(e->timer, e->ctx, 0);
    else
        mu_timer_stop(e->timer);
    mu_session_after(s, before);
}

static bool is_complete(const struct mu_ssh_exec *e) { return e->closed || (e->eof && e->got_status); }

static void on_timer(void *arg)
{
    struct mu_ssh_exec *e = arg;

    if (e->state == MU_EXEC_FINISHED) {
        e->done(e->arg, e);
    } else if (e->aborting) {
        mu_end_timeout(e);
    } else if (e->lingering) {
        mu_log(MU_DEBUG, "the command has ended; a process that it left behind keeps its output open");
        e->closed = true;
        mu_session_kick(e->s);
    }
}

/* ---- progress ---- */

static void deliver_output(struct mu_ssh_exec *e)
{
    struct mu_buf *b = &e->raw[MU_EXEC_STDOUT];

    if (b->failed)
        e->result.out.failed = true;
    if (b->len && !e->drop && e->on_output(e->stream_arg, b->data, b->len, &e->stream_error) < 0)
        e->drop = true;
    if (b->cap > RAW_KEEP)
        mu_buf_free(b);
    else
        mu_buf_clear(b);
}

/* Hand over lines, or bytes. False: e is gone, or at its end. */
static bool deliver(struct mu_ssh_exec *e)
{
    int i, rc;

    if (e->on_output)
        deliver_output(e);
    for (i = 0; e->on_line && i < 2; i++) {
        struct mu_buf b = e->raw[i];

        if (!b.len)
            continue;
        e->raw[i] = (struct mu_buf)MU_BUF_INIT;
        rc = mu_lines_feed(&e->lines[i], b.data, b.len);
        if (b.failed && rc != MU_ECLOSED)
            rc = MU_ENOMEM;
        if (rc == MU_ECLOSED || e->state == MU_EXEC_FINISHED || e->raw[i].data || b.cap > RAW_KEEP) {
            mu_buf_free(&b);
        } else {
            mu_buf_clear(&b);
            e->raw[i] = b;
        }
        if (rc == MU_ECLOSED || e->state == MU_EXEC_FINISHED)
            return false;
        if (rc) {
            e->over = rc == MU_ELIMIT;
            e->result.out.failed = rc == MU_ENOMEM;
            e->drop = true;
        }
    }
    return true;
}

/* What is wrong with the output; false: nothing. */
static bool output_error(const struct mu_ssh_exec *e, struct mu_err *err)
{
    if (e->stream_error.code) {
        *err = e->stream_error;
    } else if (e->over) {
        mu_err_set(err, MU_ELIMIT, e->on_line ? "a line of the command's output is longer than %zu bytes"
                                              : "the command's output is longer than %zu bytes", e->limit);
        mu_err_cause(err, "output limit");
    } else if (e->result.out.failed || e->result.err.failed) {
        mu_err_set(err, MU_ENOMEM, "out of memory for the command's output");
        mu_err_cause(err, "out of memory");
    }
    return err->code != 0;
}

/* The command ended by itself. User code may run, e may be gone after it. */
static void complete(struct mu_ssh_exec *e)
{
    struct mu_err err = {0};
    int i;

    mu_announce_flush(e);
    if (!deliver(e)) /* what came since, for instance while an end of file was sent */
        return;
    for (i = 0; e->on_line && i < 2; i++) {
        if (mu_lines_finish(&e->lines[i]) == MU_ECLOSED)
            return;
        if (e->state == MU_EXEC_FINISHED)
            return;
    }
    if (!output_error(e, &err) && !e->got_status) {
        mu_err_set(&err, MU_ECHANNEL, "%s port %d: the server closed the command's channel without an exit status",
                   e->s->host, e->s->port);
        mu_err_cause(&err, "no exit status");
    }
    mu_exec_finish(e, err.code ? &err : NULL);
}

static void linger(struct mu_ssh_exec *e)
{
    uint64_t now = mu_loop_now_ms(e->s->loop);

    if (!e->lingering) {
        e->lingering = true;
        e->linger_until_ms = now + LINGER_MAX_MS;
        mu_timer_start(e->timer, e->ctx, MU_EXEC_LINGER_MS);
    } else if (now >= e->linger_until_ms) {
        e->closed = true;
    }
}

static void running(struct mu_ssh_exec *e)
{
    struct mu_err err = {0};

    if (!deliver(e))
        return;
    if (e->aborting) {
        mu_end_advance(e);
        return;
    }
    if (!is_complete(e) && output_error(e, &err)) {
        mu_ssh_exec_abort(e, &err, LIMIT_KILL_AFTER_MS, LIMIT_END_TIMEOUT_MS);
        return;
    }
    mu_channel_write(e);
    if (!is_complete(e) && output_error(e, &err)) {
        mu_ssh_exec_abort(e, &err, LIMIT_KILL_AFTER_MS, LIMIT_END_TIMEOUT_MS);
        return;
    }
    if (e->got_status && !e->eof)
        linger(e);
    if (is_complete(e) && mu_session_alive(e->s))
        complete(e);
}

void mu_exec_advance(struct mu_ssh_exec *e)
{
    if (e->state == MU_EXEC_OPENING && !mu_channel_open(e))
        return;
    if (e->state == MU_EXEC_REQUESTING && !mu_channel_request(e))
        return;
    if (e->state == MU_EXEC_RUNNING)
        running(e);
}

void mu_exec_lost(struct mu_ssh_exec *e, const struct mu_err *err)
{
    if (e->state == MU_EXEC_RUNNING && !e->aborting) {
        if (!deliver(e))
            return;
        if (is_complete(e)) {
            complete(e);
            return;
        }
    }
    mu_exec_cut(e, err);
}

void mu_exec_cut(struct mu_ssh_exec *e, const struct mu_err *err)
{
    e->result.unended = e->aborting && !e->seen_gone && e->state != MU_EXEC_OPENING;
    mu_exec_finish(e, e->aborting ? NULL : err);
}

/* ---- start ---- */

static void line_out(void *arg, enum mu_exec_stream stream, const char *line, size_t len)
{
    struct mu_ssh_exec *e = arg;

    if (!e->drop && e->done)
        e->on_line(e->on_line_arg, stream, line, len);
}

/* Environment and input, as one stream. */
static int prepare(struct mu_ssh_exec *e, const struct mu_exec_request *req, bool announce, struct mu_err *err)
{
    struct mu_buf in = MU_BUF_INIT;
    size_t env_len;
    int rc = mu_command_env(&in, req->env, err);

    if (rc)
        goto out;
    env_len = in.len;
    if (announce)
        mu_command_token(e->token);
    rc = mu_command_build(&e->command, req->command, e->token, env_len, err);
    if (rc)
        goto out;
    if (req->input_len)
        mu_buf_add(&in, req->input, req->input_len);
    e->input_len = in.len;
    e->input = in.len ? mu_buf_take(&in) : NULL;
    if (e->input_len && !e->input)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
out:
    if (in.data)
        explicit_bzero(in.data, in.len);
    mu_buf_free(&in);
    return rc;
}

int mu_exec_start(struct mu_ssh_exec **out, struct mu_ssh_session *s, struct mu_ctx *ctx,
                  const struct mu_exec_request *req, bool announce, mu_ssh_exec_fn *done, void *arg, struct mu_err *err)
{
    uint64_t before = s->io.in_bytes;
    struct mu_ssh_exec *e = NULL;
    int rc;

    *out = NULL;
    if (s->state == MU_SESSION_LOST || (s->state == MU_SESSION_UP && !mu_session_alive(s))) {
        mu_err_set(err, MU_ELOST, "%s port %d: the connection was lost", s->host, s->port);
        return mu_err_cause(err, "connection lost");
    }
    if (s->state != MU_SESSION_UP)
        return mu_err_set(err, MU_ESTATE, "%s port %d: the session is not connected", s->host, s->port);
    e = calloc(1, sizeof(*e));
    if (!e)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    e->s = s;
    e->done = done;
    e->arg = arg;
    e->ctx = mu_ctx_ref(ctx);
    e->limit = req->limit ? req->limit : MU_EXEC_LIMIT_DEFAULT;
    e->result.exit_status = -1;
    e->on_line = req->on_line;
    e->on_line_arg = req->on_line_arg;
    e->more_input = req->more_input;
    e->on_output = req->on_output;
    e->stream_arg = req->stream_arg;
    mu_lines_init(&e->lines[0], MU_EXEC_STDOUT, e->limit, line_out, e);
    mu_lines_init(&e->lines[1], MU_EXEC_STDERR, e->limit, line_out, e);
    rc = prepare(e, req, announce, err);
    if (!rc && ((req->end_command && !(e->end_command = strdup(req->end_command))) ||
                (req->end_input && !(e->end_input = strdup(req->end_input)))))
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (rc) {
        destroy(e);
        return rc;
    }
    e->timer = mu_timer_new(s->loop, on_timer, e);
    if (!e->timer || mu_channel_new(e)) {
        destroy(e);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    mu_list_push(&s->execs, &e->link);
    mu_session_use_ctx(s, ctx);
    *out = e;
    mu_exec_advance(e); /* cannot end it before its callback is due */
    mu_session_after(s, before);
    return 0;
}

int mu_ssh_exec_start(struct mu_ssh_exec **out, struct mu_ssh_session *s, struct mu_ctx *ctx,
                      const struct mu_exec_request *req, mu_ssh_exec_fn *done, void *arg, struct mu_err *err)
{
    return mu_exec_start(out, s, ctx, req, true, done, arg, err);
}

void mu_ssh_exec_hold(struct mu_ssh_exec *e, bool hold)
{
    if (e->on_hold == hold || !e->s || e->aborting)
        return;
    e->on_hold = hold;
    mu_session_kick(e->s);
}

const struct mu_exec_result *mu_ssh_exec_result(const struct mu_ssh_exec *e) { return &e->result; }

void mu_ssh_exec_free(struct mu_ssh_exec *e)
{
    struct mu_ssh_session *s;
    uint64_t before;

    if (!e)
        return;
    s = e->s;
    if (!s) {
        destroy(e);
        return;
    }
    before = s->io.in_bytes;
    if (e->state == MU_EXEC_OPENING && e->channel && mu_session_alive(s)) {
        /* Closed as soon as the server has opened it: it would count among those allowed for ever. */
        e->ghost = true;
        e->done = NULL;
        mu_end_free(e);
        mu_timer_stop(e->timer);
        return;
    }
    mu_channel_close(e);
    destroy(e);
    mu_session_after(s, before);
}
