/* What a script says of an HTTP request, as the host is told it. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/http.h"
#include "bindings/open.h"
#include "bindings/secret.h"

#define FIELDS                                                                                                         \
    " headers query timeout connect_timeout max_body max_redirects ca_file auth token retries retry_on idempotent "    \
    "backoff check"

void mu_bind_http_check_fields(lua_State *L, int index, const char *what, const char *more)
{
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "%s: options are name = value", what);
        lua_pushfstring(L, " %s ", lua_tostring(L, -2));
        lua_pushfstring(L, FIELDS "%s", more);
        if (!strstr(lua_tostring(L, -1), lua_tostring(L, -2)))
            luaL_error(L, "%s has no option '%s'; it has%s", what, lua_tostring(L, -4), lua_tostring(L, -1));
        lua_pop(L, 2);
    }
}

/* The text of the value on top, which stays; NULL when it is nil. */
static const char *text_of(lua_State *L, const char *what, bool may_be_secret)
{
    size_t len;
    const char *secret = mu_bind_secret_text(L, -1);
    if (secret && may_be_secret)
        return secret;
    if (secret)
        luaL_error(L, "%s cannot be a secret: those go into headers, auth and token", what);
    if (lua_isnil(L, -1))
        return NULL;
    if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
        luaL_error(L, "%s must be text%s, not a %s", what, may_be_secret ? " or a secret" : "", luaL_typename(L, -1));
    const char *text = lua_tolstring(L, -1, &len);
    if (strlen(text) != len)
        luaL_error(L, "%s holds a NUL byte", what);
    return text;
}

static const char *text_field(lua_State *L, int index, const char *name, bool may_be_secret)
{
    lua_getfield(L, index, name);
    return text_of(L, name, may_be_secret);
}

static lua_Integer integer_field(lua_State *L, int index, const char *name, lua_Integer least, lua_Integer most,
                                 lua_Integer otherwise)
{
    int is_integer = 1;
    lua_Integer value = otherwise;
    if (lua_getfield(L, index, name) != LUA_TNIL)
        value = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || value < least || value > most)
        luaL_error(L, "%s must be a whole number from %I to %I", name, (LUAI_UACINT)least, (LUAI_UACINT)most);
    lua_pop(L, 1);
    return value;
}

static uint64_t duration_field(lua_State *L, int index, const char *name, uint64_t otherwise)
{
    uint64_t ms = otherwise;
    if (lua_getfield(L, index, name) != LUA_TNIL)
        ms = mu_bind_duration(L, -1, name);
    if (!ms || ms > 86400000)
        luaL_error(L, "%s must be more than 0 and at most a day", name);
    lua_pop(L, 1);
    return ms;
}

static bool table_field(lua_State *L, int index, const char *name)
{
    int type = lua_getfield(L, index, name);
    if (type != LUA_TNIL && type != LUA_TTABLE)
        luaL_error(L, "%s must be a table, not a %s", name, luaL_typename(L, -1));
    return type == LUA_TTABLE;
}

/* ---- the URL's query ---- */

static void push_escaped(lua_State *L, const char *text, size_t len)
{
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, 3 * len + 1);
    luaL_pushresultsize(&b, mu_http_escape(out, text, len));
}

/* The URL on top gets "name=" and the value below it, which is dropped. */
static void add_parameter(lua_State *L, const char *name)
{
    size_t len;
    if (mu_bind_secret_text(L, -2))
        luaL_error(L, "query.%s cannot be a secret: URLs are logged; those go into headers, auth and token", name);
    if (!lua_isstring(L, -2) && !lua_isboolean(L, -2))
        luaL_error(L, "query.%s must be text, a number, a boolean or a list of these, not a %s", name, luaL_typename(L, -2));
    lua_pushstring(L, strchr(lua_tostring(L, -1), '?') ? "&" : "?");
    push_escaped(L, name, strlen(name));
    lua_pushliteral(L, "=");
    const char *value = luaL_tolstring(L, -5, &len);
    push_escaped(L, value, len);
    lua_remove(L, -2);
    lua_concat(L, 5);
    lua_remove(L, -2);
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* The URL is on top and is replaced. By name, so that it is the same each time. */
static void add_query(lua_State *L, int index)
{
    if (!table_field(L, index, "query")) {
        lua_pop(L, 1);
        return;
    }
    int query = lua_gettop(L), n = 0;
    for (lua_pushnil(L); lua_next(L, query); lua_pop(L, 1))
        n++;
    const char **names = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *names, 0);
    int i = 0;
    for (lua_pushnil(L); lua_next(L, query); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "query is name = value");
        if (i < n)
            names[i++] = lua_tostring(L, -2);
    }
    qsort(names, (size_t)i, sizeof *names, by_name);
    lua_pushvalue(L, query - 1);
    for (int j = 0; j < i; j++) {
        if (lua_getfield(L, query, names[j]) == LUA_TTABLE) {
            int list = lua_gettop(L);
            lua_pushvalue(L, list - 1);
            for (lua_Integer k = 1; lua_geti(L, list, k) != LUA_TNIL; k++) {
                lua_insert(L, -2);
                add_parameter(L, names[j]);
            }
            lua_pop(L, 1);
            lua_replace(L, list - 1);
            lua_settop(L, list - 1);
        } else {
            lua_insert(L, -2);
            add_parameter(L, names[j]);
        }
    }
    lua_replace(L, query - 1);
    lua_settop(L, query - 1);
}

/* ---- headers ---- */

static void read_headers(lua_State *L, int index, struct mu_http_request *req, bool json)
{
    bool has_type = false;
    int n = 0;
    if (!table_field(L, index, "headers")) {
        lua_pop(L, 1);
        lua_newtable(L);
    }
    int table = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        n++;
    luaL_checkstack(L, n + 10, "headers");
    struct mu_http_header *list = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *list, 0);
    int i = 0;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "headers are name = value");
        const char *name = lua_tostring(L, -2);
        if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) { /* takes a client's away */
            lua_pop(L, 1);
            continue;
        }
        lua_pushfstring(L, "header %s", name);
        lua_insert(L, -2);
        const char *value = text_of(L, lua_tostring(L, -2), true);
        list[i++] = (struct mu_http_header){name, value, mu_bind_secret_text(L, -1) != NULL};
        has_type |= !strcasecmp(name, "content-type");
        lua_insert(L, -3); /* below key and description, so that a converted number stays */
        lua_pop(L, 1);
    }
    if (json && !has_type)
        list[i++] = (struct mu_http_header){"Content-Type", "application/json", false};
    req->headers = list;
    req->n_headers = (size_t)i;
}

static void read_auth(lua_State *L, int index, struct mu_http_request *req)
{
    req->token = text_field(L, index, "token", true);
    if (!table_field(L, index, "auth"))
        return;
    int auth = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, auth); lua_pop(L, 1))
        if (lua_type(L, -2) != LUA_TSTRING || (strcmp(lua_tostring(L, -2), "user") && strcmp(lua_tostring(L, -2), "password")))
            luaL_error(L, "auth has the fields user and password");
    req->user = text_field(L, auth, "user", true);
    req->password = text_field(L, auth, "password", true);
    if (!req->user || !req->password)
        luaL_error(L, "auth wants user and password");
}

/* ---- the body ---- */

static void read_body(lua_State *L, int index, struct mu_http_request *req, bool *json)
{
    *json = lua_getfield(L, index, "json") != LUA_TNIL;
    if (lua_getfield(L, index, "body") == LUA_TNIL) {
        if (!*json)
            return;
        lua_getglobal(L, "require");
        lua_pushliteral(L, "cjson");
        lua_call(L, 1, 1);
        lua_getfield(L, -1, "encode");
        lua_getfield(L, index, "json");
        int status = lua_pcall(L, 1, 1, 0);
        if (status == LUA_ERRMEM)
            lua_error(L);
        if (status != LUA_OK)
            luaL_error(L, "json: %s", luaL_tolstring(L, -1, NULL));
    } else if (*json) {
        luaL_error(L, "give json or body, not both");
    } else if (lua_type(L, -1) != LUA_TSTRING) {
        luaL_error(L, "body must be text, not a %s; a table is given as json", luaL_typename(L, -1));
    }
    req->body = lua_tolstring(L, -1, &req->body_len);
}

/* ---- the whole ---- */

static void read_retry(lua_State *L, int index, struct mu_http_request *req)
{
    static const int usual[] = {429, 502, 503, 504};
    struct mu_http_retry *r = &req->retry;
    r->retries = (unsigned)integer_field(L, index, "retries", 0, 100, 3);
    r->backoff_ms = duration_field(L, index, "backoff", 500);
    r->idempotent = lua_getfield(L, index, "idempotent") == LUA_TNIL ? mu_http_idempotent(req->method) : lua_toboolean(L, -1);
    lua_pop(L, 1);
    memcpy(r->statuses, usual, sizeof usual);
    r->n_statuses = sizeof usual / sizeof *usual;
    if (table_field(L, index, "retry_on")) {
        int list = lua_gettop(L), is_integer;
        r->named = true;
        r->n_statuses = 0;
        for (lua_Integer i = 1; lua_geti(L, list, i) != LUA_TNIL; i++) {
            lua_Integer status = lua_tointegerx(L, -1, &is_integer);
            if (!is_integer || status < 200 || status > 599 || r->n_statuses == MU_HTTP_STATUSES_MAX)
                luaL_error(L, "retry_on is a list of up to %d statuses, each from 200 to 599", MU_HTTP_STATUSES_MAX);
            r->statuses[r->n_statuses++] = (int)status;
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

void mu_bind_http_options(lua_State *L, int index, struct mu_http_request *req)
{
    bool json;
    luaL_checkstack(L, 60, "http options");
    *req = (struct mu_http_request){0};
    req->method = text_field(L, index, "method", false);
    if (!req->method)
        req->method = "GET";
    if (lua_getfield(L, index, "url") != LUA_TSTRING)
        luaL_error(L, "http: url must be text, not a %s", luaL_typename(L, -1));
    text_of(L, "url", false);
    add_query(L, index);
    req->url = lua_tostring(L, -1);
    read_body(L, index, req, &json);
    read_headers(L, index, req, json);
    read_auth(L, index, req);
    req->ca_file = text_field(L, index, "ca_file", false);
    req->timeout_ms = duration_field(L, index, "timeout", 30000);
    req->connect_timeout_ms = duration_field(L, index, "connect_timeout", 10000);
    req->max_body = (size_t)integer_field(L, index, "max_body", 1, (lua_Integer)1 << 30, 16 << 20);
    req->max_redirects = (unsigned)integer_field(L, index, "max_redirects", 0, 50, 5);
    req->errors = lua_getfield(L, index, "check") == LUA_TNIL || lua_toboolean(L, -1);
    read_retry(L, index, req);
}
