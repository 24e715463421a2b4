#include "core/buf.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

#define FIRST_CAP 64

void mu_buf_free(struct mu_buf *b)
{
    if (!b)
        return;
    free(b->data);
    memset(b, 0, sizeof *b);
}

void mu_buf_clear(struct mu_buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

int mu_buf_reserve(struct mu_buf *b, size_t more)
{
    size_t need, cap;
    char *data;

    if (b->failed)
        return MU_ENOMEM;
    if (more >= SIZE_MAX / 2 - b->len) {
        b->failed = true;
        return MU_ENOMEM;
    }
    need = b->len + more + 1;
    if (need <= b->cap)
        return 0;
    cap = b->cap ? b->cap : FIRST_CAP;
    while (cap < need)
        cap *= 2;
    data = realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return MU_ENOMEM;
    }
    data[b->len] = '\0';
    b->data = data;
    b->cap = cap;
    return 0;
}

void mu_buf_add(struct mu_buf *b, const void *bytes, size_t n)
{
    if (n == 0 || mu_buf_reserve(b, n) != 0)
        return;
    memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void mu_buf_addc(struct mu_buf *b, char c)
{
    mu_buf_add(b, &c, 1);
}

void mu_buf_adds(struct mu_buf *b, const char *s)
{
    if (s)
        mu_buf_add(b, s, strlen(s));
}

void mu_buf_vaddf(struct mu_buf *b, const char *fmt, va_list ap)
{
    va_list again;
    int n;

    if (mu_buf_reserve(b, FIRST_CAP - 1) != 0)
        return;
    va_copy(again, ap);
    n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
    if (n >= 0 && (size_t)n >= b->cap - b->len) {
        b->data[b->len] = '\0'; /* not half of it, should memory run out now */
        if (mu_buf_reserve(b, (size_t)n) != 0)
            n = 0;
        else
            n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
    }
    va_end(again);
    if (n > 0)
        b->len += (size_t)n;
    else
        b->data[b->len] = '\0';
    if (n < 0)
        b->failed = true;
}

void mu_buf_addf(struct mu_buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    mu_buf_vaddf(b, fmt, ap);
    va_end(ap);
}

const char *mu_buf_cstr(const struct mu_buf *b)
{
    return b->data ? b->data : "";
}

char *mu_buf_take(struct mu_buf *b)
{
    char *data = NULL;

    if (mu_buf_reserve(b, 0) == 0) { /* an empty buffer gives an empty string, so that NULL always means failure */
        data = b->data;
        b->data = NULL;
    }
    mu_buf_free(b);
    return data;
}

void mu_buf_add_number(struct mu_buf *b, double v)
{
    char text[64], *point;
    size_t tail;

    if (isnan(v)) {
        mu_buf_adds(b, "nan");
        return;
    }
    if (isinf(v)) {
        mu_buf_adds(b, v < 0 ? "-inf" : "inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    /* A program that embeds us may have chosen a locale whose decimal point is not a point. */
    point = text + strspn(text, "+-0123456789e");
    tail = strcspn(point, "0123456789");
    mu_buf_add(b, text, (size_t)(point - text));
    if (*point) {
        mu_buf_addc(b, '.');
        mu_buf_adds(b, point + tail);
    }
}
