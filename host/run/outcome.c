/* Lua results and errors as C results: what run() returned into metrics, what was raised into one failure. */
#include "run/task.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/past.h"
#include "results/reason.h"
#include "run/engine.h"
#include "run/script.h"
#include "run/worker.h"

enum { SAMPLES_MAX = 10000 }; /* of one metric */

static const char *path_of(const struct mu_task *t) { return t->worker->engine->script->path; }

/* ---- metrics ---- */

static const struct mu_threshold *threshold_of(const struct mu_task *t, const char *metric)
{
    return mu_rules_find(t->worker->engine->rules, t->index, t->step, metric);
}

static void not_measured(struct mu_task *t, const char *metric, const char *what)
{
    struct mu_buf message = MU_BUF_INIT;
    mu_buf_addf(&message, "metric %s has a threshold and is %s", metric, what);
    mu_task_add_failure(t, MU_ST_ERROR, "ScriptError", metric, mu_buf_cstr(&message), mu_buf_cstr(&message));
    mu_buf_free(&message);
}

static void missed(struct mu_task *t, const struct mu_metric *m)
{
    struct mu_buf message = MU_BUF_INIT, cause = MU_BUF_INIT;
    mu_reason_miss(m, m->value, &cause);
    mu_reason_text(&(struct mu_reason){MU_ST_FAILED, t->result, m, NULL}, &message);
    mu_reason_samples(m, &message);
    mu_task_add_failure(t, MU_ST_FAILED, "PerformanceBelowExpected", m->name, mu_buf_cstr(&cause), mu_buf_cstr(&message));
    mu_buf_free(&message);
    mu_buf_free(&cause);
}

/* By what this server measured before, if its rule says so. */
static void judge_by_past(struct mu_task *t, const char *name)
{
    const struct mu_engine *e = t->worker->engine;
    bool pair = t->kind == MU_TASK_PAIR;
    size_t n = 0;
    const struct mu_past *past = e->seat_pasts ? e->seat_pasts[t->index] : e->past;
    const double *values = past && !pair ? mu_past_find(past, e->servers[t->index]->id, t->result->name, name, &n) : NULL;
    const char *why = pair ? "it is of a pair of servers" : e->seat_past_whys ? e->seat_past_whys[t->index] : e->past_why;
    struct mu_metric *m = &t->result->metrics[t->result->n_metrics - 1];
    if (mu_past_judge(t->result, values, n, why))
        mu_log(MU_WARNING, "%s.%s is not judged by earlier runs: out of memory.", t->result->name, name);
    else if (m->history.state == MU_PEERS_NOT_JUDGED)
        mu_log(MU_INFO, "%s.%s is not judged by earlier runs: %s.", t->result->name, name, m->history.note);
}

/* What was just added, if there was memory for it. */
static void tell_metric(struct mu_task *t, const struct mu_threshold *th)
{
    if (th && th->history.on)
        judge_by_past(t, t->result->metrics[t->result->n_metrics - 1].name);
    const struct mu_metric *m = &t->result->metrics[t->result->n_metrics - 1];
    struct mu_buf text = MU_BUF_INIT;
    mu_reason_number(m->value, th, &text);
    if (th && th->unit)
        mu_buf_addf(&text, " %s", th->unit);
    mu_reason_samples(m, &text);
    mu_log(MU_INFO, "%s.%s is %s.", t->result->name, m->name, mu_buf_cstr(&text));
    mu_buf_free(&text);
    if (m->judgement == MU_MISSED)
        missed(t, m);
}

static void no_memory(struct mu_task *t, const char *name)
{
    mu_task_add_failure(t, MU_ST_ERROR, NULL, name, "out of memory", "out of memory");
}

static void add_metric(struct mu_task *t, const char *name, double value)
{
    const struct mu_threshold *th = threshold_of(t, name);
    if (isnan(value) && th) {
        mu_step_result_add_metric(t->result, name, value, th->unit, NULL);
        not_measured(t, name, "NaN");
    } else if (mu_step_result_add_metric(t->result, name, value, th ? th->unit : NULL, th)) {
        no_memory(t, name);
    } else {
        tell_metric(t, th);
    }
}

/* ---- samples ---- */

static void bad_samples(struct mu_task *t, const char *name, const char *what)
{
    struct mu_buf message = MU_BUF_INIT, cause = MU_BUF_INIT;
    mu_buf_addf(&cause, "metric %s %s: samples are a list of numbers", name, what);
    mu_buf_addf(&message, "%s: step %s: %s", path_of(t), t->result->name, mu_buf_cstr(&cause));
    mu_task_add_failure(t, MU_ST_ERROR, "ScriptError", name, mu_buf_cstr(&cause), mu_buf_cstr(&message));
    mu_buf_free(&message);
    mu_buf_free(&cause);
}

/* The list on top of the stack into v, of n. False when something is wrong with it, which is then told. */
static bool read_samples(lua_State *L, struct mu_task *t, const char *name, double *v, size_t n)
{
    char what[96];
    for (size_t i = 0; i < n; i++) {
        int type = lua_rawgeti(L, -1, (lua_Integer)i + 1);
        v[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
        if (type != LUA_TNUMBER || !isfinite(v[i])) {
            snprintf(what, sizeof what, "has sample %zu that is %s%s", i + 1, type == LUA_TNUMBER ? "" : "a ",
                     type != LUA_TNUMBER ? lua_typename(L, type) : isnan(v[i]) ? "NaN" : "infinite");
            bad_samples(t, name, what);
            return false;
        }
    }
    return true;
}

static void add_samples(lua_State *L, struct mu_task *t, const char *name)
{
    const struct mu_threshold *th = threshold_of(t, name);
    size_t n = lua_rawlen(L, -1), entries = 0;
    char what[96];
    for (lua_pushnil(L); n <= SAMPLES_MAX && lua_next(L, -2); lua_pop(L, 1))
        entries++;
    if (n > SAMPLES_MAX) {
        snprintf(what, sizeof what, "has %zu samples, more than %d", n, SAMPLES_MAX);
        bad_samples(t, name, what);
    } else if (!n || entries != n) {
        bad_samples(t, name, entries ? "is a table that is no list" : "is an empty list");
    } else {
        double *v = lua_newuserdatauv(L, n * sizeof *v, 0);
        lua_insert(L, -2);
        if (read_samples(L, t, name, v, n)) {
            if (mu_step_result_add_samples(t->result, name, v, n, th ? th->unit : NULL, th))
                no_memory(t, name);
            else
                tell_metric(t, th);
        }
        lua_remove(L, -2);
    }
}

/* ---- what run returned ---- */

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Tables have no order: metrics are taken by name, so that logs and reports are the same each time. */
static void add_table(lua_State *L, struct mu_task *t, int index)
{
    size_t n = 0, i = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "%s: step %s returned a table with a key that is not a name: metrics are name = number",
                       path_of(t), t->result->name);
        const char *name = lua_tostring(L, -2);
        if (lua_type(L, -1) == LUA_TNUMBER || lua_type(L, -1) == LUA_TTABLE)
            n++;
        else if (threshold_of(t, name)) {
            char what[48];
            snprintf(what, sizeof what, "a %s, not a number", luaL_typename(L, -1));
            not_measured(t, name, what);
        } else
            luaL_error(L, "%s: step %s returned %s as a %s: metrics are numbers", path_of(t), t->result->name, name,
                       luaL_typename(L, -1));
    }
    const char **names = lua_newuserdatauv(L, (n + 1) * sizeof *names, 0); /* the table keeps the texts */
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        if ((lua_type(L, -1) == LUA_TNUMBER || lua_type(L, -1) == LUA_TTABLE) && i < n)
            names[i++] = lua_tostring(L, -2);
    qsort(names, i, sizeof *names, by_name);
    for (size_t j = 0; j < i; j++) {
        lua_pushstring(L, names[j]);
        if (lua_rawget(L, index) == LUA_TNUMBER)
            add_metric(t, names[j], lua_tonumber(L, -1));
        else
            add_samples(L, t, names[j]);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static bool has_metric(const struct mu_task *t, const char *name)
{
    for (size_t i = 0; i < t->result->n_metrics; i++)
        if (!strcmp(t->result->metrics[i].name, name))
            return true;
    for (size_t i = 0; i < t->result->n_failures; i++)
        if (t->result->failures[i].metric && !strcmp(t->result->failures[i].metric, name))
            return true;
    return false;
}

void mu_outcome_metrics(lua_State *L, struct mu_task *t, int base)
{
    int n = lua_gettop(L) - base + 1;
    int type = n > 0 ? lua_type(L, base) : LUA_TNIL;
    if (type == LUA_TNUMBER)
        add_metric(t, "score", lua_tonumber(L, base));
    else if (type == LUA_TTABLE)
        add_table(L, t, base);
    else if (type != LUA_TNIL)
        luaL_error(L, "%s: step %s returned a %s: run returns a number, or a table of metrics", path_of(t), t->result->name,
                   luaL_typename(L, base));
    const struct mu_threshold *th;
    for (size_t at = 0; (th = mu_rules_next(t->worker->engine->rules, t->index, t->step, &at));)
        if (!has_metric(t, th->metric))
            not_measured(t, th->metric, "missing: the step returned no such metric");
}

/* ---- errors ---- */

static const char *field(lua_State *L, int index, const char *name)
{
    lua_pushstring(L, name);
    int type = lua_rawget(L, index);
    return type == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}

/* Any other type is an error: it says nothing of the hardware (ProvisionerError, ServerStateError, CommandError, …). */
static enum mu_status status_of(const char *type, bool lost)
{
    static const struct {
        const char *type;
        enum mu_status status;
    } known[] = {
        {"PerformanceBelowExpected", MU_ST_FAILED}, {"CheckFailed", MU_ST_FAILED}, {"ServerOperationError", MU_ST_FAILED},
        {"ConnectError", MU_ST_UNREACHABLE},        {"HostKeyError", MU_ST_UNREACHABLE}, {"AuthError", MU_ST_UNREACHABLE},
        {"TimeoutError", MU_ST_TIMEOUT},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(type, known[i].type))
            return lost ? MU_ST_ERROR : known[i].status;
    return MU_ST_ERROR;
}

/* The innermost script line of a traceback: "path:12". */
static bool place_of(const char *trace, char *out, size_t size)
{
    for (const char *line = trace; line; line = strchr(line, '\n')) {
        line += strspn(line, "\n\t ");
        if (!strncmp(line, "[C]", 3) || !strncmp(line, "stack traceback", 15))
            continue;
        const char *colon = strchr(line, ':');
        const char *end = colon ? strchr(colon + 1, ':') : NULL;
        if (!end || (size_t)(end - line) >= size || !(colon[1] >= '0' && colon[1] <= '9'))
            continue;
        memcpy(out, line, (size_t)(end - line));
        out[end - line] = '\0';
        return true;
    }
    return false;
}

static void untyped(lua_State *L, struct mu_task *t, struct mu_fiber *f)
{
    char place[256] = "";
    struct mu_buf message = MU_BUF_INIT;
    size_t len;
    bool is_text = lua_type(L, -1) == LUA_TSTRING;
    if (!is_text && f->trace && place_of(f->trace, place, sizeof place))
        mu_buf_addf(&message, "%s: ", place);
    if (is_text) {
        const char *text = lua_tolstring(L, -1, &len);
        mu_buf_add(&message, text, len);
    } else if (lua_type(L, -1) == LUA_TNIL)
        mu_buf_adds(&message, "error(nil) was raised");
    else
        mu_buf_addf(&message, "an error value that is a %s was raised", luaL_typename(L, -1));
    mu_task_add_failure(t, MU_ST_ERROR, "ScriptError", NULL, mu_buf_cstr(&message), mu_buf_cstr(&message));
    mu_buf_free(&message);
}

void mu_outcome_error(lua_State *L, struct mu_task *t, struct mu_fiber *f)
{
    int top = lua_gettop(L);
    if (lua_type(L, top) != LUA_TTABLE) {
        untyped(L, t, f);
    } else {
        const char *type = field(L, top, "type"), *message = field(L, top, "message"), *cause = field(L, top, "cause");
        const char *where = field(L, top, "where");
        lua_pushstring(L, "lost");
        lua_rawget(L, top);
        bool lost = lua_toboolean(L, -1);
        if (type && message) {
            if (where)
                message = lua_pushfstring(L, "%s (%s)", message, where);
            mu_task_add_failure(t, status_of(type, lost), type, NULL, cause ? cause : message, message);
        } else {
            lua_settop(L, top);
            untyped(L, t, f);
        }
    }
    lua_settop(L, top);
    if (f->trace) {
        struct mu_field trace = {"traceback", MU_FIELD_STR, {.str = f->trace}};
        mu_log_fields(MU_DEBUG, &trace, 1, "Where it was raised.");
    }
}
