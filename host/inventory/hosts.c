/* Words that stand for hosts: ranges, ports, and lists of them on the command line. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/ansible.h"

#define EXPAND_MAX 1000000 /* hosts of one word; more is a slip of the finger */

/* ---- host and port ---- */

/* [a:f], [01:50], [1:9:2] at s: its length, else 0. */
static size_t range_len(const char *s)
{
    const char *p = s + 1;

    if (*s != '[')
        return 0;
    if (isalpha((unsigned char)p[0]) && p[1] == ':' && isalpha((unsigned char)p[2])) {
        p += 3;
    } else {
        size_t n = strspn(p, "0123456789");
        if (!n || p[n] != ':')
            return 0;
        p += n + 1;
        n = strspn(p, "0123456789");
        if (!n)
            return 0;
        p += n;
    }
    if (*p == ':') {
        size_t n = strspn(p + 1, "0123456789");
        if (!n)
            return 0;
        p += n + 1;
    }
    return *p == ']' ? (size_t)(p - s) + 1 : 0;
}

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Labels with dots between, of letters, digits, ranges and, but not at both ends, - and _. */
static bool is_hostname(const char *s, bool ranges)
{
    for (bool start = true;; start = *s++ == '.') {
        size_t n;

        if (start) {
            n = range_len(s);
            if (!n && !word_char(*s))
                return false;
            if (n && !ranges)
                return false;
        }
        for (char last = 0;; s += n) {
            n = range_len(s);
            if (n && !ranges)
                return false;
            if (!n && *s && *s != '.' && !word_char(*s) && *s != '-')
                return false;
            if (!*s || *s == '.') {
                if (last == '-' || last == '_')
                    return false;
                break;
            }
            last = n ? ']' : *s;
            n = n ? n : 1;
        }
        if (!*s)
            return true;
    }
}

static bool is_host(const char *s, bool ranges)
{
    struct in6_addr address;

    return is_hostname(s, ranges) || inet_pton(AF_INET6, s, &address) == 1;
}

/* The colon before a port that ends the text; NULL when there is none. */
static const char *port_colon(const char *text)
{
    const char *p = text;

    for (; *p && *p != ':'; p++) {
        if (*p == ']')
            return NULL;
        if (*p == '[') {
            p = strchr(p, ']');
            if (!p)
                return NULL;
        }
    }
    return *p && p[1] && !p[1 + strspn(p + 1, "0123456789")] ? p : NULL;
}

int mu_host_and_port(const char *text, bool ranges, char **name, long *port)
{
    size_t len = strlen(text), digits = 0;
    const char *colon;
    char *host = NULL;

    *port = 0;
    while (digits < len && isdigit((unsigned char)text[len - digits - 1]))
        digits++;
    if (text[0] == '[' && digits && len > digits + 3 && text[len - digits - 1] == ':' && text[len - digits - 2] == ']') {
        host = strndup(text + 1, len - digits - 3);
        colon = text + len - digits - 1;
    } else if ((colon = port_colon(text))) {
        host = strndup(text, (size_t)(colon - text));
    } else {
        *name = strdup(text);
        return *name ? 0 : MU_ENOMEM;
    }
    if (host && is_host(host, ranges)) {
        *port = strtol(colon + 1, NULL, 10);
    } else if (host) {
        free(host);
        host = strdup(text);
    }
    *name = host;
    return host ? 0 : MU_ENOMEM;
}

/* ---- ranges ---- */

struct expansion {
    int (*fn)(void *arg, const char *name, long port);
    void *arg;
    long port;
    size_t n;
    const char *text;
    struct mu_err *err;
};

struct range {
    bool letters;
    long first, last, step;
    int width; /* with zeros before */
};

static int bad_range(struct expansion *x, const char *what)
{
    struct mu_quoted q;

    return mu_err_set(x->err, MU_EINVAL, "host \"%s\": %s", mu_quote(&q, x->text, strlen(x->text)), what);
}

/* Letters count from a to z, then from A to Z. */
static long letter(const char *s, size_t len)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *at = len == 1 && *s ? strchr(letters, *s) : NULL;

    return at ? at - letters : -1;
}

static bool number(const char *s, size_t len, long *out)
{
    char *end;

    if (!len || len > 9 || strspn(s, "0123456789") < len)
        return false;
    *out = strtol(s, &end, 10);
    return true;
}

static int read_range(struct expansion *x, const char *text, size_t len, struct range *r)
{
    const char *parts[3] = {text};
    size_t lens[3] = {0}, n = 0;

    *r = (struct range){.step = 1};
    for (size_t i = 0; i <= len; i++) {
        if (i < len && text[i] != ':')
            continue;
        if (n == 3)
            return bad_range(x, "a range is [first:last] or [first:last:step]");
        lens[n] = (size_t)(text + i - parts[n]);
        if (++n < 3)
            parts[n] = text + i + 1;
    }
    if (n < 2)
        return bad_range(x, "a range is [first:last] or [first:last:step]");
    if (n == 3 && (!number(parts[2], lens[2], &r->step) || r->step < 1))
        return bad_range(x, "the step of a range is a number from 1");
    if (!lens[0]) {
        parts[0] = "0";
        lens[0] = 1;
    }
    if (!lens[1])
        return bad_range(x, "the range has no end");
    if (*parts[0] == '0' && lens[0] > 1) {
        if (lens[0] != lens[1])
            return bad_range(x, "a range with zeros before takes numbers of the same length, [01:50]");
        r->width = (int)lens[0];
    }
    r->first = letter(parts[0], lens[0]);
    r->last = letter(parts[1], lens[1]);
    r->letters = r->first >= 0 && r->last >= 0;
    if (r->letters)
        return r->first <= r->last ? 0 : bad_range(x, "the range goes backwards");
    if (!number(parts[0], lens[0], &r->first) || !number(parts[1], lens[1], &r->last))
        return bad_range(x, "a range goes from a number to a number, or from a letter to a letter");
    return 0; /* backwards it stands for no host */
}

static int expand(struct expansion *x, const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *open = strchr(text, '['), *close = strchr(text, ']');
    struct mu_buf name = MU_BUF_INIT;
    struct range r;
    int rc;

    if (!open) {
        if (++x->n > EXPAND_MAX)
            return bad_range(x, "it stands for more than 1000000 hosts");
        return x->fn(x->arg, text, x->port);
    }
    if (!close || close < open)
        return bad_range(x, "a [ without its ]");
    rc = read_range(x, open + 1, (size_t)(close - open) - 1, &r);
    for (long i = r.first; !rc && i <= r.last; i += r.step) {
        mu_buf_clear(&name);
        mu_buf_add(&name, text, (size_t)(open - text));
        if (r.letters)
            mu_buf_addc(&name, letters[i]);
        else
            mu_buf_addf(&name, "%0*ld", r.width, i);
        mu_buf_adds(&name, close + 1);
        rc = name.failed ? mu_err_set(x->err, MU_ENOMEM, "out of memory") : expand(x, mu_buf_cstr(&name));
    }
    mu_buf_free(&name);
    return rc;
}

int mu_hosts_expand(const char *text, int (*fn)(void *arg, const char *name, long port), void *arg, struct mu_err *err)
{
    struct expansion x = {.fn = fn, .arg = arg, .text = text, .err = err};
    char *name = NULL;
    int rc = mu_host_and_port(text, true, &name, &x.port);

    if (rc < 0)
        return mu_err_set(err, rc, "out of memory");
    rc = expand(&x, name);
    free(name);
    return rc;
}

/* ---- "a,b:2222," ---- */

int mu_ansible_read_hosts(struct mu_ansible *a, const struct mu_source *source, const char *text, struct mu_err *err)
{
    struct mu_place place = {source, 0};
    int rc = 0;

    for (const char *at = text; at && !rc;) {
        size_t n = strcspn(at, ",");
        const char *from = at + strspn(at, " \t"), *to = at + n;
        at = at[n] ? at + n + 1 : NULL;
        while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
            to--;
        if (to <= from)
            continue;
        char *word = strndup(from, (size_t)(to - from)), *name = NULL;
        uint32_t host;
        size_t there;
        long port;
        rc = word ? mu_host_and_port(word, false, &name, &port) : MU_ENOMEM;
        if (rc < 0)
            mu_err_set(err, rc, "out of memory");
        else if (!mu_names_find(&a->hosts, name, strlen(name), &there))
            rc = mu_ansible_host(a, name, place, MU_UNGROUPED, port, &host, err);
        free(word);
        free(name);
    }
    return rc;
}
