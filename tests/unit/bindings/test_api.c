/* What the bindings define for scripts, read from the state itself, metatables that scripts cannot see included: one
 * line each on stdout, such as "function muster.sleep", "field muster.version", "method muster.server exec".
 * tests/lua/reference_spec.lua compares it with the annotations of bindings/meta/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/bindings.h"
#include "run/engine.h"
#include "run/run.h"

/* Views (protect.c) are seen through: what they show is their __index. A class with an __index of its own has its
 * methods as that function's first upvalue. */
static const char walk_text[] =
    "local registry, lines = debug.getregistry(), {}\n"
    "local function real(t)\n"
    "  local m = debug.getmetatable(t)\n"
    "  return m and m.__muster_shared and m.__index or t\n"
    "end\n"
    "local function module(name, t)\n"
    "  for k, v in pairs(real(t)) do\n"
    "    if type(v) == 'table' then module(name .. '.' .. k, v)\n"
    "    else lines[#lines + 1] = (type(v) == 'function' and 'function ' or 'field ') .. name .. '.' .. k end\n"
    "  end\n"
    "end\n"
    "module('muster', registry['muster.module'])\n"
    "for name, meta in pairs(registry) do\n"
    "  local index = type(meta) == 'table' and tostring(name):find '^muster%.' and rawget(meta, '__index')\n"
    "  if type(index) == 'function' then index = select(2, debug.getupvalue(index, 1)) end\n"
    "  for k, v in pairs(type(index) == 'table' and real(index) or {}) do\n"
    "    if type(v) == 'function' then lines[#lines + 1] = 'method ' .. name .. ' ' .. k end\n"
    "  end\n"
    "end\n"
    "table.sort(lines)\n"
    "return table.concat(lines, '\\n')\n";

static const char *const some[] = {"function muster.sleep\n", "function muster.log.info\n", "field muster.run.id\n",
                                   "method muster.server exec\n", "method muster.http.response json\n"};

static char said[65536];

static void open_and_walk(lua_State *L)
{
    mu_bindings.open_state(L);
    if (luaL_dostring(L, walk_text))
        lua_error(L);
    snprintf(said, sizeof said, "%s", lua_tostring(L, -1));
    lua_pop(L, 1);
}

static void is_listed(void **state)
{
    (void)state;
    static const char script[] = "return { steps = { { name = 'none', run = function() end } } }\n";
    char path[] = "/tmp/muster-api.XXXXXX.lua";
    struct mu_bindings bindings = mu_bindings;
    struct mu_logger *lg = NULL;
    struct mu_script *s = NULL;
    struct mu_err err = {0};
    int fd = mkstemps(path, 4);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, script, sizeof script - 1), sizeof script - 1);
    close(fd);
    bindings.open_state = open_and_walk;
    assert_int_equal(mu_logger_new(&lg, MU_INFO), 0);
    int rc = mu_script_load(&s, path, NULL, &bindings, lg, &err);
    unlink(path);
    if (rc)
        fail_msg("%s", err.msg);
    mu_script_free(s);
    mu_logger_free(lg);
    assert_true(strlen(said) < sizeof said - 1);
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        if (!strstr(said, some[i]))
            fail_msg("not found: %s in\n%s", some[i], said);
    puts(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(is_listed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
