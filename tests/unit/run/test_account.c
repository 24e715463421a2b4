/* Who pays for which block, and what happens at a bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "run/account.h"

static void blocks_are_charged_and_credited(void **state)
{
    (void)state;
    struct mu_account *a = mu_account_new(0);
    struct mu_allocator al = {.charge = a};
    char *p = mu_allocator_fn(&al, NULL, 5 /* a kind of object */, 100);
    assert_non_null(p);
    assert_int_equal(mu_account_used(a), 100);
    memset(p, 'x', 100);
    p = mu_allocator_fn(&al, p, 100, 300);
    assert_int_equal(mu_account_used(a), 300);
    assert_int_equal(p[99], 'x');
    p = mu_allocator_fn(&al, p, 300, 10);
    assert_int_equal(mu_account_used(a), 10);
    assert_null(mu_allocator_fn(&al, p, 10, 0));
    assert_int_equal(mu_account_used(a), 0);
    mu_account_close(a);
}

static void a_free_is_credited_to_who_paid(void **state)
{
    (void)state;
    struct mu_account *a = mu_account_new(0), *b = mu_account_new(0);
    struct mu_allocator al = {.charge = a};
    void *p = mu_allocator_fn(&al, NULL, 0, 64);
    al.charge = b;
    p = mu_allocator_fn(&al, p, 64, 128); /* growing stays with the first payer */
    assert_int_equal(mu_account_used(a), 128);
    assert_int_equal(mu_account_used(b), 0);
    mu_account_close(a); /* the block outlives the task */
    mu_allocator_fn(&al, p, 128, 0);
    assert_int_equal(mu_account_used(b), 0);
    mu_account_close(b);
}

static void the_second_refusal_is_final(void **state)
{
    (void)state;
    struct mu_account *a = mu_account_new(1000);
    struct mu_allocator al = {.charge = a};
    void *p = mu_allocator_fn(&al, NULL, 0, 900);
    assert_null(mu_allocator_fn(&al, NULL, 0, 200));
    mu_allocator_fn(&al, p, 900, 0); /* Lua's collection found something */
    p = mu_allocator_fn(&al, NULL, 0, 200);
    assert_non_null(p);
    assert_false(mu_account_exceeded(a));

    assert_null(mu_allocator_fn(&al, NULL, 0, 900));
    assert_null(mu_allocator_fn(&al, NULL, 0, 900));
    assert_true(mu_account_exceeded(a));
    void *q = mu_allocator_fn(&al, NULL, 0, 900); /* the reserve for <close> handlers */
    assert_non_null(q);
    mu_allocator_fn(&al, q, 900, 0);
    mu_allocator_fn(&al, p, 200, 0);
    mu_account_close(a);
}

static void a_pending_refusal_counts_when_an_error_is_raised(void **state)
{
    (void)state;
    struct mu_account *a = mu_account_new(1000);
    struct mu_allocator al = {.charge = a};
    assert_null(mu_allocator_fn(&al, NULL, 0, 5000)); /* a string buffer: no second try, an error */
    assert_true(mu_account_exceeded(a));
    mu_account_close(a);
}

static void shrinking_never_fails(void **state)
{
    (void)state;
    struct mu_account *a = mu_account_new(1000);
    struct mu_allocator al = {.charge = a};
    void *p = mu_allocator_fn(&al, NULL, 0, 1000);
    al.fail_at = 1;
    p = mu_allocator_fn(&al, p, 1000, 500);
    assert_non_null(p);
    assert_int_equal(al.fail_at, 1); /* not counted: only growth can fail */
    mu_allocator_fn(&al, p, 500, 0);
    mu_account_close(a);
}

static void the_nth_request_fails_with_its_retry(void **state)
{
    (void)state;
    struct mu_account *a = mu_account_new(0);
    struct mu_allocator al = {.charge = a, .fail_at = 2};
    void *p = mu_allocator_fn(&al, NULL, 0, 10);
    assert_non_null(p);
    assert_null(mu_allocator_fn(&al, NULL, 0, 20));
    assert_null(mu_allocator_fn(&al, NULL, 0, 20));
    void *q = mu_allocator_fn(&al, NULL, 0, 20);
    assert_non_null(q);
    mu_allocator_fn(&al, p, 10, 0);
    mu_allocator_fn(&al, q, 20, 0);
    mu_account_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_charged_and_credited),
        cmocka_unit_test(a_free_is_credited_to_who_paid),
        cmocka_unit_test(the_second_refusal_is_final),
        cmocka_unit_test(a_pending_refusal_counts_when_an_error_is_raised),
        cmocka_unit_test(shrinking_never_fails),
        cmocka_unit_test(the_nth_request_fails_with_its_retry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
