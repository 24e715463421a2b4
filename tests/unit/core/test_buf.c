#include "core/buf.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "tests/unit/core/unit.h"

static void empty_is_valid(void **state)
{
    struct mu_buf b = MU_BUF_INIT;
    char *taken;

    (void)state;
    assert_string_equal(mu_buf_cstr(&b), "");
    mu_buf_add(&b, NULL, 0);
    mu_buf_adds(&b, NULL);
    mu_buf_adds(&b, "");
    mu_buf_clear(&b);
    assert_null(b.data);
    taken = mu_buf_take(&b);
    assert_string_equal(taken, "");
    free(taken);
    mu_buf_free(&b);
    mu_buf_free(NULL);
}

static void grows_and_stays_terminated(void **state)
{
    struct mu_buf b = MU_BUF_INIT;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        mu_buf_addc(&b, (char)('a' + i % 26));
        if (i % 997 == 0)
            assert_int_equal(b.data[b.len], '\0');
    }
    assert_int_equal(b.len, 100000);
    assert_true(b.cap > b.len);
    for (size_t i = 0; i < b.len; i++)
        assert_int_equal(b.data[i], 'a' + (int)(i % 26));
    mu_buf_clear(&b);
    assert_int_equal(b.len, 0);
    assert_true(b.cap > 100000);
    assert_string_equal(mu_buf_cstr(&b), "");
    mu_buf_add(&b, "a\0b", 3);
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.data, "a\0b", 4);
    mu_buf_free(&b);
    assert_null(b.data);
}

/* Around every size at which the first try of the formatting has just enough room, or one byte too little. */
static void formats_any_length(void **state)
{
    (void)state;
    for (int before = 0; before < 130; before++) {
        for (int n = 0; n < 200; n += n < 50 || n > 70 ? 7 : 1) {
            struct mu_buf b = MU_BUF_INIT;
            for (int i = 0; i < before; i++)
                mu_buf_addc(&b, '.');
            mu_buf_addf(&b, "%*d|%s", n, 7, "end");
            assert_int_equal(b.len, before + (n > 1 ? n : 1) + 4);
            assert_int_equal(strlen(b.data), b.len);
            assert_string_equal(b.data + b.len - 5, "7|end");
            mu_buf_free(&b);
        }
    }
}

static void failure_sticks_until_cleared(void **state)
{
    struct mu_buf b = MU_BUF_INIT;

    (void)state;
    mu_buf_adds(&b, "kept");
    assert_int_equal(mu_buf_reserve(&b, SIZE_MAX), MU_ENOMEM);
    assert_true(b.failed);
    mu_buf_adds(&b, "lost");
    mu_buf_addf(&b, "%d", 1);
    mu_buf_add_number(&b, 1.5);
    assert_string_equal(mu_buf_cstr(&b), "kept");
    assert_null(mu_buf_take(&b));
    assert_false(b.failed);
    assert_null(b.data);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* their allocators end the program instead */
    assert_int_equal(mu_buf_reserve(&b, SIZE_MAX / 2 - 1), MU_ENOMEM);
#else
    assert_int_equal(mu_buf_reserve(&b, SIZE_MAX / 2), MU_ENOMEM);
#endif
    mu_buf_clear(&b);
    mu_buf_adds(&b, "again");
    assert_string_equal(mu_buf_cstr(&b), "again");
    mu_buf_free(&b);
}

static void take_gives_the_bytes_away(void **state)
{
    struct mu_buf b = MU_BUF_INIT;
    char *taken;

    (void)state;
    mu_buf_adds(&b, "mine");
    taken = mu_buf_take(&b);
    assert_null(b.data);
    assert_int_equal(b.len, 0);
    assert_string_equal(taken, "mine");
    free(taken);
}

static void check_number(double v, const char *want)
{
    struct mu_buf b = MU_BUF_INIT;

    mu_buf_add_number(&b, v);
    assert_string_equal(mu_buf_cstr(&b), want);
    mu_buf_free(&b);
}

static void numbers_are_short_and_exact(void **state)
{
    uint64_t rng = 42;

    (void)state;
    check_number(0, "0");
    check_number(82, "82");
    check_number(0.1, "0.1");
    check_number(912.4, "912.4");
    check_number(-3.5, "-3.5");
    check_number(1e6, "1000000");
    check_number(1e300, "1e+300");
    check_number(0.1 + 0.2, "0.30000000000000004");
    check_number(5e-324, "4.94065645841247e-324");
    check_number(NAN, "nan");
    check_number(-NAN, "nan");
    check_number(INFINITY, "inf");
    check_number(-INFINITY, "-inf");
    for (int i = 0; i < 20000; i++) {
        struct mu_buf b = MU_BUF_INIT;
        uint64_t bits = (uint64_t)next_random(&rng) << 32 | next_random(&rng);
        double v;
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        mu_buf_add_number(&b, v);
        assert_true(strtod(b.data, NULL) == v);
        mu_buf_free(&b);
    }
}

static void numbers_have_a_point_in_every_locale(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8"};
    bool found = false;

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        if (!setlocale(LC_NUMERIC, names[i]))
            continue;
        found = true;
        check_number(912.4, "912.4");
        check_number(-2.5e-7, "-2.5e-07");
        check_number(7, "7");
    }
    setlocale(LC_NUMERIC, "C");
    if (!found)
        print_message("no locale with a decimal comma is installed; tried in C only\n");
    check_number(912.4, "912.4");
    check_number(-2.5e-7, "-2.5e-07");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_is_valid),
        cmocka_unit_test(grows_and_stays_terminated),
        cmocka_unit_test(formats_any_length),
        cmocka_unit_test(failure_sticks_until_cleared),
        cmocka_unit_test(take_gives_the_bytes_away),
        cmocka_unit_test(numbers_are_short_and_exact),
        cmocka_unit_test(numbers_have_a_point_in_every_locale),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
