/* store.h: rows that are put many at a time. */
#include "build.h"

#include "results/store.h"

static char dir[64], path[96];

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/test-store-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/results.db", dir);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

#define OK(call)                              \
    do {                                      \
        struct mu_err why = {0};              \
        if ((call) != 0)                      \
            fail_msg("%s: %s", #call, why.msg); \
    } while (0)

static int say_server(void *arg, size_t i, struct mu_store_server *out)
{
    (void)arg;
    (void)i;
    *out = (struct mu_store_server){.address = "10.0.0.1", .inventory = "{}"};
    return 0;
}

static const struct mu_store_head head = {.script_path = "/s/cpu.lua", .version = "0.1.0", .host = "ci", .owner = "ops@ci",
                                          .params = "{}", .thresholds = "{}"};

/* Rows of several statements, of every size: each metric and each failure is with its step. */
static void many_with_one_commit(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(23, "srv", 2);
    struct mu_store *s = NULL;
    const double samples[] = {3, 1, 2};
    OK(mu_store_open(&s, path, true, &why));
    OK(mu_store_begin(s, r, &head, say_server, NULL, &why));
    for (size_t i = 0; i < 23; i++)
        for (size_t j = 0; j < 1 + i % 5; j++) {
            char name[8], metric[16];
            snprintf(name, sizeof name, "s%zu", j);
            snprintf(metric, sizeof metric, "m%zu_%zu", i, j);
            add_measured(&r->tasks[i], name, metric, (double)(100 * i + j), i % 2 ? ">= 500" : NULL);
            for (size_t k = 0; k < j; k++)
                mu_step_result_add_metric(&r->tasks[i].steps[j], name, (double)k, "x", NULL);
            if (i % 7 == 3)
                mu_step_result_add_samples(&r->tasks[i].steps[j], "many", samples, 3, "ms", NULL);
            mu_store_put(s, r, i);
        }
    OK(mu_store_commit(s, &why));
    settle_all(r);
    OK(mu_store_end(s, r, &why));
    struct mu_run_result *now = NULL;
    struct mu_store_run run;
    OK(mu_store_find(s, r->run_id, &run, &why));
    OK(mu_store_load(s, &run, &now, &why));
    mu_store_run_clear(&run);
    struct mu_buf said = MU_BUF_INIT, kept = MU_BUF_INIT;
    mu_report_json(r, &said);
    mu_report_json(now, &kept);
    assert_true(said.len > 1000);
    assert_string_equal(mu_buf_cstr(&said), mu_buf_cstr(&kept));
    mu_buf_free(&said);
    mu_buf_free(&kept);
    mu_run_result_free(now);
    mu_run_result_free(r);
    mu_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_with_one_commit, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
