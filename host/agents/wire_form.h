/* wire_form.h: the elements that what is on the wire is made of (wire.h, brief.h, bundle.h): put into bytes, and got out of them.
 *
 * Purpose: one way to write each kind of element, and to read it with its range checked. The first mistake of a message sticks:
 *   what is got after it is 0, so that a reader asks once, at its end.
 * Owner: a mu_wire_doc owns what msgpack made of the bytes, which it borrows. Thread: any. Must not know: which messages there are.
 */
#ifndef MU_AGENTS_WIRE_FORM_H
#define MU_AGENTS_WIRE_FORM_H

#include <msgpack.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "results/results.h"

/* Kinds beside those of events (1 …) and words (33 …). */
enum { MU_WIRE_TASK = 65, MU_WIRE_NOTE, MU_WIRE_LETTER, MU_WIRE_BRIEF, MU_WIRE_BUNDLE };

/* ---- writing. What does not fit, or finds no memory, sets the buffer's `failed` ---- */

/* A message with n elements behind form and kind. */
void mu_put_start(msgpack_packer *pk, struct mu_buf *out, int kind, size_t n);
void mu_put_array(msgpack_packer *pk, size_t n);
void mu_put_uint(msgpack_packer *pk, uint64_t v);
void mu_put_int(msgpack_packer *pk, int64_t v);
void mu_put_num(msgpack_packer *pk, double v);
void mu_put_bool(msgpack_packer *pk, bool v);
void mu_put_nil(msgpack_packer *pk);
void mu_put_text(msgpack_packer *pk, const char *s); /* NULL: nil */
/* A text that the reader insists on: NULL, which is what is left of one when memory ran out, becomes "". */
void mu_put_must(msgpack_packer *pk, const char *s);
void mu_put_bytes(msgpack_packer *pk, const void *bytes, size_t n);

/* ---- reading ---- */

struct mu_wire_doc {
    msgpack_unpacked whole;
    struct mu_err *err;
    int rc; /* 0, MU_EINVAL or MU_ENOMEM: the first mistake */
    int kind;
};
/* The elements of one array, and which comes next. */
struct mu_wire_in {
    struct mu_wire_doc *doc;
    const char *what; /* "task": for messages */
    const msgpack_object *items;
    size_t n, at;
};

/* The message that starts at *at, which is moved behind it; in stands at its first element behind form and kind. On an error nothing
 * is to be closed. MU_EINVAL, MU_ENOMEM. */
int mu_wire_open(struct mu_wire_doc *doc, struct mu_wire_in *in, const char *what, const void *bytes, size_t len, size_t *at,
                 struct mu_err *err);
void mu_wire_close(struct mu_wire_doc *doc);
/* wire_span.c: where the value at bytes ends. MU_EINVAL: not all that it promises is there. */
int mu_wire_span(const char *what, const void *bytes, size_t len, size_t *span, struct mu_err *err);

uint64_t mu_get_uint(struct mu_wire_in *in, uint64_t most);
size_t mu_get_size(struct mu_wire_in *in);
unsigned mu_get_unsigned(struct mu_wire_in *in);
int64_t mu_get_int(struct mu_wire_in *in, int64_t least, int64_t most);
int mu_get_enum(struct mu_wire_in *in, int last); /* 0 … last */
double mu_get_num(struct mu_wire_in *in);
double mu_get_finite(struct mu_wire_in *in);
bool mu_get_bool(struct mu_wire_in *in);
char *mu_get_text(struct mu_wire_in *in); /* malloc'd; nil: NULL */
char *mu_get_must(struct mu_wire_in *in); /* the same, which nil is a mistake for */
void mu_get_bytes(struct mu_wire_in *in, struct mu_buf *out);
/* Bytes, and a text, where they are in what was read; the latter without a NUL behind it, and perhaps with some in it. */
const void *mu_get_borrowed(struct mu_wire_in *in, size_t *n);
const char *mu_get_view(struct mu_wire_in *in, size_t *n);
bool mu_get_array(struct mu_wire_in *in, const char *what, struct mu_wire_in *out); /* false: a mistake */
bool mu_get_array_or_nil(struct mu_wire_in *in, const char *what, struct mu_wire_in *out); /* false: nil, or a mistake */
void mu_get_end(struct mu_wire_in *in); /* more elements are a mistake */
/* Zeroed memory for n of these; for a power of two of them, as results.h keeps its arrays. NULL: n is 0, or a mistake. */
void *mu_get_room(struct mu_wire_in *in, size_t n, size_t size);
bool mu_get_failed(const struct mu_wire_in *in);
void mu_get_refuse(struct mu_wire_in *in, const char *why); /* "task: why" */
void mu_get_nomem(struct mu_wire_in *in);

/* ---- wire_step.c, wire_rule.c: what results are made of ---- */

void mu_put_step(msgpack_packer *pk, const struct mu_step_result *s); /* NULL: nil */
struct mu_step_result *mu_get_step(struct mu_wire_in *in);            /* NULL: nil, or a mistake */
void mu_put_failures(msgpack_packer *pk, const struct mu_failure *failures, size_t n);
void mu_get_failures(struct mu_wire_in *in, struct mu_failure **failures, size_t *n); /* also on a mistake they are to be freed */
void mu_put_threshold(msgpack_packer *pk, const struct mu_threshold *th);
void mu_get_threshold(struct mu_wire_in *in, struct mu_threshold *th); /* into zeroed memory, to be cleared */

#endif
