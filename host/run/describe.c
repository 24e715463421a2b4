/* From the table that a script returns to struct mu_script, with every mistake told by file and line. */
#include "run/script_lua.h"

#include <ctype.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

struct reading {
    struct mu_script *s;
    const char *source;
    struct mu_err *err;
    int failed; /* a code */
};

/* The line of the source where `word` stands as a field's name, for `word =` or `["word"] =`; 0 when there is none. */
static int line_of_field(const char *source, const char *word)
{
    size_t n = strlen(word);
    int line = 1;
    for (const char *p = source; *p; p++) {
        if (*p == '\n')
            line++;
        if (strncmp(p, word, n) || (p > source && (isalnum((unsigned char)p[-1]) || p[-1] == '_')))
            continue;
        const char *q = p + n;
        while (*q && strchr(" \t\"']", *q))
            q++;
        if (*q == '=' && q[1] != '=')
            return line;
    }
    return 0;
}

static void complain(struct reading *r, const char *word, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void complain(struct reading *r, const char *word, const char *fmt, ...)
{
    if (r->failed)
        return;
    va_list ap;
    va_start(ap, fmt);
    r->failed = mu_err_vset(r->err, MU_EINVAL, fmt, ap);
    va_end(ap);
    int line = word ? line_of_field(r->source, word) : 0;
    if (line)
        mu_err_prefix(r->err, "%s:%d", r->s->path, line);
    else
        mu_err_prefix(r->err, "%s", r->s->path);
}

/* Every field of the table on top must be in known (space separated). */
static void check_fields(lua_State *L, struct reading *r, const char *what, const char *known)
{
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            complain(r, NULL, "%s has an entry without a name; known fields: %s", what, known);
            lua_pop(L, 1);
            return;
        }
        const char *name = lua_tostring(L, -1);
        size_t n = strlen(name);
        const char *at = known;
        while ((at = strstr(at, name)) && !((at == known || at[-1] == ' ') && (at[n] == ' ' || !at[n])))
            at += n;
        if (!n || !at) {
            complain(r, name, "%s has no field '%s'; known fields: %s", what, name, known);
            lua_pop(L, 1);
            return;
        }
    }
}

static char *copy(struct reading *r, const char *text)
{
    char *s = strdup(text);
    if (!s && !r->failed)
        r->failed = mu_err_set(r->err, MU_ENOMEM, "out of memory");
    return s;
}

static uint64_t read_duration(lua_State *L, struct reading *r, const char *field, uint64_t otherwise)
{
    uint64_t ms = otherwise;
    int type = lua_getfield(L, -1, field);
    if (type == LUA_TNUMBER) {
        double s = lua_tonumber(L, -1);
        if (s > 0 && s < 1e9)
            ms = (uint64_t)(s * 1000.0 + 0.5);
        else
            complain(r, field, "%s must be more than 0 seconds", field);
    } else if (type == LUA_TSTRING) {
        if (mu_clock_parse(lua_tostring(L, -1), &ms) || !ms)
            complain(r, field, "%s '%s' is not a duration: write seconds, or \"90s\", \"5m\", \"1h30m\"", field,
                     lua_tostring(L, -1));
    } else if (type != LUA_TNIL) {
        complain(r, field, "%s must be seconds or a string such as \"5m\", not a %s", field, luaL_typename(L, -1));
    }
    lua_pop(L, 1);
    return ms;
}

static bool read_function(lua_State *L, struct reading *r, const char *field)
{
    int type = lua_getfield(L, -1, field);
    if (type != LUA_TFUNCTION && type != LUA_TNIL)
        complain(r, field, "%s must be a function, not a %s", field, luaL_typename(L, -1));
    lua_pop(L, 1);
    return type == LUA_TFUNCTION;
}

/* ---- thresholds ---- */

static bool read_bound(lua_State *L, struct reading *r, const char *metric, const char *field, double *out)
{
    int type = lua_getfield(L, -1, field);
    bool has = type == LUA_TNUMBER;
    if (has) {
        *out = lua_tonumber(L, -1);
        if (isnan(*out))
            complain(r, metric, "threshold %s: %s is NaN", metric, field);
    } else if (type != LUA_TNIL) {
        complain(r, metric, "threshold %s: %s must be a number, not a %s", metric, field, luaL_typename(L, -1));
    }
    lua_pop(L, 1);
    return has;
}

static void read_threshold(lua_State *L, struct reading *r, const char *metric, struct mu_threshold *th)
{
    char what[128];
    snprintf(what, sizeof what, "threshold %s", metric);
    th->metric = copy(r, metric);
    switch (lua_type(L, -1)) {
    case LUA_TSTRING: {
        struct mu_err err;
        if (mu_threshold_parse(th, lua_tostring(L, -1), &err))
            complain(r, metric, "threshold %s: %s", metric, err.msg);
        return;
    }
    case LUA_TTABLE:
        break;
    default:
        complain(r, metric, "threshold %s must be a table such as { min = 50 } or a string such as \">= 50\", not a %s",
                 metric, luaL_typename(L, -1));
        return;
    }
    check_fields(L, r, what, "min max unit");
    th->has_min = read_bound(L, r, metric, "min", &th->min);
    th->has_max = read_bound(L, r, metric, "max", &th->max);
    if (!th->has_min && !th->has_max)
        complain(r, metric, "threshold %s has neither min nor max", metric);
    if (th->has_min && th->has_max && th->min > th->max)
        complain(r, metric, "threshold %s: min %g is above max %g, nothing could pass", metric, th->min, th->max);
    int type = lua_getfield(L, -1, "unit");
    if (type == LUA_TSTRING)
        th->unit = copy(r, lua_tostring(L, -1));
    else if (type != LUA_TNIL)
        complain(r, metric, "threshold %s: unit must be a string", metric);
    lua_pop(L, 1);
}

static int by_metric(const void *a, const void *b)
{
    const struct mu_threshold *x = a, *y = b;
    return strcmp(x->metric ? x->metric : "", y->metric ? y->metric : "");
}

static void read_thresholds(lua_State *L, struct reading *r, struct mu_step *st)
{
    int type = lua_getfield(L, -1, "thresholds");
    if (type != LUA_TTABLE) {
        if (type != LUA_TNIL)
            complain(r, "thresholds", "thresholds of step %s must be a table", st->name);
        lua_pop(L, 1);
        return;
    }
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        n++;
    st->thresholds = calloc(n + 1, sizeof *st->thresholds);
    if (!st->thresholds)
        complain(r, NULL, "out of memory");
    int top = lua_gettop(L);
    for (lua_pushnil(L); !r->failed && lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            complain(r, "thresholds", "thresholds of step %s: each needs its metric's name, as in { score = \">= 50\" }",
                     st->name);
            break;
        }
        read_threshold(L, r, lua_tostring(L, -2), &st->thresholds[st->n_thresholds++]);
    }
    if (st->n_thresholds)
        qsort(st->thresholds, st->n_thresholds, sizeof *st->thresholds, by_metric); /* tables have no order */
    lua_settop(L, top - 1);
}

/* ---- steps ---- */

static void read_needs(lua_State *L, struct reading *r, struct mu_step *st, size_t index)
{
    int type = lua_getfield(L, -1, "needs");
    if (type == LUA_TTABLE) {
        size_t n = lua_rawlen(L, -1);
        st->needs = calloc(n + 1, sizeof *st->needs);
        for (size_t i = 1; st->needs && i <= n && !r->failed; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i);
            const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
            bool known = false;
            for (size_t j = 0; name && j < index; j++)
                known = known || !strcmp(r->s->steps[j].name, name);
            if (!known)
                complain(r, "needs", "step %s needs '%s', which is no step before it", st->name, name ? name : "?");
            else if ((st->needs[st->n_needs] = copy(r, name)))
                st->n_needs++;
            lua_pop(L, 1);
        }
    } else if (type != LUA_TNIL) {
        complain(r, "needs", "needs of step %s must be a list of step names", st->name);
    }
    lua_pop(L, 1);
}

static bool valid_name(const char *name)
{
    if (!*name || strlen(name) > 64)
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("_-.", *name))
            return false;
    return true;
}

static void read_step(lua_State *L, struct reading *r, size_t index)
{
    struct mu_step *st = &r->s->steps[index];
    char what[96];
    if (lua_type(L, -1) != LUA_TTABLE) {
        complain(r, "steps", "steps[%zu] is a %s; a step is a table with name and run", index + 1, luaL_typename(L, -1));
        return;
    }
    if (lua_getfield(L, -1, "name") == LUA_TSTRING && valid_name(lua_tostring(L, -1)))
        st->name = copy(r, lua_tostring(L, -1));
    else
        complain(r, "steps", "steps[%zu] has no name of letters, digits, '_', '-' or '.'", index + 1);
    lua_pop(L, 1);
    if (r->failed)
        return;
    for (size_t i = 0; i < index; i++)
        if (!strcmp(r->s->steps[i].name, st->name))
            complain(r, NULL, "two steps are named '%s'", st->name);
    snprintf(what, sizeof what, "step %s", st->name);
    check_fields(L, r, what, "name run thresholds timeout needs when");
    if (!read_function(L, r, "run"))
        complain(r, NULL, "step %s has no run function", st->name);
    st->has_when = read_function(L, r, "when");
    st->timeout_ms = read_duration(L, r, "timeout", MU_STEP_TIMEOUT_MS);
    read_needs(L, r, st, index);
    if (!r->failed)
        read_thresholds(L, r, st);
}

static void read_steps(lua_State *L, struct reading *r)
{
    if (lua_getfield(L, -1, "steps") != LUA_TTABLE) {
        complain(r, "steps", "there is no list of steps: steps = { { name = …, run = function(server, params) … end } }");
        lua_pop(L, 1);
        return;
    }
    size_t n = lua_rawlen(L, -1);
    if (!n)
        complain(r, "steps", "steps is empty: nothing would be measured");
    r->s->steps = calloc(n + 1, sizeof *r->s->steps);
    if (!r->s->steps)
        complain(r, NULL, "out of memory");
    for (size_t i = 0; i < n && !r->failed; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        r->s->n_steps = i + 1;
        read_step(L, r, i);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* ---- parameters ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct mu_param *)a)->name, ((const struct mu_param *)b)->name);
}

static void read_param(lua_State *L, struct reading *r, struct mu_param *p)
{
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        p->type = MU_PARAM_STR;
        p->str = copy(r, lua_tostring(L, -1));
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
        complain(r, p->name, "parameter %s: its default is a %s; parameters are strings, numbers or booleans", p->name,
                 luaL_typename(L, -1));
    }
}

static void read_params(lua_State *L, struct reading *r)
{
    int type = lua_getfield(L, -1, "params");
    if (type != LUA_TTABLE) {
        if (type != LUA_TNIL)
            complain(r, "params", "params must be a table of names and defaults");
        lua_pop(L, 1);
        return;
    }
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        n++;
    r->s->params = calloc(n + 1, sizeof *r->s->params);
    int top = lua_gettop(L);
    for (lua_pushnil(L); r->s->params && !r->failed && lua_next(L, -2);) {
        if (lua_type(L, -2) != LUA_TSTRING || !valid_name(lua_tostring(L, -2))) {
            complain(r, "params", "params has a name that is not letters, digits, '_', '-' or '.'");
            break;
        }
        struct mu_param *p = &r->s->params[r->s->n_params];
        if ((p->name = copy(r, lua_tostring(L, -2)))) {
            r->s->n_params++;
            read_param(L, r, p);
        }
        lua_pop(L, 1);
    }
    lua_settop(L, top - 1);
    if (r->s->n_params)
        qsort(r->s->params, r->s->n_params, sizeof *r->s->params, by_name);
}

int mu_script_describe(lua_State *L, struct mu_script *s, const char *source, struct mu_err *err)
{
    struct reading r = {.s = s, .source = source, .err = err};
    if (lua_type(L, -1) != LUA_TTABLE)
        return mu_err_set(err, MU_EINVAL, "%s: returns %s; a script ends with `return muster.script { steps = … }`", s->path,
                          lua_isnil(L, -1) ? "nothing" : luaL_typename(L, -1));
    luaL_checkstack(L, 20, "description");
    check_fields(L, &r, "the script", "description params timeout steps setup teardown on_failure");
    int type = lua_getfield(L, -1, "description");
    if (type != LUA_TNIL && type != LUA_TSTRING)
        complain(&r, "description", "description must be a string");
    s->description = copy(&r, type == LUA_TSTRING ? lua_tostring(L, -1) : "");
    lua_pop(L, 1);
    s->timeout_ms = read_duration(L, &r, "timeout", 0);
    s->has_setup = read_function(L, &r, "setup");
    s->has_teardown = read_function(L, &r, "teardown");
    s->has_on_failure = read_function(L, &r, "on_failure");
    if (!r.failed)
        read_params(L, &r);
    if (!r.failed)
        read_steps(L, &r);
    return r.failed;
}
