/* wire_get.c: elements out of bytes. */
#include "agents/wire_form.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agents/wire.h"

/* ---- a message ---- */

int mu_wire_open(struct mu_wire_doc *doc, struct mu_wire_in *in, const char *what, const void *bytes, size_t len, size_t *at,
                 struct mu_err *err)
{
    size_t span, off = 0;
    const char *start = (const char *)bytes + *at;
    int rc = mu_wire_span(what, start, len - *at, &span, err);
    if (rc)
        return rc;
    *doc = (struct mu_wire_doc){.err = err};
    msgpack_unpacked_init(&doc->whole);
    msgpack_unpack_return got = msgpack_unpack_next(&doc->whole, start, span, &off);
    if (got == MSGPACK_UNPACK_NOMEM_ERROR) {
        mu_wire_close(doc);
        return mu_err_set(err, MU_ENOMEM, "%s: out of memory", what);
    }
    if (got != MSGPACK_UNPACK_SUCCESS || off != span || doc->whole.data.type != MSGPACK_OBJECT_ARRAY) {
        mu_wire_close(doc);
        return mu_err_set(err, MU_EINVAL, "%s: it is no array", what);
    }
    *in = (struct mu_wire_in){doc, what, doc->whole.data.via.array.ptr, doc->whole.data.via.array.size, 0};
    uint64_t form = mu_get_uint(in, UINT64_MAX);
    doc->kind = mu_get_enum(in, INT_MAX);
    if (!doc->rc && form != MU_WIRE_FORM)
        doc->rc = mu_err_set(err, MU_EINVAL, "%s: it is of form %llu, and this muster reads form %d", what,
                             (unsigned long long)form, MU_WIRE_FORM);
    if (doc->rc) {
        mu_wire_close(doc);
        return doc->rc;
    }
    *at += span;
    return 0;
}

void mu_wire_close(struct mu_wire_doc *doc) { msgpack_unpacked_destroy(&doc->whole); }

/* ---- mistakes ---- */

bool mu_get_failed(const struct mu_wire_in *in) { return in->doc->rc != 0; }

void mu_get_refuse(struct mu_wire_in *in, const char *why)
{
    if (!in->doc->rc)
        in->doc->rc = mu_err_set(in->doc->err, MU_EINVAL, "%s: %s", in->what, why);
}

void mu_get_nomem(struct mu_wire_in *in)
{
    if (!in->doc->rc)
        in->doc->rc = mu_err_set(in->doc->err, MU_ENOMEM, "%s: out of memory", in->what);
}

/* Of the element that was got last. */
static void wrong(struct mu_wire_in *in, const char *expected)
{
    if (!in->doc->rc)
        in->doc->rc = mu_err_set(in->doc->err, MU_EINVAL, "%s: element %zu is no %s", in->what, in->at, expected);
}

static const msgpack_object *next(struct mu_wire_in *in)
{
    if (in->doc->rc)
        return NULL;
    if (in->at == in->n) {
        in->doc->rc = mu_err_set(in->doc->err, MU_EINVAL, "%s: element %zu is missing", in->what, in->at + 1);
        return NULL;
    }
    return &in->items[in->at++];
}

void mu_get_end(struct mu_wire_in *in)
{
    if (!in->doc->rc && in->at != in->n)
        in->doc->rc = mu_err_set(in->doc->err, MU_EINVAL, "%s: it has %zu elements, and %zu mean something", in->what, in->n,
                                 in->at);
}

/* ---- elements ---- */

uint64_t mu_get_uint(struct mu_wire_in *in, uint64_t most)
{
    const msgpack_object *o = next(in);
    if (!o)
        return 0;
    if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= most)
        return o->via.u64;
    wrong(in, most == UINT64_MAX ? "count" : "number of those that it may be");
    return 0;
}

size_t mu_get_size(struct mu_wire_in *in) { return mu_get_uint(in, SIZE_MAX); }
unsigned mu_get_unsigned(struct mu_wire_in *in) { return (unsigned)mu_get_uint(in, UINT_MAX); }
int mu_get_enum(struct mu_wire_in *in, int last) { return (int)mu_get_uint(in, (uint64_t)last); }

int64_t mu_get_int(struct mu_wire_in *in, int64_t least, int64_t most)
{
    const msgpack_object *o = next(in);
    if (!o)
        return 0;
    bool is = (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= INT64_MAX) || o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
    if (is && o->via.i64 >= least && o->via.i64 <= most)
        return o->via.i64;
    wrong(in, "integer of those that it may be");
    return 0;
}

double mu_get_num(struct mu_wire_in *in)
{
    const msgpack_object *o = next(in);
    if (o && o->type == MSGPACK_OBJECT_FLOAT64)
        return o->via.f64;
    if (o)
        wrong(in, "fraction");
    return 0;
}

double mu_get_finite(struct mu_wire_in *in)
{
    double v = mu_get_num(in);
    if (isfinite(v))
        return v;
    wrong(in, "finite number");
    return 0;
}

bool mu_get_bool(struct mu_wire_in *in)
{
    const msgpack_object *o = next(in);
    if (o && o->type == MSGPACK_OBJECT_BOOLEAN)
        return o->via.boolean;
    if (o)
        wrong(in, "truth value");
    return false;
}

static char *text(struct mu_wire_in *in, bool may_be_nil)
{
    const msgpack_object *o = next(in);
    if (!o || (may_be_nil && o->type == MSGPACK_OBJECT_NIL))
        return NULL;
    size_t n = o->type == MSGPACK_OBJECT_STR ? o->via.str.size : 0;
    if (o->type != MSGPACK_OBJECT_STR || (n && memchr(o->via.str.ptr, 0, n))) {
        wrong(in, "text");
        return NULL;
    }
    char *s = n ? malloc(n + 1) : calloc(1, 1); /* of no bytes ptr is NULL */
    if (!s) {
        mu_get_nomem(in);
        return NULL;
    }
    if (n) {
        memcpy(s, o->via.str.ptr, n);
        s[n] = 0;
    }
    return s;
}

char *mu_get_text(struct mu_wire_in *in) { return text(in, true); }
char *mu_get_must(struct mu_wire_in *in) { return text(in, false); }

const void *mu_get_borrowed(struct mu_wire_in *in, size_t *n)
{
    const msgpack_object *o = next(in);
    *n = 0;
    if (!o)
        return NULL;
    if (o->type != MSGPACK_OBJECT_BIN) {
        wrong(in, "bytes");
        return NULL;
    }
    *n = o->via.bin.size;
    return o->via.bin.ptr;
}

const char *mu_get_view(struct mu_wire_in *in, size_t *n)
{
    const msgpack_object *o = next(in);
    *n = 0;
    if (o && o->type != MSGPACK_OBJECT_STR)
        wrong(in, "text");
    if (!o || o->type != MSGPACK_OBJECT_STR || !o->via.str.size)
        return "";
    *n = o->via.str.size;
    return o->via.str.ptr;
}

void mu_get_bytes(struct mu_wire_in *in, struct mu_buf *out)
{
    size_t n;
    const void *bytes = mu_get_borrowed(in, &n);
    if (n)
        mu_buf_add(out, bytes, n);
    if (out->failed)
        mu_get_nomem(in);
}

static bool array(struct mu_wire_in *in, bool may_be_nil, const char *what, struct mu_wire_in *out)
{
    const msgpack_object *o = next(in);
    if (!o || (may_be_nil && o->type == MSGPACK_OBJECT_NIL))
        return false;
    if (o->type != MSGPACK_OBJECT_ARRAY) {
        wrong(in, what);
        return false;
    }
    *out = (struct mu_wire_in){in->doc, what, o->via.array.ptr, o->via.array.size, 0};
    return true;
}

bool mu_get_array(struct mu_wire_in *in, const char *what, struct mu_wire_in *out) { return array(in, false, what, out); }

bool mu_get_array_or_nil(struct mu_wire_in *in, const char *what, struct mu_wire_in *out)
{
    return array(in, true, what, out);
}

void *mu_get_room(struct mu_wire_in *in, size_t n, size_t size)
{
    size_t cap = 1;
    if (!n || in->doc->rc)
        return NULL;
    while (cap < n)
        cap *= 2; /* n is of an array that was read, so nowhere near the end of size_t */
    void *room = calloc(cap, size);
    if (!room)
        mu_get_nomem(in);
    return room;
}
