/* worker.h: one thread's share of a run: a lua_State, a loop, a run queue, and the tasks dealt to it.
 *
 * Purpose: take tasks from its mailbox, run their fibers, tell the run what came out.
 * Owner: a crew (crew_local.h) owns its workers; a worker owns its tasks. A worker without a thread serves to load a script.
 * Thread: mu_worker_open/close/turn in the worker's own; mu_worker_start, post and slot readers in the main thread.
 * Must not know: what a step is; how results are kept.
 */
#ifndef MU_RUN_WORKER_H
#define MU_RUN_WORKER_H

#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/list.h"
#include "loop/loop.h"
#include "loop/mailbox.h"
#include "run/account.h"

struct mu_crew_local;
struct mu_engine;
struct mu_fiber;
struct mu_http;
struct mu_ssh_ways;

/* What the watchdog reads from the main thread: whose Lua runs now, and since when. */
struct mu_slot {
    _Atomic(uint64_t) since_ms; /* 0: none */
    _Atomic(const char *) server;
    _Atomic(const char *) step;
};

struct mu_worker {
    struct mu_allocator allocator;
    struct mu_account *account; /* the worker's own: shared code and tables; no limit */
    const struct mu_engine *engine;
    struct mu_crew_local *crew; /* whose servers it is dealt; NULL without a thread */
    int index;
    lua_State *L;
    struct mu_loop *loop;
    struct mu_http *http; /* made by the first request (web.c) */
    struct mu_ssh_ways *ways; /* made by the first connection (remote.c) */
    struct mu_mailbox *mailbox;
    struct mu_list ready; /* fibers to resume */
    struct mu_list tasks;
    struct mu_list asks; /* questions to the main thread that are open (ask.h) */
    uint64_t tickets;    /* asked so far */
    uint64_t endings;    /* spawned fibers that have ended so far */
    struct mu_fiber *current;
    uint64_t slice_start_ms;
    struct mu_slot slot;
    bool stop;
    uint64_t hurry_until_ms; /* after an interrupt: the end of the grace period; 0: none */
    pthread_t thread;
    bool started, exited; /* the main thread's book-keeping */
    size_t in_flight;
};

/* Prepare state and loop in the calling thread. mailbox messages go to fn (NULL: no mailbox). */
int mu_worker_open(struct mu_worker *w, const struct mu_engine *engine, int index, struct mu_err *err);
void mu_worker_close(struct mu_worker *w);
/* worker_thread.c: give the opened worker a mailbox and a thread. */
int mu_worker_start(struct mu_worker *w, struct mu_err *err);
/* Serve the loop once (waiting when nothing is ready) and resume every fiber that was ready. */
void mu_worker_turn(struct mu_worker *w);

static inline struct mu_worker *mu_worker_of(lua_State *L)
{
    void *ud = NULL;
    lua_getallocf(L, &ud);
    return ((struct mu_allocator *)ud)->owner;
}

/* Around every resume: the watchdog's slot, and the account of time stolen from the other tasks. */
void mu_worker_slice_begin(struct mu_worker *w);
void mu_worker_slice_end(struct mu_worker *w);

#endif
