/* json_check.h: whether a text is one JSON value by the letter of RFC 8259, without a library that might be lenient. */
#ifndef MU_TESTS_UNIT_CORE_JSON_CHECK_H
#define MU_TESTS_UNIT_CORE_JSON_CHECK_H

#include <stdbool.h>
#include <string.h>

#include "core/utf8.h"

static const char *json_value(const char *p, const char *end);

static const char *json_string(const char *p, const char *end)
{
    if (p == end || *p++ != '"')
        return NULL;
    while (p < end && *p != '"') {
        uint32_t cp;
        size_t len = mu_utf8_decode(p, (size_t)(end - p), &cp);
        if (len == 0 || cp < 0x20)
            return NULL;
        p += len;
        if (cp != '\\')
            continue;
        if (p == end)
            return NULL;
        if (*p == 'u') {
            if (end - p < 5 || strspn(p + 1, "0123456789abcdefABCDEF") < 4)
                return NULL;
            p += 5;
        } else if (strchr("\"\\/bfnrt", *p) && *p) {
            p++;
        } else {
            return NULL;
        }
    }
    return p < end ? p + 1 : NULL;
}

static const char *json_number(const char *p)
{
    size_t n;

    p += *p == '-';
    n = strspn(p, "0123456789");
    if (n == 0 || (n > 1 && *p == '0'))
        return NULL;
    p += n;
    if (*p == '.') {
        n = strspn(++p, "0123456789");
        if (n == 0)
            return NULL;
        p += n;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        n = strspn(p, "0123456789");
        if (n == 0)
            return NULL;
        p += n;
    }
    return p;
}

static const char *json_object(const char *p, const char *end)
{
    if (*++p == '}')
        return p + 1;
    for (;;) {
        p = json_string(p, end);
        if (!p || *p++ != ':')
            return NULL;
        p = json_value(p, end);
        if (!p)
            return NULL;
        if (*p == '}')
            return p + 1;
        if (*p++ != ',')
            return NULL;
    }
}

static const char *json_value(const char *p, const char *end)
{
    if (*p == '"')
        return json_string(p, end);
    if (*p == '{')
        return json_object(p, end);
    if (strncmp(p, "true", 4) == 0 || strncmp(p, "null", 4) == 0)
        return p + 4;
    if (strncmp(p, "false", 5) == 0)
        return p + 5;
    return json_number(p);
}

/* text[len] is a NUL, which no value goes past */
static inline bool json_is_valid(const char *text, size_t len)
{
    return json_value(text, text + len) == text + len;
}

#endif
