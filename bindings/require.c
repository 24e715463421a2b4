/* require and package: modules of the host, modules beside the script, the standard scripts, then Lua's own path. Each
 * task has its own instances; nothing is shared but compiled code. */
#include <lauxlib.h>
#include <string.h>

#include "bindings/open.h"
#include "run/script_lua.h"
#include "run/task.h"
#include "run/worker.h"

static void push_host_module(lua_State *L, const char *name)
{
    if (!strcmp(name, "muster")) {
        lua_getfield(L, LUA_REGISTRYINDEX, "muster.module");
        return;
    }
    /* lua-cjson keeps settings and buffers in its functions: an instance a task. */
    lua_getglobal(L, "require");
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "new");
    lua_call(L, 0, 1);
    lua_remove(L, -2);
}

static bool is_host_module(const char *name)
{
    return !strcmp(name, "muster") || !strcmp(name, "cjson") || !strcmp(name, "cjson.safe");
}

static int refuse_loadlib(lua_State *L)
{
    return luaL_error(L, "package.loadlib is refused: a C library would be shared by every server's run");
}

void mu_bind_push_package(lua_State *L)
{
    static const char *const libraries[] = {"string", "table", "utf8", "math", "coroutine", "io", "os", "debug"};
    struct mu_task *t = mu_task_current(L);
    const struct mu_engine *e = mu_worker_of(L)->engine;
    int env = lua_gettop(L); /* the environment being made */
    lua_createtable(L, 0, 6);
    mu_task_push_slot(L, t, MU_SLOT_LOADED);
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        lua_getfield(L, env, libraries[i]);
        lua_setfield(L, -2, libraries[i]);
    }
    lua_pushvalue(L, env);
    lua_setfield(L, -2, "_G");
    lua_setfield(L, -2, "loaded");
    lua_newtable(L);
    lua_setfield(L, -2, "preload");
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "config");
    lua_setfield(L, -3, "config");
    lua_getfield(L, -1, "searchpath");
    lua_setfield(L, -3, "searchpath");
    lua_getfield(L, -1, "path");
    const char *system = lua_tostring(L, -1);
    if (e->library_dir)
        lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s/?.lua;%s/?/init.lua;%s", e->script->dir, e->script->dir,
                        e->library_dir, e->library_dir, system ? system : "");
    else
        lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", e->script->dir, e->script->dir, system ? system : "");
    if (e->module_dir) {
        lua_pushfstring(L, "%s/?.lua;%s", e->module_dir, lua_tostring(L, -1));
        lua_replace(L, -2);
    }
    lua_setfield(L, env + 1, "path");
    lua_settop(L, env + 1);
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "cpath");
    lua_pushcfunction(L, refuse_loadlib);
    lua_setfield(L, -2, "loadlib");
}

/* 1 name, 2 loaded, 3 where it came from, 4 its main function, 5 to be closed, then its results. */
static int loaded_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    lua_settop(L, 6);
    if (!lua_isnil(L, 6)) {
        lua_pushvalue(L, 6);
    } else {
        lua_getfield(L, 2, lua_tostring(L, 1)); /* the module may have put itself there */
        if (lua_islightuserdata(L, -1) || lua_isnil(L, -1)) {
            lua_pop(L, 1);
            lua_pushboolean(L, 1);
        }
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, lua_tostring(L, 1));
    lua_pushvalue(L, 3);
    return 2;
}

/* Push the module's main function and where it came from. */
static void push_loader(lua_State *L, const char *name, int env)
{
    lua_getfield(L, env, "package");
    if (lua_type(L, -1) == LUA_TTABLE && lua_getfield(L, -1, "preload") == LUA_TTABLE &&
        lua_getfield(L, -1, name) == LUA_TFUNCTION) {
        lua_pushliteral(L, ":preload:");
        return;
    }
    lua_settop(L, env + 1);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchpath");
    lua_pushstring(L, name);
    if (lua_type(L, env + 1) != LUA_TTABLE || lua_getfield(L, env + 1, "path") != LUA_TSTRING)
        luaL_error(L, "package.path is not a string any more");
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2)) { /* on one line, since it is a line of the log */
        const char *where = luaL_gsub(L, lua_tostring(L, -1), "\n\tno file ", ", ");
        luaL_error(L, "module '%s' not found: %s", name, where);
    }
    lua_pop(L, 1);
    int file = lua_gettop(L);
    mu_script_push_factory(L, lua_tostring(L, file));
    lua_pushvalue(L, env);
    lua_call(L, 1, 1);
    lua_pushvalue(L, file);
}

/* In `loaded` while a module is being loaded; its address marks it. */
static const char loading;

/* However the loading ends: a module that raised is not there, and can be tried again. Index 1 holds its name. */
static int end_loading(lua_State *L)
{
    mu_task_push_slot(L, mu_task_current(L), MU_SLOT_LOADED);
    lua_rawgeti(L, 1, 1);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TLIGHTUSERDATA && lua_touserdata(L, -1) == &loading) {
        lua_pop(L, 1);
        lua_pushnil(L);
        lua_rawset(L, -3);
    }
    return 0;
}

/* Push, to be closed, what calls end_loading. */
static void push_end_of_loading(lua_State *L)
{
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    if (luaL_newmetatable(L, "muster.loading_module")) {
        lua_pushcfunction(L, end_loading);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
    lua_toclose(L, -1);
}

int mu_bind_require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    struct mu_task *t = mu_task_current(L);
    lua_settop(L, 1);
    mu_task_push_slot(L, t, MU_SLOT_LOADED);
    lua_getfield(L, 2, name);
    if (lua_islightuserdata(L, -1) && lua_touserdata(L, -1) == &loading)
        return luaL_error(L, "modules require each other in a circle: '%s' is still being loaded", name);
    if (lua_toboolean(L, -1))
        return 1;
    lua_pop(L, 1);
    if (is_host_module(name)) {
        push_host_module(L, name);
        lua_pushvalue(L, -1);
        lua_setfield(L, 2, name);
        return 1;
    }
    mu_task_push_slot(L, t, MU_SLOT_ENV);
    push_loader(L, name, 3);
    lua_replace(L, 3);
    lua_replace(L, 4);
    lua_settop(L, 4);
    push_end_of_loading(L);
    lua_pushlightuserdata(L, (void *)&loading);
    lua_setfield(L, 2, name);
    lua_pushvalue(L, 4);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 3);
    lua_callk(L, 2, 1, 0, loaded_k);
    return loaded_k(L, LUA_OK, 0);
}
