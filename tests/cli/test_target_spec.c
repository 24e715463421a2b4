#include "cli/targets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void good(void **state)
{
    static const struct {
        const char *text, *user, *host, *id;
        unsigned port;
    } cases[] = {
        {"web1", "", "web1", "web1", 0},
        {"web1.example.com", "", "web1.example.com", "web1.example.com", 0},
        {"web1:2222", "", "web1", "web1-2222", 2222},
        {"ops@web1", "ops", "web1", "web1", 0},
        {"ops@10.0.0.5:22", "ops", "10.0.0.5", "10.0.0.5-22", 22},
        {"ops@example.com@web1", "ops@example.com", "web1", "web1", 0},
        {"2001:db8::1", "", "2001:db8::1", "2001-db8--1", 0},
        {"[2001:db8::1]", "", "2001:db8::1", "2001-db8--1", 0},
        {"ops@[2001:db8::1]:65535", "ops", "2001:db8::1", "2001-db8--1-65535", 65535},
        {"fe80::1%eth0", "", "fe80::1%eth0", "fe80--1%eth0", 0},
        {"::1", "", "::1", "0--1", 0},
        {"[::1]:2222", "", "::1", "0--1-2222", 2222},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct target_spec s;
        char why[128];
        if (target_spec_parse(cases[i].text, &s, why, sizeof why) != 0)
            fail_msg("'%s': %s", cases[i].text, why);
        assert_string_equal(s.user, cases[i].user);
        assert_string_equal(s.host, cases[i].host);
        assert_string_equal(s.id, cases[i].id);
        assert_int_equal(s.port, cases[i].port);
    }
}

static void bad(void **state)
{
    char long_host[400], long_user[400];
    const char *const cases[] = {"@web1", "ops@",    ":22",   "web1:",  "web1:0", "web1:65536", "web1:ssh",
                                 "[::1",  "[::1]22", "[]:22", "ops@[]", "[::1]:", long_host,    long_user};

    (void)state;
    memset(long_host, 'h', sizeof long_host);
    long_host[sizeof long_host - 1] = '\0';
    memset(long_user, 'u', sizeof long_user);
    strcpy(long_user + 300, "@web1");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct target_spec s;
        char why[128] = "";
        if (target_spec_parse(cases[i], &s, why, sizeof why) != -1)
            fail_msg("'%s' was taken: host '%s'", cases[i], s.host);
        assert_true(why[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
