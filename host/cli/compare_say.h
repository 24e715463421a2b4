/* compare_say.h: what two runs differ in, for people and for programs.
 *
 * Purpose: the output of `muster compare`. Owner: nothing is kept. Thread: the main thread. Must not know: where runs are.
 */
#ifndef MU_CLI_COMPARE_SAY_H
#define MU_CLI_COMPARE_SAY_H

#include "kept.h"

int compare_say(const struct muster_compare *c, const char *least); /* 0, or -1 when there was no memory */
void compare_say_json(const struct muster_compare *c);
void compare_say_csv(const struct muster_compare *c);

#endif
