#include "run/lint.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"

void mu_findings_add(struct mu_findings *f, bool hint, const char *file, unsigned line, unsigned column, const char *rule,
                     const char *fmt, ...)
{
    struct mu_buf text = MU_BUF_INIT;
    struct mu_finding *more = realloc(f->items, (f->n + 1) * sizeof *more);
    va_list ap;
    f->items = more ? more : f->items;
    va_start(ap, fmt);
    mu_buf_vaddf(&text, fmt, ap);
    va_end(ap);
    struct mu_finding one = {hint, strdup(file), line, column, rule, mu_buf_take(&text)};
    if (!more || !one.file || !one.message) {
        free(one.file);
        free(one.message);
        f->failed = true;
        return;
    }
    f->items[f->n++] = one;
}

static int by_place(const void *a, const void *b)
{
    const struct mu_finding *x = a, *y = b;
    int order = strcmp(x->file, y->file);
    if (!order)
        order = (x->line > y->line) - (x->line < y->line);
    if (!order)
        order = (x->column > y->column) - (x->column < y->column);
    return order ? order : strcmp(x->message, y->message);
}

void mu_findings_sort(struct mu_findings *f)
{
    if (f->n)
        qsort(f->items, f->n, sizeof *f->items, by_place);
}

void mu_findings_clear(struct mu_findings *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->items[i].file);
        free(f->items[i].message);
    }
    free(f->items);
    *f = (struct mu_findings){0};
}

static bool in_name(char c) { return isalnum((unsigned char)c) || c == '_'; }

unsigned mu_lint_column(const char *text, unsigned line, const char *name)
{
    size_t n = strlen(name);
    for (unsigned at = 1; at < line && text; at++) {
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    for (const char *p = text; p && *p && *p != '\n'; p++) {
        if (strncmp(p, name, n) || in_name(p[n]))
            continue;
        bool inside = p > text && (in_name(p[-1]) || p[-1] == ':' || (p[-1] == '.' && !(p > text + 1 && p[-2] == '.')));
        if (!inside)
            return (unsigned)(p - text) + 1;
    }
    return 0;
}
