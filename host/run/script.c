#include "run/script.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "run/engine.h"
#include "run/fiber.h"
#include "run/script_lua.h"
#include "run/sources.h"
#include "run/task.h"
#include "run/use.h"
#include "run/worker.h"

#define LOAD_LIMIT_MS 10000

/* ---- loading ---- */

char *mu_script_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

struct loading {
    struct mu_task task; /* without a server */
    struct mu_script *script;
    const char *source;
    struct mu_findings *found; /* where mistakes go that do not keep it from loading; NULL: they are not looked for */
    struct mu_err *err;
    int rc;
};

static struct loading *loading_of(struct mu_fiber *f) { return mu_list_entry(f->task, struct loading, task); }

static int load_prepare(lua_State *L, struct mu_fiber *f)
{
    struct mu_task *t = f->task;
    lua_newtable(L);
    mu_task_set_slot(L, t, MU_SLOT_LOADED);
    mu_worker_of(L)->engine->bindings->push_environment(L);
    lua_pushvalue(L, -1);
    mu_task_set_slot(L, t, MU_SLOT_ENV);
    mu_script_push_factory(L, loading_of(f)->script->path);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    return 0;
}

static void raised(struct loading *ld, const char *text)
{
    const char *path = ld->script->path;
    ld->rc = mu_err_set(ld->err, MU_EINVAL, "%s", text);
    if (strncmp(text, path, strlen(path)) != 0)
        mu_err_prefix(ld->err, "%s", path);
}

static const char *raw_text(lua_State *L, int index, const char *name)
{
    lua_pushstring(L, name);
    return lua_rawget(L, index) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}

/* The words of what was raised: text, or a typed error (muster.errors) as "path:line: Type: message". */
static const char *words_of(lua_State *L)
{
    int top = lua_gettop(L);
    if (lua_type(L, top) == LUA_TTABLE) {
        const char *type = raw_text(L, top, "type"), *message = raw_text(L, top, "message"),
                   *where = raw_text(L, top, "where");
        if (type && message)
            return lua_pushfstring(L, "%s%s%s: %s", where ? where : "", where ? ": " : "", type, message);
    } else if (lua_tostring(L, top)) {
        return lua_tostring(L, top);
    }
    return lua_pushfstring(L, "the script's top level raised a %s, not a message", luaL_typename(L, top));
}

static void load_finish(lua_State *L, struct mu_fiber *f, int status, int base)
{
    struct loading *ld = loading_of(f);
    const char *path = ld->script->path;
    if (status == LUA_OK) {
        lua_settop(L, base);
        mu_use_flatten(L, path);
        ld->rc = mu_script_describe(L, ld->script, ld->source, ld->err);
        if (!ld->rc && ld->found)
            mu_lint_script(L, ld->script, ld->source, ld->found);
    } else if (f->scope->cancelled) {
        ld->rc = mu_err_set(ld->err, MU_EINVAL, "%s: %s", path, f->scope->why.msg);
    } else {
        raised(ld, words_of(L));
    }
}

static void load_done(struct mu_fiber *f)
{
    if (f->status != LUA_OK) /* before the top level could begin: it does not compile */
        raised(loading_of(f), f->raised ? f->raised : "out of memory");
}

/* The top level runs once here, in a worker without a thread. */
static int run_top_level(struct mu_worker *w, struct loading *ld)
{
    struct mu_task *task = &ld->task;
    struct mu_fiber *fiber = NULL;
    struct mu_err why;
    int rc = MU_ENOMEM;
    task->worker = w;
    task->table_ref = LUA_NOREF;
    mu_list_init(&task->link);
    mu_remote_init(&task->remote, task, NULL, 0, true);
    mu_err_set(&why, MU_ETIMEDOUT, "the script's top level ran for more than %d s: move work into setup or a step",
               LOAD_LIMIT_MS / 1000);
    task->account = mu_account_new(w->engine->task_memory);
    if (!task->account || mu_scope_open(&task->scope, w, mu_clock_ms() + LOAD_LIMIT_MS, &why, 1000))
        goto out;
    rc = mu_fiber_start(&fiber, task, &task->scope, NULL, load_prepare, load_finish, load_done, ld->err);
    if (rc)
        goto out;
    fiber->loading = true;
    ld->rc = mu_err_set(ld->err, MU_EINVAL, "%s: could not be loaded", ld->script->path);
    while (task->scope.fiber)
        mu_worker_turn(w);
    rc = ld->rc;
out:
    mu_remote_close(&task->remote);
    mu_scope_close(&task->scope);
    mu_account_close(task->account);
    return rc;
}

int mu_script_load(struct mu_script **out, const char *path, const char *library_dir, const struct mu_bindings *bindings,
                   struct mu_logger *logger, struct mu_err *err)
{
    return mu_script_check(out, path, library_dir, bindings, logger, NULL, err);
}

int mu_script_check(struct mu_script **out, const char *path, const char *library_dir, const struct mu_bindings *bindings,
                    struct mu_logger *logger, struct mu_findings *found, struct mu_err *err)
{
    struct mu_err local;
    struct mu_worker w = {0};
    struct mu_sources *sources = mu_sources_new();
    struct mu_script *s = calloc(1, sizeof *s);
    const char *text = NULL;
    size_t len = 0;
    int rc = MU_ENOMEM;
    if (!err)
        err = &local;
    mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!sources || !s || !(s->path = strdup(path)) || !(s->dir = mu_script_folder_of(path)))
        goto out;
    rc = mu_sources_get(sources, path, &text, &len, err);
    if (rc)
        goto out;
    struct mu_engine engine = {.bindings = bindings, .script = s, .sources = sources, .library_dir = library_dir,
                               .logger = logger, .local = true, .task_memory = (size_t)64 << 20};
    struct mu_logger *former = mu_logger_use(logger);
    rc = mu_worker_open(&w, &engine, 0, err);
    if (!rc) {
        struct loading ld = {.script = s, .source = text, .found = found, .err = err};
        rc = run_top_level(&w, &ld);
        mu_worker_close(&w);
        if (!rc && !(s->files = mu_sources_list(sources, &s->n_files)))
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    mu_logger_use(former);
out:
    mu_sources_free(sources);
    if (rc) {
        mu_script_free(s);
        return rc;
    }
    mu_err_clear(err);
    *out = s;
    return 0;
}

static void free_params(struct mu_param *params, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(params[i].name);
        free(params[i].str);
    }
    free(params);
}

void mu_script_free(struct mu_script *s)
{
    if (!s)
        return;
    free_params(s->params, s->n_params);
    for (size_t i = 0; i < s->n_steps; i++) {
        struct mu_step *st = &s->steps[i];
        for (size_t j = 0; j < st->n_rules; j++)
            mu_rule_clear(&st->rules[j]);
        for (size_t j = 0; j < st->n_set; j++)
            mu_threshold_clear(&st->set[j]);
        for (size_t j = 0; j < st->n_needs; j++)
            free(st->needs[j]);
        free_params(st->own, st->n_own);
        free(st->rules);
        free(st->set);
        free(st->needs);
        free(st->name);
    }
    for (size_t i = 0; i < s->n_bounds; i++) {
        free(s->bounds[i].metric);
        free(s->bounds[i].param);
    }
    free(s->bounds);
    free(s->steps);
    free(s->description);
    for (size_t i = 0; i < s->n_files; i++)
        free(s->files[i]);
    free(s->files);
    for (size_t i = 0; i < s->n_patterns; i++)
        free(s->patterns[i]);
    free(s->patterns);
    free(s->max_broken);
    free(s->path);
    free(s->dir);
    free(s);
}

/* ---- parameters ---- */

static int set_int(struct mu_param *p, const char *value)
{
    char *end;
    errno = 0;
    long long v = strtoll(value, &end, 10);
    if (end == value || *end || errno)
        return MU_EINVAL;
    p->i = v;
    return 0;
}

static int set_num(struct mu_param *p, const char *value)
{
    char *end;
    double v = strtod(value, &end);
    if (end == value || *end || !isfinite(v))
        return MU_EINVAL;
    p->num = v;
    return 0;
}

static int set_bool(struct mu_param *p, const char *value)
{
    static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < 4; i++) {
        if (!strcmp(value, yes[i]) || !strcmp(value, no[i])) {
            p->i = !strcmp(value, yes[i]);
            return 0;
        }
    }
    return MU_EINVAL;
}

static void list_params(const struct mu_script *s, struct mu_buf *out)
{
    for (size_t i = 0; i < s->n_params; i++)
        mu_buf_addf(out, "%s%s", i ? ", " : "", s->params[i].name);
}

/* The thresholds that this parameter bounds follow it. */
static int follow(struct mu_script *s, const struct mu_param *p, struct mu_err *err)
{
    for (size_t i = 0; i < s->n_bounds; i++) {
        const struct mu_bound *b = &s->bounds[i];
        const struct mu_step *st = &s->steps[b->step];
        for (size_t j = 0; j < st->n_rules && !strcmp(b->param, p->name); j++) {
            struct mu_threshold *th = &st->rules[j].th;
            if (st->rules[j].place != b->place || strcmp(th->metric, b->metric) != 0)
                continue;
            double value = p->type == MU_PARAM_INT ? (double)p->i : p->num;
            *(b->kind == MU_BOUND_MIN ? &th->min : b->kind == MU_BOUND_MAX ? &th->max : &th->reference) = value;
            mu_threshold_settle(th);
            if (th->has_min && th->has_max && th->min > th->max)
                return mu_err_set(err, MU_EINVAL, "parameter %s of %s: min %g of %s.%s is above max %g, nothing could pass",
                                  p->name, s->path, th->min, st->name, th->metric, th->max);
        }
    }
    return 0;
}

int mu_script_set_param(struct mu_script *s, const char *name, const char *value, struct mu_err *err)
{
    for (size_t i = 0; i < s->n_params; i++) {
        struct mu_param *p = &s->params[i];
        if (strcmp(p->name, name) != 0)
            continue;
        if (p->type == MU_PARAM_STR) {
            char *copy = strdup(value);
            if (!copy)
                return mu_err_set(err, MU_ENOMEM, "out of memory");
            free(p->str);
            p->str = copy;
            p->set = true;
            return 0;
        }
        if ((p->type == MU_PARAM_INT && set_int(p, value) == 0) || (p->type == MU_PARAM_NUM && set_num(p, value) == 0) ||
            (p->type == MU_PARAM_BOOL && set_bool(p, value) == 0)) {
            p->set = true;
            return follow(s, p, err);
        }
        static const char *const types[] = {"a string", "an integer", "a number", "true or false"};
        return mu_err_set(err, MU_EINVAL, "parameter %s of %s wants %s, not '%s'", name, s->path, types[p->type], value);
    }
    if (!s->n_params)
        return mu_err_set(err, MU_EINVAL, "%s has no parameters, so there is no '%s' to set", s->path, name);
    struct mu_buf known = MU_BUF_INIT;
    list_params(s, &known);
    mu_err_set(err, MU_EINVAL, "%s has no parameter '%s'; it has: %s", s->path, name, mu_buf_cstr(&known));
    mu_buf_free(&known);
    return MU_EINVAL;
}
