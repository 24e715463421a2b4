#include "support.h"

struct probe {
    struct mu_loop *loop;
    struct mu_timer *timer;
    struct mu_timer *victim; /* freed in the callback */
    bool free_self;
    int again; /* start anew this many times */
    int *order, id;
    int fired;
    uint64_t at_ms;
    struct mu_ctx *ctx;
};

static int next_place;

static void on_fire(void *arg)
{
    struct probe *p = arg;

    p->fired++;
    p->at_ms = mu_loop_now_ms(p->loop);
    p->ctx = mu_ctx_current();
    if (p->order)
        p->order[next_place++] = p->id;
    if (p->again > 0) {
        p->again--;
        mu_timer_start(p->timer, NULL, 1);
    }
    mu_timer_free(p->victim);
    p->victim = NULL;
    if (p->free_self) {
        mu_timer_free(p->timer);
        p->timer = NULL;
    }
}

static struct probe make(struct mu_loop *loop) { return (struct probe){.loop = loop}; }

static void arm(struct probe *p, uint64_t delay_ms)
{
    if (!p->timer)
        p->timer = mu_timer_new(p->loop, on_fire, p);
    assert_non_null(p->timer);
    mu_timer_start(p->timer, NULL, delay_ms);
}

static void test_order(void **state)
{
    static const uint64_t delays[] = {30, 10, 0, 10, 20};
    static const int expected[] = {2, 1, 3, 4, 0};
    struct mu_loop *loop = new_loop();
    struct probe probes[5];
    int order[5];
    uint64_t start;

    (void)state;
    next_place = 0;
    mu_loop_update_time(loop);
    start = mu_loop_now_ms(loop);
    for (int i = 0; i < 5; i++) {
        probes[i] = make(loop);
        probes[i].order = order;
        probes[i].id = i;
        arm(&probes[i], delays[i]);
    }
    turn_until(loop, &next_place, 5);
    assert_memory_equal(order, expected, sizeof(order));
    for (int i = 0; i < 5; i++) {
        assert_int_equal(probes[i].fired, 1); /* one shot */
        assert_true(probes[i].at_ms >= start + delays[i]);
        mu_timer_free(probes[i].timer);
    }
    mu_loop_free(loop);
}

static void test_restart_and_stop(void **state)
{
    struct mu_loop *loop = new_loop();
    struct probe late = make(loop), stopped = make(loop), again = make(loop);

    (void)state;
    arm(&late, 3600 * 1000);
    arm(&late, 1); /* the second start counts, and it alone */
    arm(&stopped, 0);
    mu_timer_stop(stopped.timer);
    mu_timer_stop(stopped.timer);
    again.again = 3;
    arm(&again, 1);
    turn_until(loop, &late.fired, 1);
    turn_until(loop, &again.fired, 4);
    assert_int_equal(late.fired, 1);
    assert_int_equal(stopped.fired, 0);
    arm(&stopped, 0);
    turn_until(loop, &stopped.fired, 1);
    arm(&late, UINT64_MAX); /* for ever, not in the past */
    turn_for_ms(loop, 5);
    assert_int_equal(late.fired, 1);
    mu_timer_free(late.timer);
    mu_timer_free(stopped.timer);
    mu_timer_free(again.timer);
    mu_timer_free(NULL);
    mu_loop_free(loop);
}

static void test_free_in_callback(void **state)
{
    struct mu_loop *loop = new_loop();
    struct probe self = make(loop), killer = make(loop), victim = make(loop), both = make(loop);

    (void)state;
    self.free_self = true;
    arm(&self, 0);
    arm(&killer, 1);
    arm(&victim, 1); /* due in the same turn, after its killer */
    killer.victim = victim.timer;
    both.free_self = true;
    both.again = 1; /* started anew, and freed all the same */
    arm(&both, 1);
    turn_until(loop, &self.fired, 1);
    turn_until(loop, &killer.fired, 1);
    turn_until(loop, &both.fired, 1);
    turn_for_ms(loop, 5);
    assert_int_equal(self.fired, 1);
    assert_int_equal(victim.fired, 0);
    assert_int_equal(both.fired, 1);
    mu_timer_free(killer.timer);
    mu_loop_free(loop);
}

static void test_context(void **state)
{
    struct mu_loop *loop = new_loop();
    struct mu_ctx *ctx = mu_ctx_with_str(NULL, "server_id", "a"), *other = mu_ctx_with_str(NULL, "server_id", "b");
    struct mu_ctx *outer, *kept = ctx;
    struct probe p = make(loop), bare = make(loop), freed = make(loop);

    (void)state;
    p.timer = mu_timer_new(loop, on_fire, &p);
    mu_timer_start(p.timer, other, 0);
    mu_timer_start(p.timer, ctx, 0);
    freed.free_self = true;
    freed.timer = mu_timer_new(loop, on_fire, &freed);
    mu_timer_start(freed.timer, ctx, 0);
    mu_ctx_unref(ctx); /* the timers hold their own */
    arm(&bare, 1);
    outer = mu_ctx_enter(other); /* a turn inside somebody's context: callbacks do not inherit it */
    turn_until(loop, &p.fired, 1);
    turn_until(loop, &bare.fired, 1);
    assert_ptr_equal(mu_ctx_current(), other);
    mu_ctx_leave(outer);
    assert_ptr_equal(p.ctx, kept);
    assert_ptr_equal(freed.ctx, kept);
    assert_null(bare.ctx);
    assert_null(mu_ctx_current());
    mu_timer_start(p.timer, other, 3600 * 1000); /* freed while started */
    mu_ctx_unref(other);
    mu_timer_free(p.timer);
    mu_timer_free(bare.timer);
    mu_loop_free(loop);
}

static void test_many(void **state)
{
    enum { N = 20000 };
    struct mu_loop *loop = new_loop();
    struct probe *probes = calloc(N, sizeof(*probes));
    uint64_t last = 0;
    int *order = calloc(N, sizeof(*order));

    (void)state;
    next_place = 0;
    for (int i = 0; i < N; i++) {
        probes[i] = make(loop);
        probes[i].order = order;
        probes[i].id = i;
        arm(&probes[i], (uint64_t)(i * 7919 % 50));
    }
    turn_until(loop, &next_place, N);
    for (int i = 0; i < N; i++) {
        const struct probe *p = &probes[order[i]];
        uint64_t delay = (uint64_t)(p->id * 7919 % 50);

        assert_true(delay >= last);
        last = delay;
    }
    for (int i = 0; i < N; i++)
        mu_timer_free(probes[i].timer);
    free(order);
    free(probes);
    mu_loop_free(loop);
}

/* A turn that blocks comes back when a timer has fired, however far away the next one is. */
static void test_turn_ends(void **state)
{
    struct mu_loop *loop = new_loop();
    struct probe soon = make(loop), far = make(loop);

    (void)state;
    for (int i = 0; i < 3; i++) {
        arm(&far, 3600 * 1000);
        arm(&soon, 0);
        mu_loop_turn(loop, true);
        assert_int_equal(soon.fired, i + 1);
    }
    assert_int_equal(far.fired, 0);
    mu_timer_free(soon.timer);
    mu_timer_free(far.timer);
    mu_loop_free(loop);
}

static void test_postpone(void **state)
{
    struct mu_loop *loop = new_loop();
    struct probe first = make(loop), second = make(loop);

    (void)state;
    mu_loop_update_time(loop);
    arm(&first, 0);
    mu_loop_postpone(loop, 50);
    arm(&second, 10);
    mu_loop_turn(loop, true);
    assert_int_equal(first.fired, 0);
    assert_int_equal(second.fired, 1);
    mu_loop_turn(loop, true);
    assert_int_equal(first.fired, 1);
    mu_timer_free(first.timer);
    mu_timer_free(second.timer);
    mu_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_turn_ends),
        cmocka_unit_test(test_postpone),   cmocka_unit_test(test_restart_and_stop), cmocka_unit_test(test_free_in_callback),
        cmocka_unit_test(test_context), cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
