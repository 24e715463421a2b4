/* store_look.h: runs by name, what servers measured before; and a database of an older form is brought up to date. */
#include "build.h"

#include <math.h>
#include <sqlite3.h>

#include "results/store_look.h"
#include "store_test.h"

/* A run of two servers that measured these, by a rule; its number in its id. */
static void keep_run(int number, const char *script, const char *params, double first, double second, bool replayed)
{
    const struct mu_store_file file = {script, "aa", "return 1", 8};
    const struct mu_store_head head = {.script_path = script, .files = &file, .n_files = 1, .version = "0", .host = "h", .owner = "o@h",
                                       .params = params, .thresholds = "{}", .replayed = replayed};
    struct mu_store *s = NULL;
    struct mu_run_result *r = make_run(2, "srv", 2);
    free(r->run_id);
    assert_true(asprintf(&r->run_id, "run-%02d", number) > 0);
    r->started_ms = 1000 * number;
    add_measured(&r->tasks[0], "cpu", "score", first, ">= 50");
    add_measured(&r->tasks[1], "cpu", "score", second, ">= 50");
    settle_all(r);
    OK(mu_store_open(&s, path, true, &why));
    OK(mu_store_begin(s, r, &head, say_any_server, NULL, &why));
    OK(mu_store_end(s, r, &why));
    mu_store_close(s);
    mu_run_result_free(r);
}

static void assert_past(struct mu_store *s, struct mu_past_wanted w, const char *server, size_t n, const double *values)
{
    struct mu_past *past = NULL;
    size_t found = 99;
    OK(mu_store_load_past(s, &w, &past, &why));
    const double *v = mu_past_find(past, server, "cpu", "score", &found);
    assert_int_equal(found, n);
    for (size_t i = 0; i < n; i++)
        assert_true(v[i] == values[i]);
    mu_past_free(past);
}

static void test_past(void **state)
{
    static const char *const one[] = {"srv01"}, *const nobody[] = {"srv9"};
    (void)state;
    keep_run(1, "/s/cpu.lua", "{}", 100, 80, false);
    keep_run(2, "/s/cpu.lua", "{}", 101, NAN, false);
    keep_run(3, "/s/other.lua", "{}", 7, 7, false);      /* another script */
    keep_run(4, "/s/cpu.lua", "{\"n\":2}", 55, 55, false); /* other parameters */
    keep_run(5, "/s/cpu.lua", "{}", 10, 82, false);      /* the first was missed */
    keep_run(6, "/s/cpu.lua", "{}", 99, 99, true);       /* a replay */
    keep_run(7, "/s/cpu.lua", "{}", 103, 83, false);
    struct mu_store *s = NULL;
    OK(mu_store_open(&s, path, false, &why));
    struct mu_past_wanted w = {.script_path = "/s/cpu.lua", .params = "{}", .last = 10};
    assert_past(s, w, "srv01", 3, (const double[]){103, 101, 100});
    assert_past(s, w, "srv02", 3, (const double[]){83, 82, 80});
    w.servers = one;
    w.n_servers = 1;
    assert_past(s, w, "srv01", 3, (const double[]){103, 101, 100});
    assert_past(s, w, "srv02", 0, NULL);
    w.last = 2;
    assert_past(s, w, "srv01", 2, (const double[]){103, 101});
    w.except = "run-07";
    assert_past(s, w, "srv01", 2, (const double[]){101, 100});
    w.except = NULL;
    w.before_ms = 2000;
    assert_past(s, w, "srv01", 1, (const double[]){100});
    w = (struct mu_past_wanted){.script_path = "/s/cpu.lua", .last = 10};
    assert_past(s, w, "srv01", 4, (const double[]){103, 55, 101, 100});
    w.servers = nobody;
    w.n_servers = 1;
    assert_past(s, w, "srv01", 0, NULL);
    mu_store_close(s);
}

static void assert_named(struct mu_store *s, const char *ref, const char *id)
{
    struct mu_store_run run;
    OK(mu_store_find_named(s, ref, &run, &why));
    assert_string_equal(run.run_id, id);
    mu_store_run_clear(&run);
}

static void test_names(void **state)
{
    struct mu_store *s = NULL;
    struct mu_store_run run;
    struct mu_run_row *rows = NULL;
    struct mu_measured *measured = NULL;
    size_t n = 0;
    (void)state;
    keep_run(2, "/s/cpu.lua", "{}", 100, 10, false);
    keep_run(1, "/s/cpu.lua", "{}", 100, 80, false); /* kept later, and begun earlier: as runs that were copied */
    OK(mu_store_open(&s, path, false, &why));
    assert_named(s, "last", "run-02");
    assert_named(s, "last~0", "run-02");
    assert_named(s, "last~1", "run-01");
    assert_named(s, "run-01", "run-01");
    static const char *const wrong[] = {"last~2", "last~", "last~x", "last~1x", "lasts", "", "~1", "run%", "last~99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_true(mu_store_find_named(s, wrong[i], &run, NULL) < 0);
    OK(mu_store_list_runs(s, &(struct mu_runs_wanted){.server = "srv02"}, &rows, &n, &why));
    assert_int_equal(n, 2);
    assert_string_equal(rows[0].run.run_id, "run-02");
    assert_int_equal(rows[0].status, MU_ST_FAILED);
    assert_true(rows[0].counts[MU_ST_FAILED] == 1 && rows[0].counts[MU_ST_PASSED] == 1);
    OK(mu_store_list_measured(s, &rows[0].run, "srv02", &measured, &n, &why));
    assert_int_equal(n, 1);
    assert_true(measured[0].value == 10 && measured[0].judgement == MU_MISSED && measured[0].status == MU_ST_FAILED);
    mu_measured_free(measured, n);
    mu_run_rows_free(rows, 2);
    mu_store_close(s);
}

static void sql(const char *text)
{
    sqlite3 *db = NULL;
    char *why = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", text, why);
    sqlite3_close(db);
}

/* Form 2 had no rules about a server's past. What it has stays, and they can be kept from now on. */
static void test_form_2(void **state)
{
    struct mu_store *s = NULL;
    struct mu_store_run run;
    struct mu_run_result *r = NULL;
    (void)state;
    keep_run(1, "/s/cpu.lua", "{}", 100, 80, false);
    sql("DROP TABLE pasts; DROP TABLE artefacts; PRAGMA user_version = 2");
    OK(mu_store_open(&s, path, false, &why));
    OK(mu_store_find(s, "run-01", &run, &why));
    OK(mu_store_load(s, &run, &r, &why));
    assert_true(r->tasks[0].steps[0].metrics[0].value == 100);
    mu_run_result_free(r);
    mu_store_run_clear(&run);
    mu_store_close(s);
    sql("SELECT step, state, note FROM pasts");
}

/* A metric that was judged by its past comes back as it was. */
static void test_verdicts(void **state)
{
    static const double past[] = {10, 10, 10, 10, 10};
    struct mu_threshold th = {.history = {.on = true, .last = 7, .min_runs = 5, .drop = {MU_AMOUNT_PERCENT, 5}}};
    const struct mu_store_head head = {.script_path = "/s/x.lua", .version = "0", .host = "h", .owner = "o", .params = "{}", .thresholds = "{}"};
    struct mu_store *s = NULL;
    struct mu_store_run run;
    struct mu_run_result *r = make_run(2, "srv", 2), *back = NULL;
    struct mu_buf before = MU_BUF_INIT, after = MU_BUF_INIT;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct mu_step_result *step = mu_step_result_new("cpu");
        assert_int_equal(mu_step_result_add_metric(step, "score", 5, NULL, &th), 0);
        assert_int_equal(mu_past_judge(step, past, i ? 5 : 4, NULL), 0);
        assert_int_equal(mu_task_result_add_step_take(&r->tasks[i], step), 0);
    }
    settle_all(r);
    OK(mu_store_open(&s, path, true, &why));
    OK(mu_store_begin(s, r, &head, say_any_server, NULL, &why));
    OK(mu_store_end(s, r, &why));
    OK(mu_store_find(s, r->run_id, &run, &why));
    OK(mu_store_load(s, &run, &back, &why));
    mu_report_json(r, &before);
    mu_report_json(back, &after);
    assert_string_equal(mu_buf_cstr(&before), mu_buf_cstr(&after));
    assert_non_null(strstr(mu_buf_cstr(&after), "\"history\":{\"state\":\"missed\",\"median\":10,\"noise\":0,\"values\":5,\"last\":7"));
    assert_non_null(strstr(mu_buf_cstr(&after), "\"note\":\"it has 4 earlier values, 5 are needed\""));
    mu_buf_free(&before);
    mu_buf_free(&after);
    mu_run_result_free(r);
    mu_run_result_free(back);
    mu_store_run_clear(&run);
    mu_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_past, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_form_2, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_verdicts, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
