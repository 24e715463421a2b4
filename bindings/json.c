/* muster.json: lua-cjson's decoder with whole numbers as integers, and an encoder that loses nothing and says what it
 * cannot write. */
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "bindings/open.h"
#include "core/buf.h"
#include "core/utf8.h"
#include "run/fiber.h"
#include "run/task.h"

#define ARRAY "muster.json.array"
#define BOX "muster.json.buffer"
#define DEPTH_MAX 500
#define EXACT_MAX "9007199254740992" /* 2^53: whole numbers beyond it lose digits in a double, which the decoder makes */

/* ---- decode ---- */

/* An instance of cjson for the task, since it keeps settings and buffers in its functions. Pushes its decode. */
static void push_decoder(lua_State *L)
{
    struct mu_task *t = mu_task_current(L);
    mu_task_push_slot(L, t, MU_SLOT_JSON);
    if (!lua_isnil(L, -1))
        return;
    lua_getglobal(L, "require");
    lua_pushliteral(L, "cjson");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "new");
    lua_call(L, 0, 1);
    lua_getfield(L, -1, "decode_invalid_numbers");
    lua_pushboolean(L, 0); /* no NaN, no 0x10: that is no JSON */
    lua_call(L, 1, 0);
    lua_getfield(L, -1, "decode_max_depth");
    lua_pushinteger(L, DEPTH_MAX);
    lua_call(L, 1, 0);
    lua_getfield(L, -1, "decode");
    lua_pushvalue(L, -1);
    mu_task_set_slot(L, t, MU_SLOT_JSON);
}

static bool too_large(const char *digits, size_t n)
{
    while (n > 1 && *digits == '0') {
        digits++;
        n--;
    }
    size_t max = sizeof EXACT_MAX - 1;
    return n > max || (n == max && memcmp(digits, EXACT_MAX, n) > 0);
}

/* Whole numbers written out in the text that would lose digits. */
static void check_integers(lua_State *L, const char *text, size_t len)
{
    static const char number[] = "0123456789.eE+-";
    for (size_t i = 0; i < len;) {
        if (text[i] == '"') {
            for (i++; i < len && text[i] != '"'; i++)
                i += text[i] == '\\';
            i++;
        } else if (text[i] == '-' || (text[i] >= '0' && text[i] <= '9')) {
            size_t from = i, sign = text[i] == '-';
            bool whole = true;
            for (; i < len && text[i] && strchr(number, text[i]); i++)
                whole = whole && text[i] != '.' && text[i] != 'e' && text[i] != 'E';
            if (whole && too_large(text + from + sign, i - from - sign)) {
                lua_pushlstring(L, text + from, i - from < 60 ? i - from : 60);
                luaL_error(L, "json: the whole number %s at offset %d is beyond 2^53 and would lose digits: have it sent as a "
                           "string", lua_tostring(L, -1), (int)from);
            }
        } else {
            i++;
        }
    }
}

static bool as_integer(lua_Number n, lua_Integer *out)
{
    return fabs(n) <= 9007199254740992.0 && lua_numbertointeger(n, out) && (lua_Number)*out == n;
}

/* In the table on top, and those in it. */
static void make_whole(lua_State *L)
{
    luaL_checkstack(L, 6, "json");
    for (lua_pushnil(L); lua_next(L, -2);) {
        lua_Integer whole;
        if (lua_type(L, -1) == LUA_TTABLE) {
            make_whole(L);
        } else if (lua_type(L, -1) == LUA_TNUMBER && as_integer(lua_tonumber(L, -1), &whole)) {
            lua_pushvalue(L, -2);
            lua_pushinteger(L, whole);
            lua_rawset(L, -5); /* of a key that is there: lua_next goes on */
        }
        lua_pop(L, 1);
    }
}

static int decode(lua_State *L)
{
    size_t len;
    lua_Integer whole;
    if (lua_type(L, 1) != LUA_TSTRING)
        return luaL_error(L, "json: decode takes text, not a %s", luaL_typename(L, 1));
    const char *text = lua_tolstring(L, 1, &len);
    lua_settop(L, 1);
    check_integers(L, text, len);
    push_decoder(L);
    lua_insert(L, 2);
    lua_settop(L, 2);
    lua_pushvalue(L, 1);
    struct mu_fiber *f = mu_fiber_current(L);
    bool was = f && f->unwinding;
    int status = lua_pcall(L, 1, 1, 0);
    if (status != LUA_OK) {
        mu_fiber_rethrow(L, status, was);
        if (status != LUA_ERRRUN || lua_type(L, -1) != LUA_TSTRING)
            return lua_error(L);
        return luaL_error(L, "json: %s", lua_tostring(L, -1));
    }
    if (lua_type(L, -1) == LUA_TTABLE)
        make_whole(L);
    else if (lua_type(L, -1) == LUA_TNUMBER && as_integer(lua_tonumber(L, -1), &whole))
        lua_pushinteger(L, whole);
    return 1;
}

/* ---- encode: first a look that may raise, then the text, where nothing does ---- */

static bool is_array(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index))
        return false;
    luaL_getmetatable(L, ARRAY);
    bool yes = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return yes;
}

/* Where in the value: the keys on the stack from index 2 on, a key and a value each. */
static int fail(lua_State *L, int path_top, const char *what)
{
    luaL_Buffer b;
    int n = 0;
    luaL_checkstack(L, 8, "json");
    lua_pushstring(L, what);
    int text = lua_gettop(L);
    luaL_buffinit(L, &b);
    for (int i = 2; i + 1 <= path_top && n < 20; i += 2, n++) {
        if (lua_type(L, i) == LUA_TSTRING) {
            luaL_addstring(&b, n ? "." : "");
            lua_pushvalue(L, i);
            luaL_addvalue(&b);
        } else {
            lua_pushfstring(L, "[%d]", (int)lua_tointeger(L, i));
            luaL_addvalue(&b);
        }
    }
    luaL_pushresult(&b);
    const char *path = lua_tostring(L, -1);
    return luaL_error(L, "json: encode%s%s: %s", *path ? " at " : "", path, lua_tostring(L, text));
}

static void check_value(lua_State *L);

static void check_text(lua_State *L, int index, int path_top)
{
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    while (len) {
        uint32_t cp;
        size_t n = mu_utf8_decode(text, len, &cp);
        if (!n)
            fail(L, path_top, "text must be UTF-8; send bytes as hexadecimal or base64");
        text += n;
        len -= n;
    }
}

/* The table on top. Keys: all names, or 1 to n. */
static void check_table(lua_State *L)
{
    int table = lua_gettop(L);
    lua_Unsigned positions = 0, names = 0, length = lua_rawlen(L, table);
    if (table > 2 * DEPTH_MAX)
        fail(L, table, "tables are nested too deeply, or hold themselves");
    luaL_checkstack(L, 8, "json");
    for (lua_pushnil(L); lua_next(L, table);) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            names++;
            check_text(L, -2, table);
        } else if (lua_isinteger(L, -2)) {
            positions++;
        } else {
            lua_pushfstring(L, "a key that is a %s; keys are names, or the positions of a list", luaL_typename(L, -2));
            fail(L, table, lua_tostring(L, -1));
        }
        check_value(L);
        lua_pop(L, 1);
    }
    bool array = is_array(L, table);
    if (names && (positions || array))
        fail(L, table, array ? "an array with names in it" : "a table with names and positions: it is neither list nor object");
    if (positions != length)
        fail(L, table, "a list with holes: use muster.json.null for what is missing");
}

static void check_value(lua_State *L)
{
    int top = lua_gettop(L);
    switch (lua_type(L, -1)) {
    case LUA_TTABLE:
        check_table(L);
        break;
    case LUA_TSTRING:
        check_text(L, -1, top);
        break;
    case LUA_TNUMBER:
        if (!isfinite(lua_tonumber(L, -1)))
            fail(L, top, "JSON has no NaN and no infinity");
        break;
    case LUA_TBOOLEAN:
        break;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, -1) == NULL)
            break;
        /* fallthrough */
    default:
        lua_pushfstring(L, "a %s cannot be written%s", luaL_typename(L, top),
                        lua_isnil(L, top) ? "; null is muster.json.null" : "");
        fail(L, top, lua_tostring(L, -1));
    }
}

static void add_value(lua_State *L, struct mu_buf *b);

static void add_table(lua_State *L, struct mu_buf *b)
{
    size_t len;
    lua_Unsigned length = lua_rawlen(L, -1);
    bool list = length > 0 || is_array(L, -1);
    const char *between = "";
    mu_buf_addc(b, list ? '[' : '{');
    for (lua_Unsigned i = 1; list && i <= length; i++) {
        mu_buf_adds(b, i > 1 ? "," : "");
        lua_rawgeti(L, -1, (lua_Integer)i);
        add_value(L, b);
        lua_pop(L, 1);
    }
    if (!list) {
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            mu_buf_adds(b, between);
            between = ",";
            const char *name = lua_tolstring(L, -2, &len);
            mu_buf_add_json(b, name, len);
            mu_buf_addc(b, ':');
            add_value(L, b);
        }
    }
    mu_buf_addc(b, list ? ']' : '}');
}

static void add_value(lua_State *L, struct mu_buf *b)
{
    size_t len;
    const char *text;
    switch (lua_type(L, -1)) {
    case LUA_TTABLE:
        add_table(L, b);
        break;
    case LUA_TSTRING:
        text = lua_tolstring(L, -1, &len);
        mu_buf_add_json(b, text, len);
        break;
    case LUA_TBOOLEAN:
        mu_buf_adds(b, lua_toboolean(L, -1) ? "true" : "false");
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, -1))
            mu_buf_addf(b, "%lld", (long long)lua_tointeger(L, -1));
        else
            mu_buf_add_number(b, lua_tonumber(L, -1));
        break;
    default:
        mu_buf_adds(b, "null");
    }
}

static int box_gc(lua_State *L)
{
    mu_buf_free(lua_touserdata(L, 1));
    return 0;
}

void mu_bind_push_json(lua_State *L)
{
    luaL_checkstack(L, 4 * DEPTH_MAX + 8, "json");
    struct mu_buf *b = lua_newuserdatauv(L, sizeof *b, 0);
    memset(b, 0, sizeof *b);
    luaL_setmetatable(L, BOX);
    lua_pushvalue(L, -2);
    add_value(L, b);
    if (b->failed)
        luaL_error(L, "out of memory");
    lua_pushlstring(L, mu_buf_cstr(b), b->len);
    mu_buf_free(b);
}

static int encode(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    check_value(L);
    mu_bind_push_json(L);
    return 1;
}

void mu_bind_mark_array(lua_State *L) { luaL_setmetatable(L, ARRAY); }

static int array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    lua_settop(L, 1);
    luaL_checktype(L, 1, LUA_TTABLE);
    if (!is_array(L, -1)) {
        if (lua_getmetatable(L, -1))
            return luaL_error(L, "json: array: the table has a metatable already");
        mu_bind_mark_array(L);
    }
    return 1;
}

void mu_bind_open_json(lua_State *L)
{
    static const luaL_Reg functions[] = {{"decode", decode}, {"encode", encode}, {"array", array}, {NULL, NULL}};
    luaL_newmetatable(L, BOX);
    lua_pushcfunction(L, box_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newmetatable(L, ARRAY);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
    luaL_newlib(L, functions);
    lua_pushlightuserdata(L, NULL); /* the same as cjson.null */
    lua_setfield(L, -2, "null");
}
