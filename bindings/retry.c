/* muster.retry: call a function again when it raised, after a pause that grows. */
#include <lauxlib.h>
#include <string.h>

#include "bindings/open.h"
#include "core/clock.h"
#include "loop/loop.h"
#include "run/fiber.h"
#include "run/tape.h"
#include "run/worker.h"

#define META "muster.retry"
#define TIMES_MAX 1000000

enum on { ON_ANY, ON_TYPES, ON_FUNCTION };

/* What was asked for, and one use of it. The user value is the list of types, or the function. */
struct retry {
    struct mu_wait wait; /* the pause */
    struct mu_timer *timer;
    lua_Integer times, tries;
    uint64_t backoff_ms, max_ms;
    enum on on;
    bool was_unwinding;
};

static struct retry *push_retry(lua_State *L)
{
    struct retry *r = lua_newuserdatauv(L, sizeof *r, 1);
    *r = (struct retry){.times = 3, .backoff_ms = 1000, .max_ms = 30000};
    luaL_setmetatable(L, META);
    return r;
}

/* ---- the pause ---- */

static void end_pause(struct mu_wait *wait)
{
    struct retry *r = mu_list_entry(wait, struct retry, wait);
    mu_timer_free(r->timer);
    r->timer = NULL;
}

static int retry_gc(lua_State *L)
{
    end_pause(&((struct retry *)lua_touserdata(L, 1))->wait);
    return 0;
}

static void pause_over(void *arg) { mu_wait_done(&((struct retry *)arg)->wait); }

/* Half of it is random, so that those who failed together do not come back together: any number that differs will do. */
static uint64_t pause_ms(const struct retry *r)
{
    uint64_t step = r->backoff_ms;
    for (lua_Integer i = 1; i < r->tries && step < r->max_ms; i++)
        step *= 2;
    step = step < r->max_ms ? step : r->max_ms;
    return step - step / 2 + (uint64_t)((double)(step / 2) * ((double)(mu_clock_ns() % 10007) / 10007.0));
}

/* ---- a try: index 1 is the retry, 2 the function; after a failure 3 is the error ---- */

static int try_now(lua_State *L, struct retry *r);

static int paused(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    end_pause((struct mu_wait *)ctx);
    lua_settop(L, 2);
    return try_now(L, lua_touserdata(L, 1));
}

static const char *text_of_error(lua_State *L)
{
    if (lua_type(L, 3) == LUA_TTABLE) { /* nothing of the script runs for a log line */
        lua_pushliteral(L, "message");
        lua_rawget(L, 3);
    } else {
        lua_pushvalue(L, 3);
    }
    return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error without text";
}

static int pause_then_try(lua_State *L, struct retry *r)
{
    struct mu_worker *w = mu_worker_of(L);
    uint64_t ms = pause_ms(r);
    mu_log(MU_INFO, "%s; trying again in %.1f s (%d of %d).", text_of_error(L), (double)ms / 1000.0, (int)r->tries + 1,
           (int)r->times);
    r->wait = (struct mu_wait){.abandon = end_pause};
    r->timer = mu_timer_new(w->loop, pause_over, r);
    if (!r->timer)
        return luaL_error(L, "out of memory");
    mu_loop_update_time(w->loop);
    /* In a replay what it waits for has happened. */
    mu_timer_start(r->timer, mu_ctx_current(), mu_tapes_replays(w->engine->tapes) ? 0 : ms);
    return mu_await(L, &r->wait, paused);
}

static int decided(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    bool again = lua_toboolean(L, 4);
    lua_settop(L, 3);
    return again ? pause_then_try(L, (struct retry *)ctx) : lua_error(L);
}

static bool has_type(lua_State *L)
{
    if (lua_type(L, 3) != LUA_TTABLE)
        return false;
    lua_pushliteral(L, "type");
    lua_rawget(L, 3);
    lua_getiuservalue(L, 1, 1);
    bool found = false;
    for (lua_Integer i = 1; !found && lua_rawgeti(L, 5, i) != LUA_TNIL; i++, lua_settop(L, 5))
        found = lua_rawequal(L, 4, 6);
    lua_settop(L, 3);
    return found;
}

static int tried(lua_State *L, int status, lua_KContext ctx)
{
    struct retry *r = (struct retry *)ctx;
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L) - 2;
    mu_fiber_rethrow(L, status, r->was_unwinding);
    if (r->tries >= r->times || (r->on == ON_TYPES && !has_type(L)))
        return lua_error(L);
    if (r->on != ON_FUNCTION)
        return pause_then_try(L, r);
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, 3);
    lua_callk(L, 1, 1, ctx, decided);
    return decided(L, LUA_OK, ctx);
}

static int try_now(lua_State *L, struct retry *r)
{
    mu_fiber_check(L);
    struct mu_fiber *f = mu_fiber_current(L);
    r->was_unwinding = f && f->unwinding;
    r->tries++;
    lua_pushvalue(L, 2);
    lua_pushinteger(L, r->tries);
    int status = lua_pcallk(L, 1, LUA_MULTRET, 0, (lua_KContext)r, tried);
    return tried(L, status, (lua_KContext)r);
}

/* ---- options ---- */

/* The value on top, for the retry r at index `retry`. */
static void read_on(lua_State *L, struct retry *r, int retry)
{
    int on = lua_gettop(L);
    if (lua_isfunction(L, on)) {
        r->on = ON_FUNCTION;
        lua_pushvalue(L, on);
    } else if (lua_type(L, on) == LUA_TTABLE && lua_rawlen(L, on) > 0) {
        r->on = ON_TYPES;
        lua_newtable(L);
        for (lua_Integer i = 1; lua_rawgeti(L, on, i) != LUA_TNIL; i++) {
            if (lua_type(L, -1) != LUA_TSTRING || !mu_bind_error_known(lua_tostring(L, -1)))
                luaL_error(L, "retry: on[%d]: '%s' is no type of muster.errors", (int)i, luaL_tolstring(L, -1, NULL));
            lua_rawseti(L, -2, i);
        }
        lua_pop(L, 1);
    } else {
        luaL_error(L, "retry: on is a list of types of muster.errors, or a function(error) that says whether to try again");
    }
    lua_setiuservalue(L, retry, 1);
}

/* The table on top as a new retry, in its place. */
static void read_options(lua_State *L)
{
    static const char known[] = " times backoff max on ";
    int options = lua_gettop(L);
    if (!lua_istable(L, options))
        luaL_error(L, "retry takes a table of options, then the function: retry({ times = 3 }, fn)");
    struct retry *r = push_retry(L);
    for (lua_pushnil(L); lua_next(L, options); lua_pop(L, 1)) {
        lua_pushfstring(L, " %s ", lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?");
        if (!strstr(known, lua_tostring(L, -1)))
            luaL_error(L, "retry has no option '%s'; it has times, backoff, max, on", luaL_tolstring(L, -3, NULL));
        lua_pop(L, 1);
    }
    if (lua_getfield(L, options, "times") != LUA_TNIL) {
        int whole = 0;
        r->times = lua_tointegerx(L, -1, &whole);
        if (!whole || r->times < 1 || r->times > TIMES_MAX)
            luaL_error(L, "retry: times is how often in all, 1 to %d", TIMES_MAX);
    }
    if (lua_getfield(L, options, "backoff") != LUA_TNIL)
        r->backoff_ms = mu_bind_duration(L, -1, "retry: backoff");
    if (lua_getfield(L, options, "max") != LUA_TNIL)
        r->max_ms = mu_bind_duration(L, -1, "retry: max");
    if (lua_getfield(L, options, "on") != LUA_TNIL)
        read_on(L, r, options + 1);
    lua_settop(L, options + 1);
    lua_replace(L, options);
}

/* Of the retry at index `policy`, with the function at index `fn`: a use of its own. */
static int run(lua_State *L, int policy, int fn)
{
    const struct retry *p = lua_touserdata(L, policy);
    struct retry *r = push_retry(L);
    *r = (struct retry){.times = p->times, .backoff_ms = p->backoff_ms, .max_ms = p->max_ms, .on = p->on};
    lua_getiuservalue(L, policy, 1);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, fn);
    lua_rotate(L, 1, 2); /* both below the rest, which goes */
    lua_settop(L, 2);
    return try_now(L, r);
}

static int run_later(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    return run(L, lua_upvalueindex(1), 1);
}

int mu_bind_retry(lua_State *L)
{
    bool now = !lua_isnone(L, 2);
    if (now)
        luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_insert(L, 1); /* the function, then the options */
    read_options(L);
    if (now)
        return run(L, lua_gettop(L), 1);
    lua_pushcclosure(L, run_later, 1);
    return 1;
}

void mu_bind_open_retry(lua_State *L)
{
    luaL_newmetatable(L, META);
    lua_pushcfunction(L, retry_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
