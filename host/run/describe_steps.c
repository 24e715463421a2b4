/* Steps and thresholds of a script's description. */
#include <ctype.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/describe.h"

/* ---- thresholds ---- */

/* "params.NAME" in place of a number: the default for now; -p changes it (mu_script_set_param). */
static bool bound_by_param(struct mu_reading *r, const char *metric, const char *field, const char *text, double *out)
{
    struct mu_script *s = r->s;
    const char *name = text + strlen("params.");
    if (strncmp(text, "params.", strlen("params.")) != 0)
        return false;
    for (size_t i = 0; i < s->n_params; i++) {
        const struct mu_param *p = &s->params[i];
        if (strcmp(p->name, name) != 0 || (p->type != MU_PARAM_INT && p->type != MU_PARAM_NUM))
            continue;
        struct mu_bound *more = realloc(s->bounds, (s->n_bounds + 1) * sizeof *more);
        if (!more) {
            mu_reading_complain(r, NULL, "out of memory");
            return true;
        }
        s->bounds = more;
        s->bounds[s->n_bounds++] = (struct mu_bound){.step = s->n_steps - 1, .metric = mu_reading_copy(r, metric),
                                                     .param = mu_reading_copy(r, name), .is_max = !strcmp(field, "max")};
        *out = p->num;
        return true;
    }
    mu_reading_complain(r, metric, "threshold %s: %s is '%s', and there is no parameter %s that is a number", metric, field,
                        text, name);
    return true;
}

static bool read_bound(lua_State *L, struct mu_reading *r, const char *metric, const char *field, double *out)
{
    int type = lua_getfield(L, -1, field);
    bool has = type == LUA_TNUMBER;
    if (type == LUA_TSTRING && bound_by_param(r, metric, field, lua_tostring(L, -1), out)) {
        has = true;
    } else if (has) {
        *out = lua_tonumber(L, -1);
        if (isnan(*out))
            mu_reading_complain(r, metric, "threshold %s: %s is NaN", metric, field);
    } else if (type != LUA_TNIL) {
        mu_reading_complain(r, metric, "threshold %s: %s must be a number, not a %s", metric, field, luaL_typename(L, -1));
    }
    lua_pop(L, 1);
    return has;
}

static void read_threshold(lua_State *L, struct mu_reading *r, const char *metric, struct mu_threshold *th)
{
    char what[128];
    snprintf(what, sizeof what, "threshold %s", metric);
    th->metric = mu_reading_copy(r, metric);
    switch (lua_type(L, -1)) {
    case LUA_TSTRING: {
        struct mu_err err;
        if (mu_threshold_parse(th, lua_tostring(L, -1), &err))
            mu_reading_complain(r, metric, "threshold %s: %s", metric, err.msg);
        return;
    }
    case LUA_TTABLE:
        break;
    default:
        mu_reading_complain(r, metric, "threshold %s must be a table such as { min = 50 } or a string such as \">= 50\", not a %s",
                 metric, luaL_typename(L, -1));
        return;
    }
    mu_reading_check_fields(L, r, what, "min max unit");
    th->has_min = read_bound(L, r, metric, "min", &th->min);
    th->has_max = read_bound(L, r, metric, "max", &th->max);
    if (!th->has_min && !th->has_max)
        mu_reading_complain(r, metric, "threshold %s has neither min nor max", metric);
    if (th->has_min && th->has_max && th->min > th->max)
        mu_reading_complain(r, metric, "threshold %s: min %g is above max %g, nothing could pass", metric, th->min, th->max);
    int type = lua_getfield(L, -1, "unit");
    if (type == LUA_TSTRING)
        th->unit = mu_reading_copy(r, lua_tostring(L, -1));
    else if (type != LUA_TNIL)
        mu_reading_complain(r, metric, "threshold %s: unit must be a string", metric);
    lua_pop(L, 1);
}

static int by_metric(const void *a, const void *b)
{
    const struct mu_threshold *x = a, *y = b;
    return strcmp(x->metric ? x->metric : "", y->metric ? y->metric : "");
}

static void read_thresholds(lua_State *L, struct mu_reading *r, struct mu_step *st)
{
    int type = lua_getfield(L, -1, "thresholds");
    if (type != LUA_TTABLE) {
        if (type != LUA_TNIL)
            mu_reading_complain(r, "thresholds", "thresholds of step %s must be a table", st->name);
        lua_pop(L, 1);
        return;
    }
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        n++;
    st->thresholds = calloc(n + 1, sizeof *st->thresholds);
    if (!st->thresholds)
        mu_reading_complain(r, NULL, "out of memory");
    int top = lua_gettop(L);
    for (lua_pushnil(L); !r->failed && lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            mu_reading_complain(r, "thresholds", "thresholds of step %s: each needs its metric's name, as in { score = \">= 50\" }",
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

static void read_needs(lua_State *L, struct mu_reading *r, struct mu_step *st, size_t index)
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
                mu_reading_complain(r, "needs", "step %s needs '%s', which is no step before it", st->name, name ? name : "?");
            else if ((st->needs[st->n_needs] = mu_reading_copy(r, name)))
                st->n_needs++;
            lua_pop(L, 1);
        }
    } else if (type != LUA_TNIL) {
        mu_reading_complain(r, "needs", "needs of step %s must be a list of step names", st->name);
    }
    lua_pop(L, 1);
}

bool mu_reading_valid_name(const char *name)
{
    if (!*name || strlen(name) > 64)
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("_-.", *name))
            return false;
    return true;
}

static void read_step(lua_State *L, struct mu_reading *r, size_t index)
{
    struct mu_step *st = &r->s->steps[index];
    char what[96];
    if (lua_type(L, -1) != LUA_TTABLE) {
        mu_reading_complain(r, "steps", "steps[%zu] is a %s; a step is a table with name and run", index + 1, luaL_typename(L, -1));
        return;
    }
    if (lua_getfield(L, -1, "name") == LUA_TSTRING && mu_reading_valid_name(lua_tostring(L, -1)))
        st->name = mu_reading_copy(r, lua_tostring(L, -1));
    else
        mu_reading_complain(r, "steps", "steps[%zu] has no name of letters, digits, '_', '-' or '.'", index + 1);
    lua_pop(L, 1);
    if (r->failed)
        return;
    for (size_t i = 0; i < index; i++)
        if (!strcmp(r->s->steps[i].name, st->name))
            mu_reading_complain(r, NULL, "two steps are named '%s'", st->name);
    snprintf(what, sizeof what, "step %s", st->name);
    mu_reading_check_fields(L, r, what, "name run thresholds timeout needs when confirm");
    if (!mu_reading_function(L, r, "run"))
        mu_reading_complain(r, NULL, "step %s has no run function", st->name);
    st->has_when = mu_reading_function(L, r, "when");
    st->timeout_ms = mu_reading_duration(L, r, "timeout", MU_STEP_TIMEOUT_MS);
    st->confirm = mu_reading_whole(L, r, "confirm", MU_CONFIRM_MAX, r->s->confirm);
    read_needs(L, r, st, index);
    if (!r->failed)
        read_thresholds(L, r, st);
}

void mu_reading_steps(lua_State *L, struct mu_reading *r)
{
    if (lua_getfield(L, -1, "steps") != LUA_TTABLE) {
        mu_reading_complain(r, "steps", "there is no list of steps: steps = { { name = …, run = function(server, params) … end } }");
        lua_pop(L, 1);
        return;
    }
    size_t n = lua_rawlen(L, -1);
    if (!n)
        mu_reading_complain(r, "steps", "steps is empty: nothing would be measured");
    r->s->steps = calloc(n + 1, sizeof *r->s->steps);
    if (!r->s->steps)
        mu_reading_complain(r, NULL, "out of memory");
    for (size_t i = 0; i < n && !r->failed; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        r->s->n_steps = i + 1;
        read_step(L, r, i);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}
