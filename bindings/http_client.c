/* muster.http.client: a server's base URL with options that hold for each request. */
#include <lauxlib.h>
#include <string.h>

#include "bindings/http.h"
#include "bindings/open.h"

#define META "muster.http.client"
enum { UV_DEFAULTS = 1 };

/* ---- options over defaults ---- */

static bool has_name(lua_State *L, int table, const char *name)
{
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING && !strcasecmp(lua_tostring(L, -2), name)) {
            lua_pop(L, 2);
            return true;
        }
    return false;
}

/* Push a new table: what `under` has and `over` has not, whatever the case, and what `over` has. */
static void push_merged(lua_State *L, int under, int over)
{
    lua_newtable(L);
    int merged = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, under);) {
        if (lua_type(L, -2) == LUA_TSTRING && has_name(L, over, lua_tostring(L, -2))) {
            lua_pop(L, 1);
            continue;
        }
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, merged);
    }
    for (lua_pushnil(L); lua_next(L, over);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, merged);
    }
}

/* headers and query of both tables. */
static void merge_field(lua_State *L, int under, int over, int merged, const char *name)
{
    bool both = lua_getfield(L, under, name) == LUA_TTABLE && lua_getfield(L, over, name) == LUA_TTABLE;
    if (both) {
        push_merged(L, lua_gettop(L) - 1, lua_gettop(L));
        lua_setfield(L, merged, name);
    }
    lua_settop(L, merged);
}

/* Replace the options table at index 1 by itself over the client's; path is at `path`. */
static void complete(lua_State *L, int defaults, int path, const char *method)
{
    struct mu_err err;
    push_merged(L, defaults, 1);
    int merged = lua_gettop(L);
    /* They are one choice: a token of the request does away with the client's auth. */
    if (lua_getfield(L, 1, "token") != LUA_TNIL || lua_getfield(L, 1, "auth") != LUA_TNIL) {
        lua_getfield(L, 1, "token");
        lua_setfield(L, merged, "token");
        lua_getfield(L, 1, "auth");
        lua_setfield(L, merged, "auth");
    }
    lua_settop(L, merged);
    merge_field(L, defaults, 1, merged, "headers");
    merge_field(L, defaults, 1, merged, "query");
    if (method) {
        lua_pushstring(L, method);
        lua_setfield(L, merged, "method");
    }
    size_t base_len;
    lua_getfield(L, defaults, "base_url");
    const char *base = lua_tolstring(L, -1, &base_len), *rest = luaL_optstring(L, path, "");
    if (!strncasecmp(rest, "http://", 7) || !strncasecmp(rest, "https://", 8)) { /* as lists name their next page */
        if (mu_http_within(base, rest, &err))
            luaL_error(L, "http: %s", err.msg);
        lua_pushstring(L, rest);
    } else {
        bool part = *rest && *rest != '?';
        while (part && base_len && base[base_len - 1] == '/')
            base_len--;
        lua_pushlstring(L, base, base_len);
        lua_pushfstring(L, "%s%s", part && *rest != '/' ? "/" : "", rest);
        lua_concat(L, 2);
    }
    lua_setfield(L, merged, "url");
    lua_pushnil(L);
    lua_setfield(L, merged, "base_url");
    lua_pushnil(L);
    lua_setfield(L, merged, "path");
    lua_settop(L, merged);
    lua_replace(L, 1);
}

/* ---- methods ---- */

/* client:get(path, options) and its like; the upvalue is the method. */
static int verb(lua_State *L)
{
    luaL_checkudata(L, 1, META);
    lua_settop(L, 3);
    if (!lua_isnil(L, 2))
        luaL_checktype(L, 2, LUA_TSTRING);
    if (lua_isnil(L, 3)) {
        lua_newtable(L);
        lua_replace(L, 3);
    }
    luaL_checktype(L, 3, LUA_TTABLE);
    mu_bind_http_check_fields(L, 3, "client", " body json ");
    lua_getiuservalue(L, 1, UV_DEFAULTS);
    lua_pushvalue(L, 3);
    lua_replace(L, 1);
    complete(L, 4, 2, lua_tostring(L, lua_upvalueindex(1)));
    return mu_bind_http_send(L);
}

static int client_request(lua_State *L)
{
    luaL_checkudata(L, 1, META);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    mu_bind_http_check_fields(L, 2, "client:request", " method path body json ");
    lua_getfield(L, 2, "path");
    if (!lua_isnil(L, 3))
        luaL_checktype(L, 3, LUA_TSTRING);
    lua_getiuservalue(L, 1, UV_DEFAULTS);
    lua_pushvalue(L, 2);
    lua_replace(L, 1);
    complete(L, 4, 3, NULL);
    return mu_bind_http_send(L);
}

static int client_tostring(lua_State *L)
{
    luaL_checkudata(L, 1, META);
    lua_pushliteral(L, "http client");
    return 1;
}

int mu_bind_http_client(lua_State *L)
{
    struct mu_http_request req;
    struct mu_err err;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    mu_bind_http_check_fields(L, 1, "http.client", " base_url ");
    if (lua_getfield(L, 1, "base_url") != LUA_TSTRING)
        return luaL_error(L, "http.client: base_url must be text, not a %s", luaL_typename(L, -1));
    if (strpbrk(lua_tostring(L, -1), "?#"))
        return luaL_error(L, "http.client: base_url cannot have a query: give it as query");
    lua_newuserdatauv(L, 0, 1);
    lua_newtable(L); /* 4: a copy, for the caller may go on with its own */
    for (lua_pushnil(L); lua_next(L, 1);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 4);
    }
    lua_pushvalue(L, 4);
    lua_setiuservalue(L, 3, UV_DEFAULTS);
    lua_pushvalue(L, 2);
    lua_setfield(L, 4, "url");
    mu_bind_http_options(L, 4, &req); /* what is wrong is told here, not at the first request */
    if (mu_http_check(&req, &err))
        return luaL_error(L, "http.client: %s", err.msg);
    lua_pushnil(L);
    lua_setfield(L, 4, "url");
    lua_settop(L, 3);
    luaL_setmetatable(L, META);
    return 1;
}

void mu_bind_open_http_client(lua_State *L)
{
    static const char *const verbs[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"};
    static const char *const names[] = {"get", "head", "options", "put", "delete", "post", "patch"};
    luaL_newmetatable(L, META);
    lua_createtable(L, 0, 8);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        lua_pushstring(L, verbs[i]);
        lua_pushcclosure(L, verb, 1);
        lua_setfield(L, -2, names[i]);
    }
    lua_pushcfunction(L, client_request);
    lua_setfield(L, -2, "request");
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, client_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
