/* Steps of a script's description. */
#include <ctype.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/describe.h"

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
    mu_reading_check_fields(L, r, what, "name run thresholds timeout needs when confirm destructive");
    if (!mu_reading_function(L, r, "run"))
        mu_reading_complain(r, NULL, "step %s has no run function", st->name);
    st->destructive = mu_reading_flag(L, r, "destructive");
    st->has_when = mu_reading_function(L, r, "when");
    st->timeout_ms = mu_reading_duration(L, r, "timeout", MU_STEP_TIMEOUT_MS);
    st->confirm = mu_reading_whole(L, r, "confirm", MU_CONFIRM_MAX, r->s->confirm);
    st->confirm_peers = mu_reading_whole(L, r, "confirm", MU_CONFIRM_MAX, r->s->confirm_peers);
    read_needs(L, r, st, index);
    if (!r->failed)
        mu_reading_thresholds(L, r, st);
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
