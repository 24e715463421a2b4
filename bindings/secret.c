#include "bindings/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bindings/open.h"

#define META "muster.secret"
#define SECRET_MAX 65536

struct secret {
    size_t len;
    char text[]; /* with a NUL */
};

const char *mu_bind_secret_text(lua_State *L, int index)
{
    struct secret *s = luaL_testudata(L, index, META);
    return s ? s->text : NULL;
}

static struct secret *push_secret(lua_State *L, size_t len)
{
    struct secret *s = lua_newuserdatauv(L, sizeof *s + len + 1, 0);
    memset(s, 0, sizeof *s + len + 1);
    s->len = len;
    luaL_setmetatable(L, META);
    return s;
}

static int secret_gc(lua_State *L)
{
    struct secret *s = lua_touserdata(L, 1);
    explicit_bzero(s->text, s->len);
    return 0;
}

static int secret_tostring(lua_State *L)
{
    lua_pushliteral(L, "(secret)");
    return 1;
}

/* "Token " .. secret is as secret as it was. */
static int secret_concat(lua_State *L)
{
    const char *part[2];
    size_t len[2];
    for (int i = 0; i < 2; i++) {
        part[i] = mu_bind_secret_text(L, i + 1);
        len[i] = part[i] ? strlen(part[i]) : 0;
        if (!part[i])
            part[i] = luaL_checklstring(L, i + 1, &len[i]);
    }
    struct secret *s = push_secret(L, len[0] + len[1]);
    memcpy(s->text, part[0], len[0]);
    memcpy(s->text + len[0], part[1], len[1]);
    return 1;
}

static int from_env(lua_State *L, const char *name)
{
    const char *value = getenv(name);
    if (!value || !*value)
        return luaL_error(L, "secret: the environment variable %s is %s", name, value ? "empty" : "not set");
    struct secret *s = push_secret(L, strlen(value));
    memcpy(s->text, value, s->len);
    return 1;
}

/* Into text, which has room for a byte more than max. Returns how many there are, or -errno. */
static ssize_t read_file(const char *path, char *text, size_t max)
{
    size_t len = 0;
    ssize_t n = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        close(fd);
        return -EINVAL;
    }
    while (len <= max && (n = read(fd, text + len, max + 1 - len)) > 0)
        len += (size_t)n;
    int problem = n < 0 ? errno : 0;
    close(fd);
    return problem ? -problem : (ssize_t)len;
}

static int from_file(lua_State *L, const char *path)
{
    struct secret *all = push_secret(L, SECRET_MAX + 1);
    ssize_t len = read_file(path, all->text, SECRET_MAX);
    if (len < 0)
        return luaL_error(L, "secret: cannot read %s: %s", path, len == -EINVAL ? "not a plain file" : strerror((int)-len));
    if (len > SECRET_MAX)
        return luaL_error(L, "secret: %s is larger than %d bytes", path, SECRET_MAX);
    if (len && all->text[len - 1] == '\n')
        len--;
    if (len && all->text[len - 1] == '\r')
        len--;
    if (!len)
        return luaL_error(L, "secret: %s is empty", path);
    if (memchr(all->text, '\0', (size_t)len))
        return luaL_error(L, "secret: %s holds a NUL byte", path);
    struct secret *s = push_secret(L, (size_t)len);
    memcpy(s->text, all->text, (size_t)len);
    explicit_bzero(all->text, all->len);
    return 1;
}

int mu_bind_secret(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
        if (lua_type(L, -2) != LUA_TSTRING || (strcmp(lua_tostring(L, -2), "env") && strcmp(lua_tostring(L, -2), "file")))
            return luaL_error(L, "secret has the fields env and file: secret{ env = \"NAME\" }");
    lua_getfield(L, 1, "env");
    lua_getfield(L, 1, "file");
    if (lua_isnil(L, 2) == lua_isnil(L, 3) || (!lua_isstring(L, 2) && !lua_isstring(L, 3)))
        return luaL_error(L, "secret wants one of env = \"NAME\" and file = \"path\"");
    return lua_isnil(L, 2) ? from_file(L, lua_tostring(L, 3)) : from_env(L, lua_tostring(L, 2));
}

void mu_bind_open_secret(lua_State *L)
{
    static const luaL_Reg functions[] = {{"__gc", secret_gc}, {"__tostring", secret_tostring},
                                         {"__concat", secret_concat}, {NULL, NULL}};
    luaL_newmetatable(L, META);
    luaL_setfuncs(L, functions, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
