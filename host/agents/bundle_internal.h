/* bundle_internal.h: what the parts of bundle.h share: bundle_gather.c (which files a script is made of), bundle_pack.c (what
 * they are called in a bundle, and its bytes), bundle_unpack.c (its bytes as files again), bundle.c (the cache).
 * Owner: whoever declares a list, which owns its strings. Thread: any. Must not know: what bundle.h does not.
 */
#ifndef MU_AGENTS_BUNDLE_INTERNAL_H
#define MU_AGENTS_BUNDLE_INTERNAL_H

#include <stdbool.h>

#include "agents/bundle.h"

#define MU_BUNDLE_FILES_MAX 8192
#define MU_BUNDLE_PATH_MAX 1024
#define MU_BUNDLE_SCRIPT "script"    /* the script's folder, or one above it */
#define MU_BUNDLE_SHARE "share"      /* the standard scripts */
#define MU_BUNDLE_LIBRARY MU_BUNDLE_SHARE "/lib"
#define MU_BUNDLE_COPY "bundle"      /* the bundle itself, beside these two in the cache */

/* A file of a script, by the path under which it was found. */
struct mu_bundle_source {
    char *path;
    struct mu_buf bytes;
    bool executable;
};
struct mu_bundle_sources {
    struct mu_bundle_source *items;
    size_t n, bytes;
    char *system; /* Lua's own search path */
};
int mu_bundle_gather(struct mu_bundle_sources *out, const struct mu_script *s, const char *library_dir, struct mu_err *err);
void mu_bundle_sources_clear(struct mu_bundle_sources *f);

/* A file in a bundle. */
struct mu_bundle_file {
    const char *path, *bytes; /* borrowed; path is not NUL-terminated */
    size_t path_len, len;
    bool executable;
};
struct mu_bundle_content {
    const char *script; /* as above */
    size_t script_len;
    struct mu_bundle_file *files;
    size_t n;
};
/* MU_EINVAL: these bytes are no bundle, or not the one of that name. *out is to be freed in any case. */
int mu_bundle_read(struct mu_bundle_content *out, const char *name, const void *bytes, size_t len, struct mu_err *err);
void mu_bundle_content_clear(struct mu_bundle_content *c);
/* Write it into the cache. MU_EEXIST: something of that name is there; MU_EINVAL, MU_EIO. */
int mu_bundle_write(const char *cache, const char *name, const struct mu_bundle_content *c, const void *bytes, size_t len,
                    struct mu_err *err);
/* Remove what is there, at once; 0 when nothing is. */
int mu_bundle_put_aside(const char *cache, const char *name, struct mu_err *err);
bool mu_bundle_name_is_good(const char *name); /* 64 hexadecimal digits */
int mu_bundle_hash(char name[MU_BUNDLE_NAME_SIZE], const void *bytes, size_t len, struct mu_err *err);

/* Read a regular file whole. MU_ENOENT, MU_EIO, MU_EINVAL (what it is), MU_ELIMIT (larger than max). flags: for open(2). */
int mu_bundle_slurp(struct mu_buf *out, const char *path, int flags, size_t max, bool *executable, struct mu_err *err);
/* Remove a folder and all in it; links are removed, not followed. */
void mu_bundle_remove_tree(const char *path);

#endif
