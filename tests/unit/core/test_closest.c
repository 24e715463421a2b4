#include "core/closest.h"

#include <string.h>

#include "tests/unit/core/unit.h"

static void distances(void **state)
{
    (void)state;
    assert_int_equal(mu_edit_distance("srv01", "srv01", 3), 0);
    assert_int_equal(mu_edit_distance("srv01", "srv1", 3), 1);
    assert_int_equal(mu_edit_distance("srv01", "svr01", 3), 1); /* a swap is one */
    assert_int_equal(mu_edit_distance("kitten", "sitting", 3), 3);
    assert_int_equal(mu_edit_distance("", "abc", 3), 3);
    assert_true(mu_edit_distance("kitten", "sitting", 2) > 2);
    assert_true(mu_edit_distance("abcdef", "ghijkl", 2) > 2);
    assert_true(mu_edit_distance("a", "0123456789012345678901234567890123456789012345678901234567890123456789", 99) > 99);
}

/* The bound changes no distance that is within it. */
static void bounded(void **state)
{
    uint64_t rng = 3;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char words[2][9] = {"", ""};
        unsigned whole, most = next_random(&rng) % 6;

        for (int w = 0; w < 2; w++)
            for (unsigned i = 0, n = next_random(&rng) % 8; i < n; i++)
                words[w][i] = (char)('a' + next_random(&rng) % 3);
        whole = mu_edit_distance(words[0], words[1], 62);
        assert_int_equal(whole, mu_edit_distance(words[1], words[0], 62));
        if (whole <= most)
            assert_int_equal(mu_edit_distance(words[0], words[1], most), whole);
        else
            assert_true(mu_edit_distance(words[0], words[1], most) > most);
    }
}

static const char *nearest(const char *wanted, const char *const *names)
{
    struct mu_closest c;

    mu_closest_start(&c, wanted);
    for (; *names; names++)
        mu_closest_offer(&c, *names);
    return c.best;
}

static void nearest_of_several(void **state)
{
    static const char *const names[] = {"web", "web01", "web10", "database", NULL};

    (void)state;
    assert_string_equal(nearest("wbe", names), "web");
    assert_string_equal(nearest("web1", names), "web"); /* the first of equals */
    assert_string_equal(nearest("web0l", names), "web01");
    assert_string_equal(nearest("datbase", names), "database");
    assert_null(nearest("gpu", names));
    assert_null(nearest("xy", names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances),
        cmocka_unit_test(bounded),
        cmocka_unit_test(nearest_of_several),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
