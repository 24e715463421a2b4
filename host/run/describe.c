/* From the table that a script returns to struct mu_script, with every mistake told by file and line. */
#include "run/describe.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* ---- parameters ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct mu_param *)a)->name, ((const struct mu_param *)b)->name);
}

void mu_reading_param(lua_State *L, struct mu_reading *r, struct mu_param *p)
{
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        p->type = MU_PARAM_STR;
        p->str = mu_reading_copy(r, lua_tostring(L, -1));
        break;
    case LUA_TBOOLEAN:
        p->type = MU_PARAM_BOOL;
        p->i = lua_toboolean(L, -1);
        break;
    case LUA_TNUMBER:
        p->type = lua_isinteger(L, -1) ? MU_PARAM_INT : MU_PARAM_NUM;
        p->i = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
        p->num = lua_tonumber(L, -1);
        break;
    default:
        mu_reading_complain(r, p->name, "parameter %s: its default is a %s; parameters are strings, numbers or booleans", p->name,
                 luaL_typename(L, -1));
    }
}

static void read_params(lua_State *L, struct mu_reading *r)
{
    int type = lua_getfield(L, -1, "params");
    if (type != LUA_TTABLE) {
        if (type != LUA_TNIL)
            mu_reading_complain(r, "params", "params must be a table of names and defaults");
        lua_pop(L, 1);
        return;
    }
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        n++;
    r->s->params = calloc(n + 1, sizeof *r->s->params);
    int top = lua_gettop(L);
    for (lua_pushnil(L); r->s->params && !r->failed && lua_next(L, -2);) {
        if (lua_type(L, -2) != LUA_TSTRING || !mu_reading_valid_name(lua_tostring(L, -2))) {
            mu_reading_complain(r, "params", "params has a name that is not letters, digits, '_', '-' or '.'");
            break;
        }
        struct mu_param *p = &r->s->params[r->s->n_params];
        if ((p->name = mu_reading_copy(r, lua_tostring(L, -2)))) {
            r->s->n_params++;
            mu_reading_param(L, r, p);
        }
        lua_pop(L, 1);
    }
    lua_settop(L, top - 1);
    if (r->s->n_params)
        qsort(r->s->params, r->s->n_params, sizeof *r->s->params, by_name);
}

/* ---- marking ---- */

static const enum mu_status may_mark[] = {MU_ST_FAILED, MU_ST_ERROR, MU_ST_TIMEOUT, MU_ST_UNREACHABLE};
#define MAY_MARK "failed, error, timeout, unreachable"

static unsigned status_bit(const char *name)
{
    for (size_t i = 0; name && i < sizeof may_mark / sizeof *may_mark; i++)
        if (!strcmp(name, mu_status_name(may_mark[i])))
            return 1u << may_mark[i];
    return 0;
}

static void read_mark_on(lua_State *L, struct mu_reading *r)
{
    int type = lua_getfield(L, -1, "mark_broken_on");
    r->s->mark_on = r->s->has_mark ? 1u << MU_ST_FAILED : 0;
    if (type == LUA_TTABLE) {
        size_t n = lua_rawlen(L, -1);
        if (!n)
            mu_reading_complain(r, "mark_broken_on", "mark_broken_on is empty: name statuses (" MAY_MARK ") or leave mark out");
        r->s->mark_on = 0;
        for (size_t i = 1; i <= n && !r->failed; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i);
            const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
            unsigned bit = status_bit(name);
            if (!bit)
                mu_reading_complain(r, "mark_broken_on", "mark_broken_on: %s%s%s is no status that can mark a server: " MAY_MARK,
                                    name ? "'" : "a ", name ? name : luaL_typename(L, -1), name ? "'" : "");
            r->s->mark_on |= bit;
            lua_pop(L, 1);
        }
    } else if (type != LUA_TNIL) {
        mu_reading_complain(r, "mark_broken_on", "mark_broken_on must be a list of statuses (" MAY_MARK "), not a %s",
                            luaL_typename(L, -1));
    }
    if (type != LUA_TNIL && !r->s->has_mark)
        mu_reading_complain(r, "mark_broken_on", "mark_broken_on without a mark hook: mark = function(server, verdict) … end");
    lua_pop(L, 1);
}

static void read_max_broken(lua_State *L, struct mu_reading *r)
{
    int type = lua_getfield(L, -1, "max_broken");
    struct mu_cap cap;
    struct mu_err err;
    if (type == LUA_TSTRING || (type == LUA_TNUMBER && lua_isinteger(L, -1))) {
        const char *text = lua_tostring(L, -1);
        if (mu_cap_parse(&cap, text, &err))
            mu_reading_complain(r, "max_broken", "max_broken: %s", err.msg);
        else
            r->s->max_broken = mu_reading_copy(r, text);
    } else if (type != LUA_TNIL) {
        mu_reading_complain(r, "max_broken", "max_broken must be a number of servers, or " MU_CAP_FORM);
    }
    if (type != LUA_TNIL && !r->s->has_mark)
        mu_reading_complain(r, "max_broken", "max_broken without a mark hook: mark = function(server, verdict) … end");
    lua_pop(L, 1);
}

static void read_marking(lua_State *L, struct mu_reading *r)
{
    r->s->has_mark = mu_reading_function(L, r, "mark");
    read_mark_on(L, r);
    read_max_broken(L, r);
}

/* ---- files ---- */

static void read_pattern(lua_State *L, struct mu_reading *r)
{
    size_t len = 0;
    const char *pattern = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
    const char *problem = !pattern ? NULL : len != strlen(pattern) ? "it has a NUL byte" : mu_script_pattern_problem(pattern);
    if (!pattern)
        mu_reading_complain(r, "files", "files must be a list of paths such as \"payload/*.sh\"; there is a %s in it",
                            luaL_typename(L, -1));
    else if (problem)
        mu_reading_complain(r, "files", "files: '%s': %s", pattern, problem);
    else if ((r->s->patterns[r->s->n_patterns] = mu_reading_copy(r, pattern)))
        r->s->n_patterns++;
}

/* A file that is not there is a mistake now, not in the middle of a run. Of a used script they are not taken. */
static void find_files(struct mu_reading *r)
{
    struct mu_err err;
    char **files;
    size_t n;
    if (!r->s->dir || r->failed)
        return;
    if (mu_script_list_files(r->s, &files, &n, &err))
        mu_reading_complain(r, "files", "%s", err.msg);
    for (size_t i = 0; i < n; i++)
        free(files[i]);
    free(files);
}

static void read_files(lua_State *L, struct mu_reading *r)
{
    int type = lua_getfield(L, -1, "files");
    if (type == LUA_TTABLE) {
        size_t n = lua_rawlen(L, -1), all = 0;
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
            all++;
        if (all != n)
            mu_reading_complain(r, "files", "files must be a list of paths such as \"payload/*.sh\", without names");
        else if (!(r->s->patterns = calloc(n + 1, sizeof *r->s->patterns)))
            r->failed = mu_err_set(r->err, MU_ENOMEM, "out of memory");
        for (size_t i = 1; i <= n && !r->failed; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i);
            read_pattern(L, r);
            lua_pop(L, 1);
        }
        find_files(r);
    } else if (type != LUA_TNIL) {
        mu_reading_complain(r, "files", "files must be a list of paths such as \"payload/*.sh\", not a %s", luaL_typename(L, -1));
    }
    lua_pop(L, 1);
}

/* ---- the whole ---- */

int mu_script_describe(lua_State *L, struct mu_script *s, const char *source, struct mu_err *err)
{
    struct mu_reading r = {.s = s, .source = source, .err = err};
    if (lua_type(L, -1) != LUA_TTABLE)
        return mu_err_set(err, MU_EINVAL, "%s: returns %s; a script ends with `return muster.script { steps = … }`", s->path,
                          lua_isnil(L, -1) ? "nothing" : luaL_typename(L, -1));
    luaL_checkstack(L, 20, "description");
    mu_reading_check_fields(L, &r, "the script",
                            "description params timeout setup_timeout teardown_timeout steps setup teardown on_failure mark "
                            "mark_broken_on max_broken confirm before_all after_all files");
    int type = lua_getfield(L, -1, "description");
    if (type != LUA_TNIL && type != LUA_TSTRING)
        mu_reading_complain(&r, "description", "description must be a string");
    s->description = mu_reading_copy(&r, type == LUA_TSTRING ? lua_tostring(L, -1) : "");
    lua_pop(L, 1);
    s->timeout_ms = mu_reading_duration(L, &r, "timeout", 0);
    s->setup_timeout_ms = mu_reading_duration(L, &r, "setup_timeout", 0);
    s->teardown_timeout_ms = mu_reading_duration(L, &r, "teardown_timeout", 0);
    s->has_setup = mu_reading_function(L, &r, "setup");
    s->has_teardown = mu_reading_function(L, &r, "teardown");
    s->has_on_failure = mu_reading_function(L, &r, "on_failure");
    s->has_before_all = mu_reading_function(L, &r, "before_all");
    s->has_after_all = mu_reading_function(L, &r, "after_all");
    read_marking(L, &r);
    read_files(L, &r);
    s->confirm = mu_reading_whole(L, &r, "confirm", MU_CONFIRM_MAX, s->has_mark ? 1 : 0);
    s->confirm_peers = mu_reading_whole(L, &r, "confirm", MU_CONFIRM_MAX, 1);
    if (!r.failed)
        read_params(L, &r);
    if (!r.failed)
        mu_reading_steps(L, &r);
    return r.failed;
}
