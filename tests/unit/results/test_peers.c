#include "build.h"

#include <math.h>

#include "results/peers.h"

/* ---- fleets ---- */

/* Variables of the servers: "model" is "odd" or "even" by the server's index, "none" is never there. */
static bool variable(void *arg, size_t task, const char *name, struct mu_buf *out)
{
    if (strcmp(name, "model") != 0 || (arg && task == *(size_t *)arg))
        return false;
    mu_buf_adds(out, task % 2 ? "odd" : "even");
    return true;
}

static struct mu_threshold rule(const char *group_by, double drop_percent, unsigned min_cohort)
{
    return (struct mu_threshold){.peers = {.on = true,
                                           .group_by = group_by ? strdup(group_by) : NULL,
                                           .drop = {MU_AMOUNT_PERCENT, drop_percent},
                                           .min_cohort = min_cohort}};
}

static void add_values(struct mu_task_result *t, const struct mu_threshold *th, const double *v, size_t n)
{
    struct mu_step_result *s = mu_step_result_new("cpu");
    assert_non_null(s);
    if (n == 1)
        assert_int_equal(mu_step_result_add_metric(s, "score", *v, NULL, th), 0);
    else
        assert_int_equal(mu_step_result_add_samples(s, "score", v, n, NULL, th), 0);
    assert_int_equal(mu_task_result_add_step_take(t, s), 0);
}

static struct mu_run_result *fleet(const double *v, size_t n, const struct mu_threshold *th)
{
    struct mu_run_result *r = make_run(n, "srv", 3);
    for (size_t i = 0; i < n; i++)
        add_values(&r->tasks[i], th, &v[i], 1);
    return r;
}

static const struct mu_metric *score(const struct mu_run_result *r, size_t i) { return &r->tasks[i].steps[0].metrics[0]; }

static void judge_all(struct mu_run_result *r, void *without)
{
    struct mu_cohorts *c = NULL;
    assert_int_equal(mu_cohorts_new(&c, r, variable, without), 0);
    for (size_t i = 0; i < r->n_tasks; i++)
        for (size_t j = 0; j < r->tasks[i].n_steps; j++)
            mu_cohorts_judge(c, i, &r->tasks[i].steps[j], variable, without);
    mu_cohorts_free(c);
}

/* ---- the rule ---- */

static void missed_is_what_is_beyond_both_drop_and_noise(void **state)
{
    (void)state;
    /* Median 100, MAD 1: the noise is 3 * 1.4826 = 4.45. */
    const double v[] = {99, 99, 100, 100, 100, 101, 101, 99, 101, 100, 95.7, 95.3, 97};
    for (int drop = 4; drop <= 5; drop++) {
        struct mu_threshold th = rule(NULL, drop, 5);
        struct mu_run_result *r = fleet(v, 13, &th);
        judge_all(r, NULL);
        assert_int_equal(score(r, 10)->peers.state, MU_PEERS_PASSED); /* beyond 4 %, not the noise */
        assert_int_equal(score(r, 11)->peers.state, drop == 4 ? MU_PEERS_MISSED : MU_PEERS_PASSED);
        assert_int_equal(score(r, 12)->peers.state, MU_PEERS_PASSED);
        assert_true(fabs(score(r, 11)->peers.noise - 4.4478) < 1e-9);
        assert_true(score(r, 11)->peers.median == 100 && score(r, 11)->peers.n == 13);
        assert_int_equal(score(r, 11)->judgement, MU_UNJUDGED); /* not before it is settled */
        assert_int_equal(r->tasks[11].steps[0].status, MU_ST_PASSED);
        mu_run_result_free(r);
        mu_threshold_clear(&th);
    }
}

static void noise_protects_what_is_noisy(void **state)
{
    (void)state;
    /* The same drop of 12 %, among peers that differ by as much themselves. */
    const double v[] = {88, 92, 96, 100, 104, 108, 112, 100, 90, 110};
    struct mu_threshold th = rule(NULL, 5, 5);
    struct mu_run_result *r = fleet(v, 10, &th);
    judge_all(r, NULL);
    assert_int_equal(score(r, 0)->peers.state, MU_PEERS_PASSED);
    mu_run_result_free(r);
    mu_threshold_clear(&th);

    /* And a server whose own samples are all over the place is not accused by their median. */
    const double quiet[] = {100, 100.1, 99.9}, slow[] = {88, 88.1, 87.9}, wild[] = {60, 88, 120, 87, 130};
    th = rule(NULL, 5, 5);
    r = make_run(8, "srv", 1);
    for (size_t i = 0; i < 6; i++)
        add_values(&r->tasks[i], &th, quiet, 3);
    add_values(&r->tasks[6], &th, slow, 3);
    add_values(&r->tasks[7], &th, wild, 5);
    judge_all(r, NULL);
    assert_int_equal(score(r, 5)->peers.state, MU_PEERS_PASSED);
    assert_int_equal(score(r, 6)->peers.state, MU_PEERS_MISSED);
    assert_int_equal(score(r, 7)->peers.state, MU_PEERS_PASSED);
    mu_run_result_free(r);
    mu_threshold_clear(&th);
}

static void a_rise_is_what_a_drop_is_on_the_other_side(void **state)
{
    (void)state;
    const double v[] = {10, 10, 10, 10, 10, 12, 8};
    struct mu_threshold th = {.peers = {.on = true, .rise = {MU_AMOUNT_PLAIN, 1}, .min_cohort = 5}};
    struct mu_run_result *r = fleet(v, 7, &th);
    judge_all(r, NULL);
    assert_int_equal(score(r, 5)->peers.state, MU_PEERS_MISSED);
    assert_true(score(r, 5)->peers.above);
    assert_int_equal(score(r, 6)->peers.state, MU_PEERS_PASSED);
    assert_int_equal(mu_peers_settle(&r->tasks[5].steps[0]), 0);
    assert_string_equal(r->tasks[5].steps[0].failures[0].message, "cpu.score 12 > 11 (peers: median 10 + 1, 7 servers)");
    mu_run_result_free(r);
}

static void cohorts_are_servers_of_one_value(void **state)
{
    (void)state;
    /* Even ones measure 100, odd ones 50; server 9 has no model. */
    double v[12];
    size_t without = 9;
    for (size_t i = 0; i < 12; i++)
        v[i] = i % 2 ? 50 : 100;
    v[4] = 80;
    struct mu_threshold th = rule("model", 10, 5);
    struct mu_run_result *r = fleet(v, 12, &th);
    judge_all(r, &without);
    for (size_t i = 0; i < 12; i++)
        assert_int_equal(score(r, i)->peers.state, i == 9   ? MU_PEERS_NOT_JUDGED
                                                   : i == 4 ? MU_PEERS_MISSED
                                                            : MU_PEERS_PASSED);
    assert_int_equal(score(r, 3)->peers.n, 5);
    assert_string_equal(score(r, 4)->peers.group, "even");
    assert_string_equal(score(r, 9)->peers.note, "it has no model");
    for (size_t i = 0; i < 12; i++)
        assert_int_equal(mu_peers_settle(&r->tasks[i].steps[0]), 0);
    assert_int_equal(r->tasks[4].steps[0].status, MU_ST_FAILED);
    assert_int_equal(r->tasks[3].steps[0].status, MU_ST_PASSED);
    assert_int_equal(score(r, 3)->judgement, MU_PASSED);
    assert_int_equal(score(r, 9)->judgement, MU_UNJUDGED);
    const struct mu_failure *f = &r->tasks[4].steps[0].failures[0];
    assert_string_equal(f->message, "cpu.score 80 < 90 (peers: median 100 - 10 %, 6 with model even)");
    assert_string_equal(f->cause, "< 90 (peers: median 100 - 10 %, 6 with model even)");
    assert_string_equal(f->type, "PerformanceBelowExpected");
    assert_summary(r, false,
                   "FAILED       cpu.score 80 < 90 (peers: median 100 - 10 %, 6 with model even)  srv005             1\n"
                   "Not judged: cpu.score of 1 server by peers: it has no model. unjudged_servers=[srv010]\n"
                   "Out of 12, 1 server failed. failed_servers=[srv005]\n");
    mu_run_result_free(r);
    mu_threshold_clear(&th);
}

static void a_small_cohort_judges_nobody(void **state)
{
    (void)state;
    const double v[] = {100, 50, 100, 50, 100, 10, 100};
    struct mu_threshold th = rule("model", 10, 4);
    struct mu_run_result *r = fleet(v, 7, &th);
    judge_all(r, NULL);
    assert_int_equal(score(r, 0)->peers.state, MU_PEERS_PASSED);
    assert_int_equal(score(r, 5)->peers.state, MU_PEERS_NOT_JUDGED);
    assert_string_equal(score(r, 5)->peers.note, "3 with model odd measured it, 4 are needed");
    assert_summary(r, false,
                   "Not judged: cpu.score of 3 servers by peers: 3 with model odd measured it, 4 are needed. "
                   "unjudged_servers=[srv002, srv004, srv006]\n"
                   "Out of 7, 0 servers failed. failed_servers=[]\n");
    mu_run_result_free(r);
    mu_threshold_clear(&th);
}

static void all_that_measured_are_peers(void **state)
{
    (void)state;
    /* Server 0 alone has the rule; others measured the metric under none, or by a bound that they miss; one is infinite. */
    struct mu_threshold th = rule(NULL, 10, 5), min = {.has_min = true, .min = 1000};
    struct mu_run_result *r = make_run(7, "srv", 1);
    for (size_t i = 0; i < 7; i++) {
        double v = i == 0 ? 70 : i == 6 ? (double)INFINITY : 100;
        add_values(&r->tasks[i], i == 0 ? &th : i == 1 ? &min : NULL, &v, 1);
    }
    judge_all(r, NULL);
    assert_int_equal(score(r, 0)->peers.state, MU_PEERS_MISSED);
    assert_int_equal(score(r, 0)->peers.n, 6);
    assert_int_equal(score(r, 1)->peers.state, MU_PEERS_NONE);
    assert_int_equal(score(r, 6)->peers.state, MU_PEERS_NONE);
    mu_run_result_free(r);
    mu_threshold_clear(&th);
}

static void a_bound_of_its_own_is_told_first(void **state)
{
    (void)state;
    const double v[] = {100, 100, 100, 100, 100, 60};
    struct mu_threshold th = rule(NULL, 10, 5);
    th.has_min = true;
    th.min = 70;
    struct mu_run_result *r = fleet(v, 6, &th);
    judge_all(r, NULL);
    assert_int_equal(score(r, 5)->peers.state, MU_PEERS_MISSED);
    assert_false(mu_peers_missed(&r->tasks[5].steps[0])); /* nothing to tell: it has failed */
    assert_int_equal(mu_peers_settle(&r->tasks[5].steps[0]), 0);
    assert_int_equal(r->tasks[5].steps[0].n_failures, 0);
    assert_summary(r, false,
                   "FAILED       cpu.score 60 < 70                 srv006             1\n"
                   "Out of 6, 1 server failed. failed_servers=[srv006]\n");
    mu_run_result_free(r);
    mu_threshold_clear(&th);
}

static void what_is_void_was_not_judged(void **state)
{
    (void)state;
    const double v[] = {100, 100, 100, 100, 100, 60};
    struct mu_threshold th = rule(NULL, 10, 5);
    struct mu_run_result *r = fleet(v, 6, &th);
    mu_peers_void(&r->tasks[1].steps[0], "interrupted"); /* before it was compared */
    assert_string_equal(score(r, 1)->peers.note, "interrupted");
    judge_all(r, NULL);
    assert_int_equal(score(r, 1)->peers.state, MU_PEERS_PASSED);
    mu_peers_void(&r->tasks[0].steps[0], "interrupted");
    assert_int_equal(score(r, 0)->peers.state, MU_PEERS_PASSED);
    mu_peers_void(&r->tasks[5].steps[0], "interrupted");
    assert_string_equal(score(r, 5)->peers.note, "interrupted");
    assert_int_equal(mu_peers_settle(&r->tasks[5].steps[0]), 0);
    assert_int_equal(r->tasks[5].steps[0].status, MU_ST_PASSED);
    assert_int_equal(score(r, 5)->judgement, MU_UNJUDGED);
    mu_run_result_free(r);
}

/* One cause for a cohort, whatever each server's own noise is; and no value shown that the bound shown would pass. */
static void a_cohort_folds_into_one_row(void **state)
{
    (void)state;
    double v[40];
    for (size_t i = 0; i < 40; i++)
        v[i] = 1234.56789 + 0.001 * (double)i;
    v[3] = 900;
    v[4] = 1111.11;
    struct mu_threshold th = rule("model", 10, 5);
    struct mu_run_result *r = fleet(v, 40, &th);
    double samples[] = {899, 901, 905};
    add_values(&r->tasks[5], &th, samples, 3); /* a second step of the same name: folded all the same */
    judge_all(r, NULL);
    for (size_t i = 0; i < 40; i++)
        for (size_t j = 0; j < r->tasks[i].n_steps; j++)
            assert_int_equal(mu_peers_settle(&r->tasks[i].steps[j]), 0);
    settle_all(r);
    struct mu_buf out = MU_BUF_INIT;
    mu_summary_write(r, false, &out);
    assert_non_null(strstr(mu_buf_cstr(&out), "FAILED       cpu.score 900\xe2\x80\x93""901 < 1111.13 (peers: median 1234.59 - 10 %, 21 with model odd)"));
    assert_non_null(strstr(mu_buf_cstr(&out), "FAILED       cpu.score 1111.11 < 1111.13 (peers: median 1234.59 - 10 %, 20 with model even)"));
    mu_buf_free(&out);
    mu_run_result_free(r);
    mu_threshold_clear(&th);
}

static void equal_values_and_none_are_no_trouble(void **state)
{
    (void)state;
    const double same[] = {0, 0, 0, 0, 0, -1};
    struct mu_threshold th = rule(NULL, 10, 5);
    struct mu_run_result *r = fleet(same, 6, &th);
    judge_all(r, NULL);
    assert_int_equal(score(r, 0)->peers.state, MU_PEERS_PASSED);
    assert_int_equal(score(r, 5)->peers.state, MU_PEERS_MISSED); /* of nothing every drop is more than 10 % */
    mu_run_result_free(r);
    r = make_run(0, "srv", 1);
    judge_all(r, NULL);
    mu_run_result_free(r);
    mu_threshold_clear(&th);
}

/* A fleet of many cohorts: every server its own model but for pairs. Anything quadratic would not end. */
static bool own_model(void *arg, size_t task, const char *name, struct mu_buf *out)
{
    (void)arg;
    (void)name;
    mu_buf_addf(out, "model%zu", task / 2);
    return true;
}

static void a_hundred_thousand_servers(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct mu_threshold th = rule("model", 10, 3), whole = rule(NULL, 10, 3);
    struct mu_run_result *r = make_run(N, "srv", 6);
    struct mu_cohorts *c = NULL;
    for (size_t i = 0; i < N; i++) {
        double v = i == 77777 ? 1 : 100 + (double)(i % 10);
        add_values(&r->tasks[i], i % 2 ? &th : &whole, &v, 1);
    }
    assert_int_equal(mu_cohorts_new(&c, r, own_model, NULL), 0);
    for (size_t i = 0; i < N; i++)
        assert_false(mu_cohorts_judge(c, i, &r->tasks[i].steps[0], own_model, NULL));
    assert_int_equal(score(r, 77777)->peers.n, 2);
    assert_int_equal(score(r, 77776)->peers.n, N);
    mu_cohorts_free(c);
    mu_run_result_free(r);
    mu_threshold_clear(&th);
}

/* ---- simulated fleets ---- */

#if defined(__SANITIZE_THREAD__)
enum { SERVERS = 500, SEEDS = 20 }; /* one thread: nothing to be found but by the others, who do it all */
#else
enum { SERVERS = 500, SEEDS = 200 };
#endif

static uint64_t rng;

static double uniform(void)
{
    uint64_t z = rng += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return ((double)((z ^ z >> 31) >> 11) + 0.5) / 9007199254740992.0;
}

static double gaussian(void) { return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform()); }

static void sample(double *v, size_t n, double speed, double noise)
{
    for (size_t i = 0; i < n; i++)
        v[i] = speed * (1 + noise * gaussian());
}

struct tally {
    size_t slow, healthy;               /* servers */
    size_t slow_once, healthy_once;     /* missed in the first measurement */
    size_t named, accused;              /* and in the second one */
};

/* 5 %, as many of each model. */
static bool is_slow(size_t i, unsigned seed) { return i / 2 % 20 == seed % 20; }

/* Two models, of which one is half as fast. */
static void simulate(struct tally *t, unsigned seed, double drop, size_t samples, double noise, double slow_by)
{
    struct mu_threshold th = rule("model", drop, 5);
    struct mu_run_result *r = make_run(SERVERS, "srv", 3);
    struct mu_cohorts *c = NULL;
    double speed[SERVERS], v[16];
    rng = seed;
    for (size_t i = 0; i < SERVERS; i++) {
        speed[i] = (i % 2 ? 5000.0 : 10000.0) * (is_slow(i, seed) ? 1 - slow_by : 1);
        sample(v, samples, speed[i], noise);
        add_values(&r->tasks[i], &th, v, samples);
    }
    assert_int_equal(mu_cohorts_new(&c, r, variable, NULL), 0);
    for (size_t i = 0; i < SERVERS; i++) {
        bool slow = is_slow(i, seed), again = mu_cohorts_judge(c, i, &r->tasks[i].steps[0], variable, NULL);
        *(slow ? &t->slow : &t->healthy) += 1;
        if (!again)
            continue;
        *(slow ? &t->slow_once : &t->healthy_once) += 1;
        sample(v, samples, speed[i], noise);
        add_values(&r->tasks[i], &th, v, samples);
        if (mu_cohorts_judge(c, i, &r->tasks[i].steps[1], variable, NULL))
            *(slow ? &t->named : &t->accused) += 1;
    }
    mu_cohorts_free(c);
    mu_run_result_free(r);
    mu_threshold_clear(&th);
}

/* The table of docs/thresholds.md. */
static void finds_the_slow_and_accuses_nobody_else(void **state)
{
    (void)state;
    static const struct {
        double drop;
        size_t samples;
    } rows[] = {{5, 1}, {5, 3}, {5, 5}, {8, 1}, {8, 3}, {8, 5}, {10, 1}, {10, 3}, {10, 5}};
    printf("| drop | samples | slow: first measurement | named after the second | healthy: first measurement | accused after the second |\n");
    for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
        struct tally t = {0};
        for (unsigned seed = 1; seed <= SEEDS; seed++)
            simulate(&t, seed, rows[k].drop, rows[k].samples, 0.03, 0.15);
        printf("| %g %% | %zu | %.2f %% | %.2f %% | %.1f in 100,000 | %.1f in 100,000 |\n", rows[k].drop, rows[k].samples,
               100.0 * (double)t.slow_once / (double)t.slow, 100.0 * (double)t.named / (double)t.slow,
               1e5 * (double)t.healthy_once / (double)t.healthy, 1e5 * (double)t.accused / (double)t.healthy);
        assert_int_equal(t.slow, SEEDS * SERVERS / 20);
        assert_true(t.accused * 1000 <= t.healthy);
        if (rows[k].samples == 5)
            assert_true((t.slow - t.named) * 1000 <= t.slow);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missed_is_what_is_beyond_both_drop_and_noise),
        cmocka_unit_test(noise_protects_what_is_noisy),
        cmocka_unit_test(a_rise_is_what_a_drop_is_on_the_other_side),
        cmocka_unit_test(cohorts_are_servers_of_one_value),
        cmocka_unit_test(a_small_cohort_judges_nobody),
        cmocka_unit_test(all_that_measured_are_peers),
        cmocka_unit_test(a_bound_of_its_own_is_told_first),
        cmocka_unit_test(what_is_void_was_not_judged),
        cmocka_unit_test(a_cohort_folds_into_one_row),
        cmocka_unit_test(equal_values_and_none_are_no_trouble),
        cmocka_unit_test(a_hundred_thousand_servers),
        cmocka_unit_test(finds_the_slow_and_accuses_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
