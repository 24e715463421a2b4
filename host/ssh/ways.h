/* ways.h: how a session reaches its server when no socket of its own does: through a jump host, or a proxy command.
 *
 * Purpose: one connection to each jump host for all of a loop's servers behind it, and for each of them a tunnel: a channel
 *   in that connection, joined by a socket pair to the descriptor that libssh is given.
 * Owner: the loop's user makes the ways (mu_ssh_ways_new) and frees them after every session; they own the jump hosts'
 *   sessions. A session owns its use of a jump host and its tunnel.
 * Thread: the loop's. Must not know: what a session does with its descriptor.
 */
#ifndef MU_SSH_WAYS_H
#define MU_SSH_WAYS_H

#include <libssh/callbacks.h>
#include <libssh/libssh.h>

#include "core/list.h"
#include "ssh/gate.h"
#include "ssh/ssh.h"

/* Logins through one jump host that may be under way at once, over the whole run; and connections to one jump host that
 * may log in at once (a worker has one each). sshd's MaxStartups begins to drop them at 10. */
#define MU_JUMP_LOGINS 32
#define MU_JUMP_CONNECTS 4

struct mu_jump;
struct mu_tunnel;
struct mu_partner;

/* ---- jump.c ---- */

/* A session's part in a jump host: from asking for it to leaving it. */
struct mu_jump_use {
    struct mu_list link;  /* among those who wait for the jump host's connection */
    struct mu_jump *jump; /* NULL: none */
    struct mu_ssh_session *user;
    struct mu_gate_ticket login; /* a place among those who log in through it */
    bool ready;           /* the connection is up, and there is a place */
    struct mu_err err;    /* code 0: nothing went wrong yet */
};

/* Ask for the last jump host of chain ("[user@]host[:port],…"). When use->ready or use->err.code is set later, the user's
 * timer is started for now. MU_EINVAL: the chain is none; MU_ENOMEM. */
int mu_jump_ask(struct mu_jump_use *use, struct mu_ssh_session *user, const char *chain, uint64_t timeout_ms,
                struct mu_err *err);
void mu_jump_logged_in(struct mu_jump_use *use); /* gives the place to the next */
void mu_jump_leave(struct mu_jump_use *use);     /* harmless when repeated */
struct mu_ssh_session *mu_jump_session(const struct mu_jump_use *use);
struct mu_ssh_session *mu_jump_peek(const struct mu_jump_use *use); /* for tests: the same, in whatever state */
const char *mu_jump_name(const struct mu_jump_use *use); /* "bastion", for messages */

/* One hop of a chain, "[user@]host[:port]" or "ssh://…", taken apart; host and user (NULL: none) are the caller's, port 0:
 * none. MU_EINVAL. */
int mu_jump_parse(const char *hop, size_t len, char **user, char **host, int *port, struct mu_err *err);

/* ---- tunnel.c ---- */

struct mu_tunnels { /* of one session */
    struct mu_list all;     /* but those that are in another list */
    struct mu_list opening; /* the server has not answered yet */
    struct mu_list dirty;   /* something came */
    struct mu_list blocked; /* has to write, and could not */
};

/* A channel through s to host:port, and *fd, the caller's, to talk to it. The user's timer is started for now when it is
 * open or failed. MU_ENOMEM, MU_EUNREACH. */
int mu_tunnel_new(struct mu_tunnel **out, struct mu_ssh_session *s, struct mu_ssh_session *user, const char *host, int port,
                  int *fd, struct mu_err *err);
bool mu_tunnel_open(const struct mu_tunnel *t);
const struct mu_err *mu_tunnel_err(const struct mu_tunnel *t); /* code 0: none */
/* What was written to fd is passed on as far as it goes at once. NULL allowed. */
void mu_tunnel_free(struct mu_tunnel *t);
void mu_tunnels_init(struct mu_tunnels *ts);
void mu_tunnels_advance(struct mu_ssh_session *s);                      /* after libssh has read */
void mu_tunnels_lost(struct mu_ssh_session *s, const char *why);        /* the connection is gone, and the channels */

/* ---- what a session has of all this ---- */

struct mu_way {
    struct mu_jump_use jump;
    struct mu_tunnel *tunnel;
    int tunnel_fd;             /* until the key exchange takes it; -1: none */
    struct mu_partner *proxy;
};

#endif
