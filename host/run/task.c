#include "run/task.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "loop/mailbox.h"
#include "run/engine.h"
#include "run/messages.h"
#include "run/phase.h"
#include "run/worker.h"

#define PRINT_MAX ((size_t)64 << 10)

static const struct mu_engine *engine_of(const struct mu_task *t) { return t->worker->engine; }
static const struct mu_script *script_of(const struct mu_task *t) { return t->worker->engine->script; }

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
    const char *where = t->result ? t->result->name : t->phase == MU_PHASE_END ? "task" : phase_name(t->phase);
    log_failure(status, type, t->result ? NULL : where, message);
    remember(t, status, type, where, metric, cause, message);
    t->worst = mu_status_worst(t->worst, status);
    if (t->result)
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
        if (mu_phase_start(t, st->has_when ? MU_PHASE_WHEN : MU_PHASE_STEP, st->timeout_ms, what) == 0)
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
void mu_task_advance(struct mu_task *t)
{
    const struct mu_script *s = script_of(t);
    const struct mu_engine *e = engine_of(t);
    bool ok = t->phase_error.code == 0;
    switch (t->phase) {
    case MU_PHASE_LOAD:
        if (!ok || t->cancelled) {
            break;
        }
        if (s->has_setup && mu_phase_start(t, MU_PHASE_SETUP, MU_STEP_TIMEOUT_MS, "setup") == 0)
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
            if (mu_phase_start(t, MU_PHASE_STEP, left, what) == 0)
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
            mu_phase_start(t, MU_PHASE_ON_FAILURE, e->teardown_timeout_ms, "on_failure") == 0)
            return;
        /* fallthrough */
    case MU_PHASE_ON_FAILURE:
        if (s->has_teardown) {
            if (t->remote.state == MU_REMOTE_LOST)
                mu_remote_reset(&t->remote); /* it may be back */
            if (mu_phase_start(t, MU_PHASE_TEARDOWN, e->teardown_timeout_ms, "teardown") == 0)
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
        if (mu_phase_start(t, MU_PHASE_LOAD, MU_STEP_TIMEOUT_MS, "loading the script") != 0)
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
