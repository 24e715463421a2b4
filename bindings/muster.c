/* The module muster: script, sleep, exec, and the modules that hang on it. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/open.h"
#include "bindings/secret.h"
#include "loop/loop.h"
#include "run/fiber.h"
#include "run/tape.h"
#include "run/worker.h"

/* ---- script ---- */

static int script(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    return 1;
}

/* ---- sleep ---- */

#define SLEEP "muster.sleep"

struct sleeping {
    struct mu_wait wait;
    struct mu_timer *timer;
};

static void wake(void *arg) { mu_wait_done(&((struct sleeping *)arg)->wait); }

static void end_sleep(struct mu_wait *wait)
{
    struct sleeping *s = mu_list_entry(wait, struct sleeping, wait);
    mu_timer_free(s->timer);
    s->timer = NULL;
}

static int sleep_gc(lua_State *L)
{
    end_sleep(&((struct sleeping *)lua_touserdata(L, 1))->wait);
    return 0;
}

static int slept(lua_State *L, int status, lua_KContext ctx)
{
    (void)L;
    (void)status;
    end_sleep((struct mu_wait *)ctx);
    return 0;
}

static int sleep_for(lua_State *L)
{
    mu_fiber_check(L);
    uint64_t ms = mu_bind_duration(L, 1, "sleep");
    if (mu_tapes_replays(mu_worker_of(L)->engine->tapes))
        ms = 0; /* what it waits for has happened when the transcript was made */
    struct sleeping *s = lua_newuserdatauv(L, sizeof *s, 0);
    *s = (struct sleeping){.wait = {.abandon = end_sleep}};
    luaL_setmetatable(L, SLEEP);
    struct mu_worker *w = mu_worker_of(L);
    s->timer = mu_timer_new(w->loop, wake, s);
    if (!s->timer)
        return luaL_error(L, "out of memory");
    mu_loop_update_time(w->loop);
    mu_timer_start(s->timer, mu_ctx_current(), ms);
    return mu_await(L, &s->wait, slept);
}

/* ---- exec ---- */

static int exec_here(lua_State *L) { return mu_bind_exec(L, 1, NULL); }

/* ---- parse ---- */

/* __index: muster.parse is the library's module of that name, loaded in the task that first asks for it. */
static int load_module(lua_State *L)
{
    static const char name[] = "muster.parse";
    if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), name + sizeof "muster." - 1) != 0)
        return 0;
    lua_settop(L, 0);
    lua_pushstring(L, name);
    return mu_bind_require(L);
}

void mu_bind_open_muster(lua_State *L)
{
    luaL_newmetatable(L, SLEEP);
    lua_pushcfunction(L, sleep_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    mu_bind_open_secret(L);
    mu_bind_open_semaphore(L);
    mu_bind_open_retry(L);
    static const luaL_Reg functions[] = {{"script", script}, {"sleep", sleep_for}, {"exec", exec_here},
                                         {"semaphore", mu_bind_semaphore}, {"gather", mu_bind_gather}, {"retry", mu_bind_retry},
                                         {"secret", mu_bind_secret}, {"use", mu_bind_use}, {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_pushliteral(L, MUSTER_VERSION);
    lua_setfield(L, -2, "version");
    static const struct {
        const char *name;
        void (*open)(lua_State *L);
    } modules[] = {{"errors", mu_bind_open_errors}, {"log", mu_bind_open_log}, {"run", mu_bind_open_run},
                   {"http", mu_bind_open_http}, {"json", mu_bind_open_json}};
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        char name[32] = "muster.";
        modules[i].open(L);
        for (size_t j = 0; modules[i].name[j]; j++)
            name[7 + j] = modules[i].name[j];
        mu_bind_protect(L, name);
        lua_setfield(L, -2, modules[i].name);
    }
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, load_module);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}
