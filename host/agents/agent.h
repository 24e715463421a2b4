/* agent.h: a process that does tasks of runs that are begun elsewhere.
 *
 * Purpose: take work for free slots from the queues of its groups; do it with the same workers as a run here does
 * (run/crew_local.h), a set of workers a run; write down what comes of it, and acknowledge what the coordinator has committed.
 * Owner: the caller. Thread: the one that made it, but mu_agent_drain(). Must not know: fleets, verdicts, reports.
 *
 * Contact: while the queue cannot be reached for longer than the ack wait, another agent may have been given the same tasks. So
 * they are cancelled then, and nothing of them is told any more.
 */
#ifndef MU_AGENTS_AGENT_H
#define MU_AGENTS_AGENT_H

#include "nats/client.h"
#include "run/run.h"

struct mu_agent_config {
    struct mu_nats_config nats;
    const char *name;            /* NULL: the host's */
    const char *const *groups;   /* NULL-terminated; NULL or empty: any */
    unsigned forks, workers;     /* slots, 0: 50; threads a run, 0: the number of cores */
    uint64_t drain_timeout_ms;   /* 0: 30 s. What is not over by then is cancelled, and goes back to the queue */
    uint64_t ack_wait_ms;        /* 0: MU_ACK_WAIT_MS */
    const char *cache_dir;       /* of bundles; NULL: the user's */
    const char *library_dir;     /* used by nothing but what is not in a bundle; NULL: none */
    const struct mu_run_config *settings; /* what is this agent's own: ssh, user, sudo_password, grace_ms, connect_retries */
};

struct mu_agent;
int mu_agent_new(struct mu_agent **out, const struct mu_agent_config *config, const struct mu_bindings *bindings,
                 struct mu_logger *logger, struct mu_err *err);
/* Serve until it is drained. 0; negative when it could not begin. */
int mu_agent_go(struct mu_agent *a, struct mu_err *err);
/* Take nothing more, give back what has not begun, leave when the rest is over, or at the drain timeout; again: at once. Any
 * thread, async-signal-safe. */
void mu_agent_drain(struct mu_agent *a);
void mu_agent_free(struct mu_agent *a);

#endif
