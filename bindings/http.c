/* muster.http: one request, awaited, and its answer as a table. */
#include "bindings/http.h"

#include <lauxlib.h>
#include <string.h>

#include "bindings/open.h"
#include "run/web.h"

#define META "muster.http.call"
/* The others are of answers that repeat a secret: their body, or their URL as well, is not shown. */
#define RESPONSE "muster.http.response"
#define RESPONSE_QUIET "muster.http.response.quiet"
#define RESPONSE_SILENT "muster.http.response.silent"
#define ERROR_BODY_MAX ((size_t)64 << 10)

struct box {
    struct mu_web_call call; /* first: its wait is at the box's address */
    char method[8];
};
enum { UV_URL = 1 };

static int box_gc(lua_State *L)
{
    mu_web_close(&((struct box *)lua_touserdata(L, 1))->call);
    return 0;
}

/* ---- answers ---- */

static void set_headers(lua_State *L, const struct mu_http_response *r)
{
    lua_createtable(L, 0, r ? (int)r->n_fields : 0);
    for (size_t i = 0; r && i < r->n_fields; i++) {
        lua_pushstring(L, r->fields[i].value);
        lua_setfield(L, -2, r->fields[i].name);
    }
    lua_setfield(L, -2, "headers");
}

/* Of the answer; that of the request, whose box is at 1, where there is none. */
static void push_url(lua_State *L, const struct mu_http_response *r)
{
    if (r && r->url)
        lua_pushstring(L, r->url);
    else
        lua_getiuservalue(L, 1, UV_URL);
}

static int push_response(lua_State *L, struct box *b)
{
    const struct mu_http_response *r = mu_web_result(&b->call);
    lua_createtable(L, 0, 8);
    lua_pushinteger(L, r ? r->status : 0);
    lua_setfield(L, -2, "status");
    lua_pushlstring(L, r ? mu_buf_cstr(&r->body) : "", r ? r->body.len : 0);
    lua_setfield(L, -2, "body");
    push_url(L, r);
    lua_setfield(L, -2, "url");
    lua_pushstring(L, b->method);
    lua_setfield(L, -2, "method");
    lua_pushinteger(L, r ? (lua_Integer)r->tries : 0);
    lua_setfield(L, -2, "attempts");
    if (!r) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "dry_run");
    }
    set_headers(L, r);
    luaL_setmetatable(L, mu_web_url_repeats_secret(&b->call) ? RESPONSE_SILENT
                         : mu_web_repeats_secret(&b->call)   ? RESPONSE_QUIET
                                                                       : RESPONSE);
    return 1;
}

static int raise_http_error(lua_State *L, struct box *b)
{
    const struct mu_http_response *r = mu_web_result(&b->call);
    mu_bind_push_error(L, "HttpError", r->error.cause, r->error.msg);
    lua_pushstring(L, mu_http_kind_name(r->kind));
    lua_setfield(L, -2, "kind");
    lua_pushboolean(L, r->retryable);
    lua_setfield(L, -2, "retryable");
    lua_pushstring(L, b->method);
    lua_setfield(L, -2, "method");
    push_url(L, r);
    lua_setfield(L, -2, "url");
    lua_pushinteger(L, (lua_Integer)r->tries);
    lua_setfield(L, -2, "attempts");
    if (r->status) {
        lua_pushinteger(L, r->status);
        lua_setfield(L, -2, "status");
        lua_pushlstring(L, mu_buf_cstr(&r->body), r->body.len < ERROR_BODY_MAX ? r->body.len : ERROR_BODY_MAX);
        lua_setfield(L, -2, "body");
        set_headers(L, r);
    }
    mu_web_close(&b->call);
    return lua_error(L);
}

static int answered(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    struct box *b = mu_list_entry((struct mu_wait *)ctx, struct box, call.wait);
    if (!b->call.dry && mu_web_result(&b->call)->kind != MU_HTTP_OK)
        return raise_http_error(L, b);
    int n = push_response(L, b);
    mu_web_close(&b->call);
    return n;
}

int mu_bind_http_send(lua_State *L)
{
    struct mu_http_request req;
    struct mu_err err;
    mu_fiber_check(L);
    struct mu_fiber *f = mu_fiber_current(L);
    if (f->loading)
        return luaL_error(L, "not at load time: move it into setup or a step");
    lua_settop(L, 1);
    mu_bind_http_options(L, 1, &req);
    struct box *b = lua_newuserdatauv(L, sizeof *b, 1);
    memset(b, 0, sizeof *b);
    luaL_setmetatable(L, META);
    lua_pushstring(L, req.url);
    lua_setiuservalue(L, -2, UV_URL);
    strncpy(b->method, req.method, sizeof b->method - 1);
    if (mu_web_start(&b->call, f, &req, &err))
        return luaL_error(L, "http: %s", err.msg);
    lua_replace(L, 1);
    lua_settop(L, 1);
    return mu_await(L, &b->call.wait, answered);
}

/* ---- response:json() ---- */

static const char *string_field(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    return luaL_tolstring(L, -1, NULL);
}

/* One line of the body's beginning, on top. */
static void push_excerpt(lua_State *L, const char *body, size_t len)
{
    size_t n = len < 200 ? len : 200;
    char line[201];
    while (n < len && n && ((unsigned char)body[n] & 0xc0) == 0x80) /* not half a character */
        n--;
    for (size_t i = 0; i < n; i++)
        line[i] = (char)(body[i] == '\0' ? '?' : strchr("\r\n\t", body[i]) ? ' ' : body[i]);
    lua_pushlstring(L, line, n);
    if (n < len) {
        lua_pushliteral(L, "…");
        lua_concat(L, 2);
    }
}

static int response_json(lua_State *L)
{
    bool quiet = lua_toboolean(L, lua_upvalueindex(1)), silent = lua_toboolean(L, lua_upvalueindex(2));
    size_t len;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getfield(L, 1, "dry_run") == LUA_TBOOLEAN && lua_toboolean(L, -1)) {
        lua_newtable(L);
        return 1;
    }
    lua_getglobal(L, "require");
    lua_pushliteral(L, "cjson");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "decode");
    if (lua_getfield(L, 1, "body") != LUA_TSTRING)
        return luaL_error(L, "json: the response has no body any more");
    int status = lua_pcall(L, 1, 1, 0);
    if (status == LUA_OK)
        return 1;
    if (status == LUA_ERRMEM)
        return lua_error(L);
    lua_getfield(L, 1, "body");
    const char *body = lua_tolstring(L, -1, &len);
    if (!len)
        lua_pushliteral(L, "it is empty");
    else if (quiet)
        lua_pushliteral(L, "(not shown: it repeats a secret)");
    else
        push_excerpt(L, body, len);
    const char *excerpt = lua_tostring(L, -1);
    const char *whole = string_field(L, 1, "url");
    struct mu_buf shown = MU_BUF_INIT; /* nothing raises while it holds memory */
    char url[256];
    mu_http_show_url(&shown, silent ? "(where a redirect led)" : whole);
    strncpy(url, mu_buf_cstr(&shown), sizeof url - 1);
    url[sizeof url - 1] = '\0';
    mu_buf_free(&shown);
    lua_pushfstring(L, "%s %s: the answer is not JSON: %s", string_field(L, 1, "method"), url, excerpt);
    mu_bind_push_error(L, "HttpError", "HTTP: the answer is not JSON", lua_tostring(L, -1));
    lua_pushliteral(L, "json");
    lua_setfield(L, -2, "kind");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "retryable");
    static const char *const same[] = {"method", "url", "status", "body", "headers", "attempts"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        lua_getfield(L, 1, same[i]);
        lua_setfield(L, -2, same[i]);
    }
    return lua_error(L);
}

static void open_response(lua_State *L, const char *name, bool quiet, bool silent)
{
    luaL_newmetatable(L, name);
    lua_createtable(L, 0, 1);
    lua_pushboolean(L, quiet);
    lua_pushboolean(L, silent);
    lua_pushcclosure(L, response_json, 2);
    lua_setfield(L, -2, "json");
    mu_bind_protect(L, "response");
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

/* ---- the module ---- */

static int request(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    mu_bind_http_check_fields(L, 1, "http.request", " method url body json ");
    return mu_bind_http_send(L);
}

static int escape(lua_State *L)
{
    size_t len;
    luaL_Buffer b;
    if (lua_type(L, 1) != LUA_TNUMBER)
        luaL_checktype(L, 1, LUA_TSTRING);
    const char *text = lua_tolstring(L, 1, &len);
    char *out = luaL_buffinitsize(L, &b, 3 * len + 1);
    luaL_pushresultsize(&b, mu_http_escape(out, text, len));
    return 1;
}

void mu_bind_open_http(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"request", request}, {"client", mu_bind_http_client}, {"escape", escape}, {NULL, NULL}};
    luaL_newmetatable(L, META);
    lua_pushcfunction(L, box_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    open_response(L, RESPONSE, false, false);
    open_response(L, RESPONSE_QUIET, true, false);
    open_response(L, RESPONSE_SILENT, true, true);
    mu_bind_open_http_client(L);
    luaL_newlib(L, functions);
}
