/* agents.h: runs that are done by agents elsewhere, over NATS JetStream (docs/agents.md).
 *
 * Purpose: how NATS is reached, for muster_run_options.nats; to be an agent; which agents there are.
 * Ownership, errors: as muster.h says. Threads: likewise, but for muster_agent_drain().
 * In a muster that was built without NATS everything here is an error that says so.
 */
#ifndef MUSTER_AGENTS_H
#define MUSTER_AGENTS_H

#include "muster.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How NATS is reached. Strings are copied where this is given, secrets wiped at the end; NULL: none. */
struct muster_nats_options {
    size_t size;      /* sizeof(struct muster_nats_options) */
    const char *urls; /* "tls://nats.example.org:4222", several with commas between them; no user and no password in them */
    const char *user, *password;
    const char *token;
    const char *nkey_file;  /* the seed of an nkey */
    const char *creds_file; /* JWT and seed, as nsc writes them */
    const char *ca_file;    /* PEM, instead of the system's authorities. Any of these three asks for TLS */
    const char *cert_file, *key_file; /* this client's, PEM */
    bool insecure; /* plain text is allowed to addresses off the loopback, too */
};
#define MUSTER_NATS_OPTIONS_INIT {.size = sizeof(struct muster_nats_options)}

/* ---- to be an agent ---- */

struct muster_agent;
struct muster_agent_options {
    size_t size;                            /* sizeof(struct muster_agent_options) */
    const struct muster_nats_options *nats; /* never NULL */
    const char *name;                       /* NULL: the host's */
    const char *const *groups; /* NULL-terminated: only servers of these; NULL or empty: those no group's agent is there for */
    unsigned forks;            /* servers in flight; 0: 50 */
    unsigned workers;          /* threads a run; 0: the number of cores, no more than forks */
    uint64_t drain_timeout_ms; /* what is at work may take so long after muster_agent_drain(); 0: 30 s */
    uint64_t ack_wait_ms;      /* NATS hands a server to another agent when this one was out of reach for so long; 0: 60 s. The
                                  same for all agents of a group */
    const char *cache_dir;     /* where scripts are kept; NULL: $XDG_CACHE_HOME/muster/bundles, else ~/.cache/muster/bundles */
    const struct muster_run_options *run; /* what of it is an agent's own: SSH's options, user, sudo_password, grace_ms; the rest
                                             is not read. NULL: as by default */
};
#define MUSTER_AGENT_OPTIONS_INIT {.size = sizeof(struct muster_agent_options)}

/* Connects, and reads keys and known hosts. */
MUSTER_API int muster_agent_new(struct muster *m, const struct muster_agent_options *options, struct muster_agent **out,
                                struct muster_error *err);
/* Serve until it is drained; blocks. 0 after that; negative when it could not begin. Once an agent. */
MUSTER_API int muster_agent_run(struct muster_agent *a, struct muster_error *err);
/* First call: take no server more, give back those that have not begun, and leave when the rest is over, at the latest after
 * drain_timeout_ms: what is still at work then is cancelled, and goes back to the queue. Second: at once. Any thread, and
 * async-signal-safe. */
MUSTER_API void muster_agent_drain(struct muster_agent *a);
MUSTER_API void muster_agent_free(struct muster_agent *a);

/* ---- which there are ---- */

struct muster_agent_info {
    const char *name, *id, *host, *version; /* of muster */
    const char *const *groups;              /* NULL-terminated; empty: any */
    unsigned slots, in_flight;              /* servers */
    uint64_t seen_ms;                       /* since its last word */
    bool alive;                             /* that was less than 30 s ago, and it takes work */
    bool leaving;                           /* it drains, or has left */
};
/* Tell fn of each that was heard of in the last 30 days, in order of name. fn returns 0 to go on; other numbers end it, and are
 * returned. Borrowed for the call; names are whatever agents say, not fit for a terminal without muster_escape(). */
MUSTER_API int muster_agents_list(struct muster *m, const struct muster_nats_options *nats,
                                  int (*fn)(void *arg, const struct muster_agent_info *agent), void *arg,
                                  struct muster_error *err);

#ifdef __cplusplus
}
#endif

#endif
