/* Which value of a variable counts, and servers out of hosts.
 *
 * From the weakest: what the inventory's files say of all, of groups (the nearer to all the weaker, then by priority, then
 * by name), then group_vars of all and of groups in the same order, a folder after the other; then the host's own from the
 * inventory's files, then host_vars. Servers in the same groups share the outcome of all but the last two: a layer. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "inventory/ansible.h"

struct mu_layer {
    struct mu_avars vars; /* settled */
    struct mu_var *shown; /* the same as servers have them, sorted by name */
    size_t n_shown;
    const char **groups; /* but all and ungrouped, sorted */
    size_t n_groups;
    size_t n_secrets;
    struct mu_layer *next;
};

struct settling {
    struct mu_ansible *a;
    struct mu_names known; /* the groups of layers, as text */
    struct mu_layer **layers;
    size_t cap;
    uint32_t *mark; /* by group: the last layer that it was gathered for */
    uint32_t round;
    const struct mu_ahost *odd; /* the first with an unknown ansible_connection */
    size_t n_odd;
    struct mu_err *err;
};

static int no_memory(struct settling *s)
{
    return mu_err_set(s->err, MU_ENOMEM, "out of memory");
}

void mu_layers_free(struct mu_layer *layer)
{
    while (layer) {
        struct mu_layer *next = layer->next;
        mu_vars_free(layer->shown, layer->n_shown);
        mu_avars_clear(&layer->vars);
        free(layer->groups);
        free(layer);
        layer = next;
    }
}

/* ---- groups ---- */

/* A group's depth is the longest way from all; those that are below no other are below all. */
static int set_depths(struct settling *s)
{
    struct mu_ansible *a = s->a;
    size_t n = a->groups.n, done = 0, ready = 0;
    uint32_t *left = calloc(n, sizeof *left), *queue = calloc(n, sizeof *queue);

    if (!left || !queue) {
        free(left);
        free(queue);
        return no_memory(s);
    }
    queue[ready++] = MU_ALL;
    a->group[MU_ALL].depth = 0;
    for (uint32_t i = 1; i < n; i++) {
        left[i] = a->group[i].parents.n;
        a->group[i].depth = 1;
        if (!left[i])
            queue[ready++] = i;
    }
    while (done < ready) {
        const struct mu_agroup *g = &a->group[queue[done++]];
        for (uint32_t i = 0; i < g->children.n; i++) {
            struct mu_agroup *child = &a->group[g->children.at[i]];
            if (child->depth < g->depth + 1)
                child->depth = g->depth + 1;
            if (--left[g->children.at[i]] == 0)
                queue[ready++] = g->children.at[i];
        }
    }
    free(left);
    free(queue);
    return 0;
}

/* ---- layers ---- */

static int gather(struct settling *s, uint32_t group, struct mu_numbers *out)
{
    uint32_t from = out->n;

    if (group != MU_ALL && s->mark[group] != s->round) {
        s->mark[group] = s->round;
        if (mu_numbers_add(out, group) < 0)
            return no_memory(s);
    }
    for (uint32_t i = from; i < out->n; i++) {
        const struct mu_numbers *parents = &s->a->group[out->at[i]].parents;
        for (uint32_t j = 0; j < parents->n; j++) {
            uint32_t parent = parents->at[j];
            if (parent == MU_ALL || s->mark[parent] == s->round)
                continue;
            s->mark[parent] = s->round;
            if (mu_numbers_add(out, parent) < 0)
                return no_memory(s);
        }
    }
    return 0;
}

static int by_weight(const void *pa, const void *pb, void *arg)
{
    const struct mu_ansible *a = arg;
    uint32_t x = *(const uint32_t *)pa, y = *(const uint32_t *)pb;
    const struct mu_agroup *gx = &a->group[x], *gy = &a->group[y];

    if (gx->depth != gy->depth)
        return gx->depth < gy->depth ? -1 : 1;
    if (gx->priority != gy->priority)
        return gx->priority < gy->priority ? -1 : 1;
    return strcmp(a->groups.at[x], a->groups.at[y]);
}

static int append(struct settling *s, struct mu_avars *to, const struct mu_avars *from)
{
    if (!from || !from->n)
        return 0;
    s->a->work += from->n;
    while (to->cap < to->n + from->n) {
        uint32_t cap = to->cap ? to->cap * 2 : 8;
        struct mu_avar *at = reallocarray(to->at, cap, sizeof *at);
        if (!at)
            return no_memory(s);
        to->at = at;
        to->cap = cap;
    }
    for (uint32_t i = 0; i < from->n; i++) {
        to->at[to->n] = from->at[i];
        json_incref(to->at[to->n++].value);
    }
    return 0;
}

static int append_files(struct settling *s, struct mu_avars *to, size_t folder, bool host, const char *name)
{
    const struct mu_avars *found;
    int rc = mu_vars_dirs_get(s->a, folder, host, name, &found, s->err);

    return rc ? rc : append(s, to, found);
}

static int merge_groups(struct settling *s, struct mu_layer *layer, const struct mu_numbers *groups)
{
    struct mu_ansible *a = s->a;
    size_t folders = mu_vars_dirs_count(a->dirs);
    int rc = append(s, &layer->vars, &a->group[MU_ALL].vars);

    for (uint32_t i = 0; i < groups->n && !rc; i++)
        rc = append(s, &layer->vars, &a->group[groups->at[i]].vars);
    for (size_t f = 0; f < folders && !rc; f++)
        rc = append_files(s, &layer->vars, f, false, MU_GROUP_ALL);
    for (size_t f = 0; f < folders && !rc; f++)
        for (uint32_t i = 0; i < groups->n && !rc; i++)
            rc = append_files(s, &layer->vars, f, false, a->groups.at[groups->at[i]]);
    if (!rc && mu_avars_settle(&layer->vars) < 0)
        rc = no_memory(s);
    return rc;
}

/* As servers have them, sorted; passwords are left out. */
static int show(struct settling *s, const struct mu_avars *vars, struct mu_var **out, size_t *n, size_t *n_secrets)
{
    size_t cap = 1;

    *n_secrets = 0;
    while (cap < vars->n)
        cap *= 2; /* as mu_vars_insert() expects it */
    *out = calloc(cap, sizeof **out);
    if (!*out)
        return no_memory(s);
    for (uint32_t i = 0; i < vars->n; i++) {
        const char *name = s->a->vars.at[vars->at[i].name];
        if (mu_connection_is_secret(name))
            ++*n_secrets;
        else if (mu_var_from_json(&(*out)[(*n)++], name, vars->at[i].value) < 0)
            return no_memory(s);
    }
    return mu_vars_sort(*out, *n, s->err);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int name_groups(struct settling *s, struct mu_layer *layer, const struct mu_numbers *groups)
{
    layer->groups = calloc(groups->n + 1, sizeof *layer->groups);
    if (!layer->groups)
        return no_memory(s);
    for (uint32_t i = 0; i < groups->n; i++)
        if (groups->at[i] != MU_UNGROUPED)
            layer->groups[layer->n_groups++] = s->a->groups.at[groups->at[i]];
    qsort(layer->groups, layer->n_groups, sizeof *layer->groups, by_text);
    return 0;
}

static int make_layer(struct settling *s, const struct mu_numbers *direct, struct mu_layer *layer)
{
    struct mu_numbers groups = {0};
    int rc = 0;

    s->round++;
    for (uint32_t i = 0; i < direct->n && !rc; i++)
        rc = gather(s, direct->at[i], &groups);
    if (groups.n > 1)
        qsort_r(groups.at, groups.n, sizeof *groups.at, by_weight, s->a);
    s->a->work += groups.n;
    if (!rc)
        rc = merge_groups(s, layer, &groups);
    if (!rc)
        rc = name_groups(s, layer, &groups);
    if (!rc)
        rc = show(s, &layer->vars, &layer->shown, &layer->n_shown, &layer->n_secrets);
    free(groups.at);
    return rc;
}

/* The groups that name the host, but ungrouped when there are others, and it alone when there is none. */
static int direct_groups(struct settling *s, const struct mu_ahost *host, struct mu_numbers *out)
{
    static const uint32_t ungrouped = MU_UNGROUPED;
    bool other = false;
    int rc = 0;

    out->n = 0;
    for (uint32_t i = 0; i < host->groups.n && !rc; i++) {
        if (host->groups.at[i] <= MU_UNGROUPED)
            continue;
        other = true;
        rc = mu_numbers_add(out, host->groups.at[i]);
    }
    if (!rc && !other)
        rc = mu_numbers_add(out, ungrouped);
    return rc < 0 ? no_memory(s) : 0;
}

static int layer_of(struct settling *s, const struct mu_ahost *host, struct mu_layer **out)
{
    struct mu_numbers direct = {0};
    struct mu_layer *layer = NULL;
    size_t i;
    int rc = direct_groups(s, host, &direct), there;

    if (rc)
        goto out;
    s->a->work += direct.n;
    /* Numbers as bytes would hold zeros, which ends names: a digit string does for a key. */
    struct mu_buf key = MU_BUF_INIT;
    for (uint32_t k = 0; k < direct.n; k++)
        mu_buf_addf(&key, "%x,", direct.at[k]);
    there = key.failed ? MU_ENOMEM : mu_names_add(&s->known, mu_buf_cstr(&key), key.len, &i);
    mu_buf_free(&key);
    if (there == 0) {
        *out = s->layers[i];
        goto out;
    }
    if (there == 1 && i >= s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 64;
        struct mu_layer **more = reallocarray(s->layers, cap, sizeof(struct mu_layer *));
        there = more ? 1 : MU_ENOMEM;
        s->layers = more ? more : s->layers;
        s->cap = more ? cap : s->cap;
    }
    layer = there == 1 ? calloc(1, sizeof *layer) : NULL;
    if (!layer) {
        rc = no_memory(s);
        goto out;
    }
    layer->next = s->a->layers;
    s->a->layers = *out = s->layers[i] = layer;
    rc = make_layer(s, &direct, layer);
out:
    free(direct.at);
    return rc;
}

/* ---- servers ---- */

/* Its server, as new: in a later settling it is there already. */
static int server_of(struct settling *s, struct mu_ahost *host, const char *name, struct mu_server **out)
{
    struct mu_server *srv = host->entry ? &host->entry->srv : NULL;
    struct mu_quoted q;
    int rc;

    if (!srv) {
        rc = mu_inventory_add_from(s->a->inv, name, host->place.source, host->place.line, &srv, s->err);
        if (rc == MU_EINVAL && strchr(name, ':'))
            mu_err_set(s->err, rc, "server id \"%s\" has a colon in it, which ids must not: name it otherwise and give it "
                       "ansible_host=%s", mu_quote(&q, name, strlen(name)), q.text);
        if (rc < 0 && rc != MU_ENOMEM) {
            if (host->place.line)
                mu_err_prefix(s->err, "%s:%zu", host->place.source->name, host->place.line);
            else
                mu_err_prefix(s->err, "%s", host->place.source->name);
        }
        if (rc < 0)
            return rc;
        host->entry = (struct mu_entry *)srv;
    } else {
        char *address = strdup(srv->id);
        if (!address)
            return no_memory(s);
        mu_vars_free(srv->vars, srv->n_vars);
        free(srv->address);
        free(srv->user);
        free(srv->key);
        free(srv->ssh_args);
        free(srv->groups);
        *srv = (struct mu_server){.id = srv->id, .address = address, .index = srv->index};
    }
    *out = srv;
    return 0;
}

static int settle_host(struct settling *s, size_t i)
{
    struct mu_ansible *a = s->a;
    struct mu_ahost *host = &a->host[i];
    const char *name = a->hosts.at[i];
    struct mu_avars own = {0};
    struct mu_layer *layer = NULL;
    struct mu_server *srv = NULL;
    size_t n_secrets = 0;
    int rc = mu_avars_settle(&host->vars) < 0 ? no_memory(s) : layer_of(s, host, &layer);

    if (!rc)
        rc = server_of(s, host, name, &srv);
    if (!rc)
        rc = append(s, &own, &host->vars);
    for (size_t f = 0; f < mu_vars_dirs_count(a->dirs) && !rc; f++)
        rc = append_files(s, &own, f, true, name);
    if (!rc && mu_avars_settle(&own) < 0)
        rc = no_memory(s);
    if (!rc) {
        struct mu_scope_vars vars = {&own, &layer->vars, a, name, host->place.source};
        rc = mu_connection_set(srv, &vars, s->err);
        if (rc == 1) {
            s->odd = s->odd ? s->odd : host;
            s->n_odd++;
            rc = 0;
        }
    }
    if (!rc)
        rc = show(s, &own, &srv->vars, &srv->n_vars, &n_secrets);
    if (!rc && mu_vars_merge(srv, layer->shown, layer->n_shown) < 0)
        rc = no_memory(s);
    if (!rc) {
        srv->groups = calloc(layer->n_groups + 1, sizeof *srv->groups);
        if (srv->groups)
            memcpy(srv->groups, layer->groups, layer->n_groups * sizeof *srv->groups);
        srv->n_groups = srv->groups ? layer->n_groups : 0;
        srv->grouped = true;
        rc = srv->groups ? 0 : no_memory(s);
    }
    a->n_secrets += n_secrets + (layer ? layer->n_secrets : 0);
    mu_avars_clear(&own);
    return rc;
}

static void say_odd(const struct settling *s)
{
    const struct mu_ansible *a = s->a;

    if (s->n_odd)
        mu_log(MU_WARNING, "Server %s%s has an ansible_connection that is not known: reached by SSH.",
               a->hosts.at[s->odd - a->host], s->n_odd > 1 ? " (it is not the only one)" : "");
    if (a->n_secrets)
        mu_log(MU_WARNING, "Passwords in the inventory (ansible_password, ansible_become_password and the like) are not "
                           "used and left out: see --password-file and --sudo-password-file.");
}

int mu_ansible_settle(struct mu_ansible *a, struct mu_err *err)
{
    struct settling s = {.a = a, .err = err};
    struct mu_layer *former = a->layers;
    size_t number;
    int rc;

    a->layers = NULL;
    a->n_secrets = 0;
    mu_groups_clear(a->inv->groups);
    s.mark = calloc(a->groups.n, sizeof *s.mark);
    rc = s.mark ? set_depths(&s) : no_memory(&s);
    for (size_t i = 0; i < a->groups.n && !rc; i++) {
        rc = mu_avars_settle(&a->group[i].vars) < 0 || mu_inventory_say_group(a->inv, a->groups.at[i], &number) < 0
                 ? no_memory(&s)
                 : 0;
    }
    for (size_t i = 0; i < a->hosts.n && !rc; i++)
        rc = settle_host(&s, i);
    if (!rc)
        say_odd(&s);
    if (rc) { /* servers may still have the former ones' strings */
        struct mu_layer **end = &a->layers;
        while (*end)
            end = &(*end)->next;
        *end = former;
    } else {
        mu_layers_free(former);
    }
    free(s.mark);
    free(s.layers);
    mu_names_free(&s.known);
    return rc;
}
