/* The third way to run a command, beside SSH and this machine: from a transcript. And writing one. */
#include <string.h>

#include "run/engine.h"
#include "run/remote_internal.h"
#include "run/tape.h"
#include "run/task.h"
#include "run/worker.h"

static struct mu_tapes *tapes_of(const struct mu_call *c) { return c->task->worker->engine->tapes; }

/* Files on their way: what flows is not kept. */
static bool is_stream(const struct mu_call *c) { return c->req.more_input || c->req.on_output; }

/* As it was asked for: what sudo makes of it, and its password, is no part of it. */
static struct mu_tape_question question_of(const struct mu_call *c)
{
    return (struct mu_tape_question){c->text, c->input, c->input_len, (const char *const *)c->env, c->here};
}

/* ---- from a transcript ---- */

static void give_lines(struct mu_call *c, enum mu_exec_stream stream, const struct mu_buf *b)
{
    for (size_t at = 0; at < b->len;) {
        const char *nl = memchr(b->data + at, '\n', b->len - at);
        size_t len = nl ? (size_t)(nl - b->data) - at : b->len - at;
        c->req.on_line(c->req.on_line_arg, stream, b->data + at, len);
        at += len + 1;
    }
}

bool mu_call_replay(struct mu_call *c)
{
    struct mu_err err = {0};
    if (!mu_tapes_replays(tapes_of(c)))
        return false;
    if (is_stream(c)) {
        mu_err_set(&err, MU_ENOENT, "a replay moves no files, and they are in no transcript: %s", c->command);
        mu_err_cause(&err, "files are in no transcript");
        mu_call_done(c, &err);
        return true;
    }
    struct mu_field asked[] = {{"command", MU_FIELD_STR, {.str = c->text}}, {"here", MU_FIELD_BOOL, {.b = c->here}}};
    mu_log_fields(MU_DEBUG, asked, 2, "Answered from the transcript.");
    struct mu_tape_question q = question_of(c);
    const struct mu_exec_result *answer = mu_tapes_answer(tapes_of(c), c->remote->index, &q, &err);
    if (!answer) {
        mu_call_done(c, &err);
        return true;
    }
    c->replayed = answer;
    if (c->req.on_line) {
        give_lines(c, MU_EXEC_STDOUT, &answer->out);
        give_lines(c, MU_EXEC_STDERR, &answer->err);
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
}

void mu_call_record(struct mu_call *c, const struct mu_exec_result *result)
{
    if (!mu_tapes_records(tapes_of(c)) || is_stream(c))
        return;
    struct mu_tape_question q = question_of(c);
    struct mu_exec_result r = *result;
    if (c->req.on_line) {
        r.out = c->seen[0];
        r.err = c->seen[1];
    }
    mu_tapes_note(tapes_of(c), c->remote->index, &q, &r);
}

void mu_remote_record(const struct mu_remote *r, const struct mu_err *result)
{
    struct mu_tapes *tapes = r->task->worker->engine->tapes;
    if (mu_tapes_records(tapes))
        mu_tapes_note_connect(tapes, r->index, mu_remote_address(r), result);
}
