#include "run/fiber.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "run/account.h"
#include "run/spawn.h"
#include "run/task.h"
#include "run/worker.h"

#define SLICE_MS 10
#define TRACE_MAX 4000

/* ---- scopes ---- */

static void arm(struct mu_scope *scope)
{
    struct mu_fiber *f = scope->fiber;
    uint64_t at = f && f->unwinding ? f->unwind_until_ms : scope->cancelled ? 0 : scope->deadline_ms;
    uint64_t now = mu_clock_ms();
    if (at)
        mu_timer_start(scope->timer, f ? f->ctx : NULL, at > now ? at - now : 0);
    else
        mu_timer_stop(scope->timer);
}

static void scope_time(void *arg)
{
    struct mu_scope *scope = arg;
    struct mu_fiber *f = scope->fiber;
    uint64_t now = mu_clock_ms();
    if (f && f->unwinding) {
        if (now >= f->unwind_until_ms)
            mu_fiber_abandon(f);
        else
            arm(scope);
        return;
    }
    if (!mu_scope_check(scope, now))
        arm(scope);
}

int mu_scope_open(struct mu_scope *scope, struct mu_worker *w, uint64_t deadline_ms, const struct mu_err *why,
                  uint64_t unwind_budget_ms)
{
    *scope = (struct mu_scope){.worker = w, .deadline_ms = deadline_ms, .unwind_budget_ms = unwind_budget_ms};
    if (why)
        scope->deadline_why = *why;
    scope->timer = mu_timer_new(w->loop, scope_time, scope);
    if (!scope->timer)
        return MU_ENOMEM;
    arm(scope);
    return 0;
}

void mu_scope_close(struct mu_scope *scope)
{
    mu_timer_free(scope->timer);
    scope->timer = NULL;
}

void mu_scope_hurry(struct mu_scope *scope, uint64_t until_ms)
{
    if (!scope->timer)
        return;
    struct mu_fiber *f = scope->fiber;
    uint64_t now = mu_clock_ms(), left = until_ms > now ? until_ms - now : 0;
    if (f && f->unwinding && f->unwind_until_ms > until_ms)
        f->unwind_until_ms = until_ms;
    if (!scope->parent && (!scope->deadline_ms || scope->deadline_ms > until_ms))
        scope->deadline_ms = until_ms;
    if (scope->unwind_budget_ms > left)
        scope->unwind_budget_ms = left;
    arm(scope);
    mu_spawned_hurry(f, until_ms);
}

void mu_scope_postpone(struct mu_scope *scope, uint64_t ms)
{
    if (!scope->timer)
        return;
    if (scope->fiber && scope->fiber->unwinding)
        scope->fiber->unwind_until_ms += ms;
    if (scope->deadline_ms)
        scope->deadline_ms += ms;
    arm(scope);
    mu_spawned_postpone(scope->fiber, ms);
}

void mu_scope_cancel(struct mu_scope *scope, enum mu_status status, const struct mu_err *why)
{
    if (!scope->cancelled) {
        scope->cancelled = true;
        scope->status = status;
        scope->why = *why;
    }
    struct mu_fiber *f = scope->fiber;
    mu_spawned_cancel(f, scope->status, &scope->why);
    if (!f || f->unwinding || !f->wait)
        return; /* not waiting: the hook or the next host call raises */
    struct mu_wait *wait = f->wait;
    if (wait->done)
        return;
    if (wait->cancel)
        wait->cancel(wait);
    else
        mu_wait_done(wait);
}

bool mu_scope_check(struct mu_scope *scope, uint64_t now_ms)
{
    if (scope->parent)
        mu_scope_check(scope->parent, now_ms); /* which cancels this one with it */
    if (!scope->cancelled && scope->deadline_ms && now_ms >= scope->deadline_ms)
        mu_scope_cancel(scope, MU_ST_TIMEOUT, &scope->deadline_why);
    return scope->cancelled;
}

/* ---- waits ---- */

void mu_wait_wake(struct mu_wait *wait)
{
    if (wait->fiber)
        mu_fiber_ready(wait->fiber);
}

void mu_wait_done(struct mu_wait *wait)
{
    wait->done = true;
    mu_wait_wake(wait);
}

static void drop_wait(struct mu_wait *wait)
{
    if (wait->abandon)
        wait->abandon(wait);
    wait->done = true;
}

static void start_unwinding(struct mu_fiber *f)
{
    f->unwinding = true;
    f->unwind_until_ms = mu_clock_ms() + f->scope->unwind_budget_ms;
    arm(f->scope);
}

static _Noreturn void raise_cancelled(lua_State *L, struct mu_fiber *f)
{
    start_unwinding(f);
    luaL_error(L, "cancelled: %s", f->scope->why.msg);
    abort(); /* luaL_error does not return */
}

static int yield_for(lua_State *L, struct mu_fiber *f, struct mu_wait *wait);

static int await_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    struct mu_wait *wait = (struct mu_wait *)ctx;
    struct mu_fiber *f = mu_fiber_current(L);
    bool cancelled = f->scope->cancelled && !f->unwinding;
    if (cancelled && wait->cancel && !wait->done)
        return yield_for(L, f, wait); /* it was asked to end, and is not there yet */
    wait->fiber = NULL;
    f->wait = NULL;
    if (cancelled) {
        drop_wait(wait);
        raise_cancelled(L, f);
    }
    return wait->k(L, LUA_OK, ctx);
}

static int yield_for(lua_State *L, struct mu_fiber *f, struct mu_wait *wait)
{
    wait->fiber = f;
    f->wait = wait;
    f->host_yield = true;
    return lua_yieldk(L, 0, (lua_KContext)wait, await_k);
}

int mu_await(lua_State *L, struct mu_wait *wait, lua_KFunction k)
{
    struct mu_fiber *f = mu_fiber_current(L);
    const char *problem = NULL;
    wait->k = k;
    if (!f)
        problem = "this call works in a task only";
    else if (f->loading)
        problem = "not at load time: move it into setup or a step";
    else if (wait->done)
        return k(L, LUA_OK, (lua_KContext)wait);
    else if (f->no_yield || !lua_isyieldable(L))
        problem = "this call waits, which is not possible here (inside a sort comparator, a gsub callback, a __gc or a "
                  "__tostring): collect what you need first, then call it";
    if (problem) {
        drop_wait(wait);
        return luaL_error(L, "%s", problem);
    }
    if (f->scope->cancelled && !f->unwinding) {
        if (!wait->cancel) {
            drop_wait(wait);
            raise_cancelled(L, f);
        }
        wait->cancel(wait);
    }
    return yield_for(L, f, wait);
}

/* ---- fibers ---- */

struct mu_fiber *mu_fiber_current(lua_State *L) { return mu_worker_of(L)->current; }

static int keep_trace(lua_State *L)
{
    struct mu_fiber *f = mu_fiber_current(L);
    if (!f || f->unwinding || f->trace)
        return 1;
    luaL_traceback(L, L, NULL, 1);
    const char *text = lua_tostring(L, -1);
    if (text)
        f->trace = strndup(text, TRACE_MAX);
    lua_pop(L, 1);
    return 1;
}

static int body_ended(lua_State *L, int status, lua_KContext ctx)
{
    struct mu_fiber *f = (struct mu_fiber *)ctx;
    if (status == LUA_YIELD)
        status = LUA_OK;
    if (status != LUA_OK && mu_account_exceeded(mu_task_account(f->task)))
        mu_task_memory_exceeded(f->task);
    mu_scope_check(f->scope, mu_clock_ms()); /* it may have come back late without a host call or a tick of the hook */
    status = mu_spawned_settle(L, f, status, 2);
    f->finish(L, f, status, 2);
    return 0;
}

static int fiber_entry(lua_State *L)
{
    struct mu_fiber *f = lua_touserdata(L, 1);
    lua_settop(L, 0);
    lua_pushcfunction(L, keep_trace);
    int nargs = f->prepare(L, f);
    int status = lua_pcallk(L, nargs, LUA_MULTRET, 1, (lua_KContext)f, body_ended);
    return body_ended(L, status, (lua_KContext)f);
}

static int make_coroutine(lua_State *L)
{
    struct mu_fiber *f = lua_touserdata(L, 1);
    f->co = lua_newthread(L);
    f->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushcfunction(f->co, fiber_entry);
    lua_pushlightuserdata(f->co, f);
    return 0;
}

int mu_fiber_start(struct mu_fiber **out, struct mu_task *task, struct mu_scope *scope, struct mu_ctx *ctx,
                   int (*prepare)(lua_State *, struct mu_fiber *),
                   void (*finish)(lua_State *, struct mu_fiber *, int, int), void (*done)(struct mu_fiber *),
                   struct mu_err *err)
{
    struct mu_worker *w = scope->worker;
    struct mu_fiber *f = calloc(1, sizeof *f);
    if (!f)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    *f = (struct mu_fiber){.worker = w, .task = task, .scope = scope, .co_ref = LUA_NOREF, .prepare = prepare,
                           .finish = finish, .done = done};
    mu_list_init(&f->ready);
    mu_list_init(&f->spawned);
    struct mu_account *former = w->allocator.charge;
    w->allocator.charge = mu_task_account(task);
    lua_pushcfunction(w->L, make_coroutine);
    lua_pushlightuserdata(w->L, f);
    int status = lua_pcall(w->L, 1, 0, 0);
    w->allocator.charge = former;
    if (status != LUA_OK) {
        lua_pop(w->L, 1);
        if (f->co_ref != LUA_NOREF)
            luaL_unref(w->L, LUA_REGISTRYINDEX, f->co_ref);
        free(f);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    f->ctx = mu_ctx_ref(ctx);
    scope->fiber = f;
    if (out)
        *out = f;
    mu_fiber_ready(f);
    return 0;
}

void mu_fiber_ready(struct mu_fiber *f)
{
    if (!mu_list_linked(&f->ready))
        mu_list_push(&f->worker->ready, &f->ready);
}

static void end(struct mu_fiber *f)
{
    mu_list_remove(&f->ready);
    if (f->wait) {
        struct mu_wait *wait = f->wait;
        wait->fiber = NULL;
        f->wait = NULL;
        drop_wait(wait);
    }
    f->over = false;
    mu_spawned_abandon(f);
    f->scope->fiber = NULL;
    luaL_unref(f->worker->L, LUA_REGISTRYINDEX, f->co_ref);
    f->co = NULL;
    struct mu_ctx *former = mu_ctx_enter(f->ctx);
    f->done(f);
    mu_ctx_leave(former);
    mu_ctx_unref(f->ctx);
    free(f->trace);
    free(f->raised);
    free(f);
}

void mu_fiber_settled(struct mu_fiber *f)
{
    if (f->over)
        end(f);
}

void mu_fiber_abandon(struct mu_fiber *f)
{
    f->abandoned = true;
    end(f);
}

void mu_fiber_resume(struct mu_fiber *f)
{
    struct mu_worker *w = f->worker;
    struct mu_account *charged = w->allocator.charge;
    struct mu_ctx *former = mu_ctx_enter(f->ctx);
    w->current = f;
    w->allocator.charge = mu_task_account(f->task);
    f->host_yield = false;
    mu_worker_slice_begin(w);
    int n = 0;
    int status = lua_resume(f->co, NULL, lua_status(f->co) == LUA_YIELD ? 0 : 1, &n);
    mu_worker_slice_end(w);
    w->current = NULL;
    w->allocator.charge = charged;
    mu_ctx_leave(former);
    if (status == LUA_YIELD) {
        lua_settop(f->co, lua_gettop(f->co) - n);
        if (f->abandoned)
            end(f);
        else if (!f->wait)
            mu_fiber_ready(f); /* its slice was over */
        else if (f->wait->done)
            mu_fiber_ready(f);
        return;
    }
    f->status = status;
    if (status != LUA_OK && lua_type(f->co, -1) == LUA_TSTRING)
        f->raised = strdup(lua_tostring(f->co, -1));
    if (!f->running) {
        end(f);
        return;
    }
    /* It ends with the last of what it spawned. What its own time was, it has kept. */
    f->over = true;
    f->scope->deadline_ms = 0;
    arm(f->scope);
    former = mu_ctx_enter(f->ctx);
    mu_spawned_end(f);
    mu_ctx_leave(former);
}

void mu_fiber_set_ctx_take(struct mu_fiber *f, struct mu_ctx *ctx)
{
    mu_ctx_enter(ctx);
    mu_ctx_unref(f->ctx);
    f->ctx = ctx;
}

void mu_fiber_check(lua_State *L)
{
    struct mu_fiber *f = mu_fiber_current(L);
    if (f && !f->unwinding && mu_scope_check(f->scope, mu_clock_ms()))
        raise_cancelled(L, f);
}

void mu_fiber_rethrow(lua_State *L, int status, bool was_unwinding)
{
    struct mu_fiber *f = mu_fiber_current(L);
    if (!f || (was_unwinding && !f->abandoned)) /* no handler outlasts its time by catching the end of it */
        return;
    if (status != LUA_OK && !f->unwinding && mu_account_exceeded(mu_task_account(f->task))) {
        mu_task_memory_exceeded(f->task);
        start_unwinding(f);
    }
    if (f->unwinding)
        lua_error(L);
}

void mu_fiber_hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    struct mu_worker *w = mu_worker_of(L);
    struct mu_fiber *f = w->current;
    if (!f)
        return;
    if (mu_account_wants_collection(w->allocator.charge)) {
        lua_gc(L, LUA_GCCOLLECT, 0);
        mu_account_collected(w->allocator.charge);
    }
    uint64_t now = mu_clock_ms();
    bool can_yield = !f->no_yield && lua_isyieldable(L);
    if (f->unwinding) {
        if (now >= f->unwind_until_ms) {
            f->abandoned = true;
            if (!can_yield)
                luaL_error(L, "abandoned: <close> handlers took longer than their time");
        }
    } else if (mu_scope_check(f->scope, now)) {
        raise_cancelled(L, f);
    }
    if (can_yield && (f->abandoned || now - w->slice_start_ms >= SLICE_MS)) {
        f->host_yield = true;
        lua_yield(L, 0);
    }
}
