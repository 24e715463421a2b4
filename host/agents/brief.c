/* A brief, made of a run's settings, and what an agent makes of it. */
#include "agents/brief.h"

#include <stdlib.h>
#include <string.h>

#include "core/secret_name.h"
#include "results/clocale.h"
#include "run/engine.h"

static int no_memory(struct mu_err *err) { return mu_err_set(err, MU_ENOMEM, "out of memory"); }

/* ---- making ---- */

/* Takes what value holds. */
static int add_pair(struct mu_brief_pair **pairs, size_t *n, const char *name, struct mu_buf *value, struct mu_err *err)
{
    struct mu_brief_pair *more = realloc(*pairs, (*n + 1) * sizeof *more);
    char *name_copy = strdup(name), *text = mu_buf_take(value);
    if (more)
        *pairs = more;
    if (!more || !name_copy || !text) {
        free(name_copy);
        free(text);
        return no_memory(err);
    }
    more[(*n)++] = (struct mu_brief_pair){name_copy, text};
    return 0;
}

/* As mu_script_set_param() reads it. */
static void add_value(struct mu_buf *out, const struct mu_param *p)
{
    switch (p->type) {
    case MU_PARAM_STR:
        mu_buf_adds(out, p->str);
        break;
    case MU_PARAM_INT:
        mu_buf_addf(out, "%lld", p->i);
        break;
    case MU_PARAM_NUM:
        mu_buf_add_number(out, p->num);
        break;
    case MU_PARAM_BOOL:
        mu_buf_adds(out, p->i ? "true" : "false");
        break;
    }
}

static int add_params(struct mu_brief *b, const struct mu_script *s, struct mu_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < s->n_params && !rc; i++) {
        struct mu_buf value = MU_BUF_INIT;
        if (!s->params[i].set)
            continue;
        if (mu_name_is_secret(s->params[i].name))
            return mu_err_set(err, MU_EINVAL, "parameter %s is a secret by its name, and does not travel to agents: let the "
                              "script read it there, by muster.secret{ env = … } or { file = … }", s->params[i].name);
        add_value(&value, &s->params[i]);
        rc = add_pair(&b->params, &b->n_params, s->params[i].name, &value, err);
        mu_buf_free(&value);
    }
    return rc;
}

static void add_bound(struct mu_buf *out, const char *op, double bound, const char *unit)
{
    mu_buf_addf(out, "%s%s ", out->len ? ", " : "", op);
    mu_buf_add_number(out, bound);
    /* What is no word was not written on a command line: it is the script's, which holds there, too. */
    if (unit && *unit && !unit[strcspn(unit, " \t\r\n,")])
        mu_buf_addf(out, " %s", unit);
}

/* As mu_script_set_threshold() reads it. JSON has no bounds that do not pass themselves; with those there is nothing else. */
static void add_rule(struct mu_buf *out, const struct mu_threshold *th)
{
    if (!th->min_open && !th->max_open) {
        mu_threshold_add_json(th, out);
        return;
    }
    if (th->has_min)
        add_bound(out, th->min_open ? ">" : ">=", th->min, th->unit);
    if (th->has_max)
        add_bound(out, th->max_open ? "<" : "<=", th->max, th->unit);
}

static int add_thresholds(struct mu_brief *b, const struct mu_script *s, struct mu_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < s->n_steps; i++) {
        for (size_t j = 0; j < s->steps[i].n_set && !rc; j++) {
            struct mu_buf name = MU_BUF_INIT, rule = MU_BUF_INIT;
            mu_buf_addf(&name, "%s.%s", s->steps[i].name, s->steps[i].set[j].metric);
            add_rule(&rule, &s->steps[i].set[j]);
            rc = name.failed ? no_memory(err) : add_pair(&b->thresholds, &b->n_thresholds, name.data, &rule, err);
            mu_buf_free(&name);
            mu_buf_free(&rule);
        }
    }
    return rc;
}

/* By their names, whatever words they were picked with. */
static int add_steps(struct mu_brief *b, const struct mu_script *s, const bool *only, struct mu_err *err)
{
    size_t n = 0;
    if (!only)
        return 0;
    if (!(b->steps = calloc(s->n_steps + 1, sizeof *b->steps)))
        return no_memory(err);
    for (size_t i = 0; i < s->n_steps; i++)
        if (only[i] && !(b->steps[n++] = strdup(s->steps[i].name)))
            return no_memory(err);
    return 0;
}

static int copy(char **out, const char *text, struct mu_err *err)
{
    *out = text ? strdup(text) : NULL;
    return text && !*out ? no_memory(err) : 0;
}

int mu_brief_make(struct mu_brief *out, const struct mu_crew_home *home, const char *bundle, enum mu_level level,
                  struct mu_err *err)
{
    const struct mu_engine *e = home->engine;
    struct mu_brief b = {
        .state = MU_BRIEF_OPEN, .local = e->local, .fail_fast = e->fail_fast, .dry_run = e->dry_run,
        .allow_destructive = e->allow_destructive, .cleanup = e->cleanup, .pairs = e->pairs, .timeout_ms = e->timeout_ms,
        .connect_timeout_ms = e->connect_timeout_ms, .setup_timeout_ms = e->setup_timeout_ms,
        .teardown_timeout_ms = e->teardown_timeout_ms, .connect_retries = e->connect_retries, .task_memory = e->task_memory,
        .level = level, .has_shared = e->shared != NULL,
    };
    int rc = add_params(&b, e->script, err);
    if (!rc)
        rc = add_thresholds(&b, e->script, err);
    if (!rc)
        rc = add_steps(&b, e->script, e->only, err);
    if (!rc)
        rc = copy(&b.run_id, e->run_id, err);
    if (!rc)
        rc = copy(&b.owner, e->owner, err);
    if (!rc)
        rc = copy(&b.bundle, bundle, err);
    if (!rc)
        rc = copy(&b.user, e->user, err);
    if (!rc)
        rc = copy(&b.script_path, e->script->path, err);
    if (!rc && e->shared)
        mu_buf_add(&b.shared, mu_buf_cstr(e->shared), e->shared->len);
    if (!rc && b.shared.failed)
        rc = no_memory(err);
    if (rc)
        mu_brief_clear(&b);
    else
        *out = b;
    return rc;
}

static void free_pairs(struct mu_brief_pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(pairs[i].name);
        free(pairs[i].value);
    }
    free(pairs);
}

void mu_brief_clear(struct mu_brief *b)
{
    free_pairs(b->params, b->n_params);
    free_pairs(b->thresholds, b->n_thresholds);
    for (size_t i = 0; b->steps && b->steps[i]; i++)
        free(b->steps[i]);
    free(b->steps);
    free(b->run_id);
    free(b->owner);
    free(b->bundle);
    free(b->user);
    free(b->script_path);
    mu_buf_free(&b->shared);
    *b = (struct mu_brief){0};
}

/* ---- using ---- */

int mu_brief_load_script(const struct mu_brief *b, const char *script_file, const char *library_dir,
                         const struct mu_bindings *bindings, struct mu_logger *logger, struct mu_script **out, struct mu_err *err)
{
    struct mu_script *s = NULL;
    struct mu_clocale locale = mu_clocale_enter();
    int rc = mu_script_load(&s, script_file, library_dir, bindings, logger, err);
    for (size_t i = 0; i < b->n_params && !rc; i++)
        rc = mu_script_set_param(s, b->params[i].name, b->params[i].value, err);
    for (size_t i = 0; i < b->n_thresholds && !rc; i++)
        rc = mu_script_set_threshold(s, b->thresholds[i].name, b->thresholds[i].value, err);
    mu_clocale_leave(locale);
    if (rc)
        mu_script_free(s);
    else
        *out = s;
    return rc;
}
