#include "agents/form.h"

#include <stdlib.h>
#include <string.h>

#include "core/err.h"

static const unsigned char *take(struct mu_form *f, size_t n)
{
    const unsigned char *p = f->at;
    if (f->bad || n > (size_t)(f->end - f->at)) {
        f->bad = true;
        return NULL;
    }
    f->at += n;
    return p;
}

static unsigned byte(struct mu_form *f)
{
    const unsigned char *p = take(f, 1);
    return p ? *p : 0;
}

static uint64_t big_endian(struct mu_form *f, size_t n)
{
    const unsigned char *p = take(f, n);
    uint64_t v = 0;
    for (size_t i = 0; p && i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static size_t refuse(struct mu_form *f)
{
    f->bad = true;
    return 0;
}

size_t mu_form_array(struct mu_form *f)
{
    unsigned head = byte(f);
    uint64_t n = (head & 0xf0) == 0x90 ? head & 0x0f
                 : head == 0xdc        ? big_endian(f, 2)
                 : head == 0xdd        ? big_endian(f, 4)
                                       : refuse(f);
    return f->bad || n > (size_t)(f->end - f->at) ? refuse(f) : (size_t)n;
}

uint64_t mu_form_count(struct mu_form *f)
{
    unsigned head = byte(f);
    if (head < 0x80)
        return head;
    return head >= 0xcc && head <= 0xcf ? big_endian(f, (size_t)1 << (head - 0xcc)) : refuse(f);
}

int64_t mu_form_number(struct mu_form *f)
{
    if (!f->bad && f->at < f->end && *f->at >= 0xe0) /* a small negative one */
        return (int64_t)byte(f) - 256;
    if (!f->bad && f->at < f->end && *f->at >= 0xd0 && *f->at <= 0xd3) {
        size_t n = (size_t)1 << (byte(f) - 0xd0);
        uint64_t v = big_endian(f, n);
        if (n < 8 && v >> (8 * n - 1))
            v |= ~(uint64_t)0 << (8 * n);
        return (int64_t)v;
    }
    uint64_t v = mu_form_count(f);
    return v > INT64_MAX ? (int64_t)refuse(f) : (int64_t)v;
}

bool mu_form_flag(struct mu_form *f)
{
    unsigned head = byte(f);
    return head == 0xc3 || (head != 0xc2 && refuse(f));
}

bool mu_form_is_nil(struct mu_form *f)
{
    bool nil = !f->bad && f->at < f->end && *f->at == 0xc0;
    f->at += nil;
    return nil;
}

const char *mu_form_text(struct mu_form *f, size_t *len)
{
    unsigned head = byte(f);
    uint64_t n = (head & 0xe0) == 0xa0            ? head & 0x1f
                 : head >= 0xd9 && head <= 0xdb ? big_endian(f, (size_t)1 << (head - 0xd9))
                                                : refuse(f);
    const unsigned char *p = f->bad ? NULL : take(f, (size_t)n);
    *len = p ? (size_t)n : 0;
    return p ? (const char *)p : "";
}

const void *mu_form_bytes(struct mu_form *f, size_t *len)
{
    unsigned head = byte(f);
    uint64_t n = head >= 0xc4 && head <= 0xc6 ? big_endian(f, (size_t)1 << (head - 0xc4)) : refuse(f);
    const unsigned char *p = f->bad ? NULL : take(f, (size_t)n);
    *len = p ? (size_t)n : 0;
    return p ? (const void *)p : "";
}

char *mu_form_copy(struct mu_form *f, bool *failed)
{
    size_t len;
    if (mu_form_is_nil(f))
        return NULL;
    const char *text = mu_form_text(f, &len);
    if (f->bad || memchr(text, 0, len)) {
        f->bad = true;
        return NULL;
    }
    char *copy = strndup(text, len);
    *failed = *failed || !copy;
    return copy;
}

int mu_form_write(void *buf, const char *bytes, size_t len)
{
    struct mu_buf *b = buf;
    mu_buf_add(b, bytes, len);
    return b->failed ? -1 : 0;
}

void mu_form_put_text(msgpack_packer *p, const char *text)
{
    if (text)
        msgpack_pack_str_with_body(p, text, strlen(text));
    else
        msgpack_pack_nil(p);
}
