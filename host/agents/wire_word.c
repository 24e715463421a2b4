/* wire_word.c: words, and letters. */
#include "agents/wire_form.h"

#include <stdlib.h>

#include "agents/wire.h"

void mu_wire_add_word(struct mu_buf *out, const struct mu_wire_word *w)
{
    msgpack_packer pk;
    mu_put_start(&pk, out, (int)w->kind, 6);
    mu_put_uint(&pk, w->index);
    mu_put_uint(&pk, w->delivery);
    mu_put_uint(&pk, w->ticket);
    mu_put_uint(&pk, w->grace_ms);
    mu_put_int(&pk, w->code);
    mu_put_text(&pk, w->text || w->kind != MU_WORD_HAIL ? w->text : "");
}

int mu_wire_read_word(struct mu_wire_word *out, const void *bytes, size_t len, size_t *at, struct mu_err *err)
{
    struct mu_wire_doc doc;
    struct mu_wire_in in;
    *out = (struct mu_wire_word){0};
    if (*at >= len)
        return MU_ENOENT;
    int rc = mu_wire_open(&doc, &in, "word", bytes, len, at, err);
    if (rc)
        return rc;
    if (doc.kind < MU_WORD_HAIL || doc.kind > MU_WORD_KILL)
        mu_get_refuse(&in, "it is of a kind that this muster does not know");
    else
        out->kind = (enum mu_wire_word_kind)doc.kind;
    out->index = mu_get_size(&in);
    out->delivery = mu_get_uint(&in, UINT64_MAX);
    out->ticket = mu_get_uint(&in, UINT64_MAX);
    out->grace_ms = mu_get_uint(&in, UINT64_MAX);
    out->code = (int)mu_get_int(&in, INT32_MIN, INT32_MAX);
    out->text = mu_get_text(&in);
    mu_get_end(&in);
    if (out->kind == MU_WORD_HAIL && !out->text)
        mu_get_refuse(&in, "its text is missing");
    mu_wire_close(&doc);
    if (doc.rc)
        mu_wire_word_clear(out);
    return doc.rc;
}

void mu_wire_word_clear(struct mu_wire_word *w)
{
    free(w->text);
    *w = (struct mu_wire_word){0};
}

void mu_wire_add_letter(struct mu_buf *out, const struct mu_wire_letter *l)
{
    msgpack_packer pk;
    mu_put_start(&pk, out, MU_WIRE_LETTER, 3);
    mu_put_uint(&pk, l->number);
    mu_put_bool(&pk, l->more);
    mu_put_bytes(&pk, l->bytes, l->len);
}

int mu_wire_read_letter(struct mu_wire_letter *out, const void *bytes, size_t len, struct mu_err *err)
{
    struct mu_wire_doc doc;
    struct mu_wire_in in;
    size_t at = 0;
    *out = (struct mu_wire_letter){0};
    int rc = mu_wire_open(&doc, &in, "letter", bytes, len, &at, err);
    if (rc)
        return rc;
    if (doc.kind != MU_WIRE_LETTER)
        mu_get_refuse(&in, "it is something else");
    if (at != len)
        mu_get_refuse(&in, "something comes after its end");
    out->number = mu_get_uint(&in, UINT64_MAX);
    out->more = mu_get_bool(&in);
    out->bytes = mu_get_borrowed(&in, &out->len);
    mu_get_end(&in);
    if (!out->number)
        mu_get_refuse(&in, "letters are counted from 1");
    mu_wire_close(&doc);
    if (doc.rc)
        *out = (struct mu_wire_letter){0};
    return doc.rc;
}
