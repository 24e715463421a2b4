/* crew_local.h: a crew of worker threads in this process (crew.h).
 *
 * Purpose: start workers, deal to the one that has least, watch for one that is stuck, end them.
 * Owner: who made it. Its workers borrow the engine and the servers. Thread: the main one, of the loop it was given.
 * Must not know: what is run; where messages go but that there is a mailbox (engine->home).
 */
#ifndef MU_RUN_CREW_LOCAL_H
#define MU_RUN_CREW_LOCAL_H

#include "run/crew.h"
#include "run/worker.h"

#define MU_CREW_LEAVE_MS 1000 /* for workers to end once they have nothing left */

struct mu_crew_local {
    struct mu_crew crew;
    const struct mu_engine *engine;
    struct mu_server *const *servers; /* by a message's task and peer. An agent changes an entry while no task has it */
    size_t n;
    struct mu_loop *loop;
    struct mu_worker *workers;
    unsigned n_workers, n_started, n_exited;
    size_t in_flight;
    struct mu_timer *watchdog;
    uint64_t *stuck_said_ms; /* a worker: how long it was stuck when that was last said */
    bool over;               /* workers may have gone: nothing is told or answered any more */
    bool gives_up;           /* at joining; may be set while it does */
    bool abandoned;          /* a worker could not be joined: nothing that it uses may be freed */
};

/* engine->home is to be set before _start(). */
void mu_crew_local_init(struct mu_crew_local *c, const struct mu_engine *engine, struct mu_server *const *servers, size_t n,
                        struct mu_loop *loop);
/* Those that have begun when it fails are to be joined. */
int mu_crew_local_start(struct mu_crew_local *c, unsigned n_workers, struct mu_err *err);
void mu_crew_local_tell(struct mu_crew_local *c, unsigned worker, int kind, uint64_t number);
void mu_crew_local_tell_all(struct mu_crew_local *c, int kind, uint64_t number);
/* Each worker leaves when its tasks have ended. Their mailboxes go with them: from here on nothing is told or answered; again: nothing. */
void mu_crew_local_stop(struct mu_crew_local *c);
/* A worker has left (MU_MSG_EXITED). */
void mu_crew_local_exited(struct mu_crew_local *c, const struct mu_message *m);
/* Stop and join; serves the loop meanwhile, and calls turned(arg) after each turn. give_up: leave a worker that is stuck behind. */
void mu_crew_local_join(struct mu_crew_local *c, bool give_up, void (*turned)(void *arg), void *arg);
/* After it was joined. Nothing is freed when it is abandoned. */
void mu_crew_local_free(struct mu_crew_local *c);

#endif
