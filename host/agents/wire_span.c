/* wire_span.c: how far a value goes, found out before memory is taken for what it says it holds.
 *
 * libmsgpackc takes memory for as many elements as an array says it has, before any is there: five bytes could ask for 96 GB. So
 * each message is gone through first: all the bytes and elements that it promises must be there. What is read then takes memory in
 * proportion to its bytes.
 */
#include "agents/wire_form.h"

#define DEPTH_MAX 16 /* ours are 6 deep; libmsgpackc takes 32 */

static int refuse(struct mu_err *err, const char *what, const char *why)
{
    return mu_err_set(err, MU_EINVAL, "%s: %s", what, why);
}

/* A number of so many bytes, the highest first, which are there. */
static uint64_t number(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    while (n--)
        v = v << 8 | *p++;
    return v;
}

struct head {
    size_t length_bytes; /* that follow the first one and say how many there are */
    uint64_t skip;       /* bytes of the value itself */
    uint64_t children;
    enum { ONE, BYTES, ARRAY, UNKNOWN } kind;
};

/* msgpack.org/spec, "Overview", as far as we write it. */
static struct head head_of(unsigned char c)
{
    if (c <= 0x7f || c >= 0xe0 || c == 0xc0 || c == 0xc2 || c == 0xc3)
        return (struct head){.kind = ONE};
    if (c >= 0x90 && c <= 0x9f)
        return (struct head){.kind = ARRAY, .children = c & 0x0f};
    if (c >= 0xa0 && c <= 0xbf)
        return (struct head){.kind = BYTES, .skip = c & 0x1f};
    if (c >= 0xc4 && c <= 0xc6)
        return (struct head){.kind = BYTES, .length_bytes = (size_t)1 << (c - 0xc4)};
    if (c == 0xcb)
        return (struct head){.kind = ONE, .skip = 8};
    if (c >= 0xcc && c <= 0xcf)
        return (struct head){.kind = ONE, .skip = (uint64_t)1 << (c - 0xcc)};
    if (c >= 0xd0 && c <= 0xd3)
        return (struct head){.kind = ONE, .skip = (uint64_t)1 << (c - 0xd0)};
    if (c >= 0xd9 && c <= 0xdb)
        return (struct head){.kind = BYTES, .length_bytes = (size_t)1 << (c - 0xd9)};
    if (c == 0xdc || c == 0xdd)
        return (struct head){.kind = ARRAY, .length_bytes = c == 0xdc ? 2 : 4};
    return (struct head){.kind = UNKNOWN};
}

int mu_wire_span(const char *what, const void *bytes, size_t len, size_t *span, struct mu_err *err)
{
    const unsigned char *p = bytes;
    uint64_t left[DEPTH_MAX + 1] = {1}; /* elements to come, a depth each; at last it is [0] that comes down to 0 */
    size_t at = 0, depth = 0;
    while (left[depth]) {
        if (at == len)
            return refuse(err, what, "it is cut off");
        struct head h = head_of(p[at++]);
        if (h.kind == UNKNOWN)
            return mu_err_set(err, MU_EINVAL, "%s: byte %zu begins nothing that is written there", what, at);
        if (h.length_bytes > len - at)
            return refuse(err, what, "it is cut off");
        if (h.length_bytes) {
            uint64_t n = number(p + at, h.length_bytes);
            at += h.length_bytes;
            if (h.kind == ARRAY)
                h.children = n;
            else
                h.skip = n;
        }
        if (h.skip > len - at)
            return refuse(err, what, "it is cut off");
        at += h.skip;
        left[depth]--;
        if (h.children && depth == DEPTH_MAX)
            return refuse(err, what, "it is nested too deep");
        if (h.children)
            left[++depth] = h.children;
        while (depth && !left[depth])
            depth--;
    }
    *span = at;
    return 0;
}
