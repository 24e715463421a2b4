/* wire.h: what coordinator and agents write each other: MessagePack (msgpack.org/spec), by libmsgpackc.
 *
 * Purpose: tasks, results, log lines, questions and answers as bytes, and back. What is read comes from elsewhere: whatever is
 *   wrong with it is MU_EINVAL in words, and memory is taken in proportion to its bytes, whatever they claim.
 * Files: wire_form.h says how elements are put and got; wire_span.c looks before memory is taken.
 * Owner: what is read is the caller's; a reader that fails leaves nothing to be cleared. Thread: any.
 * Must not know: how bytes travel; what is done with them.
 *
 * Every message is an array whose first elements are the form's number (MU_WIRE_FORM) and its kind. Both ends are the same version
 * of muster, which the subjects see to; so there is one form, and another number is refused. Texts are str, also those that are no
 * UTF-8, and hold no zero byte; bytes are bin.
 *
 * Whether indexes are of the run, and a choice of steps (repeat->n) is of the script, is for who reads to look at.
 */
#ifndef MU_AGENTS_WIRE_H
#define MU_AGENTS_WIRE_H

#include "core/buf.h"
#include "core/log.h"
#include "inventory/inventory.h"
#include "results/past.h"
#include "run/messages.h"

#define MU_WIRE_FORM 1

/* ---- tasks: coordinator → queue → agent ---- */

struct mu_wire_task {
    char *run_id;
    size_t index, peer;             /* in the run; peer: of MU_TASK_PAIR */
    enum mu_task_kind kind;
    struct mu_inventory *servers;   /* one, or of a pair two; without secrets. NULL: the task is about none */
    struct mu_verdict *verdict;     /* as in mu_order; NULL likewise below */
    struct mu_repeat *repeat;
    char *claim;                    /* what is known of an open one */
    struct mu_past *past;           /* of its own metrics that are judged by it; NULL: not known, */
    char *past_why;                 /* since …; NULL: nobody asks */
};
/* Of a MU_MSG_DEAL. past: of it goes what the rules look at. rules, script: may be NULL where past is.
 * out->failed: no memory, or a server that is no UTF-8. */
void mu_wire_add_task(struct mu_buf *out, const char *run_id, const struct mu_message *deal, const struct mu_server *server,
                      const struct mu_server *peer, const struct mu_rules *rules, const struct mu_script *script,
                      const struct mu_past *past, const char *past_why);
/* A task for a server has one, that of a pair two; MU_TASK_AGAIN has repeat. MU_EINVAL, MU_ENOMEM. */
int mu_wire_read_task(struct mu_wire_task *out, const void *bytes, size_t len, struct mu_err *err);
void mu_wire_task_clear(struct mu_wire_task *t);

/* ---- events: agent → stream → coordinator ---- */

enum mu_wire_event_kind {
    MU_EVENT_STARTED = 1, /* index, kind, delivery, wall_ms; fences who had it before */
    MU_EVENT_RESULT,      /* index, kind, delivery, messages: what the task came to, the last of them MU_MSG_DONE */
    MU_EVENT_LINE,        /* record */
    MU_EVENT_CLAIM,       /* index, delivery, text: what the claim holds now, NULL: released; ticket: which change, as the queue counts */
    MU_EVENT_ACQUIRE,     /* index, delivery, ticket, text: name, limit, first, held: it has the permit already */
    MU_EVENT_LEAVE,       /* index, delivery, ticket */
    MU_EVENT_EXHAUSTED,   /* index, kind, delivery: handed out for the last time, and not run */
    MU_EVENT_REFUSED,     /* index, kind, delivery, text: this agent cannot run it */
    MU_EVENT_IDLE         /* this agent has nothing of the run any more */
};
struct mu_wire_event {
    enum mu_wire_event_kind kind;
    size_t index;
    enum mu_task_kind task;
    uint64_t delivery, ticket;
    int64_t wall_ms;
    char *text;
    unsigned limit;
    bool first, held;
    struct mu_list messages;        /* mu_wire_note, in order */
    struct mu_wire_line *line;
};
struct mu_wire_note {
    struct mu_list link;
    struct mu_message *m;           /* task, peer: indexes in the run */
};
struct mu_wire_line {
    enum mu_level level;
    int64_t wall_ms;
    struct mu_buf msg;              /* raw bytes */
    struct mu_field *fields;        /* keys and strings are its own */
    size_t n_fields;
};
/* Each appends one event. */
void mu_wire_add_event(struct mu_buf *out, const struct mu_wire_event *e); /* without messages and line */
void mu_wire_add_line(struct mu_buf *out, const struct mu_record *record);
/* One message of a task that is to be part of its result; task and peer: what its indexes are in the run. Of the struct all is
 * written but worker, verdict and repeat. out->failed also when it is of a kind that no task posts. */
void mu_wire_add_note(struct mu_buf *out, const struct mu_message *m, size_t task, size_t peer);
/* The notes that were added to one buffer, as an event. */
void mu_wire_add_result(struct mu_buf *out, const struct mu_wire_event *e, const struct mu_buf *notes);
/* The next of the events in bytes, from *at on, which it moves. 0: *out is one, to be cleared; MU_ENOENT: no more (err is not set).
 * MU_EINVAL, MU_ENOMEM. A result has messages that a task posts, each with what it is about, and one MU_MSG_DONE, the last. */
int mu_wire_read_event(struct mu_wire_event *out, const void *bytes, size_t len, size_t *at, struct mu_err *err);
void mu_wire_event_clear(struct mu_wire_event *e);

/* A letter is what goes into one message of the stream: whole events, or a piece of a large one. */
struct mu_wire_letter {
    uint64_t number;  /* from 1, of this agent and run */
    bool more;        /* the event goes on in the next letter */
    const void *bytes;
    size_t len;       /* borrowed from what was read */
};
void mu_wire_add_letter(struct mu_buf *out, const struct mu_wire_letter *l);
int mu_wire_read_letter(struct mu_wire_letter *out, const void *bytes, size_t len, struct mu_err *err);

/* ---- what coordinator and agents tell each other directly ---- */

enum mu_wire_word_kind {
    MU_WORD_HAIL = 33, /* a coordinator is (again) at work: text: version; agents ask their open questions anew */
    MU_WORD_ANSWER,    /* ticket, code, text: why not */
    MU_WORD_KEPT,      /* index, delivery: the result is committed: acknowledge */
    MU_WORD_DROP,      /* index, delivery: no longer wanted; what runs is cancelled. code: 0, or MU_EEXIST: another one is at the task,
                        * whose message is not to be acknowledged for that one */
    MU_WORD_CANCEL,    /* grace_ms: all of the run */
    MU_WORD_KILL
};
struct mu_wire_word {
    enum mu_wire_word_kind kind;
    size_t index;
    uint64_t delivery, ticket, grace_ms;
    int code;
    char *text;
};
void mu_wire_add_word(struct mu_buf *out, const struct mu_wire_word *w);
/* As mu_wire_read_event(). */
int mu_wire_read_word(struct mu_wire_word *out, const void *bytes, size_t len, size_t *at, struct mu_err *err);
void mu_wire_word_clear(struct mu_wire_word *w);

#endif
