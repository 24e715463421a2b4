/* The text of a pattern in its parts. */
#include <stdlib.h>
#include <string.h>

#include "inventory/pattern.h"

static bool white(char c)
{
    return c && strchr(" \t\r\n", c);
}

static bool separates(char c)
{
    return c == ',' || c == ':' || white(c);
}

/* The end of a regular expression: a separator in brackets of any kind, or behind a backslash, is its own. */
static const char *end_of_regex(const char *p)
{
    size_t depth = 0;

    for (; *p && (depth || !separates(*p)); p++) {
        if (*p == '\\' && p[1]) {
            p++;
        } else if (*p == '[') { /* a class: ']' is its own when it stands first */
            p += p[1] == '^' ? 2 : 1;
            p += *p == ']';
            while (*p && *p != ']')
                p += *p == '\\' && p[1] ? 2 : 1;
            if (!*p)
                return p;
        } else {
            depth += *p == '(' || *p == '{';
            depth -= (*p == ')' || *p == '}') && depth;
        }
    }
    return p;
}

int mu_pattern_next_term(const char **at, struct mu_buf *term)
{
    size_t depth = 0;
    const char *p = *at, *start;

    mu_buf_clear(term);
    while (white(*p))
        p++;
    start = p + (*p == '!' || *p == '&');
    if (*start == '~') {
        const char *end = end_of_regex(start);
        mu_buf_add(term, p, (size_t)(end - p));
        p = end;
    }
    for (; *p && (depth || !separates(*p)); p++) {
        depth += *p == '[';
        depth -= *p == ']' && depth;
        if (!white(*p))
            mu_buf_addc(term, *p);
    }
    while (white(*p))
        p++;
    *at = p;
    return term->failed ? MU_ENOMEM : 0;
}

const char *mu_pattern_operator(const char *term)
{
    size_t depth = 0;

    if (*term == '~' || *term == '@')
        return NULL;
    for (const char *p = term; *p; p++) {
        depth += *p == '[';
        depth -= *p == ']' && depth;
        if (p > term && depth == 0 && strchr("!&^", *p))
            return p;
    }
    return NULL;
}

/* [srv0401, srv0402] is a list in brackets; [01-04,07] is a node set. */
char *mu_pattern_without_list(const char *pattern)
{
    size_t len, depth = 0, i, name;
    bool list = false, other = false;

    while (white(*pattern))
        pattern++;
    name = strspn(pattern, "abcdefghijklmnopqrstuvwxyz_");
    if (name && pattern[name] == '=' && pattern[name + 1] == '[') {
        pattern += name + 1;
        list = other = true; /* whatever is in it */
    }
    len = strlen(pattern);
    while (len && white(pattern[len - 1]))
        len--;
    for (i = 0; i < len; i++) {
        depth += pattern[i] == '[';
        depth -= pattern[i] == ']' && depth;
        if (depth == 0)
            break;
        list |= (pattern[i] == ',' && depth == 1) || depth > 1;
        other |= depth > 1 || !strchr("0123456789,-/[] \t\r\n", pattern[i]);
    }
    if (list && other && i == len - 1 && pattern[0] == '[')
        return strndup(pattern + 1, len - 2);
    return strndup(pattern, len);
}

/* Up to 9 digits. */
static const char *number(const char *p, long long *out)
{
    size_t n = strspn(p, "0123456789");

    if (n == 0 || n > 9)
        return NULL;
    *out = strtoll(p, NULL, 10);
    return p + n;
}

bool mu_pattern_subscript(const char *term, struct mu_subscript *out)
{
    const char *open = strrchr(term, '['), *p;

    if (!open || open == term)
        return false;
    *out = (struct mu_subscript){.base_len = (size_t)(open - term)};
    out->negative = open[1] == '-';
    p = number(open + 1 + out->negative, &out->first);
    if (!p)
        return false;
    if (out->negative)
        out->first = -out->first;
    out->last = out->first;
    if (*p == ':' && !out->negative) {
        out->range = true;
        out->open = *++p == ']';
        if (!out->open)
            p = number(p, &out->last);
    }
    return p && strcmp(p, "]") == 0 && (!out->negative || out->first < 0);
}
