/* muster.testing.engine, for the specs of `muster test`: a real run of a script over servers that transcripts answer for.
 * What it is asked with and gives back is files and text; scripts/lib/muster/testing.lua makes them readable. */
#include <lauxlib.h>

#include "bindings/open.h"
#include "core/log_sink.h"
#include "inventory/inventory.h"
#include "run/run.h"
#include "run/script.h"

#define META "muster.testing.session"

/* All that a run needs; freed by its __gc, so that anything may raise in between. */
struct session {
    struct mu_logger *logger;
    struct mu_inventory *inventory;
    struct mu_script *script;
    struct mu_server *servers[2];
    struct mu_run *run;
    struct mu_buf report;
};

static int session_gc(lua_State *L)
{
    struct session *s = lua_touserdata(L, 1);
    if (s->run && !mu_run_free(s->run))
        return 0; /* a worker is stuck and uses it all */
    s->run = NULL;
    mu_script_free(s->script);
    mu_inventory_free(s->inventory);
    mu_logger_free(s->logger);
    mu_buf_free(&s->report);
    *s = (struct session){0};
    return 0;
}

static struct session *push_session(lua_State *L)
{
    struct session *s = lua_newuserdatauv(L, sizeof *s, 0);
    *s = (struct session){0};
    if (luaL_newmetatable(L, META)) {
        lua_pushcfunction(L, session_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return s;
}

/* A text field of the table at 1, kept alive by it; NULL when it is not there. */
static const char *field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    lua_pop(L, 1);
    return text;
}

static void must(lua_State *L, int rc, const struct mu_err *err)
{
    if (rc)
        luaL_error(L, "%s", err->msg);
}

static void set_params(lua_State *L, struct session *s)
{
    struct mu_err err = {0};
    if (lua_getfield(L, 1, "params") == LUA_TTABLE)
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
            must(L, mu_script_set_param(s->script, luaL_checkstring(L, -2), luaL_checkstring(L, -1), &err), &err);
    lua_pop(L, 1);
}

static bool has_pair_steps(const struct mu_script *script)
{
    for (size_t i = 0; i < script->n_steps; i++)
        if (script->steps[i].pair)
            return true;
    return false;
}

/* The inventory is of one server; or of two, and the second is the peer in its pair steps.
 * run{ script, inventory, replay, log: paths; params: name → text; modules: a folder; timeout_ms } → the JSON report */
static int run(lua_State *L)
{
    struct mu_err err = {0};
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct session *s = push_session(L);
    const char *library_dir = lua_tostring(L, lua_upvalueindex(1));
    if (mu_logger_new(&s->logger, MU_DEBUG) || mu_inventory_new(&s->inventory))
        return luaL_error(L, "out of memory");
    must(L, mu_log_sink_file(s->logger, field(L, "log"), MU_LOG_JSON, &err), &err);
    must(L, mu_script_load(&s->script, field(L, "script"), library_dir, &mu_bindings, s->logger, &err), &err);
    set_params(L, s);
    must(L, mu_inventory_load(s->inventory, field(L, "inventory"), &err), &err);
    size_t n = mu_inventory_count(s->inventory);
    for (size_t i = 0; i < n && i < 2; i++)
        s->servers[i] = mu_inventory_at(s->inventory, i);
    if (n == 2 && !has_pair_steps(s->script))
        return luaL_error(L, "%s has no pair steps, so there is nothing to do with a peer", field(L, "script"));
    lua_getfield(L, 1, "timeout_ms");
    struct mu_run_config config = {.forks = 1,
                                   .workers = 1,
                                   .allow_destructive = true, /* nothing is there to be destroyed */
                                   .timeout_ms = (uint64_t)lua_tointeger(L, -1),
                                   .lends_last = n == 2,
                                   .library_dir = library_dir,
                                   .module_dir = field(L, "modules"),
                                   .replay_dir = field(L, "replay")};
    must(L, mu_run_new(&s->run, &config, s->script, s->servers, n, &mu_bindings, s->logger, &err), &err);
    must(L, mu_run_go(s->run, &err), &err);
    mu_report_json(mu_run_results(s->run), &s->report);
    if (s->report.failed)
        return luaL_error(L, "out of memory");
    lua_pushlstring(L, mu_buf_cstr(&s->report), s->report.len);
    lua_pushcfunction(L, session_gc);
    lua_pushvalue(L, 2);
    lua_call(L, 1, 0); /* the log is whole now */
    return 1;
}

int mu_bind_testing(lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, run, 1);
    lua_setfield(L, -2, "run");
    return 1;
}
