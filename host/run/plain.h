/* plain.h: plain data (strings, numbers, booleans, tables of these) as bytes, on its way from one lua_State to others.
 *
 * Purpose: written once, from Lua or from C, and read in every task that wants it.
 * Owner: the buffer is its owner's. Thread: any; the bytes are never changed once they are written.
 * Must not know: what the data means. Bytes of this process only: numbers are as they lie in memory.
 */
#ifndef MU_RUN_PLAIN_H
#define MU_RUN_PLAIN_H

#include <lua.h>
#include <stdbool.h>

#include "core/buf.h"

/* Writing; whether memory sufficed is said by out->failed. */
void mu_plain_add_nil(struct mu_buf *out);
void mu_plain_add_bool(struct mu_buf *out, bool b);
void mu_plain_add_int(struct mu_buf *out, long long i);
void mu_plain_add_num(struct mu_buf *out, double num);
void mu_plain_add_bytes(struct mu_buf *out, const char *s, size_t len);
void mu_plain_add_str(struct mu_buf *out, const char *s); /* NULL: nil */
/* A table: begin; a key and a value, as often as it takes; end. The numbers are hints: of a list's values, of fields. */
void mu_plain_begin(struct mu_buf *out, size_t values, size_t fields);
void mu_plain_key(struct mu_buf *out, const char *name); /* a key that is a string; its value comes next. Nil: no field */
void mu_plain_end(struct mu_buf *out);

/* The value at index. Raises, with `what` and the place in it, when it is not plain; out is then the caller's to free all
 * the same, so that it must not be held by the C stack. */
void mu_plain_encode(lua_State *L, int index, const char *what, struct mu_buf *out);
/* Push what was written. May raise: out of memory. */
void mu_plain_push(lua_State *L, const struct mu_buf *in);

#endif
