/* Every allocation that reading a run's thresholds makes fails once: the call says so, and nothing leaks. The C library's
 * allocator is replaced by one that counts; sanitizers bring their own, so it is not built with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/inventory.h"
#include "run/pick.h"
#include "run/script.h"

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

static char score[] = "score", other[] = "other", ms[] = "ms", model[] = "model", fast[] = "fast", cpu[] = "cpu", path[] = "x.lua";
static char *fast_list[] = {fast};
static struct mu_condition is_fast[] = {{model, fast_list, 1}};
static struct mu_rule rules[] = {
    {.th = {.metric = other, .has_max = true, .max = 1}},
    {.th = {.metric = score, .unit = ms, .has_min = true, .min = 9}, .where = is_fast, .n_where = 1},
    {.th = {.metric = score, .unit = ms, .has_min = true, .min = 5}, .place = 1},
};
static struct mu_step steps[] = {{.name = cpu, .rules = rules, .n_rules = 3}};
static struct mu_script script = {.path = path, .steps = steps, .n_steps = 1};

static const char inventory[] =
    "{\"servers\": [\"a\", {\"id\": \"b\", \"vars\": {\"model\": \"fast\"}}, {\"id\": \"c\", \"vars\": {\"thresholds\": "
    "{\"cpu.score\": {\"min\": 7, \"peers\": {\"group_by\": \"model\", \"drop\": \"5%\"}}}}}, {\"id\": \"d\", \"vars\": "
    "{\"threshold.cpu.score\": \">= 8\"}}]}";

static double min_of(const struct mu_rules *r, size_t server) { return mu_rules_find(r, server, 0, score)->min; }

static void check(const struct mu_rules *r)
{
    static const double expected[] = {5, 9, 7, 8};
    for (size_t i = 0; i < 4; i++) {
        size_t at = 0, n = 0;
        assert_true(min_of(r, i) == expected[i]);
        assert_string_equal(mu_rules_find(r, i, 0, score)->unit, "ms");
        for (const struct mu_threshold *th; (th = mu_rules_next(r, i, 0, &at)); n++)
            assert_ptr_equal(th, mu_rules_find(r, i, 0, th->metric));
        assert_int_equal(n, 2);
    }
    assert_null(mu_rules_find(r, 0, 0, "none"));
    assert_string_equal(mu_rules_find(r, 2, 0, score)->peers.group_by, "model");
}

static void rules_are_read_or_there_are_none(void **state)
{
    (void)state;
    struct mu_inventory *inv = NULL;
    struct mu_err err;
    struct mu_server *servers[4];
    assert_int_equal(mu_inventory_new(&inv), 0);
    assert_int_equal(mu_inventory_parse(inv, "inventory", inventory, strlen(inventory), &err), 0);
    for (size_t i = 0; i < 4; i++)
        servers[i] = mu_inventory_at(inv, i);
    size_t n = 1;
    for (bool reached = true; reached; n++) {
        struct mu_rules *r = NULL;
        long before = n_live;
        n_allocations = 0;
        fail_at = n;
        int rc = mu_rules_new(&r, &script, servers, 4, &err);
        reached = n_allocations >= n;
        fail_at = 0;
        if (reached)
            assert_int_equal(rc, MU_ENOMEM);
        else
            assert_int_equal(rc, 0);
        if (!rc)
            check(r);
        else
            assert_null(r);
        mu_rules_free(r);
        assert_int_equal(n_live, before);
    }
    assert_true(n > 15);
    mu_inventory_free(inv);
}

static void a_threshold_is_set_or_the_former_stays(void **state)
{
    (void)state;
    struct mu_err err;
    assert_int_equal(mu_script_set_threshold(&script, "cpu.score", ">= 1 s", &err), 0);
    size_t n = 1;
    for (bool reached = true; reached; n++) {
        n_allocations = 0;
        fail_at = n;
        int rc = mu_script_set_threshold(&script, "cpu.score", ">= 2", &err);
        reached = n_allocations >= n;
        fail_at = 0;
        assert_int_equal(rc, reached ? MU_ENOMEM : 0);
        assert_true(steps[0].set[0].min == (reached ? 1 : 2));
        assert_string_equal(steps[0].set[0].unit, reached ? "s" : "ms");
        assert_int_equal(steps[0].n_set, 1);
    }
    assert_true(n > 2);
    mu_threshold_clear(&steps[0].set[0]);
    free(steps[0].set);
    steps[0].set = NULL;
    steps[0].n_set = 0;
}

static void steps_are_picked_or_none_are(void **state)
{
    (void)state;
    struct mu_err err;
    const char *const words[] = {"cpu", "c*,cpu", NULL};
    size_t n = 1;
    for (bool reached = true; reached; n++) {
        bool *picked = NULL;
        long before = n_live;
        n_allocations = 0;
        fail_at = n;
        int rc = mu_pick_steps(&picked, &script, words, &err);
        reached = n_allocations >= n;
        fail_at = 0;
        assert_int_equal(rc, reached ? MU_ENOMEM : 0);
        assert_true(reached ? !picked : picked[0]);
        free(picked);
        assert_int_equal(n_live, before);
    }
    assert_int_equal(n, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_read_or_there_are_none),
        cmocka_unit_test(a_threshold_is_set_or_the_former_stays),
        cmocka_unit_test(steps_are_picked_or_none_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
