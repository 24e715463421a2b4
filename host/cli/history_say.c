#include "history_say.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "json.h"
#include "spark.h"
#include "table.h"

/* ---- for people ---- */

/* The file's name alone: scripts with the same one are told apart by their whole path. */
static const char *base(const char *path) { return strrchr(path, '/') ? strrchr(path, '/') + 1 : path; }

static bool is_ambiguous(const struct muster_past *p, const char *script_path)
{
    struct muster_past_run r;

    for (size_t i = 0; muster_past_run(p, i, &r) == 0; i++)
        if (strcmp(r.run.script_path, script_path) != 0 && !strcmp(base(r.run.script_path), base(script_path)))
            return true;
    return false;
}

static const char *script_of(const struct muster_past *p, const char *path)
{
    return is_ambiguous(p, path) ? path : base(path);
}

#define RUNS "RUN|STARTED|SCRIPT|STATUS|>DURATION"

static int say_runs(const struct muster_past *p)
{
    struct muster_past_run r;
    struct cli_table t;
    char text[32];

    cli_table_start(&t, RUNS);
    for (size_t i = 0; muster_past_run(p, i, &r) == 0; i++) {
        cli_table_text(&t, r.run.id);
        cli_time_local(text, r.run.started_ms);
        cli_table_text(&t, text);
        cli_table_text(&t, script_of(p, r.run.script_path));
        cli_table_text(&t, r.status);
        cli_duration(text, r.duration_ms);
        cli_table_text(&t, text);
    }
    int rc = cli_table_print(&t, RUNS, stdout);
    cli_table_free(&t);
    return rc;
}

/* The line of columns of a series, malloc'd; of its last 40 runs. */
static char *spark_of(const struct muster_past *p, size_t series)
{
    enum { MOST = 40 };
    struct muster_past_run r;
    struct muster_series s;
    struct muster_point point;
    double values[MOST];
    size_t n = 0, kept = 0;

    muster_past_series(p, series, &s);
    while (muster_past_run(p, n, &r) == 0)
        n++;
    for (size_t i = n; i-- > 0 && kept < MOST;) {
        muster_past_run(p, i, &r);
        if (strcmp(r.run.script_path, s.script_path) != 0)
            continue; /* another script's run says nothing of it */
        kept++;
        values[MOST - kept] = muster_past_point(p, series, i, &point) == 0 ? point.value : NAN;
    }
    char *text = malloc(CLI_SPARK_BYTES(MOST));
    if (text)
        cli_spark(text, values + MOST - kept, kept);
    return text;
}

static void add_name(struct cli_table *t, const struct muster_series *s)
{
    char name[512];

    snprintf(name, sizeof name, "%s.%s", s->step, s->metric);
    cli_table_text(t, name);
}

static void add_spark(struct cli_table *t, const struct muster_past *p, size_t series)
{
    char *text = spark_of(p, series);

    cli_table_text(t, text ? text : "");
    t->failed = t->failed || !text;
    free(text);
}

#define SERIES "METRIC|SCRIPT|>RUNS|>LAST|>MEDIAN|>MAD|>MIN|>MAX|UNIT|COURSE"

static int say_series(const struct muster_past *p)
{
    struct muster_series s;
    struct cli_table t;

    cli_table_start(&t, SERIES);
    for (size_t i = 0; muster_past_series(p, i, &s) == 0; i++) {
        add_name(&t, &s);
        cli_table_text(&t, script_of(p, s.script_path));
        cli_table_textf(&t, "%zu", s.n);
        cli_table_number(&t, s.last);
        cli_table_number(&t, s.median);
        cli_table_number(&t, s.mad);
        cli_table_number(&t, s.min);
        cli_table_number(&t, s.max);
        cli_table_text(&t, s.unit);
        add_spark(&t, p, i);
    }
    int rc = t.n ? cli_table_print(&t, SERIES, stdout) : 0;
    if (!t.n)
        puts("Nothing was measured.");
    cli_table_free(&t);
    return rc;
}

#define POINTS "RUN|STARTED|>VALUE|UNIT|>FROM MEDIAN|>SAMPLES|>MAD|RULE|STATUS"

static void add_point(struct cli_table *t, const struct muster_past_run *r, const struct muster_series *s,
                      const struct muster_point *point)
{
    char text[32];

    cli_table_text(t, r->run.id);
    cli_time_local(text, r->run.started_ms);
    cli_table_text(t, text);
    cli_table_number(t, point->value);
    cli_table_text(t, s->unit);
    if (isfinite(point->value) && s->median != 0)
        cli_table_textf(t, "%+.1f %%", (point->value - s->median) / fabs(s->median) * 100);
    else
        cli_table_text(t, "-");
    cli_table_textf(t, "%zu", point->n_samples);
    if (point->n_samples > 1)
        cli_table_number(t, point->mad);
    else
        cli_table_text(t, "-");
    cli_table_text(t, !point->judged ? "-" : point->passed ? "passed" : "missed");
    cli_table_text(t, r->status);
}

static int say_points(const struct muster_past *p, size_t series)
{
    struct muster_past_run r;
    struct muster_series s;
    struct muster_point point;
    struct cli_table t;

    muster_past_series(p, series, &s);
    cli_table_start(&t, POINTS);
    for (size_t i = 0; muster_past_run(p, i, &r) == 0; i++)
        if (muster_past_point(p, series, i, &point) == 0)
            add_point(&t, &r, &s, &point);
    int rc = cli_table_print(&t, POINTS, stdout);
    cli_table_free(&t);
    return rc;
}

int history_say(const struct muster_past *p, const char *server, const char *metric)
{
    struct muster_series s;
    int rc = 0;

    fputs("Server ", stdout);
    cli_put_escaped(stdout, server);
    fputs("\n\n", stdout);
    if (!metric) {
        rc = say_runs(p);
        putchar('\n');
    }
    for (size_t i = 0; metric && !rc && muster_past_series(p, i, &s) == 0; i++) {
        rc = say_points(p, i);
        putchar('\n');
    }
    return rc ? rc : say_series(p);
}

/* ---- for programs ---- */

static void put_series_json(const struct muster_past *p, size_t i, const struct muster_series *s)
{
    struct muster_past_run r;
    struct muster_point point;
    bool first = true;

    putchar('{');
    cli_json_text_member("script_path", s->script_path, true);
    cli_json_text_member("step", s->step, false);
    cli_json_text_member("metric", s->metric, false);
    cli_json_text_member("unit", *s->unit ? s->unit : NULL, false);
    cli_json_int_member("values", (long long)s->n, false);
    cli_json_number_member("median", s->median, false);
    cli_json_number_member("mad", s->mad, false);
    cli_json_number_member("min", s->min, false);
    cli_json_number_member("max", s->max, false);
    fputs(",\"points\":[", stdout);
    for (size_t k = 0; muster_past_run(p, k, &r) == 0; k++) {
        if (muster_past_point(p, i, k, &point) != 0)
            continue;
        fputs(first ? "{" : ",{", stdout);
        first = false;
        cli_json_text_member("run", r.run.id, true);
        cli_json_number_member("value", point.value, false);
        cli_json_int_member("samples", (long long)point.n_samples, false);
        cli_json_number_member("mad", point.n_samples > 1 ? point.mad : NAN, false);
        cli_json_text_member("judgement", !point.judged ? "unjudged" : point.passed ? "passed" : "missed", false);
        cli_json_text_member("step_status", point.status, false);
        putchar('}');
    }
    fputs("]}", stdout);
}

static void put_json(const struct muster_past *p, const char *server)
{
    struct muster_past_run r;
    struct muster_series s;

    putchar('{');
    cli_json_text_member("server", server, true);
    fputs(",\"runs\":[", stdout);
    for (size_t i = 0; muster_past_run(p, i, &r) == 0; i++) {
        fputs(i ? ",\n{" : "\n{", stdout);
        cli_json_text_member("status", r.status, true);
        cli_json_number_member("duration_s", (double)r.duration_ms / 1000, false);
        fputs(",\"run\":", stdout);
        cli_json_run(&r.run);
        putchar('}');
    }
    fputs("],\"metrics\":[", stdout);
    for (size_t i = 0; muster_past_series(p, i, &s) == 0; i++) {
        fputs(i ? ",\n" : "\n", stdout);
        put_series_json(p, i, &s);
    }
    fputs("]}\n", stdout);
}

static void put_rows(const struct muster_past *p, const char *server)
{
    struct muster_past_run r;
    struct muster_series s;
    struct muster_point point;
    char text[32];

    puts("run,started,script_path,server,server_status,step,metric,value,unit,samples,mad,judgement");
    for (size_t i = 0; muster_past_run(p, i, &r) == 0; i++)
        for (size_t k = 0; muster_past_series(p, k, &s) == 0; k++) {
            if (muster_past_point(p, k, i, &point) != 0)
                continue;
            cli_csv_text(stdout, r.run.id, true);
            cli_time_utc(text, r.run.started_ms);
            cli_csv_text(stdout, text, false);
            cli_csv_text(stdout, r.run.script_path, false);
            cli_csv_text(stdout, server, false);
            cli_csv_text(stdout, r.status, false);
            cli_csv_text(stdout, s.step, false);
            cli_csv_text(stdout, s.metric, false);
            cli_csv_number(stdout, point.value, false);
            cli_csv_text(stdout, s.unit, false);
            cli_csv_int(stdout, (long long)point.n_samples, false);
            cli_csv_number(stdout, point.n_samples > 1 ? point.mad : NAN, false);
            cli_csv_text(stdout, !point.judged ? "unjudged" : point.passed ? "passed" : "missed", false);
            putchar('\n');
        }
}

static void put_names(const struct muster_past *p, bool first)
{
    struct muster_series s;
    char name[512];

    for (size_t i = 0; muster_past_series(p, i, &s) == 0; i++) {
        snprintf(name, sizeof name, "%s.%s", s.step, s.metric);
        cli_csv_text(stdout, name, first && i == 0);
    }
    putchar('\n');
}

/* One row of names, one of values: what the last run measured. A point that is missing is left out of the plot. */
static void put_plot(const struct muster_past *p)
{
    struct muster_past_run r;
    struct muster_series s;
    struct muster_point point;
    size_t n = 0;

    while (muster_past_run(p, n, &r) == 0)
        n++;
    put_names(p, true);
    for (size_t i = 0; muster_past_series(p, i, &s) == 0; i++)
        cli_csv_number(stdout, muster_past_point(p, i, n - 1, &point) == 0 ? point.value : NAN, i == 0);
    putchar('\n');
}

/* A row a run that measured any of it; Otava takes "nan" for what is missing, and nothing for an empty field. */
static void put_otava(const struct muster_past *p)
{
    struct muster_past_run r;
    struct muster_series s;
    struct muster_point point;
    char text[32];

    fputs("time,run", stdout);
    put_names(p, false);
    for (size_t i = 0; muster_past_run(p, i, &r) == 0; i++) {
        bool any = false;
        for (size_t k = 0; !any && muster_past_series(p, k, &s) == 0; k++)
            any = muster_past_point(p, k, i, &point) == 0 && isfinite(point.value);
        if (!any)
            continue;
        cli_time_utc(text, r.run.started_ms);
        cli_csv_text(stdout, text, true);
        cli_csv_text(stdout, r.run.id, false);
        for (size_t k = 0; muster_past_series(p, k, &s) == 0; k++)
            if (muster_past_point(p, k, i, &point) == 0 && isfinite(point.value))
                cli_csv_number(stdout, point.value, false);
            else
                cli_csv_text(stdout, "nan", false);
        putchar('\n');
    }
}

int history_say_as(const struct muster_past *p, const char *server, enum cli_form form)
{
    if (form == CLI_JSON)
        put_json(p, server);
    else if (form == CLI_CSV)
        put_rows(p, server);
    else if (form == CLI_CSV_PLOT)
        put_plot(p);
    else
        put_otava(p);
    return 0;
}
