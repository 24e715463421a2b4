#include "inventory_test.h"

static const char *const fleet =
    "srv1\nsrv01\nsrv02\nsrv03\nsrv10\nsrva\nsrvb\n5304\n25182\nodd*name\ngpu-r1-1\ngpu-r1-2\ngpu-r2-1\n";

/* The ids that a pattern picks, in the inventory's order, joined by blanks. */
static int picked(const char *pattern, struct mu_buf *out, struct mu_err *err)
{
    struct mu_inventory *inv = parsed("f", fleet);
    bool selected[32];
    int rc;

    memset(selected, 1, sizeof selected);
    mu_buf_clear(out);
    rc = mu_pattern_select(inv, pattern, selected, err);
    for (size_t i = 0; i < mu_inventory_count(inv); i++)
        if (selected[i])
            mu_buf_addf(out, "%s%s", out->len ? " " : "", mu_inventory_at(inv, i)->id);
    mu_inventory_free(inv);
    return rc;
}

static void test_selects(void **state)
{
    static const struct {
        const char *pattern, *ids;
    } cases[] = {
        {"srv01", "srv01"},
        {"srv03,srv01,srv03", "srv01 srv03"},
        {"srv0*", "srv01 srv02 srv03"},
        {"srv?", "srv1 srva srvb"},
        {"*", "srv1 srv01 srv02 srv03 srv10 srva srvb 5304 25182 odd*name gpu-r1-1 gpu-r1-2 gpu-r2-1"},
        {"srv[a-z]", "srva srvb"},
        {"srv[!a-z]", "srv1"},
        {"srv[a,b]", "srva srvb"},
        {"srv[01-10]", "srv01 srv02 srv03 srv10"}, /* a range need not be there in full */
        {"srv[01-02,10]", "srv01 srv02 srv10"},
        {"srv[1-3]", "srv1"},
        {"srv[0-9]", "srv1"},
        {"srv[0-9]*", "srv1 srv01 srv02 srv03 srv10"},
        {"srv[0-9][0-9]", "srv01 srv02 srv03 srv10"},
        {"srv[01-03]*", "srv01 srv02 srv03"},
        {"gpu-r[1-2]-[1-2]", "gpu-r1-1 gpu-r1-2 gpu-r2-1"},
        {"gpu-r[1-9]-[!2]", "gpu-r1-1 gpu-r2-1"},
        {"[5304,25182]", "5304 25182"},
        {"[5304, 25182]", "5304 25182"}, /* as the summary prints failed_servers */
        {"[srv01, 5304, gpu-r1-[1-2]]", "srv01 5304 gpu-r1-1 gpu-r1-2"},
        {" [srv01, srv02] ", "srv01 srv02"},
        {"odd*name", "odd*name"}, /* an id first */
        {"odd*", "odd*name"},
        {"srv*,!srv0*", "srv1 srv10 srva srvb"},
        {"!srv0*,srv*", "srv1 srv10 srva srvb"}, /* what is taken out stays out */
        {"!srv*", "5304 25182 odd*name gpu-r1-1 gpu-r1-2 gpu-r2-1"},
        {"!srv*,!gpu*", "5304 25182 odd*name"},
        {"srv01,!srv01", ""},
        {"srv0*,!srv[02-03]", "srv01"},
        {"srv01, srv02", "srv01 srv02"},
        {"srv01\nsrv02\n", "srv01 srv02"},
        {"  srv01 \t srv02  ", "srv01 srv02"},
        {"! srv*", NULL},
    };
    struct mu_buf out = MU_BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mu_err err = {0};
        int rc = picked(cases[i].pattern, &out, &err);

        if (!cases[i].ids) {
            assert_int_equal(rc, MU_EINVAL);
            continue;
        }
        if (rc != 0)
            fail_msg("%s: %s", cases[i].pattern, err.msg);
        if (strcmp(mu_buf_cstr(&out), cases[i].ids) != 0)
            fail_msg("%s: picked \"%s\", not \"%s\"", cases[i].pattern, mu_buf_cstr(&out), cases[i].ids);
    }
    mu_buf_free(&out);
}

static void test_errors(void **state)
{
    static const struct {
        const char *pattern;
        int code;
        const char *part;
    } cases[] = {
        {"srv99", MU_ENOENT, "server pattern \"srv99\": no server of the inventory matches"},
        {"srv01,srv99,srv98", MU_ENOENT, "\"srv99\""},
        {"!srv99", MU_ENOENT, "\"srv99\""},
        {"srv9*", MU_ENOENT, "\"srv9*\""},
        {"SRV01", MU_ENOENT, "\"SRV01\""},
        {"srv[50-60]", MU_ENOENT, "\"srv[50-60]\""},
        {"srv[x-z]", MU_ENOENT, "\"srv[x-z]\""},
        {"srv01\x1b", MU_EINVAL, "server pattern \"srv01\\x1b\" contains a control character"},
        {"srv\xFF*", MU_EINVAL, "server pattern \"srv\\xff*\" is not UTF-8"},
        {"", MU_EINVAL, "has an empty term"},
        {"  ", MU_EINVAL, "has an empty term"},
        {"!", MU_EINVAL, "has an empty term"},
        {",", MU_EINVAL, "has an empty term"},
        {"srv01,", MU_EINVAL, "server pattern \"srv01,\" has an empty term"},
        {"srv01,,srv02", MU_EINVAL, "has an empty term"},
        {"srv[10-01]", MU_EINVAL, "server pattern \"srv[10-01]\": "},
        {"srv[3-1]", MU_EINVAL, "server pattern \"srv[3-1]\": "},
        {"srv[01-", MU_EINVAL, "server pattern \"srv[01-\": "},
        {"srv[a", MU_EINVAL, "server pattern \"srv[a\": "},
        {"srv[]", MU_EINVAL, "server pattern \"srv[]\": "},
        {"srv[,]", MU_EINVAL, "server pattern \"srv[,]\": "},
        {"srv[a-c][10-1]", MU_EINVAL, "server pattern"},
        {"srv[1-99999999]", MU_ELIMIT, "server pattern \"srv[1-99999999]\": "},
    };
    struct mu_buf out = MU_BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mu_err err = {0};
        int rc = picked(cases[i].pattern, &out, &err);

        if (rc != cases[i].code)
            fail_msg("%s: %d, not %d: %s", cases[i].pattern, rc, cases[i].code, err.msg);
        assert_int_equal(err.code, rc);
        assert_has(err.msg, cases[i].part);
        assert_one_line(err.msg);
        assert_string_equal(mu_buf_cstr(&out), ""); /* nothing is selected */
    }
    mu_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selects),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
