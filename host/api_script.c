/* api_script.c: what a script says of itself, through muster.h. */
#include "api_internal.h"

const char *muster_script_file(const struct muster_script *s, size_t i)
{
    return i < s->script->n_files ? s->script->files[i] : NULL;
}

int muster_script_param(const struct muster_script *s, size_t i, struct muster_param *out)
{
    if (i >= s->script->n_params)
        return MU_EINVAL;
    const struct mu_param *p = &s->script->params[i];
    static const enum muster_param_type types[] = {[MU_PARAM_STR] = MUSTER_PARAM_STRING,
                                                   [MU_PARAM_INT] = MUSTER_PARAM_INTEGER,
                                                   [MU_PARAM_NUM] = MUSTER_PARAM_NUMBER,
                                                   [MU_PARAM_BOOL] = MUSTER_PARAM_BOOLEAN};
    *out = (struct muster_param){.name = p->name, .type = types[p->type], .string = p->type == MU_PARAM_STR ? p->str : ""};
    if (p->type == MU_PARAM_INT)
        out->integer = p->i;
    else if (p->type == MU_PARAM_NUM)
        out->number = p->num;
    else if (p->type == MU_PARAM_BOOL)
        out->boolean = p->i != 0;
    return 0;
}

int muster_script_threshold(const struct muster_script *s, size_t step, size_t i, struct muster_threshold *out)
{
    if (step >= s->script->n_steps || i >= s->script->steps[step].n_rules)
        return MU_EINVAL;
    const struct mu_rule *rule = &s->script->steps[step].rules[i];
    const struct mu_threshold *th = &rule->th;
    *out = (struct muster_threshold){.metric = th->metric,
                                     .unit = th->unit ? th->unit : "",
                                     .has_min = th->has_min,
                                     .has_max = th->has_max,
                                     .min_open = th->min_open,
                                     .max_open = th->max_open,
                                     .min = th->min,
                                     .max = th->max,
                                     .some = rule->n_where > 0,
                                     .peers = th->peers.on,
                                     .history = th->history.on};
    return 0;
}
