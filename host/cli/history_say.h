/* history_say.h: a server's past, for people and for programs.
 *
 * Purpose: the output of `muster history`. Owner: nothing is kept. Thread: the main thread. Must not know: where runs are.
 */
#ifndef MU_CLI_HISTORY_SAY_H
#define MU_CLI_HISTORY_SAY_H

#include "kept.h"

/* Each on standard output; 0, or -1 when there was no memory. metric NULL: all were asked for. */
int history_say(const struct muster_past *p, const char *server, const char *metric);
int history_say_as(const struct muster_past *p, const char *server, enum cli_form form); /* JSON and CSV */

#endif
