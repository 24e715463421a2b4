/* messages.h: what workers tell the main thread, and it them: plain copied data, never Lua values.
 * Owner: as mailbox.h says. Thread: posting any, reading the receiver's. Must not know: what is done about them.
 */
#ifndef MU_RUN_MESSAGES_H
#define MU_RUN_MESSAGES_H

#include "loop/mailbox.h"
#include "results/results.h"
#include "results/verdict.h"
#include "run/task.h"

enum mu_message_kind {
    /* to a worker */
    MU_MSG_DEAL = 1, /* task, peer, kind, verdict, repeat, plain, text: what is claimed, number: the attempt, 0 for 1: start it */
    MU_MSG_CANCEL,   /* number: cancel all, done by then (mu_clock_ms()) */
    MU_MSG_DROP,     /* task; number: the same, of this one alone */
    MU_MSG_KILL,     /* end all at once */
    MU_MSG_STOP,     /* no more is coming: leave when nothing is left */
    MU_MSG_ANSWER,   /* number: to the question with this ticket; code, text, cause: no, and why */
    MU_MSG_LINE,     /* text, NULL: the end. For the console (console.h) */
    MU_MSG_BREAK,    /* cancel the console's line that is at work */
    /* to the main thread */
    MU_MSG_STARTED,
    MU_MSG_STEP,     /* step; number: ticket, answered when it is kept, or 0 */
    MU_MSG_FAILURE,  /* failure: outside steps */
    MU_MSG_UNENDED,  /* text: a command */
    MU_MSG_RETRIED,  /* number: how often a connection was tried again; first: in the end it was made */
    MU_MSG_MARK,     /* mark, text: why, tries */
    MU_MSG_SHARED,   /* plain: what before_all returned */
    MU_MSG_ENDING,   /* worker, number: ticket; took_ms: the server's task has come to its end. Answered when that is kept */
    MU_MSG_FACTS,    /* text: JSON */
    MU_MSG_KEEP,     /* text: the name of an artefact; plain: its bytes */
    MU_MSG_DONE,     /* kind; number: duration in ms; down, of a pair: it, its peer could not be connected to */
    MU_MSG_EXITED,   /* worker */
    MU_MSG_ACQUIRE,  /* task, worker, number: ticket; text: name, amount: limit, first; code not 0: it has it already. Answered in its turn */
    MU_MSG_LEAVE,    /* worker, number: ticket of an earlier ACQUIRE: no longer waits, or holds */
    MU_MSG_PROMPT,   /* worker; text: the answer to the line before, or NULL; first: it goes on. Answered by MU_MSG_LINE */
    MU_MSG_CLAIM     /* worker, number: ticket; task, amount: enum mu_claim_op, text: data. Answered when journalled */
};

struct mu_message {
    struct mu_msg head;
    size_t task, peer; /* peer: of MU_TASK_PAIR alone, the other server */
    enum mu_task_kind kind;
    int worker;
    uint64_t number, took_ms;
    int64_t wall_ms;
    struct mu_step_result *step;
    enum mu_status status;
    char *type, *where, *cause, *text;
    struct mu_verdict *verdict;
    struct mu_repeat *repeat;
    struct mu_buf plain;
    enum mu_mark_state mark;
    unsigned tries, amount;
    bool first, down[2];
    int code;
};

struct mu_message *mu_message_new(int kind); /* NULL when out of memory */
void mu_message_free(struct mu_msg *msg);

/* From a task to the main thread. Out of memory loses the message but for MU_MSG_MARK and MU_MSG_DONE, whose memory is
 * tried for until it is there. Without a main thread (a script is being loaded) they do nothing. */
void mu_post_started(const struct mu_task *t);
void mu_post_step_take(const struct mu_task *t, struct mu_step_result *step);
struct mu_message *mu_message_step_take(const struct mu_task *t, struct mu_step_result *step); /* to be asked; or NULL */
struct mu_message *mu_message_ending(const struct mu_task *t, uint64_t took_ms);               /* the same */
void mu_post_facts(const struct mu_task *t, size_t server, const char *json);
/* MU_ENOMEM. Where nothing is kept it costs nothing. */
int mu_post_keep(const struct mu_task *t, size_t server, const char *name, const void *bytes, size_t n);
void mu_post_failure(const struct mu_task *t, enum mu_status status, const char *type, const char *where,
                     const char *cause, const char *message);
void mu_post_unended(const struct mu_task *t, size_t server, const char *command);
void mu_post_retried(const struct mu_task *t, size_t server, unsigned retries, bool connected);
void mu_post_mark(const struct mu_task *t); /* as t->mark says */
void mu_post_shared_take(const struct mu_task *t, struct mu_buf *plain); /* also never lost */
void mu_post_done(const struct mu_task *t, uint64_t took_ms);

#endif
