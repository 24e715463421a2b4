/* Conditions of a rule, and what a server's variables say to them. */
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

static int one_of_them(void *arg, const char *name, size_t len) { return is_one_of(arg, name, len); }

static int any(void *arg, const char *name, size_t len)
{
    (void)arg, (void)name, (void)len;
    return 1;
}

static bool in_group(const struct mu_condition *c, const struct mu_server *srv)
{
    if (mu_server_each_group(srv, one_of_them, (void *)c) > 0 || is_one_of(c, MU_GROUP_ALL, strlen(MU_GROUP_ALL)))
        return true;
    return is_one_of(c, MU_GROUP_UNGROUPED, strlen(MU_GROUP_UNGROUPED)) && !mu_server_each_group(srv, any, NULL);
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
