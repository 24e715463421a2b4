/* ask.h: a passphrase, from whoever sits at the terminal.
 *
 * Purpose: a function for muster_run_options.ask_passphrase. What is typed is not shown, and is not kept here.
 * Owner: the caller wipes what it got. Thread: the main thread, before the run.
 * Must not know: keys.
 */
#ifndef MU_CLI_ASK_H
#define MU_CLI_ASK_H

#include <stdbool.h>
#include <stddef.h>

/* Whether there is a terminal, and we are in its foreground: from the background a question would stop the program. */
bool ask_possible(void);
/* 0, or -1 without an answer. */
int ask_passphrase(void *unused, const char *key_file, bool again, char *out, size_t size);

#endif
