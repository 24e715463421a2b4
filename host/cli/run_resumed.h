/* run_resumed.h: the part of `muster run` that `muster resume` shares.
 *
 * Purpose: what is done once the command line of a run that is gone on with is known.
 * Owner: the caller. Thread: the main thread. Must not know: where the command line came from.
 */
#ifndef MU_CLI_RUN_RESUMED_H
#define MU_CLI_RUN_RESUMED_H

#include "run_args.h"

/* The engine with its log. 0, or an exit code; free it either way. */
int cli_run_new(struct muster **out, struct run_args *args);
/* Go on with a run that was kept, to the end; the exit code. args->script is its script. */
int cli_run_resumed(struct muster *m, struct run_args *args, struct muster_stored *stored);

#endif
