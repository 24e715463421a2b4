/* support.h: what the tests of loop/ share. Each test makes a loop of its own; hangs are ended by the test driver. */
#ifndef TEST_LOOP_SUPPORT_H
#define TEST_LOOP_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "loop/loop.h"

static inline struct mu_loop *new_loop(void)
{
    struct mu_loop *loop = NULL;
    struct mu_err err;

    if (mu_loop_new(&loop, &err))
        fail_msg("mu_loop_new: %s", err.msg);
    return loop;
}

static inline void turn_until(struct mu_loop *loop, const int *counter, int value)
{
    while (*counter < value)
        mu_loop_turn(loop, true);
}

static inline void nothing(void *arg) { (void)arg; }

/* Turns for as long as a timer of ms takes: for "this must not be called" only, never for "this will have been". */
static inline void turn_for_ms(struct mu_loop *loop, uint64_t ms)
{
    struct mu_timer *t = mu_timer_new(loop, nothing, NULL);
    uint64_t end;

    mu_loop_update_time(loop);
    end = mu_loop_now_ms(loop) + ms;
    mu_timer_start(t, NULL, ms);
    while (mu_loop_now_ms(loop) < end)
        mu_loop_turn(loop, true);
    mu_timer_free(t);
}

#endif
