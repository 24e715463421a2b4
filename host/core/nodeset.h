/* nodeset.h: names folded as ClusterShell and Slurm write them: srv[0401-0404,0410], [5304,25182], gpu1.
 *
 * Purpose: short output for many ids, and the same form read back.
 * Owner: results are the caller's. Thread: any. Must not know: inventories.
 *
 * The last run of digits of a name is its index; padding is kept (srv01 and srv1 never share a range; srv[08-11] does).
 * Folding sorts by prefix, suffix, padding, number, and drops duplicates; time n log n.
 * A last run of more than 18 digits is no index; such a name, and one without digits, is not folded.
 */
#ifndef MU_CORE_NODESET_H
#define MU_CORE_NODESET_H

#include "core/buf.h"
#include "core/err.h"

/* Append the folded form of n names; NULL and "" are skipped. A single name comes out as it is. Names are not escaped,
 * and one that holds a bracket or a comma, or begins or ends with a blank, cannot be read back. */
void mu_nodeset_fold(struct mu_buf *out, const char *const *names, size_t n);

/* Expand one node set (no outer commas needed: "a[1-3],b" is allowed) and call fn for each name in order; stops at the
 * first non-zero return, which is returned. Steps "[1-9/2]", several brackets "r[1-2]n[1-4]" and
 * blanks after commas are understood. MU_EINVAL for a malformed set, MU_ELIMIT for more than max names, both before the
 * first call of fn. Duplicates are given out as often as they are written. */
int mu_nodeset_expand(const char *text, size_t max, int (*fn)(void *arg, const char *name), void *arg,
                      struct mu_err *err);

#endif
