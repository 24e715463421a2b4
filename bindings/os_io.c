/* os, io and math for tasks: what would end, block or alter the whole process is refused or waits in the loop instead. */
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "bindings/open.h"
#include "bindings/call.h"
#include "core/log.h"
#include "run/engine.h"
#include "run/tape.h"
#include "run/task.h"
#include "run/worker.h"

static void copy_functions(lua_State *L, const char *library, const char *const *names)
{
    lua_getglobal(L, library);
    lua_newtable(L);
    for (; *names; names++) {
        lua_getfield(L, -2, *names);
        lua_setfield(L, -2, *names);
    }
    lua_remove(L, -2);
}

static int refuse(lua_State *L) { return luaL_error(L, "%s", lua_tostring(L, lua_upvalueindex(1))); }

static void set_refused(lua_State *L, const char *name, const char *why)
{
    lua_pushstring(L, why);
    lua_pushcclosure(L, refuse, 1);
    lua_setfield(L, -2, name);
}

/* ---- os ---- */

static int signal_number(const char *name)
{
    for (int i = 1; i < NSIG; i++) {
        const char *abbreviation = sigabbrev_np(i);
        if (abbreviation && !strcmp(abbreviation, name))
            return i;
    }
    return -1;
}

static int execute_k(lua_State *L, struct mu_call *c)
{
    const struct mu_exec_result *r = mu_call_result(c);
    if (!r)
        return mu_bind_call_raise(L, c);
    bool ok = r->exit_status == 0 && !r->signal[0];
    if (ok)
        lua_pushboolean(L, 1);
    else
        lua_pushnil(L);
    lua_pushstring(L, r->signal[0] ? "signal" : "exit");
    lua_pushinteger(L, r->signal[0] ? signal_number(r->signal) : r->exit_status);
    return 3;
}

static int os_execute(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_pushboolean(L, 1);
        return 1;
    }
    struct mu_exec_request req = {.command = luaL_checkstring(L, 1)};
    return mu_bind_call_here(L, &req, execute_k);
}

void mu_bind_open_os(lua_State *L)
{
    static const char *const names[] = {"clock", "date", "difftime", "getenv", "remove", "rename", "time", "tmpname", NULL};
    copy_functions(L, "os", names);
    lua_pushcfunction(L, os_execute);
    lua_setfield(L, -2, "execute");
    set_refused(L, "exit", "os.exit is refused: it would end every server's run; raise an error instead");
    set_refused(L, "setlocale", "os.setlocale is refused: it would change how every server's numbers are read");
}

/* ---- io ---- */

/* The output of a command as a file of its own, rewound. */
static int popen_k(lua_State *L, struct mu_call *c)
{
    const struct mu_exec_result *r = mu_call_result(c);
    if (!r || r->error.code)
        return mu_bind_call_raise(L, c);
    lua_getglobal(L, "io");
    lua_getfield(L, -1, "tmpfile");
    lua_call(L, 0, 1);
    luaL_Stream *file = luaL_testudata(L, -1, LUA_FILEHANDLE);
    if (!file || !file->f)
        return luaL_error(L, "io.popen: cannot make a temporary file");
    if (fwrite(mu_buf_cstr(&r->out), 1, r->out.len, file->f) != r->out.len)
        return luaL_error(L, "io.popen: cannot write a temporary file");
    rewind(file->f);
    return 1;
}

static int io_popen(lua_State *L)
{
    const char *mode = luaL_optstring(L, 2, "r");
    if (strcmp(mode, "r") != 0)
        return luaL_error(L, "io.popen reads only (\"r\"): to feed a command use os.execute, or server:exec with stdin");
    struct mu_exec_request req = {.command = luaL_checkstring(L, 1)};
    return mu_bind_call_here(L, &req, popen_k);
}

static int io_write(lua_State *L)
{
    luaL_Buffer b;
    int first = (int)lua_tointeger(L, lua_upvalueindex(1)), n = lua_gettop(L);
    luaL_buffinit(L, &b);
    for (int i = first; i <= n; i++) {
        luaL_checkstring(L, i);
        lua_pushvalue(L, i);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    while (len && text[len - 1] == '\n')
        len--;
    if (len) {
        mu_log_text(MU_INFO, NULL, 0, text, len);
        mu_task_print(mu_task_current(L), text, len);
    }
    /* The file, so that writes can be chained: io.write(a):write(b). */
    if (first == 1) {
        lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
        lua_getfield(L, -1, "io");
        lua_getfield(L, -1, "stdout");
    } else {
        lua_pushvalue(L, 1);
    }
    return 1;
}

static int io_lines(lua_State *L)
{
    luaL_checkstring(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int nothing(lua_State *L)
{
    lua_settop(L, 1);
    return 1;
}

static int io_close(lua_State *L)
{
    luaL_checkudata(L, 1, LUA_FILEHANDLE);
    lua_getfield(L, 1, "close");
    lua_pushvalue(L, 1);
    lua_call(L, 1, LUA_MULTRET);
    return lua_gettop(L) - 1;
}

static void set_output(lua_State *L, const char *name)
{
    lua_newtable(L);
    lua_pushinteger(L, 2);
    lua_pushcclosure(L, io_write, 1);
    lua_setfield(L, -2, "write");
    lua_pushcfunction(L, nothing);
    lua_setfield(L, -2, "flush");
    lua_pushcfunction(L, nothing);
    lua_setfield(L, -2, "setvbuf");
    mu_bind_protect(L, name);
    lua_setfield(L, -2, name + 3);
}

void mu_bind_open_io(lua_State *L)
{
    static const char *const names[] = {"open", "tmpfile", "type", "lines", NULL};
    static const char no_input[] = "there is no standard input in a task: open a file, or use params";
    copy_functions(L, "io", names);
    lua_getfield(L, -1, "lines");
    lua_pushcclosure(L, io_lines, 1);
    lua_setfield(L, -2, "lines");
    lua_pushcfunction(L, io_popen);
    lua_setfield(L, -2, "popen");
    lua_pushcfunction(L, io_close);
    lua_setfield(L, -2, "close");
    lua_pushinteger(L, 1);
    lua_pushcclosure(L, io_write, 1);
    lua_setfield(L, -2, "write");
    lua_pushcfunction(L, nothing);
    lua_setfield(L, -2, "flush");
    set_output(L, "io.stdout");
    set_output(L, "io.stderr");
    set_refused(L, "read", no_input);
    set_refused(L, "input", no_input);
    set_refused(L, "output", "standard output is the run's: io.write and print go to the log, io.open writes files");
}

/* ---- math: a random generator a task ---- */

/* math on top: what is recorded and what is replayed get the same numbers, so that they ask the same. */
static void seed(lua_State *L, const struct mu_task *t)
{
    uint64_t number;
    if (!mu_tapes_seed(t->worker->engine->tapes, t->remote.index, &number))
        return;
    lua_getfield(L, -1, "randomseed");
    lua_pushinteger(L, (lua_Integer)number);
    lua_call(L, 1, 0);
}

static int random_of_task(lua_State *L)
{
    const char *name = lua_tostring(L, lua_upvalueindex(1));
    int n = lua_gettop(L);
    struct mu_task *t = mu_task_current(L);
    mu_task_push_slot(L, t, MU_SLOT_RANDOM);
    if (lua_isnil(L, -1)) {
        lua_pushcfunction(L, luaopen_math);
        lua_call(L, 0, 1);
        seed(L, t);
        lua_pushvalue(L, -1);
        mu_task_set_slot(L, t, MU_SLOT_RANDOM);
    }
    lua_getfield(L, -1, name);
    lua_insert(L, 1);
    lua_settop(L, n + 1);
    lua_call(L, n, LUA_MULTRET);
    return lua_gettop(L);
}

void mu_bind_open_math(lua_State *L)
{
    static const char *const names[] = {"random", "randomseed"};
    lua_pushcfunction(L, luaopen_math);
    lua_call(L, 0, 1);
    for (int i = 0; i < 2; i++) {
        lua_pushstring(L, names[i]);
        lua_pushcclosure(L, random_of_task, 1);
        lua_setfield(L, -2, names[i]);
    }
}
