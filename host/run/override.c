#include "run/override.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/rules.h"
#include "run/script.h"
#include "run/threshold_json.h"

#define OBJECT "thresholds"
#define PREFIX "threshold."
#define HOW "write it like {\"cpu.score\": {\"min\": 40}} or {\"cpu.score\": \">= 40\"}"

/* ---- one threshold ---- */

static int add(struct mu_overrides *o, const struct mu_script *s, const char *name, struct mu_threshold **th, struct mu_err *err)
{
    size_t step = 0;
    const char *metric = NULL;
    int rc = mu_rules_target(s, name, &step, &metric, err);
    if (rc)
        return rc;
    struct mu_override *more = realloc(o->items, (o->n + 1) * sizeof *more);
    if (!more)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    o->items = more;
    more[o->n] = (struct mu_override){.step = step, .th = {.metric = strdup(metric)}};
    if (!more[o->n].th.metric)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    *th = &more[o->n++].th;
    return 0;
}

static int add_text(struct mu_overrides *o, const struct mu_script *s, const char *name, const char *rule, struct mu_err *err)
{
    struct mu_threshold *th = NULL;
    int rc = add(o, s, name, &th, err);
    return rc ? rc : mu_threshold_read_text(th, rule, name, err);
}

static int add_table(struct mu_overrides *o, const struct mu_script *s, const char *name, json_t *rule, struct mu_err *err)
{
    struct mu_threshold *th = NULL;
    int rc = add(o, s, name, &th, err);
    return rc ? rc : mu_threshold_read_json(th, rule, name, err);
}

/* ---- a server's variables ---- */

/* They are sorted: "threshold.cpu.score" comes before "thresholds", which may be the whole file's, and the first counts. */

static int read_object(struct mu_overrides *o, const struct mu_script *s, const struct mu_var *var, struct mu_err *err)
{
    bool text = var->type == MU_VAR_STR || var->type == MU_VAR_JSON;
    json_t *all = text ? json_loads(var->str, JSON_REJECT_DUPLICATES, NULL) : NULL, *rule;
    const char *name;
    int rc = 0;
    if (!all && var->type == MU_VAR_JSON && (*var->str == '{' || *var->str == '[')) /* it was read before */
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    else if (!json_is_object(all))
        rc = mu_err_set(err, MU_EINVAL, "it is no JSON object: " HOW);
    json_object_foreach(all, name, rule) {
        if (rc)
            break;
        if (json_is_string(rule))
            rc = add_text(o, s, name, json_string_value(rule), err);
        else if (json_is_object(rule))
            rc = add_table(o, s, name, rule, err);
        else
            rc = mu_err_set(err, MU_EINVAL, "%s is neither an object nor a string: " HOW, name);
    }
    json_decref(all);
    return rc;
}

int mu_overrides_read(struct mu_overrides *o, const struct mu_script *s, const struct mu_server *srv, struct mu_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < srv->n_vars; i++) {
        const struct mu_var *var = &srv->vars[i];
        if (!strcmp(var->name, OBJECT))
            rc = read_object(o, s, var, err);
        else if (strncmp(var->name, PREFIX, strlen(PREFIX)) != 0)
            continue;
        else if (var->type == MU_VAR_STR)
            rc = add_text(o, s, var->name + strlen(PREFIX), var->str, err);
        else
            rc = mu_err_set(err, MU_EINVAL, "it must be text such as \">= 40\"");
        if (rc) {
            mu_err_prefix(err, "variable %s", var->name);
            return rc;
        }
    }
    return 0;
}

void mu_overrides_clear(struct mu_overrides *o)
{
    for (size_t i = 0; i < o->n; i++)
        mu_threshold_clear(&o->items[i].th);
    free(o->items);
    *o = (struct mu_overrides){0};
}
