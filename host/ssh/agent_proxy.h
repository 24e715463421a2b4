/* agent_proxy.h: the insides of the agent's proxy, for its three files: agent.c (making and ending it), agent_proxy.c
 * (the thread and the real agent), agent_clients.c (those who ask).
 *
 * Purpose: their shared structs. Owner: mu_ssh_shared owns the proxy, the proxy its clients. Thread: after the start
 * all belongs to the proxy's thread, but for clients (under lock), dead, and what never changes. Must not know:
 * sessions.
 */
#ifndef MU_SSH_AGENT_PROXY_H
#define MU_SSH_AGENT_PROXY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "core/list.h"
#include "core/log.h"
#include "ssh/agent.h"
#include "ssh/shared_parts.h"

struct mu_ssh_agent_client {
    struct mu_list link;  /* in mu_ssh_agent.clients under its mutex, or in graves */
    struct mu_list queue; /* in mu_ssh_agent.queue while it waits for its turn */
    int fd;
    struct mu_buf list, sign; /* the one identity that it is shown, and what is to sign for it; empty: the agent's own list,
                                 and the key that is shown */
    struct mu_buf in, out; /* a sign request stays at the head of in until it is answered */
    size_t sent;           /* of out */
    bool wants_out;        /* it is polled for room to write */
    bool waiting;          /* its request is queued or at the agent */
    bool gone;             /* in graves */
    uint64_t deadline_ms;
};

struct mu_ssh_agent {
    char *path;
    uint64_t timeout_ms;
    struct mu_buf list; /* the identity list, framed */
    struct mu_ssh_agent_key *keys; /* what is in it */
    size_t n_keys;
    struct mu_logger *logger;
    pthread_t thread;
    bool started;
    int epoll_fd, stop_fd;
    pthread_mutex_t lock; /* of clients: they are made by any thread */
    struct mu_list clients;
    atomic_bool dead;
    /* the proxy thread's own */
    struct mu_list queue;
    int fd; /* to the real agent; -1: to be connected at the next request */
    struct mu_buf request, answer;
    size_t sent;
    bool busy, retried, slow_warned;
    uint64_t silent_at_ms;           /* when busy: the agent counts as stalled from here on */
    struct mu_ssh_agent_client *current; /* whom the answer is for; NULL when it does not wait any more */
    struct mu_list graves;           /* clients to be freed */
};

/* agent_clients.c */
void mu_ssh_agent_client_event(struct mu_ssh_agent *a, struct mu_ssh_agent_client *c, uint32_t events);
/* Give the answer to a waiting client and look whether it has asked more. */
void mu_ssh_agent_client_answer(struct mu_ssh_agent *a, struct mu_ssh_agent_client *c, const void *answer, size_t len);
void mu_ssh_agent_client_fail(struct mu_ssh_agent *a, struct mu_ssh_agent_client *c);
void mu_ssh_agent_client_free(struct mu_ssh_agent_client *c);
/* Free those who left: not before the batch of events is done, because it may name them again. */
void mu_ssh_agent_bury(struct mu_ssh_agent *a);

/* agent_proxy.c */
void *mu_ssh_agent_proxy(void *agent);                        /* the thread */
void mu_ssh_agent_complain(const struct mu_ssh_agent *a, int rc); /* the warning for a negative errno */

#endif
