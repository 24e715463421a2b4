#include "bindings/open.h"

#include <lauxlib.h>
#include <lualib.h>

#include "run/task.h"

/* Registry: the template of every task's globals. */
#define BASE "muster.base"

/* The libraries of a task; each is opened once a worker and shared, behind a read-only view. */
static const struct {
    const char *name;
    void (*open)(lua_State *L); /* NULL: the standard table as it is */
} libraries[] = {
    {"string", NULL}, {"table", NULL}, {"utf8", NULL},
    {"math", mu_bind_open_math},
    {"coroutine", mu_bind_open_coroutine},
    {"io", mu_bind_open_io},
    {"os", mu_bind_open_os},
};

static const char *const plain[] = {"assert", "error", "getmetatable", "ipairs", "next", "pairs", "rawequal", "rawget",
                                    "rawlen", "select", "tonumber", "tostring", "type", "_VERSION"};

static void push_debug(lua_State *L)
{
    lua_getglobal(L, "debug");
    lua_createtable(L, 0, 2);
    lua_getfield(L, -2, "traceback");
    lua_setfield(L, -2, "traceback");
    lua_getfield(L, -2, "getinfo");
    lua_setfield(L, -2, "getinfo");
    lua_remove(L, -2);
}

/* Lua looks functions up here for messages, "bad argument #1 to 'pcall'", and tracebacks. The table on top has them. */
static void name_functions(lua_State *L, const char *name)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

static void open_state(lua_State *L)
{
    lua_createtable(L, 0, 48);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        lua_getglobal(L, plain[i]);
        lua_setfield(L, -2, plain[i]);
    }
    mu_bind_open_base(L);
    name_functions(L, "_G");
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        if (libraries[i].open)
            libraries[i].open(L);
        else
            lua_getglobal(L, libraries[i].name);
        name_functions(L, libraries[i].name);
        mu_bind_protect(L, libraries[i].name);
        lua_setfield(L, -2, libraries[i].name);
    }
    push_debug(L);
    mu_bind_protect(L, "debug");
    lua_setfield(L, -2, "debug");
    lua_setfield(L, LUA_REGISTRYINDEX, BASE);
    mu_bind_open_server(L);
    mu_bind_open_muster(L);
    name_functions(L, "muster");
    mu_bind_protect(L, "muster");
    lua_setfield(L, LUA_REGISTRYINDEX, "muster.module");
    mu_bind_protect_file_handles(L);
}

static void push_environment(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, BASE);
    lua_createtable(L, 0, 48);
    for (lua_pushnil(L); lua_next(L, -3);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "_G");
    mu_bind_push_package(L);
    lua_setfield(L, -2, "package");
    lua_remove(L, -2);
}

const struct mu_bindings mu_bindings = {
    .open_state = open_state,
    .push_environment = push_environment,
    .push_server = mu_bind_push_server,
    .push_fleet = mu_bind_push_fleet,
};
