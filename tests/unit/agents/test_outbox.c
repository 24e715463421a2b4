/* What an agent writes reaches the stream in order, whole and once, whatever happens on the way; lines of the log are what is
 * dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/outbox.h"
#include "agents/wire.h"

/* ---- a stream that answers as it is told ---- */

struct stream {
    struct mu_loop *loop;
    struct mu_timer *timer;
    bool holds;          /* no answer as long as it is set */
    unsigned fail;       /* so many of the next posts are not stored */
    unsigned forgets;    /* so many are stored, but answered as if they were not */
    unsigned refuses;    /* so many are not taken at all */
    struct mu_buf whole; /* the content of the letters, in order */
    struct mu_buf event; /* pieces so far */
    uint64_t last;       /* number of the last one stored */
    unsigned posts, stored_calls, largest;
    char id[128];
    mu_nats_post_fn *done;
    void *done_arg;
    int rc;
};

static void take(struct stream *s, const void *bytes, size_t len)
{
    struct mu_wire_letter l;
    struct mu_err err;
    assert_int_equal(mu_wire_read_letter(&l, bytes, len, &err), 0);
    if (l.number <= s->last)
        return; /* a duplicate: the coordinator leaves it out as well */
    assert_int_equal(l.number, s->last + 1);
    s->last = l.number;
    mu_buf_add(&s->event, l.bytes, l.len);
    if (l.more)
        return;
    mu_buf_add(&s->whole, s->event.data, s->event.len);
    mu_buf_clear(&s->event);
}

static void answer(void *arg)
{
    struct stream *s = arg;
    struct mu_err err;
    mu_nats_post_fn *done = s->done;
    s->done = NULL;
    if (s->rc)
        mu_err_set(&err, s->rc, "no answer");
    done(s->done_arg, s->rc, s->last, s->rc ? &err : NULL);
}

static int post(void *arg, const char *id, const void *bytes, size_t len, mu_nats_post_fn *done, void *done_arg)
{
    struct stream *s = arg;
    assert_null(s->done); /* one letter at a time */
    s->posts++;
    s->largest = len > s->largest ? (unsigned)len : s->largest;
    snprintf(s->id, sizeof s->id, "%s", id);
    if (s->refuses) {
        s->refuses--;
        return MU_ENOMEM;
    }
    s->rc = 0;
    if (s->fail) {
        s->fail--;
        s->rc = MU_EIO;
    } else {
        take(s, bytes, len);
        if (s->forgets) {
            s->forgets--;
            s->rc = MU_EIO;
        }
    }
    s->done = done;
    s->done_arg = done_arg;
    if (!s->holds)
        mu_timer_start(s->timer, NULL, 0);
    return 0;
}

static void stored(void *arg) { ((struct stream *)arg)->stored_calls++; }

static struct mu_outbox *open_box(struct stream *s, size_t letter_max, size_t lines_max, uint64_t letters)
{
    struct mu_outbox *o = NULL;
    struct mu_err err;
    *s = (struct stream){.last = letters};
    assert_int_equal(mu_loop_new(&s->loop, &err), 0);
    s->timer = mu_timer_new(s->loop, answer, s);
    struct mu_outbox_way way = {.post = post, .arg = s, .letter_max = letter_max, .lines_max = lines_max, .again_ms = 1};
    assert_int_equal(mu_outbox_new(&o, s->loop, &way, "run.agent", letters, stored, s, &err), 0);
    return o;
}

static void close_box(struct stream *s, struct mu_outbox *o)
{
    mu_outbox_free(o);
    mu_timer_free(s->timer);
    mu_loop_free(s->loop);
    mu_buf_free(&s->whole);
    mu_buf_free(&s->event);
}

static void let_go(struct stream *s)
{
    s->holds = false;
    if (s->done)
        mu_timer_start(s->timer, NULL, 0);
}

static void until_empty(struct stream *s, struct mu_outbox *o)
{
    while (!mu_outbox_is_empty(o))
        mu_loop_turn(s->loop, true);
}

/* ---- events ---- */

static uint64_t put(struct mu_outbox *o, size_t index, size_t text_len)
{
    struct mu_buf event = MU_BUF_INIT;
    char *text = malloc(text_len + 1);
    memset(text, 'x', text_len);
    text[text_len] = '\0';
    struct mu_wire_event e = {.kind = MU_EVENT_REFUSED, .index = index, .delivery = 1, .text = text};
    mu_wire_add_event(&event, &e);
    free(text);
    return mu_outbox_put_take(o, &event);
}

static void line(struct mu_outbox *o, enum mu_level level, const char *fmt, int n)
{
    struct mu_buf event = MU_BUF_INIT, text = MU_BUF_INIT;
    mu_buf_addf(&text, "%s %d", fmt, n);
    struct mu_record r = {.level = level, .wall_ms = 1, .msg = text.data, .msg_len = text.len};
    mu_wire_add_line(&event, &r);
    mu_outbox_line_take(o, level, &event);
    mu_buf_free(&text);
}

/* Call fn for each event that was stored. */
static void each(const struct stream *s, void (*fn)(void *arg, const struct mu_wire_event *e), void *arg)
{
    struct mu_wire_event e;
    struct mu_err err;
    size_t at = 0;
    int rc;
    while ((rc = mu_wire_read_event(&e, s->whole.data, s->whole.len, &at, &err)) == 0) {
        fn(arg, &e);
        mu_wire_event_clear(&e);
    }
    assert_int_equal(rc, MU_ENOENT);
}

static void in_order(void *arg, const struct mu_wire_event *e)
{
    size_t *next = arg;
    assert_int_equal(e->index, *next);
    (*next)++;
}

static void events_keep_their_order_across_failures(void **state)
{
    (void)state;
    struct stream s;
    struct mu_outbox *o = open_box(&s, 4096, 0, 0);
    size_t next = 0;
    for (size_t i = 0; i < 300; i++) {
        put(o, i, 50);
        if (i % 150 == 7)
            s.fail = 1;
        if (i % 150 == 17)
            s.forgets = 1;
        if (i % 150 == 37)
            s.refuses = 1;
        if (i % 10 == 0)
            mu_loop_turn(s.loop, false);
    }
    until_empty(&s, o);
    each(&s, in_order, &next);
    assert_int_equal(next, 300);
    assert_true(s.posts > s.last); /* some were posted again */
    assert_int_equal(mu_outbox_letters(o), s.last);
    assert_true(s.largest <= 4096);
    assert_int_equal(s.fail + s.forgets + s.refuses, 0);
    close_box(&s, o);
}

static void what_is_tried_again_has_the_same_id(void **state)
{
    (void)state;
    struct stream s;
    struct mu_outbox *o = open_box(&s, 0, 0, 41);
    s.forgets = 2;
    put(o, 0, 10);
    until_empty(&s, o);
    assert_int_equal(s.posts, 3);
    assert_string_equal(s.id, "run.agent.42");
    put(o, 1, 10);
    until_empty(&s, o);
    assert_string_equal(s.id, "run.agent.43"); /* numbered on from those before */
    close_box(&s, o);
}

static void a_large_event_goes_in_pieces(void **state)
{
    (void)state;
    struct stream s;
    struct mu_outbox *o = open_box(&s, 4096, 0, 0);
    size_t next = 0;
    put(o, 0, 10);
    put(o, 1, 100000);
    put(o, 2, 10);
    put(o, 3, 4096 - 64); /* as large as a letter, and a little more */
    s.fail = 1;
    until_empty(&s, o);
    each(&s, in_order, &next);
    assert_int_equal(next, 4);
    assert_true(s.last > 25);
    assert_true(s.largest <= 4096);
    close_box(&s, o);
}

static void a_mark_is_reached_when_it_is_stored(void **state)
{
    (void)state;
    struct stream s;
    struct mu_outbox *o = open_box(&s, 4096, 0, 0);
    s.holds = true;
    uint64_t first = put(o, 0, 10);
    while (!s.done)
        mu_loop_turn(s.loop, true);
    uint64_t large = put(o, 1, 10000), last = put(o, 2, 10);
    assert_true(mu_outbox_stored(o) < first);
    mu_timer_start(s.timer, NULL, 0); /* that one alone is answered */
    while (mu_outbox_stored(o) < first)
        mu_loop_turn(s.loop, true);
    assert_int_equal(s.stored_calls, 1);
    assert_true(mu_outbox_stored(o) < large);
    s.fail = 1;
    let_go(&s);
    until_empty(&s, o);
    assert_true(mu_outbox_stored(o) >= last);
    close_box(&s, o);
}

struct seen {
    unsigned events, lines[MU_LEVEL_OFF];
    unsigned first[MU_LEVEL_OFF], last[MU_LEVEL_OFF];
    char told[512];
};

static void look(void *arg, const struct mu_wire_event *e)
{
    struct seen *seen = arg;
    unsigned n = 0;
    if (e->kind != MU_EVENT_LINE) {
        seen->events++;
        return;
    }
    const char *text = mu_buf_cstr(&e->line->msg);
    if (strstr(text, "dropped")) {
        assert_int_equal(e->line->level, MU_WARNING);
        assert_string_equal(seen->told, "");
        snprintf(seen->told, sizeof seen->told, "%s", text);
        return;
    }
    assert_int_equal(sscanf(text, "line %u", &n), 1);
    if (!seen->lines[e->line->level]++)
        seen->first[e->line->level] = n;
    else
        assert_true(n > seen->last[e->line->level]);
    seen->last[e->line->level] = n;
}

static size_t cost_of_a_line(void)
{
    struct stream s;
    struct mu_outbox *o = open_box(&s, 0, 0, 0);
    line(o, MU_DEBUG, "line", 999);
    size_t n = mu_outbox_bytes(o);
    close_box(&s, o);
    return n;
}

/* 1000 lines of each of some levels, in turn, where there is room for so many. */
static void flood(struct stream *s, size_t room, const enum mu_level *levels, size_t n_levels, struct seen *seen)
{
    size_t lines_max = room * cost_of_a_line();
    struct mu_outbox *o = open_box(s, 0, lines_max, 0);
    *seen = (struct seen){0};
    s->holds = true;
    put(o, 0, 10);
    while (!s->done)
        mu_loop_turn(s->loop, true);
    for (int i = 0; i < 1000; i++) {
        for (size_t l = 0; l < n_levels; l++)
            line(o, levels[l], "line", i);
        if (i % 100 == 0)
            put(o, 0, 10000); /* no line */
        assert_true(mu_outbox_bytes(o) < lines_max + 1200 * (size_t)(10 + i));
    }
    let_go(s);
    until_empty(s, o);
    each(s, look, seen);
    assert_int_equal(seen->events, 11);
    close_box(s, o);
}

static void debug_lines_are_dropped_first(void **state)
{
    (void)state;
    static const enum mu_level levels[] = {MU_DEBUG, MU_INFO, MU_ERROR};
    struct stream s;
    struct seen seen;
    char told[256];
    flood(&s, 2400, levels, 3, &seen);
    assert_int_equal(seen.lines[MU_INFO], 1000);
    assert_int_equal(seen.lines[MU_ERROR], 1000);
    assert_true(seen.lines[MU_DEBUG] > 0 && seen.lines[MU_DEBUG] < 1000);
    assert_int_equal(seen.last[MU_DEBUG], 999); /* the oldest went */
    assert_int_equal(seen.first[MU_DEBUG], 1000 - seen.lines[MU_DEBUG]);
    snprintf(told, sizeof told, "%u lines of the log were dropped here, since more came than could be sent: %u of level debug.",
             1000 - seen.lines[MU_DEBUG], 1000 - seen.lines[MU_DEBUG]);
    assert_string_equal(seen.told, told);
}

static void then_those_of_the_next_level(void **state)
{
    (void)state;
    static const enum mu_level levels[] = {MU_DEBUG, MU_INFO, MU_WARNING, MU_ERROR};
    struct stream s;
    struct seen seen;
    char told[256];
    flood(&s, 2600, levels, 4, &seen);
    assert_int_equal(seen.lines[MU_ERROR], 1000);
    assert_int_equal(seen.lines[MU_WARNING], 1000);
    assert_true(seen.lines[MU_INFO] > 0 && seen.lines[MU_INFO] < 1000);
    assert_int_equal(seen.first[MU_INFO], 1000 - seen.lines[MU_INFO]);
    assert_true(seen.lines[MU_DEBUG] <= 1); /* the last one may have been the first for which there was room */
    snprintf(told, sizeof told, "%u of level debug, %u of level info.", 1000 - seen.lines[MU_DEBUG], 1000 - seen.lines[MU_INFO]);
    assert_non_null(strstr(seen.told, told));
}

static void nothing_is_told_when_nothing_was_dropped(void **state)
{
    (void)state;
    static const enum mu_level levels[] = {MU_DEBUG, MU_INFO};
    struct stream s;
    struct seen seen;
    flood(&s, 2001, levels, 2, &seen);
    assert_int_equal(seen.lines[MU_DEBUG], 1000);
    assert_int_equal(seen.lines[MU_INFO], 1000);
    assert_string_equal(seen.told, "");
}

#define THREADS 4
#define EACH 2000
struct writer {
    struct mu_outbox *o;
    size_t number;
};

static void *write_some(void *arg)
{
    struct writer *w = arg;
    for (size_t i = 0; i < EACH; i++) {
        put(w->o, w->number * EACH + i, 20);
        line(w->o, MU_INFO, "line", (int)i);
    }
    return NULL;
}

static void of_each(void *arg, const struct mu_wire_event *e)
{
    size_t *next = arg;
    if (e->kind == MU_EVENT_LINE)
        return;
    size_t thread = e->index / EACH;
    assert_int_equal(e->index % EACH, next[thread]);
    next[thread]++;
}

static void threads_append_in_their_order(void **state)
{
    (void)state;
    struct stream s;
    struct mu_outbox *o = open_box(&s, 0, 0, 0);
    struct writer writers[THREADS];
    pthread_t threads[THREADS];
    size_t next[THREADS] = {0}, all = 0;
    for (size_t i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){.o = o, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_some, &writers[i]), 0);
    }
    while (all < (size_t)THREADS * EACH) {
        mu_loop_turn(s.loop, true);
        all = 0;
        memset(next, 0, sizeof next);
        if (mu_outbox_is_empty(o)) {
            each(&s, of_each, next);
            for (size_t i = 0; i < THREADS; i++)
                all += next[i];
        }
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    until_empty(&s, o);
    close_box(&s, o);
}

static void what_nobody_wants_is_not_posted(void **state)
{
    (void)state;
    struct stream s;
    struct mu_outbox *o = open_box(&s, 4096, 0, 0);
    s.holds = true;
    put(o, 0, 10);
    while (!s.done)
        mu_loop_turn(s.loop, true);
    put(o, 1, 100000);
    line(o, MU_INFO, "line", 1);
    mu_outbox_shut(o);
    put(o, 2, 10);
    s.rc = MU_EIO; /* nor is the one under way posted again */
    let_go(&s);
    until_empty(&s, o);
    assert_int_equal(s.posts, 1);
    close_box(&s, o);
}

static void what_is_held_waits(void **state)
{
    (void)state;
    struct stream s;
    struct mu_outbox *o = open_box(&s, 4096, 0, 0);
    size_t next = 0;
    s.fail = 1; /* as the one does that is under way when the connection is lost */
    put(o, 0, 10);
    while (!s.posts)
        mu_loop_turn(s.loop, true);
    mu_outbox_hold(o, true);
    put(o, 1, 10);
    for (int i = 0; i < 20; i++) {
        put(o, (size_t)i + 2, 10);
        mu_loop_turn(s.loop, false);
        usleep(1000); /* more than the pause before a letter is tried again */
    }
    assert_int_equal(s.posts, 1);
    mu_outbox_hold(o, false);
    until_empty(&s, o);
    each(&s, in_order, &next);
    assert_int_equal(next, 22);
    close_box(&s, o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_keep_their_order_across_failures),
        cmocka_unit_test(what_is_tried_again_has_the_same_id),
        cmocka_unit_test(a_large_event_goes_in_pieces),
        cmocka_unit_test(a_mark_is_reached_when_it_is_stored),
        cmocka_unit_test(debug_lines_are_dropped_first),
        cmocka_unit_test(then_those_of_the_next_level),
        cmocka_unit_test(nothing_is_told_when_nothing_was_dropped),
        cmocka_unit_test(threads_append_in_their_order),
        cmocka_unit_test(what_nobody_wants_is_not_posted),
        cmocka_unit_test(what_is_held_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
