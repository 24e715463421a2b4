/* process_internal.h: one running local command, as its three files see it.
 *
 * process.c starts it, notices its end and frees it; process_stream.c moves its input and output; process_end.c ends it
 * early. Owner: as process.h. Thread: as process.h. Must not know: as process.h.
 */
#ifndef MU_LOOP_PROCESS_INTERNAL_H
#define MU_LOOP_PROCESS_INTERNAL_H

#include "loop/internal.h"
#include "loop/lines.h"
#include "loop/process.h"
#include "loop/process_os.h"

/* libuv's handle has a life of its own: it must stay until the command is reaped, also when its owner has gone. */
struct mu_process_child {
    uv_process_t uv;
    struct mu_loop *loop;
    struct mu_process *p; /* NULL: freed, or there is none */
    struct mu_partner *partner; /* partner.h's instead; NULL: freed */
    void (*partner_reaped)(struct mu_process_child *child);
    struct mu_ctx *partner_ctx; /* the partner's */
    struct mu_list link;  /* in loop->orphans then */
    int exit_status;
    int term_signal;
};

struct mu_process_stream {
    struct mu_process *p;
    struct mu_watch *watch; /* NULL: ended */
    int fd;
    struct mu_buf *kept;   /* NULL: lines are handed over instead */
    struct mu_lines lines;
    bool discard; /* over the limit: read on, so that the command can end, but keep nothing */
};

struct mu_process {
    struct mu_loop *loop;
    struct mu_ctx *ctx;
    struct mu_process_child *child; /* NULL once reaped */
    mu_process_fn *done;
    void *arg;
    struct mu_exec_result result;
    size_t limit;

    char *input;
    size_t input_len, input_sent;
    int input_fd;
    struct mu_watch *input_watch; /* NULL: closed */
    long (*more_input)(void *arg, char *buf, size_t n, struct mu_err *err); /* NULL: none, or no more */
    int (*on_output)(void *arg, const char *bytes, size_t n, struct mu_err *err);
    void *stream_arg;
    struct mu_process_stream streams[2];

    struct mu_timer *drain;
    bool draining, drained;

    struct mu_timer *ender; /* of an abort */
    bool aborting, killed, group_gone;
    uint64_t kill_at_ms, give_up_at_ms, poll_ms;

    unsigned depth; /* loop callbacks of ours on the stack: the memory must last as long */
    bool finished, freed;
};

/* The exit callback of a spawned child: tells whoever it belongs to, and frees it. */
void mu_process_on_exit(uv_process_t *uv, int64_t exit_status, int term_signal);
void mu_process_drop_child(struct mu_process_child *child); /* one that could not be spawned */

/* Around every callback from the loop: what is freed in there goes when the last one is left. */
void mu_process_enter(struct mu_process *p);
void mu_process_leave(struct mu_process *p);
/* Call done when all that it waits for has happened. */
void mu_process_maybe_finish(struct mu_process *p);

/* Take over three descriptors (see mu_process_spawn) and move bytes from now on. */
int mu_process_streams_open(struct mu_process *p, const int fds[3], const struct mu_exec_request *req, struct mu_err *err);
/* Read what is there now, without waiting. */
void mu_process_streams_drain(struct mu_process *p);
/* Done with the output: an unterminated last line is handed over. */
void mu_process_streams_end(struct mu_process *p);
/* The same without a word to the user, and the input closed. */
void mu_process_streams_close(struct mu_process *p);
bool mu_process_streams_ended(const struct mu_process *p); /* the two that are read */

/* A look at an abort under way: a timer's callback, also called when the command has been reaped. */
void mu_process_end_step(void *process);
void mu_process_send_group(struct mu_process *p, int signum);

#endif
