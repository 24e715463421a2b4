#include "run/spawn.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "run/task.h"
#include "run/worker.h"

static struct mu_spawned *of_link(struct mu_list *l) { return mu_list_entry(l, struct mu_spawned, link); }
static struct mu_spawned *of_fiber(struct mu_fiber *f) { return mu_list_entry(f->scope, struct mu_spawned, scope); }

/* ---- the life of one ---- */

/* The registry keeps it no longer: it goes when no script holds it. */
static void let_go(struct mu_spawned *s, lua_State *L)
{
    int ref = s->self_ref;
    mu_list_remove(&s->link);
    s->self_ref = LUA_NOREF;
    luaL_unref(L, LUA_REGISTRYINDEX, ref);
}

void mu_spawned_gc(struct mu_spawned *s)
{
    free(s->trace);
    free(s->raised);
    s->trace = s->raised = NULL;
}

/* Push the function and its arguments out of the first user value, where mu_spawn() put them. */
static int prepare(lua_State *L, struct mu_fiber *f)
{
    mu_fiber_check(L); /* cancelled before it began: nothing of it runs */
    lua_rawgeti(L, LUA_REGISTRYINDEX, of_fiber(f)->self_ref);
    int self = lua_gettop(L);
    lua_getiuservalue(L, self, 1);
    lua_rawgeti(L, -1, 1);
    int n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    luaL_checkstack(L, n + 2, "spawn");
    int packed = lua_gettop(L);
    for (int i = 0; i < n; i++)
        lua_rawgeti(L, packed, i + 2);
    lua_pushnil(L);
    lua_setiuservalue(L, self, 1);
    lua_remove(L, packed);
    lua_remove(L, self);
    return n - 1;
}

/* Pop the values from index base on, push a table that holds their number and them. */
static void pack(lua_State *L, int base)
{
    int n = lua_gettop(L) - base + 1;
    luaL_checkstack(L, 3, "values");
    lua_createtable(L, n + 1, 0);
    lua_insert(L, base);
    for (int i = n; i >= 1; i--)
        lua_rawseti(L, base, i + 1);
    lua_pushinteger(L, n);
    lua_rawseti(L, base, 1);
}

static void finish(lua_State *L, struct mu_fiber *f, int status, int base)
{
    struct mu_spawned *s = of_fiber(f);
    if (s->scope.cancelled) { /* that is what became of it, whatever it made of it */
        if (status != LUA_OK && !f->unwinding && lua_type(L, -1) == LUA_TSTRING)
            mu_log(MU_DEBUG, "A spawned function raised when it was cancelled: %s", lua_tostring(L, -1));
        return;
    }
    if (status == LUA_OK)
        pack(L, base);
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->self_ref);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
    s->state = status == LUA_OK ? MU_SPAWNED_RETURNED : MU_SPAWNED_RAISED;
}

static void tell(struct mu_join_entry *e)
{
    static const struct mu_err why = {.code = MU_ECANCELED, .cause = "cancelled", .msg = "another one gathered with it failed"};
    struct mu_join *join = e->join;
    mu_list_remove(&e->link);
    join->left--;
    if (e->of->state != MU_SPAWNED_RETURNED && !join->failed) {
        join->failed = e->of;
        for (size_t i = 0; join->cancel_rest && i < join->n; i++)
            if (mu_list_linked(&join->entries[i].link))
                mu_scope_cancel(&join->entries[i].of->scope, MU_ST_CANCELLED, &why);
    }
    if (!join->left)
        mu_wait_done(&join->wait);
}

static void ended(struct mu_fiber *f)
{
    struct mu_spawned *s = of_fiber(f);
    struct mu_fiber *owner = f->owner;
    if (f->abandoned || s->scope.cancelled)
        s->state = MU_SPAWNED_CANCELLED;
    else if (f->status != LUA_OK) { /* keeping its results, or its error, failed */
        s->state = MU_SPAWNED_RAISED;
        s->raised = f->raised ? f->raised : strdup("out of memory");
        f->raised = NULL;
    }
    if (s->state == MU_SPAWNED_RAISED) {
        s->trace = f->trace;
        f->trace = NULL;
    }
    s->fiber = NULL;
    s->ended = ++f->worker->endings;
    mu_scope_close(&s->scope);
    while (!mu_list_empty(&s->joins))
        tell(mu_list_entry(s->joins.next, struct mu_join_entry, link));
    if (s->state != MU_SPAWNED_RAISED)
        let_go(s, f->worker->L);
    if (--owner->running == 0)
        mu_fiber_settled(owner);
}

static unsigned depth_of(const struct mu_fiber *f)
{
    unsigned n = 0;
    for (; f; f = f->owner)
        n++;
    return n;
}

struct mu_spawned *mu_spawn(lua_State *L, int first)
{
    struct mu_fiber *owner = mu_fiber_current(L);
    struct mu_err err = {0};
    mu_fiber_check(L);
    if (!owner || owner->loading)
        luaL_error(L, "not at load time: move it into setup or a step");
    if (owner->unwinding)
        luaL_error(L, "spawn: this part of the script was cancelled: nothing new is begun in it");
    if (depth_of(owner) >= MU_SPAWN_DEPTH_MAX)
        luaL_error(L, "spawn: more than %d functions spawned inside each other", MU_SPAWN_DEPTH_MAX);
    pack(L, first);
    struct mu_spawned *s = lua_newuserdatauv(L, sizeof *s, 1);
    memset(s, 0, sizeof *s);
    mu_list_init(&s->joins);
    s->self_ref = LUA_NOREF;
    lua_insert(L, first);
    lua_setiuservalue(L, first, 1);
    lua_pushvalue(L, first);
    s->self_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    int rc = mu_scope_open(&s->scope, owner->worker, 0, NULL, owner->scope->unwind_budget_ms);
    if (!rc)
        rc = mu_fiber_start(&s->fiber, owner->task, &s->scope, owner->ctx, prepare, finish, ended, &err);
    if (rc) {
        mu_scope_close(&s->scope);
        let_go(s, L);
        luaL_error(L, "out of memory");
    }
    s->scope.parent = owner->scope;
    s->fiber->owner = owner;
    owner->running++;
    mu_list_push(&owner->spawned, &s->link);
    return s;
}

int mu_spawned_push_results(lua_State *L, int index)
{
    lua_getiuservalue(L, index, 1);
    int packed = lua_gettop(L);
    lua_rawgeti(L, packed, 1);
    int n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    luaL_checkstack(L, n, "results");
    for (int i = 0; i < n; i++)
        lua_rawgeti(L, packed, i + 2);
    lua_remove(L, packed);
    return n;
}

static void push_error(lua_State *L, const struct mu_spawned *s, int index)
{
    if (s->raised)
        lua_pushstring(L, s->raised);
    else
        lua_getiuservalue(L, index, 1);
}

void mu_spawned_take_error(lua_State *L, int index)
{
    struct mu_spawned *s = lua_touserdata(L, index);
    push_error(L, s, index);
    if (s->trace) {
        struct mu_field trace = {"traceback", MU_FIELD_STR, {.str = s->trace}};
        mu_log_fields(MU_DEBUG, &trace, 1, "Where a spawned function raised.");
    }
    free(s->trace); /* told once */
    s->trace = NULL;
    if (s->self_ref != LUA_NOREF)
        let_go(s, L);
}

/* ---- waiting ---- */

static void drop_join(struct mu_wait *wait) { mu_join_end(mu_list_entry(wait, struct mu_join, wait)); }

void mu_join_start(struct mu_join *join)
{
    join->wait = (struct mu_wait){.abandon = drop_join};
    for (size_t i = 0; i < join->n; i++) {
        struct mu_join_entry *e = &join->entries[i];
        e->join = join;
        mu_list_init(&e->link);
        if (e->of->fiber) {
            mu_list_push(&e->of->joins, &e->link);
            join->left++;
        } else if (e->of->state != MU_SPAWNED_RETURNED && (!join->failed || e->of->ended < join->failed->ended)) {
            join->failed = e->of;
        }
    }
    for (size_t i = 0; join->cancel_rest && join->failed && i < join->n; i++) {
        static const struct mu_err why = {.code = MU_ECANCELED, .cause = "cancelled", .msg = "another one gathered with it had failed"};
        if (mu_list_linked(&join->entries[i].link))
            mu_scope_cancel(&join->entries[i].of->scope, MU_ST_CANCELLED, &why);
    }
    join->wait.done = join->left == 0;
}

void mu_join_end(struct mu_join *join)
{
    for (size_t i = 0; i < join->n; i++)
        mu_list_remove(&join->entries[i].link);
}

bool mu_spawned_encloses(const struct mu_spawned *s, const struct mu_fiber *f)
{
    for (; f; f = f->owner)
        if (s->fiber == f)
            return true;
    return false;
}

/* ---- the owner's end ---- */

static void log_lost(lua_State *L)
{
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (lua_type(L, -1) == LUA_TTABLE) { /* a typed error; nothing of the script may run in here */
        lua_pushliteral(L, "message");
        lua_rawget(L, -2);
        text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    }
    mu_log(MU_ERROR, "A spawned function failed, too: %s", text ? text : "an error value without text");
}

/* f's body has ended; of: f, or what still runs below it and is about to be cancelled. */
static int settle(lua_State *L, struct mu_fiber *f, struct mu_fiber *of, int status, int base)
{
    for (struct mu_list *l = of->spawned.next, *next; l != &of->spawned; l = next) {
        struct mu_spawned *s = of_link(l);
        next = l->next;
        if (s->fiber) {
            status = settle(L, f, s->fiber, status, base);
            continue;
        }
        luaL_checkstack(L, 4, "errors");
        lua_rawgeti(L, LUA_REGISTRYINDEX, s->self_ref);
        push_error(L, s, lua_gettop(L));
        if (status == LUA_OK && !f->scope->cancelled) {
            lua_replace(L, base); /* there may be no result: then this is the userdata's place */
            lua_settop(L, base);
            status = LUA_ERRRUN;
            free(f->trace);
            f->trace = s->trace;
            s->trace = NULL;
        } else {
            int top = lua_gettop(L);
            log_lost(L);
            lua_settop(L, top - 2);
        }
        mu_spawned_gc(s);
        let_go(s, L);
    }
    return status;
}

int mu_spawned_settle(lua_State *L, struct mu_fiber *f, int status, int base)
{
    return settle(L, f, f, status, base);
}

void mu_spawned_end(struct mu_fiber *f)
{
    struct mu_err why;
    mu_err_set(&why, MU_ECANCELED, "what spawned it has ended");
    mu_log(MU_DEBUG, "Cancelled %zu spawned function%s that still ran when what spawned %s ended.", f->running,
           f->running > 1 ? "s" : "", f->running > 1 ? "them" : "it");
    mu_spawned_cancel(f, MU_ST_CANCELLED, &why);
}

void mu_spawned_cancel(struct mu_fiber *f, enum mu_status status, const struct mu_err *why)
{
    for (struct mu_list *l = f ? f->spawned.next : NULL; f && l != &f->spawned; l = l->next)
        if (of_link(l)->fiber)
            mu_scope_cancel(&of_link(l)->scope, status, why);
}

void mu_spawned_hurry(struct mu_fiber *f, uint64_t until_ms)
{
    for (struct mu_list *l = f ? f->spawned.next : NULL; f && l != &f->spawned; l = l->next)
        if (of_link(l)->fiber)
            mu_scope_hurry(&of_link(l)->scope, until_ms);
}

void mu_spawned_postpone(struct mu_fiber *f, uint64_t ms)
{
    for (struct mu_list *l = f ? f->spawned.next : NULL; f && l != &f->spawned; l = l->next)
        if (of_link(l)->fiber)
            mu_scope_postpone(&of_link(l)->scope, ms);
}

void mu_spawned_abandon(struct mu_fiber *f)
{
    struct mu_list *l;
    while ((l = f->spawned.next) != &f->spawned) {
        struct mu_spawned *s = of_link(l);
        if (s->fiber)
            mu_fiber_abandon(s->fiber);
        if (s->self_ref != LUA_NOREF)
            let_go(s, f->worker->L);
    }
}
