#include "inventory_test.h"

static const char *const full =
    "{\"servers\": [\n"
    "  \"srv01\",\n"
    "  {\"id\": \"srv02\", \"address\": \"10.0.0.2\", \"port\": 2222, \"user\": \"ops\", \"key\": \"id_ops\",\n"
    "   \"transport\": \"ssh\", \"vars\": {\"rack\": \"r1\", \"site\": \"muc\"}},\n"
    "  {\"vars\": {\"s\": \"two\\nlines\", \"i\": -9007199254740993, \"r\": 0.5, \"t\": true, \"f\": false,\n"
    "             \"n\": null, \"a\": [1, \"x\", {\"k\": []}], \"o\": {}}, \"transport\": \"local\", \"id\": "
    "\"srv03\"}\n"
    "], \"vars\": {\"site\": \"fra\", \"gpus\": 8, \"disks\": [\"sda\"]}}\n";

static void check_var(const struct mu_server *s, const char *name, enum mu_var_type type, const char *str)
{
    const struct mu_var *var = mu_server_var(s, name);

    assert_non_null(var);
    assert_int_equal(var->type, type);
    if (str)
        assert_string_equal(var->str, str);
    else
        assert_null(var->str);
}

static void test_everything(void **state)
{
    struct mu_inventory *inv = parsed("/etc/muster/fleet.json", full);
    const struct mu_server *s;

    (void)state;
    assert_int_equal(mu_inventory_count(inv), 3);
    s = server(inv, "srv01");
    assert_string_equal(s->address, "srv01");
    assert_int_equal(s->n_vars, 3);
    check_var(s, "site", MU_VAR_STR, "fra");
    check_var(s, "gpus", MU_VAR_INT, NULL);
    assert_int_equal(mu_server_var(s, "gpus")->i, 8);
    check_var(s, "disks", MU_VAR_JSON, "[\"sda\"]");
    s = server(inv, "srv02");
    assert_string_equal(s->address, "10.0.0.2");
    assert_int_equal(s->port, 2222);
    assert_string_equal(s->user, "ops");
    assert_string_equal(s->key, "/etc/muster/id_ops");
    assert_int_equal(s->n_vars, 4);
    check_var(s, "site", MU_VAR_STR, "muc"); /* its own wins */
    check_var(s, "rack", MU_VAR_STR, "r1");
    s = server(inv, "srv03");
    assert_true(s->local);
    assert_int_equal(s->n_vars, 11);
    check_var(s, "s", MU_VAR_STR, "two\nlines");
    check_var(s, "i", MU_VAR_INT, NULL);
    assert_true(mu_server_var(s, "i")->i == -9007199254740993LL);
    check_var(s, "r", MU_VAR_NUM, NULL);
    assert_true(mu_server_var(s, "r")->num == 0.5);
    check_var(s, "t", MU_VAR_BOOL, NULL);
    assert_int_equal(mu_server_var(s, "t")->i, 1);
    check_var(s, "f", MU_VAR_BOOL, NULL);
    assert_int_equal(mu_server_var(s, "f")->i, 0);
    check_var(s, "n", MU_VAR_JSON, "null");
    check_var(s, "a", MU_VAR_JSON, "[1,\"x\",{\"k\":[]}]");
    check_var(s, "o", MU_VAR_JSON, "{}");
    for (size_t i = 1; i < s->n_vars; i++)
        assert_true(strcmp(s->vars[i - 1].name, s->vars[i].name) < 0);
    mu_inventory_free(inv);
}

/* What all servers share is theirs to change, each for itself, and to add to. */
static void test_shared_variables_can_be_set(void **state)
{
    struct mu_inventory *inv = parsed("f", full);
    struct mu_server *s = mu_inventory_find(inv, "srv01");
    struct mu_err err = {0};
    char name[16];

    (void)state;
    assert_int_equal(mu_server_set(s, "site", "ber", &err), 0);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "v%d", i * 7 % 40);
        assert_int_equal(mu_server_set(s, name, name, &err), 0);
    }
    check_var(s, "site", MU_VAR_STR, "ber");
    assert_int_equal(s->n_vars, 43);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "v%d", i);
        check_var(s, name, MU_VAR_STR, name);
    }
    check_var(server(inv, "srv03"), "site", MU_VAR_STR, "fra");
    mu_inventory_free(inv);
}

static void test_top_level_forms(void **state)
{
    static const char *const texts[] = {
        "[\"srv01\"]",
        " \r\n\t[{\"id\": \"srv01\"}]",
        "\xEF\xBB\xBF{\"servers\": [\"srv01\"]}",
        "{\"vars\": {}, \"servers\": [{\"id\": \"srv01\", \"vars\": {}}]}\r\n",
        "[{\"id\": \"srv\\u0030\\u0031\"}]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct mu_inventory *inv = parsed("f", texts[i]);
        assert_int_equal(mu_inventory_count(inv), 1);
        assert_int_equal(server(inv, "srv01")->n_vars, 0);
        mu_inventory_free(inv);
    }
}

#define SRV(rest) "[\"a\", {\"id\": \"srv01\", " rest "}]"

static void test_malformed(void **state)
{
    static const struct bad_case cases[] = {
        {"[\"srv01\",\n \"srv02\"\n \"srv03\"]", 0, "fleet.json:3:8: not valid JSON: ", 0},
        {"[\"webservers\"\nsrv01\n", 0, "(read as JSON because it starts with [)", 0},
        {"{\"servers\": [\"srv01\",]}", 0, "fleet.json:1:22: not valid JSON", 0},
        {"[\"srv01\"", 0, "fleet.json:1:8: not valid JSON", 0},
        {"[\"srv01\"] x", 0, "end of file expected", 0},
        {"[\"srv01\n\"]", 0, "fleet.json:1:", 0},
        {"{\n\"servers\": [], \"servers\": []}", 0, "fleet.json:2:24: not valid JSON: duplicate object key", 0},
        {SRV("\"id\": \"x\""), 0, "duplicate object key near '\"id\"'", 0},
        {SRV("\"vars\": {\"a\": 1, \"a\": 2}"), 0, "duplicate object key near '\"a\"'", 0},
        {"[\"srv\\u000001\"]", 0, "not valid JSON", 0},
        {"[\"srv\0\"]", 8, "fleet.json:1:6: a NUL byte", 0},
        {"[\"srv\xC0\x80\"]", 0, "fleet.json:1:6: byte 0xC0 is not UTF-8", 0},
        {SRV("\"vars\": {\"big\": 123456789012345678901234567890}"), 0, "too big integer", 0},
        {SRV("\"vars\": {\"big\": 1e999}"), 0, "real number overflow", 0},
        {"[]", 0, "no servers in fleet.json", 0},
        {"{\"servers\": []}", 0, "no servers in fleet.json", 0},
        {"{}", 0, "fleet.json: no \"servers\"", 0},
        {"{\"vars\": {\"a\": 1}}", 0, "fleet.json: no \"servers\"", 0},
        {"{\"id\": \"srv01\"}", 0, "fleet.json: unknown field \"id\": an inventory has \"servers\" and \"vars\"", 0},
        {"{\"servers\": {\"srv01\": {}}}", 0, "fleet.json: \"servers\" must be an array, not an object", 0},
        {"{\"servers\": [\"srv01\"], \"vars\": []}", 0, "fleet.json: \"vars\" must be an object, not an array", 0},
        {"{\"servers\": [\"srv01\"], \"vars\": {\"user\": \"ops\"}}", 0,
         "fleet.json: \"user\" is a field of a server, so no variable can have that name", 0},
        {"[\"a\", 5304]", 0, "fleet.json: servers[1]: a server must be an object or an id (a string), not an integer",
         0},
        {"[null]", 0, "servers[0]: a server must be an object or an id (a string), not null", 0},
        {"[[]]", 0, "not an array", 0},
        {"[{}]", 0, "fleet.json: servers[0]: it has no \"id\"", 0},
        {"[{\"id\": 5304}]", 0, "servers[0]: id must be a string, not an integer", 0},
        {"[{\"id\": null}]", 0, "id must be a string, not null", 0},
        {"[{\"id\": \"\"}]", 0, "servers[0]: server id is empty", 0},
        {"[{\"id\": \"a b\"}]", 0, "server id \"a b\" contains white space (U+0020)", 0},
        {"[{\"id\": \"a\\u001bb\"}]", 0, "server id \"a\\x1bb\" contains a control character (U+001B)", 0},
        {"[\"srv01\", \"srv01\"]", 0,
         "fleet.json: servers[1]: server \"srv01\" is there already, as servers[0] of fleet.json", MU_EEXIST},
        {"[\"kept-1\"]", 0, "fleet.json: servers[0]: server \"kept-1\" is there already, in before:1", MU_EEXIST},
        {SRV("\"port\": 70000"), 0, "fleet.json: servers[1] \"srv01\": port 70000 is out of range (1-65535)", 0},
        {SRV("\"port\": -1"), 0, "port -1 is out of range", 0},
        {SRV("\"port\": 0"), 0, "port 0 is out of range", 0},
        {SRV("\"port\": 9223372036854775807"), 0, "port 9223372036854775807 is out of range", 0},
        {SRV("\"port\": \"22\""), 0, "servers[1] \"srv01\": port must be an integer, not a string", 0},
        {SRV("\"port\": 22.5"), 0, "port must be an integer, not a fraction", 0},
        {SRV("\"address\": null"), 0, "address must be a string, not null", 0},
        {SRV("\"address\": \"\""), 0, "address is empty", 0},
        {SRV("\"user\": true"), 0, "user must be a string, not a boolean", 0},
        {SRV("\"key\": [\"k\"]"), 0, "key must be a string, not an array", 0},
        {SRV("\"transport\": \"SSH\""), 0, "transport \"SSH\" is not known", 0},
        {SRV("\"transport\": {}"), 0, "transport must be a string, not an object", 0},
        {SRV("\"vars\": null"), 0, "servers[1] \"srv01\": \"vars\" must be an object, not null", 0},
        {SRV("\"vars\": {\"\": 1}"), 0, "servers[1] \"srv01\": a variable has an empty name", 0},
        {SRV("\"vars\": {\"port\": 1}"), 0, "\"port\" is a field of a server", 0},
        {SRV("\"vars\": {\"a\\nb\": 1}"), 0, "variable \"a\\nb\" contains white space (U+000A)", 0},
        {SRV("\"rack\": \"r1\""), 0,
         "servers[1] \"srv01\": unknown field \"rack\": put it under \"vars\" (the fields are id, address, port, user, "
         "key, transport, ssh_args, vars)",
         0},
    };

    (void)state;
    check_bad("fleet.json", cases, sizeof cases / sizeof *cases);
}

static void test_too_deep(void **state)
{
    struct mu_inventory *inv = make();
    struct mu_buf text = MU_BUF_INIT;
    struct mu_err err = {0};

    (void)state;
    for (int i = 0; i < 100000; i++)
        mu_buf_addc(&text, '[');
    assert_int_equal(mu_inventory_parse(inv, "f", text.data, text.len, &err), MU_EINVAL);
    assert_has(err.msg, "maximum parsing depth");
    mu_buf_free(&text);
    mu_inventory_free(inv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),      cmocka_unit_test(test_shared_variables_can_be_set),
        cmocka_unit_test(test_top_level_forms), cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_too_deep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
