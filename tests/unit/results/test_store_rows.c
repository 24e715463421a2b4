/* store.h: rows that are put many at a time, artefacts, and a file system that is of little use to a database. */
#include "build.h"

#include <sqlite3.h>

#include "results/store.h"
#include "store_test.h"

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
    OK(mu_store_begin(s, r, &head, say_any_server, NULL, &why));
    for (size_t i = 0; i < 23; i++)
        for (size_t j = 0; j < 1 + i % 5; j++) {
            char name[32], metric[64];
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

/* As on NFS: the same results, and it is said that each commit waits for the disk. */
static void without_shared_memory(void **state)
{
    (void)state;
    sqlite3_vfs *usual = sqlite3_vfs_find(NULL), *poor = sqlite3_vfs_find("unix-dotfile");
    struct mu_run_result *r = make_run(3, "srv", 2), *now = NULL;
    struct mu_store *s = NULL;
    struct mu_store_run run;
    struct mu_query *q = NULL;
    assert_non_null(poor);
    assert_int_equal(sqlite3_vfs_register(poor, 1), SQLITE_OK);
    OK(mu_store_open(&s, path, true, &why));
    OK(mu_query_new(&q, mu_store_db(s), "PRAGMA journal_mode", &why));
    assert_int_equal(mu_query_step(q, NULL), 1);
    assert_string_equal(mu_query_get_text(q, 0), "delete");
    mu_query_free(q);
    OK(mu_query_new(&q, mu_store_db(s), "PRAGMA synchronous", &why));
    assert_int_equal(mu_query_step(q, NULL), 1);
    assert_int_equal(mu_query_get_int(q, 0), 2); /* FULL */
    mu_query_free(q);
    OK(mu_store_begin(s, r, &head, say_any_server, NULL, &why));
    add_measured(&r->tasks[1], "cpu", "score", 14, ">= 50");
    mu_store_put(s, r, 1);
    OK(mu_store_commit(s, &why));
    settle_all(r);
    OK(mu_store_end(s, r, &why));
    mu_store_close(s);
    OK(mu_store_open(&s, path, true, &why));
    OK(mu_store_find(s, r->run_id, &run, &why));
    assert_int_equal(run.state, MU_STORE_FINISHED);
    OK(mu_store_load(s, &run, &now, &why));
    assert_int_equal(now->tasks[1].steps[0].metrics[0].value, 14);
    mu_store_run_clear(&run);
    mu_run_result_free(now);
    mu_run_result_free(r);
    mu_store_close(s);
    sqlite3_vfs_register(usual, 1);
}

static int keep_name(void *arg, const struct mu_store_artefact *a)
{
    struct mu_buf *out = arg;
    mu_buf_addf(out, "%s/%s %zu %.*s;", a->server, a->name, a->n, a->bytes ? (int)a->n : 1, a->bytes ? (const char *)a->bytes : "-");
    return 0;
}

static void artefacts(void **state)
{
    (void)state;
    struct mu_run_result *r = make_run(2, "srv", 2);
    struct mu_store *s = NULL;
    struct mu_store_run run;
    struct mu_buf out = MU_BUF_INIT;
    const bool anew[] = {false, true};
    OK(mu_store_open(&s, path, true, &why));
    OK(mu_store_begin(s, r, &head, say_any_server, NULL, &why));
    OK(mu_store_put_artefact(s, 1, "b", 5, "two", 3, &why));
    OK(mu_store_put_artefact(s, 1, "a", 5, NULL, 0, &why));
    OK(mu_store_put_artefact(s, 0, "b", 5, "one", 3, &why));
    OK(mu_store_put_artefact(s, 0, "b", 6, "other", 5, &why));
    OK(mu_store_commit(s, &why));
    mu_store_close(s);
    OK(mu_store_open(&s, path, true, &why));
    OK(mu_store_find(s, r->run_id, &run, &why));
    OK(mu_store_artefacts(s, &run, true, keep_name, &out, &why));
    assert_string_equal(mu_buf_cstr(&out), "srv01/b 5 other;srv02/a 0 ;srv02/b 3 two;");
    OK(mu_store_resume(s, &run, r, anew, &why)); /* what the second one kept was of the measurement that is gone */
    mu_buf_clear(&out);
    OK(mu_store_artefacts(s, &run, false, keep_name, &out, &why));
    assert_string_equal(mu_buf_cstr(&out), "srv01/b 5 -;");
    mu_buf_free(&out);
    mu_store_run_clear(&run);
    mu_run_result_free(r);
    mu_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_with_one_commit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_shared_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(artefacts, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
