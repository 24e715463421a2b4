/* Conditions of a rule, and what a server's variables say to them. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "run/rules.h"

static bool is_one_of(const struct mu_condition *c, const char *text, size_t len)
{
    for (size_t i = 0; i < c->n_values; i++)
        if (strlen(c->values[i]) == len && !memcmp(c->values[i], text, len))
            return true;
    return false;
}

static bool in_list(const struct mu_condition *c, const char *json)
{
    json_t *list = json_loads(json, JSON_DECODE_ANY, NULL), *item;
    bool found = false;
    size_t i;
    json_array_foreach(list, i, item) {
        found = found || (json_is_string(item) && is_one_of(c, json_string_value(item), strlen(json_string_value(item))));
    }
    json_decref(list);
    return found;
}

/* The one place that knows where a server's groups are. */
static bool in_group(const struct mu_condition *c, const struct mu_server *srv)
{
    const struct mu_var *var = mu_server_var(srv, MU_GROUPS_VARIABLE);
    if (!var)
        return false;
    if (var->type == MU_VAR_JSON)
        return in_list(c, var->str);
    for (const char *p = var->type == MU_VAR_STR ? var->str : ""; *p;) {
        p += strspn(p, ", \t");
        size_t n = strcspn(p, ","), word = n;
        while (word && strchr(" \t", p[word - 1]))
            word--;
        if (word && is_one_of(c, p, word))
            return true;
        p += n;
    }
    return false;
}

bool mu_condition_holds(const struct mu_condition *c, const struct mu_server *srv)
{
    if (!strcmp(c->name, MU_CONDITION_GROUP))
        return in_group(c, srv);
    const struct mu_var *var = mu_server_var(srv, c->name);
    struct mu_buf text = MU_BUF_INIT;
    if (!var)
        return false;
    if (var->str)
        return is_one_of(c, var->str, strlen(var->str));
    mu_var_text(var, &text);
    bool holds = !text.failed && is_one_of(c, mu_buf_cstr(&text), text.len);
    mu_buf_free(&text);
    return holds;
}

void mu_rule_clear(struct mu_rule *r)
{
    mu_threshold_clear(&r->th);
    for (size_t i = 0; i < r->n_where; i++) {
        for (size_t j = 0; j < r->where[i].n_values; j++)
            free(r->where[i].values[j]);
        free(r->where[i].values);
        free(r->where[i].name);
    }
    free(r->where);
    r->where = NULL;
    r->n_where = 0;
}
