/* internal.h: what the files of a session share: session.c, connect.c, way.c, alive.c, auth.c, exec.c, channel.c, command.c,
 * end.c; tunnel.c and jump.c beside them.
 *
 * Purpose: the two structs behind ssh.h, and the calls between those files.
 * Owner: as ssh.h says. Thread: likewise. Must not know: as ssh.h.
 *
 * How libssh is driven: libssh owns one descriptor, the loop watches a dup() of it, so that libssh may close its own at
 * any moment. Every event pumps libssh once (its callbacks only store what came), then each command looks at what it
 * has. libssh may read during any of its calls, also those made outside an event: mu_session_after() then sees to it
 * that what was read is looked at. User code runs from the loop only, with no libssh function on the stack.
 */
#ifndef MU_SSH_INTERNAL_H
#define MU_SSH_INTERNAL_H

#include <libssh/callbacks.h>
#include <libssh/libssh.h>

#include "core/list.h"
#include "loop/lines.h"
#include "loop/loop.h"
#include "ssh/conf_exec.h"
#include "ssh/options.h"
#include "ssh/shared.h"
#include "ssh/ssh.h"
#include "ssh/ways.h"

/* ---- session.c ---- */

enum mu_session_state { MU_SESSION_IDLE, MU_SESSION_CONNECTING, MU_SESSION_UP, MU_SESSION_LOST };

struct mu_connect; /* a connect under way */

struct mu_ssh_session {
    struct mu_loop *loop;
    struct mu_ssh_shared *shared;
    char *host;            /* as the target names it: what messages and known_hosts call it */
    char *key_file, *args; /* of the target, or NULL */
    char *via;             /* the chain that leads to it, whatever the options say: of a jump host in a chain; or NULL */
    char *own_user;        /* as the target says it, or NULL */
    int own_port;          /* likewise, or 0 */
    struct mu_ssh_options *options;
    char *pending;         /* a command of ssh_config that the options depend on has yet to be run; NULL: none */
    const char *user;      /* of the options */
    int port;              /* of the options */
    struct mu_ssh_trust *trust; /* or NULL */
    enum mu_session_state state;
    unsigned depth; /* calls that may run user code and then go on with us */
    bool freed;     /* by user code in there: the last of them frees the memory */
    ssh_session ssh;
    int fd;                /* given to libssh, or ours while ssh is NULL; -1: none */
    int watch_fd;          /* its dup(), always ours */
    struct mu_watch *watch;
    struct mu_timer *timer; /* while connecting its deadline, then what mu_session_kick() starts */
    struct mu_ctx *ctx;     /* of the latest call */
    struct ssh_counter_struct io;
    struct mu_connect *connect;
    struct mu_list execs; /* all of ours that have a channel or wait for one */
    struct mu_list todo;  /* those that the turn under way has not looked at yet */
    struct mu_tunnels tunnels; /* through this session to others: it is a jump host's */
    struct mu_ssh_ways *ways;  /* where its jump hosts are found; NULL: it needs none yet */
    bool own_ways;             /* made for this session alone */
    bool is_jump;              /* of the target */
    struct mu_way way;         /* what its descriptor leads to, when that is no socket to the server */
    struct mu_timer *alive;    /* while up, when keepalives are sent */
    uint64_t alive_bytes;      /* received when it last fired */
    unsigned unanswered;       /* keepalives */
};

/* Whether libssh still has a connection. */
bool mu_session_alive(const struct mu_ssh_session *s);
/* Look at everything soon, from the loop. */
void mu_session_kick(struct mu_ssh_session *s);
/* After libssh calls outside an event; in_before is io.in_bytes before them. */
void mu_session_after(struct mu_ssh_session *s, uint64_t in_before);
/* Watch for what libssh waits for now. */
void mu_session_rearm(struct mu_ssh_session *s);
/* Clear libssh's wish to know when it may write again, which it has after every send, without a turn of the loop. */
void mu_session_settle(struct mu_ssh_session *s);
/* Start watching fd (taken over, also when this fails) for events. */
int mu_session_watch(struct mu_ssh_session *s, int fd, int events, struct mu_err *err);
/* Give back descriptors, watch and libssh's session. polite: with a disconnect message when the socket takes it. */
void mu_session_close(struct mu_ssh_session *s, bool polite);
/* Look the options up, again when the outcome of `pending` is known now. */
int mu_session_options(struct mu_ssh_session *s, struct mu_err *err);
void mu_session_use_ctx(struct mu_ssh_session *s, struct mu_ctx *ctx);
/* libssh's last error, in printable form, into out; hostile text. Returns out. */
char *mu_session_error(struct mu_ssh_session *s, char *out, size_t size);
/* The connection is of no use any more; why NULL: as the way or libssh says. User code runs in here. */
void mu_session_lost(struct mu_ssh_session *s, const char *why);

/* ---- alive.c ---- */

void mu_alive_start(struct mu_ssh_session *s);

/* ---- connect.c ---- */

enum mu_connect_phase {
    MU_PHASE_OPTIONS, /* commands that the options depend on */
    MU_PHASE_WAIT,    /* until the rate of new connections allows it */
    MU_PHASE_RESOLVE,
    MU_PHASE_TCP,
    MU_PHASE_JUMP,    /* for the jump host's connection, and a place in it */
    MU_PHASE_TUNNEL,  /* the jump host connects */
    MU_PHASE_KEX,
    MU_PHASE_AUTH,
    MU_PHASE_PROXY_END, /* failed: how the proxy command ended is awaited a little */
    MU_PHASE_DONE
};

struct mu_connect {
    enum mu_connect_phase phase;
    mu_ssh_connect_fn *fn;
    void *arg;
    uint64_t deadline_ms, timeout_ms; /* deadline 0: the time does not count yet */
    struct mu_conf_exec *exec; /* what the options depend on */
    struct mu_resolve *resolve;
    struct mu_dial *dial;
    bool nonblocking;     /* the descriptor is non-blocking again after libssh made it blocking */
    struct mu_err err;    /* the outcome */
    struct mu_auth *auth; /* auth.c's, while it authenticates */
};

void mu_connect_event(struct mu_ssh_session *s);   /* the descriptor is ready */
void mu_connect_timeout(struct mu_ssh_session *s); /* the timer fired, in any phase */
void mu_connect_done(struct mu_ssh_session *s, const struct mu_err *err); /* NULL: connected. The callback comes later */
void mu_connect_free(struct mu_ssh_session *s);    /* give up without a callback */
void mu_connect_count(struct mu_ssh_session *s);   /* from now on the time counts */
/* fd (taken over) leads to the server: begin the key exchange. */
void mu_connect_kex(struct mu_ssh_session *s, int fd);

/* way.c: what a connection goes over. */
void mu_way_start(struct mu_ssh_session *s); /* leads to mu_connect_kex() or mu_connect_done() */
void mu_way_poked(struct mu_ssh_session *s); /* of MU_PHASE_JUMP and MU_PHASE_TUNNEL: something has happened, or the time is over */
void mu_way_logged_in(struct mu_ssh_session *s); /* or failed: it makes place for the next */
void mu_way_close(struct mu_ssh_session *s); /* after the descriptor was closed; harmless when repeated */
/* What is wrong with the way itself, or NULL. Valid until the way is closed. */
const char *mu_way_trouble(struct mu_ssh_session *s);
/* "via a, b: " before the message and the cause of an error that tells of the way, not of the server. */
void mu_way_name_hop(const struct mu_ssh_session *s, struct mu_err *err);

/* auth.c: go on authenticating as far as the server's answers allow; calls mu_connect_done(). */
void mu_auth_step(struct mu_ssh_session *s);
void mu_auth_end(struct mu_ssh_session *s); /* give back what authenticating took; harmless when repeated */

/* ---- exec.c ---- */

enum mu_exec_state { MU_EXEC_OPENING, MU_EXEC_REQUESTING, MU_EXEC_RUNNING, MU_EXEC_FINISHED };

#define MU_TOKEN_SIZE 24

struct mu_ender;

struct mu_ssh_exec {
    struct mu_list link;
    struct mu_ssh_session *s; /* NULL once finished */
    enum mu_exec_state state;
    ssh_channel channel;
    struct ssh_channel_callbacks_struct callbacks;
    mu_ssh_exec_fn *done;
    void *arg;
    struct mu_ctx *ctx;
    struct mu_timer *timer; /* the one thing waited for: end of an abort, end of lingering, or the done callback */
    struct mu_exec_result result;
    size_t limit;
    char *command;
    char *end_command, *end_input; /* as the request says, or NULL */
    char *input; /* environment first, then the user's */
    size_t input_len, input_sent;
    void (*on_line)(void *arg, enum mu_exec_stream stream, const char *line, size_t len);
    void *on_line_arg;
    long (*more_input)(void *arg, char *buf, size_t n, struct mu_err *err); /* NULL: none, or no more */
    int (*on_output)(void *arg, const char *bytes, size_t n, struct mu_err *err);
    void *stream_arg;
    struct mu_err stream_error; /* of these two; code 0: none */
    struct mu_lines lines[2]; /* with on_line */
    struct mu_buf raw[2];     /* with on_line and on_output: what came and was not handed over yet */
    char token[MU_TOKEN_SIZE]; /* "": no announcement is waited for */
    struct mu_buf held;        /* start of a stderr line that may be the announcement */
    uint64_t linger_until_ms;
    uint64_t end_deadline_ms; /* of an abort */
    uint64_t kill_after_ms;
    struct mu_ender *ender;
    bool got_status, eof, closed; /* what the server told */
    bool seen_output;
    bool over;      /* more output than the limit */
    bool input_eof; /* told, or of no use any more */
    bool lingering;
    bool by_tree;  /* the command's processes have no group of their own */
    bool drop;     /* output is no longer wanted */
    bool aborting; /* result.error says why */
    bool seen_gone; /* aborted, and seen to be gone; its channel's end is awaited a little */
    bool asked_again; /* for a channel, after a refusal */
    bool on_hold;     /* see mu_ssh_exec_hold() */
    bool ghost;    /* freed by its user while the server had not yet said whether it opens the channel */
};

/* Start one; announce false: the command is sent as it is. */
int mu_exec_start(struct mu_ssh_exec **out, struct mu_ssh_session *s, struct mu_ctx *ctx,
                  const struct mu_exec_request *req, bool announce, mu_ssh_exec_fn *done, void *arg,
                  struct mu_err *err);
/* Look at what came and go on. e, and the session, may be gone after it: user code runs in here. */
void mu_exec_advance(struct mu_ssh_exec *e);
/* The end: done is called from the loop. err NULL: what the result says already. */
void mu_exec_finish(struct mu_ssh_exec *e, const struct mu_err *err);
/* The connection is gone, err says how. As mu_exec_advance. */
void mu_exec_lost(struct mu_ssh_exec *e, const struct mu_err *err);
/* The same, for whatever reason, without a look at what came. No user code runs. */
void mu_exec_cut(struct mu_ssh_exec *e, const struct mu_err *err);

/* ---- channel.c ---- */

/* A background process may keep the streams open when the command itself has ended: its last output is waited for
 * until it has been silent for so long. */
#define MU_EXEC_LINGER_MS 5000

int mu_channel_new(struct mu_ssh_exec *e); /* 0 or MU_ENOMEM */
/* Open it, ask for the command: false when there is nothing more to do now; e may be gone then. */
bool mu_channel_open(struct mu_ssh_exec *e);
bool mu_channel_request(struct mu_ssh_exec *e);
void mu_channel_write(struct mu_ssh_exec *e); /* input, as much as the server takes now; then EOF */
void mu_channel_close(struct mu_ssh_exec *e); /* harmless when repeated */
/* Bytes of the command's own output. */
void mu_exec_take(struct mu_ssh_exec *e, enum mu_exec_stream stream, const char *bytes, size_t n);

/* ---- command.c ---- */

/* The text sent to the server; env_len bytes of assignments come first on its standard input. token "": none asked. */
int mu_command_build(char **out, const char *command, const char *token, size_t env_len, struct mu_err *err);
/* POSIX shell assignments for "NAME=value" strings. MU_EINVAL names a variable that is none. */
int mu_command_env(struct mu_buf *out, const char *const *env, struct mu_err *err);
void mu_command_token(char token[MU_TOKEN_SIZE]);
/* stderr bytes until the announcement was found; sets result.pid. */
void mu_announce_feed(struct mu_ssh_exec *e, const char *bytes, size_t n);
void mu_announce_flush(struct mu_ssh_exec *e); /* it does not come any more */

/* ---- end.c ---- */

void mu_end_advance(struct mu_ssh_exec *e); /* of an exec that is being aborted: do what can be done now */
void mu_end_timeout(struct mu_ssh_exec *e);
void mu_end_free(struct mu_ssh_exec *e);

#endif
