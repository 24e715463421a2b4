#include "inventory_test.h"

static void members(const struct mu_inventory *inv, const char *name, const char *expected)
{
    const struct mu_group *g = mu_inventory_group(inv, name);
    char text[256] = "";

    if (!expected) {
        assert_null(g);
        return;
    }
    assert_non_null(g);
    assert_string_equal(g->name, name);
    for (size_t i = 0; i < g->n_members; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "",
                 mu_inventory_at(inv, g->members[i])->id);
    assert_string_equal(text, expected);
}

static void test_of_a_list(void **state)
{
    (void)state;
    struct mu_inventory *inv = parsed("fleet", "a groups=gpu\nb groups='gpu, db,gpu'\nc\nd groups=all\ne groups=''\n");

    members(inv, "all", "a b c d e");
    members(inv, "ungrouped", "c d e");
    members(inv, "gpu", "a b");
    members(inv, "db", "b");
    members(inv, "web", NULL);
    members(inv, "", NULL);
    assert_int_equal(mu_inventory_group_count(inv), 4);
    assert_string_equal(mu_inventory_group_at(inv, 0)->name, "all");
    assert_string_equal(mu_inventory_group_at(inv, 1)->name, "ungrouped");
    assert_null(mu_inventory_group_at(inv, 4));
    mu_inventory_free(inv);
}

static void test_of_json(void **state)
{
    (void)state;
    struct mu_inventory *inv = parsed(
        "fleet", "{\"servers\": [\"a\", {\"id\": \"b\", \"vars\": {\"groups\": [\"rack 7\", 5, \"\", [1]]}},"
                 " {\"id\": \"c\", \"vars\": {\"groups\": true}}, {\"id\": \"d\", \"vars\": {\"groups\": 5}}],"
                 " \"vars\": {\"groups\": \"x,y\"}}");

    members(inv, "rack 7", "b");
    members(inv, "5", "b d");
    members(inv, "x", "a");
    members(inv, "y", "a");
    members(inv, "ungrouped", "c");
    mu_inventory_free(inv);
}

static void test_after_a_change(void **state)
{
    (void)state;
    struct mu_inventory *inv = parsed("fleet", "a groups=gpu\n");
    struct mu_server *srv = NULL;
    struct mu_err err = {0};

    members(inv, "gpu", "a");
    assert_int_equal(mu_inventory_add(inv, "b", &srv, &err), 0);
    members(inv, "all", "a b");
    members(inv, "ungrouped", "b");
    assert_int_equal(mu_server_set(srv, "groups", "gpu", &err), 0);
    members(inv, "gpu", "a b");
    members(inv, "ungrouped", "");
    assert_int_not_equal(mu_inventory_parse(inv, "more", "c groups=new\na\n", 15, &err), 0);
    members(inv, "new", NULL);
    members(inv, "all", "a b");
    mu_inventory_free(inv);
}

static void test_of_none(void **state)
{
    (void)state;
    struct mu_inventory *inv = make();

    members(inv, "all", "");
    members(inv, "ungrouped", "");
    mu_inventory_free(inv);
}

/* What is stored is one pair a server and group, and each look-up is one probe or two: nothing grows with the square. */
static void test_of_many(void **state)
{
    (void)state;
    struct mu_inventory *inv = make();
    struct mu_server *srv = NULL;
    char id[32], group[32];

    for (int i = 0; i < 20000; i++) {
        snprintf(id, sizeof id, "srv%05d", i);
        snprintf(group, sizeof group, "even%d rack%d", i % 2, i / 10);
        assert_int_equal(mu_inventory_add(inv, id, &srv, NULL), 0);
        assert_int_equal(mu_server_set(srv, "groups", group, NULL), 0);
    }
    assert_int_equal(mu_inventory_group_count(inv), 2 + 2 + 2000);
    assert_int_equal(mu_inventory_group(inv, "even1")->n_members, 10000);
    members(inv, "rack1999", "srv19990 srv19991 srv19992 srv19993 srv19994 srv19995 srv19996 srv19997 srv19998 srv19999");
    mu_inventory_free(inv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_a_list),      cmocka_unit_test(test_of_json), cmocka_unit_test(test_after_a_change),
        cmocka_unit_test(test_of_none), cmocka_unit_test(test_of_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
