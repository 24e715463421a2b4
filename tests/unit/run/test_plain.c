/* Plain data between states: what is written comes out as it went in, from Lua and from C; out of memory is an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "run/plain.h"

static int encode(lua_State *L)
{
    mu_plain_encode(L, 1, "it is", lua_touserdata(L, 2));
    return 0;
}

static int push(lua_State *L)
{
    mu_plain_push(L, lua_touserdata(L, 1));
    return 1;
}

/* The value of the chunk goes through bytes into another state, which then says what `same` makes of it. */
static void goes_through(const char *chunk, const char *same)
{
    lua_State *from = luaL_newstate(), *to = luaL_newstate();
    struct mu_buf bytes = MU_BUF_INIT;
    luaL_openlibs(from);
    luaL_openlibs(to);
    assert_int_equal(luaL_dostring(from, chunk), LUA_OK);
    lua_pushcfunction(from, encode);
    lua_insert(from, 1);
    lua_pushlightuserdata(from, &bytes);
    assert_int_equal(lua_pcall(from, 2, 0, 0), LUA_OK);
    lua_close(from);
    assert_int_equal(luaL_loadstring(to, same), LUA_OK);
    lua_pushcfunction(to, push);
    lua_pushlightuserdata(to, &bytes);
    assert_int_equal(lua_pcall(to, 1, 1, 0), LUA_OK);
    if (lua_pcall(to, 1, 1, 0) != LUA_OK)
        fail_msg("%s: %s", chunk, lua_tostring(to, -1));
    if (!lua_toboolean(to, -1))
        fail_msg("%s came out otherwise", chunk);
    lua_close(to);
    mu_buf_free(&bytes);
}

static void values_go_through(void **state)
{
    (void)state;
    goes_through("return nil", "return select('#', ...) == 1 and ... == nil");
    goes_through("return true", "return ... == true");
    goes_through("return false", "return ... == false");
    goes_through("return math.mininteger", "return ... == math.mininteger and math.type(...) == 'integer'");
    goes_through("return 3.0", "return math.type(...) == 'float'");
    goes_through("return 1/0", "return ... == 1/0");
    goes_through("return 0/0", "local x = ... return x ~= x");
    goes_through("return ''", "return ... == ''");
    goes_through("return 'a\\0b' .. ('x'):rep(100000)", "return ... == 'a\\0b' .. ('x'):rep(100000)");
    goes_through("return {}", "return next(...) == nil");
    goes_through("return { 1, { 2, { 3 } }, [-1] = 'm', [true] = 1, [2.5] = 'f', x = { y = 'z' } }",
                 "local t = ... return t[1] == 1 and t[2][2][1] == 3 and t[-1] == 'm' and t[true] == 1 and t[2.5] == 'f' and "
                 "t.x.y == 'z' and #t == 2");
    goes_through("local t = {} for i = 1, 99 do t = { t } end return t", "local t, n = ..., 0 while t do t, n = t[1], n + 1 end return n == 100");
    goes_through("local t = {} for i = 1, 10000 do t[i] = i end return t", "return #... == 10000 and (...)[10000] == 10000");
}

static void refused(const char *chunk, const char *said)
{
    lua_State *L = luaL_newstate();
    struct mu_buf bytes = MU_BUF_INIT;
    luaL_openlibs(L);
    assert_int_equal(luaL_dostring(L, chunk), LUA_OK);
    lua_pushcfunction(L, encode);
    lua_insert(L, 1);
    lua_pushlightuserdata(L, &bytes);
    assert_int_equal(lua_pcall(L, 2, 0, 0), LUA_ERRRUN);
    const char *text = lua_tostring(L, -1);
    if (!strstr(text, said))
        fail_msg("%s: %s", chunk, text);
    lua_close(L);
    mu_buf_free(&bytes);
}

static void others_are_refused_with_their_place(void **state)
{
    (void)state;
    refused("return print", "it is a function: it must be plain data");
    refused("return { a = { [3] = { print } } }", "it is a function at .a[3][1]: it must");
    refused("return { [1.5] = { [true] = coroutine.create(print) } }", "it is a thread at [1.5][true]: it must");
    refused("return { x = io.stdout }", "it is a userdata at .x: it must");
    refused("return { x = { [print] = 1 } }", "it is a table with a key that is a function at .x: it must");
    refused("return { setmetatable({}, {}) }", "it is a table with a metatable at [1]: it must");
    refused("local t = {} t[1] = t return t", "nested more than 100 deep");
    refused("local t = {} for i = 1, 100 do t = { t } end return t", "nested more than 100 deep");
}

static void c_writes_what_lua_reads(void **state)
{
    (void)state;
    struct mu_buf b = MU_BUF_INIT;
    lua_State *L = luaL_newstate();
    mu_plain_begin(&b, 0, 3);
    mu_plain_key(&b, "list");
    mu_plain_begin(&b, 1, 0);
    mu_plain_add_int(&b, 1);
    mu_plain_add_num(&b, 0.5);
    mu_plain_end(&b);
    mu_plain_key(&b, "none");
    mu_plain_add_str(&b, NULL);
    mu_plain_key(&b, "yes");
    mu_plain_add_bool(&b, true);
    mu_plain_end(&b);
    assert_false(b.failed);
    lua_pushcfunction(L, push);
    lua_pushlightuserdata(L, &b);
    assert_int_equal(lua_pcall(L, 1, 1, 0), LUA_OK);
    lua_setglobal(L, "t");
    assert_int_equal(luaL_dostring(L, "return #t.list == 1 and t.list[1] == 0.5 and t.none == nil and t.yes"), LUA_OK);
    assert_true(lua_toboolean(L, -1));
    lua_close(L);
    mu_buf_free(&b);
    struct mu_buf empty = MU_BUF_INIT;
    L = luaL_newstate();
    mu_plain_push(L, &empty);
    assert_true(lua_isnil(L, -1));
    lua_close(L);
}

/* An allocator that fails at the nth request. */
static unsigned long left;
static void *failing(void *ud, void *p, size_t old, size_t n)
{
    (void)ud;
    (void)old;
    if (!n) {
        free(p);
        return NULL;
    }
    if ((!p || n > old) && left && --left == 0)
        return NULL;
    return realloc(p, n);
}

static void reading_fails_at_each_allocation(void **state)
{
    (void)state;
    struct mu_buf b = MU_BUF_INIT;
    lua_State *L = luaL_newstate();
    unsigned long n = 1;
    assert_int_equal(luaL_dostring(L, "local t = {} for i = 1, 9 do t['k' .. i] = { 'some text' .. i, { i } } end return t"), LUA_OK);
    lua_pushcfunction(L, encode);
    lua_insert(L, 1);
    lua_pushlightuserdata(L, &b);
    assert_int_equal(lua_pcall(L, 2, 0, 0), LUA_OK);
    lua_close(L);
    for (bool failed = true; failed; n++) {
        left = 0;
        L = lua_newstate(failing, NULL);
        assert_non_null(L);
        lua_gc(L, LUA_GCSTOP);
        lua_pushcfunction(L, push);
        lua_pushlightuserdata(L, &b);
        left = n;
        int status = lua_pcall(L, 1, 1, 0);
        failed = left == 0;
        left = 0;
        if (status != LUA_OK)
            assert_int_equal(status, LUA_ERRMEM);
        lua_close(L);
    }
    assert_true(n > 30);
    mu_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_go_through),
        cmocka_unit_test(others_are_refused_with_their_place),
        cmocka_unit_test(c_writes_what_lua_reads),
        cmocka_unit_test(reading_fails_at_each_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
