/* Which task has which place, and whose messages are whose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/seats.h"

static struct mu_seat *add(struct mu_seats *s, size_t index, size_t peer, uint64_t delivery)
{
    struct mu_wire_task task = {.run_id = strdup("run"), .index = index, .peer = peer, .past_why = strdup("nobody asked")};
    struct mu_seat *seat = NULL;
    struct mu_err err;
    char text[64];
    snprintf(text, sizeof text, "s%zu\np%zu\n", index, index);
    assert_int_equal(mu_inventory_new(&task.servers), 0);
    assert_int_equal(mu_inventory_parse(task.servers, "test", text, strlen(text), &err), 0);
    assert_int_equal(mu_seats_add(s, &task, NULL, delivery, &seat, &err), 0);
    assert_null(task.servers); /* taken */
    return seat;
}

static void clear(struct mu_seats *s)
{
    while (!mu_list_empty(&s->all))
        mu_seats_leave(s, mu_list_entry(s->all.next, struct mu_seat, link));
    mu_seats_clear(s);
}

static void places_are_given_and_taken_back(void **state)
{
    (void)state;
    struct mu_seats s;
    struct mu_err err;
    assert_int_equal(mu_seats_init(&s, 2, &err), 0);
    struct mu_seat *a = add(&s, 700, 0, 1), *b = add(&s, 12, 700, 1), *c = add(&s, 5, 0, 1);
    assert_int_equal(mu_seats_at_work(&s), 3);
    assert_int_equal(mu_seats_sit(&s, a), 0);
    assert_int_equal(mu_seats_sit(&s, b), 0);
    assert_int_equal(mu_seats_sit(&s, c), MU_ELIMIT);
    assert_int_equal(a->state, MU_SEAT_RUNS);
    assert_int_equal(c->state, MU_SEAT_NEW);
    assert_string_equal(s.servers[b->place]->id, "s12");
    assert_string_equal(s.servers[2 + b->place]->id, "p12");
    assert_string_equal(s.past_whys[a->place], "nobody asked");
    /* Messages about the peer's place are the task's, and of the peer's index. */
    assert_ptr_equal(mu_seats_at(&s, b->place), b);
    assert_ptr_equal(mu_seats_at(&s, 2 + b->place), b);
    assert_int_equal(mu_seats_index(&s, b->place), 12);
    assert_int_equal(mu_seats_index(&s, 2 + b->place), 700);
    assert_null(mu_seats_at(&s, 4));
    size_t place = a->place;
    mu_seats_rise(&s, a);
    a->state = MU_SEAT_OVER;
    assert_null(mu_seats_at(&s, place));
    assert_null(s.servers[place]);
    assert_null(s.past_whys[place]);
    assert_int_equal(mu_seats_at_work(&s), 2);
    assert_int_equal(mu_seats_sit(&s, c), 0);
    assert_int_equal(c->place, place);
    mu_seats_rise(&s, a); /* it is c's by now */
    assert_ptr_equal(mu_seats_at(&s, place), c);
    mu_seats_leave(&s, a);
    assert_ptr_equal(mu_seats_at(&s, place), c);
    mu_seats_leave(&s, c);
    assert_null(mu_seats_at(&s, place));
    clear(&s);
}

static void deliveries_of_one_task_are_told_apart(void **state)
{
    (void)state;
    struct mu_seats s;
    struct mu_err err;
    assert_int_equal(mu_seats_init(&s, 4, &err), 0);
    struct mu_seat *first = add(&s, 3, 0, 1), *other = add(&s, 4, 0, 1), *second = add(&s, 3, 0, 2), *third = add(&s, 3, 0, 3);
    assert_ptr_equal(mu_seats_find(&s, 3, 1), first);
    assert_ptr_equal(mu_seats_find(&s, 3, 2), second);
    assert_ptr_equal(mu_seats_find(&s, 4, 0), other);
    assert_null(mu_seats_find(&s, 3, 4));
    assert_null(mu_seats_find(&s, 5, 0));
    assert_null(mu_seats_earlier(&s, first));
    assert_null(mu_seats_earlier(&s, other));
    assert_ptr_equal(mu_seats_earlier(&s, second), first);
    first->state = MU_SEAT_OVER;
    assert_null(mu_seats_earlier(&s, second));
    assert_ptr_equal(mu_seats_earlier(&s, third), second);
    clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_given_and_taken_back),
        cmocka_unit_test(deliveries_of_one_task_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
