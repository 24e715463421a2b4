#include "inventory_test.h"

#include <stdlib.h>

static void test_fields_and_variables(void **state)
{
    struct mu_inventory *inv =
        parsed("lab/fleet.txt", "# the lab\n"
                                "srv01\n"
                                "\n"
                                "  srv02\taddress=10.0.0.2 port=2222 user=ops key=keys/id_ops # old\n"
                                "srv03 transport=local rack=r1 model=\"PowerEdge R650\" note='say \"hi\"'\n"
                                "srv04 color=#fff empty= quoted=\"\" hash=a#b eq=a=b\n"
                                "5304 address=2001:db8::1 key=/etc/id");
    const struct mu_server *s;

    (void)state;
    assert_int_equal(mu_inventory_count(inv), 5);
    s = mu_inventory_at(inv, 0);
    assert_string_equal(s->id, "srv01");
    assert_string_equal(s->address, "srv01");
    assert_int_equal(s->port, 0);
    assert_null(s->user);
    assert_null(s->key);
    assert_false(s->local);
    assert_int_equal(s->n_vars, 0);
    s = server(inv, "srv02");
    assert_int_equal(s->index, 1);
    assert_string_equal(s->address, "10.0.0.2");
    assert_int_equal(s->port, 2222);
    assert_string_equal(s->user, "ops");
    assert_string_equal(s->key, "lab/keys/id_ops");
    assert_int_equal(s->n_vars, 0);
    s = server(inv, "srv03");
    assert_true(s->local);
    assert_int_equal(s->n_vars, 3);
    assert_string_equal(mu_server_var(s, "rack")->str, "r1");
    assert_string_equal(mu_server_var(s, "model")->str, "PowerEdge R650");
    assert_string_equal(mu_server_var(s, "note")->str, "say \"hi\"");
    assert_int_equal(mu_server_var(s, "note")->type, MU_VAR_STR);
    assert_null(mu_server_var(s, "absent"));
    s = server(inv, "srv04");
    assert_string_equal(mu_server_var(s, "color")->str, "#fff");
    assert_string_equal(mu_server_var(s, "empty")->str, "");
    assert_string_equal(mu_server_var(s, "quoted")->str, "");
    assert_string_equal(mu_server_var(s, "hash")->str, "a#b");
    assert_string_equal(mu_server_var(s, "eq")->str, "a=b");
    s = server(inv, "5304");
    assert_string_equal(s->address, "2001:db8::1");
    assert_string_equal(s->key, "/etc/id");
    assert_null(mu_inventory_at(inv, 5));
    assert_null(mu_inventory_find(inv, "srv"));
    assert_null(mu_inventory_find(inv, ""));
    mu_inventory_free(inv);
}

static void test_line_ends_and_bom(void **state)
{
    static const char *const texts[] = {
        "srv01\nsrv02 user=ops", "srv01\r\nsrv02 user=ops\r\n", "\xEF\xBB\xBFsrv01\nsrv02 user=ops\n",
        "\xEF\xBB\xBF\r\n\r\nsrv01\r\nsrv02 user=ops", "srv01 \t \nsrv02 user=ops#\n#x"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct mu_inventory *inv = parsed("f", texts[i]);
        assert_int_equal(mu_inventory_count(inv), 2);
        assert_string_equal(mu_inventory_at(inv, 0)->id, "srv01");
        assert_string_equal(server(inv, "srv02")->user, i == 4 ? "ops#" : "ops");
        mu_inventory_free(inv);
    }
}

static void test_names_in_other_scripts(void **state)
{
    struct mu_inventory *inv = parsed("f", "büro-01 raum=\"Köln Süd\"\n服务器7\n");

    (void)state;
    assert_string_equal(mu_server_var(server(inv, "büro-01"), "raum")->str, "Köln Süd");
    assert_non_null(mu_inventory_find(inv, "服务器7"));
    mu_inventory_free(inv);
}

static void test_long_lines(void **state)
{
    enum { VARS = 20000, VALUE = 300000 };
    struct mu_inventory *inv = make();
    struct mu_buf text = MU_BUF_INIT;
    struct mu_err err = {0};
    const struct mu_server *s;

    (void)state;
    mu_buf_adds(&text, "srv01");
    for (int i = VARS; i-- > 0;)
        mu_buf_addf(&text, " v%05d=%d", i, i);
    mu_buf_adds(&text, "\nsrv02 big=\"");
    for (int i = 0; i < VALUE; i++)
        mu_buf_addc(&text, 'x');
    mu_buf_adds(&text, "\"\nsrv03 # ");
    for (int i = 0; i < VALUE; i++)
        mu_buf_addc(&text, '#');
    assert_int_equal(mu_inventory_parse(inv, "f", text.data, text.len, &err), 0);
    s = server(inv, "srv01");
    assert_int_equal(s->n_vars, VARS);
    for (int i = 0; i < VARS; i++)
        assert_int_equal(atoi(s->vars[i].str), i); /* sorted by name */
    assert_string_equal(mu_server_var(s, "v12345")->str, "12345");
    assert_int_equal(strlen(mu_server_var(server(inv, "srv02"), "big")->str), VALUE);
    assert_non_null(mu_inventory_find(inv, "srv03"));
    mu_inventory_free(inv);

    inv = make();
    mu_buf_clear(&text);
    mu_buf_adds(&text, "ok\n");
    for (int i = 0; i < VALUE; i++)
        mu_buf_addc(&text, 'x');
    assert_int_equal(mu_inventory_parse(inv, "f", text.data, text.len, &err), MU_EINVAL);
    assert_has(err.msg, "f:2: server id \"xxxx");
    assert_has(err.msg, "…\" has 300000 bytes: the longest is 253");
    mu_inventory_free(inv);
    mu_buf_free(&text);
}

static void test_malformed(void **state)
{
    static const struct bad_case cases[] = {
        {"srv01\nsrv01\n", 0, "fleet.txt:2: server \"srv01\" is there already, in fleet.txt:1", MU_EEXIST},
        {"srv01\nkept-2\n", 0, "fleet.txt:2: server \"kept-2\" is there already, in before:2", MU_EEXIST},
        {"", 1, "fleet.txt:1:1: a NUL byte", 0},
        {"srv01\nsr\0v02\n", 12, "fleet.txt:2:3: a NUL byte", 0},
        {"srv01\nsrv\xFF\n", 0, "fleet.txt:2:4: byte 0xFF is not UTF-8", 0},
        {"srv01\n\n  \xC3(\n", 0, "fleet.txt:3:3: byte 0xC3 is not UTF-8", 0},
        {"\xFF\xFEs\0r\0v\0", 8, "fleet.txt is UTF-16: save it as UTF-8", 0},
        {"\xFE\xFF\0s\0r", 6, "UTF-16", 0},
        {"\n", 0, "no servers in fleet.txt", 0},
        {"# nobody\n\n   \t\r\n", 0, "no servers in fleet.txt", 0},
        {"\xEF\xBB\xBF", 0, "no servers in fleet.txt", 0},
        {"srv01\x01\n", 0, "fleet.txt:1: a control character (0x01) in column 6", 0},
        {"srv01 note=\"\x1b[2J\"\n", 0, "fleet.txt:1: a control character (0x1B) in column 13", 0},
        {"srv01\rsrv02\r", 0, "fleet.txt:1: a control character (0x0D)", 0},
        {"srv01\n\nsrv02 10.0.0.2\n", 0, "fleet.txt:3: \"10.0.0.2\" is not name=value", 0},
        {"srv01 srv02", 0, "one server a line", 0},
        {"srv01 port = 22", 0, "\"port\" is not name=value", 0},
        {"srv01 port= 22", 0, "port \"\" is not a number", 0},
        {"srv01 =22", 0, "\"=22\" has no name before the =", 0},
        {"address=10.0.0.1", 0, "the line starts with \"address=10.0.0.1\": it must start with the id", 0},
        {"srv[01-10]", 0, "\"srv[01-10]\" looks like a node set", 0},
        {"a,b", 0, "server id \"a,b\" contains ,", 0},
        {"a:b", 0, "contains :", 0},
        {"a\\b", 0, "contains \\", 0},
        {"!a", 0, "contains !", 0},
        {"\"srv01\"", 0, "contains \"", 0},
        {"-srv01", 0, "server id \"-srv01\" starts with \"-\"", 0},
        {"srv\xC2\xA0"
         "01",
         0, "contains white space (U+00A0)", 0},
        {"srv\xE2\x80\x8B"
         "01",
         0, "contains a character that cannot be seen (U+200B)", 0},
        {"srv\xE2\x80\xAE"
         "01",
         0, "cannot be seen (U+202E)", 0},
        {"srv\xC2\x9B"
         "01",
         0, "contains a control character (U+009B)", 0},
        {"srv01 port=70000", 0, "fleet.txt:1: port 70000 is out of range (1-65535)", 0},
        {"srv01 port=0", 0, "port 0 is out of range", 0},
        {"srv01 port=-1", 0, "port \"-1\" is not a number", 0},
        {"srv01 port=22x", 0, "port \"22x\" is not a number", 0},
        {"srv01 port=99999999999999999999999", 0, "port 99999999999999999999999 is out of range", 0},
        {"srv01 port=22 port=23", 0, "\"port\" is given twice", 0},
        {"srv01 user=a user=a", 0, "\"user\" is given twice", 0},
        {"srv01 rack=a site=x rack=b", 0, "\"rack\" is given twice", 0},
        {"srv01 transport=telnet", 0, "transport \"telnet\" is not known (\"ssh\" or \"local\")", 0},
        {"srv01 address=", 0, "address is empty", 0},
        {"srv01 address=10.0.0.1:22", 0, "address \"10.0.0.1:22\" contains a port: say it as \"port\"", 0},
        {"srv01 address=[::1]", 0, "without brackets", 0},
        {"srv01 address=ops@h", 0, "contains a user: say it as \"user\"", 0},
        {"srv01 address=-oProxyCommand", 0, "starts with \"-\"", 0},
        {"srv01 address=\"a b\"", 0, "contains white space", 0},
        {"srv01 user=", 0, "user is empty", 0},
        {"srv01 user=\"a b\"", 0, "user \"a b\" contains white space", 0},
        {"srv01 key=", 0, "key is empty", 0},
        {"srv01 key=~bob/id", 0, "key \"~bob/id\": only ~/ is understood", 0},
        {"srv01 id=x", 0, "\"id\" is a field of a server", 0},
        {"srv01 model=\"Power", 0, "the value of \"model\" has no closing \"", 0},
        {"srv01 model='Power\"", 0, "the value of \"model\" has no closing '", 0},
        {"srv01 model=\"Power\"Edge", 0, "goes on after its closing \"", 0},
        {"srv01 size=24\"", 0, "has a quote in it", 0},
        {"srv01 v\xE2\x80\x8B=1", 0, "variable \"v", 0},
        {"srv01 a=1\nsrv02 a=1\nsrv03 port=x\n", 0, "fleet.txt:3: port \"x\"", 0},
    };

    (void)state;
    check_bad("fleet.txt", cases, sizeof cases / sizeof *cases);
}

static void test_long_and_hostile_names_in_messages(void **state)
{
    struct mu_inventory *inv = make();
    struct mu_err err = {0};
    char path[3000];

    (void)state;
    memset(path, 'd', sizeof path);
    memcpy(path + sizeof path - 16, "/the\nfleet\x1b.txt", 16);
    path[sizeof path - 1] = '\0';
    assert_int_equal(mu_inventory_parse(inv, path, "srv01 port=70000", 16, &err), MU_EINVAL);
    assert_has(err.msg, "/the\\nfleet\\x1b.txt:1: port 70000 is out of range (1-65535)");
    assert_one_line(err.msg);
    mu_inventory_free(inv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_and_variables),
        cmocka_unit_test(test_line_ends_and_bom),
        cmocka_unit_test(test_names_in_other_scripts),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_long_and_hostile_names_in_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
