/* The third way to run a command, beside SSH and this machine: from a transcript. And writing one. */
#include <string.h>

#include "run/engine.h"
#include "run/remote_internal.h"
#include "run/tape.h"
#include "run/task.h"
#include "run/worker.h"

static struct mu_tapes *tapes_of(const struct mu_call *c) { return c->task->worker->engine->tapes; }

/* A file on its way. */
static bool is_stream(const struct mu_call *c) { return c->req.more_input || c->req.on_output; }

/* As it was asked for: what sudo makes of it, and its password, is no part of it. A file is known by what is done with which,
 * and one that is sent by its checksum: how it is sent is our own affair. */
static struct mu_tape_question question_of(const struct mu_call *c)
{
    if (is_stream(c))
        return (struct mu_tape_question){.command = c->command, .input = c->streamed, .input_len = strlen(c->streamed)};
    return (struct mu_tape_question){c->text, c->input, c->input_len, (const char *const *)c->env, c->here, NULL};
}

/* ---- from a transcript ---- */

/* The next line of b, of those from *at on. */
static void give_line(struct mu_call *c, enum mu_exec_stream stream, const struct mu_buf *b, size_t *at)
{
    const char *nl = memchr(b->data + *at, '\n', b->len - *at);
    size_t len = nl ? (size_t)(nl - b->data) - *at : b->len - *at, from = *at;
    *at += len + 1;
    c->req.on_line(c->req.on_line_arg, stream, b->data + from, len);
}

/* As they came when it was recorded; where that is not known, all of stdout first. */
static void give_lines(struct mu_call *c, const struct mu_exec_result *answer, const char *order)
{
    size_t out = 0, err = 0;
    for (; order && *order; order++) {
        if (*order == 'o' && out < answer->out.len)
            give_line(c, MU_EXEC_STDOUT, &answer->out, &out);
        else if (*order == 'e' && err < answer->err.len)
            give_line(c, MU_EXEC_STDERR, &answer->err, &err);
    }
    while (out < answer->out.len)
        give_line(c, MU_EXEC_STDOUT, &answer->out, &out);
    while (err < answer->err.len)
        give_line(c, MU_EXEC_STDERR, &answer->err, &err);
}

/* All that would be sent, for its checksum. */
static int drain(struct mu_call *c, struct mu_err *err)
{
    char bytes[16384];
    long n;
    while ((n = c->req.more_input(c->req.stream_arg, bytes, sizeof bytes, err)) > 0)
        ;
    return (int)n;
}

bool mu_call_replay(struct mu_call *c)
{
    struct mu_err err = {0};
    if (!mu_tapes_replays(tapes_of(c)))
        return false;
    if (c->req.more_input && drain(c, &err)) {
        mu_call_done(c, &err);
        return true;
    }
    struct mu_field asked[] = {{"command", MU_FIELD_STR, {.str = is_stream(c) ? c->command : c->text}}, {"here", MU_FIELD_BOOL, {.b = c->here}}};
    mu_log_fields(MU_DEBUG, asked, 2, "Answered from the transcript.");
    struct mu_tape_question q = question_of(c);
    const char *order;
    const struct mu_exec_result *answer = mu_tapes_answer(tapes_of(c), c->remote->index, &q, &order, &err);
    if (!answer) {
        mu_call_done(c, &err);
        return true;
    }
    if (c->req.on_output && answer->out.len &&
        c->req.on_output(c->req.stream_arg, answer->out.data, answer->out.len, &err)) {
        mu_call_done(c, &err);
        return true;
    }
    c->replayed = answer;
    if (c->req.on_line) {
        give_lines(c, answer, order);
        /* As where it ran: lines are not kept in the result. */
        c->lined = *answer;
        c->lined.out = c->lined.err = (struct mu_buf)MU_BUF_INIT;
        c->replayed = &c->lined;
    }
    mu_call_ended(c, c->replayed);
    return true;
}

bool mu_remote_replay(const struct mu_remote *r, struct mu_err *result)
{
    struct mu_tapes *tapes = r->task->worker->engine->tapes;
    if (!mu_tapes_replays(tapes))
        return false;
    mu_tapes_connect(tapes, r->index, result);
    return true;
}

/* ---- writing one ---- */

void mu_call_record_line(struct mu_call *c, enum mu_exec_stream stream, const char *line, size_t len)
{
    struct mu_buf *b = stream == MU_EXEC_STDOUT ? &c->seen[0] : &c->seen[1];
    if (!mu_tapes_records(tapes_of(c)) || b->len > MU_EXEC_LIMIT_DEFAULT)
        return;
    mu_buf_add(b, line, len);
    mu_buf_addc(b, '\n');
    mu_buf_addc(&c->seen_order, stream == MU_EXEC_STDOUT ? 'o' : 'e');
}

void mu_call_record_bytes(struct mu_call *c, const char *bytes, size_t n)
{
    if (!mu_tapes_records(tapes_of(c)))
        return;
    c->seen_cut = c->seen_cut || n > MU_EXEC_LIMIT_DEFAULT - c->seen[0].len;
    if (!c->seen_cut)
        mu_buf_add(&c->seen[0], bytes, n);
}

void mu_call_record(struct mu_call *c, const struct mu_exec_result *result)
{
    if (!mu_tapes_records(tapes_of(c)))
        return;
    if (c->seen_cut) {
        mu_log(MU_WARNING, "%s: the file is longer than %d MiB, and not in the transcript.", c->command,
               (int)(MU_EXEC_LIMIT_DEFAULT >> 20));
        return;
    }
    struct mu_tape_question q = question_of(c);
    struct mu_exec_result r = *result;
    if (c->req.on_output)
        r.out = c->seen[0];
    if (c->req.on_line) {
        r.out = c->seen[0];
        r.err = c->seen[1];
        if (r.out.len && r.err.len)
            q.order = mu_buf_cstr(&c->seen_order);
    }
    mu_tapes_note(tapes_of(c), c->remote->index, &q, &r);
}

void mu_remote_record(const struct mu_remote *r, const struct mu_err *result)
{
    struct mu_tapes *tapes = r->task->worker->engine->tapes;
    if (mu_tapes_records(tapes))
        mu_tapes_note_connect(tapes, r->index, mu_remote_address(r), result);
}
