/* muster.semaphore: at most n tasks of the run at once, whichever worker they are on. */
#include <lauxlib.h>
#include <string.h>

#include "bindings/open.h"
#include "run/engine.h"
#include "run/permit.h"
#include "run/task.h"

#define META "muster.semaphore"
#define PERMIT "muster.permit"
#define NAME_MAX_BYTES 1000
#define LIMIT_MAX 1000000

struct semaphore {
    unsigned limit; /* its name is the user value */
};

/* ---- a permit ---- */

static int permit_release(lua_State *L)
{
    mu_permit_release(luaL_checkudata(L, 1, PERMIT));
    return 0;
}

static int acquired(lua_State *L, int status, lua_KContext ctx)
{
    struct mu_permit *p = mu_list_entry((struct mu_wait *)ctx, struct mu_permit, ask.wait);
    (void)status;
    if (p->ask.err.code)
        return luaL_error(L, "%s", p->ask.err.msg);
    return 1; /* the permit is on top */
}

static int acquire(lua_State *L)
{
    struct semaphore *s = luaL_checkudata(L, 1, META);
    struct mu_err err = {0};
    mu_fiber_check(L);
    struct mu_fiber *f = mu_fiber_current(L);
    if (!f || f->loading)
        return luaL_error(L, "not at load time: move it into setup or a step");
    bool first = false;
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1))
            if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "first") != 0)
                return luaL_error(L, "acquire has one option: first");
        lua_getfield(L, 2, "first");
        first = lua_toboolean(L, -1);
    }
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, 1);
    struct mu_permit *p = lua_newuserdatauv(L, sizeof *p, 0);
    memset(p, 0, sizeof *p);
    luaL_setmetatable(L, PERMIT);
    if (mu_permit_acquire(p, f->task, lua_tostring(L, 2), s->limit, first, &err))
        return luaL_error(L, "%s", err.msg);
    return mu_await(L, &p->ask.wait, acquired);
}

/* ---- the semaphore ---- */

static int semaphore_tostring(lua_State *L)
{
    struct semaphore *s = luaL_checkudata(L, 1, META);
    lua_getiuservalue(L, 1, 1);
    lua_pushfstring(L, "semaphore %s (%d)", lua_tostring(L, -1), (int)s->limit);
    return 1;
}

int mu_bind_semaphore(lua_State *L)
{
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    lua_Integer limit = luaL_checkinteger(L, 2);
    if (!len || len > NAME_MAX_BYTES || strlen(name) != len)
        return luaL_error(L, "a semaphore's name is text of 1 to %d bytes", NAME_MAX_BYTES);
    if (limit < 1 || limit > LIMIT_MAX)
        return luaL_error(L, "a semaphore has 1 to %d permits", LIMIT_MAX);
    struct semaphore *s = lua_newuserdatauv(L, sizeof *s, 1);
    s->limit = (unsigned)limit;
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, META);
    return 1;
}

static void new_class(lua_State *L, const char *meta, const char *method, lua_CFunction fn)
{
    luaL_newmetatable(L, meta);
    lua_newtable(L);
    lua_pushcfunction(L, fn);
    lua_setfield(L, -2, method);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}

void mu_bind_open_semaphore(lua_State *L)
{
    new_class(L, META, "acquire", acquire);
    lua_pushcfunction(L, semaphore_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
    new_class(L, PERMIT, "release", permit_release);
    lua_pushcfunction(L, permit_release);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, permit_release);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
}
