/* Values that several bindings read alike. */
#include <lauxlib.h>
#include <string.h>

#include "bindings/open.h"
#include "core/clock.h"

uint64_t mu_bind_duration(lua_State *L, int index, const char *what)
{
    uint64_t ms = 0;
    switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL:
        return 0;
    case LUA_TNUMBER: {
        double s = lua_tonumber(L, index);
        if (!(s >= 0 && s < 1e9))
            luaL_error(L, "%s must be 0 or more seconds", what);
        return (uint64_t)(s * 1000.0 + 0.5);
    }
    case LUA_TSTRING:
        if (mu_clock_parse(lua_tostring(L, index), &ms) == 0)
            return ms;
        luaL_error(L, "%s '%s' is not a duration: give seconds, or \"90s\", \"5m\", \"1h30m\"", what, lua_tostring(L, index));
        return 0;
    default:
        luaL_error(L, "%s must be seconds or a string such as \"5m\", not a %s", what, luaL_typename(L, index));
        return 0;
    }
}
