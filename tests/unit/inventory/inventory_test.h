/* inventory_test.h: what the inventory's tests share.
 *
 * Purpose: an inventory per test, parsing from a string, and checks of messages.
 * Owner: the test frees what it makes. Thread: one. Must not know: anything but the inventory.
 */
#ifndef INVENTORY_TEST_H
#define INVENTORY_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "inventory/internal.h"

static inline struct mu_inventory *make(void)
{
    struct mu_inventory *inv = NULL;

    assert_int_equal(mu_inventory_new(&inv), 0);
    return inv;
}

/* Parse text that must be right. */
static inline struct mu_inventory *parsed(const char *name, const char *text)
{
    struct mu_inventory *inv = make();
    struct mu_err err = {0};

    if (mu_inventory_parse(inv, name, text, strlen(text), &err) != 0)
        fail_msg("%s: %s", text, err.msg);
    return inv;
}

static inline const struct mu_server *server(const struct mu_inventory *inv, const char *id)
{
    const struct mu_server *srv = mu_inventory_find(inv, id);

    assert_non_null(srv);
    return srv;
}

static inline void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\"\n  is not in \"%s\"", part, text);
}

static inline void assert_one_line(const char *text)
{
    assert_int_not_equal(*text, 0);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        assert_true(*p >= 0x20 && *p != 0x7F);
}

struct bad_case {
    const char *text;
    size_t len;       /* 0: strlen(text) */
    const char *part; /* of the message */
    int code;         /* 0: MU_EINVAL */
};

/* Each text is an error with that message, and what was there before is still all there is. */
static inline void check_bad(const char *name, const struct bad_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct mu_inventory *inv = parsed("before", "kept-1\nkept-2 rack=r1\n");
        size_t len = cases[i].len ? cases[i].len : strlen(cases[i].text);
        struct mu_err err = {0};
        int rc = mu_inventory_parse(inv, name, cases[i].text, len, &err);

        if (rc == 0)
            fail_msg("no error for: %s", cases[i].text);
        assert_has(err.msg, cases[i].part);
        assert_one_line(err.msg);
        assert_int_equal(rc, cases[i].code ? cases[i].code : MU_EINVAL);
        assert_int_equal(err.code, rc);
        assert_int_equal(mu_inventory_count(inv), 2);
        assert_non_null(mu_inventory_find(inv, "kept-1"));
        assert_string_equal(mu_server_var(server(inv, "kept-2"), "rack")->str, "r1");
        assert_null(mu_inventory_find(inv, "srv01"));
        mu_inventory_free(inv);
    }
}

#endif
