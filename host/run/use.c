#include "run/use.h"

#include <lauxlib.h>

#include "run/use_internal.h"

/* Where a step keeps parameters of its own: scripts have no light userdata, so that no field of theirs is meant. */
static const char keys[2];

/* ---- tables ---- */

void mu_use_push_copy(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    lua_newtable(L);
    if (lua_type(L, index) != LUA_TTABLE)
        return;
    for (lua_pushnil(L); lua_next(L, index);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
}

void mu_use_merge(lua_State *L, int to, int from, bool over)
{
    to = lua_absindex(L, to);
    from = lua_absindex(L, from);
    if (lua_type(L, from) != LUA_TTABLE)
        return;
    for (lua_pushnil(L); lua_next(L, from);) {
        lua_pushvalue(L, -2);
        bool there = lua_rawget(L, to) != LUA_TNIL;
        lua_pop(L, 1);
        if (there && !over) {
            lua_pop(L, 1);
            continue;
        }
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, to);
    }
}

int mu_use_raw_field(lua_State *L, int index, const char *name)
{
    index = lua_absindex(L, index);
    lua_pushstring(L, name);
    return lua_rawget(L, index);
}

void mu_use_push_params(lua_State *L, enum mu_use_params which) { lua_rawgetp(L, -1, &keys[which]); }

void mu_use_set_params(lua_State *L, int step, enum mu_use_params which) { lua_rawsetp(L, step, &keys[which]); }

static bool is_use(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index))
        return false;
    luaL_getmetatable(L, MU_USE_META);
    bool yes = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return yes;
}

/* ---- the using script ---- */

/* Parameters of a used step that the using script declares as well are the using script's. The step is on top. */
static void give_up_declared(lua_State *L, int params)
{
    mu_use_push_params(L, MU_USE_WEAK);
    if (lua_type(L, params) == LUA_TTABLE) {
        for (lua_pushnil(L); lua_next(L, -2);) {
            lua_pop(L, 1);
            lua_pushvalue(L, -1);
            bool declared = lua_rawget(L, params) != LUA_TNIL;
            lua_pop(L, 1);
            if (declared) { /* setting a field to nil does not disturb the traversal */
                lua_pushvalue(L, -1);
                lua_pushnil(L);
                lua_rawset(L, -4);
            }
        }
    }
    lua_pop(L, 1);
}

/* Append what stands on top to the steps at index; declared: the using script's own params. Pops it. */
static void append(lua_State *L, int steps, int declared, int params)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, steps);
    if (!is_use(L, -1)) {
        lua_rawseti(L, steps, n + 1);
        return;
    }
    mu_use_raw_field(L, -1, "params");
    mu_use_merge(L, params, -1, false);
    lua_pop(L, 1);
    mu_use_raw_field(L, -1, "steps");
    for (lua_Integer i = 1, count = (lua_Integer)lua_rawlen(L, -1); i <= count; i++) {
        lua_rawgeti(L, -1, i);
        give_up_declared(L, declared);
        lua_rawseti(L, steps, n + i);
    }
    lua_pop(L, 2);
}

void mu_use_flatten(lua_State *L, const char *path)
{
    int description = lua_gettop(L);
    bool uses = false;
    luaL_checkstack(L, 20, "steps");
    if (lua_type(L, description) != LUA_TTABLE || mu_use_raw_field(L, description, "steps") != LUA_TTABLE) {
        lua_settop(L, description);
        return;
    }
    int list = lua_gettop(L);
    if (is_use(L, list))
        luaL_error(L, "%s: steps is a list: write steps = { muster.use … }", path);
    lua_Integer n = (lua_Integer)lua_rawlen(L, list);
    for (lua_Integer i = 1; i <= n && !uses; i++) {
        lua_rawgeti(L, list, i);
        uses = is_use(L, -1);
        lua_pop(L, 1);
    }
    if (!uses) {
        lua_settop(L, description);
        return;
    }
    int type = mu_use_raw_field(L, description, "params");
    mu_use_push_copy(L, description);
    mu_use_push_copy(L, list + 1); /* params */
    lua_newtable(L);        /* steps */
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        append(L, list + 4, list + 1, list + 3);
    }
    lua_setfield(L, list + 2, "steps");
    if (type == LUA_TTABLE || type == LUA_TNIL) /* else the mistake is told when the description is read */
        lua_setfield(L, list + 2, "params");
    lua_settop(L, list + 2);
    lua_replace(L, description);
    lua_settop(L, description);
}
