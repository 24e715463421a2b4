/* report_json.c: everything a run found out, as one JSON document with a newline at its end. Its shape, where T is a time
 * in UTC "2023-11-15T14:58:40.123Z" or null when there is none, and S is text or null:
 *
 * {"schema": 1,
 *  "run": {"id": S, "script": S, "description": S, "started": T, "duration_s": 12.345,
 *          "interrupted": false, "signal": null | 2 | 15, "exit_code": 1, "dry_run": false,
 *          "after_all": S},                     what went wrong in the hook after_all
 *  "counts": {"failed": 1, "error": 0, "timeout": 0, "unreachable": 0, "cancelled": 0, "passed": 9, "skipped": 0},
 *  "failed_servers": ["srv01"], "unmeasured_servers": [], "unfinished_servers": [],
 *  "marks": null | {"cap": 10, "said": "5%", "candidates": 1, "over": false},   null: the script marks nobody
 *  "marked_servers": ["srv01"], "kept_servers": [], "mark_failed_servers": [], "unmarked_servers": [],
 *  "left_behind_servers": [],
 *  "servers": [
 *    {"id": "srv01", "status": "failed", "started": T, "duration_s": 1.25, "dealt": true, "finished": true,
 *     "failures": [FAILURE …],          outside steps
 *     "unended": ["sysbench cpu run"],  commands that could not be confirmed ended
 *     "connect_retries": 2, "retried_connections": 1,   tries beyond the first; connections that were made by them
 *     "mark": null | {"state": "made" | "kept" | "failed" | "withheld", "reason": S, "note": S, "tries": 1},
 *     "left_behind": false, "claim": S, an installation that may still be there, and what is known of it
 *     "steps": [
 *       {"name": "cpu", "status": "failed", "started": T, "duration_s": 1.2,
 *        "metrics": {"events_per_second": {"value": 310.5, "unit": S, "judgement": "unjudged" | "passed" | "missed",
 *                    "threshold": null | {"min": 500 | null, "max": null, "min_open": false, "max_open": false}}},
 *                      and "samples": [81, 79, 82], "mad": 1 where it has them: value is their median,
 *                      and "reference": 100, "lower": "10%" | 5 | null, "upper": … where it has one: min and max follow it
 *                      and "peers": {"state": "passed" | "missed" | "not judged", "median": 100 | null, "noise": 4 | null,
 *                      "cohort": 48, "group_by": S, "group": S, "drop": "10%" | 5 | null, "rise": …, "note": S: why not}
 *                      where it is compared with its peers: it is missed below 90 and below 96
 *        "failures": [FAILURE …],
 *        "measured": 1, "earlier": S,   how often it ran, and what it came to before the last time
 *        "withheld": false,             true: skipped since it is destructive and that was not allowed
 *        "log": "…"}]}]}                what the step printed, "" when nothing
 *
 * FAILURE is {"status": "failed", "type": S, "where": S, "metric": S, "cause": S, "message": S}. A status is one of the
 * names under "counts"; the lists and servers are in inventory order, and complete. A number that JSON cannot say is null
 * and has its text beside it: {"value": null, "text": "inf", …}. Bytes that are not UTF-8 are U+FFFD. Fields may be added
 * without a new schema number; a reader skips those it does not know. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/clock.h"
#include "results/clocale.h"
#include "results/results.h"

static void add_text(struct mu_buf *out, const char *text)
{
    if (text)
        mu_buf_add_json(out, text, strlen(text));
    else
        mu_buf_adds(out, "null");
}

static void add_number(struct mu_buf *out, bool there, double v)
{
    if (there && isfinite(v))
        mu_buf_add_number(out, v);
    else
        mu_buf_adds(out, "null");
}

static void add_bool(struct mu_buf *out, const char *key, bool b)
{
    mu_buf_addf(out, ",\"%s\":%s", key, b ? "true" : "false");
}

static void add_times(struct mu_buf *out, int64_t started_ms, uint64_t duration_ms)
{
    char iso[MU_CLOCK_ISO_SIZE];
    mu_buf_adds(out, ",\"started\":");
    add_text(out, started_ms ? mu_clock_iso(started_ms, iso) : NULL);
    mu_buf_addf(out, ",\"duration_s\":%" PRIu64 ".%03u", duration_ms / 1000, (unsigned)(duration_ms % 1000));
}

static void add_failures(struct mu_buf *out, const struct mu_failure *failures, size_t n)
{
    mu_buf_adds(out, ",\"failures\":[");
    for (size_t i = 0; i < n; i++) {
        const struct mu_failure *f = &failures[i];
        mu_buf_addf(out, "%s{\"status\":\"%s\",\"type\":", i ? "," : "", mu_status_name(f->status));
        add_text(out, f->type);
        mu_buf_adds(out, ",\"where\":");
        add_text(out, f->where);
        mu_buf_adds(out, ",\"metric\":");
        add_text(out, f->metric);
        mu_buf_adds(out, ",\"cause\":");
        add_text(out, f->cause);
        mu_buf_adds(out, ",\"message\":");
        add_text(out, f->message);
        mu_buf_addc(out, '}');
    }
    mu_buf_addc(out, ']');
}

/* "10%" or 5 */
static void add_amount(struct mu_buf *out, const char *key, const struct mu_amount *a)
{
    mu_buf_addf(out, ",\"%s\":", key);
    if (a->kind == MU_AMOUNT_NONE) {
        mu_buf_adds(out, "null");
        return;
    }
    mu_buf_adds(out, a->kind == MU_AMOUNT_PERCENT ? "\"" : "");
    mu_buf_add_number(out, a->n);
    mu_buf_adds(out, a->kind == MU_AMOUNT_PERCENT ? "%\"" : "");
}

static void add_metric(struct mu_buf *out, const struct mu_metric *m)
{
    static const char *const judgements[] = {
        [MU_UNJUDGED] = "unjudged", [MU_PASSED] = "passed", [MU_MISSED] = "missed"};
    add_text(out, m->name);
    mu_buf_adds(out, ":{\"value\":");
    add_number(out, true, m->value);
    if (!isfinite(m->value)) {
        mu_buf_adds(out, ",\"text\":\"");
        mu_buf_add_number(out, m->value);
        mu_buf_addc(out, '"');
    }
    if (m->n_samples) {
        mu_buf_adds(out, ",\"samples\":[");
        for (size_t i = 0; i < m->n_samples; i++) {
            mu_buf_adds(out, i ? "," : "");
            mu_buf_add_number(out, m->samples[i]);
        }
        mu_buf_adds(out, "],\"mad\":");
        add_number(out, true, m->mad);
    }
    mu_buf_adds(out, ",\"unit\":");
    add_text(out, m->unit);
    mu_buf_addf(out, ",\"judgement\":\"%s\",\"threshold\":", judgements[m->judgement]);
    if (m->judgement == MU_UNJUDGED) {
        mu_buf_adds(out, "null");
        return;
    }
    mu_buf_adds(out, "{\"min\":");
    add_number(out, m->th.has_min, m->th.min);
    mu_buf_adds(out, ",\"max\":");
    add_number(out, m->th.has_max, m->th.max);
    add_bool(out, "min_open", m->th.min_open);
    add_bool(out, "max_open", m->th.max_open);
    if (m->th.has_reference) {
        mu_buf_adds(out, ",\"reference\":");
        mu_buf_add_number(out, m->th.reference);
        add_amount(out, "lower", &m->th.lower);
        add_amount(out, "upper", &m->th.upper);
    }
    mu_buf_addc(out, '}');
}

static void add_peers(struct mu_buf *out, const struct mu_metric *m)
{
    static const char *const states[] = {[MU_PEERS_NONE] = "not judged", [MU_PEERS_PASSED] = "passed",
                                         [MU_PEERS_MISSED] = "missed", [MU_PEERS_NOT_JUDGED] = "not judged"};
    const struct mu_peer_verdict *p = &m->peers;
    bool judged = p->state == MU_PEERS_PASSED || p->state == MU_PEERS_MISSED;
    mu_buf_addf(out, ",\"peers\":{\"state\":\"%s\",\"median\":", states[p->state]);
    add_number(out, judged, p->median);
    mu_buf_adds(out, ",\"noise\":");
    add_number(out, judged, p->noise);
    mu_buf_addf(out, ",\"cohort\":%zu,\"group_by\":", p->n);
    add_text(out, m->th.peers.group_by);
    mu_buf_adds(out, ",\"group\":");
    add_text(out, p->group);
    add_amount(out, "drop", &m->th.peers.drop);
    add_amount(out, "rise", &m->th.peers.rise);
    mu_buf_adds(out, ",\"note\":");
    add_text(out, p->note);
    mu_buf_addc(out, '}');
}

static void add_step(struct mu_buf *out, const struct mu_step_result *s)
{
    mu_buf_adds(out, "\n    {\"name\":");
    add_text(out, s->name);
    mu_buf_addf(out, ",\"status\":\"%s\"", mu_status_name(s->status));
    add_times(out, s->started_ms, s->duration_ms);
    mu_buf_adds(out, ",\"metrics\":{");
    for (size_t i = 0; i < s->n_metrics; i++) {
        mu_buf_adds(out, i ? "," : "");
        add_metric(out, &s->metrics[i]);
        if (s->metrics[i].th.peers.on)
            add_peers(out, &s->metrics[i]);
        mu_buf_addc(out, '}');
    }
    mu_buf_addc(out, '}');
    add_failures(out, s->failures, s->n_failures);
    mu_buf_addf(out, ",\"measured\":%u,\"earlier\":", s->measured);
    add_text(out, s->earlier);
    add_bool(out, "withheld", s->withheld);
    mu_buf_adds(out, ",\"log\":");
    mu_buf_add_json(out, mu_buf_cstr(&s->log), s->log.len);
    mu_buf_addc(out, '}');
}

static void add_mark(struct mu_buf *out, const struct mu_task_result *t)
{
    if (t->mark.state == MU_MARK_NONE) {
        mu_buf_adds(out, "null");
        return;
    }
    mu_buf_addf(out, "{\"state\":\"%s\",\"reason\":", mu_mark_state_name(t->mark.state));
    add_text(out, t->mark.reason);
    mu_buf_adds(out, ",\"note\":");
    add_text(out, t->mark.note);
    mu_buf_addf(out, ",\"tries\":%u}", t->mark.tries);
}

static void add_server(struct mu_buf *out, const struct mu_task_result *t)
{
    mu_buf_adds(out, "\n  {\"id\":");
    add_text(out, t->server_id);
    mu_buf_addf(out, ",\"status\":\"%s\"", mu_status_name(t->status));
    add_times(out, t->started_ms, t->duration_ms);
    add_bool(out, "dealt", t->dealt);
    add_bool(out, "finished", t->finished);
    add_failures(out, t->failures, t->n_failures);
    mu_buf_adds(out, ",\"unended\":[");
    for (size_t i = 0; i < t->n_unended; i++) {
        mu_buf_adds(out, i ? "," : "");
        add_text(out, t->unended[i]);
    }
    mu_buf_addf(out, "],\"connect_retries\":%u,\"retried_connections\":%u,\"mark\":", t->retries, t->retried);
    add_mark(out, t);
    add_bool(out, "left_behind", t->left_behind);
    mu_buf_adds(out, ",\"claim\":");
    add_text(out, t->claim);
    mu_buf_adds(out, ",\"steps\":[");
    for (size_t i = 0; i < t->n_steps; i++) {
        mu_buf_adds(out, i ? "," : "");
        add_step(out, &t->steps[i]);
    }
    mu_buf_adds(out, "]}");
}

static void add_list(struct mu_buf *out, const struct mu_run_result *r, const char *name,
                     bool (*member)(const struct mu_task_result *))
{
    const char *comma = "";
    mu_buf_addf(out, ",\n \"%s\":[", name);
    for (size_t i = 0; i < r->n_tasks; i++) {
        if (!member(&r->tasks[i]))
            continue;
        mu_buf_adds(out, comma);
        add_text(out, r->tasks[i].server_id);
        comma = ",";
    }
    mu_buf_addc(out, ']');
}

static bool is_made(const struct mu_task_result *t) { return t->mark.state == MU_MARK_MADE; }
static bool is_kept(const struct mu_task_result *t) { return t->mark.state == MU_MARK_KEPT; }
static bool is_not_made(const struct mu_task_result *t) { return t->mark.state == MU_MARK_FAILED; }
static bool is_withheld(const struct mu_task_result *t) { return t->mark.state == MU_MARK_WITHHELD; }
static bool is_left_behind(const struct mu_task_result *t) { return t->left_behind; }

static void add_marks(struct mu_buf *out, const struct mu_run_result *r)
{
    mu_buf_adds(out, ",\n \"marks\":");
    if (r->marks.said) {
        mu_buf_addf(out, "{\"cap\":%zu,\"said\":", r->marks.cap);
        add_text(out, r->marks.said);
        mu_buf_addf(out, ",\"candidates\":%zu", r->marks.candidates);
        add_bool(out, "over", r->marks.over);
        mu_buf_addc(out, '}');
    } else {
        mu_buf_adds(out, "null");
    }
    add_list(out, r, "marked_servers", is_made);
    add_list(out, r, "kept_servers", is_kept);
    add_list(out, r, "mark_failed_servers", is_not_made);
    add_list(out, r, "unmarked_servers", is_withheld);
    add_list(out, r, "left_behind_servers", is_left_behind);
}

void mu_report_json(const struct mu_run_result *r, struct mu_buf *out)
{
    struct mu_clocale locale = mu_clocale_enter();
    mu_buf_adds(out, "{\"schema\":1,\n \"run\":{\"id\":");
    add_text(out, r->run_id);
    mu_buf_adds(out, ",\"script\":");
    add_text(out, r->script);
    mu_buf_adds(out, ",\"description\":");
    add_text(out, r->description);
    add_times(out, r->started_ms, r->duration_ms);
    add_bool(out, "interrupted", r->interrupted);
    if (r->signal)
        mu_buf_addf(out, ",\"signal\":%d", r->signal);
    else
        mu_buf_adds(out, ",\"signal\":null");
    mu_buf_addf(out, ",\"exit_code\":%d", mu_run_result_exit_code(r));
    add_bool(out, "dry_run", r->dry_run);
    mu_buf_adds(out, ",\"after_all\":");
    add_text(out, r->after_all);
    mu_buf_adds(out, "},\n \"counts\":{");
    for (int s = MU_ST_FAILED; s <= MU_ST_SKIPPED; s++) {
        const char *name = mu_status_name((enum mu_status)s);
        mu_buf_addf(out, "%s\"%s\":%zu", s ? "," : "", name, mu_run_result_count(r, (enum mu_status)s));
    }
    mu_buf_addc(out, '}');
    add_list(out, r, "failed_servers", mu_task_result_is_failed);
    add_list(out, r, "unmeasured_servers", mu_task_result_is_unmeasured);
    add_list(out, r, "unfinished_servers", mu_task_result_is_unfinished);
    add_marks(out, r);
    mu_buf_adds(out, ",\n \"servers\":[");
    for (size_t i = 0; i < r->n_tasks; i++) {
        mu_buf_adds(out, i ? "," : "");
        add_server(out, &r->tasks[i]);
    }
    mu_buf_adds(out, r->n_tasks ? "\n ]}\n" : "]}\n");
    mu_clocale_leave(locale);
}
