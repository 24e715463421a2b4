/* Values of an INI inventory: what Python's ast.literal_eval() reads is that, anything else is text. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/ansible.h"

#define DEPTH_MAX 90

/* Reading stops at the first thing that is no literal: NULL, and the caller takes the text as it is. */
struct literal {
    const char *at;
    unsigned depth;
};

static json_t *value(struct literal *l);

static void blanks(struct literal *l)
{
    l->at += strspn(l->at, " \t\f");
}

/* ---- text ---- */

static bool add_code(struct mu_buf *out, const char *digits, size_t n)
{
    unsigned long code = 0;
    char utf8[4];
    size_t len;

    for (size_t i = 0; i < n; i++) {
        if (!isxdigit((unsigned char)digits[i]))
            return false;
        code = code * 16 + (unsigned long)(isdigit((unsigned char)digits[i]) ? digits[i] - '0' : (digits[i] | 32) - 'a' + 10);
    }
    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return false; /* text has no NUL here, and no half characters */
    if (code < 0x80) {
        mu_buf_addc(out, (char)code);
        return true;
    }
    len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len; i-- > 1; code >>= 6)
        utf8[i] = (char)(0x80 | (code & 0x3F));
    utf8[0] = (char)((len == 2 ? 0xC0 : len == 3 ? 0xE0 : 0xF0) | code);
    mu_buf_add(out, utf8, len);
    return true;
}

/* After the backslash; *at is moved behind it. */
static bool escape(const char **at, bool bytes, struct mu_buf *out)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *p = *at, *simple = *p ? strchr(from, *p) : NULL;
    char hex[9];
    size_t n;

    if (simple) {
        mu_buf_addc(out, to[simple - from]);
        ++*at;
        return true;
    }
    if (*p >= '0' && *p <= '7') {
        unsigned code = 0;
        for (n = 0; n < 3 && p[n] >= '0' && p[n] <= '7'; n++)
            code = code * 8 + (unsigned)(p[n] - '0');
        *at += n;
        snprintf(hex, sizeof hex, "%08X", code);
        return add_code(out, hex, 8);
    }
    n = *p == 'x' ? 2 : *p == 'u' && !bytes ? 4 : *p == 'U' && !bytes ? 8 : 0;
    if (n) {
        if (strnlen(p + 1, n) < n)
            return false;
        *at += n + 1;
        return add_code(out, p + 1, n);
    }
    if (*p == 'N' && !bytes)
        return false; /* a character by its name: left as it is */
    mu_buf_addc(out, '\\');
    return *p != '\0';
}

/* One string, with its prefix and quotes. */
static bool one_string(struct literal *l, struct mu_buf *out)
{
    bool raw = false, bytes = false;
    const char *p = l->at;
    char quote;
    size_t n;

    for (; *p != '"' && *p != '\''; p++) {
        raw |= (*p | 32) == 'r';
        bytes |= (*p | 32) == 'b';
    }
    quote = *p;
    n = p[1] == quote && p[2] == quote ? 3 : 1;
    if (n == 1 && p[1] == quote) {
        l->at = p + 2;
        return true;
    }
    for (p += n; *p; ) {
        if (*p == quote && (n == 1 || (p[1] == quote && p[2] == quote))) {
            l->at = p + n;
            return true;
        }
        if (*p != '\\') {
            mu_buf_addc(out, *p++);
        } else if (raw) {
            mu_buf_addc(out, *p++);
            if (!*p)
                return false;
            mu_buf_addc(out, *p++);
        } else {
            p++;
            if (!escape(&p, bytes, out))
                return false;
        }
    }
    return false;
}

/* A string may start here: quotes, perhaps with r, b, u or rb before them. */
static bool string_starts(const char *s)
{
    size_t n = strspn(s, "rRbBuU");

    if (s[n] != '"' && s[n] != '\'')
        return false;
    if (n == 2)
        return !strpbrk((char[]){s[0], s[1], 0}, "uU") && (s[0] | 32) != (s[1] | 32);
    return n < 2;
}

static json_t *string(struct literal *l)
{
    struct mu_buf text = MU_BUF_INIT;
    json_t *out = NULL;
    bool ok = true;

    while (ok && string_starts(l->at)) { /* some after another are one */
        ok = one_string(l, &text);
        blanks(l);
    }
    if (ok && !text.failed)
        out = json_stringn(mu_buf_cstr(&text), text.len);
    mu_buf_free(&text);
    return out;
}

/* ---- numbers ---- */

/* Digits with single underscores between them. */
static size_t digits_len(const char *s, const char *digits)
{
    size_t n = 0;

    for (;;) {
        size_t d = strspn(s + n, digits);
        if (!d)
            return n && s[n - 1] == '_' ? 0 : n;
        n += d;
        if (s[n] != '_')
            return n;
        n++;
    }
}

static json_t *whole(const char *s, size_t n, int base, bool minus)
{
    char plain[90];
    size_t k = 0;
    long long i;

    if (n + 2 > sizeof plain)
        return NULL;
    if (minus)
        plain[k++] = '-';
    for (size_t j = 0; j < n; j++)
        if (s[j] != '_')
            plain[k++] = s[j];
    plain[k] = '\0';
    errno = 0;
    i = strtoll(plain, NULL, base);
    return errno ? NULL : json_integer(i); /* too large for a number here: it stays text */
}

static json_t *number(struct literal *l)
{
    static const char decimal[] = "0123456789";
    bool minus = false, fraction = false;
    char plain[400];
    size_t n, k = 0;
    const char *s;

    if (*l->at == '-' || *l->at == '+') { /* one sign: of more it is an expression */
        minus = *l->at++ == '-';
        blanks(l);
    }
    s = l->at;
    if (s[0] == '0' && s[1] && strchr("xXoObB", s[1])) {
        int base = (s[1] | 32) == 'x' ? 16 : (s[1] | 32) == 'o' ? 8 : 2;
        s += 2 + (s[2] == '_');
        n = digits_len(s, base == 16 ? "0123456789abcdefABCDEF" : base == 8 ? "01234567" : "01");
        l->at = s + n;
        return n && !isalnum((unsigned char)*l->at) ? whole(s, n, base, minus) : NULL;
    }
    n = digits_len(s, decimal);
    if (!n && !(*s == '.' && isdigit((unsigned char)s[1])))
        return NULL;
    if (s[n] == '.') {
        fraction = true;
        n++;
        n += digits_len(s + n, decimal);
    }
    if (s[n] == 'e' || s[n] == 'E') {
        size_t sign = s[n + 1] == '-' || s[n + 1] == '+', d = digits_len(s + n + 1 + sign, decimal);
        if (!d)
            return NULL;
        fraction = true;
        n += 1 + sign + d;
    }
    l->at = s + n;
    if (isalnum((unsigned char)*l->at) || *l->at == '_' || (unsigned char)*l->at >= 0x80)
        return NULL;
    if (!fraction) {
        if (*s == '0' && strspn(s, "0_") < n)
            return NULL; /* 007 is none */
        return whole(s, n, 10, minus);
    }
    if (n + 2 > sizeof plain)
        return NULL;
    for (size_t j = 0; j < n; j++)
        if (s[j] != '_')
            plain[k++] = s[j];
    plain[k] = '\0';
    double d = mu_number(plain);
    return isfinite(d) ? json_real(minus ? -d : d) : NULL;
}

/* ---- lists ---- */

static bool next_is(struct literal *l, char c)
{
    blanks(l);
    if (*l->at != c)
        return false;
    l->at++;
    return true;
}

/* Items up to close, with commas between; *tuple: there was a comma. */
static json_t *items(struct literal *l, char close, bool *comma)
{
    json_t *all = json_array();

    *comma = false;
    while (all && !next_is(l, close)) {
        json_t *item = json_array_size(all) && !*comma ? NULL : value(l);
        if (!item || json_array_append_new(all, item) != 0) {
            json_decref(all);
            return NULL;
        }
        *comma = next_is(l, ',');
        if (!*comma && (blanks(l), *l->at != close)) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

static json_t *parentheses(struct literal *l)
{
    bool comma;
    json_t *all = items(l, ')', &comma), *one;

    if (!all || json_array_size(all) != 1 || comma)
        return all;
    one = json_incref(json_array_get(all, 0)); /* (x) is x, (x,) has x in it */
    json_decref(all);
    return one;
}

static bool set_pair(json_t *map, json_t *key, json_t *item)
{
    char *made = json_is_string(key) ? NULL : json_is_array(key) || json_is_object(key) ? NULL : json_dumps(key, JSON_ENCODE_ANY);
    const char *text = json_is_string(key) ? json_string_value(key) : made;
    bool ok = text && item && json_object_set(map, text, item) == 0;

    free(made);
    return ok;
}

/* {a: b} or {a, b}; the latter, a set, becomes a list. */
static json_t *braces(struct literal *l)
{
    json_t *map = json_object();
    bool comma, ok = map != NULL, more = true;

    if (next_is(l, '}'))
        return map;
    const struct literal start = *l;
    json_t *first = value(l);
    bool is_set = first && !next_is(l, ':');
    json_decref(first);
    *l = start;
    if (!first || is_set) {
        json_decref(map);
        return first ? items(l, '}', &comma) : NULL;
    }
    while (ok && more) {
        json_t *key = value(l), *item = key && next_is(l, ':') ? value(l) : NULL;
        ok = key && item && set_pair(map, key, item);
        json_decref(key);
        json_decref(item);
        more = next_is(l, ',') && (blanks(l), *l->at != '}');
    }
    if (ok && next_is(l, '}'))
        return map;
    json_decref(map);
    return NULL;
}

static json_t *name(struct literal *l)
{
    static const char *const names[] = {"True", "False", "None"};

    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(names[i]);
        if (strncmp(l->at, names[i], n) == 0 && !isalnum((unsigned char)l->at[n]) && l->at[n] != '_' &&
            (unsigned char)l->at[n] < 0x80) {
            l->at += n;
            return i == 0 ? json_true() : i == 1 ? json_false() : json_null();
        }
    }
    return NULL;
}

static json_t *value(struct literal *l)
{
    json_t *out = NULL;
    bool comma;

    if (++l->depth > DEPTH_MAX)
        return NULL;
    blanks(l);
    if (string_starts(l->at)) {
        out = string(l);
    } else if (*l->at == '[') {
        l->at++;
        out = items(l, ']', &comma);
    } else if (*l->at == '(') {
        l->at++;
        out = parentheses(l);
    } else if (*l->at == '{') {
        l->at++;
        out = braces(l);
    } else if (isalpha((unsigned char)*l->at)) {
        out = name(l);
    } else {
        out = number(l);
    }
    l->depth--;
    return out;
}

/* a, b without parentheses is a tuple, too; a comment may follow. */
json_t *mu_literal(const char *text)
{
    struct literal l = {text, 0};
    json_t *out = value(&l), *all = NULL;
    bool comma = out && next_is(&l, ',');

    if (comma) {
        all = json_array();
        while (all && out) {
            if (json_array_append_new(all, out) != 0)
                break;
            blanks(&l);
            if (!comma || !*l.at || *l.at == '#')
                break;
            out = value(&l);
            comma = out && next_is(&l, ',');
        }
        if (!out) {
            json_decref(all);
            all = NULL;
        }
        out = all;
    }
    blanks(&l);
    if (out && (!*l.at || *l.at == '#'))
        return out;
    json_decref(out);
    return json_string(text);
}
