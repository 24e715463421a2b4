/* fiber.h: a coroutine that the host schedules, what it waits for, and how it is cancelled.
 *
 * Purpose: the one async form of the bindings (mu_await) and the one cancel path of the engine (mu_scope_cancel).
 * Owner: a fiber belongs to its scope's user (run/task.c) and is freed by its done callback's return; a wait lives in
 *   memory that outlives the await, usually a userdata on the fiber's stack; a scope is embedded in its user.
 * Thread: the worker's.
 * Must not know: steps, SSH, thresholds.
 *
 * Cancellation is sticky. mu_scope_cancel() marks the scope; the fiber's wait is asked to end, and at the next host call,
 * hook tick or resume the fiber raises. From the first raise on it is "unwinding": the replaced pcall, xpcall and
 * coroutine.* that were entered before it pass the error on, so that nothing of the script but its <close> handlers runs.
 * These run shielded (host calls work) until unwind_until_ms; past it the fiber is abandoned.
 */
#ifndef MU_RUN_FIBER_H
#define MU_RUN_FIBER_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/list.h"
#include "core/log.h"
#include "results/results.h"

struct mu_timer;
struct mu_worker;
struct mu_task;
struct mu_fiber;

/* ---- waiting ---- */

struct mu_wait {
    struct mu_fiber *fiber; /* that awaits it now, or NULL */
    bool done;
    lua_KFunction k;
    void (*cancel)(struct mu_wait *wait);  /* soft: see to it that mu_wait_done() comes soon. NULL: done at once */
    void (*abandon)(struct mu_wait *wait); /* hard: nothing may come after it. NULL: nothing to do */
};

/* Yield until wait is done, then go on in k(L, LUA_OK, (lua_KContext)wait). Use as `return mu_await(L, wait, k);`.
 * Goes straight to k when wait is done already. Raises when cancelled, where a wait is not possible (a sort comparator,
 * a gsub callback) and while a script is being loaded; the wait is then abandoned first. */
int mu_await(lua_State *L, struct mu_wait *wait, lua_KFunction k);
/* From the loop: it is done; the fiber will run from the run queue. */
void mu_wait_done(struct mu_wait *wait);
/* From the loop: let the fiber look (k is called, done still false); it may await again. */
void mu_wait_wake(struct mu_wait *wait);

/* ---- cancelling ---- */

struct mu_scope {
    struct mu_worker *worker;
    struct mu_scope *parent;   /* of a spawned fiber's: its owner's, with which it is cancelled; else NULL */
    struct mu_fiber *fiber;    /* that runs in it, or NULL */
    bool cancelled;
    enum mu_status status;     /* what the cancelled part becomes: timeout, cancelled, error */
    struct mu_err why;
    uint64_t deadline_ms;      /* on mu_clock_ms(); 0: none */
    struct mu_err deadline_why; /* what to say when it passes */
    uint64_t unwind_budget_ms; /* for <close> handlers after a cancellation */
    struct mu_timer *timer;    /* fires at the deadline, and at the end of unwinding */
};

/* Open a scope: deadline_ms 0 is none; why says what to report when it passes. MU_ENOMEM. */
int mu_scope_open(struct mu_scope *scope, struct mu_worker *w, uint64_t deadline_ms, const struct mu_err *why,
                  uint64_t unwind_budget_ms);
void mu_scope_close(struct mu_scope *scope);
/* No later than this: the deadline and the time for unwinding are cut. */
void mu_scope_hurry(struct mu_scope *scope, uint64_t until_ms);
/* The worker was stuck in somebody else's call for ms: all times of this scope move by as much. */
void mu_scope_postpone(struct mu_scope *scope, uint64_t ms);

/* Mark the scope (the first reason stays), end its fiber's wait and make it run. */
void mu_scope_cancel(struct mu_scope *scope, enum mu_status status, const struct mu_err *why);
/* Cancel when its deadline has passed. Returns whether the scope is cancelled. */
bool mu_scope_check(struct mu_scope *scope, uint64_t now_ms);

/* ---- fibers ---- */

struct mu_fiber {
    struct mu_worker *worker;
    struct mu_task *task;
    struct mu_scope *scope;
    struct mu_fiber *owner;  /* whose body spawned it (spawn.h); NULL: none */
    struct mu_list spawned;  /* what its own body spawned: what runs, and errors that nobody took */
    size_t running;          /* of those */
    lua_State *co;
    int co_ref;
    struct mu_ctx *ctx;      /* a reference */
    struct mu_wait *wait;    /* what it waits for, or NULL */
    struct mu_list ready;    /* link in the worker's run queue */
    bool loading;            /* the script's top level: no I/O */
    bool host_yield;         /* the yield under way is the host's, not the script's */
    bool unwinding;
    bool over;               /* its body has ended; what that spawned has not yet */
    bool abandoned;
    unsigned no_yield;       /* nested resumes from where a yield is impossible */
    unsigned depth;          /* script coroutines between the fiber and the running code */
    uint64_t unwind_until_ms;
    int status;              /* after the end: LUA_OK, or the error status of prepare or finish themselves */
    char *trace;             /* where an uncaught error was raised, or NULL */
    char *raised;            /* with status: what was raised, or NULL */
    /* Push a function and its arguments; return the number of arguments. Raises on failure. */
    int (*prepare)(lua_State *L, struct mu_fiber *f);
    /* status LUA_OK: results are all of the stack from index `base` on; else the error value is on top. May raise. */
    void (*finish)(lua_State *L, struct mu_fiber *f, int status, int base);
    /* Outside Lua, once, when the fiber has ended or was abandoned; the fiber is freed after it. */
    void (*done)(struct mu_fiber *f);
};

/* Make a fiber in scope and put it into the run queue. Protected; MU_ENOMEM. ctx is borrowed. */
int mu_fiber_start(struct mu_fiber **out, struct mu_task *task, struct mu_scope *scope, struct mu_ctx *ctx,
                   int (*prepare)(lua_State *, struct mu_fiber *),
                   void (*finish)(lua_State *, struct mu_fiber *, int, int), void (*done)(struct mu_fiber *),
                   struct mu_err *err);
void mu_fiber_ready(struct mu_fiber *f); /* into the run queue, once */
void mu_fiber_resume(struct mu_fiber *f); /* the worker, from the run queue only */
void mu_fiber_settled(struct mu_fiber *f); /* for spawn.c: nothing it spawned runs any more; may end it */
/* End it now, whatever it does; done is called. Not from inside its own resume. */
void mu_fiber_abandon(struct mu_fiber *f);

struct mu_fiber *mu_fiber_current(lua_State *L); /* NULL outside a fiber */
void mu_fiber_set_ctx_take(struct mu_fiber *f, struct mu_ctx *ctx); /* the running fiber's context from now on */

/* For the bindings: */
/* Raise when the fiber's scope is cancelled (first time), else return. Every host call begins with it. */
void mu_fiber_check(lua_State *L);
/* A protected call that was entered with `was_unwinding` got error `status`, value on top: raise it again when it is a
 * cancellation that must pass (or the task's memory limit), else return. */
void mu_fiber_rethrow(lua_State *L, int status, bool was_unwinding);
/* The count hook: installed once on the main state, inherited by every coroutine. */
void mu_fiber_hook(lua_State *L, lua_Debug *ar);
#define MU_HOOK_COUNT 100000

#endif
