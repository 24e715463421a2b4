/* report_otlp.c: a run as metrics of OpenTelemetry: a file of JSON lines as the file exporter of its protocol writes it, each
 * line a MetricsData, the first of the run, then one of each server:
 *
 *   {"resourceMetrics":[{"resource":{"attributes":[service.name, muster.run.id, muster.script, host.name]},
 *     "scopeMetrics":[{"scope":{"name":"muster"},"metrics":[
 *       {"name":"muster.cpu.score","unit":"fps","gauge":{"dataPoints":[{"attributes":[step, metric, judgement],
 *         "startTimeUnixNano":"…","timeUnixNano":"…","asDouble":82}]}}, …]}]}]}
 *
 * As that encoding wants it, integers of 64 bits are strings, and so are NaN and Infinity. A metric's name has letters,
 * digits and _ . - / alone, others become _; step and metric as they are called are attributes. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "results/clocale.h"
#include "results/results.h"

enum { NAME_MAX_BYTES = 255 };

struct writer {
    struct mu_buf *out;
    bool some_metric, some_attribute;
};

static void text(struct writer *w, const char *s) { mu_buf_add_json(w->out, s ? s : "", s ? strlen(s) : 0); }

static void attribute(struct writer *w, const char *key, const char *value)
{
    mu_buf_addf(w->out, "%s{\"key\":\"%s\",\"value\":{\"stringValue\":", w->some_attribute ? "," : "", key);
    text(w, value);
    mu_buf_adds(w->out, "}}");
    w->some_attribute = true;
}

static void begin_line(struct writer *w, const struct mu_run_result *r, const char *server)
{
    w->some_attribute = w->some_metric = false;
    mu_buf_adds(w->out, "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[");
    attribute(w, "service.name", "muster");
    attribute(w, "muster.run.id", r->run_id);
    attribute(w, "muster.script", r->script);
    if (server)
        attribute(w, "host.name", server);
    mu_buf_adds(w->out, "]},\"scopeMetrics\":[{\"scope\":{\"name\":\"muster\"},\"metrics\":[");
}

static void end_line(struct writer *w) { mu_buf_adds(w->out, "]}]}]}\n"); }

/* first, second: "cpu" and "score"; parts of the name. */
static void begin_metric(struct writer *w, const char *first, const char *second, const char *unit)
{
    char name[NAME_MAX_BYTES + 1];
    size_t n = 0;
    const char *const parts[] = {"muster.", first, ".", second};
    for (size_t i = 0; i < 4; i++)
        for (const char *c = parts[i]; *c && n < NAME_MAX_BYTES; c++)
            name[n++] = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("_.-/", *c)
                            ? *c
                            : '_';
    name[n] = '\0';
    mu_buf_addf(w->out, "%s{\"name\":\"%s\"", w->some_metric ? "," : "", name);
    if (unit && *unit) {
        mu_buf_adds(w->out, ",\"unit\":");
        text(w, unit);
    }
    mu_buf_adds(w->out, ",\"gauge\":{\"dataPoints\":[");
    w->some_metric = true;
}

static void end_metric(struct writer *w) { mu_buf_adds(w->out, "]}}"); }

static void begin_point(struct writer *w, bool first)
{
    mu_buf_addf(w->out, "%s{\"attributes\":[", first ? "" : ",");
    w->some_attribute = false;
}

static void end_point(struct writer *w, int64_t started_ms, uint64_t duration_ms, double v)
{
    mu_buf_adds(w->out, "],");
    if (started_ms > 0)
        mu_buf_addf(w->out, "\"startTimeUnixNano\":\"%" PRId64 "000000\",\"timeUnixNano\":\"%" PRId64 "000000\",", started_ms,
                    started_ms + (int64_t)duration_ms);
    mu_buf_adds(w->out, "\"asDouble\":");
    if (isfinite(v))
        mu_buf_add_number(w->out, v);
    else
        mu_buf_adds(w->out, isnan(v) ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    mu_buf_addc(w->out, '}');
}

static void write_run(struct writer *w, const struct mu_run_result *r)
{
    begin_line(w, r, NULL);
    begin_metric(w, "run", "duration", "s");
    begin_point(w, true);
    end_point(w, r->started_ms, r->duration_ms, (double)r->duration_ms / 1000);
    end_metric(w);
    begin_metric(w, "run", "exit_code", NULL);
    begin_point(w, true);
    end_point(w, r->started_ms, r->duration_ms, mu_run_result_exit_code(r));
    end_metric(w);
    begin_metric(w, "run", "servers", "{server}");
    for (int s = MU_ST_FAILED; s <= MU_ST_SKIPPED; s++) {
        begin_point(w, s == MU_ST_FAILED);
        attribute(w, "status", mu_status_name((enum mu_status)s));
        end_point(w, r->started_ms, r->duration_ms, (double)mu_run_result_count(r, (enum mu_status)s));
    }
    end_metric(w);
    end_line(w);
}

static void write_steps(struct writer *w, const struct mu_task_result *t)
{
    if (!t->n_steps)
        return;
    begin_metric(w, "step", "duration", "s");
    for (size_t i = 0; i < t->n_steps; i++) {
        const struct mu_step_result *s = &t->steps[i];
        begin_point(w, i == 0);
        attribute(w, "step", s->name);
        attribute(w, "status", mu_status_name(s->status));
        end_point(w, s->started_ms, s->duration_ms, (double)s->duration_ms / 1000);
    }
    end_metric(w);
}

static void write_metric(struct writer *w, const struct mu_step_result *s, const struct mu_metric *m)
{
    static const char *const judgements[] = {[MU_UNJUDGED] = "unjudged", [MU_PASSED] = "passed", [MU_MISSED] = "missed"};
    begin_metric(w, s->name, m->name, m->unit);
    begin_point(w, true);
    attribute(w, "step", s->name);
    attribute(w, "metric", m->name);
    attribute(w, "judgement", judgements[m->judgement]);
    end_point(w, s->started_ms, s->duration_ms, m->value);
    end_metric(w);
}

static void write_server(struct writer *w, const struct mu_run_result *r, const struct mu_task_result *t)
{
    begin_line(w, r, t->server_id);
    begin_metric(w, "server", "duration", "s");
    begin_point(w, true);
    attribute(w, "status", mu_status_name(t->status));
    if (t->mark.state != MU_MARK_NONE)
        attribute(w, "mark", mu_mark_state_name(t->mark.state));
    end_point(w, t->started_ms ? t->started_ms : r->started_ms, t->duration_ms, (double)t->duration_ms / 1000);
    end_metric(w);
    write_steps(w, t);
    for (size_t i = 0; i < t->n_steps; i++)
        for (size_t k = 0; k < t->steps[i].n_metrics; k++)
            write_metric(w, &t->steps[i], &t->steps[i].metrics[k]);
    end_line(w);
}

void mu_report_otlp(const struct mu_run_result *r, struct mu_buf *out)
{
    struct mu_clocale locale = mu_clocale_enter();
    struct writer w = {.out = out};
    write_run(&w, r);
    for (size_t i = 0; i < r->n_tasks; i++)
        write_server(&w, r, &r->tasks[i]);
    mu_clocale_leave(locale);
}
