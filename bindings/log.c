/* muster.log: lines at a level with fields of one's own, and fields bound to everything that follows. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/open.h"
#include "run/task.h"

#define FIELDS_MAX 32

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct mu_field *)a)->key, ((const struct mu_field *)b)->key);
}

/* The fields of the table at index, by key. Converted strings stay on the stack. */
static size_t read_fields(lua_State *L, int index, struct mu_field *fields)
{
    size_t n = 0;
    luaL_checkstack(L, FIELDS_MAX + 6, "fields");
    for (lua_pushnil(L); lua_next(L, index);) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "log fields are name = value");
        if (n == FIELDS_MAX)
            luaL_error(L, "more than %d log fields", FIELDS_MAX);
        struct mu_field *f = &fields[n++];
        f->key = lua_tostring(L, -2);
        int type = lua_type(L, -1);
        if (type == LUA_TBOOLEAN) {
            f->type = MU_FIELD_BOOL;
            f->v.b = lua_toboolean(L, -1);
        } else if (type == LUA_TNUMBER && lua_isinteger(L, -1)) {
            f->type = MU_FIELD_INT;
            f->v.i = lua_tointeger(L, -1);
        } else if (type == LUA_TNUMBER) {
            f->type = MU_FIELD_NUM;
            f->v.num = lua_tonumber(L, -1);
        } else {
            f->type = MU_FIELD_STR;
            f->v.str = luaL_tolstring(L, -1, NULL);
            lua_insert(L, -3); /* below key and value, so that it stays */
        }
        lua_pop(L, 1);
    }
    qsort(fields, n, sizeof *fields, by_key);
    return n;
}

static int log_at(lua_State *L)
{
    struct mu_field fields[FIELDS_MAX];
    size_t n = 0, len;
    enum mu_level level = (enum mu_level)lua_tointeger(L, lua_upvalueindex(1));
    lua_settop(L, 2);
    if (!mu_log_enabled(level))
        return 0;
    const char *text = luaL_tolstring(L, 1, &len);
    lua_replace(L, 1);
    if (!lua_isnil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        n = read_fields(L, 2, fields);
    }
    mu_log_text(level, fields, n, text, len);
    return 0;
}

/* Fields for every later line of this step (or hook), the host's own included. */
static int bind(lua_State *L)
{
    struct mu_field fields[FIELDS_MAX];
    struct mu_fiber *f = mu_fiber_current(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    size_t n = read_fields(L, 1, fields);
    for (size_t i = 0; i < n; i++) {
        struct mu_ctx *ctx = mu_ctx_with(f->ctx, &fields[i]);
        if (!ctx)
            return luaL_error(L, "out of memory");
        mu_fiber_set_ctx_take(f, ctx);
    }
    return 0;
}

void mu_bind_open_log(lua_State *L)
{
    static const struct {
        const char *name;
        enum mu_level level;
    } levels[] = {{"trace", MU_TRACE}, {"debug", MU_DEBUG},   {"info", MU_INFO},
                  {"warning", MU_WARNING}, {"warn", MU_WARNING}, {"error", MU_ERROR}};
    lua_newtable(L);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        lua_pushinteger(L, levels[i].level);
        lua_pushcclosure(L, log_at, 1);
        lua_setfield(L, -2, levels[i].name);
    }
    lua_pushcfunction(L, bind);
    lua_setfield(L, -2, "bind");
}
