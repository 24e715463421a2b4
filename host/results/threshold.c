/* threshold.c: the rule that judges a metric: its text form, the judgement, and what a miss is called. */
#include "results/threshold.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/clocale.h"

#define HOW "write it like \">= 50\", \"< 5.5 ms\" or \">= 10, <= 20 MiB/s\""

void mu_threshold_clear(struct mu_threshold *th)
{
    if (!th)
        return;
    free(th->metric);
    free(th->unit);
    free(th->peers.group_by);
    memset(th, 0, sizeof(*th));
}

int mu_threshold_copy(struct mu_threshold *to, const struct mu_threshold *from)
{
    *to = *from;
    to->metric = from->metric ? strdup(from->metric) : NULL;
    to->unit = from->unit ? strdup(from->unit) : NULL;
    to->peers.group_by = from->peers.group_by ? strdup(from->peers.group_by) : NULL;
    if ((!from->metric || to->metric) && (!from->unit || to->unit) && (!from->peers.group_by || to->peers.group_by))
        return 0;
    mu_threshold_clear(to);
    return MU_ENOMEM;
}

static const char *skip_space(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

/* The end of the decimal number at p, or p when there is none. strtod() alone would take "inf", "nan" and "0x10". */
static const char *number_end(const char *p)
{
    const char *q = p;
    size_t digits = 0;
    if (*q == '+' || *q == '-')
        q++;
    for (; isdigit((unsigned char)*q); q++)
        digits++;
    if (*q == '.') {
        for (q++; isdigit((unsigned char)*q); q++)
            digits++;
    }
    if (!digits)
        return p;
    if (*q == 'e' || *q == 'E') {
        const char *e = q + 1;
        if (*e == '+' || *e == '-')
            e++;
        if (isdigit((unsigned char)*e)) {
            while (isdigit((unsigned char)*e))
                e++;
            q = e;
        }
    }
    return q;
}

/* Say what is wrong with text, which may hold anything. */
static int refuse(struct mu_err *err, const char *text, const char *what)
{
    struct mu_buf shown = MU_BUF_INIT;
    size_t len = strlen(text);
    mu_buf_add_escaped(&shown, text, len > 80 ? 80 : len);
    mu_err_set(err, MU_EINVAL, "threshold \"%s\"%s: %s; " HOW, mu_buf_cstr(&shown), len > 80 ? " (cut)" : "", what);
    mu_err_cause(err, "threshold: %s", what);
    mu_buf_free(&shown);
    return MU_EINVAL;
}

/* One bound with its unit at *at; moves *at behind it. */
static int parse_bound(struct mu_threshold *th, const char *text, const char **at, struct mu_err *err)
{
    const char *p = skip_space(*at);
    bool is_min = *p == '>';
    if (*p != '>' && *p != '<')
        return refuse(err, text, "expected >=, >, <= or <");
    p++;
    bool open = *p != '=';
    if (!open)
        p++;
    if (is_min ? th->has_min : th->has_max)
        return refuse(err, text, is_min ? "two lower bounds" : "two upper bounds");

    p = skip_space(p);
    const char *end = number_end(p);
    if (end == p)
        return refuse(err, text, "expected a number behind the comparison");
    double v = strtod(p, NULL);
    if (!isfinite(v))
        return refuse(err, text, "the number is too large");

    /* A unit may touch its number ("50ms", "5%"), but then holds no digit: "0x10" and "1.000.000" are typing errors. */
    bool touching = *end && *end != ' ' && *end != '\t' && *end != ',';
    p = skip_space(end);
    size_t n = strcspn(p, " \t,");
    if (touching && (strcspn(p, "0123456789.") < n))
        return refuse(err, text, "the number is malformed");
    if (n) {
        for (size_t i = 0; i < n; i++) {
            if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
                return refuse(err, text, "the unit holds a control character");
        }
        if (th->unit && (strlen(th->unit) != n || memcmp(th->unit, p, n) != 0))
            return refuse(err, text, "two different units");
        if (!th->unit && !(th->unit = strndup(p, n)))
            return mu_err_set(err, MU_ENOMEM, "out of memory");
        p = skip_space(p + n);
    }

    if (is_min) {
        th->has_min = true;
        th->min_open = open;
        th->min = v;
    } else {
        th->has_max = true;
        th->max_open = open;
        th->max = v;
    }
    *at = p;
    return 0;
}

int mu_threshold_parse(struct mu_threshold *th, const char *text, struct mu_err *err)
{
    struct mu_clocale locale = mu_clocale_enter();
    struct mu_threshold got = {0};
    const char *p = text;
    int rc = parse_bound(&got, text, &p, err);
    if (!rc && *p == ',') {
        p++;
        rc = parse_bound(&got, text, &p, err);
    }
    if (!rc && *p)
        rc = refuse(err, text, *p == ',' ? "more than two bounds" : "more than one word behind the number");
    if (!rc && got.has_min && got.has_max &&
        (got.min > got.max || (got.min == got.max && (got.min_open || got.max_open))))
        rc = refuse(err, text, "no value can pass: the lower bound is not below the upper one");
    mu_clocale_leave(locale);

    if (rc)
        mu_threshold_clear(&got);
    got.metric = th->metric;
    *th = got;
    return rc;
}

/* ---- amounts and references ---- */

int mu_amount_parse(struct mu_amount *a, const char *text, struct mu_err *err)
{
    struct mu_clocale locale = mu_clocale_enter();
    const char *p = skip_space(text), *end = number_end(p);
    struct mu_amount got = {.kind = MU_AMOUNT_PLAIN, .n = end > p ? strtod(p, NULL) : 0};
    bool there = end > p;
    mu_clocale_leave(locale);
    p = skip_space(end);
    if (*p == '%') {
        got.kind = MU_AMOUNT_PERCENT;
        p = skip_space(p + 1);
    }
    if (!there || *p || !isfinite(got.n) || got.n < 0) {
        struct mu_buf shown = MU_BUF_INIT;
        size_t len = strlen(text);
        mu_buf_add_escaped(&shown, text, len > 40 ? 40 : len);
        mu_err_set(err, MU_EINVAL, "'%s' is no amount: write \"10%%\" or a number, not below 0", mu_buf_cstr(&shown));
        mu_buf_free(&shown);
        return MU_EINVAL;
    }
    *a = got;
    return 0;
}

double mu_amount_of(const struct mu_amount *a, double whole)
{
    switch (a->kind) {
    case MU_AMOUNT_PLAIN:
        return a->n;
    case MU_AMOUNT_PERCENT:
        return fabs(whole) * a->n / 100.0;
    case MU_AMOUNT_NONE:
        break;
    }
    return 0;
}

void mu_amount_add(const struct mu_amount *a, struct mu_buf *out)
{
    mu_buf_add_number(out, a->n);
    if (a->kind == MU_AMOUNT_PERCENT)
        mu_buf_adds(out, " %");
}

static double rounded(double v)
{
    char text[40];
    snprintf(text, sizeof(text), "%.12g", v);
    return strtod(text, NULL);
}

void mu_threshold_settle(struct mu_threshold *th)
{
    if (!th->has_reference)
        return;
    th->has_min = th->lower.kind != MU_AMOUNT_NONE;
    th->has_max = th->upper.kind != MU_AMOUNT_NONE;
    th->min_open = th->max_open = false;
    th->min = rounded(th->reference - mu_amount_of(&th->lower, th->reference));
    th->max = rounded(th->reference + mu_amount_of(&th->upper, th->reference));
}

/* ---- the judgement ---- */

static bool below(const struct mu_threshold *th, double v)
{
    return th->has_min && (v < th->min || (th->min_open && v == th->min));
}

static bool above(const struct mu_threshold *th, double v)
{
    return th->has_max && (v > th->max || (th->max_open && v == th->max));
}

bool mu_threshold_passes(const struct mu_threshold *th, double v)
{
    return !below(th, v) && !above(th, v);
}

void mu_threshold_miss(const struct mu_threshold *th, double v, struct mu_buf *out)
{
    bool low = below(th, v);
    mu_buf_adds(out, low ? (th->min_open ? "<= " : "< ") : (th->max_open ? ">= " : "> "));
    mu_buf_add_number(out, low ? th->min : th->max);
}

void mu_threshold_origin(const struct mu_threshold *th, double v, struct mu_buf *out)
{
    bool low = below(th, v);
    if (!th->has_reference)
        return;
    mu_buf_adds(out, " (reference ");
    mu_buf_add_number(out, th->reference);
    mu_buf_adds(out, low ? " - " : " + ");
    mu_amount_add(low ? &th->lower : &th->upper, out);
    mu_buf_addc(out, ')');
}
