/* server:claim, claimed, update_claim, release: what is noted in the run's journal before anything is installed. */
#include <lauxlib.h>
#include <math.h>

#include "bindings/open.h"
#include "core/utf8.h"
#include "run/claim.h"
#include "run/engine.h"
#include "run/task.h"

#define DECODE "muster.claim.decode" /* of a cjson of its own, in the registry */
#define DEPTH_MAX 50
#define DATA_MAX 16384
#define EXACT_MAX 9007199254740992.0 /* 2^53: whole numbers beyond it lose digits on their way through JSON */

/* ---- values ---- */

static void check_number(lua_State *L, const char *what)
{
    lua_Number n = lua_tonumber(L, -1);
    if (!isfinite(n) || (lua_isinteger(L, -1) && fabs(n) > EXACT_MAX))
        luaL_error(L, "%s: the number %s cannot be kept exactly: give it as a string", what, luaL_tolstring(L, -1, NULL));
}

static void check_text(lua_State *L, int index, const char *what)
{
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    while (len) {
        uint32_t cp;
        size_t n = mu_utf8_decode(text, len, &cp);
        if (!n)
            luaL_error(L, "%s: text must be UTF-8; give bytes as hexadecimal or base64", what);
        text += n;
        len -= n;
    }
}

/* That the table on top holds plain values only. */
static void check_plain(lua_State *L, const char *what, int depth)
{
    if (depth > DEPTH_MAX)
        luaL_error(L, "%s: tables are nested too deeply, or hold themselves", what);
    luaL_checkstack(L, 6, what);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        int type = lua_type(L, -1), key = lua_type(L, -2);
        if (key == LUA_TSTRING)
            check_text(L, -2, what);
        else if (!lua_isinteger(L, -2))
            luaL_error(L, "%s: keys are names or positions, not a %s", what, lua_typename(L, key));
        if (type == LUA_TTABLE)
            check_plain(L, what, depth + 1);
        else if (type == LUA_TNUMBER)
            check_number(L, what);
        else if (type == LUA_TSTRING)
            check_text(L, -1, what);
        else if (type != LUA_TBOOLEAN)
            luaL_error(L, "%s: it may hold strings, numbers, booleans and tables of these, not a %s", what,
                       lua_typename(L, type));
    }
}

static void add_value(lua_State *L, struct mu_buf *b);

static void add_key(lua_State *L, struct mu_buf *b)
{
    size_t len;
    if (lua_type(L, -2) == LUA_TSTRING) {
        const char *name = lua_tolstring(L, -2, &len);
        mu_buf_add_json(b, name, len);
    } else {
        mu_buf_addf(b, "\"%lld\"", (long long)lua_tointeger(L, -2));
    }
    mu_buf_addc(b, ':');
}

static void add_table(lua_State *L, struct mu_buf *b)
{
    lua_Unsigned n = 0, length = lua_rawlen(L, -1);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        n++;
    bool list = n > 0 && n == length;
    mu_buf_addc(b, list ? '[' : '{');
    const char *between = "";
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
            add_key(L, b);
            add_value(L, b);
        }
    }
    mu_buf_addc(b, list ? ']' : '}');
}

/* The value on top as JSON. It was checked, and the stack has room: nothing in here raises. */
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
    default:
        if (lua_isinteger(L, -1))
            mu_buf_addf(b, "%lld", (long long)lua_tointeger(L, -1));
        else
            mu_buf_add_number(b, lua_tonumber(L, -1));
    }
}

/* Leave the table of data, checked, on top; nil stands for an empty one. */
static void check_data(lua_State *L, const char *what)
{
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    if (!lua_istable(L, 2))
        luaL_error(L, "%s: the data is a table, not a %s", what, luaL_typename(L, 2));
    if (lua_rawlen(L, 2) > 0)
        luaL_error(L, "%s: the data is a table with names, not a list", what);
    check_plain(L, what, 0);
    luaL_checkstack(L, 4 * DEPTH_MAX + 8, what);
}

static bool as_integer(lua_Number n, lua_Integer *out) { return lua_numbertointeger(n, out) && (lua_Number)*out == n; }

/* Whole numbers become integers again, in the table on top and those in it. */
static void make_whole(lua_State *L)
{
    luaL_checkstack(L, 6, "claim");
    for (lua_pushnil(L); lua_next(L, -2);) {
        lua_Integer whole;
        if (lua_type(L, -1) == LUA_TTABLE) {
            make_whole(L);
        } else if (lua_type(L, -1) == LUA_TNUMBER && !lua_isinteger(L, -1) &&
                   as_integer(lua_tonumber(L, -1), &whole)) {
            lua_pushvalue(L, -2);
            lua_pushinteger(L, whole);
            lua_rawset(L, -5); /* of a key that is there: lua_next goes on */
        }
        lua_pop(L, 1);
    }
}

/* ---- functions ---- */

static int written(lua_State *L, int status, lua_KContext ctx)
{
    struct mu_claim *c = mu_list_entry((struct mu_wait *)ctx, struct mu_claim, ask.wait);
    (void)status;
    if (!c->ask.err.code)
        return 0;
    struct mu_err err = c->ask.err;
    mu_bind_push_host_error(L, &err);
    return lua_error(L);
}

static int change(lua_State *L, enum mu_claim_op op, const char *what)
{
    struct mu_task *t = mu_bind_check_server(L)->task;
    struct mu_buf data = MU_BUF_INIT;
    struct mu_err err = {0};
    mu_fiber_check(L);
    if (!t->server || mu_fiber_current(L)->loading)
        return luaL_error(L, "not at load time: move it into setup or a step");
    if (t->kind == MU_TASK_PAIR)
        return luaL_error(L, "%s: not in a pair step: nothing takes back there what it stands for; a step of its own can claim", what);
    if (op != MU_CLAIM_RELEASE) {
        check_data(L, what);
        add_value(L, &data);
    }
    if (data.failed)
        mu_err_set(&err, MU_ENOMEM, "out of memory");
    else if (data.len > DATA_MAX)
        mu_err_set(&err, MU_EINVAL, "the data has %zu bytes as JSON, at most %d are kept", data.len, DATA_MAX);
    else
        mu_claim_start(t, op, op == MU_CLAIM_RELEASE ? NULL : mu_buf_cstr(&data), &err);
    mu_buf_free(&data);
    if (err.code)
        return luaL_error(L, "%s: %s", what, err.msg);
    return mu_await(L, &t->claim.ask.wait, written);
}

int mu_bind_claim(lua_State *L) { return change(L, MU_CLAIM, "server:claim"); }
int mu_bind_update_claim(lua_State *L) { return change(L, MU_CLAIM_UPDATE, "server:update_claim"); }
int mu_bind_release(lua_State *L) { return change(L, MU_CLAIM_RELEASE, "server:release"); }

int mu_bind_claimed(lua_State *L)
{
    struct mu_task *t = mu_bind_check_server(L)->task;
    if (!t->claim.data) {
        lua_pushnil(L);
        return 1;
    }
    lua_getfield(L, LUA_REGISTRYINDEX, DECODE);
    lua_pushstring(L, t->claim.data);
    lua_call(L, 1, 1);
    make_whole(L);
    return 1;
}

void mu_bind_open_claim(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "cjson");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "new");
    lua_call(L, 0, 1);
    lua_getfield(L, -1, "decode");
    lua_setfield(L, LUA_REGISTRYINDEX, DECODE);
    lua_pop(L, 2);
}
