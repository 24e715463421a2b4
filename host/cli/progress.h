/* progress.h: what a person at a run sees of it while it is at work.
 *
 * Purpose: on a terminal a status line below the log; elsewhere, in Jenkins for example, a line of the log every minute.
 *   SIGUSR1, and the keys i and s, log who is where. Between begin and end alone.
 * Owner: the process has one at a time; engine and options are borrowed between begin and end.
 * Thread: the main one.
 * Must not know: how a run works.
 */
#ifndef MU_CLI_PROGRESS_H
#define MU_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "muster.h"

/* AUTO: a line on a terminal, and of the log elsewhere. ALWAYS: the former in any case. NEVER: none. */
enum cli_progress { CLI_PROGRESS_AUTO, CLI_PROGRESS_ALWAYS, CLI_PROGRESS_NEVER };

struct progress_options {
    enum cli_progress when;
    uint64_t interval_ms;    /* of the lines of a log; 0: a minute */
    bool quiet;              /* AUTO is NEVER */
    enum muster_level level; /* of the log: what was asked for is logged at any */
};

/* Before muster_run_new(): have the run call back. */
void progress_prepare(struct muster_run_options *run, const struct progress_options *options);
void progress_begin(struct muster *m, struct muster_run *run);
void progress_end(void); /* before the run is freed */

#endif
