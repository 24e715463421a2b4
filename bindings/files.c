/* server:upload, download, write_file, read_file. */
#include <lauxlib.h>
#include <string.h>

#include "bindings/open.h"
#include "run/task.h"
#include "run/transfer.h"

#define META "muster.transfer"
#define READ_MAX ((size_t)1 << 20)

static int transfer_gc(lua_State *L)
{
    mu_transfer_close(lua_touserdata(L, 1));
    return 0;
}

/* ---- arguments ---- */

static const char *check_path(lua_State *L, int index, const char *what)
{
    size_t len;
    const char *path = luaL_checklstring(L, index, &len);
    if (!len || strlen(path) != len)
        luaL_error(L, "%s: the path is %s", what, len ? "text with a NUL byte" : "empty");
    if (strlen(path) > 4000)
        luaL_error(L, "%s: the path is longer than 4000 bytes", what);
    return path;
}

static int read_mode(lua_State *L, int index, const char *what)
{
    const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
    size_t n = strlen(text);
    unsigned mode = 0;
    if (n < 3 || n > 4 || strspn(text, "01234567") != n)
        luaL_error(L, "%s: mode is text in octal such as \"0644\" (Lua reads a number 0644 as decimal)", what);
    for (; *text; text++)
        mode = mode * 8 + (unsigned)(*text - '0');
    return (int)mode;
}

/* The options at index; allowed: names with spaces around. */
static void read_options(lua_State *L, int index, const char *what, const char *allowed, struct mu_transfer_request *req)
{
    req->mode = -1;
    if (lua_isnoneornil(L, index))
        return;
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        lua_pushfstring(L, " %s ", lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?");
        if (!strstr(allowed, lua_tostring(L, -1)))
            luaL_error(L, "%s has no option '%s'; it has%s", what, luaL_tolstring(L, -3, NULL), allowed);
        lua_pop(L, 1);
    }
    if (lua_getfield(L, index, "mode") != LUA_TNIL)
        req->mode = read_mode(L, -1, what);
    lua_getfield(L, index, "timeout");
    req->timeout_ms = mu_bind_duration(L, -1, "timeout");
    if (lua_getfield(L, index, "sudo") != LUA_TNIL) {
        if (!lua_isboolean(L, -1))
            luaL_error(L, "%s: sudo is true or false", what);
        req->as_root = lua_toboolean(L, -1);
    }
    if (lua_getfield(L, index, "max") != LUA_TNIL) {
        lua_Integer max = luaL_checkinteger(L, -1);
        if (max < 0)
            luaL_error(L, "%s: max is 0 bytes or more", what);
        req->max = (size_t)max;
    }
    lua_pop(L, 4);
}

/* ---- one transfer: index 1 is its userdata ---- */

static int ended(lua_State *L, int status, lua_KContext ctx)
{
    struct mu_transfer *x = mu_list_entry((struct mu_wait *)ctx, struct mu_transfer, call.wait);
    struct mu_err err = {0};
    (void)status;
    if (mu_transfer_finish(x, &err)) {
        mu_transfer_close(x);
        mu_bind_push_host_error(L, &err);
        if (err.code == MU_EIO || err.code == MU_EINVAL || err.code == MU_ELIMIT) { /* not the script's fault, nor the connection's */
            lua_pushliteral(L, "CommandError");
            lua_setfield(L, -2, "type");
        }
        return lua_error(L);
    }
    if (x->receives && !x->local) {
        lua_pushlstring(L, mu_buf_cstr(&x->memory), x->memory.len);
    } else {
        lua_createtable(L, 0, 3);
        lua_pushinteger(L, (lua_Integer)x->bytes);
        lua_setfield(L, -2, "bytes");
        lua_pushstring(L, x->hex);
        lua_setfield(L, -2, "sha256");
        if (x->call.dry) {
            lua_pushboolean(L, 1);
            lua_setfield(L, -2, "dry_run");
        }
    }
    mu_transfer_close(x);
    return 1;
}

typedef int begin_fn(struct mu_transfer *, struct mu_remote *, struct mu_ctx *, const char *,
                     const struct mu_transfer_request *, struct mu_err *);

/* The label is on top; what text there is to send is at index `text`, 0: none. */
static int transfer(lua_State *L, struct mu_remote *remote, begin_fn *begin, const struct mu_transfer_request *req, int text)
{
    struct mu_err err = {0};
    mu_fiber_check(L);
    struct mu_fiber *f = mu_fiber_current(L);
    if (!f || f->loading)
        return luaL_error(L, "not at load time: move it into setup or a step");
    const char *label = lua_tostring(L, -1);
    struct mu_transfer *x = lua_newuserdatauv(L, sizeof *x, 1);
    x->open = false;
    luaL_setmetatable(L, META);
    if (text) {
        lua_pushvalue(L, text);
        lua_setiuservalue(L, -2, 1);
    }
    if (begin(x, remote, f->ctx, label, req, &err)) {
        mu_bind_push_error(L, "ScriptError", err.cause, err.msg);
        return lua_error(L);
    }
    lua_replace(L, 1);
    lua_settop(L, 1);
    return mu_await(L, &x->call.wait, ended);
}

int mu_bind_upload(lua_State *L)
{
    struct mu_transfer_request req = {0};
    struct mu_remote *remote = mu_bind_check_server(L);
    lua_settop(L, 4);
    req.local = check_path(L, 2, "upload");
    req.remote = check_path(L, 3, "upload");
    read_options(L, 4, "upload", " mode timeout sudo ", &req);
    lua_pushfstring(L, "upload of %s to %s", req.local, req.remote);
    return transfer(L, remote, mu_transfer_send, &req, 0);
}

int mu_bind_download(lua_State *L)
{
    struct mu_transfer_request req = {0};
    struct mu_remote *remote = mu_bind_check_server(L);
    lua_settop(L, 4);
    req.remote = check_path(L, 2, "download");
    req.local = check_path(L, 3, "download");
    read_options(L, 4, "download", " mode timeout sudo ", &req);
    lua_pushfstring(L, "download of %s to %s", req.remote, req.local);
    return transfer(L, remote, mu_transfer_receive, &req, 0);
}

int mu_bind_write_file(lua_State *L)
{
    struct mu_transfer_request req = {0};
    struct mu_remote *remote = mu_bind_check_server(L);
    lua_settop(L, 4);
    req.remote = check_path(L, 2, "write_file");
    if (lua_type(L, 3) != LUA_TSTRING)
        return luaL_error(L, "write_file: the text is a string, not a %s", luaL_typename(L, 3));
    req.text = lua_tolstring(L, 3, &req.len);
    read_options(L, 4, "write_file", " mode timeout sudo ", &req);
    lua_pushfstring(L, "write_file %s", req.remote);
    return transfer(L, remote, mu_transfer_send, &req, 3);
}

int mu_bind_read_file(lua_State *L)
{
    struct mu_transfer_request req = {.max = READ_MAX};
    struct mu_remote *remote = mu_bind_check_server(L);
    lua_settop(L, 3);
    req.remote = check_path(L, 2, "read_file");
    read_options(L, 3, "read_file", " max timeout sudo ", &req);
    lua_pushfstring(L, "read_file %s", req.remote);
    return transfer(L, remote, mu_transfer_receive, &req, 0);
}

void mu_bind_open_files(lua_State *L)
{
    luaL_newmetatable(L, META);
    lua_pushcfunction(L, transfer_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
