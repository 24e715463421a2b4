/* run_internal.h: a run from inside: what run.c, deal.c and their neighbours share.
 * Owner: run.c makes and frees it. Thread: the main one.
 * Must not know: what run.h hides.
 */
#ifndef MU_RUN_RUN_INTERNAL_H
#define MU_RUN_RUN_INTERNAL_H

#include <stdatomic.h>

#include "run/claims.h"
#include "run/crew_local.h"
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

#define MU_OWNER_SIZE 320
/* Beyond the grace period, for what was cancelled to tell its end; half of it when all was ended at once. Over a network it
 * takes longer. */
#define MU_RUN_LATE_MS MU_CREW_LEAVE_MS
#define MU_RUN_LATE_ELSEWHERE_MS 5000

struct mu_run {
    struct mu_engine engine;
    struct mu_run_config config;
    struct mu_server *const *servers;
    size_t n;
    struct mu_run_result *results;
    struct mu_loop *loop;
    struct mu_mailbox *home;
    struct mu_timer *limit;
    struct mu_crew_local local; /* this process's threads: for hooks of the run, and where no other crew is given for servers */
    struct mu_crew *crew;       /* who does the servers' tasks: that one, or the configuration's */
    struct mu_crew_home crew_home;
    bool crew_begun;
    unsigned forks;             /* servers' tasks at once; 0: as many as the crew has room for */
    size_t dealt, done;      /* servers */
    size_t in_flight;        /* tasks of any kind */
    struct mu_marks marks;
    struct mu_semaphores *semaphores;
    struct mu_claims *claims;
    struct mu_rules *rules;
    struct mu_past *past; /* NULL: no rule looks at it, or it is not known */
    struct mu_fleet fleet;
    bool dealing;            /* servers; not before before_all has ended */
    struct mu_second second;
    struct mu_pairs pairs;
    struct mu_progress progress;
    struct mu_records records;
    char id[32], owner[MU_OWNER_SIZE];
    _Atomic(int) interrupts, signal;
    int interrupts_seen;
    _Atomic(int) breaks;     /* of the console's line at work */
    int breaks_seen;
    bool over;               /* the main thread has given up on what is left */
};

/* run_crew.c: who does the work. */
void mu_run_crew_init(struct mu_run *run);  /* once there is a loop */
int mu_run_crew_open(struct mu_run *run, struct mu_err *err);  /* last of all of mu_run_new() */
int mu_run_crew_start(struct mu_run *run, struct mu_err *err); /* threads */
int mu_run_crew_begin(struct mu_run *run, struct mu_err *err); /* servers are to be dealt */
static inline bool mu_run_is_elsewhere(const struct mu_run *run) { return run->crew != &run->local.crew; }
struct mu_crew *mu_run_crew_of(struct mu_run *run, int worker);
bool mu_run_crew_has_room(const struct mu_run *run);
bool mu_run_crew_settled(const struct mu_run *run); /* after an interrupt */
void mu_run_turn(struct mu_run *run);       /* of the loop, with all that is due after each batch of messages */
void mu_run_after_turn(void *run);
void mu_run_interrupted(struct mu_run *run); /* looks for interrupts */

/* questions.c: a question of a fiber is answered, at once or later. False when the message is none. */
bool mu_run_asked(struct mu_run *run, struct mu_message *m);
mu_semaphore_fn mu_run_turn_came;
int mu_run_open_claims(struct mu_run *run, struct mu_err *err);
void mu_run_settle_claims(struct mu_run *run); /* at the end: who left something behind */

/* deal.c: */
void mu_run_deal(struct mu_run *run); /* as much as may be in flight; looks for interrupts first */
bool mu_run_finished(const struct mu_run *run);
void mu_run_final(struct mu_run *run, size_t server); /* its verdict has been said */
void mu_run_measured(struct mu_run *run, size_t server); /* alone and in pairs: it waits for its peers, or is final */
void mu_run_give_up(void *run);       /* a timer's: what is left is left */
void mu_run_home_mail(void *run, struct mu_msg *msg);
void mu_run_settle_marks(struct mu_run *run); /* at the end: what was not made is withheld, or failed */

#endif
