/* muster.errors: typed errors. Each is a table { type, message, where, … } whose metatable prints "Type: message". */
#include <lauxlib.h>
#include <string.h>

#include "bindings/open.h"

#define META "muster.error"

static const char *const types[] = {"PerformanceBelowExpected", "CheckFailed", "ServerOperationError", "ConnectError",
                                    "HostKeyError", "AuthError", "CommandError", "TimeoutError", "ScriptError",
                                    "HttpError", "ProvisionerError", "ServerStateError"};

bool mu_bind_error_known(const char *type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i], type))
            return true;
    return false;
}

static int error_tostring(lua_State *L)
{
    lua_getfield(L, 1, "type");
    lua_getfield(L, 1, "message");
    lua_pushfstring(L, "%s: %s", luaL_tolstring(L, 2, NULL), luaL_tolstring(L, 3, NULL));
    return 1;
}

/* The line of the script that is at work: the innermost Lua function of the stack. */
static void push_where(lua_State *L)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0) {
            lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushnil(L);
}

void mu_bind_push_error(lua_State *L, const char *type, const char *cause, const char *message)
{
    luaL_checkstack(L, 6, "error");
    lua_createtable(L, 0, 6);
    lua_pushstring(L, type);
    lua_setfield(L, -2, "type");
    lua_pushstring(L, message);
    lua_setfield(L, -2, "message");
    lua_pushstring(L, cause);
    lua_setfield(L, -2, "cause");
    push_where(L);
    lua_setfield(L, -2, "where");
    luaL_setmetatable(L, META);
}

void mu_bind_push_host_error(lua_State *L, const struct mu_err *err)
{
    const char *type = "ConnectError";
    bool lost = false;
    switch (err->code) {
    case MU_EHOSTKEYUNKNOWN:
    case MU_EHOSTKEYCHANGED:
    case MU_EHOSTKEYREVOKED:
        type = "HostKeyError";
        break;
    case MU_EAUTH:
        type = "AuthError";
        break;
    case MU_ETIMEDOUT:
        type = "TimeoutError";
        break;
    case MU_ELIMIT:
        type = "CommandError";
        break;
    case MU_ELOST:
    case MU_ECHANNEL:
    case MU_ECLOSED:
    case MU_ECANCELED:
    case MU_ESTATE:
        lost = true;
        break;
    case MU_ERESOLVE:
    case MU_EREFUSED:
    case MU_EUNREACH:
    case MU_ECONNTIMEOUT:
    case MU_EKEX:
        break;
    default:
        type = "ScriptError";
    }
    mu_bind_push_error(L, type, err->cause, err->msg);
    if (lost) { /* not at a connect: the server is not "unreachable" */
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "lost");
    }
}

/* muster.errors.CheckFailed("text", { field = … }) */
static int make(lua_State *L)
{
    luaL_checkstring(L, 1);
    lua_settop(L, 2);
    mu_bind_push_error(L, lua_tostring(L, lua_upvalueindex(1)), lua_tostring(L, 1), lua_tostring(L, 1));
    if (!lua_isnil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        for (lua_pushnil(L); lua_next(L, 2);) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, 3);
        }
    }
    return 1;
}

/* muster.errors.is(value, "CommandError"): whether it is a typed error, of that type when one is named. */
static int is(lua_State *L)
{
    const char *type = luaL_optstring(L, 2, NULL);
    bool yes = false;
    if (lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, META);
        yes = lua_rawequal(L, -1, -2);
    }
    if (yes && type) {
        lua_getfield(L, 1, "type");
        yes = lua_type(L, -1) == LUA_TSTRING && !strcmp(lua_tostring(L, -1), type);
    }
    lua_pushboolean(L, yes);
    return 1;
}

void mu_bind_open_errors(lua_State *L)
{
    luaL_newmetatable(L, META);
    lua_pushcfunction(L, error_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lua_newtable(L);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        lua_pushstring(L, types[i]);
        lua_pushcclosure(L, make, 1);
        lua_setfield(L, -2, types[i]);
    }
    lua_pushcfunction(L, is);
    lua_setfield(L, -2, "is");
}
