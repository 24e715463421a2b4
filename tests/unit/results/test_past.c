/* past.h and compare.h: values of earlier runs, judging by them, and what two runs differ in. */
#include "build.h"

#include <math.h>

#include "results/compare.h"
#include "results/past.h"
#include "results/reason.h"

/* ---- the table ---- */

static void test_values_are_found(void **state)
{
    (void)state;
    struct mu_past *p = mu_past_new();
    size_t n = 9;
    mu_past_settle(p);
    assert_null(mu_past_find(p, "b", "cpu", "score", &n));
    assert_int_equal(n, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(mu_past_add(p, "b", "cpu", "score", 10 + i, 3), 0);
    assert_int_equal(mu_past_add(p, "a", "cpu", "score", 1, 3), 0);
    assert_int_equal(mu_past_add(p, "a", "cpu", "late", 2, 3), 0);
    for (int i = 0; i < 300; i++) {
        char id[16];
        snprintf(id, sizeof id, "c%d", i);
        assert_int_equal(mu_past_add(p, id, "cpu", "score", i, 3), 0);
    }
    mu_past_settle(p);
    const double *v = mu_past_find(p, "b", "cpu", "score", &n);
    assert_int_equal(n, 3); /* no more than asked for */
    assert_true(v[0] == 10 && v[2] == 12);
    v = mu_past_find(p, "c299", "cpu", "score", &n);
    assert_true(n == 1 && v[0] == 299);
    assert_null(mu_past_find(p, "c299", "cpu", "scor", &n));
    mu_past_free(p);
}

/* ---- judging ---- */

static struct mu_threshold rule_of(double drop_percent, double rise_percent)
{
    struct mu_threshold th = {.history = {.on = true, .last = 10, .min_runs = 5}};
    if (drop_percent >= 0)
        th.history.drop = (struct mu_amount){MU_AMOUNT_PERCENT, drop_percent};
    if (rise_percent >= 0)
        th.history.rise = (struct mu_amount){MU_AMOUNT_PERCENT, rise_percent};
    return th;
}

/* What a value comes to: its judgement, and the words for it in out. */
static struct mu_metric judge(const struct mu_threshold *th, double value, const double *past, size_t n, char *out, size_t size)
{
    struct mu_step_result *s = mu_step_result_new("cpu");
    struct mu_buf text = MU_BUF_INIT;
    assert_int_equal(mu_step_result_add_metric(s, "score", value, NULL, th), 0);
    assert_int_equal(mu_past_judge(s, past, n, past ? NULL : "nobody knows"), 0);
    struct mu_metric m = s->metrics[0];
    assert_int_equal(s->status, m.judgement == MU_MISSED ? MU_ST_FAILED : MU_ST_PASSED);
    if (m.judgement == MU_MISSED)
        mu_reason_text(&(struct mu_reason){MU_ST_FAILED, s, &s->metrics[0], NULL}, &text);
    else
        mu_buf_adds(&text, m.history.note);
    snprintf(out, size, "%s", mu_buf_cstr(&text));
    mu_buf_free(&text);
    mu_step_result_free(s);
    return m;
}

static void test_a_drop_is_missed(void **state)
{
    static const double past[] = {71, 70, 72, 71, 70, 72, 71, 71, 73, 69, 1, 1, 1, 1, 1, 1};
    struct mu_threshold th = rule_of(5, -1);
    char text[256];
    (void)state;
    struct mu_metric m = judge(&th, 61, past, 16, text, sizeof text);
    assert_int_equal(m.judgement, MU_MISSED);
    assert_true(m.history.below && !m.history.above);
    assert_int_equal(m.history.n, 10); /* the last ten alone */
    assert_string_equal(text, "cpu.score 61 is 14 % under its median of 10 runs (71)");
    assert_int_equal(judge(&th, 68, past, 10, text, sizeof text).judgement, MU_PASSED); /* 4 % */
    assert_int_equal(judge(&th, 200, past, 10, text, sizeof text).judgement, MU_PASSED); /* that side is free */
    th = rule_of(-1, 5);
    m = judge(&th, 78.1, past, 10, text, sizeof text);
    assert_true(m.history.above);
    assert_string_equal(text, "cpu.score 78.1 is 10 % over its median of 10 runs (71)");
    th.history.rise = (struct mu_amount){MU_AMOUNT_PLAIN, 20};
    assert_int_equal(judge(&th, 78.1, past, 10, text, sizeof text).judgement, MU_PASSED);
}

/* Whatever one odd value is, and wherever it stands, it changes no verdict. */
static void test_a_spike_does_not_matter(void **state)
{
    static const double spikes[] = {0, 1e-9, 1e9, -1e9, 35, 142};
    struct mu_threshold th = rule_of(5, 5);
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof spikes / sizeof *spikes; i++)
        for (size_t at = 0; at < 7; at++) {
            double past[] = {71, 70, 72, 71, 70, 72, 71};
            past[at] = spikes[i];
            assert_int_equal(judge(&th, 61, past, 7, text, sizeof text).judgement, MU_MISSED);
            assert_int_equal(judge(&th, 71, past, 7, text, sizeof text).judgement, MU_PASSED);
            assert_int_equal(judge(&th, 82, past, 7, text, sizeof text).judgement, MU_MISSED);
        }
}

static void test_noise_accuses_nobody(void **state)
{
    static const double noisy[] = {71, 60, 82, 75, 66, 90, 58}; /* median 71, MAD 11: 48.9 below it is noise */
    struct mu_threshold th = rule_of(5, -1);
    char text[256];
    (void)state;
    assert_int_equal(judge(&th, 61, noisy, 7, text, sizeof text).judgement, MU_PASSED);
    assert_int_equal(judge(&th, 22.2, noisy, 7, text, sizeof text).judgement, MU_PASSED);
    assert_int_equal(judge(&th, 22, noisy, 7, text, sizeof text).judgement, MU_MISSED);
}

static void test_too_little_is_not_judged(void **state)
{
    static const double past[] = {71, 70, 72, 71, 70};
    struct mu_threshold th = rule_of(5, -1);
    char text[256];
    (void)state;
    assert_int_equal(judge(&th, 6, past, 4, text, sizeof text).history.state, MU_PEERS_NOT_JUDGED);
    assert_string_equal(text, "it has 4 earlier values, 5 are needed");
    assert_int_equal(judge(&th, 6, past, 5, text, sizeof text).judgement, MU_MISSED);
    assert_int_equal(judge(&th, 6, NULL, 0, text, sizeof text).judgement, MU_UNJUDGED);
    assert_string_equal(text, "nobody knows");
    assert_int_equal(judge(&th, INFINITY, past, 5, text, sizeof text).judgement, MU_UNJUDGED);
    assert_string_equal(text, "it is no finite number");
    /* Its own bounds hold all the same. */
    th.has_min = true;
    th.min = 10;
    assert_int_equal(judge(&th, 12, past, 4, text, sizeof text).judgement, MU_PASSED);
    struct mu_metric m = judge(&th, 6, past, 5, text, sizeof text);
    assert_int_equal(m.judgement, MU_MISSED);
    assert_string_equal(text, "cpu.score 6 < 10");
}

static void test_zero_has_no_percentage(void **state)
{
    static const double past[] = {0, 0, 0, 0, 0};
    struct mu_threshold th = rule_of(-1, -1);
    char text[256];
    (void)state;
    th.history.rise = (struct mu_amount){MU_AMOUNT_PLAIN, 2};
    assert_int_equal(judge(&th, 2, past, 5, text, sizeof text).judgement, MU_PASSED);
    assert_int_equal(judge(&th, 3, past, 5, text, sizeof text).judgement, MU_MISSED);
    assert_string_equal(text, "cpu.score 3 is 3 over its median of 5 runs (0)");
}

/* ---- the summary ---- */

static void add_judged(struct mu_run_result *r, size_t task, double value, const double *past, size_t n)
{
    struct mu_threshold th = rule_of(5, -1);
    struct mu_step_result *s = mu_step_result_new("cpu");
    assert_int_equal(mu_step_result_add_metric(s, "score", value, NULL, &th), 0);
    assert_int_equal(mu_past_judge(s, past, n, NULL), 0);
    struct mu_step_result *copy = mu_step_result_copy(s); /* as a copy, which says the same */
    assert_int_equal(copy->metrics[0].judgement, s->metrics[0].judgement);
    mu_step_result_free(s);
    assert_int_equal(mu_task_result_add_step_take(&r->tasks[task], copy), 0);
    mu_task_result_settle(&r->tasks[task]);
}

static void test_summary(void **state)
{
    static const double fast[] = {100, 100, 100, 100, 100}, slow[] = {10, 10, 10, 10, 10};
    struct mu_run_result *r = make_run(4, "srv", 2);
    struct mu_buf out = MU_BUF_INIT;
    (void)state;
    add_judged(r, 0, 92, fast, 5);
    add_judged(r, 1, 8, slow, 5);
    add_judged(r, 2, 10, slow, 5);
    add_judged(r, 3, 10, slow, 4);
    mu_summary_write(r, false, &out);
    assert_string_equal(mu_buf_cstr(&out),
                        "FAILED       cpu.score is 8\xe2\x80\x93" "20 % under the median of its earlier runs  srv[01-02]         2\n"
                        "Not judged: cpu.score of 1 server by its history: it has 4 earlier values, 5 are needed. "
                        "unjudged_servers=[srv04]\n"
                        "Out of 4, 2 servers failed. failed_servers=[srv01, srv02]\n");
    mu_buf_free(&out);
    mu_run_result_free(r);
}

/* ---- comparing ---- */

static void add_values(struct mu_run_result *r, size_t task, const char *metric, const char *unit, const char *rule,
                       const double *v, size_t n)
{
    struct mu_task_result *t = &r->tasks[task];
    struct mu_threshold th = {0};
    struct mu_err err;
    if (!t->n_steps)
        assert_int_equal(mu_task_result_add_step_take(t, mu_step_result_new("cpu")), 0);
    if (rule)
        assert_int_equal(mu_threshold_parse(&th, rule, &err), 0);
    struct mu_step_result *s = &t->steps[0];
    assert_int_equal(n > 1 ? mu_step_result_add_samples(s, metric, v, n, unit, rule ? &th : NULL)
                           : mu_step_result_add_metric(s, metric, *v, unit, rule ? &th : NULL), 0);
    mu_threshold_clear(&th);
    mu_task_result_settle(t);
}

static struct mu_comparison *compare(const struct mu_run_result *a, const struct mu_run_result *b, double least,
                                     const struct mu_past *past)
{
    struct mu_comparison *c = NULL;
    assert_int_equal(mu_compare(&c, a, b, &(struct mu_amount){MU_AMOUNT_PERCENT, least}, past), 0);
    return c;
}

static enum mu_change_kind kind_of(const char *unit, const char *rule, double before, double after)
{
    struct mu_run_result *a = make_run(1, "srv", 2), *b = make_run(1, "srv", 2);
    add_values(a, 0, "score", unit, rule, &before, 1);
    add_values(b, 0, "score", unit, rule, &after, 1);
    struct mu_comparison *c = compare(a, b, 5, NULL);
    assert_int_equal(c->n, 1);
    enum mu_change_kind kind = c->changes[0].kind;
    assert_int_equal(c->changes[0].from, MU_NOISE_UNKNOWN);
    mu_comparison_free(c);
    mu_run_result_free(a);
    mu_run_result_free(b);
    return kind;
}

static void test_which_way_is_better(void **state)
{
    (void)state;
    assert_int_equal(kind_of(NULL, ">= 1", 100, 90), MU_CHANGE_WORSE);
    assert_int_equal(kind_of(NULL, ">= 1", 90, 100), MU_CHANGE_BETTER);
    assert_int_equal(kind_of(NULL, "<= 1000", 100, 90), MU_CHANGE_BETTER);
    assert_int_equal(kind_of("ms", NULL, 100, 110), MU_CHANGE_WORSE);
    assert_int_equal(kind_of("MiB/s", NULL, 100, 110), MU_CHANGE_BETTER);
    assert_int_equal(kind_of("ms", ">= 1", 100, 110), MU_CHANGE_BETTER); /* the rule knows better */
    assert_int_equal(kind_of(NULL, NULL, 100, 110), MU_CHANGE_HIGHER);
    assert_int_equal(kind_of("%", ">= 1, <= 1000", 110, 100), MU_CHANGE_LOWER);
    assert_int_equal(kind_of(NULL, NULL, 0, 1), MU_CHANGE_HIGHER);
    assert_int_equal(kind_of(NULL, NULL, -100, -110), MU_CHANGE_LOWER);
}

static void test_noise(void **state)
{
    static const double a1[] = {100, 90, 110, 95, 105}, b1[] = {93, 83, 103, 88, 98}; /* MAD 5 both: 3 * 1.4826 * sqrt(10) = 14.1 */
    static const double b2[] = {85, 75, 95, 80, 90};
    const double before = 100, after = 93;
    struct mu_run_result *a = make_run(1, "srv", 2), *b = make_run(1, "srv", 2);
    struct mu_past *past = mu_past_new();
    (void)state;
    add_values(a, 0, "quiet", "x/s", NULL, a1, 5);
    add_values(b, 0, "quiet", "x/s", NULL, b1, 5);
    add_values(a, 0, "loud", "x/s", NULL, a1, 5);
    add_values(b, 0, "loud", "x/s", NULL, b2, 5);
    add_values(a, 0, "steady", "x/s", NULL, &before, 1);
    add_values(b, 0, "steady", "x/s", NULL, &after, 1);
    add_values(a, 0, "unsteady", "x/s", NULL, &before, 1);
    add_values(b, 0, "unsteady", "x/s", NULL, &after, 1);
    for (int i = 0; i < 5; i++)
        mu_past_add(past, "srv01", "cpu", "steady", 100 + i % 3, 10);
    for (int i = 0; i < 5; i++)
        mu_past_add(past, "srv01", "cpu", "unsteady", 100 + 5 * (i % 3), 10);
    mu_past_settle(past);
    struct mu_comparison *c = compare(a, b, 5, past);
    assert_int_equal(c->n, 2);
    assert_string_equal(c->changes[0].metric_after->name, "loud");
    assert_int_equal(c->changes[0].from, MU_NOISE_SAMPLES);
    assert_true(fabs(c->changes[0].noise - 3 * 1.4826 * sqrt(10)) < 1e-9);
    assert_string_equal(c->changes[1].metric_after->name, "steady");
    assert_int_equal(c->changes[1].from, MU_NOISE_HISTORY);
    assert_int_equal(c->n_metrics, 4);
    assert_int_equal(c->metrics[0].n_within, 1);
    assert_true(fabs(c->metrics[1].median + 0.15) < 1e-9);
    mu_comparison_free(c);
    mu_past_free(past);
    mu_run_result_free(a);
    mu_run_result_free(b);
}

static void test_servers(void **state)
{
    const double good = 100, bad = 1;
    struct mu_run_result *a = make_run(4, "srv", 2), *b = make_run(4, "srv", 2);
    (void)state;
    rename_server(a, 3, "gone");
    rename_server(b, 3, "anew");
    add_values(a, 0, "score", NULL, ">= 50", &good, 1);
    add_values(b, 0, "score", NULL, ">= 50", &bad, 1);
    add_values(a, 1, "score", NULL, ">= 50", &bad, 1);
    add_values(b, 1, "score", NULL, ">= 50", &good, 1);
    add_values(a, 2, "other", NULL, NULL, &good, 1);
    add_values(b, 2, "score", NULL, ">= 50", &good, 1);
    struct mu_comparison *c = compare(a, b, 5, NULL);
    static const struct {
        enum mu_change_kind kind;
        const char *server;
        bool metric;
    } want[] = {
        {MU_CHANGE_NEWLY_FAILED, "srv01", false}, {MU_CHANGE_FIXED, "srv02", false}, {MU_CHANGE_WORSE, "srv01", true},
        {MU_CHANGE_BETTER, "srv02", true}, {MU_CHANGE_ONLY_BEFORE, "gone", false}, {MU_CHANGE_ONLY_BEFORE, "srv03", true},
        {MU_CHANGE_ONLY_AFTER, "anew", false}, {MU_CHANGE_ONLY_AFTER, "srv03", true},
    };
    assert_int_equal(c->n, sizeof want / sizeof *want);
    for (size_t i = 0; i < c->n; i++) {
        const struct mu_change *x = &c->changes[i];
        assert_int_equal(x->kind, want[i].kind);
        assert_string_equal((x->after ? x->after : x->before)->server_id, want[i].server);
        assert_int_equal(x->step != NULL, want[i].metric);
    }
    assert_true(c->n_both == 3 && c->n_only_before == 1 && c->n_only_after == 1);
    mu_comparison_free(c);
    c = compare(a, a, 5, NULL);
    assert_int_equal(c->n, 0);
    mu_comparison_free(c);
    mu_run_result_free(a);
    mu_run_result_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_found),    cmocka_unit_test(test_a_drop_is_missed),
        cmocka_unit_test(test_a_spike_does_not_matter), cmocka_unit_test(test_noise_accuses_nobody),
        cmocka_unit_test(test_too_little_is_not_judged), cmocka_unit_test(test_zero_has_no_percentage),
        cmocka_unit_test(test_summary),             cmocka_unit_test(test_which_way_is_better),
        cmocka_unit_test(test_noise),               cmocka_unit_test(test_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
