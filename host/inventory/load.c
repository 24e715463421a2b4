/* Where inventories come from: files, folders of them, programs, and names alone. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inventory/ansible.h"

#define DEPTH_MAX 32

/* What a folder's entries must not be, to count as inventories; as Ansible has it. */
static bool ignored(const char *name)
{
    static const char *const ends[] = {".pyc", ".pyo", ".swp", ".bak", "~",    ".rpm", ".md",
                                       ".txt", ".rst", ".orig", ".ini", ".cfg", ".retry"};
    size_t len = strlen(name);

    if (name[0] == '.' || !strcmp(name, "host_vars") || !strcmp(name, "group_vars") || !strcmp(name, "vars_plugins"))
        return true;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t n = strlen(ends[i]);
        if (len >= n && strcmp(name + len - n, ends[i]) == 0)
            return true;
    }
    return false;
}

/* A program: it can be executed, and starts as programs do. Some file systems say of every file that it can. */
static bool is_program(const char *path, bool *is_script)
{
    char head[4] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    ssize_t n = fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ? 0 : read(fd, head, sizeof head);

    if (fd >= 0)
        close(fd);
    *is_script = n >= 2 && memcmp(head, "#!", 2) == 0;
    return (*is_script || (n == 4 && memcmp(head, "\177ELF", 4) == 0)) && access(path, X_OK) == 0;
}

static int add_folder(struct mu_inventory *inv, const char *folder, struct mu_err *err)
{
    struct mu_ansible *a = NULL;
    int rc = mu_inventory_ansible(inv, &a, err);

    return rc ? rc : mu_vars_dirs_add(a, folder, err);
}

static int read_program(struct mu_inventory *inv, const char *path, struct mu_err *err)
{
    struct mu_source *source = NULL;
    struct mu_ansible *a = NULL;
    int rc = mu_inventory_ansible(inv, &a, err);

    if (!rc)
        rc = mu_inventory_new_source(inv, path, &source, err);
    if (rc)
        return rc;
    source->kind = MU_SOURCE_OTHER;
    rc = mu_ansible_read_program(a, source, path, inv->timeout_ms, err);
    a->broken = a->broken || rc < 0;
    return rc;
}

static int read_file(struct mu_inventory *inv, const char *path, bool beside, struct mu_err *err)
{
    struct mu_buf text = MU_BUF_INIT;
    const char *dot = strrchr(path, '.');
    struct mu_quoted q;
    bool is_script;
    int rc;

    if (is_program(path, &is_script))
        return read_program(inv, path, err);
    mu_quote(&q, path, strlen(path));
    if (is_script)
        return mu_err_set(err, MU_EINVAL, "%s starts as a script does and cannot be executed: chmod +x it", q.text);
    if (dot && strcmp(dot, ".toml") == 0)
        return mu_err_set(err, MU_EINVAL, "%s: inventories in TOML are not read: write it as YAML or INI", q.text);
    rc = mu_source_read(path, &text, err);
    if (!rc)
        rc = mu_inventory_read(inv, path, beside, mu_buf_cstr(&text), text.len, err);
    mu_buf_free(&text);
    return rc;
}

static int not_ignored(const struct dirent *e)
{
    return !ignored(e->d_name);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int read_folder(struct mu_inventory *inv, const char *path, unsigned depth, struct mu_err *err)
{
    struct dirent **entries = NULL;
    struct mu_quoted q;
    int n = scandir(path, &entries, not_ignored, by_bytes), rc = 0;

    mu_quote(&q, path, strlen(path));
    if (n < 0)
        return mu_err_sys(err, MU_EIO, errno, "cannot read the folder %s", q.text);
    if (depth > DEPTH_MAX)
        rc = mu_err_set(err, MU_ELIMIT, "%s: folders are nested too deeply", q.text);
    for (int i = 0; i < n; i++) {
        char *inside = NULL;
        if (!rc && asprintf(&inside, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", entries[i]->d_name) < 0)
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
        if (!rc)
            rc = is_folder(inside) ? read_folder(inv, inside, depth + 1, err) : read_file(inv, inside, true, err);
        free(inside);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

static int read_names(struct mu_inventory *inv, const char *text, struct mu_err *err)
{
    struct mu_source *source = NULL;
    struct mu_ansible *a = NULL;
    int rc = mu_inventory_ansible(inv, &a, err);

    if (!rc)
        rc = mu_inventory_new_source(inv, text, &source, err);
    if (!rc) {
        source->kind = MU_SOURCE_OTHER;
        *source->folder = '\0';
        rc = mu_ansible_read_hosts(a, source, text, err);
    }
    return rc;
}

static int read_path(struct mu_inventory *inv, const char *path, struct mu_err *err)
{
    struct mu_source *newest = inv->sources;
    const char *slash = strrchr(path, '/');
    char *folder;
    bool beside;
    int rc;

    if (is_folder(path)) {
        rc = read_folder(inv, path, 0, err);
        if (!rc && inv->sources == newest) {
            struct mu_quoted q;
            return mu_err_set(err, MU_EINVAL, "no inventories in the folder %s (names that start with a dot or end with .ini, "
                              ".cfg, .txt, .md, .bak, ~ and the like do not count)", mu_quote(&q, path, strlen(path)));
        }
        return rc || !inv->ansible ? rc : add_folder(inv, path, err);
    }
    folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup("");
    if (!folder)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    beside = mu_vars_dirs_there(folder);
    rc = read_file(inv, path, beside, err);
    /* Only Ansible's have them: the source that was added tells. */
    if (!rc && beside && inv->sources != newest && inv->sources->kind >= MU_SOURCE_INI)
        rc = add_folder(inv, folder, err);
    free(folder);
    return rc;
}

int mu_inventory_load(struct mu_inventory *inv, const char *path, struct mu_err *err)
{
    size_t before = inv->n;
    struct mu_buf text = MU_BUF_INIT;
    int rc;

    if (strcmp(path, "-") == 0) {
        rc = mu_source_read(path, &text, err);
        if (!rc)
            rc = mu_inventory_read(inv, "standard input", false, mu_buf_cstr(&text), text.len, err);
        mu_buf_free(&text);
    } else if (strchr(path, ',') && access(path, F_OK) != 0) {
        rc = read_names(inv, path, err);
    } else {
        rc = read_path(inv, path, err);
    }
    return mu_inventory_finish(inv, before, rc, err);
}
