/* Which files a script is made of: those that loading it read, the modules that its code names, the standard library, and the
 * files that it names itself. */
#include "agents/bundle_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/chunk.h"
#include "run/script.h"

#define DEPTH_MAX 16

struct gather {
    struct mu_bundle_sources *out;
    const struct mu_script *s;
    const char *library_dir;
    char *search; /* where require looks, in that order */
    lua_State *L;
    struct mu_err *err;
};

/* ---- files ---- */

int mu_bundle_slurp(struct mu_buf *out, const char *path, int flags, size_t max, bool *executable, struct mu_err *err)
{
    struct stat st;
    ssize_t n = 1;
    int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    if (fd < 0)
        return mu_err_sys(err, errno == ENOENT ? MU_ENOENT : MU_EIO, errno, "cannot read %s", path);
    if (fstat(fd, &st))
        rc = mu_err_sys(err, MU_EIO, errno, "cannot read %s", path);
    else if (!S_ISREG(st.st_mode))
        rc = mu_err_set(err, MU_EINVAL, "%s is not a plain file", path);
    while (!rc && n > 0) {
        if (mu_buf_reserve(out, 65536))
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
        else if ((n = read(fd, out->data + out->len, 65536)) < 0)
            rc = mu_err_sys(err, MU_EIO, errno, "cannot read %s", path);
        else if ((out->len += (size_t)n) > max)
            rc = mu_err_set(err, MU_ELIMIT, "%s is larger than %zu MiB", path, max >> 20);
        if (!rc)
            out->data[out->len] = '\0';
    }
    if (executable)
        *executable = !rc && (st.st_mode & S_IXUSR);
    close(fd);
    return rc;
}

static bool has(const struct gather *g, const char *path)
{
    for (size_t i = 0; i < g->out->n; i++)
        if (!strcmp(g->out->items[i].path, path))
            return true;
    return false;
}

static int add(struct gather *g, const char *path)
{
    struct mu_bundle_sources *out = g->out;
    if (has(g, path))
        return 0;
    if (out->n == MU_BUNDLE_FILES_MAX)
        return mu_err_set(g->err, MU_EINVAL, "%s: there are more than %d files with it: agents are sent no more", g->s->path,
                          MU_BUNDLE_FILES_MAX);
    struct mu_bundle_source *more = realloc(out->items, (out->n + 1) * sizeof *more);
    if (more)
        out->items = more;
    struct mu_bundle_source *f = more ? &more[out->n] : NULL;
    if (f)
        *f = (struct mu_bundle_source){.path = strdup(path)};
    if (!f || !f->path)
        return mu_err_set(g->err, MU_ENOMEM, "out of memory");
    out->n++;
    int rc = mu_bundle_slurp(&f->bytes, path, 0, MU_BUNDLE_MAX - out->bytes, &f->executable, g->err);
    out->bytes += f->bytes.len;
    if (rc == MU_ELIMIT)
        return mu_err_set(g->err, MU_EINVAL, "%s: its files are more than %zu MiB in all, with %s: agents are sent no more",
                          g->s->path, MU_BUNDLE_MAX >> 20, path);
    return rc;
}

/* ---- modules ---- */

/* 1 the gather, 2 the module's name. */
static int search(lua_State *L)
{
    const struct gather *g = lua_touserdata(L, 1);
    const char *name = lua_touserdata(L, 2);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchpath");
    lua_pushstring(L, name);
    lua_pushstring(L, g->search);
    lua_call(L, 2, 1);
    return 1;
}

/* The file of a module, by Lua's own search; NULL: there is none. On L's stack until the next call. */
static const char *find(struct gather *g, const char *name)
{
    lua_State *L = g->L;
    if (!strcmp(name, "muster") || !strcmp(name, "cjson") || !strcmp(name, "cjson.safe"))
        return NULL;
    lua_settop(L, 0);
    lua_pushcfunction(L, search);
    lua_pushlightuserdata(L, g);
    lua_pushlightuserdata(L, (void *)name);
    return lua_pcall(L, 2, 1, 0) == LUA_OK ? lua_tostring(L, -1) : NULL;
}

static int add_module(struct gather *g, const char *name)
{
    const char *path = find(g, name);
    return path ? add(g, path) : 0; /* what is not there may be there when it is wanted */
}

/* `require "name"`, `require("name", …)`, `pcall(require, "name")`: the register behind the function's is loaded at once. */
static int add_required(struct gather *g, const struct mu_proto *p)
{
    int rc = 0;
    for (size_t i = 0; i + 1 < p->n_code && !rc; i++) {
        uint32_t in = p->code[i], next = p->code[i + 1];
        size_t key = mu_op_c(in), k = mu_op_bx(next);
        if (mu_op(in) == MU_OP_GETTABUP && key < p->n_constants && p->strings[key] && !strcmp(p->strings[key], "require") &&
            mu_op(next) == MU_OP_LOADK && mu_op_a(next) == mu_op_a(in) + 1 && k < p->n_constants && p->strings[k])
            rc = add_module(g, p->strings[k]);
    }
    for (size_t i = 0; i < p->n_inner && !rc; i++)
        rc = add_required(g, &p->inner[i]);
    return rc;
}

/* What does not compile is said when somebody requires it. */
static int add_required_by(struct gather *g, size_t index)
{
    const struct mu_buf *b = &g->out->items[index].bytes;
    const char *text = mu_buf_cstr(b), *nl;
    size_t len = b->len;
    struct mu_proto *code = NULL;
    if (len && *text == '#') {
        nl = memchr(text, '\n', len);
        len -= nl ? (size_t)(nl - text) : len;
        text = nl ? nl : "";
    }
    lua_settop(g->L, 0);
    if (luaL_loadbufferx(g->L, text, len, "=module", "t") != LUA_OK)
        return 0;
    int rc = mu_chunk_read(g->L, &code, g->err);
    if (!rc)
        rc = add_required(g, code);
    mu_chunk_free(code);
    return rc;
}

/* A parameter may name a module: -p provisioner=house that of house.lua, or of provisioner/house.lua. */
static int add_params(struct gather *g)
{
    int rc = 0;
    for (size_t i = 0; i < g->s->n_params && !rc; i++) {
        const struct mu_param *p = &g->s->params[i];
        struct mu_buf name = MU_BUF_INIT;
        if (p->type == MU_PARAM_STR && p->str && *p->str &&
            !p->str[strspn(p->str, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")]) {
            mu_buf_addf(&name, "%s.%s", p->name, p->str);
            rc = name.failed ? mu_err_set(g->err, MU_ENOMEM, "out of memory") : add_module(g, name.data);
            if (!rc)
                rc = add_module(g, p->str);
        }
        mu_buf_free(&name);
    }
    return rc;
}

/* ---- the library ---- */

static bool ends_in_lua(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && !strcmp(name + n - 4, ".lua");
}

static int by_text(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int add_folder(struct gather *g, const char *dir, int depth)
{
    struct dirent **entries = NULL;
    int rc = 0, n = scandir(dir, &entries, NULL, by_text);
    if (n < 0)
        return errno == ENOENT && !depth ? 0 : mu_err_sys(g->err, MU_EIO, errno, "cannot read %s", dir);
    for (int i = 0; i < n; i++) {
        struct mu_buf path = MU_BUF_INIT;
        struct stat st;
        if (!rc && entries[i]->d_name[0] != '.') {
            mu_buf_addf(&path, "%s/%s", dir, entries[i]->d_name);
            if (path.failed)
                rc = mu_err_set(g->err, MU_ENOMEM, "out of memory");
            else if (lstat(path.data, &st) == 0 && S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
                rc = add_folder(g, path.data, depth + 1);
            else if (ends_in_lua(path.data) && stat(path.data, &st) == 0 && S_ISREG(st.st_mode))
                rc = add(g, path.data);
        }
        mu_buf_free(&path);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

/* ---- the whole ---- */

static int add_named(struct gather *g)
{
    char **files;
    size_t n;
    int rc = mu_script_list_files(g->s, &files, &n, g->err);
    if (rc)
        mu_err_prefix(g->err, "%s", g->s->path);
    for (size_t i = 0; i < n; i++) {
        struct mu_buf path = MU_BUF_INIT;
        mu_buf_addf(&path, "%s/%s", g->s->dir, files[i]);
        if (!rc)
            rc = path.failed ? mu_err_set(g->err, MU_ENOMEM, "out of memory") : add(g, path.data);
        mu_buf_free(&path);
        free(files[i]);
    }
    free(files);
    return rc;
}

static int prepare(lua_State *L)
{
    luaL_openlibs(L);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "path");
    return 1;
}

/* As bindings/require.c has it. */
static int open_lua(struct gather *g)
{
    struct mu_buf path = MU_BUF_INIT;
    if (!(g->L = luaL_newstate()))
        return MU_ENOMEM;
    lua_pushcfunction(g->L, prepare);
    if (lua_pcall(g->L, 0, 1, 0) != LUA_OK)
        return MU_ENOMEM;
    const char *system = lua_type(g->L, -1) == LUA_TSTRING ? lua_tostring(g->L, -1) : "";
    g->out->system = strdup(system);
    mu_buf_addf(&path, "%s/?.lua;%s/?/init.lua;", g->s->dir, g->s->dir);
    if (g->library_dir)
        mu_buf_addf(&path, "%s/?.lua;%s/?/init.lua;", g->library_dir, g->library_dir);
    mu_buf_adds(&path, system);
    g->search = mu_buf_take(&path);
    return g->out->system && g->search ? 0 : MU_ENOMEM;
}

int mu_bundle_gather(struct mu_bundle_sources *out, const struct mu_script *s, const char *library_dir, struct mu_err *err)
{
    struct gather g = {.out = out, .s = s, .library_dir = library_dir, .err = err};
    int rc = open_lua(&g);
    if (rc)
        mu_err_set(err, MU_ENOMEM, "out of memory");
    for (size_t i = 0; i < s->n_files && !rc; i++)
        rc = add(&g, s->files[i]);
    if (!rc)
        rc = add_params(&g);
    for (size_t i = 0; i < out->n && !rc; i++)
        rc = add_required_by(&g, i);
    if (!rc && library_dir)
        rc = add_folder(&g, library_dir, 0);
    if (!rc)
        rc = add_named(&g);
    if (g.L)
        lua_close(g.L);
    free(g.search);
    return rc;
}

void mu_bundle_sources_clear(struct mu_bundle_sources *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->items[i].path);
        mu_buf_free(&f->items[i].bytes);
    }
    free(f->items);
    free(f->system);
    *f = (struct mu_bundle_sources){0};
}
