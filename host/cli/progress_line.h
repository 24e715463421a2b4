/* progress_line.h: how far a run is, in one line.
 *
 * Purpose: the text of the status line and of the periodic line of a log. Pure functions.
 * Owner: the caller's buffer. Thread: any. Must not know: terminals, runs.
 */
#ifndef MU_CLI_PROGRESS_LINE_H
#define MU_CLI_PROGRESS_LINE_H

#include <stddef.h>

#include "muster.h"

/* "120/800 done | 50 running | 3 failed | …": as many parts, the most important first, as are narrower than `width`
 * columns; ASCII. hint: what else there is to say, last; NULL: nothing. */
void progress_line_status(char *out, size_t size, const struct muster_progress *p, unsigned width, const char *hint);
/* "Progress: 120 of 800 done, 50 running, 3 failed, …." */
void progress_line_log(char *out, size_t size, const struct muster_progress *p);

#endif
