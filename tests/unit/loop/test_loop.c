#include "support.h"

#include <sys/resource.h>

static void count(void *arg) { ++*(int *)arg; }

static void test_turns(void **state)
{
    struct mu_loop *loop = new_loop();
    struct mu_timer *t, *other;
    int fired = 0;

    (void)state;
    mu_loop_turn(loop, true); /* nothing open: must come back */
    mu_loop_turn(loop, false);

    t = mu_timer_new(loop, count, &fired);
    mu_timer_start(t, NULL, 3600 * 1000);
    mu_loop_turn(loop, false); /* must not wait an hour */
    assert_int_equal(fired, 0);

    /* a handle that is being closed is no event: one blocking turn is one callback at least */
    other = mu_timer_new(loop, count, &fired);
    mu_timer_free(other);
    mu_timer_start(t, NULL, 20);
    mu_loop_turn(loop, true);
    assert_int_equal(fired, 1);

    mu_timer_free(t);
    mu_loop_turn(loop, true);
    mu_loop_free(loop);
    mu_loop_free(NULL);
}

static void test_clock(void **state)
{
    struct mu_loop *loop = new_loop();
    uint64_t before = mu_clock_ms(), now;

    (void)state;
    mu_loop_update_time(loop);
    now = mu_loop_now_ms(loop);
    assert_true(now + 1 >= before); /* libuv may use the kernel's coarse clock, which is up to 1 ms behind */
    assert_true(now <= mu_clock_ms());
    while (mu_clock_ms() < before + 5)
        ;
    assert_true(mu_loop_now_ms(loop) == now); /* stands still within a turn */
    mu_loop_update_time(loop);
    assert_true(mu_loop_now_ms(loop) > now);
    mu_loop_free(loop);
}

static void test_fd_limit(void **state)
{
    struct rlimit former, low, now;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &former), 0);
    low = former;
    low.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_true(mu_loop_raise_fd_limit() == former.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_true(now.rlim_cur == former.rlim_max);
    assert_true(mu_loop_raise_fd_limit() == former.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &former), 0);
}

static void test_no_descriptors_left(void **state)
{
    struct rlimit former, none;
    struct mu_loop *loop = (struct mu_loop *)state;
    struct mu_err err;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &former), 0);
    none = former;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(mu_loop_new(&loop, &err), MU_EIO);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &former), 0);
    assert_null(loop);
    assert_non_null(strstr(err.msg, "ulimit -n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_fd_limit),
        cmocka_unit_test(test_no_descriptors_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
