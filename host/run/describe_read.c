#include "run/describe.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

int mu_reading_line(const char *source, const char *word)
{
    size_t n = strlen(word);
    int line = 1;
    for (const char *p = source; *p; p++) {
        if (*p == '\n')
            line++;
        if (strncmp(p, word, n) || (p > source && (isalnum((unsigned char)p[-1]) || p[-1] == '_')))
            continue;
        const char *q = p + n;
        while (*q && strchr(" \t\"']", *q))
            q++;
        if (*q == '=' && q[1] != '=')
            return line;
    }
    return 0;
}

void mu_reading_complain(struct mu_reading *r, const char *word, const char *fmt, ...)
{
    if (r->failed)
        return;
    va_list ap;
    va_start(ap, fmt);
    r->failed = mu_err_vset(r->err, MU_EINVAL, fmt, ap);
    va_end(ap);
    int line = word ? mu_reading_line(r->source, word) : 0;
    if (line)
        mu_err_prefix(r->err, "%s:%d", r->s->path, line);
    else
        mu_err_prefix(r->err, "%s", r->s->path);
}

/* Every field of the table on top must be in known (space separated). */
void mu_reading_check_fields(lua_State *L, struct mu_reading *r, const char *what, const char *known)
{
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TLIGHTUSERDATA)
            continue; /* ours (use.c) */
        if (lua_type(L, -1) != LUA_TSTRING) {
            mu_reading_complain(r, NULL, "%s has an entry without a name; known fields: %s", what, known);
            lua_pop(L, 1);
            return;
        }
        const char *name = lua_tostring(L, -1);
        size_t n = strlen(name);
        const char *at = known;
        while ((at = strstr(at, name)) && !((at == known || at[-1] == ' ') && (at[n] == ' ' || !at[n])))
            at += n;
        if (!n || !at) {
            mu_reading_complain(r, name, "%s has no field '%s'; known fields: %s", what, name, known);
            lua_pop(L, 1);
            return;
        }
    }
}

char *mu_reading_copy(struct mu_reading *r, const char *text)
{
    char *s = strdup(text);
    if (!s && !r->failed)
        r->failed = mu_err_set(r->err, MU_ENOMEM, "out of memory");
    return s;
}

uint64_t mu_reading_duration(lua_State *L, struct mu_reading *r, const char *field, uint64_t otherwise)
{
    uint64_t ms = otherwise;
    int type = lua_getfield(L, -1, field);
    if (type == LUA_TNUMBER) {
        double s = lua_tonumber(L, -1);
        if (s > 0 && s < 1e9)
            ms = (uint64_t)(s * 1000.0 + 0.5);
        else
            mu_reading_complain(r, field, "%s must be more than 0 seconds", field);
    } else if (type == LUA_TSTRING) {
        if (mu_clock_parse(lua_tostring(L, -1), &ms) || !ms)
            mu_reading_complain(r, field, "%s '%s' is not a duration: write seconds, or \"90s\", \"5m\", \"1h30m\"", field,
                     lua_tostring(L, -1));
    } else if (type != LUA_TNIL) {
        mu_reading_complain(r, field, "%s must be seconds or a string such as \"5m\", not a %s", field, luaL_typename(L, -1));
    }
    lua_pop(L, 1);
    return ms;
}

bool mu_reading_function(lua_State *L, struct mu_reading *r, const char *field)
{
    int type = lua_getfield(L, -1, field);
    if (type != LUA_TFUNCTION && type != LUA_TNIL)
        mu_reading_complain(r, field, "%s must be a function, not a %s", field, luaL_typename(L, -1));
    lua_pop(L, 1);
    return type == LUA_TFUNCTION;
}

bool mu_reading_flag(lua_State *L, struct mu_reading *r, const char *field)
{
    int type = lua_getfield(L, -1, field);
    bool yes = lua_toboolean(L, -1);
    if (type != LUA_TBOOLEAN && type != LUA_TNIL)
        mu_reading_complain(r, field, "%s must be true or false, not a %s", field, luaL_typename(L, -1));
    lua_pop(L, 1);
    return yes;
}

unsigned mu_reading_whole(lua_State *L, struct mu_reading *r, const char *field, unsigned most, unsigned otherwise)
{
    int type = lua_getfield(L, -1, field), whole = 0;
    lua_Integer n = type == LUA_TNUMBER ? lua_tointegerx(L, -1, &whole) : 0;
    if (type != LUA_TNIL && (!whole || n < 0 || n > (lua_Integer)most))
        mu_reading_complain(r, field, "%s must be a whole number from 0 to %u", field, most);
    lua_pop(L, 1);
    return whole && n >= 0 && n <= (lua_Integer)most ? (unsigned)n : otherwise;
}
