/* An inventory in the forms of ansible-inventory. */
#include <stdlib.h>
#include <string.h>

#include "inventory/ansible.h"

/* ---- variables ---- */

static bool set_text(json_t *o, const char *name, const char *text)
{
    return !text || json_object_get(o, name) || json_object_set_new(o, name, json_string(text)) == 0;
}

/* Fields of our own inventories have the names that Ansible has for them. */
static bool add_fields(const struct mu_server *srv, json_t *o)
{
    return (strcmp(srv->id, srv->address) == 0 || set_text(o, "ansible_host", srv->address)) &&
           set_text(o, "ansible_user", srv->user) && set_text(o, "ansible_ssh_private_key_file", srv->key) &&
           set_text(o, "ansible_ssh_common_args", srv->ssh_args) &&
           set_text(o, "ansible_connection", srv->local ? "local" : NULL) &&
           (!srv->port || json_object_set_new(o, "ansible_port", json_integer(srv->port)) == 0);
}

static json_t *vars_of(const struct mu_server *srv)
{
    json_t *o = json_object();
    bool ok = o != NULL;

    for (size_t i = 0; ok && i < srv->n_vars; i++)
        ok = json_object_set_new(o, srv->vars[i].name, mu_var_json(&srv->vars[i])) == 0;
    if (ok && !srv->grouped)
        ok = add_fields(srv, o);
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

static int write(json_t *o, struct mu_buf *out, struct mu_err *err)
{
    char *text = o ? json_dumps(o, JSON_INDENT(4) | JSON_SORT_KEYS) : NULL;
    int rc = 0;

    if (text)
        mu_buf_adds(out, text);
    mu_buf_addc(out, '\n');
    if (!text || out->failed)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    free(text);
    json_decref(o);
    return rc;
}

int mu_inventory_show_server(const struct mu_server *srv, struct mu_buf *out, struct mu_err *err)
{
    return write(vars_of(srv), out, err);
}

/* ---- the tree of groups ---- */

/* Children and servers of each group of the index, by its number there; in pairs, a group after the other. */
struct list {
    size_t *at;
    size_t n, cap;
};

struct tree {
    const struct mu_inventory *inv;
    size_t n;
    struct list *children, *servers; /* that are in it itself, not in one below */
};

static int add(struct list *l, size_t what)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 4;
        size_t *at = reallocarray(l->at, cap, sizeof *at);
        if (!at)
            return MU_ENOMEM;
        l->at = at;
        l->cap = cap;
    }
    l->at[l->n++] = what;
    return 0;
}

static void tree_free(struct tree *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->children)
            free(t->children[i].at);
        if (t->servers)
            free(t->servers[i].at);
    }
    free(t->children);
    free(t->servers);
}

static size_t number_of(const struct tree *t, const char *name)
{
    size_t number = 0;

    mu_names_find(&t->inv->groups->names, name, strlen(name), &number);
    return number;
}

/* Groups of Ansible's that have no parent are below all, and so are those of our own inventories. */
static int add_groups(struct tree *t)
{
    const struct mu_ansible *a = t->inv->ansible;
    bool *below = calloc(t->n, sizeof *below);
    int rc = below ? 0 : MU_ENOMEM;

    for (size_t g = 0; a && g < a->groups.n && !rc; g++) {
        size_t parent = number_of(t, a->groups.at[g]);
        for (uint32_t i = 0; i < a->group[g].children.n && !rc; i++) {
            size_t child = number_of(t, a->groups.at[a->group[g].children.at[i]]);
            below[child] = true;
            rc = add(&t->children[parent], child);
        }
    }
    for (size_t g = 1; g < t->n && !rc; g++)
        if (!below[g])
            rc = add(&t->children[MU_ALL], g);
    free(below);
    return rc;
}

struct placing {
    struct tree *t;
    const struct mu_server *srv;
    int rc;
    bool grouped;
};

static int place(void *arg, const char *name, size_t len)
{
    struct placing *p = arg;
    struct list *servers;
    size_t number;

    if (!mu_names_find(&p->t->inv->groups->names, name, len, &number) || number <= MU_UNGROUPED)
        return 0;
    servers = &p->t->servers[number];
    p->grouped = true;
    if (servers->n && servers->at[servers->n - 1] == p->srv->index)
        return 0; /* said twice */
    return add(servers, p->srv->index);
}

static int add_servers(struct tree *t)
{
    const struct mu_ansible *a = t->inv->ansible;
    int rc = 0;

    for (size_t g = 2; a && g < a->groups.n && !rc; g++) {
        size_t number = number_of(t, a->groups.at[g]);
        for (uint32_t i = 0; i < a->group[g].hosts.n && !rc; i++)
            rc = add(&t->servers[number], a->host[a->group[g].hosts.at[i]].entry->srv.index);
    }
    for (size_t i = 0; i < t->inv->n && !rc; i++) {
        struct placing p = {.t = t, .srv = &t->inv->entries[i]->srv};
        if (!p.srv->grouped)
            rc = mu_server_each_group(p.srv, place, &p);
        if (!rc && !p.grouped && !p.srv->n_groups)
            rc = add(&t->servers[MU_UNGROUPED], i);
    }
    return rc;
}

static int tree_make(struct tree *t, const struct mu_inventory *inv, struct mu_err *err)
{
    int rc = mu_inventory_groups_ready(inv, err);

    *t = (struct tree){.inv = inv};
    if (rc)
        return rc;
    t->children = calloc(inv->groups->names.n, sizeof *t->children);
    t->servers = calloc(inv->groups->names.n, sizeof *t->servers);
    t->n = inv->groups->names.n;
    rc = t->children && t->servers ? add_groups(t) : MU_ENOMEM;
    if (!rc)
        rc = add_servers(t);
    if (rc) {
        tree_free(t);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    return 0;
}

/* ---- --list ---- */

static bool set_names(json_t *o, const char *key, const struct tree *t, const struct list *l, bool groups)
{
    json_t *names = l->n ? json_array() : NULL;
    bool ok = !l->n || names;

    for (size_t i = 0; ok && i < l->n; i++)
        ok = json_array_append_new(names, json_string(groups ? t->inv->groups->names.at[l->at[i]]
                                                             : t->inv->entries[l->at[i]]->srv.id)) == 0;
    if (ok && names)
        ok = json_object_set(o, key, names) == 0;
    json_decref(names);
    return ok;
}

int mu_inventory_show_list(const struct mu_inventory *inv, struct mu_buf *out, struct mu_err *err)
{
    struct tree t;
    json_t *all = NULL, *vars = NULL;
    bool ok;
    int rc = tree_make(&t, inv, err);

    if (rc)
        return rc;
    all = json_object();
    vars = json_object();
    ok = all && vars;
    for (size_t i = 0; ok && i < t.n; i++) {
        json_t *group = json_object();
        ok = group && set_names(group, "children", &t, &t.children[i], true) &&
             set_names(group, "hosts", &t, &t.servers[i], false);
        if (ok && json_object_size(group))
            ok = json_object_set(all, inv->groups->names.at[i], group) == 0;
        json_decref(group);
    }
    for (size_t i = 0; ok && i < inv->n; i++) {
        json_t *own = vars_of(&inv->entries[i]->srv);
        ok = own && (!json_object_size(own) || json_object_set(vars, inv->entries[i]->srv.id, own) == 0);
        json_decref(own);
    }
    if (ok) {
        json_t *meta = json_pack("{s:O}", "hostvars", vars);
        ok = meta && json_object_set_new(all, "_meta", meta) == 0;
    }
    json_decref(vars);
    tree_free(&t);
    if (!ok) {
        json_decref(all);
        all = NULL;
    }
    return write(all, out, err);
}

/* ---- --graph ---- */

static void indent(struct mu_buf *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        mu_buf_adds(out, "  |");
    mu_buf_adds(out, depth ? "--" : "");
}

static void graph(const struct tree *t, size_t group, unsigned depth, struct mu_buf *out)
{
    const char *name = t->inv->groups->names.at[group];

    indent(out, depth);
    mu_buf_addc(out, '@');
    mu_buf_add_escaped(out, name, strlen(name));
    mu_buf_adds(out, ":\n");
    for (size_t i = 0; i < t->children[group].n; i++)
        graph(t, t->children[group].at[i], depth + 1, out);
    for (size_t i = 0; i < t->servers[group].n; i++) {
        indent(out, depth + 1);
        mu_buf_addf(out, "%s\n", t->inv->entries[t->servers[group].at[i]]->srv.id);
    }
}

int mu_inventory_show_graph(const struct mu_inventory *inv, const char *group, struct mu_buf *out, struct mu_err *err)
{
    struct mu_quoted q;
    struct tree t;
    size_t number;
    int rc = tree_make(&t, inv, err);

    if (rc)
        return rc;
    if (!mu_names_find(&inv->groups->names, group, strlen(group), &number))
        rc = mu_err_set(err, MU_ENOENT, "there is no group \"%s\" in the inventory", mu_quote(&q, group, strlen(group)));
    else
        graph(&t, number, 0, out);
    tree_free(&t);
    return rc || !out->failed ? rc : mu_err_set(err, MU_ENOMEM, "out of memory");
}
