/* sinks.h: where a command's log goes, and whether in colour.
 *
 * Purpose: the same on every command that runs something.
 * Owner: the caller's strings. Thread: the main thread. Must not know: what is logged.
 */
#ifndef MU_CLI_SINKS_H
#define MU_CLI_SINKS_H

#include "muster.h"

enum cli_color { CLI_COLOR_AUTO, CLI_COLOR_ALWAYS, CLI_COLOR_NEVER };
extern const char *const cli_when[]; /* their names, to NULL; also those of enum cli_progress */

struct cli_log {
    enum muster_log_format format;
    const char *file; /* NULL: none; with quiet it gets everything and standard error nothing */
    bool quiet;
    enum cli_color color;
};

bool cli_colored(enum cli_color when, int fd);
/* 0, or CLI_USAGE when a message was printed. */
int cli_add_sinks(const char *command, struct muster *m, const struct cli_log *log);

#endif
