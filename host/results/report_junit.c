/* report_junit.c: JUnit XML as Jenkins reads it.
 *
 *   testsuites  name=script  tests failures errors skipped time
 *     testsuite  name=step  tests failures errors skipped time timestamp
 *       testcase  name=server id  classname=script.step  time
 *         failure (failed) | error (error, timeout, unreachable) | skipped   message, type, the whole story inside
 *         system-out  the step's log, where something went wrong; that it was measured again; samples; what a mark says
 *
 * A reader keeps one failure a testcase, so several are told in one element. What went wrong outside steps is a suite
 * named after its phase, behind those of the steps, where only servers with trouble have a testcase. A server that never
 * ran or never ended has one in the suite "task", one that was to be marked as broken one in "mark", which is an error when
 * the mark was not made, and one with an installation left behind one in "left behind". Cancelled counts as skipped after an
 * interrupt, else as an error.
 *
 * Its readers, Jenkins above all, hold the whole file in memory: a message has at most MESSAGE_MAX bytes, and what is told
 * inside at most TEXT_MAX, or a share of ALL_MAX when very many have something to tell. What is cut says so; the JSON report
 * has all of it. */
#include <inttypes.h>
#include <string.h>

#include "core/clock.h"
#include "results/clocale.h"
#include "results/junit.h"
#include "results/reason.h"

enum { MESSAGE_MAX = 1000, TEXT_MAX = 8000, TEXT_MIN = 500, ALL_MAX = 16000000 };

/* What one testcase tells. */
struct story {
    enum mu_status status;
    const char *type;     /* of the first reason of this status */
    struct mu_buf message; /* the reasons of this status, on one line, raw */
    struct mu_buf body;    /* every reason's whole message, raw */
};

static void tell(void *arg, const struct mu_reason *reason)
{
    struct story *s = arg;
    const struct mu_failure *f = reason->failure;
    size_t start = s->body.len;
    if (reason->status == s->status && s->message.len < MESSAGE_MAX) {
        mu_buf_adds(&s->message, s->message.len ? "; " : "");
        mu_reason_text(reason, &s->message);
        if (!s->type && f && f->type)
            s->type = f->type;
        else if (!s->type && reason->metric)
            s->type = "PerformanceBelowExpected";
    }
    if (f && f->message && *f->message)
        mu_buf_adds(&s->body, f->message);
    else
        mu_reason_text(reason, &s->body);
    if (s->body.len > start && s->body.data[s->body.len - 1] != '\n')
        mu_buf_addc(&s->body, '\n');
}

static void tell_status_alone(struct story *s, const struct mu_task_result *t, bool step)
{
    const char *text = s->status == MU_ST_CANCELLED ? (t->dealt || step ? "not finished" : "never started")
                       : s->status == MU_ST_SKIPPED ? (step ? "skipped" : "no step ran")
                                                    : "no reason given";
    mu_buf_adds(&s->message, text);
    mu_buf_addf(&s->body, "%s\n", text);
}

/* What became of a mark, or of an installation. */
static void tell_aftermath(const struct mu_junit *j, const struct mu_junit_cell *c, struct story *s)
{
    const struct mu_task_result *t = &j->run->tasks[c->task];
    size_t start = s->message.len;
    const char *more = NULL;
    if (c->part == MU_JUNIT_LEFT) {
        mu_buf_adds(&s->message, "still installed: `muster cleanup` destroys it");
        more = t->claim;
    } else if (c->part == MU_JUNIT_MARK) {
        if (t->mark.state == MU_MARK_WITHHELD && j->run->marks.over)
            mu_buf_addf(&s->message, "not marked as broken: %zu of %zu servers were to be, more than the cap of %zu allows",
                        j->run->marks.candidates, j->run->n_tasks, j->run->marks.cap);
        else
            mu_buf_addf(&s->message, "not marked as broken: %s", t->mark.note ? t->mark.note : "no reason given");
        more = t->mark.reason;
    }
    if (s->message.len > start) {
        mu_buf_add(&s->body, s->message.data + start, s->message.len - start);
        mu_buf_addf(&s->body, "%s%s\n", more ? "\n" : "", more ? more : "");
    }
}

static void tell_case(const struct mu_junit *j, const struct mu_junit_case *tc, struct story *s)
{
    const struct mu_junit_cell *c = &j->cells[tc->first];
    s->status = tc->status;
    if (c->step)
        mu_reason_each_in_step(c->step, tell, s);
    for (size_t i = 0; !c->step && i < tc->n_cells; i++) {
        if (c[i].failure)
            tell(s, &(struct mu_reason){c[i].failure->status, NULL, NULL, c[i].failure});
        else
            tell_aftermath(j, &c[i], s);
    }
    if (!s->message.len)
        tell_status_alone(s, &j->run->tasks[c->task], c->step != NULL);
}

/* ---- keeping it short ---- */

/* The end of a piece of `len` bytes of text that cuts no character. */
static size_t whole(const char *text, size_t len)
{
    while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

static void cut_message(struct mu_buf *b)
{
    if (b->len <= MESSAGE_MAX)
        return;
    b->len = whole(b->data, MESSAGE_MAX);
    mu_buf_adds(b, "\xe2\x80\xa6");
}

/* Keep a beginning and the end, which tells most of a tool's output, with a line between them that says what is missing. */
static void cut_text(struct mu_buf *b, size_t most)
{
    struct mu_buf shorter = MU_BUF_INIT;
    if (b->len <= most)
        return;
    size_t first = whole(b->data, most / 4), last = b->len - (most - most / 4);
    while (last < b->len && ((unsigned char)b->data[last] & 0xc0) == 0x80)
        last++;
    mu_buf_add(&shorter, b->data, first);
    mu_buf_addf(&shorter, "\n[\xe2\x80\xa6 %zu bytes left out; the JSON report has them \xe2\x80\xa6]\n", last - first);
    mu_buf_add(&shorter, b->data + last, b->len - last);
    mu_buf_free(b);
    *b = shorter;
}

/* What one testcase may tell, when all with trouble share what there is. */
static size_t share(const size_t outcomes[4])
{
    size_t n = 2 * (outcomes[MU_JUNIT_FAILURE] + outcomes[MU_JUNIT_ERROR]) + 1, each = ALL_MAX / n;
    return each > TEXT_MAX ? TEXT_MAX : each < TEXT_MIN ? TEXT_MIN : each;
}

/* ---- XML ---- */

static void add_seconds(struct mu_buf *out, uint64_t ms)
{
    mu_buf_addf(out, " time=\"%" PRIu64 ".%03u\"", ms / 1000, (unsigned)(ms % 1000));
}

static void add_name(struct mu_buf *out, const char *attribute, const char *name)
{
    mu_buf_addf(out, " %s=\"", attribute);
    mu_buf_add_xml(out, name, strlen(name));
    mu_buf_addc(out, '"');
}

/* Text of several lines as element content: its newlines stay newlines, so that the file reads well as it is. */
static void add_lines(struct mu_buf *out, const char *text, size_t len)
{
    while (len) {
        const char *newline = memchr(text, '\n', len);
        size_t n = newline ? (size_t)(newline - text) : len;
        mu_buf_add_xml(out, text, n);
        if (newline)
            mu_buf_addc(out, '\n');
        text += n + (newline != NULL);
        len -= n + (newline != NULL);
    }
}

static void add_suite_name(struct mu_buf *out, const struct mu_junit_suite *s)
{
    mu_buf_add_xml(out, s->name, strlen(s->name));
    if (s->ambiguous)
        mu_buf_adds(out, " (phase)");
}

/* "cpu" of "scripts/cpu.lua". */
static void add_script_name(struct mu_buf *out, const char *script)
{
    const char *slash = script ? strrchr(script, '/') : NULL;
    const char *base = slash ? slash + 1 : script ? script : "";
    size_t n = strlen(base);
    if (n > 4 && !strcmp(base + n - 4, ".lua"))
        n -= 4;
    mu_buf_add_xml(out, n ? base : "script", n ? n : strlen("script"));
}

static void add_counts(struct mu_buf *out, size_t tests, const size_t outcomes[4])
{
    mu_buf_addf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\"", tests, outcomes[MU_JUNIT_FAILURE],
                outcomes[MU_JUNIT_ERROR], outcomes[MU_JUNIT_SKIPPED]);
}

static void add_earlier(const struct mu_step_result *step, struct mu_buf *text)
{
    if (step->earlier)
        mu_buf_addf(text, "measured again; before that: %s\n", step->earlier);
}

/* What a metric with samples measured, of very many the first; and what could not be compared with its peers. */
static void add_metrics(const struct mu_step_result *step, struct mu_buf *text)
{
    enum { SHOWN = 20 };
    for (size_t i = 0; i < step->n_metrics; i++) {
        const struct mu_metric *m = &step->metrics[i];
        if (m->peers.state == MU_PEERS_NOT_JUDGED)
            mu_buf_addf(text, "%s not judged by peers: %s\n", m->name, m->peers.note ? m->peers.note : "");
        if (!m->n_samples)
            continue;
        mu_buf_addf(text, "%s ", m->name);
        mu_reason_number(m->value, &m->th, text);
        mu_reason_samples(m, text);
        mu_buf_addc(text, ':');
        for (size_t k = 0; k < m->n_samples && k < SHOWN; k++) {
            mu_buf_addc(text, ' ');
            mu_reason_number(m->samples[k], NULL, text);
        }
        mu_buf_adds(text, m->n_samples > SHOWN ? " \xe2\x80\xa6\n" : "\n");
    }
}

static void add_system_out(const struct mu_buf *text, struct mu_buf *out)
{
    out->failed = out->failed || text->failed;
    if (!text->len)
        return;
    mu_buf_adds(out, "      <system-out>");
    add_lines(out, text->data, text->len);
    mu_buf_adds(out, "</system-out>\n");
}

/* What there is to say of a testcase that is in order. */
static void add_good(const struct mu_junit *j, const struct mu_junit_case *tc, size_t most, struct mu_buf *out)
{
    const struct mu_junit_cell *c = &j->cells[tc->first];
    const struct mu_task_result *t = &j->run->tasks[c->task];
    struct mu_buf text = MU_BUF_INIT;
    if (c->step) {
        add_earlier(c->step, &text);
        add_metrics(c->step, &text);
    } else if (c->part == MU_JUNIT_MARK && t->mark.state == MU_MARK_MADE) {
        mu_buf_addf(&text, "marked as broken: %s\n", t->mark.reason ? t->mark.reason : "");
    } else if (c->part == MU_JUNIT_MARK) {
        mu_buf_addf(&text, "left as it was: %s\n", t->mark.note ? t->mark.note : "");
    }
    cut_text(&text, most);
    mu_buf_adds(out, text.len ? ">\n" : "/>\n");
    add_system_out(&text, out);
    mu_buf_adds(out, text.len ? "    </testcase>\n" : "");
    mu_buf_free(&text);
}

static void add_trouble(const struct mu_junit *j, const struct mu_junit_case *tc, size_t most, struct mu_buf *out)
{
    static const char *const elements[] = {"", "failure", "error", "skipped"};
    const struct mu_step_result *step = j->cells[tc->first].step;
    const char *element = elements[tc->outcome];
    struct story s = {0};
    tell_case(j, tc, &s);
    cut_message(&s.message);
    cut_text(&s.body, most);
    mu_buf_addf(out, ">\n      <%s message=\"", element);
    mu_buf_add_xml(out, mu_buf_cstr(&s.message), s.message.len);
    mu_buf_addc(out, '"');
    add_name(out, "type", s.type ? s.type : mu_status_name(s.status));
    mu_buf_addc(out, '>');
    add_lines(out, mu_buf_cstr(&s.body), s.body.len);
    mu_buf_addf(out, "</%s>\n", element);
    if (step && tc->outcome != MU_JUNIT_SKIPPED) {
        struct mu_buf text = MU_BUF_INIT;
        add_earlier(step, &text);
        add_metrics(step, &text);
        mu_buf_add(&text, mu_buf_cstr(&step->log), step->log.len);
        cut_text(&text, most);
        add_system_out(&text, out);
        mu_buf_free(&text);
    }
    mu_buf_adds(out, "    </testcase>\n");
    out->failed = out->failed || s.message.failed || s.body.failed;
    mu_buf_free(&s.message);
    mu_buf_free(&s.body);
}

static void add_suite(const struct mu_junit *j, const struct mu_junit_suite *s, size_t most, struct mu_buf *out)
{
    char iso[MU_CLOCK_ISO_SIZE];
    mu_buf_adds(out, "  <testsuite name=\"");
    add_suite_name(out, s);
    mu_buf_addc(out, '"');
    add_counts(out, s->tests, s->outcomes);
    add_seconds(out, s->duration_ms);
    mu_clock_iso(s->started_ms ? s->started_ms : j->run->started_ms, iso);
    mu_buf_addf(out, " timestamp=\"%.19s\">\n", iso); /* UTC, without fraction and zone, as readers expect */
    for (size_t at = s->first; at < s->first + s->n_cells;) {
        struct mu_junit_case tc = mu_junit_case_at(j, s, at);
        mu_buf_adds(out, "    <testcase");
        add_name(out, "name", j->run->tasks[j->cells[at].task].server_id);
        mu_buf_adds(out, " classname=\"");
        add_script_name(out, j->run->script);
        mu_buf_addc(out, '.');
        add_suite_name(out, s);
        mu_buf_addc(out, '"');
        add_seconds(out, tc.duration_ms);
        if (tc.outcome == MU_JUNIT_OK)
            add_good(j, &tc, most, out);
        else
            add_trouble(j, &tc, most, out);
        at += tc.n_cells;
    }
    mu_buf_adds(out, "  </testsuite>\n");
}

void mu_report_junit(const struct mu_run_result *r, struct mu_buf *out)
{
    struct mu_junit j = {0};
    struct mu_clocale locale = mu_clocale_enter();
    if (mu_junit_build(&j, r)) {
        out->failed = true;
        goto out;
    }
    size_t tests = 0, outcomes[4] = {0};
    for (size_t i = 0; i < j.n_suites; i++) {
        tests += j.suites[i].tests;
        for (size_t k = 0; k < 4; k++)
            outcomes[k] += j.suites[i].outcomes[k];
    }
    mu_buf_adds(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites");
    add_name(out, "name", r->script ? r->script : "muster");
    add_counts(out, tests, outcomes);
    add_seconds(out, r->duration_ms);
    mu_buf_adds(out, ">\n");
    for (size_t i = 0; i < j.n_suites; i++)
        add_suite(&j, &j.suites[i], share(outcomes), out);
    mu_buf_adds(out, "</testsuites>\n");
out:
    mu_clocale_leave(locale);
    mu_junit_free(&j);
}
