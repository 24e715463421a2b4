/* What comes in of an answer: status, fields, body, each bounded. */
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"

static void drop_fields(struct mu_http_answer *a)
{
    for (size_t i = 0; i < a->n_fields; i++) {
        free(a->fields[i].name);
        free(a->fields[i].value);
    }
    free(a->fields);
    a->fields = NULL;
    a->n_fields = 0;
}

void mu_http_answer_free(struct mu_http_answer *a)
{
    drop_fields(a);
    mu_buf_free(&a->body);
    *a = (struct mu_http_answer){.max_body = a->max_body};
}

const char *mu_http_answer_field(const struct mu_http_answer *a, const char *name)
{
    for (size_t i = 0; i < a->n_fields; i++)
        if (!strcmp(a->fields[i].name, name))
            return a->fields[i].value;
    return NULL;
}

static bool too_large(struct mu_http_answer *a, const char *what)
{
    a->too_large = what;
    return false;
}

/* old and more with `between`; old is freed. */
static char *joined(char *old, const char *between, const char *more, size_t len)
{
    struct mu_buf b = MU_BUF_INIT;
    mu_buf_adds(&b, old);
    mu_buf_adds(&b, between);
    mu_buf_add(&b, more, len);
    free(old);
    return mu_buf_take(&b);
}

static bool add_field(struct mu_http_answer *a, const char *name, size_t name_len, const char *value, size_t len)
{
    char *lower = strndup(name, name_len);
    if (!lower)
        return false;
    for (char *p = lower; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    for (size_t i = 0; i < a->n_fields; i++)
        if (!strcmp(a->fields[i].name, lower)) {
            free(lower);
            a->fields[i].value = joined(a->fields[i].value, ", ", value, len);
            return a->fields[i].value != NULL;
        }
    if (!a->fields)
        a->fields = calloc(MU_HTTP_HEADERS_MAX, sizeof *a->fields);
    if (!a->fields) {
        free(lower);
        return false;
    }
    struct mu_http_field *f = &a->fields[a->n_fields];
    *f = (struct mu_http_field){lower, joined(NULL, "", value, len)};
    a->n_fields += f->value != NULL;
    if (!f->value)
        free(lower);
    return f->value != NULL;
}

static size_t trimmed(const char **text, size_t len)
{
    while (len && strchr(" \t\r\n", (*text)[len - 1]) && (*text)[len - 1])
        len--;
    while (len && (**text == ' ' || **text == '\t')) {
        (*text)++;
        len--;
    }
    return len;
}

bool mu_http_answer_head(struct mu_http_answer *a, const char *line, size_t len)
{
    a->header_bytes += len;
    if (a->header_bytes > MU_HTTP_HEADER_BYTES_MAX || ++a->n_lines > MU_HTTP_HEADERS_MAX)
        return too_large(a, "headers");
    if (len > 5 && !memcmp(line, "HTTP/", 5)) { /* the first line; after a 1xx there is another head */
        drop_fields(a);
        return true;
    }
    if (len && (*line == ' ' || *line == '\t') && a->n_fields) { /* the field before goes on */
        size_t n = trimmed(&line, len);
        struct mu_http_field *last = &a->fields[a->n_fields - 1];
        last->value = joined(last->value, " ", line, n);
        return last->value != NULL;
    }
    const char *colon = memchr(line, ':', len);
    if (!colon || colon == line)
        return true; /* the empty line at the end; or nothing that means anything */
    const char *value = colon + 1;
    size_t value_len = trimmed(&value, len - (size_t)(value - line));
    return add_field(a, line, (size_t)(colon - line), value, value_len);
}

bool mu_http_answer_body(struct mu_http_answer *a, const char *bytes, size_t len)
{
    if (len > a->max_body || a->body.len > a->max_body - len)
        return too_large(a, "body");
    mu_buf_add(&a->body, bytes, len);
    return !a->body.failed;
}
