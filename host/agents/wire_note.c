/* wire_note.c: what a task posted, as part of its result. */
#include "agents/wire_notes.h"

#include <stdlib.h>

/* What it must have for the run to take it in. */
enum { NEEDS_STEP = 1, NEEDS_TEXT = 2, NEEDS_CAUSE = 4 /* also where */ };

/* Of messages that a task posts; -1: of others. */
static int needs(int kind)
{
    switch (kind) {
    case MU_MSG_STEP:
        return NEEDS_STEP;
    case MU_MSG_FAILURE:
        return NEEDS_TEXT | NEEDS_CAUSE;
    case MU_MSG_UNENDED:
    case MU_MSG_FACTS:
    case MU_MSG_KEEP:
    case MU_MSG_ACQUIRE:
        return NEEDS_TEXT;
    case MU_MSG_STARTED:
    case MU_MSG_RETRIED:
    case MU_MSG_MARK:
    case MU_MSG_SHARED:
    case MU_MSG_ENDING:
    case MU_MSG_DONE:
    case MU_MSG_LEAVE:
    case MU_MSG_CLAIM:
        return 0;
    default:
        return -1;
    }
}

static void put_text(msgpack_packer *pk, const char *text, bool must)
{
    if (must)
        mu_put_must(pk, text);
    else
        mu_put_text(pk, text);
}

void mu_wire_add_note(struct mu_buf *out, const struct mu_message *m, size_t task, size_t peer)
{
    msgpack_packer pk;
    int n = needs(m->head.kind);
    if (n < 0 || (n & NEEDS_STEP && !m->step)) { /* no task posts it */
        out->failed = true;
        return;
    }
    mu_put_start(&pk, out, MU_WIRE_NOTE, 21);
    mu_put_int(&pk, m->head.kind);
    mu_put_uint(&pk, task);
    mu_put_uint(&pk, peer);
    mu_put_uint(&pk, m->kind);
    mu_put_uint(&pk, m->number);
    mu_put_uint(&pk, m->took_ms);
    mu_put_int(&pk, m->wall_ms);
    mu_put_step(&pk, m->step);
    mu_put_uint(&pk, m->status);
    mu_put_text(&pk, m->type);
    put_text(&pk, m->where, n & NEEDS_CAUSE);
    put_text(&pk, m->cause, n & NEEDS_CAUSE);
    put_text(&pk, m->text, n & NEEDS_TEXT);
    mu_put_bytes(&pk, m->plain.data, m->plain.len);
    mu_put_uint(&pk, m->mark);
    mu_put_uint(&pk, m->tries);
    mu_put_uint(&pk, m->amount);
    mu_put_bool(&pk, m->first);
    mu_put_bool(&pk, m->down[0]);
    mu_put_bool(&pk, m->down[1]);
    mu_put_int(&pk, m->code);
    out->failed = out->failed || m->plain.failed;
}

static void get_message(struct mu_wire_in *in, struct mu_message *m)
{
    m->task = mu_get_size(in);
    m->peer = mu_get_size(in);
    m->kind = (enum mu_task_kind)mu_get_enum(in, MU_TASK_AFTER_ALL);
    m->number = mu_get_uint(in, UINT64_MAX);
    m->took_ms = mu_get_uint(in, UINT64_MAX);
    m->wall_ms = mu_get_int(in, INT64_MIN, INT64_MAX);
    m->step = mu_get_step(in);
    m->status = (enum mu_status)mu_get_enum(in, MU_ST_SKIPPED);
    m->type = mu_get_text(in);
    m->where = mu_get_text(in);
    m->cause = mu_get_text(in);
    m->text = mu_get_text(in);
    mu_get_bytes(in, &m->plain);
    m->mark = (enum mu_mark_state)mu_get_enum(in, MU_MARK_WITHHELD);
    m->tries = mu_get_unsigned(in);
    m->amount = mu_get_unsigned(in);
    m->first = mu_get_bool(in);
    m->down[0] = mu_get_bool(in);
    m->down[1] = mu_get_bool(in);
    m->code = (int)mu_get_int(in, INT32_MIN, INT32_MAX);
    mu_get_end(in);
}

static void check(struct mu_wire_in *in, const struct mu_message *m)
{
    int n = needs(m->head.kind);
    if (n < 0)
        mu_get_refuse(in, "it is nothing that a task says");
    else if ((n & NEEDS_STEP && !m->step) || (n & NEEDS_TEXT && !m->text) || (n & NEEDS_CAUSE && (!m->where || !m->cause)))
        mu_get_refuse(in, "what it is about is missing");
    else if (m->head.kind == MU_MSG_CLAIM && m->amount > MU_CLAIM_RELEASE)
        mu_get_refuse(in, "nothing that can be done to a claim");
}

int mu_wire_read_note(struct mu_message **out, const void *bytes, size_t len, size_t *at, struct mu_err *err)
{
    struct mu_wire_doc doc;
    struct mu_wire_in in;
    *out = NULL;
    int rc = mu_wire_open(&doc, &in, "message of a task", bytes, len, at, err);
    if (rc)
        return rc;
    if (doc.kind != MU_WIRE_NOTE)
        mu_get_refuse(&in, "it is something else");
    struct mu_message *m = mu_message_new(mu_get_enum(&in, MU_MSG_CLAIM));
    if (m) {
        get_message(&in, m);
        check(&in, m);
    } else {
        mu_get_nomem(&in);
    }
    mu_wire_close(&doc);
    if (doc.rc)
        mu_message_free(m ? &m->head : NULL);
    else
        *out = m;
    return doc.rc;
}
