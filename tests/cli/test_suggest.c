#include "cli/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void distances(void **state)
{
    char long_a[200], long_b[200];

    (void)state;
    assert_int_equal(cli_edit_distance("forks", "forks"), 0);
    assert_int_equal(cli_edit_distance("forkz", "forks"), 1);
    assert_int_equal(cli_edit_distance("fork", "forks"), 1);
    assert_int_equal(cli_edit_distance("forks", "fork"), 1);
    assert_int_equal(cli_edit_distance("froks", "forks"), 1); /* neighbours swapped: one edit */
    assert_int_equal(cli_edit_distance("rnu", "run"), 1);
    assert_int_equal(cli_edit_distance("", "run"), 3);
    assert_int_equal(cli_edit_distance("run", ""), 3);
    assert_int_equal(cli_edit_distance("kitten", "sitting"), 3);

    memset(long_a, 'a', sizeof long_a);
    long_a[sizeof long_a - 1] = '\0';
    memcpy(long_b, long_a, sizeof long_a);
    assert_int_equal(cli_edit_distance(long_a, long_b), 0);
    assert_true(cli_edit_distance(long_a, "forks") >= 60);
    long_a[63] = '\0'; /* the longest that is compared letter by letter */
    long_b[63] = '\0';
    long_b[62] = 'b';
    assert_int_equal(cli_edit_distance(long_a, long_b), 1);
}

static const char *nearest(const char *wanted)
{
    static const char *const names[] = {"run", "check", "help", "forks", "known-hosts", "host-key-policy", "timeout"};
    struct cli_suggestion s;

    cli_suggestion_start(&s, wanted);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cli_suggestion_offer(&s, names[i]);
    return s.best;
}

static void suggestions(void **state)
{
    (void)state;
    assert_string_equal(nearest("rnu"), "run");
    assert_string_equal(nearest("chekc"), "check");
    assert_string_equal(nearest("forkz"), "forks");
    assert_string_equal(nearest("knownhosts"), "known-hosts");
    assert_string_equal(nearest("hostkey-policy"), "host-key-policy");
    assert_string_equal(nearest("time-out"), "timeout");
    assert_null(nearest("x"));
    assert_null(nearest("quick"));
    assert_null(nearest(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances),
        cmocka_unit_test(suggestions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
