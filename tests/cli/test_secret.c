#include "cli/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/muster-secret-XXXXXX";

static void put(const char *text, size_t len, mode_t mode)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void from_file(void **state)
{
    static const struct {
        const char *content, *secret;
    } cases[] = {{"s3cret\n", "s3cret"}, {"s3cret", "s3cret"},           {"s3cret\r\n", "s3cret"},
                 {" a b \n", " a b "},   {"two\nlines\n", "two\nlines"}, {"end\n\n", "end\n"}};
    struct secret s;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(cases[i].content, strlen(cases[i].content), 0600);
        assert_int_equal(secret_read(&s, "run", "password", path, NULL), 0);
        assert_true(s.set);
        assert_false(s.exposed);
        assert_string_equal(s.text, cases[i].secret);
    }
    put("x\n", 2, 0640);
    assert_int_equal(secret_read(&s, "run", "password", path, NULL), 0);
    assert_true(s.exposed);

    secret_wipe(&s);
    for (size_t i = 0; i < sizeof s; i++)
        assert_int_equal(((unsigned char *)&s)[i], 0);
}

static void bad_files(void **state)
{
    char big[2000];
    struct secret s;

    (void)state;
    memset(big, 'x', sizeof big);
    put("", 0, 0600);
    assert_int_equal(secret_read(&s, "run", "password", path, NULL), 2);
    put("\n", 1, 0600);
    assert_int_equal(secret_read(&s, "run", "password", path, NULL), 2);
    put("a\0b\n", 4, 0600);
    assert_int_equal(secret_read(&s, "run", "password", path, NULL), 2);
    put(big, sizeof big, 0600);
    assert_int_equal(secret_read(&s, "run", "password", path, NULL), 2);
    assert_false(s.set);
    assert_int_equal(s.text[0], 0);
    put(big, sizeof s.text - 1, 0600); /* the longest there is */
    assert_int_equal(secret_read(&s, "run", "password", path, NULL), 0);
    assert_int_equal(strlen(s.text), sizeof s.text - 1);
    assert_int_equal(secret_read(&s, "run", "password", "/nonexistent/file", NULL), 2);
    assert_int_equal(secret_read(&s, "run", "password", "/tmp", NULL), 2);
}

static void from_environment(void **state)
{
    struct secret s;
    char *value;

    (void)state;
    assert_int_equal(setenv("MUSTER_TEST_SECRET", "hush", 1), 0);
    value = getenv("MUSTER_TEST_SECRET");
    assert_int_equal(secret_read(&s, "run", "passphrase", NULL, "MUSTER_TEST_SECRET"), 0);
    assert_string_equal(s.text, "hush");
    assert_null(getenv("MUSTER_TEST_SECRET"));
    assert_int_equal(value[0], 0); /* nor left in the environment's memory */
    assert_int_equal(secret_read(&s, "run", "passphrase", NULL, "MUSTER_TEST_SECRET"), 2);
    assert_int_equal(setenv("MUSTER_TEST_SECRET", "", 1), 0);
    assert_int_equal(secret_read(&s, "run", "passphrase", NULL, "MUSTER_TEST_SECRET"), 2);
    assert_int_equal(secret_read(&s, "run", "passphrase", NULL, NULL), 0);
    assert_false(s.set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_file),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(from_environment),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
