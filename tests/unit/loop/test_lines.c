#include "support.h"

#include "loop/lines.h"

struct sink {
    struct mu_buf text; /* each line as <line> */
    int lines;
    struct mu_lines *free_at; /* freed from inside the callback … */
    int free_after;           /* … for this line */
    enum mu_exec_stream stream;
};

static void on_line(void *arg, enum mu_exec_stream stream, const char *line, size_t len)
{
    struct sink *s = arg;

    s->stream = stream;
    if (s->free_at && s->lines + 1 == s->free_after) {
        mu_lines_free(s->free_at);
        free(s->free_at);
    }
    s->lines++;
    mu_buf_addc(&s->text, '<');
    mu_buf_add(&s->text, line, len); /* still there after the free above */
    mu_buf_addc(&s->text, '>');
}

static void check(const char *bytes, size_t n, size_t piece, const char *expected)
{
    struct sink s = {0};
    struct mu_lines l;

    mu_lines_init(&l, MU_EXEC_STDERR, 100, on_line, &s);
    for (size_t at = 0; at < n; at += piece)
        assert_int_equal(mu_lines_feed(&l, bytes + at, n - at < piece ? n - at : piece), 0);
    assert_int_equal(mu_lines_finish(&l), 0);
    assert_int_equal(mu_lines_finish(&l), 0);
    assert_string_equal(mu_buf_cstr(&s.text), expected);
    assert_true(n == 0 || s.stream == MU_EXEC_STDERR);
    mu_lines_free(&l);
    mu_lines_free(&l);
    mu_buf_free(&s.text);
}

static void test_any_cut(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},          {"one\n", "<one>"},           {"one\ntwo", "<one><two>"}, {"\n\n\n", "<><><>"},
        {"a\r\n", "<a\r>"}, {"long line here\n\nx\ny", "<long line here><><x><y>"}, {"x", "<x>"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        for (size_t piece = 1; piece <= 20; piece++)
            check(cases[i].in, strlen(cases[i].in), piece, cases[i].out);
}

static void test_binary(void **state)
{
    struct sink s = {0};
    struct mu_lines l;

    (void)state;
    mu_lines_init(&l, MU_EXEC_STDOUT, 100, on_line, &s);
    assert_int_equal(mu_lines_feed(&l, "a\0b\n\xff\0", 6), 0);
    assert_int_equal(mu_lines_finish(&l), 0);
    assert_int_equal(s.text.len, 9);
    assert_memory_equal(s.text.data, "<a\0b><\xff\0>", 9);
    mu_lines_free(&l);
    mu_buf_free(&s.text);
}

static void test_limit(void **state)
{
    struct sink s = {0};
    struct mu_lines l;

    (void)state;
    for (int piecewise = 0; piecewise < 2; piecewise++) {
        mu_lines_init(&l, MU_EXEC_STDOUT, 3, on_line, &s);
        assert_int_equal(mu_lines_feed(&l, "abc\nab", 6), 0); /* three are allowed, their newline is not counted */
        assert_int_equal(mu_lines_feed(&l, "c\n", 2), 0);
        if (piecewise)
            assert_int_equal(mu_lines_feed(&l, "abc", 3), 0);
        assert_int_equal(mu_lines_feed(&l, piecewise ? "d\n" : "x\nabcd\n", piecewise ? 2 : 7), MU_ELIMIT);
        assert_string_equal(mu_buf_cstr(&s.text), piecewise ? "<abc><abc>" : "<abc><abc><x>");
        assert_int_equal(l.rest.len, 0);
        mu_lines_free(&l);
        mu_buf_clear(&s.text);
    }
    mu_buf_free(&s.text);
}

static void test_free_inside(void **state)
{
    (void)state;
    /* line 1 comes in one piece, line 2 in two: both ways of handing over */
    for (int at = 1; at <= 3; at++) {
        struct mu_lines *l = calloc(1, sizeof(*l));
        struct sink s = {.free_at = l, .free_after = at};
        int code;

        mu_lines_init(l, MU_EXEC_STDOUT, 100, on_line, &s);
        code = mu_lines_feed(l, "one\ntw", 6);
        if (code == 0)
            code = mu_lines_feed(l, "o\nthr", 5);
        if (code == 0)
            code = mu_lines_finish(l);
        assert_int_equal(code, MU_ECLOSED);
        assert_string_equal(mu_buf_cstr(&s.text), at == 1 ? "<one>" : at == 2 ? "<one><two>" : "<one><two><thr>");
        mu_buf_free(&s.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_cut),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_free_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
