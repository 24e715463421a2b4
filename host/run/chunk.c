#include "run/chunk.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"

#define DEPTH_MAX 200 /* Lua itself allows no more levels of functions */
#define ABSOLUTE (-0x80) /* in lineinfo: the line stands in the other list */

struct reader {
    const unsigned char *at, *end;
    bool bad, no_memory;
};

/* ---- pieces ---- */

static const unsigned char *take(struct reader *r, size_t n)
{
    const unsigned char *p = r->at;
    if (r->bad || n > (size_t)(r->end - r->at)) {
        r->bad = true;
        return NULL;
    }
    r->at += n;
    return p;
}

static unsigned byte(struct reader *r)
{
    const unsigned char *p = take(r, 1);
    return p ? *p : 0;
}

/* Seven bits a byte, the highest first; the last byte has its top bit set. */
static size_t number(struct reader *r)
{
    size_t n = 0;
    for (int i = 0; i < 10 && !r->bad; i++) {
        unsigned b = byte(r);
        n = n << 7 | (b & 0x7f);
        if (b & 0x80)
            return n;
    }
    r->bad = true;
    return 0;
}

/* How many things of at least `each` bytes follow: never more than there are bytes for. */
static size_t count(struct reader *r, size_t each)
{
    size_t n = number(r);
    if (n > (size_t)(r->end - r->at) / each)
        r->bad = true;
    return r->bad ? 0 : n;
}

static void *room(struct reader *r, size_t n, size_t each)
{
    void *p = calloc(n ? n : 1, each);
    r->no_memory = r->no_memory || !p;
    r->bad = r->bad || !p;
    return p;
}

/* A string; NULL when there is none, or with keep false. */
static char *text(struct reader *r, bool keep)
{
    size_t n = number(r);
    if (r->bad || n == 0)
        return NULL;
    const unsigned char *p = take(r, n - 1);
    if (!p || !keep)
        return NULL;
    char *s = room(r, n, 1);
    if (s)
        memcpy(s, p, n - 1);
    return s;
}

/* ---- a function ---- */

static void read_code(struct reader *r, struct mu_proto *p)
{
    size_t n = count(r, sizeof *p->code);
    const unsigned char *bytes = take(r, n * sizeof *p->code);
    p->code = room(r, n, sizeof *p->code);
    p->lines = room(r, n, sizeof *p->lines);
    if (r->bad)
        return;
    memcpy(p->code, bytes, n * sizeof *p->code);
    p->n_code = n;
}

static void read_constants(struct reader *r, struct mu_proto *p)
{
    size_t n = count(r, 1);
    p->strings = room(r, n, sizeof *p->strings);
    for (size_t i = 0; i < n && !r->bad; i++) {
        p->n_constants = i + 1;
        switch (byte(r)) {
        case 0x00: /* nil, false, true */
        case 0x01:
        case 0x11:
            break;
        case 0x03:
            take(r, sizeof(lua_Integer));
            break;
        case 0x13:
            take(r, sizeof(lua_Number));
            break;
        case 0x04: /* a short string, a long one */
        case 0x14:
            p->strings[i] = text(r, true);
            break;
        default:
            r->bad = true;
        }
    }
}

static void read_upvalues(struct reader *r, struct mu_proto *p)
{
    size_t n = count(r, 3);
    p->upvalues = room(r, n, sizeof *p->upvalues);
    for (size_t i = 0; i < n && !r->bad; i++) {
        p->upvalues[i].in_stack = byte(r);
        p->upvalues[i].index = (uint8_t)byte(r);
        byte(r);
        p->n_upvalues = i + 1;
    }
}

static void read_lines(struct reader *r, struct mu_proto *p)
{
    size_t n = count(r, 1);
    const signed char *steps = (const signed char *)take(r, n);
    size_t n_absolute = count(r, 2);
    unsigned line = p->line;
    struct reader absolute = *r;
    for (size_t i = 0; i < 2 * n_absolute; i++)
        number(r);
    if (n != p->n_code)
        r->bad = true;
    for (size_t i = 0; i < n && !r->bad && !absolute.bad; i++) {
        if (steps[i] == ABSOLUTE) {
            number(&absolute); /* the instruction's number, in order */
            line = (unsigned)number(&absolute);
        } else {
            line = (unsigned)((int)line + steps[i]);
        }
        p->lines[i] = line;
    }
    r->bad = r->bad || absolute.bad;
}

static void read_names(struct reader *r)
{
    size_t n = count(r, 3);
    for (size_t i = 0; i < n && !r->bad; i++) {
        text(r, false);
        number(r);
        number(r);
    }
    n = count(r, 1);
    for (size_t i = 0; i < n && !r->bad; i++)
        text(r, false);
}

static void read_proto(struct reader *r, struct mu_proto *p, int depth)
{
    if (depth > DEPTH_MAX)
        r->bad = true;
    text(r, false);
    p->line = (unsigned)number(r);
    p->last_line = (unsigned)number(r);
    take(r, 3);
    read_code(r, p);
    read_constants(r, p);
    read_upvalues(r, p);
    size_t n = r->bad ? 0 : count(r, 1);
    p->inner = room(r, n, sizeof *p->inner);
    for (size_t i = 0; i < n && !r->bad; i++) {
        p->n_inner = i + 1;
        read_proto(r, &p->inner[i], depth + 1);
    }
    if (r->bad)
        return;
    read_lines(r, p);
    read_names(r);
}

/* What every dump of a Lua that this file knows begins with. */
static void read_head(struct reader *r)
{
    static const unsigned char head[] = {0x1b, 'L', 'u', 'a', 0x54, 0, 0x19, 0x93, '\r', '\n', 0x1a, '\n',
                                         sizeof(uint32_t), sizeof(lua_Integer), sizeof(lua_Number)};
    const lua_Integer whole = 0x5678;
    const lua_Number real = (lua_Number)370.5;
    const unsigned char *p = take(r, sizeof head + sizeof whole + sizeof real + 1);
    if (!p || memcmp(p, head, sizeof head) || memcmp(p + sizeof head, &whole, sizeof whole) ||
        memcmp(p + sizeof head + sizeof whole, &real, sizeof real))
        r->bad = true;
}

/* ---- the whole ---- */

static int keep(lua_State *L, const void *bytes, size_t n, void *arg)
{
    (void)L;
    struct mu_buf *b = arg;
    mu_buf_add(b, bytes, n);
    return b->failed;
}

static void clear(struct mu_proto *p)
{
    for (size_t i = 0; i < p->n_constants; i++)
        free(p->strings[i]);
    for (size_t i = 0; i < p->n_inner; i++)
        clear(&p->inner[i]);
    free(p->strings);
    free(p->inner);
    free(p->upvalues);
    free(p->code);
    free(p->lines);
}

void mu_chunk_free(struct mu_proto *p)
{
    if (!p)
        return;
    clear(p);
    free(p);
}

int mu_chunk_read(lua_State *L, struct mu_proto **out, struct mu_err *err)
{
    struct mu_buf b = MU_BUF_INIT;
    int rc = 0;
    struct mu_proto *p = calloc(1, sizeof *p);
    if (!p || lua_dump(L, keep, &b, 0) != 0 || b.failed) {
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    } else {
        struct reader r = {(const unsigned char *)b.data, (const unsigned char *)b.data + b.len, false, false};
        read_head(&r);
        read_proto(&r, p, 0);
        if (r.no_memory)
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
        else if (r.bad || r.at != r.end)
            rc = mu_err_set(err, MU_ESTATE, "compiled code of this Lua (%s) has another form than that of 5.4", LUA_RELEASE);
    }
    mu_buf_free(&b);
    if (rc) {
        mu_chunk_free(p);
        return rc;
    }
    *out = p;
    return 0;
}
