/* state_dir.h: where muster keeps what is to outlive a run: journals of claims, and the results.
 * Owner: nothing is kept. Thread: any. Must not know: what is kept there.
 */
#ifndef MU_RUN_STATE_DIR_H
#define MU_RUN_STATE_DIR_H

#include "core/buf.h"
#include "core/err.h"

/* Append the folder: state_dir, NULL: $XDG_STATE_HOME/muster, else ~/.local/state/muster. MU_EINVAL: there is no home. */
int mu_state_dir(struct mu_buf *out, const char *state_dir, struct mu_err *err);
/* Make the folder and those above it that are missing, for this user alone. errno, or 0. */
int mu_state_make_dirs(const char *path);

#endif
