/* The server that a task's functions are given: exec, connect, disconnect, reconnect, and what the inventory says of it. */
#include <lauxlib.h>
#include <string.h>

#include "bindings/call.h"
#include "bindings/open.h"
#include "run/task.h"

#define META "muster.server"
#define HOST_KEYS_MAX 100

struct server {
    struct mu_remote *remote;
};

struct mu_remote *mu_bind_check_server(lua_State *L)
{
    struct server *s = luaL_checkudata(L, 1, META);
    return s->remote;
}

static int server_exec(lua_State *L)
{
    return mu_bind_exec(L, 2, mu_bind_check_server(L));
}

/* ---- connection ---- */

static int connect_k(lua_State *L, struct mu_call *c)
{
    if (c->error.code)
        return mu_bind_call_raise(L, c);
    return 0;
}

/* A string option, kept alive by the stack; NULL when it is not given. */
static const char *text_option(lua_State *L, const char *name)
{
    size_t len;
    if (lua_getfield(L, 2, name) == LUA_TNIL)
        return NULL;
    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "connect: %s must be a string, not a %s", name, luaL_typename(L, -1));
    const char *text = lua_tolstring(L, -1, &len);
    if (!len || strlen(text) != len)
        luaL_error(L, "connect: %s is %s", name, len ? "text with a NUL byte" : "empty");
    return text;
}

static void read_host_keys(lua_State *L, struct mu_connect_request *req)
{
    int type = lua_getfield(L, 2, "host_keys"), list = lua_gettop(L);
    if (type == LUA_TNIL)
        return;
    if (type == LUA_TSTRING && !strcmp(lua_tostring(L, list), "accept-new")) {
        req->accept_new = true;
        return;
    }
    if (type != LUA_TTABLE)
        luaL_error(L, "connect: host_keys is a list of keys, or \"accept-new\"");
    size_t n = lua_rawlen(L, list);
    if (n > HOST_KEYS_MAX)
        luaL_error(L, "connect: more than %d host_keys", HOST_KEYS_MAX);
    const char **keys = lua_newuserdatauv(L, (n + 1) * sizeof *keys, 0);
    luaL_checkstack(L, (int)n + 8, "host_keys");
    for (size_t i = 0; i < n; i++) {
        size_t len;
        if (lua_rawgeti(L, list, (lua_Integer)i + 1) != LUA_TSTRING)
            luaL_error(L, "connect: host_keys[%d] must be a string, not a %s", (int)i + 1, luaL_typename(L, -1));
        keys[i] = lua_tolstring(L, -1, &len);
        if (strlen(keys[i]) != len)
            luaL_error(L, "connect: host_keys[%d] holds a NUL byte", (int)i + 1);
    }
    keys[n] = NULL;
    req->host_keys = keys;
}

static void read_connect(lua_State *L, struct mu_connect_request *req)
{
    static const char known[] = " wait address port user key host_keys ";
    luaL_checktype(L, 2, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        lua_pushfstring(L, " %s ", name);
        if (!strstr(known, lua_tostring(L, -1)))
            luaL_error(L, "connect has no option '%s'; it has wait, address, port, user, key, host_keys", name);
        lua_pop(L, 1);
    }
    lua_getfield(L, 2, "wait");
    req->wait_ms = mu_bind_duration(L, -1, "wait");
    req->address = text_option(L, "address");
    req->user = text_option(L, "user");
    req->key = text_option(L, "key");
    if (lua_getfield(L, 2, "port") != LUA_TNIL) {
        int whole = 0;
        lua_Integer port = lua_tointegerx(L, -1, &whole);
        if (!whole || port < 1 || port > 65535)
            luaL_error(L, "connect: port must be a number from 1 to 65535");
        req->port = (int)port;
    }
    read_host_keys(L, req);
}

static int server_connect(lua_State *L)
{
    struct mu_connect_request req = {0};
    struct mu_remote *remote = mu_bind_check_server(L);
    lua_settop(L, 2);
    if (!lua_isnil(L, 2))
        read_connect(L, &req);
    return mu_bind_call_connect(L, remote, &req, connect_k);
}

static int server_disconnect(lua_State *L)
{
    struct mu_remote *remote = mu_bind_check_server(L);
    mu_fiber_check(L);
    mu_remote_disconnect(remote);
    return 0;
}

static int server_reconnect(lua_State *L)
{
    server_disconnect(L);
    return server_connect(L);
}

/* ---- fields ---- */

static void push_json(lua_State *L, const char *text)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "cjson");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "decode");
    lua_pushstring(L, text);
    lua_call(L, 1, 1);
    lua_remove(L, -2);
}

void mu_bind_push_vars(lua_State *L, const struct mu_server *srv)
{
    lua_createtable(L, 0, (int)srv->n_vars);
    for (size_t i = 0; i < srv->n_vars; i++) {
        const struct mu_var *v = &srv->vars[i];
        switch (v->type) {
        case MU_VAR_STR:
            lua_pushstring(L, v->str);
            break;
        case MU_VAR_INT:
            lua_pushinteger(L, v->i);
            break;
        case MU_VAR_NUM:
            lua_pushnumber(L, v->num);
            break;
        case MU_VAR_BOOL:
            lua_pushboolean(L, (int)v->i);
            break;
        case MU_VAR_JSON:
            push_json(L, v->str);
            break;
        }
        lua_setfield(L, -2, v->name);
    }
}

static void push_vars(lua_State *L, struct mu_remote *r)
{
    mu_task_push_slot(L, r->task, mu_task_slot(r, MU_SLOT_VARS));
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    mu_bind_push_vars(L, r->server);
    lua_pushvalue(L, -1);
    mu_task_set_slot(L, r->task, mu_task_slot(r, MU_SLOT_VARS));
}

static void push_groups(lua_State *L, struct mu_remote *r)
{
    push_vars(L, r);
    mu_bind_push_groups(L, r->server, lua_gettop(L));
}

static int server_index(lua_State *L)
{
    struct mu_remote *r = mu_bind_check_server(L);
    const char *key = luaL_checkstring(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    if (!strcmp(key, "id"))
        lua_pushstring(L, r->server->id);
    else if (!strcmp(key, "address"))
        lua_pushstring(L, r->server->address);
    else if (!strcmp(key, "port"))
        lua_pushinteger(L, r->server->port ? r->server->port : 22);
    else if (!strcmp(key, "user"))
        lua_pushstring(L, r->server->user); /* nil when the inventory names none */
    else if (!strcmp(key, "vars"))
        push_vars(L, r);
    else if (!strcmp(key, "groups"))
        push_groups(L, r);
    else
        return luaL_error(L, "a server has no '%s'; it has id, address, port, user, vars, exec, connect, disconnect, "
                          "reconnect, spawn, upload, download, write_file, read_file, facts, keep, groups, claim, claimed, "
                          "update_claim, release",
                          key);
    return 1;
}

static int server_newindex(lua_State *L)
{
    return luaL_error(L, "a server's fields are read-only: keep '%s' in a variable of the script",
                      luaL_tolstring(L, 2, NULL));
}

static int server_tostring(lua_State *L)
{
    lua_pushfstring(L, "server %s", mu_bind_check_server(L)->server->id);
    return 1;
}

void mu_bind_push_server(lua_State *L, struct mu_remote *remote)
{
    struct server *s = lua_newuserdatauv(L, sizeof *s, 0);
    s->remote = remote;
    luaL_setmetatable(L, META);
}

void mu_bind_open_server(lua_State *L)
{
    static const luaL_Reg methods[] = {{"exec", server_exec},
                                       {"connect", server_connect},
                                       {"disconnect", server_disconnect},
                                       {"reconnect", server_reconnect},
                                       {"spawn", mu_bind_spawn},
                                       {"facts", mu_bind_facts},
                                       {"keep", mu_bind_keep},
                                       {"upload", mu_bind_upload},
                                       {"download", mu_bind_download},
                                       {"write_file", mu_bind_write_file},
                                       {"read_file", mu_bind_read_file},
                                       {"claim", mu_bind_claim},
                                       {"claimed", mu_bind_claimed},
                                       {"update_claim", mu_bind_update_claim},
                                       {"release", mu_bind_release},
                                       {NULL, NULL}};
    mu_bind_open_call(L);
    mu_bind_open_claim(L);
    mu_bind_open_spawn(L);
    mu_bind_open_files(L);
    luaL_newmetatable(L, META);
    luaL_newlib(L, methods);
    lua_pushcclosure(L, server_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, server_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, server_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
