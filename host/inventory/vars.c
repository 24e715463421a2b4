#include "inventory/internal.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 128

int mu_var_check_name(const char *name, size_t len, struct mu_err *err)
{
    struct mu_quoted q;

    if (len == 0)
        return mu_err_set(err, MU_EINVAL, "a variable has an empty name");
    if (len > NAME_MAX_BYTES)
        return mu_err_set(err, MU_EINVAL, "variable \"%s\" has a name of %zu bytes: the longest is %d",
                          mu_quote(&q, name, len), len, NAME_MAX_BYTES);
    if (mu_server_field(name, len) != MU_SF_NONE || (len == 2 && memcmp(name, "id", 2) == 0))
        return mu_err_set(err, MU_EINVAL, "\"%.*s\" is a field of a server, so no variable can have that name",
                          (int)len, name);
    return mu_check_chars("variable", name, len, true, err);
}

void mu_var_clear(struct mu_var *var)
{
    if (var->shared)
        return;
    free(var->name);
    free(var->str);
}

void mu_vars_free(struct mu_var *vars, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mu_var_clear(&vars[i]);
    free(vars);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct mu_var *)a)->name, ((const struct mu_var *)b)->name);
}

int mu_vars_sort(struct mu_var *vars, size_t n, struct mu_err *err)
{
    struct mu_quoted q;

    if (n < 2)
        return 0;
    qsort(vars, n, sizeof *vars, by_name);
    for (size_t i = 1; i < n; i++)
        if (by_name(&vars[i - 1], &vars[i]) == 0)
            return mu_err_set(err, MU_EINVAL, "\"%s\" is given twice",
                              mu_quote(&q, vars[i].name, strlen(vars[i].name)));
    return 0;
}

size_t mu_vars_position(const struct mu_var *vars, size_t n, const char *name, bool *found)
{
    size_t low = 0, high = n;

    *found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(vars[mid].name, name);
        if (order == 0) {
            *found = true;
            return mid;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct mu_var *mu_server_var(const struct mu_server *srv, const char *name)
{
    bool found;
    size_t i = mu_vars_position(srv->vars, srv->n_vars, name, &found);

    return found ? &srv->vars[i] : NULL;
}

void mu_var_text(const struct mu_var *var, struct mu_buf *out)
{
    switch (var->type) {
    case MU_VAR_STR:
    case MU_VAR_JSON:
        mu_buf_adds(out, var->str);
        break;
    case MU_VAR_INT:
        mu_buf_addf(out, "%lld", var->i);
        break;
    case MU_VAR_NUM:
        mu_buf_add_number(out, var->num);
        break;
    case MU_VAR_BOOL:
        mu_buf_adds(out, var->i ? "true" : "false");
        break;
    }
}

/* The array grows in powers of two, so its length tells its capacity. */
struct mu_var *mu_vars_insert(struct mu_server *srv, size_t i)
{
    if ((srv->n_vars & (srv->n_vars - 1)) == 0) {
        size_t cap = srv->n_vars ? srv->n_vars * 2 : 1;
        struct mu_var *vars = reallocarray(srv->vars, cap, sizeof *vars);
        if (!vars)
            return NULL;
        srv->vars = vars;
    }
    memmove(&srv->vars[i + 1], &srv->vars[i], (srv->n_vars - i) * sizeof *srv->vars);
    memset(&srv->vars[i], 0, sizeof *srv->vars);
    srv->n_vars++;
    return &srv->vars[i];
}

int mu_vars_merge(struct mu_server *srv, const struct mu_var *defaults, size_t n)
{
    struct mu_var *all;
    size_t cap = 1, own = 0, def = 0, n_all = 0;

    if (n == 0)
        return 0;
    while (cap < srv->n_vars + n)
        cap *= 2; /* as mu_vars_insert() expects it */
    all = calloc(cap, sizeof *all);
    if (!all)
        return MU_ENOMEM;
    while (own < srv->n_vars || def < n) {
        int order;

        if (own == srv->n_vars)
            order = 1;
        else if (def == n)
            order = -1;
        else
            order = strcmp(srv->vars[own].name, defaults[def].name);
        if (order > 0) {
            all[n_all] = defaults[def++];
            all[n_all++].shared = true;
            continue;
        }
        all[n_all++] = srv->vars[own++];
        if (order == 0)
            def++;
    }
    free(srv->vars);
    srv->vars = all;
    srv->n_vars = n_all;
    return 0;
}

json_t *mu_var_json(const struct mu_var *v)
{
    switch (v->type) {
    case MU_VAR_STR:
        return json_string(v->str);
    case MU_VAR_INT:
        return json_integer(v->i);
    case MU_VAR_NUM:
        return json_real(v->num);
    case MU_VAR_BOOL:
        return json_boolean(v->i);
    case MU_VAR_JSON:
        return json_loads(v->str, JSON_DECODE_ANY, NULL);
    }
    return NULL;
}
