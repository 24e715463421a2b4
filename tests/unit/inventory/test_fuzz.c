/* Valid inventories with random damage: whatever comes out is an error with one clean line or a sound inventory. Most
 * of its worth is under the sanitizers. The seed is fixed so that a failure comes again; MU_FUZZ_SEED tries another
 * one. */
#include "inventory_test.h"

#include <stdlib.h>

#include "core/utf8.h"

static uint64_t dice = 1;

static size_t roll(size_t below)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (size_t)(dice % below);
}

static const char *const seeds[] = {
    "# lab\nsrv01\nsrv02 address=10.0.0.2 port=2222 user=ops key=~/.ssh/id rack=r1 model=\"R 650\"\r\nbüro3 a='b' c=\n",
    "{\"servers\": [\"srv01\", {\"id\": \"srv02\", \"address\": \"::1\", \"port\": 22, \"user\": \"u\", \"key\": "
    "\"k\", "
    "\"transport\": \"local\", \"vars\": {\"a\": [1, null], \"b\": 1.5, \"c\": true, \"d\": \"\\u00e4\"}}], "
    "\"vars\": {\"a\": 1, \"z\": {}}}",
    "[\"a\", \"b\", {\"id\": \"c\"}]",
    "alpha b=c\n[web]\nw[01:03:2] a='x y' d=[1,{'k':(2,)}]\nw9:2222 ansible_user=\"{{ u }}\" u=ops # x\n[db]\nd[a:c]\n"
    "[all_of:children]\nweb\ndb\n[all_of:vars]\nx = True\nansible_group_priority=2\n",
    "---\nall:\n  vars: &v {a: 1, b: [x, 0o7, 1_0, .5]}\n  hosts:\n    srv[01:03]:\n      <<: *v\n      c: !vault |\n        $A\n"
    "  children:\n    web:\n      hosts:\n        w1: {ansible_host: 10.0.0.1, ansible_port: \"22\"}\n      children: {x: }\n",
    "srv[01-03,7],!srv02,gpu*,[a-c]x?,[srv1, srv2]",
};

static const char *const pieces[] = {"\"",    "'",
                                     "\\",    "[",
                                     "]",     "{",
                                     "}",     ",",
                                     ":",     "=",
                                     "\n",    "\r",
                                     "#",     " ",
                                     "\t",    "-",
                                     "!",     "*",
                                     "0",     "99999",
                                     "null",  "\xEF\xBB\xBF",
                                     "\xFF",  "\xC3",
                                     "é",     "\xE2\x80\xAE",
                                     "id",    "srv01",
                                     "port=", "\"vars\": ",
                                     "~",     "/",
                                     "{{",    "*v",
                                     "[x:vars]\n", "<<: "};

static void mutate(struct mu_buf *b)
{
    struct mu_buf out = MU_BUF_INIT;
    size_t at = roll(b->len + 1), n = roll(8), k;
    const char *piece = pieces[roll(sizeof pieces / sizeof *pieces)];

    if (n > b->len - at)
        n = b->len - at;
    mu_buf_add(&out, b->data, at);
    switch (roll(5)) {
    case 0: /* insert */
        mu_buf_adds(&out, piece);
        n = 0;
        break;
    case 1: /* replace */
        mu_buf_adds(&out, piece);
        break;
    case 2: /* delete */
        break;
    case 3: /* double */
        mu_buf_add(&out, b->data + at, n);
        n = 0;
        break;
    default: /* any byte, NUL included */
        mu_buf_addc(&out, (char)roll(256));
        n = n ? 1 : 0;
        break;
    }
    k = at + n;
    mu_buf_add(&out, b->data + k, b->len - k);
    mu_buf_free(b);
    *b = out;
    assert_int_equal(mu_buf_reserve(b, 1), 0);
}

static void check_sound(const struct mu_inventory *inv)
{
    for (size_t i = 0; i < mu_inventory_count(inv); i++) {
        const struct mu_server *s = mu_inventory_at(inv, i);

        assert_int_equal(mu_server_check_id(s->id, strlen(s->id), NULL), 0);
        assert_ptr_equal(mu_inventory_find(inv, s->id), s);
        assert_int_equal(s->index, i);
        assert_true(s->address[0] && s->port >= 0 && s->port <= 65535);
        for (size_t v = 0; v < s->n_vars; v++) {
            assert_true(v == 0 || strcmp(s->vars[v - 1].name, s->vars[v].name) < 0);
            assert_int_equal(s->vars[v].str != NULL, s->vars[v].type == MU_VAR_STR || s->vars[v].type == MU_VAR_JSON);
        }
    }
}

static void check_message(const struct mu_err *err, int rc)
{
    uint32_t cp;
    size_t n;

    assert_int_equal(err->code, rc);
    assert_one_line(err->msg);
    for (const char *p = err->msg; *p; p += n) {
        n = mu_utf8_decode(p, strlen(p), &cp);
        if (!n)
            fail_msg("not UTF-8: %s", err->msg);
        assert_true(cp != 0x202E && !(cp >= 0x80 && cp < 0xA0));
    }
}

static void test_damaged(void **state)
{
    enum { ROUNDS = 20000 };
    const char *seed = getenv("MU_FUZZ_SEED");
    size_t accepted = 0, refused = 0;

    (void)state;
    dice = seed ? strtoull(seed, NULL, 10) * 2 + 1 : 88172645463325252ULL;
    for (int round = 0; round < ROUNDS; round++) {
        struct mu_inventory *inv = parsed("before", "srv02\ngpu1\nax1\n");
        const char *start = seeds[roll(sizeof seeds / sizeof *seeds)];
        struct mu_buf b = MU_BUF_INIT;
        struct mu_err err = {0};
        bool selected[256];
        char *exact;
        int rc;

        mu_buf_adds(&b, start);
        for (size_t times = 1 + roll(4); times-- > 0;)
            mutate(&b);
        /* A copy without a NUL behind it, so that reading past the end is seen. */
        exact = malloc(b.len ? b.len : 1);
        assert_non_null(exact);
        memcpy(exact, mu_buf_cstr(&b), b.len);
        rc = mu_inventory_parse(inv, "f", exact, b.len, &err);
        free(exact);
        if (rc < 0) {
            check_message(&err, rc);
            assert_int_equal(mu_inventory_count(inv), 3);
            refused++;
        } else {
            accepted++;
        }
        check_sound(inv);
        assert_true(mu_inventory_count(inv) <= sizeof selected);
        rc = mu_pattern_select(inv, mu_buf_cstr(&b), selected, &err);
        if (rc < 0)
            check_message(&err, rc);
        mu_buf_free(&b);
        mu_inventory_free(inv);
    }
    assert_true(accepted > ROUNDS / 100); /* the damage is not so great that only the first check is tried */
    assert_true(refused > ROUNDS / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_damaged)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
