/* list_say.h: what a script says of itself, for people and for programs.
 *
 * Purpose: the output of `muster list`. Owner: nothing is kept. Thread: the engine's. Must not know: where scripts are.
 */
#ifndef MU_CLI_LIST_SAY_H
#define MU_CLI_LIST_SAY_H

#include "muster.h"

/* A paragraph on standard output. */
void list_say(const char *path, const struct muster_script *script);
/* An object of JSON on standard output. error NULL: script is there; else it is why it is not. */
void list_say_json(const char *path, const struct muster_script *script, const char *error);

#endif
