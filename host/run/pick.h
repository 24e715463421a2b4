/* pick.h: which of a script's steps a run is about; the others are no part of it.
 * Owner: the caller frees what is picked. Thread: any. Must not know: servers, what became of a step.
 */
#ifndef MU_RUN_PICK_H
#define MU_RUN_PICK_H

#include <stdbool.h>

#include "core/err.h"

struct mu_script;

/* words: a NULL-terminated list of comma-separated names and globs; NULL: *out is NULL, all steps. Else *out says it of each
 * step. A word that no step has, and a picked step that needs one that is not, are errors. */
int mu_pick_steps(bool **out, const struct mu_script *s, const char *const *words, struct mu_err *err);

#endif
