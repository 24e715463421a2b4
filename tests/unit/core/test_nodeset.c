#include "core/nodeset.h"

#include <string.h>

#include "tests/unit/core/names.h"
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
    FOLD("srv[1,01]", "srv01", "srv1"); /* of different widths, they are different servers */
    FOLD("srv[1-2,01-02,001-002]", "srv001", "srv01", "srv1", "srv2", "srv02", "srv002");
    FOLD("srv[9,08-10]", "srv9", "srv08", "srv09", "srv10");
    FOLD("srv[98-99,007,100]", "srv98", "srv99", "srv007", "srv100");
    FOLD("srv[007-008,999-1001]", "srv1000", "srv1001", "srv999", "srv007", "srv008");
    FOLD("srv[0-2]", "srv0", "srv1", "srv2"); /* a lone 0 is no padding */
    FOLD("srv[0,00]", "srv00", "srv0");
}

static void several_indexes_fold(void **state)
{
    (void)state;
    FOLD("r[1-2]n[1-2]", "r1n1", "r1n2", "r2n1", "r2n2");
    FOLD("rack1-srv[02-03],rack2-srv02", "rack2-srv02", "rack1-srv03", "rack1-srv02");
    FOLD("r1n[1-4],r2n[1-3]", "r1n1", "r1n2", "r1n3", "r1n4", "r2n1", "r2n2", "r2n3");
    FOLD("r1n01,r2n[1,01-02]", "r1n01", "r2n1", "r2n01", "r2n02"); /* a set is merged with its equal alone */
    FOLD("r1n[1,3],r2n[2,4]", "r1n1", "r1n3", "r2n2", "r2n4");
    FOLD("10.0.[0-1].[9-10]", "10.0.0.9", "10.0.0.10", "10.0.1.9", "10.0.1.10");
    FOLD("[1-2]a[3-4]b[5-6].c", "1a3b5.c", "1a3b6.c", "1a4b5.c", "1a4b6.c", "2a3b5.c", "2a3b6.c", "2a4b5.c",
         "2a4b6.c");
    /* What is before the last eight indexes is text. */
    FOLD("0a1b2c3d4e5f6g7h[8-9]", "0a1b2c3d4e5f6g7h8", "0a1b2c3d4e5f6g7h9");
    FOLD("0a1b2c3d4e5f6g7h8,1a1b2c3d4e5f6g7h8", "0a1b2c3d4e5f6g7h8", "1a1b2c3d4e5f6g7h8");
    FOLD("a1234567890123456789b[1-2]", "a1234567890123456789b1", "a1234567890123456789b2");
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
    expands_to("a[1 - 3 / 2]", "a1 a3");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folds),
        cmocka_unit_test(padding_is_kept),
        cmocka_unit_test(several_indexes_fold),
        cmocka_unit_test(long_numbers_are_text),
        cmocka_unit_test(expands),
        cmocka_unit_test(malformed_sets_are_named),
        cmocka_unit_test(the_number_of_names_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
