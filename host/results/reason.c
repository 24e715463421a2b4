#include "results/reason.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Failures and metrics come in the same order, so a search starts behind the last hit and wraps round once. */
static const struct mu_metric *find_missed(const struct mu_step_result *s, const char *name, size_t *cursor)
{
    for (size_t i = 0; name && i < s->n_metrics; i++) {
        size_t at = (*cursor + i) % s->n_metrics;
        const struct mu_metric *m = &s->metrics[at];
        if (m->judgement == MU_MISSED && !strcmp(m->name, name)) {
            *cursor = at + 1;
            return m;
        }
    }
    return NULL;
}

static bool told(const struct mu_step_result *s, const struct mu_metric *m, size_t *cursor)
{
    for (size_t i = 0; i < s->n_failures; i++) {
        size_t at = (*cursor + i) % s->n_failures;
        if (s->failures[at].metric && !strcmp(s->failures[at].metric, m->name)) {
            *cursor = at + 1;
            return true;
        }
    }
    return false;
}

void mu_reason_each_in_step(const struct mu_step_result *s, mu_reason_fn *fn, void *arg)
{
    size_t cursor = 0, n = 0, missed = 0, covered = 0;
    for (size_t i = 0; i < s->n_failures; i++) {
        const struct mu_failure *f = &s->failures[i];
        const struct mu_metric *m = find_missed(s, f->metric, &cursor);
        fn(arg, &(struct mu_reason){f->status, s, m, f});
        covered += m != NULL;
        n++;
    }
    for (size_t i = 0; i < s->n_metrics; i++)
        missed += s->metrics[i].judgement == MU_MISSED;
    cursor = 0;
    for (size_t i = 0; missed != covered && i < s->n_metrics; i++) {
        const struct mu_metric *m = &s->metrics[i];
        if (m->judgement != MU_MISSED || told(s, m, &cursor))
            continue;
        fn(arg, &(struct mu_reason){MU_ST_FAILED, s, m, NULL});
        n++;
    }
    if (!n && s->status != MU_ST_PASSED && s->status != MU_ST_SKIPPED)
        fn(arg, &(struct mu_reason){s->status, s, NULL, NULL});
}

void mu_reason_number(double v, const struct mu_threshold *th, struct mu_buf *out)
{
    char text[40];
    if (!isfinite(v)) {
        mu_buf_add_number(out, v);
        return;
    }
    /* 1234567.8 reads better as 1234568 than as 1.23457e+06 */
    bool big = fabs(v) >= 1e6 && fabs(v) < 1e15;
    for (int digits = 6; digits <= 17; digits++) {
        if (digits == 6 && big)
            snprintf(text, sizeof(text), "%.0f", v);
        else
            snprintf(text, sizeof(text), "%.*g", digits, v);
        /* 49.9999999 misses ">= 50", and must not be printed as 50 */
        if (!th || mu_threshold_passes(th, v) || !mu_threshold_passes(th, strtod(text, NULL)))
            break;
    }
    mu_buf_adds(out, strcmp(text, "-0") ? text : "0");
}

void mu_reason_samples(const struct mu_metric *m, struct mu_buf *out)
{
    if (!m->n_samples)
        return;
    double low = m->samples[0], high = low;
    for (size_t i = 1; i < m->n_samples; i++) {
        low = m->samples[i] < low ? m->samples[i] : low;
        high = m->samples[i] > high ? m->samples[i] : high;
    }
    mu_buf_addf(out, " (median of %zu sample%s, ", m->n_samples, m->n_samples == 1 ? "" : "s");
    mu_reason_number(low, NULL, out);
    if (high > low) {
        mu_buf_adds(out, "\xe2\x80\x93"); /* en dash */
        mu_reason_number(high, NULL, out);
    }
    mu_buf_addc(out, ')');
}

/* The peers' median alone is what it misses. */
static bool by_peers(const struct mu_metric *m)
{
    return m->peers.state == MU_PEERS_MISSED && mu_threshold_passes(&m->th, m->value) && !mu_reason_is_past(m);
}

/* ---- a server's own past ---- */

bool mu_reason_is_past(const struct mu_metric *m)
{
    return m->history.state == MU_PEERS_MISSED && mu_threshold_passes(&m->th, m->value);
}

double mu_reason_past_percent(const struct mu_metric *m)
{
    return m->history.median != 0 ? fabs((m->value - m->history.median) / m->history.median) * 100 : 0;
}

static void add_percent(double v, struct mu_buf *out)
{
    char text[40];
    snprintf(text, sizeof text, v < 10 ? "%.2g" : "%.0f", v);
    mu_buf_adds(out, text);
}

static const char *past_side(const struct mu_metric *m) { return m->history.below ? "under" : "over"; }

void mu_reason_past_text(const struct mu_reason *reason, double least, double most, size_t n, struct mu_buf *out)
{
    const struct mu_metric *m = reason->metric;
    struct mu_buf low = MU_BUF_INIT, high = MU_BUF_INIT;
    mu_buf_addf(out, "%s.%s ", reason->step->name, m->name);
    if (n == 1) {
        mu_reason_number(m->value, NULL, out);
        if (m->unit && *m->unit)
            mu_buf_addf(out, " %s", m->unit);
        mu_buf_addc(out, ' ');
    }
    mu_buf_adds(out, "is ");
    add_percent(least, &low);
    add_percent(most, &high);
    if (m->history.median == 0) {
        mu_reason_number(fabs(m->value), NULL, out);
    } else {
        mu_buf_adds(out, mu_buf_cstr(&low));
        if (strcmp(mu_buf_cstr(&low), mu_buf_cstr(&high)) != 0)
            mu_buf_addf(out, "\xe2\x80\x93%s", mu_buf_cstr(&high)); /* en dash */
        mu_buf_adds(out, " %");
    }
    if (n == 1) {
        mu_buf_addf(out, " %s its median of %zu runs (", past_side(m), m->history.n);
        mu_reason_number(m->history.median, NULL, out);
        mu_buf_addc(out, ')');
    } else {
        mu_buf_addf(out, " %s the median of its earlier runs", past_side(m));
    }
    out->failed = out->failed || low.failed || high.failed;
    mu_buf_free(&low);
    mu_buf_free(&high);
}

/* ---- bounds ---- */

/* v with six digits, and not further in than it was: what misses v misses this too. */
static double outward(double v, bool up)
{
    char text[40];
    snprintf(text, sizeof(text), "%.6g", v);
    double r = strtod(text, NULL);
    if (up ? r >= v : r <= v)
        return r;
    snprintf(text, sizeof(text), "%.6g", r + (up ? 1 : -1) * pow(10, floor(log10(fabs(v))) - 5));
    return strtod(text, NULL);
}

/* The bounds that count: th's own when they are missed, else those that the peers' median makes. What is missed there is also
 * beyond the noise, which differs from server to server and is not said. */
static struct mu_threshold bounds_of(const struct mu_metric *m)
{
    struct mu_threshold th = m->th;
    if (!by_peers(m))
        return th;
    double median = m->peers.median;
    th = (struct mu_threshold){.has_min = m->peers.below, .has_max = m->peers.above};
    th.min = outward(median - mu_amount_of(&m->th.peers.drop, median), true);
    th.max = outward(median + mu_amount_of(&m->th.peers.rise, median), false);
    return th;
}

static void add_origin(const struct mu_metric *m, double v, struct mu_buf *out)
{
    if (!by_peers(m)) {
        mu_threshold_origin(&m->th, v, out);
        return;
    }
    mu_buf_adds(out, " (peers: median ");
    mu_reason_number(m->peers.median, NULL, out);
    mu_buf_adds(out, m->peers.below ? " - " : " + ");
    mu_amount_add(m->peers.below ? &m->th.peers.drop : &m->th.peers.rise, out);
    mu_buf_addf(out, ", %zu ", m->peers.n);
    if (m->th.peers.group_by)
        mu_buf_addf(out, "with %s %s)", m->th.peers.group_by, m->peers.group ? m->peers.group : "?");
    else
        mu_buf_adds(out, "servers)");
}

void mu_reason_miss(const struct mu_metric *m, double v, struct mu_buf *out)
{
    struct mu_threshold th = bounds_of(m);
    if (mu_reason_is_past(m)) {
        mu_buf_adds(out, "is more than ");
        mu_amount_add(m->history.below ? &m->th.history.drop : &m->th.history.rise, out);
        mu_buf_addf(out, " %s its median of earlier runs", past_side(m));
        return;
    }
    mu_threshold_miss(&th, v, out);
    add_origin(m, v, out);
}

void mu_reason_range_text(const struct mu_reason *reason, double lowest, double highest, struct mu_buf *out)
{
    const struct mu_metric *m = reason->metric;
    struct mu_buf low = MU_BUF_INIT, high = MU_BUF_INIT;
    struct mu_threshold th = bounds_of(m);
    mu_reason_number(lowest, &th, &low);
    mu_reason_number(highest, &th, &high);
    mu_buf_adds(out, reason->step->name);
    mu_buf_addc(out, '.');
    mu_buf_adds(out, m->name);
    mu_buf_addc(out, ' ');
    mu_buf_adds(out, mu_buf_cstr(&low));
    if (strcmp(mu_buf_cstr(&low), mu_buf_cstr(&high)) != 0) {
        mu_buf_adds(out, "\xe2\x80\x93"); /* en dash */
        mu_buf_adds(out, mu_buf_cstr(&high));
    }
    mu_buf_addc(out, ' ');
    mu_threshold_miss(&th, lowest, out);
    if (m->unit && *m->unit) {
        mu_buf_addc(out, ' ');
        mu_buf_adds(out, m->unit);
    }
    add_origin(m, lowest, out);
    out->failed = out->failed || low.failed || high.failed;
    mu_buf_free(&low);
    mu_buf_free(&high);
}

/* text behind a leading "prefix: ", so that nothing is said twice. */
static const char *without_prefix(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);
    if (!n || strncmp(text, prefix, n) != 0 || text[n] != ':')
        return text;
    return text[n + 1] == ' ' ? text + n + 2 : text[n + 1] == '\0' ? text + n + 1 : text;
}

void mu_reason_text(const struct mu_reason *reason, struct mu_buf *out)
{
    const struct mu_failure *f = reason->failure;
    if (reason->metric && mu_reason_is_past(reason->metric)) {
        double percent = mu_reason_past_percent(reason->metric);
        mu_reason_past_text(reason, percent, percent, 1, out);
        return;
    }
    if (reason->metric) {
        mu_reason_range_text(reason, reason->metric->value, reason->metric->value, out);
        return;
    }
    const char *where = f && f->where ? f->where : reason->step ? reason->step->name : "task";
    /* A connection opens at first use, in whichever step that is; "unreachable" is decided at the connect alone. */
    if (reason->status == MU_ST_UNREACHABLE)
        where = "connect";
    mu_buf_adds(out, where);
    mu_buf_adds(out, ": ");

    /* The other statuses say as much as their type would. */
    const char *type = f && f->type && (reason->status == MU_ST_FAILED || reason->status == MU_ST_ERROR) ? f->type : "";
    const char *cause = f && f->cause && *f->cause ? f->cause : NULL;
    if (!cause && f && f->message && *f->message)
        cause = f->message; /* may not fold, but says what happened */
    if (cause) {
        cause = without_prefix(without_prefix(cause, where), type);
        size_t first_line = strcspn(cause, "\n");
        if (*type)
            mu_buf_addf(out, first_line ? "%s: " : "%s", type);
        mu_buf_add(out, cause, first_line);
    } else {
        mu_buf_adds(out, f && f->type ? f->type : "no reason given");
    }
}
