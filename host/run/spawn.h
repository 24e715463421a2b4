/* spawn.h: fibers that a fiber of a script spawned, and waiting for them.
 *
 * Purpose: structured concurrency inside a task. A spawned fiber belongs to the fiber whose body made it (its owner): it is
 *   cancelled with it, and the owner has not ended before it has. An owner whose body ends while it still runs cancels it.
 *   An error that nobody has taken when the owner's body ends is the owner's own.
 * Owner: a spawned fiber lives in a userdata, which the registry keeps while the fiber runs, or while its error has not
 *   been taken; a join in a userdata of who waits, whose first user value keeps what it waits for.
 * Thread: the worker's.
 * Must not know: what is spawned; how an error is shown.
 */
#ifndef MU_RUN_SPAWN_H
#define MU_RUN_SPAWN_H

#include "run/fiber.h"

#define MU_SPAWN_DEPTH_MAX 50

enum mu_spawned_state { MU_SPAWNED_RUNNING, MU_SPAWNED_RETURNED, MU_SPAWNED_RAISED, MU_SPAWNED_CANCELLED };

struct mu_spawned {
    struct mu_scope scope;
    struct mu_fiber *fiber; /* NULL when it has ended */
    enum mu_spawned_state state;
    struct mu_list link;  /* in its owner's list */
    struct mu_list joins; /* who waits for its end */
    int self_ref;         /* of the userdata; LUA_NOREF: not kept */
    uint64_t ended;       /* which ending of the worker it was */
    char *trace;          /* where it raised, or NULL */
    char *raised;         /* what the host has to say in place of its error, or NULL */
};

/* Spawn the function at index `first` with the arguments above it; push the userdata, which has user values for one. Its
 * metatable is the caller's to set, with mu_spawned_gc() as __gc. May raise. */
struct mu_spawned *mu_spawn(lua_State *L, int first);
void mu_spawned_gc(struct mu_spawned *s);
/* Push what it returned, all values; give their number. */
int mu_spawned_push_results(lua_State *L, int index);
/* Push the error that it raised; it counts as taken from now on. May raise. */
void mu_spawned_take_error(lua_State *L, int index);

/* ---- waiting ---- */

struct mu_join;
struct mu_join_entry {
    struct mu_list link; /* in of->joins while that runs */
    struct mu_join *join;
    struct mu_spawned *of;
};

struct mu_join {
    struct mu_wait wait; /* done when all have ended */
    bool cancel_rest;    /* when one did not return */
    size_t n, left;
    struct mu_spawned *failed; /* the first that did not return, or NULL */
    struct mu_join_entry entries[];
};

/* entries[i].of are set, n is; then await join->wait. */
void mu_join_start(struct mu_join *join);
void mu_join_end(struct mu_join *join); /* wait for nothing any more; harmless when repeated */
/* Whether f would wait for itself, or for one that only ends after it. */
bool mu_spawned_encloses(const struct mu_spawned *s, const struct mu_fiber *f);

/* ---- for fiber.c ---- */

/* f's body has ended. Errors that nobody took: the first becomes the body's own, when that raised none; it is then on top,
 * in place of the results from base on. Returns the body's status. May raise. */
int mu_spawned_settle(lua_State *L, struct mu_fiber *f, int status, int base);
void mu_spawned_end(struct mu_fiber *f); /* cancel what still runs, since f's body has ended */
void mu_spawned_cancel(struct mu_fiber *f, enum mu_status status, const struct mu_err *why); /* f may be NULL, as below */
void mu_spawned_hurry(struct mu_fiber *f, uint64_t until_ms);
void mu_spawned_postpone(struct mu_fiber *f, uint64_t ms);
void mu_spawned_abandon(struct mu_fiber *f); /* all that it spawned, at once */

#endif
