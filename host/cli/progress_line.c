#include "progress_line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct line {
    char *out;
    size_t size, len, most; /* most: of the text's characters, all ASCII */
    const char *between;
    int full; /* a part did not fit: what is less important is not said either */
};

static void add(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *l, const char *fmt, ...)
{
    char part[128];
    const char *between = l->len ? l->between : "";
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(part, sizeof part, fmt, ap);
    va_end(ap);
    l->full = l->full || l->len + strlen(between) + strlen(part) > l->most;
    if (l->full && l->len)
        return;
    snprintf(l->out + l->len, l->size - l->len, "%s%s", between, part);
    l->len += strlen(l->out + l->len);
    if (l->len > l->most) { /* not even the first part fits */
        l->len = l->most;
        l->out[l->most] = '\0';
    }
}

static const char *duration(uint64_t ms, char out[32])
{
    unsigned long long s = (ms + 999) / 1000;

    if (s < 60)
        snprintf(out, 32, "%llu s", s);
    else if (s < 3600)
        snprintf(out, 32, "%llu min", (s + 30) / 60);
    else
        snprintf(out, 32, "%llu h %02llu min", s / 3600, s % 3600 / 60);
    return out;
}

static void add_rate(struct line *l, const struct muster_progress *p, const char *unit)
{
    if (p->per_minute >= 600)
        add(l, "%.0f%s/s", p->per_minute / 60, unit);
    else if (p->per_minute >= 1)
        add(l, "%.*f%s/min", p->per_minute >= 10 ? 0 : 1, p->per_minute, unit);
    else if (p->per_minute > 0)
        add(l, "%.1f%s/h", p->per_minute * 60, unit);
}

static void add_trouble(struct line *l, const struct muster_progress *p)
{
    if (p->failed)
        add(l, "%zu failed", p->failed);
    if (p->not_measured)
        add(l, "%zu not measured", p->not_measured);
}

void progress_line_status(char *out, size_t size, const struct muster_progress *p, unsigned width, const char *hint)
{
    unsigned long long s = p->elapsed_ms / 1000;
    struct line l = {out, size, 0, width ? width - 1 : 0, " | ", 0};
    char text[32];

    out[0] = '\0';
    if (l.most >= size)
        l.most = size - 1;
    add(&l, "%zu/%zu done", p->done, p->total);
    if (p->interrupted)
        add(&l, "interrupted");
    add(&l, "%zu running", p->running);
    add_trouble(&l, p);
    if (p->left_ms)
        add(&l, "about %s left", duration(p->left_ms, text));
    add_rate(&l, p, "");
    add(&l, "%llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
    if (hint)
        add(&l, "%s", hint);
}

void progress_line_log(char *out, size_t size, const struct muster_progress *p)
{
    struct line l = {out, size, 0, size - 1, ", ", 0};
    char text[32];

    out[0] = '\0';
    add(&l, "Progress: %zu of %zu done", p->done, p->total);
    if (p->interrupted)
        add(&l, "interrupted");
    add(&l, "%zu running", p->running);
    add_trouble(&l, p);
    add_rate(&l, p, " servers");
    if (p->left_ms)
        add(&l, "about %s left", duration(p->left_ms, text));
    if (l.len + 1 < size)
        strcpy(out + l.len, ".");
}
