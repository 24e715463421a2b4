/* remote.h: a task's way to its server: over SSH, or on this machine when the transport is local.
 *
 * Purpose: connect once and lazily, run commands, with per-call timeouts and the same shape for both transports.
 * Owner: the remote belongs to its task; a call lives in memory of its starter (a userdata) and is closed by
 *   mu_call_close(), which the end of the task also does for calls that are still open.
 * Thread: the worker's.
 * Must not know: the Lua stack.
 *
 * Fibers of one task share its connection. sshd allows 10 sessions in one (MaxSessions): commands beyond MU_REMOTE_CHANNELS,
 * or what the server was seen to allow, wait for others to end; their timeouts count from their start.
 */
#ifndef MU_RUN_REMOTE_H
#define MU_RUN_REMOTE_H

#include "core/exec.h"
#include "run/fiber.h"
#include "run/sudo.h"
#include "ssh/ssh.h"

struct mu_task;
struct mu_server;

#define MU_REMOTE_CHANNELS 8 /* of sshd's 10: ending commands takes channels, too */

enum mu_remote_state { MU_REMOTE_NEW, MU_REMOTE_CONNECTING, MU_REMOTE_UP, MU_REMOTE_FAILED, MU_REMOTE_LOST };

/* Where and how to connect. What is not said stays as it was: as an earlier connect said, else as the inventory says. */
struct mu_connect_request {
    uint64_t wait_ms;             /* > 0: try again until then */
    const char *address, *user, *key; /* NULL: not said */
    int port;                     /* 0: not said */
    const char *const *host_keys; /* NULL-terminated: these alone are trusted; NULL: not said */
    bool accept_new;              /* the key seen first is trusted, by this task alone */
};

struct mu_remote {
    struct mu_task *task;
    const struct mu_server *server; /* NULL: none, it is this machine */
    size_t index;               /* the server's, in the run's results */
    bool local;
    struct {
        char *address, *user, *key;
        int port;
        struct mu_ssh_trust *trust;
    } own;                      /* what a connect of the task said; NULL and 0: nothing */
    enum mu_remote_state state;
    struct mu_ssh_session *ssh;
    struct mu_err error;        /* why FAILED or LOST */
    struct mu_list calls;       /* all open */
    unsigned busy, channels;    /* commands that run over the connection; how many may: the rest wait in line */
    bool doubtful;              /* a command there could not be ended: not to be used again once it is idle */
    bool closed;
    uint64_t retry_until_ms;    /* server:connect{wait=…}: whatever may come to be is tried again until then; 0: a few
                                   retries, of what may pass */
    uint64_t retry_delay_ms;
    unsigned tries;             /* of this connect, that have failed */
    struct mu_timer *retry;
    struct mu_ctx *ctx;         /* of the call that connects */
};

void mu_remote_init(struct mu_remote *r, struct mu_task *task, const struct mu_server *server, size_t index, bool local);
void mu_remote_close(struct mu_remote *r); /* ends all: calls are closed, the session freed */
/* Forget a lost or failed connection, so that the next call connects again. */
void mu_remote_reset(struct mu_remote *r);
void mu_remote_disconnect(struct mu_remote *r); /* as mu_remote_reset, also when connected */

enum mu_call_kind { MU_CALL_CONNECT, MU_CALL_EXEC };

struct mu_call {
    struct mu_wait wait; /* await this */
    enum mu_call_kind kind;
    bool open;
    struct mu_task *task;
    struct mu_remote *remote; /* of the task */
    struct mu_list link;
    struct mu_ctx *ctx;
    bool here;           /* a command of this machine, whatever the transport */
    bool counted;        /* in remote.busy */
    bool dry;            /* a dry run: it was only told of, and went well */
    char *command;         /* what messages call it */
    char *text, *input;    /* the command as it was asked for */
    size_t input_len;
    struct mu_sudo sudo;   /* what it became, when it is to run as root */
    bool as_root;
    char **env;
    struct mu_exec_request req;
    uint64_t timeout_ms;
    struct mu_timer *timer;
    struct mu_ssh_exec *ssh;
    struct mu_process *process;
    struct mu_process *ender; /* of a command of this machine that runs as root, when we do not */
    struct mu_sudo ender_sudo;
    bool ending;
    struct mu_err error; /* code 0: the command ran to its end, or connected */
    struct mu_buf lines; /* for a line callback: stream byte, 4-byte length, text; read from lines_read on */
    size_t lines_read;
    const struct mu_exec_result *replayed; /* from a transcript (tape.h), or NULL */
    struct mu_exec_result lined;           /* the same without what was handed over as lines */
    struct mu_buf seen[2];                 /* what lines were handed over, for a transcript: stdout, stderr */
    char streamed[65];                     /* SHA-256 of a file that went to the server, in hex; "": none has, wholly */
    bool seen_cut;                         /* more came than a transcript takes */
    struct mu_buf seen_order;              /* 'o' or 'e' a line */
    bool held; /* the server waits until the lines that are there are taken */
};

/* Begin to connect; with anything but wait_ms in req an open connection is closed first, and it holds for the task from
 * now on (a local remote ignores it). req is copied. Never fails at once: see c->error when the wait is done. */
void mu_call_connect(struct mu_call *c, struct mu_remote *r, struct mu_ctx *ctx, const struct mu_connect_request *req);
/* Begin a command, connecting first where needed. req is copied; with lines, output goes to c->lines, and the waiting
 * fiber is woken for it. here: on this machine. as_root: by sudo. timeout_ms 0: none. */
void mu_call_exec(struct mu_call *c, struct mu_remote *r, struct mu_ctx *ctx, const struct mu_exec_request *req,
                  bool lines, bool here, bool as_root, uint64_t timeout_ms);
/* NULL when the command was never started; empty, with exit status 0, in a dry run. Valid until close. */
const struct mu_exec_result *mu_call_result(const struct mu_call *c);
/* The next line that came; false when there is none now. */
bool mu_call_next_line(struct mu_call *c, enum mu_exec_stream *stream, const char **text, size_t *len);
/* End it early: the wait is done when the command has ended, there too. Nothing when it is over. */
void mu_call_end(struct mu_call *c);
void mu_call_close(struct mu_call *c); /* idempotent; a command still running is named unended */

#endif
