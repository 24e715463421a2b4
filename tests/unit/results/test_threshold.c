#include "build.h"

#include <math.h>

static void check(const char *text, bool has_min, bool min_open, double min, bool has_max, bool max_open, double max,
                  const char *unit)
{
    struct mu_threshold th = {0};
    struct mu_err err = {0};
    if (mu_threshold_parse(&th, text, &err) != 0)
        fail_msg("\"%s\": %s", text, err.msg);
    assert_int_equal(th.has_min, has_min);
    assert_int_equal(th.has_max, has_max);
    assert_int_equal(th.min_open, min_open);
    assert_int_equal(th.max_open, max_open);
    assert_true(!has_min || th.min == min);
    assert_true(!has_max || th.max == max);
    if (unit) {
        assert_non_null(th.unit);
        assert_string_equal(th.unit, unit);
    } else {
        assert_null(th.unit);
    }
    mu_threshold_clear(&th);
}

static void parses_what_is_written(void **state)
{
    (void)state;
    check(">= 50", true, false, 50, false, false, 0, NULL);
    check("> 50", true, true, 50, false, false, 0, NULL);
    check("<= 5.5", false, false, 0, true, false, 5.5, NULL);
    check("< 5.5", false, false, 0, true, true, 5.5, NULL);
    check(">=50", true, false, 50, false, false, 0, NULL);
    check("  >=\t50  ", true, false, 50, false, false, 0, NULL);
    check(">= 50 MiB/s", true, false, 50, false, false, 0, "MiB/s");
    check("< 50ms", false, false, 0, true, true, 50, "ms");
    check("<= 5%", false, false, 0, true, false, 5, "%");
    check("> 9.8 m/s2", true, true, 9.8, false, false, 0, "m/s2");
    check("> -3", true, true, -3, false, false, 0, NULL);
    check(">= .5, < 1e3", true, false, 0.5, true, true, 1000, NULL);
    check("< 20, > 10", true, true, 10, true, true, 20, NULL);
    check(">= 10 MiB/s, <= 20 MiB/s", true, false, 10, true, false, 20, "MiB/s");
    check(">= 10, <= 20 MiB/s", true, false, 10, true, false, 20, "MiB/s");
    check(">= 10 \xc2\xb5s,<=20", true, false, 10, true, false, 20, "\xc2\xb5s");
    check(">= 7, <= 7", true, false, 7, true, false, 7, NULL);
    check("> 5 e", true, true, 5, false, false, 0, "e");
}

static void refused(const char *text, const char *why)
{
    char metric[] = "score";
    struct mu_threshold th = {.metric = metric};
    struct mu_err err = {0};
    if (mu_threshold_parse(&th, text, &err) != MU_EINVAL)
        fail_msg("\"%s\" was taken", text);
    if (!strstr(err.msg, why))
        fail_msg("\"%s\": \"%s\" does not say \"%s\"", text, err.msg, why);
    assert_non_null(strstr(err.msg, "write it like"));
    assert_int_equal(err.code, MU_EINVAL);
    assert_ptr_equal(th.metric, metric);
    assert_false(th.has_min || th.has_max);
    assert_null(th.unit);
    assert_int_equal(mu_threshold_parse(&th, text, NULL), MU_EINVAL);
}

static void refuses_and_says_why(void **state)
{
    (void)state;
    refused("", "expected >=");
    refused("50", "expected >=");
    refused("= 50", "expected >=");
    refused("== 50", "expected >=");
    refused("=> 50", "expected >=");
    refused(">=", "expected a number");
    refused(">= fast", "expected a number");
    refused(">= nan", "expected a number");
    refused(">= inf", "expected a number");
    refused(">= .", "expected a number");
    refused(">> 5", "expected a number");
    refused(">= 1e999", "too large");
    refused(">= 0x10", "malformed");
    refused(">= 1.000.000", "malformed");
    refused(">= 1,000", "expected >=");
    refused(">= 0,5", "expected >=");
    refused(">= 5,", "expected >=");
    refused(">= 5, >= 6", "two lower bounds");
    refused("< 5, <= 6", "two upper bounds");
    refused(">= 5, < 7, < 8", "more than two bounds");
    refused(">= 5 MiB per second", "more than one word");
    refused(">= 5 ms, <= 7 s", "two different units");
    refused(">= 5 \x1b[31m", "control character");
    refused(">= 8, <= 7", "no value can pass");
    refused("> 7, <= 7", "no value can pass");
    refused(">= 7, < 7", "no value can pass");
}

static void message_escapes_and_cuts_hostile_text(void **state)
{
    (void)state;
    struct mu_threshold th = {0};
    struct mu_err err = {0};
    char text[5000];
    assert_int_equal(mu_threshold_parse(&th, "\x1b[2J\nforged", &err), MU_EINVAL);
    assert_null(strchr(err.msg, '\x1b'));
    assert_null(strchr(err.msg, '\n'));
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(mu_threshold_parse(&th, text, &err), MU_EINVAL);
    assert_non_null(strstr(err.msg, "write it like"));
}

static void judge(const char *rule, double v, const char *miss)
{
    struct mu_threshold th = {0};
    struct mu_buf out = MU_BUF_INIT;
    struct mu_err err;
    assert_int_equal(mu_threshold_parse(&th, rule, &err), 0);
    assert_int_equal(mu_threshold_passes(&th, v), miss == NULL);
    if (miss) {
        mu_threshold_miss(&th, v, &out);
        assert_string_equal(mu_buf_cstr(&out), miss);
    }
    mu_buf_free(&out);
    mu_threshold_clear(&th);
}

static void judges_the_bound_itself(void **state)
{
    (void)state;
    judge(">= 50", 50, NULL);
    judge(">= 50", nextafter(50, 0), "< 50");
    judge("> 50", 50, "<= 50");
    judge("> 50", nextafter(50, 100), NULL);
    judge("<= 5.5", 5.5, NULL);
    judge("<= 5.5", nextafter(5.5, 9), "> 5.5");
    judge("< 5.5", 5.5, ">= 5.5");
    judge("< 5.5", nextafter(5.5, 0), NULL);
    judge(">= 10, <= 20 MiB/s", 9, "< 10");
    judge(">= 10, <= 20 MiB/s", 21, "> 20");
    judge(">= 10, <= 20 MiB/s", 15, NULL);
    judge("> 10, < 20", 10, "<= 10");
    judge("> 10, < 20", 20, ">= 20");
    judge(">= 50", INFINITY, NULL);
    judge(">= 50", -INFINITY, "< 50");
    judge("<= 50", INFINITY, "> 50");
    judge(">= 0", -0.0, NULL);
    judge(">= 0.1", 0.05, "< 0.1");

    struct mu_threshold none = {0};
    assert_true(mu_threshold_passes(&none, -1e300));
}

static void amount(const char *text, int kind, double n)
{
    struct mu_amount a = {0};
    struct mu_err err = {0};
    if (mu_amount_parse(&a, text, &err) != 0)
        fail_msg("\"%s\": %s", text, err.msg);
    assert_int_equal(a.kind, kind);
    assert_true(a.n == n);
}

static void reads_amounts(void **state)
{
    (void)state;
    amount("10%", MU_AMOUNT_PERCENT, 10);
    amount(" 2.5 % ", MU_AMOUNT_PERCENT, 2.5);
    amount("0", MU_AMOUNT_PLAIN, 0);
    amount("1e3", MU_AMOUNT_PLAIN, 1000);
    static const char *const wrong[] = {"", "%", "-5%", "-1", "nan", "inf", "1e999", "5%%", "5 ms", "0x10", "1,5", "5% 6", "\x1b[2J"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct mu_amount a = {MU_AMOUNT_PLAIN, 7};
        struct mu_err err = {0};
        if (mu_amount_parse(&a, wrong[i], &err) != MU_EINVAL)
            fail_msg("\"%s\" was taken", wrong[i]);
        assert_non_null(strstr(err.msg, "write \"10%\" or a number"));
        assert_null(strchr(err.msg, '\x1b'));
        assert_true(a.n == 7);
    }
}

static void referred(double reference, struct mu_amount lower, struct mu_amount upper, double v, const char *miss)
{
    struct mu_threshold th = {.has_reference = true, .reference = reference, .lower = lower, .upper = upper};
    struct mu_buf out = MU_BUF_INIT;
    mu_threshold_settle(&th);
    assert_int_equal(mu_threshold_passes(&th, v), miss == NULL);
    if (miss) {
        mu_threshold_miss(&th, v, &out);
        mu_threshold_origin(&th, v, &out);
        assert_string_equal(mu_buf_cstr(&out), miss);
    }
    mu_buf_free(&out);
}

static void judges_by_a_reference(void **state)
{
    (void)state;
    const struct mu_amount none = {0}, five = {MU_AMOUNT_PERCENT, 5}, ten = {MU_AMOUNT_PERCENT, 10}, three = {MU_AMOUNT_PLAIN, 3};
    referred(100, ten, ten, 90, NULL);
    referred(100, ten, ten, 110, NULL);
    referred(100, ten, ten, 80, "< 90 (reference 100 - 10 %)");
    referred(100, ten, ten, nextafter(90, 0), "< 90 (reference 100 - 10 %)");
    referred(100, ten, ten, 110.5, "> 110 (reference 100 + 10 %)");
    referred(100, five, none, 1e9, NULL);
    referred(100, none, five, -1e9, NULL);
    referred(100, five, none, 94, "< 95 (reference 100 - 5 %)");
    referred(100, three, none, 96, "< 97 (reference 100 - 3)");
    /* A percentage is of the size: of a negative reference too the lower side is below. */
    referred(-20, ten, ten, -22, NULL);
    referred(-20, ten, ten, -23, "< -22 (reference -20 - 10 %)");
    referred(0, ten, ten, 0, NULL);
    referred(0, ten, ten, 1, "> 0 (reference 0 + 10 %)");
    /* Binary fractions make 0.99 and 1.21 of it, neither a hair more nor less. */
    referred(1.1, ten, ten, 0.99, NULL);
    referred(1.1, ten, ten, 1.21, NULL);
    referred(1.1, ten, ten, 0.98, "< 0.99 (reference 1.1 - 10 %)");
}

static void a_copy_is_its_own(void **state)
{
    (void)state;
    struct mu_threshold th = {.metric = strdup("score")}, copy;
    assert_int_equal(mu_threshold_parse(&th, ">= 5 ms", NULL), 0);
    assert_int_equal(mu_threshold_copy(&copy, &th), 0);
    mu_threshold_clear(&th);
    assert_string_equal(copy.metric, "score");
    assert_string_equal(copy.unit, "ms");
    assert_true(copy.has_min && copy.min == 5);
    mu_threshold_clear(&copy);
}

static void a_locale_with_a_comma_changes_nothing(void **state)
{
    (void)state;
    use_comma_locale();
    check(">= 0.5", true, false, 0.5, false, false, 0, NULL);
    refused(">= 0,5", "expected >=");
    amount("2.5%", MU_AMOUNT_PERCENT, 2.5);
    judges_by_a_reference(state);
    setlocale(LC_NUMERIC, "C");
}

static void clear_takes_anything(void **state)
{
    (void)state;
    struct mu_threshold th = {.metric = strdup("score"), .unit = strdup("ms"), .has_min = true};
    mu_threshold_clear(&th);
    assert_null(th.metric);
    assert_null(th.unit);
    assert_false(th.has_min);
    mu_threshold_clear(&th);
    mu_threshold_clear(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_what_is_written),
        cmocka_unit_test(refuses_and_says_why),
        cmocka_unit_test(message_escapes_and_cuts_hostile_text),
        cmocka_unit_test(judges_the_bound_itself),
        cmocka_unit_test(a_locale_with_a_comma_changes_nothing),
        cmocka_unit_test(reads_amounts),
        cmocka_unit_test(judges_by_a_reference),
        cmocka_unit_test(a_copy_is_its_own),
        cmocka_unit_test(clear_takes_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
