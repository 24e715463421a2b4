/* subjects.h: what streams, subjects and consumers are called, and how they are made; docs/agents.md says it for who sets
 * permissions.
 * Owner: buffers are the caller's. Thread: any; mu_subjects_ensure() waits. Must not know: what is in messages.
 *
 *   stream MUSTER_TASKS   (work queue)  muster.task.VERSION.QUEUE.RUN.SERVER     a task, until it is acknowledged
 *   stream MUSTER_EVENTS  (work queue)  muster.event.RUN.AGENT                   letters, until the coordinator has committed them
 *   stream MUSTER_RUNS    (limits, the last message of each subject)
 *                                       muster.run.RUN                           the brief
 *                                       muster.bundle.HASH.NUMBER                pieces of a bundle; behind the last an empty one
 *                                       muster.claim.RUN.SERVER                  what a server's claim holds; empty: released
 *                                       muster.agent.AGENT                       who an agent is, every 10 s (roster.h)
 *   not kept                            muster.word.RUN                          to all agents that have to do with the run
 *                                       muster.word.RUN.AGENT                    to one of them
 *                                       muster.hail                              to all: a run begins
 * VERSION is that of muster, so that agents of another one are never given its tasks. QUEUE is "any", or "g-" and a group. SERVER
 * is its index in the run, in decimals.
 */
#ifndef MU_AGENTS_SUBJECTS_H
#define MU_AGENTS_SUBJECTS_H

#include "core/buf.h"
#include "nats/client.h"

#define MU_STREAM_TASKS "MUSTER_TASKS"
#define MU_STREAM_EVENTS "MUSTER_EVENTS"
#define MU_STREAM_RUNS "MUSTER_RUNS"
#define MU_SUBJECT_HAIL "muster.hail"
#define MU_AGENT_ID_SIZE 96
#define MU_RUN_ID_MAX 64

/* A name as one token of a subject, and of a consumer's name: letters, digits, "_" and "-" stay, the other bytes are "=" and
 * two hexadecimal digits. */
void mu_subject_add_token(struct mu_buf *out, const char *name);
/* Whether these bytes can be a run's id: at most MU_RUN_ID_MAX, and a token as it is. Ids come from elsewhere, and become parts
 * of subjects. */
bool mu_subject_is_run(const char *id, size_t len);
/* Each clears out first. queue: as mu_subject_queue() makes it; run, agent: tokens. */
const char *mu_subject_task(struct mu_buf *out, const char *queue, const char *run, size_t server);
const char *mu_subject_tasks_of_run(struct mu_buf *out, const char *run);  /* a filter over all queues and versions */
const char *mu_subject_tasks_of_queue(struct mu_buf *out, const char *queue);
const char *mu_subject_event(struct mu_buf *out, const char *run, const char *agent);
const char *mu_subject_events(struct mu_buf *out, const char *run);        /* a filter */
const char *mu_subject_brief(struct mu_buf *out, const char *run);
const char *mu_subject_bundle(struct mu_buf *out, const char *name, size_t piece);
const char *mu_subject_claim(struct mu_buf *out, const char *run, size_t server);
const char *mu_subject_claims(struct mu_buf *out, const char *run);        /* a filter */
const char *mu_subject_agent(struct mu_buf *out, const char *agent);
const char *mu_subject_word(struct mu_buf *out, const char *run, const char *agent /* NULL: to all */);
const char *mu_subject_queue(struct mu_buf *out, const char *group /* NULL: any */);
const char *mu_subject_durable(struct mu_buf *out, const char *queue);     /* the consumer of a queue: "0-1-0-g-dc1" */
const char *mu_subject_run_durable(struct mu_buf *out, const char *run);   /* of a run's events */
const char *mu_subject_version(void);                                      /* as a token: "0-1-0" */

/* The three streams, unless they are there. Waits. */
int mu_subjects_ensure(struct mu_nats *n, struct mu_err *err);
/* The queue's consumer; ack_wait_ms 0: MU_ACK_WAIT_MS. Waits. */
int mu_subjects_ensure_queue(struct mu_nats *n, const char *queue, int64_t ack_wait_ms, struct mu_err *err);

#define MU_ACK_WAIT_MS 60000
/* The last delivery of a task is not run, but told as exhausted (MU_EVENT_EXHAUSTED). */
#define MU_MAX_DELIVER 5
#define MU_MAX_ACK_PENDING 1000000
#define MU_EVENTS_MAX_BYTES ((int64_t)1 << 30)
#define MU_RUNS_MAX_AGE_MS ((int64_t)30 * 24 * 3600 * 1000)

#endif
