/* The global functions that a task gets in place of Lua's own: cancellations pass through the protected calls, chunks
 * live in the task's environment, nothing of one task reaches another. */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "bindings/open.h"
#include "core/log.h"
#include "run/account.h"
#include "run/task.h"

/* ---- protected calls ---- */

static bool unwinding(lua_State *L)
{
    struct mu_fiber *f = mu_fiber_current(L);
    return f && f->unwinding;
}

/* extra: how many values below the results stay; the lowest bit says whether the fiber was unwinding at the entry. */
static int protected_end(lua_State *L, int status, lua_KContext extra)
{
    if (status != LUA_OK && status != LUA_YIELD) {
        mu_fiber_rethrow(L, status, extra & 1);
        lua_pushboolean(L, 0);
        lua_pushvalue(L, -2);
        return 2;
    }
    return lua_gettop(L) - (int)(extra >> 1);
}

static int base_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    mu_fiber_check(L);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    lua_KContext extra = unwinding(L);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, extra, protected_end);
    return protected_end(L, status, extra);
}

/* A cancellation is not the script's to handle. */
static int guarded_handler(lua_State *L)
{
    if (unwinding(L) && !lua_toboolean(L, lua_upvalueindex(2)))
        return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int base_xpcall(lua_State *L)
{
    int n = lua_gettop(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    mu_fiber_check(L);
    bool was = unwinding(L);
    lua_pushvalue(L, 2);
    lua_pushboolean(L, was);
    lua_pushcclosure(L, guarded_handler, 2);
    lua_replace(L, 2);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    lua_KContext extra = 2 << 1 | was;
    int status = lua_pcallk(L, n - 2, LUA_MULTRET, 2, extra, protected_end);
    return protected_end(L, status, extra);
}

/* ---- chunks ---- */

static void push_task_environment(lua_State *L)
{
    struct mu_task *t = mu_task_current(L);
    if (t)
        mu_task_push_slot(L, t, MU_SLOT_ENV);
    else
        lua_pushglobaltable(L);
}

/* The chunk on top gets the environment at env (0: the task's). */
static void give_environment(lua_State *L, int env)
{
    if (env)
        lua_pushvalue(L, env);
    else
        push_task_environment(L);
    if (!lua_setupvalue(L, -2, 1))
        lua_pop(L, 1);
}

/* All pieces of the reader function at index 1 as one string. */
static int collect_pieces(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "table");
    lua_getfield(L, -1, "concat");
    lua_newtable(L);
    for (lua_Integer n = 1;; n++) {
        lua_pushvalue(L, 1);
        lua_call(L, 0, 1);
        if (lua_isnil(L, -1) || (lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) == 0))
            break;
        if (lua_type(L, -1) != LUA_TSTRING) {
            luaL_where(L, 2); /* who called load, as Lua itself says it */
            lua_pushliteral(L, "reader function must return a string");
            lua_concat(L, 2);
            lua_error(L);
        }
        lua_rawseti(L, -2, n);
    }
    lua_pop(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int no_chunk(lua_State *L) /* nil and the message on top */
{
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

/* Only source text is ever loaded: compiled code could break the whole process. */
static bool refuses_text(lua_State *L, const char *mode)
{
    if (strchr(mode, 't'))
        return false;
    lua_pushfstring(L, "attempt to load a text chunk (mode is '%s')", mode);
    return true;
}

static int base_load(lua_State *L)
{
    bool has_env = !lua_isnone(L, 4);
    const char *mode = luaL_optstring(L, 3, "bt");
    const char *name = lua_isstring(L, 1) ? luaL_optstring(L, 2, lua_tostring(L, 1)) : luaL_optstring(L, 2, "=(load)");
    if (!lua_isstring(L, 1))
        luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 4);
    if (!lua_isstring(L, 1)) {
        bool was = unwinding(L);
        lua_pushcfunction(L, collect_pieces);
        lua_pushvalue(L, 1);
        int status = lua_pcall(L, 1, 1, 0);
        if (status != LUA_OK) {
            mu_fiber_rethrow(L, status, was);
            return no_chunk(L);
        }
        lua_replace(L, 1);
    }
    size_t len;
    const char *text = lua_tolstring(L, 1, &len);
    if (len && text[0] == LUA_SIGNATURE[0]) {
        lua_pushliteral(L, "compiled Lua is not loaded: it could break every server's run");
        return no_chunk(L);
    }
    if (refuses_text(L, mode) || luaL_loadbufferx(L, text, len, name, "t") != LUA_OK)
        return no_chunk(L);
    give_environment(L, has_env ? 4 : 0);
    return 1;
}

/* Files that a script names itself are read each time, as it may have written them a moment ago. */
static int base_loadfile(lua_State *L)
{
    bool has_env = !lua_isnone(L, 3);
    const char *path = luaL_checkstring(L, 1);
    if (refuses_text(L, luaL_optstring(L, 2, "bt")))
        return no_chunk(L);
    lua_settop(L, 3);
    if (luaL_loadfilex(L, path, "t") != LUA_OK)
        return no_chunk(L);
    give_environment(L, has_env ? 3 : 0);
    return 1;
}

static int dofile_end(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    return lua_gettop(L) - 1;
}

static int base_dofile(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    if (luaL_loadfilex(L, path, "t") != LUA_OK)
        return lua_error(L);
    give_environment(L, 0);
    lua_callk(L, 0, LUA_MULTRET, 0, dofile_end);
    return dofile_end(L, LUA_OK, 0);
}

/* ---- tables ---- */

static int base_setmetatable(lua_State *L)
{
    int type = lua_type(L, 2);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    luaL_checktype(L, 1, LUA_TTABLE);
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    if (type == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "__gc would run in the middle of another server's step: use <close>, or teardown");
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

static int base_rawset(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    if (lua_getmetatable(L, 1)) {
        lua_pushliteral(L, "__muster_shared");
        if (lua_rawget(L, -2) == LUA_TSTRING)
            return luaL_error(L, "%s is shared by all servers and read-only: keep your own functions in a table of your own",
                              lua_tostring(L, -1));
        lua_settop(L, 3);
    }
    lua_rawset(L, 1);
    return 1;
}

static int base_collectgarbage(lua_State *L)
{
    static const char *const options[] = {"collect", "step", "count", "isrunning", NULL};
    struct mu_task *t = mu_task_current(L);
    switch (luaL_checkoption(L, 1, "collect", options)) {
    case 2:
        lua_pushnumber(L, t ? (lua_Number)mu_account_used(mu_task_account(t)) / 1024 : 0);
        return 1;
    case 3:
        lua_pushboolean(L, 1);
        return 1;
    default:
        lua_gc(L, LUA_GCSTEP, 0); /* the collector is all tasks': a step of it, not a stop for everybody */
        lua_pushinteger(L, 0);
        return 1;
    }
}

/* ---- output ---- */

static void say(lua_State *L, enum mu_level level, const char *separator)
{
    int n = lua_gettop(L);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (int i = 1; i <= n; i++) {
        if (i > 1)
            luaL_addstring(&b, separator);
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    while (len && text[len - 1] == '\n')
        len--;
    mu_log_text(level, NULL, 0, text, len);
    mu_task_print(mu_task_current(L), text, len);
}

static int base_print(lua_State *L)
{
    say(L, MU_INFO, "\t");
    return 0;
}

static int base_warn(lua_State *L)
{
    luaL_checkstring(L, 1);
    say(L, MU_WARNING, "");
    return 0;
}

void mu_bind_open_base(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"pcall", base_pcall},       {"xpcall", base_xpcall},   {"load", base_load},
        {"loadfile", base_loadfile}, {"dofile", base_dofile},   {"setmetatable", base_setmetatable},
        {"rawset", base_rawset},     {"print", base_print},     {"warn", base_warn},
        {"require", mu_bind_require}, {"collectgarbage", base_collectgarbage}, {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
