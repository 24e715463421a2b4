/* editor.h: lines that a person types: with editing, history and completion on a terminal, as they are from a pipe.
 *
 * Purpose: the one door to libedit.
 * Owner: one editor a process, opened and closed by its user.
 * Thread: the main thread, but editor_interrupt(), which a signal handler may call.
 * Must not know: what the lines mean.
 */
#ifndef MU_CLI_EDITOR_H
#define MU_CLI_EDITOR_H

#include <stdbool.h>

struct editor;

/* words: NULL-terminated completions. history: a file, kept for this user alone; NULL: none. NULL when out of memory. */
struct editor *editor_open(const char *const *words, const char *history);
void editor_close(struct editor *e); /* NULL allowed */
bool editor_on_terminal(const struct editor *e);

enum editor_end { EDITOR_LINE, EDITOR_CANCELLED /* Ctrl-C */, EDITOR_END /* Ctrl-D, end of file, a signal */ };
/* The next line without its newline, valid until the next call. */
enum editor_end editor_read(struct editor *e, const char *prompt, const char **line);
/* SIGINT came, says the handler: the line that is being read is cancelled. False: none is being read. */
bool editor_interrupt(void);
void editor_end(void); /* from a handler, too: nothing more is read */
void editor_remember(struct editor *e, const char *line); /* in the history */

#endif
