/* group_vars and host_vars: files and folders with variables, beside the inventory. A folder is listed once, so that looking
 * for each of many hosts costs nothing when it has no file. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/log.h"
#include "inventory/ansible.h"

/* One of a folder's two: what is in it, and what has been read of it. */
struct vars_dir {
    char *path; /* NULL: it is not there */
    struct mu_names entries;
    struct mu_names read; /* groups or hosts whose files were read */
    struct mu_avars **vars; /* by number in read; NULL: they have none */
    size_t cap;
};

struct folder {
    char *path;
    struct vars_dir kinds[2]; /* of groups, of hosts */
};

struct mu_vars_dirs {
    struct folder *at;
    uint32_t *order; /* folders, as often as they were named */
    size_t n, n_order;
};

static const char *const kind_names[] = {"group_vars", "host_vars"};

static char *join(const char *folder, const char *name)
{
    struct mu_buf path = MU_BUF_INIT;

    mu_buf_adds(&path, folder);
    if (path.len && folder[path.len - 1] != '/')
        mu_buf_addc(&path, '/');
    mu_buf_adds(&path, name);
    return mu_buf_take(&path);
}

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool mu_vars_dirs_there(const char *folder)
{
    bool there = false;

    for (size_t i = 0; i < 2 && !there; i++) {
        char *path = join(folder, kind_names[i]);
        there = path && is_folder(path);
        free(path);
    }
    return there;
}

static int list(struct vars_dir *d, const char *folder, const char *name)
{
    struct dirent *e;
    size_t number;
    DIR *dir;
    int rc = 0;

    d->path = join(folder, name);
    if (!d->path)
        return MU_ENOMEM;
    dir = is_folder(d->path) ? opendir(d->path) : NULL;
    if (!dir) {
        free(d->path);
        d->path = NULL;
        return 0;
    }
    while (rc >= 0 && (e = readdir(dir)))
        rc = mu_names_add(&d->entries, e->d_name, strlen(e->d_name), &number);
    closedir(dir);
    return rc < 0 ? rc : 0;
}

int mu_vars_dirs_add(struct mu_ansible *a, const char *folder, struct mu_err *err)
{
    struct mu_vars_dirs *d = a->dirs;
    size_t i = 0;
    int rc = 0;

    if (!d)
        d = a->dirs = calloc(1, sizeof *d);
    if (!d)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    while (i < d->n && strcmp(d->at[i].path, folder) != 0)
        i++;
    if (i == d->n) {
        struct folder *more = reallocarray(d->at, d->n + 1, sizeof *more);
        if (more) {
            d->at = more;
            d->at[d->n] = (struct folder){.path = strdup(folder)};
        }
        if (!more || !d->at[d->n].path)
            return mu_err_set(err, MU_ENOMEM, "out of memory");
        d->n++;
        for (size_t k = 0; k < 2 && !rc; k++)
            rc = list(&d->at[i].kinds[k], folder, kind_names[k]);
    }
    uint32_t *order = reallocarray(d->order, d->n_order + 1, sizeof *order);
    if (!order || rc < 0)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (order) {
        d->order = order;
        d->order[d->n_order++] = (uint32_t)i;
    }
    return rc;
}

void mu_vars_dirs_free(struct mu_vars_dirs *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n; i++) {
        for (size_t k = 0; k < 2; k++) {
            struct vars_dir *v = &d->at[i].kinds[k];
            for (size_t j = 0; j < v->read.n && j < v->cap; j++) {
                if (v->vars[j])
                    mu_avars_clear(v->vars[j]);
                free(v->vars[j]);
            }
            free(v->vars);
            mu_names_free(&v->read);
            mu_names_free(&v->entries);
            free(v->path);
        }
        free(d->at[i].path);
    }
    free(d->at);
    free(d->order);
    free(d);
}

size_t mu_vars_dirs_count(const struct mu_vars_dirs *d)
{
    return d ? d->n_order : 0;
}

/* ---- files ---- */

static bool is_encrypted(const struct mu_buf *text)
{
    static const char head[] = "$ANSIBLE_VAULT";

    return text->len >= sizeof head - 1 && memcmp(text->data, head, sizeof head - 1) == 0;
}

static int take(struct mu_ansible *a, const struct mu_source *source, const struct mu_tree *root, struct mu_avars *vars,
                struct mu_err *err)
{
    if (!root || mu_tree_is_null(root) || (root->kind != MU_TREE_LEAF && root->n == 0))
        return 0;
    if (root->kind != MU_TREE_MAP)
        return mu_err_set(err, MU_EINVAL, "%s:%u: a file of variables is a mapping (name: value), not %s", source->name,
                          root->line, mu_tree_kind_name(root));
    for (size_t i = 0; i < root->n; i++) {
        struct mu_place place = {source, root->key_lines[i]};
        json_t *value = mu_tree_json(root->at[i]);
        int rc = value ? mu_avars_add(a, vars, root->keys.at[i], value, place) : MU_ENOMEM;
        json_decref(value);
        if (rc < 0)
            return mu_err_set(err, rc, "out of memory");
    }
    return 0;
}

static int read_file(struct mu_ansible *a, const char *path, struct mu_avars *vars, struct mu_err *err)
{
    struct mu_source *source = NULL;
    struct mu_buf text = MU_BUF_INIT;
    struct mu_tree_doc doc = {0};
    int rc = mu_inventory_new_source(a->inv, path, &source, err);

    if (!rc)
        rc = mu_source_read(path, &text, err);
    if (!rc && is_encrypted(&text)) {
        mu_log(MU_WARNING, "%s is encrypted, and nothing is decrypted here: its variables are left out.", source->name);
        goto out;
    }
    if (!rc)
        rc = mu_source_check(source, mu_buf_cstr(&text), text.len, err);
    if (!rc)
        rc = mu_tree_parse(&doc, source->name, mu_buf_cstr(&text), text.len, err);
    if (!rc)
        rc = take(a, source, doc.root, vars, err);
out:
    mu_tree_free(&doc);
    mu_buf_free(&text);
    return rc;
}

static bool known_end(const char *name)
{
    const char *dot = strrchr(name + 1, '.');

    return !dot || !strcmp(dot, ".yml") || !strcmp(dot, ".yaml") || !strcmp(dot, ".json");
}

static int not_hidden(const struct dirent *e)
{
    size_t len = strlen(e->d_name);

    return e->d_name[0] != '.' && e->d_name[len - 1] != '~';
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* A folder with the files of one group or host, and more folders. */
static int read_folder(struct mu_ansible *a, const char *path, unsigned depth, struct mu_avars *vars, struct mu_err *err)
{
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, not_hidden, by_bytes), rc = 0;
    struct mu_quoted q;

    if (depth > 32)
        rc = mu_err_set(err, MU_ELIMIT, "%s: folders are nested too deeply", mu_quote(&q, path, strlen(path)));
    for (int i = 0; i < n; i++) {
        char *inside = join(path, entries[i]->d_name);
        if (rc || !inside)
            rc = rc ? rc : mu_err_set(err, MU_ENOMEM, "out of memory");
        else if (!is_folder(inside))
            rc = known_end(entries[i]->d_name) ? read_file(a, inside, vars, err) : 0;
        else if (!strchr(entries[i]->d_name + 1, '.'))
            rc = read_folder(a, inside, depth + 1, vars, err);
        free(inside);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

/* The first of name, name.yml, name.yaml and name.json that is there. */
static int read_all(struct mu_ansible *a, struct vars_dir *d, const char *name, struct mu_avars *vars, struct mu_err *err)
{
    static const char *const ends[] = {"", ".yml", ".yaml", ".json"};
    int rc = 0;

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char *file = NULL, *path = NULL;
        size_t there;

        if (asprintf(&file, "%s%s", name, ends[i]) < 0)
            return mu_err_set(err, MU_ENOMEM, "out of memory");
        bool found = mu_names_find(&d->entries, file, strlen(file), &there);
        path = found ? join(d->path, file) : NULL;
        if (found && path)
            rc = is_folder(path) ? read_folder(a, path, 0, vars, err) : read_file(a, path, vars, err);
        free(file);
        free(path);
        if (found)
            return rc;
    }
    return rc;
}

int mu_vars_dirs_get(struct mu_ansible *a, size_t i, bool host, const char *name, const struct mu_avars **out,
                     struct mu_err *err)
{
    struct vars_dir *d = &a->dirs->at[a->dirs->order[i]].kinds[host];
    struct mu_avars *vars;
    size_t number;
    int rc;

    *out = NULL;
    if (!d->path || strchr(name, '/') || name[0] == '.')
        return 0;
    rc = mu_names_add(&d->read, name, strlen(name), &number);
    if (rc == 0) {
        *out = d->vars[number];
        return 0;
    }
    if (rc == 1 && number >= d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 16;
        struct mu_avars **more = reallocarray(d->vars, cap, sizeof(struct mu_avars *));
        rc = more ? 1 : MU_ENOMEM;
        if (more) {
            d->vars = more;
            memset(more + d->cap, 0, (cap - d->cap) * sizeof(struct mu_avars *));
            d->cap = cap;
        }
    }
    vars = rc == 1 ? calloc(1, sizeof *vars) : NULL;
    if (!vars)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    rc = read_all(a, d, name, vars, err);
    if (!rc && mu_avars_settle(vars) < 0)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    if (rc || !vars->n) {
        mu_avars_clear(vars);
        free(vars);
        return rc;
    }
    *out = d->vars[number] = vars;
    return 0;
}
