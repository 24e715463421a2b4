/* run_internal.h: a run from inside: what run.c, deal.c and worker_thread.c share.
 * Owner: run.c makes and frees it. Thread: the main one, but worker_thread.c, which reads servers and engine alone.
 * Must not know: what run.h hides.
 */
#ifndef MU_RUN_RUN_INTERNAL_H
#define MU_RUN_RUN_INTERNAL_H

#include <stdatomic.h>

#include "run/claims.h"
#include "run/engine.h"
#include "run/fleet.h"
#include "run/marks.h"
#include "run/messages.h"
#include "run/pairs.h"
#include "run/progress.h"
#include "run/records.h"
#include "run/run.h"
#include "run/second.h"
#include "run/semaphore.h"
#include "run/worker.h"

#define MU_OWNER_SIZE 320
#define MU_RUN_LEAVE_MS 1000 /* for workers to end once they have nothing left */

struct mu_run {
    struct mu_engine engine;
    struct mu_run_config config;
    struct mu_server *const *servers;
    size_t n;
    struct mu_run_result *results;
    struct mu_loop *loop;
    struct mu_mailbox *home;
    struct mu_timer *watchdog, *limit;
    struct mu_worker *workers;
    unsigned n_workers, n_started, n_exited, forks;
    size_t dealt, done;      /* servers */
    size_t in_flight;        /* tasks of any kind */
    struct mu_marks marks;
    struct mu_semaphores *semaphores;
    struct mu_claims *claims;
    struct mu_rules *rules;
    struct mu_fleet fleet;
    bool dealing;            /* servers; not before before_all has ended */
    struct mu_second second;
    struct mu_pairs pairs;
    struct mu_progress progress;
    struct mu_records records;
    char id[32], owner[MU_OWNER_SIZE];
    uint64_t *stuck_said_ms; /* a worker: how long it was stuck when that was last said */
    _Atomic(int) interrupts, signal;
    int interrupts_seen;
    _Atomic(int) breaks;     /* of the console's line at work */
    int breaks_seen;
    bool over;               /* the main thread has given up on what is left */
    bool abandoned;          /* a worker could not be joined */
};

/* worker_thread.c: give the opened worker a mailbox and a thread. */
int mu_run_start_thread(struct mu_worker *w, struct mu_err *err);

/* questions.c: a question of a fiber is answered, at once or later. False when the message is none. */
bool mu_run_asked(struct mu_run *run, struct mu_message *m);
mu_semaphore_fn mu_run_turn_came;
int mu_run_open_claims(struct mu_run *run, struct mu_err *err);
void mu_run_settle_claims(struct mu_run *run); /* at the end: who left something behind */

/* deal.c: */
void mu_run_tell(struct mu_worker *w, int kind, uint64_t number);
void mu_run_deal(struct mu_run *run); /* as much as may be in flight; also looks for interrupts */
bool mu_run_finished(const struct mu_run *run);
void mu_run_final(struct mu_run *run, size_t server); /* its verdict has been said */
void mu_run_measured(struct mu_run *run, size_t server); /* alone and in pairs: it waits for its peers, or is final */
void mu_run_give_up(void *run);       /* a timer's: what is left is left */
void mu_run_home_mail(void *run, struct mu_msg *msg);
void mu_run_settle_marks(struct mu_run *run); /* at the end: what was not made is withheld, or failed */

#endif
