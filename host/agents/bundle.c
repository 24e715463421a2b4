/* The cache of bundles: CACHE/HASH/{bundle,script/…,share/…}. A folder there is used when each file of the bundle is in it as its
 * name says; so what was cut off, or edited, is unpacked anew. Files that this user put there besides are not looked for: nobody
 * else may write there. */
#include "agents/bundle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agents/bundle_internal.h"
#include "run/state_dir.h"

#define KEPT 20
#define IN_USE_S (24 * 3600) /* a run may still load modules from it */
#define LEFT_BEHIND_S 3600   /* by who was killed while unpacking */

/* ---- where ---- */

static int name_dir(struct mu_buf *out, const char *cache_dir, struct mu_err *err)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    struct passwd pw, *found = NULL;
    char text[4096];
    if (!home || *home != '/')
        home = getpwuid_r(geteuid(), &pw, text, sizeof text, &found) == 0 && found ? found->pw_dir : NULL;
    mu_buf_clear(out);
    if (cache_dir)
        mu_buf_adds(out, cache_dir);
    else if (xdg && *xdg == '/')
        mu_buf_addf(out, "%s/muster/bundles", xdg);
    else if (home && *home == '/')
        mu_buf_addf(out, "%s/.cache/muster/bundles", home);
    else
        return mu_err_set(err, MU_EINVAL, "there is no folder to keep bundles in: set HOME, or give --cache-dir");
    return out->failed ? mu_err_set(err, MU_ENOMEM, "out of memory") : 0;
}

static bool is_ours(const struct stat *st) { return S_ISDIR(st->st_mode) && st->st_uid == geteuid() && !(st->st_mode & 022); }

int mu_bundle_cache_dir(struct mu_buf *out, const char *cache_dir, struct mu_err *err)
{
    struct stat st;
    int rc = name_dir(out, cache_dir, err), problem;
    if (rc)
        return rc;
    if ((problem = mu_state_make_dirs(out->data)))
        return mu_err_sys(err, MU_EIO, problem, "cannot make the folder %s", out->data);
    if (stat(out->data, &st))
        return mu_err_sys(err, MU_EIO, errno, "cannot read %s", out->data);
    if (!is_ours(&st))
        return mu_err_set(err, MU_EINVAL, "%s: scripts are kept there, and others may write to it, or it is not a folder of this "
                          "user's: chmod 700, or name another by --cache-dir", out->data);
    return 0;
}

/* ---- finding ---- */

static bool is_whole(const char *dir, const struct mu_bundle_content *c)
{
    bool whole = true;
    for (size_t i = 0; i < c->n && whole; i++) {
        const struct mu_bundle_file *f = &c->files[i];
        struct mu_buf path = MU_BUF_INIT, bytes = MU_BUF_INIT;
        bool executable = false;
        mu_buf_addf(&path, "%s/", dir);
        mu_buf_add(&path, f->path, f->path_len);
        whole = !path.failed && !mu_bundle_slurp(&bytes, path.data, O_NOFOLLOW, f->len, &executable, NULL) && bytes.len == f->len &&
                (!f->len || !memcmp(bytes.data, f->bytes, f->len)) && executable == f->executable;
        mu_buf_free(&path);
        mu_buf_free(&bytes);
    }
    return whole;
}

/* 0: it is there, whole; dir is where, *script, when asked for, the script's file in it. */
static int look(struct mu_buf *dir, const char *cache, const char *name, char **script, struct mu_err *err)
{
    struct mu_buf copy = MU_BUF_INIT, bytes = MU_BUF_INIT, file = MU_BUF_INIT;
    struct mu_bundle_content c = {0};
    struct stat st;
    int rc = MU_ENOENT;
    mu_buf_addf(dir, "%s/%s", cache, name);
    mu_buf_addf(&copy, "%s/%s", mu_buf_cstr(dir), MU_BUNDLE_COPY);
    if (dir->failed || copy.failed) {
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
        goto out;
    }
    if (lstat(dir->data, &st) || !is_ours(&st) || mu_bundle_slurp(&bytes, copy.data, O_NOFOLLOW, MU_BUNDLE_MAX, NULL, err) ||
        mu_bundle_read(&c, name, bytes.data, bytes.len, err) || !is_whole(dir->data, &c)) {
        mu_err_set(err, MU_ENOENT, "bundle %.12s is not in %s, or not whole", name, cache);
        goto out;
    }
    rc = 0;
    utimensat(AT_FDCWD, dir->data, NULL, 0); /* it was used now */
    mu_buf_addf(&file, "%s/", dir->data);
    mu_buf_add(&file, c.script, c.script_len);
    if (script && !(*script = mu_buf_take(&file)))
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
out:
    mu_bundle_content_clear(&c);
    mu_buf_free(&copy);
    mu_buf_free(&bytes);
    mu_buf_free(&file);
    return rc;
}

int mu_bundle_find(const char *cache_dir, const char *name, char **script_file, char **library_dir, struct mu_err *err)
{
    struct mu_buf cache = MU_BUF_INIT, dir = MU_BUF_INIT;
    char *script = NULL, *library = NULL;
    int rc = mu_bundle_cache_dir(&cache, cache_dir, err);
    if (!rc && !mu_bundle_name_is_good(name))
        rc = mu_err_set(err, MU_ENOENT, "there is no bundle of such a name: 64 hexadecimal digits");
    if (!rc)
        rc = look(&dir, cache.data, name, &script, err);
    if (!rc) {
        mu_buf_addf(&dir, "/%s", MU_BUNDLE_LIBRARY);
        if (!(library = mu_buf_take(&dir)))
            rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    if (rc) {
        free(script);
    } else {
        *script_file = script;
        *library_dir = library;
    }
    mu_buf_free(&cache);
    mu_buf_free(&dir);
    return rc;
}

/* ---- keeping ---- */

struct entry {
    char *path;
    time_t used;
};

static int latest_first(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->used < y->used ? 1 : x->used > y->used ? -1 : strcmp(x->path, y->path);
}

static bool starts_with(const char *text, const char *start) { return !strncmp(text, start, strlen(start)); }

/* What cannot be removed stays: next time. */
static void prune(const char *cache)
{
    struct entry *entries = NULL;
    size_t n = 0;
    time_t now = time(NULL);
    DIR *d = opendir(cache);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct mu_buf path = MU_BUF_INIT;
        struct stat st;
        struct entry *more;
        bool left = starts_with(e->d_name, ".unpack-") || starts_with(e->d_name, ".gone-");
        mu_buf_addf(&path, "%s/%s", cache, e->d_name);
        if (!path.failed && (left || mu_bundle_name_is_good(e->d_name)) && lstat(path.data, &st) == 0) {
            if (left && now - st.st_mtime > LEFT_BEHIND_S) {
                mu_bundle_remove_tree(path.data);
            } else if (!left && (more = realloc(entries, (n + 1) * sizeof *more))) {
                entries = more;
                entries[n].used = st.st_mtime;
                entries[n].path = mu_buf_take(&path);
                n += entries[n].path != NULL;
            }
        }
        mu_buf_free(&path);
    }
    if (d)
        closedir(d);
    if (n)
        qsort(entries, n, sizeof *entries, latest_first);
    for (size_t i = 0; i < n; i++) {
        if (i >= KEPT && now - entries[i].used > IN_USE_S)
            mu_bundle_remove_tree(entries[i].path);
        free(entries[i].path);
    }
    free(entries);
}

/* Another process may do the same at once: what it has put there whole is as good. */
static int write_unless_there(const char *cache, const char *name, const struct mu_bundle_content *c, const void *bytes, size_t len,
                              struct mu_err *err)
{
    struct mu_buf dir = MU_BUF_INIT;
    struct mu_err unused;
    int rc = MU_EEXIST;
    for (int i = 0; i < 5 && rc == MU_EEXIST; i++) {
        mu_buf_clear(&dir);
        rc = look(&dir, cache, name, NULL, &unused);
        if (rc != MU_ENOENT)
            break;
        rc = i ? mu_bundle_put_aside(cache, name, err) : 0;
        if (!rc)
            rc = mu_bundle_write(cache, name, c, bytes, len, err);
    }
    mu_buf_free(&dir);
    return rc;
}

int mu_bundle_unpack(const char *cache_dir, const char *name, const void *bytes, size_t len, struct mu_err *err)
{
    struct mu_buf cache = MU_BUF_INIT;
    struct mu_bundle_content c = {0};
    int rc = mu_bundle_cache_dir(&cache, cache_dir, err);
    if (!rc)
        rc = mu_bundle_read(&c, name, bytes, len, err);
    if (!rc)
        rc = write_unless_there(cache.data, name, &c, bytes, len, err);
    if (!rc)
        prune(cache.data);
    mu_bundle_content_clear(&c);
    mu_buf_free(&cache);
    return rc;
}
