/* server:spawn, the handles that it gives, and muster.gather. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/open.h"
#include "run/spawn.h"

#define META "muster.handle"
#define JOIN "muster.join"

static struct mu_spawned *check_handle(lua_State *L, int index) { return luaL_checkudata(L, index, META); }

int mu_bind_spawn(lua_State *L)
{
    mu_bind_check_server(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    mu_spawn(L, 2);
    luaL_setmetatable(L, META);
    return 1;
}

static int handle_gc(lua_State *L)
{
    mu_spawned_gc(lua_touserdata(L, 1));
    return 0;
}

static int handle_tostring(lua_State *L)
{
    static const char *const states[] = {"running", "returned", "raised", "cancelled"};
    lua_pushfstring(L, "spawned function (%s)", states[check_handle(L, 1)->state]);
    return 1;
}

/* ---- waiting ---- */

static int join_gc(lua_State *L)
{
    mu_join_end(lua_touserdata(L, 1));
    return 0;
}

/* Push a join for the n handles in the table at index, which it keeps. */
static struct mu_join *push_join(lua_State *L, int index, size_t n, bool cancel_rest)
{
    struct mu_join *join = lua_newuserdatauv(L, sizeof *join + n * sizeof *join->entries, 1);
    memset(join, 0, sizeof *join + n * sizeof *join->entries);
    luaL_setmetatable(L, JOIN);
    lua_pushvalue(L, index);
    lua_setiuservalue(L, -2, 1);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        join->entries[i].of = lua_touserdata(L, -1);
        lua_pop(L, 1);
    }
    join->n = n;
    join->cancel_rest = cancel_rest;
    return join;
}

static int raise_cancelled(lua_State *L)
{
    mu_bind_push_error(L, "ScriptError", "a spawned function was cancelled", "the spawned function was cancelled");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "cancelled");
    return lua_error(L);
}

/* Raise what the failed handle at index has to say. */
static int raise_of(lua_State *L, int index)
{
    const struct mu_spawned *s = lua_touserdata(L, index);
    if (s->state == MU_SPAWNED_CANCELLED)
        return raise_cancelled(L);
    mu_spawned_take_error(L, index);
    return lua_error(L);
}

/* Index 1 holds the handle. */
static int waited(lua_State *L, int status, lua_KContext ctx)
{
    struct mu_join *join = mu_list_entry((struct mu_wait *)ctx, struct mu_join, wait);
    (void)status;
    if (join->failed)
        return raise_of(L, 1);
    return mu_spawned_push_results(L, 1);
}

static int cancelled(lua_State *L, int status, lua_KContext ctx)
{
    (void)L;
    (void)status;
    (void)ctx;
    return 0;
}

static int await_one(lua_State *L, lua_KFunction k)
{
    lua_settop(L, 1);
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, 2, 1);
    struct mu_join *join = push_join(L, 2, 1, false);
    mu_join_start(join);
    return mu_await(L, &join->wait, k);
}

static void check_not_own(lua_State *L, const struct mu_spawned *s)
{
    if (mu_spawned_encloses(s, mu_fiber_current(L)))
        luaL_error(L, "a spawned function cannot wait for itself, or for what it was spawned in: that would never end");
}

static int handle_wait(lua_State *L)
{
    struct mu_spawned *s = check_handle(L, 1);
    mu_fiber_check(L);
    check_not_own(L, s);
    return await_one(L, waited);
}

/* Also __close. */
static int handle_cancel(lua_State *L)
{
    static const struct mu_err why = {.code = MU_ECANCELED, .cause = "cancelled", .msg = "cancelled by the script"};
    struct mu_spawned *s = check_handle(L, 1);
    mu_fiber_check(L);
    if (s->fiber)
        mu_scope_cancel(&s->scope, MU_ST_CANCELLED, &why);
    return await_one(L, cancelled);
}

/* ---- gather ---- */

/* Index 1 holds the table of handles, none of which runs. */
static int gathered(lua_State *L, int status, lua_KContext ctx)
{
    struct mu_join *join = mu_list_entry((struct mu_wait *)ctx, struct mu_join, wait);
    (void)status;
    luaL_checkstack(L, (int)join->n + 4, "gather");
    if (join->failed) {
        int failed = 0;
        for (size_t i = 0; i < join->n; i++) {
            struct mu_spawned *s = join->entries[i].of;
            lua_rawgeti(L, 1, (lua_Integer)i + 1);
            if (s == join->failed && !failed) {
                failed = lua_gettop(L);
                continue;
            }
            if (s != join->failed && s->state == MU_SPAWNED_RAISED) { /* one of them is told */
                mu_spawned_take_error(L, lua_gettop(L));
                lua_pop(L, 1);
            }
            lua_pop(L, 1);
        }
        return raise_of(L, failed);
    }
    for (size_t i = 0; i < join->n; i++) {
        int top = lua_gettop(L);
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        mu_spawned_push_results(L, top + 1);
        lua_settop(L, top + 2); /* the first of them, or nil */
        lua_remove(L, top + 1);
    }
    return (int)join->n;
}

int mu_bind_gather(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    mu_fiber_check(L);
    lua_Unsigned n = lua_rawlen(L, 1);
    lua_createtable(L, (int)n, 0);
    for (lua_Unsigned i = 1; i <= n; i++) { /* a copy: the script's own may change meanwhile */
        lua_rawgeti(L, 1, (lua_Integer)i);
        struct mu_spawned *s = luaL_testudata(L, -1, META);
        if (!s)
            return luaL_error(L, "gather: [%d] is a %s, not what server:spawn gives", (int)i, luaL_typename(L, -1));
        check_not_own(L, s);
        lua_rawseti(L, 2, (lua_Integer)i);
    }
    lua_replace(L, 1);
    struct mu_join *join = push_join(L, 1, n, true);
    mu_join_start(join);
    return mu_await(L, &join->wait, gathered);
}

void mu_bind_open_spawn(lua_State *L)
{
    static const luaL_Reg methods[] = {{"wait", handle_wait}, {"cancel", handle_cancel}, {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", handle_gc}, {"__close", handle_cancel}, {"__tostring", handle_tostring}, {NULL, NULL}};
    luaL_newmetatable(L, META);
    luaL_setfuncs(L, meta, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    luaL_newmetatable(L, JOIN);
    lua_pushcfunction(L, join_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 2);
}
