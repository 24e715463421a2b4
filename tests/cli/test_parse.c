#include "cli/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"90", 90000},
                {"90s", 90000},
                {"5m", 300000},
                {"1h30m", 5400000},
                {"250ms", 250},
                {"1ms", 1},
                {"2d", 172800000},
                {"1d2h3m4s5ms", 93784005},
                {"1m500ms", 60500},
                {"007", 7000},
                {"366d", UINT64_C(366) * 86400000},
                {"120m", 7200000}};
    static const char *const bad[] = {"",
                                      "0",
                                      "0s",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 s",
                                      "1.5s",
                                      "5x",
                                      "s",
                                      "m5",
                                      "1h30",
                                      "30m1h",
                                      "1m1m",
                                      "1mm",
                                      "1sm",
                                      "1s1",
                                      "367d",
                                      "18446744073709551616",
                                      "18446744073709551615d",
                                      "9999999999999ms1",
                                      "5M"};
    uint64_t ms;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ms = 7;
        if (cli_parse_duration(good[i].text, &ms) != 0 || ms != good[i].ms)
            fail_msg("'%s' gave %llu", good[i].text, (unsigned long long)ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ms = 7;
        if (cli_parse_duration(bad[i], &ms) == 0 || ms != 7)
            fail_msg("'%s' was taken as %llu", bad[i], (unsigned long long)ms);
    }
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        size_t bytes;
    } good[] = {{"1048576", 1048576}, {"512K", 524288},   {"64M", 67108864},   {"64m", 67108864},
                {"1G", 1073741824},   {"64MB", 67108864}, {"64MiB", 67108864}, {"1gib", 1073741824}};
    static const char *const bad[] = {"",    "0",    "0M",   "M",    "-1",  "1.5G",
                                      "64T", "64MM", "64 M", "64Mi", "64B", "18446744073709551615G"};
    size_t bytes;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        bytes = 7;
        if (cli_parse_size(good[i].text, &bytes) != 0 || bytes != good[i].bytes)
            fail_msg("'%s' gave %zu", good[i].text, bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bytes = 7;
        if (cli_parse_size(bad[i], &bytes) == 0 || bytes != 7)
            fail_msg("'%s' was taken as %zu", bad[i], bytes);
    }
}

static void whole_numbers(void **state)
{
    unsigned n = 0;

    (void)state;
    assert_int_equal(cli_parse_uint("1", 1, 10, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(cli_parse_uint("10", 1, 10, &n), 0);
    assert_int_equal(n, 10);
    assert_int_equal(cli_parse_uint("0", 1, 10, &n), -1);
    assert_int_equal(cli_parse_uint("11", 1, 10, &n), -1);
    assert_int_equal(cli_parse_uint("4294967297", 1, 10, &n), -1);
    assert_int_equal(cli_parse_uint("5x", 1, 10, &n), -1);
    assert_int_equal(cli_parse_uint("0x5", 0, 10, &n), -1);
    assert_int_equal(cli_parse_uint("-5", 0, 10, &n), -1);
    assert_int_equal(cli_parse_uint("", 0, 10, &n), -1);
    assert_int_equal(n, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(whole_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
