/* crew.h: who does a run's tasks: worker threads of this process, or agents elsewhere. Below it is how, above it what.
 *
 * Purpose: one interface for dealing. A crew is dealt messages (MU_MSG_DEAL) and mails others back: the same that workers
 *   post (run/messages.h), from whom `worker` says. Which server is next, what a result means and when a run is over is
 *   decided above, in one way for all crews.
 * Owner: who made a crew frees it, after mu_run_go() and before mu_run_free(), whose loop it uses.
 * Thread: the main one, of the run's loop. Must not know: verdicts, cohorts, marks, the store.
 *
 * A crew other than the run's own threads has the numbers from MU_CREW_ELSEWHERE on in `worker`. The hooks before_all and after_all
 * are done by a thread of the run in any case.
 */
#ifndef MU_RUN_CREW_H
#define MU_RUN_CREW_H

#include "inventory/inventory.h"
#include "run/engine.h"
#include "run/messages.h"

#define MU_CREW_ELSEWHERE 1000

struct mu_loop;
struct mu_run_config;

/* What a crew may know of its run. It lasts until mu_run_free(). */
struct mu_crew_home {
    struct mu_loop *loop;
    struct mu_engine *engine;           /* script, rules, past, settings; shared is set before begin() */
    const struct mu_run_config *config;
    struct mu_server *const *servers;
    size_t n;
    /* A message for the run, as from a worker; may deal, answer and end things before it returns. */
    void (*mail)(void *run, struct mu_msg *m_take);
    void *run;
    bool resumed;                       /* it goes on with a run whose tasks may still be under way */
    /* What a task's claim is known to hold by now, from elsewhere than its messages; to be journalled. data NULL: none. */
    void (*claim_is)(void *run, size_t server, const char *data);
};

struct mu_crew;
struct mu_crew_ops {
    /* Before anything is done, and last of all that could go wrong before: whether it could be. An error ends the run before it
     * began (exit 2), and leaves nothing of the crew on the loop. */
    int (*open)(struct mu_crew *c, const struct mu_crew_home *home, struct mu_err *err);
    /* before_all is over, servers will be dealt. Not called when it was interrupted, unless the run is resumed; then none of the
     * following is, but end(). */
    int (*begin)(struct mu_crew *c, struct mu_err *err);
    unsigned (*room)(const struct mu_crew *c); /* tasks that may be dealt at once when the run says no bound; it may change */
    void (*deal)(struct mu_crew *c, struct mu_message *m_take);
    void (*done)(struct mu_crew *c, const struct mu_message *m); /* the run has taken this MU_MSG_DONE in */
    void (*cancel)(struct mu_crew *c, uint64_t until_ms);        /* all tasks, done by then (mu_clock_ms()) */
    void (*kill)(struct mu_crew *c);
    void (*answer)(struct mu_crew *c, int worker, uint64_t ticket, const struct mu_err *err); /* err NULL or code 0: yes */
    /* All that was mailed so far is committed, and journalled. After each turn of the loop where that is so. */
    void (*kept)(struct mu_crew *c);
    bool (*settled)(const struct mu_crew *c); /* after cancel(): nothing more will come */
    void (*end)(struct mu_crew *c);     /* the run is over, and all that came of it is kept */
};
/* Embedded first in a crew. */
struct mu_crew {
    const struct mu_crew_ops *ops;
};

#endif
