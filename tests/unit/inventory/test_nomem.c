/* Every allocation of a load and of a selection fails once: each time the call says so, nothing leaks, and the
 * inventory is as before. The C library's allocator is replaced by one that counts; sanitizers bring their own, so it
 * is not built with them. */
#include "inventory_test.h"

#include <stdlib.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void __libc_free(void *p);

#define EXPORT __attribute__((visibility("default"))) /* the libraries use it too */

static size_t fail_at; /* the allocation that fails, counted from 1; 0: none */
static size_t n_allocations;
static long n_live;

static bool fails(void)
{
    return ++n_allocations == fail_at;
}

EXPORT void *malloc(size_t n)
{
    void *p = fails() ? NULL : __libc_malloc(n);

    n_live += p != NULL;
    return p;
}

EXPORT void *calloc(size_t n, size_t size)
{
    void *p = fails() ? NULL : __libc_calloc(n, size);

    n_live += p != NULL;
    return p;
}

EXPORT void *realloc(void *old, size_t n)
{
    void *p = fails() ? NULL : __libc_realloc(old, n);

    n_live += p && !old;
    return p;
}

EXPORT void free(void *p)
{
    n_live -= p != NULL;
    __libc_free(p);
}

static const char *const texts[] = {
    "srv01 address=10.0.0.1 port=22 user=ops key=~/id rack=r1 b=2 a=1\nsrv02\nsrv03 transport=local\n",
    "{\"servers\": [\"srv01\", {\"id\": \"srv02\", \"address\": \"h\", \"user\": \"u\", \"key\": \"k\", \"vars\": "
    "{\"a\": [1], \"b\": \"x\", \"c\": 2}}, \"srv03\"], \"vars\": {\"a\": null, \"site\": \"fra\"}}",
};

static void test_out_of_memory(void **state)
{
    bool selected[16];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        bool reached = true; /* some are for a message that is not needed after all, so rc does not tell */
        size_t n;

        for (n = 1; reached; n++) {
            struct mu_inventory *inv = parsed("before", "kept\n");
            struct mu_err err = {0};
            long before = n_live;
            int rc;

            n_allocations = 0;
            fail_at = n;
            rc = mu_inventory_parse(inv, "fleet", texts[i], strlen(texts[i]), &err);
            fail_at = 0;
            reached = n_allocations >= n;
            if (rc != 0) {
                /* jansson takes some of its own failures for a syntax error */
                if (!(rc == MU_ENOMEM && strstr(err.msg, "out of memory")) && !strstr(err.msg, "not valid JSON"))
                    fail_msg("allocation %zu: %s", n, err.msg);
                assert_int_equal(mu_inventory_count(inv), 1);
                assert_non_null(mu_inventory_find(inv, "kept"));
                assert_true(n_live - before <= 2); /* the arrays of the inventory may have grown */
            } else {
                assert_int_equal(mu_inventory_count(inv), 4);
            }
            mu_inventory_free(inv);
        }
        assert_true(n > 20);
    }
    for (size_t n = 1, done = 0; !done; n++) {
        struct mu_inventory *inv = parsed("f", texts[0]);
        long before;
        int rc;

        assert_int_equal(mu_inventory_groups_ready(inv, NULL), 0); /* it stays */
        before = n_live;

        n_allocations = 0;
        fail_at = n;
        rc = mu_pattern_select(inv, "[srv01, srv[02-03], !srv03, srv[01-03]^srv0*[0], ~srv]", selected, NULL);
        fail_at = 0;
        done = n_allocations < n;
        assert_int_equal(n_live, before);
        assert_true(rc == 0 || rc == MU_ENOMEM);
        mu_inventory_free(inv);
    }
}

/* What the whole of it leaves behind. */
static void test_nothing_leaks(void **state)
{
    long before = n_live;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct mu_inventory *inv = parsed("f", texts[i]);
        struct mu_server *s = mu_inventory_find(inv, "srv02");

        assert_int_equal(mu_server_set(s, "site", "x", NULL), 0);
        assert_int_equal(mu_server_set(s, "site", "y", NULL), 0);
        assert_int_equal(mu_server_set(s, "user", "y", NULL), 0);
        mu_inventory_free(inv);
    }
    assert_int_equal(n_live, before);
}

/* Ansible's: what failed is no inventory any more, but it says so, and gives everything back. */
static void test_ansible_out_of_memory(void **state)
{
    static const char *const ansible[][2] = {
        {"h", "a\n[g]\nw[1:3] ansible_host='{{ x }}' x=1 y='[1, (2,), {\"a\": \"b\"}]'\n[t:children]\ng\n[g:vars]\nz=1.5\n"},
        {"h.yml", "all:\n  vars: &v {a: 1, b: [x, .5]}\n  hosts:\n    s[1:2]: {<<: *v, c: !vault x}\n  children: {g: {hosts: q}}\n"},
        {"h.json", "{\"all\": {\"hosts\": {\"a\": {\"b\": [1, null]}}, \"children\": {\"g\": {\"hosts\": {\"a\": {}}}}}}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ansible / sizeof *ansible; i++) {
        bool reached = true;

        for (size_t n = 1; reached; n++) {
            long before = n_live;
            struct mu_inventory *inv = make();
            struct mu_err err = {0};
            int rc;

            n_allocations = 0;
            fail_at = n;
            rc = mu_inventory_parse(inv, ansible[i][0], ansible[i][1], strlen(ansible[i][1]), &err);
            fail_at = 0;
            reached = n_allocations >= n;
            if (rc != 0)
                assert_int_equal(mu_inventory_count(inv), 0);
            else
                assert_true(mu_inventory_count(inv) > 0);
            mu_inventory_free(inv);
            assert_int_equal(n_live, before);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_ansible_out_of_memory),
        cmocka_unit_test(test_nothing_leaks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
