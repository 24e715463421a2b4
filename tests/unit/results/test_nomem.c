/* Every allocation that thresholds, samples and cohorts make fails once: the call says so, nothing leaks, and a server is never
 * better for it. The C library's allocator is replaced by one that counts; sanitizers bring their own, so it is not built
 * with them. */
#include "build.h"

#include <math.h>

#include "results/peers.h"
#include "results/report_html.h"

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void __libc_free(void *p);

#define EXPORT __attribute__((visibility("default"))) /* the libraries use it too */

static size_t fail_at; /* the allocation that fails, counted from 1; 0: none */
static size_t n_allocations;
static long n_live;

static bool fails(void) { return ++n_allocations == fail_at; }

EXPORT void *malloc(size_t n)
{
    void *p = fails() ? NULL : __libc_malloc(n);
    n_live += p != NULL;
    return p;
}

EXPORT void *calloc(size_t n, size_t size)
{
    void *p = fails() ? NULL : __libc_calloc(n, size);
    n_live += p != NULL;
    return p;
}

EXPORT void *realloc(void *old, size_t n)
{
    void *p = fails() ? NULL : __libc_realloc(old, n);
    n_live += p && !old;
    return p;
}

EXPORT void free(void *p)
{
    n_live -= p != NULL;
    __libc_free(p);
}

static void start(size_t n)
{
    n_allocations = 0;
    fail_at = n;
}

/* Whether the failing allocation was reached. */
static bool stop(void)
{
    bool reached = n_allocations >= fail_at;
    fail_at = 0;
    return reached;
}

static bool variable(void *arg, size_t task, const char *name, struct mu_buf *out)
{
    (void)arg;
    (void)name;
    mu_buf_addf(out, "model%zu", task % 3);
    return true;
}

static struct mu_run_result *fleet(void)
{
    struct mu_threshold th = {.unit = strdup("ms"), .peers = {.on = true, .group_by = strdup("model"),
                                                              .drop = {MU_AMOUNT_PERCENT, 10}, .min_cohort = 4}};
    struct mu_run_result *r = make_run(14, "srv", 2); /* 5, 5 and 4 of a model; the last, a slow one, is of the second */
    for (size_t i = 0; i < 14; i++) {
        struct mu_step_result *s = mu_step_result_new("cpu");
        mu_step_result_add_metric(s, "score", i == 13 ? 50 : 100, NULL, &th);
        mu_task_result_add_step_take(&r->tasks[i], s);
    }
    mu_threshold_clear(&th);
    return r;
}

static void cohorts_are_whole_or_not_there(void **state)
{
    (void)state;
    size_t n = 1;
    for (bool reached = true; reached; n++) {
        struct mu_run_result *r = fleet();
        struct mu_cohorts *c = NULL;
        long before = n_live;
        start(n);
        int rc = mu_cohorts_new(&c, r, variable, NULL);
        reached = stop();
        assert_int_equal(rc, reached ? MU_ENOMEM : 0);
        mu_cohorts_free(c);
        assert_int_equal(n_live, before);
        mu_run_result_free(r);
    }
    assert_true(n > 10);
}

static void a_slow_server_is_not_better_for_it(void **state)
{
    (void)state;
    size_t n = 1;
    for (bool reached = true; reached; n++) {
        struct mu_run_result *r = fleet();
        struct mu_cohorts *c = NULL;
        struct mu_step_result *s = &r->tasks[13].steps[0];
        long before = n_live;
        assert_int_equal(mu_cohorts_new(&c, r, variable, NULL), 0);
        start(n);
        bool missed = mu_cohorts_judge(c, 13, s, variable, NULL);
        mu_peers_settle(s);
        reached = stop();
        /* What cannot even be looked up is not judged. Everything else stands, told less. */
        assert_true(missed || s->metrics[0].peers.state == MU_PEERS_NOT_JUDGED);
        assert_int_equal(s->status, missed ? MU_ST_FAILED : MU_ST_PASSED);
        assert_int_equal(s->metrics[0].judgement, missed ? MU_MISSED : MU_UNJUDGED);
        mu_cohorts_free(c);
        mu_run_result_free(r);
        assert_true(n_live < before);
    }
    assert_true(n > 5);
}

static void samples_are_all_there_or_the_metric_is_not(void **state)
{
    (void)state;
    const double v[] = {1, 2, 3};
    const struct mu_threshold th = {.unit = (char[]){"ms"}, .has_min = true, .min = 9};
    size_t n = 1;
    for (bool reached = true; reached; n++) {
        struct mu_step_result *s = mu_step_result_new("cpu");
        long before = n_live;
        start(n);
        int rc = mu_step_result_add_samples(s, "score", v, 3, NULL, &th);
        reached = stop();
        assert_int_equal(rc, reached ? MU_ENOMEM : 0);
        assert_int_equal(s->n_metrics, reached ? 0 : 1);
        if (reached)
            assert_true(n_live <= before + 1); /* the array has room already */
        mu_step_result_free(s);
    }
    assert_true(n > 4);
}

static void a_copy_is_whole_or_empty(void **state)
{
    (void)state;
    const struct mu_threshold th = {.metric = (char[]){"m"}, .unit = (char[]){"ms"}, .peers = {.group_by = (char[]){"model"}}};
    for (size_t n = 1; n <= 4; n++) {
        struct mu_threshold copy;
        long before = n_live;
        start(n);
        int rc = mu_threshold_copy(&copy, &th);
        stop();
        assert_int_equal(rc, n < 4 ? MU_ENOMEM : 0);
        if (rc)
            assert_true(!copy.metric && !copy.unit && !copy.peers.group_by);
        mu_threshold_clear(&copy);
        assert_int_equal(n_live, before);
    }
}

static void a_page_is_whole_or_failed(void **state)
{
    (void)state;
    struct mu_run_result *r = fleet();
    struct mu_trail_value values[] = {{0, 0, 3, 7}};
    struct mu_trail_run run = {(char[]){"20231114-1"}, 1700060320123};
    const struct mu_trail past = {.runs = &run, .n_runs = 1, .values = values, .n_values = 1};
    size_t n = 1, whole = 0;
    add_broken(&r->tasks[2], "gpu", MU_ST_ERROR, "CommandError", "it broke", "it broke");
    settle_all(r);
    for (size_t k = 0; k < 2; k++) { /* the locale is made once */
        struct mu_buf page = MU_BUF_INIT;
        mu_report_html(r, &past, &page);
        assert_false(page.failed);
        whole = page.len;
        mu_buf_free(&page);
    }
    for (bool reached = true; reached; n++) {
        struct mu_buf page = MU_BUF_INIT;
        long before = n_live;
        start(n);
        mu_report_html(r, &past, &page);
        reached = stop();
        assert_true(page.failed || page.len == whole); /* without a locale of its own it is whole, too */
        assert_true(reached || !page.failed);
        mu_buf_free(&page);
        assert_int_equal(n_live, before);
    }
    assert_true(n > 40);
    mu_run_result_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cohorts_are_whole_or_not_there),
        cmocka_unit_test(a_slow_server_is_not_better_for_it),
        cmocka_unit_test(samples_are_all_there_or_the_metric_is_not),
        cmocka_unit_test(a_copy_is_whole_or_empty),
        cmocka_unit_test(a_page_is_whole_or_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
