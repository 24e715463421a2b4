/* outbox.h: what an agent writes to a run's coordinator, until the queue has stored it.
 *
 * Purpose: events are appended in order, and posted as letters (wire.h), one at a time, each again and again until it is
 * stored: so their order is kept and nothing is lost. Lines of the log wait in bounded memory: of those that cannot be sent in
 * time the oldest of the lowest level go first, and how many went is told in their place. Results and questions are never
 * dropped.
 * Owner: the guest. It is freed when nothing is under way (mu_outbox_is_empty()), or when its way is closed and calls
 * back no more.
 * Thread: mu_outbox_put_take() and mu_outbox_line_take() any; the rest the loop's. Must not know: what events
 * say; what carries letters.
 */
#ifndef MU_AGENTS_OUTBOX_H
#define MU_AGENTS_OUTBOX_H

#include "core/buf.h"
#include "core/log.h"
#include "nats/client.h"

#define MU_OUTBOX_LINES_MAX ((size_t)8 << 20)    /* bytes of lines that wait */
#define MU_OUTBOX_LETTER_MAX ((size_t)256 << 10) /* bytes of one letter, at most */

struct mu_outbox_way {
    /* As mu_nats_post(), to the run's subject. */
    int (*post)(void *arg, const char *id, const void *bytes, size_t len, mu_nats_post_fn *done, void *done_arg);
    void *arg;
    size_t letter_max; /* bytes; 0: MU_OUTBOX_LETTER_MAX */
    size_t lines_max;  /* 0: MU_OUTBOX_LINES_MAX */
    uint64_t again_ms; /* before a letter is tried again: so long, then twice, … up to 5 s; 0: 250 ms */
};

struct mu_outbox;
/* name: "RUN.AGENT", what letters' ids begin with. letters: how many there were before, of the same name. stored: called, from
 * the loop, when more is stored than before. MU_ENOMEM. */
int mu_outbox_new(struct mu_outbox **out, struct mu_loop *loop, const struct mu_outbox_way *way, const char *name, uint64_t letters,
                  void (*stored)(void *arg), void *arg, struct mu_err *err);
/* No thread adds any more. NULL allowed. */
void mu_outbox_free(struct mu_outbox *o);

/* Append one encoded event, as wire.h makes them; event is empty afterwards. Returns its mark: mu_outbox_stored() is at least
 * that when it is stored. Memory is waited for. */
uint64_t mu_outbox_put_take(struct mu_outbox *o, struct mu_buf *event);
/* Append a line of the log; it may be dropped. */
void mu_outbox_line_take(struct mu_outbox *o, enum mu_level level, struct mu_buf *event);

uint64_t mu_outbox_stored(const struct mu_outbox *o);
uint64_t mu_outbox_letters(const struct mu_outbox *o); /* made so far, those before counted */
size_t mu_outbox_bytes(struct mu_outbox *o);           /* that are not stored yet */
bool mu_outbox_is_empty(struct mu_outbox *o);
/* hold: nothing is posted until it is let go, as long as it is not known whether anybody reads it. */
void mu_outbox_hold(struct mu_outbox *o, bool hold);
/* Nobody wants it any more: what waits is dropped, and so is all that comes; a letter under way is not posted again. */
void mu_outbox_shut(struct mu_outbox *o);

#endif
