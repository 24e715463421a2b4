#include "run/worker.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "http/http.h"
#include "inventory/inventory.h"
#include "run/engine.h"
#include "run/fiber.h"
#include "run/task.h"
#include "ssh/ssh.h"

/* A slice longer than this was one call into C that no hook could interrupt; the others are not charged for it. */
#define STUCK_MS 500

static int prepare_state(lua_State *L)
{
    luaL_openlibs(L);
    mu_worker_of(L)->engine->bindings->open_state(L);
    lua_sethook(L, mu_fiber_hook, LUA_MASKCOUNT, MU_HOOK_COUNT);
    return 0;
}

int mu_worker_open(struct mu_worker *w, const struct mu_engine *engine, int index, struct mu_err *err)
{
    memset(w, 0, sizeof *w);
    mu_list_init(&w->ready);
    mu_list_init(&w->tasks);
    mu_list_init(&w->asks);
    w->engine = engine;
    w->index = index;
    w->allocator.owner = w;
    w->account = mu_account_new(0);
    if (!w->account)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    w->allocator.charge = w->account;
    w->allocator.fail_at = engine->alloc_fail_at;
    int rc = mu_loop_new(&w->loop, err);
    if (rc)
        goto fail;
    w->L = lua_newstate(mu_allocator_fn, &w->allocator);
    if (!w->L) {
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
        goto fail;
    }
    lua_pushcfunction(w->L, prepare_state);
    if (lua_pcall(w->L, 0, 0, 0) != LUA_OK) {
        const char *text = lua_type(w->L, -1) == LUA_TSTRING ? lua_tostring(w->L, -1) : "unknown error";
        rc = mu_err_set(err, MU_EINVAL, "cannot set up Lua: %s", text);
        goto fail;
    }
    return 0;
fail:
    mu_worker_close(w);
    return rc;
}

void mu_worker_close(struct mu_worker *w)
{
    if (w->L)
        lua_close(w->L);
    w->L = NULL;
    mu_http_free(w->http); /* every call was a userdata */
    w->http = NULL;
    mu_ssh_ways_free(w->ways); /* every session was a task's */
    w->ways = NULL;
    mu_loop_free(w->loop);
    w->loop = NULL;
    mu_account_close(w->account);
    w->account = NULL;
}

void mu_worker_turn(struct mu_worker *w)
{
    mu_loop_turn(w->loop, mu_list_empty(&w->ready) && !w->stop);
    /* Only those that are ready now: a fiber that yields its slice waits for the loop's next turn. */
    struct mu_list batch;
    mu_list_init(&batch);
    struct mu_list *l;
    while ((l = mu_list_pop(&w->ready)))
        mu_list_push(&batch, l);
    while ((l = mu_list_pop(&batch)))
        mu_fiber_resume(mu_list_entry(l, struct mu_fiber, ready));
}

void mu_worker_slice_begin(struct mu_worker *w)
{
    struct mu_task *t = w->current->task;
    w->slice_start_ms = mu_clock_ms();
    atomic_store_explicit(&w->slot.server, t->server ? t->server->id : NULL, memory_order_relaxed);
    const struct mu_script *script = w->engine->script;
    bool in_step = script && t->phase == MU_PHASE_STEP && t->step < script->n_steps;
    atomic_store_explicit(&w->slot.step, in_step ? script->steps[t->step].name : NULL, memory_order_relaxed);
    atomic_store_explicit(&w->slot.since_ms, w->slice_start_ms, memory_order_release);
}

void mu_worker_slice_end(struct mu_worker *w)
{
    atomic_store_explicit(&w->slot.since_ms, 0, memory_order_release);
    uint64_t took = mu_clock_ms() - w->slice_start_ms;
    if (took < STUCK_MS)
        return;
    struct mu_task *guilty = w->current->task;
    mu_loop_update_time(w->loop);
    mu_loop_postpone(w->loop, took);
    for (struct mu_list *l = w->tasks.next; l != &w->tasks; l = l->next) {
        struct mu_task *t = mu_list_entry(l, struct mu_task, link);
        mu_scope_postpone(&t->scope, t == guilty ? 0 : took);
        if (t != guilty)
            t->deadline_ms += took;
    }
}
