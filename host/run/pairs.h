/* pairs.h: pair steps in a run: which two servers are measured together, and which of them a bad result is about.
 *
 * Purpose: when the own tasks of all servers have ended, those that are fit are paired, in the order of the inventory. Each
 *   pair is one task (MU_TASK_PAIR) that owns the sessions of both; its result is both servers'. A bad one says that one of
 *   the two is bad, not which: each is paired once more, with a server whose own pair was good, and that result is its
 *   verdict, and changes nothing for the one who helped. With an odd number one is paired with a server that has been measured
 *   already, in the same way; when no pair was good it is the first to be, since all that are good are found with one that
 *   is; and then the pairs are mixed once. Who was bad with bad ones alone is not known to be so: that is an error, no
 *   failure.
 *   Who cannot be connected to is known at once: it is unreachable, and not paired any more. That says nothing of its partner,
 *   which is paired anew as if it had not been.
 *   Pairs are made in rounds, the next when the last pair of one has ended, so that who is paired with whom does not depend
 *   on which pair was quicker.
 * Files: pairs_form.c forms rounds; pairs.c keeps what pairs come to.
 * Owner: the run owns a mu_pairs. Thread: the main one.
 * Must not know: how tasks are dealt, who is marked.
 */
#ifndef MU_RUN_PAIRS_H
#define MU_RUN_PAIRS_H

#include <stdbool.h>
#include <stddef.h>

#include "results/results.h"

struct mu_run;
struct mu_repeat;

struct mu_pairs_server {
    bool fit;       /* may be paired (on) */
    bool busy;      /* in a pair that is at work */
    bool good;      /* its last pair was */
    bool told;      /* the partner in its last pair was good, so that what that came to is about this one */
    bool doubted;   /* its last pair was bad, and it is to be paired anew: so may the partner be, or it was the first pair */
    bool first;     /* in a pair of the first round */
    bool left;      /* its partner was unreachable: it is to be paired as if it had not been */
    unsigned tries; /* pairs whose result is about it */
    size_t partner; /* in the last of these */
    struct mu_task_result result; /* of the pair at work that it is the first of */
};

struct mu_pair {
    size_t first, second;
    bool helps; /* the second was measured before: the result is the first's alone */
    bool dealt;
};

struct mu_pairs {
    bool wanted; /* the run has pair steps */
    bool formed, over;
    bool shifted; /* the first round's pairs were mixed */
    size_t own_ended;
    size_t odd; /* of the first round: who was left over; the number of servers: nobody */
    struct mu_pairs_server *servers; /* one each */
    struct mu_pair *round;           /* a server is the first, or an equal second, in one at most */
    size_t n_round, n_dealt, n_ended;
};

int mu_pairs_init(struct mu_run *run); /* MU_ENOMEM */
void mu_pairs_free(struct mu_run *run);
/* A server's own task has ended, and is settled. */
void mu_pairs_own_ended(struct mu_run *run);
/* Every server has what it gets of its pair steps. */
bool mu_pairs_over(const struct mu_run *run);
/* The next pair to deal; repeat: the steps it is about, NULL: all pair steps. False when there is none (yet). */
bool mu_pairs_next(struct mu_run *run, size_t *first, size_t *second, struct mu_repeat **repeat);
/* Where the messages of a pair's task go. */
struct mu_task_result *mu_pairs_result(struct mu_run *run, size_t first);
/* Its own steps and its pairs are over: in the log, as for a server without pair steps. */
void mu_pairs_say_finished(const struct mu_run *run, size_t server);
/* A pair's task has ended; down: the first, the second could not be connected to. */
void mu_pairs_done(struct mu_run *run, size_t first, size_t second, const bool down[2]);
/* The run is over: who was not paired, or not anew, is told so. */
void mu_pairs_end(struct mu_run *run);

#endif
