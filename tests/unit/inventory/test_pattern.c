#include "inventory_test.h"

static const char *const fleet =
    "srv1\nsrv01\nsrv02\nsrv03\nsrv10\nsrva\nsrvb\n5304\n25182\nodd*name\ngpu-r1-1\ngpu-r1-2\ngpu-r2-1\n";

/* Groups that overlap, and names that are both. */
static const char *const groups =
    "{\"servers\": ["
    "{\"id\": \"web1\", \"vars\": {\"groups\": [\"web\", \"rack1\", \"web-old\"]}},"
    "{\"id\": \"web2\", \"vars\": {\"groups\": [\"web\", \"rack2\"]}},"
    "{\"id\": \"web3\", \"vars\": {\"groups\": [\"web\", \"rack1\"]}},"
    "{\"id\": \"db01\", \"vars\": {\"groups\": [\"db\", \"rack1\"]}},"
    "{\"id\": \"db02\", \"vars\": {\"groups\": [\"db\", \"rack2\"]}},"
    "{\"id\": \"db03\", \"vars\": {\"groups\": [\"db\", \"rack2\", \"spare^1\"]}},"
    "\"alone\", \"both\", {\"id\": \"other\", \"vars\": {\"groups\": [\"both\"]}}]}";

/* The ids that a pattern picks, in the inventory's order, joined by blanks. */
static int picked(const char *from, const char *pattern, struct mu_buf *out, struct mu_err *err)
{
    struct mu_inventory *inv = parsed("f", from);
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
        {"srv01:srv02", "srv01 srv02"},
        {"srv0*:!srv02", "srv01 srv03"},
        {"srv01 : srv02", "srv01 srv02"},
        {"srv0*,!srv[02-03]", "srv01"},
        {"srv01, srv02", "srv01 srv02"},
        {"srv01\nsrv02\n", "srv01 srv02"},
        {"  srv01 \t srv02  ", "srv01 srv02"},
        {"! srv*", NULL},
        {"srv[1-3]!srv1,srv01", "srv01"},
        {"srv[01-03]&srv[02-10]", "srv02 srv03"},
        {"srv[01-03]^srv[02-10]", "srv01 srv10"},
        {"srv[01-03]!srv01!srv02", "srv03"},
        {"srv10,srv[01-03]!srv10", "srv01 srv02 srv03 srv10"}, /* an operator holds its own term together */
        {"~srv\\d{2}", "srv01 srv02 srv03 srv10"},
        {"~srv0[1,3]$", "srv01 srv03"},
        {"~srv(?:0|1):5304", "srv1 srv01 srv02 srv03 srv10 5304"},
        {"~rv", NULL}, /* from the start of the name */
        {"~.*rv0", "srv01 srv02 srv03"},
        {"srv*,!~srv[0-9]", "srva srvb"},
        {"failed_servers=[5304, 25182]", "5304 25182"}, /* as a summary prints it */
        {"failed_servers=[srv01]", "srv01"},
        {"srv0*[0]", "srv01"},
        {"srv0*[-1]", "srv03"},
        {"srv0*[1:]", "srv02 srv03"},
        {"srv0*[0:1]", "srv01 srv02"},
        {"srv0*[1:99]", "srv02 srv03"},
        {"srv[01-10][1:2]", "srv02 srv03"},
        {"all[0]", "srv1"},
        {"all[-2:0]", NULL},
    };
    struct mu_buf out = MU_BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mu_err err = {0};
        int rc = picked(fleet, cases[i].pattern, &out, &err);

        if (!cases[i].ids) {
            if (rc == 0)
                fail_msg("%s: no error", cases[i].pattern);
            continue;
        }
        if (rc != 0)
            fail_msg("%s: %s", cases[i].pattern, err.msg);
        if (strcmp(mu_buf_cstr(&out), cases[i].ids) != 0)
            fail_msg("%s: picked \"%s\", not \"%s\"", cases[i].pattern, mu_buf_cstr(&out), cases[i].ids);
    }
    mu_buf_free(&out);
}

static void test_groups(void **state)
{
    static const struct {
        const char *pattern, *ids;
    } cases[] = {
        {"web", "web1 web2 web3"},
        {"web:db", "web1 web2 web3 db01 db02 db03"},
        {"web:&rack1", "web1 web3"},
        {"&rack1:web", "web1 web3"},
        {"web,db,&rack1,!web3", "web1 db01"},
        {"!web3,&rack1,web,db", "web1 db01"},
        {"&rack1,&db", "db01"}, /* in both */
        {"&rack1", "web1 web3 db01"},
        {"!rack1", "web2 db02 db03 alone both other"},
        {"all", "web1 web2 web3 db01 db02 db03 alone both other"},
        {"all,!ungrouped", "web1 web2 web3 db01 db02 db03 other"},
        {"ungrouped", "alone both"},
        {"rack*", "web1 web2 web3 db01 db02 db03"},
        {"rack[1-2]", "web1 web2 web3 db01 db02 db03"},
        {"a*", "alone"}, /* not the group all */
        {"~al", "alone"},
        {"web*", "web1 web2 web3"},
        {"~rack\\d", "web1 web2 web3 db01 db02 db03"},
        {"both", "both"}, /* an id first */
        {"spare^1", "db03"}, /* a name with an operator in it is a name first */
        {"web!rack1", "web2"},
        {"rack1&web^alone", "web1 web3 alone"},
        {"web[0:1]", "web1 web2"},
        {"web[-1]", "web3"},
        {"web[-3]", "web1"},
        {"web[2:]", "web3"},
        {"db[0]", "db01"},
        {"db[0:0]", "db01"},
        {"db[03]", "db03"}, /* number 3 there is none */
        {"web[3]", "web3"},
        {"web[1:1]", "web2"},
        {"rack*[4]", "db02"},
        {"all[5:7]", "db03 alone both"},
        {"web,!web[0:1]", "web3"},
        {"web:&web[1:9]", "web2 web3"},
    };
    struct mu_buf out = MU_BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mu_err err = {0};

        if (picked(groups, cases[i].pattern, &out, &err) != 0)
            fail_msg("%s: %s", cases[i].pattern, err.msg);
        if (strcmp(mu_buf_cstr(&out), cases[i].ids) != 0)
            fail_msg("%s: picked \"%s\", not \"%s\"", cases[i].pattern, mu_buf_cstr(&out), cases[i].ids);
    }
    mu_buf_free(&out);
}

static void test_group_errors(void **state)
{
    static const struct {
        const char *pattern;
        int code;
        const char *message;
    } cases[] = {
        {"wbe1", MU_ENOENT, "server pattern \"wbe1\": no server or group of the inventory matches; do you mean \"web1\"?"},
        {"rakc1", MU_ENOENT, "server pattern \"rakc1\": no server or group of the inventory matches; do you mean \"rack1\"?"},
        {"ungruoped", MU_ENOENT,
         "server pattern \"ungruoped\": no server or group of the inventory matches; do you mean \"ungrouped\"?"},
        {"web!zzz", MU_ENOENT, "server pattern \"zzz\": no server or group of the inventory matches"},
        {"web&!db", MU_EINVAL, "server pattern \"!db\": behind an operator stands the name of a server or group"},
        {"web[1]", MU_EINVAL,
         "server pattern \"web[1]\": it is both web1 and number 1 of \"web\": write web1, or web[1:1]"},
        {"web[7]", MU_ENOENT, "server pattern \"web[7]\": \"web\" stands for 3 servers, counted from 0"},
        {"web[3:4]", MU_ENOENT, "server pattern \"web[3:4]\": \"web\" stands for 3 servers, counted from 0"},
        {"web[-4]", MU_ENOENT, "server pattern \"web[-4]\": \"web\" stands for 3 servers, counted from 0"},
        {"web[2:1]", MU_EINVAL, "server pattern \"web[2:1]\": the range runs backwards"},
        {"srv[1:3]", MU_ENOENT,
         "server pattern \"srv[1:3]\": no server or group of the inventory matches \"srv\", whose servers it counts; for "
         "names write srv[1-3]"},
        {"srv[-1]", MU_ENOENT,
         "server pattern \"srv[-1]\": no server or group of the inventory matches \"srv\", whose servers it counts"},
        {"web,!all", MU_ENOENT, "server pattern \"web,!all\": it leaves no server"},
        {"web,&db", MU_ENOENT, "server pattern \"web,&db\": it leaves no server"},
        {"~web[", MU_EINVAL,
         "server pattern \"~web[\": character 4 of the regular expression: missing terminating ] for character class"},
        {"~(a+|b)+", MU_ENOENT, NULL},
        {"@", MU_EINVAL, "server pattern \"@\": no file is named"},
        {"@/none/there", MU_ENOENT, "cannot read the server patterns in /none/there: No such file or directory"},
        {"all[0:1][0:1][0:1][0:1][0:1][0:1]", MU_EINVAL, NULL},
    };
    struct mu_buf out = MU_BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mu_err err = {0};
        int rc = picked(groups, cases[i].pattern, &out, &err);

        if (!cases[i].message) {
            assert_true(rc == 0 || rc == cases[i].code);
            continue;
        }
        assert_string_equal(err.msg, cases[i].message);
        assert_int_equal(rc, cases[i].code);
        assert_string_equal(mu_buf_cstr(&out), "");
    }
    mu_buf_free(&out);
}

/* An expression that tries everything is refused, not waited for. */
static void test_costly_expression(void **state)
{
    struct mu_inventory *inv = parsed("f", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n");
    struct mu_err err = {0};
    bool selected[1];

    (void)state;
    assert_int_equal(mu_pattern_select(inv, "~(a|aa)+[bc]", selected, &err), MU_ELIMIT);
    assert_has(err.msg, "server pattern \"~(a|aa)+[bc]\": it takes too many steps to try it on \"aaaa");
    mu_inventory_free(inv);
}

static void test_errors(void **state)
{
    static const struct {
        const char *pattern;
        int code;
        const char *part;
    } cases[] = {
        {"srv99", MU_ENOENT, "server pattern \"srv99\": no server or group of the inventory matches"},
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
        int rc = picked(fleet, cases[i].pattern, &out, &err);

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
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_group_errors),
        cmocka_unit_test(test_costly_expression),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
