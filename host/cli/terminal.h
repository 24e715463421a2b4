/* terminal.h: the terminal under a run: keys without Enter, its width, and that it is always left as it was.
 *
 * Purpose: while a run is at work in the foreground single keys are read, without echo. The former modes come back at the
 *   end, when the program is stopped (Ctrl-Z) or crashes, and from any signal handler that calls terminal_leave().
 * Owner: the process has one; begin and end in pairs.
 * Thread: the main one, but terminal_leave().
 * Must not know: what keys mean, what is shown.
 */
#ifndef MU_CLI_TERMINAL_H
#define MU_CLI_TERMINAL_H

#include <stdbool.h>

/* keys: read keys from standard input, if it is a terminal. status: there is a line on standard error to be erased when the
 * program is stopped or crashes. */
void terminal_begin(bool keys, bool status);
void terminal_end(void);
/* The program is about to be ended by a signal: the modes come back, the status line is erased. Async-signal-safe. */
void terminal_leave(void);
/* A key that was pressed, or 0; never waits. In the background: 0. Back in the foreground it takes up its modes again. */
int terminal_key(void);
bool terminal_reads_keys(void); /* right now */
/* May this process write a status on standard error? Not while it is in the background of another's terminal. */
bool terminal_is_ours(void);
/* The program was stopped and goes on again, once for each time. */
bool terminal_was_stopped(void);
unsigned terminal_width(void); /* of standard error, columns; 80 when it is not known */

#endif
