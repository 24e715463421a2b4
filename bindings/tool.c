#include "bindings/tool.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/open.h"

struct mu_tool {
    lua_State *L;
    const char *library_dir; /* while it is being set up */
};

/* ---- the state ---- */

static int set_up(lua_State *L)
{
    struct mu_tool *t = lua_touserdata(L, 1);
    luaL_openlibs(L);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "path");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", t->library_dir, t->library_dir, lua_tostring(L, -1));
    lua_setfield(L, -3, "path");
    lua_pop(L, 1);
    lua_getfield(L, -1, "preload");
    lua_pushstring(L, t->library_dir);
    lua_pushcclosure(L, mu_bind_testing, 1);
    lua_setfield(L, -2, "muster.testing.engine");
    return 0;
}

static int with_trace(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING)
        luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
}

/* Call the function at base with what lies above it, and leave n_results. An error's first line becomes err. */
static int call(struct mu_tool *t, int base, int n_results, struct mu_err *err)
{
    lua_State *L = t->L;
    lua_pushcfunction(L, with_trace);
    lua_insert(L, base);
    int status = lua_pcall(L, lua_gettop(L) - base - 1, n_results, base);
    lua_remove(L, base);
    if (status == LUA_OK)
        return 0;
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "unknown error";
    int rc = mu_err_set(err, status == LUA_ERRMEM ? MU_ENOMEM : MU_EINVAL, "%.*s", (int)strcspn(text, "\n"), text);
    lua_settop(L, base - 1);
    return rc;
}

int mu_tool_new(struct mu_tool **out, const char *library_dir, struct mu_err *err)
{
    struct mu_tool *t = calloc(1, sizeof *t);
    int rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!t || !(t->L = luaL_newstate()))
        goto fail;
    t->library_dir = library_dir;
    lua_pushcfunction(t->L, set_up);
    lua_pushlightuserdata(t->L, t);
    rc = call(t, 1, 0, err);
    if (rc)
        goto fail;
    t->library_dir = NULL;
    *out = t;
    return 0;
fail:
    mu_tool_free(t);
    return rc;
}

void mu_tool_free(struct mu_tool *t)
{
    if (!t)
        return;
    if (t->L)
        lua_close(t->L);
    free(t);
}

/* ---- luacheck ---- */

struct hints {
    mu_tool_hint *fn;
    void *arg;
    const char *path;
};

static int hint(lua_State *L)
{
    struct hints *h = lua_touserdata(L, lua_upvalueindex(1));
    h->fn(h->arg, (unsigned)luaL_checkinteger(L, 1), (unsigned)luaL_checkinteger(L, 2), luaL_checkstring(L, 3));
    return 0;
}

static int lint(lua_State *L)
{
    struct hints *h = lua_touserdata(L, 1);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "muster.lint");
    lua_call(L, 1, 1);
    lua_pushstring(L, h->path);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, hint, 1);
    lua_call(L, 2, 0);
    return 0;
}

int mu_tool_lint(struct mu_tool *t, const char *path, mu_tool_hint *fn, void *arg, struct mu_err *err)
{
    struct hints h = {fn, arg, path};
    lua_pushcfunction(t->L, lint);
    lua_pushlightuserdata(t->L, &h);
    return call(t, 1, 0, err);
}

/* ---- busted ---- */

static void set_text(lua_State *L, const char *name, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

static int test(lua_State *L)
{
    const struct mu_tool_test *o = lua_touserdata(L, 1);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "muster.specs");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "run");
    lua_createtable(L, 0, 5);
    set_text(L, "output", o->output);
    set_text(L, "filter", o->filter);
    lua_pushboolean(L, o->list);
    lua_setfield(L, -2, "list");
    lua_pushboolean(L, o->shuffle);
    lua_setfield(L, -2, "shuffle");
    lua_newtable(L);
    for (lua_Integer i = 0; o->paths && o->paths[i]; i++) {
        lua_pushstring(L, o->paths[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "paths");
    lua_call(L, 1, 2);
    return 2;
}

int mu_tool_test(struct mu_tool *t, const struct mu_tool_test *o, bool *passed, struct mu_err *err)
{
    lua_pushcfunction(t->L, test);
    lua_pushlightuserdata(t->L, (void *)o);
    int rc = call(t, 1, 2, err);
    if (rc)
        return rc;
    const char *why = lua_tostring(t->L, -1);
    if (why)
        rc = mu_err_set(err, MU_EINVAL, "%s", why);
    *passed = lua_tointeger(t->L, -2) == 0;
    lua_settop(t->L, 0);
    return rc;
}
