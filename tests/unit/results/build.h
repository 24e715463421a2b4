/* build.h: short ways to make a run's results in the tests of results/. Everything asserts. */
#ifndef TEST_RESULTS_BUILD_H
#define TEST_RESULTS_BUILD_H

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "results/results.h"

#define UNUSED __attribute__((unused))

/* A run of n servers named by the format ("srv%03zu"), counted from 1; each dealt and finished, without steps. */
UNUSED static struct mu_run_result *make_run(size_t n, const char *prefix, int digits)
{
    struct mu_run_result *r = NULL;
    assert_int_equal(mu_run_result_new(&r, "20231115-145840-ab12", "scripts/gpu.lua", n), 0);
    r->started_ms = 1700060320123;
    r->duration_ms = 61042;
    for (size_t i = 0; i < n; i++) {
        char id[64];
        snprintf(id, sizeof(id), "%s%0*zu", prefix, digits, i + 1);
        r->tasks[i].server_id = strdup(id);
        r->tasks[i].dealt = r->tasks[i].finished = true;
        r->tasks[i].started_ms = 1700060320123 + (int64_t)i;
        r->tasks[i].duration_ms = 2500;
    }
    return r;
}

UNUSED static void rename_server(struct mu_run_result *r, size_t i, const char *id)
{
    free(r->tasks[i].server_id);
    r->tasks[i].server_id = strdup(id);
}

UNUSED static void settle_all(struct mu_run_result *r)
{
    for (size_t i = 0; i < r->n_tasks; i++)
        mu_task_result_settle(&r->tasks[i]);
}

/* A step that measured one value, judged by rule (NULL: unjudged), with its failure when it misses. */
UNUSED static void add_measured(struct mu_task_result *t, const char *step, const char *metric, double value,
                                const char *rule)
{
    struct mu_threshold th = {0};
    struct mu_err err = {0};
    struct mu_step_result *s = mu_step_result_new(step);
    assert_non_null(s);
    s->started_ms = t->started_ms;
    s->duration_ms = 1000;
    if (rule)
        assert_int_equal(mu_threshold_parse(&th, rule, &err), 0);
    assert_int_equal(mu_step_result_add_metric(s, metric, value, NULL, rule ? &th : NULL), 0);
    if (s->status == MU_ST_FAILED)
        assert_int_equal(mu_step_result_add_failure(s, MU_ST_FAILED, "PerformanceBelowExpected", metric, "too slow",
                                                    "PerformanceBelowExpected: too slow\nscripts/gpu.lua:12"),
                         0);
    mu_threshold_clear(&th);
    assert_int_equal(mu_task_result_add_step_take(t, s), 0);
}

/* A step that could not be measured. */
UNUSED static void add_broken(struct mu_task_result *t, const char *step, enum mu_status status, const char *type,
                              const char *cause, const char *message)
{
    struct mu_step_result *s = mu_step_result_new(step);
    assert_non_null(s);
    s->started_ms = t->started_ms;
    s->duration_ms = 20;
    assert_int_equal(mu_step_result_add_failure(s, status, type, NULL, cause, message), 0);
    assert_int_equal(mu_task_result_add_step_take(t, s), 0);
}

UNUSED static void add_outside(struct mu_task_result *t, enum mu_status status, const char *type, const char *where,
                               const char *cause)
{
    assert_int_equal(mu_task_result_add_failure(t, status, type, where, cause, cause), 0);
}

UNUSED static void assert_summary(struct mu_run_result *r, bool color, const char *expected)
{
    struct mu_buf out = MU_BUF_INIT;
    settle_all(r);
    mu_summary_write(r, color, &out);
    assert_false(out.failed);
    assert_string_equal(mu_buf_cstr(&out), expected);
    mu_buf_free(&out);
}

/* A locale that writes 0,5, as an embedding program may have set; skips the test where there is none. */
UNUSED static void use_comma_locale(void)
{
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
        skip();
}

/* Bytes that a hostile server might send; not NUL-terminated text only by accident. */
#define HOSTILE "\x1b[31m]]>&<\"'\x01\x7f\xc2\x9b\xff\xfe \xe2\x80\xae\\ \r\n[error] forged line\t\xf0\x9f\x92\xa5"

#endif
