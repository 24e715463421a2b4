/* spread.h: the crew of a run that is done by agents (crew.h), at the coordinator.
 *
 * Purpose: put tasks into the queue, take in what agents write, in order and each once, answer them; tell whose tasks
 *   nobody takes. Files: spread_internal.h says which.
 * Owner: the caller, which frees it after mu_run_go() and before mu_run_free().
 * Thread: the run's main one. Must not know: what a result means.
 *
 * Of a task that was delivered more than once only the latest delivery that has started counts: what an earlier one
 * still says is told and left out, since it may have been disturbed. So a server has one verdict, and it is from one
 * run of the script.
 */
#ifndef MU_AGENTS_SPREAD_H
#define MU_AGENTS_SPREAD_H

#include "core/log.h"
#include "nats/client.h"

struct mu_crew; /* run/crew.h */

struct mu_spread_config {
    struct mu_nats_config nats;
    uint64_t
        agent_wait_ms; /* tasks that nobody takes become `error` after so long without an agent for them; 0: 10 min */
    uint64_t ack_wait_ms;    /* 0: MU_ACK_WAIT_MS */
    enum mu_level level;     /* of lines that are wanted from agents */
    const char *library_dir; /* goes into the bundle */
};
/* Strings are borrowed until it is freed. */
int mu_spread_new(struct mu_crew **out, const struct mu_spread_config *config, struct mu_err *err);
void mu_spread_free(struct mu_crew *c); /* NULL allowed */

#endif
