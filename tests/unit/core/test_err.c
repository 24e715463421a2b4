#include "core/err.h"

#include <errno.h>
#include <string.h>

#include "core/utf8.h"
#include "tests/unit/core/unit.h"

static void set_fills_everything(void **state)
{
    struct mu_err err;

    (void)state;
    memset(&err, 0x5a, sizeof err);
    assert_int_equal(mu_err_set(&err, MU_EAUTH, "%s: %d methods refused", "srv1", 3), MU_EAUTH);
    assert_int_equal(err.code, MU_EAUTH);
    assert_int_equal(err.sys, 0);
    assert_string_equal(err.msg, "srv1: 3 methods refused");
    assert_string_equal(err.cause, "srv1: 3 methods refused");
    assert_int_equal(mu_err_cause(&err, "authentication %s", "failed"), MU_EAUTH);
    assert_string_equal(err.cause, "authentication failed");
    assert_string_equal(err.msg, "srv1: 3 methods refused");
}

static void nobody_needs_an_err(void **state)
{
    (void)state;
    assert_int_equal(mu_err_set(NULL, MU_EIO, "x"), MU_EIO);
    assert_int_equal(mu_err_sys(NULL, MU_EIO, EPERM, "x"), MU_EIO);
    assert_int_equal(mu_err_cause(NULL, "x"), MU_EINVAL);
    mu_err_prefix(NULL, "x");
    mu_err_clear(NULL);
}

static void sys_appends_the_reason(void **state)
{
    struct mu_err err = {0};
    char path[2000];

    (void)state;
    assert_int_equal(mu_err_sys(&err, MU_EIO, ENOENT, "cannot read %s", "fleet.json"), MU_EIO);
    assert_int_equal(err.sys, ENOENT);
    assert_string_equal(err.msg, "cannot read fleet.json: No such file or directory");
    assert_string_equal(err.cause, "cannot read fleet.json: No such file or directory");

    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    mu_err_sys(&err, MU_EIO, EACCES, "cannot read %s", path);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_string_equal(err.msg + strlen(err.msg) - strlen("ppp: Permission denied"), "ppp: Permission denied");
    mu_err_sys(&err, MU_EIO, 99999, "odd");
    assert_non_null(strstr(err.msg, "odd: Unknown error 99999"));
}

static void prefix_keeps_the_cause(void **state)
{
    struct mu_err err = {0};
    char longer[600];

    (void)state;
    mu_err_set(&err, MU_EREFUSED, "connection refused");
    mu_err_prefix(&err, "connect to %s port %d", "srv1", 22);
    mu_err_prefix(&err, "step cpu");
    assert_string_equal(err.msg, "step cpu: connect to srv1 port 22: connection refused");
    assert_string_equal(err.cause, "connection refused");

    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    mu_err_prefix(&err, "%s", longer);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
}

static void the_message_may_be_its_own_argument(void **state)
{
    struct mu_err err = {0};

    (void)state;
    mu_err_set(&err, MU_EIO, "inner");
    mu_err_set(&err, MU_EINVAL, "outer: %s", err.msg);
    assert_string_equal(err.msg, "outer: inner");
    mu_err_prefix(&err, "%s", err.msg);
    assert_string_equal(err.msg, "outer: inner: outer: inner");
    mu_err_cause(&err, "why %s", err.cause);
    assert_string_equal(err.cause, "why outer: inner");
}

/* Every offset of a four-byte character against the end of both fields: none may be cut in two. */
static void cuts_between_characters(void **state)
{
    struct mu_err err = {0};

    (void)state;
    for (int shift = 0; shift < 4; shift++) {
        char text[1200] = "";
        size_t n = 0;
        while ((int)n < shift)
            text[n++] = '-';
        while (n + 4 < sizeof text) {
            memcpy(text + n, "\xf0\x9f\x9a\x80", 4);
            n += 4;
        }
        text[n] = '\0';
        mu_err_set(&err, MU_EIO, "%s", text);
        for (const char *field = err.msg;; field = err.cause) {
            const char *p = field;
            size_t len = strlen(p), one;
            uint32_t cp;
            assert_true(len > (field == err.msg ? sizeof err.msg : sizeof err.cause) - 5);
            for (; *p; p += one) {
                one = mu_utf8_decode(p, len, &cp);
                assert_true(one > 0);
                len -= one;
            }
            if (field == err.cause)
                break;
        }
    }
}

static void clear_and_names(void **state)
{
    struct mu_err err, zero;

    (void)state;
    memset(&zero, 0, sizeof zero);
    mu_err_set(&err, MU_EKEX, "x");
    mu_err_clear(&err);
    assert_memory_equal(&err, &zero, sizeof err);
    assert_string_equal(mu_code_name(MU_OK), "MU_OK");
    assert_string_equal(mu_code_name(MU_EHOSTKEYREVOKED), "MU_EHOSTKEYREVOKED");
    assert_string_equal(mu_code_name(MU_ELOST), "MU_ELOST");
    assert_string_equal(mu_code_name(-12), "MU_E?");
    assert_string_equal(mu_code_name(7), "MU_E?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_everything),
        cmocka_unit_test(nobody_needs_an_err),
        cmocka_unit_test(sys_appends_the_reason),
        cmocka_unit_test(prefix_keeps_the_cause),
        cmocka_unit_test(the_message_may_be_its_own_argument),
        cmocka_unit_test(cuts_between_characters),
        cmocka_unit_test(clear_and_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
