/* loop.h: one event loop, its timers and its descriptor watches.
 *
 * Purpose: the only door to libuv. Whatever runs in a loop runs in the log context of the one it is for: every start
 *   call takes a context (NULL: none), holds a reference to it while started, and each callback is called between one
 *   mu_ctx_enter/leave pair, made here and nowhere else.
 * Owner: a loop owns nothing of its users'; free every handle before mu_loop_free(). _free of a handle is immediate for
 *   the caller (no callback comes after it), allowed inside the handle's own callback, and accepts NULL.
 * Thread: the one that runs the loop. Into it from others: mu_mailbox_post() and mu_mailbox_nudge() alone.
 * Must not know: Lua, SSH, servers.
 */
#ifndef MU_LOOP_LOOP_H
#define MU_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/log.h"

struct mu_loop;
int mu_loop_new(struct mu_loop **out, struct mu_err *err);
/* A handle still open is a bug (asserted). Waits for what was given up but cannot be interrupted: a cancelled name lookup
 * that a helper thread is in, and up to 2 s for a killed command to be reaped. NULL allowed. */
void mu_loop_free(struct mu_loop *loop);

/* Handle what is ready; when block, wait for at least one event first. Returns at once when nothing is open or started
 * that an event could come from. */
void mu_loop_turn(struct mu_loop *loop, bool block);
uint64_t mu_loop_now_ms(struct mu_loop *loop); /* monotonic; the time at the start of the turn, as mu_clock_ms() counts */
void mu_loop_update_time(struct mu_loop *loop); /* after long work outside callbacks, before starting timers */

/* ---- timers: one shot ---- */
struct mu_timer;
typedef void mu_timer_fn(void *arg);
struct mu_timer *mu_timer_new(struct mu_loop *loop, mu_timer_fn *fn, void *arg); /* NULL when out of memory */
void mu_timer_start(struct mu_timer *t, struct mu_ctx *ctx, uint64_t delay_ms);  /* restarts when running */
void mu_timer_stop(struct mu_timer *t);
void mu_timer_free(struct mu_timer *t);
/* Every running timer of the loop fires ms later: for time that the loop's thread spent where no timer could fire. */
void mu_loop_postpone(struct mu_loop *loop, uint64_t ms);

/* ---- descriptor watches: level triggered ---- */
enum { MU_READABLE = 1, MU_WRITABLE = 2 };
struct mu_watch;
/* events: MU_READABLE | MU_WRITABLE; on a poll error both are reported, so that the next I/O call finds the error. */
typedef void mu_watch_fn(void *arg, int events);
/* Watch fd, which stays the caller's: it must stay open until mu_watch_free(). At most one watch a descriptor. */
int mu_watch_new(struct mu_watch **out, struct mu_loop *loop, int fd, mu_watch_fn *fn, void *arg, struct mu_err *err);
int mu_watch_set(struct mu_watch *w, int events); /* 0 pauses; cheap when nothing changes. 0 or MU_EIO */
void mu_watch_set_ctx(struct mu_watch *w, struct mu_ctx *ctx);
void mu_watch_free(struct mu_watch *w);

/* ---- raise the descriptor limit ---- */
/* Raise RLIMIT_NOFILE to its hard limit; returns the limit now in force. Once a process; any thread. */
uint64_t mu_loop_raise_fd_limit(void);

#endif
