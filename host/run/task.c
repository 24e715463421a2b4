#include "run/task.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "loop/loop.h"
#include "loop/mailbox.h"
#include "run/console.h"
#include "run/engine.h"
#include "run/fleet.h"
#include "run/messages.h"
#include "run/permit.h"
#include "run/phase.h"
#include "run/where.h"
#include "run/worker.h"

#define PRINT_MAX ((size_t)64 << 10)
#define TOLD_FACTOR 4

static const struct mu_engine *engine_of(const struct mu_task *t) { return t->worker->engine; }

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
        lua_createtable(L, MU_SLOT_PEER_FACTS, 0);
        ((struct mu_task *)t)->table_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->table_ref);
    lua_insert(L, -2);
    lua_rawseti(L, -2, slot);
    lua_pop(L, 1);
}

int mu_task_slot(const struct mu_remote *r, int slot)
{
    bool peer = r == &r->task->peer;
    return !peer ? slot : slot == MU_SLOT_VARS ? MU_SLOT_PEER_VARS : MU_SLOT_PEER_FACTS;
}

/* ---- failures ---- */

static const char *phase_name(enum mu_phase phase)
{
    static const char *const names[] = {"load", "setup", "when", "step", "on_failure", "teardown", "mark", "console",
                                        "before_all", "after_all", "step", "end"};
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

static void forget(struct mu_failure *f)
{
    free(f->type);
    free(f->where);
    free(f->metric);
    free(f->cause);
    free(f->message);
}

void mu_task_forget_failures(struct mu_task *t, size_t n)
{
    while (t->n_failures > n)
        forget(&t->failures[--t->n_failures]);
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
    if (t->kind == MU_TASK_MARK) { /* it says nothing of the server */
        mu_mark_note_failure(t, type, cause, message);
        return;
    }
    if (mu_fleet_is(t->kind)) {
        mu_fleet_note_failure(t, status, type, message);
        return;
    }
    const char *where = t->result ? t->result->name : t->phase == MU_PHASE_END ? "task" : phase_name(t->phase);
    log_failure(status, type, t->result ? NULL : where, message);
    remember(t, status, type, where, metric, cause, message);
    t->worst = mu_status_worst(t->worst, status);
    if (t->result)
        mu_step_result_add_failure(t->result, status, type, metric, cause, message);
    else
        mu_post_failure(t, status, type, where, cause, message);
}

void mu_task_unended(struct mu_task *t, size_t server, const char *command)
{
    mu_log(MU_WARNING, "Could not confirm that this command was ended on the server: %s", command);
    mu_post_unended(t, server, command);
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
    bool shielded = t->phase == MU_PHASE_TEARDOWN || t->phase == MU_PHASE_MARK || t->phase == MU_PHASE_AFTER_ALL;
    t->cancelled = true;
    if (!shielded || why->code == MU_ENOMEM)
        mu_scope_cancel(&t->scope, status, why);
}

void mu_task_hurry(struct mu_task *t, uint64_t until_ms)
{
    t->hurry_until_ms = until_ms;
    mu_scope_hurry(&t->scope, until_ms);
}

void mu_task_kill(struct mu_task *t)
{
    if (mu_console_leave(t))
        return;
    t->cancelled = t->killed = true;
    t->hurry_until_ms = mu_clock_ms();
    if (t->phase != MU_PHASE_END)
        t->phase = t->kind == MU_TASK_MARK ? MU_PHASE_MARK : MU_PHASE_TEARDOWN;
    t->peer_began = false;
    if (!mu_keep_release(t) && t->scope.fiber)
        mu_fiber_abandon(t->scope.fiber);
}

/* ---- the beginning and the end ---- */

/* All is said and done. */
static void finish(struct mu_task *t)
{
    if (t->kind == MU_TASK_MARK)
        mu_mark_report(t);
    else if (t->kind == MU_TASK_BEFORE_ALL && t->worst == MU_ST_PASSED)
        mu_post_shared_take(t, &t->plain);
    else if (t->kind == MU_TASK_RUN && engine_of(t)->pairs) /* it is finished when its pairs are (deal.c) */
        mu_log(MU_DEBUG, "Own steps finished: %s (%.1f s).", mu_status_name(t->worst), (double)t->took_ms / 1000.0);
    else if (t->kind != MU_TASK_CONSOLE && !mu_fleet_is(t->kind))
        mu_log(t->worst == MU_ST_PASSED ? MU_INFO : MU_WARNING, "%s finished: %s (%.1f s).",
               t->kind == MU_TASK_PAIR ? "Pair" : "Server", mu_status_name(t->worst), (double)t->took_ms / 1000.0);
    mu_post_done(t, t->took_ms);
    mu_task_forget_failures(t, 0);
    free(t->failures);
    free(t->step_status);
    free(t->mark.note);
    mu_timer_free(t->mark.timer);
    mu_console_free(t);
    mu_verdict_free(t->verdict);
    mu_repeat_free(t->repeat);
    mu_buf_free(&t->plain);
    mu_list_remove(&t->link);
    mu_account_close(t->account);
    mu_ctx_unref(t->ctx);
    free(t);
}

void mu_task_end(struct mu_task *t)
{
    if (t->result) /* ended at once, in the middle of a step */
        mu_steps_close_at_once(t);
    t->cancelled = true;
    if (t->kind == MU_TASK_RUN || t->kind == MU_TASK_AGAIN || t->kind == MU_TASK_PAIR || t->kind == MU_TASK_DRY)
        mu_steps_skip_rest(t);
    t->phase = MU_PHASE_END;
    if (t->server)
        mu_where_clear(t->worker->engine->where, t->index);
    if (t->kind == MU_TASK_PAIR)
        mu_where_clear(t->worker->engine->where, t->peer.index);
    mu_remote_close(&t->remote);
    mu_remote_close(&t->peer);
    while (!mu_list_empty(&t->permits))
        mu_permit_release(mu_list_entry(t->permits.next, struct mu_permit, link));
    mu_claim_end(t);
    if (t->table_ref != LUA_NOREF)
        luaL_unref(t->worker->L, LUA_REGISTRYINDEX, t->table_ref);
    t->table_ref = LUA_NOREF;
    t->took_ms = mu_clock_ms() - t->started_ms;
    if (t->kind != MU_TASK_RUN || !mu_keep_ending(t, t->took_ms, finish))
        finish(t);
}

int mu_task_start(struct mu_worker *w, const struct mu_order *order, struct mu_err *err)
{
    const struct mu_engine *e = w->engine;
    struct mu_task *t = calloc(1, sizeof *t);
    if (!t) {
        mu_verdict_free(order->verdict);
        mu_repeat_free(order->repeat);
        free(order->plain.data);
        free(order->claim);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    t->worker = w;
    t->hurry_until_ms = w->hurry_until_ms;
    t->kind = order->kind;
    t->server = order->server;
    t->index = order->index;
    t->verdict = order->verdict;
    t->repeat = order->repeat;
    t->plain = order->plain;
    t->claim.data = order->claim;
    t->attempt = order->attempt ? order->attempt : 1;
    t->table_ref = LUA_NOREF;
    t->worst = MU_ST_PASSED;
    t->started_ms = mu_clock_ms();
    t->deadline_ms = t->server ? t->started_ms + e->timeout_ms : UINT64_MAX / 2; /* hooks have their own limits */
    /* What after_all is told of a large fleet comes on top of its own memory; as Lua values it takes less than this. */
    t->account = mu_account_new(e->task_memory + TOLD_FACTOR * order->plain.len);
    t->ctx = t->server ? mu_ctx_with_str(NULL, "server_id", t->server->id)
                       : mu_ctx_with_str(NULL, "phase", t->kind == MU_TASK_BEFORE_ALL ? "before_all" : "after_all");
    if (order->peer) {
        struct mu_ctx *of_first = t->ctx;
        t->ctx = mu_ctx_with_str(of_first, "peer_id", order->peer->id);
        mu_ctx_unref(of_first);
    }
    t->step_status = calloc(e->script->n_steps + 1, sizeof *t->step_status);
    mu_list_push(&w->tasks, &t->link);
    mu_remote_init(&t->remote, t, t->server, t->index, !t->server || t->server->local || e->local);
    mu_remote_init(&t->peer, t, order->peer, order->peer_index, !order->peer || order->peer->local || e->local);
    mu_list_init(&t->permits);
    struct mu_ctx *former = mu_ctx_enter(t->ctx);
    int rc = t->account && t->ctx && t->step_status ? 0 : MU_ENOMEM;
    if (!rc) {
        if (t->server && t->kind != MU_TASK_MARK) { /* its server was started before */
            mu_post_started(t);
            if (order->peer)
                mu_log(MU_INFO, "Paired with %s%s%s.", order->peer->id, t->repeat ? ", anew: " : "", t->repeat ? t->repeat->why : "");
            else if (t->repeat)
                mu_log(MU_WARNING, "Started again: measured once more, since it is behind its peers: %s.", t->repeat->why);
            else if (t->kind != MU_TASK_CONSOLE)
                mu_log(MU_INFO, "Started.");
        }
        /* From here on the task reports its own end, whatever happens. */
        if (mu_phase_start(t, MU_PHASE_LOAD, MU_STEP_TIMEOUT_MS, "loading the script") != 0)
            mu_task_end(t);
    } else {
        mu_verdict_free(t->verdict);
        mu_repeat_free(t->repeat);
        free(t->claim.data);
        mu_buf_free(&t->plain);
        mu_list_remove(&t->link);
        mu_account_close(t->account);
        free(t->step_status);
        free(t);
        mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    mu_ctx_leave(former);
    return rc;
}
