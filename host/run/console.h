/* console.h: a task that runs lines of Lua as they are typed, on one server, over one connection.
 *
 * Purpose: MU_TASK_CONSOLE: load → idle until a line comes → the line in a fiber and a scope of its own → idle … Its script is
 *   scripts/lib/muster/console.lua, whose step is called with each line and says what to show. An error, a cancelled line
 *   and a line out of memory end nothing but themselves.
 * Owner: the task. Thread: the worker's, but what says main. Must not know: terminals; how values are shown.
 */
#ifndef MU_RUN_CONSOLE_H
#define MU_RUN_CONSOLE_H

#include "run/messages.h"
#include "run/task.h"

struct mu_run;

/* For flow.c: the script is loaded, or a line is done. False when it is over. */
bool mu_console_advance(struct mu_task *t);
void mu_console_free(struct mu_task *t);
/* Mail: a line (taken; NULL: the end), cancel what runs, and a run that is interrupted or ended. */
void mu_console_line(struct mu_worker *w, char *line_take);
void mu_console_break(struct mu_worker *w);
/* When the whole is to end, and t is idle: it ends. False: a line is at work. */
bool mu_console_leave(struct mu_task *t);

/* main: a task asks for its next line. False: the message is none of that. */
bool mu_run_prompted(struct mu_run *run, struct mu_message *m);
/* main: see whether mu_run_break() was called. */
void mu_run_see_break(struct mu_run *run);

#endif
