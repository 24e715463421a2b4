#include "table.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "muster/history.h"

/* ---- cells ---- */

static void add(struct cli_table *t, char *text_take)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;
        char **grown = reallocarray(t->cells, cap, sizeof *grown);
        if (!grown) {
            t->failed = true;
            free(text_take);
            return;
        }
        t->cells = grown;
        t->cap = cap;
    }
    t->failed = t->failed || !text_take;
    t->cells[t->n++] = text_take;
}

void cli_table_start(struct cli_table *t, const char *headings)
{
    *t = (struct cli_table){.columns = 1};
    for (const char *at = headings; *at; at++)
        t->columns += *at == '|';
}

void cli_table_text(struct cli_table *t, const char *text) { add(t, muster_escape(text)); }

void cli_table_textf(struct cli_table *t, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    cli_table_text(t, text);
}

void cli_table_number(struct cli_table *t, double v)
{
    if (!isfinite(v))
        cli_table_text(t, "-");
    else if (fabs(v) >= 1e6 && fabs(v) < 1e15)
        cli_table_textf(t, "%.0f", v);
    else
        cli_table_textf(t, "%.6g", v);
}

void cli_table_free(struct cli_table *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct cli_table){.columns = t->columns};
}

/* ---- printing ---- */

static size_t characters(const char *text, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

static void put(FILE *to, const char *text, size_t n, size_t width, bool right, bool last)
{
    size_t blanks = width - characters(text, n);

    if (right)
        fprintf(to, "%*s", (int)blanks, "");
    fwrite(text, 1, n, to);
    if (!right && !last)
        fprintf(to, "%*s", (int)blanks, "");
    fputs(last ? "\n" : "  ", to);
}

int cli_table_print(const struct cli_table *t, const char *headings, FILE *to)
{
    size_t *widths = calloc(t->columns, sizeof *widths);
    const char *at = headings;

    if (!widths || t->failed) {
        free(widths);
        return -1;
    }
    for (size_t c = 0; c < t->columns; c++, at += strcspn(at, "|") + 1)
        widths[c] = characters(at, strcspn(at, "|")) - (*at == '>');
    for (size_t i = 0; i < t->n; i++) {
        size_t w = characters(t->cells[i], strlen(t->cells[i]));
        if (w > widths[i % t->columns])
            widths[i % t->columns] = w;
    }
    at = headings;
    for (size_t c = 0; c < t->columns; c++, at += strcspn(at, "|") + 1)
        put(to, at + (*at == '>'), strcspn(at, "|") - (*at == '>'), widths[c], *at == '>', c + 1 == t->columns);
    for (size_t i = 0; i < t->n; i++) {
        size_t c = i % t->columns;
        at = c ? at + strcspn(at, "|") + 1 : headings;
        put(to, t->cells[i], strlen(t->cells[i]), widths[c], *at == '>', c + 1 == t->columns);
    }
    free(widths);
    return 0;
}

/* ---- CSV ---- */

void cli_csv_text(FILE *to, const char *text, bool first)
{
    bool quoted = strpbrk(text, ",\"\r\n") != NULL;

    fputs(first ? "" : ",", to);
    fputs(quoted ? "\"" : "", to);
    if (strchr("=+-@\t\r", *text) && *text)
        putc('\'', to);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"')
            putc('"', to);
        putc(*p < 0x20 || *p == 0x7f ? ' ' : *p, to);
    }
    fputs(quoted ? "\"" : "", to);
}

void cli_csv_number(FILE *to, double v, bool first)
{
    fputs(first ? "" : ",", to);
    if (isfinite(v))
        cli_json_number(to, v);
}

void cli_csv_int(FILE *to, long long v, bool first) { fprintf(to, "%s%lld", first ? "" : ",", v); }
