/* The hooks before_all and after_all as a task: one phase after the loading of the script. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "run/engine.h"
#include "run/fleet.h"
#include "run/phase.h"
#include "run/plain.h"
#include "run/task.h"
#include "run/worker.h"

static const struct mu_engine *engine_of(const struct mu_task *t) { return t->worker->engine; }

bool mu_fleet_start(struct mu_task *t)
{
    if (t->phase != MU_PHASE_LOAD || t->phase_error.code || t->cancelled)
        return false;
    return t->kind == MU_TASK_BEFORE_ALL
               ? mu_phase_start(t, MU_PHASE_BEFORE_ALL, engine_of(t)->setup_timeout_ms, "before_all") == 0
               : mu_phase_start(t, MU_PHASE_AFTER_ALL, engine_of(t)->teardown_timeout_ms, "after_all") == 0;
}

int mu_fleet_prepare(lua_State *L, struct mu_task *t)
{
    const struct mu_engine *e = engine_of(t);
    if (t->kind == MU_TASK_BEFORE_ALL) {
        mu_phase_push_hook(L, t, "before_all");
        e->bindings->push_fleet(L, e->servers, e->n_servers);
    } else {
        mu_phase_push_hook(L, t, "after_all");
        mu_plain_push(L, &t->plain);
        mu_buf_free(&t->plain);
    }
    mu_task_push_slot(L, t, MU_SLOT_PARAMS);
    return 2;
}

void mu_fleet_finish(lua_State *L, struct mu_task *t, int base)
{
    if (t->kind != MU_TASK_BEFORE_ALL || lua_gettop(L) < base || lua_isnil(L, base))
        return;
    const char *what = lua_pushfstring(L, "%s: before_all returned", engine_of(t)->script->path);
    mu_plain_encode(L, base, what, &t->plain);
}

void mu_fleet_note_failure(struct mu_task *t, enum mu_status status, const char *type, const char *message)
{
    struct mu_buf text = MU_BUF_INIT;
    mu_buf_addf(&text, "%s%s%s", type ? type : "", type ? ": " : "", message);
    if (t->kind == MU_TASK_AFTER_ALL) /* of the other one the run itself tells */
        mu_log(MU_ERROR, "after_all did not work: %s", mu_buf_cstr(&text));
    mu_post_failure(t, status, type, "task", mu_buf_cstr(&text), mu_buf_cstr(&text));
    mu_buf_free(&text);
    t->worst = mu_status_worst(t->worst, status);
}
