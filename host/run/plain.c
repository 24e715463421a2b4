#include "run/plain.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#define DEPTH_MAX 100

enum tag { TAG_NIL = 'n', TAG_FALSE = 'f', TAG_TRUE = 't', TAG_INT = 'i', TAG_NUM = 'd', TAG_STR = 's', TAG_TABLE = '{', TAG_END = '}' };

/* ---- writing ---- */

static void add(struct mu_buf *out, enum tag tag, const void *bytes, size_t n)
{
    mu_buf_addc(out, (char)tag);
    mu_buf_add(out, bytes, n);
}

void mu_plain_add_nil(struct mu_buf *out) { add(out, TAG_NIL, "", 0); }
void mu_plain_add_bool(struct mu_buf *out, bool b) { add(out, b ? TAG_TRUE : TAG_FALSE, "", 0); }
void mu_plain_add_int(struct mu_buf *out, long long i) { add(out, TAG_INT, &i, sizeof i); }
void mu_plain_add_num(struct mu_buf *out, double num) { add(out, TAG_NUM, &num, sizeof num); }

void mu_plain_add_bytes(struct mu_buf *out, const char *s, size_t len)
{
    add(out, TAG_STR, &len, sizeof len);
    mu_buf_add(out, s, len);
}

void mu_plain_add_str(struct mu_buf *out, const char *s)
{
    if (s)
        mu_plain_add_bytes(out, s, strlen(s));
    else
        mu_plain_add_nil(out);
}

void mu_plain_begin(struct mu_buf *out, size_t values, size_t fields)
{
    size_t hints[2] = {values, fields};
    add(out, TAG_TABLE, hints, sizeof hints);
}

void mu_plain_key(struct mu_buf *out, const char *name) { mu_plain_add_str(out, name); }
void mu_plain_end(struct mu_buf *out) { add(out, TAG_END, "", 0); }

/* ---- from Lua ---- */

/* Where a value is: in the table of `in`, under the key at index `key`. */
struct place {
    const struct place *in;
    int key;
    unsigned depth;
};

static void push_place(lua_State *L, const struct place *p)
{
    if (!p) {
        lua_pushliteral(L, "");
        return;
    }
    push_place(L, p->in);
    const char *in = lua_tostring(L, -1);
    if (lua_type(L, p->key) == LUA_TSTRING)
        lua_pushfstring(L, "%s.%s", in, lua_tostring(L, p->key));
    else
        lua_pushfstring(L, "%s[%s]", in, luaL_tolstring(L, p->key, NULL));
}

static void refuse(lua_State *L, const char *what, const struct place *p, const char *found)
{
    luaL_checkstack(L, 3 * DEPTH_MAX + 10, "place");
    push_place(L, p);
    const char *place = lua_tostring(L, -1);
    luaL_error(L, "%s %s%s%s: it must be plain data (strings, numbers, booleans, tables of these)", what, found,
               *place ? " at " : "", place);
}

static void encode(lua_State *L, int index, const char *what, const struct place *p, struct mu_buf *out);

static void encode_table(lua_State *L, int index, const char *what, const struct place *p, struct mu_buf *out)
{
    struct place here = {p, 0, p ? p->depth + 1 : 1};
    size_t n = 0, values = lua_rawlen(L, index);
    if (here.depth > DEPTH_MAX)
        luaL_error(L, "%s a table that is nested more than %d deep: does it hold itself?", what, DEPTH_MAX);
    if (lua_getmetatable(L, index))
        refuse(L, what, p, "a table with a metatable");
    luaL_checkstack(L, 8, "plain data");
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        n++;
    mu_plain_begin(out, values, n > values ? n - values : 0);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        here.key = lua_gettop(L) - 1;
        int type = lua_type(L, here.key);
        if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN)
            refuse(L, what, p, lua_pushfstring(L, "a table with a key that is a %s", luaL_typename(L, here.key)));
        encode(L, here.key, what, &here, out);
        encode(L, here.key + 1, what, &here, out);
    }
    mu_plain_end(out);
}

static void encode(lua_State *L, int index, const char *what, const struct place *p, struct mu_buf *out)
{
    const char *s;
    size_t len;
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        mu_plain_add_nil(out);
        break;
    case LUA_TBOOLEAN:
        mu_plain_add_bool(out, lua_toboolean(L, index));
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            mu_plain_add_int(out, lua_tointeger(L, index));
        else
            mu_plain_add_num(out, lua_tonumber(L, index));
        break;
    case LUA_TSTRING:
        s = lua_tolstring(L, index, &len);
        mu_plain_add_bytes(out, s, len);
        break;
    case LUA_TTABLE:
        encode_table(L, index, what, p, out);
        break;
    default:
        refuse(L, what, p, lua_pushfstring(L, "a %s", luaL_typename(L, index)));
    }
    if (out->failed)
        luaL_error(L, "out of memory");
}

void mu_plain_encode(lua_State *L, int index, const char *what, struct mu_buf *out)
{
    encode(L, lua_absindex(L, index), what, NULL, out);
}

/* ---- into Lua ---- */

struct reader {
    const char *at;
};

static void take(struct reader *r, void *out, size_t n)
{
    memcpy(out, r->at, n);
    r->at += n;
}

static int hint(size_t n) { return n < INT_MAX / 2 ? (int)n : 0; }

/* Push the next value; false at a table's end. */
static bool push(lua_State *L, struct reader *r)
{
    long long i;
    double num;
    size_t len, hints[2];
    switch ((enum tag) * r->at++) {
    case TAG_NIL:
        lua_pushnil(L);
        return true;
    case TAG_FALSE:
    case TAG_TRUE:
        lua_pushboolean(L, r->at[-1] == TAG_TRUE);
        return true;
    case TAG_INT:
        take(r, &i, sizeof i);
        lua_pushinteger(L, i);
        return true;
    case TAG_NUM:
        take(r, &num, sizeof num);
        lua_pushnumber(L, num);
        return true;
    case TAG_STR:
        take(r, &len, sizeof len);
        lua_pushlstring(L, r->at, len);
        r->at += len;
        return true;
    case TAG_TABLE:
        take(r, hints, sizeof hints);
        luaL_checkstack(L, 8, "plain data");
        lua_createtable(L, hint(hints[0]), hint(hints[1]));
        while (push(L, r)) {
            push(L, r);
            lua_rawset(L, -3);
        }
        return true;
    case TAG_END:
        break;
    }
    return false;
}

void mu_plain_push(lua_State *L, const struct mu_buf *in)
{
    struct reader r = {in->data};
    if (!in->len || !push(L, &r))
        lua_pushnil(L);
}
