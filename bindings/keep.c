/* server:keep(name, text): what a step wants to be kept beside its metrics. */
#include <lauxlib.h>
#include <string.h>

#include "bindings/call.h"
#include "bindings/open.h"
#include "run/messages.h"
#include "run/task.h"

#define NAME_MAX_LEN 100
#define ONE_MAX ((size_t)1 << 20)
#define TASK_MAX ((size_t)16 << 20)

/* It becomes the name of a file one day. */
static void check_name(lua_State *L, const char *name, size_t len)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (!len || len > NAME_MAX_LEN || *name == '.' || *name == '-' || strspn(name, allowed) != len)
        luaL_error(L, "keep: a name has 1 to %d letters, digits, '.', '_' and '-', and begins with none of '.' and '-'", NAME_MAX_LEN);
}

int mu_bind_keep(lua_State *L)
{
    struct mu_remote *r = mu_bind_check_server(L);
    size_t name_len, len;
    mu_fiber_check(L);
    struct mu_task *t = mu_task_current(L);
    luaL_checktype(L, 2, LUA_TSTRING);
    luaL_checktype(L, 3, LUA_TSTRING);
    const char *name = lua_tolstring(L, 2, &name_len), *text = lua_tolstring(L, 3, &len);
    check_name(L, name, name_len);
    if (len > ONE_MAX)
        return luaL_error(L, "keep: %s has %I bytes, more than %I: keep a part of it", name, (lua_Integer)len, (lua_Integer)ONE_MAX);
    if (len > TASK_MAX - t->kept_bytes)
        return luaL_error(L, "keep: with %s it would be more than %I bytes of one server", name, (lua_Integer)TASK_MAX);
    if (mu_post_keep(t, r->index, name, text, len))
        return luaL_error(L, "not enough memory");
    t->kept_bytes += len;
    return 0;
}
