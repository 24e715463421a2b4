/* Semaphores of a run: their bound, the order of the line, and leaving it at any point. */
#include "run/semaphore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Who was let in, as "worker:ticket " words; refusals in parentheses. */
static char told[4096];

static void on_turn(void *arg, int worker, uint64_t ticket, const struct mu_err *err)
{
    size_t n = strlen(told);
    (void)arg;
    snprintf(told + n, sizeof told - n, err ? "(%d:%d %s) " : "%d:%d ", worker, (int)ticket, err ? err->msg : "");
}

static const char *since(void)
{
    static char last[4096];
    strcpy(last, told);
    told[0] = '\0';
    return last;
}

static void lets_in_by_order_of_asking(void **state)
{
    struct mu_semaphores *s = mu_semaphores_new(on_turn, NULL);
    (void)state;
    for (uint64_t t = 1; t <= 3; t++) /* workers in turn: no worker's tasks go before another's */
        for (int w = 0; w < 2; w++)
            mu_semaphores_acquire(s, "api", 2, false, w, t);
    assert_string_equal(since(), "0:1 1:1 ");
    mu_semaphores_leave(s, 1, 1);
    assert_string_equal(since(), "0:2 ");
    mu_semaphores_leave(s, 0, 1);
    mu_semaphores_leave(s, 0, 2);
    assert_string_equal(since(), "1:2 0:3 ");
    mu_semaphores_acquire(s, "api", 2, false, 2, 1); /* behind 1:3 */
    mu_semaphores_leave(s, 1, 2);
    mu_semaphores_leave(s, 0, 3);
    assert_string_equal(since(), "1:3 2:1 ");
    mu_semaphores_free(s);
}

static void first_goes_ahead_of_those_who_wait(void **state)
{
    struct mu_semaphores *s = mu_semaphores_new(on_turn, NULL);
    (void)state;
    mu_semaphores_acquire(s, "api", 1, false, 0, 1);
    mu_semaphores_acquire(s, "api", 1, false, 0, 2);
    mu_semaphores_acquire(s, "api", 1, true, 0, 3);
    mu_semaphores_acquire(s, "api", 1, true, 0, 4); /* behind 0:3, ahead of 0:2 */
    mu_semaphores_acquire(s, "api", 1, true, 0, 5);
    mu_semaphores_leave(s, 0, 4); /* out of its line */
    for (uint64_t t = 1; t <= 5; t += 2)
        mu_semaphores_leave(s, 0, t);
    assert_string_equal(since(), "0:1 0:3 0:5 0:2 ");
    mu_semaphores_free(s);
}

static void one_that_is_held_already_counts_over_the_limit(void **state)
{
    struct mu_semaphores *s = mu_semaphores_new(on_turn, NULL);
    (void)state;
    mu_semaphores_hold(s, "api", 2, 1000, 7);
    mu_semaphores_acquire(s, "api", 2, false, 0, 1);
    mu_semaphores_acquire(s, "api", 2, false, 0, 2); /* waits */
    mu_semaphores_hold(s, "api", 2, 1001, 7);        /* over the limit */
    assert_string_equal(since(), "1000:7 0:1 1001:7 ");
    mu_semaphores_leave(s, 0, 1);
    assert_string_equal(since(), ""); /* two are still held */
    mu_semaphores_leave(s, 1000, 7);
    assert_string_equal(since(), "0:2 ");
    mu_semaphores_hold(s, "api", 3, 1002, 1);
    assert_non_null(strstr(since(), "(1002:1 semaphore 'api' has 2 permits"));
    mu_semaphores_free(s);
}

static void leaving_the_line_gives_no_permit_away(void **state)
{
    struct mu_semaphores *s = mu_semaphores_new(on_turn, NULL);
    (void)state;
    mu_semaphores_acquire(s, "api", 1, false, 0, 1);
    for (uint64_t t = 2; t <= 6; t++)
        mu_semaphores_acquire(s, "api", 1, false, 0, t);
    assert_string_equal(since(), "0:1 ");
    mu_semaphores_leave(s, 0, 2); /* the head, the tail, one between: while they wait */
    mu_semaphores_leave(s, 0, 6);
    mu_semaphores_leave(s, 0, 4);
    mu_semaphores_leave(s, 0, 4); /* again, and one that never asked */
    mu_semaphores_leave(s, 7, 1);
    assert_string_equal(since(), "");
    mu_semaphores_leave(s, 0, 1);
    assert_string_equal(since(), "0:3 ");
    mu_semaphores_leave(s, 0, 1); /* given back twice: once */
    assert_string_equal(since(), "");
    mu_semaphores_leave(s, 0, 3);
    assert_string_equal(since(), "0:5 ");
    mu_semaphores_leave(s, 0, 5);
    mu_semaphores_acquire(s, "api", 1, false, 0, 7);
    assert_string_equal(since(), "0:7 ");
    mu_semaphores_free(s); /* with one held */
}

static void one_name_has_one_limit(void **state)
{
    struct mu_semaphores *s = mu_semaphores_new(on_turn, NULL);
    (void)state;
    mu_semaphores_acquire(s, "api", 2, false, 0, 1);
    mu_semaphores_acquire(s, "api", 3, false, 0, 2);
    mu_semaphores_acquire(s, "other", 3, false, 0, 3);
    assert_string_equal(since(), "0:1 (0:2 semaphore 'api' has 2 permits in this run, not 3: one name, one number) 0:3 ");
    mu_semaphores_leave(s, 0, 2); /* it never got in */
    mu_semaphores_acquire(s, "api", 2, false, 0, 4);
    mu_semaphores_acquire(s, "api", 2, false, 0, 5);
    assert_string_equal(since(), "0:4 ");
    mu_semaphores_free(s);
}

/* Whatever happens in which order: never more than the limit inside, and nobody waits while there is room. */
static unsigned inside, most;
static void count_in(void *arg, int worker, uint64_t ticket, const struct mu_err *err)
{
    bool *holds = arg;
    (void)worker;
    assert_null(err);
    assert_false(holds[ticket]);
    holds[ticket] = true;
    inside++;
    most = inside > most ? inside : most;
}

static void any_order_keeps_the_bound(void **state)
{
    enum { N = 20000, LIMIT = 7 };
    bool *holds = calloc(N, sizeof *holds), *asked = calloc(N, sizeof *asked), *left = calloc(N, sizeof *left);
    struct mu_semaphores *s = mu_semaphores_new(count_in, holds);
    unsigned seed = 1, waiting = 0, next = 0;
    (void)state;
    inside = most = 0;
    for (unsigned i = 0; i < 4 * N; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned back = (seed >> 8) % 40;
        if (next < N && (seed >> 16) % 2) {
            asked[next] = true;
            mu_semaphores_acquire(s, "x", LIMIT, false, 0, next++);
        } else if (back < next && !left[next - 1 - back]) {
            unsigned t = next - 1 - back;
            left[t] = true;
            inside -= holds[t];
            mu_semaphores_leave(s, 0, t);
        }
        assert_true(inside <= LIMIT);
    }
    for (unsigned t = 0; t < N; t++)
        waiting += asked[t] && !left[t] && !holds[t];
    assert_true(inside == LIMIT || waiting == 0);
    assert_int_equal(most, LIMIT);
    mu_semaphores_free(s);
    free(holds);
    free(asked);
    free(left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_in_by_order_of_asking),
        cmocka_unit_test(first_goes_ahead_of_those_who_wait),
        cmocka_unit_test(one_that_is_held_already_counts_over_the_limit),
        cmocka_unit_test(leaving_the_line_gives_no_permit_away),
        cmocka_unit_test(one_name_has_one_limit),
        cmocka_unit_test(any_order_keeps_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
