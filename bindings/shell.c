/* Commands for a POSIX shell: quoting, and the formatted form of exec. */
#include <lauxlib.h>
#include <string.h>

#include "bindings/open.h"

static void add_quoted(luaL_Buffer *b, const char *text, size_t len)
{
    luaL_addchar(b, '\'');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\'')
            luaL_addstring(b, "'\\''");
        else
            luaL_addchar(b, text[i]);
    }
    luaL_addchar(b, '\'');
}

void mu_bind_push_quoted(lua_State *L, const char *text, size_t len)
{
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    add_quoted(&b, text, len);
    luaL_pushresult(&b);
}

/* One directive "%5.2f" of length n with its value at index: Lua's own string.format does it; %q quotes. */
static void push_directive(lua_State *L, const char *directive, size_t n, int index)
{
    if (directive[n - 1] == 'q') {
        size_t len;
        const char *text = luaL_tolstring(L, index, &len);
        if (strlen(text) != len)
            luaL_error(L, "a command cannot hold a NUL byte");
        mu_bind_push_quoted(L, text, len);
        lua_remove(L, -2);
        return;
    }
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "string");
    lua_getfield(L, -1, "format");
    lua_replace(L, -3);
    lua_pop(L, 1);
    lua_pushlstring(L, directive, n);
    lua_pushvalue(L, index);
    lua_call(L, 2, 1);
}

void mu_bind_push_command(lua_State *L, int first, int last)
{
    size_t len;
    const char *p = luaL_checklstring(L, first, &len);
    if (first == last) {
        lua_pushvalue(L, first); /* no values: verbatim, so that `date +%s` works */
        return;
    }
    luaL_checkstack(L, 12, "command");
    const char *end = p + len;
    int next = first + 1;
    lua_pushliteral(L, "");
    while (p < end) {
        const char *percent = memchr(p, '%', (size_t)(end - p));
        const char *stop = percent ? percent : end;
        lua_pushlstring(L, p, (size_t)(stop - p));
        lua_concat(L, 2);
        if (!percent)
            break;
        size_t n = 1 + strspn(percent + 1, "-+ #0123456789.") + 1;
        if (percent + n > end)
            luaL_error(L, "the command ends in the middle of a %% directive (write %%%% for a percent sign)");
        if (percent[n - 1] == '%') {
            lua_pushliteral(L, "%");
        } else {
            if (next > last)
                luaL_error(L, "the command has more %% directives than values (write %%%% for a percent sign)");
            push_directive(L, percent, n, next++);
        }
        lua_concat(L, 2);
        p = percent + n;
    }
    if (next <= last)
        luaL_error(L, "the command has %d values more than %% directives", last - next + 1);
}
