#include "build.h"

#include <math.h>

static void statuses_have_names_and_an_order(void **state)
{
    (void)state;
    static const char *const names[] = {"failed",    "error",  "timeout", "unreachable",
                                        "cancelled", "passed", "skipped"};
    for (int s = MU_ST_FAILED; s <= MU_ST_SKIPPED; s++)
        assert_string_equal(mu_status_name((enum mu_status)s), names[s]);
    assert_int_equal(mu_status_worst(MU_ST_PASSED, MU_ST_ERROR), MU_ST_ERROR);
    assert_int_equal(mu_status_worst(MU_ST_FAILED, MU_ST_ERROR), MU_ST_FAILED);
    assert_int_equal(mu_status_worst(MU_ST_SKIPPED, MU_ST_PASSED), MU_ST_PASSED);
}

static void a_new_run_is_not_finished(void **state)
{
    (void)state;
    struct mu_run_result *r = NULL;
    assert_int_equal(mu_run_result_new(&r, "id", "cpu.lua", 3), 0);
    assert_string_equal(r->run_id, "id");
    assert_string_equal(r->script, "cpu.lua");
    assert_int_equal(mu_run_result_count(r, MU_ST_CANCELLED), 3);
    assert_false(r->tasks[2].finished || r->tasks[2].dealt);
    assert_int_equal(mu_run_result_exit_code(r), 3);
    mu_run_result_free(r);

    assert_int_equal(mu_run_result_new(&r, NULL, NULL, 0), 0);
    assert_null(r->run_id);
    assert_int_equal(mu_run_result_exit_code(r), 0);
    mu_run_result_free(r);
    mu_run_result_free(NULL);
    mu_step_result_free(NULL);
}

static void builders_copy_and_grow(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(1, "srv", 2);
    struct mu_task_result *t = &r->tasks[0];
    for (int i = 0; i < 100; i++) {
        char text[32];
        snprintf(text, sizeof(text), "step%d", i);
        struct mu_step_result *s = mu_step_result_new(text);
        for (int k = 0; k < 33; k++) {
            snprintf(text, sizeof(text), "metric%d", k);
            assert_int_equal(mu_step_result_add_metric(s, text, k, k % 2 ? "ms" : NULL, NULL), 0);
            assert_int_equal(mu_step_result_add_failure(s, MU_ST_ERROR, text, text, text, NULL), 0);
        }
        mu_buf_adds(&s->log, "printed\n");
        assert_int_equal(mu_task_result_add_step_take(t, s), 0);
        assert_int_equal(mu_task_result_add_failure(t, MU_ST_TIMEOUT, NULL, "task", text, text), 0);
        assert_int_equal(mu_task_result_add_unended(t, text), 0);
    }
    assert_int_equal(t->n_steps, 100);
    assert_int_equal(t->n_failures, 100);
    assert_int_equal(t->n_unended, 100);
    assert_string_equal(t->steps[77].name, "step77");
    assert_int_equal(t->steps[77].n_metrics, 33);
    assert_string_equal(t->steps[77].metrics[32].name, "metric32");
    assert_null(t->steps[77].metrics[32].unit);
    assert_string_equal(t->steps[77].metrics[31].unit, "ms");
    assert_int_equal(t->steps[77].n_failures, 33);
    assert_string_equal(t->steps[77].failures[5].where, "step77");
    assert_string_equal(t->steps[77].failures[5].metric, "metric5");
    assert_null(t->steps[77].failures[5].message);
    assert_string_equal(t->steps[77].log.data, "printed\n");
    assert_string_equal(t->failures[99].where, "task");
    mu_run_result_free(r);
}

static void metrics_are_judged(void **state)
{
    (void)state;
    struct mu_threshold th = {0};
    struct mu_err err;
    assert_int_equal(mu_threshold_parse(&th, ">= 50 frames", &err), 0);
    struct mu_step_result *s = mu_step_result_new("gpu");
    assert_int_equal(s->status, MU_ST_PASSED);
    assert_int_equal(mu_step_result_add_metric(s, "a", 50, NULL, &th), 0);
    assert_int_equal(mu_step_result_add_metric(s, "b", 50, "fps", &th), 0);
    assert_int_equal(mu_step_result_add_metric(s, "c", 1, "fps", NULL), 0);
    assert_int_equal(mu_step_result_add_metric(s, "d", NAN, NULL, &th), 0);
    assert_int_equal(s->status, MU_ST_PASSED);
    assert_int_equal(mu_step_result_add_metric(s, "e", 49, NULL, &th), 0);
    mu_threshold_clear(&th); /* the step has copies */
    assert_int_equal(s->status, MU_ST_FAILED);

    static const enum mu_judgement judged[] = {MU_PASSED, MU_PASSED, MU_UNJUDGED, MU_UNJUDGED, MU_MISSED};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(s->metrics[i].judgement, judged[i]);
    assert_string_equal(s->metrics[0].unit, "frames");
    assert_string_equal(s->metrics[1].unit, "fps");
    assert_true(s->metrics[4].th.has_min && s->metrics[4].th.min == 50);
    assert_null(s->metrics[4].th.metric);
    assert_false(s->metrics[3].th.has_min);
    mu_step_result_free(s);
}

static void samples_are_judged_by_their_median(void **state)
{
    (void)state;
    struct mu_threshold th = {.has_min = true, .min = 50};
    struct mu_step_result *s = mu_step_result_new("gpu");
    const double odd[] = {90, 10, 50}, even[] = {10, 90, 20, 80}, huge[] = {1.7e308, 1.6e308}, one[] = {49};
    assert_int_equal(mu_step_result_add_samples(s, "odd", odd, 3, NULL, &th), 0);
    assert_int_equal(mu_step_result_add_samples(s, "even", even, 4, "fps", &th), 0);
    assert_int_equal(mu_step_result_add_samples(s, "huge", huge, 2, NULL, NULL), 0);
    assert_int_equal(s->status, MU_ST_PASSED);
    assert_int_equal(mu_step_result_add_samples(s, "one", one, 1, NULL, &th), 0);
    assert_int_equal(s->status, MU_ST_FAILED);
    assert_true(s->metrics[0].value == 50 && s->metrics[0].mad == 40);
    assert_true(s->metrics[1].value == 50 && s->metrics[1].mad == 35);
    assert_true(fabs(s->metrics[2].value - 1.65e308) < 1e300 && isfinite(s->metrics[2].mad));
    assert_true(s->metrics[3].value == 49 && s->metrics[3].mad == 0 && s->metrics[3].n_samples == 1);
    assert_memory_equal(s->metrics[0].samples, odd, sizeof(odd)); /* as they were measured */
    assert_string_equal(s->metrics[1].unit, "fps");
    mu_step_result_free(s);
}

static void failures_worsen_a_step(void **state)
{
    (void)state;
    struct mu_step_result *s = mu_step_result_new("cpu");
    mu_step_result_add_failure(s, MU_ST_TIMEOUT, NULL, NULL, "step timeout", NULL);
    assert_int_equal(s->status, MU_ST_TIMEOUT);
    mu_step_result_add_failure(s, MU_ST_FAILED, NULL, NULL, "slow", NULL);
    assert_int_equal(s->status, MU_ST_FAILED);
    mu_step_result_add_failure(s, MU_ST_ERROR, NULL, NULL, "broke", NULL);
    assert_int_equal(s->status, MU_ST_FAILED);
    mu_step_result_free(s);

    s = mu_step_result_new("cpu"); /* a reason for skipping is not a pass */
    mu_step_result_add_failure(s, MU_ST_SKIPPED, NULL, NULL, "needs gpu", NULL);
    assert_int_equal(s->status, MU_ST_SKIPPED);
    mu_step_result_free(s);

    s = mu_step_result_new("cpu"); /* but what was measured stays measured */
    mu_step_result_add_metric(s, "score", 1, NULL, NULL);
    mu_step_result_add_failure(s, MU_ST_SKIPPED, NULL, NULL, "the rest", NULL);
    assert_int_equal(s->status, MU_ST_PASSED);
    mu_step_result_free(s);
}

/* The status of a task with these step statuses ("p" passed, "f" failed, "e" error, "s" skipped) and one failure outside
 * steps of status `outside` unless that is passed. */
static enum mu_status settled(bool finished, const char *steps, enum mu_status outside)
{
    struct mu_run_result *r = make_run(1, "srv", 2);
    struct mu_task_result *t = &r->tasks[0];
    t->finished = finished;
    for (const char *p = steps; *p; p++) {
        struct mu_step_result *s = mu_step_result_new("step");
        s->status = *p == 'p' ? MU_ST_PASSED : *p == 'f' ? MU_ST_FAILED : *p == 'e' ? MU_ST_ERROR : MU_ST_SKIPPED;
        mu_task_result_add_step_take(t, s);
    }
    if (outside != MU_ST_PASSED)
        add_outside(t, outside, NULL, "task", "whatever");
    mu_task_result_settle(t);
    enum mu_status got = t->status;
    mu_task_result_settle(t);
    assert_int_equal(t->status, got);
    mu_run_result_free(r);
    return got;
}

static void a_task_is_as_bad_as_its_worst_part(void **state)
{
    (void)state;
    assert_int_equal(settled(true, "ppp", MU_ST_PASSED), MU_ST_PASSED);
    assert_int_equal(settled(true, "psp", MU_ST_PASSED), MU_ST_PASSED);
    assert_int_equal(settled(true, "ss", MU_ST_PASSED), MU_ST_SKIPPED);
    assert_int_equal(settled(true, "", MU_ST_PASSED), MU_ST_SKIPPED);
    assert_int_equal(settled(true, "pfe", MU_ST_PASSED), MU_ST_FAILED);
    assert_int_equal(settled(true, "pep", MU_ST_PASSED), MU_ST_ERROR);
    assert_int_equal(settled(true, "ss", MU_ST_UNREACHABLE), MU_ST_UNREACHABLE);
    assert_int_equal(settled(true, "pp", MU_ST_FAILED), MU_ST_FAILED);
    assert_int_equal(settled(true, "ee", MU_ST_TIMEOUT), MU_ST_ERROR);
    assert_int_equal(settled(false, "", MU_ST_PASSED), MU_ST_CANCELLED);
    assert_int_equal(settled(false, "pp", MU_ST_PASSED), MU_ST_CANCELLED);
    assert_int_equal(settled(false, "pf", MU_ST_PASSED), MU_ST_FAILED);
    assert_int_equal(settled(false, "ps", MU_ST_TIMEOUT), MU_ST_TIMEOUT);
}

static void exit_codes(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(3, "srv", 2);
    for (size_t i = 0; i < 3; i++)
        r->tasks[i].status = i ? MU_ST_PASSED : MU_ST_SKIPPED;
    assert_int_equal(mu_run_result_exit_code(r), 0);

    static const enum mu_status unmeasured[] = {MU_ST_ERROR, MU_ST_TIMEOUT, MU_ST_UNREACHABLE, MU_ST_CANCELLED};
    for (size_t i = 0; i < 4; i++) {
        r->tasks[1].status = unmeasured[i];
        assert_int_equal(mu_run_result_exit_code(r), 3);
    }
    r->tasks[2].status = MU_ST_FAILED;
    assert_int_equal(mu_run_result_exit_code(r), 1);
    assert_int_equal(mu_run_result_count(r, MU_ST_FAILED), 1);
    assert_int_equal(mu_run_result_count(r, MU_ST_TIMEOUT), 0);

    r->interrupted = true;
    assert_int_equal(mu_run_result_exit_code(r), 130);
    r->signal = 15;
    assert_int_equal(mu_run_result_exit_code(r), 143);
    r->signal = 2;
    assert_int_equal(mu_run_result_exit_code(r), 130);
    mu_run_result_free(r);
}

static void membership_of_the_lists(void **state)
{
    (void)state;
    struct mu_task_result t = {.finished = true};
    for (int s = MU_ST_FAILED; s <= MU_ST_SKIPPED; s++) {
        t.status = (enum mu_status)s;
        assert_int_equal(mu_task_result_is_failed(&t), s == MU_ST_FAILED);
        assert_int_equal(mu_task_result_is_unmeasured(&t), s >= MU_ST_ERROR && s <= MU_ST_UNREACHABLE);
        assert_int_equal(mu_task_result_is_unfinished(&t), s == MU_ST_CANCELLED);
    }
    t.finished = false;
    t.status = MU_ST_FAILED;
    assert_true(mu_task_result_is_failed(&t) && mu_task_result_is_unfinished(&t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_have_names_and_an_order), cmocka_unit_test(a_new_run_is_not_finished),
        cmocka_unit_test(builders_copy_and_grow),           cmocka_unit_test(metrics_are_judged),
        cmocka_unit_test(samples_are_judged_by_their_median),
        cmocka_unit_test(failures_worsen_a_step),           cmocka_unit_test(a_task_is_as_bad_as_its_worst_part),
        cmocka_unit_test(exit_codes),                       cmocka_unit_test(membership_of_the_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
