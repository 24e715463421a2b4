/* Ansible's YAML inventories: groups with hosts, vars and children. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "inventory/ansible.h"

struct groups {
    struct mu_ansible *a;
    const struct mu_source *source;
    struct mu_err *err;
};

static int bad(struct groups *g, const struct mu_tree *at, const char *what, const char *name, const char *more)
{
    struct mu_quoted q;

    return mu_err_set(g->err, MU_EINVAL, "%s:%u: %s \"%s\" %s", g->source->name, at->line, what,
                      mu_quote(&q, name, strlen(name)), more);
}

/* Complete an error of the model's, or of a word, with its place. */
static int at_line(struct groups *g, size_t line, int rc)
{
    if (rc < 0 && rc != MU_ENOMEM)
        mu_err_prefix(g->err, "%s:%zu", g->source->name, line);
    return rc;
}

/* ---- variables ---- */

static int set_vars(struct groups *g, const struct mu_tree *vars, bool host, uint32_t which)
{
    int rc = 0;

    for (size_t i = 0; i < vars->n && !rc; i++) {
        struct mu_place place = {g->source, vars->key_lines[i]};
        json_t *value = mu_tree_json(vars->at[i]);
        if (!value)
            return mu_err_set(g->err, MU_ENOMEM, "out of memory");
        rc = host ? mu_ansible_host_var(g->a, which, vars->keys.at[i], value, place, g->err)
                  : mu_ansible_group_var(g->a, which, vars->keys.at[i], value, place, g->err);
        rc = at_line(g, place.line, rc);
        json_decref(value);
    }
    return rc;
}

/* ---- hosts ---- */

struct host_key {
    struct groups *g;
    const struct mu_tree *vars; /* NULL: none */
    uint32_t group;
    size_t line;
};

static int one_host(void *arg, const char *name, long port)
{
    struct host_key *k = arg;
    struct mu_place place = {k->g->source, k->line};
    uint32_t host;
    int rc = mu_ansible_host(k->g->a, name, place, k->group, port, &host, k->g->err);

    if (rc)
        return at_line(k->g, k->line, rc);
    return k->vars ? set_vars(k->g, k->vars, true, host) : 0;
}

static bool nothing(const struct mu_tree *node)
{
    return node->kind == MU_TREE_LEAF ? json_is_null(node->leaf) || json_is_false(node->leaf) ||
                                            (json_is_string(node->leaf) && !json_string_length(node->leaf)) ||
                                            (json_is_integer(node->leaf) && !json_integer_value(node->leaf))
                                      : node->n == 0;
}

static int read_hosts(struct groups *g, const struct mu_tree *hosts, uint32_t group)
{
    struct mu_err e = {0};
    int rc = 0;

    for (size_t i = 0; i < hosts->n && !rc; i++) {
        const char *name = hosts->keys.at[i];
        struct host_key k = {g, nothing(hosts->at[i]) ? NULL : hosts->at[i], group, hosts->key_lines[i]};
        const struct mu_tree here = {.line = hosts->key_lines[i]};
        if (!hosts->key_texts[i])
            return bad(g, &here, "the host", name, "is a number or the like: put it in quotes");
        if (k.vars && k.vars->kind != MU_TREE_MAP)
            return bad(g, k.vars, "the variables of host", name, "are no mapping (name: value)");
        struct mu_err *mine = g->err;
        g->err = &e; /* what the range has to say lacks its place, what is below has it */
        rc = mu_hosts_expand(name, one_host, &k, &e);
        g->err = mine;
        if (rc && e.code && !strstr(e.msg, g->source->name) && rc != MU_ENOMEM)
            mu_err_prefix(&e, "%s:%zu", g->source->name, k.line);
        if (rc && g->err)
            *g->err = e;
    }
    return rc;
}

/* ---- groups ---- */

static int read_group(struct groups *g, const struct mu_tree *map, size_t i, uint32_t *out, bool *is_group);

static int read_children(struct groups *g, const struct mu_tree *children, uint32_t parent)
{
    int rc = 0;

    for (size_t i = 0; i < children->n && !rc; i++) {
        struct mu_place place = {g->source, children->key_lines[i]};
        uint32_t child;
        bool is_group;
        rc = read_group(g, children, i, &child, &is_group);
        if (!rc && is_group)
            rc = at_line(g, place.line, mu_ansible_child(g->a, parent, child, place, g->err));
    }
    return rc;
}

/* A section may be a word, which stands for a mapping with that one key. */
static int section(struct groups *g, const char *group, const struct mu_tree *node, const char *key, uint32_t number)
{
    struct mu_tree_doc doc = {0};
    const struct mu_tree *map = node;
    int rc;

    if (node->kind == MU_TREE_LEAF && json_is_string(node->leaf)) {
        struct mu_tree *made = mu_tree_node(&doc, MU_TREE_MAP, node->line), *value = mu_tree_node(&doc, MU_TREE_LEAF, node->line);
        if (value)
            value->leaf = json_null();
        if (!made || !value ||
            mu_tree_set(made, json_string_value(node->leaf), json_string_length(node->leaf), true, node->line, value) < 0) {
            mu_tree_free(&doc);
            return mu_err_set(g->err, MU_ENOMEM, "out of memory");
        }
        map = made;
    }
    if (map->kind != MU_TREE_MAP)
        rc = mu_err_set(g->err, MU_EINVAL, "%s:%u: \"%s\" is %s, and it has to be a mapping (each with a colon behind)",
                        g->source->name, node->line, key, mu_tree_kind_name(node));
    else if (strcmp(key, "vars") == 0)
        rc = set_vars(g, map, false, number);
    else if (strcmp(key, "children") == 0)
        rc = read_children(g, map, number);
    else
        rc = read_hosts(g, map, number);
    (void)group;
    mu_tree_free(&doc);
    return rc;
}

static int read_group(struct groups *g, const struct mu_tree *map, size_t i, uint32_t *out, bool *is_group)
{
    const char *name = map->keys.at[i];
    const struct mu_tree *node = map->at[i];
    const struct mu_tree here = {.line = map->key_lines[i]};
    struct mu_place place = {g->source, map->key_lines[i]};
    struct mu_quoted q, k;
    int rc;

    *is_group = node->kind == MU_TREE_MAP || mu_tree_is_null(node);
    mu_quote(&q, name, strlen(name));
    if (!*is_group) {
        mu_log(MU_WARNING, "%s:%u: \"%s\" is no group but %s: left out.", g->source->name, here.line, q.text,
               mu_tree_kind_name(node));
        return 0;
    }
    if (!map->key_texts[i])
        return bad(g, &here, "the group", name, "is a number or the like: put it in quotes");
    rc = at_line(g, place.line, mu_ansible_group(g->a, name, place, out, g->err));
    for (size_t j = 0; j < node->n && !rc && node->kind == MU_TREE_MAP; j++) {
        const char *key = node->keys.at[j];
        bool known = strcmp(key, "vars") == 0 || strcmp(key, "children") == 0 || strcmp(key, "hosts") == 0;
        if (!known)
            mu_log(MU_WARNING, "%s:%u: \"%s\" of group \"%s\" is not hosts, vars or children: left out.", g->source->name,
                   node->key_lines[j], mu_quote(&k, key, strlen(key)), q.text);
        else if (!mu_tree_is_null(node->at[j]))
            rc = section(g, name, node->at[j], key, *out);
    }
    return rc;
}

int mu_ansible_read_yaml(struct mu_ansible *a, const struct mu_source *source, const char *text, size_t len,
                         struct mu_err *err)
{
    struct groups g = {a, source, err};
    struct mu_tree_doc doc;
    const struct mu_tree *plugin;
    struct mu_quoted q;
    uint32_t group;
    bool is_group;
    int rc = mu_tree_parse(&doc, source->name, text, len, err);

    if (rc < 0)
        return rc;
    plugin = doc.root && doc.root->kind == MU_TREE_MAP ? mu_tree_get(doc.root, "plugin") : NULL;
    if (!doc.root || nothing(doc.root))
        rc = mu_err_set(err, MU_EINVAL, "%s is empty: no groups in it", source->name);
    else if (doc.root->kind != MU_TREE_MAP)
        rc = mu_err_set(err, MU_EINVAL, "%s:%u: an inventory is a mapping with groups in it, not %s", source->name,
                        doc.root->line, mu_tree_kind_name(doc.root));
    else if (plugin && plugin->kind == MU_TREE_LEAF && json_is_string(plugin->leaf))
        rc = mu_err_set(err, MU_EINVAL, "%s:%u: this configures Ansible's inventory plugin %s, which only Ansible runs: give a "
                        "program that runs ansible-inventory -i %s --list", source->name, plugin->line,
                        mu_quote(&q, json_string_value(plugin->leaf), json_string_length(plugin->leaf)), source->name);
    for (size_t i = 0; !rc && i < doc.root->n; i++)
        rc = read_group(&g, doc.root, i, &group, &is_group);
    mu_tree_free(&doc);
    return rc;
}
