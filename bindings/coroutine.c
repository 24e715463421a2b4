/* coroutine.*: as Lua's own, but that the host's yields pass through a script's coroutines down to the fiber, and
 * cancellations up through them. A coroutine that runs, or waits inside the host, is marked in its extra space. */
#include <lauxlib.h>
#include <string.h>

#include "bindings/open.h"
#include "run/fiber.h"

static bool is_active(lua_State *co) { return *(void **)lua_getextraspace(co) != NULL; }
static void set_active(lua_State *co, bool active) { *(void **)lua_getextraspace(co) = active ? co : NULL; }

static lua_State *check_co(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "thread");
    return co;
}

/* Under every script coroutine: its errors unwind inside it, so that <close> handlers there may wait. */
static int body_end(lua_State *co, int status, lua_KContext ctx)
{
    (void)ctx;
    if (status != LUA_OK && status != LUA_YIELD)
        return lua_error(co);
    return lua_gettop(co);
}

static int body(lua_State *co)
{
    int status = lua_pcallk(co, lua_gettop(co) - 1, LUA_MULTRET, 0, 0, body_end);
    return body_end(co, status, 0);
}

static int co_create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    set_active(co, false);
    lua_pushcfunction(co, body);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

enum co_state { RUNNING, NORMAL, SUSPENDED, DEAD };

static enum co_state state_of(lua_State *L, lua_State *co)
{
    lua_Debug ar;
    if (L == co)
        return RUNNING;
    if (is_active(co))
        return NORMAL;
    switch (lua_status(co)) {
    case LUA_YIELD:
        return SUSPENDED;
    case LUA_OK:
        if (lua_getstack(co, 0, &ar))
            return NORMAL;
        return lua_gettop(co) == 0 ? DEAD : SUSPENDED;
    default:
        return DEAD;
    }
}

/* What a resume needs over its waits. The coroutine is at index 1 (resume), or the closure's upvalue (wrap). */
#define WRAP 1
#define WAS_UNWINDING 2

static int resume_end(lua_State *L, lua_State *co, int status, int n, lua_KContext flags);

static int resume_more(lua_State *L, lua_State *co, int nargs, lua_KContext flags);

static int resume_k(lua_State *L, int status, lua_KContext flags)
{
    (void)status;
    lua_State *co = flags & WRAP ? lua_tothread(L, lua_upvalueindex(1)) : lua_tothread(L, 1);
    return resume_more(L, co, 0, flags);
}

static int resume_more(lua_State *L, lua_State *co, int nargs, lua_KContext flags)
{
    struct mu_fiber *f = mu_fiber_current(L);
    int n = 0;
    bool here = !lua_isyieldable(L);
    f->depth++;
    f->no_yield += here;
    f->host_yield = false;
    set_active(co, true);
    int status = lua_resume(co, L, nargs, &n);
    f->depth--;
    f->no_yield -= here;
    if (status == LUA_YIELD && f->host_yield)
        return lua_yieldk(L, 0, flags, resume_k);
    set_active(co, false);
    return resume_end(L, co, status, n, flags);
}

static int resume_end(lua_State *L, lua_State *co, int status, int n, lua_KContext flags)
{
    if (status == LUA_OK || status == LUA_YIELD) {
        if (!lua_checkstack(L, n + 1)) {
            lua_pop(co, n);
            return luaL_error(L, "too many results to resume");
        }
        if (!(flags & WRAP))
            lua_pushboolean(L, 1);
        lua_xmove(co, L, n);
        return flags & WRAP ? n : n + 1;
    }
    lua_xmove(co, L, 1);
    mu_fiber_rethrow(L, status, flags & WAS_UNWINDING);
    if (flags & WRAP)
        return lua_error(L);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

static lua_KContext entry_flags(lua_State *L) { return mu_fiber_current(L)->unwinding ? WAS_UNWINDING : 0; }

static int co_resume(lua_State *L)
{
    lua_State *co = check_co(L);
    mu_fiber_check(L);
    enum co_state state = state_of(L, co);
    int nargs = lua_gettop(L) - 1;
    if (state != SUSPENDED || !lua_checkstack(co, nargs)) {
        lua_pushboolean(L, 0);
        if (state == SUSPENDED)
            lua_pushliteral(L, "too many arguments to resume");
        else
            lua_pushfstring(L, "cannot resume %s coroutine", state == DEAD ? "dead" : "non-suspended");
        return 2;
    }
    bool fresh = lua_status(co) == LUA_OK;
    lua_xmove(L, co, nargs);
    return resume_more(L, co, nargs + fresh, entry_flags(L));
}

static int wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    mu_fiber_check(L);
    enum co_state state = state_of(L, co);
    if (state != SUSPENDED)
        return luaL_error(L, "cannot resume %s coroutine", state == DEAD ? "dead" : "non-suspended");
    int nargs = lua_gettop(L);
    if (!lua_checkstack(co, nargs))
        return luaL_error(L, "too many arguments to resume");
    bool fresh = lua_status(co) == LUA_OK;
    lua_xmove(L, co, nargs);
    return resume_more(L, co, nargs + fresh, WRAP | entry_flags(L));
}

static int co_wrap(lua_State *L)
{
    co_create(L);
    lua_pushcclosure(L, wrapped, 1);
    return 1;
}

static int co_yield(lua_State *L)
{
    struct mu_fiber *f = mu_fiber_current(L);
    mu_fiber_check(L);
    if (!f->depth)
        return luaL_error(L, "attempt to yield from outside a coroutine");
    return lua_yield(L, lua_gettop(L));
}

static int co_status(lua_State *L)
{
    static const char *const names[] = {"running", "normal", "suspended", "dead"};
    lua_pushstring(L, names[state_of(L, check_co(L))]);
    return 1;
}

static int co_running(lua_State *L)
{
    lua_pushthread(L);
    lua_pushboolean(L, mu_fiber_current(L)->depth == 0);
    return 2;
}

static int co_isyieldable(lua_State *L)
{
    lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
    lua_pushboolean(L, mu_fiber_current(L)->depth > 0 && lua_isyieldable(co));
    return 1;
}

static int co_close(lua_State *L)
{
    static const char *const names[] = {"running", "normal"};
    lua_State *co = check_co(L);
    enum co_state state = state_of(L, co);
    struct mu_fiber *f = mu_fiber_current(L);
    if (state == RUNNING || state == NORMAL)
        return luaL_error(L, "cannot close a %s coroutine", names[state]);
    lua_KContext flags = entry_flags(L);
    f->no_yield++; /* <close> handlers cannot wait here */
    int status = lua_resetthread(co);
    f->no_yield--;
    if (status == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_xmove(co, L, 1);
    mu_fiber_rethrow(L, status, flags & WAS_UNWINDING);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

void mu_bind_open_coroutine(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"create", co_create}, {"resume", co_resume},   {"wrap", co_wrap},
        {"yield", co_yield},   {"status", co_status},   {"running", co_running},
        {"close", co_close},   {"isyieldable", co_isyieldable}, {NULL, NULL},
    };
    luaL_newlib(L, functions);
}
