#include "inventory/ansible.h"

#include <stdlib.h>
#include <string.h>

int mu_ansible_new(struct mu_ansible **out, struct mu_inventory *inv)
{
    struct mu_ansible *a = calloc(1, sizeof *a);
    struct mu_place nowhere = {0};
    uint32_t all, ungrouped;

    *out = a;
    if (!a)
        return MU_ENOMEM;
    a->inv = inv;
    if (mu_ansible_group(a, MU_GROUP_ALL, nowhere, &all, NULL) < 0 ||
        mu_ansible_group(a, MU_GROUP_UNGROUPED, nowhere, &ungrouped, NULL) < 0 ||
        mu_ansible_child(a, all, ungrouped, nowhere, NULL) < 0) {
        mu_ansible_free(a);
        *out = NULL;
        return MU_ENOMEM;
    }
    return 0;
}

void mu_ansible_free(struct mu_ansible *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->hosts.n; i++) {
        mu_avars_clear(&a->host[i].vars);
        free(a->host[i].groups.at);
    }
    for (size_t i = 0; i < a->groups.n; i++) {
        mu_avars_clear(&a->group[i].vars);
        free(a->group[i].children.at);
        free(a->group[i].parents.at);
        free(a->group[i].hosts.at);
    }
    mu_vars_dirs_free(a->dirs);
    mu_layers_free(a->layers);
    mu_names_free(&a->hosts);
    mu_names_free(&a->groups);
    mu_names_free(&a->vars);
    free(a->host);
    free(a->group);
    free(a);
}

/* ---- lists ---- */

int mu_numbers_add(struct mu_numbers *list, uint32_t number)
{
    if (list->n == list->cap) {
        uint32_t cap = list->cap ? list->cap * 2 : 2;
        uint32_t *at = reallocarray(list->at, cap, sizeof *at);
        if (!at)
            return MU_ENOMEM;
        list->at = at;
        list->cap = cap;
    }
    list->at[list->n++] = number;
    return 0;
}

bool mu_numbers_has(const struct mu_numbers *list, uint32_t number)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (list->at[i] == number)
            return true;
    return false;
}

void mu_avars_clear(struct mu_avars *vars)
{
    for (uint32_t i = 0; i < vars->n; i++)
        json_decref(vars->at[i].value);
    free(vars->at);
    *vars = (struct mu_avars){0};
}

int mu_avars_add(struct mu_ansible *a, struct mu_avars *vars, const char *name, json_t *value, struct mu_place place)
{
    size_t number;

    if (mu_names_add(&a->vars, name, strlen(name), &number) < 0)
        return MU_ENOMEM;
    if (vars->n == vars->cap) {
        uint32_t cap = vars->cap ? vars->cap * 2 : 2;
        struct mu_avar *at = reallocarray(vars->at, cap, sizeof *at);
        if (!at)
            return MU_ENOMEM;
        vars->at = at;
        vars->cap = cap;
    }
    vars->at[vars->n++] =
        (struct mu_avar){(uint32_t)number, (uint32_t)place.line, json_incref(value), place.source};
    return 0;
}

static int by_name(const void *pa, const void *pb)
{
    const struct mu_avar *a = pa, *b = pb;

    return a->name < b->name ? -1 : a->name > b->name;
}

/* Merge sort, since equal names must stay in order. scratch holds as many. */
static void sort(struct mu_avar *at, struct mu_avar *scratch, size_t n)
{
    size_t half = n / 2, i = 0, j = half, k = 0;

    if (n < 2)
        return;
    sort(at, scratch, half);
    sort(at + half, scratch, n - half);
    while (i < half && j < n)
        scratch[k++] = by_name(&at[i], &at[j]) <= 0 ? at[i++] : at[j++];
    while (i < half)
        scratch[k++] = at[i++];
    memcpy(at, scratch, k * sizeof *at); /* the rest is in its place */
}

int mu_avars_settle(struct mu_avars *vars)
{
    struct mu_avar *scratch;
    uint32_t n = 0;

    if (vars->n < 2)
        return 0;
    scratch = calloc(vars->n, sizeof *scratch);
    if (!scratch)
        return MU_ENOMEM;
    sort(vars->at, scratch, vars->n);
    free(scratch);
    for (uint32_t i = 0; i < vars->n; i++) {
        if (i + 1 < vars->n && vars->at[i].name == vars->at[i + 1].name)
            json_decref(vars->at[i].value);
        else
            vars->at[n++] = vars->at[i];
    }
    vars->n = n;
    return 0;
}

/* ---- what readers say ---- */

static int no_memory(struct mu_err *err)
{
    return mu_err_set(err, MU_ENOMEM, "out of memory");
}

static int fit(void *array, size_t size, size_t n, size_t *cap)
{
    void **p = array;
    size_t more = *cap ? *cap * 2 : 16;
    char *grown;

    if (n <= *cap)
        return 0;
    grown = reallocarray(*p, more, size);
    if (!grown)
        return MU_ENOMEM;
    memset(grown + *cap * size, 0, (more - *cap) * size);
    *p = grown;
    *cap = more;
    return 0;
}

int mu_ansible_group(struct mu_ansible *a, const char *name, struct mu_place place, uint32_t *number, struct mu_err *err)
{
    size_t i;
    int rc;

    (void)place;
    if (!*name)
        return mu_err_set(err, MU_EINVAL, "a group has an empty name");
    if (fit(&a->group, sizeof *a->group, a->groups.n + 1, &a->group_cap) < 0 ||
        (rc = mu_names_add(&a->groups, name, strlen(name), &i)) < 0)
        return no_memory(err);
    if (rc == 1)
        a->group[i].priority = 1;
    *number = (uint32_t)i;
    return 0;
}

int mu_ansible_host(struct mu_ansible *a, const char *name, struct mu_place place, uint32_t group, long port,
                    uint32_t *number, struct mu_err *err)
{
    struct mu_ahost *host;
    size_t i;
    int rc;

    if (!*name)
        return mu_err_set(err, MU_EINVAL, "a host has an empty name");
    if (fit(&a->host, sizeof *a->host, a->hosts.n + 1, &a->host_cap) < 0 ||
        (rc = mu_names_add(&a->hosts, name, strlen(name), &i)) < 0)
        return no_memory(err);
    host = &a->host[i];
    *number = (uint32_t)i;
    if (rc == 1) {
        json_t *value = port ? json_integer(port) : NULL;
        host->place = place;
        rc = value ? mu_avars_add(a, &host->vars, "ansible_port", value, place) : 0;
        json_decref(value);
        if (rc < 0)
            return no_memory(err);
    }
    if (mu_numbers_has(&host->groups, group))
        return 0;
    if (mu_numbers_add(&host->groups, group) < 0 || mu_numbers_add(&a->group[group].hosts, (uint32_t)i) < 0)
        return no_memory(err);
    return 0;
}

int mu_ansible_above(const struct mu_ansible *a, uint32_t group, struct mu_numbers *out)
{
    if (!mu_numbers_has(out, group) && mu_numbers_add(out, group) < 0)
        return MU_ENOMEM;
    for (uint32_t i = 0; i < out->n; i++) {
        const struct mu_numbers *parents = &a->group[out->at[i]].parents;
        for (uint32_t j = 0; j < parents->n; j++)
            if (!mu_numbers_has(out, parents->at[j]) && mu_numbers_add(out, parents->at[j]) < 0)
                return MU_ENOMEM;
    }
    return 0;
}

int mu_ansible_child(struct mu_ansible *a, uint32_t parent, uint32_t child, struct mu_place place, struct mu_err *err)
{
    struct mu_numbers above = {0};
    struct mu_quoted p, c;
    bool loop;

    (void)place;
    if (mu_numbers_has(&a->group[child].parents, parent))
        return 0;
    if (mu_ansible_above(a, parent, &above) < 0) {
        free(above.at);
        return no_memory(err);
    }
    loop = mu_numbers_has(&above, child) || child == MU_ALL; /* all is above every group */
    free(above.at);
    if (loop)
        return mu_err_set(err, MU_EINVAL, "group \"%s\" cannot be below \"%s\": it is above it already",
                          mu_quote(&c, a->groups.at[child], strlen(a->groups.at[child])),
                          mu_quote(&p, a->groups.at[parent], strlen(a->groups.at[parent])));
    if (mu_numbers_add(&a->group[parent].children, child) < 0 || mu_numbers_add(&a->group[child].parents, parent) < 0)
        return no_memory(err);
    return 0;
}

int mu_ansible_host_var(struct mu_ansible *a, uint32_t host, const char *name, json_t *value, struct mu_place place,
                        struct mu_err *err)
{
    const char *host_name = a->hosts.at[host];
    size_t group;

    if (mu_names_find(&a->groups, host_name, strlen(host_name), &group)) /* as Ansible does it */
        return mu_ansible_group_var(a, (uint32_t)group, name, value, place, err);
    return mu_avars_add(a, &a->host[host].vars, name, value, place) < 0 ? no_memory(err) : 0;
}

int mu_ansible_group_var(struct mu_ansible *a, uint32_t group, const char *name, json_t *value, struct mu_place place,
                         struct mu_err *err)
{
    const char *text = json_string_value(value);
    struct mu_quoted q;
    char *end = NULL;

    if (strcmp(name, "ansible_group_priority") != 0)
        return mu_avars_add(a, &a->group[group].vars, name, value, place) < 0 ? no_memory(err) : 0;
    if (json_is_integer(value))
        a->group[group].priority = json_integer_value(value);
    else if (json_is_real(value))
        a->group[group].priority = (long long)json_real_value(value);
    else if (json_is_boolean(value))
        a->group[group].priority = json_is_true(value);
    else if (text && *text && (a->group[group].priority = strtoll(text, &end, 10), !*end))
        return 0;
    else
        return mu_err_set(err, MU_EINVAL, "ansible_group_priority of group \"%s\" is not a number",
                          mu_quote(&q, a->groups.at[group], strlen(a->groups.at[group])));
    return 0;
}
