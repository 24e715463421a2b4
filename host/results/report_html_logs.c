/* The parts of a page that are read only when somebody looks at one server: logs, and former runs. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "results/report_html.h"

/* So much of logs a page has; beyond it a browser would be slow, and what passed is left out first. */
enum { LOGS_BYTES = 16 << 20 };

static bool is_wanted(const struct mu_task_result *t, bool passed)
{
    return (t->status == MU_ST_PASSED || t->status == MU_ST_SKIPPED) == passed;
}

static bool has_log(const struct mu_task_result *t)
{
    bool any = false;
    for (size_t i = 0; i < t->n_steps; i++)
        any = any || t->steps[i].log.len;
    return any;
}

/* [[SERVER, [[step, log or null: left out, its bytes] …]] …] */
void mu_html_logs(const struct mu_run_result *r, struct mu_buf *out)
{
    size_t used = 0;
    const char *comma = "";
    mu_buf_addc(out, '[');
    for (int passed = 0; passed < 2; passed++)
        for (size_t i = 0; i < r->n_tasks; i++) {
            const struct mu_task_result *t = &r->tasks[i];
            const char *inner = "";
            if (!is_wanted(t, passed) || !has_log(t))
                continue;
            mu_buf_addf(out, "%s[%zu,[", comma, i);
            comma = ",\n";
            for (size_t k = 0; k < t->n_steps; k++) {
                const struct mu_buf *log = &t->steps[k].log;
                if (!log->len)
                    continue;
                mu_buf_adds(out, inner);
                mu_buf_addc(out, '[');
                mu_buf_add_json(out, t->steps[k].name, strlen(t->steps[k].name));
                mu_buf_addc(out, ',');
                bool fits = log->len <= LOGS_BYTES - used;
                if (fits)
                    mu_buf_add_json(out, mu_buf_cstr(log), log->len);
                else
                    mu_buf_adds(out, "null");
                used += fits ? log->len : 0;
                mu_buf_addf(out, ",%zu]", log->len);
                inner = ",";
            }
            mu_buf_adds(out, "]]");
        }
    mu_buf_addc(out, ']');
}

static void add_value(struct mu_buf *out, double v)
{
    if (isfinite(v))
        mu_buf_addf(out, "%.6g", v);
    else
        mu_buf_adds(out, "null");
}

/* One metric in one run: [METRIC, RUN, [SERVER …], [value …]]; null for the servers: of all, in order. */
static void add_values(const struct mu_trail_value *v, size_t n, size_t n_tasks, const struct mu_columns *c, struct mu_buf *out)
{
    bool dense = n * 2 >= n_tasks;
    mu_buf_addf(out, "[%zu,%zu,%s", c->metrics[v->column].shown, v->run, dense ? "null,[" : "[");
    for (size_t i = 0; i < n && !dense; i++)
        mu_buf_addf(out, "%s%zu", i ? "," : "", v[i].task);
    mu_buf_adds(out, dense ? "" : "],[");
    for (size_t task = 0, i = 0; dense ? task < n_tasks : i < n; task++) {
        mu_buf_adds(out, task ? "," : "");
        if (dense && (i == n || v[i].task != task))
            mu_buf_adds(out, "null");
        else
            add_value(out, v[i++].value);
    }
    mu_buf_adds(out, "]]");
}

/* {"runs": [[id, started] …], "shortened": false, "values": […]} */
void mu_html_past(const struct mu_trail *past, const struct mu_columns *c, size_t n_tasks, struct mu_buf *out)
{
    mu_buf_adds(out, "{\"runs\":[");
    for (size_t i = 0; i < past->n_runs; i++) {
        mu_buf_adds(out, i ? ",[" : "[");
        mu_buf_add_json(out, past->runs[i].run_id, strlen(past->runs[i].run_id));
        mu_buf_addf(out, ",%" PRId64 "]", past->runs[i].started_ms);
    }
    mu_buf_addf(out, "],\"shortened\":%s,\"values\":[", past->shortened ? "true" : "false");
    for (size_t first = 0, end; first < past->n_values; first = end) {
        const struct mu_trail_value *v = &past->values[first];
        for (end = first; end < past->n_values && past->values[end].column == v->column && past->values[end].run == v->run;)
            end++;
        mu_buf_adds(out, first ? ",\n" : "");
        add_values(v, end - first, n_tasks, c, out);
    }
    mu_buf_adds(out, "]}");
}
