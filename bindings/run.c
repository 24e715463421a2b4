/* muster.run: what a script may know of the run that it is part of. The same for all tasks of a state, but for the attempt,
 * and what before_all shares. */
#include <lauxlib.h>
#include <string.h>

#include "bindings/open.h"
#include "run/task.h"
#include "run/worker.h"

/* While a script is being loaded there is no run; what its top level makes of the id must work all the same. */
#define NO_RUN "00000000T000000Z-000000"

/* What before_all returned is a copy of the task's, made when it is first asked for. */
static int run_index(lua_State *L)
{
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (!strcmp(name, "shared")) {
        mu_bind_push_shared(L);
    } else if (!strcmp(name, "attempt")) {
        const struct mu_task *t = mu_task_current(L);
        lua_pushinteger(L, t && t->attempt ? (lua_Integer)t->attempt : 1);
    } else {
        return 0;
    }
    return 1;
}

void mu_bind_open_run(lua_State *L)
{
    const struct mu_engine *e = mu_worker_of(L)->engine;
    lua_createtable(L, 0, 5);
    lua_pushstring(L, e->run_id ? e->run_id : NO_RUN);
    lua_setfield(L, -2, "id");
    lua_pushstring(L, e->owner ? e->owner : "nobody@localhost");
    lua_setfield(L, -2, "owner");
    lua_pushboolean(L, e->dry_run);
    lua_setfield(L, -2, "dry_run");
    lua_pushboolean(L, e->cleanup);
    lua_setfield(L, -2, "cleanup");
    lua_pushstring(L, e->script && e->script->dir ? e->script->dir : ".");
    lua_setfield(L, -2, "dir");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, run_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}
