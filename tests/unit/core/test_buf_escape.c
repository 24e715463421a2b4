#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/utf8.h"
#include "tests/unit/core/json_check.h"
#include "tests/unit/core/unit.h"

#define ROUNDS 20000

typedef void add_fn(struct mu_buf *b, const char *s, size_t n);

#define CHECK(fn, in, want) check(fn, in, sizeof(in) - 1, want)
static void check(add_fn *fn, const char *in, size_t n, const char *want)
{
    struct mu_buf b = MU_BUF_INIT;

    mu_buf_adds(&b, "<");
    fn(&b, in, n);
    assert_false(b.failed);
    assert_string_equal(mu_buf_cstr(&b) + 1, want);
    mu_buf_free(&b);
}

static void escaped_forms(void **state)
{
    (void)state;
    CHECK(mu_buf_add_escaped, "", "");
    CHECK(mu_buf_add_escaped, "plain text, 100% \"quoted\"", "plain text, 100% \"quoted\"");
    CHECK(mu_buf_add_escaped, "a\nb\tc\rd\\e", "a\\nb\\tc\\rd\\\\e");
    CHECK(mu_buf_add_escaped, "\033[31mred\a\0end\x7f", "\\x1b[31mred\\x07\\x00end\\x7f");
    CHECK(mu_buf_add_escaped, "gr\xc3\xbc\xc3\x9f \xf0\x9f\x9a\x80", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x9a\x80");
    CHECK(mu_buf_add_escaped, "\xc2\x85|\xc2\x9b", "\\xc2\\x85|\\xc2\\x9b"); /* C1: next line, CSI */
    CHECK(mu_buf_add_escaped, "\xc2\xa0", "\xc2\xa0");
    CHECK(mu_buf_add_escaped,
          "\x9b"
          "0m",
          "\\x9b0m");
    CHECK(mu_buf_add_escaped,
          "\xe2\x80\xae"
          "txt.exe",
          "\\u{202e}txt.exe");
    CHECK(mu_buf_add_escaped, "\xe2\x80\xa8\xe2\x80\xa9\xe2\x81\xa6\xe2\x81\xa9",
          "\\u{2028}\\u{2029}\\u{2066}\\u{2069}");
    CHECK(mu_buf_add_escaped, "\xe2\x80\xa7\xe2\x80\xaf",
          "\xe2\x80\xa7\xe2\x80\xaf");                                     /* their neighbours are harmless */
    CHECK(mu_buf_add_escaped, "\xc0\xaf", "\\xc0\\xaf");                   /* overlong */
    CHECK(mu_buf_add_escaped, "\xed\xa0\x80", "\\xed\\xa0\\x80");          /* surrogate */
    CHECK(mu_buf_add_escaped, "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* past U+10FFFF */
    CHECK(mu_buf_add_escaped, "\xe2\x82", "\\xe2\\x82");                   /* cut at the end */
    CHECK(mu_buf_add_escaped, "\xe2\x82x", "\\xe2\\x82x");
    CHECK(mu_buf_add_escaped_lines, "a\nb\r\n\033", "a\nb\\r\n\\x1b");
    CHECK(mu_buf_add_quoted, "say \"hi\"\\ \n", "\"say \\\"hi\\\"\\\\ \\n\"");
    CHECK(mu_buf_add_quoted, "", "\"\"");
}

static void json_forms(void **state)
{
    (void)state;
    CHECK(mu_buf_add_json, "", "\"\"");
    CHECK(mu_buf_add_json, "a\"b\\c\nd\te\rf", "\"a\\\"b\\\\c\\nd\\te\\rf\"");
    CHECK(mu_buf_add_json, "\0\033\x7f", "\"\\u0000\\u001b\\u007f\"");
    CHECK(mu_buf_add_json, "\xc2\x9b\xe2\x80\xae\xe2\x80\xa8", "\"\\u009b\\u202e\\u2028\"");
    CHECK(mu_buf_add_json, "x\xff\xc0\xafy", "\"x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdy\"");
    CHECK(mu_buf_add_json, "\xc3\xbc\xf0\x9f\x9a\x80", "\"\xc3\xbc\xf0\x9f\x9a\x80\"");
}

static void xml_forms(void **state)
{
    (void)state;
    CHECK(mu_buf_add_xml, "a < b && c > \"d\" 'e'", "a &lt; b &amp;&amp; c &gt; &quot;d&quot; &apos;e&apos;");
    CHECK(mu_buf_add_xml, "a\nb\tc\rd", "a&#10;b&#9;c&#13;d");
    CHECK(mu_buf_add_xml, "\0\033[0m\xff", "\\x00\\x1b[0m\\xff");
    CHECK(mu_buf_add_xml, "\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xbd", "\\xef\\xbf\\xbe\\xef\\xbf\\xbf\xef\xbf\xbd");
    CHECK(mu_buf_add_xml, "]]>\xe2\x80\xae\xc2\x85", "]]&gt;\\u{202e}\\xc2\\x85");
    CHECK(mu_buf_add_xml, "C:\\dir", "C:\\dir");
}

/* Nothing but printable characters of valid UTF-8, and newlines only where they were asked for. */
static void assert_printable(const struct mu_buf *b, bool newlines)
{
    for (size_t i = 0, len; i < b->len; i += len) {
        uint32_t cp = 0;
        len = mu_utf8_decode(b->data + i, b->len - i, &cp);
        assert_true(len > 0);
        assert_true((cp >= 0x20 && cp < 0x7f) || cp > 0x9f || (newlines && cp == '\n'));
        assert_false(cp >= 0x2028 && cp <= 0x202e);
        assert_false(cp >= 0x2066 && cp <= 0x2069);
    }
    assert_int_equal(b->data[b->len], '\0');
}

/* The inverse of mu_buf_add_escaped: that it exists is what "unambiguous" means. */
static size_t unescape(const char *p, char *out)
{
    size_t n = 0;

    while (*p) {
        if (*p != '\\') {
            out[n++] = *p++;
            continue;
        }
        p++;
        if (*p == 'x') {
            char hex[3] = {p[1], p[2], 0};
            out[n++] = (char)strtoul(hex, NULL, 16);
            p += 3;
        } else if (*p == 'u') {
            unsigned long cp = strtoul(p + 2, NULL, 16);
            out[n++] = (char)(0xe0 | cp >> 12);
            out[n++] = (char)(0x80 | (cp >> 6 & 0x3f));
            out[n++] = (char)(0x80 | (cp & 0x3f));
            p = strchr(p, '}') + 1;
        } else {
            out[n++] = *p == 'n' ? '\n' : *p == 't' ? '\t' : *p == 'r' ? '\r' : *p;
            p++;
        }
    }
    return n;
}

static void random_bytes_become_printable_and_come_back(void **state)
{
    uint64_t rng = 1;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        char in[64], back[sizeof in];
        size_t n = next_random(&rng) % sizeof in;
        struct mu_buf b = MU_BUF_INIT;

        random_bytes(&rng, in, n);
        mu_buf_reserve(&b, 0);
        mu_buf_add_escaped(&b, in, n);
        assert_printable(&b, false);
        assert_int_equal(unescape(b.data, back), n);
        assert_memory_equal(back, in, n);

        mu_buf_clear(&b);
        mu_buf_add_escaped_lines(&b, in, n);
        assert_printable(&b, true);
        assert_int_equal(unescape(b.data, back), n);
        assert_memory_equal(back, in, n);

        mu_buf_clear(&b);
        mu_buf_add_quoted(&b, in, n);
        assert_printable(&b, false);
        for (size_t i = 1; i + 1 < b.len; i++) { /* no quote ends it early */
            if (b.data[i] == '\\')
                i++;
            else
                assert_int_not_equal(b.data[i], '"');
        }
        mu_buf_free(&b);
    }
}

static void random_bytes_become_json(void **state)
{
    uint64_t rng = 2;

    (void)state;
    assert_true(json_is_valid("{\"a\":-1.5e+3,\"b\":\"\\u00e9\"}", 26));
    assert_false(json_is_valid("\"a\nb\"", 5));
    assert_false(json_is_valid("\"\xff\"", 3));
    assert_false(json_is_valid("{\"a\":nan}", 9));
    assert_false(json_is_valid("\"\\x1b\"", 6));
    for (int round = 0; round < ROUNDS; round++) {
        char in[64];
        size_t n = next_random(&rng) % sizeof in;
        struct mu_buf b = MU_BUF_INIT;

        random_bytes(&rng, in, n);
        mu_buf_add_json(&b, in, n);
        assert_printable(&b, false);
        assert_true(json_is_valid(b.data, b.len));
        mu_buf_free(&b);
    }
}

static void random_bytes_become_xml(void **state)
{
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;", "&#10;", "&#13;", "&#9;"};
    uint64_t rng = 3;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        char in[64];
        size_t n = next_random(&rng) % sizeof in;
        struct mu_buf b = MU_BUF_INIT;

        random_bytes(&rng, in, n);
        mu_buf_reserve(&b, 0);
        mu_buf_add_xml(&b, in, n);
        assert_printable(&b, false);
        assert_null(strpbrk(b.data, "<>\"'"));
        assert_null(strstr(b.data, "\xef\xbf\xbe"));
        assert_null(strstr(b.data, "\xef\xbf\xbf"));
        for (const char *p = b.data; (p = strchr(p, '&')); p++) {
            bool known = false;
            for (size_t i = 0; i < COUNT(entities); i++)
                known = known || strncmp(p, entities[i], strlen(entities[i])) == 0;
            assert_true(known);
        }
        mu_buf_free(&b);
    }
}

/* All of Unicode and what lies just past it, whole and cut short, as UTF-8's bit patterns say. */
static void decodes_exactly_utf8(void **state)
{
    uint32_t got;

    (void)state;
    for (uint32_t cp = 0; cp < 0x110100; cp++) {
        char s[4];
        size_t len = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
        static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
        for (size_t i = len - 1, rest = cp;; i--, rest >>= 6) {
            s[i] = (char)(i == 0 ? lead[len] | rest : 0x80 | (rest & 0x3f));
            if (i == 0)
                break;
        }
        bool valid = cp < 0x110000 && (cp < 0xd800 || cp > 0xdfff);
        assert_int_equal(mu_utf8_decode(s, sizeof s, &got), valid ? len : 0);
        if (valid)
            assert_int_equal(got, cp);
        if (len > 1)
            assert_int_equal(mu_utf8_decode(s, len - 1, &got), 0);
    }
    assert_int_equal(mu_utf8_decode("x", 0, &got), 0);
    for (int c = 0x80; c < 0x100; c++) {
        char s[4] = {(char)c, 'a', 'b', 'c'};
        assert_int_equal(mu_utf8_decode(s, 4, &got), 0);
    }
    assert_int_equal(mu_utf8_decode("\xe0\x9f\xbf", 3, &got), 0); /* overlong in three and four bytes */
    assert_int_equal(mu_utf8_decode("\xf0\x8f\xbf\xbf", 4, &got), 0);
}

static void cuts_only_unfinished_characters(void **state)
{
    (void)state;
    assert_int_equal(mu_utf8_cut("", 0), 0);
    assert_int_equal(mu_utf8_cut("abc", 3), 3);
    assert_int_equal(mu_utf8_cut("ab\xc3\xbc", 4), 4);
    assert_int_equal(mu_utf8_cut("ab\xc3", 3), 2);
    assert_int_equal(mu_utf8_cut("\xf0\x9f\x9a\x80", 4), 4);
    for (size_t n = 1; n < 4; n++)
        assert_int_equal(mu_utf8_cut("\xf0\x9f\x9a\x80", n), 0);
    assert_int_equal(mu_utf8_cut("\x80\x80\x80\x80\x80", 5), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escaped_forms),
        cmocka_unit_test(json_forms),
        cmocka_unit_test(xml_forms),
        cmocka_unit_test(random_bytes_become_printable_and_come_back),
        cmocka_unit_test(random_bytes_become_json),
        cmocka_unit_test(random_bytes_become_xml),
        cmocka_unit_test(decodes_exactly_utf8),
        cmocka_unit_test(cuts_only_unfinished_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
