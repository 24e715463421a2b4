/* Node sets made at random, and large ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nodeset.h"
#include "tests/unit/core/names.h"
#include "tests/unit/core/unit.h"

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t sort_unique(char **names, size_t n)
{
    size_t kept = 0;

    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++) {
        if (kept && strcmp(names[kept - 1], names[i]) == 0)
            free(names[i]);
        else
            names[kept++] = names[i];
    }
    return kept;
}

/* Whatever the shape of the names, folding takes the memory of a few arrays and sorts them. */
static void irregular_grids_fold(void **state)
{
    enum { N = 100000 };
    char(*text)[24] = calloc(N, sizeof *text);
    const char **names = calloc(N, sizeof *names);
    struct mu_buf b = MU_BUF_INIT;
    struct list back = {0};
    uint64_t rng = 5;

    (void)state;
    for (size_t i = 0; i < N; i++) {
        snprintf(text[i], sizeof text[i], "r%un%u-%u", (unsigned)(next_random(&rng) % 100),
                 (unsigned)(next_random(&rng) % 100), (unsigned)(next_random(&rng) % 100));
        names[i] = text[i];
    }
    mu_nodeset_fold(&b, names, N);
    assert_int_equal(mu_nodeset_expand(b.data, N, collect, &back, NULL), 0);
    assert_true(back.n > N / 2 && back.n < N);
    list_free(&back);
    mu_buf_free(&b);
    free(names);
    free(text);
}

static void random_name(uint64_t *rng, char *out, size_t size)
{
    static const char *const prefixes[] = {"srv",     "gpu-", "",     "rack1-srv", "rack2-srv",
                                           "10.0.0.", "s0",   "srv-", "0x",        "fe80::"};
    static const char *const suffixes[] = {"", "", "", ".example.com", "-ib", "::", " b", "%"};
    const char *prefix = prefixes[next_random(rng) % COUNT(prefixes)];
    const char *suffix = suffixes[next_random(rng) % COUNT(suffixes)];
    int width = (int)(next_random(rng) % 5);
    unsigned number = next_random(rng) % (next_random(rng) % 2 ? 15 : 120);

    switch (next_random(rng) % 20) {
    case 0:
        snprintf(out, size, "host-%c", 'a' + (int)(next_random(rng) % 4));
        break;
    case 1:
        snprintf(out, size, "%s%0*u%s", prefix, 17 + width % 4, number, suffix);
        break;
    case 2:
        snprintf(out, size, "%s9999999999999999%02u%s", prefix, number % 100, suffix);
        break;
    default:
        snprintf(out, size, "%s%0*u%s", prefix, width, number, suffix);
        break;
    }
}

static void expand_of_fold_is_the_set(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= 5000; round++) {
        uint64_t rng = round * 0x9e3779b97f4a7c15u;
        size_t n = 1 + next_random(&rng) % (round % 10 == 0 ? 400 : 40), unique;
        char **names = calloc(n, sizeof *names);
        struct mu_buf folded = MU_BUF_INIT, again = MU_BUF_INIT;
        struct list back = {0};
        struct mu_err err = {0};

        for (size_t i = 0; i < n; i++) {
            char name[64];
            random_name(&rng, name, sizeof name);
            names[i] = strdup(name);
        }
        mu_nodeset_fold(&folded, (const char *const *)names, n);
        unique = sort_unique(names, n);
        mu_nodeset_fold(&again, (const char *const *)names, unique);
        assert_string_equal(folded.data, again.data); /* neither order nor repeats matter */

        if (mu_nodeset_expand(folded.data, n, collect, &back, &err) != 0)
            fail_msg("round %u: %s: %s", (unsigned)round, folded.data, err.msg);
        assert_int_equal(back.n, unique); /* no name twice */
        qsort(back.names, back.n, sizeof *back.names, by_text);
        for (size_t i = 0; i < unique; i++)
            if (strcmp(back.names[i], names[i]) != 0)
                fail_msg("round %u: %s: got %s for %s", (unsigned)round, folded.data, back.names[i], names[i]);
        for (size_t i = 0; i < unique; i++)
            free(names[i]);
        free(names);
        list_free(&back);
        mu_buf_free(&folded);
        mu_buf_free(&again);
    }
}

/* Large fleets, in the orders that hurt a careless sort; quadratic work would not end within the test's time. */
static void large_fleets_fold(void **state)
{
    enum { N = 200000 };
    char(*text)[12] = calloc(N, sizeof *text);
    const char **names = calloc(N, sizeof *names);
    struct mu_buf b = MU_BUF_INIT;

    (void)state;
    for (size_t i = 0; i < N; i++) {
        snprintf(text[i], sizeof text[i], "srv%06u", (unsigned)(N - 1 - i) % 1000000);
        names[i] = text[i];
    }
    mu_nodeset_fold(&b, names, N);
    assert_string_equal(b.data, "srv[000000-199999]");
    mu_buf_clear(&b);
    for (size_t i = 0; i < N; i++)
        snprintf(text[i], sizeof text[i], "%u", (unsigned)(i * 7919 % N) * 2);
    mu_nodeset_fold(&b, names, N);
    assert_memory_equal(b.data, "[0,2,4,", 7);
    assert_string_equal(b.data + b.len - 15, ",399996,399998]");
    mu_buf_free(&b);
    free(names);
    free(text);
}

/* Arbitrary text is taken or refused, never followed into the dark. */
static void random_sets_are_survived(void **state)
{
    static const char alphabet[] = "[[]],,--//0123456789ab ";
    uint64_t rng = 11;
    unsigned taken = 0;

    (void)state;
    for (int round = 0; round < 100000; round++) {
        char set[24];
        size_t n = next_random(&rng) % sizeof set;
        struct list l = {0};
        int rc;
        for (size_t i = 0; i < n; i++)
            set[i] = alphabet[next_random(&rng) % (sizeof alphabet - 1)];
        set[n] = '\0';
        rc = mu_nodeset_expand(set, 50, collect, &l, NULL);
        assert_true(rc == 0 || rc == MU_EINVAL || rc == MU_ELIMIT);
        assert_true(rc == 0 ? l.n >= 1 && l.n <= 50 : l.n == 0);
        for (size_t i = 0; i < l.n; i++)
            assert_null(strpbrk(l.names[i], "[],"));
        taken += rc == 0;
        list_free(&l);
    }
    assert_true(taken > 1000 && taken < 99000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expand_of_fold_is_the_set),
        cmocka_unit_test(large_fleets_fold),
        cmocka_unit_test(irregular_grids_fold),
        cmocka_unit_test(random_sets_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
