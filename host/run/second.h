/* second.h: cohort rules (results/peers.h) in a run: when all servers have been measured, and who is measured once more.
 *
 * Purpose: a server whose metrics are compared with its peers is not final when its task ends. When the last one has ended,
 *   the cohorts are made, and frozen; who would fail by them alone is dealt again, as a whole task that runs only the steps
 *   in question and what they need. The other steps keep their results: nobody doubted them. What the second measurement
 *   comes to, against the same cohort, is the verdict.
 *   A run of first measurements that was interrupted judges nobody by peers. When it is gone on with, all of then and of now
 *   are compared; cohorts that somebody was judged by already are those of then.
 * Owner: the run owns a mu_second. Thread: the main one; a mu_repeat goes to a worker with its task.
 * Must not know: how tasks are dealt, who is marked.
 */
#ifndef MU_RUN_SECOND_H
#define MU_RUN_SECOND_H

#include <stdbool.h>
#include <stddef.h>

#include "results/results.h"

struct mu_run;
struct mu_cohorts;

/* What a task is to do of a script, and why. */
struct mu_repeat {
    char *why;
    size_t n;
    bool steps[];
};
struct mu_repeat *mu_repeat_new(size_t n_steps, const char *why); /* no steps yet; NULL: no memory */
void mu_repeat_free(struct mu_repeat *r);

/* A server that is measured once more, or was. */
struct mu_second_server {
    struct mu_task_result result; /* what the task at work came to so far */
    unsigned tries;
};

struct mu_second {
    size_t waiting;                    /* servers whose task has ended and whose verdict has not been said */
    bool *waits;                       /* one each */
    bool judged;
    struct mu_cohorts *cohorts;
    struct mu_second_server **servers; /* one each, NULL: it was never measured again */
    size_t *queue;                     /* who is to be dealt, in rounds */
    size_t n_queue, n_dealt;
};

int mu_second_init(struct mu_run *run); /* MU_ENOMEM */
void mu_second_free(struct mu_run *run);
/* A server's first task has ended, and is settled. True when it waits for its peers; false: it is final. */
bool mu_second_waits(struct mu_run *run, size_t server);
/* Call when a server's task has ended: when it was the last one, all who wait are judged; `final` for each that is. */
void mu_second_check(struct mu_run *run, void (*final)(struct mu_run *, size_t server));
/* The next server to deal, with what is to be repeated; false when there is none (yet). */
bool mu_second_next(struct mu_run *run, size_t *server, struct mu_repeat **repeat);
/* Where the messages of a repeated task go. */
struct mu_task_result *mu_second_result(struct mu_run *run, size_t server);
/* A repeated task has ended. */
void mu_second_done(struct mu_run *run, size_t server, void (*final)(struct mu_run *, size_t server));
/* A kept result: its peers were not asked, or not for good, since the run was interrupted. */
bool mu_second_is_open(const struct mu_task_result *t);
/* The run is over: who still waits was not judged, or not for good, and is final as it is. */
void mu_second_end(struct mu_run *run, void (*final)(struct mu_run *, size_t server));

#endif
