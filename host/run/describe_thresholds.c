/* Thresholds of a script's description. */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/describe.h"
#include "run/threshold_read.h"

/* ---- a Lua table as threshold_read.h wants it: the one on top of the stack ---- */

struct lua_source {
    lua_State *L;
    struct mu_reading *r;
    const struct mu_threshold *th;
    bool inside; /* a field of the threshold that is a table itself */
};

/* "params.NAME" in place of a number: the default for now; -p changes it (mu_script_set_param). */
static bool bound_by_param(struct lua_source *src, const char *field, const char *text, double *out)
{
    struct mu_reading *r = src->r;
    struct mu_script *s = r->s;
    const char *name = text + strlen("params."), *metric = src->th->metric;
    enum mu_bound_kind kind = !strcmp(field, "min") ? MU_BOUND_MIN : !strcmp(field, "max") ? MU_BOUND_MAX : MU_BOUND_REFERENCE;
    bool may = kind != MU_BOUND_REFERENCE || !strcmp(field, "reference");
    if (src->inside || !may || strncmp(text, "params.", strlen("params.")) != 0)
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
                                                     .param = mu_reading_copy(r, name), .kind = kind};
        *out = p->num;
        return true;
    }
    mu_reading_complain(r, metric, "threshold %s: %s is '%s', and there is no parameter %s that is a number", metric, field,
                        text, name);
    return true;
}

static void get(void *arg, const char *field, struct mu_given *out)
{
    struct lua_source *src = arg;
    static const char *const types[] = {"nothing", "a boolean", "a userdata", "a number", "a string", "a table", "a function",
                                        "a userdata", "a coroutine"};
    int type = lua_getfield(src->L, -1, field);
    out->type = type >= LUA_TNIL ? types[type] : "nothing";
    switch (type) {
    case LUA_TNIL:
        break;
    case LUA_TNUMBER:
        out->kind = MU_GIVEN_NUMBER;
        out->number = lua_tonumber(src->L, -1);
        break;
    case LUA_TSTRING:
        out->text = lua_tostring(src->L, -1); /* the table keeps it */
        out->kind = bound_by_param(src, field, out->text, &out->number) ? MU_GIVEN_NUMBER : MU_GIVEN_TEXT;
        break;
    default:
        out->kind = type == LUA_TTABLE ? MU_GIVEN_TABLE : MU_GIVEN_OTHER;
    }
    lua_pop(src->L, 1);
}

static void enter(void *arg, const char *field)
{
    struct lua_source *src = arg;
    lua_getfield(src->L, -1, field);
    src->inside = true;
}

static void leave(void *arg)
{
    struct lua_source *src = arg;
    lua_pop(src->L, 1);
    src->inside = false;
}

static const char *unknown(void *arg, const char *known)
{
    lua_State *L = ((struct lua_source *)arg)->L;
    for (lua_pushnil(L); lua_next(L, -2);) {
        lua_pop(L, 1);
        const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
        if (!mu_table_knows(known, name)) {
            lua_pop(L, 1);
            return name; /* the table keeps it */
        }
    }
    return NULL;
}

/* ---- thresholds ---- */

static void read_threshold(lua_State *L, struct mu_reading *r, const char *metric, struct mu_threshold *th)
{
    struct lua_source src = {.L = L, .r = r, .th = th};
    struct mu_table table = {&src, get, enter, leave, unknown};
    const char *word;
    struct mu_err err;
    th->metric = mu_reading_copy(r, metric);
    if (r->failed)
        return;
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        if (mu_threshold_parse(th, lua_tostring(L, -1), &err))
            mu_reading_complain(r, metric, "threshold %s: %s", metric, err.msg);
        return;
    case LUA_TTABLE:
        if (mu_threshold_read(th, &table, MU_THRESHOLD_FIELDS, &word, &err))
            mu_reading_complain(r, word ? word : metric, "%s", err.msg);
        return;
    default:
        mu_reading_complain(r, metric, "threshold %s must be a table such as { min = 50 } or a string such as \">= 50\", not a %s",
                            metric, luaL_typename(L, -1));
    }
}

static int by_metric(const void *a, const void *b)
{
    const struct mu_threshold *x = a, *y = b;
    return strcmp(x->metric ? x->metric : "", y->metric ? y->metric : "");
}

void mu_reading_thresholds(lua_State *L, struct mu_reading *r, struct mu_step *st)
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
