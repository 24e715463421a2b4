#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/internal.h"

/* ---- the groups of one server ---- */

typedef int each_fn(void *arg, const char *name, size_t len);

static int each_word(const char *text, each_fn *fn, void *arg)
{
    static const char between[] = ", \t";
    int rc = 0;

    for (text += strspn(text, between); *text && !rc; text += strspn(text, between)) {
        size_t n = strcspn(text, between);
        rc = fn(arg, text, n);
        text += n;
    }
    return rc;
}

/* A name in a list may have blanks. */
static int each_item(const char *json, each_fn *fn, void *arg)
{
    json_t *list = json_loads(json, JSON_DECODE_ANY, NULL), *item;
    int rc = list ? 0 : MU_ENOMEM; /* we wrote it */
    size_t i;

    json_array_foreach(list, i, item) {
        if (json_is_string(item) && json_string_length(item))
            rc = fn(arg, json_string_value(item), json_string_length(item));
        else if (json_is_integer(item)) {
            char number[32];
            rc = fn(arg, number, (size_t)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(item)));
        }
        if (rc)
            break;
    }
    json_decref(list);
    return rc;
}

int mu_server_each_group(const struct mu_server *srv, each_fn *fn, void *arg)
{
    const struct mu_var *var = srv->grouped ? NULL : mu_server_var(srv, MU_GROUPS_VARIABLE);
    int rc = 0;

    for (size_t i = 0; i < srv->n_groups && !rc; i++)
        rc = fn(arg, srv->groups[i], strlen(srv->groups[i]));
    if (rc || !var)
        return rc;
    if (var->type == MU_VAR_STR)
        return each_word(var->str, fn, arg);
    if (var->type == MU_VAR_JSON)
        return each_item(var->str, fn, arg);
    if (var->type == MU_VAR_INT) {
        char number[32];
        return fn(arg, number, (size_t)snprintf(number, sizeof number, "%lld", var->i));
    }
    return 0;
}

/* ---- the index ---- */

void mu_groups_clear(struct mu_group_index *index)
{
    if (!index->fresh)
        return;
    mu_names_free(&index->names);
    free(index->groups);
    free(index->members);
    *index = (struct mu_group_index){0};
}

int mu_inventory_say_group(struct mu_inventory *inv, const char *name, size_t *number)
{
    mu_groups_clear(inv->groups);
    return mu_names_add(&inv->said, name, strlen(name), number) < 0 ? MU_ENOMEM : 0;
}

/* Where a server's groups are gathered: pairs of a group and a server, in the order of servers. */
struct gathering {
    struct mu_names *names;
    struct pair {
        uint32_t group, server;
    } *pairs;
    size_t n, cap;
    uint32_t server;
    bool grouped; /* it is in a group of its own */
};

static int gather_number(struct gathering *g, size_t number)
{
    if (g->n == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 256;
        struct pair *pairs = reallocarray(g->pairs, cap, sizeof *pairs);
        if (!pairs)
            return MU_ENOMEM;
        g->pairs = pairs;
        g->cap = cap;
    }
    g->pairs[g->n++] = (struct pair){(uint32_t)number, g->server};
    return 0;
}

static int gather(void *arg, const char *name, size_t len)
{
    struct gathering *g = arg;
    size_t number;

    if (mu_names_add(g->names, name, len, &number) < 0)
        return MU_ENOMEM;
    if (number < 2) /* said of itself: it is in all anyway, and in ungrouped only when in no other */
        return 0;
    g->grouped = true;
    return gather_number(g, number);
}

/* Pairs into members, a group after the other: counted first, then filled. A server may have said a group twice. */
static int fill(struct mu_group_index *index, const struct gathering *g)
{
    size_t n_groups = index->names.n, at = 0;
    size_t *counts = calloc(n_groups, sizeof *counts);

    index->groups = calloc(n_groups, sizeof *index->groups);
    index->members = calloc(g->n + 1, sizeof *index->members);
    if (!counts || !index->groups || !index->members) {
        free(counts);
        return MU_ENOMEM;
    }
    for (size_t i = 0; i < g->n; i++)
        counts[g->pairs[i].group]++;
    for (size_t i = 0; i < n_groups; i++) {
        index->groups[i] = (struct mu_group){index->names.at[i], index->members + at, 0};
        at += counts[i];
    }
    for (size_t i = 0; i < g->n; i++) {
        struct mu_group *group = &index->groups[g->pairs[i].group];
        size_t *members = index->members + (group->members - index->members);
        if (group->n_members && members[group->n_members - 1] == g->pairs[i].server)
            continue;
        members[group->n_members++] = g->pairs[i].server;
    }
    free(counts);
    return 0;
}

static int make(const struct mu_inventory *inv)
{
    struct mu_group_index *index = inv->groups;
    struct gathering g = {.names = &index->names};
    size_t number;
    int rc = 0;

    index->fresh = true; /* so that a failure is cleared as well */
    if (mu_names_add(g.names, MU_GROUP_ALL, strlen(MU_GROUP_ALL), &number) < 0 ||
        mu_names_add(g.names, MU_GROUP_UNGROUPED, strlen(MU_GROUP_UNGROUPED), &number) < 0)
        rc = MU_ENOMEM;
    for (size_t i = 0; i < inv->said.n && rc >= 0; i++)
        rc = mu_names_add(g.names, inv->said.at[i], strlen(inv->said.at[i]), &number);
    for (size_t i = 0; i < inv->n && rc >= 0; i++) {
        g.server = (uint32_t)i;
        g.grouped = false;
        rc = gather_number(&g, 0);
        if (rc >= 0)
            rc = mu_server_each_group(&inv->entries[i]->srv, gather, &g);
        if (rc >= 0 && !g.grouped)
            rc = gather_number(&g, 1);
    }
    if (rc >= 0)
        rc = fill(index, &g);
    free(g.pairs);
    if (rc < 0)
        mu_groups_clear(index);
    return rc < 0 ? MU_ENOMEM : 0;
}

int mu_inventory_groups_ready(const struct mu_inventory *inv, struct mu_err *err)
{
    if (!inv->groups->fresh && make(inv) < 0)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    return 0;
}

const struct mu_group *mu_inventory_group(const struct mu_inventory *inv, const char *name)
{
    size_t number;

    if (mu_inventory_groups_ready(inv, NULL) < 0 || !mu_names_find(&inv->groups->names, name, strlen(name), &number))
        return NULL;
    return &inv->groups->groups[number];
}

size_t mu_inventory_group_count(const struct mu_inventory *inv)
{
    return mu_inventory_groups_ready(inv, NULL) < 0 ? 0 : inv->groups->names.n;
}

const struct mu_group *mu_inventory_group_at(const struct mu_inventory *inv, size_t i)
{
    return i < mu_inventory_group_count(inv) ? &inv->groups->groups[i] : NULL;
}
