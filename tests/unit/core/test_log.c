#include "core/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/err.h"
#include "tests/unit/core/unit.h"

/* Where allocations can be counted without a sanitizer in between: a log line must not need any. */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTING 1
static _Thread_local unsigned allocations;
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
void *malloc(size_t n)
{
    allocations++;
    return __libc_malloc(n);
}
void *calloc(size_t n, size_t size)
{
    allocations++;
    return __libc_calloc(n, size);
}
#else
static unsigned allocations;
#endif

/* A sink that keeps the last record's message and fields as text. */
struct kept {
    struct mu_buf msg, fields;
    enum mu_level level;
    size_t lines, n_fields;
    int64_t wall_ms;
};

static void keep(void *arg, const struct mu_record *r)
{
    struct kept *k = arg;

    k->lines++;
    k->level = r->level;
    k->n_fields = r->n_fields;
    k->wall_ms = r->wall_ms;
    mu_buf_clear(&k->msg);
    mu_buf_add(&k->msg, r->msg, r->msg_len);
    mu_buf_clear(&k->fields);
    for (size_t i = 0; i < r->n_fields; i++)
        mu_buf_addf(&k->fields, "%s%s=%s", i ? " " : "", r->fields[i].key,
                    r->fields[i].type == MU_FIELD_STR ? r->fields[i].v.str : "?");
    errno = E2BIG; /* a sink may leave anything here */
}

static void kept_end(void *arg)
{
    struct kept *k = arg;

    mu_buf_free(&k->msg);
    mu_buf_free(&k->fields);
    k->lines = 0;
}

static struct mu_logger *logger_with(struct kept *k, enum mu_level level)
{
    struct mu_logger *lg;

    memset(k, 0, sizeof *k);
    assert_int_equal(mu_logger_new(&lg, level), 0);
    assert_int_equal(mu_logger_add_sink(lg, keep, k, kept_end), 0);
    return lg;
}

#define STR(k, s)                                                                                                      \
    {                                                                                                                  \
        .key = (k), .type = MU_FIELD_STR, .v.str = (s)                                                                 \
    }

static void levels_have_names(void **state)
{
    enum mu_level level;

    (void)state;
    for (int i = MU_TRACE; i <= MU_LEVEL_OFF; i++) {
        assert_int_equal(mu_level_parse(mu_level_name((enum mu_level)i), &level), 0);
        assert_int_equal(level, i);
    }
    assert_string_equal(mu_level_name(MU_WARNING), "warning");
    assert_string_equal(mu_level_name((enum mu_level)77), "?");
    assert_int_equal(mu_level_parse("warn", &level), 0);
    assert_int_equal(level, MU_WARNING);
    level = MU_ERROR;
    assert_int_equal(mu_level_parse("Info", &level), MU_EINVAL);
    assert_int_equal(mu_level_parse("", &level), MU_EINVAL);
    assert_int_equal(mu_level_parse(NULL, &level), MU_EINVAL);
    assert_int_equal(level, MU_ERROR);
}

static void without_a_logger_lines_are_dropped(void **state)
{
    struct mu_logger *lg;

    (void)state;
    assert_null(mu_logger_current());
    assert_false(mu_log_enabled(MU_ERROR));
    mu_log(MU_ERROR, "nobody hears %d", 1);
    mu_log_text(MU_ERROR, NULL, 0, "this", 4);
    assert_int_equal(mu_logger_new(&lg, MU_TRACE), 0);
    assert_null(mu_logger_use(lg));
    assert_false(mu_log_enabled(MU_ERROR)); /* no sink: no use to make a line */
    mu_log(MU_ERROR, "nor this");
    mu_logger_free(lg);
    assert_null(mu_logger_current());
    mu_logger_free(NULL);
}

static void levels_decide(void **state)
{
    struct kept k, other;
    struct mu_logger *lg = logger_with(&k, MU_INFO), *off = logger_with(&other, MU_LEVEL_OFF);

    (void)state;
    mu_logger_use(lg);
    assert_false(mu_log_enabled(MU_DEBUG));
    assert_true(mu_log_enabled(MU_INFO));
    assert_false(mu_log_enabled(MU_LEVEL_OFF)); /* not a level that a line can have */
    mu_log(MU_DEBUG, "no");
    mu_log(MU_LEVEL_OFF, "no");
    assert_int_equal(k.lines, 0);
    mu_log(MU_WARNING, "yes");
    assert_int_equal(k.lines, 1);
    assert_int_equal(k.level, MU_WARNING);
    assert_ptr_equal(mu_logger_use(off), lg);
    mu_log(MU_ERROR, "no");
    assert_int_equal(other.lines, 0);
    assert_ptr_equal(mu_logger_use(lg), off);
    mu_logger_free(off);
    assert_ptr_equal(mu_logger_current(), lg); /* freeing another one leaves it */
    mu_logger_free(lg);
    assert_null(mu_logger_current());
    assert_int_equal(k.lines, 0); /* destroy was called */
}

/* Lengths around the buffer on the stack, and much more. */
static void messages_of_any_length(void **state)
{
    static char text[100001];
    struct kept k;
    struct mu_logger *lg = logger_with(&k, MU_INFO);

    (void)state;
    mu_logger_use(lg);
    memset(text, 'm', sizeof text - 1);
    for (int n = 0; n < 100000; n += n < 505 ? 101 : n < 520 ? 1 : 33333) {
        mu_log(MU_INFO, "%.*s|", n, text);
        assert_int_equal(k.msg.len, n + 1);
        assert_int_equal(k.msg.data[n], '|');
        assert_int_equal(k.msg.data[n ? n - 1 : 0], n ? 'm' : '|');
    }
    mu_log_text(MU_INFO, NULL, 0, "100% a\0b\n%s", 11);
    assert_int_equal(k.msg.len, 11);
    assert_memory_equal(k.msg.data, "100% a\0b\n%s", 11);
    mu_log_text(MU_INFO, NULL, 0, NULL, 5);
    assert_int_equal(k.msg.len, 0);
    mu_logger_free(lg);
}

static void errno_survives(void **state)
{
    struct kept k;
    struct mu_logger *lg = logger_with(&k, MU_INFO);

    (void)state;
    mu_logger_use(lg);
    errno = ENOTTY;
    mu_log(MU_INFO, "x");
    assert_int_equal(errno, ENOTTY);
    mu_log_text(MU_INFO, NULL, 0, "x", 1);
    assert_int_equal(errno, ENOTTY);
    assert_int_equal(k.lines, 2);
    mu_logger_free(lg);
}

static void the_last_of_a_key_wins(void **state)
{
    const struct mu_field own[] = {STR("a", "1"),      STR("b", "2"),  STR("a", "3"),
                                   STR("step", "own"), STR("c", NULL), STR(NULL, "none")};
    struct kept k;
    struct mu_logger *lg = logger_with(&k, MU_INFO);
    struct mu_ctx *outer = mu_ctx_with_str(NULL, "server_id", "7"), *ctx = mu_ctx_with_str(outer, "step", "gpu");
    struct mu_ctx *former = mu_ctx_enter(ctx);

    (void)state;
    mu_logger_use(lg);
    mu_log_fields(MU_INFO, own, COUNT(own), "x");
    assert_string_equal(k.fields.data, "server_id=7 b=2 a=3 step=own c= =none");
    mu_log(MU_INFO, "x");
    assert_string_equal(k.fields.data, "server_id=7 step=gpu");
    mu_ctx_leave(former);
    mu_ctx_unref(ctx);
    mu_ctx_unref(outer);
    mu_logger_free(lg);
}

/* More fields than the stack holds, with repeats, against a plain reading of the rule; in number around the bound. */
static void many_fields(void **state)
{
    struct kept k;
    struct mu_logger *lg = logger_with(&k, MU_INFO);
    uint64_t rng = 9;

    (void)state;
    mu_logger_use(lg);
    for (size_t n = 28; n < 3000; n += n < 36 ? 1 : 700) {
        struct mu_field *own = calloc(n, sizeof *own);
        char(*keys)[16] = calloc(n, sizeof *keys), (*values)[16] = calloc(n, sizeof *values);
        struct mu_ctx *outer = mu_ctx_with_str(NULL, "server_id", "7"), *ctx = mu_ctx_with_str(outer, "k1", "ctx");
        struct mu_ctx *former = mu_ctx_enter(ctx);
        struct mu_buf want = MU_BUF_INIT;
        bool k1 = false;

        for (size_t i = 0; i < n; i++) {
            snprintf(keys[i], sizeof keys[i], "k%zu", next_random(&rng) % n);
            snprintf(values[i], sizeof values[i], "%zu", i);
            own[i] = (struct mu_field)STR(keys[i], values[i]);
            k1 = k1 || strcmp(keys[i], "k1") == 0;
        }
        mu_buf_adds(&want, k1 ? "server_id=7" : "server_id=7 k1=ctx");
        for (size_t i = 0; i < n; i++) {
            bool again = false;
            for (size_t j = i + 1; j < n && !again; j++)
                again = strcmp(keys[j], keys[i]) == 0;
            if (!again)
                mu_buf_addf(&want, " %s=%s", keys[i], values[i]);
        }
        mu_log_fields(MU_INFO, own, n, "x");
        assert_string_equal(k.fields.data, want.data);
        mu_buf_free(&want);
        mu_ctx_leave(former);
        mu_ctx_unref(ctx);
        mu_ctx_unref(outer);
        free(own);
        free(keys);
        free(values);
    }
    mu_logger_free(lg);
}

static void note_first(void *arg, const struct mu_record *r)
{
    (void)r;
    strcat(arg, "1");
}

static void note_second(void *arg, const struct mu_record *r)
{
    (void)r;
    strcat(arg, "2");
    assert_false(mu_log_enabled(MU_ERROR));
    mu_log(MU_ERROR, "a sink that logs must not hang"); /* nor be called from within itself */
}

static void note_end(void *arg)
{
    strcat(arg, "end");
}

static void sinks_are_called_in_order(void **state)
{
    char notes[32] = "";
    struct mu_logger *lg;

    (void)state;
    assert_int_equal(mu_logger_new(&lg, MU_INFO), 0);
    assert_int_equal(mu_logger_add_sink(lg, note_first, notes, NULL), 0);
    assert_int_equal(mu_logger_add_sink(lg, note_second, notes, note_end), 0);
    mu_logger_use(lg);
    mu_log(MU_INFO, "x");
    mu_log(MU_INFO, "y");
    mu_logger_free(lg);
    assert_string_equal(notes, "1212end");
}

/* Another process's line: its own time and fields, nothing of this thread's. */
static void lines_made_elsewhere_stay_as_they_are(void **state)
{
    const struct mu_field fields[] = {STR("server_id", "5614"), STR("agent", "dc1")};
    struct mu_record line = {.level = MU_WARNING, .wall_ms = 1700060320123, .msg = "a\0b", .msg_len = 3, .fields = fields, .n_fields = COUNT(fields)};
    struct kept k;
    struct mu_logger *lg = logger_with(&k, MU_INFO);
    struct mu_ctx *ctx = mu_ctx_with_str(NULL, "server_id", "mine"), *former = mu_ctx_enter(ctx);

    (void)state;
    mu_log_record(&line); /* there is no logger */
    assert_int_equal(k.lines, 0);
    mu_logger_use(lg);
    errno = 5;
    mu_log_record(&line);
    assert_int_equal(errno, 5);
    assert_int_equal(k.lines, 1);
    assert_int_equal(k.level, MU_WARNING);
    assert_true(k.wall_ms == 1700060320123);
    assert_int_equal(k.msg.len, 3);
    assert_memory_equal(k.msg.data, "a\0b", 3);
    assert_string_equal(mu_buf_cstr(&k.fields), "server_id=5614 agent=dc1");
    line.level = MU_DEBUG;
    mu_log_record(&line);
    assert_int_equal(k.lines, 1);
    mu_ctx_leave(former);
    mu_ctx_unref(ctx);
    mu_logger_free(lg);
}

static void common_lines_allocate_nothing(void **state)
{
    const struct mu_field own[] = {STR("gpu", "0"), {.key = "score", .type = MU_FIELD_NUM, .v.num = 82}};
    struct kept k;
    struct mu_logger *lg = logger_with(&k, MU_INFO);
    struct mu_ctx *ctx = mu_ctx_with_str(NULL, "server_id", "5614"), *former = mu_ctx_enter(ctx);
    unsigned before;

    (void)state;
    mu_logger_use(lg);
    mu_log_fields(MU_INFO, own, COUNT(own), "GPU benchmark score is %d.", 82);
    before = allocations;
    for (int i = 0; i < 100; i++)
        mu_log_fields(MU_INFO, own, COUNT(own), "GPU benchmark score is %d.", i % 100);
    assert_int_equal(allocations, before);
#ifdef COUNTING
    free(malloc(1)); /* that the counter counts */
    assert_true(allocations > before);
#endif
    mu_ctx_leave(former);
    mu_ctx_unref(ctx);
    mu_logger_free(lg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(without_a_logger_lines_are_dropped),
        cmocka_unit_test(levels_decide),
        cmocka_unit_test(messages_of_any_length),
        cmocka_unit_test(errno_survives),
        cmocka_unit_test(the_last_of_a_key_wins),
        cmocka_unit_test(many_fields),
        cmocka_unit_test(sinks_are_called_in_order),
        cmocka_unit_test(lines_made_elsewhere_stay_as_they_are),
        cmocka_unit_test(common_lines_allocate_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
