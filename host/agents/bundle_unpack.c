/* A bundle's bytes, checked, and as files again. They come from elsewhere: nothing in them is taken for good. */
#include "agents/bundle_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/wire_form.h"
#include "core/clock.h"
#include "run/state_dir.h"

/* ---- reading ---- */

bool mu_bundle_name_is_good(const char *name)
{
    return strlen(name) == MU_BUNDLE_NAME_SIZE - 1 && strspn(name, "0123456789abcdef") == MU_BUNDLE_NAME_SIZE - 1;
}

/* Relative, in one of the two folders, without empty parts, "." and "..". */
static bool is_good_path(const char *path, size_t len)
{
    static const char *const roots[] = {MU_BUNDLE_SCRIPT "/", MU_BUNDLE_SHARE "/"};
    bool good = false;
    for (size_t i = 0; i < 2; i++)
        good = good || (len > strlen(roots[i]) && !memcmp(path, roots[i], strlen(roots[i])));
    if (!good || len > MU_BUNDLE_PATH_MAX || memchr(path, 0, len))
        return false;
    for (size_t at = 0; at <= len;) {
        const char *part = path + at, *slash = memchr(part, '/', len - at);
        size_t n = slash ? (size_t)(slash - part) : len - at;
        if (!n || n > 255 || (n <= 2 && !memcmp(part, "..", n)))
            return false;
        at += n + 1;
    }
    return true;
}

static int compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order ? order : a_len < b_len ? -1 : a_len > b_len;
}

static int refuse(struct mu_err *err, const char *name, const char *why)
{
    return mu_err_set(err, MU_EINVAL, "bundle %.12s: %s", name, why);
}

static int refuse_form(struct mu_err *err, const char *name)
{
    return refuse(err, name, "it is not of the form that this muster knows");
}

/* A path that is one of the others' folder is not found here: it cannot be written. */
static int read_files(struct mu_bundle_content *out, struct mu_wire_in *in, size_t n, const char *name, struct mu_err *err)
{
    bool has_script = false;
    for (size_t i = 0; i < n; i++) {
        struct mu_bundle_file *file = &out->files[i], *last = i ? file - 1 : NULL;
        struct mu_wire_in e;
        if (!mu_get_array(in, "file", &e))
            return refuse_form(err, name);
        file->path = mu_get_view(&e, &file->path_len);
        file->executable = mu_get_bool(&e);
        file->bytes = mu_get_borrowed(&e, &file->len);
        mu_get_end(&e);
        if (mu_get_failed(&e))
            return refuse_form(err, name);
        if (!is_good_path(file->path, file->path_len))
            return refuse(err, name, "it names a file outside itself");
        if (last && compare(last->path, last->path_len, file->path, file->path_len) >= 0)
            return refuse(err, name, "its files are not in order, or one is there twice");
        has_script = has_script || !compare(file->path, file->path_len, out->script, out->script_len);
        out->n++;
    }
    return has_script ? 0 : refuse(err, name, "the script is not in it");
}

static int read_content(struct mu_bundle_content *out, struct mu_wire_in *in, const char *name, struct mu_err *err)
{
    if (in->doc->kind != MU_WIRE_BUNDLE)
        return refuse_form(err, name);
    out->script = mu_get_view(in, &out->script_len);
    size_t n = in->n - in->at;
    if (mu_get_failed(in) || !n)
        return refuse_form(err, name);
    if (n > MU_BUNDLE_FILES_MAX)
        return refuse(err, name, "there are too many files in it");
    out->files = calloc(n, sizeof *out->files);
    return out->files ? read_files(out, in, n, name, err) : mu_err_set(err, MU_ENOMEM, "out of memory");
}

int mu_bundle_read(struct mu_bundle_content *out, const char *name, const void *bytes, size_t len, struct mu_err *err)
{
    struct mu_wire_doc doc;
    struct mu_wire_in in;
    struct mu_err why = {0};
    char is[MU_BUNDLE_NAME_SIZE];
    size_t at = 0;
    *out = (struct mu_bundle_content){0};
    if (!mu_bundle_name_is_good(name))
        return mu_err_set(err, MU_EINVAL, "there is no bundle of such a name: 64 hexadecimal digits");
    if (len > MU_BUNDLE_MAX)
        return refuse(err, name, "it is too large");
    int rc = mu_bundle_hash(is, bytes, len, err);
    if (rc)
        return rc;
    if (strcmp(is, name) != 0)
        return refuse(err, name, "its content is not what its name says (SHA-256)");
    rc = mu_wire_open(&doc, &in, "bundle", bytes, len, &at, &why);
    if (rc)
        return rc == MU_ENOMEM ? mu_err_set(err, rc, "out of memory") : refuse_form(err, name);
    rc = at == len ? read_content(out, &in, name, err) : refuse(err, name, "there is something behind its end");
    mu_wire_close(&doc);
    return rc;
}

void mu_bundle_content_clear(struct mu_bundle_content *c)
{
    free(c->files);
    *c = (struct mu_bundle_content){0};
}

/* ---- writing ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    remove(path);
    return 0;
}

void mu_bundle_remove_tree(const char *path) { nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS); }

/* dir is fresh and this process's alone: nobody puts links into it. */
static int write_file(const char *dir, const char *path, size_t path_len, const void *bytes, size_t len, mode_t mode,
                      struct mu_err *err)
{
    struct mu_buf full = MU_BUF_INIT;
    int rc = 0, fd = -1, problem;
    mu_buf_addf(&full, "%s/", dir);
    mu_buf_add(&full, path, path_len);
    char *slash = full.failed ? NULL : strrchr(full.data, '/');
    if (!slash) {
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
        goto out;
    }
    *slash = '\0';
    problem = mu_state_make_dirs(full.data);
    *slash = '/';
    if (!problem && (fd = open(full.data, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)) < 0)
        problem = errno;
    for (size_t at = 0; at < len && !problem;) {
        ssize_t n = write(fd, (const char *)bytes + at, len - at);
        if (n < 0 && errno != EINTR)
            problem = errno;
        at += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0 && close(fd) && !problem)
        problem = errno;
    if (problem == ENOTDIR || problem == EISDIR || problem == EEXIST) /* in a fresh folder that is the bundle's own doing */
        rc = mu_err_set(err, MU_EINVAL, "a name is that of a file and of a folder");
    else if (problem)
        rc = mu_err_sys(err, MU_EIO, problem, "cannot write %s", dir);
out:
    mu_buf_free(&full);
    return rc;
}

static int write_all(const char *dir, const struct mu_bundle_content *c, const void *bytes, size_t len, struct mu_err *err)
{
    int rc = write_file(dir, MU_BUNDLE_COPY, strlen(MU_BUNDLE_COPY), bytes, len, 0600, err);
    for (size_t i = 0; i < c->n && !rc; i++)
        rc = write_file(dir, c->files[i].path, c->files[i].path_len, c->files[i].bytes, c->files[i].len,
                        c->files[i].executable ? 0700 : 0600, err);
    return rc;
}

static int move_into_place(const char *from, const char *target, struct mu_err *err)
{
    if (rename(from, target) == 0)
        return 0;
    if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR)
        return mu_err_sys(err, MU_EEXIST, errno, "%s is there", target);
    return mu_err_sys(err, MU_EIO, errno, "cannot write %s", target);
}

int mu_bundle_put_aside(const char *cache, const char *name, struct mu_err *err)
{
    struct mu_buf from = MU_BUF_INIT, to = MU_BUF_INIT;
    int rc = 0;
    mu_buf_addf(&from, "%s/%s", cache, name);
    mu_buf_addf(&to, "%s/.gone-%lu-%llx", cache, (unsigned long)getpid(), (unsigned long long)mu_clock_ns());
    if (from.failed || to.failed)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    else if (rename(from.data, to.data) == 0)
        mu_bundle_remove_tree(to.data);
    else if (errno != ENOENT)
        rc = mu_err_sys(err, MU_EIO, errno, "cannot remove %s", from.data);
    mu_buf_free(&from);
    mu_buf_free(&to);
    return rc;
}

int mu_bundle_write(const char *cache, const char *name, const struct mu_bundle_content *c, const void *bytes, size_t len,
                    struct mu_err *err)
{
    struct mu_buf dir = MU_BUF_INIT, target = MU_BUF_INIT;
    int rc = 0;
    mu_buf_addf(&dir, "%s/.unpack-XXXXXX", cache);
    mu_buf_addf(&target, "%s/%s", cache, name);
    if (dir.failed || target.failed)
        rc = mu_err_set(err, MU_ENOMEM, "out of memory");
    else if (!mkdtemp(dir.data))
        rc = mu_err_sys(err, MU_EIO, errno, "cannot make a folder in %s", cache);
    if (rc)
        goto out;
    rc = write_all(dir.data, c, bytes, len, err);
    if (!rc)
        rc = move_into_place(dir.data, target.data, err);
    if (rc) {
        mu_err_prefix(err, "bundle %.12s", name);
        mu_bundle_remove_tree(dir.data);
    }
out:
    mu_buf_free(&dir);
    mu_buf_free(&target);
    return rc;
}
