#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "tests/unit/core/unit.h"

/* What a line logged now carries, as "key=value key=value". */
static char seen[4096];

static void see(void *arg, const struct mu_record *r)
{
    size_t n = 0;

    (void)arg;
    seen[0] = '\0';
    for (size_t i = 0; i < r->n_fields; i++) {
        const struct mu_field *f = &r->fields[i];
        const char *space = i ? " " : "";
        if (f->type == MU_FIELD_STR)
            n += (size_t)snprintf(seen + n, sizeof seen - n, "%s%s=%s", space, f->key, f->v.str);
        else if (f->type == MU_FIELD_INT)
            n += (size_t)snprintf(seen + n, sizeof seen - n, "%s%s=%lld", space, f->key, (long long)f->v.i);
        else if (f->type == MU_FIELD_NUM)
            n += (size_t)snprintf(seen + n, sizeof seen - n, "%s%s=%g", space, f->key, f->v.num);
        else
            n += (size_t)snprintf(seen + n, sizeof seen - n, "%s%s=%d", space, f->key, f->v.b);
    }
}

static int setup(void **state)
{
    struct mu_logger *lg;

    if (mu_logger_new(&lg, MU_TRACE) != 0 || mu_logger_add_sink(lg, see, NULL, NULL) != 0)
        return -1;
    mu_logger_use(lg);
    *state = lg;
    return 0;
}

static int teardown(void **state)
{
    mu_logger_free(*state);
    return mu_ctx_current() ? -1 : 0;
}

/* Check the fields of a line logged in ctx. */
static void assert_carries(struct mu_ctx *ctx, const char *want)
{
    struct mu_ctx *former = mu_ctx_enter(ctx);

    mu_log(MU_INFO, "x");
    mu_ctx_leave(former);
    assert_string_equal(seen, want);
}

static void fields_come_outermost_first(void **state)
{
    struct mu_field num = {.key = "score", .type = MU_FIELD_NUM, .v.num = 1.5};
    struct mu_field flag = {.key = "ok", .type = MU_FIELD_BOOL, .v.b = true};
    struct mu_field i = {.key = "gpu", .type = MU_FIELD_INT, .v.i = -3};
    struct mu_ctx *a, *b, *c, *d, *e;

    (void)state;
    a = mu_ctx_with_str(NULL, "server_id", "5614");
    b = mu_ctx_with_str(a, "step", "gpu");
    c = mu_ctx_with(b, &num);
    d = mu_ctx_with(c, &flag);
    e = mu_ctx_with(d, &i);
    assert_carries(NULL, "");
    assert_carries(a, "server_id=5614");
    assert_carries(e, "server_id=5614 step=gpu score=1.5 ok=1 gpu=-3");
    mu_ctx_unref(a); /* a child keeps what it needs */
    mu_ctx_unref(b);
    mu_ctx_unref(c);
    mu_ctx_unref(d);
    assert_carries(e, "server_id=5614 step=gpu score=1.5 ok=1 gpu=-3");
    mu_ctx_unref(e);
    mu_ctx_unref(NULL);
    assert_null(mu_ctx_ref(NULL));
}

static void keys_and_values_are_copied(void **state)
{
    char key[] = "step", value[] = "cpu";
    struct mu_ctx *ctx = mu_ctx_with_str(NULL, key, value);

    (void)state;
    memset(key, 'x', 4);
    memset(value, 'x', 3);
    assert_carries(ctx, "step=cpu");
    mu_ctx_unref(ctx);
    ctx = mu_ctx_with_str(NULL, NULL, NULL);
    assert_carries(ctx, "=");
    mu_ctx_unref(ctx);
}

static void a_child_overrides(void **state)
{
    struct mu_ctx *a = mu_ctx_with_str(NULL, "a", "1"), *b = mu_ctx_with_str(a, "b", "2");
    struct mu_ctx *c = mu_ctx_with_str(b, "c", "3"), *first, *mid, *last, *only;

    (void)state;
    first = mu_ctx_with_str(c, "a", "10");
    mid = mu_ctx_with_str(c, "b", "20");
    last = mu_ctx_with_str(c, "c", "30");
    only = mu_ctx_with_str(a, "a", "100");
    mu_ctx_unref(a);
    mu_ctx_unref(b);
    assert_carries(c, "a=1 b=2 c=3"); /* the parent is as it was */
    mu_ctx_unref(c);
    assert_carries(first, "b=2 c=3 a=10");
    assert_carries(mid, "a=1 c=3 b=20");
    assert_carries(last, "a=1 b=2 c=30");
    assert_carries(only, "a=100");
    mu_ctx_unref(first);
    mu_ctx_unref(mid);
    mu_ctx_unref(last);
    mu_ctx_unref(only);
}

/* A script that binds one key in a loop: the chain stays as long as it has keys. */
static void binding_again_does_not_grow(void **state)
{
    struct mu_ctx *ctx = mu_ctx_with_str(NULL, "server_id", "1"), *next;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct mu_field f = {.key = i % 2 ? "odd" : "even", .type = MU_FIELD_INT, .v.i = i};
        next = mu_ctx_with(ctx, &f);
        assert_non_null(next);
        mu_ctx_unref(ctx);
        ctx = next;
    }
    assert_carries(ctx, "server_id=1 even=99998 odd=99999");
    mu_ctx_unref(ctx);
}

static void long_chains_end_without_recursion(void **state)
{
    struct mu_ctx *ctx = NULL, *next;
    char key[16];

    (void)state;
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        next = mu_ctx_with_str(ctx, key, "");
        mu_ctx_unref(ctx);
        ctx = next;
    }
    mu_ctx_unref(ctx);
}

static void enter_and_leave_nest(void **state)
{
    struct mu_ctx *a = mu_ctx_with_str(NULL, "a", "1"), *b = mu_ctx_with_str(NULL, "b", "2"), *f0, *f1, *f2;

    (void)state;
    assert_null(mu_ctx_current());
    f0 = mu_ctx_enter(a);
    assert_null(f0);
    f1 = mu_ctx_enter(b);
    assert_ptr_equal(f1, a);
    f2 = mu_ctx_enter(NULL);
    assert_ptr_equal(f2, b);
    assert_null(mu_ctx_current());
    mu_ctx_leave(f2);
    assert_ptr_equal(mu_ctx_current(), b);
    mu_ctx_leave(f1);
    assert_ptr_equal(mu_ctx_current(), a);
    mu_ctx_leave(f0);
    assert_null(mu_ctx_current());
    mu_ctx_unref(a);
    mu_ctx_unref(b);
}

static void *churn(void *arg)
{
    struct mu_ctx *shared = arg;

    if (mu_ctx_current()) /* a new thread is outside any context */
        return NULL;
    for (int i = 0; i < 20000; i++) {
        struct mu_ctx *mine = mu_ctx_ref(shared), *child = mu_ctx_with_str(mine, "server_id", "2"), *former;
        mu_ctx_unref(mine);
        former = mu_ctx_enter(child);
        mu_ctx_leave(former);
        mu_ctx_unref(child);
    }
    mu_ctx_unref(shared); /* this thread's reference; the last thread's ends the node */
    return shared;
}

static void threads_share_nodes(void **state)
{
    struct mu_ctx *root = mu_ctx_with_str(NULL, "run", "r1"), *shared = mu_ctx_with_str(root, "server_id", "1");
    pthread_t threads[4];

    (void)state;
    mu_ctx_unref(root);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, mu_ctx_ref(shared)), 0);
    mu_ctx_unref(shared);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_outermost_first),
        cmocka_unit_test(keys_and_values_are_copied),
        cmocka_unit_test(a_child_overrides),
        cmocka_unit_test(binding_again_does_not_grow),
        cmocka_unit_test(long_chains_end_without_recursion),
        cmocka_unit_test(enter_and_leave_nest),
        cmocka_unit_test(threads_share_nodes),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
