#include "compare_say.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "json.h"
#include "table.h"

/* A metric's change as a part of what it was; NaN where that was 0. */
static double part(const struct muster_change *c)
{
    return c->has_before && c->has_after && c->before != 0 ? (c->after - c->before) / fabs(c->before) : NAN;
}

static bool is_about_metric(const struct muster_change *c) { return *c->metric != '\0'; }

/* ---- for people ---- */

static void say_run(const struct muster_compare *c, size_t i, const char *word)
{
    struct muster_kept_run r;
    char text[32];

    muster_compare_run(c, i, &r);
    cli_time_local(text, r.started_ms);
    printf("%s  %s  %s  ", word, r.id, text);
    cli_put_escaped(stdout, r.script);
    printf("  %zu server%s, %zu passed, %zu failed\n", r.n_servers, r.n_servers == 1 ? "" : "s", r.n_passed, r.n_failed);
}

static void add_percent(struct cli_table *t, double part_of)
{
    if (isfinite(part_of))
        cli_table_textf(t, "%+.1f %%", part_of * 100);
    else
        cli_table_text(t, "-");
}

#define METRICS "METRIC|>SERVERS|>MEDIAN CHANGE|>WORSE|>BETTER|>CHANGED|>THE SAME"

static int say_metrics(const struct muster_compare *c)
{
    struct muster_metric_change m;
    struct cli_table t;
    char name[512];

    cli_table_start(&t, METRICS);
    for (size_t i = 0; muster_compare_metric(c, i, &m) == 0; i++) {
        snprintf(name, sizeof name, "%s.%s", m.step, m.metric);
        cli_table_text(&t, name);
        cli_table_textf(&t, "%zu", m.n);
        add_percent(&t, m.has_median ? m.median : NAN);
        cli_table_textf(&t, "%zu", m.n_worse);
        cli_table_textf(&t, "%zu", m.n_better);
        cli_table_textf(&t, "%zu", m.n_changed);
        cli_table_textf(&t, "%zu", m.n_same);
    }
    if (t.n)
        putchar('\n');
    int rc = t.n ? cli_table_print(&t, METRICS, stdout) : 0;
    cli_table_free(&t);
    return rc;
}

#define STATUSES "SERVER|BEFORE|AFTER|WHY"
#define VALUES "SERVER|METRIC|>BEFORE|>AFTER|UNIT|>CHANGE|>NOISE|NOISE OF"

static void add_status(struct cli_table *t, const struct muster_change *c)
{
    cli_table_text(t, c->server);
    cli_table_text(t, c->status_before);
    cli_table_text(t, c->status_after);
    cli_table_text(t, c->reason);
}

static void add_values(struct cli_table *t, const struct muster_change *c)
{
    char name[512];

    snprintf(name, sizeof name, "%s.%s", c->step, c->metric);
    cli_table_text(t, c->server);
    cli_table_text(t, name);
    cli_table_number(t, c->has_before ? c->before : NAN);
    cli_table_number(t, c->has_after ? c->after : NAN);
    cli_table_text(t, c->unit);
    add_percent(t, part(c));
    if (strcmp(c->noise_from, "unknown") != 0)
        cli_table_textf(t, "%.3g", c->noise);
    else
        cli_table_text(t, "-");
    cli_table_text(t, c->noise_from);
}

/* The changes of one kind; of servers, or of metrics. */
static int say_kind(const struct muster_compare *c, const char *kind, bool metrics, const char *heading)
{
    const char *columns = metrics ? VALUES : STATUSES;
    struct muster_change change;
    struct cli_table t;

    cli_table_start(&t, columns);
    for (size_t i = 0; muster_compare_change(c, i, &change) == 0; i++)
        if (!strcmp(change.kind, kind) && is_about_metric(&change) == metrics)
            (metrics ? add_values : add_status)(&t, &change);
    if (t.n)
        printf("\n%s: %zu\n", heading, t.n / t.columns);
    int rc = t.n ? cli_table_print(&t, columns, stdout) : 0;
    cli_table_free(&t);
    return rc;
}

int compare_say(const struct muster_compare *c, const char *least)
{
    static const struct {
        const char *kind;
        bool metrics;
        const char *heading;
    } parts[] = {
        {"newly failed", false, "Newly failed"},
        {"fixed", false, "Fixed"},
        {"other status", false, "Another status"},
        {"worse", true, "Slower or worse"},
        {"better", true, "Faster or better"},
        {"lower", true, "Lower (nothing says which way is better)"},
        {"higher", true, "Higher (nothing says which way is better)"},
        {"only in the first", true, "Measured in the first run only"},
        {"only in the second", true, "Measured in the second run only"},
        {"only in the first", false, "Servers of the first run only"},
        {"only in the second", false, "Servers of the second run only"},
    };
    struct muster_change change;
    size_t n[3];

    say_run(c, 0, "First ");
    say_run(c, 1, "Second");
    muster_compare_counts(c, n);
    printf("Servers: %zu in both, %zu in the first only, %zu in the second only.\n", n[0], n[1], n[2]);
    int rc = say_metrics(c);
    for (size_t i = 0; !rc && i < sizeof parts / sizeof *parts; i++)
        rc = say_kind(c, parts[i].kind, parts[i].metrics, parts[i].heading);
    if (!rc && muster_compare_change(c, 0, &change) != 0) {
        fputs("\nNothing changed by more than ", stdout);
        cli_put_escaped(stdout, least);
        puts(" and the noise.");
    }
    return rc;
}

/* ---- for programs ---- */

static void put_value(const char *name, bool there, double v)
{
    cli_json_number_member(name, there ? v : NAN, false);
}

static void put_change(const struct muster_change *c)
{
    putchar('{');
    cli_json_text_member("kind", c->kind, true);
    cli_json_text_member("server", c->server, false);
    cli_json_text_member("status_before", *c->status_before ? c->status_before : NULL, false);
    cli_json_text_member("status_after", *c->status_after ? c->status_after : NULL, false);
    cli_json_text_member("reason", *c->reason ? c->reason : NULL, false);
    if (is_about_metric(c)) {
        cli_json_text_member("step", c->step, false);
        cli_json_text_member("metric", c->metric, false);
        cli_json_text_member("unit", *c->unit ? c->unit : NULL, false);
        put_value("before", c->has_before, c->before);
        put_value("after", c->has_after, c->after);
        put_value("change", true, part(c));
        put_value("noise", strcmp(c->noise_from, "unknown") != 0, c->noise);
        cli_json_text_member("noise_from", c->noise_from, false);
    }
    putchar('}');
}

void compare_say_json(const struct muster_compare *c)
{
    struct muster_kept_run run;
    struct muster_metric_change m;
    struct muster_change change;
    size_t n[3];

    muster_compare_run(c, 0, &run);
    fputs("{\"first\":", stdout);
    cli_json_run(&run);
    muster_compare_run(c, 1, &run);
    fputs(",\n\"second\":", stdout);
    cli_json_run(&run);
    muster_compare_counts(c, n);
    printf(",\n\"servers\":{\"both\":%zu,\"first_only\":%zu,\"second_only\":%zu},\"metrics\":[", n[0], n[1], n[2]);
    for (size_t i = 0; muster_compare_metric(c, i, &m) == 0; i++) {
        fputs(i ? ",\n{" : "\n{", stdout);
        cli_json_text_member("step", m.step, true);
        cli_json_text_member("metric", m.metric, false);
        cli_json_text_member("unit", *m.unit ? m.unit : NULL, false);
        cli_json_int_member("servers", (long long)m.n, false);
        put_value("median_change", m.has_median, m.median);
        cli_json_int_member("worse", (long long)m.n_worse, false);
        cli_json_int_member("better", (long long)m.n_better, false);
        cli_json_int_member("changed", (long long)m.n_changed, false);
        cli_json_int_member("same", (long long)m.n_same, false);
        putchar('}');
    }
    fputs("],\"changes\":[", stdout);
    for (size_t i = 0; muster_compare_change(c, i, &change) == 0; i++) {
        fputs(i ? ",\n" : "\n", stdout);
        put_change(&change);
    }
    fputs("]}\n", stdout);
}

void compare_say_csv(const struct muster_compare *c)
{
    struct muster_change x;

    puts("kind,server,status_before,status_after,step,metric,unit,before,after,change,noise,noise_from,reason");
    for (size_t i = 0; muster_compare_change(c, i, &x) == 0; i++) {
        cli_csv_text(stdout, x.kind, true);
        cli_csv_text(stdout, x.server, false);
        cli_csv_text(stdout, x.status_before, false);
        cli_csv_text(stdout, x.status_after, false);
        cli_csv_text(stdout, x.step, false);
        cli_csv_text(stdout, x.metric, false);
        cli_csv_text(stdout, x.unit, false);
        cli_csv_number(stdout, x.has_before ? x.before : NAN, false);
        cli_csv_number(stdout, x.has_after ? x.after : NAN, false);
        cli_csv_number(stdout, part(&x), false);
        cli_csv_number(stdout, is_about_metric(&x) && strcmp(x.noise_from, "unknown") != 0 ? x.noise : NAN, false);
        cli_csv_text(stdout, is_about_metric(&x) ? x.noise_from : "", false);
        cli_csv_text(stdout, x.reason, false);
        putchar('\n');
    }
}
