/* conf_words.c: words, patterns and times, as OpenSSH reads them; and the memory that a configuration lives in. */
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/conf_internal.h"

#define CHUNK_SIZE ((size_t)16 << 10)
#define BLANKS " \t\r\n"

/* ---- memory ---- */

struct mu_conf_chunk {
    struct mu_conf_chunk *next;
    size_t used, size;
    _Alignas(max_align_t) char bytes[];
};

void *mu_conf_alloc(struct mu_conf_arena *a, size_t size)
{
    struct mu_conf_chunk *c = a->chunks;
    void *found;

    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (!c || c->size - c->used < size) {
        size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;

        c = calloc(1, sizeof(*c) + room);
        if (!c) {
            a->failed = true;
            return NULL;
        }
        c->size = room;
        c->next = a->chunks;
        a->chunks = c;
    }
    found = c->bytes + c->used;
    c->used += size;
    return found;
}

char *mu_conf_strndup(struct mu_conf_arena *a, const char *s, size_t n)
{
    char *copy = mu_conf_alloc(a, n + 1);

    if (copy)
        memcpy(copy, s, n);
    return copy;
}

char *mu_conf_strdup(struct mu_conf_arena *a, const char *s) { return mu_conf_strndup(a, s, strlen(s)); }

void mu_conf_arena_free(struct mu_conf_arena *a)
{
    while (a->chunks) {
        struct mu_conf_chunk *next = a->chunks->next;

        free(a->chunks);
        a->chunks = next;
    }
    a->failed = false;
}

/* ---- words ---- */

/* One word from *at on into out, which has room for all that is left. False: a quote is left open. */
static bool word(const char **at, char *out)
{
    const char *p = *at;
    char quote = 0;

    for (; *p; p++) {
        bool blank = *p == ' ' || *p == '\t';

        if (*p == '\\' && p[1] && (strchr("'\"\\", p[1]) || (!quote && p[1] == ' ')))
            *out++ = *++p;
        else if (!quote && blank)
            break;
        else if (!quote && (*p == '"' || *p == '\''))
            quote = *p;
        else if (quote && *p == quote)
            quote = 0;
        else
            *out++ = *p;
    }
    *out = '\0';
    *at = p;
    return !quote;
}

bool mu_conf_words(struct mu_conf_arena *a, const char *text, bool comment, char ***args, size_t *n)
{
    /* No more words than every second byte begins one. */
    size_t len = strlen(text);
    char *room = mu_conf_alloc(a, len + 1), **list = NULL;
    size_t count = 0, most = 1;

    for (const char *p = text; *p; p++)
        most += *p == ' ' || *p == '\t';
    list = mu_conf_alloc(a, (most + 1) * sizeof(*list));
    if (!room || !list)
        return false;
    for (const char *p = text; *p;) {
        if (*p == ' ' || *p == '\t') {
            p++;
            continue;
        }
        if (comment && *p == '#')
            break;
        list[count++] = room;
        if (!word(&p, room))
            return false;
        room += strlen(room) + 1;
    }
    *args = list;
    *n = count;
    return true;
}

char *mu_conf_token(char **at)
{
    char *start = *at, *end;
    bool equals;

    if (!start)
        return NULL;
    end = strpbrk(start, BLANKS "\"=");
    if (!end) {
        *at = NULL;
        return start;
    }
    if (*end == '"') { /* what is quoted ends the word, wherever it began */
        memmove(end, end + 1, strlen(end));
        end = strchr(end, '"');
        if (!end) {
            *at = NULL;
            return NULL;
        }
        *end++ = '\0';
        *at = end + strspn(end, BLANKS);
        return start;
    }
    equals = *end == '=';
    *end++ = '\0';
    end += strspn(end, BLANKS);
    if (!equals && *end == '=') /* only one of them is passed over */
        end += 1 + strspn(end + 1, BLANKS);
    *at = end;
    return start;
}

/* ---- times ---- */

bool mu_conf_seconds(const char *text, int *out)
{
    static const struct {
        char unit;
        long seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    long total = 0;

    if (!*text)
        return false;
    while (*text) {
        long n = 0, times = 1;
        size_t i, digits = 0;

        for (; isdigit((unsigned char)*text); text++, digits++)
            if ((n = n * 10 + (*text - '0')) > INT_MAX)
                return false;
        if (!digits)
            return false;
        for (i = 0; *text && i < sizeof(units) / sizeof(units[0]); i++)
            if (tolower((unsigned char)*text) == units[i].unit)
                break;
        if (*text && i == sizeof(units) / sizeof(units[0]))
            return false;
        if (*text) {
            times = units[i].seconds;
            text++;
        }
        if (n > INT_MAX / times || total > INT_MAX - n * times)
            return false;
        total += n * times;
    }
    *out = (int)total;
    return true;
}

/* ---- patterns ---- */

/* pattern has n bytes. Goes back to the latest star only, which is enough: so that no pattern takes long. */
static bool glob(const char *s, const char *pattern, size_t n, bool any_case)
{
    const char *p = pattern, *end = pattern + n, *star = NULL, *from = NULL;

    while (*s) {
        if (p < end && *p == '*') {
            star = p++;
            from = s;
        } else if (p < end && (*p == '?' || *p == *s ||
                               (any_case && tolower((unsigned char)*p) == tolower((unsigned char)*s)))) {
            p++;
            s++;
        } else if (star) {
            p = star + 1;
            s = ++from;
        } else {
            return false;
        }
    }
    while (p < end && *p == '*')
        p++;
    return p == end;
}

bool mu_conf_glob(const char *s, const char *pattern) { return glob(s, pattern, strlen(pattern), false); }

int mu_conf_glob_list(const char *s, const char *list, bool any_case)
{
    int found = 0;

    while (*list) {
        bool negated = *list == '!';
        size_t n;

        list += negated;
        n = strcspn(list, ",");
        if (glob(s, list, n, any_case)) {
            if (negated)
                return -1;
            found = 1;
        }
        list += n;
        list += *list == ',';
    }
    return found;
}
