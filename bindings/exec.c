/* exec: a command's arguments decoded and its outcome encoded, for server:exec and muster.exec. */
#include <lauxlib.h>
#include <string.h>

#include "bindings/call.h"
#include "bindings/open.h"
#include "run/task.h"

#define STDERR_TAIL 2000

/* The program that a command begins with, for causes that fold over servers. */
static void push_program(lua_State *L, const char *command)
{
    command += strspn(command, " \t\n'");
    size_t n = strcspn(command, " \t\n;|&<>()'");
    lua_pushlstring(L, command, n < 40 ? n : 40);
}

/* The last lines of text, at most STDERR_TAIL bytes, trailing newlines off. */
static void push_tail(lua_State *L, const struct mu_buf *b)
{
    const char *text = mu_buf_cstr(b);
    size_t len = b->len;
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    size_t from = len > STDERR_TAIL ? len - STDERR_TAIL : 0;
    if (from) {
        const char *nl = memchr(text + from, '\n', len - from);
        from = nl ? (size_t)(nl + 1 - text) : from;
    }
    lua_pushlstring(L, text + from, len - from);
}

static void push_last_line(lua_State *L, int tail)
{
    size_t len;
    const char *text = lua_tolstring(L, tail, &len);
    const char *nl = len ? memrchr(text, '\n', len) : NULL;
    const char *from = nl ? nl + 1 : text;
    lua_pushlstring(L, from, len - (size_t)(from - text));
}

static int raise_command_error(lua_State *L, struct mu_call *c, const struct mu_exec_result *r)
{
    push_tail(L, &r->err);
    int tail = lua_gettop(L);
    push_last_line(L, tail);
    push_program(L, c->command);
    const char *program = lua_tostring(L, -1), *last = lua_tostring(L, -2);
    if (r->signal[0])
        lua_pushfstring(L, "killed by signal %s: %s", r->signal, program);
    else
        lua_pushfstring(L, "exit status %d: %s", r->exit_status, program);
    const char *cause = lua_tostring(L, -1);
    if (r->signal[0])
        lua_pushfstring(L, "command was killed by signal %s: %s%s%s", r->signal, c->command, *last ? ": " : "", last);
    else
        lua_pushfstring(L, "command ended with exit status %d: %s%s%s", r->exit_status, c->command, *last ? ": " : "", last);
    const char *message = lua_tostring(L, -1);
    mu_task_print(c->task, message, strlen(message));
    mu_task_print(c->task, lua_tostring(L, tail), lua_rawlen(L, tail));
    mu_bind_push_error(L, "CommandError", cause, message);
    lua_pushstring(L, c->command);
    lua_setfield(L, -2, "command");
    lua_pushvalue(L, tail);
    lua_setfield(L, -2, "stderr");
    if (r->signal[0])
        lua_pushstring(L, r->signal);
    else
        lua_pushnil(L);
    lua_setfield(L, -2, "signal");
    if (!r->signal[0]) {
        lua_pushinteger(L, r->exit_status);
        lua_setfield(L, -2, "exit_status");
    }
    mu_call_close(c);
    return lua_error(L);
}

static int exec_raise(lua_State *L, struct mu_call *c)
{
    if (c->error.code != MU_ETIMEDOUT && c->error.code != MU_ELIMIT)
        return mu_bind_call_raise(L, c);
    push_program(L, c->command); /* these two are the command's own: name it */
    mu_err_cause(&c->error, "%s: %s", c->error.cause, lua_tostring(L, -1));
    lua_pushfstring(L, "%s: %s", c->error.msg, c->command);
    struct mu_err err = c->error;
    mu_bind_push_host_error(L, &err);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "message");
    lua_pushstring(L, c->command);
    lua_setfield(L, -2, "command");
    mu_call_close(c);
    return lua_error(L);
}

static int raise_refused(lua_State *L, struct mu_call *c, const struct mu_err *err)
{
    mu_bind_push_error(L, "CommandError", err->cause, err->msg);
    lua_pushstring(L, c->command);
    lua_setfield(L, -2, "command");
    mu_call_close(c);
    return lua_error(L);
}

static int exec_k(lua_State *L, struct mu_call *c)
{
    const struct mu_exec_result *r = mu_call_result(c);
    if (!r || c->error.code)
        return exec_raise(L, c);
    bool ok = r->exit_status == 0 && !r->signal[0];
    struct mu_err err;
    if (c->as_root && mu_sudo_refused(&c->sudo, r, &err)) /* the command never ran: that is no result of it */
        return raise_refused(L, c, &err);
    if (!ok && mu_bind_call_checks(c))
        return raise_command_error(L, c, r);
    lua_createtable(L, 0, 6);
    lua_pushboolean(L, ok);
    lua_setfield(L, -2, "ok");
    lua_pushlstring(L, mu_buf_cstr(&r->out), r->out.len);
    lua_setfield(L, -2, "stdout");
    lua_pushlstring(L, mu_buf_cstr(&r->err), r->err.len);
    lua_setfield(L, -2, "stderr");
    if (r->signal[0]) {
        lua_pushstring(L, r->signal);
        lua_setfield(L, -2, "signal");
    } else {
        lua_pushinteger(L, r->exit_status);
        lua_setfield(L, -2, "exit_status");
    }
    if (c->dry) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "dry_run");
    }
    return 1;
}

static void check_option_names(lua_State *L, int index, bool here)
{
    static const char known[] = " check timeout stdin env limit on_line sudo ";
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            continue; /* words of the command */
        lua_pushfstring(L, " %s ", lua_tostring(L, -2));
        if (!strstr(known, lua_tostring(L, -1)) && !(here && !strcmp(lua_tostring(L, -1), " read_only ")))
            luaL_error(L, "exec has no option '%s'; it has check, timeout, stdin, env, limit, on_line, sudo%s", lua_tostring(L, -3),
                       here ? ", read_only" : "");
        lua_pop(L, 1);
    }
}

/* env = { NAME = "value" } as "NAME=value" strings, kept alive by the stack. */
static const char *const *read_env(lua_State *L, int options)
{
    if (lua_getfield(L, options, "env") == LUA_TNIL)
        return NULL;
    luaL_argexpected(L, lua_istable(L, -1), options, "env to be a table");
    int table = lua_gettop(L), n = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        n++;
    const char **list = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *list, 0);
    luaL_checkstack(L, n + 8, "env");
    int i = 0;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        if (!*name || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789") != strlen(name) ||
            (*name >= '0' && *name <= '9'))
            luaL_error(L, "env: '%s' is not a variable's name", name);
        size_t len;
        const char *value = luaL_tolstring(L, -1, &len);
        if (strlen(value) != len)
            luaL_error(L, "env: the value of %s holds a NUL byte", name);
        list[i++] = lua_pushfstring(L, "%s=%s", name, value);
        lua_insert(L, -4); /* below key and value */
        lua_pop(L, 2);
    }
    list[i] = NULL;
    return list;
}

static void read_options(lua_State *L, int index, struct mu_exec_request *req, struct mu_bind_call_options *o)
{
    size_t len;
    check_option_names(L, index, o->here);
    if (o->here && lua_getfield(L, index, "read_only") != LUA_TNIL)
        req->read_only = lua_toboolean(L, -1);
    if (lua_getfield(L, index, "check") != LUA_TNIL)
        o->check = lua_toboolean(L, -1);
    lua_getfield(L, index, "timeout");
    o->timeout_ms = mu_bind_duration(L, -1, "timeout");
    if (lua_getfield(L, index, "stdin") != LUA_TNIL) {
        req->input = luaL_checklstring(L, -1, &len);
        req->input_len = len;
    }
    if (lua_getfield(L, index, "limit") != LUA_TNIL) {
        lua_Integer limit = luaL_checkinteger(L, -1);
        if (limit < 1)
            luaL_error(L, "limit must be 1 byte or more");
        req->limit = (size_t)limit;
    }
    if (lua_getfield(L, index, "on_line") != LUA_TNIL) {
        luaL_argexpected(L, lua_isfunction(L, -1), index, "on_line to be a function");
        o->on_line = lua_gettop(L);
    }
    if (lua_getfield(L, index, "sudo") != LUA_TNIL) {
        luaL_argexpected(L, lua_isboolean(L, -1), index, "sudo to be true or false");
        o->as_root = lua_toboolean(L, -1);
    }
    req->env = read_env(L, index);
}

static void push_words(lua_State *L, int index)
{
    int n = (int)lua_rawlen(L, index);
    if (!n)
        luaL_error(L, "exec: the list names no program");
    lua_pushliteral(L, "");
    for (int i = 1; i <= n; i++) {
        size_t len;
        lua_pushstring(L, i > 1 ? " " : "");
        lua_rawgeti(L, index, i);
        const char *word = luaL_tolstring(L, -1, &len);
        if (strlen(word) != len)
            luaL_error(L, "a command cannot hold a NUL byte");
        mu_bind_push_quoted(L, word, len);
        lua_replace(L, -3);
        lua_pop(L, 1);
        lua_concat(L, 3);
    }
}

int mu_bind_exec(lua_State *L, int first, struct mu_remote *remote)
{
    struct mu_exec_request req = {0};
    struct mu_bind_call_options o = {.remote = remote, .check = true, .here = !remote};
    int last = lua_gettop(L);
    if (lua_istable(L, first)) {
        read_options(L, first, &req, &o);
        push_words(L, first);
    } else {
        bool has_options = last > first && lua_istable(L, last);
        if (has_options)
            read_options(L, last, &req, &o);
        mu_bind_push_command(L, first, has_options ? last - 1 : last);
    }
    size_t len;
    req.command = lua_tolstring(L, -1, &len);
    if (strlen(req.command) != len)
        return luaL_error(L, "a command cannot hold a NUL byte");
    if (!req.command[strspn(req.command, " \t\n")])
        return luaL_error(L, "exec: the command is empty");
    return mu_bind_call_exec(L, &req, &o, exec_k);
}
