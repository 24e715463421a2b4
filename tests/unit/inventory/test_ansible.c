/* How Ansible's variables become a server's fields, and what is wrong with an inventory, by file and line. What its groups
 * and variables come to is compared with Ansible itself, in tests/lua/inventory_spec.lua. */
#include "inventory_test.h"

#include "core/log.h"
#include "inventory/ansible.h"

static void test_fields(void **state)
{
    (void)state;
    struct mu_inventory *inv = parsed(
        "hosts",
        "[g]\n"
        "a ansible_host=10.0.0.1 ansible_port=2222 ansible_user=ops ansible_ssh_private_key_file=/k port=80 id=7 user=x\n"
        "b ansible_host=new ansible_ssh_host=old ansible_ssh_user=u ansible_ssh_port=23 ansible_connection=local\n"
        "c:24 ansible_host='{{ inventory_hostname_short }}.{{dom}}' dom='{{ x }}.org' x=1 ansible_user=\"{{ inventory_hostname }}\"\n"
        "d.example.com ansible_ssh_args='-C' ansible_ssh_extra_args='-o B=c' ansible_ssh_common_args='-J {{ jump }}'\n"
        "e ansible_user=None\n"
        "[g:vars]\njump=bastion\n");
    const struct mu_server *a = server(inv, "a"), *b = server(inv, "b"), *c = server(inv, "c"), *d = server(inv, "d.example.com");

    assert_string_equal(a->address, "10.0.0.1");
    assert_int_equal(a->port, 2222);
    assert_string_equal(a->user, "ops");
    assert_string_equal(a->key, "/k");
    assert_null(a->ssh_args);
    assert_int_equal(mu_server_var(a, "port")->i, 80); /* a variable like any other here */
    assert_int_equal(mu_server_var(a, "id")->i, 7);
    assert_string_equal(b->address, "old");
    assert_string_equal(b->user, "u");
    assert_int_equal(b->port, 23);
    assert_true(b->local);
    assert_string_equal(c->address, "c.1.org");
    assert_string_equal(c->user, "c");
    assert_int_equal(c->port, 24);
    assert_false(c->local);
    assert_string_equal(d->address, "d.example.com");
    assert_string_equal(d->ssh_args, "-C -J bastion -o B=c");
    assert_null(server(inv, "e")->user);
    assert_int_equal(a->n_groups, 1);
    assert_string_equal(a->groups[0], "g");
    mu_inventory_free(inv);
}

static void test_fields_of_our_own(void **state)
{
    (void)state;
    struct mu_inventory *inv = parsed("fleet", "a ssh_args='-J bastion -o X=y'\n");
    struct mu_inventory *json = parsed("fleet.json", "[{\"id\": \"a\", \"ssh_args\": \"-J b\"}]");

    assert_string_equal(server(inv, "a")->ssh_args, "-J bastion -o X=y");
    assert_string_equal(server(json, "a")->ssh_args, "-J b");
    mu_inventory_free(inv);
    mu_inventory_free(json);
}

static void test_passwords_are_left_out(void **state)
{
    (void)state;
    struct mu_inventory *inv = parsed("hosts", "[g]\na ansible_password=s3cret ansible_ssh_pass=s3cret b=1\n[all:vars]\n"
                                               "ansible_become_password=s3cret\nansible_sudo_pass=s3cret\n");
    const struct mu_server *a = server(inv, "a");

    assert_int_equal(a->n_vars, 1);
    assert_string_equal(a->vars[0].name, "b");
    mu_inventory_free(inv);
}

static void test_two_are_merged(void **state)
{
    (void)state;
    struct mu_inventory *inv = parsed("one", "[g]\na v=1 w=1\n");
    struct mu_err err = {0};
    const char *more = "g: {hosts: {a: {v: 2}, b: }, vars: {x: y}}\n";

    assert_int_equal(mu_inventory_parse(inv, "two.yml", more, strlen(more), &err), 0);
    assert_int_equal(mu_inventory_count(inv), 2);
    assert_int_equal(mu_server_var(server(inv, "a"), "v")->i, 2);
    assert_int_equal(mu_server_var(server(inv, "a"), "w")->i, 1);
    assert_string_equal(mu_server_var(server(inv, "b"), "x")->str, "y");
    assert_int_equal(mu_inventory_group(inv, "g")->n_members, 2);
    assert_int_equal(mu_inventory_parse(inv, "own", "a\n", 2, &err), MU_EEXIST);
    assert_string_equal(err.msg, "own:1: server \"a\" is there already, in one:2");
    mu_inventory_free(inv);
}

/* Each is refused with its place and what is wrong. */
static void test_errors(void **state)
{
    static const char *const cases[][3] = {
        {"h", "[g]\na b\n", "h:2: \"b\" is not name=value"},
        {"h", "[g]\na b=\"c\n", "h:2: a \" has no closing one"},
        {"h", "[g]\n[h:kids]\n", "h:2: a section is [group], [group:children] or [group:vars], not :kids"},
        {"h", "[g]\n[h :vars]\n", "h:2: [h :vars] is not a section"},
        {"h", "[g:vars]\na=1\n", "h:1: [g:vars], and there is no group g"},
        {"h", "[g:children]\nx\n", "h:2: the child x: there is no group [x]"},
        {"h", "[g]\n[g:children]\ng\n", "h:3: group \"g\" cannot be below \"g\""},
        {"h", "[a:children]\nb\n[b:children]\na\n", "h:4: group \"a\" cannot be below \"b\""},
        {"h", "[g]\n[g:vars]\nnonsense\n", "h:3: \"nonsense\" is not name=value"},
        {"h", "[g]\nw[01:5]\n", "h:2: host \"w[01:5]\": a range with zeros before"},
        {"h", "[g]\nw[1:x]\n", "a range goes from a number to a number"},
        {"h", "[g]\nw[1:99999999]\n", "more than 1000000 hosts"},
        {"h", "[g]\nw[1:2:0]\n", "the step of a range is a number from 1"},
        {"h", "[g]\na:\n", "h:2: \"a:\" ends with a colon"},
        {"h", "[g]\n::1\n", "h:2: server id \"::1\" has a colon in it, which ids must not: name it otherwise and give it "
                             "ansible_host=::1"},
        {"h", "[g]\na&b\n", "h:2: server id \"a&b\" contains &"},
        {"h", "[g]\na ansible_host='{{ x|y }}'\n", "h:2: server \"a\": ansible_host: it is a template, of which only"},
        {"h", "[g]\na ansible_host='{% if x %}'\n", "h:2: server \"a\": ansible_host: it is a template"},
        {"h", "[g]\na ansible_host='{{ x }}'\n", "h:2: server \"a\": ansible_host: it refers to a variable that is not set: x"},
        {"h", "[g]\na ansible_host='{{ x }}' x='{{ x }}'\n", "h:2: server \"a\": ansible_host: it refers to itself"},
        {"h", "[g]\na ansible_user='[1]'\n", "h:2: server \"a\": ansible_user: it is a list"},
        {"h", "[g]\na\n[g:vars]\nansible_group_priority=x\n", "h:4: ansible_group_priority of group \"g\""},
        {"y.yml", "all:\n  hosts: [a]\n", "y.yml:2: \"hosts\" is a list, and it has to be a mapping"},
        {"y.yml", "all:\n  hosts:\n    12:\n", "y.yml:3: the host \"12\" is a number or the like: put it in quotes"},
        {"y.yml", "1:\n  hosts:\n", "y.yml:1: the group \"1\" is a number or the like"},
        {"y.yml", "all:\n  hosts:\n    a: x\n", "y.yml:3: the variables of host \"a\" are no mapping"},
        {"y.yml", "all:\n  hosts: {a: *b}\n", "y.yml:2:14: an alias of an anchor that is not there"},
        {"y.yml", "all: &a\n  children: *a\n", "y.yml:2:13: an alias inside of what it stands for"},
        {"y.yml", "all:\n  hosts: {a: !new x}\n", "y.yml:2:14: the tag !new is not known"},
        {"y.yml", "all:\n\thosts:\n", "y.yml:2:1: not valid YAML"},
        {"y.yml", "- a\n", "y.yml:1: an inventory is a mapping with groups in it, not a list"},
        {"y.yml", "", "y.yml is empty"},
        {"y.yml", "plugin: aws_ec2\n", "y.yml:1: this configures Ansible's inventory plugin aws_ec2"},
        {"y.yml", "a: {}\n---\nb: {}\n", "y.yml:2:1: a second document"},
        {"y.yml", "all:\n  hosts:\n    a: {ansible_user: !vault x}\n", "y.yml:3: server \"a\": ansible_user: it is encrypted"},
        {"y.yml", "x:\n  children:\n    all:\n", "y.yml:3: group \"all\" cannot be below \"x\""},
        {"j.json", "{\"all\": {\"hosts\": {\"a\": 1}}}", "j.json:1: the variables of host \"a\" are no mapping"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mu_inventory *inv = make();
        struct mu_err err = {0};

        if (mu_inventory_parse(inv, cases[i][0], cases[i][1], strlen(cases[i][1]), &err) == 0)
            fail_msg("no error for: %s", cases[i][1]);
        assert_has(err.msg, cases[i][2]);
        assert_one_line(err.msg);
        assert_int_equal(mu_inventory_count(inv), 0);
        mu_inventory_free(inv);
    }
}

/* Nodes ten times as many at each of nine steps: what it stands for is refused, not written out. */
static void test_bomb(void **state)
{
    struct mu_inventory *inv = make();
    struct mu_buf text = MU_BUF_INIT;
    struct mu_err err = {0};

    (void)state;
    mu_buf_adds(&text, "all:\n  vars:\n    a0: &a0 x\n");
    for (int i = 1; i < 10; i++)
        mu_buf_addf(&text, "    a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1,
                    i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    assert_int_equal(mu_inventory_parse(inv, "y.yml", mu_buf_cstr(&text), text.len, &err), MU_EINVAL);
    assert_has(err.msg, "what its aliases stand for is too large");
    mu_buf_free(&text);
    mu_inventory_free(inv);
}

/* Which own files are lists, and which are Ansible's. */
static void test_kinds(void **state)
{
    static const struct {
        const char *name, *text;
        bool beside;
        enum mu_source_kind kind;
    } cases[] = {
        {"h", "a\nb rack=r1\n", false, MU_SOURCE_LIST},   {"h", "a\nb rack=r1\n", true, MU_SOURCE_INI},
        {"h", "a address=b\n", true, MU_SOURCE_LIST},     {"h", "a\n[g]\n", false, MU_SOURCE_INI},
        {"h", "a ansible_host=b\n", false, MU_SOURCE_INI}, {"h", "; x\na\n", false, MU_SOURCE_INI},
        {"h", "w[1:2]\n", false, MU_SOURCE_INI},          {"h", "a:22\n", false, MU_SOURCE_INI},
        {"h", "w[1-2]\n", false, MU_SOURCE_LIST},         {"h", "[\"a\"]", false, MU_SOURCE_JSON},
        {"h", "[1]", false, MU_SOURCE_JSON},              {"h", "[1]\na\n", false, MU_SOURCE_INI},
        {"h", "{\"servers\": []}", true, MU_SOURCE_JSON}, {"h", "{\"all\": {}}", false, MU_SOURCE_YAML},
        {"h", "all:\n  hosts:\n", false, MU_SOURCE_YAML}, {"h", "# x\n---\n", false, MU_SOURCE_YAML},
        {"h.yml", "a\n", false, MU_SOURCE_YAML},          {"h.yaml", "{all: }", false, MU_SOURCE_YAML},
        {"h", "a b=c:\n", false, MU_SOURCE_LIST},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (mu_source_kind(cases[i].name, cases[i].text, strlen(cases[i].text), cases[i].beside) != cases[i].kind)
            fail_msg("%s: %s", cases[i].name, cases[i].text);
}

/* What settling looks at, for n servers in groups of 20: counted, not timed. */
static unsigned long long work(size_t n, int form)
{
    struct mu_inventory *inv = make();
    struct mu_buf text = MU_BUF_INIT;
    struct mu_err err = {0};
    unsigned long long out;

    mu_buf_adds(&text, form == 0 ? "[all:vars]\nsite=x\n" : "all:\n  vars: {site: x}\n  children:\n");
    for (size_t i = 0; i < n; i++) {
        if (i % 20 == 0)
            mu_buf_addf(&text, form == 0 ? "[rack%zu]\n" : "    rack%zu:\n      hosts:\n", i / 20);
        mu_buf_addf(&text, form == 0 ? "h%zu a=%zu b=x\n" : "        h%zu: {a: %zu, b: x}\n", i, i);
    }
    if (mu_inventory_parse(inv, form ? "h.yml" : "h", mu_buf_cstr(&text), text.len, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(mu_inventory_count(inv), n);
    assert_true(mu_inventory_longest_probe(inv) < 64);
    out = inv->ansible->work;
    mu_buf_free(&text);
    mu_inventory_free(inv);
    return out;
}

static void test_work_grows_with_servers(void **state)
{
    (void)state;
    for (int form = 0; form < 2; form++) {
        unsigned long long small = work(2000, form), large = work(20000, form);
        assert_true(small > 2000);
        assert_true(large <= 10 * small);
    }
}

static void test_bad_port_is_named(void **state)
{
    struct mu_err err = {0};
    struct mu_inventory *inv = make();
    const char *text = "[g]\na\ne ansible_port=many\n";

    (void)state;
    assert_int_equal(mu_inventory_parse(inv, "hosts", text, strlen(text), &err), MU_EINVAL);
    assert_string_equal(err.msg, "hosts:3: server \"e\": ansible_port: port \"many\" is not a number");
    assert_int_equal(mu_inventory_count(inv), 0);
    assert_int_equal(mu_inventory_parse(inv, "more", text, 4, &err), MU_ESTATE); /* no more of them, but it is whole */
    mu_inventory_free(inv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),       cmocka_unit_test(test_fields_of_our_own),
        cmocka_unit_test(test_errors),       cmocka_unit_test(test_passwords_are_left_out),
        cmocka_unit_test(test_bomb),         cmocka_unit_test(test_two_are_merged),
        cmocka_unit_test(test_kinds),        cmocka_unit_test(test_bad_port_is_named),
        cmocka_unit_test(test_work_grows_with_servers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
