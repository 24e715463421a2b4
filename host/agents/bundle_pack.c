/* What a script's files are called in its bundle, so that each is found there as it is here; and the bundle's bytes. */
#include "agents/bundle_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "agents/wire_form.h"
#include "run/script.h"
#include "ssh/sha256.h"

struct placed {
    char *path;
    const struct mu_bundle_source *source;
};

struct pack {
    const struct mu_script *s;
    const char *library_dir;
    const struct mu_bundle_sources *sources;
    char base[PATH_MAX];    /* folders between "script" and the script's own, for what it reaches by "..": "" or "/a/b" */
    struct placed *files;
    size_t n;
    char **folders;         /* that somebody goes through on the way to another: they must be there */
    size_t n_folders;
    struct mu_err *err;
};

/* ---- paths ---- */

/* What stands behind a folder and '/'; NULL: it is not in that folder, as it is written. */
static const char *below(const char *path, const char *dir)
{
    size_t n = dir ? strlen(dir) : 0;
    return dir && !strncmp(path, dir, n) && path[n] == '/' ? path + n + 1 : NULL;
}

/* The same for the script's folder, which a script "x.lua" does not name. */
static const char *below_script(const struct pack *k, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!strcmp(path, k->s->path))
        return slash ? slash + 1 : path;
    return below(path, k->s->dir);
}

/* How many folders above where it begins a path goes, at most. */
static int climbs(const char *path)
{
    int depth = 0, lowest = 0;
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        depth += n == 2 && !strncmp(p, "..", 2) ? -1 : n == 0 || (n == 1 && *p == '.') ? 0 : 1;
        lowest = depth < lowest ? depth : lowest;
        p += n + (p[n] == '/');
    }
    return -lowest;
}

static int keep_folder(struct pack *k, const struct mu_buf *path)
{
    char **more = realloc(k->folders, (k->n_folders + 1) * sizeof *more);
    if (more)
        k->folders = more;
    if (!more || !(more[k->n_folders] = strdup(path->data)))
        return mu_err_set(k->err, MU_ENOMEM, "out of memory");
    k->n_folders++;
    return 0;
}

/* root, base and rest as one path without "." and "..". MU_EINVAL: it leaves the root. */
static int join(struct pack *k, struct mu_buf *out, const char *root, const char *base, const char *rest)
{
    int rc = 0;
    mu_buf_adds(out, root);
    mu_buf_adds(out, base);
    size_t own = out->len; /* where the part begins that is reached by name */
    for (const char *p = rest; *p && !rc && !out->failed;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && !strncmp(p, "..", 2)) {
            if (out->len > own)
                rc = keep_folder(k, out);
            if (out->len == strlen(root))
                return mu_err_set(k->err, MU_EINVAL, "it leaves the folder");
            while (out->data[--out->len] != '/')
                ;
            out->data[out->len] = '\0';
            own = out->len < own ? out->len : own;
        } else if (n && !(n == 1 && *p == '.')) {
            mu_buf_addc(out, '/');
            mu_buf_add(out, p, n);
        }
        p += n + (p[n] == '/');
    }
    return rc ? rc : out->failed ? mu_err_set(k->err, MU_ENOMEM, "out of memory") : 0;
}

/* The names of the folders that the script's files climb to, from the top down. */
static int find_base(struct pack *k)
{
    char real[PATH_MAX];
    int up = 0;
    for (size_t i = 0; i < k->sources->n; i++) {
        const char *rest = below_script(k, k->sources->items[i].path);
        int climbed = rest ? climbs(rest) : 0;
        up = climbed > up ? climbed : up;
    }
    if (!up)
        return 0;
    if (!realpath(k->s->dir, real))
        return mu_err_sys(k->err, MU_EIO, errno, "cannot read %s", k->s->dir);
    char *at = real + strlen(real);
    for (int i = 0; i < up && at > real; i++)
        while (at > real && *--at != '/')
            ;
    if (strlen(real) > 1)
        memcpy(k->base, at, strlen(at) + 1);
    return 0;
}

/* ---- where files go ---- */

static int place_at(struct pack *k, const struct mu_bundle_source *f, const char *root, const char *base, const char *rest)
{
    struct mu_buf path = MU_BUF_INIT;
    int rc = join(k, &path, root, base, rest);
    if (rc == MU_EINVAL)
        rc = mu_err_set(k->err, MU_EINVAL, "%s lies above the folders of the script and of the standard library: agents cannot be "
                        "sent it; put it beside the script", f->path);
    if (!rc && path.len > MU_BUNDLE_PATH_MAX)
        rc = mu_err_set(k->err, MU_EINVAL, "%s: its path is too long to send it to agents", f->path);
    struct placed *more = rc ? NULL : realloc(k->files, (k->n + 1) * sizeof *more);
    if (more) {
        k->files = more;
        more[k->n++] = (struct placed){mu_buf_take(&path), f};
    } else if (!rc) {
        rc = mu_err_set(k->err, MU_ENOMEM, "out of memory");
    }
    mu_buf_free(&path);
    return rc;
}

/* What Lua's own search path found comes behind the library's, so there it is found at an agent, too. *found: whether it did. */
static int place_system(struct pack *k, const struct mu_bundle_source *f, bool *found)
{
    size_t len = strlen(f->path);
    int rc = 0;
    for (const char *t = k->sources->system; *t && !*found && !rc; t += strcspn(t, ";"), t += *t == ';') {
        size_t n = strcspn(t, ";"), head = strcspn(t, "?;");
        size_t tail = head < n ? n - head - 1 : 0;
        if (head >= n || len <= head + tail || strncmp(f->path, t, head) || strncmp(f->path + len - tail, t + head + 1, tail) ||
            climbs(f->path + head))
            continue;
        *found = true;
        rc = place_at(k, f, MU_BUNDLE_LIBRARY, "", f->path + head);
    }
    return rc;
}

/* A path may be below both, the script's folder and the library: nobody can say by which it was found. */
static int place(struct pack *k, const struct mu_bundle_source *f)
{
    const char *beside = below_script(k, f->path), *library = below(f->path, k->library_dir);
    bool found = beside || library;
    int rc = 0;
    if (beside)
        rc = place_at(k, f, MU_BUNDLE_SCRIPT, k->base, beside);
    if (library && !rc)
        rc = place_at(k, f, MU_BUNDLE_SHARE, "/lib", library);
    if (!found)
        rc = place_system(k, f, &found);
    if (!found && !rc)
        rc = mu_err_set(k->err, MU_EINVAL, "%s lies outside the folders of the script and of the standard library: agents cannot "
                        "be sent it; put it beside the script", f->path);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : strcmp(x->source->path, y->source->path);
}

static int check_folder(struct pack *k, const char *folder)
{
    size_t n = strlen(folder);
    for (size_t i = 0; i < k->n; i++)
        if (!strncmp(k->files[i].path, folder, n) && k->files[i].path[n] == '/')
            return 0;
    /* the folder's first part is the bundle's own */
    return mu_err_set(k->err, MU_EINVAL, "%s: a file is named by a way through the folder %s and out of it again, and agents are "
                      "sent nothing that is there: name it without", k->s->path, strchr(folder, '/') + 1);
}

/* Sorted, each path once, and every folder there that a path goes through. */
static int settle(struct pack *k)
{
    int rc = 0;
    size_t n = 0;
    qsort(k->files, k->n, sizeof *k->files, by_path);
    for (size_t i = 0; i < k->n; i++) {
        const struct placed *last = n ? &k->files[n - 1] : NULL;
        if (!last || strcmp(last->path, k->files[i].path) != 0) {
            k->files[n++] = k->files[i];
            continue;
        }
        const struct mu_buf *a = &last->source->bytes, *b = &k->files[i].source->bytes;
        if (!rc && (a->len != b->len || (a->len && memcmp(a->data, b->data, a->len))))
            rc = mu_err_set(k->err, MU_EINVAL, "%s and %s have one place at an agent and are not the same: rename one",
                            last->source->path, k->files[i].source->path);
        free(k->files[i].path);
    }
    k->n = n;
    for (size_t i = 0; i < k->n_folders && !rc; i++)
        rc = check_folder(k, k->folders[i]);
    return rc;
}

/* ---- the bytes ---- */

static int encode(struct pack *k, struct mu_buf *out)
{
    const char *script = NULL;
    msgpack_packer pk;
    for (size_t i = 0; i < k->n; i++)
        if (!strcmp(k->files[i].source->path, k->s->path) &&
            !strncmp(k->files[i].path, MU_BUNDLE_SCRIPT "/", sizeof MU_BUNDLE_SCRIPT))
            script = k->files[i].path;
    if (!script)
        return mu_err_set(k->err, MU_EINVAL, "%s has no place at an agent", k->s->path);
    mu_buf_clear(out);
    mu_put_start(&pk, out, MU_WIRE_BUNDLE, k->n + 1);
    mu_put_text(&pk, script);
    for (size_t i = 0; i < k->n; i++) {
        const struct mu_bundle_source *f = k->files[i].source;
        mu_put_array(&pk, 3);
        mu_put_text(&pk, k->files[i].path);
        mu_put_bool(&pk, f->executable);
        mu_put_bytes(&pk, f->bytes.data, f->bytes.len);
    }
    if (out->failed)
        return mu_err_set(k->err, MU_ENOMEM, "out of memory");
    if (out->len > MU_BUNDLE_MAX)
        return mu_err_set(k->err, MU_EINVAL, "%s: with all its files it is larger than %zu MiB: agents are sent no more",
                          k->s->path, MU_BUNDLE_MAX >> 20);
    return 0;
}

int mu_bundle_hash(char name[MU_BUNDLE_NAME_SIZE], const void *bytes, size_t len, struct mu_err *err)
{
    struct mu_sha256 *sum = mu_sha256_new();
    if (!sum)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    mu_sha256_add(sum, bytes, len);
    mu_sha256_end(sum, name);
    mu_sha256_free(sum);
    return *name ? 0 : mu_err_set(err, MU_EIO, "libcrypto refuses SHA-256");
}

int mu_bundle_make(struct mu_buf *out, char name[MU_BUNDLE_NAME_SIZE], const struct mu_script *s, const char *library_dir,
                   struct mu_err *err)
{
    struct mu_bundle_sources sources = {0};
    struct pack k = {.s = s, .library_dir = library_dir, .sources = &sources, .err = err};
    int rc = mu_bundle_gather(&sources, s, library_dir, err);
    if (!rc)
        rc = find_base(&k);
    for (size_t i = 0; i < sources.n && !rc; i++)
        rc = place(&k, &sources.items[i]);
    if (!rc)
        rc = settle(&k);
    if (!rc)
        rc = encode(&k, out);
    if (!rc)
        rc = mu_bundle_hash(name, out->data, out->len, err);
    for (size_t i = 0; i < k.n; i++)
        free(k.files[i].path);
    for (size_t i = 0; i < k.n_folders; i++)
        free(k.folders[i]);
    free(k.files);
    free(k.folders);
    mu_bundle_sources_clear(&sources);
    return rc;
}
