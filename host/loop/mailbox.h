/* mailbox.h: messages into a loop from any thread.
 *
 * Purpose: the only way threads of a run talk: many senders, one receiving loop, order kept per sender.
 * Owner: a message belongs to the sender until posted, then to the mailbox, then to the receiver's callback, which frees
 *   it. Messages still queued at mu_mailbox_free() are handed to `drop`.
 * Thread: mu_mailbox_post() and mu_mailbox_post_later() any, including a signal-free helper thread; the rest the loop's.
 * Must not know: what the messages say. Never Lua values: plain copied data only.
 */
#ifndef MU_LOOP_MAILBOX_H
#define MU_LOOP_MAILBOX_H

#include "loop/loop.h"

/* Embed as the first member of a message. */
struct mu_msg {
    struct mu_msg *next;
    int kind;
};

typedef void mu_mailbox_fn(void *arg, struct mu_msg *msg);

struct mu_mailbox;
int mu_mailbox_new(struct mu_mailbox **out, struct mu_loop *loop, mu_mailbox_fn *fn, void *arg, struct mu_err *err);
void mu_mailbox_post(struct mu_mailbox *mb, struct mu_msg *msg);
/* The same without waking the loop: it comes, in its order, with the next message or nudge that does. */
void mu_mailbox_post_later(struct mu_mailbox *mb, struct mu_msg *msg);
/* The same where the loop is woken, unless it rests. */
void mu_mailbox_post_soon(struct mu_mailbox *mb, struct mu_msg *msg);
/* rests: what is posted soon waits until it rests no more, which is to come soon and by itself (a timer). The loop's thread. */
void mu_mailbox_rest(struct mu_mailbox *mb, bool rests);
/* Wake the loop and call fn once with msg == NULL, soon. Async-signal-safe; several calls may be merged. */
void mu_mailbox_nudge(struct mu_mailbox *mb);
/* No post may be under way or follow. */
void mu_mailbox_free(struct mu_mailbox *mb, void (*drop)(struct mu_msg *msg));

#endif
