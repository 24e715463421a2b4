/* scripts.h: what tests of bundles and briefs share: temporary folders, files, and scripts that are loaded for real. */
#ifndef MU_TESTS_UNIT_AGENTS_SCRIPTS_H
#define MU_TESTS_UNIT_AGENTS_SCRIPTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bindings/bindings.h"
#include "core/log.h"
#include "run/engine.h"
#include "run/script.h"

#define LIBRARY MUSTER_SOURCE "/scripts/lib"

static char folder[64]; /* of this test's alone */

static inline int make_folder(void **state)
{
    (void)state;
    umask(022);
    strcpy(folder, "/tmp/muster-agents-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline int remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

/* A path in the folder; good until the eighth call after it. */
static inline const char *in(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, 512, "%s/%s", folder, name);
    return path;
}

static inline const char *put(const char *name, const char *text)
{
    const char *path = in(name);
    char copy[512];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *p = copy + strlen(folder) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = '\0';
        mkdir(copy, 0755);
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    return path;
}

static inline struct mu_script *load(const char *path, const char *library)
{
    struct mu_script *s = NULL;
    struct mu_err err = {0};
    if (mu_script_load(&s, path, library, &mu_bindings, NULL, &err))
        fail_msg("%s", err.msg);
    return s;
}

/* Their descriptions are the same. */
static inline void assert_same(const struct mu_script *a, const struct mu_script *b)
{
    assert_string_equal(a->description, b->description);
    assert_int_equal(a->timeout_ms, b->timeout_ms);
    assert_int_equal(a->setup_timeout_ms, b->setup_timeout_ms);
    assert_int_equal(a->teardown_timeout_ms, b->teardown_timeout_ms);
    assert_int_equal(a->mark_on, b->mark_on);
    assert_int_equal(a->has_mark, b->has_mark);
    assert_int_equal(a->confirm, b->confirm);
    assert_int_equal(a->n_params, b->n_params);
    for (size_t i = 0; i < a->n_params; i++) {
        assert_string_equal(a->params[i].name, b->params[i].name);
        assert_int_equal(a->params[i].type, b->params[i].type);
        assert_string_equal(a->params[i].str ? a->params[i].str : "", b->params[i].str ? b->params[i].str : "");
        assert_true(a->params[i].i == b->params[i].i && a->params[i].num == b->params[i].num);
        assert_int_equal(a->params[i].set, b->params[i].set);
    }
    assert_int_equal(a->n_steps, b->n_steps);
    for (size_t i = 0; i < a->n_steps; i++) {
        const struct mu_step *x = &a->steps[i], *y = &b->steps[i];
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->timeout_ms, y->timeout_ms);
        assert_int_equal(x->has_when, y->has_when);
        assert_int_equal(x->destructive, y->destructive);
        assert_int_equal(x->n_rules, y->n_rules);
        for (size_t j = 0; j < x->n_rules; j++) {
            struct mu_buf one = MU_BUF_INIT, other = MU_BUF_INIT;
            mu_threshold_add_json(&x->rules[j].th, &one);
            mu_threshold_add_json(&y->rules[j].th, &other);
            assert_string_equal(x->rules[j].th.metric, y->rules[j].th.metric);
            assert_string_equal(mu_buf_cstr(&one), mu_buf_cstr(&other));
            mu_buf_free(&one);
            mu_buf_free(&other);
        }
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

#endif
