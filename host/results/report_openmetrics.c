/* report_openmetrics.c: a run as metrics for Prometheus: OpenMetrics text that is also text of the older format of Prometheus,
 * which the textfile collector of node_exporter reads. So there are gauges alone, no timestamps, no escapes in HELP, and a
 * unit is the end of its name.
 *
 * Every series carries the script's name, so that several scripts' files may lie in one folder; a server's and a step's
 * status is a label of a series that is 1. Names of servers, steps and metrics, and units, are labels, not parts of names:
 * nothing of them is lost. What is not printable in them has the escaped form that the log shows. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "results/clocale.h"
#include "results/results.h"

struct writer {
    struct mu_buf *out;
    struct mu_buf printable; /* at work */
    const char *family;
    bool labels; /* the series at work has some */
};

/* The bytes that end a label's value, or begin an escape in it, are doubled or escaped. */
static void label(struct writer *w, const char *name, const char *value, size_t len)
{
    mu_buf_clear(&w->printable);
    mu_buf_add_escaped(&w->printable, value, len);
    mu_buf_addf(w->out, "%s%s=\"", w->labels ? "," : "{", name);
    for (size_t i = 0; i < w->printable.len; i++) {
        char c = w->printable.data[i];
        if (c == '\\' || c == '"')
            mu_buf_addc(w->out, '\\');
        mu_buf_addc(w->out, c);
    }
    mu_buf_addc(w->out, '"');
    w->labels = true;
    w->out->failed = w->out->failed || w->printable.failed;
}

static void text_label(struct writer *w, const char *name, const char *value)
{
    label(w, name, value ? value : "", value ? strlen(value) : 0);
}

static void value(struct writer *w, double v)
{
    mu_buf_adds(w->out, w->labels ? "} " : " ");
    if (isfinite(v))
        mu_buf_add_number(w->out, v);
    else
        mu_buf_adds(w->out, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
    mu_buf_addc(w->out, '\n');
}

static void family(struct writer *w, const char *name, const char *unit, const char *help)
{
    w->family = name;
    mu_buf_addf(w->out, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
    if (unit)
        mu_buf_addf(w->out, "# UNIT %s %s\n", name, unit);
}

/* "cpu" of "scripts/cpu.lua". */
static void series(struct writer *w, const struct mu_run_result *r)
{
    const char *slash = r->script ? strrchr(r->script, '/') : NULL, *base = slash ? slash + 1 : r->script ? r->script : "";
    size_t n = strlen(base);
    mu_buf_adds(w->out, w->family);
    w->labels = false;
    label(w, "script", base, n > 4 && !strcmp(base + n - 4, ".lua") ? n - 4 : n);
}

static void server_series(struct writer *w, const struct mu_run_result *r, const struct mu_task_result *t)
{
    series(w, r);
    text_label(w, "server", t->server_id);
}

static void write_run(struct writer *w, const struct mu_run_result *r)
{
    family(w, "muster_run_info", NULL, "The run that this file tells of; 1.");
    series(w, r);
    text_label(w, "run_id", r->run_id);
    value(w, 1);
    family(w, "muster_run_start_timestamp_seconds", "seconds", "When the run began, since the epoch.");
    series(w, r);
    value(w, (double)r->started_ms / 1000);
    family(w, "muster_run_duration_seconds", "seconds", "How long the run took.");
    series(w, r);
    value(w, (double)r->duration_ms / 1000);
    family(w, "muster_run_exit_code", NULL, "How the run ended: 0 is that all servers passed.");
    series(w, r);
    value(w, mu_run_result_exit_code(r));
    family(w, "muster_run_servers", NULL, "Servers of the run by what became of them.");
    for (int s = MU_ST_FAILED; s <= MU_ST_SKIPPED; s++) {
        series(w, r);
        text_label(w, "status", mu_status_name((enum mu_status)s));
        value(w, (double)mu_run_result_count(r, (enum mu_status)s));
    }
}

static void write_servers(struct writer *w, const struct mu_run_result *r)
{
    family(w, "muster_server_status", NULL, "What became of a server; 1.");
    for (size_t i = 0; i < r->n_tasks; i++) {
        server_series(w, r, &r->tasks[i]);
        text_label(w, "status", mu_status_name(r->tasks[i].status));
        value(w, 1);
    }
    family(w, "muster_server_duration_seconds", "seconds", "How long a server took.");
    for (size_t i = 0; i < r->n_tasks; i++) {
        if (!r->tasks[i].finished)
            continue;
        server_series(w, r, &r->tasks[i]);
        value(w, (double)r->tasks[i].duration_ms / 1000);
    }
    family(w, "muster_server_mark", NULL, "What became of marking a server as broken, of those that were to be marked; 1.");
    for (size_t i = 0; i < r->n_tasks; i++) {
        if (r->tasks[i].mark.state == MU_MARK_NONE)
            continue;
        server_series(w, r, &r->tasks[i]);
        text_label(w, "mark", mu_mark_state_name(r->tasks[i].mark.state));
        value(w, 1);
    }
    family(w, "muster_server_left_behind", NULL, "Servers on which an installation of the run may still be; 1.");
    for (size_t i = 0; i < r->n_tasks; i++) {
        if (!r->tasks[i].left_behind)
            continue;
        server_series(w, r, &r->tasks[i]);
        value(w, 1);
    }
}

static void write_steps(struct writer *w, const struct mu_run_result *r, bool durations)
{
    for (size_t i = 0; i < r->n_tasks; i++) {
        for (size_t k = 0; k < r->tasks[i].n_steps; k++) {
            const struct mu_step_result *s = &r->tasks[i].steps[k];
            server_series(w, r, &r->tasks[i]);
            text_label(w, "step", s->name);
            if (!durations)
                text_label(w, "status", mu_status_name(s->status));
            value(w, durations ? (double)s->duration_ms / 1000 : 1);
        }
    }
}

enum of_metric { VALUE, PASSED, MIN, MAX };

static bool has(const struct mu_metric *m, enum of_metric what, double *v)
{
    *v = what == VALUE ? m->value : what == PASSED ? m->judgement == MU_PASSED : what == MIN ? m->th.min : m->th.max;
    return what == VALUE || (m->judgement != MU_UNJUDGED && (what == PASSED || (what == MIN ? m->th.has_min : m->th.has_max)));
}

static void write_metrics(struct writer *w, const struct mu_run_result *r, enum of_metric what)
{
    double v;
    for (size_t i = 0; i < r->n_tasks; i++) {
        for (size_t k = 0; k < r->tasks[i].n_steps; k++) {
            const struct mu_step_result *s = &r->tasks[i].steps[k];
            for (size_t j = 0; j < s->n_metrics; j++) {
                if (!has(&s->metrics[j], what, &v))
                    continue;
                server_series(w, r, &r->tasks[i]);
                text_label(w, "step", s->name);
                text_label(w, "metric", s->metrics[j].name);
                text_label(w, "unit", s->metrics[j].unit);
                value(w, v);
            }
        }
    }
}

void mu_report_openmetrics(const struct mu_run_result *r, struct mu_buf *out)
{
    struct mu_clocale locale = mu_clocale_enter();
    struct writer w = {.out = out};
    write_run(&w, r);
    write_servers(&w, r);
    family(&w, "muster_step_status", NULL, "What became of a step on a server; 1.");
    write_steps(&w, r, false);
    family(&w, "muster_step_duration_seconds", "seconds", "How long a step took on a server.");
    write_steps(&w, r, true);
    family(&w, "muster_metric_value", NULL, "What a step measured; of several samples the median.");
    write_metrics(&w, r, VALUE);
    family(&w, "muster_metric_passed", NULL, "Whether it met its thresholds, where it has some: 1, or 0.");
    write_metrics(&w, r, PASSED);
    family(&w, "muster_metric_threshold_min", NULL, "The least that passes.");
    write_metrics(&w, r, MIN);
    family(&w, "muster_metric_threshold_max", NULL, "The most that passes.");
    write_metrics(&w, r, MAX);
    mu_buf_adds(out, "# EOF\n");
    mu_buf_free(&w.printable);
    mu_clocale_leave(locale);
}
