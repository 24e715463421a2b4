#include "cli/progress_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct muster_progress some = {.total = 800, .waiting = 630, .done = 120, .running = 50, .failed = 3,
                                            .not_measured = 1, .elapsed_ms = 511000, .left_ms = 2718000, .per_minute = 14.09};

static void status_is(const struct muster_progress *p, unsigned width, const char *hint, const char *expected)
{
    char line[256];

    progress_line_status(line, sizeof line, p, width, hint);
    assert_string_equal(line, expected);
}

static void parts_that_fit(void **state)
{
    (void)state;
    status_is(&some, 200, "i: who is where",
              "120/800 done | 50 running | 3 failed | 1 not measured | about 45 min left | 14/min | 0:08:31 | i: who is where");
    status_is(&some, 98, "i: who is where",
              "120/800 done | 50 running | 3 failed | 1 not measured | about 45 min left | 14/min | 0:08:31");
    status_is(&some, 40, NULL, "120/800 done | 50 running | 3 failed");
    status_is(&some, 37, NULL, "120/800 done | 50 running | 3 failed"); /* as wide as it may be */
    status_is(&some, 36, NULL, "120/800 done | 50 running");
    status_is(&some, 13, NULL, "120/800 done");
    status_is(&some, 12, NULL, "120/800 don");
    status_is(&some, 1, NULL, "");
    status_is(&some, 0, NULL, "");
    for (unsigned width = 1; width < 200; width++) {
        char line[256];
        progress_line_status(line, sizeof line, &some, width, "x");
        assert_true(strlen(line) < width);
    }
}

static void small_and_large(void **state)
{
    const struct muster_progress none = {.total = 1, .waiting = 1}, all = {.total = 9, .done = 9, .elapsed_ms = 36061000,
                                                                          .per_minute = 0.015, .interrupted = true},
                                 fast = {.total = 9, .done = 1, .left_ms = 1, .per_minute = 1200},
                                 slow = {.total = 9, .done = 1, .left_ms = 7261000, .per_minute = 1.5};

    (void)state;
    status_is(&none, 100, NULL, "0/1 done | 0 running | 0:00:00");
    status_is(&all, 100, NULL, "9/9 done | interrupted | 0 running | 0.9/h | 10:01:01");
    status_is(&fast, 100, NULL, "1/9 done | 0 running | about 1 s left | 20/s | 0:00:00");
    status_is(&slow, 100, NULL, "1/9 done | 0 running | about 2 h 01 min left | 1.5/min | 0:00:00");
}

static void a_line_of_the_log(void **state)
{
    char line[256], small[20];

    (void)state;
    progress_line_log(line, sizeof line, &some);
    assert_string_equal(line, "Progress: 120 of 800 done, 50 running, 3 failed, 1 not measured, 14 servers/min, "
                              "about 45 min left.");
    progress_line_log(small, sizeof small, &some);
    assert_true(strlen(small) < sizeof small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_that_fit),
        cmocka_unit_test(small_and_large),
        cmocka_unit_test(a_line_of_the_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
