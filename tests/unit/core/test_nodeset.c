#include "core/nodeset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/core/unit.h"

#define MAX 100000

/* ---- folding ---- */

#define FOLD(want, ...) fold_is(want, (const char *const[]){__VA_ARGS__, NULL})
static void fold_is(const char *want, const char *const *names)
{
    struct mu_buf b = MU_BUF_INIT;
    size_t n = 0;

    while (names[n])
        n++;
    mu_nodeset_fold(&b, names, n);
    assert_false(b.failed);
    assert_string_equal(mu_buf_cstr(&b), want);
    mu_buf_free(&b);
}

static void folds(void **state)
{
    struct mu_buf b = MU_BUF_INIT;

    (void)state;
    mu_nodeset_fold(&b, NULL, 0);
    assert_string_equal(mu_buf_cstr(&b), "");
    FOLD("[5304,25182]", "25182", "5304");
    FOLD("11673", "11673");
    FOLD("srv[0401-0404,0410]", "srv0404", "srv0401", "srv0410", "srv0402", "srv0403");
    FOLD("gpu1", "gpu1", "gpu1");
    FOLD("gpu[1-3]", "gpu3", "gpu2", "gpu1", "gpu2");
    FOLD("login", "login");
    FOLD("head,login", "login", "head", "login");
    FOLD("login,login[1-2]", "login2", "login", "login1");
    FOLD("rack1-srv[02-03],rack2-srv02", "rack2-srv02", "rack1-srv03", "rack1-srv02");
    FOLD("srv[01-02].example.com,srv01.example.org", "srv02.example.com", "srv01.example.org", "srv01.example.com");
    FOLD("10.0.0.[9-10]", "10.0.0.10", "10.0.0.9");
    FOLD("a", "", "a", "");
}

static void padding_is_kept(void **state)
{
    (void)state;
    FOLD("srv[08-11]", "srv08", "srv09", "srv10", "srv11");
    FOLD("srv[9-10]", "srv9", "srv10");
    FOLD("srv[099-100]", "srv100", "srv099");
    FOLD("srv1,srv01", "srv01", "srv1");
    FOLD("srv[1-2],srv[01-02],srv[001-002]", "srv001", "srv01", "srv1", "srv2", "srv02", "srv002");
    FOLD("srv9,srv[08-10]", "srv9", "srv08", "srv09", "srv10");
    FOLD("srv[98-99],srv[007,100]", "srv98", "srv99", "srv007", "srv100"); /* one padded name decides for its width */
    FOLD("srv[1000-1001],srv[007-008,999]", "srv1000", "srv1001", "srv999", "srv007", "srv008");
    FOLD("srv[0-2]", "srv0", "srv1", "srv2"); /* a lone 0 is no padding */
    FOLD("srv0,srv00", "srv00", "srv0");
}

static void long_numbers_are_text(void **state)
{
    (void)state;
    FOLD("n[999999999999999998-999999999999999999]", "n999999999999999999", "n999999999999999998");
    FOLD("n1000000000000000000,n1000000000000000001", "n1000000000000000001", "n1000000000000000000");
    FOLD("n0000000000000000001", "n0000000000000000001", "n0000000000000000001");
    FOLD("n[000000000000000001-000000000000000002]", "n000000000000000001", "n000000000000000002");
}

/* ---- expanding ---- */

struct list {
    char **names;
    size_t n, cap;
    size_t stop_at; /* 0: never */
};

static int collect(void *arg, const char *name)
{
    struct list *l = arg;

    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->names = realloc(l->names, l->cap * sizeof *l->names);
    }
    l->names[l->n++] = strdup(name);
    return l->stop_at && l->n == l->stop_at ? 77 : 0;
}

static void list_free(struct list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->names[i]);
    free(l->names);
    memset(l, 0, sizeof *l);
}

static void expands_to(const char *set, const char *want)
{
    struct list l = {0};
    struct mu_buf b = MU_BUF_INIT;
    struct mu_err err = {0};

    if (mu_nodeset_expand(set, MAX, collect, &l, &err) != 0)
        fail_msg("'%s': %s", set, err.msg);
    for (size_t i = 0; i < l.n; i++)
        mu_buf_addf(&b, "%s%s", i ? " " : "", l.names[i]);
    assert_string_equal(mu_buf_cstr(&b), want);
    mu_buf_free(&b);
    list_free(&l);
}

static void expands(void **state)
{
    (void)state;
    expands_to("login", "login");
    expands_to("a,b", "a b");
    expands_to("a[1-3],b", "a1 a2 a3 b");
    expands_to("[5304,25182]", "5304 25182");
    expands_to("[5304, 25182, 7]", "5304 25182 7"); /* as a summary prints it */
    expands_to("a, b[1, 2] , c", "a b1 b2 c");
    expands_to("srv[08-11]", "srv08 srv09 srv10 srv11");
    expands_to("srv[9-11]", "srv9 srv10 srv11");
    expands_to("srv[08-100/46]", "srv08 srv54 srv100");
    expands_to("srv[1,01,001]", "srv1 srv01 srv001");
    expands_to("srv[1-9/2]x", "srv1x srv3x srv5x srv7x srv9x");
    expands_to("srv[1-2/18]", "srv1");
    expands_to("srv[3-3]", "srv3");
    expands_to("srv[00-01,0-1]", "srv00 srv01 srv0 srv1");
    expands_to("r[1-2]n[01,10].x", "r1n01.x r1n10.x r2n01.x r2n10.x");
    expands_to("[1-2][3-4]", "13 14 23 24");
    expands_to("n[999999999999999999]", "n999999999999999999");
    expands_to("two words", "two words");
}

static void malformed_sets_are_named(void **state)
{
    static const char *const bad[] = {
        "",
        ",",
        "a,",
        ",a",
        "a,,b",
        " ",
        "a[",
        "a]",
        "a[]",
        "a[1",
        "a1]",
        "a[[1]]",
        "a[1]]",
        "a[1][",
        "a[x]",
        "a[1-]",
        "a[-1]",
        "a[1-2-3]",
        "a[3-1]",
        "a[1,]",
        "a[,1]",
        "a[1,,2]",
        "a[1-3/]",
        "a[1-3/0]",
        "a[1-3/x]",
        "a[1/2]",
        "a[1-010]",
        "a[01-5]",
        "a[01-005]",
        "a[1.5]",
        "a[1;2]",
        "a[1 2]",
        "a[0x10]",
        "a[+1]",
        "a[1234567890123456789]",
        "a[1-1234567890123456789]",
        "a[1][1][1][1][1][1][1][1][1]",
        "ok[1-3],a[",
        "[a-c]",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct list l = {0};
        struct mu_err err = {0};
        if (mu_nodeset_expand(bad[i], MAX, collect, &l, &err) != MU_EINVAL)
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(l.n, 0); /* checked as a whole before the first name */
        assert_int_equal(err.code, MU_EINVAL);
        assert_memory_equal(err.msg, "malformed node set", 18);
        assert_int_equal(mu_nodeset_expand(bad[i], MAX, collect, &l, NULL), MU_EINVAL);
        list_free(&l);
    }
}

static void the_number_of_names_is_bounded(void **state)
{
    static const char *const much[] = {"a[1-6]",
                                       "a[1-3],b[1-3]",
                                       "a,b,c,d,e,f",
                                       "a[1-2]b[1-3]",
                                       "a[1-999999999999999999]",
                                       "[0-999999999999999999][0-999999999999999999][0-999999999999999999]"};
    struct list l = {0};
    struct mu_err err = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(much); i++) {
        assert_int_equal(mu_nodeset_expand(much[i], 5, collect, &l, &err), MU_ELIMIT);
        assert_non_null(strstr(err.msg, "more than 5 names"));
        assert_int_equal(l.n, 0);
    }
    assert_int_equal(mu_nodeset_expand("a[1-5]", 5, collect, &l, &err), 0);
    assert_int_equal(l.n, 5);
    list_free(&l);
    l.stop_at = 3;
    assert_int_equal(mu_nodeset_expand("a[1-2]b[1-9],c", 100, collect, &l, &err), 77);
    assert_int_equal(l.n, 3);
    list_free(&l);
}

/* ---- both ---- */

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
        cmocka_unit_test(folds),
        cmocka_unit_test(padding_is_kept),
        cmocka_unit_test(long_numbers_are_text),
        cmocka_unit_test(expands),
        cmocka_unit_test(malformed_sets_are_named),
        cmocka_unit_test(the_number_of_names_is_bounded),
        cmocka_unit_test(expand_of_fold_is_the_set),
        cmocka_unit_test(large_fleets_fold),
        cmocka_unit_test(random_sets_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
