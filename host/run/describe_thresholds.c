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
    const struct mu_rule *rule;
    bool inside; /* a field of the threshold that is a table itself */
};

/* "params.NAME" in place of a number: the default for now; -p changes it (mu_script_set_param). */
static bool bound_by_param(struct lua_source *src, const char *field, const char *text, double *out)
{
    struct mu_reading *r = src->r;
    struct mu_script *s = r->s;
    const char *name = text + strlen("params."), *metric = src->rule->th.metric;
    enum mu_bound_kind kind = !strcmp(field, "min") ? MU_BOUND_MIN : !strcmp(field, "max") ? MU_BOUND_MAX : MU_BOUND_REFERENCE;
    bool may = kind != MU_BOUND_REFERENCE || !strcmp(field, "reference");
    if (src->inside || !may || strncmp(text, "params.", strlen("params.")) != 0)
        return false;
    const struct mu_step *st = &s->steps[s->n_steps - 1];
    for (size_t i = 0; i < st->n_own + s->n_params; i++) {
        const struct mu_param *p = i < st->n_own ? &st->own[i] : &s->params[i - st->n_own];
        if (strcmp(p->name, name) != 0 || (p->type != MU_PARAM_INT && p->type != MU_PARAM_NUM))
            continue;
        struct mu_bound *more = realloc(s->bounds, (s->n_bounds + 1) * sizeof *more);
        if (!more) {
            mu_reading_complain(r, NULL, "out of memory");
            return true;
        }
        s->bounds = more;
        s->bounds[s->n_bounds++] = (struct mu_bound){.step = s->n_steps - 1, .place = src->rule->place,
                                                     .metric = mu_reading_copy(r, metric), .param = mu_reading_copy(r, name), .kind = kind};
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

/* ---- conditions ---- */

static char *text_of(lua_State *L, struct mu_reading *r)
{
    struct mu_buf number = MU_BUF_INIT;
    char *text = NULL;
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        return mu_reading_copy(r, lua_tostring(L, -1));
    case LUA_TBOOLEAN:
        return mu_reading_copy(r, lua_toboolean(L, -1) ? "true" : "false");
    case LUA_TNUMBER:
        if (lua_isinteger(L, -1))
            mu_buf_addf(&number, "%lld", (long long)lua_tointeger(L, -1));
        else
            mu_buf_add_number(&number, lua_tonumber(L, -1));
        text = mu_reading_copy(r, mu_buf_cstr(&number));
        mu_buf_free(&number);
    }
    return text;
}

static void read_condition(lua_State *L, struct mu_reading *r, const char *label, struct mu_condition *c)
{
    size_t n = lua_type(L, -1) == LUA_TTABLE ? lua_rawlen(L, -1) : 1;
    bool list = lua_type(L, -1) == LUA_TTABLE;
    c->values = calloc(n + 1, sizeof *c->values);
    if (!c->values)
        mu_reading_complain(r, NULL, "out of memory");
    for (size_t i = 0; !r->failed && i < n; i++) {
        if (list)
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
        c->values[c->n_values] = text_of(L, r);
        if (c->values[c->n_values])
            c->n_values++;
        if (list)
            lua_pop(L, 1);
    }
    if (!n || c->n_values != n)
        mu_reading_complain(r, c->name, "threshold %s: where: %s must be a string, a number, a boolean, or a list of these", label,
                            c->name);
}

/* where = { model = "R650", group = { "gpu", "hpc" } } of the rule on top. */
static void read_where(lua_State *L, struct mu_reading *r, const char *label, struct mu_rule *rule)
{
    int type = lua_getfield(L, -1, "where");
    size_t n = 0;
    if (type == LUA_TTABLE) {
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
            n++;
        if (!n)
            mu_reading_complain(r, "where", "threshold %s: where is empty: leave it out for all servers", label);
        rule->where = calloc(n + 1, sizeof *rule->where);
        if (!rule->where)
            mu_reading_complain(r, NULL, "out of memory");
        int top = lua_gettop(L);
        for (lua_pushnil(L); !r->failed && lua_next(L, -2); lua_pop(L, 1)) {
            struct mu_condition *c = &rule->where[rule->n_where];
            if (lua_type(L, -2) != LUA_TSTRING)
                mu_reading_complain(r, "where", "threshold %s: where has an entry without a name: write { variable = value }", label);
            else if ((c->name = mu_reading_copy(r, lua_tostring(L, -2)))) {
                rule->n_where++;
                read_condition(L, r, label, c);
            }
        }
        lua_settop(L, top);
    } else if (type != LUA_TNIL) {
        mu_reading_complain(r, "where", "threshold %s: where must be a table of variables and values, not a %s", label,
                            luaL_typename(L, -1));
    }
    lua_pop(L, 1);
}

/* ---- thresholds ---- */

static void read_rule(lua_State *L, struct mu_reading *r, const char *metric, const char *label, struct mu_rule *rule)
{
    struct lua_source src = {.L = L, .r = r, .rule = rule};
    struct mu_table table = {&src, get, enter, leave, unknown};
    const char *word;
    struct mu_err err;
    rule->th.metric = mu_reading_copy(r, metric);
    if (r->failed)
        return;
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        if (mu_threshold_parse(&rule->th, lua_tostring(L, -1), &err))
            mu_reading_complain(r, metric, "threshold %s: %s", label, err.msg);
        return;
    case LUA_TTABLE:
        if (mu_threshold_read(&rule->th, &table, label, MU_THRESHOLD_FIELDS " where", &word, &err))
            mu_reading_complain(r, word ? word : metric, "%s", err.msg);
        read_where(L, r, label, rule);
        return;
    default:
        mu_reading_complain(r, metric, "threshold %s must be a table such as { min = 50 } or a string such as \">= 50\", not a %s",
                            label, luaL_typename(L, -1));
    }
}

static struct mu_rule *next_rule(struct mu_reading *r, struct mu_step *st)
{
    struct mu_rule *more = realloc(st->rules, (st->n_rules + 1) * sizeof *more);
    if (!more) {
        mu_reading_complain(r, NULL, "out of memory");
        return NULL;
    }
    st->rules = more;
    more[st->n_rules] = (struct mu_rule){0};
    return &more[st->n_rules++];
}

/* A list of rules: of these the first whose where holds. */
static void read_list(lua_State *L, struct mu_reading *r, const char *metric, struct mu_step *st)
{
    struct mu_buf label = MU_BUF_INIT;
    size_t n = lua_rawlen(L, -1), entries = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        entries++;
    if (entries != n)
        mu_reading_complain(r, metric, "threshold %s is a list of rules and has fields beside them: each belongs into a rule", metric);
    for (size_t i = 0; !r->failed && i < n; i++) {
        struct mu_rule *rule = next_rule(r, st);
        if (!rule)
            break;
        rule->place = i;
        mu_buf_clear(&label);
        mu_buf_addf(&label, "%s[%zu]", metric, i + 1);
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        read_rule(L, r, metric, mu_buf_cstr(&label), rule);
        lua_pop(L, 1);
        if (i + 1 < n && !rule->n_where)
            mu_reading_complain(r, metric, "threshold %s holds for all servers, so that those behind it never do: give it a where, "
                                "or make it the last", mu_buf_cstr(&label));
    }
    mu_buf_free(&label);
}

static void read_threshold(lua_State *L, struct mu_reading *r, const char *metric, struct mu_step *st)
{
    if (lua_type(L, -1) == LUA_TTABLE && lua_rawlen(L, -1)) {
        read_list(L, r, metric, st);
        return;
    }
    struct mu_rule *rule = next_rule(r, st);
    if (rule)
        read_rule(L, r, metric, metric, rule);
}

static int by_metric(const void *a, const void *b)
{
    const struct mu_rule *x = a, *y = b;
    int order = strcmp(x->th.metric ? x->th.metric : "", y->th.metric ? y->th.metric : "");
    return order ? order : (x->place > y->place) - (x->place < y->place);
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
    int top = lua_gettop(L);
    for (lua_pushnil(L); !r->failed && lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            mu_reading_complain(r, "thresholds", "thresholds of step %s: each needs its metric's name, as in { score = \">= 50\" }",
                                st->name);
            break;
        }
        read_threshold(L, r, lua_tostring(L, -2), st);
    }
    if (st->n_rules)
        qsort(st->rules, st->n_rules, sizeof *st->rules, by_metric); /* tables have no order */
    lua_settop(L, top - 1);
}
