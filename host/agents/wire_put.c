/* wire_put.c: elements into bytes. */
#include "agents/wire_form.h"

#include <string.h>

#include "agents/wire.h"

static int add(void *out, const char *bytes, size_t n)
{
    mu_buf_add(out, bytes, n);
    return 0; /* the buffer remembers */
}

void mu_put_start(msgpack_packer *pk, struct mu_buf *out, int kind, size_t n)
{
    msgpack_packer_init(pk, out, add);
    mu_put_array(pk, n + 2);
    mu_put_uint(pk, MU_WIRE_FORM);
    mu_put_int(pk, kind);
}

/* Lengths have 32 bits. */
static bool fits(msgpack_packer *pk, size_t n)
{
    struct mu_buf *out = pk->data;
    out->failed = out->failed || n > UINT32_MAX;
    return n <= UINT32_MAX;
}

void mu_put_array(msgpack_packer *pk, size_t n)
{
    if (fits(pk, n))
        msgpack_pack_array(pk, n);
}

void mu_put_uint(msgpack_packer *pk, uint64_t v) { msgpack_pack_uint64(pk, v); }
void mu_put_int(msgpack_packer *pk, int64_t v) { msgpack_pack_int64(pk, v); }
void mu_put_num(msgpack_packer *pk, double v) { msgpack_pack_double(pk, v); }
void mu_put_nil(msgpack_packer *pk) { msgpack_pack_nil(pk); }

void mu_put_bool(msgpack_packer *pk, bool v)
{
    if (v)
        msgpack_pack_true(pk);
    else
        msgpack_pack_false(pk);
}

void mu_put_text(msgpack_packer *pk, const char *s)
{
    size_t n = s ? strlen(s) : 0;
    if (!s)
        mu_put_nil(pk);
    else if (fits(pk, n))
        msgpack_pack_str_with_body(pk, s, n);
}

void mu_put_must(msgpack_packer *pk, const char *s) { mu_put_text(pk, s ? s : ""); }

void mu_put_bytes(msgpack_packer *pk, const void *bytes, size_t n)
{
    if (!fits(pk, n))
        return;
    msgpack_pack_bin(pk, n);
    if (n)
        msgpack_pack_bin_body(pk, bytes, n);
}
