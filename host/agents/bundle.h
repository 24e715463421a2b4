/* bundle.h: a script with all that it is made of, as one thing with a name that tells its content.
 *
 * Purpose: the coordinator packs the script, the modules and scripts that it is made of (those that loading read; those that
 *   are required by a constant name anywhere in them; those that a parameter names), the files that its description names, and
 *   the whole standard library, which the provisioners' drivers are part of; an agent checks the content against the name and
 *   unpacks it into its cache, once. A module whose name is made up at run time travels when `files` names it, or the standard
 *   library has it.
 * Form: MessagePack (wire_form.h), an array: form and kind, the script's path, then [path, executable, bytes] for each file in the
 *   order of paths. They are relative: "script/…" is the script's folder, or one above it when files are there; "share/lib/…"
 *   the standard library, "share/…" the scripts beside it. The name is the SHA-256 of these bytes, in hexadecimal.
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
/* Whether the cache has it, whole: all its files are compared with it, and it with its name. Then *script_file and *library_dir
 * (malloc'd) are where. MU_ENOENT: not. */
int mu_bundle_find(const char *cache_dir, const char *name, char **script_file, char **library_dir,
                   struct mu_err *err);
/* Check and unpack. MU_EINVAL: it is not what its name says, or names a path outside itself; nothing is left behind then.
 * Folders are this user's alone. The cache keeps the 20 that were used last, and what was used within a day. */
int mu_bundle_unpack(const char *cache_dir, const char *name, const void *bytes, size_t len, struct mu_err *err);
/* $XDG_CACHE_HOME/muster/bundles, else ~/.cache/muster/bundles; a folder that others may write is
 * refused. Made when it is not there. */
int mu_bundle_cache_dir(struct mu_buf *out, const char *cache_dir /* NULL: that */, struct mu_err *err);

#endif
