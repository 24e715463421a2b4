#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "loop/mailbox.h"

struct note {
    struct mu_msg msg;
    int sender, number;
};

enum { SENDERS = 8, PER_SENDER = 20000 };

struct inbox {
    struct mu_mailbox *mb;
    int next[SENDERS];
    int received, nudges;
    bool disorder, in_context;
    int repost;     /* this many more, one from each callback */
    bool free_self; /* at the next message */
};

static int dropped;

static void drop(struct mu_msg *msg)
{
    dropped++;
    free(msg);
}

static struct mu_msg *note(int sender, int number)
{
    struct note *note = calloc(1, sizeof(*note));

    note->msg.kind = 7;
    note->sender = sender;
    note->number = number;
    return &note->msg;
}

static void post(struct mu_mailbox *mb, int sender, int number) { mu_mailbox_post(mb, note(sender, number)); }

static void on_message(void *arg, struct mu_msg *msg)
{
    struct inbox *in = arg;
    struct note *note = (struct note *)msg;

    in->in_context = in->in_context || mu_ctx_current();
    if (!msg) {
        in->nudges++;
    } else {
        in->disorder = in->disorder || note->msg.kind != 7 || note->number != in->next[note->sender]++;
        in->received++;
        free(note);
        if (in->repost > 0) {
            in->repost--;
            post(in->mb, 0, in->next[0]);
        }
    }
    if (in->free_self)
        mu_mailbox_free(in->mb, drop);
}

static struct inbox *open_inbox(struct mu_loop *loop)
{
    struct inbox *in = calloc(1, sizeof(*in));
    struct mu_err err;

    if (mu_mailbox_new(&in->mb, loop, on_message, in, &err))
        fail_msg("%s", err.msg);
    return in;
}

static void close_inbox(struct inbox *in, struct mu_loop *loop)
{
    if (!in->free_self)
        mu_mailbox_free(in->mb, drop);
    mu_loop_free(loop);
    free(in);
}

struct sender {
    struct mu_mailbox *mb;
    int id;
};

static void *send_all(void *arg)
{
    struct sender *s = arg;

    for (int i = 0; i < PER_SENDER; i++)
        post(s->mb, s->id, i);
    return NULL;
}

static void test_many_senders(void **state)
{
    struct mu_loop *loop = new_loop();
    struct inbox *in = open_inbox(loop);
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];

    (void)state;
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){in->mb, i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    turn_until(loop, &in->received, SENDERS * PER_SENDER);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    mu_loop_turn(loop, false);
    assert_int_equal(in->received, SENDERS * PER_SENDER);
    assert_false(in->disorder);
    assert_false(in->in_context);
    assert_int_equal(in->nudges, 0);
    close_inbox(in, loop);
}

static _Atomic(struct mu_mailbox *) nudged;
static atomic_int signals_sent;

static void on_signal(int signum)
{
    (void)signum;
    mu_mailbox_nudge(atomic_load(&nudged));
}

static void *send_signals(void *arg)
{
    pthread_t *target = arg;

    for (int i = 0; i < 200; i++)
        pthread_kill(*target, SIGUSR1);
    atomic_store(&signals_sent, 1);
    pthread_kill(*target, SIGUSR1);
    return NULL;
}

static void test_nudge_from_signal_handler(void **state)
{
    struct sigaction action = {.sa_handler = on_signal}, former;
    struct mu_loop *loop = new_loop();
    struct inbox *in = open_inbox(loop);
    struct sender s = {in->mb, 0};
    pthread_t self = pthread_self(), signaller, sender;
    int before;

    (void)state;
    atomic_store(&nudged, in->mb);
    assert_int_equal(sigaction(SIGUSR1, &action, &former), 0);
    raise(SIGUSR1); /* merged: no turn between them */
    raise(SIGUSR1);
    turn_until(loop, &in->nudges, 1);
    mu_loop_turn(loop, false);
    assert_int_equal(in->nudges, 1);

    /* signals that hit the loop anywhere: while it waits, delivers, or is being posted to */
    atomic_store(&signals_sent, 0);
    assert_int_equal(pthread_create(&sender, NULL, send_all, &s), 0);
    assert_int_equal(pthread_create(&signaller, NULL, send_signals, &self), 0);
    while (!atomic_load(&signals_sent))
        mu_loop_turn(loop, true);
    pthread_join(signaller, NULL);
    turn_until(loop, &in->received, PER_SENDER);
    pthread_join(sender, NULL);
    turn_until(loop, &in->nudges, 2); /* merged as they may be, one came after the last look */
    mu_loop_turn(loop, false);
    before = in->nudges;
    raise(SIGUSR1); /* none was lost at the end either */
    turn_until(loop, &in->nudges, before + 1);
    assert_false(in->disorder);
    sigaction(SIGUSR1, &former, NULL);
    close_inbox(in, loop);
}

static void test_posting_to_oneself_is_fair(void **state)
{
    struct mu_loop *loop = new_loop();
    struct inbox *in = open_inbox(loop);

    (void)state;
    in->repost = 3;
    post(in->mb, 0, 0);
    for (int i = 1; i <= 4; i++) {
        mu_loop_turn(loop, true); /* one each: others get their turn in between */
        assert_int_equal(in->received, i);
    }
    assert_false(in->disorder);
    close_inbox(in, loop);
}

static void test_later_comes_with_the_next(void **state)
{
    struct mu_loop *loop = new_loop();
    struct inbox *in = open_inbox(loop);

    (void)state;
    mu_mailbox_post_later(in->mb, note(0, 0));
    mu_mailbox_post_later(in->mb, note(0, 1));
    for (int i = 0; i < 100; i++)
        mu_loop_turn(loop, false);
    assert_int_equal(in->received, 0);
    post(in->mb, 0, 2); /* the queue is not empty: it must wake all the same */
    mu_loop_turn(loop, true);
    assert_int_equal(in->received, 3);
    mu_mailbox_post_later(in->mb, note(0, 3));
    mu_mailbox_nudge(in->mb);
    mu_loop_turn(loop, true);
    assert_int_equal(in->received, 4);
    assert_int_equal(in->nudges, 1);
    assert_false(in->disorder);
    close_inbox(in, loop);
}

static void test_free_with_messages(void **state)
{
    struct mu_loop *loop = new_loop();
    struct inbox *in = open_inbox(loop);

    (void)state;
    dropped = 0;
    for (int i = 0; i < 5; i++)
        post(in->mb, 0, i);
    close_inbox(in, loop); /* never delivered */
    assert_int_equal(dropped, 5);

    loop = new_loop();
    in = open_inbox(loop);
    dropped = 0;
    in->free_self = true;
    in->repost = 1;
    for (int i = 0; i < 5; i++)
        post(in->mb, 0, i);
    turn_until(loop, &in->received, 1);
    mu_loop_turn(loop, false);
    assert_int_equal(in->received, 1);
    assert_int_equal(dropped, 5); /* four of the same delivery, and the one posted from inside */
    close_inbox(in, loop);
    mu_mailbox_free(NULL, NULL);

    loop = new_loop(); /* by a nudge, with messages waiting */
    in = open_inbox(loop);
    dropped = 0;
    in->free_self = true;
    mu_mailbox_nudge(in->mb);
    post(in->mb, 0, 0);
    turn_until(loop, &in->nudges, 1);
    assert_int_equal(in->received, 0);
    assert_int_equal(dropped, 1);
    close_inbox(in, loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_senders),
        cmocka_unit_test(test_nudge_from_signal_handler),
        cmocka_unit_test(test_posting_to_oneself_is_fair),
        cmocka_unit_test(test_later_comes_with_the_next),
        cmocka_unit_test(test_free_with_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
