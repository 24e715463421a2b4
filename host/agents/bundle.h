/* bundle.h: a script with all that it is made of, as one thing with a name that tells its content.
 *
 * Purpose: the coordinator packs the script, the modules that it requires (those that loading read, and those that are required by a
 *   constant name anywhere in them) and the whole standard library, which the provisioners' drivers are part of; an agent checks the
 *   content against the name and unpacks it into its cache, once.
 * Form: MessagePack: the number of the form, then [path, bytes] for each file in the order of paths; paths are relative, "script/…" and
 *   "lib/…"; the first element names the script. The name is the SHA-256 of these bytes, in hexadecimal.
 * Owner: the caller's buffers. Thread: any; two processes may unpack the same at once. Must not know: how it travels.
 */
#ifndef MU_AGENTS_BUNDLE_H
#define MU_AGENTS_BUNDLE_H

#include "core/buf.h"
#include "core/err.h"

#define MU_BUNDLE_NAME_SIZE 65
#define MU_BUNDLE_MAX ((size_t)32 << 20) /* bytes */

struct mu_script;

/* Pack. MU_EINVAL: it is too large, or a file of it lies where it cannot be named from the script's folder; MU_EIO. */
int mu_bundle_make(struct mu_buf *out, char name[MU_BUNDLE_NAME_SIZE], const struct mu_script *s, const char *library_dir,
                   struct mu_err *err);
/* Whether the cache has it, whole: then *script_file and *library_dir (malloc'd) are where. MU_ENOENT: not. */
int mu_bundle_find(const char *cache_dir, const char *name, char **script_file, char **library_dir,
                   struct mu_err *err);
/* Check and unpack. MU_EINVAL: it is not what its name says, or names a path outside itself; nothing is left behind then.
 * Folders are this user's alone. The cache keeps the 20 that were used last. */
int mu_bundle_unpack(const char *cache_dir, const char *name, const void *bytes, size_t len, struct mu_err *err);
/* $XDG_CACHE_HOME/muster/bundles, else ~/.cache/muster/bundles; a folder that others may write is refused. */
int mu_bundle_cache_dir(struct mu_buf *out, const char *cache_dir /* NULL: that */, struct mu_err *err);

#endif
