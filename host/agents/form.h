/* form.h: MessagePack read value by value, straight from bytes that come from elsewhere; internal to agents/.
 *
 * Purpose: what is read is checked against the bytes that are left, and nothing is allocated. libmsgpackc, which writes it,
 *   reads into a tree, and takes memory for as many elements as an array claims to have.
 * Owner: the caller; text and bytes that are read lie in what is read. Thread: one at a time. Must not know: what is written there.
 */
#ifndef MU_AGENTS_FORM_H
#define MU_AGENTS_FORM_H

#include <msgpack/pack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

struct mu_form {
    const unsigned char *at, *end;
    bool bad; /* something was not what was asked for: from then on all is 0, "" and false */
};
#define MU_FORM_INIT(bytes, len) {(const unsigned char *)(bytes), (const unsigned char *)(bytes) + (len), false}

size_t mu_form_array(struct mu_form *f); /* how many elements follow; no more than there are bytes */
uint64_t mu_form_count(struct mu_form *f);
int64_t mu_form_number(struct mu_form *f);
bool mu_form_flag(struct mu_form *f);
bool mu_form_is_nil(struct mu_form *f);  /* and takes it then */
const char *mu_form_text(struct mu_form *f, size_t *len); /* not NUL-terminated */
const void *mu_form_bytes(struct mu_form *f, size_t *len);
/* A text without NUL in it, malloc'd; NULL: nil, bad, or out of memory (*failed). */
char *mu_form_copy(struct mu_form *f, bool *failed);

/* For a msgpack_packer that writes into a mu_buf. */
int mu_form_write(void *buf, const char *bytes, size_t len);
void mu_form_put_text(msgpack_packer *p, const char *text /* NULL: nil */);

#endif
