/* The HTML page of a run: what its data is like, that nothing hostile is outside of it, that its size is linear. What a browser
 * makes of it: tests/report. */
#include "build.h"

#include "results/report_html.h"
#include "results/store_trail.h"

static size_t page_of(struct mu_run_result *r, const struct mu_trail *past, struct mu_buf *page)
{
    mu_buf_clear(page);
    settle_all(r);
    mu_report_html(r, past, page);
    assert_false(page->failed);
    return page->len;
}

/* What is inside of an element of the page. */
static char *inside(const struct mu_buf *page, const char *id)
{
    char start[64];
    snprintf(start, sizeof start, "id=\"%s\">", id);
    const char *from = strstr(mu_buf_cstr(page), start);
    assert_non_null(from);
    const char *end = strstr(from, "</script>");
    assert_non_null(end);
    return strndup(from + strlen(start), (size_t)(end - from) - strlen(start));
}

static void nothing_hostile_is_markup(void **state)
{
    static const char evil[] = "</script><script>alert(1)</script><!--@@JS@@" HOSTILE;
    struct mu_run_result *r = make_run(3, "srv", 2);
    struct mu_buf page = MU_BUF_INIT;
    (void)state;
    free(r->script);
    r->script = strdup(evil);
    r->description = strdup(evil);
    rename_server(r, 0, evil);
    add_measured(&r->tasks[0], "cpu", evil, 1, ">= 5 </s");
    add_broken(&r->tasks[1], "gpu", MU_ST_ERROR, evil, evil, evil);
    mu_buf_adds(&r->tasks[1].steps[0].log, evil);
    page_of(r, NULL, &page);
    for (size_t i = 0; i < 3; i++) {
        char *data = inside(&page, (const char *const[]){"run-data", "log-data", "past-data"}[i]);
        assert_null(strchr(data, '<'));
        assert_true(i == 2 || strstr(data, "\\u003c/script>\\u003cscript>alert(1)"));
        free(data);
    }
    const char *scripts = mu_buf_cstr(&page);
    size_t n = 0;
    for (; (scripts = strstr(scripts, "<script")) != NULL; scripts++)
        n++;
    assert_int_equal(n, 5); /* three of data, two of the page */
    assert_null(strstr(mu_buf_cstr(&page), "alert(1)</script"));
    mu_buf_free(&page);
    mu_run_result_free(r);
}

static void every_page_has_its_own_word(void **state)
{
    static const char key[] = "script-src 'nonce-";
    struct mu_run_result *r = make_run(1, "srv", 2);
    struct mu_buf one = MU_BUF_INIT, other = MU_BUF_INIT;
    (void)state;
    page_of(r, NULL, &one);
    page_of(r, NULL, &other);
    const char *a = strstr(mu_buf_cstr(&one), key), *b = strstr(mu_buf_cstr(&other), key);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(strspn(a + strlen(key), "0123456789abcdef"), 32);
    assert_memory_not_equal(a, b, strlen(key) + 32);
    assert_null(strstr(mu_buf_cstr(&one), "@@"));
    mu_buf_free(&one);
    mu_buf_free(&other);
    mu_run_result_free(r);
}

/* The page's bytes for n servers, each with what differs from all others' */
static size_t size_of(size_t n, bool own_metric, bool own_rule)
{
    struct mu_run_result *r = make_run(n, "srv", 5);
    struct mu_buf page = MU_BUF_INIT;
    for (size_t i = 0; i < n; i++) {
        char metric[32], rule[32];
        snprintf(metric, sizeof metric, "m%zu", own_metric ? i : 0);
        snprintf(rule, sizeof rule, ">= %zu", own_rule ? i + 1 : 5);
        add_measured(&r->tasks[i], "cpu", metric, 1e6 + (double)i, rule);
    }
    size_t size = page_of(r, NULL, &page);
    mu_buf_free(&page);
    mu_run_result_free(r);
    return size;
}

static void size_is_linear(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        size_t none = size_of(1, kind & 1, kind & 2), small = size_of(500, kind & 1, kind & 2) - none;
        size_t large = size_of(5000, kind & 1, kind & 2) - none;
        if (large > small * 12) /* indexes grow by a digit */
            fail_msg("kind %d: %zu bytes for 500 servers, %zu for 5000", kind, small, large);
    }
}

static void columns_are_found_and_in_order(void **state)
{
    struct mu_run_result *r = make_run(4, "srv", 2);
    struct mu_columns c;
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        if (i != 1)
            add_measured(&r->tasks[i], "zeta", "b", (double)i, NULL);
        add_measured(&r->tasks[i], "alpha", "a", 10 + (double)i, NULL);
    }
    assert_int_equal(mu_columns_make(&c, r), 0);
    assert_int_equal(c.n_metrics, 2);
    assert_int_equal(c.n_steps, 2);
    const struct mu_column *b = mu_columns_find(&c, "zeta", "b");
    assert_non_null(b);
    assert_int_equal(b->shown, 0); /* the script's first */
    assert_int_equal(b->n, 3);
    assert_int_equal(b->cells[1].task, 2);
    assert_null(mu_columns_find(&c, "zeta", "a"));
    assert_null(mu_columns_find(&c, "", ""));
    mu_columns_clear(&c);
    mu_run_result_free(r);
}

/* ---- former runs ---- */

static int say_server(void *arg, size_t i, struct mu_store_server *out)
{
    (void)arg;
    (void)i;
    *out = (struct mu_store_server){.address = "10.0.0.1", .inventory = "{}"};
    return 0;
}

#define OK(call)                                    \
    do {                                            \
        struct mu_err why = {0};                    \
        if ((call) != 0)                            \
            fail_msg("%s: %s", #call, why.msg);     \
    } while (0)

/* A run of 3 servers, kept in path; the second has nothing to say. Whether it ended is said by ends. */
static void keep_run(const char *path, const char *id, const char *script, double value, bool ends)
{
    struct mu_store_head head = {.script_path = script, .version = "1", .host = "ci", .owner = "ops", .params = "{}", .thresholds = "{}"};
    struct mu_run_result *r = make_run(3, "srv", 2);
    struct mu_store *s = NULL;
    OK(mu_store_open(&s, path, true, &why));
    free(r->run_id);
    r->run_id = strdup(id);
    OK(mu_store_begin(s, r, &head, say_server, NULL, &why));
    for (size_t i = 0; i < 3; i += 2) {
        add_measured(&r->tasks[i], "cpu", "score", value + (double)i, NULL);
        mu_store_note_worker(s, i, (int)i);
        mu_store_put(s, r, i);
    }
    settle_all(r);
    for (size_t i = 0; i < 3; i++)
        OK(mu_store_final(s, r, i, false, &why));
    if (ends)
        OK(mu_store_end(s, r, &why));
    else
        OK(mu_store_commit(s, &why));
    mu_store_close(s);
    mu_run_result_free(r);
}

static void former_runs_are_those_of_the_script_that_ended(void **state)
{
    char dir[] = "/tmp/test-past-XXXXXX", path[64], command[64];
    struct mu_store *s = NULL;
    struct mu_store_run run;
    struct mu_run_result *r = NULL;
    struct mu_trail past;
    struct mu_buf page = MU_BUF_INIT;
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/results.db", dir);
    keep_run(path, "run-1", "/s/cpu.lua", 10, true);
    keep_run(path, "run-2", "/s/other.lua", 20, true);
    keep_run(path, "run-3", "/s/cpu.lua", 30, false);
    keep_run(path, "run-4", "/s/cpu.lua", 40, true);
    keep_run(path, "run-5", "/s/cpu.lua", 50, true);
    keep_run(path, "run-6", "/s/cpu.lua", 60, true);
    OK(mu_store_open(&s, path, false, &why));
    OK(mu_store_find(s, "run-5", &run, &why));
    OK(mu_store_load(s, &run, &r, &why));
    OK(mu_trail_load(&past, s, &run, r, &why));
    assert_int_equal(past.n_runs, 2);
    assert_string_equal(past.runs[0].run_id, "run-1");
    assert_string_equal(past.runs[1].run_id, "run-4");
    assert_false(past.shortened);
    assert_int_equal(past.n_values, 4);
    const struct mu_trail_value expected[] = {{0, 0, 0, 10}, {0, 0, 2, 12}, {0, 1, 0, 40}, {0, 1, 2, 42}};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(past.values[i].run, expected[i].run);
        assert_int_equal(past.values[i].task, expected[i].task);
        assert_true(past.values[i].value == expected[i].value);
    }
    assert_int_equal(past.workers[0], 0);
    assert_int_equal(past.workers[1], -1);
    assert_int_equal(past.workers[2], 2);
    page_of(r, &past, &page);
    char *data = inside(&page, "past-data");
    assert_non_null(strstr(data, "[0,0,null,[10,null,12]]"));
    assert_non_null(strstr(data, "[0,1,null,[40,null,42]]"));
    free(data);
    mu_buf_free(&page);
    mu_trail_clear(&past);
    mu_run_result_free(r);
    mu_store_run_clear(&run);
    mu_store_close(s);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_hostile_is_markup),
        cmocka_unit_test(every_page_has_its_own_word),
        cmocka_unit_test(size_is_linear),
        cmocka_unit_test(columns_are_found_and_in_order),
        cmocka_unit_test(former_runs_are_those_of_the_script_that_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
