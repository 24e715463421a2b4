#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/http.h"
#include "http/url.h"

static void good(const char *text, const char *host, int port, bool https, bool numeric)
{
    struct mu_http_url u;
    struct mu_err err;
    if (mu_http_url_parse(&u, text, &err))
        fail_msg("%s: %s", text, err.msg);
    assert_string_equal(u.host, host);
    assert_int_equal(u.port, port);
    assert_int_equal(u.https, https);
    assert_int_equal(u.numeric, numeric);
    mu_http_url_free(&u);
}

static void bad(const char *text, const char *why)
{
    struct mu_http_url u;
    struct mu_err err;
    if (!mu_http_url_parse(&u, text, &err))
        fail_msg("%s was taken", text);
    assert_int_equal(err.code, MU_EINVAL);
    if (!strstr(err.msg, why))
        fail_msg("%s: %s", text, err.msg);
    assert_null(strstr(err.msg, "hunter2"));
    mu_http_url_free(&u);
}

static void parsed(void **state)
{
    (void)state;
    good("http://example.com", "example.com", 80, false, false);
    good("https://example.com/a?b=c#d", "example.com", 443, true, false);
    good("HTTP://example.com:8080/", "example.com", 8080, false, false);
    good("http://127.0.0.1:1/", "127.0.0.1", 1, false, true);
    good("http://[::1]:65535/x", "::1", 65535, false, true);
    good("http://under_score.example/", "under_score.example", 80, false, false);

    bad("", "the URL");
    bad("example.com/x", "http://");
    bad("ftp://example.com/", "only http:// and https://");
    bad("file:///etc/passwd", "only http:// and https://");
    bad("gopher://example.com/", "only http:// and https://");
    bad("nonsense://example.com/", "only http:// and https://");
    bad("http://", "the URL");
    bad("http:///path", "the URL");
    bad("http://user@example.com/", "credentials do not belong in the URL: use auth");
    bad("http://user:hunter2@example.com/", "credentials do not belong in the URL: use auth");
    bad("http://user:hunter2 @example.com/", "%XX");
    /* No URLs at all, but what was meant may be seen. */
    bad("http:/user:hunter2@example.com/", "and a host");
    bad("http:/user:hunter2 @example.com/", "%XX");
    bad("http:///user:hunter2@example.com/", "and a host");
    bad("http://user:hunter2?@example.com/", "the URL");
    bad("http://user:hunter2#@example.com/", "the URL");
    bad("http://user:1/hunter2 @example.com/", "%XX");
    bad("http://user:a@hunter2 @example.com/", "%XX");
    bad("ftp://user:1/hunter2@example.com/", "the URL");
    bad("user:hunter2@example.com/", "the URL");
    bad("http:/example.com/x", "and a host");
    bad("HTTPS:example.com/x", "and a host");
    bad("http:\\\\example.com", "and a host");
    good("http://example.com/x?next=http:///y", "example.com", 80, false, false);
    bad("http://example.com:0/", "the URL");
    bad("http://example.com:65536/", "the URL");
    bad("http://example.com/a b", "%XX");
    bad("http://example.com/a\nb", "%XX");
    bad("http://example.com/\xc3\xa4", "%XX");
    bad("http://ex\x7f" "ample.com/", "%XX");
    bad("http://example.com./", "final dot");
    bad("http://exa%2fmple.com/", "the URL");
}

static void normal(const char *text, const char *expected)
{
    struct mu_http_url u;
    assert_int_equal(mu_http_url_parse(&u, text, NULL), 0);
    assert_string_equal(u.text, expected);
    mu_http_url_free(&u);
}

static void follow(const char *base, const char *location, const char *expected)
{
    struct mu_http_url b, u;
    struct mu_err err;
    assert_int_equal(mu_http_url_parse(&b, base, &err), 0);
    if (!expected)
        assert_int_equal(mu_http_url_follow(&u, &b, location, &err), MU_EINVAL);
    else if (mu_http_url_follow(&u, &b, location, &err))
        fail_msg("%s: %s", location, err.msg);
    else
        assert_string_equal(u.text, expected);
    mu_http_url_free(&u);
    mu_http_url_free(&b);
}

static void followed(void **state)
{
    (void)state;
    normal("http://example.com/x#y", "http://example.com/x");
    follow("http://a.example/b/c?d", "e", "http://a.example/b/e");
    follow("http://a.example/b/c?d", "/e?f", "http://a.example/e?f");
    follow("http://a.example/b/c", "//b.example/", "http://b.example/");
    follow("http://a.example/b/c", "https://b.example:1/x#y", "https://b.example:1/x");
    follow("http://a.example/b", "/with space", "http://a.example/with%20space");
    follow("http://a.example/b", "file:///etc/passwd", NULL);
    follow("http://a.example/b", "ftp://a.example/", NULL);
    follow("http://a.example/b", "http://u:p@a.example/", NULL);
    follow("http://a.example/b", "http://:0/", NULL);
}

static bool same(const char *a, const char *b)
{
    struct mu_err err;
    return mu_http_within(a, b, &err) == 0;
}

static void origins(void **state)
{
    (void)state;
    assert_true(same("http://a.example/x", "http://A.EXAMPLE:80/y?z"));
    assert_true(same("https://a.example", "https://a.example:443/"));
    assert_false(same("http://a.example", "https://a.example"));
    assert_false(same("http://a.example", "http://a.example:81"));
    assert_false(same("http://a.example", "http://b.example"));
    assert_false(same("http://a.example", "http://a.example.evil"));
    assert_false(same("http://a.example", "/x"));
    assert_false(same("http://a.example", "http://a.example@b.example/"));
}

static void shown(const char *text, const char *expected)
{
    struct mu_buf b = MU_BUF_INIT;
    mu_http_show_url(&b, text);
    assert_string_equal(mu_buf_cstr(&b), expected);
    mu_buf_free(&b);
}

static void escaped(const char *text, size_t len, const char *expected)
{
    char out[64];
    size_t n = mu_http_escape(out, text, len);
    assert_int_equal(n, strlen(expected));
    assert_memory_equal(out, expected, n);
}

static void words(void **state)
{
    (void)state;
    shown("http://a.example/x", "http://a.example/x");
    shown("http://a.example/x?token=hunter2", "http://a.example/x?…");
    shown("http://a.example/x#hunter2", "http://a.example/x");
    shown("http://user:hunter2@a.example/x", "http://…@a.example/x");
    escaped("aZ09-._~", 8, "aZ09-._~");
    escaped("a/b c?d&e=f%g", 13, "a%2Fb%20c%3Fd%26e%3Df%25g");
    escaped("\0\xff\n", 3, "%00%FF%0A");
    escaped("", 0, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parsed), cmocka_unit_test(followed), cmocka_unit_test(origins),
                                       cmocka_unit_test(words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
