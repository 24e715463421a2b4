/* Compiling a source file once a worker into a factory: function(_ENV) -> the file's main function. Instances share their
 * prototypes, so that a task costs closures and not code. */
#include "run/script_lua.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "run/engine.h"
#include "run/sources.h"
#include "run/worker.h"

#define CACHE "muster.factories"

/* ---- where a syntax error is ---- */

struct reader {
    const char *text;
    size_t len, at;
};

/* A byte at a time, so that where the compiler stopped reading is where the offending token ends. */
static const char *read_byte(lua_State *L, void *ud, size_t *size)
{
    (void)L;
    struct reader *r = ud;
    *size = r->at < r->len;
    return *size ? r->text + r->at++ : NULL;
}

static int column_of(const char *text, size_t stop, const char *message)
{
    const char *near = strstr(message, " near ");
    const char *token = near ? near + 6 : "";
    size_t token_len = strlen(token);
    size_t at = stop;
    if (token_len >= 2 && token[0] == '\'' && token[token_len - 1] == '\'') {
        token++;
        token_len -= 2;
        for (size_t i = stop + 1; i-- > 0;)
            if (i + token_len <= stop && !memcmp(text + i, token, token_len)) {
                at = i;
                break;
            }
    }
    int column = 1;
    while (at > 0 && text[at - 1] != '\n') {
        at--;
        column++;
    }
    return column;
}

/* message is "name:line: text"; the form with a column is "name:line:column: text". */
static void push_with_column(lua_State *L, const char *name, const char *text, size_t stop, const char *message)
{
    size_t n = strlen(name);
    int line = 0, used = 0;
    if (strncmp(message, name, n) || message[n] != ':' || sscanf(message + n + 1, "%d: %n", &line, &used) < 1 || !used) {
        lua_pushstring(L, message);
        return;
    }
    lua_pushfstring(L, "%s:%d:%d: %s", name, line, column_of(text, stop, message), message + n + 1 + used);
}

static void check_syntax(lua_State *L, const char *chunk, const char *name, const char *text, size_t len)
{
    struct reader r = {text, len, 0};
    int status = lua_load(L, read_byte, &r, chunk, "t");
    if (status == LUA_ERRSYNTAX)
        push_with_column(L, name, text, r.at, lua_tostring(L, -1));
    if (status != LUA_OK)
        lua_error(L);
    lua_pop(L, 1);
}

/* ---- compiling ---- */

struct pieces {
    const char *part[3];
    size_t len[3];
    int next;
};

static const char *read_pieces(lua_State *L, void *ud, size_t *size)
{
    (void)L;
    struct pieces *p = ud;
    while (p->next < 3 && p->len[p->next] == 0)
        p->next++;
    if (p->next == 3) {
        *size = 0;
        return NULL;
    }
    *size = p->len[p->next];
    return p->part[p->next++];
}

/* What Lua's messages call the file. */
static const char *push_name(lua_State *L, const struct mu_alias *aliases, const char *path)
{
    for (const struct mu_alias *a = aliases; a && a->from; a++) {
        size_t n = strlen(a->from);
        if (!strncmp(path, a->from, n) && (!path[n] || path[n] == '/'))
            return lua_pushfstring(L, "@%s%s", a->to, path + n);
    }
    return lua_pushfstring(L, "@%s", path);
}

static void compile(lua_State *L, const char *path)
{
    const struct mu_engine *e = mu_worker_of(L)->engine;
    const char *text;
    size_t len;
    struct mu_err err;
    if (mu_sources_get(e->sources, path, &text, &len, &err))
        luaL_error(L, "%s", err.msg);
    if (len && text[0] == '\x1b')
        luaL_error(L, "%s: is compiled Lua; muster runs source text only", path);
    if (memchr(text, 0, len))
        luaL_error(L, "%s: is not a Lua script (it has a NUL byte)", path);
    if (len && text[0] == '#') { /* a #! line: keep its newline, so that lines count right */
        const char *nl = memchr(text, '\n', len);
        size_t skip = nl ? (size_t)(nl - text) : len;
        text += skip;
        len -= skip;
    }
    const char *chunk = push_name(L, e->aliases, path);
    char name[LUA_IDSIZE]; /* as Lua shortens it in messages */
    lua_Debug ar;
    if (luaL_loadbufferx(L, "", 0, chunk, "t") != LUA_OK)
        lua_error(L);
    lua_getinfo(L, ">S", &ar);
    memcpy(name, ar.short_src, sizeof name);
    check_syntax(L, chunk, name, text, len);
    static const char head[] = "local _ENV = ...; return function(...) ", tail[] = "\nend";
    struct pieces p = {{head, text, tail}, {sizeof head - 1, len, sizeof tail - 1}, 0};
    if (lua_load(L, read_pieces, &p, chunk, "t") != LUA_OK)
        lua_error(L);
    lua_remove(L, -2);
}

void mu_script_push_factories(lua_State *L) { luaL_getsubtable(L, LUA_REGISTRYINDEX, CACHE); }

void mu_script_push_factory(lua_State *L, const char *path)
{
    struct mu_worker *w = mu_worker_of(L);
    mu_script_push_factories(L);
    if (lua_getfield(L, -1, path) == LUA_TNIL) {
        lua_pop(L, 1);
        struct mu_account *payer = w->allocator.charge;
        w->allocator.charge = w->account; /* shared by all its tasks */
        /* An error leaves the charge to the resume that runs us: it sets it anew each time. */
        compile(L, path);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, path);
        w->allocator.charge = payer;
    }
    lua_remove(L, -2);
}
