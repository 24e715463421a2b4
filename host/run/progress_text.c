/* Who is where, in words: servers in the same place for about the same time are one line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/nodeset.h"
#include "run/progress.h"
#include "run/run_internal.h"

#define NAMES_MAX 400 /* bytes of one line's servers; a whole fleet of names that do not fold is no line */

struct place {
    const char *doing, *step; /* NULL: outside steps */
    uint64_t bucket, for_ms;
    const char *server;
};

/* About how long: what is said, and folded by. Seconds in tens, then minutes, then tens of minutes. */
static uint64_t about_s(uint64_t ms)
{
    uint64_t s = ms / 1000;
    return s < 60 ? s - s % 10 : s < 3600 ? s - s % 60 : s - s % 600;
}

static void add_time(struct mu_buf *out, uint64_t s)
{
    if (s < 10)
        mu_buf_adds(out, "under 10 s");
    else if (s < 60)
        mu_buf_addf(out, "%u s", (unsigned)s);
    else if (s < 3600)
        mu_buf_addf(out, "%u min", (unsigned)(s / 60));
    else
        mu_buf_addf(out, "%llu h %02u min", (unsigned long long)(s / 3600), (unsigned)(s % 3600 / 60));
}

static int by_place(const void *pa, const void *pb)
{
    const struct place *a = pa, *b = pb;
    if (a->bucket != b->bucket)
        return a->bucket > b->bucket ? -1 : 1;
    int c = strcmp(a->doing, b->doing);
    if (!c)
        c = strcmp(a->step ? a->step : "", b->step ? b->step : "");
    return c ? c : (a->for_ms < b->for_ms) - (a->for_ms > b->for_ms);
}

static bool same(const struct place *a, const struct place *b)
{
    return a->bucket == b->bucket && a->doing == b->doing && a->step == b->step;
}

/* What of the folded names fits, whole ones. */
static void add_names(struct mu_buf *out, const struct place *p, size_t n)
{
    struct mu_buf folded = MU_BUF_INIT;
    const char **names = calloc(n, sizeof *names);
    if (!names) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        names[i] = p[i].server;
    mu_nodeset_fold(&folded, names, n);
    size_t len = folded.len;
    if (len > NAMES_MAX)
        for (len = NAMES_MAX; len && folded.data[len] != ','; len--)
            continue;
    mu_buf_add(out, mu_buf_cstr(&folded), len);
    mu_buf_adds(out, len < folded.len ? ",\xe2\x80\xa6" : "");
    out->failed = out->failed || folded.failed;
    mu_buf_free(&folded);
    free(names);
}

static void add_place(struct mu_buf *out, const struct place *p, size_t n)
{
    char when[MU_CLOCK_ISO_SIZE], what[160];
    snprintf(what, sizeof what, "%s%s%s", p->doing, p->step ? " " : "", p->step ? p->step : "");
    mu_clock_local(mu_clock_wall_ms() - (int64_t)p->for_ms, when);
    mu_buf_addf(out, "  %-16s since %s (", what, when + strlen("2023-11-15 "));
    add_time(out, p->bucket);
    mu_buf_adds(out, "): ");
    add_names(out, p, n);
    mu_buf_addf(out, " (%zu)\n", n);
}

void mu_progress_at_work(const struct mu_run *run, size_t max_lines, struct mu_buf *out)
{
    struct place *places = calloc(run->n + 1, sizeof *places);
    struct mu_progress_now now;
    size_t n = 0, i, lines = 0;
    if (!places) {
        out->failed = true;
        return;
    }
    for (i = 0; i < run->n; i++) {
        struct place *p = &places[n];
        if (!mu_progress_where(run, i, &p->doing, &p->step, &p->for_ms))
            continue;
        p->bucket = about_s(p->for_ms);
        p->server = run->servers[i]->id;
        n++;
    }
    if (n)
        qsort(places, n, sizeof *places, by_place);
    mu_progress_now(run, &now);
    mu_buf_addf(out, "At work on %zu of %zu server%s; %zu done, %zu not started.\n", n, now.total, now.total == 1 ? "" : "s",
                now.done, now.waiting);
    for (i = 0; i < n && lines < max_lines; lines++) {
        size_t first = i;
        while (i < n && same(&places[first], &places[i]))
            i++;
        add_place(out, &places[first], i - first);
    }
    if (i < n)
        mu_buf_addf(out, "  \xe2\x80\xa6 and %zu more server%s\n", n - i, n - i == 1 ? "" : "s");
    free(places);
}
