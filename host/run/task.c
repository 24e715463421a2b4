#include "run/task.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "loop/mailbox.h"
#include "run/engine.h"
#include "run/messages.h"
#include "run/worker.h"

#define TEARDOWN_UNWIND_MS 2000
#define PRINT_MAX ((size_t)64 << 10)

static const struct mu_engine *engine_of(const struct mu_task *t) { return t->worker->engine; }
static const struct mu_script *script_of(const struct mu_task *t) { return t->worker->engine->script; }

static void advance(struct mu_task *t);

/* ---- the task's table ---- */

struct mu_account *mu_task_account(const struct mu_task *t) { return t->account; }

struct mu_task *mu_task_current(lua_State *L)
{
    struct mu_fiber *f = mu_fiber_current(L);
    return f ? f->task : NULL;
}

void mu_task_push_slot(lua_State *L, const struct mu_task *t, int slot)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->table_ref);
    lua_rawgeti(L, -1, slot);
    lua_remove(L, -2);
}

void mu_task_set_slot(lua_State *L, const struct mu_task *t, int slot)
{
    if (t->table_ref == LUA_NOREF) { /* the first slot that is set */
        lua_createtable(L, MU_SLOT_VARS, 0);
        ((struct mu_task *)t)->table_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->table_ref);
    lua_insert(L, -2);
    lua_rawseti(L, -2, slot);
    lua_pop(L, 1);
}

/* ---- failures ---- */

static const char *phase_name(enum mu_phase phase)
{
    static const char *const names[] = {"load", "setup", "when", "step", "on_failure", "teardown", "end"};
    return names[phase];
}

static bool in_step(const struct mu_task *t) { return t->result != NULL; }

static void remember(struct mu_task *t, enum mu_status status, const char *type, const char *where, const char *metric,
                     const char *cause, const char *message)
{
    struct mu_failure *more = realloc(t->failures, (t->n_failures + 1) * sizeof *more);
    if (!more)
        return;
    t->failures = more;
    more[t->n_failures++] = (struct mu_failure){
        .status = status,
        .type = type ? strdup(type) : NULL,
        .where = strdup(where),
        .metric = metric ? strdup(metric) : NULL,
        .cause = strdup(cause),
        .message = strdup(message),
    };
}

static void log_failure(enum mu_status status, const char *type, const char *where, const char *message)
{
    static const char *const said[] = {"Benchmark failed", "Benchmark error", "Timed out", "Unreachable", "Cancelled"};
    enum mu_level level = status == MU_ST_CANCELLED ? MU_WARNING : MU_ERROR;
    struct mu_field fields[1] = {{"phase", MU_FIELD_STR, {.str = where}}};
    mu_log_fields(level, fields, where ? 1 : 0, "%s: %s%s%s", said[status <= MU_ST_CANCELLED ? status : MU_ST_ERROR],
                  type ? type : "", type ? ": " : "", message);
}

void mu_task_add_failure(struct mu_task *t, enum mu_status status, const char *type, const char *metric,
                         const char *cause, const char *message)
{
    const char *where = in_step(t) ? t->result->name : t->phase == MU_PHASE_END ? "task" : phase_name(t->phase);
    log_failure(status, type, in_step(t) ? NULL : where, message);
    remember(t, status, type, where, metric, cause, message);
    t->worst = mu_status_worst(t->worst, status);
    if (in_step(t))
        mu_step_result_add_failure(t->result, status, type, metric, cause, message);
    else
        mu_post_failure(t, status, type, where, cause, message);
}

void mu_task_unended(struct mu_task *t, const char *command)
{
    mu_log(MU_WARNING, "Could not confirm that this command was ended on the server: %s", command);
    mu_post_unended(t, command);
}

void mu_task_print(struct mu_task *t, const char *text, size_t len)
{
    if (!t || !t->result || t->result->log.len > PRINT_MAX)
        return;
    size_t room = PRINT_MAX - t->result->log.len;
    mu_buf_add(&t->result->log, text, len < room ? len : room);
    mu_buf_adds(&t->result->log, len < room ? "\n" : "\n[cut here]\n");
}

/* ---- cancelling ---- */

void mu_task_memory_exceeded(struct mu_task *t)
{
    struct mu_err why;
    mu_err_set(&why, MU_ENOMEM, "memory limit: the task needs more than its %zu MiB (--task-memory)",
               engine_of(t)->task_memory >> 20);
    mu_err_cause(&why, "memory limit");
    mu_task_cancel(t, MU_ST_ERROR, &why);
}

void mu_task_cancel(struct mu_task *t, enum mu_status status, const struct mu_err *why)
{
    t->cancelled = true;
    if (t->phase != MU_PHASE_TEARDOWN || why->code == MU_ENOMEM)
        mu_scope_cancel(&t->scope, status, why);
}

void mu_task_hurry(struct mu_task *t, uint64_t until_ms)
{
    mu_scope_hurry(&t->scope, until_ms);
}

void mu_task_kill(struct mu_task *t)
{
    t->cancelled = true;
    t->phase = MU_PHASE_TEARDOWN;
    if (t->scope.fiber)
        mu_fiber_abandon(t->scope.fiber);
}

/* ---- fibers of the phases ---- */

static void push_params(lua_State *L, const struct mu_script *s)
{
    lua_createtable(L, 0, (int)s->n_params);
    for (size_t i = 0; i < s->n_params; i++) {
        const struct mu_param *p = &s->params[i];
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
}

static int prepare_load(lua_State *L, struct mu_task *t)
{
    const struct mu_bindings *b = engine_of(t)->bindings;
    lua_newtable(L);
    mu_task_set_slot(L, t, MU_SLOT_LOADED);
    push_params(L, script_of(t));
    mu_task_set_slot(L, t, MU_SLOT_PARAMS);
    b->push_server(L, t);
    mu_task_set_slot(L, t, MU_SLOT_SERVER);
    b->push_environment(L);
    lua_pushvalue(L, -1);
    mu_task_set_slot(L, t, MU_SLOT_ENV);
    mu_script_push_factory(L, script_of(t)->path);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    return 0;
}

/* Push script.steps[i].field, or script.field outside steps. */
static void push_hook(lua_State *L, const struct mu_task *t, const char *field)
{
    mu_task_push_slot(L, t, MU_SLOT_SCRIPT);
    if (t->phase == MU_PHASE_STEP || t->phase == MU_PHASE_WHEN) {
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

static void push_failures(lua_State *L, const struct mu_task *t)
{
    lua_createtable(L, (int)t->n_failures, 0);
    for (size_t i = 0; i < t->n_failures; i++) {
        const struct mu_failure *f = &t->failures[i];
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
    static const char *const hooks[] = {NULL, "setup", "when", "run", "on_failure", "teardown"};
    push_hook(L, t, hooks[t->phase]);
    mu_task_push_slot(L, t, MU_SLOT_SERVER);
    if (t->phase == MU_PHASE_ON_FAILURE)
        push_failures(L, t);
    else
        mu_task_push_slot(L, t, MU_SLOT_PARAMS);
    return 2;
}

/* The script's description as this task's instance gave it must be the one that was checked. */
static void keep_description(lua_State *L, struct mu_task *t, int base)
{
    lua_settop(L, base);
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
    }
}

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
    if (t->remote.state == MU_REMOTE_FAILED || t->remote.state == MU_REMOTE_LOST)
        t->stop_steps = true;
    mu_scope_close(&t->scope);
    advance(t);
}

static int start_phase(struct mu_task *t, enum mu_phase phase, uint64_t timeout_ms, const char *what)
{
    struct mu_err why, err;
    uint64_t now = mu_clock_ms(), deadline = now + timeout_ms;
    uint64_t budget = phase == MU_PHASE_TEARDOWN ? TEARDOWN_UNWIND_MS : engine_of(t)->teardown_timeout_ms;
    struct mu_ctx *ctx = in_step(t) ? mu_ctx_with_str(t->ctx, "step", t->result->name) : mu_ctx_ref(t->ctx);
    t->phase = phase;
    t->phase_error.code = 0;
    mu_err_set(&why, MU_ETIMEDOUT, "%s took longer than its timeout of %g s", what, (double)timeout_ms / 1000.0);
    mu_err_cause(&why, "timeout after %g s", (double)timeout_ms / 1000.0);
    if (phase != MU_PHASE_TEARDOWN && t->deadline_ms < deadline) {
        deadline = t->deadline_ms;
        mu_err_set(&why, MU_ETIMEDOUT, "the server's deadline passed in %s", what);
        mu_err_cause(&why, "deadline passed");
    }
    int rc = mu_scope_open(&t->scope, t->worker, deadline, &why, budget);
    if (!rc) {
        if (t->worker->hurry_until_ms)
            mu_scope_hurry(&t->scope, t->worker->hurry_until_ms);
        rc = mu_fiber_start(NULL, t, &t->scope, ctx, prepare, finish, fiber_done, &err);
        if (rc)
            mu_scope_close(&t->scope);
    }
    mu_ctx_unref(ctx);
    if (rc) {
        t->phase_error.code = rc;
        mu_task_add_failure(t, MU_ST_ERROR, NULL, NULL, "out of memory", "out of memory");
    }
    return rc;
}

/* ---- the way through the phases ---- */

static bool next_step(struct mu_task *t);
static void close_step(struct mu_task *t);

static void end_task(struct mu_task *t)
{
    if (t->result) /* ended at once, in the middle of a step */
        close_step(t);
    t->cancelled = true;
    next_step(t); /* what was not started is skipped */
    t->phase = MU_PHASE_END;
    mu_remote_close(&t->remote);
    if (t->table_ref != LUA_NOREF)
        luaL_unref(t->worker->L, LUA_REGISTRYINDEX, t->table_ref);
    uint64_t took = mu_clock_ms() - t->started_ms;
    mu_log(t->worst == MU_ST_PASSED ? MU_INFO : MU_WARNING, "Server finished: %s (%.1f s).",
           mu_status_name(t->worst), (double)took / 1000.0);
    mu_post_done(t, took);
    for (size_t i = 0; i < t->n_failures; i++) {
        struct mu_failure *f = &t->failures[i];
        free(f->type);
        free(f->where);
        free(f->metric);
        free(f->cause);
        free(f->message);
    }
    free(t->failures);
    free(t->step_status);
    mu_list_remove(&t->link);
    mu_account_close(t->account);
    mu_ctx_unref(t->ctx);
    free(t);
}

static void post_skipped(struct mu_task *t, size_t i)
{
    struct mu_step_result *r = mu_step_result_new(script_of(t)->steps[i].name);
    t->step_status[i] = MU_ST_SKIPPED;
    if (!r)
        return;
    r->status = MU_ST_SKIPPED;
    r->started_ms = mu_clock_wall_ms();
    mu_post_step_take(t, r);
}

static bool needs_met(const struct mu_task *t, const struct mu_step *st)
{
    for (size_t i = 0; i < st->n_needs; i++)
        for (size_t j = 0; j < t->step; j++)
            if (!strcmp(script_of(t)->steps[j].name, st->needs[i]) && t->step_status[j] != MU_ST_PASSED)
                return false;
    return true;
}

static void close_step(struct mu_task *t)
{
    struct mu_step_result *r = t->result;
    uint64_t took = mu_clock_ms() - t->step_started_ms;
    struct mu_ctx *ctx = mu_ctx_with_str(t->ctx, "step", r->name);
    struct mu_ctx *former = mu_ctx_enter(ctx);
    r->duration_ms = took;
    mu_log(MU_INFO, "Step finished: %s (%.1f s).", mu_status_name(r->status), (double)took / 1000.0);
    mu_ctx_leave(former);
    mu_ctx_unref(ctx);
    t->step_status[t->step] = r->status;
    if (r->status != MU_ST_PASSED && engine_of(t)->fail_fast)
        t->stop_steps = true;
    t->result = NULL;
    mu_post_step_take(t, r);
    t->step++;
}

/* Past the deadline nothing more is started, and the server says so once. */
static void note_deadline(struct mu_task *t)
{
    if (t->cancelled || mu_clock_ms() < t->deadline_ms)
        return;
    t->cancelled = true;
    for (size_t i = 0; i < t->n_failures; i++)
        if (!strcmp(t->failures[i].cause, "deadline passed"))
            return;
    t->phase = MU_PHASE_END; /* the failure belongs to no phase */
    mu_task_add_failure(t, MU_ST_TIMEOUT, "TimeoutError", NULL, "deadline passed", "the server's deadline passed between steps");
}

/* Start the next step that is not skipped; false when there is none. */
static bool next_step(struct mu_task *t)
{
    const struct mu_script *s = script_of(t);
    for (; t->step < s->n_steps; t->step++) {
        const struct mu_step *st = &s->steps[t->step];
        char what[96];
        note_deadline(t);
        if (t->cancelled || t->stop_steps || !needs_met(t, st)) {
            post_skipped(t, t->step);
            continue;
        }
        snprintf(what, sizeof what, "step %s", st->name);
        t->result = mu_step_result_new(st->name);
        if (!t->result) {
            mu_task_add_failure(t, MU_ST_ERROR, NULL, NULL, "out of memory", "out of memory");
            return false;
        }
        t->result->status = MU_ST_PASSED;
        t->result->started_ms = mu_clock_wall_ms();
        t->step_started_ms = mu_clock_ms();
        t->when_said_no = false;
        if (start_phase(t, st->has_when ? MU_PHASE_WHEN : MU_PHASE_STEP, st->timeout_ms, what) == 0)
            return true;
        close_step(t);
        t->step--; /* the loop counts on */
    }
    return false;
}

static void skip_step(struct mu_task *t)
{
    mu_step_result_free(t->result);
    t->result = NULL;
    mu_log(MU_DEBUG, "Step %s skipped: its when said no.", script_of(t)->steps[t->step].name);
    post_skipped(t, t->step++);
}

/* What comes after `phase`; each start_phase that fails falls through to the next. */
static void advance(struct mu_task *t)
{
    const struct mu_script *s = script_of(t);
    const struct mu_engine *e = engine_of(t);
    bool ok = t->phase_error.code == 0;
    switch (t->phase) {
    case MU_PHASE_LOAD:
        if (!ok || t->cancelled) {
            break;
        }
        if (s->has_setup && start_phase(t, MU_PHASE_SETUP, MU_STEP_TIMEOUT_MS, "setup") == 0)
            return;
        t->phase = MU_PHASE_SETUP;
        ok = t->phase_error.code == 0;
        /* fallthrough */
    case MU_PHASE_SETUP:
        if (!ok)
            t->stop_steps = true;
        if (next_step(t))
            return;
        goto steps_over;
    case MU_PHASE_WHEN:
        if (ok && t->when_said_no)
            skip_step(t);
        else if (ok) {
            uint64_t left = s->steps[t->step].timeout_ms;
            char what[96];
            snprintf(what, sizeof what, "step %s", s->steps[t->step].name);
            if (start_phase(t, MU_PHASE_STEP, left, what) == 0)
                return;
            close_step(t);
        } else
            close_step(t);
        if (next_step(t))
            return;
        goto steps_over;
    case MU_PHASE_STEP:
        close_step(t);
        if (next_step(t))
            return;
    steps_over:
        if (s->has_on_failure && t->n_failures && !t->cancelled &&
            start_phase(t, MU_PHASE_ON_FAILURE, e->teardown_timeout_ms, "on_failure") == 0)
            return;
        /* fallthrough */
    case MU_PHASE_ON_FAILURE:
        if (s->has_teardown) {
            if (t->remote.state == MU_REMOTE_LOST)
                mu_remote_reset(&t->remote); /* it may be back */
            if (start_phase(t, MU_PHASE_TEARDOWN, e->teardown_timeout_ms, "teardown") == 0)
                return;
        }
        break;
    case MU_PHASE_TEARDOWN:
    case MU_PHASE_END:
        break;
    }
    end_task(t);
}

int mu_task_start(struct mu_worker *w, const struct mu_server *server, size_t index, struct mu_err *err)
{
    const struct mu_engine *e = w->engine;
    struct mu_task *t = calloc(1, sizeof *t);
    if (!t)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    t->worker = w;
    t->server = server;
    t->index = index;
    t->table_ref = LUA_NOREF;
    t->worst = MU_ST_PASSED;
    t->started_ms = mu_clock_ms();
    t->deadline_ms = t->started_ms + e->timeout_ms;
    t->account = mu_account_new(e->task_memory);
    t->ctx = mu_ctx_with_str(NULL, "server_id", server->id);
    t->step_status = calloc(e->script->n_steps + 1, sizeof *t->step_status);
    mu_list_push(&w->tasks, &t->link);
    mu_remote_init(&t->remote, t, server->local || e->local);
    struct mu_ctx *former = mu_ctx_enter(t->ctx);
    int rc = t->account && t->ctx && t->step_status ? 0 : MU_ENOMEM;
    if (!rc) {
        mu_post_started(t);
        mu_log(MU_INFO, "Started.");
        /* From here on the task reports its own end, whatever happens. */
        if (start_phase(t, MU_PHASE_LOAD, MU_STEP_TIMEOUT_MS, "loading the script") != 0)
            end_task(t);
    } else {
        mu_list_remove(&t->link);
        mu_account_close(t->account);
        free(t->step_status);
        free(t);
        mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    mu_ctx_leave(former);
    return rc;
}
