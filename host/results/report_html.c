#include "results/report_html.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "results/clocale.h"
#include "results/report/parts.h"

struct page {
    const struct mu_run_result *run;
    const struct mu_trail *past;
    struct mu_columns columns;
    char nonce[33];
    struct mu_buf *out;
};

/* JSON as it may stand in a page: "<" is only in its strings, and there \u003c is the same. */
static void add_data(struct mu_buf *out, const struct mu_buf *json)
{
    const char *text = mu_buf_cstr(json);
    for (size_t at = 0, n; at < json->len; at += n) {
        n = strcspn(text + at, "<");
        mu_buf_add(out, text + at, n);
        if (at + n < json->len) {
            mu_buf_adds(out, "\\u003c");
            n++;
        }
    }
    out->failed = out->failed || json->failed;
}

static void add_html(struct mu_buf *out, const char *text)
{
    struct mu_buf shown = MU_BUF_INIT;
    mu_buf_add_escaped(&shown, text, strlen(text));
    mu_buf_add_xml(out, mu_buf_cstr(&shown), shown.len);
    out->failed = out->failed || shown.failed;
    mu_buf_free(&shown);
}

static void add_nonce(struct page *p) { mu_buf_adds(p->out, p->nonce); }
static void add_css(struct page *p) { mu_buf_adds(p->out, mu_part_css); }
static void add_js(struct page *p) { mu_buf_adds(p->out, mu_part_js); }
static void add_chart(struct page *p) { mu_buf_adds(p->out, mu_part_chart); }
static void add_licence(struct page *p) { mu_buf_adds(p->out, mu_part_licence); }

static void add_title(struct page *p)
{
    const char *slash = strrchr(p->run->script, '/');
    add_html(p->out, slash ? slash + 1 : p->run->script);
    mu_buf_adds(p->out, " \xc2\xb7 ");
    add_html(p->out, p->run->run_id);
}

static void add_run(struct page *p)
{
    struct mu_buf json = MU_BUF_INIT;
    mu_html_data(p->run, &p->columns, p->past, &json);
    add_data(p->out, &json);
    mu_buf_free(&json);
}

static void add_logs(struct page *p)
{
    struct mu_buf json = MU_BUF_INIT;
    mu_html_logs(p->run, &json);
    add_data(p->out, &json);
    mu_buf_free(&json);
}

static void add_past(struct page *p)
{
    struct mu_buf json = MU_BUF_INIT;
    mu_html_past(p->past, &p->columns, p->run->n_tasks, &json);
    add_data(p->out, &json);
    mu_buf_free(&json);
}

static const struct {
    const char *name;
    void (*add)(struct page *p);
} places[] = {
    {"NONCE", add_nonce}, {"TITLE", add_title},     {"CSS", add_css}, {"JS", add_js},     {"CHART", add_chart},
    {"DATA", add_run},    {"LICENCE", add_licence}, {"PAST", add_past}, {"LOGS", add_logs},
};

static void add_place(struct page *p, const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strlen(places[i].name) == len && !memcmp(places[i].name, name, len)) {
            places[i].add(p);
            return;
        }
    p->out->failed = true; /* the template names what is not there */
}

static void fill(struct page *p)
{
    const char *at = mu_part_html;
    for (const char *from; (from = strstr(at, "@@")) != NULL;) {
        const char *end = strstr(from + 2, "@@");
        mu_buf_add(p->out, at, (size_t)(from - at));
        if (!end) {
            p->out->failed = true;
            return;
        }
        add_place(p, from + 2, (size_t)(end - from - 2));
        at = end + 2;
    }
    mu_buf_adds(p->out, at);
}

void mu_report_html(const struct mu_run_result *r, const struct mu_trail *past, struct mu_buf *out)
{
    static const struct mu_trail none;
    struct page p = {.run = r, .past = past ? past : &none, .out = out};
    unsigned char word[16];
    if (getrandom(word, sizeof word, 0) != sizeof word || mu_columns_make(&p.columns, r)) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < sizeof word; i++) {
        p.nonce[2 * i] = "0123456789abcdef"[word[i] >> 4];
        p.nonce[2 * i + 1] = "0123456789abcdef"[word[i] & 15];
    }
    struct mu_clocale locale = mu_clocale_enter();
    fill(&p);
    mu_clocale_leave(locale);
    mu_columns_clear(&p.columns);
}

void mu_trail_clear(struct mu_trail *p)
{
    char *const texts[] = {p->state, p->version, p->host, p->owner, p->params, p->thresholds};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    for (size_t i = 0; i < p->n_runs; i++)
        free(p->runs[i].run_id);
    free(p->runs);
    free(p->values);
    free(p->workers);
    *p = (struct mu_trail){0};
}
