#include "bindings/call.h"

#include <lauxlib.h>

#include "bindings/open.h"
#include "run/task.h"

#define META "muster.call"
enum { UV_CALLBACK = 1, UV_RAISED };

struct box {
    struct mu_call call; /* first: a call and its wait are at the box's address */
    mu_bind_call_fn *then;
    bool check;
    bool raised; /* the line callback raised: UV_RAISED holds what */
};

static int box_gc(lua_State *L)
{
    mu_call_close(&((struct box *)lua_touserdata(L, 1))->call);
    return 0;
}

static int go_on(lua_State *L, int status, lua_KContext ctx);

static int awake(lua_State *L, int status, lua_KContext ctx) { return go_on(L, status, ctx); }

/* Index 1 is the box. status is an error's only when the line callback raised. */
static int go_on(lua_State *L, int status, lua_KContext ctx)
{
    struct box *b = mu_list_entry((struct mu_wait *)ctx, struct box, call.wait);
    enum mu_exec_stream stream;
    const char *text;
    size_t len;
    for (;;) {
        if (status != LUA_OK && status != LUA_YIELD) {
            lua_setiuservalue(L, 1, UV_RAISED);
            b->raised = true;
            mu_call_end(&b->call);
        }
        lua_settop(L, 1);
        if (b->raised || !mu_call_next_line(&b->call, &stream, &text, &len))
            break;
        lua_getiuservalue(L, 1, UV_CALLBACK);
        lua_pushlstring(L, text, len);
        lua_pushstring(L, stream == MU_EXEC_STDOUT ? "stdout" : "stderr");
        status = lua_pcallk(L, 2, 0, 0, ctx, go_on);
    }
    if (!b->call.wait.done)
        return mu_await(L, &b->call.wait, awake);
    if (b->raised) {
        mu_call_close(&b->call);
        lua_getiuservalue(L, 1, UV_RAISED);
        return lua_error(L);
    }
    int n = b->then(L, &b->call);
    mu_call_close(&b->call);
    return n;
}

static struct box *new_box(lua_State *L, mu_bind_call_fn *then)
{
    mu_fiber_check(L);
    struct mu_fiber *f = mu_fiber_current(L);
    if (f->loading)
        luaL_error(L, "not at load time: move it into setup or a step");
    struct box *b = lua_newuserdatauv(L, sizeof *b, 2);
    b->call.open = false;
    b->then = then;
    b->check = b->raised = false;
    luaL_setmetatable(L, META);
    return b;
}

/* A quick server's first lines may be there when a command has only just been started: nobody is woken for these. */
static int await_box(lua_State *L, struct box *b)
{
    lua_replace(L, 1);
    lua_settop(L, 1);
    return go_on(L, LUA_OK, (lua_KContext)&b->call.wait);
}

int mu_bind_call_exec(lua_State *L, const struct mu_exec_request *req, const struct mu_bind_call_options *options,
                      mu_bind_call_fn *then)
{
    struct box *b = new_box(L, then);
    struct mu_fiber *f = mu_fiber_current(L);
    b->check = options->check;
    if (options->on_line) {
        lua_pushvalue(L, options->on_line);
        lua_setiuservalue(L, -2, UV_CALLBACK);
    }
    mu_call_exec(&b->call, options->remote ? options->remote : &f->task->remote, f->ctx, req, options->on_line != 0, options->here, options->as_root,
                 options->timeout_ms);
    return await_box(L, b);
}

int mu_bind_call_here(lua_State *L, const struct mu_exec_request *req, mu_bind_call_fn *then)
{
    return mu_bind_call_exec(L, req, &(struct mu_bind_call_options){.here = true}, then);
}

int mu_bind_call_connect(lua_State *L, struct mu_remote *remote, const struct mu_connect_request *req, mu_bind_call_fn *then)
{
    struct box *b = new_box(L, then);
    struct mu_fiber *f = mu_fiber_current(L);
    mu_call_connect(&b->call, remote, f->ctx, req);
    return await_box(L, b);
}

int mu_bind_call_raise(lua_State *L, struct mu_call *c)
{
    struct mu_err err = c->error;
    mu_call_close(c);
    mu_bind_push_host_error(L, &err);
    return lua_error(L);
}

bool mu_bind_call_checks(const struct mu_call *c) { return mu_list_entry(c, struct box, call)->check; }

void mu_bind_open_call(lua_State *L)
{
    luaL_newmetatable(L, META);
    lua_pushcfunction(L, box_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
