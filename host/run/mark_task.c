/* The mark hook: called once the verdict is final, tried again when it raises, and what came of it. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "loop/loop.h"
#include "run/engine.h"
#include "run/messages.h"
#include "run/phase.h"
#include "run/task.h"
#include "run/worker.h"

#define MARK_TIMEOUT_MS (5ULL * 60 * 1000)
#define MARK_TRIES 3
#define NOTE_MAX 1000

static const uint64_t pauses_ms[MARK_TRIES] = {0, 1000, 4000}; /* before each try */

/* ---- the pause before a further try, inside the phase: one cancel path for both ---- */

static void end_pause(struct mu_wait *wait)
{
    struct mu_task *t = mu_list_entry(wait, struct mu_task, mark.pause);
    mu_timer_free(t->mark.timer);
    t->mark.timer = NULL;
}

static void pause_over(void *arg) { mu_wait_done(&((struct mu_task *)arg)->mark.pause); }

static int returned(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    return lua_gettop(L);
}

static int call_hook(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    end_pause((struct mu_wait *)ctx);
    lua_callk(L, 3, LUA_MULTRET, 0, returned); /* server, verdict, params */
    return returned(L, LUA_OK, 0);
}

/* The hook and its arguments are on the stack. */
static int pause_then_call(lua_State *L)
{
    struct mu_task *t = mu_task_current(L);
    t->mark.pause = (struct mu_wait){.abandon = end_pause};
    t->mark.timer = mu_timer_new(t->worker->loop, pause_over, t);
    if (!t->mark.timer)
        return luaL_error(L, "out of memory");
    mu_loop_update_time(t->worker->loop);
    mu_timer_start(t->mark.timer, mu_ctx_current(), pauses_ms[t->mark.tries - 1]);
    return mu_await(L, &t->mark.pause, call_hook);
}

/* ---- the call ---- */

static void push_verdict(lua_State *L, const struct mu_task *t)
{
    const struct mu_verdict *v = t->verdict;
    const struct mu_engine *e = t->worker->engine;
    lua_createtable(L, 0, 5);
    lua_pushstring(L, mu_status_name(v->status));
    lua_setfield(L, -2, "status");
    lua_pushstring(L, e->run_id);
    lua_setfield(L, -2, "run");
    lua_pushstring(L, e->owner);
    lua_setfield(L, -2, "owner");
    lua_pushstring(L, v->reason);
    lua_setfield(L, -2, "reason");
    mu_phase_push_failures(L, v->failures, v->n_failures);
    lua_setfield(L, -2, "failures");
}

int mu_mark_prepare(lua_State *L, struct mu_task *t)
{
    bool later = t->mark.tries > 1;
    if (later)
        lua_pushcfunction(L, pause_then_call);
    mu_phase_push_hook(L, t, "mark");
    mu_task_push_slot(L, t, MU_SLOT_SERVER);
    push_verdict(L, t);
    mu_task_push_slot(L, t, MU_SLOT_PARAMS);
    return later ? 4 : 3;
}

static void set_note(struct mu_task *t, const char *text, size_t len)
{
    free(t->mark.note);
    t->mark.note = strndup(text, len < NOTE_MAX ? len : NOTE_MAX);
}

void mu_mark_finish(lua_State *L, struct mu_task *t, int base)
{
    size_t len;
    int type = lua_gettop(L) >= base ? lua_type(L, base) : LUA_TNIL;
    if (type == LUA_TSTRING) {
        const char *why = lua_tolstring(L, base, &len);
        set_note(t, why, len);
        t->mark.state = MU_MARK_KEPT;
        if (t->kind == MU_TASK_DRY)
            mu_log(MU_INFO, "Would not be marked, the script leaves it as it is: %s", why);
    } else if (type == LUA_TNIL || (type == LUA_TBOOLEAN && lua_toboolean(L, base))) {
        free(t->mark.note);
        t->mark.note = NULL;
        t->mark.state = MU_MARK_MADE;
    } else {
        luaL_error(L, "%s: mark returned %s: it returns nothing or true when the server is marked, or a string that says why "
                   "it was left as it was", t->worker->engine->script->path,
                   type == LUA_TBOOLEAN ? "false" : lua_typename(L, type));
    }
}

/* ---- tries ---- */

void mu_mark_note_failure(struct mu_task *t, const char *type, const char *cause, const char *message)
{
    struct mu_buf note = MU_BUF_INIT;
    size_t n = type ? strlen(type) : 0;
    bool twice = n && !strncmp(cause, type, n) && cause[n] == ':';
    mu_buf_addf(&note, "%s%s%s", type && !twice ? type : "", type && !twice ? ": " : "", cause);
    set_note(t, mu_buf_cstr(&note), note.len);
    mu_buf_free(&note);
    t->mark.state = MU_MARK_FAILED;
    mu_log(MU_WARNING, "Try %u of %d to mark it as broken: %s%s%s", t->mark.tries, MARK_TRIES, type ? type : "",
           type ? ": " : "", message);
}

bool mu_mark_start(struct mu_task *t)
{
    bool settled = t->mark.state == MU_MARK_MADE || t->mark.state == MU_MARK_KEPT;
    if (!t->worker->engine->script->has_mark || !t->verdict || settled || t->cancelled)
        return false;
    /* Of a dry run one call says it all. */
    while (t->mark.tries < (t->kind == MU_TASK_DRY ? 1 : MARK_TRIES)) {
        t->mark.tries++;
        t->mark.state = MU_MARK_NONE;
        uint64_t pause = pauses_ms[t->mark.tries - 1];
        if (mu_phase_start(t, MU_PHASE_MARK, MARK_TIMEOUT_MS + pause, "mark") == 0)
            return true;
    }
    return false;
}

void mu_mark_report(struct mu_task *t)
{
    if (!t->mark.tries && t->hurry_until_ms) {
        t->mark.state = MU_MARK_WITHHELD;
        set_note(t, "interrupted", strlen("interrupted"));
    }
    switch (t->mark.state) {
    case MU_MARK_MADE:
        mu_log(MU_WARNING, "Marked as broken: %s", t->verdict->reason);
        break;
    case MU_MARK_KEPT:
        mu_log(MU_WARNING, "Not marked as broken, the script left it as it was: %s", t->mark.note ? t->mark.note : "");
        break;
    case MU_MARK_WITHHELD:
        mu_log(MU_WARNING, "Not marked as broken: interrupted.");
        break;
    case MU_MARK_NONE:
    case MU_MARK_FAILED:
        t->mark.state = MU_MARK_FAILED;
        mu_log(MU_ERROR, "Could not be marked as broken: %s", t->mark.note ? t->mark.note : "no reason given");
    }
    mu_post_mark(t);
}
