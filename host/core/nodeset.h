/* nodeset.h: names folded as ClusterShell and Slurm write them: srv[0401-0404,0410], [5304,25182], gpu1.
 *
 * Purpose: short output for many ids, and the same form read back.
 * Owner: results are the caller's. Thread: any. Must not know: inventories.
 *
 * Each run of digits in a name is an index: r[1-2]n[01-10]. Padding is kept: srv[1-2,01-02] are four names, srv[08-11] is
 * one range. What comes out is what ClusterShell 1.9 writes, but where several indexes vary and the names fill no grid:
 * r1n[1-4],r2n[1-3] is in ascending order, and found in n log n (nodeset_grid.h). Duplicates are dropped.
 * A run of more than 18 digits is text, and so are those before the last 8; a name without indexes is not folded.
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
 * blanks around numbers and commas are understood. MU_EINVAL for a malformed set, MU_ELIMIT for more than max names, both before the
 * first call of fn. Duplicates are given out as often as they are written. */
int mu_nodeset_expand(const char *text, size_t max, int (*fn)(void *arg, const char *name), void *arg,
                      struct mu_err *err);

#endif
