/* The cap, and who may be marked when: never anybody while it could still be crossed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "run/marks.h"

#define FAILED (1u << MU_ST_FAILED)

static size_t cap_of(const char *text, size_t n)
{
    struct mu_cap cap;
    struct mu_err err;
    if (mu_cap_parse(&cap, text, &err))
        fail_msg("%s", err.msg);
    return mu_cap_of(&cap, n);
}

static void a_percentage_is_rounded_down_and_at_least_one(void **state)
{
    (void)state;
    assert_int_equal(cap_of("5%", 200), 10);
    assert_int_equal(cap_of("5%", 199), 9);
    assert_int_equal(cap_of("5%", 20), 1);
    assert_int_equal(cap_of("5%", 19), 1);
    assert_int_equal(cap_of("5%", 1), 1);
    assert_int_equal(cap_of("100%", 7), 7);
    assert_int_equal(cap_of("33.3333%", 3), 1);
    assert_int_equal(cap_of("66.6667%", 3), 2);
    assert_int_equal(cap_of("0.0001%", 1000000), 1);
    assert_int_equal(cap_of("0.0001%", 2000000), 2);
    /* exact, where a double would not be */
    assert_int_equal(cap_of("2.9%", 1000), 29);
    assert_int_equal(cap_of("7%", 100), 7);
    assert_int_equal(cap_of("0.7%", 1000), 7);
    assert_true(cap_of("5%", SIZE_MAX) == SIZE_MAX / 20);
}

static void a_number_and_both(void **state)
{
    (void)state;
    assert_int_equal(cap_of("20", 10), 20);
    assert_int_equal(cap_of("0", 10), 0);
    assert_int_equal(cap_of("5%,20", 200), 10);
    assert_int_equal(cap_of("5%,20", 1000), 20);
    assert_int_equal(cap_of("20, 5%", 1000), 20);
    assert_int_equal(cap_of(" 5% , 0 ", 1000), 0);
}

static void what_is_no_cap_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",      " ",    "%",   "x",     "5x",      "5%%",     "-1",   "+5",         "5.5",
                                      "0%",    "101%", "5,6", "5%,6%", "5%,",     ",5%",     "5% 6", "5%,20,3",    "1e3",
                                      "0x10%", "5.%",  ".5%", "100.1%", "1.23456%", "nan",   "inf%", "9999999999", "5%\n\x1b[31m"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mu_cap cap = {.has_count = true, .count = 77};
        struct mu_err err = {0};
        if (mu_cap_parse(&cap, bad[i], &err) != MU_EINVAL)
            fail_msg("'%s' was taken", bad[i]);
        assert_true(cap.has_count && cap.count == 77);
        assert_non_null(strstr(err.msg, "write \"5%\", \"20\" or \"5%,20\""));
        assert_null(strchr(err.msg, '\x1b'));
        assert_null(strchr(err.msg, '\n'));
    }
}

/* ---- decisions ---- */

static void nobody_without_a_hook(void **state)
{
    (void)state;
    struct mu_marks m;
    size_t index;
    assert_int_equal(mu_marks_init(&m, 0, 10, 3), 0);
    assert_false(mu_marks_finished(&m, 0, MU_ST_FAILED));
    assert_false(mu_marks_next(&m, 0, &index));
    assert_false(mu_marks_over(&m) || mu_marks_open(&m));
    mu_marks_free(&m);
}

static void only_what_marks_is_a_candidate(void **state)
{
    (void)state;
    for (int on = MU_ST_FAILED; on <= MU_ST_SKIPPED; on++) {
        for (int s = MU_ST_FAILED; s <= MU_ST_SKIPPED; s++) {
            struct mu_marks m;
            assert_int_equal(mu_marks_init(&m, 1u << on, 10, 1), 0);
            assert_int_equal(mu_marks_finished(&m, 0, (enum mu_status)s), on == s);
            mu_marks_free(&m);
        }
    }
}

static void marks_begin_as_soon_as_the_cap_cannot_be_crossed(void **state)
{
    (void)state;
    struct mu_marks m;
    size_t index = 99;
    assert_int_equal(mu_marks_init(&m, FAILED, 3, 10), 0);
    assert_true(mu_marks_finished(&m, 4, MU_ST_FAILED)); /* nine are left: it could still be ten */
    assert_false(mu_marks_next(&m, 9, &index));
    assert_false(mu_marks_next(&m, 3, &index));
    assert_true(mu_marks_next(&m, 2, &index)); /* at most 3 now */
    assert_int_equal(index, 4);
    assert_false(mu_marks_next(&m, 2, &index)); /* once each */
    assert_true(mu_marks_open(&m));
    mu_marks_settled(&m);
    assert_false(mu_marks_open(&m));
    assert_true(mu_marks_finished(&m, 7, MU_ST_FAILED));
    assert_true(mu_marks_open(&m));
    assert_true(mu_marks_next(&m, 1, &index));
    assert_int_equal(index, 7);
    assert_true(mu_marks_finished(&m, 1, MU_ST_FAILED)); /* the cap exactly */
    assert_true(mu_marks_next(&m, 0, &index));
    assert_false(mu_marks_over(&m));
    mu_marks_free(&m);
}

static void over_the_cap_nobody(void **state)
{
    (void)state;
    struct mu_marks m;
    size_t index;
    assert_int_equal(mu_marks_init(&m, FAILED, 1, 3), 0);
    mu_marks_finished(&m, 0, MU_ST_FAILED);
    assert_false(mu_marks_next(&m, 2, &index));
    mu_marks_finished(&m, 1, MU_ST_FAILED);
    assert_true(mu_marks_over(&m));
    assert_false(mu_marks_next(&m, 1, &index) || mu_marks_next(&m, 0, &index) || mu_marks_open(&m));
    mu_marks_free(&m);
    assert_int_equal(mu_marks_init(&m, FAILED, 0, 1), 0); /* a cap of none */
    mu_marks_finished(&m, 0, MU_ST_FAILED);
    assert_true(mu_marks_over(&m));
    assert_false(mu_marks_next(&m, 0, &index));
    mu_marks_free(&m);
}

/* Whatever comes in whatever order: all candidates are marked once each, or none is; and none before it was sure. */
static void all_or_none_in_any_order(void **state)
{
    (void)state;
    srand(7);
    for (int round = 0; round < 20000; round++) {
        size_t n = (size_t)(rand() % 12) + 1, cap = (size_t)(rand() % 13), candidates = 0, marked = 0;
        bool seen[12] = {false};
        struct mu_marks m;
        assert_int_equal(mu_marks_init(&m, FAILED, cap, n), 0);
        for (size_t i = 0; i < n; i++) {
            size_t index;
            candidates += mu_marks_finished(&m, i, rand() % 3 ? MU_ST_PASSED : MU_ST_FAILED);
            for (int take = rand() % 4; take > 0 && mu_marks_next(&m, n - i - 1, &index); take--) {
                assert_true(candidates + (n - i - 1) <= cap);
                assert_true(index <= i && !seen[index]);
                seen[index] = true;
                marked++;
            }
        }
        for (size_t index; mu_marks_next(&m, 0, &index); marked++) {
            assert_false(seen[index]);
            seen[index] = true;
        }
        assert_int_equal(marked, candidates <= cap ? candidates : 0);
        assert_int_equal(mu_marks_over(&m), candidates > cap);
        mu_marks_free(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_percentage_is_rounded_down_and_at_least_one),
        cmocka_unit_test(a_number_and_both),
        cmocka_unit_test(what_is_no_cap_is_refused),
        cmocka_unit_test(nobody_without_a_hook),
        cmocka_unit_test(only_what_marks_is_a_candidate),
        cmocka_unit_test(marks_begin_as_soon_as_the_cap_cannot_be_crossed),
        cmocka_unit_test(over_the_cap_nobody),
        cmocka_unit_test(all_or_none_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
