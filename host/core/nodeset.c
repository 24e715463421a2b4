#include "core/nodeset.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DIGITS 18 /* of an index: every such number fits int64_t */

/* A name in its parts. One without an index is all prefix. */
struct name {
    const char *text;
    const char *suffix; /* up to the end of the text */
    size_t prefix_len;
    uint64_t number;
    unsigned digits;  /* 0: no index */
    unsigned padding; /* the width that leading zeros fill, 0: none */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void split(const char *text, struct name *out)
{
    size_t len = strlen(text), end = len, start;

    *out = (struct name){.text = text, .suffix = text + len, .prefix_len = len};
    while (end > 0 && !is_digit(text[end - 1]))
        end--;
    start = end;
    while (start > 0 && is_digit(text[start - 1]))
        start--;
    if (start == end || end - start > MAX_DIGITS)
        return;
    for (size_t i = start; i < end; i++)
        out->number = out->number * 10 + (uint64_t)(text[i] - '0');
    out->prefix_len = start;
    out->suffix = text + end;
    out->digits = (unsigned)(end - start);
}

static int compare_around(const struct name *a, const struct name *b)
{
    size_t n = a->prefix_len < b->prefix_len ? a->prefix_len : b->prefix_len;
    int c = memcmp(a->text, b->text, n);

    if (c != 0)
        return c;
    if (a->prefix_len != b->prefix_len)
        return a->prefix_len < b->prefix_len ? -1 : 1;
    if ((a->digits == 0) != (b->digits == 0))
        return a->digits == 0 ? -1 : 1;
    return strcmp(a->suffix, b->suffix);
}

static int compare_numbers(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_digits(const void *x, const void *y)
{
    const struct name *a = x, *b = y;
    int c = compare_around(a, b);

    if (c == 0)
        c = compare_numbers(a->digits, b->digits);
    return c ? c : compare_numbers(a->number, b->number);
}

static int by_padding(const void *x, const void *y)
{
    const struct name *a = x, *b = y;
    int c = compare_around(a, b);

    if (c == 0)
        c = compare_numbers(a->padding, b->padding);
    return c ? c : compare_numbers(a->number, b->number);
}

/* 10 beside 08 is padded to two, 10 beside 9 is not padded. Of the names with the same number of digits the smallest
 * comes first, and it has a leading zero if any of them has. */
static void find_padding(struct name *names, size_t n)
{
    for (size_t i = 0; i < n;) {
        const struct name *first = &names[i];
        char digit = first->text[first->prefix_len];
        unsigned padding = first->digits > 1 && digit == '0' ? first->digits : 0;

        do
            names[i++].padding = padding;
        while (i < n && names[i].digits == first->digits && compare_around(first, &names[i]) == 0);
    }
}

static void add_number(struct mu_buf *out, const struct name *name)
{
    mu_buf_addf(out, "%0*llu", (int)name->padding, (unsigned long long)name->number);
}

/* names[0..n) differ in their number alone, and are sorted by it. */
static void add_group(struct mu_buf *out, const struct name *names, size_t n)
{
    if (n == 1) {
        mu_buf_adds(out, names->text);
        return;
    }
    mu_buf_add(out, names->text, names->prefix_len);
    for (size_t i = 0, last; i < n; i = last + 1) {
        for (last = i; last + 1 < n && names[last + 1].number == names[last].number + 1;)
            last++;
        mu_buf_addc(out, i == 0 ? '[' : ',');
        add_number(out, &names[i]);
        if (last > i) {
            mu_buf_addc(out, '-');
            add_number(out, &names[last]);
        }
    }
    mu_buf_addc(out, ']');
    mu_buf_adds(out, names->suffix);
}

void mu_nodeset_fold(struct mu_buf *out, const char *const *texts, size_t n)
{
    struct name *names = NULL;
    size_t used = 0, i, end;

    if (n == 0)
        return;
    names = n < SIZE_MAX / sizeof *names ? malloc(n * sizeof *names) : NULL;
    if (!names) {
        out->failed = true;
        return;
    }
    for (i = 0; i < n; i++)
        if (texts[i] && *texts[i])
            split(texts[i], &names[used++]);
    qsort(names, used, sizeof *names, by_digits);
    find_padding(names, used);
    qsort(names, used, sizeof *names, by_padding);

    for (i = end = 0; i < used; i++) /* duplicates are neighbours now */
        if (end == 0 || by_padding(&names[end - 1], &names[i]) != 0)
            names[end++] = names[i];
    used = end;
    for (i = 0; i < used; i = end) {
        for (end = i + 1;
             end < used && names[end].padding == names[i].padding && compare_around(&names[i], &names[end]) == 0;)
            end++;
        if (i > 0)
            mu_buf_addc(out, ',');
        add_group(out, &names[i], end - i);
    }
    free(names);
}
