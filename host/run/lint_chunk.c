/* What compiled code gives away: names that nothing defines, and metrics that no step returns. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "run/chunk.h"
#include "run/describe.h"
#include "run/engine.h"
#include "run/lint.h"
#include "run/script_lua.h"
#include "run/sources.h"
#include "run/task.h"
#include "run/worker.h"

/* ---- names ---- */

struct names {
    char **items;
    size_t n;
    bool failed;
};

static bool has(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (!strcmp(names->items[i], name))
            return true;
    return false;
}

static void add(struct names *names, const char *name)
{
    if (has(names, name))
        return;
    char **more = realloc(names->items, (names->n + 1) * sizeof *more), *copy = strdup(name);
    names->items = more ? more : names->items;
    if (!more || !copy) {
        free(copy);
        names->failed = true;
        return;
    }
    names->items[names->n++] = copy;
}

static void clear(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->items[i]);
    free(names->items);
}

/* ---- globals ---- */

struct file {
    const char *path, *text;
    struct mu_proto *code;
};

struct lint {
    struct mu_findings *found;
    struct names known; /* what the environment holds once the script is loaded, and what any of its files sets */
};

typedef void on_global(struct lint *l, const struct file *f, const char *name, unsigned line, bool sets);

/* env: which upvalue of p is the task's environment, -1: none. A script's own `local _ENV` is another thing. */
static void each_global(struct lint *l, const struct file *f, const struct mu_proto *p, int env, on_global *fn)
{
    for (size_t i = 0; i < p->n_code && env >= 0; i++) {
        uint32_t in = p->code[i];
        bool gets = mu_op(in) == MU_OP_GETTABUP && (int)mu_op_b(in) == env;
        bool sets = mu_op(in) == MU_OP_SETTABUP && (int)mu_op_a(in) == env;
        size_t key = gets ? mu_op_c(in) : mu_op_b(in);
        if ((gets || sets) && key < p->n_constants && p->strings[key])
            fn(l, f, p->strings[key], p->lines[i], sets);
    }
    for (size_t i = 0; i < p->n_inner; i++) {
        const struct mu_proto *inner = &p->inner[i];
        int theirs = -1;
        for (size_t j = 0; j < inner->n_upvalues && env >= 0; j++)
            if (!inner->upvalues[j].in_stack && inner->upvalues[j].index == env)
                theirs = (int)j;
        each_global(l, f, inner, theirs, fn);
    }
}

/* A file's code is inside the factory around it (compile.c), whose first local is the environment. */
static void each_global_of(struct lint *l, const struct file *f, on_global *fn)
{
    for (size_t i = 0; i < f->code->n_inner; i++) {
        const struct mu_proto *main = &f->code->inner[i];
        for (size_t j = 0; j < main->n_upvalues; j++)
            if (main->upvalues[j].in_stack && main->upvalues[j].index == 0)
                each_global(l, f, main, (int)j, fn);
    }
}

static void note_set(struct lint *l, const struct file *f, const char *name, unsigned line, bool sets)
{
    (void)f;
    (void)line;
    if (sets)
        add(&l->known, name);
}

static void judge_global(struct lint *l, const struct file *f, const char *name, unsigned line, bool sets)
{
    unsigned column = mu_lint_column(f->text, line, name);
    if (sets)
        mu_findings_add(l->found, true, f->path, line, column, "sets-global",
                        "sets the global %s: is `local` missing? (each server's task has its own)", name);
    else if (!has(&l->known, name))
        mu_findings_add(l->found, false, f->path, line, column, "unknown-global",
                        "%s is not defined: no local, parameter or global of that name is in sight", name);
}

/* ---- what a step returns ---- */

static bool writes_nothing(unsigned op)
{
    return op == MU_OP_SETUPVAL || (op >= MU_OP_SETTABUP && op <= MU_OP_SETFIELD) || (op >= MU_OP_MMBIN && op <= MU_OP_MMBINK) ||
           (op >= MU_OP_CLOSE && op <= MU_OP_TEST) || (op >= MU_OP_RETURN && op <= MU_OP_RETURN1) || op == MU_OP_SETLIST ||
           op == MU_OP_EXTRAARG;
}

/* Whether an instruction could let somebody else fill, or replace, the table in register r. */
static bool loses_sight(uint32_t in, unsigned r)
{
    unsigned op = mu_op(in);
    if ((op == MU_OP_MOVE || op == MU_OP_SELF) && mu_op_b(in) == r)
        return true;
    if (op == MU_OP_SETUPVAL && mu_op_a(in) == r)
        return true;
    if (op >= MU_OP_SETTABUP && op <= MU_OP_SETFIELD && mu_op_c(in) == r && !mu_op_k(in))
        return true;
    return op == MU_OP_CLOSURE || (op >= MU_OP_FORLOOP && op <= MU_OP_TFORLOOP);
}

/* Whether something jumps from elsewhere to between `from` and `to`. */
static bool jumped_into(const struct mu_proto *p, size_t from, size_t to)
{
    for (size_t i = 0; i < p->n_code; i++) {
        long target = (long)i + 1 + mu_op_jump(p->code[i]);
        if (mu_op(p->code[i]) == MU_OP_JMP && (i < from || i > to) && target > (long)from && target <= (long)to)
            return true;
    }
    return false;
}

/* Whether what is returned from register r at `end` is a table whose fields are all written out there; adds their names. */
static bool fields_of(const struct mu_proto *p, size_t end, unsigned r, struct names *out)
{
    for (size_t i = end; i-- > 0;) {
        uint32_t in = p->code[i];
        unsigned op = mu_op(in), a = mu_op_a(in);
        if (op == MU_OP_NEWTABLE && a == r)
            return !jumped_into(p, i, end);
        if (loses_sight(in, r))
            return false;
        if (op == MU_OP_SETFIELD && a == r) {
            if (mu_op_b(in) >= p->n_constants || !p->strings[mu_op_b(in)])
                return false;
            add(out, p->strings[mu_op_b(in)]);
        } else if (a == r && (op == MU_OP_SETTABLE || op == MU_OP_SETI || op == MU_OP_SETLIST)) {
            return false;
        } else if (!writes_nothing(op) && a <= r) {
            return false; /* another value, or an instruction that writes several registers from a on */
        }
    }
    return false;
}

/* The names of all metrics that a step's run can return; false when that is not in sight. */
static bool returns_of(const struct mu_proto *p, struct names *out, bool *returns)
{
    *returns = false;
    for (size_t i = 0; i < p->n_code; i++) {
        uint32_t in = p->code[i];
        unsigned op = mu_op(in);
        bool nothing = op == MU_OP_RETURN0 || (op == MU_OP_RETURN && mu_op_b(in) == 1);
        bool one = op == MU_OP_RETURN1 || (op == MU_OP_RETURN && mu_op_b(in) == 2);
        if (op == MU_OP_TAILCALL || (op == MU_OP_RETURN && !nothing && !one))
            return false;
        if (!one)
            continue;
        *returns = true;
        if (!fields_of(p, i, mu_op_a(in), out))
            return false;
    }
    return true;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(struct mu_buf *b, const struct names *names)
{
    if (names->n)
        qsort(names->items, names->n, sizeof *names->items, by_text);
    for (size_t i = 0; i < names->n; i++)
        mu_buf_addf(b, "%s%s", i ? ", " : "", names->items[i]);
}

static void judge_step(struct mu_findings *found, const struct mu_script *s, const char *source, const struct mu_step *st,
                       const struct mu_proto *run)
{
    struct names names = {0};
    struct mu_buf all = MU_BUF_INIT;
    bool returns;
    if (st->n_rules && returns_of(run, &names, &returns) && !names.failed) {
        list(&all, &names);
        for (size_t i = 0; i < st->n_rules; i++) {
            const char *metric = st->rules[i].th.metric;
            if (i && !strcmp(metric, st->rules[i - 1].th.metric))
                continue; /* another rule for the same */
            unsigned line = (unsigned)mu_reading_line(source, metric);
            if (!has(&names, metric))
                mu_findings_add(found, false, s->path, line ? line : run->line,
                                line ? mu_lint_column(source, line, metric) : 0, "threshold-without-metric",
                                "step %s has a threshold for %s and never returns it: its run (line %u) returns %s",
                                st->name, metric, run->line, !returns ? "nothing" : names.n ? mu_buf_cstr(&all) : "no metric");
        }
    }
    mu_buf_free(&all);
    clear(&names);
}

/* ---- the whole ---- */

/* The script and the modules beside it; the standard scripts and the system's are not the author's. */
static bool is_of_script(const struct mu_engine *e, const char *path)
{
    size_t dir = strlen(e->script->dir), lib = e->library_dir ? strlen(e->library_dir) : 0;
    if (!strcmp(path, e->script->path))
        return true;
    return !strncmp(path, e->script->dir, dir) && path[dir] == '/' && !(lib && !strncmp(path, e->library_dir, lib) && path[lib] == '/');
}

static void judge_globals(struct lint *l, struct file *files, size_t n)
{
    for (size_t i = 0; i < n; i++)
        each_global_of(l, &files[i], note_set);
    for (size_t i = 0; i < n && !l->known.failed; i++)
        each_global_of(l, &files[i], judge_global);
}

/* From the description at base on: factories, environment, "run", steps. What can raise comes before C allocates. */
void mu_lint_script(lua_State *L, const struct mu_script *s, const char *source, struct mu_findings *found)
{
    const struct mu_engine *e = mu_worker_of(L)->engine;
    int base = lua_gettop(L);
    luaL_checkstack(L, (int)s->n_steps + 20, "checking a script");
    mu_script_push_factories(L);
    mu_task_push_slot(L, mu_task_current(L), MU_SLOT_ENV);
    lua_pushliteral(L, "run");
    lua_getfield(L, base, "steps");
    size_t n_files = 0;
    for (lua_pushnil(L); lua_next(L, base + 1); lua_pop(L, 1))
        n_files++;

    struct lint l = {.found = found};
    struct mu_err err = {0};
    struct file *files = calloc(n_files + 1, sizeof *files);
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, base + 2); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING)
            add(&l.known, lua_tostring(L, -2));
    for (lua_pushnil(L); files && !err.code && lua_next(L, base + 1); lua_pop(L, 1)) {
        struct file *f = &files[n];
        size_t len;
        f->path = lua_tostring(L, -2);
        if (is_of_script(e, f->path) && !mu_sources_get(e->sources, f->path, &f->text, &len, &err) &&
            !mu_chunk_read(L, &f->code, &err))
            n++;
    }
    lua_settop(L, base + 4);
    judge_globals(&l, files, n);
    for (size_t i = 0; i < s->n_steps && !err.code; i++) {
        struct mu_proto *run = NULL;
        lua_rawgeti(L, base + 4, (lua_Integer)i + 1);
        lua_pushvalue(L, base + 3);
        lua_rawget(L, -2);
        if (lua_isfunction(L, -1) && !lua_iscfunction(L, -1) && !mu_chunk_read(L, &run, &err))
            judge_step(found, s, source, &s->steps[i], run);
        mu_chunk_free(run);
        lua_settop(L, base + 4);
    }
    if (err.code == MU_ESTATE)
        mu_findings_add(found, true, s->path, 0, 0, "not-checked", "globals and metrics were not checked: %s", err.msg);
    found->failed = found->failed || l.known.failed || !files || err.code == MU_ENOMEM;
    for (size_t i = 0; i < n; i++)
        mu_chunk_free(files[i].code);
    free(files);
    clear(&l.known);
    lua_settop(L, base);
}
