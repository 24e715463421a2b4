/* sources.h: Lua source files, each read once a run, so that every worker runs the same text whatever is edited meanwhile.
 * Owner: the cache owns the text, valid until it is freed. Thread: any; locks inside. Must not know: Lua.
 */
#ifndef MU_RUN_SOURCES_H
#define MU_RUN_SOURCES_H

#include <stddef.h>

#include "core/err.h"

struct mu_sources;
struct mu_sources *mu_sources_new(void); /* NULL when out of memory */
void mu_sources_free(struct mu_sources *s);
/* The file's text. MU_ENOENT (also remembered) when there is none, MU_EIO when it cannot be read. */
int mu_sources_get(struct mu_sources *s, const char *path, const char **text, size_t *len, struct mu_err *err);
/* The paths of those that could be read, as a malloc'd list of copies; *n: how many. NULL when out of memory. */
char **mu_sources_list(struct mu_sources *s, size_t *n);

#endif
