/* A used script: checked, and its steps made into what stands for them in the using script's list. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "run/describe.h"
#include "run/engine.h"
#include "run/sources.h"
#include "run/use_internal.h"
#include "run/worker.h"

/* ---- checking a used script, once, while the using one is being loaded ---- */

#define CHECKED "muster.used_script"

static int free_checked(lua_State *L)
{
    struct mu_script **box = lua_touserdata(L, 1);
    mu_script_free(*box);
    *box = NULL;
    return 0;
}

static struct mu_script **push_box(lua_State *L)
{
    struct mu_script **box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = NULL;
    if (luaL_newmetatable(L, CHECKED)) {
        lua_pushcfunction(L, free_checked);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return box;
}

/* What its steps may count on, and would not find: the using script's hooks run in place of these. */
static const char *missed_hook(const struct mu_script *s)
{
    return s->has_setup ? "setup" : s->has_teardown ? "teardown" : s->has_before_all ? "before_all" : NULL;
}

static void check(lua_State *L, const char *path, bool ignore_hooks)
{
    int description = lua_gettop(L);
    const struct mu_engine *e = mu_worker_of(L)->engine;
    struct mu_script **box = push_box(L);
    const char *text;
    size_t len;
    struct mu_err err;
    struct mu_script *s = *box = calloc(1, sizeof *s);
    if (!s || !(s->path = strdup(path)))
        luaL_error(L, "out of memory");
    lua_pushvalue(L, description);
    if (mu_sources_get(e->sources, path, &text, &len, &err) || mu_script_describe(L, s, text, &err))
        luaL_error(L, "muster.use: %s", err.msg);
    const char *hook = ignore_hooks ? NULL : missed_hook(s);
    if (hook)
        luaL_error(L, "muster.use: %s has a %s hook, which is not taken with its steps: give this script a %s of its own that "
                   "does what they need, and say hooks = \"ignore\"", path, hook, hook);
    mu_script_free(s);
    *box = NULL;
    lua_settop(L, description);
}

/* ---- the used script ---- */

static void push_known(lua_State *L, int list, bool names_are_keys)
{
    int n = 0;
    luaL_Buffer b;
    list = lua_absindex(L, list);
    lua_newtable(L); /* sorted, so that it is the same each time */
    int sorted = lua_gettop(L);
    if (names_are_keys) {
        for (lua_pushnil(L); lua_next(L, list);) {
            lua_pop(L, 1);
            if (lua_type(L, -1) == LUA_TSTRING) {
                lua_pushvalue(L, -1);
                lua_rawseti(L, sorted, ++n);
            }
        }
        lua_getglobal(L, "table");
        lua_getfield(L, -1, "sort");
        lua_pushvalue(L, sorted);
        lua_call(L, 1, 0);
        lua_settop(L, sorted);
    } else {
        for (n = 0; lua_rawgeti(L, list, n + 1) != LUA_TNIL; n++) {
            if (lua_type(L, -1) != LUA_TTABLE || mu_use_raw_field(L, -1, "name") != LUA_TSTRING)
                break;
            lua_rawseti(L, sorted, n + 1);
            lua_pop(L, 1);
        }
        lua_settop(L, sorted);
    }
    luaL_buffinit(L, &b);
    for (int i = 1; i <= n; i++) {
        if (i > 1)
            luaL_addstring(&b, ", ");
        lua_rawgeti(L, sorted, i);
        luaL_addvalue(&b);
    }
    if (!n)
        luaL_addstring(&b, "none");
    luaL_pushresult(&b);
    lua_remove(L, sorted);
}

struct use {
    const char *path;
    int steps, params, confirm; /* of the used description */
    int only, set, thresholds, prefix, when; /* of the options: steps, params, thresholds; each a table or nil; text; a function */
    int names; /* of the steps taken: name → its copy */
};

/* Each of the options on the stack, in order; and whether hooks are to be ignored. */
static bool read_options(lua_State *L, int options)
{
    static const char *const names[] = {"steps", "params", "thresholds", "prefix", "when"};
    static const int types[] = {LUA_TTABLE, LUA_TTABLE, LUA_TTABLE, LUA_TSTRING, LUA_TFUNCTION};
    bool given = lua_type(L, options) == LUA_TTABLE, ignore = false;
    if (!given && lua_type(L, options) != LUA_TNIL)
        luaL_error(L, "muster.use: its options are a table, not a %s", luaL_typename(L, options));
    if (given) {
        for (lua_pushnil(L); lua_next(L, options); lua_pop(L, 1)) {
            const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
            lua_pushfstring(L, " %s ", name);
            if (!strstr(" steps params thresholds prefix when hooks ", lua_tostring(L, -1)))
                luaL_error(L, "muster.use has no option '%s'; it has steps, params, thresholds, prefix, when, hooks", name);
            lua_pop(L, 1);
        }
        if (mu_use_raw_field(L, options, "hooks") != LUA_TNIL) {
            ignore = lua_type(L, -1) == LUA_TSTRING && !strcmp(lua_tostring(L, -1), "ignore");
            if (!ignore)
                luaL_error(L, "muster.use: hooks can be \"ignore\" alone");
        }
        lua_pop(L, 1);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int type = given ? mu_use_raw_field(L, options, names[i]) : (lua_pushnil(L), LUA_TNIL);
        if (type != LUA_TNIL && type != types[i])
            luaL_error(L, "muster.use: %s must be a %s, not a %s", names[i], lua_typename(L, types[i]), lua_typename(L, type));
    }
    return ignore;
}

static bool is_taken(lua_State *L, const struct use *u, const char *name)
{
    if (lua_isnil(L, u->only))
        return true;
    bool yes = false;
    for (lua_Integer i = 1; !yes && lua_rawgeti(L, u->only, i) != LUA_TNIL; i++) {
        yes = lua_type(L, -1) == LUA_TSTRING && !strcmp(lua_tostring(L, -1), name);
        lua_pop(L, 1);
    }
    if (!yes)
        lua_pop(L, 1);
    return yes;
}

static void push_prefixed(lua_State *L, const struct use *u, const char *name)
{
    lua_pushfstring(L, "%s%s", lua_isnil(L, u->prefix) ? "" : lua_tostring(L, u->prefix), name);
}

/* The copy of a step is on top: the steps that it needs go by new names, too. */
static void rename_needs(lua_State *L, const struct use *u, const char *name)
{
    if (mu_use_raw_field(L, -1, "needs") == LUA_TTABLE) {
        lua_newtable(L);
        for (lua_Integer i = 1; lua_rawgeti(L, -2, i) == LUA_TSTRING; i++) {
            const char *needed = lua_tostring(L, -1);
            if (!is_taken(L, u, needed))
                luaL_error(L, "muster.use: step %s of %s needs step %s, which is not taken: name it in steps as well", name, u->path,
                           needed);
            push_prefixed(L, u, needed);
            lua_rawseti(L, -3, i);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
        lua_setfield(L, -3, "needs");
    }
    lua_pop(L, 1);
}

/* ---- its when ---- */

static int second_done(lua_State *L, int status, lua_KContext arguments)
{
    (void)L;
    (void)status;
    (void)arguments;
    return 1;
}

/* The using script has said whether it wants the step: then the step says. */
static int first_done(lua_State *L, int status, lua_KContext arguments)
{
    int n = (int)arguments;
    (void)status;
    if (!lua_toboolean(L, -1))
        return 1;
    lua_settop(L, n);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_callk(L, n, 1, 0, second_done);
    return 1;
}

static int both_whens(lua_State *L)
{
    int n = lua_gettop(L);
    luaL_checkstack(L, n + 1, "arguments");
    lua_pushvalue(L, lua_upvalueindex(1));
    for (int i = 1; i <= n; i++)
        lua_pushvalue(L, i);
    lua_callk(L, n, 1, n, first_done);
    return first_done(L, LUA_OK, n);
}

/* Of the copy of a step on top: the option's when, and its own after it. Pair steps that have none share the option's. */
static void set_when(lua_State *L, const struct use *u)
{
    if (lua_isnil(L, u->when))
        return;
    lua_pushvalue(L, u->when);
    if (mu_use_raw_field(L, -2, "when") == LUA_TNIL)
        lua_pop(L, 1);
    else
        lua_pushcclosure(L, both_whens, 2);
    lua_setfield(L, -2, "when");
}

/* Push a copy of the step on top, as it is in the using script. */
static void push_step(lua_State *L, const struct use *u, const char *name)
{
    int step = lua_gettop(L), copy = step + 1;
    mu_use_push_copy(L, step);
    push_prefixed(L, u, name);
    lua_setfield(L, copy, "name");
    rename_needs(L, u, name);
    set_when(L, u);
    if (mu_use_raw_field(L, copy, "confirm") == LUA_TNIL) {
        lua_pushvalue(L, u->confirm);
        lua_setfield(L, copy, "confirm");
    }
    mu_use_raw_field(L, copy, "thresholds");
    mu_use_push_copy(L, -1);
    lua_setfield(L, copy, "thresholds");
    lua_settop(L, copy);
    for (int which = MU_USE_WEAK; which <= MU_USE_OWN; which++) {
        mu_use_push_params(L, (enum mu_use_params)which);
        mu_use_push_copy(L, -1);
        mu_use_merge(L, -1, which == MU_USE_WEAK ? u->params : u->set, which == MU_USE_OWN);
        mu_use_set_params(L, copy, (enum mu_use_params)which);
        lua_settop(L, copy);
    }
}

/* Push the list of copies, and fill u->names. */
static void push_steps(lua_State *L, const struct use *u)
{
    lua_newtable(L);
    int out = lua_gettop(L);
    for (lua_Integer i = 1, n = (lua_Integer)lua_rawlen(L, u->steps), taken = 0; i <= n; i++) {
        if (lua_rawgeti(L, u->steps, i) != LUA_TTABLE || mu_use_raw_field(L, -1, "name") != LUA_TSTRING)
            luaL_error(L, "muster.use: %s describes other steps for this server than when it was loaded", u->path);
        const char *name = lua_tostring(L, -1);
        lua_pop(L, 1); /* the step keeps it */
        if (is_taken(L, u, name)) {
            push_step(L, u, name);
            lua_pushvalue(L, -1);
            lua_setfield(L, u->names, name);
            lua_rawseti(L, out, ++taken);
        }
        lua_settop(L, out);
    }
    for (lua_Integer i = 1; !lua_isnil(L, u->only) && lua_rawgeti(L, u->only, i) != LUA_TNIL; i++) {
        const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
        if (mu_use_raw_field(L, u->names, name) == LUA_TNIL) {
            push_known(L, u->steps, false);
            luaL_error(L, "muster.use: %s has no step '%s'; its steps are: %s", u->path, name, lua_tostring(L, -1));
        }
        lua_settop(L, out);
    }
    lua_settop(L, out);
    if (!lua_rawlen(L, out))
        luaL_error(L, "muster.use: steps is empty: leave it out for all steps of %s", u->path);
}

static void check_params(lua_State *L, const struct use *u)
{
    if (lua_isnil(L, u->set))
        return;
    for (lua_pushnil(L); lua_next(L, u->set); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        bool known = lua_type(L, u->params) == LUA_TTABLE && mu_use_raw_field(L, u->params, name) != LUA_TNIL;
        if (!known) {
            lua_pushnil(L);
            push_known(L, lua_type(L, u->params) == LUA_TTABLE ? u->params : u->names, lua_type(L, u->params) == LUA_TTABLE);
            luaL_error(L, "muster.use: %s has no parameter '%s'; it has: %s", u->path, name, lua_tostring(L, -1));
        }
        if (lua_type(L, -1) != lua_type(L, -2))
            luaL_error(L, "muster.use: parameter %s of %s is a %s, not a %s", name, u->path, luaL_typename(L, -1), luaL_typename(L, -2));
        lua_pop(L, 1);
    }
}

/* ---- thresholds ---- */

/* Set the rule at index as threshold `metric` of the copied step on top. */
static void set_rule(lua_State *L, int rule, const char *metric)
{
    mu_use_raw_field(L, -1, "thresholds");
    lua_pushvalue(L, rule);
    lua_setfield(L, -2, metric);
    lua_pop(L, 1);
}

/* "STEP.METRIC" of one of the copies; the longest name counts. */
static bool set_for_step(lua_State *L, const struct use *u, const char *name, int rule)
{
    size_t best = 0;
    for (lua_pushnil(L); lua_next(L, u->names); lua_pop(L, 1)) {
        const char *step = lua_tostring(L, -2);
        size_t n = strlen(step);
        if (n > best && !strncmp(name, step, n) && name[n] == '.' && name[n + 1])
            best = n;
    }
    if (!best)
        return false;
    lua_pushlstring(L, name, best);
    lua_rawget(L, u->names);
    set_rule(L, rule, name + best + 1);
    lua_pop(L, 1);
    return true;
}

/* "METRIC" of every step that has a threshold for it, or of the only step. */
static bool set_for_metric(lua_State *L, const struct use *u, const char *metric, int rule)
{
    int n = 0, set = 0;
    for (lua_pushnil(L); lua_next(L, u->names); lua_pop(L, 1), n++) {
        mu_use_raw_field(L, -1, "thresholds");
        bool there = mu_use_raw_field(L, -1, metric) != LUA_TNIL;
        lua_pop(L, 2);
        if (there) {
            set_rule(L, rule, metric);
            set++;
        }
    }
    if (set || n != 1)
        return set > 0;
    lua_pushnil(L);
    lua_next(L, u->names);
    set_rule(L, rule, metric);
    lua_pop(L, 2);
    return true;
}

static void set_thresholds(lua_State *L, const struct use *u)
{
    if (lua_isnil(L, u->thresholds))
        return;
    for (lua_pushnil(L); lua_next(L, u->thresholds); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        int rule = lua_gettop(L);
        if (!*name)
            luaL_error(L, "muster.use: thresholds: each needs its metric's name, as in { score = \">= 50\" }");
        if (!set_for_step(L, u, name, rule) && !set_for_metric(L, u, name, rule))
            luaL_error(L, "muster.use: no step taken from %s has a threshold '%s': for one that it has not write STEP.METRIC",
                       u->path, name);
    }
}

void mu_use_take(lua_State *L, const char *path, int options)
{
    int description = lua_gettop(L);
    luaL_checkstack(L, 40, "steps");
    if (lua_type(L, description) != LUA_TTABLE)
        luaL_error(L, "muster.use: %s returns %s; a script ends with `return muster.script { steps = … }`", path,
                   lua_isnil(L, description) ? "nothing" : luaL_typename(L, description));
    mu_use_flatten(L, path);
    struct use u = {.path = path, .only = description + 1, .set = description + 2, .thresholds = description + 3,
                    .prefix = description + 4, .when = description + 5, .steps = description + 6,
                    .params = description + 7, .confirm = description + 8, .names = description + 9};
    bool ignore = read_options(L, options);
    lua_pushvalue(L, description);
    if (!mu_worker_of(L)->engine->home)
        check(L, path, ignore);
    lua_pop(L, 1);
    if (mu_use_raw_field(L, description, "steps") != LUA_TTABLE)
        luaL_error(L, "muster.use: %s describes other steps for this server than when it was loaded", path);
    mu_use_raw_field(L, description, "params");
    mu_use_raw_field(L, description, "confirm");
    lua_newtable(L);
    check_params(L, &u);
    lua_createtable(L, 0, 2);
    push_steps(L, &u);
    set_thresholds(L, &u);
    lua_setfield(L, -2, "steps");
    mu_use_push_copy(L, u.params);
    mu_use_merge(L, -1, u.set, true);
    lua_setfield(L, -2, "params");
    if (luaL_newmetatable(L, MU_USE_META)) {
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
    lua_replace(L, description);
    lua_settop(L, description);
}
