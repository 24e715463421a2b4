/* Steps of a script's description. */
#include <ctype.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/describe.h"
#include "run/use.h"

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

/* The parameter of the step that has this name, or a new one; the table of them has room. NULL: no memory. */
static struct mu_param *own_param(struct mu_reading *r, struct mu_step *st, const char *name)
{
    for (size_t i = 0; i < st->n_own; i++)
        if (!strcmp(st->own[i].name, name))
            return &st->own[i];
    struct mu_param *more = reallocarray(st->own, st->n_own + 1, sizeof *more);
    if (!more) {
        mu_reading_complain(r, NULL, "out of memory");
        return NULL;
    }
    st->own = more;
    more[st->n_own] = (struct mu_param){.name = mu_reading_copy(r, name)};
    return more[st->n_own].name ? &more[st->n_own++] : NULL;
}

static void check_type(struct mu_reading *r, const struct mu_step *st, const struct mu_param *own)
{
    static const char *const types[] = {"a string", "a number", "a number", "true or false"};
    for (size_t i = 0; i < r->s->n_params; i++) {
        const struct mu_param *p = &r->s->params[i];
        if (!strcmp(p->name, own->name) && strcmp(types[p->type], types[own->type]) != 0)
            mu_reading_complain(r, p->name, "parameter %s is %s here, and %s for step %s, which is used from another script: rename "
                                "one of them", p->name, types[p->type], types[own->type], st->name);
    }
}

/* Of a step that was taken from another script. */
static void read_own_params(lua_State *L, struct mu_reading *r, struct mu_step *st)
{
    for (int which = MU_USE_WEAK; which <= MU_USE_OWN && !r->failed; which++) {
        mu_use_push_params(L, (enum mu_use_params)which);
        int top = lua_gettop(L);
        for (lua_type(L, top) == LUA_TTABLE ? lua_pushnil(L) : lua_settop(L, top); lua_gettop(L) > top && lua_next(L, top);) {
            struct mu_param *p = own_param(r, st, lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?");
            if (p) {
                free(p->str);
                p->str = NULL;
                mu_reading_param(L, r, p);
                check_type(r, st, p);
            }
            lua_pop(L, 1);
            if (r->failed)
                break;
        }
        lua_settop(L, top - 1);
    }
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

/* Who takes part in one pair step takes part in all, since pairs are made for all of them. */
static void check_when(lua_State *L, struct mu_reading *r, const struct mu_step *st, size_t index)
{
    int top = lua_gettop(L);
    lua_getfield(L, top, "when");
    for (size_t i = 0; !r->failed && i < index; i++) {
        if (!r->s->steps[i].pair)
            continue;
        lua_rawgeti(L, top - 1, (lua_Integer)i + 1);
        lua_getfield(L, -1, "when");
        if (!lua_rawequal(L, -1, top + 1))
            mu_reading_complain(r, "when", "the pair steps %s and %s differ in their when, and pairs are made for both: give them the "
                                "same function, or put one into a script of its own", r->s->steps[i].name, st->name);
        lua_settop(L, top + 1);
    }
    lua_settop(L, top);
}

/* What goes with a server's own steps alone. */
static void check_pair(lua_State *L, struct mu_reading *r, struct mu_step *st, size_t index)
{
    for (size_t i = 0; !r->failed && i < st->n_needs; i++)
        for (size_t j = 0; j < index; j++)
            if (r->s->steps[j].pair && !strcmp(r->s->steps[j].name, st->needs[i]))
                mu_reading_complain(r, "needs", "step %s needs %s, a pair step: no step can need one", st->name,
                                    st->needs[i]);
    if (!st->pair)
        return;
    if (lua_getfield(L, -1, "confirm") != LUA_TNIL)
        mu_reading_complain(r, "confirm", "step %s is a pair step, and these have no confirm: a pair that does not pass is always "
                            "measured again, each server with another one", st->name);
    lua_pop(L, 1);
    st->confirm = st->confirm_peers = 0;
    check_when(L, r, st, index);
    for (size_t i = 0; i < st->n_rules; i++)
        if (st->rules[i].th.peers.on)
            mu_reading_complain(r, "peers", "step %s is a pair step: its metrics are of two servers, and not compared with peers",
                                st->name);
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
    mu_reading_check_fields(L, r, what, "name run thresholds timeout needs when confirm destructive pair");
    if (!mu_reading_function(L, r, "run"))
        mu_reading_complain(r, NULL, "step %s has no run function", st->name);
    st->destructive = mu_reading_flag(L, r, "destructive");
    st->has_when = mu_reading_function(L, r, "when");
    st->timeout_ms = mu_reading_duration(L, r, "timeout", MU_STEP_TIMEOUT_MS);
    st->confirm = mu_reading_whole(L, r, "confirm", MU_CONFIRM_MAX, r->s->confirm);
    st->confirm_peers = mu_reading_whole(L, r, "confirm", MU_CONFIRM_MAX, r->s->confirm_peers);
    st->pair = mu_reading_flag(L, r, "pair");
    read_own_params(L, r, st);
    read_needs(L, r, st, index);
    if (!r->failed)
        mu_reading_thresholds(L, r, st);
    check_pair(L, r, st, index);
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
