/* Files beside a script that it sends or reads while it runs: what its patterns (files = {"payload/…"}) stand for. */
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/buf.h"
#include "run/script.h"

#define FILES_MAX 4096

struct list {
    char **items;
    size_t n;
};

const char *mu_script_pattern_problem(const char *pattern)
{
    if (!*pattern)
        return "it is empty";
    if (*pattern == '/')
        return "it must not begin with '/': it is looked for in the script's folder";
    for (const char *p = pattern; *p;) {
        size_t n = strcspn(p, "/");
        if (!n || (p[n] == '/' && !p[n + 1]))
            return "it has an empty part: write it as \"payload/*.sh\"";
        if ((n == 1 && !strncmp(p, ".", 1)) || (n == 2 && !strncmp(p, "..", 2)))
            return "it must not have '.' or '..' as a part: only files in the script's folder, and below it, can travel with it";
        p += n + (p[n] == '/');
    }
    return NULL;
}

/* The folder is no pattern, whatever it is called. */
static void add_escaped(struct mu_buf *out, const char *dir)
{
    for (; *dir; dir++) {
        if (strchr("*?[\\", *dir))
            mu_buf_addc(out, '\\');
        mu_buf_addc(out, *dir);
    }
}

/* ".*" fits "." and "..". */
static bool has_dots(const char *path)
{
    for (const char *p = path; p; p = strchr(p, '/')) {
        p += *p == '/';
        size_t n = strcspn(p, "/");
        if ((n == 1 && *p == '.') || (n == 2 && !strncmp(p, "..", 2)))
            return true;
    }
    return false;
}

/* MU_EINVAL when it is a link that leads out of the folder. */
static int add(struct list *l, const char *folder, const char *full, const char *name, struct mu_err *err)
{
    char real[PATH_MAX];
    struct stat st;
    size_t len = strlen(folder);
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->items[i], name))
            return 0;
    if (stat(full, &st) || !S_ISREG(st.st_mode))
        return 0;
    if (!realpath(full, real))
        return mu_err_sys(err, MU_EIO, errno, "cannot read %s", full);
    if (strncmp(real, folder, len) || (real[len] != '/' && len > 1))
        return mu_err_set(err, MU_EINVAL, "%s is a link to %s, outside the script's folder: put the file itself there", full, real);
    char **more = l->n < FILES_MAX ? realloc(l->items, (l->n + 2) * sizeof *more) : NULL;
    if (!more)
        return l->n < FILES_MAX ? mu_err_set(err, MU_ENOMEM, "out of memory")
                                : mu_err_set(err, MU_EINVAL, "there are more than %d of them", FILES_MAX);
    l->items = more;
    if (!(more[l->n] = strdup(name)))
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    more[++l->n] = NULL;
    return 0;
}

static int expand(struct list *l, const char *dir, const char *folder, const char *pattern, struct mu_err *err)
{
    struct mu_buf full = MU_BUF_INIT;
    glob_t found = {0};
    size_t before = l->n, skip = strlen(dir) + 1;
    int rc = 0, globbed = 0;
    add_escaped(&full, dir);
    mu_buf_addf(&full, "/%s", pattern);
    if (!full.failed)
        globbed = glob(full.data, GLOB_NOSORT, NULL, &found);
    if (full.failed || globbed == GLOB_NOSPACE)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    for (size_t i = 0; i < found.gl_pathc && !rc; i++)
        if (!has_dots(found.gl_pathv[i] + skip))
            rc = add(l, folder, found.gl_pathv[i], found.gl_pathv[i] + skip, err);
    if (!rc && l->n == before) {
        bool others = false; /* two patterns may fit the same */
        for (size_t i = 0; i < found.gl_pathc; i++)
            for (size_t j = 0; j < l->n; j++)
                others = others || !strcmp(l->items[j], found.gl_pathv[i] + skip);
        if (!others)
            rc = mu_err_set(err, MU_EINVAL, "there is no such file in %s", dir);
    }
    if (rc)
        mu_err_prefix(err, "files: '%s'", pattern);
    globfree(&found);
    mu_buf_free(&full);
    return rc;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int mu_script_list_files(const struct mu_script *s, char ***out, size_t *n, struct mu_err *err)
{
    struct list l = {0};
    char folder[PATH_MAX];
    int rc = 0;
    *out = NULL;
    *n = 0;
    if (!s->n_patterns)
        return 0;
    if (!realpath(s->dir, folder))
        return mu_err_sys(err, MU_EIO, errno, "cannot read %s", s->dir);
    for (size_t i = 0; i < s->n_patterns && !rc; i++)
        rc = expand(&l, s->dir, folder, s->patterns[i], err);
    if (rc) {
        for (size_t i = 0; i < l.n; i++)
            free(l.items[i]);
        free(l.items);
        return rc;
    }
    qsort(l.items, l.n, sizeof *l.items, by_text);
    *out = l.items;
    *n = l.n;
    return 0;
}
