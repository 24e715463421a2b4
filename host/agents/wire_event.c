/* wire_event.c: events. All but log lines have the same elements; the notes of a result are one of them, as bytes. */
#include "agents/wire_notes.h"

#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */

static void put_event(msgpack_packer *pk, struct mu_buf *out, const struct mu_wire_event *e, size_t more)
{
    bool must = e->kind == MU_EVENT_ACQUIRE || e->kind == MU_EVENT_REFUSED;
    mu_put_start(pk, out, (int)e->kind, 9 + more);
    mu_put_uint(pk, e->index);
    mu_put_uint(pk, e->task);
    mu_put_uint(pk, e->delivery);
    mu_put_uint(pk, e->ticket);
    mu_put_int(pk, e->wall_ms);
    mu_put_text(pk, e->text || !must ? e->text : "");
    mu_put_uint(pk, e->limit);
    mu_put_bool(pk, e->first);
    mu_put_bool(pk, e->held);
}

void mu_wire_add_event(struct mu_buf *out, const struct mu_wire_event *e)
{
    msgpack_packer pk;
    put_event(&pk, out, e, 0);
}

void mu_wire_add_result(struct mu_buf *out, const struct mu_wire_event *e, const struct mu_buf *notes)
{
    msgpack_packer pk;
    struct mu_wire_event result = *e;
    result.kind = MU_EVENT_RESULT;
    put_event(&pk, out, &result, 1);
    mu_put_bytes(&pk, notes->data, notes->len);
    out->failed = out->failed || notes->failed;
}

static void put_field(msgpack_packer *pk, const struct mu_field *f)
{
    mu_put_must(pk, f->key);
    switch (f->type) { /* which is told by the element's own */
    case MU_FIELD_STR:
        mu_put_must(pk, f->v.str);
        break;
    case MU_FIELD_INT:
        mu_put_int(pk, f->v.i);
        break;
    case MU_FIELD_NUM:
        mu_put_num(pk, f->v.num);
        break;
    case MU_FIELD_BOOL:
        mu_put_bool(pk, f->v.b);
        break;
    }
}

void mu_wire_add_line(struct mu_buf *out, const struct mu_record *record)
{
    msgpack_packer pk;
    mu_put_start(&pk, out, MU_EVENT_LINE, 4);
    mu_put_uint(&pk, record->level);
    mu_put_int(&pk, record->wall_ms);
    mu_put_bytes(&pk, record->msg, record->msg_len);
    mu_put_array(&pk, 2 * record->n_fields);
    for (size_t i = 0; i < record->n_fields; i++)
        put_field(&pk, &record->fields[i]);
}

/* ---- reading ---- */

static void get_field(struct mu_wire_in *in, struct mu_field *f)
{
    f->key = mu_get_must(in);
    switch (in->at < in->n ? in->items[in->at].type : MSGPACK_OBJECT_NIL) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        f->type = MU_FIELD_INT;
        f->v.i = mu_get_int(in, INT64_MIN, INT64_MAX);
        break;
    case MSGPACK_OBJECT_FLOAT64:
        f->type = MU_FIELD_NUM;
        f->v.num = mu_get_num(in);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        f->type = MU_FIELD_BOOL;
        f->v.b = mu_get_bool(in);
        break;
    default:
        f->v.str = mu_get_must(in);
    }
}

static void get_line(struct mu_wire_in *in, struct mu_wire_event *e)
{
    struct mu_wire_in fields;
    struct mu_wire_line *l = e->line = calloc(1, sizeof *l);
    if (!l) {
        mu_get_nomem(in);
        return;
    }
    l->level = (enum mu_level)mu_get_enum(in, MU_ERROR);
    l->wall_ms = mu_get_int(in, INT64_MIN, INT64_MAX);
    mu_get_bytes(in, &l->msg);
    if (mu_get_array(in, "list of fields", &fields) && (l->fields = mu_get_room(&fields, fields.n / 2 + 1, sizeof *l->fields)))
        while (!mu_get_failed(in) && fields.at < fields.n)
            get_field(&fields, &l->fields[l->n_fields++]);
    mu_get_end(in);
}

/* The run counts on exactly one end, behind all else. */
static void get_notes(struct mu_wire_in *in, struct mu_wire_event *e)
{
    size_t len, at = 0;
    const void *bytes = mu_get_borrowed(in, &len);
    bool done = false;
    while (!mu_get_failed(in) && at < len) {
        struct mu_wire_note *note = calloc(1, sizeof *note);
        if (!note) {
            mu_get_nomem(in);
            return;
        }
        mu_list_push(&e->messages, &note->link);
        in->doc->rc = mu_wire_read_note(&note->m, bytes, len, &at, in->doc->err);
        if (done)
            mu_get_refuse(in, "something comes after its end");
        done = note->m && note->m->head.kind == MU_MSG_DONE;
    }
    if (!done)
        mu_get_refuse(in, "its end is missing");
}

static void get_event(struct mu_wire_in *in, struct mu_wire_event *e)
{
    e->index = mu_get_size(in);
    e->task = (enum mu_task_kind)mu_get_enum(in, MU_TASK_AFTER_ALL);
    e->delivery = mu_get_uint(in, UINT64_MAX);
    e->ticket = mu_get_uint(in, UINT64_MAX);
    e->wall_ms = mu_get_int(in, INT64_MIN, INT64_MAX);
    e->text = mu_get_text(in);
    e->limit = mu_get_unsigned(in);
    e->first = mu_get_bool(in);
    e->held = mu_get_bool(in);
    if ((e->kind == MU_EVENT_ACQUIRE || e->kind == MU_EVENT_REFUSED) && !e->text)
        mu_get_refuse(in, "its text is missing");
    if (e->kind == MU_EVENT_RESULT)
        get_notes(in, e);
    mu_get_end(in);
}

int mu_wire_read_event(struct mu_wire_event *out, const void *bytes, size_t len, size_t *at, struct mu_err *err)
{
    struct mu_wire_doc doc;
    struct mu_wire_in in;
    *out = (struct mu_wire_event){0};
    mu_list_init(&out->messages);
    if (*at >= len)
        return MU_ENOENT;
    int rc = mu_wire_open(&doc, &in, "event", bytes, len, at, err);
    if (rc)
        return rc;
    if (doc.kind < MU_EVENT_STARTED || doc.kind > MU_EVENT_IDLE)
        mu_get_refuse(&in, "it is of a kind that this muster does not know");
    else
        out->kind = (enum mu_wire_event_kind)doc.kind;
    if (out->kind == MU_EVENT_LINE)
        get_line(&in, out);
    else
        get_event(&in, out);
    mu_wire_close(&doc);
    if (doc.rc)
        mu_wire_event_clear(out);
    return doc.rc;
}

static void line_free(struct mu_wire_line *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n_fields; i++) {
        free((char *)(uintptr_t)l->fields[i].key);
        if (l->fields[i].type == MU_FIELD_STR)
            free((char *)(uintptr_t)l->fields[i].v.str);
    }
    free(l->fields);
    mu_buf_free(&l->msg);
    free(l);
}

void mu_wire_event_clear(struct mu_wire_event *e)
{
    struct mu_list *l;
    while (e->messages.next && (l = mu_list_pop(&e->messages)) != NULL) {
        struct mu_wire_note *note = mu_list_entry(l, struct mu_wire_note, link);
        mu_message_free(note->m ? &note->m->head : NULL);
        free(note);
    }
    line_free(e->line);
    free(e->text);
    *e = (struct mu_wire_event){0};
    mu_list_init(&e->messages);
}
