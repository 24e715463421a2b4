/* The fleet that before_all is given: a read-only list of servers, made as it is looked at; and muster.run.shared. */
#include <lauxlib.h>
#include <string.h>

#include "bindings/open.h"
#include "run/plain.h"
#include "run/task.h"
#include "run/worker.h"

#define FLEET "muster.fleet"

/* ---- read-only tables of a task's own ---- */

static int refuse_write(lua_State *L)
{
    const char *name = "it";
    if (lua_getmetatable(L, 1) && lua_getfield(L, -1, "__muster_shared") == LUA_TSTRING)
        name = lua_tostring(L, -1);
    return luaL_error(L, "%s is read-only: copy what you want to change", name);
}

/* Push the table behind the view at index 1. */
static void push_real(lua_State *L)
{
    if (!lua_getmetatable(L, 1) || lua_getfield(L, -1, "__index") != LUA_TTABLE)
        luaL_error(L, "this works on read-only tables alone");
}

static int view_len(lua_State *L)
{
    push_real(L);
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, -1));
    return 1;
}

static int view_next(lua_State *L)
{
    lua_settop(L, 2);
    push_real(L);
    lua_pushvalue(L, 2);
    if (lua_next(L, -2))
        return 2;
    lua_pushnil(L);
    return 1;
}

static int view_pairs(lua_State *L)
{
    lua_pushcfunction(L, view_next);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

/* The value on top, when it is a table, is replaced by a view of it; so are the tables in it. */
static void make_read_only(lua_State *L, const char *name)
{
    int real = lua_gettop(L);
    if (lua_type(L, real) != LUA_TTABLE)
        return;
    luaL_checkstack(L, 10, "read-only data");
    for (lua_pushnil(L); lua_next(L, real);) {
        if (lua_type(L, -1) == LUA_TTABLE) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            make_read_only(L, name);
            lua_rawset(L, real); /* a field that is there: the traversal goes on */
        } else {
            lua_pop(L, 1);
        }
    }
    static const luaL_Reg functions[] = {{"__newindex", refuse_write}, {"__len", view_len}, {"__pairs", view_pairs}, {NULL, NULL}};
    lua_newtable(L);
    lua_createtable(L, 0, 6);
    luaL_setfuncs(L, functions, 0);
    lua_pushvalue(L, real);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__muster_shared");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_replace(L, real);
}

void mu_bind_push_shared(lua_State *L)
{
    struct mu_task *t = mu_task_current(L);
    const struct mu_buf *shared = mu_worker_of(L)->engine->shared;
    if (!t || !shared) {
        lua_pushnil(L);
        return;
    }
    mu_task_push_slot(L, t, MU_SLOT_SHARED);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    mu_plain_push(L, shared);
    make_read_only(L, "muster.run.shared");
    lua_pushvalue(L, -1);
    mu_task_set_slot(L, t, MU_SLOT_SHARED);
}

/* ---- the fleet ---- */

struct fleet {
    struct mu_server *const *servers;
    size_t n;
};

static int fleet_index(lua_State *L)
{
    const struct fleet *f = luaL_checkudata(L, 1, FLEET);
    int whole = 0;
    lua_Integer i = lua_type(L, 2) == LUA_TNUMBER ? lua_tointegerx(L, 2, &whole) : 0;
    if (!whole || i < 1 || (size_t)i > f->n)
        return 0;
    const struct mu_server *srv = f->servers[i - 1];
    lua_createtable(L, 0, 6);
    lua_pushstring(L, srv->id);
    lua_setfield(L, -2, "id");
    lua_pushstring(L, srv->address);
    lua_setfield(L, -2, "address");
    lua_pushinteger(L, srv->port ? srv->port : 22);
    lua_setfield(L, -2, "port");
    lua_pushstring(L, srv->user);
    lua_setfield(L, -2, "user");
    mu_bind_push_vars(L, srv);
    mu_bind_push_groups(L, srv, lua_gettop(L));
    lua_setfield(L, -3, "groups");
    lua_setfield(L, -2, "vars");
    make_read_only(L, "the fleet");
    return 1;
}

static int fleet_len(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)((const struct fleet *)luaL_checkudata(L, 1, FLEET))->n);
    return 1;
}

static int fleet_next(lua_State *L)
{
    lua_Integer i = luaL_optinteger(L, 2, 0) + 1;
    lua_settop(L, 1);
    lua_pushinteger(L, i);
    if (!fleet_index(L))
        return 0;
    lua_pushinteger(L, i);
    lua_insert(L, -2);
    return 2;
}

static int fleet_pairs(lua_State *L)
{
    lua_pushcfunction(L, fleet_next);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

static int fleet_newindex(lua_State *L) { return luaL_error(L, "the fleet is read-only: copy what you want to change"); }

void mu_bind_push_fleet(lua_State *L, struct mu_server *const *servers, size_t n)
{
    static const luaL_Reg functions[] = {{"__index", fleet_index}, {"__len", fleet_len}, {"__pairs", fleet_pairs},
                                         {"__newindex", fleet_newindex}, {NULL, NULL}};
    struct fleet *f = lua_newuserdatauv(L, sizeof *f, 0);
    *f = (struct fleet){servers, n};
    if (luaL_newmetatable(L, FLEET)) {
        luaL_setfuncs(L, functions, 0);
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
}
