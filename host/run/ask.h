/* ask.h: a question of a fiber to the main thread, and its answer.
 *
 * Purpose: what is decided once a run (who may go next, what the journal holds) is decided in the main thread; a fiber
 *   posts a message that carries the question's ticket and awaits the answer that carries it back.
 * Owner: the asker embeds the struct in memory that outlives the question, or drops it. Thread: the worker's, but
 *   mu_answer(): the main thread. Must not know: what is asked.
 */
#ifndef MU_RUN_ASK_H
#define MU_RUN_ASK_H

#include "run/fiber.h"

struct mu_message;

struct mu_ask {
    struct mu_wait wait; /* done when the answer has come */
    struct mu_list link; /* in the worker's asks until then */
    uint64_t ticket;     /* unique in its worker */
    struct mu_err err;   /* the answer: code 0 is yes */
    void (*answered)(struct mu_ask *ask); /* before the wait is done, also when nobody waits any more; NULL: nothing to do */
    void (*then)(struct mu_ask *ask);     /* last of all: the ask may be gone after it; NULL: nothing to do */
};

/* Make m the question and post it; wait's cancel and abandon are the asker's to set before. */
void mu_ask_post(struct mu_ask *ask, struct mu_worker *w, struct mu_message *m_take);
/* The same, with an answer that may take a moment: see mu_mailbox_post_soon(). */
void mu_ask_post_soon(struct mu_ask *ask, struct mu_worker *w, struct mu_message *m_take);
/* No longer interested: the answer will go nowhere. Harmless when it has come. */
void mu_ask_drop(struct mu_ask *ask);
/* The worker got an answer. */
void mu_ask_answered(struct mu_worker *w, const struct mu_message *m);

/* Answer a question that came in this message's words: err NULL or with code 0 is yes. */
void mu_answer(struct mu_worker *w, uint64_t ticket, const struct mu_err *err);

#endif
