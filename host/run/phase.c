#include "run/phase.h"

#include <lauxlib.h>

#include "core/clock.h"
#include "run/engine.h"
#include "run/fleet.h"
#include "run/script_lua.h"
#include "run/use.h"
#include "run/where.h"
#include "run/worker.h"

#define TEARDOWN_UNWIND_MS 2000

static const struct mu_engine *engine_of(const struct mu_task *t) { return t->worker->engine; }
static const struct mu_script *script_of(const struct mu_task *t) { return t->worker->engine->script; }

/* Into the table on top. */
static void set_param(lua_State *L, const struct mu_param *p)
{
    switch (p->type) {
    case MU_PARAM_STR:
        lua_pushstring(L, p->str);
        break;
    case MU_PARAM_INT:
        lua_pushinteger(L, p->i);
        break;
    case MU_PARAM_NUM:
        lua_pushnumber(L, p->num);
        break;
    case MU_PARAM_BOOL:
        lua_pushboolean(L, (int)p->i);
        break;
    }
    lua_setfield(L, -2, p->name);
}

/* st: a step that may have some of its own; NULL: no step. */
static void push_params(lua_State *L, const struct mu_script *s, const struct mu_step *st)
{
    lua_createtable(L, 0, (int)s->n_params);
    for (size_t i = 0; st && i < st->n_own; i++)
        set_param(L, &st->own[i]);
    for (size_t i = 0; i < s->n_params; i++) {
        const struct mu_param *p = &s->params[i];
        if (p->set || lua_getfield(L, -1, p->name) == LUA_TNIL) {
            lua_settop(L, lua_gettop(L) - !p->set);
            set_param(L, p);
        } else {
            lua_pop(L, 1);
        }
    }
}

static void push_step_params(lua_State *L, const struct mu_task *t)
{
    const struct mu_step *st = t->phase == MU_PHASE_STEP || t->phase == MU_PHASE_WHEN ? &script_of(t)->steps[t->step] : NULL;
    if (st && st->n_own)
        push_params(L, script_of(t), st);
    else
        mu_task_push_slot(L, t, MU_SLOT_PARAMS);
}

static int prepare_load(lua_State *L, struct mu_task *t)
{
    const struct mu_bindings *b = engine_of(t)->bindings;
    lua_newtable(L);
    mu_task_set_slot(L, t, MU_SLOT_LOADED);
    push_params(L, script_of(t), NULL);
    mu_task_set_slot(L, t, MU_SLOT_PARAMS);
    b->push_server(L, &t->remote);
    mu_task_set_slot(L, t, MU_SLOT_SERVER);
    if (t->kind == MU_TASK_PAIR) {
        b->push_server(L, &t->peer);
        mu_task_set_slot(L, t, MU_SLOT_PEER);
    }
    b->push_environment(L);
    lua_pushvalue(L, -1);
    mu_task_set_slot(L, t, MU_SLOT_ENV);
    mu_script_push_factory(L, script_of(t)->path);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    return 0;
}

void mu_phase_push_hook(lua_State *L, const struct mu_task *t, const char *field)
{
    mu_task_push_slot(L, t, MU_SLOT_SCRIPT);
    if (t->phase == MU_PHASE_STEP || t->phase == MU_PHASE_WHEN || t->phase == MU_PHASE_CONSOLE) {
        lua_getfield(L, -1, "steps");
        lua_rawgeti(L, -1, (lua_Integer)t->step + 1);
        lua_replace(L, -3);
        lua_pop(L, 1);
    }
    lua_getfield(L, -1, field);
    lua_remove(L, -2);
    if (lua_type(L, -1) != LUA_TFUNCTION)
        luaL_error(L, "%s: %s is a function for some servers only", script_of(t)->path, field);
}

void mu_phase_push_failures(lua_State *L, const struct mu_failure *failures, size_t n)
{
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        const struct mu_failure *f = &failures[i];
        lua_createtable(L, 0, 5);
        lua_pushstring(L, mu_status_name(f->status));
        lua_setfield(L, -2, "status");
        const struct {
            const char *name, *value;
        } fields[] = {{"type", f->type}, {"step", f->where}, {"metric", f->metric}, {"message", f->message}};
        for (size_t j = 0; j < 4; j++) {
            lua_pushstring(L, fields[j].value); /* NULL gives nil */
            lua_setfield(L, -2, fields[j].name);
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static int prepare(lua_State *L, struct mu_fiber *f)
{
    struct mu_task *t = f->task;
    if (t->phase == MU_PHASE_LOAD)
        return prepare_load(L, t);
    if (t->phase == MU_PHASE_MARK)
        return mu_mark_prepare(L, t);
    if (mu_fleet_is(t->kind))
        return mu_fleet_prepare(L, t);
    static const char *const hooks[] = {NULL, "setup", "when", "run", "on_failure", "teardown"};
    mu_phase_push_hook(L, t, hooks[t->phase]);
    mu_task_push_slot(L, t, t->of_peer ? MU_SLOT_PEER : MU_SLOT_SERVER);
    if (t->phase == MU_PHASE_ON_FAILURE)
        mu_phase_push_failures(L, t->failures, t->n_failures);
    else
        push_step_params(L, t);
    if (t->kind != MU_TASK_PAIR || t->phase != MU_PHASE_STEP)
        return 2;
    mu_task_push_slot(L, t, MU_SLOT_PEER);
    return 3;
}

/* The script's description as this task's instance gave it must be the one that was checked. */
static void keep_description(lua_State *L, struct mu_task *t, int base)
{
    lua_settop(L, base);
    mu_use_flatten(L, script_of(t)->path);
    size_t n = 0;
    if (lua_type(L, base) == LUA_TTABLE && lua_getfield(L, base, "steps") == LUA_TTABLE)
        n = lua_rawlen(L, -1);
    if (n != script_of(t)->n_steps)
        luaL_error(L, "%s: describes other steps for this server than when it was loaded", script_of(t)->path);
    lua_settop(L, base);
    mu_task_set_slot(L, t, MU_SLOT_SCRIPT);
}

/* A cancelled scope says what became of the phase, whatever its function made of it. */
static void finish_cancelled(struct mu_task *t)
{
    const struct mu_scope *sc = &t->scope;
    const char *type = sc->status == MU_ST_TIMEOUT ? "TimeoutError" : sc->status == MU_ST_ERROR ? "ScriptError" : NULL;
    mu_task_add_failure(t, sc->status, type, NULL, sc->why.cause, sc->why.msg);
}

static void finish(lua_State *L, struct mu_fiber *f, int status, int base)
{
    struct mu_task *t = f->task;
    if (t->scope.cancelled)
        return; /* fiber_done says it, where nothing can raise */
    if (status != LUA_OK) {
        t->phase_error.code = MU_EINVAL;
        mu_outcome_error(L, t, f);
    } else if (t->phase == MU_PHASE_LOAD) {
        keep_description(L, t, base);
    } else if (t->phase == MU_PHASE_STEP) {
        mu_outcome_metrics(L, t, base);
    } else if (t->phase == MU_PHASE_WHEN) {
        t->when_said_no = !(lua_gettop(L) >= base && lua_toboolean(L, base));
    } else if (t->phase == MU_PHASE_MARK) {
        mu_mark_finish(L, t, base);
    } else if (mu_fleet_is(t->kind)) {
        mu_fleet_finish(L, t, base);
    }
}

static bool gone(const struct mu_remote *r) { return r->state == MU_REMOTE_FAILED || r->state == MU_REMOTE_LOST; }

static void fiber_done(struct mu_fiber *f)
{
    struct mu_task *t = f->task;
    bool stopped = f->abandoned || t->scope.cancelled;
    if (f->abandoned && !t->scope.cancelled) {
        struct mu_err why;
        mu_err_set(&why, MU_ECANCELED, "ended at once");
        mu_scope_cancel(&t->scope, MU_ST_CANCELLED, &why);
    }
    if (f->abandoned && f->unwinding)
        mu_log(MU_WARNING, "Abandoned: what ran after the cancellation (<close> handlers) did not end in its time.");
    if (stopped) {
        t->phase_error.code = MU_ECANCELED;
        finish_cancelled(t);
    } else if (f->status != LUA_OK) { /* finish itself raised: out of memory, or a broken description */
        t->phase_error.code = MU_EINVAL;
        const char *text = f->raised ? f->raised : "out of memory";
        mu_task_add_failure(t, MU_ST_ERROR, "ScriptError", NULL, text, text);
    }
    if (gone(&t->remote) || gone(&t->peer))
        t->stop_steps = true;
    mu_scope_close(&t->scope);
    /* What follows is the task's, not the step's; the task may be gone after it. */
    struct mu_ctx *ctx = mu_ctx_ref(t->ctx), *former = mu_ctx_enter(ctx);
    mu_task_advance(t);
    mu_ctx_leave(former);
    mu_ctx_unref(ctx);
}

/* A hook that is about the second of a pair. */
static struct mu_ctx *ctx_of_peer(const struct mu_task *t)
{
    struct mu_ctx *of_server = mu_ctx_with_str(NULL, "server_id", t->peer.server->id);
    struct mu_ctx *ctx = mu_ctx_with_str(of_server, "peer_id", t->server->id);
    mu_ctx_unref(of_server);
    return ctx;
}

int mu_phase_start(struct mu_task *t, enum mu_phase phase, uint64_t timeout_ms, const char *what)
{
    struct mu_err why, err;
    uint64_t now = mu_clock_ms(), deadline = now + timeout_ms;
    bool last = phase == MU_PHASE_TEARDOWN || phase == MU_PHASE_MARK || phase == MU_PHASE_AFTER_ALL; /* runs also when the time for the rest is over */
    uint64_t budget = last ? TEARDOWN_UNWIND_MS : engine_of(t)->teardown_timeout_ms;
    struct mu_ctx *ctx = t->result    ? mu_ctx_with_str(t->ctx, "step", t->result->name)
                         : t->of_peer ? ctx_of_peer(t)
                                      : mu_ctx_ref(t->ctx);
    t->phase = phase;
    t->phase_error.code = 0;
    mu_err_set(&why, MU_ETIMEDOUT, "%s took longer than its timeout of %g s", what, (double)timeout_ms / 1000.0);
    mu_err_cause(&why, "timeout after %g s", (double)timeout_ms / 1000.0);
    if (!last && t->deadline_ms < deadline) {
        deadline = t->deadline_ms;
        mu_err_set(&why, MU_ETIMEDOUT, "the server's deadline passed in %s", what);
        mu_err_cause(&why, "deadline passed");
    }
    int rc = mu_scope_open(&t->scope, t->worker, deadline, &why, budget);
    if (!rc) {
        if (t->hurry_until_ms)
            mu_scope_hurry(&t->scope, t->hurry_until_ms);
        rc = mu_fiber_start(NULL, t, &t->scope, ctx, prepare, finish, fiber_done, &err);
        if (rc)
            mu_scope_close(&t->scope);
    }
    mu_ctx_unref(ctx);
    if (!rc && t->server)
        mu_where_set(engine_of(t)->where, t->index, phase, t->step);
    if (!rc && t->kind == MU_TASK_PAIR)
        mu_where_set(engine_of(t)->where, t->peer.index, phase, t->step);
    if (rc) {
        t->phase_error.code = rc;
        mu_task_add_failure(t, MU_ST_ERROR, NULL, NULL, "out of memory", "out of memory");
    }
    return rc;
}

