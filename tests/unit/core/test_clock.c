#include "core/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/err.h"
#include "tests/unit/core/unit.h"

static void monotonic_never_goes_back(void **state)
{
    uint64_t last = mu_clock_ns();

    (void)state;
    for (int i = 0; i < 10000; i++) {
        uint64_t before_ms = mu_clock_ms(), ns = mu_clock_ns(), after_ms = mu_clock_ms();
        assert_true(ns >= last);
        assert_true(before_ms <= ns / 1000000 && ns / 1000000 <= after_ms);
        last = ns;
    }
}

static void wall_is_the_systems(void **state)
{
    struct timespec ts;
    int64_t ms;

    (void)state;
    clock_gettime(CLOCK_REALTIME, &ts);
    ms = mu_clock_wall_ms();
    assert_true(ms / 1000 - ts.tv_sec < 3600 && ts.tv_sec - ms / 1000 < 3600);
}

static void writes_times(void **state)
{
    char text[MU_CLOCK_ISO_SIZE];

    (void)state;
    assert_string_equal(mu_clock_iso(1700060320123, text), "2023-11-15T14:58:40.123Z");
    assert_string_equal(mu_clock_iso(0, text), "1970-01-01T00:00:00.000Z");
    assert_string_equal(mu_clock_iso(-1, text), "1969-12-31T23:59:59.999Z");
    assert_string_equal(mu_clock_iso(951782400007, text), "2000-02-29T00:00:00.007Z");
    assert_true(strlen(mu_clock_iso(INT64_MAX, text)) < sizeof text);
    assert_true(strlen(mu_clock_iso(INT64_MIN, text)) < sizeof text);
    setenv("TZ", "XST-2", 1); /* two hours east, no database needed */
    tzset();
    assert_string_equal(mu_clock_local(1700060320999, text), "2023-11-15 16:58:40");
    assert_string_equal(mu_clock_iso(1700060320123, text), "2023-11-15T14:58:40.123Z");
    assert_true(strlen(mu_clock_local(INT64_MAX, text)) < sizeof text);
}

static void reads_durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        {"0", 0},
        {"90", 90000},
        {"90s", 90000},
        {"5m", 300000},
        {"1h30m", 5400000},
        {"250ms", 250},
        {"1d", 86400000},
        {"1d2h3m4s5ms", 93784005},
        {"1.5h", 5400000},
        {"0.5", 500},
        {".5s", 500},
        {"1.1s", 1100},
        {"0.1d", 8640000},
        {"0.0001s", 1}, /* never rounded down to "none" */
        {"0.00000000000000000001s", 1},
        {"1.000000000000000000000s", 1000},
        {"1s1ms", 1001},
        {"007", 7000},
        {"9223372036854775807ms", INT64_MAX},
        {"9223372036854775", UINT64_C(9223372036854775000)},
    };
    static const char *const bad[] = {
        "",
        " ",
        "s",
        ".",
        "5.",
        "5.s",
        "-1",
        "+1",
        "1 s",
        " 1s",
        "1s ",
        "1x",
        "1sec",
        "1mss",
        "1e3",
        "0x10",
        "inf",
        "nan",
        "1h30",
        "30m1h",
        "1h1h",
        "1s1s",
        "1ms1s",
        "1..5s",
        "1,5s",
        "9223372036854775808ms",
        "9223372036854776s",
        "99999999999999999999",
        "106751991168d",
        "9223372036854775807ms1",
        "m5",
        "1H",
        "5\n",
    };
    uint64_t ms;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        ms = 12345;
        if (mu_clock_parse(good[i].text, &ms) != 0 || ms != good[i].ms)
            fail_msg("'%s' gave %" PRIu64 ", not %" PRIu64, good[i].text, ms, good[i].ms);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        ms = 12345;
        if (mu_clock_parse(bad[i], &ms) != MU_EINVAL || ms != 12345)
            fail_msg("'%s' was read as %" PRIu64, bad[i], ms);
    }
    assert_int_equal(mu_clock_parse(NULL, &ms), MU_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_never_goes_back),
        cmocka_unit_test(wall_is_the_systems),
        cmocka_unit_test(writes_times),
        cmocka_unit_test(reads_durations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
