/* muster.use(name, options): steps of another script, found beside this one or among the installed scripts. */
#include <lauxlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bindings/open.h"
#include "run/script_lua.h"
#include "run/task.h"
#include "run/use.h"
#include "run/worker.h"

#define USING "muster.using"
#define DEPTH_MAX 32

/* The scripts that are being used right now, outermost first: a list in the task's table. */
static void push_using(lua_State *L, struct mu_task *t)
{
    mu_task_push_slot(L, t, MU_SLOT_USING);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    mu_task_set_slot(L, t, MU_SLOT_USING);
}

static int end_using(lua_State *L)
{
    push_using(L, mu_task_current(L));
    lua_pushnil(L);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2));
    return 0;
}

/* However the loading ends, the one at index 3 is not being used any more. */
static void begin_using(lua_State *L, struct mu_task *t)
{
    push_using(L, t);
    lua_pushvalue(L, 3);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
    lua_newtable(L);
    if (luaL_newmetatable(L, USING)) {
        lua_pushcfunction(L, end_using);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
    lua_toclose(L, -1);
}

/* ---- finding ---- */

static void check_name(lua_State *L)
{
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    bool good = len && len == strlen(name) && name[0] != '/' && name[len - 1] != '/';
    for (const char *p = name; good && *p; p++)
        good = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./", *p) != NULL;
    if (!good || (len > 4 && !strcmp(name + len - 4, ".lua")))
        luaL_error(L, "muster.use: '%s' is no script's name: it is the file's name without .lua", name);
}

/* Push the path of the script named at index 1. */
static void push_path(lua_State *L, struct mu_task *t)
{
    const struct mu_engine *e = mu_worker_of(L)->engine;
    const char *name = lua_tostring(L, 1), *user = NULL;
    push_using(L, t);
    if (lua_rawgeti(L, -1, (lua_Integer)lua_rawlen(L, -1)) == LUA_TSTRING)
        user = lua_tostring(L, -1);
    const char *slash = user ? strrchr(user, '/') : NULL;
    if (slash)
        lua_pushlstring(L, user, (size_t)(slash - user));
    else
        lua_pushstring(L, user ? "." : e->script->dir);
    const char *beside = lua_pushfstring(L, "%s/%s.lua", lua_tostring(L, -1), name);
    if (access(beside, F_OK) == 0)
        return;
    const char *installed = e->library_dir ? lua_pushfstring(L, "%s/../%s.lua", e->library_dir, name) : NULL;
    if (installed && access(installed, F_OK) == 0)
        return;
    luaL_error(L, "muster.use: there is no script '%s': no %s%s%s", name, beside, installed ? ", no " : "",
               installed ? installed : "");
}

static bool same_file(const char *a, const char *b)
{
    struct stat sa, sb;
    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* The path at index 3 must not be one that is being loaded already. */
static void check_circle(lua_State *L, struct mu_task *t)
{
    const char *path = lua_tostring(L, 3), *outermost = mu_worker_of(L)->engine->script->path;
    bool circle = same_file(path, outermost);
    luaL_Buffer b;
    push_using(L, t);
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    if (n >= DEPTH_MAX)
        luaL_error(L, "muster.use: more than %d scripts use one another", DEPTH_MAX);
    luaL_checkstack(L, DEPTH_MAX + 10, "scripts");
    int list = lua_gettop(L);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        circle = circle || same_file(path, lua_tostring(L, -1));
    }
    if (circle) {
        luaL_buffinit(L, &b);
        luaL_addstring(&b, outermost);
        for (lua_Integer i = 1; i <= n; i++) {
            luaL_addstring(&b, ", ");
            luaL_addstring(&b, lua_tostring(L, list + (int)i));
        }
        luaL_pushresult(&b);
        luaL_error(L, "muster.use: scripts use each other in a circle: %s, %s", lua_tostring(L, -1), path);
    }
    lua_settop(L, 3);
}

/* ---- using ---- */

/* Globals of its own, over those of the task. */
static void push_environment(lua_State *L, struct mu_task *t)
{
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "_G");
    lua_createtable(L, 0, 1);
    mu_task_push_slot(L, t, MU_SLOT_ENV);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

/* 1 name, 2 options, 3 path, 4 to be closed, 5 what the script returned. */
static int used_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    mu_use_take(L, lua_tostring(L, 3), 2);
    return 1;
}

int mu_bind_use(lua_State *L)
{
    struct mu_task *t = mu_task_current(L);
    check_name(L);
    lua_settop(L, 2);
    if (!t || t->phase != MU_PHASE_LOAD)
        return luaL_error(L, "muster.use works at a script's top level only: steps = { muster.use \"cpu\", … }");
    push_path(L, t);
    lua_replace(L, 3);
    lua_settop(L, 3);
    check_circle(L, t);
    begin_using(L, t);
    mu_script_push_factory(L, lua_tostring(L, 3));
    push_environment(L, t);
    lua_call(L, 1, 1);
    lua_callk(L, 0, 1, 0, used_k);
    return used_k(L, LUA_OK, 0);
}
