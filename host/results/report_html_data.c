/* What the page of a run is told, as JSON.
 *
 * {"run": {…}, "statuses": ["failed", …],                 a status is an index of it, one digit
 *  "rows": [[STATUS, cause, nodes, [SERVER …]] …], "lines": [the summary's other lines],
 *  "servers": {"id": […], "status": "0515…", "start": [ms after the run began, or null], "ms": […], "worker": […] or null},
 *  "steps": [{"name": S, CELLS, "status": "05…", "start": […], "ms": […]} …],
 *  "metrics": [{"step": S, "name": S, "unit": S, CELLS, "v": [number, "nan", "inf" or "-inf", …],
 *               "judged": "0…": not, passed, missed; "peers": the same and not judged; "rules": [RULE …], "rule": [of each],
 *               "samples": [[…] …], where somebody has some} …],
 *  "notes": [[SERVER, {"failures": [[STATUS, type, where, metric, message] …], "mark": [state, reason, note],
 *                      "unended": […], "claim": S, "steps": [[name, measured, earlier] …]}] …]}
 *
 * A SERVER is an index. CELLS: "i": [SERVER …], of whom the arrays are; not there: of all servers, in order. */
#include "results/report_html.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/summary.h"

static void add_text(struct mu_buf *out, const char *text)
{
    if (text)
        mu_buf_add_json(out, text, strlen(text));
    else
        mu_buf_adds(out, "null");
}

static void add_key(struct mu_buf *out, const char *key, const char *text)
{
    mu_buf_addf(out, "\"%s\":", key);
    add_text(out, text);
}

static void add_number(struct mu_buf *out, double v)
{
    mu_buf_adds(out, isfinite(v) ? "" : "\"");
    mu_buf_add_number(out, v);
    mu_buf_adds(out, isfinite(v) ? "" : "\"");
}

static void add_ms(struct mu_buf *out, const struct mu_run_result *r, int64_t started_ms)
{
    if (started_ms)
        mu_buf_addf(out, "%" PRId64, started_ms - r->started_ms);
    else
        mu_buf_adds(out, "null");
}

/* ---- the run ---- */

static void add_run(const struct mu_run_result *r, const struct mu_trail *past, struct mu_buf *out)
{
    mu_buf_adds(out, "\"run\":{");
    add_key(out, "id", r->run_id);
    mu_buf_addc(out, ',');
    add_key(out, "script", r->script);
    mu_buf_addc(out, ',');
    add_key(out, "description", r->description);
    mu_buf_addf(out, ",\"started\":%" PRId64 ",\"ms\":%" PRIu64 ",\"signal\":%d,\"interrupted\":%s,\"dry_run\":%s,\"exit_code\":%d,",
                r->started_ms, r->duration_ms, r->signal, r->interrupted ? "true" : "false", r->dry_run ? "true" : "false",
                mu_run_result_exit_code(r));
    add_key(out, "after_all", r->after_all);
    const char *const more[][2] = {{"state", past->state}, {"version", past->version},   {"host", past->host},
                                   {"owner", past->owner}, {"params", past->params}, {"thresholds", past->thresholds}};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        mu_buf_addc(out, ',');
        add_key(out, more[i][0], more[i][1]);
    }
    mu_buf_adds(out, "},\n\"statuses\":[");
    for (int s = MU_ST_FAILED; s <= MU_ST_SKIPPED; s++)
        mu_buf_addf(out, "%s\"%s\"", s ? "," : "", mu_status_name((enum mu_status)s));
    mu_buf_addc(out, ']');
}

struct rows {
    struct mu_buf *out;
    size_t n;
};

static void add_row(void *arg, const struct mu_summary_row *row)
{
    struct rows *rows = arg;
    mu_buf_addf(rows->out, "%s[%d,", rows->n++ ? ",\n" : "", (int)row->status);
    add_text(rows->out, row->cause);
    mu_buf_addc(rows->out, ',');
    add_text(rows->out, row->nodes);
    for (size_t i = 0; i < row->n_servers; i++)
        mu_buf_addf(rows->out, "%s%zu", i ? "," : ",[", row->servers[i]);
    mu_buf_adds(rows->out, "]]");
}

/* The table's rows, then the summary without them. */
static void add_summary(const struct mu_run_result *r, struct mu_buf *out)
{
    struct rows rows = {out, 0};
    struct mu_buf text = MU_BUF_INIT;
    mu_buf_adds(out, ",\n\"rows\":[");
    out->failed = mu_summary_each_row(r, add_row, &rows) || out->failed;
    mu_buf_adds(out, "],\n\"lines\":[");
    mu_summary_write(r, false, &text);
    const char *line = mu_buf_cstr(&text);
    for (size_t i = 0; *line; i++) {
        size_t len = strcspn(line, "\n");
        if (i >= rows.n) {
            mu_buf_adds(out, i > rows.n ? "," : "");
            mu_buf_add_json(out, line, len);
        }
        line += len + (line[len] == '\n');
    }
    mu_buf_addc(out, ']');
    out->failed = out->failed || text.failed;
    mu_buf_free(&text);
}

static void add_servers(const struct mu_run_result *r, const struct mu_trail *past, struct mu_buf *out)
{
    mu_buf_adds(out, ",\n\"servers\":{\"id\":[");
    for (size_t i = 0; i < r->n_tasks; i++) {
        mu_buf_adds(out, i ? "," : "");
        add_text(out, r->tasks[i].server_id);
    }
    mu_buf_adds(out, "],\n\"status\":\"");
    for (size_t i = 0; i < r->n_tasks; i++)
        mu_buf_addc(out, (char)('0' + (int)r->tasks[i].status));
    mu_buf_adds(out, "\",\n\"start\":[");
    for (size_t i = 0; i < r->n_tasks; i++) {
        mu_buf_adds(out, i ? "," : "");
        add_ms(out, r, r->tasks[i].dealt ? r->tasks[i].started_ms : 0);
    }
    mu_buf_adds(out, "],\n\"ms\":[");
    for (size_t i = 0; i < r->n_tasks; i++)
        mu_buf_addf(out, "%s%" PRIu64, i ? "," : "", r->tasks[i].duration_ms);
    mu_buf_adds(out, past->workers ? "],\n\"worker\":[" : "],\n\"worker\":null");
    for (size_t i = 0; past->workers && i < r->n_tasks; i++)
        mu_buf_addf(out, "%s%d", i ? "," : "", past->workers[i]);
    mu_buf_adds(out, past->workers ? "]}" : "}");
}

/* ---- columns ---- */

/* Whether an array has a place for every server, or is of those alone that have a value: so its size is linear in these. */
static bool is_dense(size_t n, size_t n_tasks) { return n * 2 >= n_tasks; }

static void add_indexes(const struct mu_column *c, const struct mu_run_result *r, struct mu_buf *out)
{
    if (is_dense(c->n, r->n_tasks))
        return;
    for (size_t i = 0; i < c->n; i++)
        mu_buf_addf(out, "%s%zu", i ? "," : ",\"i\":[", c->cells[i].task);
    mu_buf_addc(out, ']');
}

typedef void add_cell_fn(const struct mu_run_result *r, const struct mu_cell *cell, struct mu_buf *out);

/* One array, or with separator "" one string, of all cells of a column. */
static void add_cells(const struct mu_column *c, const struct mu_run_result *r, const char *separator, const char *none,
                      add_cell_fn *fn, struct mu_buf *out)
{
    bool dense = is_dense(c->n, r->n_tasks);
    for (size_t task = 0, i = 0; dense ? task < r->n_tasks : i < c->n; task++) {
        mu_buf_adds(out, dense ? (task ? separator : "") : (i ? separator : ""));
        if (dense && (i == c->n || c->cells[i].task != task))
            mu_buf_adds(out, none);
        else
            fn(r, &c->cells[i++], out);
    }
}

static const struct mu_step_result *step_of(const struct mu_run_result *r, const struct mu_cell *cell)
{
    return &r->tasks[cell->task].steps[cell->step];
}

static const struct mu_metric *metric_of(const struct mu_run_result *r, const struct mu_cell *cell)
{
    return &step_of(r, cell)->metrics[cell->at];
}

static void add_step_status(const struct mu_run_result *r, const struct mu_cell *cell, struct mu_buf *out)
{
    mu_buf_addc(out, (char)('0' + (int)step_of(r, cell)->status));
}

static void add_step_start(const struct mu_run_result *r, const struct mu_cell *cell, struct mu_buf *out)
{
    add_ms(out, r, step_of(r, cell)->started_ms);
}

static void add_step_ms(const struct mu_run_result *r, const struct mu_cell *cell, struct mu_buf *out)
{
    mu_buf_addf(out, "%" PRIu64, step_of(r, cell)->duration_ms);
}

static void add_step(const struct mu_column *c, const struct mu_run_result *r, struct mu_buf *out)
{
    mu_buf_addc(out, '{');
    add_key(out, "name", c->step);
    add_indexes(c, r, out);
    mu_buf_adds(out, ",\"status\":\"");
    add_cells(c, r, "", "-", add_step_status, out);
    mu_buf_adds(out, "\",\"start\":[");
    add_cells(c, r, ",", "null", add_step_start, out);
    mu_buf_adds(out, "],\"ms\":[");
    add_cells(c, r, ",", "null", add_step_ms, out);
    mu_buf_adds(out, "]}");
}

static void add_value(const struct mu_run_result *r, const struct mu_cell *cell, struct mu_buf *out)
{
    add_number(out, metric_of(r, cell)->value);
}

static void add_judged(const struct mu_run_result *r, const struct mu_cell *cell, struct mu_buf *out)
{
    mu_buf_addc(out, (char)('0' + (int)metric_of(r, cell)->judgement));
}

static void add_peers(const struct mu_run_result *r, const struct mu_cell *cell, struct mu_buf *out)
{
    mu_buf_addc(out, (char)('0' + (int)metric_of(r, cell)->peers.state));
}

static void add_samples(const struct mu_run_result *r, const struct mu_cell *cell, struct mu_buf *out)
{
    const struct mu_metric *m = metric_of(r, cell);
    mu_buf_addc(out, '[');
    for (size_t i = 0; i < m->n_samples; i++) {
        mu_buf_adds(out, i ? "," : "");
        add_number(out, m->samples[i]);
    }
    mu_buf_addc(out, ']');
}

static void add_amount(struct mu_buf *out, const char *key, const struct mu_amount *a)
{
    struct mu_buf text = MU_BUF_INIT;
    mu_amount_add(a, &text);
    mu_buf_addc(out, ',');
    add_key(out, key, a->kind == MU_AMOUNT_NONE ? NULL : mu_buf_cstr(&text));
    out->failed = out->failed || text.failed;
    mu_buf_free(&text);
}

static void add_rule(const struct mu_metric *m, struct mu_buf *out)
{
    const struct mu_threshold *th = &m->th;
    const char *comma = "";
    mu_buf_addc(out, '{');
    if (th->has_min) {
        mu_buf_addf(out, "\"min_open\":%s,\"min\":", th->min_open ? "true" : "false");
        add_number(out, th->min);
        comma = ",";
    }
    if (th->has_max) {
        mu_buf_addf(out, "%s\"max_open\":%s,\"max\":", comma, th->max_open ? "true" : "false");
        add_number(out, th->max);
        comma = ",";
    }
    if (th->has_reference) {
        mu_buf_addf(out, "%s\"reference\":", comma);
        add_number(out, th->reference);
        add_amount(out, "lower", &th->lower);
        add_amount(out, "upper", &th->upper);
        comma = ",";
    }
    if (th->peers.on) {
        mu_buf_addf(out, "%s\"peers\":{\"n\":%zu,\"median\":", comma, m->peers.n);
        bool judged = m->peers.state == MU_PEERS_PASSED || m->peers.state == MU_PEERS_MISSED;
        add_number(out, judged ? m->peers.median : (double)NAN);
        mu_buf_addc(out, ',');
        add_key(out, "group_by", th->peers.group_by);
        mu_buf_addc(out, ',');
        add_key(out, "group", m->peers.group);
        add_amount(out, "drop", &th->peers.drop);
        add_amount(out, "rise", &th->peers.rise);
        mu_buf_addc(out, ',');
        add_key(out, "note", m->peers.note);
        mu_buf_addc(out, '}');
    }
    mu_buf_addc(out, '}');
}

/* Rules, each once or nearly so: a new one is compared with the last few, so that the time is linear. */
struct rules {
    struct mu_buf list; /* JSON, a NUL behind each */
    size_t recent[16], recent_index[16];
    size_t n, next;
    struct mu_buf one;
};

static size_t rule_index(struct rules *rules, const struct mu_metric *m)
{
    enum { KEEP = sizeof rules->recent / sizeof *rules->recent };
    mu_buf_clear(&rules->one);
    add_rule(m, &rules->one);
    for (size_t i = 0; i < KEEP && i < rules->n; i++)
        if (!strcmp(mu_buf_cstr(&rules->list) + rules->recent[i], mu_buf_cstr(&rules->one)))
            return rules->recent_index[i];
    rules->recent[rules->next] = rules->list.len;
    rules->recent_index[rules->next] = rules->n;
    rules->next = (rules->next + 1) % KEEP;
    mu_buf_add(&rules->list, mu_buf_cstr(&rules->one), rules->one.len + 1);
    return rules->n++;
}

static void add_rules(const struct mu_column *c, const struct mu_run_result *r, struct mu_buf *out)
{
    struct rules rules = {.n = 0};
    struct mu_buf which = MU_BUF_INIT;
    bool dense = is_dense(c->n, r->n_tasks);
    for (size_t task = 0, i = 0; (dense ? task < r->n_tasks : i < c->n) && !rules.list.failed && !rules.one.failed; task++) {
        mu_buf_adds(&which, which.len ? "," : "");
        if (dense && (i == c->n || c->cells[i].task != task))
            mu_buf_adds(&which, "null");
        else
            mu_buf_addf(&which, "%zu", rule_index(&rules, metric_of(r, &c->cells[i++])));
    }
    mu_buf_adds(out, ",\"rules\":[");
    const char *at = mu_buf_cstr(&rules.list);
    for (size_t i = 0; i < rules.n && !rules.list.failed && !rules.one.failed; i++, at += strlen(at) + 1) {
        mu_buf_adds(out, i ? "," : "");
        mu_buf_adds(out, at);
    }
    mu_buf_adds(out, rules.n > 1 ? "],\"rule\":[" : "],\"rule\":null");
    if (rules.n > 1) {
        mu_buf_adds(out, mu_buf_cstr(&which));
        mu_buf_addc(out, ']');
    }
    out->failed = out->failed || rules.list.failed || rules.one.failed || which.failed;
    mu_buf_free(&rules.list);
    mu_buf_free(&rules.one);
    mu_buf_free(&which);
}

static void add_metric(const struct mu_column *c, const struct mu_run_result *r, struct mu_buf *out)
{
    const char *unit = NULL;
    bool peers = false, samples = false;
    for (size_t i = 0; i < c->n; i++) {
        const struct mu_metric *m = metric_of(r, &c->cells[i]);
        unit = unit ? unit : m->unit;
        peers = peers || m->th.peers.on;
        samples = samples || m->n_samples;
    }
    mu_buf_addc(out, '{');
    add_key(out, "step", c->step);
    mu_buf_addc(out, ',');
    add_key(out, "name", c->metric);
    mu_buf_addc(out, ',');
    add_key(out, "unit", unit);
    add_indexes(c, r, out);
    mu_buf_adds(out, ",\"v\":[");
    add_cells(c, r, ",", "null", add_value, out);
    mu_buf_adds(out, "],\"judged\":\"");
    add_cells(c, r, "", "-", add_judged, out);
    mu_buf_addc(out, '"');
    if (peers) {
        mu_buf_adds(out, ",\"peers\":\"");
        add_cells(c, r, "", "-", add_peers, out);
        mu_buf_addc(out, '"');
    }
    if (samples) {
        mu_buf_adds(out, ",\"samples\":[");
        add_cells(c, r, ",", "null", add_samples, out);
        mu_buf_addc(out, ']');
    }
    add_rules(c, r, out);
    mu_buf_addc(out, '}');
}

/* Columns are sorted by name; they are shown in the script's order. */
static void add_columns(const struct mu_run_result *r, const struct mu_column *columns, size_t n,
                        void (*add)(const struct mu_column *, const struct mu_run_result *, struct mu_buf *),
                        struct mu_buf *out)
{
    const struct mu_column **shown = calloc(n ? n : 1, sizeof *shown);
    out->failed = out->failed || !shown;
    for (size_t i = 0; shown && i < n; i++)
        shown[columns[i].shown] = &columns[i];
    for (size_t i = 0; shown && i < n; i++) {
        mu_buf_adds(out, i ? ",\n" : "");
        add(shown[i], r, out);
    }
    free(shown);
}

/* ---- notes: what few servers have ---- */

static void add_failures(const struct mu_failure *failures, size_t n, const char **comma, struct mu_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        const struct mu_failure *f = &failures[i];
        mu_buf_addf(out, "%s[%d,", *comma, (int)f->status);
        add_text(out, f->type);
        mu_buf_addc(out, ',');
        add_text(out, f->where);
        mu_buf_addc(out, ',');
        add_text(out, f->metric);
        mu_buf_addc(out, ',');
        add_text(out, f->message ? f->message : f->cause);
        mu_buf_addc(out, ']');
        *comma = ",";
    }
}

static bool is_noted(const struct mu_task_result *t)
{
    bool noted = t->n_failures || t->n_unended || t->mark.state != MU_MARK_NONE || t->claim;
    for (size_t i = 0; !noted && i < t->n_steps; i++)
        noted = t->steps[i].n_failures || t->steps[i].measured > 1 || t->steps[i].earlier;
    return noted;
}

static void add_note(const struct mu_task_result *t, struct mu_buf *out)
{
    const char *comma = "";
    mu_buf_adds(out, "{\"failures\":[");
    add_failures(t->failures, t->n_failures, &comma, out);
    for (size_t i = 0; i < t->n_steps; i++)
        add_failures(t->steps[i].failures, t->steps[i].n_failures, &comma, out);
    mu_buf_addc(out, ']');
    if (t->mark.state != MU_MARK_NONE) {
        mu_buf_addf(out, ",\"mark\":[\"%s\",", mu_mark_state_name(t->mark.state));
        add_text(out, t->mark.reason);
        mu_buf_addc(out, ',');
        add_text(out, t->mark.note);
        mu_buf_addc(out, ']');
    }
    for (size_t i = 0; i < t->n_unended; i++) {
        mu_buf_adds(out, i ? "," : ",\"unended\":[");
        add_text(out, t->unended[i]);
    }
    mu_buf_adds(out, t->n_unended ? "]," : ",");
    add_key(out, "claim", t->left_behind && !t->claim ? "" : t->claim);
    mu_buf_adds(out, ",\"steps\":[");
    comma = "";
    for (size_t i = 0; i < t->n_steps; i++) {
        if (t->steps[i].measured < 2 && !t->steps[i].earlier)
            continue;
        mu_buf_adds(out, comma);
        mu_buf_addc(out, '[');
        add_text(out, t->steps[i].name);
        mu_buf_addf(out, ",%u,", t->steps[i].measured);
        add_text(out, t->steps[i].earlier);
        mu_buf_addc(out, ']');
        comma = ",";
    }
    mu_buf_adds(out, "]}");
}

void mu_html_data(const struct mu_run_result *r, const struct mu_columns *c, const struct mu_trail *past, struct mu_buf *out)
{
    const char *comma = "";
    mu_buf_addc(out, '{');
    add_run(r, past, out);
    add_summary(r, out);
    add_servers(r, past, out);
    mu_buf_adds(out, ",\n\"steps\":[");
    add_columns(r, c->steps, c->n_steps, add_step, out);
    mu_buf_adds(out, "],\n\"metrics\":[");
    add_columns(r, c->metrics, c->n_metrics, add_metric, out);
    mu_buf_adds(out, "],\n\"notes\":[");
    for (size_t i = 0; i < r->n_tasks; i++) {
        if (!is_noted(&r->tasks[i]))
            continue;
        mu_buf_addf(out, "%s[%zu,", comma, i);
        add_note(&r->tasks[i], out);
        mu_buf_addc(out, ']');
        comma = ",\n";
    }
    mu_buf_adds(out, "]}");
}
