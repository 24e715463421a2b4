#include "core/log_sink.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/utf8.h"
#include "tests/unit/core/json_check.h"
#include "tests/unit/core/unit.h"

#define WHEN INT64_C(1700060320123)
#define STR(k, s)                                                                                                      \
    {                                                                                                                  \
        .key = (k), .type = MU_FIELD_STR, .v.str = (s)                                                                 \
    }

static int setup(void **state)
{
    (void)state;
    setenv("TZ", "UTC0", 1);
    tzset();
    return 0;
}

static void check(enum mu_log_format format, bool color, enum mu_level level, const char *msg,
                  const struct mu_field *fields, size_t n, const char *want)
{
    struct mu_record r = {level, WHEN, msg, strlen(msg), fields, n};
    struct mu_buf b = MU_BUF_INIT;

    mu_log_format_record(&b, format, color, &r);
    assert_string_equal(mu_buf_cstr(&b), want);
    mu_buf_free(&b);
}

static void formats_have_names(void **state)
{
    enum mu_log_format f;

    (void)state;
    assert_int_equal(mu_log_format_parse("console", &f), 0);
    assert_int_equal(f, MU_LOG_CONSOLE);
    assert_int_equal(mu_log_format_parse("json", &f), 0);
    assert_int_equal(f, MU_LOG_JSON);
    assert_int_equal(mu_log_format_parse("logfmt", &f), 0);
    assert_int_equal(f, MU_LOG_LOGFMT);
    assert_int_equal(mu_log_format_parse("xml", &f), MU_EINVAL);
    assert_int_equal(mu_log_format_parse(NULL, &f), MU_EINVAL);
    assert_int_equal(f, MU_LOG_LOGFMT);
}

/* The two lines of the design, to the letter. */
static void console_lines(void **state)
{
    const struct mu_field ok[] = {STR("server_id", "5614"), STR("step", "gpu")};
    const struct mu_field bad[] = {STR("server_id", "5304"), STR("step", "gpu")};

    (void)state;
    check(MU_LOG_CONSOLE, false, MU_INFO, "GPU benchmark score is 82.", ok, 2,
          "2023-11-15 14:58:40 [info     ] GPU benchmark score is 82.     server_id=5614 step=gpu\n");
    check(
        MU_LOG_CONSOLE, false, MU_ERROR, "Benchmark failed: PerformanceBelowExpected: gpu.score 20 < 50", bad, 2,
        "2023-11-15 14:58:40 [error    ] Benchmark failed: PerformanceBelowExpected: gpu.score 20 < 50 server_id=5304 "
        "step=gpu\n");
    check(MU_LOG_CONSOLE, false, MU_WARNING, "no fields", NULL, 0, "2023-11-15 14:58:40 [warning  ] no fields\n");
    check(MU_LOG_CONSOLE, false, MU_INFO, "a\nb\r\033[2J", NULL, 0,
          "2023-11-15 14:58:40 [info     ] a\\nb\\r\\x1b[2J\n");
    /* padded by characters, not by bytes */
    check(MU_LOG_CONSOLE, false, MU_INFO, "gr\xc3\xbc\xc3\x9f", ok, 1,
          "2023-11-15 14:58:40 [info     ] gr\xc3\xbc\xc3\x9f                           server_id=5614\n");
}

static void console_colours(void **state)
{
    const struct mu_field f[] = {STR("server_id", "5614")};

    (void)state;
    check(MU_LOG_CONSOLE, true, MU_ERROR, "x", f, 1,
          "\033[2m2023-11-15 14:58:40\033[0m [\033[31m\033[1merror    \033[0m] \033[1mx                             "
          "\033[0m "
          "\033[36mserver_id\033[0m=\033[35m5614\033[0m\n");
}

static void values_are_quoted_when_they_must_be(void **state)
{
    const struct mu_field f[] = {
        STR("empty", ""),
        STR("space", "a b"),
        STR("quote", "a\"b"),
        STR("equals", "a=b"),
        STR("slash", "a\\b"),
        STR("line", "a\nb"),
        STR("plain", "srv-01.example.com:22/tcp"),
        STR("utf8", "gr\xc3\xbc\xc3\x9f"),
        STR("bad key\n=", "v"),
        STR("", "v"),
        {.key = "int", .type = MU_FIELD_INT, .v.i = INT64_MIN},
        {.key = "num", .type = MU_FIELD_NUM, .v.num = 0.1},
        {.key = "nan", .type = MU_FIELD_NUM, .v.num = NAN},
        {.key = "bool", .type = MU_FIELD_BOOL, .v.b = false},
    };

    (void)state;
    check(MU_LOG_LOGFMT, false, MU_INFO, "x", f, COUNT(f),
          "timestamp=2023-11-15T14:58:40.123Z level=info event=x empty=\"\" space=\"a b\" quote=\"a\\\"b\" "
          "equals=\"a=b\" "
          "slash=\"a\\\\b\" line=\"a\\nb\" plain=srv-01.example.com:22/tcp utf8=gr\xc3\xbc\xc3\x9f "
          "bad\\x20key\\x0a\\x3d=v "
          "_=v int=-9223372036854775808 num=0.1 nan=nan bool=false\n");
    check(MU_LOG_LOGFMT, false, MU_INFO, "two words", NULL, 0,
          "timestamp=2023-11-15T14:58:40.123Z level=info event=\"two words\"\n");
    check(MU_LOG_CONSOLE, false, MU_INFO, "x", f + 1, 1,
          "2023-11-15 14:58:40 [info     ] x                              space=\"a b\"\n");
}

static void json_lines(void **state)
{
    const struct mu_field f[] = {
        STR("server_id", "5614"),
        {.key = "int", .type = MU_FIELD_INT, .v.i = -1},
        {.key = "num", .type = MU_FIELD_NUM, .v.num = 912.4},
        {.key = "inf", .type = MU_FIELD_NUM, .v.num = -INFINITY},
        {.key = "bool", .type = MU_FIELD_BOOL, .v.b = true},
        STR("k\"\n", "v\"\n"),
    };

    (void)state;
    check(MU_LOG_JSON, false, MU_INFO, "a \"b\"\n", f, COUNT(f),
          "{\"timestamp\":\"2023-11-15T14:58:40.123Z\",\"level\":\"info\",\"event\":\"a "
          "\\\"b\\\"\\n\",\"server_id\":\"5614\","
          "\"int\":-1,\"num\":912.4,\"inf\":\"-inf\",\"bool\":true,\"k\\\"\\n\":\"v\\\"\\n\"}\n");
}

static void no_field_stands_for_the_lines_own(void **state)
{
    const struct mu_field f[] = {STR("level", "1"), STR("event", "2"), STR("event_", "3"), STR("timestamp", "4")};

    (void)state;
    check(MU_LOG_JSON, false, MU_INFO, "x", f, COUNT(f),
          "{\"timestamp\":\"2023-11-15T14:58:40.123Z\",\"level\":\"info\",\"event\":\"x\",\"level_\":\"1\",\"event__\":"
          "\"2\","
          "\"event_\":\"3\",\"timestamp_\":\"4\"}\n");
    check(MU_LOG_LOGFMT, false, MU_INFO, "x", f, COUNT(f),
          "timestamp=2023-11-15T14:58:40.123Z level=info event=x level_=1 event__=2 event_=3 timestamp_=4\n");
}

/* Whatever a record holds: one line, printable, and JSON that is JSON. */
static void random_records_stay_one_line(void **state)
{
    uint64_t rng = 4;

    (void)state;
    for (int round = 0; round < 5000; round++) {
        char msg[48], key[16], value[48];
        struct mu_field fields[] = {STR(key, value), STR("server_id", "5614")};
        struct mu_record r = {MU_INFO, WHEN, msg, next_random(&rng) % sizeof msg, fields, 2};

        random_bytes(&rng, msg, sizeof msg);
        random_bytes(&rng, key, sizeof key);
        random_bytes(&rng, value, sizeof value);
        key[next_random(&rng) % sizeof key] = '\0';
        value[next_random(&rng) % sizeof value] = '\0';
        for (int format = MU_LOG_CONSOLE; format <= MU_LOG_LOGFMT; format++) {
            struct mu_buf b = MU_BUF_INIT;
            mu_log_format_record(&b, (enum mu_log_format)format, false, &r);
            assert_int_equal(strlen(b.data), b.len);
            assert_ptr_equal(strchr(b.data, '\n'), b.data + b.len - 1);
            for (size_t i = 0, len; i + 1 < b.len; i += len) {
                uint32_t cp = 0;
                len = mu_utf8_decode(b.data + i, b.len - i, &cp);
                assert_true(len > 0 && cp >= 0x20 && !(cp >= 0x7f && cp <= 0x9f) && !(cp >= 0x2028 && cp <= 0x202e));
            }
            if (format == MU_LOG_JSON) {
                b.data[--b.len] = '\0';
                assert_true(json_is_valid(b.data, b.len));
            }
            mu_buf_free(&b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_have_names),
        cmocka_unit_test(console_lines),
        cmocka_unit_test(console_colours),
        cmocka_unit_test(values_are_quoted_when_they_must_be),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(no_field_stands_for_the_lines_own),
        cmocka_unit_test(random_records_stay_one_line),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
