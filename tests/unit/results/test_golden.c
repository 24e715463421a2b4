/* One run with all that can become of a server, as the reports and the summary tell of it, byte for byte as in
 * tests/data/golden/; other programs read them as well. With MUSTER_GOLDEN_WRITE set the files are written anew: then read
 * the difference. */
#include "judge.h"

static void path_of(char *out, size_t size, const char *below)
{
    const char *slash = strrchr(__FILE__, '/');
    snprintf(out, size, "%.*s/../../%s", (int)(slash - __FILE__), __FILE__, below);
}

static struct mu_step_result *timed(const struct mu_task_result *t, const char *name, uint64_t after_ms)
{
    struct mu_step_result *s = mu_step_result_new(name);
    assert_non_null(s);
    s->started_ms = t->started_ms + (int64_t)after_ms;
    s->duration_ms = 1250;
    s->measured = 1;
    return s;
}

static void peers(struct mu_metric *m, enum mu_peers_state state, const char *note)
{
    m->th.peers.on = true;
    m->th.peers.drop = (struct mu_amount){MU_AMOUNT_PERCENT, 10};
    m->peers = (struct mu_peer_verdict){.state = state, .below = state == MU_PEERS_MISSED, .median = 100, .noise = 4, .n = 48};
    if (note)
        m->peers.note = strdup(note);
    if (state == MU_PEERS_MISSED)
        m->judgement = MU_MISSED;
}

/* Server by server: 1 passed with samples, 2 failed and marked, 3 error, 4 timeout and left behind, 5 unreachable, 6 skipped
 * and withheld, 7 behind its peers and kept, 8 not judged, 9 failed with hostile words and not marked, 10 never started. */
static struct mu_run_result *build(void)
{
    struct mu_run_result *r = make_run(10, "srv", 2);
    const struct mu_threshold least = {.has_min = true, .min = 50}, open = {.has_max = true, .max = 5, .max_open = true};
    const double samples[] = {81, 79, 82};
    struct mu_step_result *s = timed(&r->tasks[0], "gpu", 0);
    r->description = strdup("GPU throughput");
    mu_step_result_add_samples(s, "score", samples, 3, "fps", &least);
    mu_step_result_add_metric(s, "heat", 61.5, "\xc2\xb0""C", NULL);
    mu_task_result_add_step_take(&r->tasks[0], s);
    s = timed(&r->tasks[0], "disk", 1250);
    mu_step_result_add_metric(s, "errors", 0.25, NULL, &open);
    mu_task_result_add_step_take(&r->tasks[0], s);

    s = timed(&r->tasks[1], "gpu", 0);
    mu_step_result_add_metric(s, "score", 20, "fps", &least);
    mu_step_result_add_failure(s, MU_ST_FAILED, "PerformanceBelowExpected", "score", "too slow",
                               "PerformanceBelowExpected: too slow\nscripts/gpu.lua:12");
    s->measured = 2;
    s->earlier = strdup("gpu.score 19 < 50 fps");
    mu_buf_adds(&s->log, "line 1\nline <2>\n");
    mu_task_result_add_step_take(&r->tasks[1], s);
    mu_task_result_set_mark(&r->tasks[1], MU_MARK_MADE, "muster: gpu.score 20 < 50 fps", NULL, 1);

    add_broken(&r->tasks[2], "gpu", MU_ST_ERROR, "CommandError", "exit status 3", "CommandError: clpeak: exit status 3\nno device");
    add_outside(&r->tasks[2], MU_ST_ERROR, "ScriptError", "teardown", "attempt to index a nil value");
    mu_task_result_add_unended(&r->tasks[2], "clpeak --loop");
    add_broken(&r->tasks[3], "gpu", MU_ST_TIMEOUT, "TimeoutError", "timeout after 60 s", "step gpu took longer than 60 s");
    r->tasks[3].left_behind = true;
    r->tasks[3].claim = strdup("{\"node\":\"n4\"}");
    add_broken(&r->tasks[4], "gpu", MU_ST_UNREACHABLE, "ConnectError", "connection refused", "10.0.0.5 port 22: connection refused");
    add_broken(&r->tasks[5], "gpu", MU_ST_SKIPPED, NULL, "needs cpu", "needs cpu");
    s = timed(&r->tasks[5], "wipe", 0);
    s->status = MU_ST_SKIPPED;
    s->withheld = true;
    mu_step_result_add_failure(s, MU_ST_SKIPPED, NULL, NULL, MU_WITHHELD, MU_WITHHELD);
    mu_task_result_add_step_take(&r->tasks[5], s);

    s = timed(&r->tasks[6], "gpu", 0);
    mu_step_result_add_metric(s, "score", 80, "fps", &least);
    peers(&s->metrics[0], MU_PEERS_MISSED, NULL);
    s->status = MU_ST_FAILED;
    mu_task_result_add_step_take(&r->tasks[6], s);
    mu_task_result_set_mark(&r->tasks[6], MU_MARK_KEPT, "muster: gpu.score 80", "in repair by anna", 1);
    s = timed(&r->tasks[7], "gpu", 0);
    mu_step_result_add_metric(s, "score", 80, "fps", &least);
    peers(&s->metrics[0], MU_PEERS_NOT_JUDGED, "its cohort has 3 servers, fewer than 5");
    mu_task_result_add_step_take(&r->tasks[7], s);

    s = timed(&r->tasks[8], "gpu", 0);
    mu_step_result_add_metric(s, HOSTILE, 1, HOSTILE, &least);
    mu_step_result_add_failure(s, MU_ST_FAILED, "PerformanceBelowExpected", HOSTILE, HOSTILE, HOSTILE);
    mu_buf_adds(&s->log, HOSTILE);
    mu_task_result_add_step_take(&r->tasks[8], s);
    mu_task_result_set_mark(&r->tasks[8], MU_MARK_FAILED, "muster: slow", "HttpError: 503", 3);
    r->tasks[9].dealt = r->tasks[9].finished = false;
    r->marks.said = strdup("5%");
    r->marks.cap = 3;
    r->marks.candidates = 3;
    settle_all(r);
    return r;
}

static void write_summary(const struct mu_run_result *r, struct mu_buf *out) { mu_summary_write(r, false, out); }

static const struct golden {
    const char *file;
    void (*write)(const struct mu_run_result *, struct mu_buf *);
} goldens[] = {{"summary.txt", write_summary},
               {"junit.xml", mu_report_junit},
               {"results.json", mu_report_json},
               {"metrics.prom", mu_report_openmetrics},
               {"metrics.jsonl", mu_report_otlp}};

static void each_is_as_it_was(void **state)
{
    struct mu_run_result *r = build();
    (void)state;
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        char below[64], path[512];
        snprintf(below, sizeof below, "data/golden/%s", goldens[i].file);
        path_of(path, sizeof path, below);
        struct mu_buf out = MU_BUF_INIT, kept = MU_BUF_INIT;
        goldens[i].write(r, &out);
        assert_false(out.failed);
        FILE *f = fopen(path, getenv("MUSTER_GOLDEN_WRITE") ? "w+" : "r");
        if (!f)
            fail_msg("%s: %s", path, strerror(errno));
        if (getenv("MUSTER_GOLDEN_WRITE")) {
            assert_int_equal(fwrite(out.data, 1, out.len, f), out.len);
            rewind(f);
        }
        char chunk[4096];
        for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
            mu_buf_add(&kept, chunk, n);
        fclose(f);
        if (strcmp(mu_buf_cstr(&out), mu_buf_cstr(&kept)) != 0) {
            size_t at = 0;
            while (out.data[at] && out.data[at] == kept.data[at])
                at++;
            fail_msg("%s differs at byte %zu:\n%.200s\n  was:\n%.200s", goldens[i].file, at, out.data + at, kept.data + at);
        }
        mu_buf_free(&out);
        mu_buf_free(&kept);
    }
    mu_run_result_free(r);
}

static void judged_by(const char *judge, const char *golden)
{
    char program[512], below[64], path[512], said[8192];
    path_of(program, sizeof program, judge);
    snprintf(below, sizeof below, "data/golden/%s", golden);
    path_of(path, sizeof path, below);
    int rc = strstr(judge, ".xsd")
                 ? judge_run((const char *const[]){"xmllint", "--noout", "--schema", program, path, NULL}, "libxml2-utils", said,
                             sizeof said)
                 : judge_run((const char *const[]){program, path, NULL}, "python3-prometheus-client", said, sizeof said);
    if (rc)
        fail_msg("%s: %d: %s", golden, rc, said);
}

static void others_can_read_them(void **state)
{
    (void)state;
    judged_by("support/junit.xsd", "junit.xml");
    judged_by("support/judge-openmetrics", "metrics.prom");
    judged_by("support/judge-otlp", "metrics.jsonl");
}

/* JUnit and JSON of the same run say the same: whoever is not fine in the one is not in the other. */
static void junit_and_json_agree(void **state)
{
    char program[512], xml[512], json[512], said[8192];
    (void)state;
    path_of(program, sizeof program, "support/judge-agreement");
    path_of(xml, sizeof xml, "data/golden/junit.xml");
    path_of(json, sizeof json, "data/golden/results.json");
    if (judge_run((const char *const[]){program, xml, json, NULL}, "python3", said, sizeof said))
        fail_msg("%s", said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_as_it_was),
        cmocka_unit_test(others_can_read_them),
        cmocka_unit_test(junit_and_json_agree),
    };
    return cmocka_run_group_tests(tests, judge_setup, judge_teardown);
}
