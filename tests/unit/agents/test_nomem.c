/* Every allocation that writing and reading make fails once: the call says so, nothing leaks. And memory is taken in proportion to
 * the bytes that are there, whatever they claim. The C library's allocator is replaced by one that counts; sanitizers bring their
 * own, so it is not built with them. */
#include "wire_test.h"

#include <malloc.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void __libc_free(void *p);

#define EXPORT __attribute__((visibility("default"))) /* the libraries use it too */

static size_t fail_at; /* the allocation that fails, counted from 1; 0: none */
static size_t n_allocations;
static long n_live;
static size_t n_bytes; /* asked for since start(), what was freed included */

static bool fails(void) { return ++n_allocations == fail_at; }

EXPORT void *malloc(size_t n)
{
    void *p = fails() ? NULL : __libc_malloc(n);
    n_live += p != NULL;
    n_bytes += n;
    return p;
}

EXPORT void *calloc(size_t n, size_t size)
{
    void *p = fails() ? NULL : __libc_calloc(n, size);
    n_live += p != NULL;
    n_bytes += n * size;
    return p;
}

EXPORT void *realloc(void *old, size_t n)
{
    void *p = fails() ? NULL : __libc_realloc(old, n);
    n_live += p && !old;
    n_bytes += n;
    return p;
}

EXPORT void free(void *p)
{
    n_live -= p != NULL;
    __libc_free(p);
}

static void start(size_t n)
{
    n_allocations = n_bytes = 0;
    fail_at = n;
}

/* Whether the failing allocation was reached. */
static bool stop(void)
{
    bool reached = n_allocations >= fail_at;
    fail_at = 0;
    return reached;
}

static void events_are_read_or_not(void **state)
{
    (void)state;
    struct mu_buf b = MU_BUF_INIT;
    size_t n = 1;
    add_line(&b);
    add_result(&b, 5000);
    for (bool reached = true; reached; n++) {
        struct mu_wire_event e;
        struct mu_err err = {0};
        size_t at = 0, events = 0;
        int rc;
        long before = n_live;
        start(n);
        while (!(rc = mu_wire_read_event(&e, b.data, b.len, &at, &err))) {
            mu_wire_event_clear(&e);
            events++;
        }
        reached = stop();
        assert_int_equal(rc, reached ? MU_ENOMEM : MU_ENOENT);
        assert_int_equal(err.code, reached ? MU_ENOMEM : 0);
        assert_true(reached || events == 2);
        assert_int_equal(n_live, before);
    }
    assert_true(n > 40);
    mu_buf_free(&b);
}

static void tasks_are_read_or_not(void **state)
{
    (void)state;
    struct mu_buf b = MU_BUF_INIT;
    struct world w;
    size_t n = 1;
    make_world(&w);
    add_task(&b, &w, MU_TASK_PAIR);
    for (bool reached = true; reached; n++) {
        struct mu_wire_task t;
        struct mu_err err = {0};
        long before = n_live;
        start(n);
        int rc = mu_wire_read_task(&t, b.data, b.len, &err);
        reached = stop();
        /* jansson takes some of its own failures for a syntax error; and some memory is for a message that is not needed. */
        if (rc == MU_EINVAL)
            assert_non_null(strstr(err.msg, "not valid JSON"));
        assert_true(reached || !rc);
        if (!rc) { /* nothing of it was lost on the way */
            size_t n_values;
            assert_true(t.run_id && t.verdict && t.verdict->n_failures == 2 && t.repeat && t.claim && t.past_why);
            assert_int_equal(mu_inventory_count(t.servers), 2);
            assert_int_equal(mu_inventory_at(t.servers, 0)->n_vars, 8);
            assert_non_null(mu_past_find(t.past, "b", "cpu", "score", &n_values));
            assert_int_equal(n_values, 3);
        }
        mu_wire_task_clear(&t);
        assert_int_equal(n_live, before);
    }
    assert_true(n > 40);
    mu_buf_free(&b);
    free_world(&w);
}

static void what_is_written_says_so(void **state)
{
    (void)state;
    struct world w;
    size_t n = 1;
    make_world(&w);
    struct mu_message *deal = full_deal(MU_TASK_PAIR), *step = full_message(MU_MSG_STEP, 3000);
    for (bool reached = true; reached; n++) {
        struct mu_buf b = MU_BUF_INIT, notes = MU_BUF_INIT;
        long before = n_live;
        start(n);
        mu_wire_add_task(&b, "r", deal, w.servers[1], w.servers[2], w.rules, &world_script, w.past, NULL);
        mu_wire_add_note(&notes, step, 1, 2);
        mu_wire_add_result(&b, &(const struct mu_wire_event){.index = 1}, &notes);
        reached = stop();
        assert_int_equal(b.failed, reached);
        mu_buf_free(&b);
        mu_buf_free(&notes);
        assert_int_equal(n_live, before);
    }
    assert_true(n > 20);
    mu_message_free(&deal->head);
    mu_message_free(&step->head);
    free_world(&w);
}

/* What reading these bytes as an event asked for; they are refused. */
static size_t asked_for(const char *bytes, size_t len)
{
    struct mu_wire_event e;
    size_t at = 0;
    start(0);
    assert_int_equal(mu_wire_read_event(&e, bytes, len, &at, NULL), MU_EINVAL);
    return n_bytes;
}

static void claims_take_no_memory(void **state)
{
    (void)state;
    struct mu_buf b = MU_BUF_INIT;
    static const char *const heads[] = {"\xdd\xff\xff\xff\xff", "\xdc\xff\xff", "\xdb\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff",
                                        "\xdf\xff\xff\xff\xff", "\xc9\xff\xff\xff\xff"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        mu_buf_clear(&b);
        assert_int_equal(asked_for(heads[i], strlen(heads[i])), 0);
        mu_buf_adds(&b, "\x93\x01\x02");
        mu_buf_adds(&b, heads[i]);
        assert_int_equal(asked_for(b.data, b.len), 0);
    }
    mu_buf_clear(&b);
    for (int i = 0; i < 15; i++)
        mu_buf_adds(&b, "\xdd\x01\x01\x01\x01");
    assert_int_equal(asked_for(b.data, b.len), 0);
    /* A million that are there: 24 bytes each, in chunks of powers of two. */
    mu_buf_clear(&b);
    mu_buf_add(&b, "\xdd\x00\x10\x00\x02\x01\x01", 7);
    for (size_t i = 0; i < (size_t)1 << 20; i++)
        mu_buf_addc(&b, '\xc0');
    assert_in_range(asked_for(b.data, b.len), 1, 34 << 20);
    mu_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_read_or_not),
        cmocka_unit_test(tasks_are_read_or_not),
        cmocka_unit_test(what_is_written_says_so),
        cmocka_unit_test(claims_take_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
